/* What the masks and the score do to one query-key pair. */
#include "runtime/reference.h"

#include <stdlib.h>

double reference_at(const reference_view *v, int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t element = a * v->stride[0] + b * v->stride[1] + c * v->stride[2] + d * v->stride[3];
    return dtype_load(v->type, v->data + element * (dtypes[v->type].bits / 8));
}

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

void reference_cell_init(reference_cell *c, const reference *r, double *scratch)
{
    *c = (reference_cell){ .r = r, .scratch = scratch };
    c->s = symbol_of(r, "s");
    c->b = symbol_of(r, "b");
    c->h = symbol_of(r, "h");
    c->i = symbol_of(r, "i");
    c->j = symbol_of(r, "j");
    c->env.by = c->s;
    c->env.read = cell_read;
    c->env.user = (void *)(uintptr_t)r; /* only read */
    const struct {
        const char *name;
        int64_t value;
    } dims[] = { { "hq", r->hq }, { "hkv", r->hkv }, { "sq", r->sq },
                 { "sk", r->sk }, { "d", r->d },     { "dv", r->dv } };
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++)
        cell_set(c, symbol_of(r, dims[k].name), (double)dims[k].value);
}

void reference_cell_move(reference_cell *c, int64_t b, int64_t h, int64_t i)
{
    c->at[0] = b;
    c->at[1] = h;
    c->at[2] = i;
    cell_set(c, c->b, (double)b);
    cell_set(c, c->h, (double)h);
    cell_set(c, c->i, (double)i);
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

void reference_range(const reference *r, int64_t i, int64_t *first, int64_t *end)
{
    const problem *p = r->problem;
    int64_t diagonal = i + r->offset;
    *first = 0;
    *end = r->sk;
    if (p->causal != CAUSAL_none) *end = clamp(diagonal + 1, 0, *end);
    if (!p->window.present) return;
    /* a window reaches no further than all keys: no sum overflows */
    int64_t all = r->sq + r->sk;
    if (r->window_left >= 0) *first = clamp(diagonal - clamp(r->window_left, 0, all), 0, r->sk);
    if (r->window_right >= 0) *end = clamp(diagonal + clamp(r->window_right, 0, all) + 1, 0, *end);
    if (*end < *first) *end = *first;
}

bool reference_visible(reference_cell *c, int64_t j)
{
    const reference *r = c->r;
    int64_t first, end;
    reference_range(r, c->at[2], &first, &end);
    if (j < first || j >= end) return false;
    if (r->problem->mask.present && reference_at(&r->mask, c->at[0], c->at[1], c->at[2], j) == 0)
        return false;
    if (!r->maskfn.count) return true;
    expr_result keep;
    cell_set(c, c->j, (double)j);
    expr_eval(&r->maskfn, &c->env, c->scratch, &keep);
    return keep.value != 0;
}

static void met(expr_result *x, double value)
{
    /* nothing is rounded at an infinity */
    if (isfinite(value)) x->magnitude = reference_larger(x->magnitude, fabs(value));
}

static void apply_softcap(const reference *r, expr_result *x)
{
    double t = tanh(x->value / r->softcap);
    met(x, x->value / r->softcap);
    x->value = r->softcap * t;
    x->slope *= 1 - t * t;
    met(x, x->value);
}

static void apply_term(expr_result *x, double term)
{
    met(x, term);
    x->value += term;
    met(x, x->value);
}

static void apply_function(reference_cell *c, expr_result *x)
{
    expr_result f;
    cell_set(c, c->s, x->value);
    expr_eval(&c->r->score, &c->env, c->scratch, &f);
    x->value = f.value;
    x->slope *= f.slope;
    met(x, f.magnitude);
}

expr_result reference_score(reference_cell *c, int64_t j, double product)
{
    const reference *r = c->r;
    const int64_t *at = c->at;
    expr_result x = { .value = product, .slope = 1 };
    met(&x, product);
    cell_set(c, c->j, (double)j);
    if (r->problem->softcap.present) apply_softcap(r, &x);
    if (r->problem->alibi)
        apply_term(&x, -reference_at(&r->slopes, at[1], 0, 0, 0) *
                           (double)llabs(at[2] + r->offset - j));
    if (r->problem->bias.present) apply_term(&x, reference_at(&r->bias, at[0], at[1], at[2], j));
    if (r->score.count) apply_function(c, &x);
    return x;
}
