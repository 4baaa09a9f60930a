/* Canonical text. Conversions to float go without saying beside a float; where they would not, `1.0 *` says
 * them. Nodes used more than once become locals, and so do nodes nested too deeply to be read again. */
#include "gen/core/expr_pool.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { max_height = 64 }; /* between locals; each level takes at most two of the parser's */

typedef struct formatter {
    const expr_pool *pool;
    text *out;
    expr *order; /* nodes of the text, operands first, as met from the left */
    int count;
    struct mark {
        int uses, height;
        int local;    /* number of the local, or 0 */
        uint8_t next; /* operand to visit */
        bool visited;
    } * marks; /* by node */
} formatter;

static const expr_node *node(const formatter *f, expr e)
{
    return expr_get(f->pool, e);
}

static bool is_conversion(const formatter *f, expr e)
{
    return node(f, e)->op == EXPR_tofloat;
}

/* Conversions are no nodes of the text. */
static expr bare(const formatter *f, expr e)
{
    return is_conversion(f, e) ? node(f, e)->operand[0] : e;
}

/* ---- Which nodes become locals ---- */

static void visit(formatter *f, expr root, expr *stack)
{
    int depth = 0;
    stack[depth++] = root;
    f->marks[root].visited = true;
    while (depth > 0) {
        expr e = stack[depth - 1];
        if (f->marks[e].next == node(f, e)->arity) {
            f->order[f->count++] = e;
            depth--;
            continue;
        }
        expr below = bare(f, node(f, e)->operand[f->marks[e].next++]);
        f->marks[below].uses++;
        if (f->marks[below].visited) continue;
        f->marks[below].visited = true;
        stack[depth++] = below;
    }
}

static int height_of(const formatter *f, expr e)
{
    const expr_node *n = node(f, e);
    int height = 0;
    for (int k = 0; k < n->arity; k++) {
        const struct mark *below = &f->marks[bare(f, n->operand[k])];
        int more = 1 + is_conversion(f, n->operand[k]) + (below->local ? 0 : below->height);
        if (more > height) height = more;
    }
    return height;
}

/* x1, x2, ... without those that are symbols. */
static int next_local(const formatter *f, int number)
{
    char name[16];
    do {
        snprintf(name, sizeof name, "x%d", ++number);
    } while (expr_find(f->pool, name) >= 0);
    return number;
}

static bool choose_locals(formatter *f)
{
    int number = 0;
    for (int k = 0; k < f->count; k++) {
        expr e = f->order[k];
        struct mark *mark = &f->marks[e];
        mark->height = height_of(f, e);
        bool wanted = mark->uses > 1 || mark->height >= max_height;
        if (!wanted || node(f, e)->arity == 0 || k == f->count - 1) continue;
        number = mark->local = next_local(f, number);
    }
    return number > 0;
}

/* ---- Printing ---- */

enum { WEAKEST, OR, AND, COMPARE, SUM, PRODUCT, UNARY, PRIMARY };

static const struct spelling {
    const char *sign;
    int precedence;
} spellings[EXPR_op_count] = {
    [EXPR_neg] = { "-", UNARY },       [EXPR_not] = { "not ", UNARY },
    [EXPR_add] = { " + ", SUM },       [EXPR_sub] = { " - ", SUM },
    [EXPR_mul] = { " * ", PRODUCT },   [EXPR_div] = { " / ", PRODUCT },
    [EXPR_idiv] = { " // ", PRODUCT }, [EXPR_mod] = { " % ", PRODUCT },
    [EXPR_lt] = { " < ", COMPARE },    [EXPR_le] = { " <= ", COMPARE },
    [EXPR_eq] = { " == ", COMPARE },   [EXPR_ne] = { " ~= ", COMPARE },
    [EXPR_and] = { " and ", AND },     [EXPR_or] = { " or ", OR },
};

static int precedence(const expr_node *n)
{
    if (n->op == EXPR_constant && n->type == EXPR_INT) return n->value.i < 0 ? UNARY : PRIMARY;
    if (n->op == EXPR_constant && n->type == EXPR_FLOAT)
        return !isfinite(n->value.f) ? PRODUCT : signbit(n->value.f) ? UNARY : PRIMARY;
    return spellings[n->op].sign ? spellings[n->op].precedence : PRIMARY;
}

static void add(formatter *f, const char *word)
{
    text_add(f->out, word, strlen(word));
}

static void add_float(formatter *f, double x)
{
    size_t start = f->out->length;
    if (!isfinite(x)) {
        add(f, isnan(x) ? "0.0 / 0.0" : x < 0 ? "-1.0 / 0.0" : "1.0 / 0.0");
        return;
    }
    if (f->pool->real32)
        text_add_float(f->out, (float)x);
    else
        text_add_double(f->out, x);
    if (f->out->failed) return;
    if (!strpbrk(f->out->data + start, ".e")) add(f, ".0");
}

static void print_constant(formatter *f, const expr_node *n)
{
    if (n->type == EXPR_FLOAT)
        add_float(f, n->value.f);
    else if (n->type == EXPR_INT)
        text_addf(f->out, "%d", (int)n->value.i);
    else
        add(f, n->value.i ? "true" : "false");
}

/* Whether operand `k`, a conversion, is read as one without being marked. */
static bool goes_without_saying(const formatter *f, const expr_node *n, int k)
{
    if (n->op == EXPR_div || n->op == EXPR_exp || n->op == EXPR_log || n->op == EXPR_tanh ||
        n->op == EXPR_sqrt)
        return true;
    if (n->arity == 1) return false;
    int last = n->arity - 1, other = k == last ? last - 1 : last;
    return !is_conversion(f, n->operand[other]) || k == last; /* of two, the first is marked */
}

static void print(formatter *f, expr e, int limit);

static void print_operand(formatter *f, const expr_node *n, int k, int limit)
{
    expr e = n->operand[k];
    bool marked = is_conversion(f, e) && !goes_without_saying(f, n, k);
    if (marked && limit > PRODUCT) add(f, "(");
    if (marked) add(f, "1.0 * ");
    print(f, bare(f, e), marked ? PRODUCT + 1 : limit);
    if (marked && limit > PRODUCT) add(f, ")");
}

/* min(min(a, b), c) is min(a, b, c). */
static void print_arguments(formatter *f, const expr_node *n)
{
    const expr_node *first = node(f, n->operand[0]);
    bool nested = (n->op == EXPR_min || n->op == EXPR_max) && first->op == n->op &&
                  !f->marks[n->operand[0]].local;
    if (nested) print_arguments(f, first);
    for (int k = nested; k < n->arity; k++) {
        if (k > 0) add(f, ", ");
        print_operand(f, n, k, WEAKEST);
    }
}

static void print_read(formatter *f, const expr_node *n)
{
    add(f, expr_get_symbol(f->pool, n->symbol)->name);
    for (int k = 0; k < n->arity; k++) {
        add(f, "[");
        print(f, n->operand[k], WEAKEST);
        add(f, "]");
    }
}

static void print_node(formatter *f, const expr_node *n)
{
    const struct spelling *s = &spellings[n->op];
    if (n->op == EXPR_constant) {
        print_constant(f, n);
    } else if (n->op == EXPR_variable || n->op == EXPR_read) {
        print_read(f, n);
    } else if (s->sign && n->arity == 1) {
        add(f, s->sign);
        print_operand(f, n, 0, UNARY);
    } else if ((n->op == EXPR_lt || n->op == EXPR_le) &&
               node(f, n->operand[0])->op == EXPR_constant) {
        print_operand(f, n, 1, COMPARE + 1); /* i > 3 reads better than 3 < i */
        add(f, n->op == EXPR_lt ? " > " : " >= ");
        print_operand(f, n, 0, COMPARE + 1);
    } else if (s->sign) {
        print_operand(f, n, 0, s->precedence + (s->precedence == COMPARE));
        add(f, s->sign);
        print_operand(f, n, 1, s->precedence + 1);
    } else {
        text_addf(f->out, "%s(", expr_op_names[n->op]);
        print_arguments(f, n);
        add(f, ")");
    }
}

static void print(formatter *f, expr e, int limit)
{
    const expr_node *n = node(f, e);
    if (f->marks[e].local) {
        text_addf(f->out, "x%d", f->marks[e].local);
        return;
    }
    bool closed = precedence(n) < limit;
    if (closed) add(f, "(");
    print_node(f, n);
    if (closed) add(f, ")");
}

static void print_function(formatter *f, expr_kind kind, expr root)
{
    add(f, kind == EXPR_SCORE ? "function(s, b, h, i, j) " : "function(b, h, i, j) ");
    for (int k = 0; k < f->count; k++) {
        int number = f->marks[f->order[k]].local;
        if (!number) continue;
        text_addf(f->out, "local x%d = ", number);
        print_node(f, node(f, f->order[k]));
        add(f, "; ");
    }
    add(f, "return ");
    print_node(f, node(f, root));
    add(f, " end");
}

void expr_format(const expr_pool *pool, expr_kind kind, expr root, text *out)
{
    size_t size = (size_t)root + 1;
    formatter f = { .pool = pool, .out = out };
    root = bare(&f, root); /* a score is converted anyway */
    f.order = memory_new(out->memory, size, sizeof *f.order);
    f.marks = memory_new(out->memory, size, sizeof *f.marks);
    expr *stack = memory_new(out->memory, size, sizeof *stack);
    if (!f.order || !f.marks || !stack) {
        out->failed = true;
        goto out;
    }
    visit(&f, root, stack);
    if (choose_locals(&f))
        print_function(&f, kind, root);
    else
        print(&f, root, WEAKEST);
out:
    memory_free(out->memory, f.order, size * sizeof *f.order);
    memory_free(out->memory, f.marks, size * sizeof *f.marks);
    memory_free(out->memory, stack, size * sizeof *stack);
}
