/* The reference: attention computed naively in float64 (dtype=f64: long double) straight from the problem, by
 * hand-written C that shares nothing with the generator, and the bound that an output is held to. */
#ifndef RUNTIME_REFERENCE_H
#define RUNTIME_REFERENCE_H

#include "runtime/backend_c.h"
#include "runtime/operand.h"
#include "runtime/reference_philox.h"

enum {
    reference_rows = 32, /* computed together, so that a key or value is converted once for all */
    reference_keys = 64, /* converted at a time */
};

/* A tensor over logical axes: q k v o (b, head, position, column), lse (b, head, position), bias and
 * mask (b, head, i, j), slopes (head), a tensor= its own; k and v in pages (page, head, position, column).
 * Stride 0 broadcasts: a packed one has no b. */
typedef struct reference_view {
    const char *data;
    dtype type;
    int64_t extent[4], stride[4]; /* in elements */
} reference_view;

/* A run: sizes, values and tensors, all resolved and validated. */
typedef struct reference {
    const fg_context *context; /* whose memory and threads are used */
    const problem *problem;
    int64_t b, hq, hkv, sq, sk, d, dv; /* sq, sk: of the longest sequence there may be */
    operand_list operands;
    bound bound[operand_max];
    recipe_facts facts;
    run_lengths lengths;
    bool wide; /* long double */
    double scale, softcap;
    int64_t window_left, window_right;
    run_shard shard;           /* without one: origins 0, whole sizes the run's own */
    reference_dropout dropout; /* threshold 0 where there is none */
    bool default_scale;        /* 1/sqrt(d), whoever said so */
    double u, w,
        eta; /* unit round-offs of the types and of the sums; where results round to next to 0 */
    double huge; /* above it a kernel may overflow on the way: nothing is promised */
#define REFERENCE_VIEW(name) name,
    reference_view FG_TENSORS(REFERENCE_VIEW) tensor[problem_max_tensors];
#undef REFERENCE_VIEW
    expr_program score, maskfn; /* count 0 where there is none */
} reference;

fg_status reference_new(reference *out, const fg_context *context, const problem *p,
                        const fg_args *args, fg_error *error);
void reference_free(reference *r);

/* ---- Tensors (reference_view.c) ---- */

void reference_views_make(reference *r);

/* Element of a view, as a double. */
double reference_at(const reference_view *v, int64_t a, int64_t b, int64_t c, int64_t d);
/* A row of q, k, v or o, as doubles. */
void reference_row_at(const reference_view *v, int64_t a, int64_t head, int64_t position,
                      double *out);

run_sequence reference_sequence(const reference *r, int64_t b);
/* Rows that outputs have in sequence b: those behind its length, too, where it is padded. */
int64_t reference_rows_in(const reference *r, const run_sequence *s);

/* Where key j of a sequence is in k and v: their first index, and their position. */
typedef struct reference_place {
    int64_t first, position;
} reference_place;

reference_place reference_key(const reference *r, const run_sequence *s, int64_t b, int64_t j);

/* ---- One query-key pair (reference_mask.c) ---- */

/* Doubles of scratch that evaluating the user's functions takes. */
size_t reference_expr_scratch(const reference *r);

/* `a` where `b` is NaN. */
static inline double reference_larger(double a, double b)
{
    return b > a ? b : a;
}

/* A user's function where evaluation stands. */
typedef struct reference_function {
    const expr_program *program;
    double *scratch;
    bool begun;       /* what does not depend on the key is in the scratch */
    uint64_t changes; /* symbols that change from key to key */
} reference_function;

/* Where evaluation stands: in which row. */
typedef struct reference_cell {
    const reference *r;
    expr_env env;
    reference_function maskfn, score;
    int s, b, h, i, j, sq, sk; /* symbols */
    int64_t at[3];             /* b, h, i */
    run_sequence sequence;
    int64_t diagonal;   /* the key that stands at the row's own place */
    int64_t first, end; /* keys that lengths, causal and window leave */
} reference_cell;

/* `scratch`: reference_expr_scratch doubles. */
void reference_cell_init(reference_cell *c, const reference *r, double *scratch);
void reference_cell_move(reference_cell *c, int64_t b, int64_t h, int64_t i);

/* Keys [*first, *end) hold every one that lengths, causal and window leave to row i. */
void reference_range(const reference *r, const run_sequence *s, int64_t i, int64_t *first,
                     int64_t *end);
/* Whether every mask keeps key j of the cell's row. */
bool reference_visible(reference_cell *c, int64_t j);
/* The final score of key j from the scaled product, with its slope by that product; r->wide: and with what
 * doubles lack of either. */
expr_result reference_score(reference_cell *c, int64_t j, double product, double rest);

/* Pairs that the masks keep, over every b and query head. */
fg_status reference_pairs(const reference *r, int64_t *pairs, fg_error *error);

/* ---- Rows (reference_group.c, reference_wide.c) ---- */

/* One row's result; columns are in the group's arrays. What a double lacks is in `_rest`, where r->wide. */
typedef struct reference_row {
    int64_t i;
    bool behind;           /* its sequence's length */
    int64_t visible, kept; /* keys of finite logit; and those of them that dropout keeps */
    double max, sum, sum_rest, lse, lse_rest; /* max, sum: with the sink */
    double product_error;                     /* max of sqrt(d) |scale| |q| |k| max(1, slope) */
    double magnitude;                         /* the largest met in evaluating the score */
    bool nan;                                 /* a logit is NaN or +inf */
    bool overflow;    /* a kernel may overflow on the way: nothing is promised */
    bool unspecified; /* something non-finite is behind the mask */
} reference_row;

/* Up to reference_rows rows of one head. */
typedef struct reference_group {
    const reference *r;
    int64_t b, h;
    int count;
    bool careful; /* look at hidden keys too, for what is not finite */
    reference_row row[reference_rows];
    int64_t first, end; /* keys looked at */
    int64_t d_padded, dv_padded, width;
    double sink;                                 /* -inf where there is none */
    double *q, *q_norm, *k, *k_norm, *v, *v_abs; /* converted rows and blocks */
    double *logits, *logit_rest;                 /* [row][width]; -inf where hidden */
    double *o, *o_rest, *o_abs, *v_sum;          /* [row][dv_padded] */
    bool *column_unspecified;                    /* [row][dv_padded] */
    reference_cell cell;
    void *block;
    size_t block_bytes;
} reference_group;

/* Rows that a group of this problem takes: fewer where there are very many keys. */
int reference_group_rows(const reference *r);
fg_status reference_group_new(reference_group *g, const reference *r, fg_error *error);
void reference_group_free(reference_group *g);
/* Computes the rows whose `i` are set. */
void reference_group_compute(reference_group *g);
/* A copy of the results without what computing them takes: for reference_compare. */
fg_status reference_group_keep(reference_group *out, const reference_group *g, fg_error *error);

/* What a block's keys add to row n: those seen and kept, by their place in the block. */
typedef struct reference_weights {
    int count;
    int64_t key[reference_keys];
    double weight[reference_keys], rest[reference_keys];
} reference_weights;

/* In long double, where doubles take reference_group.c's own. */
double reference_wide_norm(const double *x, int64_t n);
expr_result reference_wide_score(reference_group *g, const double *q, const double *k, int64_t j);
void reference_wide_weight(reference_row *row, double logit, double rest, double *weight,
                           double *weight_rest);
void reference_wide_values(const reference_group *g, int n, const reference_weights *w);
void reference_wide_finish(reference_group *g, int n);

/* What comparing a group found. */
typedef struct reference_finding {
    double ratio; /* largest |error| / bound */
    int64_t worst[4];
    double got, expected;    /* at the worst */
    double error_sum, o_sum; /* of squares */
    int64_t rows, elements;  /* elements: of o, that entered the sums */
} reference_finding;

void reference_compare(const reference_group *g, reference_finding *f);
/* Adds one group's to what all have found. */
void reference_merge(reference_finding *all, const reference_finding *one);
/* FG_WRONG, with a sentence, when outside the bounds; `drawn` as in fg_check_options. */
fg_status reference_judge(const reference *r, const reference_finding *f, bool drawn,
                          fg_check_report *report, fg_error *error);

/* ---- The bound ---- */

/* Fills u, w and eta. */
void reference_units(reference *r);
/* What a row's scores may add to the error, for each unit of P|V|: w (2 L + 2 sqrt(n)). */
double reference_row_error(const reference *r, const reference_row *row);
/* For a result of o, with P|V| in o_abs and the sum of |V| over the row's sum of weights in v_sum. */
double reference_o_bound(const reference *r, double row_error, double o, double o_abs,
                         double v_sum);
double reference_lse_bound(const reference *r, double row_error, double lse);

/* At most `most` different rows of [0, sq), the telling ones first; how many. */
int64_t reference_choose_rows(int64_t *list, int64_t most, int64_t sq);

enum { reference_sample_most = 256 };
/* At most `each` (and reference_sample_most) rows of sequence b, one of them behind its length where there is
 * such a one; how many. Other turns give others. */
int64_t reference_sample_rows(int64_t *list, const reference *r, int64_t b, int64_t turn,
                              int64_t each);

fg_status reference_check(const reference *r, const fg_check_options *options,
                          fg_check_report *report, fg_error *error);

/* Tasks in pieces on the context's threads; `worker` is one element of `workers`, which has
 * context->threads of them, of worker_bytes each. */
typedef void (*reference_task)(const void *work, void *worker, int64_t first, int64_t last);
fg_status reference_spread(const reference *r, reference_task task, const void *work, void *workers,
                           size_t worker_bytes, int64_t tasks, fg_error *error);

#endif
