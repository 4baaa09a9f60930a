/* What the tests of expressions share: a pool with the symbols of a small problem, and calls on texts. */
#ifndef TESTS_EXPR_SUPPORT_H
#define TESTS_EXPR_SUPPORT_H

#include "gen/core/expr.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

/* By symbol; then the tensors t f32[8] and doc i32[3][7]. sq and sk are static, n is not. */
enum { SYM_s, SYM_b, SYM_h, SYM_i, SYM_j, SYM_sq, SYM_sk, SYM_n, SYM_t, SYM_doc };

/* False when memory ran out. */
__attribute__((unused)) static bool declare_symbols(expr_pool *pool)
{
    static const char *const ints[] = { "b", "h", "i", "j" };
    expr t[1] = { expr_int(pool, 8) }, doc[2] = { expr_int(pool, 3), expr_int(pool, 7) };
    if (!t[0] || !doc[0] || !doc[1]) return false;
    if (expr_declare(pool, "s", EXPR_FLOAT) != SYM_s) return false;
    for (int k = 0; k < 4; k++)
        if (expr_declare(pool, ints[k], EXPR_INT) != SYM_b + k) return false;
    return expr_define(pool, "sq", expr_int(pool, 333)) == SYM_sq &&
           expr_define(pool, "sk", expr_int(pool, 517)) == SYM_sk &&
           expr_declare(pool, "n", EXPR_INT) == SYM_n &&
           expr_declare_tensor(pool, "t", EXPR_FLOAT, 1, t) == SYM_t &&
           expr_declare_tensor(pool, "doc", EXPR_INT, 2, doc) == SYM_doc;
}

__attribute__((unused)) static expr_pool *new_pool(bool real32)
{
    expr_pool *pool = expr_pool_new(&memory_default, real32);
    ck_assert_ptr_nonnull(pool);
    ck_assert(declare_symbols(pool));
    return pool;
}

/* Must parse. */
__attribute__((unused)) static expr parse(expr_pool *pool, expr_kind kind, const char *source)
{
    fg_error error = { .text = "" };
    expr e = 0;
    ck_assert_msg(expr_parse(&e, pool, kind, source, strlen(source), &error) == FG_OK, "%s: %s",
                  source, error.text);
    ck_assert_uint_ne(e, 0);
    return e;
}

/* The canonical text, to be freed by text_free. */
__attribute__((unused)) static text format(const expr_pool *pool, expr_kind kind, expr e)
{
    text t;
    text_init(&t, &memory_default);
    expr_format(pool, kind, e, &t);
    ck_assert(!t.failed);
    return t;
}

/* Evaluates once. */
__attribute__((unused)) static expr_result evaluate(const expr_pool *pool, expr e,
                                                    const expr_env *env)
{
    expr_program program;
    expr_result result;
    ck_assert_int_eq(expr_program_new(&program, &memory_default, pool, e, NULL), FG_OK);
    double *scratch = malloc(expr_scratch * sizeof(double) * (size_t)program.count);
    ck_assert_ptr_nonnull(scratch);
    expr_eval(&program, env, scratch, &result);
    free(scratch);
    expr_program_free(&program);
    return result;
}

#endif
