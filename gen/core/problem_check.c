/* What no field can see alone. */
#include "gen/core/problem_parts.h"

#include <string.h>

static bool groups_uneven(const problem *p)
{
    return p->hq % p->hkv != 0;
}

static bool align_odd(const problem *p)
{
    return (p->align & (p->align - 1)) != 0;
}

/* In f32 where that is what it is computed in. */
static bool softcap_small(const problem *p)
{
    double value = p->dtype == DTYPE_f64 ? p->softcap.value : (double)(float)p->softcap.value;
    return p->softcap.present && !(value > 0);
}

static bool dropout_outside(const problem *p)
{
    return p->dropout.present && !(p->dropout.value >= 0 && p->dropout.value <= 1);
}

static bool layout_unused(const problem *p)
{
    return p->layout != LAYOUT_bshd && p->lens == LENS_packed;
}

/* A sequence's own length says nothing of the whole one's. */
static bool lens_cut(const problem *p)
{
    return p->shard && p->lens != LENS_none;
}

static const struct {
    const char *key;
    bool (*broken)(const problem *p);
    const char *sentence;
} rules[] = {
    { "hkv", groups_uneven, "hq must be a multiple of hkv" },
    { "align", align_odd, "16, 8, 4, 2 or 1 is needed" },
    { "softcap", softcap_small, "a number above 0 is needed" },
    { "dropout", dropout_outside, "a probability from 0 to 1 is needed" },
    { "layout", layout_unused, "lens=packed has the one layout [total, h, d]; leave layout out" },
    { "lens", lens_cut,
      "shard takes sequences that all have the same length; leave one of them out" },
};

static fg_status check_rules(const problem_reader *r)
{
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
        if (!rules[k].broken(r->p)) continue;
        span value = problem_entry_find(r, rules[k].key)->value; /* no default breaks a rule */
        return problem_refuse(r, value, "%s=%s: %s", rules[k].key, problem_quote(value).text,
                              rules[k].sentence);
    }
    return FG_OK;
}

/* Bytes and strides of a tensor fit 64 bits, whatever its layout. */
static fg_status check_sizes(const problem_reader *r)
{
    const span nowhere = { NULL, 0 };
    problem_tensor_info info;
    for (size_t k = 0; problem_tensor_at(r->p, k, &info); k++) {
        int64_t elements = 1, most = INT64_C(1) << 56;
        for (int n = 0; n < info.rank; n++) {
            int64_t extent =
                info.shape[n] > 1 ? info.shape[n] : 1; /* an empty one's strides count, too */
            if (__builtin_mul_overflow(elements, extent, &elements) || elements > most) {
                return problem_refuse(r, nowhere, "the tensor %s has more than 2^56 elements",
                                      info.name);
            }
        }
    }
    return FG_OK;
}

/* ---- Every tensor= is read ---- */

/* Marks the symbols read below the marked nodes: an operand's index is smaller than its user's. */
static void mark_reads(const expr_pool *pool, bool *marked, bool *read)
{
    for (expr e = (expr)expr_node_count(pool); e > 0; e--) {
        if (!marked[e]) continue;
        const expr_node *n = expr_get(pool, e);
        if (n->op == EXPR_read) read[n->symbol] = true;
        for (int k = 0; k < n->arity; k++) marked[n->operand[k]] = true;
    }
}

static fg_status check_reads(const problem_reader *r)
{
    const problem *p = r->p;
    bool read[64] = { false };
    if (p->tensors == 0) return FG_OK;
    size_t nodes = (size_t)expr_node_count(p->pool) + 1;
    bool *marked = memory_new(p->memory, nodes, sizeof *marked);
    if (!marked) return fail_memory(r->error);
    marked[p->score.root] = marked[p->maskfn.root] = true; /* 0, none, is no node */
    mark_reads(p->pool, marked, read);
    memory_free(p->memory, marked, nodes * sizeof *marked);
    for (int k = 0; k < p->tensors; k++) {
        if (read[p->tensor[k].symbol]) continue;
        span where = problem_tensor_entry(r, p->tensor[k].name)->value;
        return problem_refuse(r, where,
                              "the tensor %s is declared, but neither score nor maskfn reads it",
                              p->tensor[k].name);
    }
    return FG_OK;
}

fg_status problem_check(const problem_reader *r)
{
    fg_status s;
    if ((s = check_rules(r)) != FG_OK) return s;
    if ((s = check_sizes(r)) != FG_OK) return s;
    return check_reads(r);
}
