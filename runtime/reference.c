#include "runtime/reference.h"
#include "runtime/reference_copies.h"
#include "runtime/run.h"

static fg_status bind(reference *r, const fg_args *args, fg_error *error)
{
    const problem *p = r->problem;
    r->facts = operands_sizes(p);
    operands_make(&r->operands, p);
    fg_status s = operands_bind(r->bound, &r->facts, &r->operands, args, error);
    if (s != FG_OK) return s;
    r->b = r->facts.b;
    r->hq = r->facts.hq;
    r->hkv = r->facts.hkv;
    r->sq = r->facts.sq;
    r->sk = r->facts.sk;
    r->d = r->facts.d;
    r->dv = r->facts.dv;
    r->lengths = lengths_of(&r->operands, r->bound, &r->facts);
    reference_views_make(r);
    s = shard_take(&r->shard, &r->operands, &r->facts, args, error);
    if (p->shard || s != FG_OK) return s;
    r->shard.whole_b = r->b;
    r->shard.whole_hq = r->hq;
    r->shard.whole_hkv = r->hkv;
    r->shard.whole_sq = r->sq;
    r->shard.whole_sk = r->sk;
    return FG_OK;
}

/* ---- A run's values ---- */

static uint64_t words_at(const reference_view *rng, int64_t n)
{
    uint64_t low = (uint32_t)(int64_t)reference_at(rng, n, 0, 0, 0),
             high = (uint32_t)(int64_t)reference_at(rng, n + 1, 0, 0, 0);
    return high << 32 | low;
}

static fg_status take_numbers(reference *r, const fg_args *args, fg_error *error)
{
    run_numbers numbers;
    const run_defaults defaults = run_defaults_of(r->problem);
    fg_status s = run_take_numbers(&numbers, &defaults, args, error);
    if (s != FG_OK) return s;
    r->scale = numbers.scale;
    r->default_scale = fabs(r->scale * sqrt((double)r->d) - 1) < 1e-6;
    r->softcap = numbers.softcap;
    r->window_left = numbers.window_left;
    r->window_right = numbers.window_right;
    r->dropout =
        (reference_dropout){ (uint64_t)numbers.seed, (uint64_t)numbers.offset, numbers.drop };
    if (args->rng) {
        r->dropout.seed = words_at(&r->rng, 0);
        r->dropout.offset = words_at(&r->rng, 2);
    }
    return FG_OK;
}

static fg_status refuse(const problem *p, fg_error *error)
{
    bool e4m3 = p->dtype == DTYPE_e4m3 || p->kvdtype == DTYPE_e4m3 || p->odtype == DTYPE_e4m3;
    if (p->dir != DIR_bwd && !e4m3) return FG_OK;
    return fail(error, FG_UNSUPPORTED, "the reference does not take %s yet",
                p->dir == DIR_bwd ? "dir=bwd" : "e4m3");
}

fg_status reference_new(reference *out, const fg_context *context, const problem *p,
                        const fg_args *args, fg_error *error)
{
    fg_status s;
    const memory *m = &context->memory;
    *out = (reference){ .context = context, .problem = p };
    if ((s = refuse(p, error)) != FG_OK) goto out;
    if ((s = bind(out, args, error)) != FG_OK) goto out;
    if ((s = take_numbers(out, args, error)) != FG_OK) goto out;
    reference_units(out);
    if (p->maskfn.root &&
        (s = expr_program_new(&out->maskfn, m, p->pool, p->maskfn.root, error)) != FG_OK)
        goto out;
    if (p->score.root &&
        (s = expr_program_new(&out->score, m, p->pool, p->score.root, error)) != FG_OK)
        goto out;
out:
    if (s != FG_OK) reference_free(out);
    return s;
}

void reference_free(reference *r)
{
    if (r->maskfn.count) expr_program_free(&r->maskfn);
    if (r->score.count) expr_program_free(&r->score);
    *r = (reference){ 0 };
}

fg_status reference_spread(const reference *r, reference_task task, const void *work, void *workers,
                           size_t worker_bytes, int64_t tasks, fg_error *error)
{
    const launch what = {
        .entry = (void *)(uintptr_t)task,
        .args = work,
        .tasks = tasks,
        .scratch = workers,
        .scratch_bytes = (int64_t)worker_bytes,
    };
    return tasks_run(r->context, &what, error);
}

/* ---- The interface ---- */

/* A caller's run, and what of it was copied from a GPU. */
typedef struct given {
    fg_args args;
    reference_copies copies;
    reference reference;
} given;

static fg_status start(given *g, fg_context *context, const fg_problem *p, const fg_args *args,
                       fg_error *error)
{
    *g = (given){ .args = FG_ARGS_INIT };
    fg_status s =
        options_copy(&g->args, sizeof g->args, offsetof(fg_args, origin_b), args, "fg_args", error);
    if (s == FG_OK && context->gpu && reference_elsewhere(&g->args))
        s = reference_copies_make(&g->copies, context, p->problem, &g->args, error);
    return s == FG_OK ? reference_new(&g->reference, context, p->problem, &g->args, error) : s;
}

static void finish(given *g)
{
    reference_free(&g->reference);
    reference_copies_free(&g->copies);
}

fg_status fg_check(fg_context *context, const fg_problem *p, const fg_args *args,
                   const fg_check_options *options, fg_check_report *report, fg_error *error)
{
    given g;
    fg_check_options chosen = FG_CHECK_OPTIONS_INIT;
    fg_status s =
        options_copy(&chosen, sizeof chosen, sizeof chosen, options, "fg_check_options", error);
    if (s != FG_OK) return s;
    s = start(&g, context, p, args, error);
    if (s == FG_OK) s = reference_check(&g.reference, &chosen, report, error);
    finish(&g);
    return s;
}

fg_status fg_visible_pairs(fg_context *context, const fg_problem *p, const fg_args *args,
                           int64_t *pairs, fg_error *error)
{
    given g;
    fg_status s = start(&g, context, p, args, error);
    if (s == FG_OK) s = reference_pairs(&g.reference, pairs, error);
    finish(&g);
    return s;
}
