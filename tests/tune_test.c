/* fg_tune: what it finds, stores and finds again, what it tells and refuses. */
#include "runtime/identity.h"
#include "tests/tune_stub.h"

static const int three[] = { FAULT_slow, FAULT_none, FAULT_slow };

/* ---- Of the shipped templates ---- */

/* The same space, some points, on each machine that has AVX2. */
static void shipped(tried *t)
{
    fg_context_options o = tried_options();
    o.isa = "avx2";
    tried_new(t, &o);
    fg_problem_free(t->problem);
    t->context->maker = maker_installed;
    t->problem = stub_problem(t->context, "dtype=f32 b=1 hq=2 sq=64 d=16");
    t->options.config = "keys=48 mk=4";
    t->options.seconds = 3;
}

static fg_plan_info plan_of(tried *t, fg_rigor rigor)
{
    fg_plan *plan;
    fg_plan_info info;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    o.rigor = rigor;
    o.config = t->options.config;
    fg_status status = fg_plan_new(&plan, t->context, t->problem, &o, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    fg_plan_config(plan, &info);
    ck_assert_str_eq(info.config, t->report.config);
    fg_plan_free(plan);
    return info;
}

static void tune_shipped(int in_process)
{
    tried t;
    choice c;
    shipped(&t);
    t.options.in_process = in_process;
    tried_must(&t, false);
    ck_assert_int_ge(t.report.legal, 3);
    ck_assert_int_le(t.report.legal, 30);
    ck_assert_int_ge(t.report.measured, 1);
    ck_assert_int_eq(t.report.rejected, 0);
    ck_assert_int_eq(t.told.kinds[FG_EVENT_MEASURED], (int)t.report.measured);
    ck_assert_int_ge(t.told.kinds[FG_EVENT_CONSTRAINT], 1);
    ck_assert_double_gt(t.report.estimate_seconds, 0);
    ck_assert_str_eq(t.report.schedule, "c");
    ck_assert(tried_stored(&t, STORE_winner, &c));
    ck_assert_str_eq(c.config, t.report.config);
    ck_assert(tried_stored(&t, STORE_stored, &c));
    ck_assert_int_eq(plan_of(&t, FG_MEASURE).source, FG_FROM_MEMORY);
    ck_assert_int_eq(plan_of(&t, FG_ESTIMATE).source, FG_FROM_MEMORY);
    tried_free(&t);

    shipped(&t); /* another context: all of it is in the store */
    tried_must(&t, true);
    ck_assert_int_eq(plan_of(&t, FG_STORED).source, FG_FROM_STORE);
    ck_assert_str_eq(t.report.config, c.config);
    tried_free(&t);
}

START_TEST(in_a_worker)
{
    tune_shipped(0);
}
END_TEST

START_TEST(in_this_process)
{
    tune_shipped(1);
}
END_TEST

/* ---- What is stored serves ---- */

START_TEST(found_again)
{
    tried t;
    tune_space(three, 3);
    tried_new(&t, NULL);
    tried_must(&t, false);
    ck_assert_str_eq(t.report.config, "fault=0 n=1");
    ck_assert_int_eq(t.report.decided, 1);
    ck_assert_double_gt(t.report.estimate_seconds, t.report.seconds);
    fg_tune_report first = t.report;
    tried_must(&t, true);
    ck_assert_int_eq(t.told.count, 0);
    first.found = 1;
    ck_assert_mem_eq(&first, &t.report, sizeof first);
    t.options.again = 1;
    tried_must(&t, false);
    t.options.again = 0;
    t.options.config = "other pins";
    tried_must(&t, false);
    tried_free(&t);
}
END_TEST

static void plan_has(tried *t, const char *config)
{
    fg_plan *plan;
    fg_plan_info info;
    fg_status status = fg_plan_new(&plan, t->context, t->problem, NULL, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    fg_plan_config(plan, &info);
    ck_assert_str_eq(info.config, config);
    fg_plan_free(plan);
}

/* An estimate that was planned before another process searched does not outlive that its winner is found. */
START_TEST(found_by_another_process)
{
    tried t, other;
    tune_space(three, 3);
    tried_new(&t, NULL);
    plan_has(&t, tune_config[0]);
    tried_new(&other, NULL);
    tried_must(&other, false);
    ck_assert_str_ne(other.report.config, tune_config[0]);
    plan_has(&t, tune_config[0]);
    tried_must(&t, true);
    plan_has(&t, other.report.config);
    tried_free(&other);
    tried_free(&t);
}
END_TEST

START_TEST(exhaustive_serves_more)
{
    tried t;
    tune_space(three, 3);
    tried_new(&t, NULL);
    t.options.seconds = 0.01; /* the estimate is measured, whatever it takes */
    tried_must(&t, false);
    ck_assert_int_eq(t.report.measured, 1);
    t.options.rigor = FG_EXHAUSTIVE;
    tried_must(&t, false);
    ck_assert_int_eq(t.report.measured, 3);
    ck_assert_str_eq(t.report.config, "fault=0 n=1");
    tried_must(&t, true);
    t.options.rigor = FG_MEASURE;
    tried_must(&t, true);
    ck_assert_int_eq(t.report.measured, 3);
    tried_free(&t);
}
END_TEST

/* A winner that another compiler wrote is compiled and checked, no more. */
START_TEST(another_compiler)
{
    tried t;
    choice c;
    store_key k;
    tune_space(three, 3);
    tried_new(&t, NULL);
    tried_must(&t, false);
    ck_assert(tried_stored(&t, STORE_winner, &c));
    digest right = c.compiler;
    c.compiler.byte[5] ^= 1;
    c.seconds = 1000;
    ck_assert_int_eq(choice_key(&k, STORE_winner, t.context, t.problem->problem, "", &error),
                     FG_OK);
    choice_put(t.context, STORE_winner, &k, &c);
    atomic_store(&tune_made, 0);
    tried_must(&t, true);
    ck_assert_int_eq(atomic_load(&tune_made), 1);
    ck_assert_int_eq(t.told.kinds[FG_EVENT_NOTE], 1);
    ck_assert_double_lt(t.report.seconds, 1);
    ck_assert(tried_stored(&t, STORE_winner, &c));
    ck_assert(digest_equal(&c.compiler, &right));
    tried_must(&t, true);
    ck_assert_int_eq(t.told.count, 0);

    /* One that it gets wrong is searched anew. */
    c.compiler.byte[5] ^= 1;
    strcpy(c.config, "fault=1 n=0");
    choice_put(t.context, STORE_winner, &k, &c);
    fg_status status = tried_tune(&t);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    ck_assert_int_eq(t.report.found, 0);
    ck_assert_str_eq(t.report.config, "fault=0 n=1");
    key_free(&k);
    tried_free(&t);
}
END_TEST

START_TEST(without_a_store)
{
    fg_context_options o = stub_options();
    tried t;
    tune_space(three, 3);
    tried_new(&t, &o);
    tried_must(&t, false);
    tried_must(&t, false);
    ck_assert_int_eq(plan_of(&t, FG_MEASURE).source, FG_FROM_MEMORY);
    tried_free(&t);
}
END_TEST

/* ---- Candidates ---- */

START_TEST(faulty_candidates)
{
    /* The one that crashes late is far faster than the only right one: it is timed until it does. */
    static const int faults[] = { FAULT_crash, FAULT_uncompiled, FAULT_wrong_sampled, FAULT_behind,
                                  FAULT_slow,  FAULT_late_crash, FAULT_exit };
    char best[32];
    tried t;
    tune_space(faults, 7);
    tried_new(&t, NULL);
    t.options.seconds = 60; /* the space ends before, also where other programs compute */
    tried_must(&t, false);
    snprintf(best, sizeof best, "fault=%d n=4", FAULT_slow);
    ck_assert_str_eq(t.report.config, best);
    ck_assert_int_eq(t.report.rejected, 6);
    ck_assert_int_eq(t.report.compiled, 6);
    ck_assert_int_eq(t.report.measured, 1);
    ck_assert_double_eq(t.report.estimate_seconds, 0);
    ck_assert_int_eq(t.told.kinds[FG_EVENT_REJECTED], 6);
    ck_assert_ptr_nonnull(strstr(t.told.text, "no C"));
    tried_free(&t);
}
END_TEST

START_TEST(nothing_compiles)
{
    int faults[30];
    tried t;
    choice c;
    for (int k = 0; k < 30; k++) faults[k] = FAULT_uncompiled;
    for (int count = 3; count <= 30; count += 27) {
        tune_space(faults, count);
        tried_new(&t, NULL);
        t.options.seconds = 100;
        double start = library_seconds();
        ck_assert_int_eq(tried_tune(&t), FG_COMPILER);
        ck_assert_ptr_nonnull(strstr(error.text, "the first, fault="));
        ck_assert_ptr_nonnull(strstr(error.text, "this is no C"));
        ck_assert_double_lt(library_seconds() - start, 30);
        ck_assert(!tried_stored(&t, STORE_winner, &c));
        tried_free(&t);
    }
}
END_TEST

START_TEST(nothing_is_right)
{
    static const int faults[] = { FAULT_uncompiled, FAULT_behind, FAULT_wrong_sampled };
    tried t;
    choice c;
    tune_space(faults, 3);
    tried_new(&t, NULL);
    ck_assert_int_eq(tried_tune(&t), FG_INTERNAL);
    ck_assert_ptr_nonnull(strstr(error.text, "none of the 3 configs tried is right"));
    ck_assert(!tried_stored(&t, STORE_winner, &c));
    ck_assert(!tried_stored(&t, STORE_stored, &c));
    tried_free(&t);
}
END_TEST

/* ---- Requests ---- */

START_TEST(budgets)
{
    static const double bad[] = { 0, -1, NAN, INFINITY };
    static const char *const says[] = { "the budget is 0 seconds", "the budget is -1 seconds",
                                        "the budget is ", "the budget is inf seconds" };
    tried t;
    tune_space(three, 3);
    tried_new(&t, NULL);
    for (int k = 0; k < 4; k++) {
        t.options.seconds = bad[k];
        ck_assert_int_eq(tried_tune(&t), FG_REQUEST);
        ck_assert_ptr_nonnull(strstr(error.text, says[k]));
    }
    t.options.seconds = 1;
    t.options.rigor = FG_ESTIMATE;
    ck_assert_int_eq(tried_tune(&t), FG_REQUEST);
    t.options.rigor = FG_STORED;
    ck_assert_int_eq(tried_tune(&t), FG_REQUEST);
    t.options.size = 3;
    ck_assert_int_eq(tried_tune(&t), FG_REQUEST);
    ck_assert_int_eq(fg_tune(NULL, NULL, t.problem, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_tune(NULL, t.context, NULL, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(t.told.count, 0);
    tried_free(&t);
    shipped(&t);
    t.options.config = "keys=3";
    ck_assert_int_eq(tried_tune(&t), FG_REQUEST);
    tried_free(&t);
}
END_TEST

START_TEST(no_compiler)
{
    fg_context_options o = stub_options();
    tried t;
    o.compiler = "/no/such/compiler";
    tune_space(three, 3);
    tried_new(&t, &o);
    ck_assert_int_eq(tried_tune(&t), FG_COMPILER);
    ck_assert_ptr_nonnull(strstr(error.text, "/no/such/compiler"));
    tried_free(&t);
}
END_TEST

START_TEST(no_generator)
{
    tried t;
    tried_new(&t, NULL);
    t.context->maker = NULL;
    ck_assert_int_eq(tried_tune(&t), FG_UNSUPPORTED);
    tried_free(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        in_a_worker,
        in_this_process,
        found_again,
        found_by_another_process,
        exhaustive_serves_more,
        another_compiler,
        without_a_store,
        faulty_candidates,
        nothing_compiles,
        nothing_is_right,
        budgets,
        no_compiler,
        no_generator,
        NULL,
    };
    return support_run("tune", tests);
}
