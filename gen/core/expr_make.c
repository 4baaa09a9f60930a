/* Making nodes: which types an operation takes, and what is converted. */
#include "gen/core/expr_pool.h"

typedef enum operand_kind { NOTHING, NUMBER, NUMBERS, REALS, INTS, BOOLS, CHOICE } operand_kind;
typedef enum result_kind { SAME, TO_BOOL, TO_INT } result_kind;

static const struct op_types {
    operand_kind operands;
    result_kind result; /* SAME: as the (converted) last operand */
} op_types[EXPR_op_count] = {
    [EXPR_neg] = { NUMBERS, SAME },    [EXPR_abs] = { NUMBERS, SAME },
    [EXPR_floor] = { NUMBER, TO_INT }, [EXPR_exp] = { REALS, SAME },
    [EXPR_log] = { REALS, SAME },      [EXPR_tanh] = { REALS, SAME },
    [EXPR_sqrt] = { REALS, SAME },     [EXPR_tofloat] = { REALS, SAME },
    [EXPR_add] = { NUMBERS, SAME },    [EXPR_sub] = { NUMBERS, SAME },
    [EXPR_mul] = { NUMBERS, SAME },    [EXPR_div] = { REALS, SAME },
    [EXPR_idiv] = { INTS, SAME },      [EXPR_mod] = { INTS, SAME },
    [EXPR_min] = { NUMBERS, SAME },    [EXPR_max] = { NUMBERS, SAME },
    [EXPR_lt] = { NUMBERS, TO_BOOL },  [EXPR_le] = { NUMBERS, TO_BOOL },
    [EXPR_eq] = { NUMBERS, TO_BOOL },  [EXPR_ne] = { NUMBERS, TO_BOOL },
    [EXPR_not] = { BOOLS, SAME },      [EXPR_and] = { BOOLS, SAME },
    [EXPR_or] = { BOOLS, SAME },       [EXPR_where] = { CHOICE, SAME },
};

static bool all_of_type(const expr_pool *pool, const expr *x, int count, bool bools, bool ints,
                        bool floats)
{
    for (int k = 0; k < count; k++) {
        const expr_node *n = expr_get(pool, x[k]);
        if (n->op == EXPR_none || !(const bool[]){ bools, ints, floats }[n->type]) return false;
    }
    return true;
}

bool expr_accepts(const expr_pool *pool, expr_op op, const expr *x)
{
    int arity = op < EXPR_op_count ? expr_op_arity[op] : 0;
    switch (op < EXPR_op_count ? op_types[op].operands : NOTHING) {
    case NOTHING:
        return false;
    case INTS:
        return all_of_type(pool, x, arity, false, true, false);
    case BOOLS:
        return all_of_type(pool, x, arity, true, false, false);
    case CHOICE:
        return all_of_type(pool, x, 1, true, false, false) &&
               (all_of_type(pool, x + 1, 2, true, false, false) ||
                all_of_type(pool, x + 1, 2, false, true, true));
    default:
        return all_of_type(pool, x, arity, false, true, true);
    }
}

static expr to_float(expr_pool *pool, expr e)
{
    const expr_node *n = expr_get(pool, e);
    if (n->type == EXPR_FLOAT) return e;
    if (n->op == EXPR_constant) return expr_float(pool, (double)n->value.i);
    return expr_intern(pool, EXPR_tofloat, EXPR_FLOAT, &e, false);
}

/* Converts ints beside floats, or where only floats go. */
static bool convert(expr_pool *pool, operand_kind kind, expr *x, int count)
{
    bool floats = kind == REALS, ok = true;
    if (kind != REALS && kind != NUMBERS && kind != CHOICE) return true;
    for (int k = 0; k < count; k++) floats |= expr_get(pool, x[k])->type == EXPR_FLOAT;
    for (int k = 0; k < count && floats; k++) {
        x[k] = to_float(pool, x[k]);
        ok &= x[k] != 0;
    }
    return ok;
}

expr expr_keep(expr_pool *pool, expr_op op, const expr *x)
{
    expr_type same = (expr_type)expr_get(pool, x[expr_op_arity[op] - 1])->type;
    result_kind kind = op_types[op].result;
    return expr_intern(pool, op,
                       kind == SAME     ? same
                       : kind == TO_INT ? EXPR_INT
                                        : EXPR_BOOL,
                       x, false);
}

expr expr_make(expr_pool *pool, expr_op op, const expr *operands)
{
    expr x[expr_max_rank] = { 0 };
    if (!expr_accepts(pool, op, operands)) return 0;
    for (int k = 0; k < expr_op_arity[op]; k++) x[k] = operands[k];
    int first = op_types[op].operands == CHOICE; /* the condition stays a bool */
    if (!convert(pool, op_types[op].operands, x + first, expr_op_arity[op] - first)) return 0;
    return expr_rules[op](pool, op, x);
}
