/* How many query-key pairs the masks keep. */
#include "runtime/reference.h"

typedef struct pairs_work {
    const reference *r;
    int64_t heads; /* of each b that have masks of their own: hq or 1 */
    bool rows,
        keys; /* masks differ along the rows, along the keys; others than causal and window */
} pairs_work;

typedef struct pairs_worker {
    reference_cell cell;
    double *scratch;
    int32_t *before;     /* keys before each that masks keep, where all rows have the same */
    int64_t before_head; /* of which head */
    int64_t pairs;
} pairs_worker;

/* Every key's mask, in place of each row's. */
static void count_keys(pairs_worker *w)
{
    int64_t sk = w->cell.sequence.sk, i = w->cell.at[2];
    w->cell.first = 0;
    w->cell.end = sk;
    for (int64_t j = 0; j < sk; j++)
        w->before[j + 1] = w->before[j] + reference_visible(&w->cell, j);
    reference_cell_move(&w->cell, w->cell.at[0], w->cell.at[1], i);
}

static int64_t row_pairs(const pairs_work *work, pairs_worker *w, int64_t head)
{
    reference_cell *cell = &w->cell;
    int64_t first = cell->first, end = cell->end, pairs = 0;
    if (first >= end) return 0;
    if (!work->keys) return reference_visible(cell, first) ? end - first : 0;
    if (!work->rows) {
        if (w->before_head != head) count_keys(w);
        w->before_head = head;
        return w->before[end] - w->before[first];
    }
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
        own->pairs += row_pairs(w, own, head);
    }
}

static fg_status evaluate(const pairs_work *w, int64_t tasks, int64_t *pairs, fg_error *error)
{
    const reference *r = w->r;
    const memory *m = &r->context->memory;
    size_t workers = (size_t)r->context->threads, doubles = reference_expr_scratch(r) + 1;
    size_t ints = w->rows ? 0 : (size_t)r->sk + 1;
    pairs_worker *worker = memory_new(m, workers, sizeof *worker);
    double *scratch = memory_new(m, workers * doubles, sizeof *scratch);
    int32_t *before = memory_new(m, workers * ints + 1, sizeof *before);
    fg_status s = worker && scratch && before ? FG_OK : fail_memory(error);
    for (size_t k = 0; k < workers && s == FG_OK; k++) {
        reference_cell_init(&worker[k].cell, r, scratch + k * doubles);
        worker[k].before = before + k * ints;
        worker[k].before_head = -1;
    }
    if (s == FG_OK) s = reference_spread(r, pairs_task, w, worker, sizeof *worker, tasks, error);
    for (size_t k = 0; k < workers && s == FG_OK; k++) *pairs += worker[k].pairs;
    memory_free(m, before, (workers * ints + 1) * sizeof *before);
    memory_free(m, scratch, workers * doubles * sizeof *scratch);
    memory_free(m, worker, workers * sizeof *worker);
    return s;
}

static int64_t closed_form(const reference *r, int64_t sequences)
{
    int64_t pairs = 0;
    for (int64_t b = 0; b < sequences; b++) {
        const run_sequence s = reference_sequence(r, b);
        for (int64_t i = 0; i < s.sq; i++) {
            int64_t first, end;
            reference_range(r, &s, i, &first, &end);
            pairs += end - first;
        }
    }
    return pairs;
}

/* Whether the mask and the user's differ along a dimension: b, heads, rows, keys. */
static bool differs(const reference *r, int dimension)
{
    static const char *const names[] = { "b", "h", "i", "j" };
    const problem *p = r->problem;
    if (p->mask.present && p->mask.full[dimension]) return true;
    if (!r->maskfn.count) return false;
    int symbol = expr_find(p->pool, names[dimension]);
    return symbol < 0 || (expr_get(p->pool, p->maskfn.root)->depends >> symbol & 1);
}

fg_status reference_pairs(const reference *r, int64_t *pairs, fg_error *error)
{
    fg_status s = FG_OK;
    int64_t copies = 1, batches = 1;
    pairs_work w = { .r = r, .heads = 1, .rows = differs(r, 2), .keys = differs(r, 3) };
    *pairs = 0;
    *(differs(r, 0) || r->problem->lens != LENS_none ? &batches : &copies) *= r->b;
    *(differs(r, 1) ? &w.heads : &copies) *= r->hq;
    if (!r->problem->mask.present && !r->maskfn.count)
        *pairs = closed_form(r, batches);
    else if (r->sq > 0)
        s = evaluate(&w, batches * w.heads * r->sq, pairs, error);
    if (s == FG_OK && __builtin_mul_overflow(*pairs, copies, pairs))
        s = fail(error, FG_REQUEST, "more than 2^63 query-key pairs");
    return s;
}
