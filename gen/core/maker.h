/* The one door between runtime and gen: a problem, device facts and a config go in; text, recipes and an
 * argument list come out. The run-only library has no maker. */
#ifndef GEN_CORE_MAKER_H
#define GEN_CORE_MAKER_H

#include "gen/core/problem.h"
#include "gen/core/recipe.h"

/* What a schedule may know of the device. */
typedef struct maker_device {
    const char *name;     /* the processor's model, or the GPU's */
    const char *isa;      /* an instruction set of templates/target/TARGET.lua: avx2, sm_90 */
    const char *compiler; /* as emit's first line spells it */
    const char *flags;
    int cores, threads; /* of a GPU: its multiprocessors, twice */
    int64_t l1_bytes, l2_bytes;
    bool gpu; /* else 0 are: */
    int64_t
        shared_bytes; /* that a block may ask for; l1_bytes: that a multiprocessor has to share */
    int registers;    /* of a multiprocessor, 32 bits each */
} maker_device;

/* Of `*` dimensions, what a config is chosen for; 0: as is usual, or the problem says it. */
typedef struct maker_sizes {
    int64_t b, sq, sk;
} maker_sizes;

typedef struct maker_request {
    const memory *memory;
    const problem *problem;
    const maker_device *device;
    const char *config;    /* "k=v ...": pinned axes, or NULL */
    const char *templates; /* override directory, or NULL */
    bool lines;            /* with #line directives */
    maker_sizes sizes;
} maker_request;

/* One 8-byte field of a kernel's argument struct, filled at launch. */
typedef enum made_slot_kind {
    SLOT_pointer, /* of a tensor */
    SLOT_stride,  /* of a tensor's dimension, in elements; 0 where it broadcasts */
    SLOT_real,    /* a run's number, as a double */
    SLOT_int,     /* a run's number, as an int64 */
    SLOT_recipe,
    SLOT_region, /* of the workspace: a pointer */
} made_slot_kind;

typedef struct made_slot {
    made_slot_kind kind;
    char name
        [32]; /* the tensor (as problem_tensor_at names it), the number (scale, window_left, ...) or the region */
    int dim; /* SLOT_stride: of the tensor's own shape */
    recipe recipe;
} made_slot;

enum { made_max_slots = 96, made_max_steps = 8, made_max_regions = 4 };

/* Zeroes a region, all of it; or launches: on the host entry(args, scratch of the worker, first task, last task); on a
 * GPU as many blocks as tasks, entry(args by value), the scratch being dynamic shared memory. */
typedef struct made_step {
    char clear[32]; /* the region; "": it launches, and what is below says what */
    char entry[32];
    bool prepares;  /* writes the prepared region: left out where a run brings it */
    int threads;    /* of a block; 0: on the host */
    recipe tasks;   /* how many */
    recipe scratch; /* bytes a worker, or a block */
} made_step;

/* A part of the workspace that one step writes or clears and later ones read. */
typedef struct made_region {
    char name[32];
    bool prepared; /* it may outlive a run: fg_args.prepared */
    recipe bytes;
} made_region;

typedef struct made {
    const memory *memory;
    char *schedule, *config, *text; /* config: all axes, sorted */
    size_t text_length;
    int slots, steps, regions;
    made_slot slot[made_max_slots];
    made_step step[made_max_steps];
    made_region region[made_max_regions];
} made;

void made_free(made *m);

/* The legal configs that agree with the pinned axes, of the first schedule that takes the problem. */
typedef struct maker_space {
    const memory *memory;
    char *schedule;
    int64_t total; /* points before the constraints */
    int removals;  /* constraints that removed something, in the order of the schedule */
    struct maker_removal {
        char *constraint;
        int64_t points; /* for which it was the first to be violated */
    } * removal;
    int count;
    char **
        config; /* all axes, "k=v ...", by the prior's cost, least first; equals in the order of the space */
    double *cost;
} maker_space;

void maker_space_free(maker_space *s); /* NULL is fine */

/* Sizes: each of b's with each of sq's and of sk's. One 0 for a dimension that the problem says. */
typedef struct maker_grid {
    int bs, sqs, sks;
    const int64_t *b, *sq, *sk;
} maker_grid;

/* Few kernels for many sizes. The config that is chosen for some sizes is legal there, and with those sizes in the
 * request make() writes it; what it writes is right for all others too. */
typedef struct maker_choices {
    const memory *memory;
    int count;
    struct maker_choice {
        char *schedule, *config; /* all axes */
    } * choice;
    int sizes;
    int *of; /* index into choice, of each of the grid's sizes, sk fastest */
} maker_choices;

void maker_choices_free(maker_choices *c); /* NULL is fine */

typedef struct maker {
    /* Writes the kernel. FG_UNSUPPORTED when no schedule takes the problem, with each one's reason. */
    fg_status (*make)(made **out, const maker_request *request, fg_error *error);
    /* A kernel that measures multiply-adds: entry fg_peak, one task a worker; runs `rounds` rounds
     * (an int slot) of `flops` each. */
    fg_status (*peak)(made **out, int64_t *flops, const maker_request *request, fg_error *error);
    /* The legal configs that agree with the request's pinned axes, of the first schedule that takes the
     * problem: how many there are, and number index % count in the order of the space, as "k=v ..." with
     * all axes (the caller's, of the request's memory). FG_UNSUPPORTED where there is none. */
    fg_status (*config_at)(char **config, int64_t *count, const maker_request *request,
                           int64_t index, fg_error *error);
    fg_status (*space)(maker_space **out, const maker_request *request, fg_error *error);
    /* For each of the grid's sizes a config that agrees with the pinned axes, at most so many different ones unless some
     * sizes allow none of those. The request's own sizes have no say. */
    fg_status (*choices)(maker_choices **out, const maker_request *request, const maker_grid *grid,
                         int most, fg_error *error);
    /* SHA-256 in hex of all that the text depends on besides the request: the built-in templates and
     * generator, or those of the directory that overrides them. */
    fg_status (*hash)(char out[65], const memory *m, const char *templates, fg_error *error);
} maker;

/* NULL in the run-only library. */
extern const maker *const maker_installed;

#endif
