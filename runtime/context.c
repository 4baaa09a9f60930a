#include "runtime/context.h"

#include "runtime/backend_c.h"
#include "runtime/backend_cuda.h"
#include "runtime/device_cuda.h"
#include "runtime/identity.h"
#include "runtime/kernels.h"
#include "runtime/library.h"
#include "runtime/nvrtc.h"
#include "runtime/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

fg_status options_copy(void *to, size_t known, size_t oldest, const void *from, const char *what,
                       fg_error *error)
{
    size_t size;
    if (!from) return FG_OK;
    memcpy(&size, from, sizeof size); /* the first member of each */
    if (size < oldest || size > known)
        return fail(error, FG_REQUEST,
                    "%s has size %zu: start it with its _INIT macro (here of %zu bytes)", what,
                    size, known);
    memcpy(to, from, size);
    return FG_OK;
}

void context_hold(fg_context *context)
{
    atomic_fetch_add(&context->references, 1);
}

void context_log(const fg_context *context, fg_log_level level, const char *format, ...)
{
    char sentence[512];
    va_list args;
    if (!context->log) return;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    context->log(context->log_user, level, sentence);
}

static maker_device gpu_maker_device(const fg_context *context)
{
    const device_cuda *d = context->gpu;
    return (maker_device){
        .name = d->name,
        .isa = d->isa,
        .compiler = "nvrtc",
        .flags = context->compiler_flags,
        .cores = d->multiprocessors,
        .threads = d->multiprocessors,
        .l1_bytes = d->shared_bytes,
        .l2_bytes = d->l2_bytes,
        .gpu = true,
        .shared_bytes = d->block_bytes,
        .registers = d->registers,
    };
}

maker_device context_maker_device(const fg_context *context)
{
    if (context->gpu) return gpu_maker_device(context);
    return (maker_device){
        .name = context->device.name,
        .isa = context->device.isa->name,
        .compiler = context->compiler ? context->compiler : "cc",
        .flags = context->compiler_flags,
        .cores = context->device.cores,
        .threads = context->threads,
        .l1_bytes = context->device.l1_bytes,
        .l2_bytes = context->device.l2_bytes,
    };
}

fg_status context_make(made **out, const fg_context *context, const problem *p, const char *config,
                       const maker_sizes *sizes, bool lines, fg_error *error)
{
    maker_device device = context_maker_device(context);
    maker_request request = {
        .memory = &context->memory,
        .problem = p,
        .device = &device,
        .config = config,
        .templates = context->templates,
        .lines = lines,
    };
    if (sizes) request.sizes = *sizes;
    *out = NULL;
    if (!context->maker)
        return fail(error, FG_UNSUPPORTED, "this library was built without a generator");
    return context->maker->make(out, &request, error);
}

/* ---- Making and freeing ---- */

enum { threads_max = 4096 };

static fg_status options_check(const fg_context_options *o, fg_error *error)
{
    if (o->threads < 0 || o->threads > threads_max)
        return fail(error, FG_REQUEST, "threads is %d: it must be 0 (all) to %d", o->threads,
                    threads_max);
    if (!(o->compiler_seconds > 0 && o->compiler_seconds <= 1e6))
        return fail(error, FG_REQUEST, "compiler_seconds must be above 0 and at most a million");
    return FG_OK;
}

static void context_destroy(fg_context *context)
{
    memory m = context->memory;
    background_free(context);
    kernels_free(context);
    identity_free(context);
    store_close(context->store);
    if (context->gpu) device_cuda_close(context->gpu);
    memory_free(&m, context->gpu, sizeof *context->gpu);
    char *const texts[] = { context->compiler,    context->compiler_flags,
                            context->templates,   context->worker,
                            context->cuda_driver, atomic_load(&context->compiler_version) };
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        if (texts[k]) memory_free(&m, texts[k], strlen(texts[k]) + 1);
    memory_free(&m, context, sizeof *context);
}

static void warn(void *user, const char *sentence)
{
    context_log(user, FG_LOG_WARNING, "%s", sentence);
}

static fg_status open_store(fg_context *context, const fg_context_options *o, fg_error *error)
{
    const store_options options = { &context->memory,    o->store, o->shared_stores,
                                    &store_calls_system, warn,     context };
    if (context->secure) return FG_OK;
    return store_open(&context->store, &options, error);
}

static fg_status copy_option(char **out, const fg_context *context, const char *value,
                             fg_error *error)
{
    if (!value) return FG_OK;
    *out = memory_text(&context->memory, value, strlen(value));
    return *out ? FG_OK : fail_memory(error);
}

static fg_status open_cpu(fg_context *context, const fg_context_options *o, fg_error *error)
{
    context->backend = &backend_c;
    fg_status status = compiler_find(context, o->compiler, error);
    return status == FG_OK ? compiler_flags_make(context, o->compiler_flags, error) : status;
}

static fg_status open_gpu(fg_context *context, const fg_context_options *o, fg_error *error)
{
    context->backend = &backend_cuda;
    context->gpu = memory_new(&context->memory, 1, sizeof *context->gpu);
    if (!context->gpu) return fail_memory(error);
    fg_status status = device_cuda_open(context->gpu, o->device, o->cuda_driver, error);
    if (status == FG_OK) status = nvrtc_find(context, o->nvrtc, error);
    return status == FG_OK ? backend_cuda_flags(context, o->compiler_flags, error) : status;
}

static fg_status context_fill(fg_context *context, const fg_context_options *o, fg_error *error)
{
    context->log = o->log;
    context->log_user = o->log_user;
    context->parallel_for = o->parallel_for;
    context->parallel_user = o->parallel_user;
    context->compiler_seconds = o->compiler_seconds;
    context->maker = maker_installed;
    context->secure = getauxval(AT_SECURE) != 0;
    fg_status status = device_cpu_open(&context->device, o->isa, error);
    if (status != FG_OK) return status;
    context->threads = o->threads ? o->threads : context->device.cores;
    /* A setuid process reads no templates but its own. */
    if (!context->secure) status = copy_option(&context->templates, context, o->templates, error);
    if (status == FG_OK) status = copy_option(&context->worker, context, o->worker, error);
    if (status == FG_OK)
        status = copy_option(&context->cuda_driver, context, o->cuda_driver, error);
    if (status == FG_OK) status = open_store(context, o, error);
    if (status != FG_OK) return status;
    const bool host = !o->device || strcmp(o->device, "cpu") == 0;
    return (host ? open_cpu : open_gpu)(context, o, error);
}

fg_status fg_context_new(fg_context **out, const fg_context_options *options, fg_error *error)
{
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    if (!out) return fail(error, FG_REQUEST, "there is no place for the context: out is NULL");
    *out = NULL;
    fg_status status = options_copy(&o, sizeof o, offsetof(fg_context_options, device), options,
                                    "fg_context_options", error);
    if (status == FG_OK) status = options_check(&o, error);
    if (status != FG_OK) return status;
    memory m = o.allocate ? (memory){ o.allocate, o.allocate_user } : memory_default;
    fg_context *context = memory_new(&m, 1, sizeof *context);
    if (!context) return fail_memory(error);
    context->memory = m;
    atomic_init(&context->references, 1);
    library_enter();
    status = context_fill(context, &o, error);
    if (status == FG_OK)
        *out = context;
    else
        context_destroy(context);
    return status;
}

void fg_context_free(fg_context *context)
{
    if (context && atomic_fetch_sub(&context->references, 1) == 1) context_destroy(context);
}

void fg_text_free(fg_context *context, char *block)
{
    if (block) memory_free(&context->memory, block, strlen(block) + 1);
}

fg_status fg_context_device(fg_context *context, fg_device_info *info, fg_error *error)
{
    const char *version = NULL;
    if (!context || !info) return fail(error, FG_REQUEST, "context or info is NULL");
    fg_status status = compiler_version(&version, context, error);
    if (status != FG_OK) return status;
    const maker_device d = context_maker_device(context);
    *info = (fg_device_info){
        .name = d.name,
        .isa = d.isa,
        .flags = d.flags,
        .compiler = context->compiler,
        .compiler_version = version,
        .cores = d.cores,
        .threads = d.threads,
        .l1_bytes = d.l1_bytes,
        .l2_bytes = d.l2_bytes,
        .target = context->backend->target,
        .device = context->gpu ? context->gpu->place : "cpu",
    };
    return FG_OK;
}
