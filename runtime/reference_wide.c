/* What a group computes in long double: with f64 a double would err as much as what is judged by it. Elements
 * are doubles or less, so that products of two are exact to 2^-64, and sums of thousands stay far below 2^-53. */
#include "runtime/reference.h"
#include "gen/core/wide.h"

#include <float.h>

enum { lanes = 4 }; /* sums side by side: an addition takes longer than the next one's operands */

/* `n`: a multiple of lanes. */
static long double dot(const double *x, const double *y, int64_t n)
{
    long double sum[lanes] = { 0 };
    for (int64_t c = 0; c < n; c += lanes)
        for (int l = 0; l < lanes; l++) sum[l] += (long double)x[c + l] * (long double)y[c + l];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

double reference_wide_norm(const double *x, int64_t n)
{
    long double norm = sqrtl(dot(x, x, n));
    return isfinite(norm) ? (double)fminl(norm, DBL_MAX) : (double)norm;
}

expr_result reference_wide_score(reference_group *g, const double *q, const double *k, int64_t j)
{
    double product, rest;
    wide_split(&product, &rest, (long double)g->r->scale * dot(q, k, g->d_padded));
    return reference_score(&g->cell, j, product, rest);
}

void reference_wide_weight(reference_row *row, double logit, double rest, double *weight,
                           double *weight_rest)
{
    long double w = expl((long double)logit - (long double)row->max + (long double)rest);
    wide_split(weight, weight_rest, w);
    wide_split(&row->sum, &row->sum_rest, wide_join(row->sum, row->sum_rest) + w);
}

void reference_wide_values(const reference_group *g, int n, const reference_weights *w)
{
    for (int64_t c = 0; c < g->dv_padded; c++) {
        int64_t at = n * g->dv_padded + c;
        long double o = wide_join(g->o[at], g->o_rest[at]);
        for (int k = 0; k < w->count; k++) {
            int64_t v = w->key[k] * g->dv_padded + c;
            o += wide_join(w->weight[k], w->rest[k]) * (long double)g->v[v];
            g->o_abs[at] += w->weight[k] * g->v_abs[v];
            g->v_sum[at] += g->v_abs[v];
        }
        wide_split(&g->o[at], &g->o_rest[at], o);
    }
}

void reference_wide_finish(reference_group *g, int n)
{
    reference_row *row = &g->row[n];
    long double sum = wide_join(row->sum, row->sum_rest);
    long double share = sum > 0 ? reference_dropout_scale(&g->r->dropout) / sum : 0;
    long double lse = sum > 0 ? (long double)row->max + logl(sum) : -HUGE_VALL;
    wide_split(&row->lse, &row->lse_rest, row->nan ? (long double)NAN : lse);
    for (int64_t at = n * g->dv_padded; at < n * g->dv_padded + g->r->dv; at++) {
        long double o = wide_join(g->o[at], g->o_rest[at]) * share;
        wide_split(&g->o[at], &g->o_rest[at], row->nan ? (long double)NAN : o);
        g->o_abs[at] *= (double)share;
        g->v_sum[at] *= (double)share;
    }
}
