/* Directories and files of the store: nothing is used that another user could have put there. */
#include "runtime/folder.h"
#include "runtime/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KIND_NAME(name) #name,
const char *const store_kind_names[store_kind_count] = { STORE_KINDS(KIND_NAME) };
#undef KIND_NAME

void store_name(char out[store_name_size], store_kind kind, const digest *d)
{
    char hexadecimal[digest_text_size];
    digest_format(hexadecimal, d);
    snprintf(out, store_name_size, "%s/%s", store_kind_names[kind], hexadecimal);
}

int store_open_at(const store *s, int folder, const char *path, int flags, mode_t mode)
{
    int fd;
    STORE_RETRY(fd, s->calls->openat(folder, path, flags | O_NOFOLLOW | O_CLOEXEC, mode));
    if (fd < 0 || fd > 2) return fd;
    int higher = s->calls->raise(fd, 3), code = errno;
    s->calls->close(fd);
    errno = code;
    return higher;
}

/* Linux has closed it whatever it returns: it must not be tried again. */
void store_close_fd(const store *s, int fd)
{
    if (fd >= 0) s->calls->close(fd);
}

/* ---- Directories ---- */

static const char *folder_fault(const store *s, const store_folder *f, int fd)
{
    struct stat info;
    if (s->calls->fstat(fd, &info) != 0) return errno_text(errno);
    if (!S_ISDIR(info.st_mode)) return "it is no directory";
    if (info.st_uid != geteuid() && !(f->shared && info.st_uid == 0))
        return "it belongs to another user";
    return info.st_mode & (S_IWGRP | S_IWOTH) ? "others may write to it" : NULL;
}

static const char *open_fault(int code)
{
    if (code == ENOTDIR || code == ELOOP) return "it is a symbolic link or no directory";
    return errno_text(code);
}

static int mkdir_errno(const store *s, const char *path)
{
    return s->calls->mkdirat(AT_FDCWD, path, 0700) == 0 || errno == EEXIST ? 0 : errno;
}

/* With those above it, down from the one that must be there. 0 or the first errno. */
static int folder_make(const store *s, const store_folder *f)
{
    int code = 0;
    for (const char *slash = f->path + 1; (slash = strchr(slash, '/')) && !code; slash++) {
        size_t length = (size_t)(slash - f->path);
        if (length <= f->given) continue;
        char *above = memory_text(s->memory, f->path, length);
        if (!above) return ENOMEM;
        code = mkdir_errno(s, above);
        memory_free(s->memory, above, length + 1);
    }
    return code ? code : mkdir_errno(s, f->path);
}

int store_folder_open(store *s, store_folder *f, bool make, const char **why)
{
    enum { how = O_RDONLY | O_DIRECTORY };
    *why = NULL;
    int fd = store_open_at(s, AT_FDCWD, f->path, how, 0);
    if (fd < 0 && errno == ENOENT) {
        if (!make) return -1;
        int code = folder_make(s, f);
        errno = code;
        if (!code) fd = store_open_at(s, AT_FDCWD, f->path, how, 0);
    }
    *why = fd < 0 ? open_fault(errno) : folder_fault(s, f, fd);
    if (!*why) return fd;
    store_close_fd(s, fd);
    return -1;
}

void store_folder_warn(store *s, store_folder *f, const char *why)
{
    char sentence[1024];
    if (atomic_exchange(&f->warned, true)) return;
    snprintf(sentence, sizeof sentence, "%s %.800s: %s",
             f->shared ? "nothing is read from" : "nothing is kept in", f->path, why);
    s->warn(s->user, sentence);
}

/* ---- Files ---- */

static const char *file_fault(const struct stat *info)
{
    if (!S_ISREG(info->st_mode)) return "is no regular file";
    if (info->st_uid != geteuid() && info->st_uid != 0) return "belongs to another user";
    if (info->st_mode & (S_IWGRP | S_IWOTH)) return "may be written to by others";
    if (info->st_size > store_entry_limit) return "is too large";
    return info->st_size > 0 ? NULL : "is empty";
}

/* A byte less than `size`: it ended before. */
static ssize_t read_whole(const store *s, int fd, char *data, size_t size)
{
    size_t had = 0;
    while (had < size) {
        ssize_t got;
        STORE_RETRY(got, s->calls->read(fd, data + had, size - had));
        if (got < 0) return -1;
        if (got == 0) break;
        had += (size_t)got;
    }
    return (ssize_t)had;
}

static store_found file_take(store_entry *out, const store *s, int fd, store_kind kind,
                             const digest *d, size_t size, const char **why)
{
    store_found found = STORE_wrong;
    char *block = memory_new(s->memory, size, 1);
    ssize_t had = block ? read_whole(s, fd, block, size) : -1;
    if (had < 0) {
        *why = block ? errno_text(errno) : "out of memory";
        found = STORE_unread;
    } else if ((size_t)had < size)
        *why = "is truncated";
    else if (store_entry_read(out, s->memory, block, size, kind, d, why))
        return STORE_right;
    memory_free(s->memory, block, size);
    return found;
}

/* To a day: what is used stays, and no reader writes more often. */
static void file_touch(const store *s, int fd, const struct stat *info)
{
    int64_t age = (int64_t)time(NULL) - (int64_t)info->st_mtim.tv_sec;
    if (age > 86400 || age < -86400) s->calls->futimens(fd, NULL);
}

static store_found open_found(int code, const char **why)
{
    *why = code == ELOOP ? "is a symbolic link" : code == ENXIO ? "is no regular file" : NULL;
    if (*why) return STORE_wrong;
    *why = errno_text(code);
    return code == ENOENT || code == ENOTDIR ? STORE_missing : STORE_unread;
}

store_found store_file_read(store_entry *out, const store *s, int folder, store_kind kind,
                            const digest *d, bool use, struct stat *info, const char **why)
{
    char name[store_name_size];
    store_found found = STORE_wrong;
    store_name(name, kind, d);
    *info = (struct stat){ .st_size = -1 };
    *why = NULL;
    /* O_NONBLOCK: opening a FIFO waits for nobody. */
    int fd = store_open_at(s, folder, name, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0) {
        found = open_found(errno, why);
        if (found == STORE_wrong && s->calls->fstatat(folder, name, info, AT_SYMLINK_NOFOLLOW) != 0)
            info->st_size = -1;
        return found;
    }
    if (s->calls->fstat(fd, info) != 0) {
        *info = (struct stat){ .st_size = -1 };
        *why = errno_text(errno);
        found = STORE_unread;
    } else if (!(*why = file_fault(info)))
        found = file_take(out, s, fd, kind, d, (size_t)info->st_size, why);
    if (found == STORE_right && use) file_touch(s, fd, info);
    store_close_fd(s, fd);
    return found;
}
