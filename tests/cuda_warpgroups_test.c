/* Schedule cuda_wgmma, for GPUs of compute capability 9.0, run by this processor (tests/cuda_host). */
/* ctest: shards=2 labels=slow */
#include "tests/emulated.h"
#include "tests/support_sweep.h"

/* Multiply-adds of a problem that is run: its tiles have 64 rows and 64 keys or more. */
enum { most_work = 8000000 };

START_TEST(problems_by_hand_are_right)
{
    static const case_by_hand all[] = {
        { "groups=2 keys=64 turns=1", "dtype=bf16 b=1 hq=1 sq=200 sk=333 d=64 lse" },
        { "groups=1 keys=64", "dtype=f16 b=1 hq=2 sq=200 sk=150 d=64 causal lse" },
        { "groups=2 keys=80 turns=0", "dtype=bf16 b=1 hq=1 sq=150 sk=200 d=128 causal lse" },
        { "groups=3 keys=64 turns=1", "dtype=f16 b=1 hq=1 sq=200 sk=333 d=128 lse" },
        { "groups=2 keys=96 stages=3", "dtype=bf16 b=1 hq=2 sq=70 sk=170 d=80 dv=72 lse" },
        { "groups=1 keys=112 stages=4", "dtype=f16 b=1 hq=2 sq=130 sk=131 d=40 causal lse" },
        { "groups=2 keys=64 turns=1", "dtype=bf16 b=1 hq=1 sq=70 sk=200 d=256 causal lse" },
        { "groups=2 keys=64 stages=4 turns=1", "dtype=f16 b=1 hq=1 sq=100 sk=130 d=256 dv=16 lse" },
        { "groups=1 keys=80 stages=3", "dtype=bf16 b=1 hq=2 sq=129 sk=257 d=16 dv=256 lse" },
        { "groups=2 keys=64 turns=1",
          "dtype=bf16 b=1 hq=2 sq=200 sk=333 d=64 causal window=60,0 lse" },
        { "groups=1 keys=64", "dtype=f16 b=1 hq=2 sq=333 sk=200 d=64 window=50,90 softcap=3 lse" },
        { "groups=2 keys=80 turns=0",
          "dtype=bf16 b=1 hq=2 sq=150 sk=390 d=64 window=5,5 scale=0 sinks lse" },
        { "groups=3 keys=64 turns=1", "dtype=f16 b=1 hq=2 sq=200 sk=333 d=64 alibi causal lse" },
        { "groups=2 keys=96 stages=3", "dtype=bf16 b=1 hq=2 sq=200 sk=200 d=128 alibi lse" },
        { "groups=1 keys=112 stages=4",
          "dtype=f16 b=1 hq=2 sq=130 sk=190 d=64 bias=1HQK causal lse" },
        { "groups=3 keys=64 turns=0",
          "dtype=bf16 b=2 hq=2 sq=130 sk=190 d=32 bias=B11K:f32 alibi lse" },
        { "groups=2 keys=64 stages=4 turns=1",
          "dtype=bf16 b=2 hq=2 sq=130 sk=190 d=64 mask=B1QK lse" },
        { "groups=1 keys=80 stages=3",
          "dtype=f16 b=1 hq=4 sq=130 sk=300 d=64 maskfn={j % 7 ~= h and j < 40 * (h + 3)} lse" },
        { "groups=2 keys=64 turns=1",
          "dtype=bf16 b=3 hq=4 hkv=2 sq=130 sk=200 d=64 lens=padded causal lse" },
        { "groups=1 keys=64", "dtype=f16 b=3 hq=4 hkv=2 sq=130 sk=200 d=64 lens=packed lse sinks" },
        { "groups=2 keys=80 turns=0",
          "dtype=bf16 b=3 hq=4 hkv=2 sq=130 sk=200 d=40 lens=packed page=16 lse" },
        { "groups=1 keys=64",
          "dtype=f16 b=2 hq=2 sq=90 sk=380 d=64 page=7 lens=padded window=150,90 lse" },
        { "groups=2 keys=96 stages=3",
          "dtype=bf16 b=2 hq=2 sq=90 sk=300 d=128 page=64 lens=padded causal lse" },
        { "groups=1 keys=112 stages=4",
          "dtype=bf16 b=1 hq=4 hkv=2 sq=200 sk=190 d=64 causal lse dropout=0.1" },
        { "groups=3 keys=64 turns=0",
          "dtype=f16 b=1 hq=2 sq=200 sk=333 d=128 lse dropout=0.4 sinks" },
        { "groups=2 keys=64 stages=4 turns=1",
          "dtype=bf16 b=1 hq=2 sq=70 sk=180 d=64 causal lse dropout=0.1 shard" },
        { "groups=1 keys=80 stages=3", "dtype=bf16 b=1 hq=2 sq=70 sk=180 d=64 lse dropout=1" },
        { "pack=1", "dtype=bf16 b=2 hq=6 hkv=2 sq=40 sk=190 d=64 causal lse lens=padded" },
        { "pack=1", "dtype=f16 b=1 hq=4 hkv=1 sq=50 sk=180 d=64 lse dropout=0.3 sinks" },
        { "pack=1", "dtype=bf16 b=1 hq=4 hkv=2 sq=70 sk=333 d=128 causal alibi bias=1HQK:f32 lse" },
        { "section=8", "dtype=bf16 b=3 hq=5 sq=70 sk=140 d=32 causal=top-left lse" },
        { "test=int", "dtype=bf16 b=1 hq=2 sq=150 sk=150 d=64 causal scale=-0.3 lse" },
        { "test=float", "dtype=f16 b=1 hq=2 sq=150 sk=150 d=64 scale=-0.3 lse" },
        { "groups=2 keys=64 turns=1", "dtype=f16 b=1 hq=2 sq=70 sk=100 d=33 align=2 lse" },
        { "groups=1 keys=64",
          "dtype=bf16 b=1 hq=2 sq=90 sk=150 d=34 dv=18 align=4 alibi softcap=8 lse" },
        { "groups=2 keys=80 turns=0",
          "dtype=bf16 b=1 hq=2 sq=90 sk=150 d=33 dv=65 align=1 causal lse" },
        { "groups=2 keys=80 turns=0", "dtype=f16 b=1 hq=2 sq=90 sk=150 d=33 dv=47 lse" },
        { "groups=2 keys=96 stages=3",
          "dtype=bf16 odtype=f32 b=1 hq=2 sq=90 sk=150 d=64 layout=bhsd lse" },
        { "groups=2 keys=96 stages=3",
          "dtype=f16 odtype=bf16 b=1 hq=2 sq=90 sk=150 d=72 causal lse" },
        { "groups=1 keys=64", "dtype=f16 b=2 hq=4 sq=64 sk=0 d=64 lse sinks" },
        { "groups=2 keys=64 stages=4 turns=1",
          "dtype=bf16 b=1 hq=2 sq=300 sk=40 d=64 causal lse" }, /* rows that see no key */
        { "groups=2 keys=64 turns=0", /* a warpgroup's first key is behind the block's last */
          "dtype=bf16 b=1 hq=1 sq=400 sk=80 d=64 causal=top-left window=64,0 lse" },
        { "groups=3 keys=64 turns=1",
          "dtype=f16 b=1 hq=1 sq=400 sk=80 d=64 causal=top-left window=64,0 lse" },
    };
    emulated_check_all("sm_90", "emulated_cuda_wgmma", all, sizeof all / sizeof *all);
}
END_TEST

START_TEST(documents_are_right)
{
    static const case_by_hand all[] = {
        { "", "dtype=bf16 b=1 hq=2 sq=200 sk=400 d=32" EMULATED_OF_EACH },
        { "", "dtype=f16 b=1 hq=1 sq=390 sk=401 d=64" EMULATED_OF_EACH },
        { "", "dtype=bf16 b=3 hq=2 sq=90 sk=380 d=16 lens=padded" EMULATED_OF_SEQUENCES },
        { "", "dtype=f16 b=3 hq=2 hkv=1 sq=90 sk=380 d=16 lens=packed page=16 "
              "causal" EMULATED_OF_SEQUENCES },
        { "", "dtype=bf16 b=2 hq=2 sq=90 sk=380 d=16 page=7 lens=padded "
              "window=150,90" EMULATED_OF_SEQUENCES },
        { "", "dtype=bf16 b=* hq=2 sq=* sk=* d=16 causal" EMULATED_OF_SEQUENCES },
        { "", "dtype=bf16 b=1 hq=4 hkv=2 sq=90 sk=380 d=16 dropout=0.1 shard "
              "sinks" EMULATED_OF_HEADS },
        { "",
          "dtype=bf16 b=1 hq=2 sq=90 sk=380 d=128 causal=top-left scale=-0.2" EMULATED_OF_EACH },
    };
    int shard, shards;
    support_shard(&shard, &shards);
    if (!emulated_serves()) return;
    fg_context *context = emulated_context("sm_90");
    for (int k = shard; k < (int)(sizeof all / sizeof *all); k += shards)
        emulated_check_documents(context, &all[k]);
    fg_context_free(context);
}
END_TEST

/* One kernel for all sizes: it is right for those that it is not chosen for. */
START_TEST(all_sizes_are_right)
{
    static const test_sizes sizes[] = {
        { .b = 1, .sq = 1, .sk = 700 }, { .b = 3, .sq = 65, .sk = 64 },
        { .b = 2, .sq = 200, .sk = 1 }, { .b = 1, .sq = 0, .sk = 9 },
        { .b = 2, .sq = 3, .sk = 0 },   { .b = 1, .sq = 129, .sk = 257 }
    };
    trial x;
    if (!emulated_serves()) return;
    fg_context *context = emulated_context("sm_90");
    trial_open(&x, context, "",
               "dtype=bf16 b=* hq=4 hkv=2 sq=* sk=* d=32 causal lse sinks dropout=0.2");
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        test_sizes z = sizes[k];
        test_sizes_settle(&z, x.handle->problem);
        trial_resize(&x, &z);
        trial_check(&x, "of another size");
    }
    trial_close(&x);
    fg_context_free(context);
}
END_TEST

/* Logits that are so large that a rounded peak would be far off the largest: those of masks by bias, too. */
START_TEST(huge_logits_are_right)
{
    static const char *const problems[] = {
        "dtype=f16 b=1 hq=2 sq=70 sk=190 d=32 bias=11QK:f32 lse",
        "dtype=bf16 b=1 hq=1 sq=70 sk=160 d=32 bias=11QK:f32 alibi causal lse",
    };
    static const float biases[] = { -1e9f, -1e30f, 1e9f };
    if (!emulated_serves()) return;
    fg_context *context = emulated_context("sm_90");
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

/* ---- Drawn problems ---- */

START_TEST(drawn_problems_are_right)
{
    emulated_check_drawn("warpgroups", "sm_90", 20270117, most_work, support_sweep() / 10);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { problems_by_hand_are_right, documents_are_right,
                             all_sizes_are_right,        huge_logits_are_right,
                             drawn_problems_are_right,   NULL };
    return support_run("cuda_warpgroups", tests);
}
