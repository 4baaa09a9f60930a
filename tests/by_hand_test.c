/* A feature and the same text written by hand give the same bits; kernels that differ in their text alone
 * stay themselves. */
/* ctest: labels=slow */
#include "tests/support_trial.h"
#include "tests/support.h"

/* ---- A feature, and its text by hand ---- */

typedef struct pair {
    const char *feature, *by_hand;
    const char *tensor, *written; /* the feature's tensor, and what it is called by hand */
} pair;

static const pair pairs[] = {
    { "alibi", "score={s - t[h] * abs(i + sk - sq - j)} tensor=t:f32[hq]", "slopes", "t" },
    { "alibi causal=top-left", "score={s - t[h] * abs(i - j)} tensor=t:f32[hq] causal=top-left",
      "slopes", "t" },
    { "causal", "maskfn={j <= i + sk - sq}", NULL, NULL },
    { "causal=top-left", "maskfn={i >= j}", NULL, NULL },
    { "window=50,10", "maskfn={j >= i + sk - sq - 50 and j <= i + sk - sq + 10}", NULL, NULL },
    { "window=64,0 causal", "maskfn={j <= i + sk - sq and i + sk - sq - j <= 64}", NULL, NULL },
    { "softcap=20", "score={20 * tanh(s / 20)}", NULL, NULL },
    { "bias=1HQK:f32", "score={s + u[h][i][j]} tensor=u:f32[hq,sq,sk]", "bias", "u" },
    { "bias=B1Q1:bf16", "score={s + u[b][i]} tensor=u:bf16[b,sq]", "bias", "u" },
    { "mask=B11K", "maskfn={m[b][j] ~= 0} tensor=m:u8[b,sk]", "mask", "m" },
    { "softcap=20 alibi causal",
      "score={function(s, b, h, i, j) local c = 20 * tanh(s / 20); return c - t[h] * abs(i + sk - "
      "sq - j) end} "
      "maskfn={not (j > i + sk - sq)} tensor=t:f32[hq]",
      "slopes", "t" },
};

static void copy_tensor(trial *from, const char *name, trial *to, const char *written)
{
    const test_tensor *source = trial_tensor(from, name);
    test_tensor *target = trial_tensor(to, written);
    ck_assert_int_eq(source->count, target->count);
    for (int64_t k = 0; k < source->count; k++) test_set(target, k, test_get(source, k));
}

static void compare(fg_context *context, const pair *p, const char *type)
{
    static const char *const same[] = { "q", "k", "v" };
    static const char line[] = "dtype=%s b=2 hq=3 sq=101 sk=150 d=20 lse %s";
    trial feature, by_hand;
    trial_open(&feature, context, "keys=48", line, type, p->feature);
    trial_open(&by_hand, context, trial_config(&feature), line, type, p->by_hand);
    for (int k = 0; k < 3; k++) copy_tensor(&feature, same[k], &by_hand, same[k]);
    if (p->tensor) copy_tensor(&feature, p->tensor, &by_hand, p->written);
    trial_check(&feature, "a feature");
    trial_check(&by_hand, "by hand");
    ck_assert_msg(trials_equal(&feature, &by_hand),
                  "%s and %s differ in bits: isa=%s dtype=%s config='%s'", p->feature, p->by_hand,
                  feature.isa, type, trial_config(&feature));
    trial_close(&feature);
    trial_close(&by_hand);
}

START_TEST(features_by_hand_give_the_same_bits)
{
    static const char *const types[] = { "f32", "f16", "bf16" };
    int turn = 0;
    for (int isa = 0; isa < isa_count; isa++) {
        fg_context *context = test_context(isa, 2);
        for (size_t k = (size_t)isa % 2; k < sizeof pairs / sizeof *pairs && context; k += 2)
            compare(context, &pairs[k], types[turn++ % 3]);
        fg_context_free(context);
    }
}
END_TEST

/* ---- Kernels beside each other ---- */

START_TEST(kernels_of_one_process_stay_themselves)
{
    enum { count = 24 };
    trial x[count];
    fg_context *context = test_context(0, 2);
    for (int k = 0; k < count; k++)
        trial_open(&x[k], context, "keys=24",
                   "dtype=f32 b=1 hq=1 sq=5 sk=40 d=8 score={s * %d + j %% %d}", k % 3 - 1, k + 2);
    for (int round = 0; round < 2; round++)
        for (int k = count - 1; k >= 0; k--) trial_check(&x[k], "a kernel beside others");
    for (int k = 0; k < count; k += 2) trial_close(&x[k]);
    for (int k = 1; k < count; k += 2) trial_check(&x[k], "a kernel whose neighbours are gone");
    for (int k = 1; k < count; k += 2) trial_close(&x[k]);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { features_by_hand_give_the_same_bits,
                             kernels_of_one_process_stay_themselves, NULL };
    return support_run("by_hand", tests);
}
