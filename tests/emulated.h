/* Contexts that run CUDA kernels by this processor (tests/cuda_host). */
#ifndef TESTS_EMULATED_H
#define TESTS_EMULATED_H

#include "tests/support_sweep.h"
#include "tests/support_trial.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Products read registers, in the background, of arrays whose scope has ended. */
#ifdef __clang__
#define EMULATED_STACK "-Xclang -disable-lifetime-markers"
#else
#define EMULATED_STACK "-fstack-reuse=none"
#endif

/* Contraction, or not, is up to the text. The fibers of a block leave their stacks by longjmp, which a fortified one
 * takes for a mistake. */
#define EMULATED_FLAGS                                                                             \
    "-x c++ -std=gnu++17 -O1 -w -fno-exceptions -fno-rtti -ffp-contract=off "                      \
    "-U_FORTIFY_SOURCE " EMULATED_STACK

/* `gpu`, as sm_90, says what kernels are written for; `templates` may be NULL. */
__attribute__((unused)) static fg_context *emulated_context_of(const char *gpu,
                                                               const char *templates)
{
    char flags[256];
    fg_context *context;
    fg_error error;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    snprintf(flags, sizeof flags, EMULATED_FLAGS " -DEMULATED_%s", gpu);
    o.threads = 1;
    o.isa = "portable";
    o.compiler = FLASHGEN_KERNEL_COMPILER;
    o.compiler_flags = flags;
    o.templates = templates;
    ck_assert_msg(fg_context_new(&context, &o, &error) == FG_OK, "%s", error.text);
    return context;
}

__attribute__((unused)) static fg_context *emulated_context(const char *gpu)
{
    return emulated_context_of(gpu, FLASHGEN_SOURCE_DIR "/tests/cuda_host");
}

/* Whether the compiler knows C++. */
__attribute__((unused)) static bool emulated_serves(void)
{
    if (system("echo '#include <math.h>' | '" FLASHGEN_KERNEL_COMPILER
               "' -x c++ -fsyntax-only - 2>/dev/null") == 0)
        return true;
    printf("skipped: %s compiles no C++\n", FLASHGEN_KERNEL_COMPILER);
    return false;
}

/* ---- Problems by hand ---- */

typedef struct case_by_hand {
    const char *config, *line;
} case_by_hand;

__attribute__((unused)) static void emulated_check(fg_context *context, const case_by_hand *c,
                                                   const char *schedule)
{
    trial x;
    fg_plan_info info;
    trial_open(&x, context, c->config, "%s", c->line);
    fg_plan_config(x.plan, &info);
    ck_assert_msg(strcmp(info.schedule, schedule) == 0, "%s took %s", info.schedule, c->line);
    trial_check(&x, "emulated");
    trial_close(&x);
}

/* What schedule `schedule` makes of them; the processes of the program share them. */
__attribute__((unused)) static void emulated_check_all(const char *gpu, const char *schedule,
                                                       const case_by_hand *all, int count)
{
    int shard, shards;
    support_shard(&shard, &shards);
    if (!emulated_serves()) return;
    fg_context *context = emulated_context(gpu);
    for (int k = shard; k < count; k += shards) emulated_check(context, &all[k], schedule);
    fg_context_free(context);
}

/* ---- Masks that read tensors ---- */

/* Ids of documents, by position: of one length, so that most tiles are seen whole or not at all; of several lengths;
 * far apart, with positions in between that nobody else sees; of the last keys alone; of nobody. */
static inline double emulated_one_length(int64_t at)
{
    return (double)(at / 64);
}

static inline double emulated_lengths(int64_t at)
{
    static const int64_t ends[] = { 5, 40, 41, 130, 200, 333 };
    int id = 0;
    while (id < 6 && at >= ends[id]) id++;
    return id;
}

static inline double emulated_apart(int64_t at)
{
    return at / 32 % 4 == 0 ? 1 : (double)(1000 + at);
}

static inline double emulated_last(int64_t at)
{
    return at >= 350 ? 7 : -1;
}

static inline double emulated_by_turns(int64_t at)
{
    return (double)(at / 48 % 3);
}

typedef double (*emulated_id)(int64_t at);

typedef struct documents {
    emulated_id query, key;
} documents;

static inline void emulated_fill_ids(trial *x, const char *name, emulated_id id)
{
    test_tensor *t = trial_tensor(x, name);
    int64_t last = t->shape[t->rank - 1];
    for (int64_t at = 0; at < t->count; at++) test_set(t, at, id(at % last + at / last * 13));
}

/* By itself, and by what is prepared: the tiles are listed for all that come after. */
__attribute__((unused)) static void emulated_check_documents(fg_context *context,
                                                             const case_by_hand *c)
{
    static const documents all[] = {
        { emulated_one_length, emulated_one_length },
        { emulated_lengths, emulated_lengths },
        { emulated_apart, emulated_apart },
        { emulated_one_length, emulated_last }, /* few rows see any key */
        { emulated_by_turns, emulated_by_turns },
        { emulated_last, emulated_one_length },
    };
    trial x;
    trial_open(&x, context, c->config, "%s", c->line);
    if (strstr(c->line, "=*")) {
        test_sizes z = { .b = 2, .sq = 90, .sk = 380 };
        test_sizes_settle(&z, x.handle->problem);
        trial_resize(&x, &z);
    }
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        char what[32];
        snprintf(what, sizeof what, "documents %d", (int)k);
        emulated_fill_ids(&x, "of_q", all[k].query);
        emulated_fill_ids(&x, "of_k", all[k].key);
        test_unprepare(&x.t);
        trial_check(&x, what);
        trial_assert(&x, trial_prepare(&x), what);
        trial_check(&x, what);
    }
    trial_close(&x);
}

#define EMULATED_OF_EACH " maskfn={of_q[i] == of_k[j]} tensor=of_q:i32[sq] tensor=of_k:i32[sk] lse"
#define EMULATED_OF_SEQUENCES                                                                      \
    " maskfn={of_q[b][i] == of_k[b][j]} tensor=of_q:i32[b,sq] tensor=of_k:i32[b,sk] lse"
#define EMULATED_OF_HEADS                                                                          \
    " maskfn={of_q[i] == of_k[h][j]} tensor=of_q:i32[sq] tensor=of_k:i32[hq,sk] lse"

static fg_context *emulated_drawn;

static inline fg_context *emulated_context_for(const drawn_case *c)
{
    (void)c;
    return emulated_drawn;
}

/* Drawn problems on such a GPU, `count` of them; `work`: multiply-adds of one that is run. */
__attribute__((unused)) static void emulated_check_drawn(const char *name, const char *isa,
                                                         uint64_t seed, double work, int count)
{
    const sweep_kind kind = {
        .name = name, .seed = seed, .context_for = emulated_context_for, .most_work = work
    };
    sweep_tally t;
    if (!emulated_serves()) return;
    emulated_drawn = emulated_context(isa);
    sweep_run(&t, &kind, count);
    sweep_print(&t);
    fg_context_free(emulated_drawn);
    sweep_assert(&t);
}

#endif
