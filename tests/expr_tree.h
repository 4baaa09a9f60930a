/* Random typed trees of the expression language, their text, and an evaluator of their own. */
#ifndef TESTS_EXPR_TREE_H
#define TESTS_EXPR_TREE_H

#include "tests/expr_support.h"

#include <math.h>
#include <stdint.h>

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

#endif
