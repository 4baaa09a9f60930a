/* What belongs to the process: one lock, and whether we have been forked. */
#ifndef RUNTIME_LIBRARY_H
#define RUNTIME_LIBRARY_H

#include <stdbool.h>
#include <sys/types.h>

/* Called by each new context: from the first on, forks are seen. */
void library_enter(void);

/* For a few instructions only: nothing is allocated, called or waited for under it. It is free in a
 * forked child, whatever other threads of the parent did. */
void library_lock(void);
void library_unlock(void);

/* getpid(), which asks the kernel: here it is asked once a process. */
pid_t library_process(void);

/* In a process forked from one that had a context: the threads of OpenMP or of the host's pool did not
 * come along. */
bool library_forked(void);

/* A clock that only goes forward. */
double library_seconds(void);

#endif
