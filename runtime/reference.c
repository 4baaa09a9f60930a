#include "runtime/reference.h"
#include "runtime/operand.h"

#include <string.h>

/* ---- A run's tensors ---- */

/* Logical axes of the tensors that follow the layout: position and head trade places in bshd. */
static bool laid_out(const char *name)
{
    return name[0] && !name[1] && strchr("qkvo", name[0]);
}

static void view_make(reference_view *view, const operand *o, const bound *b,
                      const recipe_facts *facts, problem_layout layout)
{
    const int64_t run[] = { [DIM_b] = facts->b, [DIM_sq] = facts->sq, [DIM_sk] = facts->sk };
    bool swapped = layout == LAYOUT_bshd && laid_out(o->name);
    view->type = o->type;
    view->data = b->data;
    for (int k = 0; k < 4; k++) {
        int place = swapped && (k == 1 || k == 2) ? 3 - k : k;
        view->stride[k] = k < o->rank ? b->stride[place] : 0;
        int64_t extent = k < o->rank ? o->shape[place] : 1;
        view->extent[k] = extent == problem_dynamic ? run[o->dim[place]] : extent;
    }
}

static void make_views(reference *r, const operand_list *list, const bound *bounds,
                       const recipe_facts *facts)
{
    const struct {
        const char *name;
        reference_view *view;
    } named[] = {
#define NAMED_VIEW(name) { #name, &r->name },
        FG_TENSORS(NAMED_VIEW)
#undef NAMED_VIEW
    };
    for (int k = 0; k < list->count; k++) {
        int extra = k - (list->count - list->extras);
        reference_view *view = extra >= 0 ? &r->tensor[extra] : NULL;
        for (size_t n = 0; n < sizeof named / sizeof *named && !view; n++)
            if (strcmp(named[n].name, list->operand[k].name) == 0) view = named[n].view;
        if (view) view_make(view, &list->operand[k], &bounds[k], facts, r->problem->layout);
    }
}

static fg_status bind(reference *r, const fg_args *args, fg_error *error)
{
    const problem *p = r->problem;
    operand_list list;
    bound bounds[operand_max];
    recipe_facts facts = {
        .b = p->b, .hq = p->hq, .hkv = p->hkv, .sq = p->sq, .sk = p->sk, .d = p->d, .dv = p->dv
    };
    operands_make(&list, p);
    fg_status s = operands_bind(bounds, &facts, &list, args, error);
    if (s != FG_OK) return s;
    r->b = facts.b;
    r->hq = facts.hq;
    r->hkv = facts.hkv;
    r->sq = facts.sq;
    r->sk = facts.sk;
    r->d = facts.d;
    r->dv = facts.dv;
    r->offset = p->causal == CAUSAL_top_left ? 0 : r->sk - r->sq;
    make_views(r, &list, bounds, &facts);
    return FG_OK;
}

/* ---- A run's values ---- */

static void resolve_values(reference *r, const fg_args *args)
{
    const problem *p = r->problem;
    r->scale = isnan(args->scale) ? p->scale : args->scale;
    r->default_scale = fabs(r->scale * sqrt((double)p->d) - 1) < 1e-6;
    r->softcap = isnan(args->softcap) ? p->softcap.value : args->softcap;
    r->window_left = args->window_left == FG_DEFAULT_INT ? p->window.left : args->window_left;
    r->window_right = args->window_right == FG_DEFAULT_INT ? p->window.right : args->window_right;
}

static fg_status refuse(const problem *p, fg_error *error)
{
    const struct {
        bool present;
        const char *what;
    } features[] = {
        { p->dir == DIR_bwd, "dir=bwd" },
        { p->dropout.present, "dropout" },
        { p->lens != LENS_none, "lens" },
        { p->page != 0, "page" },
        { p->sinks, "sinks" },
        { p->dtype == DTYPE_f64 || p->kvdtype == DTYPE_f64 || p->odtype == DTYPE_f64, "f64" },
        { p->dtype == DTYPE_e4m3 || p->kvdtype == DTYPE_e4m3 || p->odtype == DTYPE_e4m3, "e4m3" },
    };
    for (size_t k = 0; k < sizeof features / sizeof *features; k++)
        if (features[k].present)
            return fail(error, FG_UNSUPPORTED, "the reference does not take %s yet",
                        features[k].what);
    return FG_OK;
}

fg_status reference_new(reference *out, const fg_context *context, const problem *p,
                        const fg_args *args, fg_error *error)
{
    fg_status s;
    const memory *m = &context->memory;
    *out = (reference){ .context = context, .problem = p };
    if ((s = refuse(p, error)) != FG_OK) goto out;
    if ((s = bind(out, args, error)) != FG_OK) goto out;
    resolve_values(out, args);
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

size_t reference_expr_scratch(const reference *r)
{
    int most = r->score.count > r->maskfn.count ? r->score.count : r->maskfn.count;
    return 3 * (size_t)most;
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

static fg_status start(reference *r, fg_args *copy, fg_context *context, const fg_problem *p,
                       const fg_args *args, fg_error *error)
{
    *copy = (fg_args)FG_ARGS_INIT;
    fg_status s = options_copy(copy, sizeof *copy, sizeof *copy, args, "fg_args", error);
    return s == FG_OK ? reference_new(r, context, p->problem, copy, error) : s;
}

fg_status fg_check(fg_context *context, const fg_problem *p, const fg_args *args,
                   const fg_check_options *options, fg_check_report *report, fg_error *error)
{
    reference r = { 0 };
    fg_args copy;
    fg_check_options chosen = FG_CHECK_OPTIONS_INIT;
    fg_status s =
        options_copy(&chosen, sizeof chosen, sizeof chosen, options, "fg_check_options", error);
    if (s == FG_OK) s = start(&r, &copy, context, p, args, error);
    if (s == FG_OK) s = reference_check(&r, &chosen, report, error);
    reference_free(&r);
    return s;
}

fg_status fg_visible_pairs(fg_context *context, const fg_problem *p, const fg_args *args,
                           int64_t *pairs, fg_error *error)
{
    reference r = { 0 };
    fg_args copy;
    fg_status s = start(&r, &copy, context, p, args, error);
    if (s == FG_OK) s = reference_pairs(&r, pairs, error);
    reference_free(&r);
    return s;
}
