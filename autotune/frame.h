/* What a search and its worker say to each other: frames of a kind, a length and so many bytes. Neither side
 * trusts the other. */
#ifndef AUTOTUNE_FRAME_H
#define AUTOTUNE_FRAME_H

#include "gen/core/memory.h"
#include "runtime/store.h"
#include "runtime/wire.h"

/* X(name): from the search, then from the worker. Numbers are wire_int's, texts wire_text's. */
/* clang-format off */
#define FRAME_KINDS(X)                                                                             \
    X(start)  /* threads, instruction set, UUID of the GPU, driver, problem line, each of fg_dims */ \
    X(go)     /* the candidate may run */                                                          \
    X(try)    /* number, bytes of launch data, these, the binary */                                \
    X(time)   /* runs, then the numbers */                                                         \
    X(drop)   /* number; nothing comes back */                                                     \
    X(ready)  /* it has drawn its inputs */                                                        \
    X(begin)  /* number: it is about to run, and waits for `go`; on a GPU only before it says more */ \
    X(tried)  /* seconds, as the bits of a double */                                               \
    X(timed)  /* seconds of each run */                                                            \
    X(failed) /* status, sentence */
/* clang-format on */

typedef enum frame_kind {
#define FRAME_KIND_ENUM(name) FRAME_##name,
    FRAME_KINDS(FRAME_KIND_ENUM)
#undef FRAME_KIND_ENUM
} frame_kind;

typedef struct frame {
    int64_t kind;
    void *data;
    size_t size;
} frame;

/* One end. */
typedef struct frame_end {
    int input, output;        /* files of any kind that poll takes */
    double deadline;          /* by library_seconds; HUGE_VAL: none */
    bool (*gone)(void *user); /* asked now and then: whether nobody is at the other end; or NULL */
    void *user;
} frame_end;

typedef enum frame_result {
    FRAME_RESULT_ok,
    FRAME_RESULT_closed,  /* nobody is at the other end */
    FRAME_RESULT_late,    /* past the deadline */
    FRAME_RESULT_garbage, /* longer than `limit` */
    FRAME_RESULT_memory,
} frame_result;

frame_result frame_send(const frame_end *e, frame_kind kind, const store_section *parts, int count);
/* Of any kind; freed by frame_free. */
frame_result frame_receive(frame *out, const frame_end *e, size_t limit, const memory *m);
void frame_free(frame *f, const memory *m);

/* A double among wire_ints. */
void frame_add_seconds(text *out, double seconds);
double frame_seconds(wire *w);

#endif
