/* What the files of the fake driver share. */
#ifndef TESTS_FAKE_CUDA_PARTS_H
#define TESTS_FAKE_CUDA_PARTS_H

#include "tests/fake_cuda.h"

#include <pthread.h>
#include <stdbool.h>

#define EXPORT __attribute__((visibility("default")))
#define SHARED __attribute__((visibility("hidden")))

/* The driver's codes. */
enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    NO_BINARY = 209,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_IMPLICIT = 906,
};

enum { shared_most = 227 << 10 }; /* bytes of a block's shared memory */

typedef struct context {
    int device;
    bool primary;
} context;

typedef struct stream {
    context *context;
} stream;

extern EXPORT fake_cuda fake_cuda_state;
static fake_cuda *const f = &fake_cuda_state;

/* The calling thread's own, of whatever context is current there. */
static const stream *const own_stream = (const stream *)(uintptr_t)2;

extern SHARED pthread_mutex_t fake_lock; /* of whatever several threads may change */

/* The calling thread's, or NULL. */
SHARED context *fake_here(void);
/* What was captured runs (fake_cuda_module.c). */
SHARED void fake_replay(fake_cuda *state);
/* How long all launches and fills so far took (fake_cuda_module.c). */
SHARED double fake_busy_seconds(void);
/* The copy that its caller believes done (fake_cuda_memory.c). */
SHARED void fake_finish_copy(void);

/* ---- Counting, and failing on purpose ---- */

SHARED int fake_called(const char *symbol);
/* Of a call that allocates, loads or waits: not once a kernel faulted, and not while a stream is captured, unless the
 * thread says so. */
SHARED int fake_slow(void);

#define TRY(call)                                                                                  \
    do {                                                                                           \
        int code_ = call;                                                                          \
        if (code_ != SUCCESS) return code_;                                                        \
    } while (0)

#define COUNT() TRY(fake_called(__func__))

#define COUNT_SLOW()                                                                               \
    do {                                                                                           \
        COUNT();                                                                                   \
        TRY(fake_slow());                                                                          \
    } while (0)

/* Work in the legacy stream waits for that which is captured, which cannot be: a blocking one. */
#define COUNT_LEGACY(stream)                                                                       \
    do {                                                                                           \
        COUNT_SLOW();                                                                              \
        if (f->capturing && !(stream)) return CAPTURE_IMPLICIT;                                    \
    } while (0)

#endif
