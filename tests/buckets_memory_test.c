/* Problems with `*`: every allocation of a plan fails once, and for good. */
#include "tests/buckets_stub.h"

/* ---- Failing on purpose ---- */

/* On one thread, so that allocations come in one order. */
static fg_status plan_with(failing *f, const char *path)
{
    fg_context_options o = stub_options();
    fg_context *context = NULL;
    fg_problem *p = NULL;
    fg_plan *plan = NULL;
    fg_plan_options few = FG_PLAN_OPTIONS_INIT;
    fg_dims most = FG_DIMS_INIT;
    most.b = 4;
    most.sq = most.sk = 256;
    few.most = &most;
    o.store = path;
    o.threads = 1;
    o.compiler = stub_compiler;
    o.allocate = failing_allocate;
    o.allocate_user = f;
    fg_status status = fg_context_new(&context, &o, &error);
    if (status != FG_OK) return status;
    context->maker = &number_maker;
    status = fg_problem_parse(&p, context, LINE, &error);
    if (status == FG_OK) status = fg_plan_new(&plan, context, p, &few, &error);
    ck_assert((status == FG_OK) == (plan != NULL));
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
    return status;
}

/* With a store, what it misses for want of memory is made anew, or the memory is missed there, too. */
static void fail_all(const char *path, bool known)
{
    failing f = { .at = -1 };
    int files = stub_open_files();
    ck_assert_int_eq(plan_with(&f, path), FG_OK);
    f = (failing){ .at = -1 };
    if (known) ck_assert_int_eq(plan_with(&f, path), FG_OK);
    if (!known) {
        if (*path) damage("estimate", 0), damage("kernel", 0);
        ck_assert_int_eq(plan_with(&f, path), FG_OK);
    }
    long all = f.count, failed = 0;
    ck_assert_int_gt((int)all, 30);
    for (int for_good = 0; for_good < 2; for_good++)
        for (long at = 1; at <= all; at++) {
            if (!known && *path) damage("estimate", 0), damage("kernel", 0);
            f = (failing){ .at = at, .for_good = for_good };
            fg_status status = plan_with(&f, path);
            failed += status == FG_MEMORY;
            ck_assert_msg(status == FG_OK || status == FG_MEMORY, "allocation %ld: %s: %s", at,
                          fg_status_name(status), error.text);
            ck_assert_msg(f.blocks == 0 && f.bytes == 0, "allocation %ld leaks %ld blocks", at,
                          f.blocks);
        }
    ck_assert_int_gt((int)failed, 10);
    if (!*path) ck_assert_int_eq((int)failed, 2 * (int)all);
    ck_assert_int_eq(stub_open_files(), files);
}

static void prepare_to_fail(void)
{
    stub_is_number();
    fg_context_free(numbering(true));
    stub_compiler_make();
}

START_TEST(every_allocation_fails)
{
    prepare_to_fail();
    fail_all("", false);
}
END_TEST

START_TEST(every_allocation_fails_when_it_is_made)
{
    prepare_to_fail();
    fail_all(store_folder, false);
}
END_TEST

START_TEST(every_allocation_fails_when_it_is_stored)
{
    prepare_to_fail();
    fail_all(store_folder, true);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_allocation_fails,
        every_allocation_fails_when_it_is_made,
        every_allocation_fails_when_it_is_stored,
        NULL,
    };
    return support_run("buckets_memory", tests);
}
