/* Outputs against the reference: which rows, and what was found. */
#include "runtime/reference.h"

#include <string.h>

/* ---- Which rows ---- */

/* Rows to check of each head: all, or so many that are chosen. */
typedef struct row_plan {
    int64_t heads, each;
    bool sampled;
} row_plan;

static void list_add(int64_t *list, int64_t *count, int64_t most, int64_t sq, int64_t i)
{
    if (i < 0 || i >= sq || *count == most) return;
    for (int64_t k = 0; k < *count; k++)
        if (list[k] == i) return;
    list[(*count)++] = i;
}

/* The edges of whatever tiles there are in the first, a middle and the last 64 rows; then any. */
int64_t reference_choose_rows(int64_t *list, int64_t most, int64_t sq)
{
    static const int edges[] = { 0, 63, 1, 64, 15, 16, 31, 32, 47, 48, 17, 33, 49, -1, -2 };
    const int64_t starts[] = { 0, (sq - 1) / 64 * 64, sq / 2 / 64 * 64 };
    int64_t count = 0;
    list_add(list, &count, most, sq, sq - 1);
    list_add(list, &count, most, sq, sq - 2);
    for (size_t e = 0; e < sizeof edges / sizeof *edges; e++)
        for (size_t s = 0; s < sizeof starts / sizeof *starts; s++)
            list_add(list, &count, most, sq, starts[s] + edges[e]);
    uint64_t state = 1;
    for (int64_t tries = 0; tries < 16 * most && sq > 0; tries++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        list_add(list, &count, most, sq, (int64_t)((state >> 33) % (uint64_t)sq));
    }
    return count;
}

/* The first row behind a length and the last, by turns. */
static int64_t row_behind(const reference *r, const run_sequence *s, int64_t turn)
{
    return turn % 2 ? reference_rows_in(r, s) - 1 : s->sq;
}

int64_t reference_sample_rows(int64_t *list, const reference *r, int64_t b, int64_t turn,
                              int64_t each)
{
    int64_t all[reference_sample_most], count = 0;
    const run_sequence s = reference_sequence(r, b);
    int64_t within = reference_choose_rows(all, reference_sample_most, s.sq);
    int64_t room = each < reference_sample_most ? each : reference_sample_most;
    bool behind = s.sq < reference_rows_in(r, &s) && (room > 1 || within == 0);
    room -= behind;
    for (int64_t k = 0; k < within && k < room; k++)
        list[count++] = all[(turn * room + k) % within];
    if (behind) list[count++] = row_behind(r, &s, turn);
    return count;
}

/* Query-key pairs of a head, on average over b, whatever masks hide. */
static double mean_pairs(const reference *r)
{
    double pairs = 0;
    for (int64_t b = 0; b < r->b; b++) {
        run_sequence s = reference_sequence(r, b);
        pairs += (double)s.sq * (double)s.sk;
    }
    return pairs / (double)r->b;
}

/* Above 2^32 multiply-adds (of long doubles: 2^29) each head is sampled: at least 8 rows, at least 256 in all. */
static void row_plan_make(row_plan *plan, const reference *r, bool full)
{
    *plan = (row_plan){ .heads = r->b * r->hq, .each = r->sq };
    if (plan->heads == 0 || r->sq == 0) return;
    double most = r->wide ? 0x1p29 : 0x1p32, heads = (double)plan->heads;
    double head = mean_pairs(r) * (double)(r->d + r->dv);
    if (full || head * heads <= most) return;
    int64_t affordable =
        (int64_t)fmin(most / (head / (double)r->sq * heads), reference_sample_most);
    int64_t least = (reference_sample_most + plan->heads - 1) / plan->heads;
    if (least < 8) least = 8;
    plan->sampled = true;
    plan->each = affordable > least ? affordable : least;
    if (plan->each > r->sq) plan->each = r->sq;
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

/* As many as a group takes of the head's rows, from `first` on; none where its sequence has fewer. */
static void take_rows(const check_work *w, reference_group *g, int64_t head, int64_t first)
{
    int64_t list[reference_sample_most];
    const run_sequence s = reference_sequence(w->r, g->b);
    int64_t count = reference_rows_in(w->r, &s);
    if (w->rows.sampled) count = reference_sample_rows(list, w->r, g->b, head, w->rows.each);
    for (g->count = 0; g->count < w->group_rows && first + g->count < count; g->count++)
        g->row[g->count].i = w->rows.sampled ? list[first + g->count] : first + g->count;
}

static void check_group(const check_work *w, reference_group *g, int64_t task)
{
    int64_t head = task / w->groups, first = task % w->groups * w->group_rows;
    g->b = head / w->r->hq;
    g->h = head % w->r->hq;
    take_rows(w, g, head, first);
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

void reference_merge(reference_finding *all, const reference_finding *one)
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

/* Whether some row's keys may all be far off: what ALiBi subtracts then rounds by more than scores differ. */
static bool keys_are_far(const reference *r)
{
    return r->problem->shard || r->problem->lens != LENS_none || r->sq > r->sk;
}

static double rms_bound(const reference *r, const reference_finding *f, bool drawn)
{
    const int64_t least = 256;
    if (!drawn || !r->default_scale || r->score.count || f->elements < least) return HUGE_VAL;
    if (r->problem->alibi && keys_are_far(r)) return HUGE_VAL;
    if (view_count(&r->q) < least || view_count(&r->k) < least || view_count(&r->v) < least)
        return HUGE_VAL;
    return (r->u > 0x1p-24 ? 0.8 : 40) * r->u;
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

fg_status reference_judge(const reference *r, const reference_finding *f, bool drawn,
                          fg_check_report *report, fg_error *error)
{
    fill_report(r, f, drawn, report);
    bool right = report->error_over_bound <= 1 && report->rms <= report->rms_bound;
    return right ? FG_OK : wrong(r, report, f, error);
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
        for (int64_t k = 0; k < tasks; k++) reference_merge(&all, &w.finding[k]);
        s = reference_judge(r, &all, options->drawn, report, error);
    }
    memory_free(&r->context->memory, w.finding, (size_t)tasks * sizeof *w.finding);
    return s;
}
