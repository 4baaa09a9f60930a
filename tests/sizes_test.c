/* Lengths of 0 and 1, depths from 1 to 512, windows of any width. */
/* ctest: shards=2 labels=slow */
#include "tests/support_trial.h"
#include "tests/support.h"

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

int main(void)
{
    const TTest *tests[] = { runs_may_change_the_window, lengths_of_zero_and_one_are_right,
                             every_depth_has_a_kernel, long_sums_stay_exact, NULL };
    return support_run("sizes", tests);
}
