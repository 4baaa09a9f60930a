/* Recipes: what they compute, what they refuse, and that a stored one can be anything. */
#include "gen/core/recipe.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const recipe_facts facts = {
    .b = 2,
    .hq = 32,
    .hkv = 8,
    .sq = 1000,
    .sk = 517,
    .d = 80,
    .dv = 64,
    .threads = 6,
};

static const struct {
    const char *text;
    int64_t value;
} right[] = {
    { "7", 7 },
    { " b*hq*sq\n", 64000 },
    { "b + hq * hkv", 258 },
    { "(b + hq) * hkv", 272 },
    { "hq - hkv - b", 22 },
    { "hq // hkv // b", 2 },
    { "hq - (hkv - b)", 26 },
    { "(sq + 64 - 1) // 64", 16 },
    { "sk % 64", 5 },
    { "min(sq, sk) + max(d, dv)", 597 },
    { "max(min(b, hq), min(3, 4) * 2)", 6 },
    { "-7 // 2", -4 },
    { "7 // -2", -4 },
    { "-7 // -2", 3 },
    { "-7 % 2", 1 },
    { "7 % -2", -1 },
    { "-7 % -2", -1 },
    { "-8 % 2", 0 },
    { "- - 3", 3 },
    { "threads*(d+dv)", 864 },
    { "9223372036854775807 - 1", INT64_MAX - 1 },
    { "-9223372036854775807 - 1", INT64_MIN },
    { "(-9223372036854775807 - 1) % -1", 0 },
};

START_TEST(computes)
{
    recipe r;
    fg_error error;
    int64_t value = -1;
    ck_assert_msg(recipe_parse(&r, right[_i].text, &error) == FG_OK, "%s: %s", right[_i].text,
                  error.text);
    ck_assert_msg(recipe_eval(&r, &facts, &value, &error) == FG_OK, "%s: %s", right[_i].text,
                  error.text);
    ck_assert_msg(value == right[_i].value, "%s is %lld", right[_i].text, (long long)value);
}
END_TEST

static const struct {
    const char *text;
    int position;
    const char *culprit;
} wrong[] = {
    { "", 0, "a number" },
    { "   ", 3, "a number" },
    { "b +", 3, "a number" },
    { "b hq", 2, "operator" },
    { "b / 2", 2, "operator" },
    { "(b", 2, "closing" },
    { "b)", 1, "operator" },
    { "min(b)", 5, "comma" },
    { "min b", 4, "min and max take" },
    { "max(b, hq, d)", 9, "closing" },
    { "seq * 2", 0, "unknown name" },
    { "B", 0, "threads" },
    { "2b", 0, "64-bit" },
    { "9223372036854775808", 0, "64-bit" },
    { "b * * d", 4, "a number" },
    { "b ^ d", 2, "operator" },
    { "b + \xff", 4, "a number" },
};

START_TEST(refuses)
{
    recipe r;
    fg_error error;
    ck_assert_int_eq(recipe_parse(&r, wrong[_i].text, &error), FG_REQUEST);
    ck_assert_msg(error.position == wrong[_i].position, "%s: %s", wrong[_i].text, error.text);
    ck_assert_msg(strstr(error.text, wrong[_i].culprit) != NULL, "%s: %s", wrong[_i].text,
                  error.text);
}
END_TEST

static const char *const overflowing[] = {
    "9223372036854775807 + 1",
    "-9223372036854775807 - 2",
    "9223372036854775807 * b",
    "(-9223372036854775807 - 1) // -1",
    "-(-9223372036854775807 - 1)",
    "b // 0",
    "b % (hq - 32)",
};

START_TEST(overflow_is_an_error)
{
    recipe r;
    fg_error error;
    int64_t value = 42;
    ck_assert_int_eq(recipe_parse(&r, overflowing[_i], &error), FG_OK);
    ck_assert_int_eq(recipe_eval(&r, &facts, &value, &error), FG_REQUEST);
    ck_assert_int_eq(value, 42);
    ck_assert_msg(strstr(error.text, "overflows") != NULL, "%s", error.text);
}
END_TEST

/* `head` count times, then `body`, then `tail` count times */
static fg_status parse_repeated(recipe *r, const char *head, const char *body, const char *tail,
                                int count, fg_error *error)
{
    static char line[1 << 20];
    char *at = line;
    for (int k = 0; k < count; k++) at = stpcpy(at, head);
    at = stpcpy(at, body);
    for (int k = 0; k < count; k++) at = stpcpy(at, tail);
    return recipe_parse(r, line, error);
}

START_TEST(bounded)
{
    recipe r;
    fg_error error;
    int64_t value;
    ck_assert_int_eq(parse_repeated(&r, "1+", "1", "", 31, &error), FG_OK); /* 63 steps */
    ck_assert_int_eq(recipe_eval(&r, &facts, &value, &error), FG_OK);
    ck_assert_int_eq(value, 32);
    ck_assert_int_eq(parse_repeated(&r, "1+", "-1", "", 31, &error), FG_OK);
    ck_assert_int_eq(r.count, recipe_max_steps);
    ck_assert_int_eq(parse_repeated(&r, "1+", "1", "", 32, &error), FG_REQUEST);
    ck_assert_ptr_nonnull(strstr(error.text, "too many steps"));
    ck_assert_int_eq(parse_repeated(&r, "1+(", "1", ")", 15, &error), FG_OK); /* 16 values */
    ck_assert_int_eq(recipe_eval(&r, &facts, &value, &error), FG_OK);
    ck_assert_int_eq(value, 16);
    ck_assert_int_eq(parse_repeated(&r, "1+(", "1", ")", 16, &error), FG_REQUEST);
    ck_assert_ptr_nonnull(strstr(error.text, "too many values"));
    ck_assert_int_eq(parse_repeated(&r, "(", "1", ")", 31, &error), FG_OK);
    ck_assert_int_eq(parse_repeated(&r, "(", "1", ")", 100000, &error), FG_REQUEST);
    ck_assert_ptr_nonnull(strstr(error.text, "nested"));
    ck_assert_int_eq(parse_repeated(&r, "-", "1", "", 100000, &error), FG_REQUEST);
}
END_TEST

/* A drawn expression as text, and its value computed beside it. */
static int64_t draw(char **at, int depth)
{
    static const char *const joints[] = { " + ", " - ", "*", "//", "%", ", " };
    static const struct {
        const char *name;
        int64_t value;
    } leaves[] = { { "b", 2 }, { "hq", 32 }, { "d", 80 }, { "5", 5 }, { "-3", -3 }, { "0", 0 } };
    if (depth == 0 || rand() % 4 == 0) {
        size_t k = (size_t)rand() % 6;
        *at = stpcpy(*at, leaves[k].name);
        return leaves[k].value;
    }
    int joint = rand() % 7;
    *at = stpcpy(*at, joint == 5 ? "min(" : joint == 6 ? "max(" : "(");
    int64_t x = draw(at, depth - 1);
    *at = stpcpy(*at, joints[joint < 5 ? joint : 5]);
    char *divisor = *at;
    int64_t y = draw(at, depth - 1);
    if ((joint == 3 || joint == 4) && y == 0) {
        y = 7;
        *at = stpcpy(divisor, "7");
    }
    *at = stpcpy(*at, ")");
    int64_t floored = joint == 3 || joint == 4 ? x / y - (x % y != 0 && (x < 0) != (y < 0)) : 0;
    const int64_t values[] = { x + y,           x - y,         x * y,        floored,
                               x - floored * y, x < y ? x : y, x > y ? x : y };
    return values[joint];
}

START_TEST(agrees_with_direct_evaluation)
{
    srand(1);
    int steps = 0;
    for (int k = 0; k < 10000; k++) {
        char line[1024], *at = line;
        int64_t expected = draw(&at, 4), value = 0;
        recipe r;
        fg_error error;
        ck_assert_msg(recipe_parse(&r, line, &error) == FG_OK, "%s: %s", line, error.text);
        ck_assert_msg(recipe_eval(&r, &facts, &value, &error) == FG_OK, "%s: %s", line, error.text);
        ck_assert_msg(value == expected, "%s is %lld and not %lld", line, (long long)value,
                      (long long)expected);
        steps += r.count;
    }
    ck_assert_int_gt(steps, 50000); /* they were not all leaves */
}
END_TEST

/* Whatever stands in a stored recipe: a value or an error. */
START_TEST(stored_garbage)
{
    static const recipe none = { 0 }, many = { .count = recipe_max_steps + 1 },
                        negative = { .count = -1 };
    fg_error error;
    int64_t value;
    ck_assert_int_eq(recipe_eval(&none, &facts, &value, &error), FG_REQUEST);
    ck_assert_int_eq(recipe_eval(&many, &facts, &value, &error), FG_REQUEST);
    ck_assert_int_eq(recipe_eval(&negative, &facts, &value, &error), FG_REQUEST);
    srand(2);
    int evaluated = 0;
    for (int k = 0; k < 200000; k++) {
        recipe r = { .count = 1 + rand() % 8 };
        for (int n = 0; n < r.count; n++) {
            r.step[n].op = (uint8_t)(rand() % 12);
            r.step[n].value = rand() % 12 - 2;
        }
        evaluated += recipe_eval(&r, &facts, &value, &error) == FG_OK;
    }
    ck_assert_int_gt(evaluated, 100);
    recipe deep = { .count = recipe_max_stack + 1 }; /* numbers only */
    ck_assert_int_eq(recipe_eval(&deep, &facts, &value, &error), FG_REQUEST);
}
END_TEST

START_TEST(error_may_be_null)
{
    recipe r;
    ck_assert_int_eq(recipe_parse(&r, "b +", NULL), FG_REQUEST);
    ck_assert_int_eq(recipe_parse(&r, "b // 0", NULL), FG_OK);
    int64_t value;
    ck_assert_int_eq(recipe_eval(&r, &facts, &value, NULL), FG_REQUEST);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe");
    TCase *parse = tcase_create("parse"), *eval = tcase_create("eval");
    tcase_add_loop_test(parse, refuses, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(parse, bounded);
    tcase_add_test(parse, error_may_be_null);
    tcase_add_loop_test(eval, computes, 0, sizeof right / sizeof *right);
    tcase_add_loop_test(eval, overflow_is_an_error, 0, sizeof overflowing / sizeof *overflowing);
    tcase_add_test(eval, agrees_with_direct_evaluation);
    tcase_add_test(eval, stored_garbage);
    tcase_set_timeout(eval, 60);
    suite_add_tcase(suite, parse);
    suite_add_tcase(suite, eval);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
