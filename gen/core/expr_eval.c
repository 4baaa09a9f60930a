/* Evaluation, with the derivative in forward mode. */
#include "gen/core/expr_pool.h"
#include "gen/core/wide.h"

#include <math.h>
#include <string.h>

typedef struct expr_step {
    const expr_node *node;
    uint64_t depends;
    expr_type type;                  /* of the first operand */
    uint32_t operand[expr_max_rank]; /* steps before */
    uint32_t extent[expr_max_rank];  /* of a read */
} expr_step;

/* ---- Programs ---- */

static const expr *extents(const expr_pool *pool, const expr_node *n)
{
    static const expr none[expr_max_rank];
    return n->op == EXPR_read ? expr_get_symbol(pool, n->symbol)->extent : none;
}

/* place[e] becomes 1 for the root and all it needs; the number of those. Operands come before their users, and
 * so do extents before the reads that a pool makes after declaring the tensor. */
static int mark(const expr_pool *pool, expr root, uint32_t *place)
{
    int count = 0;
    place[root] = 1;
    for (expr e = root; e > 0; e--) {
        const expr_node *n = expr_get(pool, e);
        if (!place[e]) continue;
        count++;
        for (int k = 0; k < n->arity; k++) {
            expr extent = extents(pool, n)[k];
            place[n->operand[k]] = 1;
            if (extent) place[extent] = 1;
        }
    }
    return count;
}

static void fill_step(const expr_pool *pool, expr_step *step, const expr_node *n,
                      const uint32_t *place)
{
    step->node = n;
    step->depends = n->depends;
    step->type = (expr_type)expr_get(pool, n->operand[0])->type;
    for (int k = 0; k < n->arity; k++) {
        step->operand[k] = place[n->operand[k]];
        step->extent[k] = place[extents(pool, n)[k]];
    }
}

fg_status expr_program_new(expr_program *out, const memory *m, const expr_pool *pool, expr root,
                           fg_error *error)
{
    size_t size = (size_t)root + 1;
    uint32_t *place = memory_new(m, size, sizeof *place), next = 0;
    *out = (expr_program){ .memory = m };
    if (!place) return fail_memory(error);
    int count = mark(pool, root, place);
    out->steps = memory_new(m, (size_t)count, sizeof *out->steps);
    for (expr e = 1; e <= root && out->steps; e++) {
        if (!place[e]) continue;
        place[e] = next;
        fill_step(pool, &out->steps[next++], expr_get(pool, e), place);
    }
    memory_free(m, place, size * sizeof *place);
    if (!out->steps) return fail_memory(error);
    out->count = count;
    return FG_OK;
}

void expr_program_free(expr_program *program)
{
    memory_free(program->memory, program->steps, (size_t)program->count * sizeof *program->steps);
    *program = (expr_program){ .memory = program->memory };
}

/* ---- Evaluation ---- */

/* What a step gave; as in expr_result. */
typedef struct computed {
    double value, slope, magnitude, rest;
} computed;

_Static_assert(sizeof(computed) == expr_scratch * sizeof(double), "a step's share of the scratch");

static double larger(double a, double b)
{
    return b > a ? b : a; /* neither is NaN */
}

/* An outer derivative of infinity says nothing where the inner one is 0. */
static double chain(double outer, double slope)
{
    return slope == 0 ? 0 : outer * slope;
}

static double slope_unary(expr_op op, const computed *a, double value)
{
    switch (op) {
    case EXPR_neg:
        return -a->slope;
    case EXPR_abs:
        return a->value > 0 ? a->slope : a->value < 0 ? -a->slope : a->value == 0 ? 0 : a->value;
    case EXPR_exp:
        return chain(value, a->slope);
    case EXPR_log:
        return chain(1 / a->value, a->slope);
    case EXPR_tanh:
        return chain(1 - value * value, a->slope);
    case EXPR_sqrt:
        return chain(0.5 / value, a->slope);
    default:
        return a->slope; /* tofloat */
    }
}

static double slope_binary(expr_op op, const computed *a, const computed *b, double value)
{
    switch (op) {
    case EXPR_add:
        return a->slope + b->slope;
    case EXPR_sub:
        return a->slope - b->slope;
    case EXPR_mul:
        return chain(b->value, a->slope) + chain(a->value, b->slope);
    case EXPR_div:
        return chain(1 / b->value, a->slope) - chain(value / b->value, b->slope);
    case EXPR_min:
        return b->value < a->value ? b->slope : a->slope;
    default:
        return a->value < b->value ? b->slope : a->slope; /* max */
    }
}

/* The results are written where they stay: copies would wait for each other. */
static void eval_read(computed *r, const expr_step *step, const computed *t, const expr_env *env)
{
    int64_t index[expr_max_rank] = { 0 };
    for (int k = 0; k < step->node->arity; k++) {
        int64_t i = (int64_t)t[step->operand[k]].value,
                last = (int64_t)t[step->extent[k]].value - 1;
        if (last < 0) return;
        index[k] = i < 0 ? 0 : i > last ? last : i;
    }
    r->value = env->read(env->user, step->node->symbol, index);
    if (step->node->type == EXPR_INT) r->value = (double)expr_to_int(r->value);
}

static bool eval_logic(expr_op op, const computed *a, const computed *b)
{
    bool x = a->value != 0, y = b->value != 0;
    return op == EXPR_not ? !x : op == EXPR_and ? x && y : x || y;
}

static void eval_where(computed *r, const computed *condition, const computed *yes,
                       const computed *no)
{
    *r = condition->value != 0 ? *yes : *no;
    r->magnitude = larger(r->magnitude, condition->magnitude);
}

/* Of equal doubles what they lack decides. */
static bool compare(expr_op op, const computed *a, const computed *b)
{
    return a->value == b->value ? expr_apply_compare(op, a->rest, b->rest)
                                : expr_apply_compare(op, a->value, b->value);
}

static void eval_float(computed *r, expr_op op, const computed *a, const computed *b, bool wide)
{
    if (wide)
        wide_split(&r->value, &r->rest,
                   expr_apply_wide(op, wide_join(a->value, a->rest), wide_join(b->value, b->rest)));
    else
        r->value = expr_apply_float(op, a->value, b->value);
}

static void eval_number(computed *r, const expr_step *step, const computed *a, const computed *b,
                        bool wide)
{
    expr_op op = (expr_op)step->node->op;
    if (step->node->type == EXPR_BOOL) {
        r->value = compare(op, a, b);
    } else if (step->type == EXPR_INT && op != EXPR_tofloat) {
        r->value = (double)expr_apply_int(op, (int32_t)a->value, (int32_t)b->value);
    } else {
        eval_float(r, op, a, b, wide);
        if (step->node->type == EXPR_FLOAT)
            r->slope = step->node->arity == 1 ? slope_unary(op, a, r->value)
                                              : slope_binary(op, a, b, r->value);
    }
}

static void eval_leaf(computed *r, const expr_node *n, const expr_env *env)
{
    bool by = n->op == EXPR_variable && n->type == EXPR_FLOAT && n->symbol == env->by;
    double value = n->op == EXPR_variable  ? env->variable[n->symbol]
                   : n->type == EXPR_FLOAT ? n->value.f
                                           : (double)n->value.i;
    r->value = n->type == EXPR_INT ? (double)expr_to_int(value) : value;
    r->slope = by;
    r->rest = by && env->wide ? env->rest : 0;
}

static void eval_step(computed *r, const expr_step *step, const computed *t, const expr_env *env)
{
    const expr_node *n = step->node;
    const computed *a = &t[step->operand[0]], *b = n->arity > 1 ? &t[step->operand[1]] : a;
    r->value = r->slope = r->magnitude = r->rest = 0;
    if (n->op == EXPR_constant || n->op == EXPR_variable)
        eval_leaf(r, n, env);
    else if (n->op == EXPR_read)
        eval_read(r, step, t, env);
    else if (n->op == EXPR_where)
        eval_where(r, a, b, &t[step->operand[2]]);
    else if (n->op == EXPR_not || n->op == EXPR_and || n->op == EXPR_or)
        r->value = eval_logic((expr_op)n->op, a, b);
    else
        eval_number(r, step, a, b, env->wide);
    if (n->op != EXPR_where)
        for (int k = 0; k < n->arity; k++)
            r->magnitude = larger(r->magnitude, t[step->operand[k]].magnitude);
    if (n->type == EXPR_FLOAT && isfinite(r->value))
        r->magnitude = larger(r->magnitude, fabs(r->value));
}

static void take(expr_result *result, const computed *last)
{
    *result = (expr_result){ last->value, last->slope, last->magnitude, last->rest };
}

void expr_eval(const expr_program *program, const expr_env *env, double *scratch,
               expr_result *result)
{
    computed *t = (computed *)scratch;
    for (int k = 0; k < program->count; k++) eval_step(&t[k], &program->steps[k], t, env);
    take(result, &t[program->count - 1]);
}

void expr_eval_again(const expr_program *program, const expr_env *env, double *scratch,
                     uint64_t changed, expr_result *result)
{
    computed *t = (computed *)scratch;
    for (int k = 0; k < program->count; k++)
        if (program->steps[k].depends & changed) eval_step(&t[k], &program->steps[k], t, env);
    take(result, &t[program->count - 1]);
}
