/* ctest: labels=threads */
/* What an output is held to: the bound, numbers that are not finite, and which rows are looked at. */
#include "tests/support_reference.h"

#include "tests/support.h" /* last: Check has a macro named fail */

#include <stdlib.h>
#include <string.h>

/* ---- The bound ---- */

START_TEST(slope_and_magnitude_enter_the_bound)
{
    fixture f;
    fixture_new(
        &f, "dtype=f32 b=1 hq=1 sq=1 sk=1 d=1 scale=1 tensor=t:f32[1] score={3 * s * s + t[0]}");
    fixture_set(&f, "q", 0, 2);
    fixture_set(&f, "k", 0, 5);
    fixture_set(&f, "t", 0, -1000);
    fixture_compute(&f);
    assert_close(f.lse[0], 3 * 100 - 1000);
    assert_close(f.row[0].product_error, 10 * 60); /* |q| |k|, times the slope 6 s */
    assert_close(f.row[0].magnitude, 1000);
    fixture_free(&f);
}
END_TEST

START_TEST(softcap_slope_enters_the_bound)
{
    fixture f;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=1 sk=1 d=1 scale=1 softcap=0.5 score={100 * s}");
    fixture_set(&f, "q", 0, 1);
    fixture_set(&f, "k", 0, 0.25);
    fixture_compute(&f);
    double t = tanh(0.5);
    assert_close(f.row[0].product_error, 0.25 * 100 * (1 - t * t));
    assert_close(f.row[0].magnitude,
                 100 * 0.5 * t > 100 ? 100 * 0.5 * t : 100); /* the constant counts */
    fixture_free(&f);
}
END_TEST

START_TEST(every_term_enters_the_magnitude)
{
    fixture f;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=1 sk=1 d=1 scale=1 bias=1111:f32 softcap=1000");
    fixture_set(&f, "q", 0, 600);
    fixture_set(&f, "k", 0, 1);
    fixture_set(&f, "bias", 0, -2000); /* larger than what it is added to, and than the sum */
    fixture_compute(&f);
    assert_close(f.row[0].magnitude, 2000);
    fixture_free(&f);
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=1 sk=11 d=1 scale=1 causal alibi");
    fixture_set(&f, "q", 0, 600);
    fixture_fill(&f, "k", 1);
    fixture_set(&f, "slopes", 0, 100);
    fixture_compute(&f);
    assert_close(f.row[0].magnitude, 1000); /* key 0, ten away: 600 - 1000 */
    fixture_free(&f);
}
END_TEST

/* With q = 0 the bound is u (|V| + |O|) + w 2 sqrt(n) |V| + t: only rounding and the sums. */
START_TEST(the_bound_is_the_documents)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=bf16 b=1 hq=1 sq=1 sk=4 d=1");
    for (int j = 0; j < 4; j++) fixture_set(&f, "v", j, 4);
    fixture_set(&f, "o", 0,
                4 + 0x1p-6); /* one bf16 place above 4 is 2^-5: 4.015625 rounds to even, 4 */
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    ck_assert(report.error_over_bound == 0);
    fixture_set(&f, "o", 0, 4 + 0x1p-5);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    double tiny = dtype_tiny(DTYPE_bf16), limit = 0x1p-8 * 8 + 0x1p-24 * 4 * 4 + tiny * (1 + 4);
    assert_close(report.error_over_bound, 0x1p-5 / limit);
    assert_close(report.rms, 0x1p-5 / 4);
    fixture_set(&f, "o", 0, 4 + 0x1p-4);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    assert_close(report.error_over_bound, 0x1p-4 / limit);
    fixture_free(&f);
}
END_TEST

START_TEST(the_lse_bound_is_the_documents)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=1 sk=16 d=1 lse");
    fixture_fill(&f, "v", 1);
    fixture_set(&f, "o", 0, 1);
    double lse = log(16), limit = 0x1p-24 * (2 * 4 + lse + 4);
    for (int wrong = 0; wrong < 2; wrong++) {
        fixture_set(&f, "lse", 0, lse + limit * (wrong ? 1.1 : 0.9));
        double got = fixture_get(&f, "lse", 0);
        ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report),
                         wrong ? FG_WRONG : FG_OK);
        assert_close(report.error_over_bound, fabs(got - lse) / limit);
        ck_assert_int_eq(report.worst[3], -1);
    }
    fixture_free(&f);
}
END_TEST

START_TEST(a_wrong_element_is_found)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f16 b=2 hq=3 sq=20 sk=33 d=16 causal lse");
    fixture_draw(&f);
    fixture_compute(&f);
    fixture_store(&f);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    ck_assert(report.error_over_bound > 0 && report.error_over_bound <= 1 && report.rms > 0);
    ck_assert_int_eq(report.rows, 2 * 3 * 20);
    int64_t at = ((1 * 20 + 17) * 3 + 2) * 16 + 11;
    fixture_set(&f, "o", at, fixture_get(&f, "o", at) + 0.25);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    const int64_t worst[4] = { 1, 2, 17, 11 };
    ck_assert_mem_eq(report.worst, worst, sizeof worst);
    fixture_free(&f);
}
END_TEST

START_TEST(the_rms_has_a_bound_of_its_own)
{
    fixture f;
    fg_check_report report;
    const fg_check_options drawn = { sizeof(fg_check_options), 0, 1 };
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=32 sk=64 d=64");
    fixture_draw(&f);
    fixture_compute(&f);
    fixture_store(&f);
    ck_assert_int_eq(fixture_check(&f, drawn, &report), FG_OK);
    assert_close(report.rms_bound, 40 * 0x1p-24);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    ck_assert(isinf(report.rms_bound));
    for (int64_t n = 0; n < 32 * 64; n++)
        fixture_set(&f, "o", n, fixture_get(&f, "o", n) * (1 + 60 * 0x1p-24));
    ck_assert_int_eq(fixture_check(&f, drawn, &report), FG_WRONG);
    ck_assert(report.error_over_bound <= 1 && report.rms > report.rms_bound);
    fixture_free(&f);
}
END_TEST

START_TEST(the_rms_is_not_held_where_it_means_nothing)
{
    static const char *const lines[] = { "dtype=f32 b=1 hq=1 sq=1 d=64",
                                         "dtype=f32 b=1 hq=1 sq=32 d=64 scale=1",
                                         "dtype=f32 b=1 hq=1 sq=32 d=64 score={s * 2}" };
    const fg_check_options drawn = { sizeof(fg_check_options), 0, 1 };
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        fixture f;
        fg_check_report report;
        fixture_new(&f, lines[k]);
        fixture_draw(&f);
        fixture_compute(&f);
        fixture_store(&f);
        ck_assert_int_eq(fixture_check(&f, drawn, &report), FG_OK);
        ck_assert(isinf(report.rms_bound));
        fixture_free(&f);
    }
}
END_TEST

/* ---- What is not finite ---- */

/* A case: one input element is replaced; what row 1 of 2 is then. */
typedef struct odd {
    const char *tensor;
    int64_t index;
    double value, lse; /* lse NAN: the row is NaN; 0: finite */
} odd;

START_TEST(odd_numbers_give_what_the_document_says)
{
    static const odd odds[] = {
        { "q", 2, NAN, NAN },         { "q", 3, INFINITY, NAN },   { "k", 0, NAN, NAN },
        { "bias", 3, INFINITY, NAN }, { "bias", 4, -INFINITY, 0 }, { "v", 0, 1, 0 },
    };
    for (size_t k = 0; k < sizeof odds / sizeof *odds; k++) {
        fixture f;
        fg_check_report report;
        fixture_new(&f, "dtype=f32 b=1 hq=1 sq=2 sk=3 d=2 bias=11QK lse");
        fixture_draw(&f);
        fixture_set(&f, "k", 0, 1);
        fixture_set(&f, "k", 1, 1);
        fixture_set(&f, odds[k].tensor, odds[k].index, odds[k].value);
        fixture_compute(&f);
        ck_assert_msg(isnan(f.lse[1]) == isnan(odds[k].lse), "case %zu", k);
        ck_assert(isnan(f.o[2]) == isnan(odds[k].lse));
        fixture_store(&f);
        ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report),
                         FG_OK);
        fixture_set(&f, "o", 2, isnan(odds[k].lse) ? 1 : (double)NAN);
        ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report),
                         FG_WRONG);
        fixture_free(&f);
    }
}
END_TEST

START_TEST(minus_infinity_hides)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=2 sk=3 d=2 bias=11QK lse");
    fixture_draw(&f);
    for (int n = 0; n < 3; n++) fixture_set(&f, "bias", n, -HUGE_VAL);
    fixture_set(&f, "bias", 4, -HUGE_VAL);
    fixture_compute(&f);
    assert_empty(&f, 0);
    ck_assert_int_eq(f.row[1].visible, 2);
    fixture_store(&f);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    fixture_free(&f);
}
END_TEST

START_TEST(what_a_mask_hides_is_unspecified_when_not_finite)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=2 sk=3 d=2 causal=top-left lse"); /* row 0 sees key 0 */
    fixture_draw(&f);
    fixture_set(&f, "v", 3, NAN); /* key 1, column 1: hidden from row 0, visible to row 1 */
    fixture_compute(&f);
    fixture_store(&f);
    ck_assert(isnan(fixture_get(&f, "o", 3)));
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    fixture_set(&f, "o", 1, NAN);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    fixture_set(&f, "o", 0, NAN); /* the other column is specified */
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    fixture_free(&f);
}
END_TEST

/* ---- Samples ---- */

/* Each row sees one key, whose value is 1: right is 1 everywhere, and costs nothing to know. */
START_TEST(large_problems_are_sampled_at_their_edges)
{
    enum { length = 8192, d = 64 };
    static const int rows[] = {
        0, 1, 15, 16, 63, 64, length / 2 - 1, length / 2, length - 64, length - 2, length - 1
    };
    fixture f;
    fg_check_report report;
    fg_check_options options = FG_CHECK_OPTIONS_INIT;
    fixture_new(&f, "dtype=bf16 b=1 hq=2 hkv=1 sq=8192 d=64 window=0,0");
    fixture_fill(&f, "v", 1);
    fixture_fill(&f, "o", 1);
    ck_assert_int_eq(fixture_check(&f, options, &report), FG_OK);
    ck_assert_int_ge(report.rows, 256);
    ck_assert_int_lt(report.rows, 2 * length);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        int64_t at = rows[k] * 2 * d; /* some head's row is in the sample; both are wrong */
        fixture_set(&f, "o", at, 2);
        fixture_set(&f, "o", at + d, 2);
        ck_assert_msg(fixture_check(&f, options, &report) == FG_WRONG,
                      "row %d is not in the sample", rows[k]);
        fixture_set(&f, "o", at, 1);
        fixture_set(&f, "o", at + d, 1);
    }
    options.full = 1;
    ck_assert_int_eq(fixture_check(&f, options, &report), FG_OK);
    ck_assert_int_eq(report.rows, 2 * length);
    fixture_free(&f);
}
END_TEST

/* ---- Refusals ---- */

START_TEST(what_is_not_supported_is_named)
{
    static const char *const lines[][2] = {
        { "dtype=f32 b=1 hq=1 sq=2 d=2 dir=bwd", "dir=bwd" },
        { "dtype=e4m3 b=1 hq=1 sq=2 d=2 odtype=f32", "e4m3" },
    };
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        fixture f;
        fg_check_report report;
        fg_error error;
        fixture_new(&f, lines[k][0]);
        ck_assert_int_eq(fg_check(f.context, f.problem, &f.args, NULL, &report, &error),
                         FG_UNSUPPORTED);
        ck_assert_msg(strstr(error.text, lines[k][1]), "%s", error.text);
        fixture_free(&f);
    }
}
END_TEST

/* Allocates until `left` reaches 0. */
static void *stingy(void *user, void *block, size_t old_size, size_t new_size)
{
    int64_t *left = user;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return --*left < 0 ? NULL : realloc(block, new_size);
}

START_TEST(every_allocation_may_fail)
{
    fixture f;
    fg_error error;
    int64_t left = INT64_MAX, pairs;
    fg_check_report report;
    fg_context_options options = FG_CONTEXT_OPTIONS_INIT;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=3 sk=5 d=2 lse score={s * 2} maskfn={j ~= i + 2}");
    fg_context_free(f.context);
    fg_problem_free(f.problem);
    options.allocate = stingy;
    options.allocate_user = &left;
    ck_assert_int_eq(fg_context_new(&f.context, &options, &error), FG_OK);
    ck_assert_int_eq(
        fg_problem_parse(
            &f.problem, f.context,
            "dtype=f32 b=1 hq=1 sq=3 sk=5 d=2 align=1 lse score={s * 2} maskfn={j ~= i + 2}",
            &error),
        FG_OK);
    fixture_compute(&f);
    fixture_store(&f);
    int failures = 0;
    for (int64_t n = 0;; n++) {
        left = n;
        fg_status s = fg_check(f.context, f.problem, &f.args, NULL, &report, &error);
        if (s == FG_OK) s = fg_visible_pairs(f.context, f.problem, &f.args, &pairs, &error);
        if (s == FG_OK) break;
        ck_assert_int_eq(s, FG_MEMORY);
        failures++;
    }
    ck_assert_int_gt(failures, 5);
    left = INT64_MAX;
    fixture_free(&f);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        slope_and_magnitude_enter_the_bound,
        softcap_slope_enters_the_bound,
        every_term_enters_the_magnitude,
        the_bound_is_the_documents,
        the_lse_bound_is_the_documents,
        a_wrong_element_is_found,
        the_rms_has_a_bound_of_its_own,
        the_rms_is_not_held_where_it_means_nothing,
        odd_numbers_give_what_the_document_says,
        minus_infinity_hides,
        what_a_mask_hides_is_unspecified_when_not_finite,
        large_problems_are_sampled_at_their_edges,
        what_is_not_supported_is_named,
        every_allocation_may_fail,
        NULL,
    };
    return support_run("reference_bound", tests);
}
