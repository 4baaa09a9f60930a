/* Outputs against the reference: which rows, what bound, what was found. */
#include "runtime/reference.h"

#include <float.h>
#include <string.h>

/* ---- One group against its outputs ---- */

static double worst_of(double (*fact)(dtype), const problem *p)
{
    return fmax(fact(p->dtype), fmax(fact(p->kvdtype), fact(p->odtype)));
}

/* Of the accumulation. */
static double working_roundoff(const problem *p)
{
    return p->dtype == DTYPE_f64 ? 0x1p-53 : 0x1p-24;
}

/* w (2 L + 2 sqrt(n)) */
static double row_error(const reference *r, const reference_row *row)
{
    double largest = row->product_error + row->magnitude;
    return working_roundoff(r->problem) * (2 * largest + 2 * sqrt((double)row->visible));
}

/* |error| / bound; an error where nothing finite is expected counts as infinite. */
static double ratio_of(double got, double expected, double bound, dtype type)
{
    if (isnan(expected)) return isnan(got) ? 0 : HUGE_VAL;
    if (got == expected) return 0;
    if (isinf(expected))
        return isnan(got) ? 0 : HUGE_VAL; /* an infinite value whose weight underflows to 0 */
    if (isinf(got)) {
        double rounded; /* the largest that is right may be beyond the type */
        char element[8];
        dtype_store(type, element, expected + copysign(bound, expected));
        rounded = dtype_load(type, element);
        return got == rounded ? 0 : HUGE_VAL;
    }
    double error = fabs(got - expected);
    return isnan(error) ? HUGE_VAL : bound > 0 ? error / bound : HUGE_VAL;
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

/* Where results round to next to 0. */
static double smallest(const reference *r)
{
    const problem *p = r->problem;
    double tiny = worst_of(dtype_tiny, p);
    bool pairs = p->dtype == DTYPE_bf16 && p->kvdtype == DTYPE_bf16;
    return pairs && r->context->device.isa->flushes_bf16 ? fmax(tiny, FLT_MIN) : tiny;
}

static void compare_columns(const reference_group *g, int n, reference_finding *f)
{
    const reference *r = g->r;
    const problem *p = r->problem;
    const reference_row *row = &g->row[n];
    double u = worst_of(dtype_unit_roundoff, p), tiny = smallest(r), relative = row_error(r, row);
    for (int64_t c = 0; c < r->dv; c++) {
        int64_t at = n * g->dv_padded + c;
        if (g->column_unspecified[at]) continue;
        double expected = g->o[at], got = reference_at(&r->o, g->b, g->h, row->i, c);
        double bound = u * (g->o_abs[at] + fabs(expected)) + relative * g->o_abs[at] +
                       tiny * (1 + g->v_sum[at]);
        if (!row->visible) bound = 0; /* exactly 0 */
        note(g, f, ratio_of(got, expected, bound, p->odtype), row->i, c, got, expected);
        double error = got - expected;
        if (!isfinite(error) || !row->visible) continue;
        f->error_sum += error * error;
        f->o_sum += expected * expected;
        f->elements++;
    }
}

static void compare_lse(const reference_group *g, int n, reference_finding *f)
{
    const reference *r = g->r;
    const reference_row *row = &g->row[n];
    double got = reference_at(&r->lse, g->b, g->h, row->i, 0);
    double bound = row_error(r, row) + working_roundoff(r->problem) * (fabs(row->lse) + 4);
    if (isinf(row->lse)) bound = 0; /* no key: exactly -inf, and NaN is no excuse */
    double ratio =
        isinf(row->lse) && got != row->lse ? HUGE_VAL : ratio_of(got, row->lse, bound, r->lse.type);
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

/* ---- Which rows ---- */

enum { list_size = 256 };

/* Rows to check of each head: all, or `each` entries of a list that the heads take turns through. */
typedef struct row_plan {
    int64_t heads, each;
    int64_t list_count; /* 0: all rows */
    int64_t list[list_size];
} row_plan;

static void list_add(row_plan *plan, const reference *r, int64_t i)
{
    if (i < 0 || i >= r->sq || plan->list_count == list_size) return;
    for (int64_t k = 0; k < plan->list_count; k++)
        if (plan->list[k] == i) return;
    plan->list[plan->list_count++] = i;
}

/* The edges of whatever tiles there are in the first, a middle and the last 64 rows; then any. */
static void list_rows(row_plan *plan, const reference *r)
{
    static const int edges[] = { 0, 63, 1, 64, 15, 16, 31, 32, 47, 48, 17, 33, 49, -1, -2 };
    const int64_t starts[] = { 0, (r->sq - 1) / 64 * 64, r->sq / 2 / 64 * 64 };
    list_add(plan, r, r->sq - 1);
    list_add(plan, r, r->sq - 2);
    for (size_t e = 0; e < sizeof edges / sizeof *edges; e++)
        for (size_t s = 0; s < sizeof starts / sizeof *starts; s++)
            list_add(plan, r, starts[s] + edges[e]);
    uint64_t state = 1;
    for (int tries = 0; tries < 16 * list_size; tries++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        list_add(plan, r, (int64_t)((state >> 33) % (uint64_t)r->sq));
    }
}

/* Above 2^32 multiply-adds each head is sampled: at least 8 rows, at least 256 in all. */
static void row_plan_make(row_plan *plan, const reference *r, bool full)
{
    *plan = (row_plan){ .heads = r->b * r->hq, .each = r->sq };
    if (plan->heads == 0 || r->sq == 0) return;
    double row = (double)r->sk * (double)(r->d + r->dv), heads = (double)plan->heads;
    if (full || row * heads * (double)r->sq <= 0x1p32) return;
    list_rows(plan, r);
    int64_t affordable = (int64_t)fmin(0x1p32 / (row * heads), list_size);
    int64_t least = (list_size + plan->heads - 1) / plan->heads;
    if (least < 8) least = 8;
    plan->each = affordable > least ? affordable : least;
    if (plan->each > plan->list_count) plan->each = plan->list_count;
}

static int64_t row_plan_row(const row_plan *plan, int64_t head, int64_t k)
{
    return plan->list_count ? plan->list[(head * plan->each + k) % plan->list_count] : k;
}

/* ---- All groups ---- */

typedef struct check_work {
    const reference *r;
    row_plan rows;
    int group_rows;
    int64_t groups;          /* a head */
    reference_group *worker; /* one a thread */
    reference_finding
        *finding; /* one a group, merged in order so that sums do not depend on the threads */
} check_work;

static void check_group(const check_work *w, reference_group *g, int64_t task)
{
    int64_t head = task / w->groups, first = task % w->groups * w->group_rows;
    int64_t left = w->rows.each - first;
    g->b = head / w->r->hq;
    g->h = head % w->r->hq;
    g->count = left < w->group_rows ? (int)left : w->group_rows;
    for (int n = 0; n < g->count; n++) g->row[n].i = row_plan_row(&w->rows, head, first + n);
    g->careful = false;
    reference_group_compute(g);
    reference_compare(g, &w->finding[task]);
    if (w->finding[task].ratio <= 1) return;
    /* wrong, or unspecified because of what a mask hides: that takes a look at every key */
    g->careful = true;
    reference_group_compute(g);
    reference_compare(g, &w->finding[task]);
}

static void check_task(const void *work, void *worker, int64_t first, int64_t last)
{
    for (int64_t task = first; task < last; task++) check_group(work, worker, task);
}

static void merge(reference_finding *all, const reference_finding *one)
{
    if (one->worst[2] >= 0 && (all->worst[2] < 0 || one->ratio > all->ratio)) {
        all->ratio = one->ratio;
        all->got = one->got;
        all->expected = one->expected;
        memcpy(all->worst, one->worst, sizeof all->worst);
    }
    all->error_sum += one->error_sum;
    all->o_sum += one->o_sum;
    all->rows += one->rows;
    all->elements += one->elements;
}

/* ---- The relative RMS ---- */

static int64_t view_count(const reference_view *v)
{
    return v->extent[0] * v->extent[1] * v->extent[2] * v->extent[3];
}

static double rms_bound(const reference *r, const reference_finding *f, bool drawn)
{
    const problem *p = r->problem;
    const int64_t least = 256;
    if (!drawn || !r->default_scale || r->score.count || f->elements < least) return HUGE_VAL;
    if (view_count(&r->q) < least || view_count(&r->k) < least || view_count(&r->v) < least)
        return HUGE_VAL;
    double u = worst_of(dtype_unit_roundoff, p);
    return (u > 0x1p-24 ? 0.8 : 40) * u;
}

static double rms_of(const reference_finding *f)
{
    if (f->o_sum > 0) return sqrt(f->error_sum / f->o_sum);
    return f->error_sum > 0 ? HUGE_VAL : 0;
}

/* Four digits are enough for a sentence. */
static void add_number(text *t, double x)
{
    if (x != 0 && isfinite(x)) {
        double places = 3 - floor(log10(fabs(x))), power = pow(10, fabs(places));
        x = places > 0 ? round(x * power) / power : round(x / power) * power;
    }
    text_add_double(t, x);
}

static fg_status wrong(const reference *r, const fg_check_report *report,
                       const reference_finding *f, fg_error *error)
{
    text t;
    text_init(&t, &r->context->memory);
    if (report->error_over_bound <= 1) {
        text_addf(&t, "the output's relative RMS error is ");
        add_number(&t, report->rms);
        text_addf(&t, ", above the bound ");
        add_number(&t, report->rms_bound);
    } else {
        text_addf(&t, "the output is wrong: %s at b=%lld h=%lld i=%lld",
                  f->worst[3] < 0 ? "lse" : "o", (long long)f->worst[0], (long long)f->worst[1],
                  (long long)f->worst[2]);
        if (f->worst[3] >= 0) text_addf(&t, " column %lld", (long long)f->worst[3]);
        text_addf(&t, " is ");
        add_number(&t, f->got);
        text_addf(&t, " and should be ");
        add_number(&t, f->expected);
        text_addf(&t, ", an error of ");
        add_number(&t, report->error_over_bound);
        text_addf(&t, " times the bound");
    }
    fg_status status = t.failed ? fail_memory(error) : fail(error, FG_WRONG, "%s", t.data);
    text_free(&t);
    return status;
}

static void fill_report(const reference *r, const reference_finding *f, bool drawn,
                        fg_check_report *report)
{
    *report = (fg_check_report){
        .error_over_bound = f->ratio,
        .rms = rms_of(f),
        .rms_bound = rms_bound(r, f, drawn),
        .rows = f->rows,
    };
    memcpy(report->worst, f->worst, sizeof report->worst);
}

static fg_status run_work(check_work *w, int64_t tasks, fg_error *error)
{
    fg_status s = FG_OK;
    const memory *m = &w->r->context->memory;
    size_t workers = (size_t)w->r->context->threads;
    w->worker = memory_new(m, workers, sizeof *w->worker);
    w->finding = memory_new(m, (size_t)tasks, sizeof *w->finding);
    if (!w->worker || !w->finding) s = fail_memory(error);
    for (size_t k = 0; k < workers && s == FG_OK; k++)
        s = reference_group_new(&w->worker[k], w->r, error);
    if (s == FG_OK)
        s = reference_spread(w->r, check_task, w, w->worker, sizeof *w->worker, tasks, error);
    for (size_t k = 0; k < workers && w->worker; k++) reference_group_free(&w->worker[k]);
    memory_free(m, w->worker, workers * sizeof *w->worker);
    return s;
}

fg_status reference_check(const reference *r, const fg_check_options *options,
                          fg_check_report *report, fg_error *error)
{
    check_work w = { .r = r, .group_rows = reference_group_rows(r) };
    reference_finding all = { .worst = { 0, 0, -1, 0 } };
    row_plan_make(&w.rows, r, options->full);
    w.groups = (w.rows.each + w.group_rows - 1) / w.group_rows;
    int64_t tasks = w.rows.heads * w.groups;
    fg_status s = tasks ? run_work(&w, tasks, error) : FG_OK;
    if (s == FG_OK) {
        for (int64_t k = 0; k < tasks; k++) merge(&all, &w.finding[k]);
        fill_report(r, &all, options->drawn, report);
        if (!(report->error_over_bound <= 1 && report->rms <= report->rms_bound))
            s = wrong(r, report, &all, error);
    }
    memory_free(&r->context->memory, w.finding, (size_t)tasks * sizeof *w.finding);
    return s;
}
