/* ctest: labels=threads */
/* Problems with `*`: buckets of sizes, and plans that have a kernel for each. */
#include "tests/buckets_stub.h"

#include <time.h>

/* ---- Buckets ---- */

/* Every size falls in the first bucket that ends at it or behind. */
static void check_ends(int (*of)(int64_t), const int64_t *end, int count)
{
    int bucket = 0;
    for (int64_t n = 0; n <= end[count - 1]; n++) {
        if (n > end[bucket]) bucket++;
        ck_assert_msg(of(n) == bucket, "%d falls in bucket %d, not %d", (int)n, of(n), bucket);
    }
}

START_TEST(ends_of_buckets)
{
    static const int64_t b[] = { 1, 2, 4, 8, 16, 32, 64, 128 };
    static const int64_t length[] = { 1, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096 };
    check_ends(buckets_of_b, b, 8);
    check_ends(buckets_of_length, length, 10);
    ck_assert_int_eq(buckets_of_b(1 << 20), buckets_most_b - 1);
    ck_assert_int_eq(buckets_of_length(PROBLEM_MAX_LENGTH), buckets_most_lengths - 1);
}
END_TEST

/* What a bucket's greatest sizes fall in is that bucket; what is larger by one, in none before the last. */
START_TEST(sizes_of_buckets)
{
    static const char *const lines[] = { LINE, "b=2 hq=4 sq=* sk=* d=4", "b=* hq=4 sq=7 d=4",
                                         "b=2 hq=4 sq=9 sk=* d=4" };
    static const int expected[] = { 4 * 5 * 7, 5 * 7, 4, 7 };
    const maker_sizes most = { 5, 128, 400 };
    fg_context *context = stub_context(NULL);
    for (int n = 0; n < 4; n++) {
        fg_problem *handle = stub_problem(context, lines[n]);
        const problem *p = handle->problem;
        const buckets all = buckets_up_to(p, &most);
        ck_assert(buckets_needed(p));
        ck_assert_int_eq(buckets_count(&all), expected[n]);
        for (int k = 0; k < expected[n]; k++) {
            maker_sizes s = buckets_sizes(&all, k), round = buckets_round(p, &s);
            ck_assert_int_eq(buckets_find(&all, s.b, s.sq, s.sk), k);
            ck_assert_int_eq(memcmp(&s, &round, sizeof s), 0);
            ck_assert_int_eq(s.b == 0, p->b != problem_dynamic);
            ck_assert_int_eq(s.sk == 0, p->sk != problem_dynamic);
        }
        ck_assert_int_eq(buckets_find(&all, 1 << 20, 1 << 20, 1 << 20), expected[n] - 1);
        fg_problem_free(handle);
    }
    fg_context_free(context);
}
END_TEST

/* ---- Plans ---- */

START_TEST(each_run_takes_its_kernel)
{
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = plan_of(context, p, NULL, FG_COMPILED), *again;
    fg_plan_info info;
    ck_assert_int_eq(atomic_load(&stub_made), 5); /* configs, not buckets; nobody takes n=0 */
    check_runs(plan, number_for);
    fg_plan_config(plan, &info);
    ck_assert_str_eq(info.config, "n=5"); /* of the largest */
    again = plan_of(context, p, NULL, FG_FROM_MEMORY);
    ck_assert_ptr_eq(again->table, plan->table);
    ck_assert_int_eq(atomic_load(&choices_asked), 1);
    fg_plan_free(plan);
    fg_plan_free(again);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* Larger runs take the kernel of the largest sizes. */
static int up_to_2_100_512(int64_t b, int64_t sq, int64_t sk)
{
    return number_for(b < 2 ? b : 2, sq < 128 ? sq : 128, sk < 512 ? sk : 512);
}

START_TEST(beyond_the_maxima)
{
    fg_dims most = FG_DIMS_INIT;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    most.b = 2;
    most.sq = 100;
    most.sk = 512;
    o.most = &most;
    fg_plan *plan = plan_of(context, p, &o, FG_COMPILED);
    ck_assert_int_eq(atomic_load(&stub_made), 2);
    check_runs(plan, up_to_2_100_512);
    most.sq = 128; /* the same buckets */
    fg_plan *same = plan_of(context, p, &o, FG_FROM_MEMORY);
    ck_assert_ptr_eq(plan->table, same->table);
    fg_plan_free(plan);
    fg_plan_free(same);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(one_open_size)
{
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, "dtype=f64 b=3 hq=4 sq=200 sk=* d=4");
    fg_plan *plan = plan_of(context, p, NULL, FG_COMPILED);
    ck_assert_int_eq(run_of(plan, 3, 200, 7), 1); /* the maker is told no sq */
    ck_assert_int_eq(buckets_count(&plan->table->buckets), 12);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Options ---- */

START_TEST(sizes_are_checked)
{
    fg_dims dims = FG_DIMS_INIT;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    o.most = &dims;
    dims.sq = -2;
    refused(context, p, &o, FG_REQUEST, "fg_dims.sq is -2: it must be 0 to 268435456");
    dims.sq = -1;
    dims.b = (1 << 20) + 1;
    refused(context, p, &o, FG_REQUEST, "fg_dims.b is 1048577: it must be 0 to 1048576");
    dims.b = -1;
    dims.size = 3;
    refused(context, p, &o, FG_REQUEST, "fg_dims has size 3");
    dims.size = sizeof dims;
    o.rigor = FG_MEASURE;
    refused(context, p, &o, FG_REQUEST, "b is given at launch (*): a search needs a size");
    o.sizes = &dims;
    dims.b = 4;
    dims.sq = 0;
    refused(context, p, &o, FG_REQUEST, "fg_dims.sq is 0: it must be 1 to");
    dims.sq = 1;
    refused(context, p, &o, FG_REQUEST, "sk is given at launch");
    o.rigor = FG_STORED;
    o.most = o.sizes = NULL;
    refused(context, p, &o, FG_NOT_STORED, "no tuned kernel is stored for any sizes of b=*");
    ck_assert_int_eq(atomic_load(&stub_made), 0);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Memory of a run ---- */

static fg_status make_hungry(made **out, const maker_request *r, fg_error *e)
{
    static const char *const scratch[] = {
        "0", "sk * 64", "b * 64 * 7", "sq * 128", "sk * 64", "64"
    };
    fg_status status = make_number(out, r, e);
    if (status != FG_OK) return status;
    return recipe_parse(&(*out)->step[0].scratch, scratch[stub_number], e);
}

static const maker hungry_maker = {
    .make = make_hungry,
    .choices = choose_numbers,
    .hash = stub_hash,
};

/* Bytes that hungry kernels ask for, told by the sizes of the run. */
static int64_t hunger(int64_t b, int64_t sq, int64_t sk)
{
    const int64_t all[] = { 0, sk * 64, b * 64 * 7, sq * 128, sk * 64, 64 };
    return all[number_for(b, sq, sk)];
}

START_TEST(workspace_of_the_hungriest)
{
    fg_context_options o = stub_options();
    stub_is_number();
    o.threads = 1;
    fg_context *context = stub_context(&o);
    context->maker = &hungry_maker;
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = plan_of(context, p, NULL, FG_COMPILED);
    for (int n = 0; n < 60; n++) {
        fg_dims dims = FG_DIMS_INIT;
        size_t bytes;
        int64_t most = 0;
        dims.b = 1 + n % 6;
        dims.sq = 1 + n * 37 % 200;
        dims.sk = 1 + n * 101 % 600;
        for (int64_t b = 1; b <= dims.b; b++)
            for (int64_t sq = 1; sq <= dims.sq; sq++)
                for (int64_t sk = 1; sk <= dims.sk; sk++)
                    if (hunger(b, sq, sk) > most) most = hunger(b, sq, sk);
        ck_assert_int_eq(fg_plan_workspace(plan, &dims, &bytes, &error), FG_OK);
        ck_assert_msg((int64_t)bytes == most, "b=%d sq=%d sk=%d: %lld bytes, not %lld", (int)dims.b,
                      (int)dims.sq, (int)dims.sk, (long long)bytes, (long long)most);
    }
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- In the background ---- */

START_TEST(a_table_in_the_background)
{
    fg_plan *plan, *other;
    fg_dims most = FG_DIMS_INIT;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT, small = FG_PLAN_OPTIONS_INIT;
    fg_status status;
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    o.background = small.background = 1;
    small.most = &most;
    most.sq = most.sk = most.b = 1;
    ck_assert_int_eq(fg_plan_new(&plan, context, p, &o, &error), FG_PENDING);
    ck_assert_int_eq(fg_plan_new(&other, context, p, &small, &error), FG_PENDING);
    do {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        status = fg_plan_new(&plan, context, p, &o, &error);
    } while (status == FG_PENDING);
    ck_assert_int_eq(status, FG_OK);
    check_runs(plan, number_for);
    do status = fg_plan_new(&other, context, p, &small, &error);
    while (status == FG_PENDING);
    ck_assert_int_eq(status, FG_OK);
    ck_assert_int_eq(run_of(other, 8, 4096, 4096), 1);
    fg_plan_free(plan);
    fg_plan_free(other);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        ends_of_buckets,
        sizes_of_buckets,
        each_run_takes_its_kernel,
        beyond_the_maxima,
        one_open_size,
        sizes_are_checked,
        workspace_of_the_hungriest,
        a_table_in_the_background,
        NULL,
    };
    return support_run("buckets", tests);
}
