#include "runtime/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *errno_text(int code)
{
#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 32)
    const char *sentence = strerrordesc_np(code);
    return sentence ? sentence : "unknown error";
#endif
#endif
    return strerror(code);
}

char *folder_path(const memory *m, const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *out = memory_new(m, size, 1);
    if (out) snprintf(out, size, "%s/%s", folder, name);
    return out;
}

/* An absolute $TMPDIR, which a setuid process does not listen to. */
static const char *folder_root(void)
{
    const char *host = secure_getenv("TMPDIR");
    return host && host[0] == '/' ? host : "/tmp";
}

fg_status folder_new(char **out, const memory *m, fg_error *error)
{
    *out = folder_path(m, folder_root(), "flashgen-XXXXXX");
    if (!*out) return fail_memory(error);
    if (mkdtemp(*out)) return FG_OK;
    int code = errno;
    memory_free(m, *out, strlen(*out) + 1);
    *out = NULL;
    return fail(error, FG_MACHINE, "cannot make a folder under %.500s: %s", folder_root(),
                errno_text(code));
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    remove(path);
    return 0; /* go on: take away as much as goes */
}

void folder_remove(const memory *m, char *folder)
{
    if (!folder) return;
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    memory_free(m, folder, strlen(folder) + 1);
}

bool fd_write(int fd, const void *data, size_t size)
{
    const char *next = data;
    while (size > 0) {
        ssize_t put = write(fd, next, size < 1 << 30 ? size : 1 << 30);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        next += put;
        size -= (size_t)put;
    }
    return true;
}

fg_status file_write(const char *path, const void *data, size_t size, fg_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool whole = fd >= 0 && fd_write(fd, data, size);
    int code = errno;
    if (fd >= 0 && close(fd) != 0 && whole) whole = false, code = errno;
    if (whole) return FG_OK;
    return fail(error, FG_MACHINE, "cannot write %.500s: %s", path, errno_text(code));
}

static bool fd_read(int fd, void *data, size_t size)
{
    char *next = data;
    while (size > 0) {
        ssize_t got = read(fd, next, size < 1 << 30 ? size : 1 << 30);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        next += got;
        size -= (size_t)got;
    }
    return true;
}

fg_status file_read(void **data, size_t *size, size_t limit, const memory *m, const char *path,
                    fg_error *error)
{
    struct stat info;
    fg_status status = FG_OK;
    *data = NULL;
    /* O_NONBLOCK: opening a FIFO waits for nobody. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= 0 ||
        (uint64_t)info.st_size > limit) {
        status =
            fail(error, FG_REQUEST, "there is no file at %.500s of 1 to %zu bytes", path, limit);
        goto out;
    }
    *size = (size_t)info.st_size;
    *data = memory_new(m, *size, 1);
    if (!*data) {
        status = fail_memory(error);
        goto out;
    }
    if (fd_read(fd, *data, *size)) goto out;
    memory_free(m, *data, *size);
    *data = NULL;
    status = fail(error, FG_MACHINE, "cannot read %.500s", path);
out:
    if (fd >= 0) close(fd);
    return status;
}
