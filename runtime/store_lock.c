#include "runtime/library.h"
#include "runtime/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>

/* One of 256 files, never unlinked: who waits and who comes later must mean the same one. */
static int lock_open(const store *s, int folder, const digest *d)
{
    char name[16];
    snprintf(name, sizeof name, "lock/%02x", d->byte[0]);
    int fd = store_open_at(s, folder, name, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
    if (fd >= 0 || errno != ENOENT) return fd;
    s->calls->mkdirat(folder, "lock", 0700);
    return store_open_at(s, folder, name, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
}

/* Polled: a flock that waits cannot be given up without a signal, and those are the host's. */
static bool lock_wait(const store *s, int fd, double seconds)
{
    enum { shortest = 1000000, longest = 20000000 }; /* nanoseconds */
    double deadline = library_seconds() + seconds;
    for (long pause = shortest;; pause = pause < longest / 2 ? pause * 2 : longest) {
        if (s->calls->flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK && errno != EINTR) return false;
        double left = deadline - library_seconds();
        if (left <= 0) return false;
        if (left * 1e9 < (double)pause) pause = (long)(left * 1e9) + 1;
        nanosleep(&(struct timespec){ .tv_nsec = pause }, NULL);
    }
}

store_lock store_lock_take(store *s, const digest *d, double seconds)
{
    const char *why;
    store_lock lock = { s, -1 };
    if (!s || !s->own.path) return lock;
    int folder = store_folder_open(s, &s->own, true, &why);
    if (why) store_folder_warn(s, &s->own, why);
    if (folder < 0) return lock;
    lock.fd = lock_open(s, folder, d);
    store_close_fd(s, folder);
    if (lock.fd < 0 || lock_wait(s, lock.fd, seconds)) return lock;
    store_close_fd(s, lock.fd);
    lock.fd = -1;
    return lock;
}

void store_lock_drop(store_lock *lock)
{
    if (lock->fd < 0) return;
    /* Not by closing alone: a child forked meanwhile holds it open too. */
    lock->store->calls->flock(lock->fd, LOCK_UN);
    store_close_fd(lock->store, lock->fd);
    lock->fd = -1;
}
