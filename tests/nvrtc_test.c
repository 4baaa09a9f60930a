/* NVRTC itself, through the backend: no GPU is needed to compile for one. */
#include "tests/support_gpu.h"
#include "tests/text_stub.h"
#include "tests/support.h"

#include "runtime/library.h"
#include "runtime/nvrtc.h"

#include <elf.h>
#include <pthread.h>

#define LINE "dtype=f16 b=1 hq=4 sq=64 d=64"

static fg_error error;

static const char *const isas[] = { "sm_80", "sm_86", "sm_89", "sm_90", "sm_120" };

enum { isa_count = sizeof isas / sizeof *isas };

/* A kernel as schedules write them: it includes nothing, takes a struct by value and dynamic shared memory, and
 * multiplies by tensor cores. */
static void stub_is_product(void)
{
    snprintf(
        stub_text, sizeof stub_text, "%s",
        "#line 1 \"forward/x.cu.t\"\n"
        "struct args { unsigned *q; float *o; long long n; };\n"
        "extern __shared__ unsigned tile[];\n"
        "extern \"C\" __global__ void __launch_bounds__(128) fg_kernel(const struct args a)\n"
        "{\n"
        "    const unsigned t = threadIdx.x;\n"
        "    float c[4] = { 0, 0, 0, 0 };\n"
        "    for (unsigned k = t; k < 1024; k += 128) tile[k] = a.q[blockIdx.x * 1024ll + k];\n"
        "    __syncthreads();\n"
        "    for (unsigned k = 0; k < 1024; k += 256)\n"
        "        asm volatile(\"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 \"\n"
        "            \"{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\"\n"
        "            : \"+f\"(c[0]), \"+f\"(c[1]), \"+f\"(c[2]), \"+f\"(c[3])\n"
        "            : \"r\"(tile[k + t % 128]), \"r\"(tile[k + 1]), \"r\"(tile[k + 2]),\n"
        "              \"r\"(tile[k + 3]), \"r\"(tile[k + 4]), \"r\"(tile[k + 5]));\n"
        "    for (int k = 0; k < 4; k++) a.o[(blockIdx.x * 128ll + t) * 4 + k] = c[k];\n"
        "}\n");
    stub_slots = 0;
    stub_threads = 128;
    stub_add_slot(SLOT_pointer, "q", 0);
    stub_add_slot(SLOT_pointer, "o", 0);
    stub_add_slot(SLOT_recipe, "b * hq", 0);
}

static fg_context *context_for(const char *isa)
{
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.device = isa;
    o.store = "";
    fg_context *context = stub_context(&o);
    context->maker = &text_maker;
    return context;
}

static fg_status image_for(image *i, fg_context *context)
{
    fg_problem *p = stub_problem(context, LINE);
    fg_status status = image_make(i, context, p->problem, NULL, NULL, &error);
    fg_problem_free(p);
    return status;
}

/* The architecture that a binary is for, as nvdisasm and the driver read it. */
static int architecture_of(const binary *b)
{
    Elf64_Ehdr head;
    ck_assert_uint_ge(b->size, sizeof head);
    memcpy(&head, b->data, sizeof head);
    ck_assert_mem_eq(head.e_ident, ELFMAG, SELFMAG);
    /* From CUDA 13 on in bits 8 and up, and the ABI's version says so; before in the lowest. */
    const int low = (int)(head.e_flags & 255), high = (int)(head.e_flags >> 8 & 255);
    return head.e_ident[EI_ABIVERSION] >= 8 ? high : low;
}

static void check_binary(const char *isa)
{
    image i;
    fg_context *context = context_for(isa);
    fg_status status = image_for(&i, context);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    ck_assert_int_eq(architecture_of(&i.compiled), atoi(isa + 3));
    ck_assert_ptr_nonnull(memmem(i.compiled.data, i.compiled.size, "fg_kernel", 9));
    printf("%s: %zu bytes in %d ms\n", isa, i.compiled.size, (int)(i.compile_seconds * 1000));
    image_free(&i);
    fg_context_free(context);
}

START_TEST(binaries)
{
    stub_is_product();
    for (int k = 0; k < isa_count; k++) check_binary(isas[k]);
}
END_TEST

START_TEST(the_same_every_time)
{
    image a, b;
    stub_is_product();
    fg_context *context = context_for("sm_90");
    ck_assert_int_eq(image_for(&a, context), FG_OK);
    ck_assert_int_eq(image_for(&b, context), FG_OK);
    ck_assert_uint_eq(a.compiled.size, b.compiled.size);
    ck_assert_mem_eq(a.compiled.data, b.compiled.data, a.compiled.size);
    image_free(&a);
    image_free(&b);
    fg_context_free(context);
}
END_TEST

START_TEST(ptx)
{
    void *out = NULL;
    size_t size = 0;
    stub_is_product();
    fg_context *context = context_for("sm_90");
    fg_status status = nvrtc_compile(&out, &size, &context->memory, context->compiler,
                                     "--gpu-architecture=compute_80", true, stub_text, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    const char *written = out;
    ck_assert_int_eq(written[size - 1], 0);
    ck_assert_ptr_nonnull(strstr(written, ".target sm_80"));
    ck_assert_ptr_nonnull(strstr(written, "mma.sync.aligned.m16n8k16"));
    memory_free(&context->memory, out, size);
    fg_context_free(context);
}
END_TEST

/* A kernel with instructions of one compute capability is compiled for it alone; others are not. */
START_TEST(ptx_of_one_capability)
{
    fg_emit_options how = FG_EMIT_OPTIONS_INIT;
    how.ptx = 1;
    for (int own = 0; own < 2; own++) {
        char *written = NULL;
        image i;
        stub_is_product();
        const size_t length = strlen(stub_text);
        if (own)
            snprintf(stub_text + length, sizeof stub_text - length,
                     "extern \"C\" __global__ void fence(void) "
                     "{ asm volatile(\"wgmma.fence.sync.aligned;\"); }\n");
        fg_context *context = context_for("sm_90");
        fg_problem *p = stub_problem(context, LINE);
        ck_assert_msg(image_for(&i, context) == FG_OK, "%s", error.text);
        ck_assert_int_eq(architecture_of(&i.compiled), 90);
        ck_assert_int_eq(fg_emit(&written, context, p, &how, &error), FG_OK);
        ck_assert_ptr_nonnull(strstr(written, ".target sm_90"));
        ck_assert_int_eq(strstr(written, ".target sm_90a") != NULL, own);
        fg_text_free(context, written);
        image_free(&i);
        fg_problem_free(p);
        fg_context_free(context);
    }
}
END_TEST

START_TEST(emitted_as_ptx)
{
    char *written = NULL;
    fg_emit_options how = FG_EMIT_OPTIONS_INIT;
    how.ptx = 1;
    stub_is_product();
    fg_context *context = context_for("sm_86"), *host = stub_context(NULL);
    host->maker = &text_maker;
    fg_problem *p = stub_problem(context, LINE);
    ck_assert_msg(fg_emit(&written, context, p, &how, &error) == FG_OK, "%s", error.text);
    ck_assert_ptr_nonnull(strstr(written, ".target sm_86"));
    ck_assert_ptr_nonnull(strstr(written, ".entry fg_kernel"));
    fg_text_free(context, written);
    ck_assert_int_eq(fg_emit(&written, host, p, &how, &error), FG_REQUEST);
    ck_assert_ptr_null(written);
    fg_problem_free(p);
    fg_context_free(context);
    fg_context_free(host);
}
END_TEST

/* An error names the template's file and line; so does one of the assembler's, if not the line. */
START_TEST(logs)
{
    static const char *const wrong[][2] = {
        { "#line 41 \"forward/x.cu.t\"\n\nint f() { return undefined_name; }\n",
          "forward/x.cu.t(42): error: identifier \"undefined_name\" is undefined" },
        { "#line 7 \"common/mma.cu.t\"\nextern \"C\" __global__ void fg_kernel() { "
          "asm(\"no.such;\"); }",
          "Unknown modifier '.such'" },
        { "#include <cuda.h>\n", "cuda.h" },
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        image i;
        stub_is_product();
        snprintf(stub_text, sizeof stub_text, "%s", wrong[k][0]);
        fg_context *context = context_for("sm_80");
        ck_assert_int_eq(image_for(&i, context), FG_COMPILER);
        ck_assert_msg(strstr(error.text, wrong[k][1]) != NULL, "%s", error.text);
        ck_assert_ptr_nonnull(strstr(error.text, context->compiler));
        fg_context_free(context);
    }
}
END_TEST

START_TEST(flags)
{
    image i;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.device = "sm_80";
    o.store = "";
    o.compiler_flags = "--no-such-flag";
    stub_is_product();
    fg_context *context = stub_context(&o);
    context->maker = &text_maker;
    ck_assert_int_eq(image_for(&i, context), FG_COMPILER);
    ck_assert_msg(strstr(error.text, "--no-such-flag") != NULL, "%s", error.text);
    fg_context_free(context);
}
END_TEST

static void *compile_some(void *user)
{
    const char *isa = user;
    fg_error why;
    fg_context *context = context_for(isa);
    fg_problem *p = stub_problem(context, LINE);
    bool right = true;
    for (int k = 0; k < 3 && right; k++) {
        image i;
        right = image_make(&i, context, p->problem, NULL, NULL, &why) == FG_OK &&
                architecture_of(&i.compiled) == atoi(isa + 3);
        if (right) image_free(&i);
    }
    fg_problem_free(p);
    fg_context_free(context);
    return right ? user : NULL;
}

START_TEST(threads)
{
    pthread_t thread[isa_count];
    stub_is_product();
    for (int k = 0; k < isa_count; k++)
        ck_assert_int_eq(pthread_create(&thread[k], NULL, compile_some, (void *)(uintptr_t)isas[k]),
                         0);
    for (int k = 0; k < isa_count; k++) {
        void *right;
        pthread_join(thread[k], &right);
        ck_assert_ptr_nonnull(right);
    }
}
END_TEST

/* A plan from text to a module, and from the store; both libraries are in the key. */
START_TEST(plans)
{
    fg_plan_info info;
    double start;
    in_folder();
    stub_is_product();
    for (int k = 0; k < 2; k++) {
        fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
        o.device = "sm_90";
        o.store = folder;
        start = library_seconds();
        fg_context *context = stub_context(&o);
        context->maker = &text_maker;
        fg_problem *p = stub_problem(context, LINE);
        fg_plan *plan = stub_plan(context, p);
        fg_plan_config(plan, &info);
        ck_assert_int_eq(info.source, k ? FG_FROM_STORE : FG_COMPILED);
        ck_assert_str_eq(info.target, "cuda");
        printf("%s in %d ms from the start of a context\n", k ? "found" : "compiled",
               (int)((library_seconds() - start) * 1000));
        fg_plan_free(plan);
        fg_problem_free(p);
        fg_context_free(context);
    }
}
END_TEST

START_TEST(parts_of_the_compiler)
{
    toolchain t;
    char version[32];
    int major = 0;
    fg_context *context = context_for("sm_90");
    ck_assert_int_eq(nvrtc_version(version, context->compiler, &error), FG_OK);
    ck_assert_int_eq(sscanf(version, "NVRTC %d", &major), 1);
    ck_assert_int_ge(major, 12);
    ck_assert_int_eq(context->backend->parts(&t, context, context->compiler, &error), FG_OK);
    ck_assert(t.whole);
    ck_assert_str_eq(t.files->path, context->compiler);
    ck_assert_ptr_nonnull(strstr(t.files->next->path, "libnvrtc-builtins.so."));
    ck_assert_ptr_null(t.files->next->next);
    toolchain_free(&t);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        binaries,
        the_same_every_time,
        ptx,
        ptx_of_one_capability,
        emitted_as_ptx,
        logs,
        flags,
        threads,
        plans,
        parts_of_the_compiler,
        NULL,
    };
    return support_skips("nvrtc_test", "sm_90") ? support_skipped : support_run("nvrtc", tests);
}
