#include "runtime/store_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Where it is ---- */

/* Sets f->path to folder/name without slashes at its end: they would have a symbolic link followed. */
static bool folder_set(store_folder *f, const memory *m, const char *folder, size_t length,
                       const char *name)
{
    text path;
    text_init(&path, m);
    text_add(&path, folder, length);
    if (length && folder[length - 1] != '/') text_add(&path, "/", 1);
    text_add(&path, name, strlen(name));
    while (!path.failed && path.length > 1 && path.data[path.length - 1] == '/') path.length--;
    f->path = path.failed ? NULL : memory_text(m, path.data, path.length);
    text_free(&path);
    return f->path != NULL;
}

/* A relative path means the directory that it means now. Where even that is unknown it is refused. */
static fg_status folder_locate(store_folder *f, store *s, const char *path, size_t length,
                               fg_error *error)
{
    char here[PATH_MAX] = "";
    if (path[0] != '/' && (!getcwd(here, sizeof here) || here[0] != '/')) {
        s->warn(s->user,
                "a store is not used: its path is relative, to a directory without a path");
        return FG_OK;
    }
    char *copy = memory_text(s->memory, path, length);
    bool set = copy && folder_set(f, s->memory, here, strlen(here), copy);
    if (copy) memory_free(s->memory, copy, length + 1);
    return set ? FG_OK : fail_memory(error);
}

static fg_status locate_by_environment(store *s, fg_error *error)
{
    const char *path = secure_getenv("FLASHGEN_STORE");
    const char *cache = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");
    if (path) return path[0] ? folder_locate(&s->own, s, path, strlen(path), error) : FG_OK;
    bool set = true;
    if (cache && cache[0] == '/')
        set = folder_set(&s->own, s->memory, cache, strlen(cache), "flashgen");
    else if (home && home[0] == '/') {
        s->own.given = strlen(home);
        set = folder_set(&s->own, s->memory, home, strlen(home), ".cache/flashgen");
    }
    return set ? FG_OK : fail_memory(error);
}

static fg_status locate_own(store *s, const char *path, fg_error *error)
{
    if (!path) return locate_by_environment(s, error);
    return path[0] ? folder_locate(&s->own, s, path, strlen(path), error) : FG_OK;
}

static fg_status locate_shared(store *s, const char *paths, fg_error *error)
{
    size_t most = 1;
    for (const char *p = paths; *p; p++) most += *p == ':';
    if (!(s->shared = memory_new(s->memory, most, sizeof *s->shared))) return fail_memory(error);
    s->shared_count = most;
    for (size_t n = 0; n < most; n++) {
        size_t length = strcspn(paths, ":");
        s->shared[n].shared = true;
        fg_status status = length ? folder_locate(&s->shared[n], s, paths, length, error) : FG_OK;
        if (status != FG_OK) return status;
        paths += length + 1;
    }
    return FG_OK;
}

/* ---- Opening ---- */

static void ignore(void *user, const char *sentence)
{
    (void)user;
    (void)sentence;
}

fg_status store_open(store **out, const store_options *options, fg_error *error)
{
    *out = NULL;
    store *s = memory_new(options->memory, 1, sizeof *s);
    if (!s) return fail_memory(error);
    s->memory = options->memory;
    s->calls = options->calls;
    s->warn = options->warn ? options->warn : ignore;
    s->user = options->user;
    fg_status status = locate_own(s, options->path, error);
    if (status == FG_OK && options->shared && options->shared[0])
        status = locate_shared(s, options->shared, error);
    if (status == FG_OK && (s->own.path || s->shared))
        *out = s;
    else
        store_close(s);
    return status;
}

static void folder_free(store *s, store_folder *f)
{
    if (f->path) memory_free(s->memory, f->path, strlen(f->path) + 1);
}

void store_close(store *s)
{
    if (!s) return;
    folder_free(s, &s->own);
    for (size_t n = 0; n < s->shared_count; n++) folder_free(s, &s->shared[n]);
    memory_free(s->memory, s->shared, s->shared_count * sizeof *s->shared);
    memory_free(s->memory, s, sizeof *s);
}

/* ---- What it says of itself ---- */

fg_store_counts store_counts(const store *s)
{
    fg_store_counts counts = { 0 };
    if (!s) return counts;
#define STORE_LOAD(name) counts.name = atomic_load(&s->counts.name);
    FG_STORE_COUNTS(STORE_LOAD)
#undef STORE_LOAD
    return counts;
}

const char *store_path(const store *s)
{
    return s ? s->own.path : NULL;
}

/* ---- Getting ---- */

static store_found folder_get(store_entry *out, store *s, store_folder *f, store_kind kind,
                              const digest *d)
{
    const char *why;
    struct stat info;
    if (!f->path) return STORE_missing;
    int folder = store_folder_open(s, f, false, &why);
    if (why) store_folder_warn(s, f, why);
    if (folder < 0) return STORE_missing;
    store_found found = store_file_read(out, s, folder, kind, d, !f->shared, &info, &why);
    store_close_fd(s, folder);
    if (found == STORE_wrong) atomic_fetch_add(&s->counts.damaged, 1);
    return found;
}

bool store_get(store_entry *out, store *s, store_kind kind, const digest *d)
{
    *out = (store_entry){ .memory = NULL };
    if (!s) return false;
    store_found found = folder_get(out, s, &s->own, kind, d);
    bool wrong = found == STORE_wrong;
    for (size_t n = 0; n < s->shared_count && found != STORE_right; n++) {
        found = folder_get(out, s, &s->shared[n], kind, d);
        wrong = wrong || found == STORE_wrong;
    }
    if (found == STORE_right)
        atomic_fetch_add(&s->counts.hits, 1);
    else if (!wrong)
        atomic_fetch_add(&s->counts.misses, 1);
    return found == STORE_right;
}
