/* The files that a host compiler is made of. */
#ifndef RUNTIME_TOOLCHAIN_H
#define RUNTIME_TOOLCHAIN_H

#include "runtime/context.h"

typedef struct toolchain_file {
    struct toolchain_file *next;
    char *path;
} toolchain_file;

typedef struct toolchain {
    arena arena;
    toolchain_file *files; /* real paths, sorted, each once */
    bool whole;            /* false: a program did not answer, which it may another time */
} toolchain;

/* The driver (a real path), what it runs to make a kernel (gcc: cc1, as, ld; clang: itself, ld), and the
 * shared libraries that these load. Asks the driver, for a few seconds at most: of one that does not say,
 * there is the driver alone. */
fg_status toolchain_find(toolchain *out, const fg_context *context, const char *driver,
                         fg_error *error);
void toolchain_free(toolchain *t);

#endif
