/* A kernel: compiled and loaded, with all that a run needs to know of its problem. Immutable. */
#ifndef RUNTIME_KERNEL_H
#define RUNTIME_KERNEL_H

#include "runtime/image.h"
#include "runtime/operand.h"

/* X(name): what a kernel may ask of a run, as a double and as an int64 */
#define RUN_REALS(X) X(scale) X(softcap)
#define RUN_INTS(X)  X(window_left) X(window_right) X(rounds)

typedef struct run_numbers {
#define RUN_REAL(name) double name;
    RUN_REALS(RUN_REAL)
#undef RUN_REAL
#define RUN_INT(name) int64_t name;
    RUN_INTS(RUN_INT)
#undef RUN_INT
} run_numbers;

/* What the problem says of them. */
typedef struct run_defaults {
    bool softcap, window; /* present */
    run_numbers numbers;
} run_defaults;

/* A field of the argument struct, its name resolved. */
typedef struct kernel_slot {
    made_slot_kind kind;
    int index; /* of the operand or recipe; the byte offset in run_numbers */
    int dim;
} kernel_slot;

typedef struct kernel_step {
    void *entry;
    recipe tasks, scratch;
} kernel_step;

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
    int slots, recipes, recipe_room, steps, step_room; /* room: allocated */
    kernel_slot slot[made_max_slots];
    recipe *recipe;
    kernel_step *step;
    double generate_seconds, compile_seconds, load_seconds;
} kernel;

/* Loads what an image of this problem holds; `p` NULL: the kernel that measures the peak. */
fg_status kernel_load(kernel **out, fg_context *context, const problem *p, const image *i,
                      fg_error *error);
void kernel_free(kernel *k);

/* Bytes that every step's workers need. FG_REQUEST when that is no number. */
fg_status kernel_workspace(size_t *bytes, const kernel *k, const recipe_facts *facts,
                           fg_error *error);

/* Fills the arguments and launches each step. */
fg_status kernel_run(const kernel *k, const bound *operands, const run_numbers *numbers,
                     const recipe_facts *facts, void *workspace, fg_error *error);

#endif
