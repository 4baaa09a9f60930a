/* flashgen tune: searches for the fastest config of each problem. */
#include "tune.h"

#include "commands.h"
#include "interrupt.h"
#include "line.h"
#include "show.h"
#include "tune_log.h"

#include <stdlib.h>
#include <string.h>

static const option options[] = {
    { "list", OPTION_text, "FILE", offsetof(tune_choices, list),
      "problems, one a line; # comments, '# name: X' names the next" },
    { "budget", OPTION_seconds, "S", offsetof(tune_choices, budget),
      "seconds to search for each problem (20)" },
    { "exhaustive", OPTION_flag, NULL, offsetof(tune_choices, exhaustive),
      "try every legal config, however long it takes; --budget has no say" },
    { "config", OPTION_text, "'K=V ...'", offsetof(tune_choices, config),
      "pin these axes of the tuning space" },
    SIZE_OPTIONS(tune_choices, sizes),
    { "again", OPTION_flag, NULL, offsetof(tune_choices, again),
      "search also where a winner is stored" },
    { "keep-going", OPTION_flag, NULL, offsetof(tune_choices, keep_going),
      "go on behind a problem that fails; the exit code is the worst" },
    { "explain", OPTION_flag, NULL, offsetof(tune_choices, explain),
      "print what shaped the space, what each axis did to the time, and what was rejected" },
    { "log", OPTION_text, "FILE", offsetof(tune_choices, log),
      "append every measurement and rejection, as JSON lines" },
    { "json", OPTION_flag, NULL, offsetof(tune_choices, json),
      "print a JSON object a problem, one a line" },
    { "in-process", OPTION_flag, NULL, offsetof(tune_choices, in_process),
      "measure in this process: a candidate that crashes takes it along" },
    CONTEXT_OPTIONS(tune_choices, context, "auto"),
    { 0 },
};

/* ---- One problem ---- */

typedef struct search {
    const char *problem; /* canonical */
    fg_dims sizes;
    show show;
    explain explain;
    tune_log *log;
} search;

/* What the signal that cancels broke, as a compiler, is no news. */
static int watch(void *user, const fg_event *event)
{
    search *s = user;
    if (interrupt_caught()) return 1;
    tune_log_event(s->log, s->problem, event);
    explain_event(&s->explain, event);
    return show_watch(&s->show, event);
}

static fg_tune_options how_to(const tune_choices *c, search *s)
{
    fg_tune_options how = FG_TUNE_OPTIONS_INIT;
    how.rigor = c->exhaustive ? FG_EXHAUSTIVE : FG_MEASURE;
    if (c->budget > 0) how.seconds = c->budget;
    how.config = c->config;
    how.event = watch;
    how.event_user = s;
    how.again = c->again;
    how.in_process = c->in_process;
    s->sizes = inputs_dims(&c->sizes);
    how.sizes = &s->sizes;
    return how;
}

/* A tuning run: what its problems share. */
typedef struct tuning {
    fg_context *context;
    const tune_choices *choices;
    list problems;
    tune_log log;
    tune_table table;
} tuning;

/* `line`: set to the problem's text, for free(). */
static fg_status tune_one(tuning *t, int index, char **line, fg_error *error)
{
    const list_item *item = &t->problems.item[index];
    search s = { .log = &t->log };
    fg_tune_options how = how_to(t->choices, &s);
    fg_tune_report found = { 0 };
    fg_problem *problem = NULL;
    fg_status status;
    if ((status = line_expand(line, item->problem, error)) != FG_OK) goto out;
    if ((status = fg_problem_parse(&problem, t->context, *line, error)) != FG_OK) goto out;
    s.problem = fg_problem_format(problem);
    show_start(&s.show, list_name(item), index + 1, t->problems.count);
    status = fg_tune(&found, t->context, problem, &how, error);
    show_end(&s.show);
    if (status != FG_OK) goto out;
    status = tune_table_add(&t->table, item, s.problem, &found, &s.explain, error);
out:
    explain_free(&s.explain);
    fg_problem_free(problem);
    return status;
}

/* ---- All of them ---- */

/* The sentence that the command ends with, where it went on behind what failed. */
static fg_status sum_up(int failed, int count, fg_status worst, fg_error *error)
{
    return fault(error, worst, "%d of %d problems failed", failed, count);
}

/* `line`: as tune_one; of the problem that *error is about. */
static fg_status tune_all(tuning *t, char **line, fg_error *error)
{
    const bool keep_going = t->choices->keep_going && t->problems.count > 1;
    fg_status worst = FG_OK;
    int failed = 0;
    for (int k = 0; k < t->problems.count; k++) {
        const list_item *item = &t->problems.item[k];
        free(*line);
        *line = NULL;
        fg_status s = tune_one(t, k, line, error);
        if (s != FG_OK && (item->line || t->problems.count > 1)) list_name_fault(item, error);
        if (interrupt_caught()) return fault(error, FG_CANCELLED, "interrupted");
        if (s == FG_OK) continue;
        if (!keep_going) return s;
        fault_print(error, NULL);
        if (fault_exit_code(s) > fault_exit_code(worst)) worst = s;
        failed++;
    }
    return failed ? sum_up(failed, t->problems.count, worst, error) : FG_OK;
}

static fg_status tune(void *choices, int argc, char **argv, char **line, fg_error *error)
{
    const tune_choices *c = choices;
    tuning t = { .choices = c, .log = TUNE_LOG_INIT };
    fg_error own;
    fg_status s;
    if ((s = list_gather(&t.problems, c->list, argc, argv, error)) != FG_OK) goto out;
    if ((s = context_open(&t.context, &c->context, "auto", error)) != FG_OK) goto out;
    if ((s = tune_log_open(&t.log, c->log, error)) != FG_OK) goto out;
    interrupt_catch();
    t.table = tune_table_make(&t.problems, c);
    s = tune_all(&t, line, error);
    fg_status log = tune_log_close(&t.log, s == FG_OK ? error : &own);
    if (s != FG_OK && log != FG_OK) fault_print(&own, NULL);
    if (s == FG_OK) s = log;
out:
    list_free(&t.problems);
    fg_context_free(t.context);
    return s;
}

const command command_tune = {
    .name = "tune",
    .arguments = "'PROBLEM'...",
    .summary = "Searches for the fastest config of each problem, and stores it",
    .about =
        "A config is a point of the tuning space, as the tile sizes; run and bench print the one "
        "that "
        "they use.\n"
        "Each candidate is compiled, compared with a float64 reference on drawn inputs between "
        "guard zones,\n"
        "and timed in turn with the others. 'estimate ms' is the config that is chosen without "
        "any timing.\n"
        "The verdict: decided; undecided, where others are as fast within the noise; stored, where "
        "an earlier\n"
        "search is still good. From then on run, bench and fg_plan_new take the winner from the "
        "store.\n"
        "A problem with * has a winner for each bucket of sizes (b up to 1, 2, 4, ...; sq and sk "
        "up to "
        "1, 16,\n"
        "32, 64, ...): --b, --sq and --sk say what is measured, and so which bucket it is.\n",
    .options = options,
    .run = tune,
    .choices_size = sizeof(tune_choices),
};
