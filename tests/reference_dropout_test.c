/* Sinks and dropout by hand, where a seed comes from, and what a check refuses. */
#include "tests/support_reference.h"

#include "tests/support.h" /* last: Check has a macro named fail */

#include <string.h>

static void expect(fixture *f, const char *line, const char *name, int64_t index, double value)
{
    fg_check_report report;
    double right = fixture_get(f, name, index);
    fixture_set(f, name, index, value);
    fg_status got = fixture_check(f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report);
    ck_assert_msg(got == FG_WRONG, "%s: %s[%lld] = %g passes", line, name, (long long)index, value);
    fixture_set(f, name, index, right);
}

/* ---- Sinks ---- */

START_TEST(a_sink_by_hand)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f32 b=1 hq=5 hkv=1 sq=2 sk=1 d=1 sinks causal lse");
    const double sinks[] = { 0, 100, -HUGE_VAL, HUGE_VAL, NAN };
    for (int h = 0; h < 5; h++) fixture_set(&f, "sinks", h, sinks[h]);
    fixture_fill(&f, "v", 8);
    fixture_compute(&f); /* row 0 sees nothing, row 1 a key of logit 0 */
    ck_assert(f.o[0] == 0 && f.lse[0] == 0);
    assert_close(f.o[1], 4);
    assert_close(f.lse[1], log(2));
    ck_assert(f.o[2] == 0 && f.lse[2] == 100);
    assert_close(f.o[3], 8 * exp(-100));
    assert_close(f.lse[3], 100);
    assert_close(f.row[3].magnitude, 100); /* the sink has all the weight, and rounds as it does */
    ck_assert(f.row[1].magnitude == 0);
    assert_empty(&f, 4);
    ck_assert(f.o[5] == 8 && f.lse[5] == 0);
    for (int n = 6; n < 10; n++) ck_assert(isnan(f.o[n]) && isnan(f.lse[n]));
    fixture_store(&f);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    expect(&f, "sinks", "o", 8, 0); /* [sq, hq] */
    expect(&f, "sinks", "o", 4, 0);
    expect(&f, "sinks", "lse", 4, 0);
    expect(&f, "sinks", "lse", 2, 100.001);
    fixture_free(&f);
}
END_TEST

/* The sum that values are divided by has the sink's weight: with it less may be lost to underflow. */
START_TEST(a_sink_enters_the_bound)
{
    fixture f;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=1 sk=3 d=1 sinks");
    fixture_set(&f, "sinks", 0, log(5));
    fixture_fill(&f, "v", -6);
    reference_group g;
    fixture_compute(&f);
    ck_assert_int_eq(reference_group_new(&g, &f.r, NULL), FG_OK);
    g.count = 1;
    g.b = g.h = g.row[0].i = 0;
    reference_group_compute(&g);
    double sink = (double)(float)log(5), sum = 3 + exp(sink);
    assert_close(g.row[0].sum * exp(g.row[0].max), sum);
    assert_close(g.v_sum[0], 18 / sum * exp(sink));
    assert_close(g.o_abs[0], 18 / sum);
    assert_close(g.row[0].magnitude, sink * exp(sink) / sum);
    reference_group_free(&g);
    fixture_free(&f);
}
END_TEST

/* ---- Dropout ---- */

START_TEST(all_dropped_gives_zero)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f32 b=1 hq=2 sq=3 sk=4 d=2 dropout=1 lse");
    fixture_draw(&f);
    fixture_compute(&f);
    for (int n = 0; n < 12; n++) ck_assert(f.o[n] == 0);
    for (int n = 0; n < 6; n++) ck_assert(isfinite(f.lse[n]) && f.row[n].visible == 4);
    fixture_store(&f);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    expect(&f, "dropout=1", "o", 3, 0x1p-140);
    expect(&f, "dropout=1", "lse", 3, 0);
    fixture_free(&f);
}
END_TEST

START_TEST(dropped_values_that_are_not_finite_are_unspecified)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=1 sk=64 d=2 dropout=0.5");
    fixture_draw(&f);
    fixture_compute(&f);
    fixture_store(&f);
    int dropped = 0;
    while (reference_keeps(&f.r.dropout, 0, 0, dropped)) dropped++;
    fixture_set(&f, "v", 2 * dropped, NAN);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    fixture_set(&f, "o", 0, NAN); /* what 0 times NaN makes of it */
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    expect(&f, "v", "o", 1, NAN);
    fixture_free(&f);
}
END_TEST

/* ---- Seeds ---- */

START_TEST(a_seed_comes_by_value_or_by_tensor)
{
    static const char line[] = "dtype=f32 b=2 hq=2 sq=9 sk=20 d=3 dropout=0.5 lse";
    fixture a, b;
    fixture_new(&a, line);
    fixture_new(&b, line);
    fixture_draw(&a);
    fixture_draw(&b);
    fixture_seed_by_tensor(&b);
    fixture_compute(&a);
    fixture_compute(&b);
    int64_t dropped = 0;
    for (int64_t n = 0; n < 2 * 2 * 9; n++) {
        dropped += a.row[n].visible - a.row[n].kept;
        ck_assert(a.lse[n] == b.lse[n]);
        for (int64_t c = 0; c < 3; c++) ck_assert(a.o[n * 3 + c] == b.o[n * 3 + c]);
    }
    ck_assert(dropped > 300 && dropped < 420); /* of 720 */
    fixture_free(&a);
    fixture_free(&b);
}
END_TEST

START_TEST(a_chance_given_to_the_run_replaces_the_problems)
{
    fixture a, b;
    fixture_new(&a, "dtype=f32 b=1 hq=2 sq=9 sk=20 d=3 dropout=0.5");
    fixture_new(&b, "dtype=f32 b=1 hq=2 sq=9 sk=20 d=3 dropout=0.125");
    fixture_draw(&a);
    fixture_draw(&b);
    a.args.dropout = 0.125;
    fixture_compute(&a);
    fixture_compute(&b);
    ck_assert_int_eq(a.r.dropout.threshold, 8192);
    for (int64_t n = 0; n < 2 * 9 * 3; n++) ck_assert(a.o[n] == b.o[n]);
    fixture_free(&a);
    fixture_free(&b);
}
END_TEST

static void expect_refused(fixture *f, const char *word)
{
    fg_check_report report;
    fg_error error;
    ck_assert_int_eq(fg_check(f->context, f->problem, &f->args, NULL, &report, &error), FG_REQUEST);
    ck_assert_msg(strstr(error.text, word), "%s", error.text);
}

START_TEST(what_a_run_refuses_a_check_refuses)
{
    fixture f;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=2 d=2 dropout=0.5");
    f.args.seeded = 0;
    expect_refused(&f, "seed is missing");
    fixture_seed_by_tensor(&f);
    f.args.seeded = 1;
    expect_refused(&f, "twice");
    f.args.seeded = 0;
    f.args.dropout = 1.5;
    expect_refused(&f, "probability");
    fixture_free(&f);
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=2 d=2 lens=padded");
    f.args.seeded = 1;
    expect_refused(&f, "no dropout");
    f.args.seeded = 0;
    f.args.softcap = 3;
    expect_refused(&f, "softcap");
    f.args.softcap = NAN;
    f.args.window_left = 3;
    expect_refused(&f, "window_left");
    f.args.window_left = FG_DEFAULT_INT;
    fixture_set(&f, "k_lens", 0, 3);
    expect_refused(&f, "k_lens[0]");
    fixture_free(&f);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_sink_by_hand,
        a_sink_enters_the_bound,
        all_dropped_gives_zero,
        dropped_values_that_are_not_finite_are_unspecified,
        a_seed_comes_by_value_or_by_tensor,
        a_chance_given_to_the_run_replaces_the_problems,
        what_a_run_refuses_a_check_refuses,
        NULL,
    };
    return support_run("reference_dropout", tests);
}
