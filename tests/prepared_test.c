/* What a run needs besides its tensors: workspace, and what is prepared once for several runs. */
#include "tests/runtime_stub.h"

static fg_error error;
static fg_context *context;
static fg_problem *problem_of_test;
static fg_plan *plan;
static stub_run run;

/* Some memory, aligned to 64 bytes and full of something. */
static _Alignas(64) char workspace[1024], prepared[512];

/* fg_prepare writes 7 to the region `classes` of 65 b bytes, fg_kernel copies it to o[0], by way of the region
 * `parts`. o[1] counts the runs of fg_prepare. */
static void begin(const char *line)
{
    fg_context_options o = stub_options();
    o.threads = 1;
    snprintf(
        stub_text, sizeof stub_text, "%s",
        "struct args { double *o, *classes, *parts; };\n"
        "void fg_prepare(const struct args *a, void *scratch, long long first, long long last)\n"
        "{\n    a->classes[0] = 7;\n    a->o[1] += 1;\n}\n"
        "void fg_kernel(const struct args *a, void *scratch, long long first, long long last)\n"
        "{\n    a->parts[0] = a->classes[0];\n    a->o[0] = a->parts[0];\n"
        "    *(double *)scratch = -1;\n}\n");
    stub_prepares = true;
    stub_scratch = "8";
    stub_add_region("parts", "100", false);
    stub_add_region("classes", "65 * b", true);
    stub_add_slot(SLOT_pointer, "o", 0);
    stub_add_slot(SLOT_region, "classes", 0);
    stub_add_slot(SLOT_region, "parts", 0);
    context = stub_context(&o);
    problem_of_test = stub_problem(context, line);
    plan = stub_plan(context, problem_of_test);
    stub_run_new(&run, problem_of_test, 2);
    memset(workspace, 0xff, sizeof workspace);
    memset(prepared, 0xff, sizeof prepared);
}

static void end(void)
{
    stub_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(problem_of_test);
    fg_context_free(context);
}

static const double *output(void)
{
    return run.args.o->data;
}

static void give(size_t workspace_bytes, size_t prepared_bytes)
{
    run.args.workspace = workspace;
    run.args.workspace_bytes = workspace_bytes;
    run.args.prepared = prepared_bytes ? prepared : NULL;
    run.args.prepared_bytes = prepared_bytes;
}

typedef fg_status (*call)(const fg_plan *, const fg_args *, fg_error *);

static void works(call what)
{
    error.text[0] = 0;
    fg_status status = what(plan, &run.args, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
}

static void refuses(call what, const char *sentence)
{
    double before[2] = { output()[0], output()[1] };
    ck_assert_int_eq(what(plan, &run.args, &error), FG_WORKSPACE);
    ck_assert_int_eq(error.status, FG_WORKSPACE);
    ck_assert_str_eq(error.text, sentence);
    ck_assert_mem_eq(output(), before, sizeof before);
}

#define LINE "dtype=f64 b=2 hq=1 sq=2 d=4"
enum {
    region = 192,
    stamp = 64, /* before what a caller keeps */
    all_prepared = stamp + region,
    own = 128 + 64, /* parts, scratch */
    whole = own + region
};

START_TEST(bytes_are_told)
{
    size_t bytes = 0;
    begin(LINE);
    ck_assert_int_eq(fg_plan_workspace(plan, NULL, &bytes, &error), FG_OK);
    ck_assert_uint_eq(bytes, whole);
    ck_assert_int_eq(fg_plan_prepared(plan, NULL, &bytes, &error), FG_OK);
    ck_assert_uint_eq(bytes, all_prepared);
    end();
}
END_TEST

START_TEST(a_run_prepares_for_itself)
{
    begin(LINE);
    give(whole, 0);
    works(fg_run);
    ck_assert(output()[0] == 7 && output()[1] == 1);
    for (size_t k = whole; k < sizeof workspace; k++) ck_assert_int_eq(workspace[k], -1);
    give(whole - 1, 0);
    refuses(fg_run, "the workspace has 383 bytes: this run needs 384");
    give(whole, 0);
    run.args.workspace = workspace + 8;
    refuses(fg_run, "the workspace must be aligned to 64 bytes");
    run.args.workspace = NULL;
    refuses(fg_run, "the workspace has 0 bytes: this run needs 384");
    end();
}
END_TEST

START_TEST(what_is_prepared_is_used_again)
{
    begin(LINE);
    give(own, all_prepared);
    works(fg_plan_prepare);
    ck_assert(output()[0] == 0 && output()[1] == 1);
    double *first = (double *)(void *)(prepared + stamp);
    ck_assert_double_eq(*first, 7);
    *first = 9;
    works(fg_run);
    works(fg_run);
    ck_assert(output()[0] == 9 && output()[1] == 1);
    for (size_t k = all_prepared; k < sizeof prepared; k++) ck_assert_int_eq(prepared[k], -1);
    for (size_t k = own; k < sizeof workspace; k++) ck_assert_int_eq(workspace[k], -1);
    end();
}
END_TEST

START_TEST(what_is_prepared_has_its_size)
{
    static const call calls[] = { fg_run, fg_plan_prepare };
    begin(LINE);
    for (int k = 0; k < 2; k++) {
        give(own, all_prepared - 1);
        refuses(calls[k], "what is prepared has 255 bytes: this run needs 256");
        give(own, all_prepared);
        run.args.prepared = prepared + 32;
        refuses(calls[k], "what is prepared must be aligned to 64 bytes");
        give(own - 1, all_prepared);
        refuses(calls[k], "the workspace has 191 bytes: this run needs 192");
    }
    give(whole, 0);
    refuses(fg_plan_prepare, "what is prepared has 0 bytes: this run needs 256");
    end();
}
END_TEST

/* By another plan, for other sizes, or by nobody. */
START_TEST(what_another_prepared_is_refused)
{
    begin(LINE);
    give(own, all_prepared);
    works(fg_plan_prepare);
    prepared[0] ^= 1;
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_REQUEST);
    ck_assert_str_eq(error.text,
                     "what is prepared is not by fg_plan_prepare of this plan for these "
                     "sizes and this window");
    end();
}
END_TEST

/* A problem with nothing to prepare takes what is given for it, and leaves it. */
START_TEST(nothing_to_prepare)
{
    stub_tasks = "b";
    begin("dtype=f64 b=* hq=1 sq=* sk=2 d=4");
    run.args.q->shape[0] = run.args.k->shape[0] = run.args.v->shape[0] = run.args.o->shape[0] = 0;
    give(own, 1);
    run.args.prepared = prepared + 1;
    works(fg_plan_prepare);
    for (size_t k = 0; k < sizeof prepared; k++) ck_assert_int_eq(prepared[k], -1);
    end();
}
END_TEST

START_TEST(bytes_of_sizes_that_a_run_says)
{
    size_t bytes = 0;
    fg_dims dims = FG_DIMS_INIT;
    stub_add_region("rows", "64 * total_q", false);
    begin("dtype=f64 b=* hq=1 sq=* sk=* d=4 lens=packed");
    dims.b = 2;
    dims.sq = 10;
    dims.total_q = 5;
    ck_assert_int_eq(fg_plan_workspace(plan, &dims, &bytes, &error), FG_OK);
    ck_assert_uint_eq(bytes, whole + 5 * 64);
    dims.total_q = -1; /* b sq */
    ck_assert_int_eq(fg_plan_workspace(plan, &dims, &bytes, &error), FG_OK);
    ck_assert_uint_eq(bytes, whole + 20 * 64);
    ck_assert_int_eq(fg_plan_workspace(plan, NULL, &bytes, &error), FG_OK);
    ck_assert_uint_eq(bytes, (UINT64_C(1) << 20) * 65 + own + (UINT64_C(1) << 54));
    dims.b = INT64_C(1) << 40;
    ck_assert_int_eq(fg_plan_workspace(plan, &dims, &bytes, &error), FG_REQUEST);
    ck_assert_str_eq(error.text,
                     "fg_dims.b is 1099511627776: it must be 0 to 1048576, or -1 for any");
    dims.b = 2;
    dims.total_k = INT64_MAX;
    ck_assert_int_eq(fg_plan_prepared(plan, &dims, &bytes, &error), FG_REQUEST);
    ck_assert_str_eq(error.text,
                     "fg_dims.total_k is 9223372036854775807: it must be 0 to 1099511627776, or "
                     "-1 for any");
    dims.total_k = -2;
    ck_assert_int_eq(fg_plan_workspace(plan, &dims, &bytes, &error), FG_REQUEST);
    end();
}
END_TEST

/* What is said already is not looked at. */
START_TEST(bytes_of_sizes_that_the_problem_says)
{
    size_t said = 0, bytes = 0;
    fg_dims dims = FG_DIMS_INIT;
    begin("dtype=f64 b=2 hq=1 sq=3 sk=2 d=4");
    ck_assert_int_eq(fg_plan_workspace(plan, NULL, &said, &error), FG_OK);
    dims.b = INT64_C(1) << 40;
    dims.sq = -2;
    dims.sk = dims.total_q = INT64_MAX;
    ck_assert_int_eq(fg_plan_workspace(plan, &dims, &bytes, &error), FG_OK);
    ck_assert_uint_eq(bytes, said);
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        bytes_are_told,
        a_run_prepares_for_itself,
        what_is_prepared_is_used_again,
        what_is_prepared_has_its_size,
        what_another_prepared_is_refused,
        nothing_to_prepare,
        bytes_of_sizes_that_a_run_says,
        bytes_of_sizes_that_the_problem_says,
        NULL,
    };
    return support_run("prepared", tests);
}
