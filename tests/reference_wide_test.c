/* f64: the reference has more digits than what it judges, and what it judges is held to f64's bound. */
#include "tests/support_naive.h"

#include "gen/core/wide.h"
#include "tests/support.h" /* last: Check has a macro named fail */

#include <float.h>
#include <stdlib.h>
#include <string.h>

#define SIZES " b=2 hq=4 hkv=2 sq=11 sk=23 d=9 dv=5 lse "

static const char *const lines[] = {
    "dtype=f64" SIZES,
    "dtype=f64 kvdtype=f32" SIZES "causal scale=1.5",
    "dtype=f64 kvdtype=bf16" SIZES "softcap=3 alibi sinks",
    "dtype=f64" SIZES "bias=BHQK mask=B11K dropout=0.4",
    "dtype=f64" SIZES "score={exp(s / 7) * tanh(s) - sqrt(abs(s)) + log(s * s + 1)}",
    "dtype=f64 kvdtype=f16" SIZES
    "softcap=5 score={exp(s / 7) * tanh(s) - sqrt(abs(s)) + log(s * s + 1)}",
};

static long double user(long double s, int64_t h, int64_t i, int64_t j, int64_t sq, int64_t sk)
{
    (void)h, (void)i, (void)j, (void)sq, (void)sk;
    return expl(s / 7) * tanhl(s) - sqrtl(fabsl(s)) + logl(s * s + 1);
}

static const naive_functions functions = { user, NULL };

static void open_line(fixture *f, const char *line)
{
    fixture_new(f, line);
    fixture_draw(f);
    for (int k = 0; k < f->count; k++) /* all of a double's digits, where there are so many */
        if (f->type[k] == DTYPE_f64 && !f->info[k].output)
            for (int64_t n = 0; n < f->elements[k]; n++)
                fixture_set(f, f->info[k].name, n, sin((double)(n + 100 * k)) * 2);
    fixture_compute(f);
}

/* ---- More digits than a double ---- */

static void assert_wide(double value, double rest, long double want, long double scale)
{
    long double off = fabsl(wide_join(value, rest) - want);
    ck_assert(value == (double)wide_join(value, rest)); /* the nearest */
    ck_assert_msg(off <= 0x1p-58L * scale, "%.21Lg is off by %.3Lg", want, off / scale);
}

static int compare_line(const char *line)
{
    fixture f;
    int inexact = 0;
    open_line(&f, line);
    for (int64_t n = 0; n < f.r.b * f.r.hq * f.r.sq; n++) {
        int64_t head = n / f.r.sq;
        naive_row want = naive_compute(&f, &functions, head / f.r.hq, head % f.r.hq, n % f.r.sq);
        assert_wide(f.lse[n], f.lse_rest[n], want.lse, 1 + fabsl(want.lse));
        for (int64_t c = 0; c < f.r.dv; c++) {
            int64_t at = n * f.r.dv + c;
            assert_wide(f.o[at], f.o_rest[at], want.o[c], want.o_abs[c]);
            inexact += f.o_rest[at] != 0;
        }
    }
    fixture_free(&f);
    return inexact;
}

START_TEST(digits_beyond_a_double_are_right)
{
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++)
        ck_assert_int_gt(compare_line(lines[k]), 400);
}
END_TEST

/* 1 + 2^-53 is no double: both neighbours are as far off. */
START_TEST(a_mean_between_two_doubles)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f64 b=1 hq=1 sq=1 sk=2 d=1");
    fixture_set(&f, "v", 0, 1);
    fixture_set(&f, "v", 1, 1 + 0x1p-52);
    const double mean = 1 + 0x1p-53,
                 limit = 0x1p-53 * 2 * mean + 0x1p-53 * 2 * sqrt(2) + 3 * DBL_TRUE_MIN;
    for (int k = 0; k < 2; k++) {
        fixture_set(&f, "o", 0, k ? 1 + 0x1p-52 : 1);
        ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report),
                         FG_OK);
        assert_close(report.error_over_bound, 0x1p-53 / limit);
    }
    fixture_free(&f);
}
END_TEST

/* Comparisons see the digits that a double lacks: s is 1 + 2^-60, or 1. */
START_TEST(functions_see_all_digits)
{
    for (int above = 0; above < 2; above++) {
        fixture f;
        fixture_new(&f, "dtype=f64 b=1 hq=1 sq=1 sk=1 d=2 scale=1 score={where(s > 1, 7, 3)} lse");
        fixture_set(&f, "q", 0, 1);
        fixture_set(&f, "q", 1, above ? 0x1p-60 : 0);
        fixture_fill(&f, "k", 1);
        fixture_compute(&f);
        ck_assert(f.lse[0] == (above ? 7 : 3));
        fixture_free(&f);
    }
}
END_TEST

/* ---- What it judges ---- */

/* As a plain kernel would, in double. */
static void plain_row(fixture *f, int64_t b, int64_t h, int64_t i)
{
    const reference *r = &f->r;
    double p[64], top = -HUGE_VAL, sum = 0;
    int64_t row = (b * r->sq + i) * r->hq + h, group = h / (r->hq / r->hkv);
    for (int64_t j = 0; j < r->sk; j++) {
        double s = 0;
        for (int64_t c = 0; c < r->d; c++)
            s += fixture_get(f, "q", row * r->d + c) *
                 fixture_get(f, "k", ((b * r->sk + j) * r->hkv + group) * r->d + c);
        p[j] = s * r->scale;
        if (r->problem->score.root)
            p[j] = exp(p[j] / 7) * tanh(p[j]) - sqrt(fabs(p[j])) + log(p[j] * p[j] + 1);
        top = fmax(top, p[j]);
    }
    for (int64_t j = 0; j < r->sk; j++) sum += p[j] = exp(p[j] - top);
    for (int64_t c = 0; c < r->dv; c++) {
        double o = 0;
        for (int64_t j = 0; j < r->sk; j++)
            o += p[j] * fixture_get(f, "v", ((b * r->sk + j) * r->hkv + group) * r->dv + c);
        fixture_set(f, "o", row * r->dv + c, o / sum);
    }
    fixture_set(f, "lse", (b * r->hq + h) * r->sq + i, top + log(sum));
}

static void judge_line(const char *line)
{
    fixture f;
    fg_check_report report;
    open_line(&f, line);
    for (int64_t n = 0; n < f.r.b * f.r.hq * f.r.sq; n++)
        plain_row(&f, n / f.r.sq / f.r.hq, n / f.r.sq % f.r.hq, n % f.r.sq);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    ck_assert(report.error_over_bound > 0.01 && report.error_over_bound < 0.7);
    ck_assert(report.rms > 0x1p-56 && report.rms < 40 * 0x1p-53);
    double right = fixture_get(&f, "o", 33);
    fixture_set(&f, "o", 33, right + 0x1p-45); /* f32's digits and a half more */
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    fixture_set(&f, "o", 33, right);
    fixture_set(&f, "lse", 9, fixture_get(&f, "lse", 9) + 0x1p-43);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    ck_assert_int_eq(report.worst[3], -1);
    fixture_free(&f);
}

START_TEST(double_arithmetic_passes_and_less_does_not)
{
    judge_line(lines[0]);
    judge_line(lines[4]);
}
END_TEST

START_TEST(the_bound_is_f64s)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f64 b=1 hq=1 sq=1 sk=4 d=1 lse");
    for (int j = 0; j < 4; j++) fixture_set(&f, "v", j, 4);
    fixture_set(&f, "lse", 0, log(4));
    const double limit = 0x1p-53 * 8 + 0x1p-53 * 4 * 4 + DBL_TRUE_MIN * (1 + 4);
    for (int places = 1; places <= 4; places++) {
        fixture_set(&f, "o", 0, 4 + places * 0x1p-50);
        fg_status s = fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report);
        assert_close(report.error_over_bound, places * 0x1p-50 / limit);
        ck_assert_int_eq(s, report.error_over_bound <= 1 ? FG_OK : FG_WRONG);
    }
    ck_assert(report.error_over_bound > 1.3);
    fixture_free(&f);
}
END_TEST

/* u is that of the coarsest type, w that of the arithmetic. */
START_TEST(types_may_differ)
{
    static const struct {
        const char *line;
        double u, w, eta;
    } mixed[] = {
        { "dtype=f32 kvdtype=f64 odtype=f64 b=1 hq=1 sq=1 d=1", 0x1p-24, 0x1p-24, FLT_TRUE_MIN },
        { "dtype=f64 odtype=f32 b=1 hq=1 sq=1 d=1", 0x1p-24, 0x1p-53, FLT_TRUE_MIN },
        { "dtype=f64 kvdtype=f16 odtype=f64 b=1 hq=1 sq=1 d=1", 0x1p-11, 0x1p-53, 0x1p-24 },
    };
    for (size_t k = 0; k < sizeof mixed / sizeof *mixed; k++) {
        fixture f;
        fixture_new(&f, mixed[k].line);
        fixture_compute(&f);
        ck_assert(f.r.u == mixed[k].u && f.r.w == mixed[k].w && f.r.eta == mixed[k].eta);
        fixture_free(&f);
    }
}
END_TEST

START_TEST(large_numbers_are_judged_until_they_may_overflow)
{
    static const struct {
        double q, k;
        bool promised;
    } cases[] = { { 0x1p-600, 0x1p+600, true },
                  { 0x1p+600, 0x1p-599, true },
                  { 0x1p+600, 0x1p+600, false },
                  { 0x1p+1023, 0x1p-1000, true } };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        fixture f;
        fg_check_report report;
        fixture_new(&f, "dtype=f64 b=1 hq=1 sq=1 sk=2 d=4 dv=1 scale=1 lse");
        fixture_fill(&f, "q", cases[n].q);
        for (int c = 0; c < 4; c++) fixture_set(&f, "k", c, cases[n].k);
        fixture_set(&f, "v", 0, 1);
        fixture_compute(&f);
        fixture_store(&f);
        ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report),
                         FG_OK);
        fixture_set(&f, "o", 0, NAN);
        ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report),
                         cases[n].promised ? FG_WRONG : FG_OK);
        fixture_free(&f);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        digits_beyond_a_double_are_right,
        a_mean_between_two_doubles,
        functions_see_all_digits,
        double_arithmetic_passes_and_less_does_not,
        the_bound_is_f64s,
        types_may_differ,
        large_numbers_are_judged_until_they_may_overflow,
        NULL,
    };
    return support_run("reference_wide", tests);
}
