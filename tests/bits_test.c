/* The same bits from run to run, under load, on any number of threads. */
/* ctest: labels=threads */
#include "tests/support_trial.h"
#include "tests/support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The best instruction set of this processor. */
static fg_context *best_context(int threads)
{
    fg_context *context = NULL;
    for (int isa = isa_count - 1; isa >= 0 && !context; isa--) context = test_context(isa, threads);
    return context;
}

/* ---- Repeats ---- */

static const char drawn[] = "b=2 hq=4 hkv=2 sq=67 sk=120 d=24 causal bias=1HQK softcap=20 lse";

static atomic_bool busy;

static void *spin(void *unused)
{
    while (atomic_load(&busy)) continue;
    return unused;
}

/* Dropout, sequences in pages, tiles that were prepared, one query for many keys. */
static const struct {
    const char *type, *line;
    int runs;
    bool prepared;
    const char *config; /* so that it is one for any number of threads; NULL: the estimate is */
} repeated[] = {
    { "f32", drawn, 300, false, NULL },
    { "bf16", drawn, 300, false, NULL },
    { "bf16", "b=3 hq=4 hkv=2 sq=67 sk=120 d=24 lens=packed page=16 dropout=0.2 sinks causal lse",
      500, false, NULL },
    { "f32",
      "b=2 hq=4 sq=130 d=24 dropout=0.2 tensor=docs:i32[b,sk] "
      "maskfn={docs[b][i] == docs[b][j]} lse",
      500, true, NULL },
    { "f32", "b=2 hq=8 hkv=2 sq=1 sk=3000 d=64 dropout=0.2 lse", 500, false, "heads=1 splits=4" },
    { "f16", "b=3 hq=8 hkv=1 sq=2 sk=* d=64 lens=padded page=64 sinks lse", 500, false, NULL },
};

/* Long sequences where a problem leaves their sizes open. */
static void open_repeated(trial *x, fg_context *context, const char *config, size_t which)
{
    trial_open(x, context, config, "dtype=%s %s", repeated[which].type, repeated[which].line);
    if (x->handle->problem->sk != problem_dynamic) return;
    test_sizes z;
    rng lengths = rng_new(11, 0);
    test_sizes_draw(&z, x->handle->problem, 3, 2, 2000, &lengths);
    trial_resize(x, &z);
}

static void repeat(fg_context *context, size_t which)
{
    trial first, again;
    open_repeated(&first, context, NULL, which);
    open_repeated(&again, context, NULL, which);
    trial_check(&first, "the first run");
    if (repeated[which].prepared)
        trial_assert(&again, trial_prepare(&again), "there is something to prepare");
    for (int k = 0; k < repeated[which].runs; k++) {
        trial_run(&again);
        trial_assert(&again, trials_equal(&first, &again), "a repeated run");
    }
    trial_close(&first);
    trial_close(&again);
}

START_TEST(repeats_under_load_give_the_same_bits)
{
    pthread_t load[2];
    atomic_store(&busy, true);
    for (int k = 0; k < 2; k++) ck_assert_int_eq(pthread_create(&load[k], NULL, spin, NULL), 0);
    fg_context *context = best_context(3);
    for (size_t k = 0; k < sizeof repeated / sizeof *repeated; k++) repeat(context, k);
    fg_context_free(context);
    atomic_store(&busy, false);
    for (int k = 0; k < 2; k++) pthread_join(load[k], NULL);
}
END_TEST

static void compare_threads(size_t which)
{
    static const int threads[] = { 2, 3, 7, 16 };
    trial named, alone;
    fg_context *one = best_context(1);
    open_repeated(&named, one, repeated[which].config, which);
    open_repeated(&alone, one, trial_config(&named), which); /* whatever its sizes' buckets have */
    trial_run(&alone);
    for (int k = 0; k < 4; k++) {
        trial x;
        fg_context *context = best_context(threads[k]);
        open_repeated(&x, context, trial_config(&alone), which);
        trial_run(&x);
        trial_assert(&x, trials_equal(&alone, &x), "another number of threads");
        trial_close(&x);
        fg_context_free(context);
    }
    trial_close(&named);
    trial_close(&alone);
    fg_context_free(one);
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    for (size_t k = 0; k < sizeof repeated / sizeof *repeated; k++) compare_threads(k);
}
END_TEST

/* ---- One plan from many threads ---- */

typedef struct caller {
    pthread_t thread;
    const fg_plan *plan;
    test_tensors t;
    fg_status status;
} caller;

static void *call(void *data)
{
    caller *c = data;
    fg_error error;
    for (int k = 0; k < 20 && c->status == FG_OK; k++)
        c->status = fg_run(c->plan, &c->t.args, &error);
    return NULL;
}

START_TEST(a_plan_runs_on_many_threads_at_once)
{
    trial x;
    caller callers[4] = { 0 };
    fg_context *context = best_context(2);
    trial_open(&x, context, NULL, "dtype=f32 %s", drawn);
    trial_run(&x);
    for (int k = 0; k < 4; k++) {
        rng r = rng_new(1, 0);
        fg_error error;
        callers[k].plan = x.plan;
        test_tensors_make(&callers[k].t, x.handle, NULL, NULL);
        test_fill_usual(&callers[k].t, &r);
        callers[k].status = test_run(&callers[k].t, x.plan, &error);
    }
    for (int k = 0; k < 4; k++)
        ck_assert_int_eq(pthread_create(&callers[k].thread, NULL, call, &callers[k]), 0);
    for (int k = 0; k < 4; k++) {
        pthread_join(callers[k].thread, NULL);
        ck_assert_int_eq(callers[k].status, FG_OK);
        trial other = { .handle = x.handle, .t = callers[k].t, .isa = x.isa, .plan = x.plan };
        trial_assert(&x, trials_equal(&x, &other), "a run beside others");
        test_tensors_free(&callers[k].t);
    }
    trial_close(&x);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { repeats_under_load_give_the_same_bits,
                             any_number_of_threads_gives_the_same_bits,
                             a_plan_runs_on_many_threads_at_once, NULL };
    return support_run("bits", tests);
}
