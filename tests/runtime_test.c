/* Contexts, devices and plans. */
#include "tests/runtime_stub.h"

#include <math.h>
#include <sched.h>

#define LINE "dtype=f64 b=1 hq=4 sq=64 d=4"

static fg_error error;

/* ---- Contexts ---- */

START_TEST(options_are_checked)
{
    fg_context *context = (fg_context *)&error;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.size = 0;
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_REQUEST);
    ck_assert_ptr_null(context);
    o.size = sizeof o + 8;
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_REQUEST);
    o.size = sizeof o;
    o.threads = -1;
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_REQUEST);
    ck_assert_str_eq(error.text, "threads is -1: it must be 0 (all) to 4096");
    o.threads = 0;
    static const double bad[] = { 0, -1, 1e7, NAN };
    for (int k = 0; k < 4; k++) {
        o.compiler_seconds = bad[k];
        ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_REQUEST);
    }
    o.compiler_seconds = 1;
    o.isa = "sse9";
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_REQUEST);
    ck_assert_str_eq(
        error.text,
        "there is no instruction set \"sse9\": it is portable, avx2, avx512 or avx512bf16");
    ck_assert_int_eq(fg_context_new(NULL, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_context_new(&context, NULL, NULL), FG_OK);
    fg_context_free(context);
    fg_context_free(NULL);
}
END_TEST

START_TEST(device_facts)
{
    static const char *const isas[] = { "portable", "avx2", "avx512", "avx512bf16" };
    fg_device_info info, least;
    fg_context_options o = stub_options();
    fg_context *context = stub_context(NULL);
    ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
    ck_assert(info.name[0] != 0 && info.name[0] != ' ');
    ck_assert_int_ge(info.cores, 1);
    ck_assert_int_eq(info.threads, info.cores);
    ck_assert_int_ge((int)info.l1_bytes, 4096);
    ck_assert_int_ge((int)info.l2_bytes, 4096);
    ck_assert(strpbrk(info.compiler_version, "0123456789") != NULL);
    ck_assert_ptr_null(strchr(info.compiler_version, '\n'));
    int best = 0;
    while (strcmp(isas[best], info.isa) != 0) ck_assert_int_lt(++best, 4);
    for (int k = 0; k < 4; k++) { /* a limit is kept, or there is less */
        o.isa = isas[k];
        fg_context *limited = stub_context(&o);
        ck_assert_int_eq(fg_context_device(limited, &least, &error), FG_OK);
        ck_assert_str_eq(least.isa, isas[k < best ? k : best]);
        fg_context_free(limited);
    }
    fg_context_free(context);
}
END_TEST

START_TEST(one_processor)
{
    cpu_set_t one, all;
    fg_device_info info;
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    fg_context *context = stub_context(NULL);
    ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
    ck_assert_int_eq(info.cores, 1);
    fg_context_free(context);
}
END_TEST

/* The problem and the plan outlive their context's handle. */
START_TEST(lifetimes)
{
    stub_is_number();
    stub_number = 3;
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = stub_plan(context, p);
    stub_run run;
    stub_run_new(&run, p, 0);
    fg_context_free(context);
    fg_problem_free(p);
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_OK);
    ck_assert_double_eq(*(double *)run.args.o->data, 3);
    stub_run_free(&run);
    fg_plan_free(plan);
    fg_plan_free(NULL);
    fg_problem_free(NULL);
}
END_TEST

START_TEST(names_of_statuses)
{
    ck_assert_str_eq(fg_version(), "0.1.0");
    ck_assert_str_eq(fg_status_name(FG_OK), "FG_OK");
    ck_assert_str_eq(fg_status_name(FG_INTERNAL), "FG_INTERNAL");
    ck_assert_str_eq(fg_status_name((fg_status)99), "no status");
}
END_TEST

START_TEST(problems)
{
    fg_context *context = stub_context(NULL);
    fg_problem *p = (fg_problem *)&error;
    fg_tensor_info info;
    ck_assert_int_eq(fg_problem_parse(&p, context, "dtype=f32 b=1 nonsense=2", &error), FG_REQUEST);
    ck_assert_ptr_null(p);
    ck_assert_int_eq((int)error.position, 14);
    ck_assert_int_eq(fg_problem_parse(&p, context, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_problem_parse(&p, NULL, LINE, &error), FG_REQUEST);
    p = stub_problem(context, "layout=bhsd dtype=bf16 b=2 hq=4 hkv=2 sq=* sk=5 d=8 lse");
    ck_assert_int_eq(fg_problem_tensor(p, 1, &info), FG_OK);
    ck_assert_str_eq(info.name, "k");
    ck_assert_int_eq(info.dtype.code, 4);
    ck_assert_int_eq(info.dtype.bits, 16);
    ck_assert_int_eq((int)info.shape[1], 2);
    ck_assert_int_eq((int)info.shape[2], 5);
    ck_assert_int_eq(info.output, 0);
    ck_assert_int_eq(fg_problem_tensor(p, 4, &info), FG_OK);
    ck_assert_str_eq(info.name, "lse");
    ck_assert_int_eq(info.ndim, 3);
    ck_assert_int_eq((int)info.shape[2], -1);
    ck_assert_int_ne(info.output, 0);
    ck_assert_int_eq(fg_problem_tensor(p, 5, &info), FG_REQUEST);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Plans ---- */

START_TEST(plans_are_found_in_memory)
{
    fg_plan_info info;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    fg_plan *plan, *again, *pinned;
    stub_is_number();
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE),
               *same = stub_problem(context, "sq=64 d=4 hq=4 b=1 dtype=f64 hkv=4");
    plan = stub_plan(context, p);
    fg_plan_config(plan, &info);
    ck_assert_int_eq(info.source, FG_COMPILED);
    ck_assert_str_eq(info.target, "c");
    ck_assert_str_eq(info.schedule, "stub");
    ck_assert_double_gt(info.compile_seconds, 0);
    ck_assert_double_gt(info.load_seconds, 0);
    again = stub_plan(context, same);
    fg_plan_config(again, &info);
    ck_assert_int_eq(info.source, FG_FROM_MEMORY);
    ck_assert_double_eq(info.generate_seconds + info.compile_seconds + info.load_seconds, 0);
    ck_assert_ptr_eq(plan->kernel, again->kernel);
    o.config = "bm=3";
    ck_assert_int_eq(fg_plan_new(&pinned, context, p, &o, &error), FG_OK);
    fg_plan_config(pinned, &info);
    ck_assert_int_eq(info.source, FG_COMPILED);
    ck_assert_str_eq(info.config, "bm=3");
    fg_plan_free(plan);
    fg_plan_free(pinned);
    plan = stub_plan(context, p);
    ck_assert_ptr_eq(plan->kernel, again->kernel);
    fg_plan_free(plan);
    fg_plan_free(again);
    again = stub_plan(context, same); /* found although no plan of it was left */
    fg_plan_free(again);
    fg_problem_free(p);
    fg_problem_free(same);
    ck_assert_int_eq(atomic_load(&stub_made), 2);
    fg_context_free(context);
}
END_TEST

START_TEST(plan_requests_are_checked)
{
    fg_plan *plan = (fg_plan *)&error;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    o.rigor = (fg_rigor)9;
    ck_assert_int_eq(fg_plan_new(&plan, context, p, &o, &error), FG_REQUEST);
    ck_assert_ptr_null(plan);
    ck_assert_int_eq(fg_plan_new(&plan, context, NULL, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_plan_new(NULL, context, p, NULL, &error), FG_REQUEST);
    stub_is_number();
    strcpy(stub_text, "void another_name(void) { int unused = %d; }");
    ck_assert_int_eq(fg_plan_new(&plan, context, p, NULL, &error), FG_INTERNAL);
    ck_assert_str_eq(error.text, "the kernel has no function fg_kernel");
    context->maker = NULL;
    ck_assert_int_eq(fg_plan_new(&plan, context, p, NULL, &error), FG_UNSUPPORTED);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(emit)
{
    char *source = NULL;
    stub_is_number();
    stub_number = 5;
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    ck_assert_int_eq(fg_emit(&source, context, p, NULL, &error), FG_OK);
    ck_assert_ptr_nonnull(strstr(source, "a->o[0] = 5;"));
    fg_text_free(context, source);
    fg_text_free(context, NULL);
    ck_assert_int_eq(fg_emit(&source, context, NULL, NULL, &error), FG_REQUEST);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

static fg_status make_sizes(made **out, const maker_request *r, fg_error *e)
{
    const maker_sizes *s = &r->sizes;
    stub_number = (int)(s->b * 100000000 + s->sq * 10000 + s->sk);
    return stub_make(out, r, e);
}

static const maker sizes_maker = { .make = make_sizes, .hash = stub_hash };

/* The maker is asked for the greatest sizes of a bucket, or for what is usual. */
START_TEST(emit_chooses_for_sizes)
{
    static const struct {
        int64_t b, sq, sk;
        const char *asked;
    } cases[] = {
        { 3, 17, 1, "a->o[0] = 400320001;" },
        { -1, 1, -1, "a->o[0] = 10000;" },
        { -1, -1, -1, "a->o[0] = 0;" },
    };
    fg_emit_options o = FG_EMIT_OPTIONS_INIT;
    fg_dims sizes = FG_DIMS_INIT;
    char *source = NULL;
    stub_is_number();
    fg_context *context = stub_context(NULL);
    context->maker = &sizes_maker;
    fg_problem *p = stub_problem(context, "dtype=f64 b=* hq=4 sq=* sk=* d=4");
    o.sizes = &sizes;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        sizes.b = cases[k].b, sizes.sq = cases[k].sq, sizes.sk = cases[k].sk;
        ck_assert_int_eq(fg_emit(&source, context, p, &o, &error), FG_OK);
        ck_assert_msg(strstr(source, cases[k].asked) != NULL, "no '%s' in %s", cases[k].asked,
                      source);
        fg_text_free(context, source);
    }
    sizes.sq = 0;
    ck_assert_int_eq(fg_emit(&source, context, p, &o, &error), FG_REQUEST);
    ck_assert_str_eq(error.text, "fg_dims.sq is 0: it must be 1 to 268435456");
    ck_assert_ptr_null(source);
    o.size = offsetof(fg_emit_options, sizes); /* a caller from before they were there */
    ck_assert_int_eq(fg_emit(&source, context, p, &o, &error), FG_OK);
    fg_text_free(context, source);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(workspace)
{
    fg_context_options o = stub_options();
    size_t bytes = 0;
    stub_run run;
    stub_is_number();
    stub_scratch = "sq + 1";
    o.threads = 3;
    fg_context *context = stub_context(&o);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = stub_plan(context, p);
    ck_assert_int_eq(fg_plan_workspace(plan, NULL, &bytes, &error), FG_OK);
    ck_assert_int_eq((int)bytes, 3 * 128); /* 65 bytes a worker, each on cache lines of its own */
    stub_run_new(&run, p, 0);
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_WORKSPACE);
    ck_assert_str_eq(error.text, "the workspace has 0 bytes: this run needs 384");
    char *block = aligned_alloc(64, 448);
    run.args.workspace = block;
    run.args.workspace_bytes = 383;
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_WORKSPACE);
    run.args.workspace_bytes = 384;
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_OK);
    run.args.workspace = block + 32;
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_WORKSPACE);
    free(block);
    stub_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* Enough for whatever a `*` turns out to be. */
START_TEST(workspace_of_dynamic_dims)
{
    fg_context_options o = stub_options();
    size_t bytes = 0;
    o.threads = 1;
    stub_is_number();
    stub_scratch = "min(sk, 1000) * 64";
    fg_context *context = stub_context(&o);
    fg_problem *p = stub_problem(context, "dtype=f64 b=* hq=4 sq=* sk=* d=4");
    fg_plan *plan = stub_plan(context, p);
    ck_assert_int_eq(fg_plan_workspace(plan, NULL, &bytes, &error), FG_OK);
    ck_assert_int_eq((int)bytes, 64000);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Log ---- */

static void keep_log(void *user, fg_log_level level, const char *sentence)
{
    snprintf(user, 200, "%d %s", (int)level, sentence);
}

START_TEST(log_says_what_was_compiled)
{
    char said[200] = "";
    fg_context_options o = stub_options();
    o.log = keep_log;
    o.log_user = said;
    stub_is_number();
    fg_context *context = stub_context(&o);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan_free(stub_plan(context, p));
    ck_assert_msg(strncmp(said, "1 compiled b=1 d=4 dtype=f64", 28) == 0, "%s", said);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        options_are_checked,
        device_facts,
        one_processor,
        lifetimes,
        names_of_statuses,
        problems,
        plans_are_found_in_memory,
        plan_requests_are_checked,
        emit,
        emit_chooses_for_sizes,
        workspace,
        workspace_of_dynamic_dims,
        log_says_what_was_compiled,
        NULL,
    };
    return support_run("runtime", tests);
}
