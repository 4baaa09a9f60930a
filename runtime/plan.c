/* Plans: small handles over kernels, which a context's plans of one problem share and the context keeps, so
 * that a host may plan, run and free each time. */
#include "runtime/plan.h"

#include <math.h>
#include <stdio.h>

static fg_status options_check(const fg_plan_options *o, fg_error *error)
{
    if (o->rigor < FG_ESTIMATE || o->rigor > FG_STORED)
        return fail(error, FG_REQUEST, "there is no rigor %d", (int)o->rigor);
    if (o->rigor == FG_MEASURE && !(o->seconds > 0 && isfinite(o->seconds)))
        return fail(error, FG_REQUEST, "seconds must be above 0: a search takes time");
    return FG_OK;
}

/* ---- As a request ---- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static fg_status take_sizes(plan_ask *out, const problem *p, const fg_plan_options *o,
                            fg_error *error)
{
    static const maker_sizes usual = { 8, 4096, 16384 }, needed = { -1, -1, -1 },
                             none = { 1, 1, 1 };
    const bool searches = o->rigor == FG_MEASURE || o->rigor == FG_EXHAUSTIVE;
    maker_sizes tuned;
    fg_status status = buckets_take(&out->most, p, o->most, 0, &usual, error);
    if (status == FG_OK)
        status = buckets_take(&tuned, p, o->sizes, 1, searches ? &needed : &none, error);
    if (status != FG_OK) return status;
    out->tuned = searches ? buckets_round(p, &tuned) : (maker_sizes){ 0 };
    out->most.b = larger(out->most.b, tuned.b);
    out->most.sq = larger(out->most.sq, tuned.sq);
    out->most.sk = larger(out->most.sk, tuned.sk);
    out->most = buckets_round(p, &out->most);
    return FG_OK;
}

/* What a table's request is called beside a bucket's, "b=4 sq=512". */
static void name_sizes(plan_ask *out)
{
    char most[buckets_text_size], tuned[buckets_text_size];
    buckets_text(most, &out->most);
    buckets_text(tuned, &out->tuned);
    snprintf(out->sizes, sizeof out->sizes, "up to %s, tuned %s", most, tuned);
}

fg_status plan_ask_make(plan_ask *out, const problem *p, const fg_plan_options *o, fg_error *error)
{
    out->table = buckets_needed(p);
    out->sizes[0] = 0;
    if (out->table) {
        fg_status status = take_sizes(out, p, o, error);
        if (status != FG_OK) return status;
        name_sizes(out);
    }
    out->request = request_of(p, o->rigor, out->sizes, o->config ? o->config : "");
    return FG_OK;
}

bool plan_find(fg_plan *out, fg_context *context, const plan_ask *ask)
{
    const kernel_table *t = ask->table ? kernels_find_table(context, &ask->request) : NULL;
    kernel *k = t ? table_last(t) : ask->table ? NULL : kernels_find(context, &ask->request);
    *out = (fg_plan){ k, t, FG_FROM_MEMORY };
    return k != NULL;
}

/* ---- Making ---- */

/* plan_find for most: a host may plan before each run. */
static bool find_at_once(fg_plan *plan, const fg_problem *handle, const fg_plan_options *o)
{
    if (o->background || buckets_needed(handle->problem)) return false;
    plan_request r = request_of(handle->problem, o->rigor, "", o->config ? o->config : "");
    plan->source = FG_FROM_MEMORY;
    plan->kernel = kernels_find(handle->context, &r);
    return plan->kernel != NULL;
}

static fg_status plan_fill(fg_plan *plan, const fg_problem *handle, const fg_plan_options *o,
                           fg_error *error)
{
    plan_ask ask;
    if (find_at_once(plan, handle, o)) return FG_OK;
    fg_status status = plan_ask_make(&ask, handle->problem, o, error);
    if (status != FG_OK) return status;
    if (o->background) return background_resolve(plan, handle, o, &ask, error);
    if (plan_find(plan, handle->context, &ask)) return FG_OK;
    return plan_resolve(plan, handle, o, &ask, error);
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

/* ---- Memory of a run ---- */

/* The longest that a run may count with, where a tensor's shape says `each` or else the total counts. */
static int64_t longest_of(int64_t each, int64_t *total, int64_t b)
{
    if (each < 0 || each > PROBLEM_MAX_LENGTH) return each; /* any, or refused */
    if (*total < 0 && b >= 0 && b <= INT32_MAX) *total = b * each;
    if (*total < 0 || *total > PROBLEM_MAX_LENGTH) return -1;
    return *total > each ? *total : each;
}

/* A GPU's run does not read how long packed sequences are: where the problem does not bound them, and no table of pages
 * does, one may be as long as all. */
static void count_unread(fg_dims *d, const kernel *k)
{
    const int64_t b = k->facts.b == problem_dynamic ? d->b : k->facts.b;
    if (!k->operands.device || k->operands.lens != LENS_packed) return;
    if (k->facts.sq == problem_dynamic) d->sq = longest_of(d->sq, &d->total_q, b);
    if (k->facts.sk == problem_dynamic && !k->operands.page)
        d->sk = longest_of(d->sk, &d->total_k, b);
}

static fg_status bytes_of(size_t *all, size_t *prepared, const fg_plan *plan, const fg_dims *dims,
                          fg_error *error)
{
    fg_dims d = FG_DIMS_INIT;
    run_bytes needed;
    if (!plan) return fail(error, FG_REQUEST, "plan is NULL");
    fg_status status = options_copy(&d, sizeof d, sizeof d, dims, "fg_dims", error);
    if (status != FG_OK) return status;
    count_unread(&d, plan->kernel);
    if (plan->table) return table_most_bytes(all, prepared, plan->table, &d, error);
    status = kernel_most_bytes(&needed, plan->kernel, &d, error);
    *all = status == FG_OK ? needed.workspace + needed.prepared : 0;
    *prepared = status == FG_OK ? needed.prepared : 0;
    return status;
}

fg_status fg_plan_workspace(const fg_plan *plan, const fg_dims *dims, size_t *bytes,
                            fg_error *error)
{
    size_t all, prepared;
    if (!bytes) return fail(error, FG_REQUEST, "bytes is NULL");
    fg_status status = bytes_of(&all, &prepared, plan, dims, error);
    if (status == FG_OK) *bytes = all;
    return status;
}

fg_status fg_plan_prepared(const fg_plan *plan, const fg_dims *dims, size_t *bytes, fg_error *error)
{
    size_t all, prepared;
    if (!bytes) return fail(error, FG_REQUEST, "bytes is NULL");
    fg_status status = bytes_of(&all, &prepared, plan, dims, error);
    if (status == FG_OK) *bytes = prepared ? run_stamp_bytes + prepared : 0;
    return status;
}
