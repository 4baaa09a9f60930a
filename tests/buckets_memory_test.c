/* Problems with `*`: every allocation of a plan fails once, and for good. */
#include "tests/buckets_stub.h"

/* ---- Failing on purpose ---- */

static const char *path; /* of the store; "": there is none */

/* On one thread, so that allocations come in one order. */
static fg_status plan_with(failing *f)
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

static void damage_store(void)
{
    damage("estimate", 0);
    damage("kernel", 0);
}

/* With a store, what it misses for want of memory is made anew, or the memory is missed there, too. */
static void fail_all(const char *where, void (*before)(void))
{
    stub_is_number();
    fg_context_free(numbering(true));
    stub_compiler_make();
    path = where;
    failing_all(&(failing_way){ plan_with, before, NULL, &error, .mended = *where != 0 }, 31);
}

START_TEST(every_allocation_fails)
{
    fail_all("", NULL);
}
END_TEST

START_TEST(every_allocation_fails_when_it_is_made)
{
    fail_all(store_folder, damage_store);
}
END_TEST

START_TEST(every_allocation_fails_when_it_is_stored)
{
    fail_all(store_folder, NULL);
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
