#include "runtime/library.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool forked;
static _Atomic pid_t home;
static _Atomic pid_t *number_here; /* NULL: there is no memory that a child finds empty */

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
    if (number_here) atomic_store(number_here, 0); /* some emulators ignore the advice */
    pthread_mutex_unlock(&lock);                   /* this thread took it before the fork */
}

/* A child of whatever kind, but one that shares all memory, finds 0 there. */
static _Atomic pid_t *memory_of_process(void)
{
    const size_t bytes = sizeof(_Atomic pid_t);
    void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return NULL;
    if (madvise(block, bytes, MADV_WIPEONFORK) == 0) return block;
    munmap(block, bytes); /* Linux before 4.14 */
    return NULL;
}

pid_t library_process(void)
{
    pid_t number = number_here ? atomic_load_explicit(number_here, memory_order_relaxed) : 0;
    if (number) return number;
    number = getpid();
    if (number_here) atomic_store_explicit(number_here, number, memory_order_relaxed);
    return number;
}

static void enter_once(void)
{
    number_here = memory_of_process();
    atomic_store(&home, library_process()); /* before a child of vfork could write its own */
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
           atomic_load_explicit(&home, memory_order_relaxed) != library_process();
}

double library_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
