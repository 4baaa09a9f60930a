#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- In ---- */

static fg_status read_all(int fd, char **out, size_t *size, const char *path, fg_error *error)
{
    struct stat info;
    size_t capacity = 65536;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
        capacity = (size_t)info.st_size + 2; /* one for the 0, one to see the end without growing */
    for (*size = 0, *out = NULL;;) {
        char *more = *out && *size + 1 < capacity ? *out : realloc(*out, capacity);
        if (!more) return fault_memory(error);
        *out = more;
        ssize_t got = read(fd, *out + *size, capacity - *size - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fault_errno(error, "read", path, errno);
        (*out)[ *size += (size_t)got] = 0;
        if (got == 0) return FG_OK;
        if (*size + 1 == capacity) capacity *= 2;
    }
}

fg_status file_load(char **out, size_t *size, const char *path, fg_error *error)
{
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fault_errno(error, "open", path, errno);
    fg_status s = read_all(fd, out, size, path, error);
    close(fd);
    if (s != FG_OK) {
        free(*out);
        *out = NULL;
    }
    return s;
}

/* ---- Out ---- */

static fg_status create_temporary(file_output *out, fg_error *error)
{
    if (asprintf(&out->temporary, "%s.XXXXXX", out->target) < 0) {
        out->temporary = NULL;
        return fault_memory(error);
    }
    out->fd = mkostemp(out->temporary, O_CLOEXEC);
    if (out->fd < 0) {
        fg_status s = fault_errno(error, "write", out->target, errno);
        free(out->temporary); /* there is no such file to remove */
        out->temporary = NULL;
        return s;
    }
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(out->fd, 0666 & ~mask)) return fault_errno(error, "write", out->target, errno);
    return FG_OK;
}

fg_status file_create(file_output *out, const char *path, fg_error *error)
{
    struct stat info;
    *out = (file_output)FILE_OUTPUT_INIT;
    bool exists = stat(path, &info) == 0;
    /* through a link to the file it names; a name that does not exist yet has no real path */
    out->target = exists ? realpath(path, NULL) : strdup(path);
    if (!out->target) return fault_errno(error, "write", path, errno);
    if (!exists || S_ISREG(info.st_mode)) return create_temporary(out, error);
    out->fd = open(path, O_WRONLY | O_CLOEXEC);
    return out->fd < 0 ? fault_errno(error, "write", path, errno) : FG_OK;
}

fg_status file_add(file_output *out, const void *bytes, size_t size, fg_error *error)
{
    const char *next = bytes;
    while (size > 0) {
        ssize_t wrote = write(out->fd, next, size);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return fault_errno(error, "write", out->target, errno);
        next += wrote;
        size -= (size_t)wrote;
    }
    return FG_OK;
}

fg_status file_finish(file_output *out, fg_error *error)
{
    int fd = out->fd;
    out->fd = -1;
    /* quotas and network file systems report here */
    return close(fd) ? fault_errno(error, "write", out->target, errno) : FG_OK;
}

fg_status file_publish(file_output *out, fg_error *error)
{
    if (!out->temporary) return FG_OK;
    if (rename(out->temporary, out->target)) return fault_errno(error, "write", out->target, errno);
    free(out->temporary);
    out->temporary = NULL;
    return FG_OK;
}

void file_discard(file_output *out)
{
    if (out->fd >= 0) close(out->fd);
    if (out->temporary) unlink(out->temporary);
    free(out->temporary);
    free(out->target);
    *out = (file_output)FILE_OUTPUT_INIT;
}
