#include "runtime/context.h"

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
    *out = memory_text(&context->memory, kernel->text, kernel->text_length);
    made_free(kernel);
    return *out ? FG_OK : fail_memory(error);
}
