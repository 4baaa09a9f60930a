#define _GNU_SOURCE
#include "gen/files.h"

#include "gen/core/embedded.h"
#include "gen/core/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static fg_status fail_file(fg_error *error, const char *path)
{
    return fail(error, FG_REQUEST, "cannot read '%s' of the templates directory: %s", path,
                strerror(errno));
}

fg_status files_open(files *f, const memory *m, const char *directory, fg_error *error)
{
    struct stat facts;
    *f = (files){ .directory = directory };
    arena_init(&f->arena, m);
    if (directory && (stat(directory, &facts) != 0 || !S_ISDIR(facts.st_mode)))
        return fail(error, FG_REQUEST,
                    "the templates directory '%s' is no directory that can be read", directory);
    return FG_OK;
}

void files_close(files *f)
{
    arena_free(&f->arena);
}

/* Words of letters, digits, '_', '-' and '.' between slashes; none starts with '.', so none is "..". */
static bool name_is_plain(const char *name)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
    return name[0] != '/' && name[0] != '.' && !strstr(name, "/.") && !strstr(name, "//") &&
           strspn(name, plain) == strlen(name);
}

/* The path of `name` in the overriding directory. */
static fg_status join(char path[PATH_MAX], const files *f, const char *name, fg_error *error)
{
    if (!name_is_plain(name))
        return fail(error, FG_INTERNAL, "'%s' cannot be the name of a template", name);
    int length = snprintf(path, PATH_MAX, "%s/%s", f->directory, name);
    if (length < PATH_MAX) return FG_OK;
    return fail(error, FG_REQUEST, "the path of '%s' in the templates directory is too long", name);
}

static fg_status read_bytes(files *f, int file, size_t size, const char **bytes, const char *path,
                            fg_error *error)
{
    char *buffer = arena_new(&f->arena, size + 1);
    if (!buffer) return fail_memory(error);
    for (size_t done = 0; done < size;) {
        ssize_t got = read(file, buffer + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_file(error, path);
        if (got == 0) return fail(error, FG_REQUEST, "'%s' changed while it was read", path);
        done += (size_t)got;
    }
    *bytes = buffer;
    return FG_OK;
}

static fg_status read_file(files *f, const char *path, const char **bytes, size_t *size,
                           fg_error *error)
{
    struct stat facts;
    fg_status s = FG_OK;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
    if (file < 0) return errno == ENOENT || errno == ENOTDIR ? FG_OK : fail_file(error, path);
    if (fstat(file, &facts) != 0)
        s = fail_file(error, path);
    else if (!S_ISREG(facts.st_mode) || facts.st_size > files_max_size)
        s = fail(error, FG_REQUEST, "'%s' is no ordinary file of at most %d bytes", path,
                 files_max_size);
    else
        s = read_bytes(f, file, *size = (size_t)facts.st_size, bytes, path, error);
    close(file);
    return s;
}

fg_status files_read(files *f, const char *name, const char **bytes, size_t *size, fg_error *error)
{
    char path[PATH_MAX];
    fg_status s;
    *bytes = NULL;
    *size = 0;
    if (f->directory) {
        if ((s = join(path, f, name, error)) != FG_OK) return s;
        if ((s = read_file(f, path, bytes, size, error)) != FG_OK || *bytes) return s;
    }
    for (size_t k = 0; k < embedded_file_count; k++) {
        if (strcmp(embedded_files[k].name, name) != 0) continue;
        *bytes = embedded_files[k].text;
        *size = embedded_files[k].size;
    }
    return FG_OK;
}

/* Into its place in the list, once. */
static fg_status insert(files *f, files_name **first, const char *folder, const char *name,
                        fg_error *error)
{
    size_t head = strlen(folder), tail = strlen(name) + 1;
    files_name *entry = arena_new(&f->arena, sizeof *entry);
    char *full = arena_new(&f->arena, head + tail);
    if (!entry || !full) return fail_memory(error);
    memcpy(full, folder, head);
    memcpy(full + head, name, tail);
    while (*first && strcmp((*first)->name, full) < 0) first = &(*first)->next;
    if (*first && strcmp((*first)->name, full) == 0) return FG_OK;
    *entry = (files_name){ *first, full };
    *first = entry;
    return FG_OK;
}

/* Which files a list has: those in a folder, or all below it, with so many folders on the way. */
enum { flat = 0, deepest = 8 };

static fg_status list_embedded(files *f, const char *folder, int depth, files_name **first,
                               fg_error *error)
{
    fg_status s = FG_OK;
    size_t head = strlen(folder);
    for (size_t k = 0; k < embedded_file_count && s == FG_OK; k++) {
        const char *name = embedded_files[k].name;
        if (strncmp(name, folder, head) == 0 && (depth != flat || !strchr(name + head, '/')))
            s = insert(f, first, folder, name + head, error);
    }
    return s;
}

static bool is_folder(DIR *directory, const struct dirent *entry)
{
    struct stat facts;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return entry->d_type == DT_DIR;
    return fstatat(dirfd(directory), entry->d_name, &facts, 0) == 0 && S_ISDIR(facts.st_mode);
}

static fg_status list_directory(files *f, const char *folder, int depth, files_name **first,
                                fg_error *error);

static fg_status list_within(files *f, const char *folder, const char *name, int depth,
                             files_name **first, fg_error *error)
{
    char inner[PATH_MAX];
    if (depth == flat) return FG_OK;
    if (depth == 1)
        return fail(error, FG_REQUEST, "'%s' of the templates directory is nested too deep",
                    folder);
    if (snprintf(inner, sizeof inner, "%s%s/", folder, name) >= (int)sizeof inner)
        return fail(error, FG_REQUEST, "the path of '%s' in the templates directory is too long",
                    name);
    return list_directory(f, inner, depth - 1, first, error);
}

static fg_status list_directory(files *f, const char *folder, int depth, files_name **first,
                                fg_error *error)
{
    char path[PATH_MAX];
    fg_status s = join(path, f, folder, error);
    if (s != FG_OK) return s;
    DIR *directory = opendir(path);
    if (!directory) return errno == ENOENT || errno == ENOTDIR ? FG_OK : fail_file(error, path);
    for (struct dirent *entry; s == FG_OK && (entry = readdir(directory));) {
        if (!name_is_plain(entry->d_name)) continue; /* as what editors leave behind */
        if (is_folder(directory, entry))
            s = list_within(f, folder, entry->d_name, depth, first, error);
        else
            s = insert(f, first, folder, entry->d_name, error);
    }
    closedir(directory);
    return s;
}

static fg_status list(files *f, const char *folder, int depth, const files_name **first,
                      fg_error *error)
{
    files_name *names = NULL;
    fg_status s = list_embedded(f, folder, depth, &names, error);
    if (s == FG_OK && f->directory) s = list_directory(f, folder, depth, &names, error);
    *first = names;
    return s;
}

fg_status files_list(files *f, const char *folder, const files_name **first, fg_error *error)
{
    return list(f, folder, flat, first, error);
}

fg_status files_tree(files *f, const char *folder, const files_name **first, fg_error *error)
{
    return list(f, folder, deepest, first, error);
}
