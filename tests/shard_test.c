/* A whole run cut along b, heads, queries and keys: its parts together are right by the reference of the whole. */
/* ctest: shards=2 labels=slow */
#include "tests/support_contents.h"
#include "tests/support_shard.h"
#include "tests/support_trial.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { seed = 20250307 };

static fg_context *contexts[isa_count]; /* NULL: not on this processor */

static void open_contexts(void)
{
    for (int k = 0; k < isa_count; k++) contexts[k] = test_context(k, 2);
}

static void close_contexts(void)
{
    for (int k = 0; k < isa_count; k++) fg_context_free(contexts[k]);
}

static fg_context *context_for(const drawn_case *c)
{
    int k = isa_count - 1;
    while (k > 0 && (!contexts[k] || !case_has(c, CASE_portable + (case_feature)k))) k--;
    return contexts[k];
}

/* ---- One shard ---- */

static void *some_memory(size_t bytes)
{
    void *block = NULL;
    ck_assert_int_eq(posix_memalign(&block, 64, bytes + 1), 0);
    memset(block, 0xff, bytes + 1);
    return block;
}

static fg_dims dims_of(const shard *s)
{
    fg_dims dims = FG_DIMS_INIT;
    dims.b = s->size[AXIS_b];
    dims.sq = s->size[AXIS_i];
    dims.sk = s->size[AXIS_j];
    return dims;
}

static void run_once(shard *s, bool prepared)
{
    fg_error error = { .text = "" };
    fg_check_options how = FG_CHECK_OPTIONS_INIT;
    fg_check_report report;
    const fg_dims dims = dims_of(s);
    fg_args *a = &s->args;
    how.full = 1;
    fg_status status = fg_plan_workspace(s->plan, &dims, &a->workspace_bytes, &error);
    if (status == FG_OK) status = fg_plan_prepared(s->plan, &dims, &a->prepared_bytes, &error);
    a->workspace = s->memory[0] = some_memory(a->workspace_bytes);
    if (prepared && a->prepared_bytes) a->prepared = s->memory[1] = some_memory(a->prepared_bytes);
    if (status == FG_OK && a->prepared) status = fg_plan_prepare(s->plan, a, &error);
    if (status == FG_OK) status = fg_run(s->plan, a, &error);
    if (status == FG_OK)
        status = fg_check(s->problem->context, s->problem, a, &how, &report, &error);
    ck_assert_msg(status == FG_OK, "%s\n%s\norigin %lld,%lld,%lld,%lld", error.text,
                  fg_problem_format(s->problem), (long long)a->origin_b, (long long)a->origin_h,
                  (long long)a->origin_i, (long long)a->origin_j);
}

static void run_part(shard *s, fg_context *context, const char *line, const test_tensors *whole,
                     bool prepared)
{
    fg_error error = { .text = "" };
    text own;
    text_init(&own, &memory_default);
    test_shard_line(&own, line, s);
    fg_status status = fg_problem_parse(&s->problem, context, own.data, &error);
    if (status == FG_OK) status = fg_plan_new(&s->plan, context, s->problem, NULL, &error);
    ck_assert_msg(status == FG_OK, "%s\n%s", error.text, own.data);
    test_shard_views(s, whole);
    run_once(s, prepared);
    for (int k = 0; k < 2; k++) free(s->memory[k]);
    fg_plan_free(s->plan);
    fg_problem_free(s->problem);
    text_free(&own);
}

/* ---- Keys in parts ---- */

/* What the keys so far give: o and lse of the whole. */
typedef struct merged {
    long double *o, *lse;
} merged;

static long double *numbers(int64_t count)
{
    long double *x = calloc((size_t)count + 1, sizeof *x);
    ck_assert_ptr_nonnull(x);
    return x;
}

/* The keys of one more piece join a row: its share of all is exp(lse - lse of all). */
static void join_row(merged *all, test_tensors *t, int64_t b, int64_t h, int64_t i)
{
    test_tensor *o = test_tensors_find(t, "o"), *lse = test_tensors_find(t, "lse");
    int64_t row = test_index(lse, b, h, i, 0);
    long double before = all->lse[row], now = (long double)test_get(lse, row);
    long double most = before > now ? before : now;
    long double sum =
        most > -HUGE_VALL ? most + logl(expl(before - most) + expl(now - most)) : most;
    for (int64_t c = 0; c < t->problem->problem->dv; c++) {
        int64_t at = test_index(o, b, h, i, c);
        long double old = before > -HUGE_VALL ? expl(before - sum) * all->o[at] : 0;
        all->o[at] = old + (now > -HUGE_VALL ? expl(now - sum) * (long double)test_get(o, at) : 0);
        test_set(o, at, (double)all->o[at]);
    }
    all->lse[row] = sum;
    test_set(lse, row, (double)sum);
}

static void join(merged *all, test_tensors *t)
{
    for (int64_t b = 0; b < t->sizes.b; b++)
        for (int64_t h = 0; h < t->problem->problem->hq; h++)
            for (int64_t i = 0; i < t->sizes.sq; i++) join_row(all, t, b, h, i);
}

/* ---- All of a run ---- */

static void run_pieces(fg_context *context, const drawn_case *c, const char *line, const cut *x,
                       test_tensors *whole, int j)
{
    int at[axis_count] = { 0, 0, 0, j };
    for (at[0] = 0; at[0] < x->of[0].count; at[0]++)
        for (at[1] = 0; at[1] < x->of[1].count; at[1]++)
            for (at[2] = 0; at[2] < x->of[2].count; at[2]++) {
                shard s = test_shard_at(x, c->hq / c->hkv, at);
                run_part(&s, context, line, whole, case_has(c, CASE_prepared));
            }
}

static void check_whole(fg_context *context, test_tensors *t, const cut *x)
{
    fg_error error = { .text = "" };
    fg_check_report report;
    fg_check_options how = FG_CHECK_OPTIONS_INIT;
    how.full = 1;
    fg_status s = fg_check(context, t->problem, &t->args, &how, &report, &error);
    ck_assert_msg(s == FG_OK, "%s\n%s\n%d x %d x %d x %d pieces", error.text,
                  fg_problem_format(t->problem), x->of[0].count, x->of[1].count, x->of[2].count,
                  x->of[3].count);
    ck_assert_msg(!test_spilled(t), "bytes beside %s were written", test_spilled(t));
}

/* And not in too many pieces. */
static bool cuts_all(const cut *x)
{
    bool all = true;
    int count = 1;
    for (int k = 0; k < axis_count; k++) {
        all = all && x->of[k].count > 1;
        count *= x->of[k].count;
    }
    return all && count <= 24;
}

/* `all_axes`: along all axes. */
static void run_cut(fg_context *context, const drawn_case *c, const char *line, fg_problem *handle,
                    bool all_axes)
{
    test_tensors t;
    case_tensors(&t, handle, c);
    rng r = rng_new(seed, c->layouts);
    cut x = test_cut_draw(c, &t.sizes, &r);
    while (all_axes && !cuts_all(&x)) x = test_cut_draw(c, &t.sizes, &r);
    const pieces *keys = &x.of[AXIS_j];
    int64_t rows = t.sizes.b * c->hq * t.sizes.sq;
    merged all = { numbers(rows * c->dv), numbers(rows) };
    for (int64_t k = 0; k < rows; k++) all.lse[k] = -HUGE_VALL;
    for (int j = 0; j < keys->count; j++) {
        run_pieces(context, c, line, &x, &t, j);
        if (keys->count > 1) join(&all, &t);
    }
    check_whole(context, &t, &x);
    free(all.o);
    free(all.lse);
    test_tensors_free(&t);
}

/* Whether the case was a problem that has shards. */
static bool run_index(int64_t index)
{
    drawn_case c;
    fg_error error;
    fg_problem *handle = NULL;
    case_draw(&c, seed, index, isa_lanes);
    if (!case_has(&c, CASE_lse)) text_addf(&c.line, " lse");
    bool taken =
        !case_has(&c, CASE_padded) && !case_has(&c, CASE_packed) && !case_has(&c, CASE_shard);
    taken = taken && fg_problem_parse(&handle, contexts[0], c.line.data, &error) == FG_OK;
    if (taken) run_cut(context_for(&c), &c, c.line.data, handle, false);
    fg_problem_free(handle);
    case_free(&c);
    return taken;
}

START_TEST(pieces_make_the_whole)
{
    int part, parts;
    int64_t ran = 0, most = (support_sweep() + 19) / 20;
    const char *only = getenv("FLASHGEN_TEST_SHARD_ONLY");
    support_shard(&part, &parts);
    open_contexts();
    if (only) run_index(atoll(only));
    for (int64_t index = part; ran < most && !only; index += parts) ran += run_index(index);
    close_contexts();
}
END_TEST

/* Each index of the whole run tells in the result: in both schedules, with few rows and with many. */
START_TEST(each_index_is_the_whole_runs)
{
    static const char *const rest[] = {
        "dtype=f32 causal window=60,-1 dropout=0.3 alibi sinks",
        "dtype=bf16 causal=top-left dropout=0.5 mask=BHQK softcap=9 layout=bhsd",
        "dtype=f32 score={s + x[b][h] * y[i][j] - b / 4} tensor=x:f32[b,hq] tensor=y:f32[sq,sk] "
        "bias=BHQK kvdtype=f16",
        "dtype=f64 odtype=f32 maskfn={doc[b][i] == doc[b][j] or h % 2 == hq // hkv % 2} "
        "tensor=doc:u8[b,sk] sinks",
        "dtype=f16 maskfn={(i + j) % 5 < 3 and j < sk - i // 9} score={s * (1 + h) / hkv - i / sq} "
        "page=16",
    };
    static const char *const sizes[] = { "b=3 hq=4 hkv=2 sq=67 sk=131 d=24 dv=16 lse align=2",
                                         "b=2 hq=6 hkv=2 sq=5 sk=333 d=24 dv=16 lse align=2" };
    enum { lines = sizeof rest / sizeof *rest };
    int part, parts;
    support_shard(&part, &parts);
    open_contexts();
    for (int k = part; k < 2 * lines; k += parts) {
        drawn_case c = { .values = { NAN, NAN, NAN, FG_DEFAULT_INT, FG_DEFAULT_INT, 7, 9 } };
        char line[512];
        fg_problem *handle;
        fg_error error;
        snprintf(line, sizeof line, "%s %s", rest[k % lines], sizes[k / lines]);
        fg_status s = fg_problem_parse(&handle, contexts[0], line, &error);
        ck_assert_msg(s == FG_OK, "%s\n%s", error.text, line);
        const problem *p = handle->problem;
        c.b = p->b, c.hq = p->hq, c.hkv = p->hkv, c.sq = p->sq, c.sk = p->sk;
        c.d = p->d, c.dv = p->dv, c.page = p->page;
        c.sizes = c.layouts = c.data = (uint64_t)k;
        c.features = UINT64_C(1) << (CASE_portable + k % isa_count) | (uint64_t)(k % 2)
                                                                          << CASE_prepared;
        run_cut(context_for(&c), &c, line, handle, true);
        fg_problem_free(handle);
    }
    close_contexts();
}
END_TEST

int main(void)
{
    const TTest *tests[] = { each_index_is_the_whole_runs, pieces_make_the_whole, NULL };
    return support_run("shard", tests);
}
