/* Publishing: a private file in new/, locked while it is written so that a prune sees whether its writer
 * lives, then renamed. */
#include "runtime/folder.h"
#include "runtime/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { temporary_size = 80, name_tries = 16, put_tries = 3 };

/* Another process, perhaps in another pid namespace, may have come upon the same: O_EXCL tells. */
static void temporary_name(char out[temporary_size], const char *what)
{
    static atomic_uint count;
    struct timespec now = { 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(out, temporary_size, "new/%s-%ld-%u-%lld-%ld", what, (long)getpid(),
             atomic_fetch_add(&count, 1), (long long)now.tv_sec, now.tv_nsec);
}

bool store_is_temporary(const char *name)
{
    return strncmp(name, "put-", 4) == 0 || strncmp(name, "old-", 4) == 0;
}

static int renamed(const store *s, int folder, const char *from, const char *to)
{
    int result;
    STORE_RETRY(result, s->calls->renameat(folder, from, folder, to));
    return result == 0 ? 0 : errno;
}

int store_take_away(const store *s, int folder, const char *name)
{
    char aside[temporary_size];
    if (s->calls->unlinkat(folder, name, 0) == 0) return 0;
    if (errno != EISDIR && errno != EPERM) return errno;
    if (s->calls->unlinkat(folder, name, AT_REMOVEDIR) == 0) return 0;
    temporary_name(aside, "old");
    s->calls->mkdirat(folder, "new", 0700);
    return renamed(s, folder, name, aside);
}

/* 0, as when it is there, or an errno. */
static int subfolder_make(const store *s, int folder, const char *name)
{
    return s->calls->mkdirat(folder, name, 0700) == 0 || errno == EEXIST ? 0 : errno;
}

/* ---- The private file ---- */

/* False: a prune holds it, and will take it away. */
static bool mark_alive(const store *s, int fd)
{
    return s->calls->flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

static void temporary_drop(const store *s, int folder, int fd, const char *name)
{
    s->calls->unlinkat(folder, name, 0);
    store_close_fd(s, fd);
}

/* -1 with errno. */
static int temporary_open(const store *s, int folder, char name[temporary_size])
{
    int code = EAGAIN;
    for (int n = 0; n < name_tries; n++) {
        temporary_name(name, "put");
        int fd = store_open_at(s, folder, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd >= 0 && mark_alive(s, fd)) return fd;
        code = fd < 0 ? errno : EAGAIN;
        if (code == EEXIST) continue;
        temporary_drop(s, folder, fd, name); /* also when it was made, and not to be had above 2 */
        if (code == ENOENT) code = subfolder_make(s, folder, "new");
        if (code && code != EAGAIN) break;
    }
    errno = code ? code : ENOENT;
    return -1;
}

/* 0 or an errno. */
static int fill(const store *s, int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t put;
        STORE_RETRY(put, s->calls->write(fd, data, size));
        if (put <= 0) return put < 0 ? errno : EIO;
        data += put;
        size -= (size_t)put;
    }
    int result;
    STORE_RETRY(result, s->calls->fsync(fd));
    return result == 0 ? 0 : errno;
}

/* ---- In its place ---- */

static int publish(const store *s, int folder, const char *from, store_kind kind, const char *to)
{
    int code = renamed(s, folder, from, to);
    if (code == ENOENT)
        code = subfolder_make(s, folder, store_kind_names[kind]);
    else if (code == EISDIR)
        code = store_take_away(s, folder, to);
    else
        return code;
    return code ? code : renamed(s, folder, from, to);
}

static int put_once(const store *s, int folder, store_kind kind, const char *to, const text *entry)
{
    char name[temporary_size];
    int fd = temporary_open(s, folder, name);
    if (fd < 0) return errno;
    int code = fill(s, fd, entry->data, entry->length);
    if (!code) code = publish(s, folder, name, kind, to);
    if (code)
        temporary_drop(s, folder, fd, name);
    else
        store_close_fd(s, fd);
    return code;
}

/* NULL or why not. */
static const char *put(store *s, store_kind kind, const digest *d, const text *entry)
{
    char to[store_name_size];
    const char *why;
    int code = ENOENT, folder = store_folder_open(s, &s->own, true, &why);
    if (folder < 0) return why;
    store_name(to, kind, d);
    /* ENOENT: a prune was quicker than our lock. */
    for (int n = 0; n < put_tries && code == ENOENT; n++)
        code = put_once(s, folder, kind, to, entry);
    store_close_fd(s, folder);
    return code ? errno_text(code) : NULL;
}

static bool too_large(const store_section *sections, int count)
{
    size_t left = store_entry_limit / 2; /* as much again for the key and what lies between */
    if (count > store_max_sections) return true;
    for (int n = 0; n < count; n++) {
        if (sections[n].size > left) return true;
        left -= sections[n].size;
    }
    return false;
}

void store_put(store *s, store_kind kind, const store_key *k, const store_section *sections,
               int count)
{
    const char *why = "an entry is too large";
    text entry;
    if (!s || !s->own.path) return;
    text_init(&entry, s->memory);
    if (!too_large(sections, count) && k->fields.length < store_entry_limit / 4) {
        digest d = key_digest(k);
        store_entry_write(&entry, kind, k, sections, count);
        why = entry.failed ? "out of memory" : put(s, kind, &d, &entry);
    }
    text_free(&entry);
    atomic_fetch_add(why ? &s->counts.unwritten : &s->counts.written, 1);
    if (why) store_folder_warn(s, &s->own, why);
}
