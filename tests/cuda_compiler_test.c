/* The compiler for GPUs: which one is taken, what it is made of and what it is told. */
#include "tests/cuda_stub.h"

#include "runtime/nvrtc.h"

#include <unistd.h>

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

/* The caller's words do not make PTX of a binary. */
START_TEST(flags_that_name_ptx)
{
    char *written = NULL;
    fg_emit_options how = FG_EMIT_OPTIONS_INIT;
    fg_context_options o = cuda_options("sm_90");
    o.compiler_flags = "-DX=compute_90";
    how.ptx = 1;
    cuda_is_number(1);
    fg_context *context = stub_context(&o);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan_free(stub_plan(context, p));
    ck_assert_int_eq(fake_count("nvrtcGetPTX"), 0);
    ck_assert_int_eq(fg_emit(&written, context, p, &how, &error), FG_OK);
    ck_assert_int_eq(fake_count("nvrtcGetPTX"), 1);
    ck_assert_msg(strncmp(written, "compute_90\n", 11) == 0, "%s", written);
    fg_text_free(context, written);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* PTX is for later GPUs, too, unless these lack what it has. */
START_TEST(ptx_for_one_capability)
{
    static const struct {
        const char *device, *text, *begins;
    } all[] = {
        { "sm_90", "asm(\"wgmma.fence;\");", "compute_90a\n" },
        { "sm_90", "asm(\"setmaxnreg.dec;\");", "compute_90a\n" },
        { "sm_90", "int wgmma;", "compute_90\n" },
        { "sm_120", "asm(\"mma.sync;\");", "compute_120\n" },
    };
    fg_emit_options how = FG_EMIT_OPTIONS_INIT;
    how.ptx = 1;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        char *written = NULL;
        cuda_is_number(1);
        fg_context *context = gpu_context(all[k].device);
        fg_problem *p = stub_problem(context, LINE);
        snprintf(stub_text, sizeof stub_text, "%s", all[k].text);
        ck_assert_int_eq(fg_emit(&written, context, p, &how, &error), FG_OK);
        ck_assert_msg(strncmp(written, all[k].begins, strlen(all[k].begins)) == 0, "%s", written);
        fg_text_free(context, written);
        fg_problem_free(p);
        fg_context_free(context);
    }
}
END_TEST

/* ---- Which compiler ---- */

static bool ends_with(const char *whole, const char *end)
{
    size_t length = strlen(whole), tail = strlen(end);
    return length >= tail && strcmp(whole + length - tail, end) == 0;
}

static void write_empty(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
}

/* One of a later CUDA writes what the driver does not load; without a driver any will do. */
START_TEST(a_compiler_that_the_driver_takes)
{
    static const struct {
        int version;
        const char *device, *found;
    } cases[] = {
        { 13000, "cuda", "/libnvrtc.so.13" },  { 12080, "cuda", "/libnvrtc.so.12" },
        { 14010, "cuda", "/libnvrtc.so.13" },  { 11080, "cuda", NULL },
        { 11080, "sm_90", "/libnvrtc.so.13" },
    };
    in_folder();
    write_empty("libnvrtc.so.13");
    write_empty("libnvrtc.so.12");
    setenv("LD_LIBRARY_PATH", folder, 1);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        fake()->version = cases[k].version;
        fg_context_options o = cuda_options(cases[k].device);
        o.nvrtc = NULL;
        fg_context *context = stub_context(&o);
        if (cases[k].found)
            ck_assert_msg(ends_with(context->compiler, cases[k].found), "%s", context->compiler);
        else
            ck_assert_ptr_nonnull(strstr(context->compiler_missing, "the driver, of CUDA 11"));
        fg_context_free(context);
    }
    fg_context *context = gpu_context("cuda"); /* the caller's own choice */
    ck_assert_ptr_nonnull(context->compiler);
    fg_context_free(context);
}
END_TEST

/* Each builtins library beside it, and one of two names once. */
START_TEST(parts_of_a_compiler)
{
    toolchain t;
    char path[4096], link[4096];
    in_folder();
    write_empty("libnvrtc.so.13");
    write_empty("libnvrtc-builtins.so.13.0.88");
    write_empty("libnvrtc-builtins.so.13.1");
    snprintf(path, sizeof path, "%s/libnvrtc.so.13", folder);
    snprintf(link, sizeof link, "%s/libnvrtc-builtins.so.13.0", folder);
    ck_assert_int_eq(symlink("libnvrtc-builtins.so.13.0.88", link), 0);
    ck_assert_int_eq(nvrtc_parts(&t, &memory_default, path, &error), FG_OK);
    ck_assert(t.whole);
    ck_assert_str_eq(t.files->path, path);
    ck_assert(ends_with(t.files->next->path, "/libnvrtc-builtins.so.13.0.88"));
    ck_assert(ends_with(t.files->next->next->path, "/libnvrtc-builtins.so.13.1"));
    ck_assert_ptr_null(t.files->next->next->next);
    toolchain_free(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        flags_and_log,          flags_that_name_ptx,
        ptx_for_one_capability, a_compiler_that_the_driver_takes,
        parts_of_a_compiler,    NULL,
    };
    return support_run("cuda_compiler", tests);
}
