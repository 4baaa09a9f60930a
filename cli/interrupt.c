#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t caught;

static void note(int number)
{
    caught = number;
}

static const int numbers[] = { SIGINT, SIGTERM };

void interrupt_catch(void)
{
    const int flags = SA_RESTART | (int)SA_RESETHAND;
    struct sigaction action = { .sa_handler = note, .sa_flags = flags }, before;
    sigemptyset(&action.sa_mask);
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
        sigaction(numbers[k], &action, &before);
        /* nohup, or a job in a script's background */
        if (before.sa_handler == SIG_IGN) sigaction(numbers[k], &before, NULL);
    }
}

void interrupt_release(void)
{
    struct sigaction now;
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (sigaction(numbers[k], NULL, &now) == 0 && now.sa_handler == note)
            signal(numbers[k], SIG_DFL);
}

int interrupt_caught(void)
{
    return caught;
}

void interrupt_end(void)
{
    if (!caught) return;
    signal(caught, SIG_DFL);
    raise(caught);
}
