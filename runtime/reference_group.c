/* Rows of one head, computed in float64 over all their keys: logits first, then their softmax. */
#include "runtime/reference.h"

#include <float.h>
#include <string.h>

enum { lane_pad = 8 }; /* rows of d or dv doubles are padded with zeros to a multiple of this */

/* Two doubles: what every 64-bit machine has. The loops below are unrolled by hand because sums of
 * floats are not the compiler's to reorder. */
typedef double pair __attribute__((vector_size(16), aligned(8), may_alias));

static int64_t padded(int64_t n)
{
    return (n + lane_pad - 1) / lane_pad * lane_pad;
}

int reference_group_rows(const reference *r)
{
    int64_t logits = INT64_C(1) << 19;
    int64_t rows = r->sk > 0 ? logits / r->sk : reference_rows;
    return rows < 1 ? 1 : rows > reference_rows ? reference_rows : (int)rows;
}

fg_status reference_group_new(reference_group *g, const reference *r, fg_error *error)
{
    *g = (reference_group){
        .r = r, .d_padded = padded(r->d), .dv_padded = padded(r->dv), .width = r->sk
    };
    size_t rows = (size_t)reference_group_rows(r), d = (size_t)g->d_padded,
           dv = (size_t)g->dv_padded;
    double *cell;
    const struct {
        double **array;
        size_t count;
    } parts[] = {
        { &g->q, rows * d },
        { &g->q_norm, rows },
        { &g->k, reference_keys * d },
        { &g->k_norm, reference_keys },
        { &g->v, reference_keys * dv },
        { &g->v_abs, reference_keys * dv },
        { &g->logits, rows * (size_t)r->sk },
        { &g->logit_rest, r->wide ? rows * (size_t)r->sk : 0 },
        { &g->o, rows * dv },
        { &g->o_rest, r->wide ? rows * dv : 0 },
        { &g->o_abs, rows * dv },
        { &g->v_sum, rows * dv },
        { &cell, reference_expr_scratch(r) },
    };
    size_t doubles = 0, flags = rows * dv;
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) doubles += parts[k].count;
    g->block_bytes = doubles * sizeof(double) + flags;
    double *next = g->block = memory_new(&r->context->memory, 1, g->block_bytes);
    if (!next) return fail_memory(error);
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        *parts[k].array = next;
        next += parts[k].count;
    }
    g->column_unspecified = (bool *)next;
    reference_cell_init(&g->cell, r, cell);
    return FG_OK;
}

fg_status reference_group_keep(reference_group *out, const reference_group *g, fg_error *error)
{
    size_t values = (size_t)(g->count * g->dv_padded);
    *out = *g;
    out->block_bytes = values * (4 * sizeof(double) + sizeof(bool)) + 1;
    out->q = out->q_norm = out->k = out->k_norm = out->v = out->v_abs = NULL;
    out->logits = out->logit_rest = NULL;
    out->o = out->block = memory_new(&g->r->context->memory, 1, out->block_bytes);
    if (!out->block) return fail_memory(error);
    out->o_abs = out->o + values;
    out->v_sum = out->o_abs + values;
    out->o_rest = out->v_sum + values;
    out->column_unspecified = (bool *)(out->o_rest + values);
    memcpy(out->o, g->o, values * sizeof *g->o);
    memcpy(out->o_abs, g->o_abs, values * sizeof *g->o_abs);
    memcpy(out->v_sum, g->v_sum, values * sizeof *g->v_sum);
    if (g->r->wide) memcpy(out->o_rest, g->o_rest, values * sizeof *g->o_rest);
    memcpy(out->column_unspecified, g->column_unspecified, values * sizeof(bool));
    return FG_OK;
}

void reference_group_free(reference_group *g)
{
    if (g->r) memory_free(&g->r->context->memory, g->block, g->block_bytes);
    *g = (reference_group){ 0 };
}

/* ---- Products ---- */

static pair at(const double *x)
{
    return *(const pair *)x;
}

static double dot(const double *x, const double *y, int64_t n)
{
    pair a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
    for (const double *end = x + n; x < end; x += lane_pad, y += lane_pad) {
        a += at(x) * at(y);
        b += at(x + 2) * at(y + 2);
        c += at(x + 4) * at(y + 4);
        d += at(x + 6) * at(y + 6);
    }
    pair all = (a + b) + (c + d);
    return all[0] + all[1];
}

static double norm(const reference *r, const double *x, int64_t n)
{
    return r->wide ? reference_wide_norm(x, n) : sqrt(dot(x, x, n));
}

/* Infinite where one of them is. */
static double times(double a, double b)
{
    double product = a * b;
    return isinf(product) && isfinite(a) && isfinite(b) ? DBL_MAX : product;
}

/* ---- Logits ---- */

static void hide(reference_group *g, reference_row *row, int64_t j, double k_norm)
{
    const reference *r = g->r;
    if (!isfinite(k_norm)) row->unspecified = true;
    if (!r->problem->bias.present) return;
    double bias = reference_at(&r->bias, g->b, g->h, row->i, j);
    if (!(bias < HUGE_VAL)) row->unspecified = true;
}

/* What one visible key's score has to do with its row. */
static void note_score(const reference *r, reference_row *row, const expr_result *s, double norms)
{
    double largest = sqrt((double)r->d) * fabs(r->scale) * norms;
    if (isfinite(norms) &&
        reference_larger(reference_larger(norms, largest), s->magnitude) > r->huge)
        row->overflow = true;
    if (!(s->value < HUGE_VAL)) row->nan = true;
    if (!isfinite(s->value)) return;
    row->visible++;
    row->max = reference_larger(row->max, s->value);
    row->magnitude = reference_larger(row->magnitude, s->magnitude);
    if (isfinite(norms))
        row->product_error =
            reference_larger(row->product_error, largest * reference_larger(1, fabs(s->slope)));
}

static expr_result score(reference_group *g, int n, int64_t j, int64_t key)
{
    const double *q = g->q + n * g->d_padded, *k = g->k + key * g->d_padded;
    if (g->r->wide) return reference_wide_score(g, q, k, j);
    return reference_score(&g->cell, j, g->r->scale * dot(q, k, g->d_padded), 0);
}

static void row_logits(reference_group *g, int n, int64_t j0, int64_t j1)
{
    reference_row *row = &g->row[n];
    double *logits = g->logits + n * g->width;
    double *rests = g->r->wide ? g->logit_rest + n * g->width : NULL;
    reference_cell_move(&g->cell, g->b, g->h, row->i);
    for (int64_t j = j0; j < j1; j++) {
        double k_norm = g->k_norm[j - j0];
        logits[j] = -HUGE_VAL;
        if (reference_visible(&g->cell, j)) {
            expr_result s = score(g, n, j, j - j0);
            note_score(g->r, row, &s, times(g->q_norm[n], k_norm));
            logits[j] = s.value;
            if (rests) rests[j] = s.rest;
        } else if (g->careful) {
            hide(g, row, j, k_norm);
        }
    }
}

static void block_logits(reference_group *g, int64_t j0, int64_t j1)
{
    const reference *r = g->r;
    int64_t d = g->d_padded, hkv = g->h / (r->hq / r->hkv);
    for (int64_t j = j0; j < j1; j++) {
        double *k = g->k + (j - j0) * d;
        reference_place at = reference_key(r, &g->cell.sequence, g->b, j);
        reference_row_at(&r->k, at.first, hkv, at.position, k);
        g->k_norm[j - j0] = norm(r, k, d);
    }
    for (int n = 0; n < g->count; n++)
        if (!g->row[n].behind) row_logits(g, n, j0, j1);
}

/* ---- Softmax and values ---- */

/* Four columns at a time, all keys: the sums stay in registers. */
static void add_values(const reference_group *g, int n, const reference_weights *w)
{
    for (int64_t c = 0; c < g->dv_padded; c += 4) {
        int64_t place = n * g->dv_padded + c;
        pair o[2] = { { 0 } }, o_abs[2] = { { 0 } }, sum[2] = { { 0 } };
        for (int k = 0; k < w->count; k++) {
            const double *v = g->v + w->key[k] * g->dv_padded + c;
            const double *v_abs = g->v_abs + w->key[k] * g->dv_padded + c;
            pair weight = { w->weight[k], w->weight[k] };
            o[0] += weight * at(v);
            o[1] += weight * at(v + 2);
            o_abs[0] += weight * at(v_abs);
            o_abs[1] += weight * at(v_abs + 2);
            sum[0] += at(v_abs);
            sum[1] += at(v_abs + 2);
        }
        for (int half = 0; half < 2; half++) {
            *(pair *)(g->o + place + 2 * half) += o[half];
            *(pair *)(g->o_abs + place + 2 * half) += o_abs[half];
            *(pair *)(g->v_sum + place + 2 * half) += sum[half];
        }
    }
}

/* Values that are not finite behind a mask, or dropped: nothing is promised of their columns. */
static void mark_hidden(reference_group *g, int n, int64_t key)
{
    const double *v = g->v + key * g->dv_padded;
    for (int64_t c = 0; c < g->r->dv; c++)
        if (!isfinite(v[c])) g->column_unspecified[n * g->dv_padded + c] = true;
}

static bool is_kept(const reference_group *g, int64_t i, int64_t j)
{
    const reference *r = g->r;
    const run_shard *at = &r->shard;
    if (r->dropout.threshold == 0) return true;
    return reference_keeps(&r->dropout, (at->origin_b + g->b) * at->whole_hq + at->origin_h + g->h,
                           at->origin_i + i, at->origin_j + j);
}

static void row_values(reference_group *g, int n, int64_t j0, int64_t j1)
{
    const reference *r = g->r;
    reference_row *row = &g->row[n];
    reference_weights w;
    w.count = 0;
    for (int64_t j = j0; j < j1; j++) {
        double logit = g->logits[n * g->width + j];
        bool seen = logit > -HUGE_VAL;
        if (seen && r->wide) {
            reference_wide_weight(row, logit, g->logit_rest[n * g->width + j], &w.weight[w.count],
                                  &w.rest[w.count]);
        } else if (seen) {
            w.weight[w.count] = exp(logit - row->max);
            row->sum += w.weight[w.count];
        }
        if (seen && is_kept(g, row->i, j))
            w.key[w.count++] = j - j0;
        else if (g->careful)
            mark_hidden(g, n, j - j0);
    }
    row->kept += w.count;
    if (r->wide)
        reference_wide_values(g, n, &w);
    else
        add_values(g, n, &w);
}

static void block_values(reference_group *g, int64_t j0, int64_t j1)
{
    int64_t dv = g->dv_padded, hkv = g->h / (g->r->hq / g->r->hkv);
    for (int64_t j = j0; j < j1; j++) {
        double *v = g->v + (j - j0) * dv;
        reference_place at = reference_key(g->r, &g->cell.sequence, g->b, j);
        reference_row_at(&g->r->v, at.first, hkv, at.position, v);
        for (int64_t c = 0; c < dv; c++) g->v_abs[(j - j0) * dv + c] = fabs(v[c]);
    }
    for (int n = 0; n < g->count; n++)
        if (!g->row[n].nan && !g->row[n].behind) row_values(g, n, j0, j1);
}

static void add_sink(const reference_group *g, reference_row *row)
{
    double weight, rest;
    if (row->behind || row->nan || isinf(g->sink)) return;
    if (g->r->wide)
        reference_wide_weight(row, g->sink, 0, &weight, &rest);
    else
        row->sum += exp(g->sink - row->max);
}

/* The sink's rounding reaches the results as far as it has weight. */
static void note_sink(const reference_group *g, reference_row *row)
{
    double share = row->sum > 0 ? exp(g->sink - row->max) / row->sum : 0;
    if (share > 0 && fabs(g->sink) > g->r->huge) row->overflow = true;
    if (share > 0 && row->visible)
        row->magnitude = reference_larger(row->magnitude, share * fabs(g->sink));
}

static void finish_row(reference_group *g, int n)
{
    reference_row *row = &g->row[n];
    int64_t dv = g->dv_padded;
    double scale = (double)reference_dropout_scale(&g->r->dropout);
    double share = row->sum > 0 ? scale / row->sum : 0; /* a row without keys: O = 0 */
    row->lse = row->nan ? (double)NAN : row->sum > 0 ? row->max + log(row->sum) : -HUGE_VAL;
    for (int64_t c = n * dv; c < n * dv + g->r->dv; c++) {
        g->o[c] = row->nan ? (double)NAN : g->o[c] * share;
        g->o_abs[c] *= share;
        g->v_sum[c] *= share;
    }
}

static void start_row(reference_group *g, int n)
{
    const reference *r = g->r;
    const run_sequence *s = &g->cell.sequence;
    reference_row *row = &g->row[n];
    int64_t first, end;
    *row = (reference_row){ .i = row->i, .behind = row->i >= s->sq, .max = -HUGE_VAL };
    if (row->behind) return; /* its query is not to be read */
    row->max = g->sink;
    row->nan = !(g->sink < HUGE_VAL);
    reference_range(r, s, row->i, &first, &end);
    if (first < end && first < g->first) g->first = first;
    if (first < end && end > g->end) g->end = end;
    reference_row_at(&r->q, g->b, g->h, s->q_first + row->i, g->q + n * g->d_padded);
    g->q_norm[n] = norm(r, g->q + n * g->d_padded, g->d_padded);
}

static void start_rows(reference_group *g)
{
    const reference *r = g->r;
    const run_shard *at = &r->shard;
    bool first = at->origin_j == 0 && (r->sk > 0 || at->whole_sk == 0);
    bool sink = r->problem->sinks && first; /* else another shard has it */
    g->sink = sink ? reference_at(&r->sinks, at->origin_h + g->h, 0, 0, 0) : -HUGE_VAL;
    reference_cell_move(&g->cell, g->b, g->h, 0);
    g->first = g->careful ? 0 : r->sk;
    g->end = g->careful ? g->cell.sequence.sk : 0;
    for (int n = 0; n < g->count; n++) start_row(g, n);
    size_t columns = (size_t)(g->count * g->dv_padded);
    memset(g->o, 0, columns * sizeof *g->o);
    if (r->wide) memset(g->o_rest, 0, columns * sizeof *g->o_rest);
    memset(g->o_abs, 0, columns * sizeof *g->o_abs);
    memset(g->v_sum, 0, columns * sizeof *g->v_sum);
    memset(g->column_unspecified, 0, columns);
}

void reference_group_compute(reference_group *g)
{
    start_rows(g);
    for (int64_t j = g->first; j < g->end; j += reference_keys)
        block_logits(g, j, j + reference_keys < g->end ? j + reference_keys : g->end);
    for (int n = 0; n < g->count; n++) add_sink(g, &g->row[n]);
    for (int64_t j = g->first; j < g->end; j += reference_keys)
        block_values(g, j, j + reference_keys < g->end ? j + reference_keys : g->end);
    for (int n = 0; n < g->count; n++) {
        if (g->r->wide)
            reference_wide_finish(g, n);
        else
            finish_row(g, n);
        note_sink(g, &g->row[n]);
    }
}
