#include "tests/support_sweep.h"

#include "tests/support_contents.h"
#include "tests/support_trial.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { most_reported = 12 };

static const char *only(void)
{
    return getenv("FLASHGEN_TEST_SWEEP_ONLY");
}

/* ---- Drawing ---- */

static double work_of(const drawn_case *c)
{
    return (double)(c->b * c->hq) * (double)(c->sq + 16) * (double)(c->sk + 16) *
           (double)(c->d + c->dv + 32);
}

/* A function may lose its tensors when it is simplified; a problem that declares them is refused. Such a
 * draw is replaced, and so is what the kind does not take. */
fg_problem *sweep_draw(drawn_case *c, const sweep_kind *kind, int64_t index)
{
    for (uint64_t attempt = 0;; attempt++) {
        fg_problem *handle;
        fg_error error;
        case_draw(c, kind->seed + attempt, index, isa_lanes);
        if ((kind->f64 || !strstr(c->line.data, "f64")) && work_of(c) <= kind->most_work) {
            fg_status s = fg_problem_parse(&handle, kind->context_for(c), c->line.data, &error);
            if (s == FG_OK) return handle;
            ck_assert_msg(strstr(error.text, "neither score nor maskfn reads it"), "%lld: %s\n%s",
                          (long long)index, error.text, c->line.data);
        }
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

static const char *pins_of(const sweep_kind *kind, const drawn_case *c)
{
    uint64_t count = 0;
    while (kind->pins[count]) count++;
    return kind->pins[(uint64_t)c->config % count];
}

static fg_status find_config(outcome *o, const sweep_kind *kind, fg_context *context,
                             const drawn_case *c, const problem *p)
{
    const char *const pins[] = { kind->isas ? c->pins : kind->pins ? pins_of(kind, c) : "", "" };
    maker_device device = context_maker_device(context);
    fg_status s = FG_INTERNAL;
    for (size_t k = 0; k < 2 && s != FG_OK; k++) {
        char *config = NULL;
        int64_t count = 0;
        maker_request request = { .memory = &context->memory,
                                  .problem = p,
                                  .device = &device,
                                  .config = pins[k],
                                  .templates = context->templates };
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

/* Rows of a tile, by the axes of schedules for GPUs or of those for processors. */
static int64_t rows_of(const char *config)
{
    if (strstr(config, "warps="))
        return axis(config, "rows") * axis(config, "warps") / axis(config, "share");
    return axis(config, "lanes") * axis(config, "vectors") * axis(config, "blocks");
}

static bool spans_tiles(const drawn_case *c, const char *config)
{
    return c->sq > 2 * rows_of(config) && c->sk > 2 * axis(config, "keys");
}

static fg_status check(outcome *o, fg_context *context, const drawn_case *c, test_tensors *t)
{
    fg_check_options how = FG_CHECK_OPTIONS_INIT;
    fg_check_report report = { 0 };
    how.full = 1;
    how.drawn = !case_has(c, CASE_onehot);
    for (int k = 0; k < t->count; k++) how.drawn = how.drawn && !t->tensor[k].repeats;
    fg_status s = test_check(t, context, &how, &report, &o->error);
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

static fg_status run_case(outcome *o, const sweep_kind *kind, const drawn_case *c,
                          fg_problem *handle)
{
    fg_plan *plan = NULL;
    fg_context *context = kind->context_for(c);
    fg_plan_options how = FG_PLAN_OPTIONS_INIT;
    test_tensors t = { 0 };
    fg_status s = find_config(o, kind, context, c, handle->problem);
    how.config = o->config;
    if (s == FG_OK) s = fg_plan_new(&plan, context, handle, &how, &o->error);
    if (s == FG_OK) {
        o->wide = spans_tiles(c, o->config);
        case_tensors(&t, handle, c);
        t.gpu = kind->gpu;
        s = test_run(&t, plan, &o->error);
    }
    if (s == FG_OK && case_has(c, CASE_prepared)) s = run_prepared(o, plan, &t);
    if (s == FG_OK) s = check(o, context, c, &t);
    test_tensors_free(&t);
    fg_plan_free(plan);
    return o->error.status = s;
}

/* ---- All of them ---- */

typedef char config_text[256];

/* `all`: each that came up so far. */
static void count_config(sweep_tally *t, config_text *all, const char *config)
{
    for (int64_t k = 0; k < t->distinct; k++)
        if (strcmp(all[k], config) == 0) return;
    strcpy(all[t->distinct++], config);
}

static void count_features(sweep_tally *t, const outcome *o, const drawn_case *c)
{
    for (case_feature f = 0; f < case_features; f++) {
        if (!case_has(c, f) || (f == CASE_prepared && !o->prepared)) continue;
        t->feature[f].cases++;
        if (o->error.status == FG_OK) t->feature[f].worst = fmax(t->feature[f].worst, o->ratio);
    }
}

static void print_features(const sweep_tally *t)
{
    printf("%-12s %8s  %s\n", "feature", "cases", "worst error/bound");
    for (int f = 0; f < case_features; f++) {
        if (!t->kind->isas && strcmp(case_groups[f], "isa") == 0) continue;
        if (!t->kind->f64 && f == CASE_f64) continue;
        printf("%-12s %8lld  %.3f\n", case_names[f], (long long)t->feature[f].cases,
               t->feature[f].worst);
    }
}

static void note(sweep_tally *t, const outcome *o, int64_t index, const drawn_case *c)
{
    t->ran++;
    t->wide += o->wide;
    count_features(t, o, c);
    if (o->error.status == FG_OK && o->ratio > t->worst) {
        t->worst = o->ratio;
        t->worst_index = index;
    }
    const char *isa = t->kind->isas ? c->isa : "-";
    if (only()) fprintf(stderr, "%s\n%s %s: %.3f\n", c->line.data, isa, o->config, o->ratio);
    if (o->error.status == FG_OK || t->wrong++ >= most_reported) return;
    fprintf(stderr, "%s %lld: %s (%.3g of the bound)\n  problem: %s\n  isa: %s\n  config: %s\n",
            t->kind->name, (long long)index, o->error.text, o->ratio, c->line.data, isa, o->config);
}

static void run_index(sweep_tally *t, config_text *all, int64_t index)
{
    drawn_case c;
    outcome o = { .ratio = 0 };
    fg_problem *handle = sweep_draw(&c, t->kind, index);
    run_case(&o, t->kind, &c, handle);
    count_config(t, all, o.config);
    note(t, &o, index, &c);
    fg_problem_free(handle);
    case_free(&c);
}

void sweep_run(sweep_tally *t, const sweep_kind *kind, int64_t count)
{
    int64_t first = 0;
    *t = (sweep_tally){ .kind = kind, .worst_index = -1 };
    support_shard(&t->part, &t->parts);
    if (only()) {
        first = atoll(only());
        count = first + 1;
        t->part = 0;
        t->parts = 1;
    }
    config_text *all = calloc((size_t)count + 1, sizeof *all);
    ck_assert_ptr_nonnull(all);
    for (int64_t k = first + t->part; k < count; k += t->parts) run_index(t, all, k);
    free(all);
}

void sweep_print(const sweep_tally *t)
{
    printf("%s, part %d of %d: %lld problems, %lld configs, %lld of three tiles or more on both "
           "axes, %lld wrong, worst error/bound of the others %.3f (problem %lld)\n",
           t->kind->name, t->part + 1, t->parts, (long long)t->ran, (long long)t->distinct,
           (long long)t->wide, (long long)t->wrong, t->worst, (long long)t->worst_index);
    if (!only()) print_features(t);
    fflush(stdout); /* a failure ends this process without */
}

void sweep_assert(const sweep_tally *t)
{
    ck_assert_msg(t->wrong == 0, "%lld of %lld problems failed", (long long)t->wrong,
                  (long long)t->ran);
}
