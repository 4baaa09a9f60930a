/* Any text as a score and as a mask: what parses comes back from its canonical text, keeps its operands in
 * order, and evaluates with every index in range. The first byte chooses f32 or f64 and the kind. */
#include "gen/core/expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool truth, const char *what)
{
    if (truth) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static double read_element(void *user, int symbol, const int64_t *index)
{
    const expr_pool *pool = user;
    const expr_symbol *s = expr_get_symbol(pool, symbol);
    for (int k = 0; k < s->rank; k++) {
        const expr_node *extent = expr_get(pool, s->extent[k]);
        int64_t last = extent->op == EXPR_constant ? extent->value.i - 1 : 4;
        require(index[k] >= 0 && index[k] <= last, "an index is out of range");
    }
    return s->type == EXPR_INT ? (double)(index[0] - 2) : 0.5;
}

static expr_pool *make_pool(bool real32)
{
    static const char *const ints[] = { "b", "h", "i", "j", "n" };
    expr_pool *pool = expr_pool_new(&memory_default, real32);
    require(pool && expr_declare(pool, "s", EXPR_FLOAT) == 0, "no pool");
    for (int k = 0; k < 5; k++) expr_declare(pool, ints[k], EXPR_INT);
    expr_define(pool, "sk", expr_int(pool, 517));
    expr extent[2] = { expr_int(pool, 3), expr_variable(pool, 5) };
    expr_declare_tensor(pool, "t", EXPR_FLOAT, 1, extent);
    expr_declare_tensor(pool, "doc", EXPR_INT, 2, extent);
    return pool;
}

static void check_evaluation(expr_pool *pool, expr e)
{
    expr_program program;
    expr_result result;
    expr_env env = { .variable = { 0.25, 1, 2, 300, -7, 5 }, .read = read_element, .user = pool };
    require(expr_program_new(&program, &memory_default, pool, e, NULL) == FG_OK, "no program");
    double *scratch = malloc(expr_scratch * sizeof(double) * (size_t)program.count);
    expr_eval(&program, &env, scratch, &result);
    require(!(result.magnitude < 0), "a magnitude is negative");
    free(scratch);
    expr_program_free(&program);
}

static void check_operands(const expr_pool *pool)
{
    for (expr e = 1; e <= (expr)expr_node_count(pool); e++) {
        const expr_node *n = expr_get(pool, e);
        for (int k = 0; k < n->arity; k++)
            require(n->operand[k] && n->operand[k] < e, "an operand comes late");
    }
}

static void check_canonical(expr_pool *pool, expr_kind kind, expr e)
{
    text t;
    fg_error error;
    expr again;
    text_init(&t, &memory_default);
    expr_format(pool, kind, e, &t);
    int count = expr_node_count(pool);
    require(expr_parse(&again, pool, kind, t.data, t.length, &error) == FG_OK,
            "the canonical text is refused");
    require(again == e, "the canonical text gives another node");
    require(expr_node_count(pool) == count, "the canonical text makes more nodes");
    text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fg_error error = { .status = FG_OK };
    expr e;
    bool real32 = size == 0 || (data[0] & 1) == 0;
    expr_kind kind = size > 0 && (data[0] & 2) ? EXPR_MASK : EXPR_SCORE;
    const char *source = size > 0 ? (const char *)data + 1 : "";
    size_t length = size > 0 ? size - 1 : 0;
    expr_pool *pool = make_pool(real32);
    if (expr_parse(&e, pool, kind, source, length, &error) == FG_OK) {
        check_canonical(pool, kind, e);
        check_evaluation(pool, e);
        require(expr_substitute(pool, e, 3, expr_variable(pool, 4)) != 0, "a substitution fails");
    } else {
        require(error.status == FG_REQUEST, "another failure");
        require(error.position >= 0 && error.position <= (int64_t)length,
                "the position is outside");
        require(*error.text && strlen(error.text) < sizeof error.text, "no sentence");
    }
    check_operands(pool);
    expr_pool_free(pool);
    return 0;
}
