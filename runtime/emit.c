#include "runtime/backend_cuda.h"
#include "runtime/buckets.h"
#include "runtime/context.h"

static fg_status write_ptx(char **out, const fg_context *context, const made *kernel,
                           fg_error *error)
{
    if (!context->gpu)
        return fail(error, FG_REQUEST, "PTX is for GPUs: this context is for processors");
    return backend_cuda_ptx(out, context, kernel->text, error);
}

/* The greatest sizes of the bucket; 0, which leaves it to the maker, where they are not said. */
static fg_status take_sizes(maker_sizes *out, const problem *p, const fg_dims *dims,
                            fg_error *error)
{
    static const maker_sizes usual = { 0 };
    maker_sizes given;
    fg_status status = buckets_take(&given, p, dims, 1, &usual, error);
    if (status != FG_OK) return status;
    *out = buckets_round(p, &given);
    if (given.b == 0) out->b = 0;
    if (given.sq == 0) out->sq = 0;
    if (given.sk == 0) out->sk = 0;
    return FG_OK;
}

fg_status fg_emit(char **out, fg_context *context, const fg_problem *handle,
                  const fg_emit_options *options, fg_error *error)
{
    fg_emit_options o = FG_EMIT_OPTIONS_INIT;
    maker_sizes sizes;
    made *kernel = NULL;
    if (!out) return fail(error, FG_REQUEST, "there is no place for the text: out is NULL");
    *out = NULL;
    if (!context || !handle) return fail(error, FG_REQUEST, "context or problem is NULL");
    fg_status status = options_copy(&o, sizeof o, offsetof(fg_emit_options, sizes), options,
                                    "fg_emit_options", error);
    if (status == FG_OK) status = take_sizes(&sizes, handle->problem, o.sizes, error);
    if (status != FG_OK) return status;
    status = context_make(&kernel, context, handle->problem, o.config, &sizes, o.lines != 0, error);
    if (status != FG_OK) return status;
    if (o.ptx)
        status = write_ptx(out, context, kernel, error);
    else if (!(*out = memory_text(&context->memory, kernel->text, kernel->text_length)))
        status = fail_memory(error);
    made_free(kernel);
    return status;
}
