#include "runtime/library.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool forked;
static _Atomic pid_t home;

void library_lock(void)
{
    pthread_mutex_lock(&lock);
}

void library_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
    atomic_store(&forked, true);
    pthread_mutex_unlock(&lock); /* this thread took it before the fork */
}

static void enter_once(void)
{
    atomic_store(&home, getpid());
    pthread_atfork(library_lock, library_unlock, after_fork_in_child);
}

void library_enter(void)
{
    pthread_once(&once, enter_once);
}

bool library_forked(void)
{
    /* The number alone could come round again; a raw clone runs no handler. */
    return atomic_load_explicit(&forked, memory_order_relaxed) ||
           atomic_load_explicit(&home, memory_order_relaxed) != getpid();
}

double library_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
