/* What a target needs of the machine: one row of a table. */
#ifndef RUNTIME_BACKEND_H
#define RUNTIME_BACKEND_H

#include "runtime/context.h"

/* What a compiler wrote, owned by the context's memory. */
typedef struct binary {
    void *data;
    size_t size;
} binary;

/* One step of a plan, its numbers known. */
typedef struct launch {
    void *entry; /* as `find` gave it */
    const void *args;
    int64_t tasks;
    char *scratch;         /* for each worker: */
    int64_t scratch_bytes; /* a multiple of 64 */
    void *host;            /* what the host's parallel_for is given; NULL: the context's */
} launch;

typedef struct backend {
    const char *target;
    fg_status (*compile)(binary *out, const fg_context *context, const char *text, size_t length,
                         fg_error *error);
    fg_status (*load)(void **module, const fg_context *context, const binary *compiled,
                      fg_error *error);
    void *(*find)(void *module, const char *entry); /* or NULL */
    fg_status (*launch)(const fg_context *context, const launch *what, fg_error *error);
    void (*unload)(void *module);
} backend;

extern const backend *const backends[]; /* NULL-terminated; the first is the default */

void binary_free(const fg_context *context, binary *b);

#endif
