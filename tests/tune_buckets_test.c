/* Searching for the winner of a bucket of sizes. */
#include "tests/tune_stub.h"

/* The candidates' own sizes, two of which a run says. */
#define OPEN_PROBLEM "dtype=f32 b=* hq=2 hkv=1 sq=301 sk=* d=8 dv=4 lse"

/* The prior prefers the slow one everywhere. */
static fg_status choose_slow(maker_choices **out, const maker_request *r, const maker_grid *g,
                             int most, fg_error *e)
{
    maker_request first = *r;
    first.config = tune_config[0];
    return stub_choices(out, &first, g, most, e);
}

static const maker open_maker = {
    .make = tune_make,
    .space = tune_list,
    .choices = choose_slow,
    .hash = stub_hash,
};

typedef struct open_sizes {
    tried t;
    fg_dims sizes;
} open_sizes;

static void open_new(open_sizes *o)
{
    static const int faults[] = { FAULT_slow, FAULT_none };
    tune_space(faults, 2);
    tried_new(&o->t, NULL);
    fg_problem_free(o->t.problem);
    o->t.context->maker = &open_maker;
    o->t.problem = stub_problem(o->t.context, OPEN_PROBLEM);
    o->sizes = (fg_dims)FG_DIMS_INIT;
    o->sizes.b = 1;
    o->sizes.sk = 20;
    o->t.options.sizes = &o->sizes;
    o->t.options.seconds = 4;
}

static const char *config_at(const fg_plan *plan, int64_t b, int64_t sk)
{
    const buckets *all = &plan->table->buckets;
    return plan->table->of[buckets_find(all, b, 301, sk)]->config;
}

static fg_plan *plan_of(const open_sizes *o, const fg_plan_options *how, fg_source source)
{
    fg_plan *plan;
    fg_plan_info info;
    fg_status status = fg_plan_new(&plan, o->t.context, o->t.problem, how, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    fg_plan_config(plan, &info);
    ck_assert_int_eq(info.source, source);
    return plan;
}

START_TEST(sizes_are_needed)
{
    open_sizes o;
    open_new(&o);
    o.t.options.sizes = NULL;
    ck_assert_int_eq(tried_tune(&o.t), FG_REQUEST);
    ck_assert_ptr_nonnull(strstr(error.text, "b is given at launch (*): a search needs a size"));
    o.t.options.sizes = &o.sizes;
    o.sizes.sk = -1;
    ck_assert_int_eq(tried_tune(&o.t), FG_REQUEST);
    ck_assert_ptr_nonnull(strstr(error.text, "sk is given at launch"));
    o.sizes.sk = 0;
    ck_assert_int_eq(tried_tune(&o.t), FG_REQUEST);
    ck_assert_ptr_nonnull(strstr(error.text, "fg_dims.sk is 0: it must be 1 to"));
    ck_assert_int_eq(atomic_load(&tune_made), 0);
    tried_free(&o.t);
}
END_TEST

START_TEST(a_bucket_is_tuned)
{
    open_sizes o;
    open_new(&o);
    fg_plan *before = plan_of(&o, NULL, FG_COMPILED);
    ck_assert_str_eq(config_at(before, 1, 20), tune_config[0]);
    tried_must(&o.t, false);
    ck_assert_str_eq(o.t.report.config, tune_config[1]);
    fg_plan *after = plan_of(&o, NULL, FG_FROM_MEMORY);
    for (int64_t b = 1; b <= 8; b++)
        for (int64_t sk = 1; sk <= 100; sk++) {
            bool tuned = b == 1 && sk > 16 && sk <= 32;
            ck_assert_str_eq(config_at(after, b, sk), tune_config[tuned]);
            ck_assert_str_eq(config_at(before, b, sk), tune_config[0]);
        }
    fg_plan_free(before);
    fg_plan_free(after);
    o.sizes.sk =
        32; /* the same bucket: nothing is measured, and the kernel would not take this size */
    tried_must(&o.t, true);
    tried_free(&o.t);
    open_new(&o); /* another context has it from the store */
    tried_must(&o.t, true);
    after = plan_of(&o, NULL, FG_FROM_STORE);
    ck_assert_str_eq(config_at(after, 1, 17), tune_config[1]);
    ck_assert_str_eq(config_at(after, 1, 16), tune_config[0]);
    fg_plan_free(after);
    tried_free(&o.t);
}
END_TEST

/* A table that was chosen before another process searched does not outlive that its winner is found. */
START_TEST(a_winner_of_another_process)
{
    open_sizes o, other;
    open_new(&o);
    fg_plan *before = plan_of(&o, NULL, FG_COMPILED);
    open_new(&other);
    tried_must(&other.t, false);
    tried_free(&other.t);
    fg_plan_free(plan_of(&o, NULL, FG_FROM_MEMORY));
    tried_must(&o.t, true);
    fg_plan *after = plan_of(&o, NULL, FG_FROM_STORE);
    ck_assert_str_eq(config_at(after, 1, 20), tune_config[1]);
    ck_assert_str_eq(config_at(after, 2, 20), tune_config[0]);
    ck_assert_str_eq(config_at(before, 1, 20), tune_config[0]);
    tried_must(&o.t, true); /* it is there: the table stands */
    fg_plan *again = plan_of(&o, NULL, FG_FROM_MEMORY);
    ck_assert_ptr_eq(after->table, again->table);
    fg_plan_free(before);
    fg_plan_free(after);
    fg_plan_free(again);
    tried_free(&o.t);
}
END_TEST

START_TEST(a_plan_searches_for_its_bucket)
{
    open_sizes o;
    fg_plan_options how = FG_PLAN_OPTIONS_INIT;
    open_new(&o);
    how.rigor = FG_MEASURE;
    how.seconds = 4;
    how.sizes = &o.sizes;
    fg_plan *plan = plan_of(&o, &how, FG_COMPILED);
    ck_assert_str_eq(config_at(plan, 1, 32), tune_config[1]);
    ck_assert_str_eq(config_at(plan, 2, 32), tune_config[0]);
    fg_plan_free(plan);
    fg_plan_free(plan_of(&o, &how, FG_FROM_MEMORY));
    how.rigor = FG_STORED; /* every bucket takes the one winner */
    plan = plan_of(&o, &how, FG_FROM_MEMORY);
    ck_assert_str_eq(config_at(plan, 8, 16384), tune_config[1]);
    fg_plan_free(plan);
    tried_free(&o.t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        sizes_are_needed,
        a_bucket_is_tuned,
        a_winner_of_another_process,
        a_plan_searches_for_its_bucket,
        NULL,
    };
    return support_run("tune_buckets", tests);
}
