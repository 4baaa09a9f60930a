/* Plans: small handles over kernels, which a context's plans of one problem share and the context keeps, so
 * that a host may plan, run and free each time. */
#include "runtime/kernel.h"
#include "runtime/library.h"
#include "runtime/plan.h"

#include <string.h>

/* ---- The kernels of a context, found by what was asked for ---- */

/* The problem's line and the pinned axes. */
typedef struct request {
    const problem *problem;
    const char *config;
    size_t config_length;
    uint64_t hash;
} request;

static request request_of(const problem *p, const char *config)
{
    request r = { p, config, strlen(config), p->hash };
    for (size_t k = 0; k < r.config_length; k++)
        r.hash = (r.hash ^ (unsigned char)config[k]) * 0x100000001b3u;
    return r;
}

static bool is_for(const kernel *k, const request *r)
{
    size_t line = r->problem->text_length;
    return k->hash == r->hash && k->key_length == line + 1 + r->config_length &&
           memcmp(k->key, r->problem->text, line) == 0 &&
           memcmp(k->key + line + 1, r->config, r->config_length) == 0;
}

static kernel **bucket_of(fg_context *context, uint64_t hash)
{
    return &context->kernels[(hash ^ hash >> 32) % context_buckets];
}

/* Under the lock. */
static kernel *find_locked(fg_context *context, const request *r)
{
    kernel *k = *bucket_of(context, r->hash);
    while (k && !is_for(k, r)) k = k->next;
    return k;
}

static kernel *find(fg_context *context, const request *r)
{
    library_lock();
    kernel *k = find_locked(context, r);
    library_unlock();
    return k;
}

/* The kernel that now stands for the request: another thread may have been first. */
static kernel *publish(fg_context *context, const request *r, kernel *fresh)
{
    library_lock();
    kernel *first = find_locked(context, r);
    if (!first) {
        kernel **bucket = bucket_of(context, r->hash);
        fresh->next = *bucket;
        *bucket = fresh;
    }
    library_unlock();
    if (!first) return fresh;
    kernel_free(fresh);
    return first;
}

/* ---- Making a plan ---- */

static bool key_make(kernel *k, const request *r)
{
    size_t line = r->problem->text_length, length = line + 1 + r->config_length;
    k->key = memory_new(&k->context->memory, length + 1, 1);
    if (!k->key) return false;
    memcpy(k->key, r->problem->text, line);
    memcpy(k->key + line + 1, r->config, r->config_length);
    k->key_length = length;
    k->hash = r->hash;
    return true;
}

static fg_status make(kernel **out, fg_context *context, const request *r, fg_error *error)
{
    fg_status status =
        kernel_new(out, context, r->problem, *r->config ? r->config : NULL, NULL, error);
    if (status != FG_OK) return status;
    if (!key_make(*out, r)) {
        kernel_free(*out);
        return fail_memory(error);
    }
    const kernel *k = *out;
    context_log(context, FG_LOG_INFO, "compiled %.300s with %.100s in %d ms", r->problem->text,
                k->config,
                (int)((k->generate_seconds + k->compile_seconds + k->load_seconds) * 1000));
    *out = publish(context, r, *out);
    return FG_OK;
}

static fg_status plan_fill(fg_plan *plan, fg_context *context, const request *r, fg_error *error)
{
    plan->source = FG_FROM_MEMORY;
    plan->kernel = find(context, r);
    if (plan->kernel) return FG_OK;
    plan->source = FG_COMPILED;
    return make(&plan->kernel, context, r, error);
}

fg_status fg_plan_new(fg_plan **out, fg_context *context, const fg_problem *handle,
                      const fg_plan_options *options, fg_error *error)
{
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    if (!out) return fail(error, FG_REQUEST, "there is no place for the plan: out is NULL");
    *out = NULL;
    if (!context || !handle) return fail(error, FG_REQUEST, "context or problem is NULL");
    fg_status status = options_copy(&o, sizeof o, sizeof o, options, "fg_plan_options", error);
    if (status != FG_OK) return status;
    if (o.rigor != FG_ESTIMATE)
        return fail(error, FG_REQUEST, "there is no rigor %d", (int)o.rigor);
    fg_plan *plan = memory_new(&context->memory, 1, sizeof *plan);
    if (!plan) return fail_memory(error);
    request r = request_of(handle->problem, o.config ? o.config : "");
    status = plan_fill(plan, context, &r, error);
    if (status != FG_OK) {
        memory_free(&context->memory, plan, sizeof *plan);
        return status;
    }
    context_hold(context);
    *out = plan;
    return FG_OK;
}

void fg_plan_free(fg_plan *plan)
{
    if (!plan) return;
    fg_context *context = plan->kernel->context;
    memory_free(&context->memory, plan, sizeof *plan);
    fg_context_free(context);
}

void fg_plan_config(const fg_plan *plan, fg_plan_info *info)
{
    const kernel *k = plan->kernel;
    bool compiled = plan->source == FG_COMPILED;
    *info = (fg_plan_info){
        .target = k->backend->target,
        .schedule = k->schedule,
        .config = k->config,
        .source = plan->source,
        .generate_seconds = compiled ? k->generate_seconds : 0,
        .compile_seconds = compiled ? k->compile_seconds : 0,
        .load_seconds = compiled ? k->load_seconds : 0,
    };
}

/* A `*` dimension counts as the longest that it may be. */
fg_status fg_plan_workspace(const fg_plan *plan, size_t *bytes, fg_error *error)
{
    if (!plan || !bytes) return fail(error, FG_REQUEST, "plan or bytes is NULL");
    recipe_facts facts = plan->kernel->facts;
    if (facts.b == problem_dynamic) facts.b = 1 << 20;
    if (facts.sq == problem_dynamic) facts.sq = PROBLEM_MAX_LENGTH;
    if (facts.sk == problem_dynamic) facts.sk = PROBLEM_MAX_LENGTH;
    return kernel_workspace(bytes, plan->kernel, &facts, error);
}
