/* flashgen bench: how fast problems run on drawn inputs. */
#include "commands.h"
#include "draw.h"
#include "interrupt.h"
#include "list.h"
#include "measure.h"
#include "mirror.h"
#include "plan.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_choices {
    const char *list;
    bool json;
    input_choices inputs;
    plan_choices plan;
    context_choices context;
} bench_choices;

static const option options[] = {
    { "list", OPTION_text, "FILE", offsetof(bench_choices, list),
      "problems, one a line; # comments, '# name: X' names the next" },
    INPUT_OPTIONS(bench_choices, inputs),
    PLAN_OPTIONS(bench_choices, plan),
    { "json", OPTION_flag, NULL, offsetof(bench_choices, json), "print one JSON object" },
    CONTEXT_OPTIONS(bench_choices, context, "auto"),
    { 0 },
};

/* Inputs that a run takes turns through, so that none finds its own in the cache; fewer of large ones. */
enum { sets_max = 4 };
static const int64_t sets_bytes = INT64_C(1) << 29;

typedef struct bench {
    fg_problem *problem;
    fg_plan *plan;
    int sets;
    tensors set[sets_max];
    mirror mirror[sets_max];
} bench;

typedef struct bench_result {
    char *problem; /* canonical */
    char *schedule, *config;
    fg_source source;
    measurement timing;
    double gflops, kv_gbs;
} bench_result;

static void bench_free(bench *b)
{
    for (int k = 0; k < b->sets; k++) mirror_free(&b->mirror[k]);
    for (int k = 0; k < b->sets; k++) tensors_free(&b->set[k]);
    fg_plan_free(b->plan);
    fg_problem_free(b->problem);
}

static void result_free(bench_result *r)
{
    free(r->problem);
    free(r->schedule);
    free(r->config);
}

/* All sets run in the workspace of the first. */
static fg_status mirror_set(bench *b, fg_context *context, int k, int index, fg_error *error)
{
    mirror *m = &b->mirror[k];
    fg_status s = mirror_make(m, context, b->plan, index, &b->set[k], error);
    if (s == FG_OK && k == 0) s = mirror_workspace(m, b->plan, error);
    m->args.workspace = b->mirror[0].args.workspace;
    m->args.workspace_bytes = b->mirror[0].args.workspace_bytes;
    return s;
}

/* Lengths are the same in all of them: they are the same work. */
static fg_status draw_sets(bench *b, fg_context *context, const bench_choices *c, const char *line,
                           const lengths *known, fg_error *error)
{
    tensor_files none = { 0 };
    tensors_from from = {
        .problem = b->problem, .line = line, .known = known, .files = &none, .inputs = &c->inputs
    };
    do {
        from.draw = (uint64_t)b->sets;
        tensors *set = &b->set[b->sets++];
        fg_status s = tensors_make(set, &from, error);
        if (s != FG_OK) return s;
        s = mirror_set(b, context, b->sets - 1, context_index(context), error);
        if (s != FG_OK) return s;
    } while (b->sets < sets_max && b->set[0].bytes * (b->sets + 1) <= sets_bytes);
    return FG_OK;
}

static fg_status time_sets(bench *b, measurement *out, fg_error *error)
{
    static const measure_limits warm_up = { .least_runs = 1, .seconds = 0.05, .most_seconds = 0.2 };
    static const measure_limits limits = { .least_runs = 7, .seconds = 0.5, .most_seconds = 10 };
    const fg_args *args[sets_max];
    for (int k = 0; k < b->sets; k++) args[k] = &b->mirror[k].args;
    fg_status s = measure_runs(out, b->plan, args, b->sets, &warm_up, error);
    return s == FG_OK ? measure_runs(out, b->plan, args, b->sets, &limits, error) : s;
}

static fg_status fill_result(bench_result *r, fg_context *context, bench *b, fg_error *error)
{
    fg_plan_info info;
    int64_t pairs = 0;
    fg_status s = fg_visible_pairs(context, b->problem, &b->set[0].args, &pairs, error);
    if (s != FG_OK) return s;
    fg_plan_config(b->plan, &info);
    r->problem = strdup(fg_problem_format(b->problem));
    r->schedule = strdup(info.schedule);
    r->config = strdup(info.config);
    r->source = info.source;
    r->gflops = measure_gflops(&b->set[0], pairs, r->timing.median);
    r->kv_gbs = measure_kv_gbs(&b->set[0], r->timing.median);
    return r->problem && r->schedule && r->config ? FG_OK : fault_memory(error);
}

static fg_status bench_one(bench_result *r, fg_context *context, const bench_choices *c,
                           const list_item *item, fg_error *error)
{
    bench b = { 0 };
    lengths known;
    const tensor_files none = { 0 };
    char *line = NULL;
    fg_status s;
    if ((s = line_expand(&line, item->problem, error)) != FG_OK) goto out;
    if ((s = lengths_complete(&known, &line, &none, &c->inputs, error)) != FG_OK) goto out;
    if ((s = fg_problem_parse(&b.problem, context, line, error)) != FG_OK) goto out;
    const fg_dims sizes = measure_dims(&known);
    s = plan_make(&b.plan, context, b.problem, &c->plan, &sizes, list_name(item), error);
    if (s != FG_OK) goto out;
    if ((s = draw_sets(&b, context, c, line, &known, error)) != FG_OK) goto out;
    if ((s = time_sets(&b, &r->timing, error)) != FG_OK) goto out;
    s = fill_result(r, context, &b, error);
out:
    free(line);
    bench_free(&b);
    return s;
}

/* ---- Output ---- */

typedef struct table {
    cJSON *results; /* NULL: rows are printed as they come */
    double peak;
    int name_width;
} table;

static void table_start(table *t, const list *problems)
{
    for (int k = 0; k < problems->count; k++) {
        int width = problems->item[k].name ? (int)strlen(problems->item[k].name) : 0;
        if (width > t->name_width) t->name_width = width;
    }
    if (t->results) return;
    if (t->peak > 0) printf("measured peak %.1f GFLOP/s\n", t->peak);
    printf("%-*s%s%12s%12s%9s%10s  %s\n", t->name_width, t->name_width ? "name" : "",
           t->name_width ? "  " : "", "median ms", "GFLOP/s", "of peak", "K+V GB/s", "problem");
    fflush(stdout);
}

static bool add_row(cJSON *results, const char *name, const bench_result *r, double of_peak)
{
    cJSON *row = cJSON_CreateObject();
    bool ok =
        row &&
        (name ? cJSON_AddStringToObject(row, "name", name) : cJSON_AddNullToObject(row, "name")) &&
        cJSON_AddStringToObject(row, "problem", r->problem) &&
        cJSON_AddStringToObject(row, "schedule", r->schedule) &&
        cJSON_AddStringToObject(row, "config", r->config) &&
        cJSON_AddStringToObject(row, "source", plan_source(r->source)) &&
        cJSON_AddNumberToObject(row, "runs", r->timing.runs) &&
        cJSON_AddNumberToObject(row, "median_ms", 1e3 * r->timing.median) &&
        cJSON_AddNumberToObject(row, "gflops", r->gflops) &&
        cJSON_AddNumberToObject(row, "of_peak", of_peak) &&
        cJSON_AddNumberToObject(row, "kv_gbs", r->kv_gbs);
    if (ok) ok = cJSON_AddItemToArray(results, row);
    if (!ok) cJSON_Delete(row);
    return ok;
}

static fg_status table_add(table *t, const char *name, const bench_result *r, fg_error *error)
{
    double of_peak = t->peak > 0 ? r->gflops / t->peak : 0;
    if (t->results) return add_row(t->results, name, r, of_peak) ? FG_OK : fault_memory(error);
    printf("%-*s%s%12.3f%12.1f%9.3f%10.1f  %s\n", t->name_width, name ? name : "",
           t->name_width ? "  " : "", 1e3 * r->timing.median, r->gflops, of_peak, r->kv_gbs,
           r->problem);
    fflush(stdout); /* each takes a while */
    return FG_OK;
}

/* Takes the results. */
static fg_status table_finish(table *t, fg_error *error)
{
    if (!t->results) return FG_OK;
    cJSON *object = cJSON_CreateObject();
    bool ok = object && cJSON_AddNumberToObject(object, "peak_gflops", t->peak) &&
              cJSON_AddItemToObject(object, "results", t->results);
    if (ok) t->results = NULL;
    char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
    return text ? FG_OK : fault_memory(error);
}

/* Goes on behind a problem that fails; the first failure is what the command ends with. */
static fg_status bench_all(table *t, fg_context *context, const bench_choices *c,
                           const list *problems, fg_error *error)
{
    fg_status first = FG_OK;
    for (int k = 0; k < problems->count && !interrupt_caught(); k++) {
        bench_result r = { 0 };
        fg_error own = { FG_OK, -1, "" };
        const list_item *item = &problems->item[k];
        fg_status s = bench_one(&r, context, c, item, &own);
        if (s == FG_OK) s = table_add(t, item->name, &r, &own);
        result_free(&r);
        if (s == FG_OK) continue;
        if (problems->count > 1) list_name_fault(item, &own);
        if (first != FG_OK) fault_print(error, NULL);
        first = first == FG_OK ? s : first;
        *error = own;
    }
    return first;
}

static fg_status bench_run(void *choices, int argc, char **argv, char **line, fg_error *error)
{
    const bench_choices *c = choices;
    fg_context *context = NULL;
    list problems = { 0 };
    table t = { 0 };
    fg_status s, output;
    (void)line;
    if ((s = plan_check(&c->plan, error)) != FG_OK) goto out;
    if ((s = list_gather(&problems, c->list, argc, argv, error)) != FG_OK) goto out;
    if ((s = context_open(&context, &c->context, "auto", error)) != FG_OK) goto out;
    s = fg_context_peak(context, &t.peak, error);
    if (s != FG_OK && s != FG_UNSUPPORTED) goto out; /* of GPUs it is not known */
    s = FG_OK;
    if (c->json && !(t.results = cJSON_CreateArray())) s = fault_memory(error);
    if (s != FG_OK) goto out;
    table_start(&t, &problems);
    s = bench_all(&t, context, c, &problems, error);
    fg_error own;
    output = table_finish(&t, &own);
    if (s == FG_OK && output != FG_OK) *error = own;
    if (s == FG_OK) s = output;
out:
    cJSON_Delete(t.results);
    list_free(&problems);
    fg_context_free(context);
    return s;
}

const command command_bench = {
    .name = "bench",
    .arguments = "'PROBLEM'...",
    .summary = "Times problems on drawn inputs and compares with the measured peak",
    .about = "GFLOP/s count 2 (d + dv) for each visible query-key pair; the peak is f32 "
             "multiply-add, measured now.\n"
             "K+V GB/s are the bytes of all keys and values, once for each key/value head: what "
             "bounds a run of few\n"
             "queries.\n"
             "The median is over at least 7 runs and half a second, through several sets of inputs "
             "in turn.\n\n" DRAW_HELP,
    .options = options,
    .run = bench_run,
    .choices_size = sizeof(bench_choices),
};
