/* A maker of kernels for problems with `*`, each of which writes a number that its config gives: which one ran shows. */
#ifndef TESTS_BUCKETS_STUB_H
#define TESTS_BUCKETS_STUB_H

#include "runtime/buckets.h"
#include "runtime/choice.h"
#include "runtime/identity.h"
#include "tests/runtime_stub.h"

#include <unistd.h>

#define LINE "dtype=f64 b=* hq=4 hkv=4 sq=* sk=* d=4"

static fg_error error;

/* ---- Kernels ---- */

/* What the prior would choose: this decides nothing that a bucket does not. */
static inline int number_for(int64_t b, int64_t sq, int64_t sk)
{
    if (sq <= 1) return 1;
    if (sq <= 128) return b <= 2 ? 2 : 3;
    return sk <= 512 ? 4 : 5;
}

static atomic_int choices_asked;

/* In the order of the numbers. */
static inline fg_status choose_numbers(maker_choices **out, const maker_request *r,
                                       const maker_grid *g, int most, fg_error *e)
{
    maker_choices *c = NULL;
    char config[16];
    fg_status status = stub_choices(&c, r, g, most, e);
    atomic_fetch_add(&choices_asked, 1);
    *out = NULL;
    if (status != FG_OK) return status;
    struct maker_choice *grown = memory_new(r->memory, 6, sizeof *grown);
    for (int n = 0; n < 6 && grown; n++) {
        snprintf(config, sizeof config, "n=%d", n);
        grown[n].schedule = stub_copy(r->memory, "stub");
        grown[n].config = stub_copy(r->memory, config);
        if (!grown[n].schedule || !grown[n].config) status = fail_memory(e);
    }
    if (grown) {
        memory_free(r->memory, c->choice->schedule, strlen(c->choice->schedule) + 1);
        memory_free(r->memory, c->choice->config, strlen(c->choice->config) + 1);
        memory_free(r->memory, c->choice, sizeof *c->choice);
        c->choice = grown;
        c->count = 6;
    } else {
        status = fail_memory(e);
    }
    for (int k = 0; k < c->sizes; k++)
        c->of[k] =
            number_for(g->b[k / (g->sqs * g->sks)], g->sq[k / g->sks % g->sqs], g->sk[k % g->sks]);
    if (status == FG_OK)
        *out = c;
    else
        maker_choices_free(c);
    return status;
}

static inline fg_status make_number(made **out, const maker_request *r, fg_error *e)
{
    char config[32];
    maker_request with = *r;
    stub_number = number_for(r->sizes.b, r->sizes.sq, r->sizes.sk);
    if (r->config)
        sscanf(r->config, "n=%d", &stub_number);
    else
        snprintf(config, sizeof config, "n=%d", stub_number), with.config = config;
    return stub_make(out, &with, e);
}

static const maker number_maker = {
    .make = make_number,
    .choices = choose_numbers,
    .hash = stub_hash,
};

static char store_folder[96];

static inline fg_context *numbering(bool keeps)
{
    fg_context_options o = stub_options();
    if (keeps) {
        if (!*folder) in_folder();
        snprintf(store_folder, sizeof store_folder, "%s/store", folder);
        o.store = store_folder;
    }
    fg_context *context = stub_context(&o);
    context->maker = &number_maker;
    return context;
}

/* ---- Plans and runs ---- */

/* What a run of these sizes writes; q, k, v and o overlap nothing but are of one block, as no kernel reads them. */
static inline int run_of(const fg_plan *plan, int64_t b, int64_t sq, int64_t sk)
{
    static double inputs[64], outputs[64];
    int64_t q_shape[] = { b, sq, 4, 4 }, k_shape[] = { b, sk, 4, 4 }, none[] = { 0, 0, 0, 1 };
    int64_t over[] = { 4, 4, 4, 1 };
    const DLTensor q = { inputs, { 1, 0 }, 4, { 2, 64, 1 }, q_shape, none, 0 };
    const DLTensor k = { inputs, { 1, 0 }, 4, { 2, 64, 1 }, k_shape, none, 0 };
    const DLTensor o = { outputs, { 1, 0 }, 4, { 2, 64, 1 }, q_shape, over, 0 };
    fg_args args = FG_ARGS_INIT;
    args.q = &q;
    args.k = args.v = &k;
    args.o = &o;
    outputs[0] = -1;
    fg_status status = fg_run(plan, &args, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    return (int)outputs[0];
}

static inline fg_plan *plan_of(fg_context *context, const fg_problem *p, const fg_plan_options *o,
                               fg_source source)
{
    fg_plan *plan;
    fg_plan_info info;
    fg_status status = fg_plan_new(&plan, context, p, o, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    fg_plan_config(plan, &info);
    ck_assert_msg(info.source == source, "source %d, not %d", (int)info.source, (int)source);
    return plan;
}

/* Sizes at both sides of the ends of buckets, up to and beyond the plan's maxima. */
static const int64_t some_b[] = { 1, 2, 3, 4, 7, 8, 9, 100 };
static const int64_t some_lengths[] = { 1, 2, 16, 17, 100, 128, 129, 512, 513, 4096, 20000 };

typedef int (*expect_fn)(int64_t b, int64_t sq, int64_t sk);

static inline void check_runs(const fg_plan *plan, expect_fn expected)
{
    for (size_t b = 0; b < 8; b++)
        for (size_t q = 0; q < 11; q++)
            for (size_t k = 0; k < 11; k++) {
                int64_t sq = some_lengths[q], sk = some_lengths[k];
                int got = run_of(plan, some_b[b], sq, sk), want = expected(some_b[b], sq, sk);
                ck_assert_msg(got == want, "b=%d sq=%d sk=%d: kernel %d, not %d", (int)some_b[b],
                              (int)sq, (int)sk, got, want);
            }
}

static inline void refused(fg_context *context, const fg_problem *p, const fg_plan_options *o,
                           fg_status status, const char *part)
{
    fg_plan *plan = (fg_plan *)1;
    ck_assert_int_eq(fg_plan_new(&plan, context, p, o, &error), status);
    ck_assert_ptr_null(plan);
    ck_assert_msg(strstr(error.text, part) != NULL, "'%s' has no '%s'", error.text, part);
}

/* ---- The store ---- */

static inline void damage(const char *kind, off_t length)
{
    char path[128], file[400];
    snprintf(path, sizeof path, "%s/%s", store_folder, kind);
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        ck_assert_int_eq(truncate(file, length), 0);
    }
    closedir(d);
}

#endif
