/* What a target needs of the machine: one row of a table. */
#ifndef RUNTIME_BACKEND_H
#define RUNTIME_BACKEND_H

#include "runtime/context.h"
#include "runtime/toolchain.h"

/* What a compiler wrote, owned by the context's memory. */
typedef struct binary {
    void *data;
    size_t size;
} binary;

/* One step of a plan that launches, its numbers known. */
typedef struct launch {
    void *entry; /* as `find` gave it */
    const void *args;
    int64_t tasks;         /* on a GPU: blocks */
    int threads;           /* of a block; 0: on the host */
    char *scratch;         /* on the host, for each worker: */
    int64_t scratch_bytes; /* there a multiple of 64; on a GPU a block's dynamic shared memory */
    void *host;            /* what the host's parallel_for is given; NULL: the context's */
    void *stream;          /* on a GPU; NULL: the legacy default stream */
} launch;

typedef struct backend {
    const char *target;
    fg_status (*compile)(binary *out, const fg_context *context, const char *text, size_t length,
                         fg_error *error);
    /* The files that the compiler, a real path, is made of. */
    fg_status (*parts)(toolchain *out, const fg_context *context, const char *compiler,
                       fg_error *error);
    /* As fg_device_info.compiler_version: a line of `size` bytes at most, "" where it is unknown. */
    void (*version)(char *out, size_t size, const fg_context *context);
    fg_status (*load)(void **module, const fg_context *context, const binary *compiled,
                      fg_error *error);
    fg_status (*find)(void **entry, void *module, const char *name, fg_error *error);
    fg_status (*launch)(const fg_context *context, const launch *what, fg_error *error);
    /* Zeroes a part of the workspace, of 1 byte or more, between the launches before and after it. */
    fg_status (*clear)(const fg_context *context, void *data, size_t bytes, void *stream,
                       fg_error *error);
    void (*unload)(void *module);
} backend;

extern const backend *const backends[]; /* NULL-terminated; the first is the host's */

void binary_free(const fg_context *context, binary *b);

#endif
