/* Every allocation of the runtime fails; the machine's peak. */
#include "tests/runtime_stub.h"

#define LINE "dtype=f64 b=1 hq=4 sq=64 d=4"

static fg_error error;

/* All that a host does until it runs. */
static fg_status whole_way(failing *f)
{
    fg_context_options o = stub_options();
    fg_context *context = NULL;
    fg_problem *p = NULL;
    fg_plan *plan = NULL;
    fg_device_info info;
    char *source = NULL;
    o.allocate = failing_allocate;
    o.allocate_user = f;
    o.templates = "/no/such/folder";
    fg_status status = fg_context_new(&context, &o, &error);
    if (status != FG_OK) goto out;
    context->maker = &stub_maker;
    if ((status = fg_context_device(context, &info, &error)) != FG_OK) goto out;
    if ((status = fg_problem_parse(&p, context, LINE, &error)) != FG_OK) goto out;
    if ((status = fg_emit(&source, context, p, NULL, &error)) != FG_OK) goto out;
    status = fg_plan_new(&plan, context, p, NULL, &error);
out:
    ck_assert((status == FG_OK) == (plan != NULL));
    fg_text_free(context, source);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
    return status;
}

START_TEST(every_allocation_fails)
{
    stub_is_number();
    stub_add_slot(SLOT_recipe, "b + 1", 0);
    failing_all(&(failing_way){ whole_way, .error = &error }, 11);
}
END_TEST

START_TEST(a_run_allocates_nothing)
{
    failing f = { .at = -1 };
    fg_context_options o = stub_options();
    counted c;
    o.allocate = failing_allocate;
    o.allocate_user = &f;
    stub_counts_tasks("sq");
    counted_new(&c, &o);
    long before = f.count;
    ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_OK);
    c.run.args.q = NULL;
    ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_REQUEST);
    ck_assert_int_eq((int)(f.count - before), 0);
    counted_free(&c);
}
END_TEST

/* ---- The machine's peak ---- */

static fg_status stub_peak(made **out, int64_t *flops, const maker_request *r, fg_error *why)
{
    stub_slots = 0;
    stub_add_slot(SLOT_int, "rounds", 0);
    stub_tasks = "threads";
    stub_scratch = "192";
    strcpy(stub_text,
           "void fg_peak(const long long *a, float *scratch, long long first, long long last)\n"
           "{\n    for (long long t = first; t < last; t++)\n"
           "        for (long long r = 0; r < 1000 * *a; r++)\n"
           "            for (int k = 0; k < 48; k++) scratch[k] = scratch[k] * 0.5f + %d;\n}\n");
    *flops = 48 * 2 * 1000;
    fg_status status = stub_make(out, r, why);
    if (status == FG_OK) strcpy((*out)->step[0].entry, "fg_peak");
    return status;
}

static const maker peak_maker = { .make = stub_make, .peak = stub_peak };

START_TEST(peak)
{
    double gflops = 0;
    fg_context_options o = stub_options();
    failing f = { .at = -1 };
    o.threads = 2;
    o.allocate = failing_allocate;
    o.allocate_user = &f;
    fg_context *context = stub_context(&o);
    context->maker = &peak_maker;
    ck_assert_int_eq(fg_context_peak(context, &gflops, &error), FG_OK);
    ck_assert_double_gt(gflops, 0.01);
    ck_assert_double_lt(gflops, 1e6);
    ck_assert_int_eq(fg_context_peak(context, NULL, &error), FG_REQUEST);
    fg_context_free(context);
    ck_assert_int_eq((int)f.blocks, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_allocation_fails,
        a_run_allocates_nothing,
        peak,
        NULL,
    };
    return support_run("runtime_memory", tests);
}
