/* CUDA kernels run by this processor, a fiber for each thread of a block (tests/cuda_host), against the reference: what
 * they compute, on machines without a GPU too. */
/* ctest: shards=2 labels=slow */
#include "tests/support_sweep.h"
#include "tests/support_trial.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Multiply-adds of a problem that is run: 32 lanes of a warp come one after the other. */
enum { most_work = 4000000 };

/* Contraction, or not, is up to the text. The fibers of a block leave their stacks by longjmp, which a fortified one
 * takes for a mistake. */
#define FLAGS                                                                                      \
    "-x c++ -std=gnu++17 -O1 -w -fno-exceptions -fno-rtti -ffp-contract=off -U_FORTIFY_SOURCE"

static fg_context *emulated_context(void)
{
    fg_context *context;
    fg_error error;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.threads = 1;
    o.isa = "portable";
    o.compiler = FLASHGEN_KERNEL_COMPILER;
    o.compiler_flags = FLAGS;
    o.templates = FLASHGEN_SOURCE_DIR "/tests/cuda_host";
    ck_assert_msg(fg_context_new(&context, &o, &error) == FG_OK, "%s", error.text);
    return context;
}

/* Whether the compiler knows C++. */
static bool compiler_serves(void)
{
    if (system("echo '#include <math.h>' | '" FLASHGEN_KERNEL_COMPILER
               "' -x c++ -fsyntax-only - 2>/dev/null") == 0)
        return true;
    printf("skipped: %s compiles no C++\n", FLASHGEN_KERNEL_COMPILER);
    return false;
}

/* ---- Problems by hand ---- */

static void check_line(fg_context *context, const char *config, const char *line)
{
    trial x;
    trial_open(&x, context, config, "%s", line);
    ck_assert_msg(strstr(trial_config(&x), "warps="), "another schedule took it: %s",
                  trial_config(&x));
    trial_check(&x, "emulated");
    trial_close(&x);
}

START_TEST(problems_by_hand_are_right)
{
    static const struct {
        const char *config, *line;
    } all[] = {
        { "rows=32 warps=4 stages=2 held=0", "dtype=bf16 b=1 hq=1 sq=200 sk=150 d=64 causal lse" },
        { "held=0 warps=4 rows=16 stages=2", "dtype=f16 b=1 hq=2 sq=200 sk=100 d=64 causal lse" },
        { "rows=32 warps=2 stages=4 keys=32", "dtype=f16 b=1 hq=2 sq=100 sk=333 d=128 lse" },
        { "rows=16 warps=2 stages=3 keys=48",
          "dtype=bf16 b=1 hq=2 sq=70 sk=200 d=128 causal window=40,0 lse" },
        { "stages=1", "dtype=f16 b=1 hq=1 sq=40 sk=100 d=512 lse" },
        { "parts=2", "dtype=bf16 b=1 hq=1 sq=40 sk=100 d=300 dv=512 lse" },
        { "splits=4", "dtype=bf16 b=1 hq=8 hkv=2 sq=3 sk=700 d=64 causal lse sinks dropout=0.2" },
        { "splits=2", "dtype=bf16 b=3 hq=4 hkv=2 sq=3 sk=600 d=40 lens=packed page=16 lse" },
        { "test=int", "dtype=bf16 b=1 hq=2 sq=50 sk=150 d=64 alibi causal lse" },
        { "test=float", "dtype=bf16 b=1 hq=2 sq=50 sk=150 d=64 scale=-0.3 lse" },
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
    int shard, shards;
    support_shard(&shard, &shards);
    if (!compiler_serves()) return;
    fg_context *context = emulated_context();
    for (size_t k = (size_t)shard; k < sizeof all / sizeof *all; k += (size_t)shards)
        check_line(context, all[k].config, all[k].line);
    fg_context_free(context);
}
END_TEST

/* What rounds to infinity as a tf32 is split all the same. */
START_TEST(largest_numbers_are_right)
{
    trial x;
    if (!compiler_serves()) return;
    fg_context *context = emulated_context();
    trial_open(&x, context, "", "dtype=f32 b=1 hq=1 sq=20 sk=30 d=16 lse");
    test_fill(trial_tensor(&x, "q"), 0x1.ffffp127);
    test_fill(trial_tensor(&x, "k"), 0x1p-126);
    trial_check(&x, "emulated");
    trial_close(&x);
    fg_context_free(context);
}
END_TEST

/* ---- Drawn problems ---- */

static fg_context *drawn_context;

static fg_context *context_for(const drawn_case *c)
{
    (void)c;
    return drawn_context;
}

START_TEST(drawn_problems_are_right)
{
    static const sweep_kind kind = {
        .name = "emulated", .seed = 20261122, .context_for = context_for, .most_work = most_work
    };
    sweep_tally t;
    if (!compiler_serves()) return;
    drawn_context = emulated_context();
    sweep_run(&t, &kind, support_sweep() / 5);
    sweep_print(&t);
    fg_context_free(drawn_context);
    sweep_assert(&t);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { problems_by_hand_are_right, largest_numbers_are_right,
                             drawn_problems_are_right, NULL };
    return support_run("cuda_emulated", tests);
}
