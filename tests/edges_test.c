/* Contents at the edge of what has a meaning: nothing visible, NaN, infinities, tiny and huge numbers. */
/* ctest: shards=2 labels=slow */
#include "tests/support_trial.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Contents of one problem: 37 rows, 75 keys in four tiles, two query heads to a key head ---- */

static const char plain[] =
    "dtype=%s kvdtype=%s b=1 hq=4 hkv=2 sq=37 sk=75 d=24 dv=21 bias=11QK:f32 mask=11QK lse";

static void open_plain(trial *x, fg_context *context, const char *type)
{
    trial_open(x, context, "keys=24", plain, type, type);
}

/* No mask, no bias. */
static void bare(trial *x)
{
    trial_refill(x, 2);
    test_fill(trial_tensor(x, "mask"), 1);
    test_fill(trial_tensor(x, "bias"), 0);
}

static void put(trial *x, const char *name, int64_t b, int64_t h, int64_t s, int64_t c,
                double value)
{
    test_tensor *t = trial_tensor(x, name);
    test_set(t, test_index(t, b, h, s, c), value);
}

static double get(trial *x, const char *name, int64_t b, int64_t h, int64_t s, int64_t c)
{
    test_tensor *t = trial_tensor(x, name);
    return test_get(t, test_index(t, b, h, s, c));
}

static void put_row(trial *x, const char *name, int64_t i, double value)
{
    test_tensor *t = trial_tensor(x, name);
    for (int64_t j = 0; j < t->shape[3]; j++) put(x, name, 0, 0, i, j, value);
}

static bool row_is_empty(trial *x, int64_t i)
{
    bool empty = true;
    for (int64_t h = 0; h < 4; h++) {
        empty = empty && get(x, "lse", 0, h, i, 0) == -HUGE_VAL;
        for (int64_t c = 0; c < 21; c++) empty = empty && get(x, "o", 0, h, i, c) == 0;
    }
    return empty;
}

/* Whether row i is NaN, all of it, in every head from `first` on. */
static bool row_is_nan(trial *x, int64_t i, int64_t first, int64_t end)
{
    bool nan = true;
    for (int64_t h = first; h < end; h++) {
        nan = nan && isnan(get(x, "lse", 0, h, i, 0));
        for (int64_t c = 0; c < 21; c++) nan = nan && isnan(get(x, "o", 0, h, i, c));
    }
    return nan;
}

static bool row_is_finite(trial *x, int64_t i, int64_t first, int64_t end)
{
    bool finite = true;
    for (int64_t h = first; h < end; h++) {
        finite = finite && isfinite(get(x, "lse", 0, h, i, 0));
        for (int64_t c = 0; c < 21; c++) finite = finite && isfinite(get(x, "o", 0, h, i, c));
    }
    return finite;
}

static void hidden_rows(trial *x)
{
    static const int rows[] = { 0, 5, 15, 16, 31, 36 };
    trial_refill(x, 3);
    for (int k = 0; k < 6; k++) put_row(x, "mask", rows[k], 0);
    trial_check(x, "hidden rows");
    for (int k = 0; k < 6; k++) trial_assert(x, row_is_empty(x, rows[k]), "hidden rows");
    test_fill(trial_tensor(x, "mask"), 0);
    trial_check(x, "everything hidden");
    for (int i = 0; i < 37; i++) trial_assert(x, row_is_empty(x, i), "everything hidden");
}

static void minus_infinity_in_bias(trial *x)
{
    bare(x);
    for (int64_t k = 0; k < 37 * 75; k += 7) put(x, "bias", 0, 0, k / 75, k % 75, -HUGE_VAL);
    put_row(x, "bias", 9, -HUGE_VAL);
    for (int64_t j = 0; j < 30; j++) put(x, "bias", 0, 0, 3, j, -HUGE_VAL); /* a tile and more */
    for (int64_t j = 50; j < 75; j++) put(x, "bias", 0, 0, 4, j, -HUGE_VAL);
    trial_check(x, "-inf in bias");
    trial_assert(x, row_is_empty(x, 9), "-inf in bias");
    test_fill(trial_tensor(x, "bias"), -HUGE_VAL);
    trial_check(x, "bias of -inf alone");
    for (int64_t i = 0; i < 37; i++) trial_assert(x, row_is_empty(x, i), "bias of -inf alone");
}

/* A logit that is no number or +inf spoils its row, wherever in the row it is, and no other. */
static void one_bad_logit(trial *x, double value, const char *what)
{
    static const int keys[] = { 0, 23, 24, 50, 74 };
    for (int k = 0; k < 5; k++) {
        bare(x);
        put(x, "bias", 0, 0, 11, keys[k], value);
        trial_check(x, what);
        trial_assert(x, row_is_nan(x, 11, 0, 4), what);
        trial_assert(x, row_is_finite(x, 10, 0, 4) && row_is_finite(x, 12, 0, 4), what);
    }
}

static void bad_bias(trial *x)
{
    one_bad_logit(x, HUGE_VAL, "+inf in bias");
    one_bad_logit(x, NAN, "NaN in bias");
    bare(x);
    put(x, "bias", 0, 0, 11, 0, NAN);
    put(x, "bias", 0, 0, 11, 1, HUGE_VAL);
    put(x, "bias", 0, 0, 12, 1, HUGE_VAL);
    put(x, "bias", 0, 0, 12, 40, -HUGE_VAL);
    for (int64_t j = 0; j < 75; j++) put(x, "bias", 0, 0, 13, j, HUGE_VAL);
    trial_check(x, "NaN and infinities in one bias");
}

static void bad_query(trial *x)
{
    static const double values[] = { NAN, HUGE_VAL, -HUGE_VAL };
    for (int k = 0; k < 3; k++) {
        bare(x);
        put(x, "q", 0, 1, 20, 23, values[k]);
        trial_check(x, "a bad number in q");
        trial_assert(x, row_is_nan(x, 20, 1, 2), "a bad number in q");
        trial_assert(x, row_is_finite(x, 20, 0, 1) && row_is_finite(x, 20, 2, 4),
                     "a bad number in q");
        trial_assert(x, row_is_finite(x, 19, 0, 4) && row_is_finite(x, 21, 0, 4),
                     "a bad number in q");
    }
}

static void bad_key(trial *x)
{
    bare(x);
    put(x, "k", 0, 0, 30, 0, NAN);
    trial_check(x, "NaN in k");
    for (int64_t i = 0; i < 37; i++) {
        trial_assert(x, row_is_nan(x, i, 0, 2), "NaN in k");
        trial_assert(x, row_is_finite(x, i, 2, 4), "NaN in k");
    }
    bare(x);
    put(x, "k", 0, 1, 74, 23, HUGE_VAL);
    trial_check(x, "+inf in k");
    for (int64_t i = 0; i < 37; i++) trial_assert(x, row_is_finite(x, i, 0, 2), "+inf in k");
    put_row(x, "mask", 5, 0); /* hidden from two rows, of which one sees nothing */
    put(x, "mask", 0, 0, 6, 74, 0);
    trial_check(x, "+inf in a k that some rows do not see");
}

static void bad_value(trial *x)
{
    static const double values[] = { NAN, HUGE_VAL, -HUGE_VAL };
    for (int k = 0; k < 3; k++) {
        bare(x);
        put(x, "v", 0, 1, 47, 20, values[k]);
        trial_check(x, "a bad number in v");
        for (int64_t i = 0; i < 37; i++) {
            trial_assert(x, row_is_finite(x, i, 0, 2), "a bad number in v");
            trial_assert(x, !isfinite(get(x, "o", 0, 2, i, 20)), "a bad number in v");
            trial_assert(x, isfinite(get(x, "o", 0, 2, i, 19)), "a bad number in v");
        }
        put_row(x, "mask", 8, 0);
        put(x, "mask", 0, 0, 7, 47, 0);
        trial_check(x, "a bad number in a v that some rows do not see");
    }
}

static void tiny_numbers(trial *x)
{
    dtype type = trial_tensor(x, "v")->type;
    double tiny = type == DTYPE_f16 ? 0x1p-24 : type == DTYPE_bf16 ? 0x1p-133 : 0x1p-126;
    trial_refill(x, 4);
    rng r = rng_new(5, 0);
    test_tensor *v = trial_tensor(x, "v"), *k = trial_tensor(x, "k");
    for (int64_t n = 0; n < v->count; n++) test_set(v, n, tiny * (double)rng_between(&r, -9, 9));
    trial_check(x, "subnormal v");
    for (int64_t n = 0; n < k->count; n++) test_set(k, n, tiny * (double)rng_between(&r, -9, 9));
    test_fill_normal(v, &r);
    trial_check(x, "subnormal k");
    test_fill(trial_tensor(x, "q"), tiny);
    trial_check(x, "subnormal q and k");
}

/* Every o between the least and the largest value of its column. */
static bool in_hull(trial *x)
{
    bool inside = true;
    for (int64_t h = 0; h < 4; h++)
        for (int64_t c = 0; c < 21; c++) {
            double least = HUGE_VAL, most = -HUGE_VAL;
            for (int64_t j = 0; j < 75; j++) {
                least = fmin(least, get(x, "v", 0, h / 2, j, c));
                most = fmax(most, get(x, "v", 0, h / 2, j, c));
            }
            double margin = 0.01 * (most - least);
            for (int64_t i = 0; i < 37; i++) {
                double o = get(x, "o", 0, h, i, c);
                inside = inside && o >= least - margin && o <= most + margin;
            }
        }
    return inside;
}

static void scale_up(test_tensor *t, double factor)
{
    for (int64_t k = 0; k < t->count; k++) test_set(t, k, factor * test_get(t, k));
}

static void huge_logits(trial *x)
{
    bool half = trial_tensor(x, "q")->type == DTYPE_f16;
    const double factors[] = { 50, 500, 8000, half ? 12000 : 1e17 };
    for (int k = 0; k < 4; k++) {
        bare(x);
        scale_up(trial_tensor(x, "q"), factors[k]);
        scale_up(trial_tensor(x, "k"), factors[k]);
        trial_check(x, "huge logits");
        trial_assert(x, in_hull(x), "huge logits");
    }
    bare(x);
    test_fill(trial_tensor(x, "bias"), -1e30); /* the same for all: as good as 0 */
    trial_check(x, "huge bias");
    trial_assert(x, in_hull(x), "huge bias");
    test_fill(trial_tensor(x, "bias"), 8e37);
    trial_run(x);
    trial_assert(x, in_hull(x), "huge bias");
}

static void ones_in_v(trial *x)
{
    double unit = dtype_unit_roundoff(trial_tensor(x, "v")->type);
    bare(x);
    test_fill(trial_tensor(x, "v"), 1);
    trial_check(x, "V = 1");
    test_tensor *o = trial_tensor(x, "o");
    for (int64_t k = 0; k < o->count; k++)
        trial_assert(x, fabs(test_get(o, k) - 1) <= 2 * unit + 0x1p-20, "V = 1");
}

/* Row i picks key 2 i: what comes out is that key's value. */
static void one_key_each(trial *x)
{
    bare(x);
    for (int64_t h = 0; h < 2; h++)
        for (int64_t j = 0; j < 75; j++)
            for (int64_t c = 0; c < 21; c++)
                put(x, "v", 0, h, j, c, (double)((j + 3 * h) * 2 + c % 2));
    put_row(x, "bias", 0, 0);
    for (int64_t i = 0; i < 37; i++)
        for (int64_t j = 0; j < 75; j++) put(x, "bias", 0, 0, i, j, j == 2 * i ? 0 : -500);
    trial_check(x, "one key each");
    for (int64_t h = 0; h < 4; h++)
        for (int64_t i = 0; i < 37; i++)
            for (int64_t c = 0; c < 21; c++)
                trial_assert(x,
                             get(x, "o", 0, h, i, c) == (double)((2 * i + 3 * (h / 2)) * 2 + c % 2),
                             "one key each");
}

static void move_keys(trial *x, const char *name, const int *order)
{
    double row[75];
    test_tensor *t = trial_tensor(x, name);
    bool pairs = strlen(name) > 1; /* of rows and keys */
    int64_t heads = pairs ? 37 : 2, columns = pairs ? 1 : t->shape[3];
    for (int64_t a = 0; a < heads; a++)
        for (int64_t c = 0; c < columns; c++) {
            for (int64_t j = 0; j < 75; j++)
                row[j] = pairs ? get(x, name, 0, 0, a, j) : get(x, name, 0, a, j, c);
            for (int64_t j = 0; j < 75; j++) {
                if (pairs)
                    put(x, name, 0, 0, a, j, row[order[j]]);
                else
                    put(x, name, 0, a, j, c, row[order[j]]);
            }
        }
}

static void moved_keys(trial *x)
{
    static const char *const moved[] = { "k", "v", "bias", "mask" };
    int order[75];
    for (int j = 0; j < 75; j++) order[j] = j * 29 % 75;
    trial_refill(x, 6);
    trial_check(x, "keys in order");
    test_tensor *o = trial_tensor(x, "o");
    double before[37 * 4 * 21], unit = dtype_unit_roundoff(o->type);
    for (int64_t k = 0; k < o->count; k++) before[k] = test_get(o, k);
    for (int k = 0; k < 4; k++) move_keys(x, moved[k], order);
    trial_check(x, "keys in another order");
    for (int64_t k = 0; k < o->count; k++)
        trial_assert(x, fabs(test_get(o, k) - before[k]) <= 8 * unit + 0x1p-18,
                     "keys in another order");
}

/* Numbers that a run gives in place of the problem's. */
static void other_scales(trial *x)
{
    static const double scales[] = { 0, -0.5, -0.0, 1e-30, 3 };
    for (int k = 0; k < 5; k++) {
        trial_refill(x, 7);
        x->t.args.scale = scales[k];
        trial_check(x, "a scale of the run");
    }
    bare(x);
    put(x, "k", 0, 0, 3, 1, HUGE_VAL);
    x->t.args.scale = 0;
    trial_check(x, "scale 0 times inf");
    x->t.args.scale = NAN;
}

static void contents(fg_context *context, const char *type)
{
    static void (*const all[])(trial *) = { hidden_rows,  minus_infinity_in_bias,
                                            bad_bias,     bad_query,
                                            bad_key,      bad_value,
                                            tiny_numbers, huge_logits,
                                            ones_in_v,    one_key_each,
                                            moved_keys,   other_scales };
    trial x;
    open_plain(&x, context, type);
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) all[k](&x);
    trial_close(&x);
}

START_TEST(contents_have_their_meaning)
{
    trial_on_all(contents, false);
}
END_TEST

/* ---- Keys that a block of rows does not see, beside ones that it does ---- */

static void block_causal(fg_context *context, const char *type)
{
    static const char *const configs[] = { "", "keys=48", "keys=96" };
    for (int k = 0; k < 3; k++) {
        trial x;
        trial_open(&x, context, configs[k],
                   "dtype=%s b=1 hq=2 sq=400 sk=400 d=24 scale=30 maskfn={j // 20 <= i // 100} lse",
                   type);
        trial_check(&x, "keys behind a block's last");
        trial_close(&x);
    }
}

START_TEST(hidden_keys_have_no_say)
{
    trial_on_all(block_causal, false);
}
END_TEST

/* ---- Softcap ---- */

static void softcaps(fg_context *context, const char *type)
{
    static const double caps[] = { 1e-30, 1e-3, 1, 50, 1e30, 3e38 };
    trial x;
    trial_open(&x, context, "keys=24",
               "dtype=%s b=1 hq=4 hkv=2 sq=37 sk=75 d=24 dv=21 softcap=20 lse", type);
    double most = trial_tensor(&x, "q")->type == DTYPE_f16 ? 6000 : 1e16;
    for (int k = 0; k < 6; k++)
        for (double size = 1; size <= most; size *= most) {
            trial_refill(&x, 8);
            scale_up(trial_tensor(&x, "q"), size);
            scale_up(trial_tensor(&x, "k"), size);
            x.t.args.softcap = caps[k];
            trial_check(&x, "softcap");
            trial_assert(&x, in_hull(&x), "softcap");
        }
    trial_close(&x);
}

START_TEST(softcap_holds_any_logit)
{
    trial_on_all(softcaps, true);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { contents_have_their_meaning, hidden_keys_have_no_say,
                             softcap_holds_any_logit, NULL };
    return support_run("edges", tests);
}
