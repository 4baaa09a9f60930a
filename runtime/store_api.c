/* The public calls upon the store. */
#include "runtime/context.h"

fg_status fg_store_info(fg_context *context, const char **path, fg_store_counts *counts,
                        fg_error *error)
{
    if (!context) return fail(error, FG_REQUEST, "context is NULL");
    if (path) *path = store_path(context->store);
    if (counts) *counts = store_counts(context->store);
    return FG_OK;
}

fg_status fg_store_visit(fg_context *context, fg_store_fn visit, void *user, fg_error *error)
{
    if (!context || !visit) return fail(error, FG_REQUEST, "context or visit is NULL");
    return store_visit(context->store, visit, user, error);
}

fg_status fg_store_prune(fg_context *context, int64_t most_bytes, fg_store_report *report,
                         fg_error *error)
{
    if (!context) return fail(error, FG_REQUEST, "context is NULL");
    if (most_bytes < -1)
        return fail(error, FG_REQUEST, "most_bytes is %lld: it must be -1 or more",
                    (long long)most_bytes);
    return store_prune(context->store, most_bytes, report, error);
}

fg_status fg_store_clear(fg_context *context, fg_store_report *report, fg_error *error)
{
    if (!context) return fail(error, FG_REQUEST, "context is NULL");
    return store_clear(context->store, report, error);
}
