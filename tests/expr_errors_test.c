/* Wrong texts: the place and the sentence of each error. */
#include "tests/expr_support.h"

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

int main(void)
{
    const TTest *const tests[] = { errors_name_the_culprit, masks_know_no_score, every_byte_is_safe,
                                   NULL };
    return support_run("expr_errors", tests);
}
