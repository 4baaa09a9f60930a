/* Where shards may be: as far away as runs reach, and not beyond. */
#include "tests/support_trial.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fg_context *contexts[isa_count]; /* NULL: not on this processor */

static void open_contexts(void)
{
    for (int k = 0; k < isa_count; k++) contexts[k] = test_context(k, 2);
}

static void close_contexts(void)
{
    for (int k = 0; k < isa_count; k++) fg_context_free(contexts[k]);
}

/* ---- Far away ---- */

enum { longest = 1 << 28, most_heads = 1 << 20 };

/* Places at the end of the longest run there may be. */
static void put_far(trial *far, DLTensor *slopes, int64_t *count)
{
    const problem *p = far->handle->problem;
    fg_args *a = &far->t.args;
    *slopes = *a->slopes;
    *count = most_heads;
    slopes->shape = count;
    slopes->strides = NULL;
    slopes->data = calloc(most_heads, sizeof(float));
    ck_assert_ptr_nonnull(slopes->data);
    for (int64_t h = 0; h < p->hq; h++)
        ((float *)slopes->data)[most_heads - p->hq + h] = 0.25F / (float)(h + 1);
    a->slopes = slopes;
    a->origin_b = most_heads - p->b;
    a->whole_b = most_heads;
    a->origin_h = most_heads - p->hq;
    a->whole_hq = most_heads;
    a->origin_i = longest - p->sq;
    a->whole_sq = longest;
    a->origin_j = longest - p->sk;
    a->whole_sk = longest;
}

static void far_as_near(fg_context *context, const char *type, int sq, bool dropout)
{
    char line[512];
    fg_error error = { .text = "" };
    fg_check_report report;
    snprintf(line, sizeof line,
             "dtype=%s b=2 hq=2 sq=%d sk=190 d=16 causal window=140,-1 alibi lse%s "
             "maskfn={(i + sk - sq - j) %% 7 < 5 or i - j < sq - sk + 20} "
             "score={s - abs(i + sk - sq - j) / 64}",
             type, sq, dropout ? " dropout=0.4" : "");
    trial far, near;
    DLTensor slopes;
    int64_t count;
    trial_open(&near, context, NULL, "%s", line);
    trial_open(&far, context, NULL, "%s shard", line);
    put_far(&far, &slopes, &count);
    test_tensor *own = trial_tensor(&near, "slopes");
    for (int64_t h = 0; h < own->count; h++) test_set(own, h, 0.25 / (double)(h + 1));
    trial_check(&far, "far");
    /* dropout differs from place to place; all else goes by differences */
    near.t.args.o = far.t.args.o;
    near.t.args.lse = far.t.args.lse;
    fg_status s =
        dropout ? FG_OK : fg_check(context, near.handle, &near.t.args, NULL, &report, &error);
    ck_assert_msg(s == FG_OK, "%s\n%s", error.text, line);
    free(slopes.data);
    trial_close(&far);
    trial_close(&near);
}

START_TEST(far_places_are_as_near_ones)
{
    open_contexts();
    for (int k = 0; k < isa_count; k++) {
        if (!contexts[k]) continue;
        far_as_near(contexts[k], "f32", 70, false);
        far_as_near(contexts[k], "f32", 3, false);
        far_as_near(contexts[k], k % 2 ? "bf16" : "f64", 70, true);
        far_as_near(contexts[k], "f16", 3, true);
    }
    close_contexts();
}
END_TEST

/* ---- What is refused ---- */

static const struct {
    size_t field;
    int64_t value;
    const char *sentence;
} refused[] = {
#define ARG(name) offsetof(fg_args, name)
    { ARG(origin_b), -1, "origin_b is -1: it must be 0 to 1048576" },
    { ARG(origin_i), INT64_MAX, "origin_i is 9223372036854775807: it must be 0 to 268435456" },
    { ARG(origin_j), 1, "whole_sk is 9: it must be 10, where this run's sk ends, to 268435456" },
    { ARG(origin_h), 2, "whole_hq is 4: it must be 6, where this run's hq ends, to 1048576" },
    { ARG(whole_sq), 6, "whole_sq is 6: it must be 7, where this run's sq ends, to 268435456" },
    { ARG(whole_sq), longest + 1,
      "whole_sq is 268435457: it must be 7, where this run's sq ends, to 268435456" },
    { ARG(whole_b), -1, "whole_b is -1: it must be 2, where this run's b ends, to 1048576" },
    { ARG(whole_hkv), 1, "whole_hkv is 1: it must be 2, where this run's hkv ends, to 1048576" },
    { ARG(whole_hkv), 3, "whole_hq is 4: it must be a multiple of whole_hkv = 3" },
    { ARG(whole_hq), 8, "slopes has shape [4]: it must be [8]" },
    { ARG(whole_sk), 20, "t has shape [2, 9]: it must be [2, 20]" },
    { ARG(whole_b), 3, "t has shape [2, 9]: it must be [3, 9]" },
#undef ARG
};

#define SIZES "dtype=f32 b=2 hq=4 hkv=2 sq=7 sk=9 d=8"
#define READS " alibi tensor=t:f32[b,sk] score={s + t[b][j]}"

START_TEST(wrong_places_are_refused)
{
    trial x;
    fg_error error;
    open_contexts();
    trial_open(&x, contexts[0], NULL, SIZES READS " shard");
    trial_check(&x, "the whole");
    for (size_t k = 0; k < sizeof refused / sizeof *refused; k++) {
        const fg_args kept = x.t.args;
        memcpy((char *)&x.t.args + refused[k].field, &refused[k].value, sizeof refused[k].value);
        ck_assert_int_eq(test_run(&x.t, x.plan, &error), FG_REQUEST);
        ck_assert_str_eq(error.text, refused[k].sentence);
        ck_assert_int_eq(fg_check(contexts[0], x.handle, &x.t.args, NULL, NULL, &error),
                         FG_REQUEST);
        ck_assert_str_eq(error.text, refused[k].sentence);
        x.t.args = kept;
    }
    trial_close(&x);
    close_contexts();
}
END_TEST

START_TEST(places_are_for_shards_alone)
{
    static const struct {
        size_t field;
        const char *sentence;
    } given[] = {
        { offsetof(fg_args, origin_j), "origin_j was given, but the problem has no shard" },
        { offsetof(fg_args, whole_hkv), "whole_hkv was given, but the problem has no shard" },
    };
    trial x;
    fg_error error;
    fg_problem *handle;
    open_contexts();
    trial_open(&x, contexts[0], NULL, SIZES READS);
    for (size_t k = 0; k < 2; k++) {
        const fg_args kept = x.t.args;
        memset((char *)&x.t.args + given[k].field, 0, sizeof(int64_t));
        ck_assert_int_eq(test_run(&x.t, x.plan, &error), FG_REQUEST);
        ck_assert_str_eq(error.text, given[k].sentence);
        x.t.args = kept;
    }
    trial_check(&x, "no place");
    trial_close(&x);
    fg_status s = fg_problem_parse(&handle, contexts[0], SIZES " shard lens=packed", &error);
    ck_assert_int_eq(s, FG_REQUEST);
    ck_assert_str_eq(error.text, "lens=packed: shard takes sequences that all have the same "
                                 "length; leave one of them out");
    close_contexts();
}
END_TEST

/* Which tiles are empty depends on where they are. */
START_TEST(what_is_prepared_is_of_one_place)
{
    trial x;
    fg_error error;
    open_contexts();
    trial_open(&x, contexts[0], NULL,
               "dtype=f32 b=1 hq=1 sq=40 sk=300 d=8 shard maskfn={doc[j] == 3} tensor=doc:i32[sk]");
    ck_assert(trial_prepare(&x));
    trial_check(&x, "prepared");
    x.t.args.origin_i = 5;
    x.t.args.whole_sq = 45;
    ck_assert_int_eq(test_run(&x.t, x.plan, &error), FG_REQUEST);
    ck_assert(strncmp(error.text, "what is prepared is not by fg_plan_prepare", 42) == 0);
    ck_assert(trial_prepare(&x));
    trial_check(&x, "prepared anew");
    trial_close(&x);
    close_contexts();
}
END_TEST

int main(void)
{
    const TTest *list[] = { far_places_are_as_near_ones, wrong_places_are_refused,
                            places_are_for_shards_alone, what_is_prepared_is_of_one_place, NULL };
    return support_run("shard_places", list);
}
