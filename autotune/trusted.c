#include "autotune/trusted.h"

#include <math.h>
#include <string.h>

void trusted_init(trusted *t, const sample *s)
{
    *t = (trusted){ .memory = &s->r->context->memory, .sample = s };
}

static void drop(const trusted *t, char **copy, size_t bytes)
{
    if (*copy) memory_free(t->memory, *copy, bytes);
    *copy = NULL;
}

void trusted_free(trusted *t)
{
    drop(t, &t->o, t->o_bytes);
    drop(t, &t->o_abs, t->o_bytes);
    drop(t, &t->lse, t->lse_bytes);
}

bool trusted_ready(const trusted *t)
{
    return t->o_abs != NULL;
}

static fg_status copy_of(char **out, size_t *bytes, const trusted *t, testbed *from,
                         const char *name, fg_error *error)
{
    const testbed_tensor *tensor = testbed_find(from, name);
    if (!tensor || tensor->memory.bytes == 0) return FG_OK;
    drop(t, out, *bytes);
    *bytes = tensor->memory.bytes;
    *out = memory_new(t->memory, *bytes, 1);
    if (!*out) return fail_memory(error);
    memcpy(*out, tensor->memory.data, *bytes);
    return FG_OK;
}

fg_status trusted_take(trusted *t, testbed *from, fg_error *error)
{
    fg_status status = copy_of(&t->o, &t->o_bytes, t, from, "o", error);
    return status == FG_OK ? copy_of(&t->lse, &t->lse_bytes, t, from, "lse", error) : status;
}

fg_status trusted_take_absolute(trusted *t, testbed *from, fg_error *error)
{
    return copy_of(&t->o_abs, &t->o_bytes, t, from, "o", error);
}

/* ---- Comparing ---- */

/* A row of o or lse, here and there. */
typedef struct pair_of_rows {
    const reference_view *view;
    int64_t at[3];               /* b, h, i */
    int64_t offset, step, count; /* in bytes; count: elements */
} pair_of_rows;

static pair_of_rows row_at(const reference_view *view, const run_sequence *s, int64_t b, int64_t h,
                           int64_t i)
{
    int64_t size = dtypes[view->type].bits / 8, position = s->q_first + i;
    return (pair_of_rows){
        .view = view,
        .at = { b, h, i },
        .offset = (b * view->stride[0] + h * view->stride[1] + position * view->stride[2]) * size,
        .step = view->stride[3] * size,
        .count = view->extent[3],
    };
}

static double element(const pair_of_rows *row, const char *data, int64_t c)
{
    return dtype_load(row->view->type, data + row->offset + c * row->step);
}

static bool same_bits(const pair_of_rows *row, const char *data)
{
    size_t bytes = (size_t)row->count * dtypes[row->view->type].bits / 8u;
    return memcmp(row->view->data + row->offset, data + row->offset, bytes) == 0;
}

static void find(reference_finding *f, const pair_of_rows *row, int64_t c, double ratio, double got,
                 double expected)
{
    if (ratio <= f->ratio && f->worst[2] >= 0) return;
    *f = (reference_finding){ .ratio = ratio, .got = got, .expected = expected };
    memcpy(f->worst, row->at, sizeof row->at);
    f->worst[3] = c;
}

/* Each of the two may be off by the bound, and the largest of the sample is not that of every row. */
static const double allowed = 4;

static double ratio_of(double got, double expected, double limit)
{
    if (got == expected || (isnan(got) && isnan(expected))) return 0;
    double error = fabs(got - expected);
    double ratio = limit > 0 ? error / limit : HUGE_VAL;
    return isnan(ratio) ? HUGE_VAL : ratio;
}

/* No weight is above 0: every key is hidden, and the result is exactly 0. */
static bool hidden(const trusted *t, const pair_of_rows *row)
{
    for (int64_t c = 0; c < row->count; c++)
        if (element(row, t->o_abs, c) != 0) return false;
    return true;
}

/* Neighbours of one sign: their bits differ by at most so many units in the last place. With P|V| at least
 * |O|, four times the bound is more than that. */
enum { units = 3 };

static bool near_16(const uint16_t *a, const uint16_t *b, int64_t count)
{
    unsigned far = 0;
    for (int64_t c = 0; c < count; c++) far |= (uint16_t)(a[c] - b[c] + units) > 2 * units;
    return !far;
}

static bool near_32(const uint32_t *a, const uint32_t *b, int64_t count)
{
    unsigned far = 0;
    for (int64_t c = 0; c < count; c++) far |= a[c] - b[c] + units > 2 * units;
    return !far;
}

static bool near_64(const uint64_t *a, const uint64_t *b, int64_t count)
{
    unsigned far = 0;
    for (int64_t c = 0; c < count; c++) far |= a[c] - b[c] + units > 2 * units;
    return !far;
}

/* Seen at a glance, as nearly every row is. */
static bool near(const trusted *t, const pair_of_rows *row)
{
    const void *a = row->view->data + row->offset, *b = t->o + row->offset;
    int64_t size = dtypes[row->view->type].bits / 8;
    if (row->step != size) return false;
    if (size == 2) return near_16(a, b, row->count);
    return size == 4 ? near_32(a, b, row->count) : near_64(a, b, row->count);
}

static void compare_o(const trusted *t, const pair_of_rows *row, reference_finding *f)
{
    const sample *s = t->sample;
    if (same_bits(row, t->o)) return;
    bool exact = hidden(t, row);
    if (!exact && near(t, row)) return;
    for (int64_t c = 0; c < row->count; c++) {
        double got = element(row, row->view->data, c), expected = element(row, t->o, c);
        double o_abs = element(row, t->o_abs, c);
        double limit =
            exact ? 0 : allowed * reference_o_bound(s->r, s->row_error, expected, o_abs, s->v_sum);
        find(f, row, c, ratio_of(got, expected, limit), got, expected);
    }
}

static void compare_lse(const trusted *t, const pair_of_rows *row, reference_finding *f)
{
    const sample *s = t->sample;
    double got = element(row, row->view->data, 0), expected = element(row, t->lse, 0);
    double limit =
        isfinite(expected) ? allowed * reference_lse_bound(s->r, s->row_error, expected) : 0;
    find(f, row, -1, ratio_of(got, expected, limit), got, expected);
}

/* Of drawn inputs only a user's score makes what is not finite. */
static void expect_finite(const trusted *t, const pair_of_rows *row, reference_finding *f)
{
    if (t->sample->undefined || t->sample->r->score.count) return;
    for (int64_t c = 0; c < row->count; c++) {
        double got = element(row, row->view->data, c);
        bool lse = row->view == &t->sample->r->lse;
        if (!isfinite(got) && !(lse && got == -HUGE_VAL))
            find(f, row, lse ? -1 : c, HUGE_VAL, got, 0);
    }
}

static void check_row(const trusted *t, reference_finding *f, const run_sequence *s, int64_t b,
                      int64_t h, int64_t i)
{
    const reference *r = t->sample->r;
    pair_of_rows o = row_at(&r->o, s, b, h, i), lse = row_at(&r->lse, s, b, h, i);
    if (!trusted_ready(t)) {
        expect_finite(t, &o, f);
        if (r->problem->lse) expect_finite(t, &lse, f);
        return;
    }
    compare_o(t, &o, f);
    if (r->problem->lse) compare_lse(t, &lse, f);
}

static fg_status tell(const trusted *t, const reference_finding *f, fg_error *error)
{
    fg_check_report report;
    if (trusted_ready(t)) return reference_judge(t->sample->r, f, false, &report, error);
    return fail(error, FG_WRONG, "the output is wrong: %s at b=%lld h=%lld i=%lld is not finite",
                f->worst[3] < 0 ? "lse" : "o", (long long)f->worst[0], (long long)f->worst[1],
                (long long)f->worst[2]);
}

/* A head's rows each, in threads; findings are merged in order. */
typedef struct comparing {
    const trusted *trusted;
    reference_finding *finding;
} comparing;

static void check_heads(const void *work, void *worker, int64_t first, int64_t last)
{
    const comparing *c = work;
    const reference *r = c->trusted->sample->r;
    (void)worker;
    for (int64_t head = first; head < last; head++) {
        const int64_t b = head / r->hq;
        const run_sequence s = reference_sequence(r, b);
        reference_finding f = { .worst = { 0, 0, -1, 0 } };
        for (int64_t i = 0; i < reference_rows_in(r, &s); i++)
            check_row(c->trusted, &f, &s, b, head % r->hq, i);
        c->finding[head] = f;
    }
}

fg_status trusted_check(const trusted *t, fg_error *error)
{
    const reference *r = t->sample->r;
    const int64_t heads = r->b * r->hq;
    reference_finding all = { .worst = { 0, 0, -1, 0 } };
    if (heads == 0) return FG_OK;
    comparing c = { t, memory_new(t->memory, (size_t)heads, sizeof *c.finding) };
    if (!c.finding) return fail_memory(error);
    fg_status status = reference_spread(r, check_heads, &c, NULL, 0, heads, error);
    for (int64_t k = 0; k < heads; k++) reference_merge(&all, &c.finding[k]);
    memory_free(t->memory, c.finding, (size_t)heads * sizeof *c.finding);
    return status == FG_OK && all.ratio > 1 ? tell(t, &all, error) : status;
}
