/* ctest: labels=threads */
/* Lengths, pages, sinks, dropout and sizes given at launch, each alone and together, against a second arithmetic.
 * What is not to be looked at is NaN. */
#include "tests/support_naive.h"

#include "tests/support.h" /* last: Check has a macro named fail */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Problems ---- */

enum { batches = 5, sq = 13, sk = 18, page = 4, blocks = 5, pages = 13 };

/* More queries than keys, fewer, none of one, of the other. */
static const int q_lens[batches] = { 13, 0, 5, 7, 3 }, k_lens[batches] = { 18, 4, 0, 5, 11 };

#define FIXED " b=5 hq=4 hkv=2 sq=13 sk=18 d=5 dv=3 lse "
#define OPEN  " b=* hq=4 hkv=2 sq=* sk=* d=5 dv=3 lse "
#define ALL                                                                                        \
    " sinks dropout=0.25 causal window=9,0 alibi bias=1HQK:f32 mask=B11K softcap=3 "               \
    "score={s + (sq - i) * 0.25 - sk * 0.125} maskfn={(i + j + sk) % 4 ~= 0} "

static const char *const lines[] = {
    "dtype=f32" FIXED "lens=padded",
    "dtype=f32" FIXED "lens=padded causal layout=bhsd",
    "dtype=bf16" FIXED "lens=padded window=3,1 bias=BHQK:f32",
    "dtype=f32" FIXED "lens=padded causal=top-left window=3,-1 mask=B1QK",
    "dtype=f32" FIXED "lens=packed",
    "dtype=f16" FIXED "lens=packed causal alibi bias=B11K",
    "dtype=f32" FIXED "lens=packed maskfn={(i + j + sk) % 4 ~= 0}",
    "dtype=f32" FIXED "page=4 causal",
    "dtype=f32" FIXED "page=4 layout=bhsd",
    "dtype=f32" FIXED "page=4 lens=padded causal=top-left",
    "dtype=f32" FIXED "page=4 lens=packed kvdtype=bf16 window=4,4",
    "dtype=f32" FIXED "sinks",
    "dtype=f32" FIXED "sinks lens=padded causal",
    "dtype=f32" FIXED "dropout=0.3",
    "dtype=f32" FIXED "dropout=0",
    "dtype=f32" FIXED "dropout=0.5 lens=packed causal",
    "dtype=f32" FIXED "dropout=0.00001",
    "dtype=f32 kvdtype=f64 odtype=f16" FIXED "causal",
    "dtype=f32" FIXED "lens=padded" ALL,
    "dtype=bf16 odtype=f32" FIXED "lens=padded layout=bhsd" ALL,
    "dtype=f32" FIXED "lens=packed" ALL,
    "dtype=f32" FIXED "lens=padded page=4" ALL,
    "dtype=f32" FIXED "lens=packed page=4" ALL,
    "dtype=f64" FIXED "lens=packed page=4" ALL,
    "dtype=f64 kvdtype=f32" FIXED "lens=padded" ALL,
    "dtype=f32" OPEN "causal",
    "dtype=f32" OPEN "tensor=t:f32[b,sk] score={s + t[b][j]} maskfn={j ~= i + sk - sq}",
    "dtype=f32" OPEN "lens=padded layout=bhsd" ALL,
    "dtype=f32" OPEN "lens=packed" ALL,
    "dtype=f32" OPEN "lens=packed page=4" ALL,
};

static long double shift(long double s, int64_t h, int64_t i, int64_t j, int64_t q, int64_t k)
{
    (void)h;
    (void)j;
    return s + 0.25L * (long double)(q - i) - 0.125L * (long double)k;
}

static bool not_fourth(int64_t h, int64_t i, int64_t j, int64_t q, int64_t k)
{
    (void)h;
    (void)q;
    return (i + j + k) % 4 != 0;
}

static const naive_functions functions = { shift, not_fourth };

/* ---- Filling ---- */

static bool has(const fixture *f, const char *name)
{
    for (int k = 0; k < f->count; k++)
        if (strcmp(f->info[k].name, name) == 0) return true;
    return false;
}

static void set_lengths(fixture *f)
{
    int q_all = 0, k_all = 0;
    for (int b = 0; b < batches; b++) {
        if (has(f, "q_lens")) fixture_set(f, "q_lens", b, q_lens[b]);
        if (has(f, "k_lens")) fixture_set(f, "k_lens", b, k_lens[b]);
        if (has(f, "cu_q")) fixture_set(f, "cu_q", b, q_all);
        if (has(f, "cu_k")) fixture_set(f, "cu_k", b, k_all);
        q_all += q_lens[b];
        k_all += k_lens[b];
    }
    if (has(f, "cu_q")) fixture_set(f, "cu_q", batches, q_all);
    if (has(f, "cu_k")) fixture_set(f, "cu_k", batches, k_all);
}

/* Of a sequence's own blocks; the rest names no page. Page 0 is nobody's. */
static void set_pages(fixture *f, bool lens)
{
    for (int b = 0; b < batches; b++)
        for (int n = 0; n < blocks; n++) {
            bool used = n * page < (lens ? k_lens[b] : sk);
            fixture_set(f, "block_table", b * blocks + n,
                        used ? 1 + (b * 7 + n * 5) % (pages - 1) : -12345);
        }
}

static void poison_rows(fixture *f, const char *name, const int *lens, int longest)
{
    int k = fixture_find(f, name);
    bool bhsd = f->problem->problem->layout == LAYOUT_bhsd;
    int64_t heads = f->info[k].shape[bhsd ? 1 : 2], width = f->info[k].shape[3];
    for (int64_t row = 0; row < batches * longest * heads; row++) {
        int64_t position = bhsd ? row % longest : row / heads % longest;
        if (position < lens[row / heads / longest]) continue;
        for (int64_t c = 0; c < width; c++) fixture_set(f, name, row * width + c, NAN);
    }
}

static void poison_page(fixture *f, const char *name)
{
    for (int64_t n = 0; n < f->elements[fixture_find(f, name)] / pages; n++)
        fixture_set(f, name, n, NAN);
}

static void open_case(fixture *f, const char *line)
{
    const fixture_sizes sizes = { batches, sq, sk, 28, 38, pages, blocks };
    fixture_new_sized(f, line, &sizes);
    const problem *p = f->problem->problem;
    fixture_draw(f);
    if (has(f, "mask"))
        for (int64_t n = 0; n < f->elements[fixture_find(f, "mask")]; n++)
            fixture_set(f, "mask", n, fixture_noise("mask", n) > -1);
    set_lengths(f);
    if (p->lens == LENS_padded) poison_rows(f, "q", q_lens, sq);
    if (p->lens == LENS_padded && !p->page) poison_rows(f, "k", k_lens, sk);
    if (p->lens == LENS_padded && !p->page) poison_rows(f, "v", k_lens, sk);
    if (!p->page) return;
    set_pages(f, p->lens != LENS_none);
    poison_page(f, "k");
    poison_page(f, "v");
}

/* ---- Against the second arithmetic ---- */

/* The one line that reads a tensor. */
static const fixture *reading;

static long double read_score(long double s, int64_t h, int64_t i, int64_t j, int64_t q, int64_t k)
{
    (void)h;
    (void)i;
    (void)q;
    (void)k;
    return s + (long double)fixture_get(reading, "t", j); /* b = 0 */
}

static bool off_diagonal(int64_t h, int64_t i, int64_t j, int64_t q, int64_t k)
{
    (void)h;
    return j != i + k - q;
}

static const naive_functions reading_functions = { read_score, off_diagonal };

static void compare(const fixture *f, const char *line)
{
    const naive_functions *use = has(f, "t") ? &reading_functions : &functions;
    int64_t last = has(f, "t") ? 1 : batches;
    reading = f;
    for (int64_t n = 0; n < last * f->r.hq * f->r.sq; n++) {
        int64_t b = n / f->r.sq / f->r.hq, h = n / f->r.sq % f->r.hq, i = n % f->r.sq;
        if (fixture_o_row(f, b, h, i) < 0) continue;
        naive_row want = naive_compute(f, use, b, h, i);
        ck_assert_msg(f->row[n].visible == want.visible, "%s: row %lld sees %lld, not %lld", line,
                      (long long)n, (long long)f->row[n].visible, (long long)want.visible);
        assert_close(f->lse[n], (double)want.lse);
        for (int64_t c = 0; c < f->r.dv; c++)
            assert_close(f->o[n * f->r.dv + c], (double)want.o[c]);
        if (i >= naive_sq(f, b)) assert_empty(f, n);
    }
}

static void compare_line(const char *line)
{
    fixture f;
    open_case(&f, line);
    fixture_compute(&f);
    ck_assert_int_eq(f.r.sq, sq);
    ck_assert_int_eq(f.r.sk, sk);
    compare(&f, line);
    fixture_free(&f);
}

START_TEST(every_feature_a_second_time)
{
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) compare_line(lines[k]);
}
END_TEST

static void expect(fixture *f, const char *line, const char *name, int64_t index, double value)
{
    fg_check_report report;
    double right = fixture_get(f, name, index);
    fixture_set(f, name, index, value);
    fg_status got = fixture_check(f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report);
    ck_assert_msg(got == FG_WRONG, "%s: %s[%lld] = %g passes", line, name, (long long)index, value);
    fixture_set(f, name, index, right);
}

static void judge_line(const char *line)
{
    fixture f;
    fg_check_report report;
    open_case(&f, line);
    fixture_compute(&f);
    fixture_store(&f);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    int64_t rows = 0;
    for (int64_t n = 0; n < batches * f.r.hq * f.r.sq; n++) {
        int64_t b = n / f.r.sq / f.r.hq, h = n / f.r.sq % f.r.hq, i = n % f.r.sq;
        int64_t row = fixture_o_row(&f, b, h, i), at = row * f.r.dv + n % f.r.dv;
        if (row < 0) continue;
        rows++;
        if ((n + rows) % 5) continue;
        bool exact = f.row[n].kept == 0; /* not even a trace */
        expect(&f, line, "o", at, fixture_get(&f, "o", at) + (exact ? 1e-7 : 0.25));
        expect(&f, line, "o", at, NAN);
        int64_t lse_row = fixture_lse_row(&f, b, h, i);
        expect(&f, line, "lse", lse_row, isinf(f.lse[n]) ? 0 : f.lse[n] + 0.01);
    }
    ck_assert_int_eq(report.rows, rows);
    fixture_free(&f);
}

START_TEST(what_is_right_passes_and_what_is_wrong_does_not)
{
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) judge_line(lines[k]);
}
END_TEST

static void count_line(const char *line)
{
    fixture f;
    fg_error error;
    int64_t pairs = -1, want = 0;
    open_case(&f, line);
    fixture_compute(&f);
    for (int64_t n = 0; n < batches * f.r.hq * f.r.sq; n++) want += f.row[n].visible;
    ck_assert_int_eq(fg_visible_pairs(f.context, f.problem, &f.args, &pairs, &error), FG_OK);
    ck_assert_msg(pairs == want, "%s: %lld, not %lld", line, (long long)pairs, (long long)want);
    fixture_free(&f);
}

START_TEST(visible_pairs_are_counted)
{
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) count_line(lines[k]);
}
END_TEST

/* ---- By hand ---- */

START_TEST(two_sequences_by_hand)
{
    const fixture_sizes sizes = { .total_q = 3, .total_k = 3 };
    fixture f;
    fixture_new_sized(&f, "dtype=f32 b=2 hq=1 sq=2 d=1 scale=1 lens=packed causal lse", &sizes);
    const double cu_q[] = { 0, 1, 3 }, cu_k[] = { 0, 2, 3 }, v[] = { 1, 3, 10 };
    for (int n = 0; n < 3; n++) {
        fixture_set(&f, "cu_q", n, cu_q[n]);
        fixture_set(&f, "cu_k", n, cu_k[n]);
        fixture_set(&f, "v", n, v[n]);
    }
    fixture_compute(&f);
    assert_close(f.o[0], 2); /* the one query is the last: it sees both keys */
    assert_close(f.lse[0], log(2));
    assert_empty(&f, 2); /* two queries, one key: the first comes before it */
    assert_close(f.o[3], 10);
    assert_close(f.lse[3], 0);
    fixture_free(&f);
}
END_TEST

/* ---- Samples ---- */

static int64_t find_row(const int64_t *list, int64_t count, int64_t row)
{
    int64_t times = 0;
    for (int64_t k = 0; k < count; k++) times += list[k] == row;
    return times;
}

START_TEST(samples_lie_within_lengths_and_one_behind)
{
    static const int lengths[] = { 8192, 0, 1, 70, 5000, 8191 };
    for (int padded = 0; padded < 2; padded++) {
        const fixture_sizes sizes = { .total_q = 21454, .total_k = 1 };
        int64_t list[reference_sample_most], total = 0;
        fixture f;
        fixture_new_sized(&f,
                          padded ? "dtype=f32 b=6 hq=1 sq=8192 sk=1 d=1 lens=padded"
                                 : "dtype=f32 b=6 hq=1 sq=8192 sk=1 d=1 lens=packed",
                          &sizes);
        for (int b = 0; b < 6; b++) {
            if (padded) fixture_set(&f, "q_lens", b, lengths[b]);
            total += lengths[b];
            if (!padded) fixture_set(&f, "cu_q", b + 1, (double)total);
            if (!padded) fixture_set(&f, "cu_k", b + 1, 1);
        }
        fg_error error;
        fg_status s = reference_new(&f.r, f.context, f.problem->problem, &f.args, &error);
        ck_assert_msg(s == FG_OK, "%s", error.text);
        for (int b = 0; b < 6; b++)
            for (int turn = 0; turn < 40; turn++) {
                int64_t count = reference_sample_rows(list, &f.r, b, turn, 8), behind = 0;
                ck_assert_int_le(count, 8);
                ck_assert(count == 8 || count >= lengths[b]);
                for (int64_t k = 0; k < count; k++) {
                    behind += list[k] >= lengths[b];
                    ck_assert(list[k] >= 0 && list[k] < 8192);
                    ck_assert_int_eq(find_row(list, count, list[k]), 1);
                }
                ck_assert_int_eq(behind, padded && lengths[b] < 8192);
                if (behind) ck_assert(find_row(list, count, turn % 2 ? 8191 : lengths[b]) == 1);
            }
        fixture_free(&f);
    }
}
END_TEST

/* Each row sees one key, whose value is 1: right is 1 everywhere, and costs nothing to know. */
START_TEST(large_problems_are_sampled_within_lengths)
{
    enum { longest = 8192, d = 64, heads = 2 };
    static const int lens[] = { longest, 4100 };
    static const struct {
        int b, i;
        double right;
    } rows[] = { { 0, 0, 1 },    { 0, 64, 1 },   { 0, 8191, 1 }, { 1, 0, 1 },
                 { 1, 4099, 1 }, { 1, 4096, 1 }, { 1, 4100, 0 }, { 1, 8191, 0 } };
    fixture f;
    fg_check_report report;
    fg_check_options options = FG_CHECK_OPTIONS_INIT;
    fixture_new(&f, "dtype=f16 b=2 hq=2 hkv=1 sq=8192 d=64 window=0,0 lens=padded");
    fixture_fill(&f, "v", 1);
    for (int b = 0; b < 2; b++) {
        fixture_set(&f, "q_lens", b, lens[b]);
        fixture_set(&f, "k_lens", b, lens[b]);
        for (int64_t n = 0; n < (int64_t)lens[b] * heads * d; n++)
            fixture_set(&f, "o", (int64_t)b * longest * heads * d + n, 1);
    }
    ck_assert_int_eq(fixture_check(&f, options, &report), FG_OK);
    ck_assert_int_ge(report.rows, 256);
    ck_assert_int_lt(report.rows, 2000);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        int64_t at = (rows[k].b * longest + rows[k].i) * (int64_t)heads * d;
        fixture_set(&f, "o", at, 2); /* some head's row is in the sample; both are wrong */
        fixture_set(&f, "o", at + d, 2);
        ck_assert_msg(fixture_check(&f, options, &report) == FG_WRONG,
                      "row %d of %d is not in the sample", rows[k].i, rows[k].b);
        ck_assert_int_eq(report.worst[2], rows[k].i);
        fixture_set(&f, "o", at, rows[k].right);
        fixture_set(&f, "o", at + d, rows[k].right);
    }
    fixture_free(&f);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        every_feature_a_second_time,
        what_is_right_passes_and_what_is_wrong_does_not,
        visible_pairs_are_counted,
        two_sequences_by_hand,
        samples_lie_within_lengths_and_one_behind,
        large_problems_are_sampled_within_lengths,
        NULL,
    };
    return support_run("reference_lens", tests);
}
