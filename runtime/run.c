#include "runtime/run.h"
#include "runtime/device_cuda.h"
#include "runtime/plan.h"

#include <math.h>
#include <string.h>

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

/* The chance to drop as the number of 16-bit words below which they do, halves rounded up. */
static int64_t threshold(double probability)
{
    return (int64_t)floor((double)(float)probability * 65536 + 0.5);
}

/* Seed and offset by value, or in rng. */
static fg_status take_dropout(run_numbers *out, const run_defaults *defaults, const fg_args *args,
                              fg_error *error)
{
    double probability = defaults->probability;
    fg_status status = take_real(&probability, args->dropout, defaults->dropout, "dropout", error);
    if (status != FG_OK) return status;
    if (!(probability >= 0 && probability <= 1))
        return fail(error, FG_REQUEST, "dropout must be a probability from 0 to 1");
    if (args->seeded && !defaults->dropout)
        return fail(error, FG_REQUEST, "a seed was given, but the problem has no dropout");
    if (defaults->dropout && !args->seeded && !args->rng)
        return fail(error, FG_REQUEST, "the seed is missing: dropout needs seeded = 1, or rng");
    if (args->seeded && args->rng)
        return fail(error, FG_REQUEST, "the seed was given twice: by value, and by rng");
    out->seed = (int64_t)args->seed;
    out->offset = (int64_t)args->offset;
    out->drop = threshold(probability);
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

fg_status run_take_numbers(run_numbers *out, const run_defaults *defaults, const fg_args *args,
                           fg_error *error)
{
    fg_status status = take_numbers(out, defaults, args, error);
    return status == FG_OK ? take_dropout(out, defaults, args, error) : status;
}

/* ---- Memory ---- */

static uint64_t hash_numbers(uint64_t hash, const int64_t *numbers, size_t count)
{
    for (size_t n = 0; n < count; n++)
        hash = (hash ^ (uint64_t)numbers[n]) * UINT64_C(0x100000001b3);
    return hash;
}

/* What was prepared is of one config, and of one run's sizes, place and window. */
static uint64_t stamp_of(const kernel *k, const recipe_facts *facts, const run_numbers *numbers)
{
    const int64_t window[] = { numbers->window_left, numbers->window_right };
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *c = k->config; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    hash = hash_numbers(hash, (const int64_t *)facts, sizeof *facts / sizeof(int64_t));
    hash = hash_numbers(hash, (const int64_t *)&numbers->shard,
                        sizeof numbers->shard / sizeof(int64_t));
    return hash_numbers(hash, window, 2);
}

static fg_status check_stamp(const char *prepared, uint64_t stamp, fg_error *error)
{
    uint64_t found;
    memcpy(&found, prepared, sizeof found);
    if (found == stamp) return FG_OK;
    return fail(error, FG_REQUEST,
                "what is prepared is not by fg_plan_prepare of this plan for these sizes and this "
                "window");
}

static fg_status check_part(const void *data, size_t given, size_t needed, const char *what,
                            fg_error *error)
{
    if (needed == 0) return FG_OK;
    if (!data || given < needed)
        return fail(error, FG_WORKSPACE, "%s has %zu bytes: this run needs %zu", what,
                    data ? given : 0, needed);
    if ((uintptr_t)data % 64 != 0)
        return fail(error, FG_WORKSPACE, "%s must be aligned to 64 bytes", what);
    return FG_OK;
}

/* Both parts are large enough; `kept`: what is prepared has memory of its own. */
static fg_status check_parts(const fg_args *args, run_bytes bytes, bool kept, fg_error *error)
{
    size_t stamped = bytes.prepared ? run_stamp_bytes + bytes.prepared : 0;
    fg_status status = !kept ? FG_OK
                             : check_part(args->prepared, args->prepared_bytes, stamped,
                                          "what is prepared", error);
    if (status != FG_OK) return status;
    return check_part(args->workspace, args->workspace_bytes,
                      bytes.workspace + (kept ? 0 : bytes.prepared), "the workspace", error);
}

static fg_status check_place(const kernel *k, const run_bytes *bytes, const fg_args *args,
                             bool kept, fg_error *error)
{
    const operand_device *d = k->operands.device;
    const bool own = bytes->workspace + (kept ? 0 : bytes->prepared) > 0;
    fg_status status = own ? d->check(d, args->workspace, "the workspace", error) : FG_OK;
    if (status == FG_OK && kept && bytes->prepared > 0)
        status = d->check(d, args->prepared, "what is prepared", error);
    return status;
}

static fg_status take_memory(run_memory *out, const kernel *k, const recipe_facts *facts,
                             const run_numbers *numbers, const fg_args *args, bool prepare,
                             fg_error *error)
{
    run_bytes bytes;
    bool kept = args->prepared || prepare;
    *out = (run_memory){ .workspace = args->workspace,
                         .prepare_only = prepare,
                         .host = args->parallel_user,
                         .stream = args->stream };
    fg_status status = kernel_bytes(&bytes, k, facts, error);
    if (status == FG_OK) status = check_parts(args, bytes, kept, error);
    if (status == FG_OK && k->context->gpu) status = check_place(k, &bytes, args, kept, error);
    if (status != FG_OK || !kept || bytes.prepared == 0) return status;
    const uint64_t stamp = stamp_of(k, facts, numbers);
    out->prepared = (char *)args->prepared + run_stamp_bytes;
    if (k->context->gpu) return FG_OK; /* the stamp would be read in its memory */
    if (!prepare) return check_stamp(args->prepared, stamp, error);
    memcpy(args->prepared, &stamp, sizeof stamp);
    return FG_OK;
}

/* `table` NULL: `k` takes all sizes; else it stands for all of them until they are known. */
static fg_status run(const kernel *k, const kernel_table *table, const fg_args *args, bool prepare,
                     fg_error *error)
{
    bound operands[operand_max];
    run_numbers numbers;
    run_memory own;
    recipe_facts facts = k->facts;
    fg_status status = k->context->gpu ? device_cuda_ready(k->context->gpu, error) : FG_OK;
    if (status == FG_OK && !k->context->gpu && args->stream)
        status = fail(error, FG_REQUEST, "a stream was given, but the plan runs on processors");
    if (status == FG_OK) status = operands_bind(operands, &facts, &k->operands, args, error);
    if (status == FG_OK && table) k = table_find(table, &facts);
    if (status == FG_OK)
        status = (prepare ? take_numbers : run_take_numbers)(&numbers, &k->defaults, args, error);
    if (status == FG_OK) status = shard_take(&numbers.shard, &k->operands, &facts, args, error);
    if (status == FG_OK) status = take_memory(&own, k, &facts, &numbers, args, prepare, error);
    if (status == FG_OK) status = kernel_run(k, operands, &numbers, &facts, &own, error);
    return status;
}

fg_status run_kernel(const kernel *k, const fg_args *args, fg_error *error)
{
    return run(k, NULL, args, false, error);
}

static fg_status run_plan(const fg_plan *plan, const fg_args *args, bool prepare, fg_error *error)
{
    fg_args a = FG_ARGS_INIT;
    if (!plan || !args) return fail(error, FG_REQUEST, "plan or args is NULL");
    fg_status status =
        options_copy(&a, sizeof a, offsetof(fg_args, origin_b), args, "fg_args", error);
    return status == FG_OK ? run(plan->kernel, plan->table, &a, prepare, error) : status;
}

fg_status fg_run(const fg_plan *plan, const fg_args *args, fg_error *error)
{
    return run_plan(plan, args, false, error);
}

fg_status fg_plan_prepare(const fg_plan *plan, const fg_args *args, fg_error *error)
{
    return run_plan(plan, args, true, error);
}
