/* Expressions by hand: canonical text, evaluation, makers and symbols. */
#include "tests/expr_support.h"
#include "tests/comma_locale.h"

#include <math.h>

/* ---- Canonical text ---- */

typedef struct row {
    const char *source, *canonical;
} row;

static const row scores[] = {
    { "s", "s" },
    { "s - t[h] * abs(i + sk - sq - j)", "s - t[h] * abs(i - j + 184)" },
    { "s + -t[h] * abs(j - i - sk + sq)", "s - t[h] * abs(i - j + 184)" },
    { "20 * tanh(s / 20)", "20.0 * tanh(s / 20.0)" },
    { "function(s, b, h, i, j) local r = i - j; if r > 128 then return s - t[h] * r end; return s "
      "end",
      "function(s, b, h, i, j) local x1 = i - j; return where(x1 > 128, s - t[h] * x1, s) end" },
    { "function(x, y, z, q, k) return x * q end", "s * i" },
    { "function() return n end", "n" },
    { "function(s, b, h, i, j) if i > 0 then return s elseif j > 0 then return 2 else return 3 end "
      "end",
      "where(i > 0, s, where(j > 0, 2.0, 3.0))" },
    { "function(s, b, h, i, j) if i > 0 then return 1 end if j > 0 then return 2 end return 3 end",
      "where(i > 0, 1.0, where(j > 0, 2.0, 3.0))" },
    { "function(s, b, h, i, j) if i > 0 then local s = 2 if j > 0 then return s end end return s "
      "end",
      "where(i > 0 and j > 0, 2.0, s)" },
    { "function(s, b, h, i, j) if i > 0 then local q = s else return s end; return 2 end",
      "where(i <= 0, s, 2.0)" },
    /* ints */
    { "(i - j) + j", "i" },
    { "i - i", "0.0" },
    { "3 - i - j - j", "3 - i - 2 * j" },
    { "2 * (i + j) - 3 * i", "2 * j - i" },
    { "(2 * i) * (-3 * j)", "-6 * (i * j)" },
    { "i * 65536 * 65536", "0.0" },
    { "2147483647 + 1", "-2.1474836e+09" },
    { "-7 // 2 + -7 % 3", "-2.0" },
    { "7 // 0 + 7 % 0", "0.0" },
    { "i // -1 + j % 1", "-i" },
    { "abs(-2147483648) * 1", "-2.1474836e+09" },
    { "max(3, j, i)", "max(i, max(j, 3))" },
    { "0x10 + 0XfF", "271.0" },
    { "abs(-2147483648 * i) - 2147483647 * j - j", "-2147483648 * j + abs(-2147483648 * i)" },
    /* floats */
    { "s * 1 + s / 1 - 0", "s + s" },
    { "s + 0.0", "s + 0.0" },
    { "s - -3", "s + 3.0" },
    { "-(2 * s) + 1", "1.0 - 2.0 * s" },
    { "s * 2 * 3", "3.0 * (2.0 * s)" },
    { "0.1 + 0.2", "0.3" },
    { "1 / 3", "0.33333334" },
    { "s * (1 / 0) + (-1 / 0) + 0 / 0 * s", "1.0 / 0.0 * s - 1.0 / 0.0 + 0.0 / 0.0 * s" },
    { "-0.0 * 1 + where(i < j, -0.0, 0.0)", "where(i < j, -0.0, 0.0)" },
    { "16777217.0", "16777216.0" },
    { "exp(0) + sqrt(2) * tanh(0.5)", "1.4142135 * tanh(0.5) + 1.0" },
    { "floor(2.5) + floor(-2.5) + floor(1e20) * 0 + floor(0 / 0)", "-1.0" },
    { "min(s, s) - -s", "s + s" },
    { "min(s, i, j, 3)", "min(s, i, j, 3.0)" },
    /* conversions */
    { "i / j", "i / j" },
    { "(i * 1.0) + (j * 1.0)", "1.0 * i + j" },
    { "where(i < j, i * 1.0, j)", "where(i < j, 1.0 * i, j)" },
    { "-(1.0 * i)", "-(1.0 * i)" },
    { "floor(1.0 * n) + s", "s + floor(1.0 * n)" },
    { "i + j * s", "i + s * j" },
    /* where and shared nodes */
    { "where(true, s, 1)", "s" },
    { "where(not (s < 1), 1, s)", "where(s < 1.0, s, 1.0)" },
    { "where(i < j, s, s)", "s" },
    { "exp(s * i) * exp(s * i)",
      "function(s, b, h, i, j) local x1 = exp(s * i); return x1 * x1 end" },
    { "t[doc[b][i // 2] % 8]", "t[doc[b][i // 2] % 8]" },
    { "-- a comment\n s --[[ another ]] + --[==[ ]] ]==] 1", "s + 1.0" },
};

static const row masks[] = {
    { "j <= i + sk - sq", "j <= i + 184" },
    { "i + sk - sq >= j and j > i - 128", "j <= i + 184 and i - 128 < j" },
    { "not (j <= i)", "i < j" },
    { "not (s0 == i) and not not true", NULL }, /* below: unknown */
    { "not (1.5 * i < j)", "not (1.5 * i < j)" },
    { "not (i / 2 == j)", "j ~= i / 2.0" },
    { "i < j and i < j", "i < j" },
    { "i < j and b == h and not (i < j)", "false" },
    { "i < j or j <= i", "true" },
    { "i / 2 < j or j <= i / 2",
      "function(b, h, i, j) local x1 = i / 2.0; return x1 < j or j <= x1 end" },
    { "i <= i and i / j == i / j", "function(b, h, i, j) local x1 = i / j; return x1 == x1 end" },
    { "where(i < j, b == h, false)", "i < j and b == h" },
    { "where(i < j, true, b == h)", "i < j or b == h" },
    { "where(i < j, b == h, true)", "j <= i or b == h" },
    { "where(i < j, b == h, n == 1)", "where(i < j, b == h, n == 1)" },
    { "(i < j or b < h) and (n < 1 or (i == j and b == 1))",
      "(i < j or b < h) and (n < 1 or i == j and b == 1)" },
    { "i < j and (b < h and n < 2)", "i < j and (b < h and n < 2)" },
    { "doc[b][j] == doc[b][i]", "doc[b][i] == doc[b][j]" },
    { "function(b, h, i, j) if i < j then return false end return i - j < 128 end",
      "j <= i and i - j < 128" },
    { "function(b, h, q, k) return k <= q end", "j <= i" },
};

static void check_rows(expr_kind kind, const row *rows, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        if (!rows[k].canonical) continue;
        expr_pool *pool = new_pool(true);
        expr e = parse(pool, kind, rows[k].source);
        text t = format(pool, kind, e);
        ck_assert_str_eq(t.data, rows[k].canonical);
        ck_assert_uint_eq(parse(pool, kind, t.data), e);
        text_free(&t);
        expr_pool_free(pool);
    }
}

START_TEST(texts_are_canonical)
{
    check_rows(EXPR_SCORE, scores, sizeof scores / sizeof *scores);
    check_rows(EXPR_MASK, masks, sizeof masks / sizeof *masks);
}
END_TEST

/* Terms that differ deep inside only, made in either order. */
START_TEST(history_does_not_show)
{
    static const char *const orders[] = { "function(s) local a = s * 2.5 local b = s * 3.5 ",
                                          "function(s) local b = s * 3.5 local a = s * 2.5 " };
    char texts[2][4096];
    for (int k = 0; k < 2; k++) {
        expr_pool *pool = new_pool(true);
        char source[2048] = "";
        strcat(source, orders[k]);
        for (int level = 0; level < 30; level++)
            strcat(source,
                   k ? "local b = exp(b) local a = exp(a) " : "local a = exp(a) local b = exp(b) ");
        strcat(source, k ? "local b = floor(b) " : "");
        strcat(source, "local a = floor(a) local b = floor(b) return a + b end");
        text t = format(pool, EXPR_SCORE, parse(pool, EXPR_SCORE, source));
        ck_assert_uint_lt(t.length, sizeof texts[k]);
        strcpy(texts[k], t.data);
        text_free(&t);
        expr_pool_free(pool);
    }
    ck_assert_str_eq(texts[0], texts[1]);
}
END_TEST

START_TEST(numbers_know_no_locale)
{
    comma_locale_enter();
    check_rows(EXPR_SCORE, scores, sizeof scores / sizeof *scores);
}
END_TEST

START_TEST(doubles_keep_their_digits)
{
    expr_pool *pool = new_pool(false);
    expr e = parse(pool, EXPR_SCORE, "s * 0.1 + 16777217.0 / 3");
    text t = format(pool, EXPR_SCORE, e);
    ck_assert_str_eq(t.data, "0.1 * s + 5592405.666666667");
    text_free(&t);
    expr_pool_free(pool);
}
END_TEST

/* ---- Evaluation ---- */

static double read_t(void *user, int symbol, const int64_t *index)
{
    (void)user;
    return symbol == SYM_t ? 0.5 * (double)index[0] : (double)(10 * index[0] + index[1]);
}

static const struct value {
    const char *source;
    double value, slope, magnitude; /* at s = 0.5, b = 1, h = 2, i = 30, j = 7, n = -4 */
} values[] = {
    { "3 * s * s", 0.75, 3, 3 },
    { "tanh(s)", 0.46211715726000975, 0.78644773296592741, 0.5 },
    { "exp(s) / s", 3.2974425414002564, -3.2974425414002564, 3.2974425414002564 },
    { "log(s) + sqrt(s)", 0.013959600626602287, 2.7071067811865475, 0.7071067811865476 },
    { "abs(s - 0.5)", 0, 0, 0.5 },
    { "abs(0.25 - s)", 0.25, 1, 0.5 },
    { "min(s, 1) + max(s, 1)", 1.5, 1, 1.5 },
    { "floor(4 * s) + s", 2.5, 1, 4 },
    { "where(s < 1, s * s, 1 / (s - 0.5))", 0.25, 1, 1 },
    { "where(s > 1, s * s, 100 * s)", 50, 100, 100 },
    { "s / 0", INFINITY, INFINITY, 0.5 },
    { "s * 0 + (n + i) % 3", 2, 0, 2 },
    { "t[h + 100]", 3.5, 0, 3.5 },
    { "t[n] + s", 0.5, 1, 0.5 },
    { "doc[b][4] * s", 7, 14, 14 },
    { "(i * 100000000) * 1.0", -1294967296, 0, 1294967296 },
    { "n // 3 - n % 3", -4, 0, 4 },
};

START_TEST(values_slopes_and_magnitudes)
{
    expr_env env = { .by = SYM_s, .read = read_t };
    const double at[] = { 0.5, 1, 2, 30, 7, 0, 0, -4 };
    memcpy(env.variable, at, sizeof at);
    expr_pool *pool = new_pool(false);
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        const struct value *v = &values[k];
        expr_result r = evaluate(pool, parse(pool, EXPR_SCORE, v->source), &env);
        const double got[] = { r.value, r.slope, r.magnitude },
                     want[] = { v->value, v->slope, v->magnitude };
        for (int part = 0; part < 3; part++)
            ck_assert_msg(got[part] == want[part] ||
                              fabs(got[part] - want[part]) < 1e-14 * fabs(want[part]) + 1e-15,
                          "%s: part %d is %.17g, not %.17g", v->source, part, got[part],
                          want[part]);
    }
    expr_pool_free(pool);
}
END_TEST

START_TEST(an_empty_tensor_reads_as_zero)
{
    expr_env env = { .by = -1, .read = NULL };
    expr_pool *pool = new_pool(false);
    expr none = expr_variable(pool, SYM_n);
    ck_assert_int_ge(expr_declare_tensor(pool, "empty", EXPR_FLOAT, 1, &none), 0);
    ck_assert_double_eq(evaluate(pool, parse(pool, EXPR_SCORE, "empty[i] + 1"), &env).value, 1);
    expr_pool_free(pool);
}
END_TEST

/* ---- Makers and symbols ---- */

START_TEST(symbols_are_checked)
{
    expr_pool *pool = new_pool(true);
    static const char *const refused[] = { "s",
                                           "sq",
                                           "t",
                                           "abs",
                                           "while",
                                           "end",
                                           "nil",
                                           "",
                                           "3x",
                                           "a-b",
                                           "\xc3\xa4",
                                           "a b",
                                           "x23456789012345678901234567890123" };
    for (size_t k = 0; k < sizeof refused / sizeof *refused; k++)
        ck_assert_int_eq(expr_declare(pool, refused[k], EXPR_INT), -1);
    ck_assert_int_eq(expr_define(pool, "fresh", 0), -1);
    ck_assert_int_eq(expr_find(pool, "fresh"), -1);
    ck_assert_int_eq(expr_find(pool, "n"), SYM_n);
    for (int k = expr_symbol_count(pool); k < 64; k++) {
        char name[] = { 'v', (char)('0' + k / 10), (char)('0' + k % 10), 0 };
        ck_assert_int_eq(expr_declare(pool, name, EXPR_INT), k);
    }
    ck_assert_int_eq(expr_declare(pool, "one_more", EXPR_INT), -1);
    expr_pool_free(pool);
}
END_TEST

START_TEST(makers_refuse_wrong_types)
{
    expr_pool *pool = new_pool(true);
    expr s = expr_variable(pool, SYM_s), i = expr_variable(pool, SYM_i),
         yes = expr_bool(pool, true);
    ck_assert_uint_eq(expr_make(pool, EXPR_and, (expr[]){ yes, s }), 0);
    ck_assert_uint_eq(expr_make(pool, EXPR_idiv, (expr[]){ i, s }), 0);
    ck_assert_uint_eq(expr_make(pool, EXPR_add, (expr[]){ i, yes }), 0);
    ck_assert_uint_eq(expr_make(pool, EXPR_add, (expr[]){ i, 0 }), 0);
    ck_assert_uint_eq(expr_make(pool, EXPR_where, (expr[]){ yes, s, yes }), 0);
    ck_assert_uint_eq(expr_make(pool, EXPR_read, (expr[]){ i }), 0);
    ck_assert_uint_eq(expr_read(pool, SYM_t, &s), 0);
    ck_assert_uint_eq(expr_read(pool, SYM_i, &i), 0);
    ck_assert_uint_eq(expr_variable(pool, SYM_t), 0);
    ck_assert_uint_eq(expr_variable(pool, 99), 0);
    ck_assert(expr_accepts(pool, EXPR_where, (expr[]){ yes, s, i }));
    ck_assert(!expr_accepts(pool, EXPR_op_count, (expr[]){ i }));
    ck_assert_int_eq(expr_get(pool, 0)->op, EXPR_none);
    expr_pool_free(pool);
}
END_TEST

START_TEST(substitution_simplifies)
{
    expr_pool *pool = new_pool(true);
    expr e = parse(pool, EXPR_SCORE, "s * t[i - j] + i");
    expr swapped = expr_substitute(
        pool, e, SYM_i, parse(pool, EXPR_MASK, "i == j") ? expr_variable(pool, SYM_j) : 0);
    ck_assert_uint_eq(swapped, parse(pool, EXPR_SCORE, "s * t[0] + j"));
    ck_assert_uint_eq(expr_substitute(pool, e, SYM_s, expr_int(pool, 1)),
                      parse(pool, EXPR_SCORE, "t[i - j] + i"));
    ck_assert_uint_eq(expr_substitute(pool, e, SYM_n, expr_int(pool, 1)), e);
    ck_assert_uint_eq(expr_substitute(pool, e, SYM_i, expr_variable(pool, SYM_s)),
                      0); /* a float for an int */
    expr_pool_free(pool);
}
END_TEST

START_TEST(substitution_leaves_the_rest)
{
    expr_pool *pool = new_pool(true);
    parse(pool, EXPR_SCORE, "exp(i)");
    expr e = parse(pool, EXPR_SCORE, "t[i]");
    ck_assert_uint_eq(expr_substitute(pool, e, SYM_i, expr_variable(pool, SYM_j)),
                      parse(pool, EXPR_SCORE, "t[j]"));
    int count = expr_node_count(pool);
    parse(pool, EXPR_SCORE, "exp(j)");
    ck_assert_int_gt(expr_node_count(pool), count);
    expr_pool_free(pool);
}
END_TEST

START_TEST(locals_keep_clear_of_symbols)
{
    expr_pool *pool = new_pool(true);
    ck_assert_int_ge(expr_declare(pool, "x1", EXPR_FLOAT), 0);
    expr e = parse(pool, EXPR_SCORE, "x1 * exp(s) * exp(s)");
    text t = format(pool, EXPR_SCORE, e);
    ck_assert_str_eq(t.data,
                     "function(s, b, h, i, j) local x2 = exp(s); return x2 * (x1 * x2) end");
    ck_assert_uint_eq(parse(pool, EXPR_SCORE, t.data), e);
    text_free(&t);
    expr_pool_free(pool);
}
END_TEST

START_TEST(nodes_know_what_they_depend_on)
{
    expr_pool *pool = new_pool(true);
    const expr_node *n = expr_get(pool, parse(pool, EXPR_SCORE, "s * t[i // 2 + sk] - n"));
    ck_assert_uint_eq(n->depends, 1u << SYM_s | 1u << SYM_i | 1u << SYM_n);
    expr_pool_free(pool);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        texts_are_canonical,
        history_does_not_show,
        numbers_know_no_locale,
        doubles_keep_their_digits,
        values_slopes_and_magnitudes,
        an_empty_tensor_reads_as_zero,
        symbols_are_checked,
        makers_refuse_wrong_types,
        substitution_simplifies,
        substitution_leaves_the_rest,
        locals_keep_clear_of_symbols,
        nodes_know_what_they_depend_on,
        NULL,
    };
    return support_run("expr", tests);
}
