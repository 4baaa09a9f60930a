#include "runtime/backend_cuda.h"

static fg_status write_ptx(char **out, const fg_context *context, const made *kernel,
                           fg_error *error)
{
    if (!context->gpu)
        return fail(error, FG_REQUEST, "PTX is for GPUs: this context is for processors");
    return backend_cuda_ptx(out, context, kernel->text, error);
}

fg_status fg_emit(char **out, fg_context *context, const fg_problem *handle,
                  const fg_emit_options *options, fg_error *error)
{
    fg_emit_options o = FG_EMIT_OPTIONS_INIT;
    made *kernel = NULL;
    if (!out) return fail(error, FG_REQUEST, "there is no place for the text: out is NULL");
    *out = NULL;
    if (!context || !handle) return fail(error, FG_REQUEST, "context or problem is NULL");
    fg_status status = options_copy(&o, sizeof o, sizeof o, options, "fg_emit_options", error);
    if (status != FG_OK) return status;
    status = context_make(&kernel, context, handle->problem, o.config, NULL, o.lines != 0, error);
    if (status != FG_OK) return status;
    if (o.ptx)
        status = write_ptx(out, context, kernel, error);
    else if (!(*out = memory_text(&context->memory, kernel->text, kernel->text_length)))
        status = fail_memory(error);
    made_free(kernel);
    return status;
}
