/* Expressions by hand: canonical text, errors with their places, limits, evaluation. */
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

/* ---- Errors ---- */

static const struct wrong {
    const char *source;
    int position;
    const char *says; /* a part of the sentence */
} wrongs[] = {
    { "", 0, "the text ends where a value should stand" },
    { "  -- nothing", 12, "the text ends" },
    { "s +", 3, "the text ends where a value should stand" },
    { "s + * 2", 4, "`*` stands where a value should" },
    { "s s", 2, "`s` stands where an operator or the end of the text should" },
    { "(s", 2, "the `)` of the `(` at byte 0" },
    { "(s]", 2, "`]` stands where the `)`" },
    { "s)", 1, "`)` stands" },
    { "x + s", 0, "`x` is not known here: a score may name s, b, h, i, j, sq, sk, n, t, doc" },
    { "s + abs", 4, "abs is a function: write abs(...)" },
    { "abs()", 4, "abs takes 1 argument" },
    { "abs(s, s)", 7, "abs takes 1 argument" },
    { "min(s)", 5, "min takes 2 arguments or more" },
    { "where(i < j, s)", 14, "where takes 3 arguments" },
    { "where(i < j, s, s, s)", 19, "where takes 3 arguments" },
    { "where(s, s, s)", 6, "argument 1 of where should be a truth value" },
    { "where(i < j, s, i < j)", 16, "argument 3 of where should be a number" },
    { "where(i < j, i < j, s)", 20, "argument 3 of where should be a truth value" },
    { "exp(i < j)", 4, "argument 1 of exp should be a number" },
    { "max(s, 1, true)", 10, "argument 3 of max should be a number" },
    { "abs(s", 5, "`,` or the `)` of the call" },
    { "s(1)", 1, "`s` is a value and cannot be called" },
    { "i[1]", 1, "`i` is no tensor and takes no index" },
    { "sq[1]", 2, "`sq` is no tensor" },
    { "(s)(1)", 3, "an operator should stand between two values" },
    { "t + 1", 2, "the tensor t has 1 dimension: index 1 of them stands here, as in t[j]" },
    { "doc[b]", 6, "the tensor doc has 2 dimensions: index 2 of them" },
    { "t[h][i]", 4, "one index too many" },
    { "t[s]", 2, "an index is a whole number, and this is a float" },
    { "t[i < j]", 2, "an index is a whole number, and this is a truth value" },
    { "t[h", 3, "the `]` of the `[` at byte 1" },
    { "t[[h]]", 1, "`[[` is not part of the language" },
    { "s and i < j", 0, "`and` joins truth values, and its left side is a number" },
    { "i < j or s", 9, "`or` joins truth values, and its right side is a number" },
    { "not s", 0, "`not` takes a truth value" },
    { "-(i < j)", 0, "`-` takes a number" },
    { "i < j < n", 0,
      "`<` takes numbers, and its left side is a truth value: join comparisons by and" },
    { "s + (i < j)", 4, "`+` takes numbers" },
    { "s // 2", 0, "`//` takes whole numbers, and its left side is a float" },
    { "i % 2.0", 4, "`%` takes whole numbers, and its right side is a float" },
    { "i < j", 0, "a score is a number, and this is a truth value" },
    { "s ^ 2", 2, "`^` is not part of the language: write x * x" },
    { "s .. \"x\"", 2, "`..` is not part of the language" },
    { "'x'", 0, "there are no strings" },
    { "\"x\"", 0, "there are no strings" },
    { "{1}", 0, "there are no tables" },
    { "#t", 0, "there are no lengths" },
    { "s & 1", 2, "`&` is not part of the language" },
    { "s && 1", 2, "write and" },
    { "!s", 0, "write not" },
    { "i != j", 2, "write ~=" },
    { "i << 2", 2, "`<<` is not part" },
    { "s ? 1", 2, "write where(condition, a, b)" },
    { "math.abs(s)", 4, "functions have no prefix" },
    { "s @ 1", 2, "`@` is not part of the language" },
    { "s \xe2\x88\x92 1", 2, "byte 0xe2 is not part of the language" },
    { "nil", 0, "`nil` is not part of the language" },
    { "s = 1", 2, "equality is ==" },
    { "2147483648", 0, "outside the 32 bits" },
    { "s + 0x80000000", 4, "outside the 32 bits" },
    { "99999999999999999999999", 0, "outside the 32 bits" },
    { "0x", 0, "`0x` is not a number" },
    { "3x", 0, "`3x` is not a number" },
    { "1..2", 0, "`1..2` is not a number" },
    { "1e", 0, "`1e` is not a number" },
    { "1e999", 0, "too large for a float" },
    { "1e39", 0, "too large for an f32" },
    { "s -- fine\n --[[ never closed", 11, "a comment opens here and never closes" },
    { "return s", 0, "statements stand in a function: write function(s, b, h, i, j) ... end" },
    { "s + function(s) return s end", 4, "a function is the whole text" },
    { "function s end", 9, "the `(` of the parameters" },
    { "function(s, s) return s end", 12, "two parameters have this name" },
    { "function(abs) return 1 end", 9, "choose another name" },
    { "function(a, b, c, d, e, f) return a end", 24, "one parameter too many" },
    { "function(s,) return s end", 11, "the name of a parameter" },
    { "function(s) return s", 20, "the `end` of the function" },
    { "function(s) return s end s", 25, "the end of the text" },
    { "function(s) return i end", 19,
      "`i` is not known here: a score may name its parameters and locals, sq" },
    { "function(s) end", 12, "a path of the function ends here without a return" },
    { "function(s, b) if b > 1 then return s end end", 42, "without a return" },
    { "function(s) return s local x = 1 end", 21, "never reached" },
    { "function(s) return s, s end", 20, "returns one value" },
    { "function(s) return end", 19, "the value to return" },
    { "function(s) local x end", 20, "`=`, as in local r = i - j," },
    { "function(s) local x, y = 1, 2 end", 19, "a local names one value" },
    { "function(s) local min = 1 end", 18, "choose another name" },
    { "function(s) s = 2 return s end", 12, "`s` is assigned to" },
    { "function(s) exp(s) return s end", 12, "`exp` stands where local, if, return or end should" },
    { "function(s) for k = 1, 2 do end end", 12, "there are no loops" },
    { "function(s) while true do end end", 12, "there are no loops" },
    { "function(s) goto x end", 12, "use if" },
    { "function(s) if s then return s end return 1 end", 15, "a condition is a truth value" },
    { "function(s) if s > 1 return s end", 21, "`then`" },
    { "function(s) if s > 1 then return s", 34, "`end`, `else` or `elseif`" },
    { "function(s) if s > 1 then local y = 2 end return y end", 49, "`y` is not known" },
    { "function(s) return s > 1 end", 19, "a score is a number" },
    { "function(s) local f = function() end return s end", 22, "a function is the whole text" },
};

START_TEST(errors_name_the_culprit)
{
    expr_pool *pool = new_pool(true);
    for (size_t k = 0; k < sizeof wrongs / sizeof *wrongs; k++) {
        const struct wrong *w = &wrongs[k];
        fg_error error = { .position = -7 };
        expr e = 1;
        ck_assert_int_eq(expr_parse(&e, pool, EXPR_SCORE, w->source, strlen(w->source), &error),
                         FG_REQUEST);
        ck_assert_uint_eq(e, 0);
        ck_assert_msg(error.position == w->position && strstr(error.text, w->says), "%s: at %d: %s",
                      w->source, (int)error.position, error.text);
    }
    expr_pool_free(pool);
}
END_TEST

START_TEST(masks_know_no_score)
{
    expr_pool *pool = new_pool(true);
    fg_error error;
    expr e;
    ck_assert_int_eq(expr_parse(&e, pool, EXPR_MASK, "i < s", 5, &error), FG_REQUEST);
    ck_assert_int_eq(error.position, 4);
    ck_assert_ptr_nonnull(
        strstr(error.text, "`s` is not known here: a mask may name b, h, i, j, sq"));
    ck_assert_int_eq(expr_parse(&e, pool, EXPR_MASK, "i - j", 5, &error), FG_REQUEST);
    ck_assert_str_eq(error.text, "a mask is a truth value, and this is a number");
    ck_assert_int_eq(
        expr_parse(&e, pool, EXPR_MASK, "function(s,b,h,i,j) return true end", 35, &error),
        FG_REQUEST);
    ck_assert_int_eq(error.position, 17);
    expr_pool_free(pool);
}
END_TEST

START_TEST(every_byte_is_safe)
{
    expr_pool *pool = new_pool(true);
    for (int c = 0; c < 256; c++) {
        char source[] = "s + ? ";
        fg_error error = { .status = FG_OK };
        expr e;
        source[4] = (char)c;
        /* i, j and the like are fine there. */
        if (expr_parse(&e, pool, EXPR_SCORE, source, 6, &error) == FG_OK) continue;
        ck_assert_int_eq(error.status, FG_REQUEST);
        ck_assert_int_ge(error.position, 4);
        ck_assert_int_le(error.position, 6);
    }
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
        numbers_know_no_locale,
        doubles_keep_their_digits,
        errors_name_the_culprit,
        masks_know_no_score,
        every_byte_is_safe,
        values_slopes_and_magnitudes,
        an_empty_tensor_reads_as_zero,
        symbols_are_checked,
        makers_refuse_wrong_types,
        substitution_simplifies,
        nodes_know_what_they_depend_on,
        NULL,
    };
    return support_run("expr", tests);
}
