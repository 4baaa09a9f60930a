/* Drawn problems, each with a drawn config and instruction set, against the reference, on processors. */
/* ctest: shards=2 labels=slow */
#include "tests/support_sweep.h"
#include "tests/support_trial.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Contexts, one an instruction set ---- */

static fg_context *contexts[isa_count]; /* NULL: not on this processor */

static void open_contexts(void)
{
    for (int k = 0; k < isa_count; k++) contexts[k] = test_context(k, 2);
}

static void close_contexts(void)
{
    for (int k = 0; k < isa_count; k++) fg_context_free(contexts[k]);
}

/* The instruction set of the case, or the best below it that there is. */
static fg_context *context_for(const drawn_case *c)
{
    const char *isa = c->isa;
    int k = isa_count - 1;
    while (k > 0 && (strcmp(isa_names[k], isa) != 0 || !contexts[k])) {
        if (strcmp(isa_names[k], isa) == 0) isa = isa_names[k - 1];
        k--;
    }
    return contexts[k];
}

static const sweep_kind kind = { .name = "sweep",
                                 .seed = 20240801,
                                 .context_for = context_for,
                                 .f64 = true,
                                 .isas = true,
                                 .most_work = HUGE_VAL };

START_TEST(drawn_problems_are_right)
{
    sweep_tally t;
    open_contexts();
    sweep_run(&t, &kind, support_sweep());
    sweep_print(&t);
    close_contexts();
    sweep_assert(&t);
    if (t.ran >= 1000) ck_assert_int_ge(t.wide * 10, t.ran * 3);
}
END_TEST

/* ---- What they cover ---- */

static void count_pairs(int64_t (*pairs)[case_features], uint64_t features)
{
    for (int a = 0; a < case_features; a++)
        for (int b = 0; b < case_features; b++)
            pairs[a][b] += (features >> a & features >> b & 1) != 0;
}

START_TEST(each_pair_of_features_is_drawn)
{
    static int64_t pairs[case_features][case_features];
    int64_t count = support_sweep(), least = count;
    case_feature a_least = 0, b_least = 0;
    int shard, shards;
    support_shard(&shard, &shards);
    if (shard) return; /* once is enough */
    open_contexts();
    for (int64_t k = 0; k < count; k++) {
        drawn_case c;
        fg_problem_free(sweep_draw(&c, &kind, k));
        count_pairs(pairs, c.features);
        case_free(&c);
    }
    for (case_feature a = 0; a < case_features; a++)
        for (case_feature b = 0; b < a; b++) {
            if (case_excludes(a, b) || pairs[a][b] >= least) continue;
            least = pairs[a][b];
            a_least = a;
            b_least = b;
        }
    printf("sweep: of %lld problems the rarest pair of features, %s and %s, has %lld\n",
           (long long)count, case_names[a_least], case_names[b_least], (long long)least);
    if (count >= 3000) ck_assert_int_ge(least, 20);
    close_contexts();
}
END_TEST

/* ---- Configs by number ---- */

static char *config_at(fg_context *context, const fg_problem *handle, const char *pins,
                       int64_t index, int64_t *count)
{
    char *config = NULL;
    fg_error error;
    maker_device device = context_maker_device(context);
    maker_request request = {
        .memory = &context->memory, .problem = handle->problem, .device = &device, .config = pins
    };
    fg_status s = context->maker->config_at(&config, count, &request, index, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
    return config;
}

START_TEST(configs_have_numbers)
{
    fg_problem *handle;
    fg_error error;
    int64_t count, same, one;
    open_contexts();
    ck_assert_int_eq(
        fg_problem_parse(&handle, contexts[0], "dtype=f32 b=1 hq=2 sq=100 d=64", &error), FG_OK);
    char *first = config_at(contexts[0], handle, NULL, 0, &count),
         *second = config_at(contexts[0], handle, NULL, 1, &same);
    ck_assert_int_gt(count, 100);
    ck_assert_int_eq(same, count);
    ck_assert_str_ne(first, second);
    char *wrapped = config_at(contexts[0], handle, NULL, count + 1, &same);
    ck_assert_str_eq(wrapped, second);
    char *pinned = config_at(contexts[0], handle, second, 5, &one);
    ck_assert_int_eq(one, 1);
    ck_assert_str_eq(pinned, second);
    fg_text_free(contexts[0], first);
    fg_text_free(contexts[0], second);
    fg_text_free(contexts[0], wrapped);
    fg_text_free(contexts[0], pinned);
    fg_problem_free(handle);
    close_contexts();
}
END_TEST

int main(void)
{
    const TTest *tests[] = { configs_have_numbers, each_pair_of_features_is_drawn,
                             drawn_problems_are_right, NULL };
    return support_run("sweep", tests);
}
