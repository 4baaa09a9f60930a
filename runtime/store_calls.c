#include "runtime/store_calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
    return openat(folder, path, flags, mode);
}

static int raise_fd(int fd, int least)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, least);
}

const store_calls store_calls_system = {
    .openat = open_at,
    .raise = raise_fd,
    .mkdirat = mkdirat,
    .fstat = fstat,
    .fstatat = fstatat,
    .read = read,
    .write = write,
    .fsync = fsync,
    .close = close,
    .renameat = renameat,
    .unlinkat = unlinkat,
    .flock = flock,
    .futimens = futimens,
    .fdopendir = fdopendir,
    .readdir = readdir,
    .closedir = closedir,
};
