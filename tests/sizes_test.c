/* Lengths of 0 and 1, depths from 1 to 512, windows of any width. */
/* ctest: shards=2 labels=slow */
#include "tests/support_trial.h"
#include "tests/support.h"

#include <stdio.h>
#include <string.h>

/* ---- Windows that a run gives ---- */

static void windows(fg_context *context, const char *type)
{
    static const int64_t sides[] = { -1, 0, 1, 13, 74, 75, 1000, INT64_MAX };
    trial x;
    trial_open(&x, context, "keys=24", "dtype=%s b=1 hq=2 sq=67 sk=75 d=8 window=9,5 lse", type);
    for (int a = 0; a < 8; a++)
        for (int b = 0; b < 8; b++) {
            x.t.args.window_left = sides[a];
            x.t.args.window_right = sides[b];
            trial_check(&x, "a window of the run");
        }
    trial_close(&x);
}

START_TEST(runs_may_change_the_window)
{
    trial_on_all(windows, true);
}
END_TEST

/* ---- Lengths ---- */

static void lengths(fg_context *context, const char *type)
{
    static const char *const variants[] = {
        "lse",
        "causal lse layout=bhsd",
        "causal=top-left window=2,2 softcap=5 alibi bias=BHQK mask=BHQK lse",
        "score={s + t[0] * u[3][h]} maskfn={w[j] < 9 or j > i} tensor=t:f32[sk] "
        "tensor=u:bf16[sq,hq] tensor=w:i32[sk] lse",
    };
    static const int sizes[][2] = { { 0, 5 }, { 5, 0 }, { 1, 1 }, { 1, 5 }, { 5, 1 } };
    for (int v = *type == 'b'; v < 4; v += 2)
        for (int n = 0; n < 5; n++) {
            trial x;
            trial_open(&x, context, NULL, "dtype=%s b=2 hq=4 hkv=2 sq=%d sk=%d d=7 dv=5 %s", type,
                       sizes[n][0], sizes[n][1], variants[v]);
            trial_check(&x, "lengths of 0 and 1");
            trial_close(&x);
        }
}

START_TEST(lengths_of_zero_and_one_are_right)
{
    trial_on_all(lengths, true);
}
END_TEST

/* ---- Depths ---- */

static void depths(fg_context *context, const char *type)
{
    static const int sizes[][2] = { { 1, 1 }, { 1, 512 }, { 512, 1 }, { 511, 2 }, { 3, 13 } };
    for (int k = 0; k < 10; k++) {
        trial x;
        trial_open(&x, context, NULL, "dtype=%s b=1 hq=1 sq=%d sk=61 d=%d dv=%d causal", type,
                   k % 2 ? 1 : 19, sizes[k / 2][0], sizes[k / 2][1]);
        trial_check(&x, "depths");
        trial_close(&x);
    }
}

START_TEST(every_depth_has_a_kernel)
{
    trial_on_all(depths, true);
}
END_TEST

/* ---- Long sums ---- */

/* Equal terms round alike, so errors add up instead of cancelling: worst where one sum runs over all keys. */
static void long_sums(fg_context *context, const char *type)
{
    trial x;
    trial_open(&x, context, "keys=64",
               "dtype=%s odtype=f32 b=1 hq=1 sq=16 sk=20000 d=8 scale=0 lse", type);
    test_fill(trial_tensor(&x, "v"), 0.1);
    trial_check(&x, "a long sum of equal values");
    trial_close(&x);
}

START_TEST(long_sums_stay_exact)
{
    trial_on_all(long_sums, true);
}
END_TEST

/* ---- Sums of any number of keys ---- */

/* Every product rounds to the same side: the first key has the row's maximum, the others are alike. */
static void alike(trial *x)
{
    test_tensor *k = trial_tensor(x, "k");
    test_fill(trial_tensor(x, "q"), 0.25);
    test_fill(trial_tensor(x, "v"), 0.1);
    test_fill(k, 0.1);
    for (int64_t d = 0; d < 8; d++) test_set(k, test_index(k, 0, 0, 0, d), 0.6);
}

/* A plan's config serves all sizes, however small or large its tiles are for them. `says`: what the problem says of
 * the 4 queries. */
static void any_number_of_keys(fg_context *context, const char *config, const char *says)
{
    static const int64_t all[] = { 64, 100, 128, 200, 1000, 70000, 400000 };
    trial x;
    trial_open(&x, context, config, "dtype=f32 b=1 hq=1 sq=%s sk=* d=8 lse", says);
    for (size_t n = 0; n < sizeof all / sizeof *all; n++) {
        char what[64];
        const test_sizes sizes = { .b = 1, .sq = 4, .sk = all[n] };
        snprintf(what, sizeof what, "%d keys", (int)all[n]);
        trial_resize(&x, &sizes);
        alike(&x);
        trial_check(&x, what);
    }
    trial_close(&x);
}

static void sums_of_any_length(fg_context *context, const char *type)
{
    static const int keys[] = { 16, 96, 256 }, decode_keys[] = { 16, 128 };
    char config[128];
    (void)type;
    int isa = 0;
    while (strcmp(isa_names[isa], context->device.isa->name) != 0) isa++;
    for (int k = 0; k < 3; k++) {
        snprintf(config, sizeof config,
                 "blocks=1 dot=0 keys=%d lanes=%d mk=8 mv=8 order=heads vectors=1", keys[k],
                 isa_lanes[isa]);
        any_number_of_keys(context, config, "*");
    }
    for (int k = 0; k < 2; k++) {
        snprintf(config, sizeof config, "ahead=1 heads=1 keys=%d mk=1 mr=4 mv=1 rows=4 splits=1",
                 decode_keys[k]);
        any_number_of_keys(context, config, "4");
    }
}

START_TEST(sums_of_any_length_stay_exact)
{
    trial_on_all(sums_of_any_length, true);
}
END_TEST

/* The first rows of a causal problem see less than a tile. */
START_TEST(sums_of_some_keys_stay_exact)
{
    trial x;
    fg_context *context = test_context(0, 2);
    trial_open(&x, context, "keys=256",
               "dtype=f32 b=1 hq=1 sq=300 sk=65536 d=8 lse causal=top-left");
    alike(&x);
    trial_check(&x, "rows of few keys");
    trial_close(&x);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { runs_may_change_the_window,
                             lengths_of_zero_and_one_are_right,
                             every_depth_has_a_kernel,
                             long_sums_stay_exact,
                             sums_of_any_length_stay_exact,
                             sums_of_some_keys_stay_exact,
                             NULL };
    return support_run("sizes", tests);
}
