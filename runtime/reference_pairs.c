/* How many query-key pairs the masks keep. */
#include "runtime/reference.h"

typedef struct pairs_work {
    const reference *r;
    int64_t heads; /* of each b that have masks of their own: hq or 1 */
} pairs_work;

typedef struct pairs_worker {
    reference_cell cell;
    double *scratch;
    int64_t pairs;
} pairs_worker;

static int64_t row_pairs(reference_cell *cell, int64_t i)
{
    int64_t first, end, pairs = 0;
    reference_range(cell->r, i, &first, &end);
    for (int64_t j = first; j < end; j++) pairs += reference_visible(cell, j);
    return pairs;
}

static void pairs_task(const void *work, void *worker, int64_t first, int64_t last)
{
    const pairs_work *w = work;
    pairs_worker *own = worker;
    for (int64_t task = first; task < last; task++) {
        int64_t head = task / w->r->sq, i = task % w->r->sq;
        reference_cell_move(&own->cell, head / w->heads, head % w->heads, i);
        own->pairs += row_pairs(&own->cell, i);
    }
}

static fg_status evaluate(const pairs_work *w, int64_t tasks, int64_t *pairs, fg_error *error)
{
    const reference *r = w->r;
    const memory *m = &r->context->memory;
    size_t workers = (size_t)r->context->threads, doubles = reference_expr_scratch(r) + 1;
    pairs_worker *worker = memory_new(m, workers, sizeof *worker);
    double *scratch = memory_new(m, workers * doubles, sizeof *scratch);
    fg_status s = worker && scratch ? FG_OK : fail_memory(error);
    for (size_t k = 0; k < workers && s == FG_OK; k++)
        reference_cell_init(&worker[k].cell, r, scratch + k * doubles);
    if (s == FG_OK) s = reference_spread(r, pairs_task, w, worker, sizeof *worker, tasks, error);
    for (size_t k = 0; k < workers && s == FG_OK; k++) *pairs += worker[k].pairs;
    memory_free(m, scratch, workers * doubles * sizeof *scratch);
    memory_free(m, worker, workers * sizeof *worker);
    return s;
}

static int64_t closed_form(const reference *r)
{
    int64_t pairs = 0;
    for (int64_t i = 0; i < r->sq; i++) {
        int64_t first, end;
        reference_range(r, i, &first, &end);
        pairs += end - first;
    }
    return pairs;
}

/* Whether the masks differ along b (0) or along the heads (1). */
static bool differs(const reference *r, int dimension)
{
    const problem *p = r->problem;
    if (p->mask.present && p->mask.full[dimension]) return true;
    if (!r->maskfn.count) return false;
    int symbol = expr_find(p->pool, dimension == 0 ? "b" : "h");
    return symbol < 0 || (expr_get(p->pool, p->maskfn.root)->depends >> symbol & 1);
}

fg_status reference_pairs(const reference *r, int64_t *pairs, fg_error *error)
{
    fg_status s = FG_OK;
    int64_t copies = 1, batches = 1;
    pairs_work w = { .r = r, .heads = 1 };
    *pairs = 0;
    *(differs(r, 0) ? &batches : &copies) *= r->b;
    *(differs(r, 1) ? &w.heads : &copies) *= r->hq;
    if (!r->problem->mask.present && !r->maskfn.count)
        *pairs = closed_form(r);
    else if (r->sq > 0)
        s = evaluate(&w, batches * w.heads * r->sq, pairs, error);
    if (s == FG_OK && __builtin_mul_overflow(*pairs, copies, pairs))
        s = fail(error, FG_REQUEST, "more than 2^63 query-key pairs");
    return s;
}
