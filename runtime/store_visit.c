#include "runtime/choice.h"
#include "runtime/folder.h"
#include "runtime/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- Names ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool names_add(store_names *names, const char *name)
{
    enum { size = sizeof *names->name };
    if (names->count == names->capacity) {
        size_t capacity = names->capacity * 2 + 16;
        void *more =
            memory_resize(names->memory, names->name, names->capacity * size, capacity * size);
        if (!more) return false;
        names->name = more;
        names->capacity = capacity;
    }
    size_t length = strlen(name);
    memcpy(names->name[names->count++], name, length < size ? length + 1 : 0);
    return true;
}

static int names_fill(store_names *names, const store *s, DIR *list)
{
    for (;;) {
        errno = 0;
        struct dirent *found = s->calls->readdir(list);
        if (!found) return errno;
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
        if (!names_add(names, found->d_name)) return ENOMEM;
    }
}

int store_names_read(store_names *out, const store *s, int folder, const char *name)
{
    *out = (store_names){ .memory = s->memory };
    int fd = store_open_at(s, folder, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return errno == ENOENT ? 0 : errno;
    DIR *list = s->calls->fdopendir(fd);
    int code = list ? names_fill(out, s, list) : errno;
    if (list)
        s->calls->closedir(list);
    else
        store_close_fd(s, fd);
    if (out->count) qsort(out->name, out->count, sizeof *out->name, by_name);
    return code;
}

void store_names_free(store_names *names)
{
    memory_free(names->memory, names->name, names->capacity * sizeof *names->name);
}

fg_status store_open_own(int *folder, store *s, fg_error *error)
{
    const char *why = NULL;
    *folder = -1;
    if (!s || !s->own.path) return FG_OK;
    *folder = store_folder_open(s, &s->own, false, &why);
    if (!why) return FG_OK;
    return fail(error, FG_MACHINE, "cannot use the store %.800s: %s", s->own.path, why);
}

/* ---- Visiting ---- */

enum { told_fields = 4 };
static const char *const told_names[told_fields] = { "problem", "schedule", "config", "sizes" };

typedef struct visiting {
    const store *store;
    int folder;
    fg_store_fn visit;
    void *user;
    bool ended;
    text path, told[told_fields];
} visiting;

/* NULL where the key has no such field. */
static const char *tell_field(text *out, const store_section *fields, const char *name)
{
    size_t length;
    const char *value = key_find(fields->data, fields->size, name, &length);
    out->length = 0;
    if (value) text_add(out, value, length);
    return value && !out->failed ? out->data : NULL;
}

/* False: out of memory. */
static bool tell_key(visiting *v, fg_store_entry *entry, const store_section *fields)
{
    const char **const told[] = { &entry->problem, &entry->schedule, &entry->config,
                                  &entry->sizes };
    bool failed = false;
    for (int n = 0; n < told_fields; n++) {
        *told[n] = tell_field(&v->told[n], fields, told_names[n]);
        failed = failed || v->told[n].failed;
    }
    return !failed;
}

/* What was chosen is no part of the key that it is found by. */
static void tell_choice(choice *c, fg_store_entry *entry, const store_entry *read)
{
    if (entry->config || read->sections < 1) return;
    if (!choice_read(c, read->section[0].data, read->section[0].size)) return;
    entry->schedule = c->schedule;
    entry->config = c->config;
}

/* A file that we did not write is not opened. */
static store_found stranger_read(const visiting *v, const char *path, struct stat *info,
                                 const char **why)
{
    *why = "has a name that no entry has";
    int known = v->store->calls->fstatat(v->folder, path, info, AT_SYMLINK_NOFOLLOW);
    return known != 0 && errno == ENOENT ? STORE_missing : STORE_wrong;
}

static const fg_status found_status[] = {
    [STORE_missing] = FG_OK,
    [STORE_unread] = FG_MACHINE,
    [STORE_wrong] = FG_WRONG,
    [STORE_right] = FG_OK,
};

static fg_status visit_one(visiting *v, store_kind kind, const char *name, fg_error *error)
{
    digest d;
    choice chosen;
    store_entry read = { .memory = v->store->memory };
    struct stat info = { .st_size = -1 };
    fg_store_entry entry = { .kind = store_kind_names[kind] };
    v->path.length = 0;
    text_addf(&v->path, "%s/%s/%s", v->store->own.path, entry.kind, name);
    if (v->path.failed) return fail_memory(error);
    entry.path = v->path.data;
    store_found found =
        digest_parse(&d, name, strlen(name))
            ? store_file_read(&read, v->store, v->folder, kind, &d, false, &info, &entry.fault)
            : stranger_read(v, entry.path + strlen(v->store->own.path) + 1, &info, &entry.fault);
    bool told = found != STORE_right || tell_key(v, &entry, &read.fields);
    if (told && found == STORE_right) tell_choice(&chosen, &entry, &read);
    entry.status = found_status[found];
    entry.bytes = info.st_size > 0 ? info.st_size : 0;
    entry.used = info.st_mtim.tv_sec;
    if (told && found != STORE_missing) /* else it was taken away meanwhile */
        v->ended = v->visit(v->user, &entry) != 0;
    store_entry_free(&read);
    return told ? FG_OK : fail_memory(error);
}

static fg_status visit_kind(visiting *v, store_kind kind, fg_error *error)
{
    store_names names;
    int code = store_names_read(&names, v->store, v->folder, store_kind_names[kind]);
    fg_status status = FG_OK;
    if (code == ENOMEM)
        status = fail_memory(error);
    else if (code)
        status = fail(error, FG_MACHINE, "cannot list %.800s/%s: %s", v->store->own.path,
                      store_kind_names[kind], errno_text(code));
    for (size_t n = 0; n < names.count && status == FG_OK && !v->ended; n++)
        status = visit_one(v, kind, names.name[n], error);
    store_names_free(&names);
    return status;
}

fg_status store_visit(store *s, fg_store_fn visit, void *user, fg_error *error)
{
    visiting v = { .store = s, .visit = visit, .user = user };
    fg_status status = store_open_own(&v.folder, s, error);
    if (v.folder < 0) return status;
    text_init(&v.path, s->memory);
    for (int n = 0; n < told_fields; n++) text_init(&v.told[n], s->memory);
    for (int kind = 0; kind < store_kind_count && status == FG_OK && !v.ended; kind++)
        status = visit_kind(&v, (store_kind)kind, error);
    for (int n = 0; n < told_fields; n++) text_free(&v.told[n]);
    text_free(&v.path);
    store_close_fd(s, v.folder);
    return status;
}
