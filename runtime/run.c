#include "runtime/run.h"
#include "runtime/plan.h"

#include <math.h>

/* Wider than any sequence, and far enough from 2^31 that a kernel's sums with positions stay in int32. */
enum { window_unbounded = 1 << 29 };

static fg_status take_real(double *value, double given, bool present, const char *name,
                           fg_error *error)
{
    if (isnan(given)) return FG_OK;
    if (!present) return fail(error, FG_REQUEST, "%s was given, but the problem has none", name);
    *value = given;
    return FG_OK;
}

static fg_status take_window(int64_t *value, int64_t given, bool present, const char *name,
                             fg_error *error)
{
    if (given != FG_DEFAULT_INT) {
        if (given < -1)
            return fail(error, FG_REQUEST, "%s is %lld: it must be -1 or more", name,
                        (long long)given);
        if (!present && given != -1)
            return fail(error, FG_REQUEST, "%s was given, but the problem has none", name);
        *value = given;
    }
    if (*value < 0 || *value > window_unbounded) *value = window_unbounded;
    return FG_OK;
}

static fg_status take_numbers(run_numbers *out, const run_defaults *defaults, const fg_args *args,
                              fg_error *error)
{
    bool window = defaults->window;
    *out = defaults->numbers;
    fg_status status = take_real(&out->scale, args->scale, true, "scale", error);
    if (status == FG_OK)
        status = take_real(&out->softcap, args->softcap, defaults->softcap, "softcap", error);
    if (status == FG_OK)
        status = take_window(&out->window_left, args->window_left, window, "window_left", error);
    if (status == FG_OK)
        status = take_window(&out->window_right, args->window_right, window, "window_right", error);
    if (status == FG_OK && defaults->softcap && !(out->softcap > 0 && isfinite(out->softcap)))
        status = fail(error, FG_REQUEST, "softcap must be above 0 and finite");
    return status;
}

static fg_status check_workspace(const kernel *k, const recipe_facts *facts, const fg_args *args,
                                 fg_error *error)
{
    size_t bytes = 0;
    fg_status status = kernel_workspace(&bytes, k, facts, error);
    if (status != FG_OK || bytes == 0) return status;
    if (!args->workspace || args->workspace_bytes < bytes)
        return fail(error, FG_WORKSPACE, "the workspace has %zu bytes: this run needs %zu",
                    args->workspace ? args->workspace_bytes : 0, bytes);
    if ((uintptr_t)args->workspace % 64 != 0)
        return fail(error, FG_WORKSPACE, "the workspace must be aligned to 64 bytes");
    return FG_OK;
}

fg_status run_kernel(const kernel *k, const fg_args *args, fg_error *error)
{
    bound operands[operand_max];
    run_numbers numbers;
    recipe_facts facts = k->facts;
    fg_status status = operands_bind(operands, &facts, &k->operands, args, error);
    if (status == FG_OK) status = take_numbers(&numbers, &k->defaults, args, error);
    if (status == FG_OK) status = check_workspace(k, &facts, args, error);
    if (status == FG_OK) status = kernel_run(k, operands, &numbers, &facts, args->workspace, error);
    return status;
}

fg_status fg_run(const fg_plan *plan, const fg_args *args, fg_error *error)
{
    fg_args a = FG_ARGS_INIT;
    if (!plan || !args) return fail(error, FG_REQUEST, "plan or args is NULL");
    fg_status status = options_copy(&a, sizeof a, sizeof a, args, "fg_args", error);
    return status == FG_OK ? run_kernel(plan->kernel, &a, error) : status;
}
