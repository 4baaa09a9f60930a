/* A host program: tunes a problem, which stores the winner, and runs what is stored. */
#include <flashgen.h>
#include <stdio.h>
#include <stdlib.h>

enum { heads = 8, length = 256, width = 64, count = heads * length * width };
static const char line[] = "dtype=f32 b=1 hq=8 sq=256 d=64 causal";
static float q[count], k[count], v[count], o[count];

static DLTensor tensor(float *data)
{
    static int64_t shape[4] = { 1, length, heads, width }; /* layout bshd */
    return (DLTensor){ data, { 1, 0 }, 4, { 2, 32, 1 }, shape, NULL, 0 };
}

/* Each new leader; what is not 0 would cancel. */
static int watch(void *leader, const fg_event *event)
{
    if (event->best_config && event->best_seconds < *(double *)leader) {
        *(double *)leader = event->best_seconds;
        printf("%5.1f s: %.3f ms with %s\n", event->elapsed, 1e3 * event->best_seconds,
               event->best_config);
    }
    return 0;
}

static fg_status tune(fg_context *context, const fg_problem *problem, fg_error *error)
{
    double leader = INFINITY;
    fg_tune_report report;
    fg_tune_options how = FG_TUNE_OPTIONS_INIT;
    how.seconds = 1;
    how.config = "keys=64 order=heads"; /* for an example's sake: leave it to search all */
    how.event = watch;
    how.event_user = &leader;
    fg_status status = fg_tune(&report, context, problem, &how, error);
    if (!status)
        printf("%s: %.3f ms, %.2f times as fast as the estimate\n",
               report.found ? "stored before" : "found now", 1e3 * report.seconds,
               report.estimate_seconds / report.seconds);
    return status;
}

static fg_status run(fg_context *context, const fg_problem *problem, fg_error *error)
{
    fg_plan *plan = NULL;
    fg_args args = FG_ARGS_INIT;
    fg_plan_options how = FG_PLAN_OPTIONS_INIT;
    how.rigor = FG_STORED;
    how.config = "keys=64 order=heads";
    for (int n = 0; n < count; n++) q[n] = k[n] = v[n] = (float)rand() / (float)RAND_MAX;
    DLTensor tq = tensor(q), tk = tensor(k), tv = tensor(v), to = tensor(o);
    args.q = &tq, args.k = &tk, args.v = &tv, args.o = &to;
    fg_status status = fg_plan_new(&plan, context, problem, &how, error);
    if (!status) status = fg_plan_workspace(plan, NULL, &args.workspace_bytes, error);
    args.workspace = aligned_alloc(64, args.workspace_bytes + 64);
    if (!status) status = fg_run(plan, &args, error);
    if (!status) printf("o[0] = %g, as v[0] = %g\n", o[0], v[0]);
    free(args.workspace);
    fg_plan_free(plan);
    return status;
}

int main(void)
{
    fg_error error;
    fg_context *context = NULL;
    fg_problem *problem = NULL;
    fg_context_options options = FG_CONTEXT_OPTIONS_INIT;
    options.store = "example-store"; /* left out: the user's own, ~/.cache/flashgen */
    fg_status status = fg_context_new(&context, &options, &error);
    if (!status) status = fg_problem_parse(&problem, context, line, &error);
    if (!status) status = tune(context, problem, &error);
    if (!status) status = run(context, problem, &error);
    if (status) fprintf(stderr, "%s\n", error.text);
    fg_problem_free(problem);
    fg_context_free(context);
    return (int)status;
}
