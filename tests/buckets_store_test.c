/* Problems with `*`: what the store keeps of their plans, and winners of buckets. */
#include "tests/buckets_stub.h"

/* ---- The store ---- */

START_TEST(a_stored_table_asks_nobody)
{
    fg_context_options bare = stub_options();
    stub_is_number();
    fg_context *context = numbering(true);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan_free(plan_of(context, p, NULL, FG_COMPILED));
    fg_problem_free(p);
    fg_context_free(context);
    /* then on a machine that has lost its compiler, too */
    for (int n = 0; n < 2; n++) {
        bare.store = store_folder;
        if (n) bare.compiler = "/no/such/compiler";
        context = stub_context(&bare);
        context->maker = &number_maker;
        p = stub_problem(context, LINE);
        fg_plan *plan = plan_of(context, p, NULL, FG_FROM_STORE);
        check_runs(plan, number_for);
        fg_plan_free(plan);
        fg_problem_free(p);
        fg_context_free(context);
    }
    ck_assert_int_eq(atomic_load(&stub_made), 5);
    ck_assert_int_eq(atomic_load(&choices_asked), 1);
}
END_TEST

START_TEST(damage_is_healed)
{
    stub_is_number();
    for (int n = 0; n < 4; n++) {
        fg_context *context = numbering(true);
        fg_problem *p = stub_problem(context, LINE);
        fg_plan *plan = plan_of(context, p, NULL, n == 0 || n == 2 ? FG_COMPILED : FG_FROM_STORE);
        check_runs(plan, number_for);
        fg_plan_free(plan);
        fg_problem_free(p);
        fg_context_free(context);
        if (n < 2) damage(n ? "kernel" : "estimate", 100);
    }
    ck_assert_int_eq(atomic_load(&choices_asked), 2);
    ck_assert_int_eq(atomic_load(&stub_made), 10);
}
END_TEST

/* ---- Winners ---- */

/* Stores what a search of a bucket would: a kernel that writes `number`. */
static void store_winner(fg_context *context, const fg_problem *p, const char *sizes, int number)
{
    static const store_kind kinds[] = { STORE_winner, STORE_stored };
    choice c = { .schedule = "stub", .seconds = 1 };
    store_key k;
    image i;
    snprintf(c.config, sizeof c.config, "n=%d", number);
    ck_assert_int_eq(image_make(&i, context, p->problem, c.config, NULL, &error), FG_OK);
    ck_assert_int_eq(choice_kernel_key(&k, context, p->problem, "stub", c.config, &error), FG_OK);
    c.kernel = key_digest(&k);
    ck_assert_int_eq(identity_of_compiler(&c.compiler, context, &error), FG_OK);
    plan_store_kernel(context, &k, &i);
    key_free(&k);
    image_free(&i);
    for (int n = 0; n < 2; n++) {
        ck_assert_int_eq(choice_key(&k, kinds[n], context, p->problem, "", &error), FG_OK);
        ck_assert_int_eq(choice_key_add(&k, "sizes", sizes, &error), FG_OK);
        choice_put(context, kinds[n], &k, &c);
        key_free(&k);
    }
}

static bool in_tuned_bucket(int64_t b, int64_t sq, int64_t sk)
{
    return b > 2 && b <= 4 && sq > 256 && sq <= 512 && sk > 2048 && sk <= 4096;
}

static int with_winner(int64_t b, int64_t sq, int64_t sk)
{
    return in_tuned_bucket(b, sq, sk) ? 9 : number_for(b, sq, sk);
}

#define TUNED_BUCKET "b=4 sq=512 sk=4096"

START_TEST(a_winner_serves_its_bucket)
{
    fg_dims sizes = FG_DIMS_INIT;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    stub_is_number();
    fg_context *context = numbering(true);
    fg_problem *p = stub_problem(context, LINE);
    store_winner(context, p, TUNED_BUCKET, 9);
    sizes.b = 3;
    sizes.sq = 300;
    sizes.sk = 4000;
    o.sizes = &sizes;
    for (int n = 0; n < 2; n++) {
        o.rigor = n ? FG_MEASURE : FG_ESTIMATE; /* it is there: no search begins */
        fg_plan *plan = plan_of(context, p, &o, n ? FG_FROM_MEMORY : FG_COMPILED);
        ck_assert_int_eq(run_of(plan, 3, 300, 4000), 9);
        check_runs(plan, with_winner);
        fg_plan_free(plan);
    }
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

static int note_sizes(void *user, const fg_store_entry *e)
{
    const bool winner = strcmp(e->kind, "winner") == 0 || strcmp(e->kind, "stored") == 0;
    ck_assert_int_eq(e->sizes != NULL, winner);
    if (winner) ck_assert_str_eq(e->sizes, TUNED_BUCKET);
    if (strcmp(e->kind, "estimate") == 0) ck_assert_str_eq(e->config, "n=5"); /* the last */
    ++*(int *)user;
    return 0;
}

START_TEST(a_visit_tells_the_bucket)
{
    int visited = 0;
    stub_is_number();
    fg_context *context = numbering(true);
    fg_problem *p = stub_problem(context, LINE);
    store_winner(context, p, TUNED_BUCKET, 9);
    fg_plan_free(plan_of(context, p, NULL, FG_COMPILED));
    ck_assert_int_eq(fg_store_visit(context, note_sizes, &visited, &error), FG_OK);
    ck_assert_int_ge(visited, 6 + 2 + 1);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* One winner for few rows, one for many: every bucket takes the nearer. */
static int nearer(int64_t b, int64_t sq, int64_t sk)
{
    (void)b, (void)sk;
    return sq <= 32 ? 7 : 8;
}

START_TEST(stored_takes_the_nearest)
{
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    fg_context_options bare = stub_options();
    stub_is_number();
    fg_context *context = numbering(true);
    fg_problem *p = stub_problem(context, LINE);
    store_winner(context, p, "b=4 sq=1 sk=512", 7);
    store_winner(context, p, "b=4 sq=128 sk=512", 8); /* 1, 16 | 32: a tie goes to the first */
    fg_problem_free(p);
    fg_context_free(context);
    o.rigor = FG_STORED;
    bare.store = store_folder;
    bare.compiler = "/no/such/compiler";
    context = stub_context(&bare);
    context->maker = NULL;
    p = stub_problem(context, LINE);
    fg_plan *plan = plan_of(context, p, &o, FG_FROM_STORE);
    check_runs(plan, nearer);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* A winner that cannot be loaded counts as none, where nothing is compiled. */
START_TEST(stored_without_its_kernels)
{
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    o.rigor = FG_STORED;
    stub_is_number();
    fg_context *context = numbering(true);
    fg_problem *p = stub_problem(context, LINE);
    store_winner(context, p, TUNED_BUCKET, 7);
    damage("kernel", 100);
    refused(context, p, &o, FG_NOT_STORED, "no tuned kernel");
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(an_adopted_winner_takes_over)
{
    image i;
    const maker_sizes sizes = { 4, 512, 4096 };
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *before = plan_of(context, p, NULL, FG_COMPILED);
    ck_assert_int_eq(image_make(&i, context, p->problem, "n=9", &sizes, &error), FG_OK);
    ck_assert_int_eq(plan_adopt(context, p->problem, &sizes, "", &i, false, &error), FG_OK);
    image_free(&i);
    fg_plan *after = plan_of(context, p, NULL, FG_FROM_MEMORY);
    check_runs(before, number_for); /* what a host has does not change */
    check_runs(after, with_winner);
    fg_plan_free(before);
    fg_plan_free(after);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* A table that was chosen before a winner came must not stand for what comes after. */
START_TEST(a_table_chosen_too_early)
{
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = plan_of(context, p, NULL, FG_COMPILED);
    plan_request r = request_of(p->problem, FG_ESTIMATE, "another", "");
    for (int late = 0; late < 2; late++) {
        unsigned adoptions = kernels_adoptions(context);
        kernel_table *t = table_new(context, &plan->table->buckets);
        if (!late) kernels_forget_tables(context, p->problem);
        ck_assert_int_eq(kernels_keep_table(t, &r, adoptions, &error), FG_OK);
        ck_assert_ptr_eq(kernels_find_table(context, &r), late ? t : NULL);
    }
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_stored_table_asks_nobody,   damage_is_healed,         a_winner_serves_its_bucket,
        a_visit_tells_the_bucket,     stored_takes_the_nearest, stored_without_its_kernels,
        an_adopted_winner_takes_over, a_table_chosen_too_early, NULL,
    };
    return support_run("buckets_store", tests);
}
