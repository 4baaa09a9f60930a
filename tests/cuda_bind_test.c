/* What a run on a GPU is given: tensors, streams, workspaces and lengths, right or wrong. */
#include "tests/cuda_stub.h"

/* ---- Bad input ---- */

START_TEST(tensors_elsewhere)
{
    scene s, other;
    double here[1024] = { 0 };
    scene_new(&s, "cuda", 1);
    scene_new(&other, "cuda:1", 1);
    DLTensor *q = &s.run.run.tensor[0];
    const DLTensor right = *q;
    q->device = (DLDevice){ 1, 0 };
    refuses(scene_run(&s), FG_REQUEST, "q is on device type 1: it must be on cuda:0 (2)");
    q->device = (DLDevice){ 2, 1 };
    refuses(scene_run(&s), FG_REQUEST, "q is on cuda:1: this plan runs on cuda:0");
    *q = right;
    q->data = here;
    refuses(scene_run(&s), FG_REQUEST, "q is in the host's memory: this plan runs on cuda:0");
    q->data = other.run.run.tensor[0].data;
    refuses(scene_run(&s), FG_REQUEST, "q is in the memory of cuda:1: this plan runs on cuda:0");
    *q = right;
    q->byte_offset = 8;
    refuses(scene_run(&s), FG_REQUEST, "q is not aligned to 16 bytes");
    *q = right;
    ck_assert_int_eq(fake()->launches, 0);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    scene_free(&s);
    scene_free(&other);
}
END_TEST

/* A tensor without elements has none to be anywhere. */
START_TEST(empty_tensors)
{
    cuda_run run;
    cuda_is_number(3);
    stub_add_slot(SLOT_pointer, "k", 0);
    fg_context *context = gpu_context("cuda");
    fg_problem *p = stub_problem(context, "dtype=f64 b=1 hq=4 sq=64 sk=0 d=4");
    fg_plan *plan = stub_plan(context, p);
    cuda_run_new(&run, context, p);
    run.run.tensor[1].data = run.run.tensor[2].data = NULL;
    ck_assert_int_eq(fg_run(plan, &run.run.args, &error), FG_OK);
    ck_assert(fake()->last.parameter[1] == (int64_t)context->gpu->zeros);
    ck_assert_int_eq(*(const int *)(uintptr_t)context->gpu->zeros, 0);
    cuda_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(streams)
{
    scene s;
    scene_new(&s, "cuda", 1);
    s.run.run.args.stream = fake()->stream;
    ck_assert_int_eq(scene_run(&s), FG_OK);
    ck_assert_ptr_eq(fake()->last.stream, fake()->stream);
    s.run.run.args.stream = fake()->foreign_stream;
    refuses(scene_run(&s), FG_REQUEST, "the stream is of another context than cuda:0's primary");
    scene_free(&s);
    fg_context *host = stub_context(NULL);
    stub_threads = 0;
    stub_is_number();
    fg_problem *p = stub_problem(host, LINE);
    fg_plan *plan = stub_plan(host, p);
    fg_args args = FG_ARGS_INIT;
    args.stream = fake();
    refuses(fg_run(plan, &args, &error), FG_REQUEST, "a stream was given");
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(host);
}
END_TEST

START_TEST(workspaces)
{
    cuda_run run;
    char here[4096 + 64];
    cuda_is_number(3);
    stub_add_region("part", "4096", false);
    stub_add_region("kept", "256", true);
    stub_add_slot(SLOT_region, "part", 0);
    stub_add_slot(SLOT_region, "kept", 0);
    stub_prepares = true;
    fg_context *context = gpu_context("cuda");
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = stub_plan(context, p);
    cuda_run_new(&run, context, p);
    fg_args *args = &run.run.args;
    char *block = run.run.tensor[0].data; /* there is room behind q */
    refuses(fg_run(plan, args, &error), FG_WORKSPACE, "this run needs 4352");
    args->workspace = here + 64 - (uintptr_t)here % 64;
    args->workspace_bytes = 4352;
    refuses(fg_run(plan, args, &error), FG_REQUEST, "the workspace is in the host's memory");
    args->workspace = block + 16384;
    ck_assert_int_eq(fg_run(plan, args, &error), FG_OK);
    ck_assert_int_eq(fake()->launches, 2);
    args->prepared = args->workspace;
    args->prepared_bytes = 256 + run_stamp_bytes;
    args->workspace = block + 32768;
    args->workspace_bytes = 4096;
    ck_assert_int_eq(fg_plan_prepare(plan, args, &error), FG_OK);
    ck_assert_int_eq(fake()->launches, 3);
    ck_assert_int_eq(fg_run(plan, args, &error), FG_OK);
    ck_assert_int_eq(fake()->launches, 4);
    ck_assert(fake()->last.parameter[2] == (int64_t)(intptr_t)args->prepared + run_stamp_bytes);
    args->prepared = here + 64 - (uintptr_t)here % 64;
    refuses(fg_run(plan, args, &error), FG_REQUEST, "what is prepared is in the host's memory");
    cuda_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(launches_that_fail)
{
    scene s;
    scene_new(&s, "cuda", 1);
    fake_fail("cuLaunchKernelEx", 1, 719);
    refuses(scene_run(&s), FG_MACHINE, "launching the kernel: CUDA_ERROR_LAUNCH_FAILED");
    fake_fail("cuLaunchKernelEx", 1, 2);
    refuses(scene_run(&s), FG_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY");
    fake()->fail_symbol = NULL;
    ck_assert_int_eq(scene_run(&s), FG_OK);
    scene_free(&s);
    stub_scratch = "300000";
    scene_new(&s, "cuda", 1);
    refuses(scene_run(&s), FG_MACHINE, "shared memory: cuda:0 has 232448 for one");
    scene_free(&s);
    stub_scratch = "0";
    stub_tasks = "b * 2147483648";
    scene_new(&s, "cuda", 1);
    refuses(scene_run(&s), FG_REQUEST, "2147483648 blocks");
    scene_free(&s);
}
END_TEST

/* The host has no kernels for GPUs, and the other way round. */
START_TEST(steps_of_another_machine)
{
    fg_plan *plan;
    cuda_is_number(1);
    stub_threads = 0;
    fg_context *context = gpu_context("cuda");
    fg_problem *p = stub_problem(context, LINE);
    refuses(fg_plan_new(&plan, context, p, NULL, &error), FG_INTERNAL, "none of target cuda");
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(what_is_not_built)
{
    double rate;
    scene s;
    scene_new(&s, "cuda", 1);
    refuses(fg_context_peak(s.context, &rate, &error), FG_UNSUPPORTED, "cuda:0");
    scene_free(&s);
}
END_TEST

/* ---- Lengths that are not read ---- */

typedef struct lengths_case {
    const char *line;
    int64_t sq, sk, total_q; /* as recipes see them */
} lengths_case;

START_TEST(lengths_on_a_device)
{
    static const lengths_case cases[] = {
        { "dtype=f64 b=2 hq=1 sq=8 d=4 lens=padded", 8, 8, 16 },
        { "dtype=f64 b=2 hq=1 sq=8 d=4 lens=packed", 8, 8, 3 },
        { "dtype=f64 b=2 hq=1 sq=* sk=* d=4 lens=packed", 3, 3, 3 },
        { "dtype=f64 b=2 hq=1 sq=8 sk=* d=4 page=4", 8, 12, 16 },
        { "dtype=f64 b=2 hq=1 sq=8 sk=* d=4 page=4 lens=packed", 8, 12, 3 },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        cuda_run run;
        cuda_is_number(1);
        stub_add_slot(SLOT_recipe, "sq", 0);
        stub_add_slot(SLOT_recipe, "sk", 0);
        stub_add_slot(SLOT_recipe, "total_q", 0);
        fg_context *context = gpu_context("cuda");
        fg_problem *p = stub_problem(context, cases[k].line);
        fg_plan *plan = stub_plan(context, p);
        stub_run_new(&run.run, p, 3);
        stub_run_free(&run.run);
        cuda_run_new(&run, context, p);
        for (int t = 0; t < run.run.count; t++) /* what `*` stands for */
            for (int n = 0; n < run.run.tensor[t].ndim; n++) {
                fg_tensor_info info;
                fg_problem_tensor(p, (size_t)t, &info);
                if (info.shape[n] < 0) run.run.shape[t][n] = 3;
                run.run.tensor[t].strides = NULL;
            }
        fg_status status = fg_run(plan, &run.run.args, &error);
        ck_assert_msg(status == FG_OK, "%s: %s", cases[k].line, error.text);
        ck_assert_int_eq((int)fake()->last.parameter[1], (int)cases[k].sq);
        ck_assert_int_eq((int)fake()->last.parameter[2], (int)cases[k].sk);
        ck_assert_int_eq((int)fake()->last.parameter[3], (int)cases[k].total_q);
        cuda_run_free(&run);
        fg_plan_free(plan);
        fg_problem_free(p);
        fg_context_free(context);
    }
}
END_TEST

/* The workspace is as large as the run will say that it must be. */
START_TEST(workspace_of_unread_lengths)
{
    static const struct {
        const char *line;
        int64_t longest, total; /* in dims; total -1: left out */
        int64_t rows;           /* of tensors */
        bool exact;
    } cases[] = {
        { "dtype=f64 b=2 hq=1 sq=* sk=* d=4 lens=packed", 2, 3, 3, true },
        { "dtype=f64 b=2 hq=1 sq=* sk=* d=4 lens=packed", 2, -1, 3, false },
        { "dtype=f64 b=* hq=1 sq=* sk=* d=4 lens=packed", 2, 3, 3, true },
        { "dtype=f64 b=2 hq=1 sq=8 sk=* d=4 lens=packed", 2, 3, 3, true },
        /* what a tensor's shape says of the longest, though all are shorter */
        { "dtype=f64 b=2 hq=1 sq=* sk=* d=4 lens=packed bias=11QK", 5, 3, 3, true },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        cuda_run run;
        size_t bytes = 0;
        fg_dims dims = FG_DIMS_INIT;
        cuda_is_number(1);
        stub_regions = 0;
        stub_add_region("part", "sq * 64 + sk * 1024", false);
        stub_add_slot(SLOT_region, "part", 0);
        fg_context *context = gpu_context("cuda");
        fg_problem *p = stub_problem(context, cases[k].line);
        fg_plan *plan = stub_plan(context, p);
        cuda_run_new(&run, context, p);
        for (int t = 0; t < run.run.count; t++) {
            const bool bias = &run.run.tensor[t] == run.run.args.bias;
            run.run.tensor[t].strides = NULL;
            if (bias) run.run.shape[t][2] = run.run.shape[t][3] = cases[k].longest;
            if (!bias) run.run.shape[t][0] = cases[k].rows; /* all sequences', or b + 1 */
        }
        dims.b = 2;
        dims.sq = dims.sk = cases[k].longest;
        dims.total_q = dims.total_k = cases[k].total;
        ck_assert_int_eq(fg_plan_workspace(plan, &dims, &bytes, &error), FG_OK);
        run.run.args.workspace = (char *)run.run.tensor[0].data + 16384;
        run.run.args.workspace_bytes = bytes;
        fg_status status = fg_run(plan, &run.run.args, &error);
        ck_assert_msg(status == FG_OK, "%s: %s", cases[k].line, error.text);
        run.run.args.workspace_bytes = bytes - 1;
        if (cases[k].exact)
            refuses(fg_run(plan, &run.run.args, &error), FG_WORKSPACE, "this run needs ");
        dims.sk = -2;
        refuses(fg_plan_workspace(plan, &dims, &bytes, &error), FG_REQUEST, "fg_dims.sk is -2");
        cuda_run_free(&run);
        fg_plan_free(plan);
        fg_problem_free(p);
        fg_context_free(context);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        tensors_elsewhere,
        empty_tensors,
        streams,
        workspaces,
        launches_that_fail,
        steps_of_another_machine,
        what_is_not_built,
        lengths_on_a_device,
        workspace_of_unread_lengths,
        NULL,
    };
    return support_run("cuda_bind", tests);
}
