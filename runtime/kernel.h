/* A kernel: compiled and loaded, with all that a run needs to know of its problem. Immutable. */
#ifndef RUNTIME_KERNEL_H
#define RUNTIME_KERNEL_H

#include "runtime/image.h"
#include "runtime/operand.h"

/* X(name): what a kernel may ask of a run, as a double and as an int64 */
#define RUN_REALS(X) X(scale) X(softcap)
#define RUN_INTS(X)  X(window_left) X(window_right) X(rounds) X(seed) X(offset) X(drop)

typedef struct run_numbers {
#define RUN_REAL(name) double name;
    RUN_REALS(RUN_REAL)
#undef RUN_REAL
#define RUN_INT(name) int64_t name;
    RUN_INTS(RUN_INT)
#undef RUN_INT
    run_shard shard; /* its ints are a run's, too */
} run_numbers;

/* What the problem says of them. */
typedef struct run_defaults {
    bool softcap, window, dropout; /* present */
    double probability;            /* of dropout; `drop` is its threshold */
    run_numbers numbers;
} run_defaults;

run_defaults run_defaults_of(const problem *p);

/* A field of the argument struct, its name resolved. */
typedef struct kernel_slot {
    made_slot_kind kind;
    int index; /* of the operand, recipe or region; the byte offset in run_numbers */
    int dim;
} kernel_slot;

typedef struct kernel_step {
    int clear;   /* the region that it zeroes, all of it; -1: it launches */
    void *entry; /* of a launch, as all but `prepares` */
    bool prepares;
    int threads; /* of a block; 0: on the host */
    recipe tasks, scratch;
} kernel_step;

/* The memory of a run besides its tensors. */
typedef struct run_memory {
    char *workspace, *prepared; /* prepared: the caller's, or NULL: it is a part of the workspace */
    bool prepare_only;
    void *host;   /* what the host's parallel_for is given, or NULL: the context's */
    void *stream; /* of a GPU */
} run_memory;

/* Before what is prepared, where the caller keeps it. */
enum { run_stamp_bytes = 64 };

/* Bytes that a run needs of each. */
typedef struct run_bytes {
    size_t workspace; /* without what is prepared */
    size_t prepared;
} run_bytes;

typedef struct kernel {
    struct kernel *next; /* of the context's, under the library lock */
    fg_context *context; /* not held: it owns this */
    const backend *backend;
    void *module;
    char *schedule, *config;
    digest text; /* it was compiled from; zeros: it was read */
    operand_list operands;
    recipe_facts facts; /* problem_dynamic where a run says it */
    run_defaults defaults;
    int slots, recipes, recipe_room, steps, step_room, regions; /* room: allocated */
    kernel_slot slot[made_max_slots];
    made_region region[made_max_regions];
    recipe *recipe;
    kernel_step *step;
    double generate_seconds, compile_seconds, load_seconds;
} kernel;

/* Loads what an image of this problem holds; `p` NULL: the kernel that measures the peak. */
fg_status kernel_load(kernel **out, fg_context *context, const problem *p, const image *i,
                      fg_error *error);
void kernel_free(kernel *k);

/* FG_REQUEST when that is no number. */
fg_status kernel_bytes(run_bytes *out, const kernel *k, const recipe_facts *facts, fg_error *error);

/* Of a run of at most these sizes; one that neither the problem nor `dims` gives counts as the longest that it
 * may be. */
fg_status kernel_most_bytes(run_bytes *out, const kernel *k, const fg_dims *dims, fg_error *error);

/* Fills the arguments and takes each step, or those that prepare. */
fg_status kernel_run(const kernel *k, const bound *operands, const run_numbers *numbers,
                     const recipe_facts *facts, const run_memory *own, fg_error *error);

#endif
