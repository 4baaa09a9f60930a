/* A problem: what to compute. One table of fields, from which parse, print, keys and hash are made. */
#ifndef GEN_CORE_PROBLEM_H
#define GEN_CORE_PROBLEM_H

#include "gen/core/dtype.h"
#include "gen/core/expr.h"

enum {
    problem_max_text = 1 << 18, /* bytes of a problem line */
    problem_max_tensors = 16,
    problem_dynamic = -1, /* a `*` dimension */
};

#define PROBLEM_MAX_LENGTH                                                                         \
    (INT64_C(1) << 28) /* of sq, sk; b, hq, hkv at most 2^20; d, dv at most 512 */

typedef enum problem_dir { DIR_fwd, DIR_bwd } problem_dir;
typedef enum problem_layout { LAYOUT_bshd, LAYOUT_bhsd } problem_layout;
typedef enum problem_causal { CAUSAL_none, CAUSAL_bottom_right, CAUSAL_top_left } problem_causal;
typedef enum problem_lens { LENS_none, LENS_padded, LENS_packed } problem_lens;

/* bias and mask: over b, hq, sq, sk; a dimension that is not `full` broadcasts. */
typedef struct problem_broadcast {
    bool present, full[4];
    dtype type;
} problem_broadcast;

/* tensor=NAME:type[dim,...]: each dim one of b hq hkv sq sk d dv, or a number. */
typedef struct problem_tensor {
    char name[32];
    dtype type;
    int rank;
    char dim[4][8];    /* name of the dim, or "" for a number */
    int64_t extent[4]; /* problem_dynamic where that dim is `*` */
    int symbol;        /* in the problem's pool */
} problem_tensor;

typedef struct problem_number { /* a value that a run may replace: its presence is static */
    bool present;
    double value;
} problem_number;

typedef struct problem_window {
    bool present;
    int64_t left, right; /* -1: unbounded */
} problem_window;

typedef struct problem_grad {
    bool q, k, v, bias;
    bool tensor[problem_max_tensors]; /* in the order of problem.tensor */
} problem_grad;

typedef struct problem_function {
    expr root;  /* in problem.pool, or 0 */
    char *text; /* canonical, without braces, or NULL */
} problem_function;

typedef struct problem {
    const memory *memory;
    problem_dir dir;
    dtype dtype, kvdtype, odtype;
    int64_t b, hq, hkv, sq, sk, d, dv; /* b, sq, sk: problem_dynamic for `*` */
    problem_layout layout;
    int64_t align; /* bytes */
    double scale;
    problem_causal causal;
    problem_window window;
    problem_number softcap, dropout;
    bool alibi;
    problem_broadcast bias, mask;
    problem_tensor tensor[problem_max_tensors]; /* sorted by name */
    int tensors;
    problem_lens lens;
    int64_t page; /* 0: not paged */
    bool shard, sinks, lse, dlse, deterministic;
    problem_grad grad;
    problem_function score, maskfn;
    expr_pool *pool; /* of score and maskfn */
    char *text;      /* canonical line */
    size_t text_length;
    uint64_t hash; /* of the canonical line */
} problem;

/* What a line leaves out besides defaults: values that a run may replace. */
typedef enum problem_part {
    PROBLEM_whole,
    PROBLEM_tuned,  /* without the values of scale, softcap and dropout: what a search depends on */
    PROBLEM_kernel, /* nor that of window: what a kernel's text depends on */
} problem_part;

/* The canonical line, or a part of it; a value that is left out leaves its bare key ("softcap"; scale
 * leaves nothing). out->failed: out of memory. */
void problem_line(text *out, const problem *p, problem_part part);

fg_status problem_parse(problem **out, const memory *m, const char *text, size_t length,
                        fg_error *error);
void problem_free(problem *p);

/* What a user's function may name, declared in `pool`: s (float), b h i j (int), then hq hkv sq sk d dv:
 * static ones as constants, `*` and, with lens, sq and sk as int variables; with shard all but d and dv, as they are
 * the whole run's, and so are b h i j. What tensors' extents need besides: b_size where b is `*` or there is shard,
 * most_sq and most_sk where those are `*` with lens. Then the problem's tensors.
 * FG_MEMORY is the only failure. */
fg_status problem_declare(const problem *p, expr_pool *pool, fg_error *error);

/* One field, for those who walk the table. A field stands behind those that its value depends on. */
typedef enum problem_kind {
    KIND_enum,
    KIND_dtype,
    KIND_dim,
    KIND_int,
    KIND_real,
    KIND_flag,
    KIND_number,
    KIND_window,
    KIND_broadcast,
    KIND_tensors,
    KIND_grad,
    KIND_function,
    problem_kind_count
} problem_kind;

typedef struct problem_field {
    const char *key;
    problem_kind kind;
    size_t offset;            /* in problem */
    const char *const *names; /* KIND_enum: NULL-terminated, by value; the first is the default */
    const char *form;         /* what an error shows as right */
    const char *like;         /* key of the field whose value is the default, or NULL */
    int64_t least, most;      /* KIND_dim, KIND_int */
    int64_t usual;            /* KIND_int: the default */
    unsigned types; /* KIND_dtype, KIND_broadcast, KIND_tensors: bit t for each dtype t allowed */
    bool dynamic;   /* `*` is allowed */
    bool bare;      /* KIND_enum: the key alone means value 1 */
    bool backward;  /* for dir=bwd only */
} problem_field;

extern const problem_field problem_fields[];
extern const size_t problem_field_count;

/* The field of that key, or NULL. */
const problem_field *problem_field_find(const char *key, size_t length);

/* The tensors of a run, in the order of fg_problem_tensor. */
typedef struct problem_tensor_info {
    const char *name;
    dtype type;
    int rank;
    int64_t shape[4]; /* problem_dynamic where known at launch only; a broadcast dimension is 1 */
    bool output, optional;
    bool compact; /* in its last dimension */
} problem_tensor_info;

/* False behind the last. */
bool problem_tensor_at(const problem *p, size_t index, problem_tensor_info *info);

#endif
