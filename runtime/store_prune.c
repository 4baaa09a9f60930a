/* Removing: what is damaged or abandoned, and what was used least recently, by the files' times alone: no
 * clock that is wrong can delete anything. */
#include "runtime/folder.h"
#include "runtime/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

typedef struct kept {
    store_kind kind;
    digest name;
    int64_t bytes;
    struct timespec used;
} kept;

typedef struct pruning {
    const store *store;
    int folder;
    fg_store_report report;
    kept *kept; /* the entries that are right */
    size_t count, capacity;
    fg_status status; /* the first failure: the rest is done all the same */
    fg_error *error;
} pruning;

static void failed(pruning *p, const char *what, const char *name, int code)
{
    if (p->status != FG_OK) return;
    if (code == ENOMEM)
        p->status = fail_memory(p->error);
    else
        p->status = fail(p->error, FG_MACHINE, "cannot %s %.800s/%s: %s", what, p->store->own.path,
                         name, errno_text(code));
}

static void entry_left(pruning *p, int64_t bytes)
{
    p->report.left++;
    p->report.left_bytes += bytes > 0 ? bytes : 0;
}

static void entry_remove(pruning *p, store_kind kind, const digest *d, int64_t bytes)
{
    char name[store_name_size];
    store_name(name, kind, d);
    int code = store_take_away(p->store, p->folder, name);
    if (code == ENOENT) return;
    if (code) {
        failed(p, "remove", name, code);
        entry_left(p, bytes);
        return;
    }
    p->report.removed++;
    p->report.removed_bytes += bytes > 0 ? bytes : 0;
}

/* Every entry of every kind, by its name alone. */
static void each_entry(pruning *p, void (*each)(pruning *p, store_kind kind, const digest *d))
{
    for (int kind = 0; kind < store_kind_count; kind++) {
        digest d;
        store_names names;
        int code = store_names_read(&names, p->store, p->folder, store_kind_names[kind]);
        if (code) failed(p, "list", store_kind_names[kind], code);
        for (size_t n = 0; n < names.count; n++)
            if (digest_parse(&d, names.name[n], strlen(names.name[n])))
                each(p, (store_kind)kind, &d);
        store_names_free(&names);
    }
}

/* ---- Half-written files ---- */

/* Whoever writes it holds its lock, and nobody else does: what can be locked was abandoned. */
static bool is_abandoned(const pruning *p, const char *name)
{
    int fd = store_open_at(p->store, p->folder, name, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0) return false;
    bool locked = p->store->calls->flock(fd, LOCK_EX | LOCK_NB) == 0;
    store_close_fd(p->store, fd);
    return locked;
}

static void temporary_remove(pruning *p, const char *name)
{
    struct stat info;
    const store_calls *calls = p->store->calls;
    if (calls->fstatat(p->folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (S_ISREG(info.st_mode) && !is_abandoned(p, name)) return;
    int how = S_ISDIR(info.st_mode) ? AT_REMOVEDIR : 0;
    if (calls->unlinkat(p->folder, name, how) != 0) {
        /* A folder that was in an entry's way, with what somebody put there: not ours to empty. */
        if (errno != ENOENT && errno != ENOTEMPTY) failed(p, "remove", name, errno);
        return;
    }
    p->report.removed++;
    p->report.removed_bytes += S_ISREG(info.st_mode) ? info.st_size : 0;
}

static void remove_abandoned(pruning *p)
{
    store_names names;
    int code = store_names_read(&names, p->store, p->folder, "new");
    if (code) failed(p, "list", "new", code);
    for (size_t n = 0; n < names.count; n++) {
        char name[4 + sizeof *names.name] = "new/";
        strcat(name, names.name[n]);
        if (store_is_temporary(names.name[n])) temporary_remove(p, name);
    }
    store_names_free(&names);
}

/* ---- Pruning ---- */

static bool kept_add(pruning *p, const kept *k)
{
    if (p->count == p->capacity) {
        size_t capacity = p->capacity * 2 + 16;
        void *more = memory_resize(p->store->memory, p->kept, p->capacity * sizeof *p->kept,
                                   capacity * sizeof *p->kept);
        if (!more) return false;
        p->kept = more;
        p->capacity = capacity;
    }
    p->kept[p->count++] = *k;
    return true;
}

/* Another process may have put a right one in its place since it was read. */
static bool is_still(const pruning *p, store_kind kind, const digest *d, const struct stat *info)
{
    struct stat now;
    char name[store_name_size];
    store_name(name, kind, d);
    return info->st_size >= 0 &&
           p->store->calls->fstatat(p->folder, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           now.st_ino == info->st_ino && now.st_dev == info->st_dev;
}

static void sift(pruning *p, store_kind kind, const digest *d)
{
    struct stat info;
    const char *why;
    store_entry e = { .memory = p->store->memory };
    store_found found = store_file_read(&e, p->store, p->folder, kind, d, false, &info, &why);
    store_entry_free(&e);
    if (found == STORE_missing) return;
    kept k = { kind, *d, info.st_size, info.st_mtim };
    if (found == STORE_wrong && is_still(p, kind, d, &info))
        entry_remove(p, kind, d, info.st_size);
    else if (found != STORE_right)
        entry_left(p, info.st_size);
    else if (!kept_add(p, &k)) {
        failed(p, "list", store_kind_names[kind], ENOMEM);
        entry_left(p, k.bytes);
    }
}

static int by_use(const void *a, const void *b)
{
    const kept *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec) return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    if (x->used.tv_nsec != y->used.tv_nsec) return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return memcmp(x->name.byte, y->name.byte, digest_bytes);
}

static void evict(pruning *p, int64_t most_bytes)
{
    int64_t bytes = 0;
    if (p->count) qsort(p->kept, p->count, sizeof *p->kept, by_use);
    for (size_t n = 0; n < p->count; n++) bytes += p->kept[n].bytes;
    for (size_t n = 0; n < p->count; n++) {
        const kept *k = &p->kept[n];
        if (most_bytes >= 0 && bytes > most_bytes)
            entry_remove(p, k->kind, &k->name, k->bytes);
        else
            entry_left(p, k->bytes);
        if (most_bytes >= 0 && bytes > most_bytes) bytes -= k->bytes;
    }
}

static void prune(pruning *p, int64_t most_bytes)
{
    remove_abandoned(p);
    each_entry(p, sift);
    evict(p, most_bytes);
    memory_free(p->store->memory, p->kept, p->capacity * sizeof *p->kept);
}

/* ---- Clearing ---- */

static void clear_entry(pruning *p, store_kind kind, const digest *d)
{
    struct stat info;
    char name[store_name_size];
    store_name(name, kind, d);
    int known = p->store->calls->fstatat(p->folder, name, &info, AT_SYMLINK_NOFOLLOW);
    entry_remove(p, kind, d, known == 0 && S_ISREG(info.st_mode) ? info.st_size : 0);
}

static void clear(pruning *p, int64_t most_bytes)
{
    (void)most_bytes;
    remove_abandoned(p);
    each_entry(p, clear_entry);
}

static fg_status with_own(store *s, void (*act)(pruning *p, int64_t most_bytes), int64_t most_bytes,
                          fg_store_report *report, fg_error *error)
{
    pruning p = { .store = s, .status = FG_OK, .error = error };
    fg_status status = store_open_own(&p.folder, s, error);
    if (p.folder >= 0) {
        act(&p, most_bytes);
        store_close_fd(s, p.folder);
        status = p.status;
    }
    if (report) *report = p.report;
    return status;
}

fg_status store_prune(store *s, int64_t most_bytes, fg_store_report *report, fg_error *error)
{
    return with_own(s, prune, most_bytes, report, error);
}

fg_status store_clear(store *s, fg_store_report *report, fg_error *error)
{
    return with_own(s, clear, 0, report, error);
}
