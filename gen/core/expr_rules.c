/* The rules that simplify, one for each operation. A rule returns a simpler node, or keeps the node as it is. */
#include "gen/core/expr_pool.h"

#include <math.h>

static const expr_node *node(const expr_pool *pool, expr e)
{
    return expr_get(pool, e);
}

static bool is_constant(const expr_pool *pool, expr e)
{
    return node(pool, e)->op == EXPR_constant;
}

static bool is_int(const expr_pool *pool, expr e, int32_t value)
{
    const expr_node *n = node(pool, e);
    return n->op == EXPR_constant && n->type != EXPR_FLOAT && n->value.i == value;
}

/* Of this sign too: 0 is not -0. */
static bool is_float(const expr_pool *pool, expr e, double value)
{
    const expr_node *n = node(pool, e);
    if (n->op != EXPR_constant || n->type != EXPR_FLOAT) return false;
    return n->value.f == value && signbit(n->value.f) == signbit(value);
}

/* The operand, where `e` is an operation of this kind; else 0. */
static expr inside(const expr_pool *pool, expr_op op, expr e)
{
    return node(pool, e)->op == op ? node(pool, e)->operand[0] : 0;
}

static expr make1(expr_pool *pool, expr_op op, expr a)
{
    return expr_make(pool, op, &a);
}

static expr make2(expr_pool *pool, expr_op op, expr a, expr b)
{
    return expr_make(pool, op, (expr[]){ a, b });
}

static expr make3(expr_pool *pool, expr_op op, expr a, expr b, expr c)
{
    return expr_make(pool, op, (expr[]){ a, b, c });
}

/* Operands that commute, in one order. Constants first, or last. */
static expr keep_sorted(expr_pool *pool, expr_op op, const expr *x, bool constants_last)
{
    bool a = is_constant(pool, x[0]), b = is_constant(pool, x[1]);
    bool swap = a != b ? a == constants_last : expr_order(pool, x[0], x[1]) > 0;
    return expr_keep(pool, op, swap ? (expr[]){ x[1], x[0] } : x);
}

/* Of two float constants. A basic operation in double, rounded to f32, is the f32 operation: double has more
 * than twice its bits (Figueroa 1995). */
static expr fold_float(expr_pool *pool, expr_op op, const expr *x)
{
    return expr_float(pool,
                      expr_apply_float(op, node(pool, x[0])->value.f, node(pool, x[1])->value.f));
}

static expr fold_int(expr_pool *pool, expr_op op, const expr *x)
{
    return expr_int(pool, expr_apply_int(op, node(pool, x[0])->value.i, node(pool, x[1])->value.i));
}

static bool both_constant(const expr_pool *pool, const expr *x)
{
    return is_constant(pool, x[0]) && is_constant(pool, x[1]);
}

static bool is_negative(const expr_node *n)
{
    return n->op == EXPR_constant && n->type == EXPR_FLOAT && n->value.f < 0;
}

/* Whether the opposite of a float reads better. */
static bool is_opposite(const expr_pool *pool, expr e)
{
    const expr_node *n = node(pool, e);
    return n->op == EXPR_neg || is_negative(n) ||
           (n->op == EXPR_mul && is_negative(node(pool, n->operand[0])));
}

static expr rule_neg(expr_pool *pool, expr_op op, const expr *x)
{
    const expr_node *n = node(pool, x[0]);
    if (n->type == EXPR_INT) return expr_sum(pool, op, x);
    if (n->op == EXPR_constant) return expr_float(pool, -n->value.f);
    if (n->op == EXPR_neg) return n->operand[0];
    if (n->op == EXPR_mul && is_constant(pool, n->operand[0]))
        return make2(pool, EXPR_mul, make1(pool, op, n->operand[0]), n->operand[1]);
    return expr_keep(pool, op, x);
}

static expr rule_add(expr_pool *pool, expr_op op, const expr *x)
{
    if (node(pool, x[0])->type == EXPR_INT) return expr_sum(pool, op, x);
    if (both_constant(pool, x)) return fold_float(pool, op, x);
    if (is_float(pool, x[0], -0.0)) return x[1]; /* 0 + x is not x: -0 */
    if (is_float(pool, x[1], -0.0)) return x[0];
    for (int k = 1; k >= 0; k--)
        if (is_opposite(pool, x[k]))
            return make2(pool, EXPR_sub, x[1 - k], make1(pool, EXPR_neg, x[k]));
    return keep_sorted(pool, op, x, true);
}

static expr rule_sub(expr_pool *pool, expr_op op, const expr *x)
{
    if (node(pool, x[0])->type == EXPR_INT) return expr_sum(pool, op, x);
    if (both_constant(pool, x)) return fold_float(pool, op, x);
    if (is_float(pool, x[1], 0.0)) return x[0];
    if (is_float(pool, x[0], -0.0)) return make1(pool, EXPR_neg, x[1]);
    if (is_opposite(pool, x[1])) return make2(pool, EXPR_add, x[0], make1(pool, EXPR_neg, x[1]));
    return expr_keep(pool, op, x);
}

static expr rule_mul(expr_pool *pool, expr_op op, const expr *x)
{
    if (node(pool, x[0])->type == EXPR_INT) return expr_sum(pool, op, x);
    if (both_constant(pool, x)) return fold_float(pool, op, x);
    for (int k = 0; k < 2; k++) {
        if (is_float(pool, x[k], 1)) return x[1 - k];
        if (is_float(pool, x[k], -1)) return make1(pool, EXPR_neg, x[1 - k]);
        expr a = inside(pool, EXPR_neg, x[k]);
        if (a) return make1(pool, EXPR_neg, make2(pool, op, a, x[1 - k]));
    }
    return keep_sorted(pool, op, x, false);
}

static expr rule_div(expr_pool *pool, expr_op op, const expr *x)
{
    if (both_constant(pool, x)) return fold_float(pool, op, x);
    if (is_float(pool, x[1], 1)) return x[0];
    if (is_float(pool, x[1], -1)) return make1(pool, EXPR_neg, x[0]);
    expr above = inside(pool, EXPR_neg, x[0]), below = inside(pool, EXPR_neg, x[1]);
    if (above) return make1(pool, EXPR_neg, make2(pool, op, above, x[1]));
    if (below) return make1(pool, EXPR_neg, make2(pool, op, x[0], below));
    return expr_keep(pool, op, x);
}

static expr rule_idiv(expr_pool *pool, expr_op op, const expr *x)
{
    bool unit = is_int(pool, x[1], 1) || is_int(pool, x[1], -1);
    if (both_constant(pool, x)) return fold_int(pool, op, x);
    if (is_int(pool, x[0], 0) || is_int(pool, x[1], 0)) return expr_int(pool, 0);
    if (unit && op == EXPR_mod) return expr_int(pool, 0);
    if (unit) return make2(pool, EXPR_mul, x[0], x[1]);
    return expr_keep(pool, op, x);
}

static expr rule_min(expr_pool *pool, expr_op op, const expr *x)
{
    bool ints = node(pool, x[0])->type == EXPR_INT;
    if (x[0] == x[1]) return x[0];
    if (both_constant(pool, x)) return ints ? fold_int(pool, op, x) : fold_float(pool, op, x);
    return ints ? keep_sorted(pool, op, x, true)
                : expr_keep(pool, op, x); /* floats: NaN and -0 tell the sides apart */
}

static expr rule_abs(expr_pool *pool, expr_op op, const expr *x)
{
    const expr_node *n = node(pool, x[0]);
    bool ints = n->type == EXPR_INT;
    if (n->op == EXPR_constant)
        return ints ? expr_int(pool, expr_apply_int(op, n->value.i, 0))
                    : expr_float(pool, fabs(n->value.f));
    if (n->op == EXPR_abs) return x[0];
    if (n->op == EXPR_neg) return make1(pool, op, n->operand[0]);
    if (ints && expr_sum_is_negative(pool, x[0]))
        return make1(pool, op, make1(pool, EXPR_neg, x[0]));
    return expr_keep(pool, op, x);
}

static expr rule_floor(expr_pool *pool, expr_op op, const expr *x)
{
    const expr_node *n = node(pool, x[0]);
    if (n->type == EXPR_INT) return x[0];
    if (n->op == EXPR_constant) return expr_int(pool, expr_to_int(floor(n->value.f)));
    return expr_keep(pool, op, x);
}

/* Only exact values fold: others would differ from one C library to the next. */
static expr rule_function(expr_pool *pool, expr_op op, const expr *x)
{
    const expr_node *n = node(pool, x[0]);
    if (op == EXPR_tofloat) return x[0]; /* converted already */
    if (n->op != EXPR_constant) return expr_keep(pool, op, x);
    if (op == EXPR_sqrt) return expr_float(pool, sqrt(n->value.f));
    if (op == EXPR_tanh && n->value.f == 0) return x[0];
    if (op == EXPR_exp && n->value.f == 0) return expr_float(pool, 1);
    if (op == EXPR_log && n->value.f == 1) return expr_float(pool, 0);
    return expr_keep(pool, op, x);
}

static double constant_value(const expr_node *n)
{
    return n->type == EXPR_FLOAT ? n->value.f : (double)n->value.i;
}

static expr rule_compare(expr_pool *pool, expr_op op, const expr *x)
{
    const expr_node *a = node(pool, x[0]), *b = node(pool, x[1]);
    bool equality = op == EXPR_eq || op == EXPR_ne;
    if (both_constant(pool, x))
        return expr_bool(pool, expr_apply_compare(op, constant_value(a), constant_value(b)));
    if (x[0] == x[1] && op == EXPR_lt) return expr_bool(pool, false);
    if (x[0] == x[1] && a->type == EXPR_INT)
        return expr_bool(pool, op != EXPR_ne); /* a float may be NaN */
    return equality ? keep_sorted(pool, op, x, true) : expr_keep(pool, op, x);
}

static expr rule_not(expr_pool *pool, expr_op op, const expr *x)
{
    const expr_node *n = node(pool, x[0]);
    bool ints =
        node(pool, n->operand[0])->type == EXPR_INT; /* with a NaN, not a < b is not b <= a */
    if (n->op == EXPR_constant) return expr_bool(pool, !n->value.i);
    if (n->op == EXPR_not) return n->operand[0];
    if (n->op == EXPR_eq) return make2(pool, EXPR_ne, n->operand[0], n->operand[1]);
    if (n->op == EXPR_ne) return make2(pool, EXPR_eq, n->operand[0], n->operand[1]);
    if (n->op == EXPR_lt && ints) return make2(pool, EXPR_le, n->operand[1], n->operand[0]);
    if (n->op == EXPR_le && ints) return make2(pool, EXPR_lt, n->operand[1], n->operand[0]);
    return expr_keep(pool, op, x);
}

/* Whether `b` is what rule_not makes, or made, of `a`. */
static bool are_opposites(const expr_pool *pool, expr a, expr b)
{
    static const uint8_t opposite[EXPR_op_count] = {
        [EXPR_eq] = EXPR_ne, [EXPR_ne] = EXPR_eq, [EXPR_lt] = EXPR_le, [EXPR_le] = EXPR_lt
    };
    const expr_node *x = node(pool, a), *y = node(pool, b);
    if (inside(pool, EXPR_not, a) == b || inside(pool, EXPR_not, b) == a) return true;
    if (opposite[x->op] == EXPR_none || opposite[x->op] != y->op) return false;
    bool swapped = x->op == EXPR_lt || x->op == EXPR_le;
    if (swapped && node(pool, x->operand[0])->type != EXPR_INT) return false;
    return x->operand[0] == y->operand[swapped] && x->operand[1] == y->operand[!swapped];
}

typedef bool (*relation_fn)(const expr_pool *pool, expr a, expr b);

static bool are_same(const expr_pool *pool, expr a, expr b)
{
    (void)pool;
    return a == b;
}

/* Whether `e` has this relation to one of those that `chain` joins by `op`, seen along its left side. */
static bool joins(const expr_pool *pool, expr_op op, expr chain, relation_fn related, expr e)
{
    for (int steps = 0; steps < 64; steps++) {
        const expr_node *n = node(pool, chain);
        if (related(pool, chain, e)) return true;
        if (n->op != op) return false;
        if (related(pool, n->operand[1], e)) return true;
        chain = n->operand[0];
    }
    return false;
}

static expr rule_and(expr_pool *pool, expr_op op, const expr *x)
{
    bool decisive = op == EXPR_or; /* false and x is false, true or x is true */
    for (int k = 0; k < 2; k++) {
        if (is_int(pool, x[k], decisive)) return x[k];
        if (is_int(pool, x[k], !decisive)) return x[1 - k];
    }
    if (joins(pool, op, x[0], are_opposites, x[1])) return expr_bool(pool, decisive);
    if (joins(pool, op, x[0], are_same, x[1])) return x[0];
    return expr_keep(pool, op, x);
}

static expr rule_where_bool(expr_pool *pool, expr_op op, const expr *x)
{
    if (is_int(pool, x[1], 1)) return make2(pool, EXPR_or, x[0], x[2]);
    if (is_int(pool, x[2], 0)) return make2(pool, EXPR_and, x[0], x[1]);
    if (is_int(pool, x[1], 0)) return make2(pool, EXPR_and, make1(pool, EXPR_not, x[0]), x[2]);
    if (is_int(pool, x[2], 1)) return make2(pool, EXPR_or, make1(pool, EXPR_not, x[0]), x[1]);
    return expr_keep(pool, op, x);
}

static expr rule_where(expr_pool *pool, expr_op op, const expr *x)
{
    expr opposite = inside(pool, EXPR_not, x[0]);
    if (is_constant(pool, x[0])) return is_int(pool, x[0], 1) ? x[1] : x[2];
    if (x[1] == x[2]) return x[1];
    if (opposite) return make3(pool, op, opposite, x[2], x[1]);
    return node(pool, x[1])->type == EXPR_BOOL ? rule_where_bool(pool, op, x)
                                               : expr_keep(pool, op, x);
}

const expr_rule expr_rules[EXPR_op_count] = {
    [EXPR_neg] = rule_neg,       [EXPR_abs] = rule_abs,          [EXPR_floor] = rule_floor,
    [EXPR_exp] = rule_function,  [EXPR_log] = rule_function,     [EXPR_tanh] = rule_function,
    [EXPR_sqrt] = rule_function, [EXPR_tofloat] = rule_function, [EXPR_add] = rule_add,
    [EXPR_sub] = rule_sub,       [EXPR_mul] = rule_mul,          [EXPR_div] = rule_div,
    [EXPR_idiv] = rule_idiv,     [EXPR_mod] = rule_idiv,         [EXPR_min] = rule_min,
    [EXPR_max] = rule_min,       [EXPR_lt] = rule_compare,       [EXPR_le] = rule_compare,
    [EXPR_eq] = rule_compare,    [EXPR_ne] = rule_compare,       [EXPR_not] = rule_not,
    [EXPR_and] = rule_and,       [EXPR_or] = rule_and,           [EXPR_where] = rule_where,
};
