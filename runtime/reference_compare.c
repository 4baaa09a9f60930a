/* One group against its outputs: the bound, and how far off they are. */
#include "runtime/reference.h"

#include <float.h>

static double worst_of(double (*fact)(dtype), const problem *p)
{
    return fmax(fact(p->dtype), fmax(fact(p->kvdtype), fact(p->odtype)));
}

void reference_units(reference *r)
{
    const problem *p = r->problem;
    bool pairs = p->dtype == DTYPE_bf16 && p->kvdtype == DTYPE_bf16;
    r->u = worst_of(dtype_unit_roundoff, p);
    r->wide = p->dtype == DTYPE_f64;
    r->w = r->wide ? 0x1p-53 : 0x1p-24;
    r->huge = (r->wide ? DBL_MAX : FLT_MAX) / 4;
    r->eta = worst_of(dtype_tiny, p);
    bool flushes = pairs && r->context->device.isa->flushes_bf16;
    if (flushes || r->context->gpu) r->eta = fmax(r->eta, FLT_MIN);
}

double reference_row_error(const reference *r, const reference_row *row)
{
    double largest = row->product_error + row->magnitude;
    return r->w * (2 * largest + 2 * sqrt((double)row->visible));
}

/* |error| / bound; an error where nothing finite is expected counts as infinite. */
static double ratio_of(double got, double expected, double rest, double limit, dtype type)
{
    if (isnan(expected)) return isnan(got) ? 0 : HUGE_VAL;
    if (got == expected && rest == 0) return 0;
    if (isinf(expected))
        return isnan(got) ? 0 : HUGE_VAL; /* an infinite value whose weight underflows to 0 */
    if (isinf(got)) {
        double rounded; /* the largest that is right may be beyond the type */
        char element[8];
        dtype_store(type, element, expected + copysign(limit, expected));
        rounded = dtype_load(type, element);
        return got == rounded ? 0 : HUGE_VAL;
    }
    double error = fabs(got - expected - rest);
    return isnan(error) ? HUGE_VAL : limit > 0 ? error / limit : HUGE_VAL;
}

static void note(const reference_group *g, reference_finding *f, double ratio, int64_t i,
                 int64_t column, double got, double expected)
{
    if (ratio <= f->ratio && f->worst[2] >= 0) return;
    f->ratio = ratio;
    f->got = got;
    f->expected = expected;
    f->worst[0] = g->b;
    f->worst[1] = g->h;
    f->worst[2] = i;
    f->worst[3] = column;
}

double reference_o_bound(const reference *r, double row_error, double o, double o_abs, double v_sum)
{
    return r->u * (o_abs + fabs(o)) + row_error * o_abs + r->eta * (1 + v_sum);
}

double reference_lse_bound(const reference *r, double row_error, double lse)
{
    return row_error + r->w * (fabs(lse) + 4);
}

static void compare_columns(const reference_group *g, int n, reference_finding *f)
{
    const reference *r = g->r;
    const reference_row *row = &g->row[n];
    int64_t position = g->cell.sequence.q_first + row->i;
    double relative = reference_row_error(r, row);
    for (int64_t c = 0; c < r->dv; c++) {
        int64_t at = n * g->dv_padded + c;
        if (g->column_unspecified[at]) continue;
        double expected = g->o[at], rest = r->wide ? g->o_rest[at] : 0;
        double got = reference_at(&r->o, g->b, g->h, position, c);
        double limit = reference_o_bound(r, relative, expected, g->o_abs[at], g->v_sum[at]);
        if (!row->kept) limit = 0; /* exactly 0 */
        note(g, f, ratio_of(got, expected, rest, limit, r->problem->odtype), row->i, c, got,
             expected);
        double error = got - expected - rest;
        if (!isfinite(error) || !row->kept) continue;
        f->error_sum += error * error;
        f->o_sum += expected * expected;
        f->elements++;
    }
}

static void compare_lse(const reference_group *g, int n, reference_finding *f)
{
    const reference *r = g->r;
    const reference_row *row = &g->row[n];
    double got = reference_at(&r->lse, g->b, g->h, g->cell.sequence.q_first + row->i, 0);
    double limit = reference_lse_bound(r, reference_row_error(r, row), row->lse);
    if (isinf(row->lse)) limit = 0; /* no key: exactly -inf, and NaN is no excuse */
    double ratio = isinf(row->lse) && got != row->lse
                       ? HUGE_VAL
                       : ratio_of(got, row->lse, row->lse_rest, limit, r->lse.type);
    note(g, f, ratio, row->i, -1, got, row->lse);
}

void reference_compare(const reference_group *g, reference_finding *f)
{
    *f = (reference_finding){ .worst = { 0, 0, -1, 0 } };
    for (int n = 0; n < g->count; n++) {
        f->rows++;
        if (g->row[n].overflow || g->row[n].unspecified) continue;
        compare_columns(g, n, f);
        if (g->r->problem->lse) compare_lse(g, n, f);
    }
}
