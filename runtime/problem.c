#include "runtime/context.h"

#include <string.h>

fg_status fg_problem_parse(fg_problem **out, fg_context *context, const char *line, fg_error *error)
{
    if (!out) return fail(error, FG_REQUEST, "there is no place for the problem: out is NULL");
    *out = NULL;
    if (!context || !line) return fail(error, FG_REQUEST, "context or text is NULL");
    fg_problem *handle = memory_new(&context->memory, 1, sizeof *handle);
    if (!handle) return fail_memory(error);
    /* Longer than a problem may be is found by its length alone, however long. */
    size_t length = strnlen(line, problem_max_text + 1);
    fg_status status = problem_parse(&handle->problem, &context->memory, line, length, error);
    if (status != FG_OK) {
        memory_free(&context->memory, handle, sizeof *handle);
        return status;
    }
    handle->context = context;
    context_hold(context);
    *out = handle;
    return FG_OK;
}

void fg_problem_free(fg_problem *handle)
{
    if (!handle) return;
    fg_context *context = handle->context;
    problem_free(handle->problem);
    memory_free(&context->memory, handle, sizeof *handle);
    fg_context_free(context);
}

const char *fg_problem_format(const fg_problem *handle)
{
    return handle->problem->text;
}

fg_status fg_problem_tensor(const fg_problem *handle, size_t index, fg_tensor_info *info)
{
    problem_tensor_info t;
    if (!handle || !info || !problem_tensor_at(handle->problem, index, &t)) return FG_REQUEST;
    *info = (fg_tensor_info){
        .name = t.name,
        .dtype = { dtypes[t.type].code, dtypes[t.type].bits, 1 },
        .ndim = t.rank,
        .output = t.output,
        .optional = t.optional,
    };
    memcpy(info->shape, t.shape, sizeof info->shape);
    return FG_OK;
}
