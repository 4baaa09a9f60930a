/* Few queries: the schedule for them, on drawn problems with drawn configs, against the reference. */
/* ctest: shards=2 labels=slow */
#include "tests/support_contents.h"
#include "tests/support_trial.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { seed = 20261122, most_queries = 16 };

static fg_context *contexts[isa_count]; /* NULL: not on this processor */

static void open_contexts(void)
{
    for (int k = 0; k < isa_count; k++) contexts[k] = test_context(k, 2);
}

static void close_contexts(void)
{
    for (int k = 0; k < isa_count; k++) fg_context_free(contexts[k]);
}

static fg_context *context_for(const char *isa)
{
    int k = isa_count - 1;
    while (k > 0 && (!contexts[k] || strcmp(isa_names[k], isa) != 0)) k--;
    return contexts[k];
}

static bool is_meant(const drawn_case *c, const problem *p)
{
    return p->sq >= 0 && p->sq <= most_queries && p->dtype != DTYPE_f64 &&
           p->kvdtype != DTYPE_f64 && p->odtype != DTYPE_f64 && !case_has(c, CASE_star_sq);
}

/* Of the schedule's space, the point with the case's number. */
static char *config_of(const drawn_case *c, fg_context *context, const problem *p)
{
    char *config = NULL;
    int64_t count = 0;
    fg_error error = { 0 };
    maker_device device = context_maker_device(context);
    maker_request request = { .memory = &context->memory, .problem = p, .device = &device };
    fg_status s = context->maker->config_at(&config, &count, &request, (int64_t)c->config, &error);
    ck_assert_msg(s == FG_OK, "%s\n%s", error.text, c->line.data);
    return config;
}

static void check_case(const drawn_case *c, fg_context *context, fg_problem *handle)
{
    trial x = { .context = context, .handle = handle, .isa = context->device.isa->name };
    fg_error error = { 0 };
    fg_plan_info info;
    fg_plan_options how = FG_PLAN_OPTIONS_INIT;
    char *config = config_of(c, context, handle->problem);
    how.config = config;
    fg_status s = fg_plan_new(&x.plan, context, handle, &how, &error);
    ck_assert_msg(s == FG_OK, "%s\n%s\n%s", error.text, c->line.data, config);
    fg_plan_config(x.plan, &info);
    ck_assert_msg(strcmp(info.schedule, "c_decode") == 0, "%s: %s", info.schedule, c->line.data);
    case_tensors(&x.t, handle, c);
    trial_check(&x, c->line.data);
    test_tensors_free(&x.t);
    fg_plan_free(x.plan);
    fg_text_free(context, config);
}

START_TEST(drawn_problems_of_few_queries_are_right)
{
    int shard, shards, ran = 0, wanted = support_sweep() / 4;
    support_shard(&shard, &shards);
    open_contexts();
    for (int64_t index = shard; ran * shards < wanted; index += shards) {
        drawn_case c;
        fg_problem *handle = NULL;
        case_draw(&c, seed, index, isa_lanes);
        fg_status s = fg_problem_parse(&handle, contexts[0], c.line.data, NULL);
        if (s == FG_OK && is_meant(&c, handle->problem)) {
            check_case(&c, context_for(c.isa), handle);
            ran++;
        }
        fg_problem_free(handle);
        case_free(&c);
    }
    printf("decode, part %d of %d: %d problems\n", shard + 1, shards, ran);
    close_contexts();
}
END_TEST

/* ---- Contents at the edge of what has a meaning ---- */

static void put(trial *x, const char *name, int64_t h, int64_t s, int64_t c, double value)
{
    test_tensor *t = trial_tensor(x, name);
    test_set(t, test_index(t, 0, h, s, c), value);
}

static double lse_of(trial *x, int64_t h, int64_t i)
{
    test_tensor *t = trial_tensor(x, "lse");
    return test_get(t, test_index(t, 0, h, i, 0));
}

/* Bad numbers in one split spoil their own rows, and a row may be hidden from some splits or from all. */
static void contents(fg_context *context, const char *type)
{
    static const double bad[] = { NAN, HUGE_VAL, -HUGE_VAL };
    trial x;
    trial_open(&x, context, "splits=4 keys=16",
               "dtype=%s b=1 hq=6 hkv=2 sq=2 sk=300 d=40 dv=24 bias=11QK:f32 mask=11QK lse", type);
    for (int64_t j = 0; j < 300; j++) put(&x, "mask", 0, 0, j, 0);
    trial_check(&x, "a hidden row");
    for (int64_t h = 0; h < 6; h++) trial_assert(&x, lse_of(&x, h, 0) == -HUGE_VAL, "a hidden row");
    put(&x, "mask", 0, 0, 299, 1);
    trial_check(&x, "one key");
    for (int k = 0; k < 3; k++) {
        trial_refill(&x, 2);
        put(&x, "mask", 0, 1, 250, 1);
        put(&x, "bias", 0, 1, 250, bad[k]);
        trial_check(&x, "a bad number in bias");
        for (int64_t h = 0; h < 6; h++) {
            trial_assert(&x, isfinite(lse_of(&x, h, 0)), "a bad number in bias");
            trial_assert(&x, isnan(lse_of(&x, h, 1)) == (k < 2), "a bad number in bias");
        }
        trial_refill(&x, 3);
        put(&x, "q", 4, 1, 39, bad[k]);
        trial_check(&x, "a bad number in q");
        trial_refill(&x, 3);
        put(&x, "k", 1, 77, 0, bad[k]);
        put(&x, "k", 0, 299, 39, bad[k]);
        trial_check(&x, "a bad number in k");
    }
    trial_close(&x);
}

START_TEST(edges_of_numbers)
{
    trial_on_all(contents, false);
}
END_TEST

/* ---- Which schedule ---- */

static const char *schedule_of(fg_context *context, const char *line)
{
    static char name[32];
    trial x;
    fg_plan_info info;
    trial_open(&x, context, NULL, "%s", line);
    fg_plan_config(x.plan, &info);
    snprintf(name, sizeof name, "%s", info.schedule);
    trial_close(&x);
    return name;
}

START_TEST(few_queries_have_a_schedule_of_their_own)
{
    fg_context *context = test_context(0, 2);
    ck_assert_str_eq(schedule_of(context, "b=1 hq=4 hkv=2 sq=1 sk=40 d=16"), "c_decode");
    ck_assert_str_eq(schedule_of(context, "b=1 hq=4 hkv=2 sq=40 sk=40 d=16"), "c");
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { drawn_problems_of_few_queries_are_right, edges_of_numbers,
                                   few_queries_have_a_schedule_of_their_own, NULL };
    return support_run("decode", tests);
}
