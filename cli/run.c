/* flashgen run: one problem, on files or drawn inputs. */
#include "commands.h"
#include "draw.h"
#include "mirror.h"
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const option options[] = {
    { "q", OPTION_text, "FILE", offsetof(run_choices, q),
      "queries, a .npy file in the problem's layout" },
    { "k", OPTION_text, "FILE", offsetof(run_choices, k), "keys" },
    { "v", OPTION_text, "FILE", offsetof(run_choices, v), "values" },
    { "bias", OPTION_text, "FILE", offsetof(run_choices, bias), "what bias= adds to the scores" },
    { "mask", OPTION_text, "FILE", offsetof(run_choices, mask),
      "what mask= keeps, where it is not 0" },
    { "slopes", OPTION_text, "FILE", offsetof(run_choices, slopes), "slopes of alibi" },
    { "sinks", OPTION_text, "FILE", offsetof(run_choices, sinks), "logits of sinks" },
    { "q-lens", OPTION_text, "FILE", offsetof(run_choices, q_lens),
      "lengths of lens=padded: of the queries" },
    { "k-lens", OPTION_text, "FILE", offsetof(run_choices, k_lens), "and of the keys" },
    { "cu-q", OPTION_text, "FILE", offsetof(run_choices, cu_q),
      "where sequences of lens=packed start, b + 1 numbers: in the queries" },
    { "cu-k", OPTION_text, "FILE", offsetof(run_choices, cu_k), "and in the keys" },
    { "block-table", OPTION_text, "FILE", offsetof(run_choices, block_table),
      "which page of page= holds each block of keys" },
    { "tensor", OPTION_words, "NAME=FILE", offsetof(run_choices, tensor),
      "a tensor= of the problem (repeatable)" },
    { "draw", OPTION_count, "N", offsetof(run_choices, draw), "seed of what has no file (0)" },
    INPUT_OPTIONS(run_choices, inputs),
    { "out", OPTION_text, "FILE", offsetof(run_choices, out), "write O here, f32 (f64 for f64)" },
    { "lse", OPTION_text, "FILE", offsetof(run_choices, lse), "write the log-sum-exp here" },
    PLAN_OPTIONS(run_choices, plan),
    { "check", OPTION_optional, "full", offsetof(run_choices, check),
      "compare with a float64 reference: every row, or above 2^32 multiply-adds and without full a "
      "sample" },
    { "expect", OPTION_text, "FILE", offsetof(run_choices, expect),
      "compare O with this .npy file: relative RMS at most 80 unit round-offs" },
    { "json", OPTION_flag, NULL, offsetof(run_choices, json), "print one JSON object" },
    CONTEXT_OPTIONS(run_choices, context, "auto"),
    { 0 },
};

/* ---- Inputs ---- */

static fg_status add_named(tensor_files *files, const char *word, fg_error *error)
{
    char name[32];
    const char *equals = strchr(word, '=');
    if (!equals || equals == word || (size_t)(equals - word) >= sizeof name)
        return fault(error, FG_REQUEST, "--tensor takes NAME=FILE, not '%s'", word);
    memcpy(name, word, (size_t)(equals - word));
    name[equals - word] = 0;
    return tensor_files_add(files, "--tensor", name, equals + 1, error);
}

static fg_status add_files(tensor_files *files, const run_choices *c, fg_error *error)
{
    const struct {
        const char *option, *name, *path;
    } given[] = {
        { "--q", "q", c->q },
        { "--k", "k", c->k },
        { "--v", "v", c->v },
        { "--bias", "bias", c->bias },
        { "--mask", "mask", c->mask },
        { "--slopes", "slopes", c->slopes },
        { "--sinks", "sinks", c->sinks },
        { "--q-lens", "q_lens", c->q_lens },
        { "--k-lens", "k_lens", c->k_lens },
        { "--cu-q", "cu_q", c->cu_q },
        { "--cu-k", "cu_k", c->cu_k },
        { "--block-table", "block_table", c->block_table },
    };
    fg_status s = FG_OK;
    for (size_t n = 0; n < sizeof given / sizeof *given && s == FG_OK; n++)
        if (given[n].path)
            s = tensor_files_add(files, given[n].option, given[n].name, given[n].path, error);
    for (int n = 0; n < c->tensor.count && s == FG_OK; n++)
        s = add_named(files, c->tensor.item[n], error);
    return s;
}

static fg_status check_choices(const run_choices *c, fg_error *error)
{
    if (c->check.value && strcmp(c->check.value, "full") != 0)
        return fault(error, FG_REQUEST, "--check=%s: it is --check or --check=full",
                     c->check.value);
    return plan_check(&c->plan, error);
}

/* ---- The run ---- */

/* All that has to be freed. */
typedef struct job {
    fg_context *context;
    fg_problem *problem;
    fg_plan *plan;
    tensor_files files;
    tensors tensors;
    mirror mirror;
} job;

static void job_free(job *j)
{
    mirror_free(&j->mirror);
    tensors_free(&j->tensors);
    tensor_files_free(&j->files);
    fg_plan_free(j->plan);
    fg_problem_free(j->problem);
    fg_context_free(j->context);
}

static fg_status make_tensors(job *j, const run_choices *c, const char *line, const lengths *known,
                              fg_error *error)
{
    const tensors_from from = { .problem = j->problem,
                                .line = line,
                                .known = known,
                                .files = &j->files,
                                .inputs = &c->inputs,
                                .draw = (uint64_t)c->draw,
                                .draw_lengths = (uint64_t)c->draw };
    return tensors_make(&j->tensors, &from, error);
}

static fg_status prepare(job *j, const run_choices *c, const char *given, char **line,
                         fg_error *error)
{
    lengths known;
    fg_status s;
    if ((s = check_choices(c, error)) != FG_OK) return s;
    if ((s = add_files(&j->files, c, error)) != FG_OK) return s;
    if ((s = line_expand(line, given, error)) != FG_OK) return s;
    s = lengths_complete(&known, line, &j->files, &c->inputs, error);
    if (s != FG_OK) return s;
    if ((s = context_open(&j->context, &c->context, "auto", error)) != FG_OK) return s;
    if ((s = fg_problem_parse(&j->problem, j->context, *line, error)) != FG_OK) return s;
    const fg_dims sizes = measure_dims(&known);
    s = plan_make(&j->plan, j->context, j->problem, &c->plan, &sizes, given, error);
    if (s != FG_OK) return s;
    if ((s = make_tensors(j, c, *line, &known, error)) != FG_OK) return s;
    if (c->lse && !tensors_find(&j->tensors, "lse"))
        return fault(error, FG_REQUEST, "--lse %s, but the problem does not ask for lse", c->lse);
    s = mirror_make(&j->mirror, j->context, j->plan, context_index(j->context), &j->tensors, error);
    return s == FG_OK ? mirror_workspace(&j->mirror, j->plan, error) : s;
}

static fg_status first_run(job *j, run_result *r, fg_error *error)
{
    double start = measure_now();
    fg_status s = fg_run(j->plan, &j->mirror.args, error);
    if (s == FG_OK && j->mirror.gpu) s = fg_context_wait(j->context, error);
    r->first_seconds = measure_now() - start;
    r->problem = fg_problem_format(j->problem);
    fg_plan_config(j->plan, &r->plan);
    return s;
}

static bool all_drawn(tensors *t)
{
    return tensors_find(t, "q")->drawn && tensors_find(t, "k")->drawn &&
           tensors_find(t, "v")->drawn;
}

static fg_status check(job *j, run_result *r, const run_choices *c, fg_error *error)
{
    fg_check_options how = FG_CHECK_OPTIONS_INIT;
    how.full = c->check.value != NULL;
    how.drawn = all_drawn(&j->tensors);
    fg_status s = fg_check(j->context, j->problem, &j->mirror.args, &how, &r->report, error);
    r->checked = s == FG_OK || s == FG_WRONG;
    r->right = s == FG_OK;
    return s;
}

static fg_status measure(job *j, run_result *r, fg_error *error)
{
    static const measure_limits limits = { .least_runs = 5, .seconds = 0.02, .most_seconds = 0.2 };
    const fg_args *args = &j->mirror.args;
    int64_t pairs = 0;
    fg_status s = measure_runs(&r->timing, j->plan, &args, 1, &limits, error);
    if (s == FG_OK) s = fg_visible_pairs(j->context, j->problem, &j->tensors.args, &pairs, error);
    r->gflops = measure_gflops(&j->tensors, pairs, r->timing.median);
    return s;
}

/* A wrong result is reported as a right one is, and only then told by the exit code. */
static fg_status compare(job *j, run_result *r, const run_choices *c, fg_error *wrong,
                         fg_error *error)
{
    fg_status s = FG_OK, found = FG_OK;
    if (c->check.given) s = check(j, r, c, wrong);
    if (s == FG_WRONG)
        found = s;
    else if (s != FG_OK)
        *error = *wrong;
    if (s == FG_OK || s == FG_WRONG) s = c->expect ? run_expect(r, c, &j->tensors, error) : FG_OK;
    if (s == FG_OK && found == FG_OK && r->expected && !(r->expect_rms <= r->expect_bound))
        found = fault(wrong, FG_WRONG, "O's relative RMS distance from %s is %.3g, above %.3g",
                      c->expect, r->expect_rms, r->expect_bound);
    wrong->status = found;
    return s;
}

static fg_status run(void *choices, int argc, char **argv, char **line, fg_error *error)
{
    const run_choices *c = choices;
    const char *given;
    job j = { 0 };
    run_result r = { 0 };
    fg_error wrong = { FG_OK, -1, "" };
    fg_status s;
    if ((s = command_problem(&given, argc, argv, error)) != FG_OK) goto out;
    if ((s = prepare(&j, c, given, line, error)) != FG_OK) goto out;
    if ((s = first_run(&j, &r, error)) != FG_OK) goto out;
    if ((c->out || c->lse || c->expect) && (s = mirror_fetch(&j.mirror, error)) != FG_OK) goto out;
    if ((s = compare(&j, &r, c, &wrong, error)) != FG_OK) goto out;
    if ((s = run_write(c, &j.tensors, error)) != FG_OK) goto out;
    if ((s = measure(&j, &r, error)) != FG_OK) goto out;
    if ((s = run_report(&r, c, error)) != FG_OK) goto out;
    s = wrong.status;
    if (s != FG_OK) *error = wrong;
out:
    job_free(&j);
    return s;
}

const command command_run = {
    .name = "run",
    .arguments = "'PROBLEM'",
    .summary = "Runs the problem on .npy files, or on drawn inputs, and can check the result",
    .about = "Lengths that the problem leaves out come from the files. score=@FILE and "
             "maskfn=@FILE read the\n"
             "function from a file. Files hold f64, f32, f16, i64, i32, u8 or bool, little-endian, "
             "in C or Fortran\n"
             "order; they are converted to the tensor's type by rounding to nearest, ties to "
             "even.\n\n" DRAW_HELP,
    .options = options,
    .run = run,
    .choices_size = sizeof(run_choices),
};
