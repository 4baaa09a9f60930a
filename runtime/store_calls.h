/* The system calls that the store makes, so that tests can make each one fail. As their man pages say. */
#ifndef RUNTIME_STORE_CALLS_H
#define RUNTIME_STORE_CALLS_H

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

typedef struct store_calls {
    int (*openat)(int folder, const char *path, int flags, mode_t mode);
    int (*raise)(int fd, int least); /* fcntl's F_DUPFD_CLOEXEC */
    int (*mkdirat)(int folder, const char *path, mode_t mode);
    int (*fstat)(int fd, struct stat *info);
    int (*fstatat)(int folder, const char *path, struct stat *info, int flags);
    ssize_t (*read)(int fd, void *data, size_t size);
    ssize_t (*write)(int fd, const void *data, size_t size);
    int (*fsync)(int fd);
    int (*close)(int fd);
    int (*renameat)(int from_folder, const char *from, int to_folder, const char *to);
    int (*unlinkat)(int folder, const char *path, int flags);
    int (*flock)(int fd, int operation);
    int (*futimens)(int fd, const struct timespec times[2]);
    DIR *(*fdopendir)(int fd);
    struct dirent *(*readdir)(DIR *folder);
    int (*closedir)(DIR *folder);
} store_calls;

extern const store_calls store_calls_system;

#endif
