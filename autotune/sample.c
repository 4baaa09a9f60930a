#include "autotune/sample.h"

#include <math.h>
#include <string.h>

enum {
    least_rows = 8,
    least_heads = 4,
    most_each = reference_sample_most,
    least_each = 8, /* converting keys and values costs as much as some rows */
};

/* ---- Which rows ---- */

static int64_t between(int64_t least, int64_t value, int64_t most)
{
    return value > most ? most : value < least ? least : value;
}

static void choose(sample *s)
{
    const reference *r = s->r;
    int64_t heads = r->b * r->hq;
    if (heads == 0 || r->sq == 0) return;
    double row = (double)r->sk * (double)(r->d + r->dv) + 1;
    int64_t rows = (int64_t)fmax(0x1p28 / row, least_rows);
    s->heads = between(least_heads, rows / least_each, heads);
    s->each = between(1, rows / s->heads, r->sq < most_each ? r->sq : most_each);
    s->group_rows = (int)between(1, s->each, reference_group_rows(r));
    s->groups = s->heads * ((s->each + s->group_rows - 1) / s->group_rows);
}

/* The first head and the last among them. */
static int64_t head_of(const sample *s, int64_t k)
{
    return s->heads > 1 ? k * (s->r->b * s->r->hq - 1) / (s->heads - 1) : 0;
}

/* ---- Computing ---- */

typedef struct sampling {
    sample *s;
    reference_group *worker; /* one a thread */
    atomic_bool failed;      /* for want of memory */
} sampling;

/* Heads take turns through the list, so that together they have more of it. */
static void compute_group(const sampling *w, reference_group *g, int64_t task)
{
    const sample *s = w->s;
    int64_t of_head = s->groups / s->heads, k = task / of_head, head = head_of(s, k);
    int64_t first = task % of_head * s->group_rows;
    int64_t list[most_each];
    g->b = head / s->r->hq;
    g->h = head % s->r->hq;
    int64_t listed = reference_sample_rows(list, s->r, g->b, k, s->each);
    g->count = (int)between(0, listed - first, s->group_rows);
    for (int n = 0; n < g->count; n++) g->row[n].i = list[first + n];
    reference_group_compute(g);
}

static void compute(const void *work, void *worker, int64_t first, int64_t last)
{
    sampling *w = (sampling *)(uintptr_t)work;
    for (int64_t task = first; task < last; task++) {
        compute_group(w, worker, task);
        if (reference_group_keep(&w->s->group[task], worker, NULL) != FG_OK)
            atomic_store(&w->failed, true);
    }
}

static fg_status compute_all(sampling *w, fg_error *error)
{
    const reference *r = w->s->r;
    const memory *m = &r->context->memory;
    size_t workers = (size_t)r->context->threads;
    fg_status status = FG_OK;
    w->worker = memory_new(m, workers, sizeof *w->worker);
    if (!w->worker) return fail_memory(error);
    for (size_t k = 0; k < workers && status == FG_OK; k++)
        status = reference_group_new(&w->worker[k], r, error);
    if (status == FG_OK)
        status = reference_spread(r, compute, w, w->worker, sizeof *w->worker, w->s->groups, error);
    for (size_t k = 0; k < workers; k++) reference_group_free(&w->worker[k]);
    memory_free(m, w->worker, workers * sizeof *w->worker);
    return status == FG_OK && atomic_load(&w->failed) ? fail_memory(error) : status;
}

/* The same groups compare with every candidate, so what they have of bounds is looked at once. */
static void note_group(sample *s, const reference_group *g)
{
    for (int n = 0; n < g->count; n++) {
        const reference_row *row = &g->row[n];
        if (row->nan || row->overflow || row->unspecified) s->undefined = true;
        s->row_error = fmax(s->row_error, reference_row_error(s->r, row));
        for (int64_t c = 0; c < s->r->dv; c++)
            s->v_sum = fmax(s->v_sum, g->v_sum[n * g->dv_padded + c]);
    }
}

fg_status sample_new(sample *out, const reference *r, fg_error *error)
{
    *out = (sample){ .r = r };
    sampling w = { .s = out };
    choose(out);
    if (out->groups == 0) return FG_OK;
    out->group = memory_new(&r->context->memory, (size_t)out->groups, sizeof *out->group);
    fg_status status = out->group ? compute_all(&w, error) : fail_memory(error);
    for (int64_t k = 0; k < out->groups && status == FG_OK; k++) note_group(out, &out->group[k]);
    if (status != FG_OK) sample_free(out);
    return status;
}

void sample_free(sample *s)
{
    for (int64_t k = 0; k < s->groups && s->group; k++) reference_group_free(&s->group[k]);
    if (s->group)
        memory_free(&s->r->context->memory, s->group, (size_t)s->groups * sizeof *s->group);
    *s = (sample){ .r = NULL };
}

fg_status sample_check(const sample *s, fg_error *error)
{
    reference_finding all = { .worst = { 0, 0, -1, 0 } }, one;
    fg_check_report report;
    for (int64_t k = 0; k < s->groups; k++) {
        reference_compare(&s->group[k], &one);
        reference_merge(&all, &one);
    }
    return reference_judge(s->r, &all, true, &report, error);
}
