/* The tensors of a problem, and what a run gives for them. */
#ifndef RUNTIME_OPERAND_H
#define RUNTIME_OPERAND_H

#include "gen/core/problem.h"
#include "gen/core/recipe.h"

/* Which size of a run an extent is, where the problem does not say it. */
typedef enum operand_dim {
    DIM_fixed,
    DIM_b,
    DIM_hq,
    DIM_hkv,
    DIM_sq,
    DIM_sk,
    DIM_total_q,
    DIM_total_k,
    DIM_any, /* its tensor's own: pages, the blocks of a table */
    operand_dims
} operand_dim;

/* The most that a run may say. */
extern const int64_t operand_longest[operand_dims];

typedef struct operand {
    char name[32];
    dtype type;
    int rank;
    bool output, optional;
    bool whole;   /* a shard's run has the whole run's tensor: its dims count, not its shape */
    int field;    /* in FG_TENSORS; -1: in fg_args.tensors */
    int align;    /* bytes, a power of two, that the pointer and all strides are multiples of */
    bool compact; /* the last dimension has stride 1 */
    int64_t shape[4];
    operand_dim dim[4]; /* the size that an axis is of, where it may differ from the shape */
} operand;

/* Where a run's tensors must be, where that is not the host's memory. */
typedef struct operand_device {
    int index;         /* as DLPack counts them */
    const char *place; /* "cuda:0" */
    char *zeros;       /* some bytes of 0 there */
    fg_status (*check)(const struct operand_device *d, const void *data, const char *name,
                       fg_error *error); /* `data` is there */
} operand_device;

enum { operand_fields = 15, operand_max = operand_fields + problem_max_tensors };

typedef struct operand_list {
    int count, extras; /* extras: those of fg_args.tensors, at the end */
    unsigned wanted;   /* a bit for each of FG_TENSORS */
    unsigned optional; /* those of them that may be absent */
    problem_lens lens;
    int64_t page;
    const operand_device *device; /* NULL: the host */
    bool shard;
    operand operand[operand_max];
} operand_list;

/* An operand in a run. */
typedef struct bound {
    char *data;                   /* NULL: an optional one that was not given */
    int64_t extent[4], stride[4]; /* stride: in elements; 0 where the extent is 1 */
} bound;

void operands_make(operand_list *out, const problem *p);

/* The problem's own sizes; what a run says is problem_dynamic. */
recipe_facts operands_sizes(const problem *p);

/* Checks a run's tensors against the problem, lengths and block tables by their values where
 * those are in the host's memory; `facts` comes with the
 * problem's dims, those that are problem_dynamic are taken from the tensors. */
fg_status operands_bind(bound out[operand_max], recipe_facts *facts, const operand_list *list,
                        const fg_args *args, fg_error *error);

/* The tensors, sizes and values that a run's dims still miss, and whether its lengths and block table make sense
 * (lengths.c). */
fg_status operands_check_lengths(recipe_facts *facts, const operand_list *list, const bound *bounds,
                                 fg_error *error);

/* X(name): a run's place in a whole one */
/* clang-format off */
#define SHARD_INTS(X)                                                                              \
    X(origin_b) X(origin_h) X(origin_i) X(origin_j)                                                \
    X(whole_b) X(whole_hq) X(whole_hkv) X(whole_sq) X(whole_sk)
/* clang-format on */

typedef struct run_shard {
#define SHARD_INT(name) int64_t name;
    SHARD_INTS(SHARD_INT)
#undef SHARD_INT
} run_shard;

/* What `args` say of it, checked against the run's own sizes; zeros where the problem has no shard (shard.c). */
fg_status shard_take(run_shard *out, const operand_list *list, const recipe_facts *facts,
                     const fg_args *args, fg_error *error);

/* One sequence of a run. */
typedef struct run_sequence {
    int64_t q_first, k_first; /* rows of packed tensors; else 0 */
    int64_t sq, sk;
} run_sequence;

/* What says where each sequence is: found once for all of a run's, of which there may be thousands. */
typedef struct run_lengths {
    problem_lens lens;
    bool paged;
    const int32_t *q, *k; /* the run's: lengths, or where sequences start; or NULL */
    int64_t sq, sk;       /* without lens= */
} run_lengths;

/* `bounds`: bound already. */
run_lengths lengths_of(const operand_list *list, const bound *bounds, const recipe_facts *facts);
run_sequence sequence_at(const run_lengths *lengths, int64_t b);

/* By name, or -1. */
int operand_find(const operand_list *list, const char *name);

#endif
