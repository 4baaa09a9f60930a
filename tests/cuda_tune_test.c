/* Searches on GPUs that only seem to be there. */
/* ctest: timeout=300 */
#include "tests/tune_stub.h"

#include "tests/cuda_stub.h"

#include <unistd.h>

/* ---- Workers without a GPU ---- */

/* The driver that workers are given is another, of a name that says how it fails; or none. */
static void give_workers(fg_context *context, const char *failure)
{
    char path[200];
    const memory *m = &context->memory;
    if (!*folder) in_folder();
    snprintf(path, sizeof path, "%s/fail-%s.so", folder, failure);
    if (*failure) ck_assert_int_eq(symlink(FLASHGEN_FAKE_CUDA, path), 0);
    memory_free(m, context->cuda_driver, strlen(context->cuda_driver) + 1);
    context->cuda_driver = memory_text(m, path, strlen(path));
}

static const struct {
    const char *failure;
    fg_status status;
    const char *says;
} starts[] = {
    { "", FG_MACHINE, "no CUDA device here" },
    { "cuInit-1-1-100", FG_MACHINE, "no CUDA device here: cuInit" },
    { "cuDevicePrimaryCtxRetain-1-1-46", FG_MACHINE, "starting CUDA on the GPU" },
    { "cuMemAlloc_v2-1-1-2", FG_MEMORY, "allocating on the GPU: CUDA_ERROR_OUT_OF_MEMORY" },
    { "cuMemAlloc_v2-9-1-2", FG_MEMORY, "allocating on the GPU: CUDA_ERROR_OUT_OF_MEMORY" },
    { "cuMemcpyAsync-3-1-719", FG_MACHINE, "copying: CUDA_ERROR_LAUNCH_FAILED" },
};

START_TEST(a_worker_without_a_gpu)
{
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        tried t;
        fg_context_options o = cuda_options("cuda");
        tried_new(&t, &o);
        tune_space((const int[]){ CUDA_FAULT_none }, 1);
        give_workers(t.context, starts[k].failure);
        refuses(tried_tune(&t), starts[k].status, starts[k].says);
        tried_free(&t);
        ck_assert_int_eq(fake()->device[0].retained, 0);
    }
}
END_TEST

/* ---- Memory ---- */

/* Allocation number `at` of a search in this process fails. */
static fg_status tune_with(failing *f, bool worker)
{
    static const int faults[] = { CUDA_FAULT_none, CUDA_FAULT_wrong_sampled, CUDA_FAULT_none };
    tried t;
    const long at = f->at;
    fg_context_options o = cuda_options("cuda");
    o.allocate = failing_allocate;
    o.allocate_user = f;
    o.threads = 2;
    f->at = 0; /* not while its context is made */
    tried_new(&t, &o);
    tune_space(faults, 3);
    t.options.in_process = !worker;
    f->at = at ? f->count + at : 0;
    fg_status status = tried_tune(&t);
    tried_free(&t);
    return status;
}

START_TEST(out_of_memory)
{
    for (int worker = 0; worker < 2; worker++) {
        fg_status status = FG_MEMORY;
        int failures = 0;
        long at = 1, reached = 1;
        for (; reached; at += 1 + at / 5) {
            failing f = { .at = at };
            status = tune_with(&f, worker);
            reached = f.count >= f.at;
            failures += status == FG_MEMORY;
            ck_assert_msg(status == FG_MEMORY || status == FG_OK, "%ld: %s", at, error.text);
            ck_assert_int_eq(f.blocks, 0);
            ck_assert_uint_eq(f.bytes, 0);
            ck_assert_int_eq(fake()->allocated, 0);
        }
        ck_assert_int_eq(status, FG_OK);
        ck_assert_int_gt(failures, 10);
    }
}
END_TEST

/* ---- Searches ---- */

static fg_context_options stored_options(void)
{
    fg_context_options o = tried_options();
    const fg_context_options gpu = cuda_options("cuda");
    o.device = gpu.device;
    o.cuda_driver = gpu.cuda_driver;
    o.nvrtc = gpu.nvrtc;
    o.threads = 2;
    return o;
}

static void assert_stored(void)
{
    fg_plan *plan;
    fg_plan_info info;
    fg_plan_options how = FG_PLAN_OPTIONS_INIT;
    tried t;
    cuda_run run;
    const fg_context_options o = stored_options();
    tried_new(&t, &o);
    how.rigor = FG_STORED;
    const int compiled = fake()->compiled;
    ck_assert_msg(fg_plan_new(&plan, t.context, t.problem, &how, &error) == FG_OK, "%s",
                  error.text);
    fg_plan_config(plan, &info);
    ck_assert_str_eq(info.config, "fault=0 n=2");
    ck_assert_int_eq(info.source, FG_FROM_STORE);
    ck_assert_int_eq(fake()->compiled, compiled);
    tried_must(&t, true);
    cuda_run_new(&run, t.context, t.problem);
    void *workspace;
    ck_assert_int_eq(fg_memory_new(&workspace, t.context, 1024, &error), FG_OK);
    run.run.args.workspace = workspace;
    run.run.args.workspace_bytes = 1024;
    ck_assert_msg(fg_run(plan, &run.run.args, &error) == FG_OK, "%s", error.text);
    fg_memory_free(t.context, workspace);
    cuda_run_free(&run);
    fg_plan_free(plan);
    tried_free(&t);
}

START_TEST(a_search)
{
    static const int faults[] = {
        CUDA_FAULT_wrong_sampled,
        CUDA_FAULT_crash,
        CUDA_FAULT_none,
        CUDA_FAULT_slow,
        CUDA_FAULT_input,
        CUDA_FAULT_hang,
        CUDA_FAULT_workspace_behind,
        FAULT_uncompiled,
    };
    enum { count = sizeof faults / sizeof *faults };
    tried t;
    choice c;
    const fg_context_options o = stored_options();
    tried_new(&t, &o);
    tune_space(faults, count);
    t.options.rigor = FG_MEASURE;
    t.options.seconds = 40;
    tried_must(&t, false);
    ck_assert_str_eq(t.report.config, "fault=0 n=2");
    ck_assert_int_eq(t.report.rejected, count - 2);
    ck_assert_int_eq(t.report.measured, 2);
    ck_assert_ptr_nonnull(strstr(t.told.text, "n=1: waiting for the GPU: CUDA_ERROR_ILLEGAL"));
    ck_assert_ptr_nonnull(strstr(t.told.text, "n=5: hung"));
    ck_assert_ptr_nonnull(strstr(t.told.text, "n=7: "));
    ck_assert(tried_stored(&t, STORE_winner, &c));
    ck_assert_str_eq(c.config, "fault=0 n=2");
    tried_free(&t);
    assert_stored();
    ck_assert_int_eq(fake()->allocated, 0);
}
END_TEST

START_TEST(an_architecture_alone_tunes_nothing)
{
    tried t;
    fg_context_options o = cuda_options("sm_90");
    tried_new(&t, &o);
    refuses(tried_tune(&t), FG_MACHINE, "it has no GPU to run on");
    tried_free(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_worker_without_a_gpu, out_of_memory, a_search, an_architecture_alone_tunes_nothing, NULL,
    };
    return support_run("cuda_tune", tests);
}
