/* Expressions drawn at random: as written against as simplified, and back from canonical text. */
#include "tests/expr_tree.h"

enum { DRAWN = 4000, POINTS = 8 };

static void draw_point(expr_env *env)
{
    static const double awkward[] = { 0, 1, -1, INT32_MIN, INT32_MAX };
    static const double reals[] = { 0, -0.0, 1, INFINITY, -INFINITY, NAN };
    *env = (expr_env){ .by = SYM_s, .read = read_tensor };
    for (int k = SYM_b; k <= SYM_n; k++)
        env->variable[k] = draw(4) == 0 ? awkward[draw(5)] : (double)draw(600) - 300;
    env->variable[SYM_sq] = 333;
    env->variable[SYM_sk] = 517;
    env->variable[SYM_s] = draw(4) == 0 ? reals[draw(6)] : (double)draw(1000) / 128 - 4;
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static text draw_source(tree **root, expr_kind kind)
{
    text source;
    text_init(&source, &memory_default);
    node_count = 0;
    *root = draw_tree(kind == EXPR_MASK ? EXPR_BOOL : draw_number(), 6);
    write_tree(*root, &source);
    return source;
}

/* A mask may not name s: where the tree does, it is compared as a score. */
static text wrap_mask(text source)
{
    text wrapped;
    text_init(&wrapped, &memory_default);
    text_addf(&wrapped, "where(%s, 1, 0)", source.data);
    text_free(&source);
    return wrapped;
}

START_TEST(simplifying_keeps_values)
{
    for (int k = 0; k < DRAWN; k++) {
        bool mask = k % 3 == 0;
        tree *root;
        expr_pool *pool = new_pool(false);
        text source = draw_source(&root, mask ? EXPR_MASK : EXPR_SCORE);
        if (mask) source = wrap_mask(source);
        expr e = parse(pool, EXPR_SCORE, source.data);
        for (int point = 0; point < POINTS; point++) {
            expr_env env;
            draw_point(&env);
            double want = value(root, &env), got = evaluate(pool, e, &env).value;
            ck_assert_msg(same(want, got), "%s: %.17g, not %.17g, at s = %g", source.data, got,
                          want, env.variable[0]);
        }
        text_free(&source);
        expr_pool_free(pool);
    }
}
END_TEST

/* Canonical text gives the same node, makes no other, and is the same from a pool of another history. */
START_TEST(canonical_text_is_stable)
{
    expr_pool *busy = new_pool(true);
    for (int k = 0; k < DRAWN; k++) {
        tree *root;
        if (k % 20 == 0) {
            expr_pool_free(busy);
            busy = new_pool(true);
        }
        expr_pool *fresh = new_pool(true), *again = new_pool(true);
        text source = draw_source(&root, k % 3 == 0 ? EXPR_MASK : EXPR_SCORE);
        if (k % 3 == 0) source = wrap_mask(source);
        expr e = parse(busy, EXPR_SCORE, source.data), f = parse(fresh, EXPR_SCORE, source.data);
        text first = format(busy, EXPR_SCORE, e), second = format(fresh, EXPR_SCORE, f);
        ck_assert_str_eq(first.data, second.data);
        int count = expr_node_count(busy);
        ck_assert_msg(parse(busy, EXPR_SCORE, first.data) == e, "%s: %s", source.data, first.data);
        ck_assert_msg(expr_node_count(busy) == count, "%s: %s", source.data, first.data);
        text third = format(again, EXPR_SCORE, parse(again, EXPR_SCORE, first.data));
        ck_assert_str_eq(first.data, third.data);
        text_free(&source);
        text_free(&first);
        text_free(&second);
        text_free(&third);
        expr_pool_free(fresh);
        expr_pool_free(again);
    }
    expr_pool_free(busy);
}
END_TEST

/* Every node that simplification ever made is what its operands make. */
START_TEST(nodes_are_normal_forms)
{
    for (int k = 0; k < DRAWN; k++) {
        tree *root;
        expr_pool *pool = new_pool(k % 2 == 0);
        text source = draw_source(&root, EXPR_SCORE);
        parse(pool, EXPR_SCORE, source.data);
        for (expr e = 1; e <= (expr)expr_node_count(pool); e++) {
            const expr_node *n = expr_get(pool, e);
            if (n->arity == 0 || n->op == EXPR_read) continue;
            ck_assert_msg(expr_make(pool, (expr_op)n->op, n->operand) == e, "%s in %s",
                          expr_op_names[n->op], source.data);
            for (int side = 0; side < n->arity; side++) ck_assert_uint_lt(n->operand[side], e);
        }
        text_free(&source);
        expr_pool_free(pool);
    }
}
END_TEST

/* Folding rounds as f32 arithmetic does. */
START_TEST(constants_fold_as_floats)
{
    static const expr_op ops[] = { EXPR_add, EXPR_sub, EXPR_mul, EXPR_div };
    expr_pool *pool = NULL;
    for (int k = 0; k < 20000; k++) {
        if (k % 2000 == 0) {
            expr_pool_free(pool);
            pool = new_pool(true);
        }
        float x, y;
        uint32_t bits[2] = { draw(UINT32_MAX), draw(UINT32_MAX) };
        if (k % 2) bits[1] = (bits[0] & 0xff800000) | (bits[1] & 0x7fffff); /* of one magnitude */
        memcpy(&x, &bits[0], sizeof x);
        memcpy(&y, &bits[1], sizeof y);
        const volatile float results[] = { x + y, x - y, x * y, x / y };
        expr sides[] = { expr_float(pool, (double)x), expr_float(pool, (double)y) };
        for (int op = 0; op < 4; op++) {
            const expr_node *n = expr_get(pool, expr_make(pool, ops[op], sides));
            ck_assert_int_eq(n->op, EXPR_constant);
            ck_assert(same(n->value.f, (double)results[op]));
        }
    }
    expr_pool_free(pool);
}
END_TEST

static double slope_at(const expr_pool *pool, expr e, expr_env env, double s)
{
    const double step = 1e-6;
    env.variable[SYM_s] = s + step;
    double above = evaluate(pool, e, &env).value;
    env.variable[SYM_s] = s - step;
    return (above - evaluate(pool, e, &env).value) / (2 * step);
}

/* Against differences, where those of two places agree: there is no jump or pole nearby. */
START_TEST(slopes_agree_with_differences)
{
    int compared = 0;
    for (int k = 0; k < DRAWN; k++) {
        tree *root;
        expr_pool *pool = new_pool(false);
        text source = draw_source(&root, EXPR_SCORE);
        expr e = parse(pool, EXPR_SCORE, source.data);
        expr_env env;
        draw_point(&env);
        double s = (double)draw(1000) / 128 + 0.1234, before = slope_at(pool, e, env, s - 3e-6);
        double after = slope_at(pool, e, env, s + 3e-6);
        env.variable[SYM_s] = s;
        expr_result r = evaluate(pool, e, &env);
        bool tame = fabs(before - after) < 1e-3 * fabs(before) && fabs(before) > 1e-2 &&
                    r.magnitude < 1e4 && before < 1e4;
        if (tame) {
            compared++;
            ck_assert_msg(fabs(r.slope - before) < 2e-3 * fabs(before), "%s: %g, not %g",
                          source.data, r.slope, before);
        }
        text_free(&source);
        expr_pool_free(pool);
    }
    ck_assert_int_gt(compared, DRAWN / 20);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        simplifying_keeps_values, canonical_text_is_stable,      nodes_are_normal_forms,
        constants_fold_as_floats, slopes_agree_with_differences, NULL,
    };
    return support_run("expr_drawn", tests);
}
