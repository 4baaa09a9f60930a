/* CUDA kernels run by this processor, a fiber for each thread of a block (tests/cuda_host), against the reference: what
 * they compute, on machines without a GPU too. */
/* ctest: shards=2 labels=slow */
#include "tests/emulated.h"
#include "tests/support_sweep.h"

/* Multiply-adds of a problem that is run: 32 lanes of a warp come one after the other. */
enum { most_work = 4000000 };

START_TEST(problems_by_hand_are_right)
{
    static const case_by_hand all[] = {
        { "rows=32 warps=4 stages=2 held=0", "dtype=bf16 b=1 hq=1 sq=200 sk=150 d=64 causal lse" },
        { "held=0 warps=4 rows=16 stages=2", "dtype=f16 b=1 hq=2 sq=200 sk=100 d=64 causal lse" },
        { "rows=32 warps=2 stages=4 keys=32", "dtype=f16 b=1 hq=2 sq=100 sk=333 d=128 lse" },
        { "rows=16 warps=2 stages=3 keys=48",
          "dtype=bf16 b=1 hq=2 sq=70 sk=200 d=128 causal window=40,0 lse" },
        { "stages=1", "dtype=f16 b=1 hq=1 sq=40 sk=100 d=512 lse" },
        { "parts=2", "dtype=bf16 b=1 hq=1 sq=40 sk=100 d=300 dv=512 lse" },
        { "splits=4 held=0",
          "dtype=bf16 b=1 hq=8 hkv=2 sq=3 sk=700 d=64 causal lse sinks dropout=0.2" },
        { "splits=2 held=0", "dtype=bf16 b=3 hq=4 hkv=2 sq=3 sk=600 d=40 lens=packed page=16 lse" },
        { "test=int", "dtype=bf16 b=1 hq=2 sq=50 sk=150 d=64 causal lse" },
        { "rows=32 keys=32", "dtype=bf16 b=1 hq=2 sq=150 sk=190 d=64 alibi causal lse" },
        { "rows=16 keys=48", "dtype=f16 b=1 hq=2 sq=90 sk=250 d=64 alibi lse" },
        { "keys=32", "dtype=bf16 b=1 hq=2 sq=90 sk=128 d=32 alibi window=50,90 softcap=3 lse" },
        { "keys=16", "dtype=f16 b=1 hq=2 sq=70 sk=96 d=32 alibi bias=1HQK lse shard causal" },
        { "keys=32 rows=32", "dtype=bf16 b=1 hq=2 sq=128 sk=128 d=32 causal lse "
                             "tensor=t:f32[hq] score={s + t[h] * (i - j)}" },
        { "share=2 keys=64", "dtype=bf16 b=1 hq=1 sq=70 sk=260 d=160 alibi causal lse" },
        { "keys=32", "dtype=f32 b=1 hq=2 sq=70 sk=128 d=32 alibi causal sinks lse" },
        { "rows=16 keys=16 warps=1",
          "dtype=bf16 b=1 hq=1 sq=40 sk=96 d=32 lse score={s + 10 * floor(j / 41)}" },
        { "keys=16", "dtype=bf16 b=1 hq=1 sq=40 sk=70 d=32 window=5,5 scale=0 sinks lse" },
        { "share=2 keys=32",
          "dtype=f16 b=1 hq=1 sq=40 sk=70 d=160 window=5,5 scale=1e-40 sinks lse" },
        { "test=float", "dtype=bf16 b=1 hq=2 sq=50 sk=150 d=64 scale=-0.3 lse" },
        { "held=2 warps=2", "dtype=f16 b=1 hq=2 sq=50 sk=90 d=64 causal scale=-0.3 lse" },
        { "share=2 keys=64", "dtype=bf16 b=1 hq=1 sq=70 sk=150 d=256 causal scale=-0.1 lse" },
        { "stages=1", "dtype=f32 b=1 hq=2 sq=40 sk=70 d=34 align=2 causal scale=-0.2 lse" },
        { "pack=1",
          "dtype=bf16 b=2 hq=6 hkv=2 sq=40 sk=90 d=32 causal alibi bias=1HQK:f32 lse lens=padded" },
        { "share=2 keys=64", "dtype=bf16 b=1 hq=2 sq=70 sk=180 d=256 causal lse dropout=0.1" },
        { "share=2 keys=32",
          "dtype=f16 b=1 hq=4 hkv=2 sq=70 sk=180 d=160 causal window=60,0 sinks lse" },
        { "section=8", "dtype=bf16 b=3 hq=5 sq=70 sk=40 d=32 causal=top-left lse" },
        { "", "dtype=f32 b=1 hq=2 sq=70 sk=100 d=36 dv=20 align=2 causal lse softcap=20" },
        { "rows=32 warps=1 keys=32", "dtype=f32 b=1 hq=3 hkv=1 sq=31 sk=57 d=22 causal=top-left "
                                     "align=2 dropout=0.1 lse shard" },
        { "", "dtype=f32 b=2 hq=6 hkv=2 sq=37 sk=57 d=22 dropout=0.3 sinks lse align=1 shard" },
        { "pack=1 splits=2",
          "dtype=f16 b=2 hq=6 hkv=2 sq=3 sk=300 d=24 dropout=0.3 sinks align=1 shard" },
        { "share=2 keys=64", "dtype=bf16 b=1 hq=2 sq=40 sk=90 d=256 causal lse dropout=0.1 shard" },
        { "", "dtype=f32 kvdtype=bf16 odtype=f16 b=1 hq=2 sq=70 sk=100 d=33 align=1 lse" },
    };
    emulated_check_all("sm_80", "emulated_cuda_mma", all, sizeof all / sizeof *all);
}
END_TEST

START_TEST(decoding_by_hand_is_right)
{
    static const case_by_hand all[] = {
        { "splits=1 warps=2", "dtype=bf16 b=2 hq=8 hkv=2 sq=1 sk=333 d=128 lse" },
        { "splits=4 warps=2 keys=16", "dtype=f16 b=1 hq=8 hkv=2 sq=1 sk=700 d=64 lse" },
        { "splits=16 warps=1 stages=2", "dtype=bf16 b=1 hq=4 hkv=1 sq=1 sk=1024 d=64 lse" },
        { "splits=24 warps=1 keys=16", "dtype=f16 b=1 hq=2 sq=1 sk=600 d=256 dv=40 lse sinks" },
        { "warps=4 stages=3",
          "dtype=bf16 b=1 hq=8 hkv=2 sq=3 sk=700 d=64 causal lse sinks dropout=0.2" },
        { "rows=32", "dtype=bf16 b=1 hq=8 hkv=1 sq=4 sk=200 d=80 dv=72 causal window=70,0 lse" },
        { "splits=3", "dtype=bf16 b=3 hq=4 hkv=2 sq=3 sk=600 d=40 lens=packed page=16 lse" },
        { "keys=32 splits=2",
          "dtype=f16 b=3 hq=4 hkv=2 sq=2 sk=500 d=64 lens=padded page=64 lse sinks" },
        { "keys=32", "dtype=f16 b=2 hq=4 hkv=2 sq=2 sk=500 d=48 lens=padded page=10 align=4 lse" },
        { "splits=6 warps=1",
          "dtype=bf16 b=2 hq=6 hkv=2 sq=5 sk=390 d=34 dv=18 align=4 alibi softcap=8 lse" },
        { "", "dtype=bf16 b=1 hq=2 sq=13 sk=150 d=64 scale=-0.3 lse causal=top-left" },
        { "warps=1", "dtype=bf16 b=1 hq=2 sq=16 sk=70 d=32 window=5,5 scale=0 sinks lse" },
        { "warps=2",
          "dtype=f16 b=2 hq=6 hkv=2 sq=4 sk=90 d=32 causal alibi bias=1HQK:f32 lse lens=padded" },
        { "splits=2 warps=2", "dtype=bf16 b=2 hq=4 hkv=2 sq=2 sk=200 d=32 mask=BHQK lse" },
        { "splits=4 warps=1", "dtype=f16 b=2 hq=4 hkv=2 sq=3 sk=300 d=64 maskfn={j % 7 ~= h and j "
                              "< 40 * (h + 3)} lse" },
        { "splits=2 warps=1",
          "dtype=f16 b=2 hq=6 hkv=2 sq=3 sk=300 d=24 dropout=0.3 sinks align=4 shard lse" },
        { "", "dtype=f16 odtype=f32 b=2 hq=4 sq=3 sk=0 d=64 lse sinks" },
    };
    emulated_check_all("sm_80", "emulated_cuda_decode", all, sizeof all / sizeof *all);
}
END_TEST

/* One kernel for all sizes: it is right for those that it is not chosen for. */
static void check_sizes(fg_context *context, int heads)
{
    static const test_sizes sizes[] = { { .b = 1, .sq = 1, .sk = 700 },
                                        { .b = 3, .sq = 5, .sk = 64 },
                                        { .b = 2, .sq = 20, .sk = 1 },
                                        { .b = 1, .sq = 0, .sk = 9 },
                                        { .b = 2, .sq = 3, .sk = 0 } };
    trial x;
    trial_open(&x, context, "held=1 keys=16 rows=16 splits=4 stages=3 warps=2",
               "dtype=bf16 b=* hq=%d hkv=2 sq=* sk=* d=32 causal lse sinks dropout=0.2", heads);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        test_sizes z = sizes[k];
        test_sizes_settle(&z, x.handle->problem);
        trial_resize(&x, &z);
        trial_check(&x, "of another size");
    }
    trial_close(&x);
}

START_TEST(decoding_knows_all_sizes)
{
    if (!emulated_serves()) return;
    fg_context *context = emulated_context("sm_80");
    check_sizes(context, 6);
    check_sizes(context, 16); /* rows may be more than an int counts */
    fg_context_free(context);
}
END_TEST

/* Blocks that share keys are counted in a workspace that holds anything, what the run before left too. */
START_TEST(any_workspace_serves)
{
    static const int contents[] = { -1, 0, 1, 2, 3, 0x80 };
    trial x;
    fg_error error;
    fg_check_report report;
    if (!emulated_serves()) return;
    fg_context *context = emulated_context("sm_80");
    trial_open(&x, context, "splits=4 warps=1 keys=16 stages=2",
               "dtype=bf16 b=2 hq=4 hkv=2 sq=2 sk=150 d=32 causal lse sinks");
    trial_check(&x, "of NaN");
    for (size_t k = 0; k < sizeof contents / sizeof *contents; k++) {
        int32_t *words = x.t.args.workspace;
        for (size_t w = 0; w < x.t.args.workspace_bytes / sizeof *words && contents[k] >= 0; w++)
            words[w] = contents[k];
        trial_refill(&x, k + 2);
        ck_assert_msg(fg_run(x.plan, &x.t.args, &error) == FG_OK, "%s", error.text);
        ck_assert_msg(fg_check(context, x.handle, &x.t.args, NULL, &report, &error) == FG_OK,
                      "%d: %s", contents[k], error.text);
    }
    trial_close(&x);
    fg_context_free(context);
}
END_TEST

/* What rounds to infinity as a tf32 is split all the same. */
START_TEST(largest_numbers_are_right)
{
    trial x;
    if (!emulated_serves()) return;
    fg_context *context = emulated_context("sm_80");
    trial_open(&x, context, "", "dtype=f32 b=1 hq=1 sq=20 sk=30 d=16 lse");
    test_fill(trial_tensor(&x, "q"), 0x1.ffffp127);
    test_fill(trial_tensor(&x, "k"), 0x1p-126);
    trial_check(&x, "emulated");
    trial_close(&x);
    fg_context_free(context);
}
END_TEST

/* Logits that are so large that a rounded peak would be far off the largest: those of masks by bias, too. */
START_TEST(huge_logits_are_right)
{
    static const char *const problems[] = {
        "dtype=f16 b=1 hq=2 sq=20 sk=90 d=32 bias=11QK:f32 lse",
        "dtype=bf16 b=1 hq=2 sq=2 sk=90 d=32 bias=11QK:f32 lse sinks",
        "dtype=f32 b=1 hq=2 sq=20 sk=90 d=32 bias=11QK:f32 lse",
        "dtype=bf16 b=1 hq=1 sq=40 sk=140 d=160 bias=11QK:f32 lse",
        "dtype=bf16 b=1 hq=1 sq=70 sk=160 d=32 bias=11QK:f32 alibi causal lse",
    };
    static const float biases[] = { -1e9f, -1e30f, 1e9f };
    if (!emulated_serves()) return;
    fg_context *context = emulated_context("sm_80");
    for (size_t k = 0; k < sizeof problems / sizeof *problems; k++)
        for (int n = 0; n < 6; n++) {
            trial x;
            trial_open(&x, context, "", "%s", problems[k]);
            test_tensor *bias = trial_tensor(&x, "bias");
            for (int64_t at = 0; at < bias->count; at++)
                test_set(bias, at, n >= 3 || at % bias->shape[3] < 40 ? biases[n % 3] : 0);
            trial_check(&x, "emulated");
            trial_close(&x);
        }
    fg_context_free(context);
}
END_TEST

/* Where a large logit comes late, what a row rises by is not rounded as its level is. */
START_TEST(late_logits_are_right)
{
    static const struct {
        const char *problem;
        float bias;
    } all[] = {
        { "dtype=f32 b=1 hq=4 sq=170 sk=160 d=32 bias=11QK:f32 lse", 45440 },
        { "dtype=f32 b=1 hq=4 sq=170 sk=160 d=32 bias=11QK:f32 lse", 726900 },
        { "dtype=f32 b=1 hq=4 sq=170 sk=160 d=32 bias=11QK:f32 alibi lse", 727100 },
        { "dtype=f32 b=1 hq=4 sq=170 sk=160 d=32 bias=11QK:f32 alibi lse", 363440 },
    };
    if (!emulated_serves()) return;
    fg_context *context = emulated_context("sm_80");
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        trial x;
        trial_open(&x, context, "rows=16 keys=16", "%s", all[k].problem);
        test_tensor *bias = trial_tensor(&x, "bias");
        for (int64_t at = 0; at < bias->count; at++)
            test_set(bias, at, at % bias->shape[3] == 50 ? all[k].bias : 0);
        trial_check(&x, "emulated");
        trial_close(&x);
    }
    fg_context_free(context);
}
END_TEST

START_TEST(documents_are_right)
{
    static const case_by_hand all[] = {
        { "stages=1", "dtype=bf16 b=1 hq=1 sq=40 sk=400 d=512" EMULATED_OF_EACH },
        { "stages=2 keys=32 warps=4 rows=16",
          "dtype=bf16 b=1 hq=2 sq=200 sk=400 d=32" EMULATED_OF_EACH },
        { "stages=3 keys=16 warps=4 rows=32",
          "dtype=f16 b=1 hq=1 sq=390 sk=401 d=16" EMULATED_OF_EACH },
        { "stages=4 keys=16 warps=8 rows=16",
          "dtype=f16 b=1 hq=1 sq=300 sk=410 d=16" EMULATED_OF_EACH },
        { "stages=4 keys=48 warps=1 rows=16",
          "dtype=bf16 b=1 hq=1 sq=70 sk=400 d=16" EMULATED_OF_EACH },
        { "splits=4 keys=16 warps=2 rows=16 stages=2",
          "dtype=bf16 b=2 hq=2 sq=40 sk=512 d=16" EMULATED_OF_SEQUENCES },
        { "splits=2 keys=16 stages=3",
          "dtype=bf16 b=1 hq=4 hkv=2 sq=20 sk=400 d=16 dropout=0.2 sinks" EMULATED_OF_HEADS },
        { "stages=2 keys=32",
          "dtype=bf16 b=3 hq=2 sq=90 sk=380 d=16 lens=padded" EMULATED_OF_SEQUENCES },
        { "stages=3 keys=16", "dtype=f16 b=3 hq=2 hkv=1 sq=90 sk=380 d=16 lens=packed page=16 "
                              "causal" EMULATED_OF_SEQUENCES },
        { "stages=4 keys=16 warps=2", "dtype=bf16 b=2 hq=2 sq=90 sk=380 d=16 page=7 lens=padded "
                                      "window=150,90" EMULATED_OF_SEQUENCES },
        { "keys=16 warps=4", "dtype=bf16 b=* hq=2 sq=* sk=* d=16 causal" EMULATED_OF_SEQUENCES },
        { "stages=2 keys=16",
          "dtype=bf16 b=1 hq=2 sq=90 sk=380 d=16 shard dropout=0.1" EMULATED_OF_HEADS },
        { "stages=2 keys=32 test=int",
          "dtype=bf16 b=1 hq=2 sq=90 sk=380 d=128 causal=top-left scale=-0.2" EMULATED_OF_EACH },
        { "", "dtype=f32 b=1 hq=1 sq=90 sk=380 d=20 align=4 causal dropout=0.3" EMULATED_OF_EACH },
        { "", "dtype=f32 kvdtype=f16 b=1 hq=1 sq=90 sk=380 d=20 alibi softcap=9" EMULATED_OF_EACH },
    };
    int shard, shards;
    support_shard(&shard, &shards);
    if (!emulated_serves()) return;
    fg_context *context = emulated_context("sm_80");
    for (int k = shard; k < (int)(sizeof all / sizeof *all); k += shards)
        emulated_check_documents(context, &all[k]);
    fg_context_free(context);
}
END_TEST

/* ---- Drawn problems ---- */

START_TEST(drawn_problems_are_right)
{
    emulated_check_drawn("emulated", "sm_80", 20261122, most_work, support_sweep() / 5);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { problems_by_hand_are_right, decoding_by_hand_is_right,
                             documents_are_right,        decoding_knows_all_sizes,
                             any_workspace_serves,       huge_logits_are_right,
                             late_logits_are_right,      largest_numbers_are_right,
                             drawn_problems_are_right,   NULL };
    return support_run("cuda_emulated", tests);
}
