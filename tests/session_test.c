/* Candidates checked and timed in this process. */
#include "autotune/guard.h"
#include "autotune/measurer.h"
#include "autotune/session.h"
#include "tests/candidate_stub.h"

#include <math.h>

/* ---- What the maker writes passes ---- */

static fg_context *shipped_context(void)
{
    fg_context *context = stub_context(NULL);
    context->maker = maker_installed;
    return context;
}

static char *config_at(fg_context *context, const problem *p, int64_t index)
{
    char *config = NULL;
    int64_t count;
    fg_error error;
    maker_device device = context_maker_device(context);
    maker_request request = { .memory = &context->memory, .problem = p, .device = &device };
    fg_status status = context->maker->config_at(&config, &count, &request, index, &error);
    ck_assert_msg(status == FG_OK, "%s: %s", p->text, error.text);
    return config;
}

static void try_config(session *s, fg_context *context, const problem *p, int id)
{
    image i;
    fg_error error;
    double seconds = -1;
    char *config = config_at(context, p, 7919 * (int64_t)id);
    fg_status status = image_make(&i, context, p, config, NULL, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    status = session_try(s, &seconds, id, &i, &error);
    ck_assert_msg(status == FG_OK, "%s with %s: %s", p->text, config, error.text);
    ck_assert_double_ge(seconds, 0);
    ck_assert_double_lt(seconds, 60);
    image_free(&i);
    fg_text_free(context, config);
}

static const char *const lines[] = {
    "dtype=f32 b=2 hq=4 hkv=2 sq=67 d=24 causal lse",
    "dtype=bf16 b=1 hq=2 sq=130 sk=70 d=64 causal",
    "dtype=f16 b=1 hq=3 sq=33 sk=90 d=40 dv=72 layout=bhsd align=2 window=20,3",
    "dtype=f16 kvdtype=bf16 odtype=f32 b=1 hq=6 hkv=2 sq=17 sk=19 d=33 alibi softcap=5 lse",
    "dtype=f32 b=2 hq=2 sq=40 d=16 bias=1HQK mask=B11K",
    "dtype=bf16 b=1 hq=2 sq=50 d=16 tensor=t:f32[hq] tensor=u:i32[sk] "
    "score={function(s, b, h, i, j) if u[j] > 3 then return s - t[h] end return s end} "
    "maskfn={u[j] ~= u[i]} lse",
    "dtype=f32 b=1 hq=1 sq=1 sk=700 d=128",
    "dtype=f32 b=1 hq=2 sq=5 sk=0 d=8 lse",
    "dtype=f32 b=1 hq=2 sq=0 sk=4 d=8 lse",
    "dtype=f64 b=1 hq=2 sq=40 sk=70 d=24 causal lse",
    "dtype=f32 b=2 hq=2 hkv=1 sq=50 d=16 dropout=0.3 sinks lse",
    "dtype=bf16 b=3 hq=4 hkv=2 sq=60 sk=90 d=32 lens=padded causal lse",
    "dtype=f32 b=3 hq=2 sq=60 d=16 lens=packed sinks lse",
    "dtype=f16 b=3 hq=4 hkv=1 sq=1 sk=200 d=32 page=16 lens=padded lse",
    "dtype=f32 b=2 hq=2 sq=40 sk=70 d=16 page=3 lens=packed window=30,0",
    "dtype=f32 b=* hq=2 sq=* sk=* d=16 causal lse",
    "dtype=f32 b=2 hq=2 sq=80 d=16 tensor=docs:i32[b,sk] maskfn={docs[b][i] == docs[b][j]} lse",
    "dtype=bf16 b=1 hq=2 sq=90 d=16 tensor=u:u8[6,6] maskfn={u[i // 16][j // 16] ~= 0} lse",
};

static void try_line(fg_context *context, const char *line)
{
    fg_problem *p = stub_problem(context, line);
    session *s;
    fg_error error;
    double samples[6];
    fg_dims dims = FG_DIMS_INIT;
    dims.b = 3;
    dims.sq = 33;
    dims.sk = 65;
    fg_status status = session_new(&s, context, p->problem, &dims, &error);
    ck_assert_msg(status == FG_OK, "%s: %s", line, error.text);
    for (int id = 0; id < 2; id++) try_config(s, context, p->problem, id);
    const int ids[] = { 1, 0 };
    ck_assert_int_eq(session_time(s, samples, ids, 2, 3, NULL, NULL, &error), FG_OK);
    session_free(s);
    fg_problem_free(p);
}

START_TEST(shipped_kernels_pass)
{
    fg_context *context = shipped_context();
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) try_line(context, lines[k]);
    fg_context_free(context);
}
END_TEST

START_TEST(what_cannot_be_searched)
{
    static const char *const refused[] = { "dtype=e4m3 b=1 hq=2 sq=16 d=16",
                                           "dir=bwd dtype=f32 b=1 hq=2 sq=16 d=16" };
    fg_context *context = shipped_context();
    for (size_t k = 0; k < sizeof refused / sizeof *refused; k++) {
        session *s = (session *)context;
        fg_error error;
        fg_problem *p = stub_problem(context, refused[k]);
        ck_assert_int_eq(session_new(&s, context, p->problem, NULL, &error), FG_UNSUPPORTED);
        ck_assert_ptr_null(s);
        ck_assert(strlen(error.text) > 20);
        fg_problem_free(p);
    }
    fg_context_free(context);
}
END_TEST

/* ---- What is wrong is rejected ---- */

typedef struct trial {
    fg_context *context;
    fg_problem *problem;
    session *session;
} trial;

static void trial_new(trial *t)
{
    fg_error error;
    t->context = stub_context(NULL);
    t->problem = stub_problem(t->context, CANDIDATE_PROBLEM);
    fg_status status = session_new(&t->session, t->context, t->problem->problem, NULL, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
}

static void trial_free(trial *t)
{
    session_free(t->session);
    fg_problem_free(t->problem);
    fg_context_free(t->context);
}

static fg_status try_fault(trial *t, int id, candidate_fault fault, fg_error *error)
{
    image i;
    double seconds;
    *error = (fg_error){ FG_OK, -1, "" };
    candidate_make(&i, t->context, t->problem, fault);
    fg_status status = session_try(t->session, &seconds, id, &i, error);
    image_free(&i);
    return status;
}

typedef struct wrong {
    candidate_fault fault;
    bool first; /* rejected even before there is an output to trust */
    const char *says;
} wrong;

static const wrong wrongs[] = {
    { FAULT_wrong_sampled, true, "o at b=0 h=0 i=300 column 1 is " },
    { FAULT_wrong_unsampled, false, "o at b=0 h=1 i=" },
    { FAULT_wrong_lse, false, "lse at b=0 h=1 i=" },
    { FAULT_zero, false, "column 2 is 0 and should be " },
    { FAULT_nan, true, "is not finite" },
    { FAULT_nan, false, "column 2 is nan and should be " },
    { FAULT_unwritten, true, "it did not write o[0][" },
    { FAULT_before, true, "it wrote before o" },
    { FAULT_behind, true, "it wrote behind o" },
    { FAULT_lse_behind, true, "it wrote behind lse" },
    { FAULT_workspace_before, true, "it wrote before its workspace" },
};

static void reject(const wrong *w)
{
    trial t;
    fg_error error;
    trial_new(&t);
    if (!w->first) ck_assert_int_eq(try_fault(&t, 0, FAULT_none, &error), FG_OK);
    fg_status status = try_fault(&t, 1, w->fault, &error);
    ck_assert_msg(status == FG_WRONG && error.status == FG_WRONG, "%d: %s", status, error.text);
    ck_assert_msg(strstr(error.text, w->says) != NULL, "%s: %s", w->says, error.text);
    double sample;
    const int one = 1;
    ck_assert_int_eq(session_time(t.session, &sample, &one, 1, 1, NULL, NULL, &error), FG_REQUEST);
    fg_status next = try_fault(&t, 2, FAULT_none, &error);
    ck_assert_msg(next == FG_OK, "%s", error.text);
    trial_free(&t);
}

START_TEST(wrong_candidates_are_rejected)
{
    for (size_t k = 0; k < sizeof wrongs / sizeof *wrongs; k++) reject(&wrongs[k]);
}
END_TEST

/* The kernel asks for what no run has, or is no shared object. */
START_TEST(images_that_do_not_load)
{
    trial t;
    image i;
    fg_error error;
    double seconds;
    trial_new(&t);
    candidate_make(&i, t.context, t.problem, FAULT_none);
    strcpy(i.made->slot[0].name, "bias");
    ck_assert_int_eq(session_try(t.session, &seconds, 0, &i, &error), FG_WRONG);
    strcpy(i.made->slot[0].name, "q");
    strcpy(i.made->step[0].entry, "nothing");
    ck_assert_int_eq(session_try(t.session, &seconds, 0, &i, &error), FG_WRONG);
    strcpy(i.made->step[0].entry, "fg_kernel");
    memset(i.compiled.data, 0, i.compiled.size);
    ck_assert_int_eq(session_try(t.session, &seconds, 0, &i, &error), FG_WRONG);
    ck_assert(strlen(error.text) > 10);
    image_free(&i);
    ck_assert_int_eq(try_fault(&t, 0, FAULT_none, &error), FG_OK);
    trial_free(&t);
}
END_TEST

/* ---- Timing ---- */

typedef struct order {
    int id[64], count, stop_at;
} order;

static bool note(void *user, int id)
{
    order *o = user;
    o->id[o->count++] = id;
    return o->count != o->stop_at;
}

static double least_of(const double *samples, int count)
{
    double least = samples[0];
    for (int k = 1; k < count; k++) least = fmin(least, samples[k]);
    return least;
}

START_TEST(candidates_take_turns)
{
    static const int expected[] = { 5, 6, 7, 6, 7, 5, 7, 5, 6, 5, 6, 7 };
    const int ids[] = { 5, 6, 7 };
    double samples[3 * 4];
    order o = { .count = 0 };
    trial t;
    fg_error error;
    trial_new(&t);
    ck_assert_int_eq(try_fault(&t, 5, FAULT_none, &error), FG_OK);
    ck_assert_int_eq(try_fault(&t, 6, FAULT_slow, &error), FG_OK);
    ck_assert_int_eq(try_fault(&t, 7, FAULT_none, &error), FG_OK);
    ck_assert_int_eq(session_time(t.session, samples, ids, 3, 4, note, &o, &error), FG_OK);
    ck_assert_int_eq(o.count, 12);
    for (int k = 0; k < 12; k++) ck_assert_int_eq(o.id[k], expected[k]);
    ck_assert_double_gt(least_of(&samples[4], 4), least_of(&samples[0], 4));
    ck_assert_double_gt(least_of(&samples[4], 4), least_of(&samples[8], 4));
    o = (order){ .stop_at = 5 };
    ck_assert_int_eq(session_time(t.session, samples, ids, 3, 4, note, &o, &error), FG_CANCELLED);
    ck_assert_int_eq(o.count, 5);
    session_drop(t.session, 6);
    session_drop(t.session, 6);
    ck_assert_int_eq(session_time(t.session, samples, ids, 3, 4, NULL, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(try_fault(&t, 6, FAULT_none, &error), FG_OK);
    ck_assert_int_eq(session_time(t.session, samples, ids, 3, 4, NULL, NULL, &error), FG_OK);
    trial_free(&t);
}
END_TEST

START_TEST(measured_in_this_process)
{
    trial t;
    image i;
    measurer *m;
    fg_error error;
    double seconds, samples[4];
    int culprit;
    const int ids[] = { 3, 4 };
    trial_new(&t);
    const measurer_options o = { t.context, t.problem->problem, true, 1, NULL };
    ck_assert_int_eq(measurer_new(&m, &o, &error), FG_OK);
    candidate_make(&i, t.context, t.problem, FAULT_none);
    for (int k = 0; k < 2; k++)
        ck_assert_int_eq(measurer_try(m, &seconds, ids[k], &i, &error), FG_OK);
    ck_assert_int_eq(measurer_time(m, samples, ids, 2, 2, &culprit, &error), FG_OK);
    ck_assert_int_eq(measurer_time(m, samples, ids, 0, 2, &culprit, &error), FG_REQUEST);
    measurer_drop(m, 3);
    ck_assert_int_eq(measurer_time(m, samples, ids, 2, 2, &culprit, &error), FG_REQUEST);
    image_free(&i);
    measurer_free(m);
    measurer_free(NULL);
    trial_free(&t);
}
END_TEST

/* ---- Memory ---- */

START_TEST(zones_notice)
{
    guarded g;
    ck_assert_int_eq(guarded_new(&g, 100, NULL), FG_OK);
    ck_assert_int_eq((uintptr_t)g.data % 64, 0);
    ck_assert_ptr_null(guarded_spilled(&g));
    memset(g.data, 0, 100);
    ck_assert_ptr_null(guarded_spilled(&g));
    g.data[100] = 0;
    ck_assert_str_eq(guarded_spilled(&g), "behind");
    g.data[100] = (char)guard_pattern;
    g.data[-1] = 0;
    ck_assert_str_eq(guarded_spilled(&g), "before");
    guarded_free(&g);
    ck_assert_int_eq(guarded_new(&g, 0, NULL), FG_OK);
    ck_assert_ptr_null(guarded_spilled(&g));
    guarded_free(&g);
    ck_assert_int_eq(guarded_new(&g, SIZE_MAX / 2, NULL), FG_MEMORY);
}
END_TEST

/* False once enough succeed. */
static bool fails_at(long at, bool for_good, const image *i)
{
    failing f = { .for_good = false };
    fg_context_options o = stub_options();
    o.allocate = failing_allocate;
    o.allocate_user = &f;
    o.threads = 1; /* it counts without a lock */
    trial t = { .context = stub_context(&o) };
    fg_error error;
    double seconds;
    t.problem = stub_problem(t.context, CANDIDATE_PROBLEM);
    f.at = f.count + at;
    f.for_good = for_good;
    fg_status status = session_new(&t.session, t.context, t.problem->problem, NULL, &error);
    if (status == FG_OK) status = session_try(t.session, &seconds, 0, i, &error);
    ck_assert_msg(status == FG_OK || status == FG_MEMORY, "%ld: %s", at, error.text);
    f.for_good = false;
    trial_free(&t);
    ck_assert_int_eq(f.blocks, 0);
    ck_assert_int_eq((long)f.bytes, 0);
    return status != FG_OK;
}

START_TEST(out_of_memory)
{
    trial t;
    image i;
    long at = 1;
    trial_new(&t);
    candidate_make(&i, t.context, t.problem, FAULT_none);
    while (fails_at(at, false, &i)) ck_assert(fails_at(at++, true, &i));
    ck_assert_int_gt(at, 10);
    image_free(&i);
    trial_free(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        shipped_kernels_pass,
        what_cannot_be_searched,
        wrong_candidates_are_rejected,
        images_that_do_not_load,
        candidates_take_turns,
        measured_in_this_process,
        zones_notice,
        out_of_memory,
        NULL,
    };
    return support_run("session", tests);
}
