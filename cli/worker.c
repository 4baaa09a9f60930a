/* flashgen worker: what a search starts to check and time its candidates. */
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct worker_choices {
    bool unused;
} worker_choices;

static const option options[] = { { 0 } };

/* Puts `in_its_place` where `fd` was, and returns a descriptor for what `fd` was. */
static int move_away(int fd, int in_its_place)
{
    int kept = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return kept >= 0 && dup2(in_its_place, fd) == fd ? kept : -1;
}

/* Frames go where stdout went, and nothing else does: a kernel or a library that prints, prints on
 * stderr. */
static fg_status worker(void *choices, int argc, char **argv, char **line, fg_error *error)
{
    (void)choices;
    (void)line;
    if (argc > 0) return fault(error, FG_REQUEST, "'%s' is one word too many", argv[0]);
    int output = move_away(STDOUT_FILENO, STDERR_FILENO);
    if (output < 0)
        return fault(error, FG_MACHINE, "cannot set the standard output aside: %s",
                     strerror(errno));
    return fg_worker(STDIN_FILENO, output, error);
}

const command command_worker = {
    .name = "worker",
    .arguments = "",
    .summary = "Checks and times the kernels of one search; the library starts it",
    .hidden = true,
    .options = options,
    .run = worker,
    .choices_size = sizeof(worker_choices),
};
