/* The reference against identities of attention, against hand-computed cases and against arithmetic that
 * is written here a second time. */
#include "tests/support_reference.h"

#include "tests/support.h" /* last: Check has a macro named fail */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Cases that are known ---- */

START_TEST(two_keys_by_hand)
{
    fixture f;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=1 sk=2 d=1 scale=2 lse");
    fixture_set(&f, "q", 0, 1);
    fixture_set(&f, "k", 1, 0.5);
    fixture_set(&f, "v", 0, 1);
    fixture_set(&f, "v", 1, 5);
    fixture_compute(&f); /* logits 0 and 1 */
    double e = exp(1);
    assert_close(f.o[0], (1 + 5 * e) / (1 + e));
    assert_close(f.lse[0], log(1 + e));
    ck_assert_int_eq(f.row[0].visible, 2);
    assert_close(f.row[0].product_error, 1); /* sqrt(1) * 2 * 1 * 0.5 */
    assert_close(f.row[0].magnitude, 1);
    fixture_free(&f);
}
END_TEST

START_TEST(values_of_one_give_one)
{
    fixture f;
    fixture_new(&f, "dtype=f32 b=2 hq=4 hkv=2 sq=9 sk=70 d=12 dv=5 window=20,3 softcap=3 lse");
    fixture_draw(&f);
    fixture_fill(&f, "v", 1);
    fixture_compute(&f);
    for (int64_t n = 0; n < 2 * 4 * 9 * 5; n++) assert_close(f.o[n], 1);
    fixture_free(&f);
}
END_TEST

START_TEST(one_hot_keys_pick_their_value)
{
    enum { keys = 67 };
    fixture f;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=67 d=67 dv=1 scale=1000 layout=bhsd");
    for (int j = 0; j < keys; j++) {
        fixture_set(&f, "q", j * keys + (j * 5 + 1) % keys, 1);
        fixture_set(&f, "k", j * keys + j, 1);
        fixture_set(&f, "v", j, j);
    }
    fixture_compute(&f);
    for (int i = 0; i < keys; i++) assert_close(f.o[i], (i * 5 + 1) % keys);
    fixture_free(&f);
}
END_TEST

START_TEST(permuted_keys_change_nothing)
{
    enum { keys = 130, d = 6 };
    fixture a, b;
    const char *line = "dtype=bf16 b=1 hq=1 sq=3 sk=130 d=6 lse";
    fixture_new(&a, line);
    fixture_new(&b, line);
    fixture_draw(&a);
    fixture_draw(&b);
    for (int j = 0; j < keys; j++)
        for (int c = 0; c < d; c++) {
            int to = (j * 7 + 3) % keys * d + c;
            fixture_set(&b, "k", to, fixture_get(&a, "k", j * d + c));
            fixture_set(&b, "v", to, fixture_get(&a, "v", j * d + c));
        }
    fixture_compute(&a);
    fixture_compute(&b);
    for (int n = 0; n < 3 * d; n++) assert_close(a.o[n], b.o[n]);
    for (int n = 0; n < 3; n++) assert_close(a.lse[n], b.lse[n]);
    fixture_free(&a);
    fixture_free(&b);
}
END_TEST

START_TEST(equal_logits_average)
{
    fixture f;
    fixture_new(&f, "dtype=f16 b=1 hq=1 sq=5 d=4 causal lse");
    fixture_draw(&f);
    fixture_fill(&f, "q", 0);
    fixture_compute(&f);
    for (int i = 0; i < 5; i++) {
        double sum = 0;
        for (int j = 0; j <= i; j++) sum += fixture_get(&f, "v", j * 4 + 2);
        assert_close(f.o[i * 4 + 2], sum / (i + 1));
        assert_close(f.lse[i], log(i + 1));
        ck_assert_int_eq(f.row[i].visible, i + 1);
    }
    fixture_free(&f);
}
END_TEST

START_TEST(no_keys_give_zero)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f32 b=2 hq=1 sq=3 sk=0 d=4 lse");
    fixture_draw(&f);
    fixture_compute(&f);
    for (int64_t n = 0; n < 6; n++) assert_empty(&f, n);
    fixture_store(&f);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    fixture_set(&f, "o", 5, 0x1p-140);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    fixture_free(&f);
}
END_TEST

START_TEST(hidden_rows_give_zero)
{
    fixture f;
    fg_check_report report;
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=9 sk=4 d=4 causal lse"); /* rows 0..4 see nothing */
    fixture_draw(&f);
    fixture_compute(&f);
    for (int64_t n = 0; n < 5; n++) assert_empty(&f, n);
    ck_assert(isfinite(f.lse[5]));
    fixture_store(&f);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    fixture_set(&f, "lse", 2, NAN);
    ck_assert_int_eq(fixture_check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    ck_assert_int_eq(report.worst[2], 2);
    ck_assert_int_eq(report.worst[3], -1);
    fixture_free(&f);
}
END_TEST

START_TEST(query_heads_share_keys)
{
    fixture f;
    fixture_new(&f, "dtype=f32 b=2 hq=6 hkv=2 sq=1 sk=3 d=2 dv=1");
    fixture_draw(&f);
    for (int n = 0; n < 2 * 3 * 2; n++)
        fixture_set(&f, "v", n, n % 2 + 10 * (n / 6)); /* [b, sk, hkv, 1] */
    fixture_compute(&f);
    for (int b = 0; b < 2; b++)
        for (int h = 0; h < 6; h++) assert_close(f.o[b * 6 + h], h / 3 + 10 * b);
    fixture_free(&f);
}
END_TEST

/* ---- A second arithmetic: everything at once, in long double, looped as it is defined ---- */

typedef struct second {
    int64_t b, hq, hkv, sq, sk, d, dv;
} second;

static long double second_logit(const fixture *f, const second *s, int64_t b, int64_t h, int64_t i,
                                int64_t j)
{
    long double sum = 0;
    int64_t g = h * s->hkv / s->hq, distance = i + s->sk - s->sq - j;
    for (int64_t c = 0; c < s->d; c++)
        sum += (long double)fixture_get(f, "q", ((b * s->sq + i) * s->hq + h) * s->d + c) *
               (long double)fixture_get(f, "k", ((b * s->sk + j) * s->hkv + g) * s->d + c);
    sum /= sqrtl((long double)s->d);
    sum = 4 * tanhl(sum / 4);
    sum -= (long double)fixture_get(f, "slopes", h) * (long double)llabs(distance);
    sum += (long double)fixture_get(f, "bias", (h * s->sq + i) * s->sk + j); /* 1HQK */
    sum += (long double)fixture_get(f, "t", h) * (long double)j;
    bool seen =
        distance >= 0 && distance <= 11 && fixture_get(f, "mask", b * s->sk + j) != 0; /* B11K */
    return seen && (i + j) % 3 != 0 ? sum : -HUGE_VALL;
}

static void second_row(const fixture *f, const second *s, int64_t b, int64_t h, int64_t i)
{
    long double sum = 0, o[16] = { 0 };
    int64_t n = (b * s->hq + h) * s->sq + i;
    for (int64_t j = 0; j < s->sk; j++) {
        long double p = expl(second_logit(f, s, b, h, i, j));
        sum += p;
        for (int64_t c = 0; c < s->dv; c++)
            o[c] += p * (long double)fixture_get(
                            f, "v", ((b * s->sk + j) * s->hkv + h * s->hkv / s->hq) * s->dv + c);
    }
    assert_close(f->lse[n], sum > 0 ? (double)logl(sum) : -HUGE_VAL);
    for (int64_t c = 0; c < s->dv; c++)
        assert_close(f->o[n * s->dv + c], sum > 0 ? (double)(o[c] / sum) : 0);
}

START_TEST(every_feature_a_second_time)
{
    fixture f;
    const second s = { 2, 4, 2, 19, 27, 7, 3 };
    fixture_new(
        &f, "dtype=f32 kvdtype=bf16 b=2 hq=4 hkv=2 sq=19 sk=27 d=7 dv=3 causal window=11,0 "
            "softcap=4 alibi "
            "bias=1HQK:f16 mask=B11K tensor=t:f32[hq] lse score={s + t[h] * j} maskfn={(i + j) % "
            "3 ~= 0}");
    fixture_draw(&f);
    for (int64_t n = 0; n < 2 * 27; n++) fixture_set(&f, "mask", n, n % 5 != 1);
    fixture_compute(&f);
    for (int64_t b = 0; b < s.b; b++)
        for (int64_t h = 0; h < s.hq; h++)
            for (int64_t i = 0; i < s.sq; i++) second_row(&f, &s, b, h, i);
    fixture_free(&f);
}
END_TEST

static void assert_same(const char *one, const char *other)
{
    fixture a, b;
    fixture_new(&a, one);
    fixture_new(&b, other);
    fixture_draw(&a);
    fixture_draw(&b);
    fixture_compute(&a);
    fixture_compute(&b);
    for (int64_t n = 0; n < a.r.b * a.r.hq * a.r.sq; n++) {
        assert_close(a.lse[n], b.lse[n]);
        for (int64_t c = 0; c < a.r.dv; c++) assert_close(a.o[n * a.r.dv + c], b.o[n * a.r.dv + c]);
    }
    fixture_free(&a);
    fixture_free(&b);
}

START_TEST(users_functions_equal_the_built_in)
{
    static const char *const pairs[][2] = {
        { "softcap=3", "score={3 * tanh(s / 3)}" },
        { "causal", "maskfn={j <= i + sk - sq}" },
        { "causal=top-left", "maskfn={j <= i}" },
        { "window=5,2", "maskfn={j >= i + sk - sq - 5 and j <= i + sk - sq + 2}" },
        { "window=-1,2", "maskfn={j <= i + sk - sq + 2}" },
        { "causal=top-left window=4,-1", "maskfn={j <= i and j >= i - 4}" },
        { "causal=top-left window=4,-1", "causal=top-left window=4,9" },
    };
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        char line[2][200];
        for (int n = 0; n < 2; n++)
            snprintf(line[n], sizeof line[n], "dtype=f32 b=2 hq=2 sq=13 sk=21 d=5 lse %s",
                     pairs[k][n]);
        assert_same(line[0], line[1]);
    }
}
END_TEST

START_TEST(layouts_and_strides_are_the_same_numbers)
{
    fixture a, b;
    fixture_new(&a, "dtype=f32 b=2 hq=2 sq=3 sk=4 d=5 layout=bhsd lse");
    fixture_new(&b, "dtype=f32 b=2 hq=2 sq=3 sk=4 d=5 lse");
    fixture_draw(&a);
    int64_t q_strides[] = { 2 * 3 * 5, 5, 3 * 5, 1 }, k_strides[] = { 2 * 4 * 5, 5, 4 * 5, 1 };
    b.tensor[fixture_find(&b, "q")].strides = q_strides; /* a's memory, seen as [b, s, h, d] */
    b.tensor[fixture_find(&b, "k")].strides = k_strides;
    b.tensor[fixture_find(&b, "v")].strides = k_strides;
    for (int64_t n = 0; n < 2 * 2 * 3 * 5; n++) fixture_set(&b, "q", n, fixture_get(&a, "q", n));
    for (int64_t n = 0; n < 2 * 2 * 4 * 5; n++) fixture_set(&b, "k", n, fixture_get(&a, "k", n));
    for (int64_t n = 0; n < 2 * 2 * 4 * 5; n++) fixture_set(&b, "v", n, fixture_get(&a, "v", n));
    fixture_compute(&a);
    fixture_compute(&b);
    for (int n = 0; n < 2 * 2 * 3 * 5; n++) ck_assert(a.o[n] == b.o[n]);
    fixture_free(&a);
    fixture_free(&b);
}
END_TEST

/* ---- Visible pairs ---- */

static int64_t count_pairs(fixture *f)
{
    fg_error error;
    int64_t pairs = -1;
    fg_status s = fg_visible_pairs(f->context, f->problem, &f->args, &pairs, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
    return pairs;
}

START_TEST(visible_pairs_are_counted)
{
    static const char *const masks[] = {
        "",
        "causal",
        "causal=top-left",
        "window=3,1",
        "window=-1,-1",
        "window=0,0 causal",
        "window=-1,4",
        "mask=B11K",
        "mask=1HQ1 causal",
        "mask=BHQK window=2,2",
        "maskfn={(i + h) % 2 == 0}",
        "maskfn={b == 0 or j > i} causal",
        "maskfn={j * j < 50}",
    };
    for (size_t k = 0; k < sizeof masks / sizeof *masks; k++) {
        for (int sizes = 0; sizes < 3; sizes++) {
            static const char *const lengths[] = { "sq=9 sk=14", "sq=14 sk=9", "sq=11" };
            char line[200];
            fixture f;
            snprintf(line, sizeof line, "dtype=f32 b=2 hq=3 d=1 %s %s", lengths[sizes], masks[k]);
            fixture_new(&f, line);
            if (strstr(line, "mask="))
                for (int64_t n = 0; n < f.elements[fixture_find(&f, "mask")]; n++)
                    fixture_set(&f, "mask", n, fixture_noise("mask", n) > 0);
            fixture_compute(&f);
            int64_t pairs = 0;
            for (int64_t n = 0; n < f.r.b * f.r.hq * f.r.sq; n++) pairs += f.row[n].visible;
            ck_assert_msg(count_pairs(&f) == pairs, "%s: %lld, not %lld", line,
                          (long long)count_pairs(&f), (long long)pairs);
            fixture_free(&f);
        }
    }
}
END_TEST

START_TEST(visible_pairs_by_hand)
{
    fixture f;
    fixture_new(&f, "dtype=f32 b=2 hq=4 hkv=2 sq=100 d=1 causal");
    ck_assert_int_eq(count_pairs(&f), 2 * 4 * 100 * 101 / 2);
    fixture_free(&f);
    fixture_new(&f, "dtype=f32 b=1 hq=1 sq=100 d=1 causal window=9,0");
    ck_assert_int_eq(count_pairs(&f), 10 * 100 - 45);
    fixture_free(&f);
    fixture_new(&f, "dtype=f32 b=1 hq=2 sq=7 sk=0 d=1 causal");
    ck_assert_int_eq(count_pairs(&f), 0);
    fixture_free(&f);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        two_keys_by_hand,
        values_of_one_give_one,
        one_hot_keys_pick_their_value,
        permuted_keys_change_nothing,
        equal_logits_average,
        no_keys_give_zero,
        hidden_rows_give_zero,
        query_heads_share_keys,
        every_feature_a_second_time,
        users_functions_equal_the_built_in,
        layouts_and_strides_are_the_same_numbers,
        visible_pairs_are_counted,
        visible_pairs_by_hand,
        NULL,
    };
    return support_run("reference", tests);
}
