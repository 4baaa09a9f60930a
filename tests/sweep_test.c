/* Drawn problems, each with a drawn config and instruction set, against the reference.
 * FLASHGEN_TEST_SWEEP_ONLY=INDEX runs one of them again. */
/* ctest: shards=2 labels=slow */
#include "tests/support_contents.h"
#include "tests/support_trial.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { seed = 20240801, most_reported = 12 };

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

/* The instruction set of that name, or the best below it that there is. */
static fg_context *context_for(const char *isa)
{
    int k = isa_count - 1;
    while (k > 0 && (strcmp(isa_names[k], isa) != 0 || !contexts[k])) {
        if (strcmp(isa_names[k], isa) == 0) isa = isa_names[k - 1];
        k--;
    }
    return contexts[k];
}

/* ---- Drawing ---- */

/* A function may lose its tensors when it is simplified; a problem that declares them is refused. Such a
 * draw is replaced. */
static fg_problem *draw(drawn_case *c, int64_t index)
{
    for (uint64_t attempt = 0;; attempt++) {
        fg_problem *handle;
        fg_error error;
        case_draw(c, seed + attempt, index, isa_lanes);
        fg_status s = fg_problem_parse(&handle, contexts[0], c->line.data, &error);
        if (s == FG_OK) return handle;
        ck_assert_msg(strstr(error.text, "neither score nor maskfn reads it"), "%lld: %s\n%s",
                      (long long)index, error.text, c->line.data);
        case_free(c);
    }
}

/* ---- One case ---- */

typedef struct outcome {
    char config[256];
    bool wide;     /* three tiles or more on both axes */
    bool prepared; /* there was something to prepare, and runs got it */
    double ratio;
    fg_error error; /* FG_OK: right */
} outcome;

static fg_status find_config(outcome *o, fg_context *context, const drawn_case *c, const problem *p)
{
    const char *const pins[] = { c->pins, "" };
    maker_device device = context_maker_device(context);
    fg_status s = FG_INTERNAL;
    for (size_t k = 0; k < 2 && s != FG_OK; k++) {
        char *config = NULL;
        int64_t count = 0;
        maker_request request = {
            .memory = &context->memory, .problem = p, .device = &device, .config = pins[k]
        };
        s = context->maker->config_at(&config, &count, &request, (int64_t)c->config, &o->error);
        snprintf(o->config, sizeof o->config, "%s", config ? config : "");
        fg_text_free(context, config);
        if (s == FG_OK || *pins[k] == 0) break; /* pins may be illegal for the problem's depths */
    }
    return s;
}

static int64_t axis(const char *config, const char *name)
{
    char word[32];
    snprintf(word, sizeof word, "%s=", name);
    const char *at = strstr(config, word);
    return at ? atoll(at + strlen(word)) : 1;
}

static bool spans_tiles(const drawn_case *c, const char *config)
{
    int64_t rows = axis(config, "lanes") * axis(config, "vectors") * axis(config, "blocks");
    return c->sq > 2 * rows && c->sk > 2 * axis(config, "keys");
}

static fg_status check(outcome *o, fg_context *context, const drawn_case *c, test_tensors *t)
{
    fg_check_options how = FG_CHECK_OPTIONS_INIT;
    fg_check_report report = { 0 };
    how.full = 1;
    how.drawn = !case_has(c, CASE_onehot);
    for (int k = 0; k < t->count; k++) how.drawn = how.drawn && !t->tensor[k].repeats;
    fg_status s = fg_check(context, t->problem, &t->args, &how, &report, &o->error);
    o->ratio = report.error_over_bound;
    const char *name = test_spilled(t);
    if (!name) return s;
    snprintf(o->error.text, sizeof o->error.text, "bytes beside %s were written", name);
    return FG_WRONG;
}

/* The bits of o and lse, for the caller to free. */
static char *bits_of(test_tensors *t, size_t *bytes)
{
    static const char *const outputs[] = { "o", "lse" };
    char *bits = NULL;
    *bytes = 0;
    for (int k = 0; k < 2; k++) {
        const test_tensor *one = test_tensors_find(t, outputs[k]);
        size_t size = one ? dtypes[one->type].bits / 8u : 0;
        if (!one || one->count == 0) continue;
        bits = realloc(bits, *bytes + (size_t)one->count * size);
        ck_assert_ptr_nonnull(bits);
        for (int64_t n = 0; n < one->count; n++, *bytes += size)
            memcpy(bits + *bytes, test_element(one, n), size);
    }
    return bits;
}

static bool same_bits(test_tensors *t, const char *bits, size_t bytes)
{
    size_t now_bytes;
    char *now = bits_of(t, &now_bytes);
    bool same = now_bytes == bytes && (bytes == 0 || memcmp(now, bits, bytes) == 0);
    free(now);
    return same;
}

/* Two runs from one preparation give the bits of a run that prepares for itself. */
static fg_status run_prepared(outcome *o, const fg_plan *plan, test_tensors *t)
{
    size_t bytes;
    char *bits = bits_of(t, &bytes);
    fg_status s = test_prepare(t, plan, &o->error);
    o->prepared = t->prepared.bytes > 0;
    for (int k = 0; k < 2 && s == FG_OK; k++) {
        test_forget(t);
        s = test_run(t, plan, &o->error);
        if (s != FG_OK || same_bits(t, bits, bytes)) continue;
        snprintf(o->error.text, sizeof o->error.text,
                 "run %d of what was prepared gives other bits", k + 1);
        s = FG_WRONG;
    }
    free(bits);
    return s;
}

static fg_status run_case(outcome *o, fg_context *context, const drawn_case *c, fg_problem *handle)
{
    fg_plan *plan = NULL;
    fg_plan_options how = FG_PLAN_OPTIONS_INIT;
    test_tensors t = { 0 };
    fg_status s = find_config(o, context, c, handle->problem);
    how.config = o->config;
    if (s == FG_OK) s = fg_plan_new(&plan, context, handle, &how, &o->error);
    if (s == FG_OK) {
        o->wide = spans_tiles(c, o->config);
        case_tensors(&t, handle, c);
        s = test_run(&t, plan, &o->error);
    }
    if (s == FG_OK && case_has(c, CASE_prepared)) s = run_prepared(o, plan, &t);
    if (s == FG_OK) s = check(o, context, c, &t);
    test_tensors_free(&t);
    fg_plan_free(plan);
    return o->error.status = s;
}

/* ---- All of them ---- */

typedef struct tally {
    int64_t ran, wrong, wide;
    double worst;
    int64_t worst_index;
    char (*configs)[256]; /* each that came up */
    int64_t distinct;
    struct {
        int64_t cases;
        double worst;
    } feature[case_features];
} tally;

static void count_config(tally *t, const char *config)
{
    for (int64_t k = 0; k < t->distinct; k++)
        if (strcmp(t->configs[k], config) == 0) return;
    strcpy(t->configs[t->distinct++], config);
}

static void count_features(tally *t, const outcome *o, const drawn_case *c)
{
    for (case_feature f = 0; f < case_features; f++) {
        if (!case_has(c, f) || (f == CASE_prepared && !o->prepared)) continue;
        t->feature[f].cases++;
        if (o->error.status == FG_OK) t->feature[f].worst = fmax(t->feature[f].worst, o->ratio);
    }
}

static void print_features(const tally *t)
{
    printf("%-12s %8s  %s\n", "feature", "cases", "worst error/bound");
    for (int f = 0; f < case_features; f++)
        printf("%-12s %8lld  %.3f\n", case_names[f], (long long)t->feature[f].cases,
               t->feature[f].worst);
}

static void note(tally *t, const outcome *o, int64_t index, const drawn_case *c)
{
    t->ran++;
    t->wide += o->wide;
    count_config(t, o->config);
    count_features(t, o, c);
    if (o->error.status == FG_OK && o->ratio > t->worst) {
        t->worst = o->ratio;
        t->worst_index = index;
    }
    if (getenv("FLASHGEN_TEST_SWEEP_ONLY"))
        fprintf(stderr, "%s\n%s %s\n", c->line.data, c->isa, o->config);
    if (o->error.status == FG_OK || t->wrong++ >= most_reported) return;
    fprintf(stderr, "sweep %lld: %s (%.3g of the bound)\n  problem: %s\n  isa: %s\n  config: %s\n",
            (long long)index, o->error.text, o->ratio, c->line.data, c->isa, o->config);
}

static void run_index(tally *t, int64_t index)
{
    drawn_case c;
    outcome o = { .ratio = 0 };
    fg_problem *handle = draw(&c, index);
    run_case(&o, context_for(c.isa), &c, handle);
    note(t, &o, index, &c);
    fg_problem_free(handle);
    case_free(&c);
}

START_TEST(drawn_problems_are_right)
{
    int shard, shards;
    int64_t count = support_sweep(), first = 0;
    const char *only = getenv("FLASHGEN_TEST_SWEEP_ONLY");
    support_shard(&shard, &shards);
    if (only) {
        first = atoll(only);
        count = first + 1;
        shards = 1;
        shard = 0;
    }
    open_contexts();
    tally t = { .configs = calloc((size_t)count, sizeof *t.configs), .worst_index = -1 };
    for (int64_t k = first + shard; k < count; k += shards) run_index(&t, k);
    printf("sweep, part %d of %d: %lld problems, %lld configs, %.0f%% of three tiles or more on "
           "both axes, "
           "%lld wrong, worst error/bound of the others %.3f (problem %lld)\n",
           shard + 1, shards, (long long)t.ran, (long long)t.distinct,
           100.0 * (double)t.wide / (double)t.ran, (long long)t.wrong, t.worst,
           (long long)t.worst_index);
    if (!only) print_features(&t);
    fflush(stdout); /* a failure ends this process without */
    ck_assert_msg(t.wrong == 0, "%lld of %lld problems failed", (long long)t.wrong,
                  (long long)t.ran);
    if (t.ran >= 1000) ck_assert_int_ge(t.wide * 10, t.ran * 3);
    free(t.configs);
    close_contexts();
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
        fg_problem_free(draw(&c, k));
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
