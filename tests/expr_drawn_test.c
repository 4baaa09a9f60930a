/* Expressions drawn at random: as written against as simplified, and back from canonical text. The trees here
 * have an evaluator of their own. */
#include "tests/expr_support.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

enum { DRAWN = 4000, POINTS = 8 };

/* ---- Drawing ---- */

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(((state >> 32) * below) >> 32);
}

/* As the language sees it, typed. An op is the character it starts with, or a letter of its own. */
typedef struct tree {
    char
        op; /* c constant, v variable, t doc reads, a f e T q L calls, + - * / I(//) % m M, < l = ~ n A O, ? where */
    expr_type type;
    double constant;
    int variable;
    struct tree *kid[3];
} tree;

static tree nodes[4096];
static int node_count;

static tree *new_tree(char op, expr_type type)
{
    ck_assert_int_lt(node_count, 4096);
    nodes[node_count] = (tree){ .op = op, .type = type };
    return &nodes[node_count++];
}

static const int ints[] = { SYM_b, SYM_h, SYM_i, SYM_j, SYM_n, SYM_sq, SYM_sk };

static tree *draw_leaf(expr_type type)
{
    static const int32_t constants[] = { 0, 1, 2, 3, 7, 128, 65536, INT32_MAX };
    static const double floats[] = { 0, 0.5, 1, 2, 0.1, 3, 1e-3, 1e10 };
    bool constant = type == EXPR_BOOL || draw(3) == 0;
    tree *t = new_tree(constant ? 'c' : 'v', type);
    t->constant = type == EXPR_BOOL  ? draw(2)
                  : type == EXPR_INT ? constants[draw(8)]
                                     : floats[draw(8)];
    t->variable = type == EXPR_FLOAT ? SYM_s : ints[draw(7)];
    return t;
}

static tree *draw_tree(expr_type type, int depth);

static expr_type draw_number(void)
{
    return draw(2) ? EXPR_INT : EXPR_FLOAT;
}

static tree *draw_operands(tree *t, int count, const expr_type *types, int depth)
{
    for (int k = 0; k < count; k++) t->kid[k] = draw_tree(types[k], depth - 1);
    return t;
}

static tree *draw_bool(int depth)
{
    static const char ops[] = "<l=~<l=~nAOAO?";
    tree *t = new_tree(ops[draw(14)], EXPR_BOOL);
    if (strchr("<l=~", t->op))
        return draw_operands(t, 2, (expr_type[]){ draw_number(), draw_number() }, depth);
    return draw_operands(t,
                         t->op == 'n'   ? 1
                         : t->op == '?' ? 3
                                        : 2,
                         (expr_type[]){ 0, 0, 0 }, depth);
}

static tree *draw_int(int depth)
{
    static const char ops[] = "++---***I%mM-af?t";
    const expr_type i = EXPR_INT;
    tree *t = new_tree(ops[draw(17)], i);
    if (t->op == 'f') return draw_operands(t, 1, (expr_type[]){ draw_number() }, depth);
    if (t->op == '?') return draw_operands(t, 3, (expr_type[]){ EXPR_BOOL, i, i }, depth);
    if (t->op == '-' && draw(3) == 0) return t->op = 'N', draw_operands(t, 1, &i, depth);
    return draw_operands(t, t->op == 'a' ? 1 : 2, (expr_type[]){ i, i }, depth);
}

static tree *draw_float(int depth)
{
    static const char ops[] = "++--**//mMNaeTqL?t";
    tree *t = new_tree(ops[draw(18)], EXPR_FLOAT);
    expr_type x = EXPR_FLOAT, y = draw_number();
    if (t->op == 't') return draw_operands(t, 1, (expr_type[]){ EXPR_INT }, depth);
    if (t->op == '?') return draw_operands(t, 3, (expr_type[]){ EXPR_BOOL, y, x }, depth);
    if (t->op == '/') x = draw_number();
    if (strchr("Na", t->op)) y = x; /* of an int they are ints */
    if (strchr("NaeTqL", t->op)) return draw_operands(t, 1, &y, depth);
    return draw_operands(t, 2, draw(2) ? (expr_type[]){ x, y } : (expr_type[]){ y, x }, depth);
}

static tree *draw_tree(expr_type type, int depth)
{
    if (depth <= 0 || draw(8) == 0) return draw_leaf(type);
    return type == EXPR_BOOL  ? draw_bool(depth)
           : type == EXPR_INT ? draw_int(depth)
                              : draw_float(depth);
}

/* ---- As text ---- */

static const char *const names[] = { "s", "b", "h", "i", "j", "sq", "sk", "n" };

static void write_tree(const tree *t, text *out);

static void write_list(const tree *t, const char *before, const char *between, const char *after,
                       text *out)
{
    text_addf(out, "%s", before);
    for (int k = 0; k < 3 && t->kid[k]; k++) {
        if (k > 0) text_addf(out, "%s", between);
        write_tree(t->kid[k], out);
    }
    text_addf(out, "%s", after);
}

static void write_leaf(const tree *t, text *out)
{
    if (t->op == 'v')
        text_addf(out, "%s", names[t->variable]);
    else if (t->type == EXPR_BOOL)
        text_addf(out, "%s", t->constant != 0 ? "true" : "false");
    else if (t->type == EXPR_INT)
        text_addf(out, "%d", (int)t->constant);
    else
        text_addf(out, "%.17e", t->constant);
}

static void write_tree(const tree *t, text *out)
{
    static const struct {
        char op;
        const char *before, *between, *after;
    } forms[] = {
        { 'a', "abs(", "", ")" },     { 'f', "floor(", "", ")" }, { 'e', "exp(", "", ")" },
        { 'T', "tanh(", "", ")" },    { 'q', "sqrt(", "", ")" },  { 'L', "log(", "", ")" },
        { '+', "(", " + ", ")" },     { '-', "(", " - ", ")" },   { '*', "(", "*", ")" },
        { '/', "(", "/", ")" },       { 'I', "(", "//", ")" },    { '%', "(", "%", ")" },
        { 'm', "min(", ", ", ")" },   { 'M', "max(", ", ", ")" }, { '<', "(", " < ", ")" },
        { 'l', "(", " <= ", ")" },    { '=', "(", " == ", ")" },  { '~', "(", " ~= ", ")" },
        { 'n', "not (", "", ")" },    { 'A', "(", " and ", ")" }, { 'O', "(", " or ", ")" },
        { '?', "where(", ", ", ")" }, { 'N', "(-", "", ")" },     { 't', NULL, "][", "]" },
    };
    if (t->op == 'c' || t->op == 'v') {
        write_leaf(t, out);
        return;
    }
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        const char *before = forms[k].before       ? forms[k].before
                             : t->type == EXPR_INT ? "doc["
                                                   : "t[";
        if (forms[k].op == t->op) write_list(t, before, forms[k].between, forms[k].after, out);
    }
}

/* ---- Their values ---- */

static double read_tensor(void *user, int symbol, const int64_t *index)
{
    (void)user;
    ck_assert(index[0] >= 0 && index[0] < (symbol == SYM_t ? 8 : 3) && index[1] >= 0 &&
              index[1] < 7);
    return symbol == SYM_t ? 0.75 * (double)index[0] - 2 : (double)(100 * index[0] - index[1]);
}

static double clamp(double x, double last)
{
    return x < 0 ? 0 : x > last ? last : x;
}

static double wrap(double x) /* of a whole number below 2^63 */
{
    return (double)(int32_t)(uint32_t)(uint64_t)(int64_t)x;
}

static double value_int(const tree *t, double a, double b)
{
    switch (t->op) {
    case '+':
        return wrap(a + b);
    case '-':
        return wrap(a - b);
    case '*':
        return (double)(int32_t)((uint32_t)(int32_t)a * (uint32_t)(int32_t)b);
    case 'I':
        return b == 0 ? 0 : wrap(floor(a / b)); /* exact: both below 2^53 / 2^21 */
    case '%':
        return b == 0 ? 0 : a - b * floor(a / b);
    case 'a':
        return wrap(fabs(a));
    case 'N':
        return wrap(-a);
    case 'm':
        return fmin(a, b);
    case 'M':
        return fmax(a, b);
    case 'f':
        return isnan(a) ? 0 : fmax(INT32_MIN, fmin(INT32_MAX, floor(a)));
    default:
        return read_tensor(NULL, SYM_doc,
                           (int64_t[2]){ (int64_t)clamp(a, 2), (int64_t)clamp(b, 6) });
    }
}

static double value_float(const tree *t, double a, double b)
{
    switch (t->op) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    case '/':
        return a / b;
    case 'N':
        return -a;
    case 'a':
        return fabs(a);
    case 'e':
        return exp(a);
    case 'T':
        return tanh(a);
    case 'q':
        return sqrt(a);
    case 'L':
        return log(a);
    case 'm':
        return b < a ? b : a;
    case 'M':
        return a < b ? b : a;
    default:
        return read_tensor(NULL, SYM_t, (int64_t[2]){ (int64_t)clamp(a, 7) });
    }
}

static double value_bool(const tree *t, double a, double b)
{
    switch (t->op) {
    case '<':
        return a < b;
    case 'l':
        return a <= b;
    case '=':
        return a == b;
    case '~':
        return a != b;
    case 'n':
        return a == 0;
    case 'A':
        return a != 0 && b != 0;
    default:
        return a != 0 || b != 0;
    }
}

static double value(const tree *t, const expr_env *env)
{
    if (t->op == 'c') return t->constant;
    if (t->op == 'v') return env->variable[t->variable];
    double a = value(t->kid[0], env);
    if (t->op == '?') return value(t->kid[a != 0 ? 1 : 2], env);
    double b = t->kid[1] ? value(t->kid[1], env) : 0;
    if (t->type == EXPR_BOOL) return value_bool(t, a, b);
    return t->type == EXPR_INT ? value_int(t, a, b) : value_float(t, a, b);
}

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

/* ---- Tests ---- */

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
