/* Contexts on GPUs, compiling and loading, with a driver and a compiler that only seem to be there. */
#include "tests/cuda_stub.h"

#include <unistd.h>

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

/* What compute capability 9.0 alone has is compiled for it alone. */
START_TEST(binaries_of_an_architecture)
{
    static const char *const names[][2] = {
        { "sm_90", "--gpu-architecture=sm_90a " },
        { "sm_90a", "--gpu-architecture=sm_90a " },
        { "sm_86", "--gpu-architecture=sm_86 " },
        { "sm_120", "--gpu-architecture=sm_120 " },
    };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        fg_device_info info;
        fg_context *context = gpu_context(names[k][0]);
        ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
        ck_assert_msg(strncmp(info.flags, names[k][1], strlen(names[k][1])) == 0, "%s", info.flags);
        ck_assert_int_eq(strncmp(names[k][0], info.isa, strlen(info.isa)), 0);
        ck_assert_str_eq(info.device, info.isa);
        ck_assert_ptr_null(strchr(info.isa, 'a'));
        fg_context_free(context);
    }
}
END_TEST

START_TEST(devices_that_are_not_there)
{
    static const char *const names[] = { "gpu",   "sm_91",  "sm_86a", "sm_90aa", "sm_9",
                                         "cuda:", "cuda:x", "cuda0",  "cuda:-1", "" };
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
    static const char *const calls[] = { "cuInit",
                                         "cuDeviceGetCount",
                                         "cuDeviceGet",
                                         "cuDeviceGetName",
                                         "cuDeviceGetAttribute",
                                         "cuDevicePrimaryCtxRetain",
                                         "cuCtxGetCurrent",
                                         "cuCtxPushCurrent_v2",
                                         "cuThreadExchangeStreamCaptureMode",
                                         "cuMemAlloc_v2",
                                         "cuMemsetD8Async",
                                         "cuStreamSynchronize",
                                         "cuDriverGetVersion" };
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

/* ---- Loading ---- */

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

static void nothing_is_left(void)
{
    ck_assert_int_eq(fake()->device[0].retained, 0);
    ck_assert_int_eq(fake()->device[0].loaded, 0);
    ck_assert_int_eq(fake()->allocated, 0);
    ck_assert_int_eq(fake()->depth(), 0);
}

START_TEST(every_allocation_fails)
{
    cuda_is_number(1);
    failing_all(&(failing_way){ whole_way, NULL, nothing_is_left, &error, false }, 11);
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

int main(void)
{
    const TTest *const tests[] = {
        facts_of_a_gpu,
        facts_of_an_architecture,
        binaries_of_an_architecture,
        devices_that_are_not_there,
        processors_need_no_driver,
        opening_fails,
        without_a_compiler,
        an_architecture_does_not_run,
        stored_kernels,
        rejected_binaries,
        loading_fails,
        every_allocation_fails,
        in_the_background,
        NULL,
    };
    return support_run("cuda", tests);
}
