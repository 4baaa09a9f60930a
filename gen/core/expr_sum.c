/* Integer sums: c0 + sum of c * term, which is exact, as integers wrap. Positive terms come first, in
 * expr_order, then negative ones, then the constant. */
#include "gen/core/expr_pool.h"

#include <string.h>

enum { max_terms = 64 }; /* a longer sum becomes one term: bounded work for each node */

typedef struct linear {
    uint32_t constant;
    int count;
    struct linear_term {
        expr term;
        uint32_t factor;
    } terms[2 * max_terms]; /* by expr_order, factors nonzero */
} linear;

/* -2^31 counts as positive: it has no opposite. */
static bool is_negative(uint32_t x)
{
    return x > UINT32_C(0x80000000);
}

static void add_term(const expr_pool *pool, linear *sum, expr term, uint32_t factor)
{
    int low = 0, high = sum->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (expr_order(pool, sum->terms[middle].term, term) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct linear_term *t = &sum->terms[low];
    size_t above = (size_t)(sum->count - low);
    if (low < sum->count && t->term == term) {
        t->factor += factor;
        if (t->factor) return;
        memmove(t, t + 1, (above - 1) * sizeof *t);
        sum->count--;
    } else if (factor) {
        memmove(t + 1, t, above * sizeof *t);
        *t = (struct linear_term){ term, factor };
        sum->count++;
    }
}

/* Adds factor * e, where e is no sum. */
static void add_product(const expr_pool *pool, linear *sum, expr e, uint32_t factor)
{
    const expr_node *n = expr_get(pool, e), *left = expr_get(pool, n->operand[0]);
    if (n->op == EXPR_constant)
        sum->constant += factor * (uint32_t)n->value.i;
    else if (n->op == EXPR_neg)
        add_term(pool, sum, n->operand[0], 0 - factor);
    else if (n->op == EXPR_mul && left->op == EXPR_constant)
        add_term(pool, sum, n->operand[1], factor * (uint32_t)left->value.i);
    else
        add_term(pool, sum, e, factor);
}

/* Adds factor * e. A sum leans left: only its first operand may be a sum. */
static void add_sum(const expr_pool *pool, linear *sum, expr e, uint32_t factor)
{
    for (;;) {
        const expr_entry *entry = expr_get_entry(pool, e);
        const expr_node *n = &entry->node;
        if ((n->op != EXPR_add && n->op != EXPR_sub) || entry->opaque) break;
        add_product(pool, sum, n->operand[1], n->op == EXPR_add ? factor : 0 - factor);
        e = n->operand[0];
    }
    add_product(pool, sum, e, factor);
}

static expr make_binary(expr_pool *pool, expr_op op, expr a, expr b)
{
    return expr_intern(pool, op, EXPR_INT, (expr[]){ a, b }, false);
}

static expr make_product(expr_pool *pool, uint32_t factor, expr term)
{
    if (factor == 1) return term;
    if (factor == UINT32_MAX) return expr_intern(pool, EXPR_neg, EXPR_INT, &term, false);
    return make_binary(pool, EXPR_mul, expr_int(pool, (int32_t)factor), term);
}

/* sum + factor * term; a sum of 0 is nothing yet. */
static expr join(expr_pool *pool, expr sum, uint32_t factor, expr term)
{
    if (!sum) return make_product(pool, factor, term);
    if (is_negative(factor))
        return make_binary(pool, EXPR_sub, sum, make_product(pool, 0 - factor, term));
    return make_binary(pool, EXPR_add, sum, make_product(pool, factor, term));
}

static expr build(expr_pool *pool, const linear *sum)
{
    uint32_t constant = sum->constant;
    int positive = 0;
    expr e = 0;
    for (int k = 0; k < sum->count; k++) positive += !is_negative(sum->terms[k].factor);
    if (sum->count == 0 || (positive == 0 && constant && !is_negative(constant))) {
        e = expr_int(pool, (int32_t)constant); /* 5 - i rather than -i + 5 */
        if (!e) return 0;
        constant = 0;
    }
    for (int k = 0; k < 2 * sum->count; k++) {
        const struct linear_term *t = &sum->terms[k % sum->count];
        if (is_negative(t->factor) != (k >= sum->count)) continue;
        e = join(pool, e, t->factor, t->term);
        if (!e) return 0;
    }
    if (constant == 0) return e;
    expr_op op = is_negative(constant) ? EXPR_sub : EXPR_add;
    return make_binary(pool, op, e,
                       expr_int(pool, (int32_t)(is_negative(constant) ? 0 - constant : constant)));
}

static const linear *scale(linear *sum, uint32_t factor)
{
    int kept = 0;
    sum->constant *= factor;
    for (int k = 0; k < sum->count; k++) {
        sum->terms[k].factor *= factor; /* 2^31 * 2 is 0 */
        if (sum->terms[k].factor) sum->terms[kept++] = sum->terms[k];
    }
    sum->count = kept;
    return sum;
}

/* Neither sum is a constant: (c * a) * (d * b) is c * d * (a * b). */
static expr multiply(expr_pool *pool, linear *x, linear *y, const expr *operands)
{
    uint32_t factor = 1;
    linear *sums[2] = { x, y };
    expr product[2];
    for (int k = 0; k < 2; k++) {
        bool single = sums[k]->count == 1 && sums[k]->constant == 0;
        product[k] = single ? sums[k]->terms[0].term : operands[k];
        if (single) factor *= sums[k]->terms[0].factor;
    }
    if (expr_order(pool, product[0], product[1]) > 0) {
        expr first = product[0];
        product[0] = product[1];
        product[1] = first;
    }
    if (factor == 0) return expr_int(pool, 0);
    expr e = expr_intern(pool, EXPR_mul, EXPR_INT, product, false);
    return e ? make_product(pool, factor, e) : 0;
}

expr expr_sum(expr_pool *pool, expr_op op, const expr *operands)
{
    linear x = { 0 }, y = { 0 };
    add_sum(pool, &x, operands[0], 1);
    if (op == EXPR_neg) return build(pool, scale(&x, UINT32_MAX));
    add_sum(pool, &y, operands[1], 1);
    if (op == EXPR_mul && y.count == 0) return build(pool, scale(&x, y.constant));
    if (op == EXPR_mul && x.count == 0) return build(pool, scale(&y, x.constant));
    if (op == EXPR_mul) return multiply(pool, &x, &y, operands);
    uint32_t factor = op == EXPR_add ? 1 : UINT32_MAX;
    x.constant += factor * y.constant;
    for (int k = 0; k < y.count; k++)
        add_term(pool, &x, y.terms[k].term, factor * y.terms[k].factor);
    if (x.count > max_terms) return expr_intern(pool, op, EXPR_INT, operands, true);
    return build(pool, &x);
}

bool expr_sum_is_negative(const expr_pool *pool, expr e)
{
    linear sum = { 0 };
    add_sum(pool, &sum, e, 1);
    return sum.count > 0 && is_negative(sum.terms[0].factor);
}
