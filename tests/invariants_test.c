/* What must hold of dropout, sinks and lengths, told without the reference. */
/* ctest: shards=2 labels=slow */
#include "runtime/reference_philox.h"
#include "tests/support_trial.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { batch = 2, heads = 4, rows = 37, keys = 75, columns = 21 };

#define SHAPE "b=2 hq=4 hkv=2 sq=37 sk=75 d=24 "

static double get(trial *x, const char *name, int64_t b, int64_t h, int64_t s, int64_t c)
{
    test_tensor *t = trial_tensor(x, name);
    return test_get(t, test_index(t, b, h, s, c));
}

static void put(trial *x, const char *name, int64_t b, int64_t h, int64_t s, int64_t c,
                double value)
{
    test_tensor *t = trial_tensor(x, name);
    test_set(t, test_index(t, b, h, s, c), value);
}

/* Runs body(b, h, i) of every row. */
#define EACH_ROW(b, h, i)                                                                          \
    for (int64_t b = 0; b < batch; b++)                                                            \
        for (int64_t h = 0; h < heads; h++)                                                        \
            for (int64_t i = 0; i < rows; i++)

/* ---- Dropout ---- */

static const struct {
    uint64_t seed, offset;
    double probability;
} draws[] = {
    { 0, 0, 0.5 },
    { UINT64_C(0x123456789abcdef0), UINT64_C(0xfedcba9876543210), 0.1 },
    { UINT64_C(0xffffffff00000000), 1, 0.9 },
    { 1, UINT64_C(0xffffffff00000000), 0.3 },
};

static void seed(trial *x, size_t draw)
{
    x->t.args.seed = draws[draw].seed;
    x->t.args.offset = draws[draw].offset;
    x->t.args.dropout = draws[draw].probability;
}

/* Each key has a column of its own, and all weigh the same: o is the mask. */
static void mask_of_dropout(fg_context *context, const char *type)
{
    trial x;
    trial_open(&x, context, "keys=24", "dtype=%s " SHAPE "dv=75 dropout=0.1 odtype=f32 lse", type);
    test_fill(trial_tensor(&x, "q"), 0);
    test_tensor *v = trial_tensor(&x, "v");
    for (int64_t k = 0; k < v->count; k++) {
        int64_t c = k % keys, j = k / keys / (heads / 2) % keys;
        test_set(v, k, c == j);
    }
    for (size_t draw = 0; draw < sizeof draws / sizeof *draws; draw++) {
        seed(&x, draw);
        const reference_dropout d = { draws[draw].seed, draws[draw].offset,
                                      (int64_t)floor(draws[draw].probability * 65536 + 0.5) };
        double kept = (double)reference_dropout_scale(&d) / keys;
        trial_run(&x);
        EACH_ROW(b, h, i)
        {
            trial_assert(&x, fabs(get(&x, "lse", b, h, i, 0) - log(keys)) < 1e-5, "lse");
            for (int64_t j = 0; j < keys; j++) {
                double o = get(&x, "o", b, h, i, j);
                if (reference_keeps(&d, b * heads + h, i, j))
                    trial_assert(&x, fabs(o - kept) < 0.01 * kept, "a weight that is kept");
                else
                    trial_assert(&x, o == 0, "a weight that is dropped");
            }
        }
    }
    trial_close(&x);
}

START_TEST(each_weight_is_kept_or_dropped_as_drawn)
{
    trial_on_all(mask_of_dropout, false);
}
END_TEST

/* V = 1 gives the share that is kept: multiples of 1 / (n (1 - p)), on average 1. */
static void kept_share(fg_context *context, const char *type)
{
    trial x;
    double sum = 0, n = batch * heads * rows, share = 1 - floor(0.3 * 65536 + 0.5) / 65536;
    trial_open(&x, context, NULL, "dtype=%s " SHAPE "dv=21 dropout=0.3 odtype=f32", type);
    test_fill(trial_tensor(&x, "q"), 0);
    test_fill(trial_tensor(&x, "v"), 1);
    trial_check(&x, "V = 1 with dropout");
    EACH_ROW(b, h, i)
    {
        double o = get(&x, "o", b, h, i, 0), kept = o * keys * share;
        trial_assert(&x, fabs(kept - round(kept)) < 1e-3, "whole weights are kept");
        for (int64_t c = 1; c < columns; c++)
            trial_assert(&x, get(&x, "o", b, h, i, c) == o, "all columns have the same weights");
        sum += o;
    }
    double sigma = sqrt((1 - share) / share / (n * keys));
    trial_assert(&x, fabs(sum / n - 1) < 5 * sigma + 0.005, "on average nothing is lost");
    trial_close(&x);
}

START_TEST(ones_give_the_kept_share)
{
    trial_on_all(kept_share, false);
}
END_TEST

/* p = 0 is no dropout, p = 1 gives 0; the log-sum-exp knows of neither. */
static void no_dropout(fg_context *context, const char *type)
{
    trial with, without;
    trial_open(&with, context, "keys=24", "dtype=%s " SHAPE "dv=21 causal dropout=0 lse", type);
    trial_open(&without, context, trial_config(&with), "dtype=%s " SHAPE "dv=21 causal lse", type);
    trial_run(&with);
    trial_run(&without);
    trial_assert(&with, trials_equal(&with, &without), "p = 0");
    with.t.args.dropout = 1;
    trial_run(&with);
    EACH_ROW(b, h, i)
    {
        for (int64_t c = 0; c < columns; c++)
            trial_assert(&with, get(&with, "o", b, h, i, c) == 0, "p = 1");
        trial_assert(&with, get(&with, "lse", b, h, i, 0) == get(&without, "lse", b, h, i, 0),
                     "lse of p = 1");
    }
    trial_close(&with);
    trial_close(&without);
}

START_TEST(ends_of_dropout)
{
    trial_on_all(no_dropout, false);
}
END_TEST

/* ---- Sinks ---- */

static void sinks_that_weigh_nothing(fg_context *context, const char *type)
{
    trial with, without;
    trial_open(&with, context, "keys=24", "dtype=%s " SHAPE "dv=21 mask=11QK sinks lse", type);
    trial_open(&without, context, trial_config(&with), "dtype=%s " SHAPE "dv=21 mask=11QK lse",
               type);
    test_fill(trial_tensor(&with, "sinks"), -HUGE_VAL);
    for (int64_t j = 0; j < keys; j++) {
        put(&with, "mask", 0, 0, 9, j, 0);
        put(&without, "mask", 0, 0, 9, j, 0);
    }
    trial_run(&with);
    trial_run(&without);
    trial_assert(&with, trials_equal(&with, &without), "sinks of -inf");
    trial_assert(&with, get(&with, "lse", 0, 0, 9, 0) == -HUGE_VAL, "sinks of -inf, all hidden");
    trial_close(&with);
    trial_close(&without);
}

/* Rows that see no key have the sink alone; a sink far above all keys takes nearly all weight. */
static void sinks_alone(fg_context *context, const char *type)
{
    trial x;
    trial_open(&x, context, "keys=24", "dtype=%s " SHAPE "dv=21 mask=11QK sinks lse", type);
    const double logits[heads] = { 0, -3.5, 40, -1000 };
    for (int64_t h = 0; h < heads; h++) test_set(trial_tensor(&x, "sinks"), h, logits[h]);
    for (int64_t i = 0; i < rows; i += 3)
        for (int64_t j = 0; j < keys; j++) put(&x, "mask", 0, 0, i, j, 0);
    trial_check(&x, "sinks");
    EACH_ROW(b, h, i)
    {
        double lse = get(&x, "lse", b, h, i, 0);
        if (i % 3 == 0)
            trial_assert(&x, fabs(lse - logits[h]) <= 0x1p-24 * (fabs(logits[h]) + 4),
                         "lse of a sink alone");
        if (h == 2) trial_assert(&x, fabs(lse - 40) < 1e-4, "lse of a sink far above");
        for (int64_t c = 0; c < columns; c++) {
            double o = get(&x, "o", b, h, i, c);
            if (i % 3 == 0) trial_assert(&x, o == 0, "o of a sink alone");
            if (h == 2) trial_assert(&x, fabs(o) < 1e-9, "o of a sink far above");
        }
    }
    trial_close(&x);
}

static void sinks(fg_context *context, const char *type)
{
    sinks_that_weigh_nothing(context, type);
    sinks_alone(context, type);
}

START_TEST(sinks_weigh_as_a_key_without_value)
{
    trial_on_all(sinks, false);
}
END_TEST

/* ---- Lengths ---- */

/* Of every pair of lengths that tiles may mistake; o and lse behind them are as of rows that see nothing. */
static void lengths(fg_context *context, const char *type)
{
    static const int64_t some[][2] = { { 0, 0 },   { 0, 75 },  { 37, 0 },  { 1, 1 },
                                       { 16, 24 }, { 17, 25 }, { 36, 74 }, { 37, 75 } };
    trial x;
    trial_open(&x, context, "keys=24", "dtype=%s " SHAPE "dv=21 lens=padded lse", type);
    for (size_t k = 0; k < sizeof some / sizeof *some; k++) {
        test_sizes z;
        test_sizes_whole(&z, x.handle->problem);
        z.q_len[0] = some[k][0];
        z.k_len[0] = some[k][1];
        test_sizes_settle(&z, x.handle->problem);
        trial_resize(&x, &z);
        trial_check(&x, "lengths");
        EACH_ROW(b, h, i)
        {
            bool seen = b == 1 || (i < some[k][0] && some[k][1] > 0);
            trial_assert(&x, seen == (get(&x, "lse", b, h, i, 0) > -HUGE_VAL), "lse of lengths");
            for (int64_t c = 0; c < columns && !seen; c++)
                trial_assert(&x, get(&x, "o", b, h, i, c) == 0, "o of lengths");
        }
    }
    trial_close(&x);
}

START_TEST(nothing_is_behind_a_length)
{
    trial_on_all(lengths, false);
}
END_TEST

/* A number that is none spoils the rows of its own sequence alone. */
static void one_bad_sequence(fg_context *context, const char *type)
{
    static const char *const lens[] = { "lens=packed", "lens=packed page=16", "page=16" };
    for (size_t k = 0; k < sizeof lens / sizeof *lens; k++) {
        trial x;
        trial_open(&x, context, "keys=24", "dtype=%s " SHAPE "dv=21 lse %s", type, lens[k]);
        bool paged = x.handle->problem->page, packed = x.handle->problem->lens == LENS_packed;
        int64_t at = paged ? (int64_t)test_get(trial_tensor(&x, "block_table"), 4) : 0;
        put(&x, "k", at, 1, paged ? 10 : 74, 3, NAN);
        trial_check(&x, "NaN in one sequence");
        EACH_ROW(b, h, i)
        {
            int64_t place = packed ? b * rows + i : i;
            bool bad = b == 0 && h >= heads / 2;
            trial_assert(&x, isnan(get(&x, "lse", b, h, place, 0)) == bad, lens[k]);
            trial_assert(&x, isnan(get(&x, "o", b, h, place, 7)) == bad, lens[k]);
        }
        trial_close(&x);
    }
}

START_TEST(sequences_do_not_mix)
{
    trial_on_all(one_bad_sequence, true);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { each_weight_is_kept_or_dropped_as_drawn,
                             ones_give_the_kept_share,
                             ends_of_dropout,
                             sinks_weigh_as_a_key_without_value,
                             nothing_is_behind_a_length,
                             sequences_do_not_mix,
                             NULL };
    return support_run("invariants", tests);
}
