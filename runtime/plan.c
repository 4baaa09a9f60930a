/* Plans: small handles over kernels, which a context's plans of one problem share and the context keeps, so
 * that a host may plan, run and free each time. */
#include "runtime/plan.h"

#include <math.h>

static fg_status options_check(const fg_plan_options *o, fg_error *error)
{
    if (o->rigor < FG_ESTIMATE || o->rigor > FG_STORED)
        return fail(error, FG_REQUEST, "there is no rigor %d", (int)o->rigor);
    if (o->rigor == FG_MEASURE && !(o->seconds > 0 && isfinite(o->seconds)))
        return fail(error, FG_REQUEST, "seconds must be above 0: a search takes time");
    return FG_OK;
}

static fg_status plan_fill(fg_plan *plan, const fg_problem *handle, const fg_plan_options *o,
                           fg_error *error)
{
    if (o->background) return background_resolve(&plan->kernel, &plan->source, handle, o, error);
    plan_request r = request_of(handle->problem, o->rigor, o->config ? o->config : "");
    plan->source = FG_FROM_MEMORY;
    plan->kernel = kernels_find(handle->context, &r);
    return plan->kernel ? FG_OK : plan_resolve(&plan->kernel, &plan->source, handle, o, error);
}

fg_status fg_plan_new(fg_plan **out, fg_context *context, const fg_problem *handle,
                      const fg_plan_options *options, fg_error *error)
{
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    if (!out) return fail(error, FG_REQUEST, "there is no place for the plan: out is NULL");
    *out = NULL;
    if (!context || !handle) return fail(error, FG_REQUEST, "context or problem is NULL");
    fg_status status = options_copy(&o, sizeof o, sizeof o, options, "fg_plan_options", error);
    if (status == FG_OK) status = options_check(&o, error);
    if (status != FG_OK) return status;
    fg_plan *plan = memory_new(&context->memory, 1, sizeof *plan);
    if (!plan) return fail_memory(error);
    const fg_problem here = { context, handle->problem };
    status = plan_fill(plan, &here, &o, error);
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
