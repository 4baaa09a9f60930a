#include "runtime/backend_cuda.h"

#include "runtime/device_cuda.h"
#include "runtime/nvrtc.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* What NVRTC does anyway, said so that the key of a kernel has it: subnormals stay, divisions and roots round. */
#define FLAGS_kernel "--std=c++17 --fmad=true --ftz=false --prec-div=true --prec-sqrt=true"

fg_status backend_cuda_flags(fg_context *context, const char *further, fg_error *error)
{
    text flags;
    text_init(&flags, &context->memory);
    text_addf(&flags, "--gpu-architecture=%s " FLAGS_kernel, context->gpu->binaries);
    for (further = further ? further : ""; *(further += strspn(further, " "));) {
        size_t length = strcspn(further, " ");
        text_add(&flags, " ", 1);
        text_add(&flags, further, length);
        further += length;
    }
    if (!flags.failed)
        context->compiler_flags = memory_text(&context->memory, flags.data, flags.length);
    text_free(&flags);
    return context->compiler_flags ? FG_OK : fail_memory(error);
}

static fg_status compile(binary *out, const fg_context *context, const char *source, size_t length,
                         fg_error *error)
{
    (void)length; /* it is 0-terminated */
    *out = (binary){ NULL, 0 };
    if (!context->compiler) return fail(error, FG_COMPILER, "%s", context->compiler_missing);
    return nvrtc_compile(&out->data, &out->size, &context->memory, context->compiler,
                         context->compiler_flags, false, source, error);
}

/* What one compute capability has, and no later one. */
static bool is_for_one(const char *source)
{
    static const char *const instructions[] = { "wgmma.", "setmaxnreg." };
    for (size_t k = 0; k < sizeof instructions / sizeof *instructions; k++)
        if (strstr(source, instructions[k])) return true;
    return false;
}

/* The same flags for the architecture that is not a GPU's but PTX's. Later GPUs take it too, where they can. */
fg_status backend_cuda_ptx(char **out, const fg_context *context, const char *source,
                           fg_error *error)
{
    static const char gpu[] = "--gpu-architecture=";
    void *written = NULL;
    size_t size = 0;
    text flags;
    *out = NULL;
    if (!context->compiler) return fail(error, FG_COMPILER, "%s", context->compiler_missing);
    const char *rest = strchr(context->compiler_flags, ' ');
    const char *isa = is_for_one(source) ? context->gpu->binaries : context->gpu->isa;
    text_init(&flags, &context->memory);
    text_addf(&flags, "%scompute_%s%s", gpu, isa + strlen("sm_"), rest);
    fg_status status = flags.failed
                           ? fail_memory(error)
                           : nvrtc_compile(&written, &size, &context->memory, context->compiler,
                                           flags.data, true, source, error);
    text_free(&flags);
    if (status == FG_OK) *out = written;
    return status;
}

/* ---- Loading ---- */

typedef struct module {
    const fg_context *context; /* not held: it owns the kernel */
    cuda_module handle;        /* NULL: there is no GPU to load it on */
} module;

static fg_status load(void **out, const fg_context *context, const binary *compiled,
                      fg_error *error)
{
    const device_cuda *d = context->gpu;
    device_cuda_visit v;
    fg_status status = FG_OK;
    *out = NULL;
    module *m = memory_new(&context->memory, 1, sizeof *m);
    if (!m) return fail_memory(error);
    m->context = context;
    if (d->runs) {
        status = device_cuda_ready(d, error);
        if (status == FG_OK) status = device_cuda_enter_slowly(&v, d, error);
        if (status == FG_OK) {
            int code = d->driver.module_load(&m->handle, compiled->data);
            if (code != CUDA_SUCCESS)
                status = cuda_fail(&d->driver, code, "the driver does not load the kernel", error);
            device_cuda_leave_slowly(&v, d);
        }
    }
    if (status == FG_OK)
        *out = m;
    else
        memory_free(&context->memory, m, sizeof *m);
    return status;
}

static void unload(void *loaded)
{
    module *m = loaded;
    device_cuda_visit v;
    if (!m) return;
    const device_cuda *d = m->context->gpu;
    if (m->handle && device_cuda_ready(d, NULL) == FG_OK &&
        device_cuda_enter_slowly(&v, d, NULL) == FG_OK) {
        d->driver.module_unload(m->handle);
        device_cuda_leave_slowly(&v, d);
    }
    memory_free(&m->context->memory, m, sizeof *m);
}

/* A launch may ask for all the shared memory that a block can have; and it is the last step of loading, which the
 * driver would put off until the first launch. */
static int prepare(const device_cuda *d, cuda_function f)
{
    int fixed = 0;
    int code = d->driver.function_get(&fixed, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, f);
    if (code == CUDA_SUCCESS)
        code = d->driver.function_set(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                      (int)d->block_bytes - fixed);
    if (code == CUDA_SUCCESS && d->driver.function_load) code = d->driver.function_load(f);
    return code;
}

static fg_status find(void **entry, void *loaded, const char *name, fg_error *error)
{
    static char no_gpu;
    module *m = loaded;
    const device_cuda *d = m->context->gpu;
    cuda_function f = NULL;
    device_cuda_visit v;
    char what[80];
    *entry = &no_gpu;
    if (!m->handle) return FG_OK;
    fg_status status = device_cuda_enter_slowly(&v, d, error);
    if (status != FG_OK) return status;
    int code = d->driver.module_function(&f, m->handle, name);
    if (code == CUDA_SUCCESS) code = prepare(d, f);
    snprintf(what, sizeof what, "the kernel's function %.31s", name);
    if (code != CUDA_SUCCESS) status = cuda_fail(&d->driver, code, what, error);
    device_cuda_leave_slowly(&v, d);
    *entry = f;
    return status;
}

/* ---- Launching ---- */

static fg_status check_launch(const device_cuda *d, const launch *what, fg_error *error)
{
    if (what->tasks > INT_MAX)
        return fail(error, FG_REQUEST, "this run would take %lld blocks: a launch has at most %d",
                    (long long)what->tasks, INT_MAX);
    if (what->scratch_bytes > d->block_bytes)
        return fail(error, FG_MACHINE,
                    "a block would take %lld bytes of shared memory: %s has %lld for one",
                    (long long)what->scratch_bytes, d->place, (long long)d->block_bytes);
    return FG_OK;
}

/* Why `what` failed in a stream, where that is to blame. */
static fg_status fail_in(const device_cuda *d, void *stream, int code, const char *what,
                         fg_error *error)
{
    cuda_context theirs = NULL;
    if (stream && d->driver.stream_context(stream, &theirs) == CUDA_SUCCESS && theirs != d->context)
        return fail(error, FG_REQUEST, "the stream is of another context than %s's primary one",
                    d->place);
    return cuda_fail(&d->driver, code, what, error);
}

static fg_status run(const fg_context *context, const launch *what, fg_error *error)
{
    const device_cuda *d = context->gpu;
    device_cuda_visit v;
    void *parameters[] = { (void *)(uintptr_t)what->args };
    if (what->tasks <= 0) return FG_OK;
    fg_status status = check_launch(d, what, error);
    if (status == FG_OK) status = device_cuda_enter(&v, d, error);
    if (status != FG_OK) return status;
    const cuda_launch config = {
        .blocks_x = (unsigned)what->tasks,
        .blocks_y = 1,
        .blocks_z = 1,
        .threads_x = (unsigned)what->threads,
        .threads_y = 1,
        .threads_z = 1,
        .shared_bytes = (unsigned)what->scratch_bytes,
        .stream = what->stream,
    };
    int code = d->driver.launch(&config, what->entry, parameters, NULL);
    if (code != CUDA_SUCCESS)
        status = fail_in(d, what->stream, code, "launching the kernel", error);
    device_cuda_leave(&v, d);
    return status;
}

static fg_status clear(const fg_context *context, void *data, size_t bytes, void *stream,
                       fg_error *error)
{
    const device_cuda *d = context->gpu;
    device_cuda_visit v;
    fg_status status = device_cuda_enter(&v, d, error);
    if (status != FG_OK) return status;
    int code = d->driver.memory_fill((uintptr_t)data, 0, bytes, stream);
    if (code != CUDA_SUCCESS)
        status = fail_in(d, stream, code, "clearing a part of the workspace", error);
    device_cuda_leave(&v, d);
    return status;
}

static fg_status parts(toolchain *out, const fg_context *context, const char *library,
                       fg_error *error)
{
    return nvrtc_parts(out, &context->memory, library, error);
}

static void version(char *out, size_t size, const fg_context *context)
{
    char said[32] = "";
    nvrtc_version(said, context->compiler, NULL);
    snprintf(out, size, "%s", said);
}

const backend backend_cuda = { "cuda", compile, parts, version, load, find, run, clear, unload };
