/* Sequences of different lengths, and keys in pages: what a run says of them. */
#include "runtime/operand.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static const bound *bound_of(const operand_list *list, const bound *bounds, const char *name)
{
    int index = operand_find(list, name);
    return index >= 0 ? &bounds[index] : NULL;
}

static int64_t int_at(const bound *b, int64_t index)
{
    return ((const int32_t *)(const void *)b->data)[index];
}

/* The names of what says the lengths: of queries, of keys. */
static const char *const length_names[][2] = {
    [LENS_none] = { "", "" },
    [LENS_padded] = { "q_lens", "k_lens" },
    [LENS_packed] = { "cu_q", "cu_k" },
};

run_lengths lengths_of(const operand_list *list, const bound *bounds, const recipe_facts *facts)
{
    const bound *q = bound_of(list, bounds, length_names[list->lens][0]);
    const bound *k = bound_of(list, bounds, length_names[list->lens][1]);
    return (run_lengths){ .lens = list->lens,
                          .paged = list->page != 0,
                          .q = q ? (const int32_t *)(const void *)q->data : NULL,
                          .k = k ? (const int32_t *)(const void *)k->data : NULL,
                          .sq = facts->sq,
                          .sk = facts->sk };
}

run_sequence sequence_at(const run_lengths *l, int64_t b)
{
    run_sequence s = { .sq = l->sq, .sk = l->sk };
    if (l->lens == LENS_padded) {
        s.sq = l->q[b];
        s.sk = l->k[b];
    } else if (l->lens == LENS_packed) {
        s.q_first = l->q[b];
        s.k_first = l->paged ? 0 : l->k[b];
        s.sq = (int64_t)l->q[b + 1] - l->q[b];
        s.sk = (int64_t)l->k[b + 1] - l->k[b];
    }
    return s;
}

/* ---- Lengths ---- */

static fg_status check_padded(const char *name, const bound *lens, int64_t b, int64_t most,
                              fg_error *error)
{
    for (int64_t n = 0; n < b; n++)
        if (int_at(lens, n) < 0 || int_at(lens, n) > most)
            return fail(error, FG_REQUEST, "%s[%lld] is %lld: it must be 0 to %lld", name,
                        (long long)n, (long long)int_at(lens, n), (long long)most);
    return FG_OK;
}

static fg_status check_starts(const char *name, const bound *cu, int64_t b, fg_error *error)
{
    if (cu->extent[0] == b + 1) return FG_OK;
    return fail(error, FG_REQUEST, "%s has %lld elements: it must have b + 1 = %lld", name,
                (long long)cu->extent[0], (long long)b + 1);
}

/* `most`, problem_dynamic: becomes the longest. `total`: what the last must be, or problem_dynamic. */
static fg_status check_packed(const char *name, const bound *cu, int64_t b, int64_t *most,
                              int64_t total, fg_error *error)
{
    int64_t limit = *most == problem_dynamic ? PROBLEM_MAX_LENGTH : *most, longest = 0;
    fg_status status = check_starts(name, cu, b, error);
    if (status != FG_OK) return status;
    if (int_at(cu, 0) != 0)
        return fail(error, FG_REQUEST, "%s[0] is %lld: it must be 0", name,
                    (long long)int_at(cu, 0));
    for (int64_t n = 0; n < b; n++) {
        int64_t length = int_at(cu, n + 1) - int_at(cu, n);
        if (length < 0)
            return fail(error, FG_REQUEST, "%s[%lld] is less than the one before: it must ascend",
                        name, (long long)n + 1);
        if (length > limit)
            return fail(error, FG_REQUEST,
                        "%s gives sequence %lld a length of %lld: it must be at most %lld", name,
                        (long long)n, (long long)length, (long long)limit);
        if (length > longest) longest = length;
    }
    if (total != problem_dynamic && int_at(cu, b) != total)
        return fail(error, FG_REQUEST, "%s ends at %lld: its tensor has %lld rows", name,
                    (long long)int_at(cu, b), (long long)total);
    if (*most == problem_dynamic) *most = longest;
    return FG_OK;
}

/* b, where no tensor has said it yet. */
static fg_status take_b(recipe_facts *facts, const bound *cu_q, fg_error *error)
{
    const int64_t most = operand_longest[DIM_b];
    if (facts->b != problem_dynamic) return FG_OK;
    if (cu_q->extent[0] < 1 || cu_q->extent[0] > most + 1)
        return fail(error, FG_REQUEST, "cu_q has %lld elements: it must have b + 1 = 1 to %lld",
                    (long long)cu_q->extent[0], (long long)most + 1);
    facts->b = cu_q->extent[0] - 1;
    return FG_OK;
}

/* Without lengths that can be read the table's width says how many keys there are, where nothing else does. */
static fg_status take_sk(recipe_facts *facts, const operand_list *list, const bound *bounds,
                         fg_error *error)
{
    if (facts->sk != problem_dynamic || !list->page) return FG_OK;
    int64_t blocks = bound_of(list, bounds, "block_table")->extent[1];
    if (blocks > PROBLEM_MAX_LENGTH / list->page)
        return fail(
            error, FG_REQUEST,
            "block_table has %lld blocks: at most %lld keys are taken, and a block has %lld",
            (long long)blocks, (long long)PROBLEM_MAX_LENGTH, (long long)list->page);
    facts->sk = blocks * list->page;
    return FG_OK;
}

/* A GPU's memory is not read here: the longest sequence may be as long as all. */
static fg_status take_unread(recipe_facts *facts, const operand_list *list, const bound *bounds,
                             fg_error *error)
{
    const char *const names[] = { "cu_q", "cu_k" };
    if (list->lens != LENS_packed) return FG_OK;
    fg_status status = take_b(facts, bound_of(list, bounds, "cu_q"), error);
    for (int k = 0; k < 2 && status == FG_OK; k++)
        status = check_starts(names[k], bound_of(list, bounds, names[k]), facts->b, error);
    if (status != FG_OK) return status;
    if (facts->sq == problem_dynamic) facts->sq = least(facts->total_q, PROBLEM_MAX_LENGTH);
    status = take_sk(facts, list, bounds, error);
    if (facts->sk == problem_dynamic) facts->sk = least(facts->total_k, PROBLEM_MAX_LENGTH);
    return status;
}

static fg_status check_lens(recipe_facts *facts, const operand_list *list, const bound *bounds,
                            fg_error *error)
{
    fg_status status = FG_OK;
    if (list->lens == LENS_padded) {
        status =
            check_padded("q_lens", bound_of(list, bounds, "q_lens"), facts->b, facts->sq, error);
        if (status == FG_OK)
            status = check_padded("k_lens", bound_of(list, bounds, "k_lens"), facts->b, facts->sk,
                                  error);
    } else if (list->lens == LENS_packed) {
        const bound *q = bound_of(list, bounds, "cu_q"), *k = bound_of(list, bounds, "cu_k");
        status = take_b(facts, q, error);
        if (status == FG_OK)
            status = check_packed("cu_q", q, facts->b, &facts->sq, facts->total_q, error);
        if (status == FG_OK)
            status = check_packed("cu_k", k, facts->b, &facts->sk, facts->total_k, error);
        if (status == FG_OK) facts->total_k = int_at(k, facts->b); /* with pages no tensor has it */
    }
    return status;
}

/* ---- Pages ---- */

static fg_status check_pools(const operand_list *list, const bound *bounds, fg_error *error)
{
    int64_t pages = bound_of(list, bounds, "k")->extent[0];
    int64_t values = bound_of(list, bounds, "v")->extent[0];
    if (values == pages) return FG_OK;
    return fail(error, FG_REQUEST, "k has %lld pages and v %lld: they must have as many",
                (long long)pages, (long long)values);
}

static fg_status check_width(const operand_list *list, const bound *table, int64_t b, int64_t sk,
                             fg_error *error)
{
    int64_t blocks = (sk + list->page - 1) / list->page;
    if (blocks <= table->extent[1]) return FG_OK;
    return fail(error, FG_REQUEST,
                "block_table has %lld blocks: sequence %lld of %lld keys needs %lld",
                (long long)table->extent[1], (long long)b, (long long)sk, (long long)blocks);
}

/* Of one sequence. */
static fg_status check_blocks(const operand_list *list, const bound *table, int64_t pages,
                              int64_t b, int64_t sk, fg_error *error)
{
    int64_t blocks = (sk + list->page - 1) / list->page;
    for (int64_t n = 0; n < blocks; n++) {
        int64_t page = int_at(table, b * table->stride[0] + n);
        if (page < 0 || page >= pages)
            return fail(error, FG_REQUEST, "block_table[%lld][%lld] is %lld: there are %lld pages",
                        (long long)b, (long long)n, (long long)page, (long long)pages);
    }
    return FG_OK;
}

static fg_status check_pages(const recipe_facts *facts, const operand_list *list,
                             const bound *bounds, fg_error *error)
{
    const bound *table = bound_of(list, bounds, "block_table");
    int64_t pages = bound_of(list, bounds, "k")->extent[0];
    fg_status status = check_pools(list, bounds, error);
    if (list->device) /* only without lengths all sequences are known to be of sk keys */
        return status == FG_OK && list->lens == LENS_none && facts->b > 0
                   ? check_width(list, table, 0, facts->sk, error)
                   : status;
    const run_lengths lengths = lengths_of(list, bounds, facts);
    for (int64_t b = 0; b < facts->b && status == FG_OK; b++) {
        int64_t sk = sequence_at(&lengths, b).sk;
        status = check_width(list, table, b, sk, error);
        if (status == FG_OK) status = check_blocks(list, table, pages, b, sk, error);
    }
    return status;
}

fg_status operands_check_lengths(recipe_facts *facts, const operand_list *list, const bound *bounds,
                                 fg_error *error)
{
    const bool sized = list->lens != LENS_packed;
    fg_status status = sized ? take_sk(facts, list, bounds, error) : FG_OK;
    if (status == FG_OK)
        status = (list->device ? take_unread : check_lens)(facts, list, bounds, error);
    if (status == FG_OK && list->page) status = check_pages(facts, list, bounds, error);
    if (facts->total_q == problem_dynamic) facts->total_q = facts->b * facts->sq;
    if (facts->total_k == problem_dynamic) facts->total_k = facts->b * facts->sk;
    return status;
}
