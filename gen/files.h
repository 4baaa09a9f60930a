/* The Lua of gen and the templates by name, as "templates/forward/c.c.t": from a directory that overrides
 * them, else as embedded at build time. The only files that gen reads. */
#ifndef GEN_FILES_H
#define GEN_FILES_H

#include "gen/core/memory.h"

enum { files_max_size = 1 << 20 };

typedef struct files {
    const char
        *directory; /* that overrides, holding "templates/..." and perhaps "gen/...", or NULL */
    arena arena;    /* of what was read and listed: freed by files_close */
} files;

typedef struct files_name {
    struct files_name *next;
    const char *name;
} files_name;

fg_status files_open(files *f, const memory *m, const char *directory, fg_error *error);
void files_close(files *f);
/* *bytes is NULL where there is no such file; else a 0 stands behind it. */
fg_status files_read(files *f, const char *name, const char **bytes, size_t *size, fg_error *error);
/* The files directly in `folder`, as "templates/forward/", sorted. */
fg_status files_list(files *f, const char *folder, const files_name **first, fg_error *error);
/* Also those of folders within. */
fg_status files_tree(files *f, const char *folder, const files_name **first, fg_error *error);
/* As maker.hash. */
fg_status files_hash(char out[65], const memory *m, const char *directory, fg_error *error);

#endif
