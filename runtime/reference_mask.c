/* What the masks and the score do to one query-key pair. */
#include "runtime/reference.h"
#include "gen/core/wide.h"

#include <stdlib.h>

static double cell_read(void *user, int symbol, const int64_t *index)
{
    const reference *r = user;
    const problem *p = r->problem;
    for (int t = 0; t < p->tensors; t++) {
        if (p->tensor[t].symbol != symbol) continue;
        int64_t at[4] = { 0, 0, 0, 0 };
        for (int k = 0; k < p->tensor[t].rank; k++) at[k] = index[k];
        return reference_at(&r->tensor[t], at[0], at[1], at[2], at[3]);
    }
    return 0;
}

static int symbol_of(const reference *r, const char *name)
{
    return r->problem->pool ? expr_find(r->problem->pool, name) : -1;
}

static void cell_set(reference_cell *c, int symbol, double value)
{
    if (symbol >= 0) c->env.variable[symbol] = value;
}

/* ---- The user's functions ---- */

size_t reference_expr_scratch(const reference *r)
{
    return (size_t)expr_scratch * (size_t)(r->score.count + r->maskfn.count);
}

static reference_function function_of(const expr_program *program, double *scratch, int s, int j)
{
    uint64_t changes = (s >= 0 ? UINT64_C(1) << s : 0) | (j >= 0 ? UINT64_C(1) << j : 0);
    return (reference_function){ program, scratch, false, changes };
}

static void evaluate(reference_cell *c, reference_function *f, expr_result *result)
{
    if (f->begun)
        expr_eval_again(f->program, &c->env, f->scratch, f->changes, result);
    else
        expr_eval(f->program, &c->env, f->scratch, result);
    f->begun = true;
}

/* ---- Where evaluation stands ---- */

void reference_cell_init(reference_cell *c, const reference *r, double *scratch)
{
    *c = (reference_cell){ .r = r, .at = { -1, -1, -1 } };
    c->s = symbol_of(r, "s");
    c->b = symbol_of(r, "b");
    c->h = symbol_of(r, "h");
    c->i = symbol_of(r, "i");
    c->j = symbol_of(r, "j");
    c->sq = symbol_of(r, "sq");
    c->sk = symbol_of(r, "sk");
    c->env.by = c->s;
    c->env.wide = r->wide;
    c->env.read = cell_read;
    c->env.user = (void *)(uintptr_t)r; /* only read */
    c->maskfn = function_of(&r->maskfn, scratch, -1, c->j);
    c->score = function_of(&r->score, scratch + expr_scratch * r->maskfn.count, c->s, c->j);
    cell_set(c, symbol_of(r, "b_size"), (double)r->shard.whole_b);
    cell_set(c, symbol_of(r, "hq"), (double)r->shard.whole_hq);
    cell_set(c, symbol_of(r, "hkv"), (double)r->shard.whole_hkv);
    cell_set(c, symbol_of(r, "most_sq"), (double)r->sq);
    cell_set(c, symbol_of(r, "most_sk"), (double)r->sk);
}

static void move_to_sequence(reference_cell *c, int64_t b)
{
    c->sequence = reference_sequence(c->r, b);
    const bool lens = c->r->problem->lens != LENS_none; /* then there are no shards */
    cell_set(c, c->b, (double)(c->r->shard.origin_b + b));
    cell_set(c, c->sq, (double)(lens ? c->sequence.sq : c->r->shard.whole_sq));
    cell_set(c, c->sk, (double)(lens ? c->sequence.sk : c->r->shard.whole_sk));
}

/* The key that stands at row 0's own place, both counted within the shard. */
static int64_t shift_of(const reference *r, const run_sequence *s)
{
    const run_shard *at = &r->shard;
    int64_t origins = at->origin_i - at->origin_j;
    if (r->problem->causal == CAUSAL_top_left) return origins;
    return r->problem->lens == LENS_none ? origins + at->whole_sk - at->whole_sq : s->sk - s->sq;
}

void reference_cell_move(reference_cell *c, int64_t b, int64_t h, int64_t i)
{
    if (b != c->at[0]) move_to_sequence(c, b);
    c->at[0] = b;
    c->at[1] = h;
    c->at[2] = i;
    c->diagonal = i + shift_of(c->r, &c->sequence);
    reference_range(c->r, &c->sequence, i, &c->first, &c->end);
    c->maskfn.begun = c->score.begun = false;
    cell_set(c, c->h, (double)(c->r->shard.origin_h + h));
    cell_set(c, c->i, (double)(c->r->shard.origin_i + i));
}

/* ---- The masks ---- */

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

void reference_range(const reference *r, const run_sequence *s, int64_t i, int64_t *first,
                     int64_t *end)
{
    const problem *p = r->problem;
    int64_t diagonal = i + shift_of(r, s);
    *first = 0;
    *end = i < s->sq ? s->sk : 0;
    if (p->causal != CAUSAL_none) *end = clamp(diagonal + 1, 0, *end);
    if (!p->window.present) return;
    /* a window reaches no further than all keys: no sum overflows */
    int64_t all = r->shard.whole_sq + r->shard.whole_sk;
    if (r->window_left >= 0) *first = clamp(diagonal - clamp(r->window_left, 0, all), 0, s->sk);
    if (r->window_right >= 0) *end = clamp(diagonal + clamp(r->window_right, 0, all) + 1, 0, *end);
    if (*end < *first) *end = *first;
}

bool reference_visible(reference_cell *c, int64_t j)
{
    const reference *r = c->r;
    if (j < c->first || j >= c->end) return false;
    if (r->problem->mask.present && reference_at(&r->mask, c->at[0], c->at[1], c->at[2], j) == 0)
        return false;
    if (!r->maskfn.count) return true;
    expr_result keep;
    cell_set(c, c->j, (double)(r->shard.origin_j + j));
    evaluate(c, &c->maskfn, &keep);
    return keep.value != 0;
}

/* ---- The score ---- */

static void met(expr_result *x, double value)
{
    /* nothing is rounded at an infinity */
    if (isfinite(value)) x->magnitude = reference_larger(x->magnitude, fabs(value));
}

static void apply_softcap(const reference *r, expr_result *x)
{
    double t = tanh(x->value / r->softcap);
    met(x, x->value / r->softcap);
    if (r->wide)
        wide_split(&x->value, &x->rest,
                   r->softcap * tanhl(wide_join(x->value, x->rest) / r->softcap));
    else
        x->value = r->softcap * t;
    x->slope *= 1 - t * t;
    met(x, x->value);
}

static void apply_term(const reference *r, expr_result *x, double term)
{
    met(x, term);
    if (r->wide)
        wide_split(&x->value, &x->rest, wide_join(x->value, x->rest) + term);
    else
        x->value += term;
    met(x, x->value);
}

static void apply_function(reference_cell *c, expr_result *x)
{
    expr_result f;
    cell_set(c, c->s, x->value);
    c->env.rest = x->rest;
    evaluate(c, &c->score, &f);
    x->value = f.value;
    x->rest = f.rest;
    x->slope *= f.slope;
    met(x, f.magnitude);
}

expr_result reference_score(reference_cell *c, int64_t j, double product, double rest)
{
    const reference *r = c->r;
    const int64_t *at = c->at;
    expr_result x = { .value = product, .slope = 1, .rest = rest };
    met(&x, product);
    cell_set(c, c->j, (double)(r->shard.origin_j + j));
    if (r->problem->softcap.present) apply_softcap(r, &x);
    if (r->problem->alibi) /* f32 times an int of 29 bits: exact */
        apply_term(r, &x,
                   -reference_at(&r->slopes, r->shard.origin_h + at[1], 0, 0, 0) *
                       (double)llabs(c->diagonal - j));
    if (r->problem->bias.present) apply_term(r, &x, reference_at(&r->bias, at[0], at[1], at[2], j));
    if (r->score.count) apply_function(c, &x);
    return x;
}
