/* Contexts, plans and runs on GPUs, with a driver and a compiler that only seem to be there. */
/* ctest: labels=threads */
#include "tests/cuda_stub.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE "dtype=f64 b=1 hq=4 sq=64 d=4"

static fg_error error;

/* A plan of a number, and what it runs on. */
typedef struct scene {
    fg_context *context;
    fg_problem *problem;
    fg_plan *plan;
    cuda_run run;
} scene;

static void scene_new(scene *s, const char *device, int number)
{
    cuda_is_number(number);
    s->context = gpu_context(device);
    s->problem = stub_problem(s->context, LINE);
    s->plan = stub_plan(s->context, s->problem);
    cuda_run_new(&s->run, s->context, s->problem);
}

static void scene_free(scene *s)
{
    cuda_run_free(&s->run);
    fg_plan_free(s->plan);
    fg_problem_free(s->problem);
    fg_context_free(s->context);
}

static fg_status scene_run(scene *s)
{
    return fg_run(s->plan, &s->run.run.args, &error);
}

/* Of the sentence, what tells this failure from others. */
static void refuses(fg_status status, fg_status wanted, const char *part)
{
    ck_assert_msg(status == wanted, "%s: %s", fg_status_name(status), error.text);
    ck_assert_msg(strstr(error.text, part) != NULL, "%s", error.text);
}

/* ---- Contexts ---- */

START_TEST(facts_of_a_gpu)
{
    fg_device_info info;
    fg_context *context = gpu_context("cuda:1");
    ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
    ck_assert_str_eq(info.name, "Fake A100");
    ck_assert_str_eq(info.isa, "sm_80");
    ck_assert_str_eq(info.target, "cuda");
    ck_assert_str_eq(info.device, "cuda:1");
    ck_assert_str_eq(info.compiler_version, "NVRTC 13.0");
    ck_assert_msg(strncmp(info.flags, "--gpu-architecture=sm_80 ", 25) == 0, "%s", info.flags);
    ck_assert_int_eq(info.cores, 108);
    ck_assert_int_eq(info.threads, 108);
    ck_assert_int_eq((int)info.l1_bytes, 228 << 10);
    ck_assert_int_eq((int)info.l2_bytes, 50 << 20);
    const maker_device d = context_maker_device(context);
    ck_assert(d.gpu);
    ck_assert_int_eq((int)d.shared_bytes, 227 << 10);
    ck_assert_int_eq(d.registers, 65536);
    ck_assert_str_eq(d.compiler, "nvrtc");
    fg_context_free(context);
}
END_TEST

START_TEST(facts_of_an_architecture)
{
    fg_device_info info;
    fg_context_options o = cuda_options("sm_90");
    o.cuda_driver = "/no/driver";
    fg_context *context = stub_context(&o);
    ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
    ck_assert_str_eq(info.device, "sm_90");
    ck_assert_str_eq(info.isa, "sm_90");
    ck_assert_int_eq(info.cores, 132);
    fg_context_free(context);
}
END_TEST

START_TEST(devices_that_are_not_there)
{
    static const char *const names[] = {
        "gpu", "sm_91", "cuda:", "cuda:x", "cuda0", "cuda:-1", ""
    };
    fg_context *context;
    fg_context_options o;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        o = cuda_options(names[k]);
        refuses(fg_context_new(&context, &o, &error), FG_REQUEST, "there is no device \"");
        ck_assert_ptr_null(context);
    }
    o = cuda_options("cuda:2");
    refuses(fg_context_new(&context, &o, &error), FG_MACHINE,
            "there is no cuda:2: CUDA shows 2 devices here");
    o.device = "cuda";
    o.cuda_driver = "/no/driver";
    refuses(fg_context_new(&context, &o, &error), FG_MACHINE, "no CUDA device here: /no/driver");
    o.cuda_driver = "libm.so.6";
    refuses(fg_context_new(&context, &o, &error), FG_MACHINE, "it has no cuInit");
    o = cuda_options("cuda");
    fake()->devices = 0;
    refuses(fg_context_new(&context, &o, &error), FG_MACHINE,
            "no CUDA device here: cuInit: CUDA_ERROR_NO_DEVICE");
    ck_assert_int_eq(fake()->device[0].retained, 0);
}
END_TEST

/* Nothing of CUDA for those who did not ask for it. */
START_TEST(processors_need_no_driver)
{
    fg_context_options o = cuda_options(NULL);
    o.cuda_driver = o.nvrtc = "/no/such/library";
    for (int k = 0; k < 2; k++) {
        o.device = k ? "cpu" : NULL;
        fg_context *context = stub_context(&o);
        ck_assert_ptr_null(context->gpu);
        fg_context_free(context);
    }
    ck_assert_int_eq(fake_count("cuInit"), 0);
}
END_TEST

/* Each call that opening makes fails once: an error that names it, and nothing is held. */
START_TEST(opening_fails)
{
    static const char *const calls[] = {
        "cuInit",          "cuDeviceGetCount",     "cuDeviceGet",
        "cuDeviceGetName", "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain",
        "cuCtxGetCurrent", "cuCtxPushCurrent_v2",  "cuThreadExchangeStreamCaptureMode",
        "cuMemAlloc_v2",   "cuMemsetD8_v2",        "cuStreamSynchronize"
    };
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        fg_context *context;
        fg_context_options o = cuda_options("cuda");
        bool full = strcmp(calls[k], "cuMemAlloc_v2") == 0;
        fake_fail(calls[k], 1, full ? 2 : 719);
        refuses(fg_context_new(&context, &o, &error), full ? FG_MEMORY : FG_MACHINE,
                full ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_LAUNCH_FAILED");
        ck_assert_ptr_null(context);
        ck_assert_int_eq(fake()->device[0].retained, 0);
        ck_assert_int_eq(fake()->allocated, 0);
        ck_assert_int_eq(fake()->depth(), 0);
    }
}
END_TEST

START_TEST(without_a_compiler)
{
    fg_plan *plan;
    fg_context_options o = cuda_options("cuda");
    o.nvrtc = "/no/nvrtc";
    cuda_is_number(1);
    fg_context *context = stub_context(&o);
    fg_problem *p = stub_problem(context, LINE);
    refuses(fg_plan_new(&plan, context, p, NULL, &error), FG_COMPILER,
            "there is no NVRTC: /no/nvrtc cannot be read");
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Compiling ---- */

START_TEST(flags_and_log)
{
    fg_plan *plan;
    fg_context_options o = cuda_options("sm_120");
    o.compiler_flags = "  -DA=1   -lineinfo ";
    cuda_is_number(1);
    fg_context *context = stub_context(&o);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan_free(stub_plan(context, p));
    ck_assert_str_eq(fake()->options,
                     "--minimal --gpu-architecture=sm_120 --std=c++17 --fmad=true --ftz=false "
                     "--prec-div=true --prec-sqrt=true -DA=1 -lineinfo ");
    fg_problem_free(p);
    p = stub_problem(context, LINE " causal");
    snprintf(stub_text, sizeof stub_text, "mistake");
    refuses(fg_plan_new(&plan, context, p, NULL, &error), FG_COMPILER,
            "NVRTC_ERROR_COMPILATION\nforward/x.cu.t(7): error: a mistake");
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(an_architecture_does_not_run)
{
    cuda_is_number(1);
    fg_context *context = gpu_context("sm_89");
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = stub_plan(context, p);
    fg_args none = FG_ARGS_INIT;
    refuses(fg_run(plan, &none, &error), FG_MACHINE,
            "this context only compiles for sm_89: it has no GPU to run on");
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
    ck_assert_int_eq(fake_count("cuInit"), 0);
}
END_TEST

/* ---- Running ---- */

START_TEST(a_run)
{
    fg_plan_info info;
    scene s;
    stub_tasks = "b * hq * 5 + threads";
    stub_scratch = "70001";
    scene_new(&s, "cuda", 7);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    ck_assert_double_eq(cuda_result(&s.run), 7);
    const fake_launch *l = &fake()->last;
    ck_assert_uint_eq(l->blocks, 20 + 132);
    ck_assert_uint_eq(l->threads, 128);
    ck_assert_uint_eq(l->shared_bytes, 70001);
    ck_assert_int_eq(l->device, 0);
    ck_assert_ptr_null(l->stream);
    fg_plan_config(s.plan, &info);
    ck_assert_str_eq(info.target, "cuda");
    size_t bytes = 1;
    ck_assert_int_eq(fg_plan_workspace(s.plan, NULL, &bytes, &error), FG_OK);
    ck_assert_uint_eq(bytes, 0); /* shared memory is no part of it */
    scene_free(&s);
    ck_assert_int_eq(fake()->allocated, 0);
    ck_assert_int_eq(fake()->device[0].loaded, 0);
    ck_assert_int_eq(fake()->device[0].retained, 0);
}
END_TEST

START_TEST(no_blocks_no_launch)
{
    scene s;
    stub_tasks = "0";
    scene_new(&s, "cuda", 7);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    ck_assert_int_eq(fake()->launches, 0);
    scene_free(&s);
}
END_TEST

/* Each device has its own binary, whichever comes first. */
START_TEST(two_devices)
{
    scene first, second;
    scene_new(&first, "cuda:0", 1);
    scene_new(&second, "cuda:1", 2);
    ck_assert_int_eq(scene_run(&second), FG_OK);
    ck_assert_int_eq(fake()->last.device, 1);
    ck_assert_int_eq(scene_run(&first), FG_OK);
    ck_assert_int_eq(fake()->last.device, 0);
    ck_assert_double_eq(cuda_result(&first.run), 1);
    ck_assert_double_eq(cuda_result(&second.run), 2);
    ck_assert_int_eq(fake()->device[0].loaded, 1);
    ck_assert_int_eq(fake()->device[1].loaded, 1);
    scene_free(&first);
    scene_free(&second);
}
END_TEST

/* What is current in the thread stays so, in whatever the library does. */
START_TEST(the_callers_context_stays)
{
    scene s;
    fake_cuda *f = fake();
    const device_cuda *d;
    scene_new(&s, "cuda", 1);
    d = s.context->gpu;
    d->driver.context_push(f->foreign_context);
    for (int own = 0; own < 2; own++) {
        void *mine = own ? (void *)d->context : f->foreign_context;
        if (own) d->driver.context_push(d->context);
        const int depth = f->depth();
        scene other;
        scene_new(&other, "cuda:1", 2);
        ck_assert_ptr_eq(f->current(), mine);
        ck_assert_int_eq(scene_run(&other), FG_OK);
        ck_assert_int_eq(scene_run(&s), FG_OK);
        ck_assert_ptr_eq(f->current(), mine);
        fake_fail("cuLaunchKernelEx", 1, 719);
        ck_assert_int_eq(scene_run(&s), FG_MACHINE);
        f->fail_symbol = NULL;
        scene_free(&other);
        ck_assert_ptr_eq(f->current(), mine);
        ck_assert_int_eq(f->depth(), depth);
    }
    scene_free(&s);
}
END_TEST

/* After the first run no call but these, and none of them waits. */
START_TEST(a_run_only_launches)
{
    static const char *const allowed[] = { "cuCtxGetCurrent", "cuCtxPushCurrent_v2",
                                           "cuCtxPopCurrent_v2", "cuLaunchKernelEx" };
    scene s;
    scene_new(&s, "cuda", 1);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    const fake_cuda before = *fake();
    ck_assert_int_eq(scene_run(&s), FG_OK);
    for (const struct fake_call *c = fake()->call; c->symbol; c++) {
        int more = c->count - before.call[c - fake()->call].count, known = 0;
        for (int k = 0; k < 4; k++) known |= strcmp(c->symbol, allowed[k]) == 0;
        ck_assert_msg(more == 0 || (known && more == 1), "%d calls of %s", more, c->symbol);
    }
    ck_assert_int_eq(fake()->waits, before.waits);
    scene_free(&s);
}
END_TEST

/* The first run of a plan in a capture, and another plan made meanwhile. */
START_TEST(capture)
{
    scene s, other;
    fake_cuda *f = fake();
    scene_new(&s, "cuda", 9);
    s.run.run.args.stream = f->stream;
    double *o = s.run.run.args.o->data;
    f->capturing = 1;
    *o = 0;
    ck_assert_int_eq(scene_run(&s), FG_OK);
    scene_new(&other, "cuda", 10);
    ck_assert_double_eq(*o, 0);
    ck_assert_int_eq(f->captured, 1);
    for (int k = 0; k < 2; k++) {
        *o = 0;
        f->replay(f);
        ck_assert_double_eq(*o, 9);
    }
    f->capturing = 0;
    scene_free(&s);
    scene_free(&other);
}
END_TEST

static void *run_often(void *user)
{
    scene *s = user;
    for (int k = 0; k < 200; k++)
        if (fg_run(s->plan, &s->run.run.args, NULL) != FG_OK) return s;
    return fake()->depth() ? s : NULL;
}

START_TEST(many_threads)
{
    scene s[2];
    pthread_t thread[8];
    for (int k = 0; k < 2; k++) scene_new(&s[k], k ? "cuda:1" : "cuda:0", k + 1);
    for (int k = 0; k < 8; k++)
        ck_assert_int_eq(pthread_create(&thread[k], NULL, run_often, &s[k % 2]), 0);
    for (int k = 0; k < 8; k++) {
        void *failed;
        pthread_join(thread[k], &failed);
        ck_assert_ptr_null(failed);
    }
    for (int k = 0; k < 2; k++) {
        ck_assert_double_eq(cuda_result(&s[k].run), k + 1);
        scene_free(&s[k]);
    }
}
END_TEST

/* ---- What hosts without CUDA have ---- */

START_TEST(memory_of_a_gpu)
{
    char here[] = "abcdefgh", back[9] = "";
    void *there = NULL;
    fake_cuda *f = fake();
    fg_context *context = gpu_context("cuda:1"), *host = stub_context(NULL);
    ck_assert_int_eq(fg_memory_new(&there, context, 100, &error), FG_OK);
    ck_assert_uint_eq((uintptr_t)there % 256, 0);
    ck_assert_int_eq(fg_memory_copy(context, there, here, sizeof here, &error), FG_OK);
    ck_assert_int_eq(fg_memory_copy(context, back, there, sizeof back, &error), FG_OK);
    ck_assert_str_eq(back, here);
    ck_assert_int_eq(fg_context_wait(context, &error), FG_OK);
    fake_fail("cuMemcpy", 1, 719);
    refuses(fg_memory_copy(context, back, there, 1, &error), FG_MACHINE, "copying: CUDA_ERROR");
    fake_fail("cuCtxSynchronize", 1, 719);
    refuses(fg_context_wait(context, &error), FG_MACHINE, "waiting for the GPU: CUDA_ERROR");
    void *none = here;
    fake_fail("cuMemAlloc_v2", 1, 2);
    refuses(fg_memory_new(&none, context, 100, &error), FG_MEMORY, "allocating on the GPU");
    ck_assert_ptr_null(none);
    refuses(fg_memory_new(&none, host, 100, &error), FG_REQUEST, "the context is for processors");
    fg_memory_free(context, there);
    fg_memory_free(context, NULL);
    ck_assert_int_eq(f->depth(), 0);
    fg_context_free(context);
    fg_context_free(host);
    ck_assert_int_eq(f->allocated, 0);
}
END_TEST

START_TEST(timing)
{
    enum { runs = 150 };
    static const char *const calls[] = { "cuEventCreate",    "cuEventRecord",
                                         "cuLaunchHostFunc", "cuEventElapsedTime",
                                         "cuLaunchKernelEx", "cuStreamSynchronize" };
    scene s;
    double seconds[runs] = { 0 };
    stub_prepares = true; /* a run has two launches then */
    scene_new(&s, "cuda", 1);
    const fg_args *args[] = { &s.run.run.args, &s.run.run.args };
    ck_assert_int_eq(fg_plan_time(s.plan, args, 2, seconds, runs, &error), FG_OK);
    for (int k = 0; k < runs; k++) ck_assert_double_eq_tol(seconds[k], 2e-3, 1e-9);
    ck_assert_int_eq(fake()->launches, 2 * runs);
    ck_assert_int_eq(fake()->events, 0);
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        fake_fail(calls[k], 1, 719);
        refuses(fg_plan_time(s.plan, args, 2, seconds, 3, &error), FG_MACHINE, "CUDA_ERROR_LAUNCH");
        fake()->fail_symbol = NULL;
        ck_assert_int_eq(fake()->events, 0);
    }
    refuses(fg_plan_time(s.plan, args, 0, seconds, 3, &error), FG_REQUEST, "there are 0 args");
    refuses(fg_plan_time(s.plan, args, 1, seconds, 0, &error), FG_REQUEST, "0 runs");
    args[1] = NULL;
    refuses(fg_plan_time(s.plan, args, 2, seconds, 1, &error), FG_REQUEST, "args[1] is NULL");
    ck_assert_int_eq(fake()->depth(), 0);
    scene_free(&s);
}
END_TEST

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
    fg_check_report report;
    scene s;
    scene_new(&s, "cuda", 1);
    refuses(fg_context_peak(s.context, &rate, &error), FG_UNSUPPORTED, "cuda:0");
    refuses(fg_tune(NULL, s.context, s.problem, NULL, &error), FG_UNSUPPORTED, "GPUs");
    refuses(fg_check(s.context, s.problem, &s.run.run.args, NULL, &report, &error), FG_REQUEST,
            "q is on device type 2: it must be in host memory (1)");
    scene_free(&s);
}
END_TEST

/* ---- Loading ---- */

static fg_status plan_again(scene *s, const char *line, fg_source *source)
{
    fg_plan *plan;
    fg_plan_info info;
    fg_problem *p = stub_problem(s->context, line);
    fg_status status = fg_plan_new(&plan, s->context, p, NULL, &error);
    if (status == FG_OK) fg_plan_config(plan, &info);
    if (status == FG_OK) *source = info.source;
    if (status == FG_OK) fg_plan_free(plan);
    fg_problem_free(p);
    return status;
}

static fg_context *stored_context(const char *device)
{
    fg_context_options o = cuda_options(device);
    o.store = folder;
    return stub_context(&o);
}

/* Of each device its own, found again by another context, also when they change places. */
START_TEST(stored_kernels)
{
    fg_source source;
    scene s = { 0 };
    fake_cuda *f = fake();
    in_folder();
    cuda_is_number(1);
    for (int round = 0; round < 3; round++) {
        for (int k = 0; k < 2; k++) {
            s.context = stored_context(k ? "cuda:1" : "cuda:0");
            ck_assert_int_eq(plan_again(&s, LINE, &source), FG_OK);
            ck_assert_int_eq(source, round == 0 ? FG_COMPILED : FG_FROM_STORE);
            fg_context_free(s.context);
        }
        const fake_device first = f->device[0];
        f->device[0] = f->device[1];
        f->device[1] = first;
    }
    ck_assert_int_eq(f->compiled, 2);
    s.context = stored_context("sm_90"); /* of another model: not the same */
    ck_assert_int_eq(plan_again(&s, LINE, &source), FG_OK);
    ck_assert_int_eq(source, FG_COMPILED);
    fg_context_free(s.context);
}
END_TEST

/* What the driver does not take from the store is compiled anew, once. */
START_TEST(rejected_binaries)
{
    fg_source source;
    scene s = { 0 };
    in_folder();
    cuda_is_number(1);
    s.context = stored_context("cuda");
    ck_assert_int_eq(plan_again(&s, LINE, &source), FG_OK);
    fg_context_free(s.context);
    const int compiled = fake()->compiled;
    s.context = stored_context("cuda");
    fake_fail("cuModuleLoadData", 100, 209);
    refuses(plan_again(&s, LINE, &source), FG_MACHINE, "CUDA_ERROR_NO_BINARY_FOR_GPU");
    ck_assert_int_le(fake()->compiled, compiled + 2);
    fake_fail("cuModuleLoadData", 1, 209);
    ck_assert_int_eq(plan_again(&s, LINE, &source), FG_OK);
    fake()->fail_symbol = NULL;
    ck_assert_int_eq(fake()->device[0].loaded, 1);
    fg_context_free(s.context);
}
END_TEST

START_TEST(loading_fails)
{
    static const char *const calls[] = {
        "cuModuleLoadData",   "cuModuleGetFunction", "cuFuncGetAttribute",
        "cuFuncSetAttribute", "cuFuncLoad",          "cuThreadExchangeStreamCaptureMode"
    };
    fg_source source;
    scene s = { 0 };
    cuda_is_number(1);
    s.context = gpu_context("cuda");
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        fake_fail(calls[k], 1, 2);
        refuses(plan_again(&s, LINE, &source), FG_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY");
        fake()->fail_symbol = NULL;
        ck_assert_int_eq(fake()->device[0].loaded, 0);
        ck_assert_int_eq(fake()->depth(), 0);
    }
    snprintf(stub_text, sizeof stub_text, "nothing %%d");
    refuses(plan_again(&s, LINE, &source), FG_MACHINE, "the kernel's function fg_kernel");
    fg_context_free(s.context);
}
END_TEST

/* All that a host does until it runs, by an allocator that fails. */
static fg_status whole_way(failing *f)
{
    fg_context_options o = cuda_options("cuda");
    fg_context *context = NULL;
    fg_problem *p = NULL;
    fg_plan *plan = NULL;
    fg_device_info info;
    o.allocate = failing_allocate;
    o.allocate_user = f;
    fg_status status = fg_context_new(&context, &o, &error);
    if (status == FG_OK) context->maker = &stub_maker;
    if (status == FG_OK) status = fg_context_device(context, &info, &error);
    if (status == FG_OK) status = fg_problem_parse(&p, context, LINE, &error);
    if (status == FG_OK) status = fg_plan_new(&plan, context, p, NULL, &error);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
    return status;
}

START_TEST(every_allocation_fails)
{
    failing f = { .at = -1 };
    cuda_is_number(1);
    ck_assert_int_eq(whole_way(&f), FG_OK);
    ck_assert_int_eq((int)f.blocks, 0);
    ck_assert_int_eq((int)f.bytes, 0);
    const long all = f.count;
    ck_assert_int_gt((int)all, 10);
    for (int for_good = 0; for_good < 2; for_good++)
        for (long at = 1; at <= all; at++) {
            f = (failing){ .at = at, .for_good = for_good };
            fg_status status = whole_way(&f);
            ck_assert_msg(status == FG_MEMORY, "allocation %ld: %s: %s", at, fg_status_name(status),
                          error.text);
            ck_assert_msg(f.blocks == 0 && f.bytes == 0, "allocation %ld leaks", at);
            ck_assert_int_eq(fake()->device[0].retained, 0);
            ck_assert_int_eq(fake()->device[0].loaded, 0);
            ck_assert_int_eq(fake()->allocated, 0);
            ck_assert_int_eq(fake()->depth(), 0);
        }
}
END_TEST

START_TEST(in_the_background)
{
    fg_plan *plan = NULL;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    cuda_run run;
    fg_status status;
    cuda_is_number(0); /* the thread's own number */
    o.background = 1;
    fg_context *context = gpu_context("cuda");
    fg_problem *p = stub_problem(context, LINE);
    while ((status = fg_plan_new(&plan, context, p, &o, &error)) == FG_PENDING) usleep(1000);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    cuda_run_new(&run, context, p);
    ck_assert_int_eq(fg_run(plan, &run.run.args, &error), FG_OK);
    ck_assert_double_eq(cuda_result(&run), 0);
    cuda_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Forks ---- */

static int in_child(scene *s)
{
    fg_context *context;
    fg_source source;
    fg_context_options o = cuda_options("cuda");
    if (scene_run(s) != FG_MACHINE || !strstr(error.text, "forked")) return 1;
    if (plan_again(s, LINE " causal", &source) != FG_MACHINE) return 2;
    if (fg_context_new(&context, &o, &error) != FG_MACHINE) return 3;
    if (!strstr(error.text, "before this process was forked")) return 4;
    const int calls = fake_count("cuModuleUnload");
    fg_plan_free(s->plan);
    fg_problem_free(s->problem);
    fg_context_free(s->context);
    return fake_count("cuModuleUnload") == calls ? 0 : 5;
}

START_TEST(forked)
{
    int how;
    scene s;
    scene_new(&s, "cuda", 4);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    pid_t child = fork();
    if (child == 0) _exit(in_child(&s));
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "it ended with %d", how);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    ck_assert_double_eq(cuda_result(&s.run), 4);
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

int main(void)
{
    const TTest *const tests[] = {
        facts_of_a_gpu,
        facts_of_an_architecture,
        devices_that_are_not_there,
        processors_need_no_driver,
        opening_fails,
        without_a_compiler,
        flags_and_log,
        an_architecture_does_not_run,
        a_run,
        no_blocks_no_launch,
        two_devices,
        the_callers_context_stays,
        a_run_only_launches,
        capture,
        many_threads,
        memory_of_a_gpu,
        timing,
        tensors_elsewhere,
        empty_tensors,
        streams,
        workspaces,
        launches_that_fail,
        steps_of_another_machine,
        what_is_not_built,
        stored_kernels,
        rejected_binaries,
        loading_fails,
        every_allocation_fails,
        in_the_background,
        forked,
        lengths_on_a_device,
        NULL,
    };
    return support_run("cuda", tests);
}
