/* A host program: one attention problem, planned, run and printed. */
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

int main(void)
{
    fg_error error;
    fg_context *context = NULL;
    fg_problem *problem = NULL;
    fg_plan *plan = NULL;
    fg_args args = FG_ARGS_INIT;
    for (int n = 0; n < count; n++) q[n] = k[n] = v[n] = (float)rand() / (float)RAND_MAX;
    DLTensor tq = tensor(q), tk = tensor(k), tv = tensor(v), to = tensor(o);
    args.q = &tq, args.k = &tk, args.v = &tv, args.o = &to;
    fg_status status = fg_context_new(&context, NULL, &error);
    if (!status) status = fg_problem_parse(&problem, context, line, &error);
    if (!status) status = fg_plan_new(&plan, context, problem, NULL, &error);
    if (!status) status = fg_plan_workspace(plan, NULL, &args.workspace_bytes, &error);
    args.workspace = aligned_alloc(64, args.workspace_bytes + 64); /* a multiple of 64, too */
    if (!status) status = fg_run(plan, &args, &error);
    if (!status) printf("o[0] = %g, as v[0] = %g; o's last = %g\n", o[0], v[0], o[count - 1]);
    if (status) fprintf(stderr, "%s\n", error.text);
    free(args.workspace);
    fg_plan_free(plan);
    fg_problem_free(problem);
    fg_context_free(context);
    return (int)status;
}
