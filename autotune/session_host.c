/* Candidates on this machine's processors. */
#include "autotune/session_parts.h"
#include "runtime/library.h"
#include "runtime/run.h"

#include <string.h>

/* Two sets, so that no run finds its inputs in the cache because the last one left them there. */
static fg_status open_sets(session *s, const fg_dims *dims, fg_error *error)
{
    const int64_t most_bytes = INT64_C(1) << 29;
    fg_status status = testbed_new(&s->set[0], s->problem, dims, 0, error);
    if (status != FG_OK) return status;
    s->sets = 1;
    if (2 * s->set[0].bytes >= most_bytes) return FG_OK;
    status = testbed_new(&s->set[1], s->problem, dims, 1, error);
    s->sets += status == FG_OK;
    return status;
}

static void close_sets(session *s)
{
    (void)s;
}

static fg_status load(session *s, candidate *c, fg_error *error)
{
    (void)s;
    return guarded_new(&c->workspace, c->workspace_bytes, error);
}

static fg_status run_on(const candidate *c, const fg_args *on, double *seconds, fg_error *error)
{
    fg_args args = *on;
    args.workspace = c->workspace.data;
    args.workspace_bytes = c->workspace.bytes;
    double start = library_seconds();
    fg_status status = run_kernel(c->kernel, &args, error);
    *seconds = library_seconds() - start;
    return status;
}

static fg_status intact(const candidate *c, const testbed *set, fg_error *error)
{
    const char *where = guarded_spilled(&c->workspace);
    if (where) return fail(error, FG_WRONG, "it wrote %s its workspace", where);
    return testbed_intact(set, error);
}

static fg_status run(session *s, candidate *c, const testbed_tensor *v, fg_error *error)
{
    fg_args args = s->set[0].args;
    double seconds;
    for (int k = 0; k < s->sets; k++) testbed_clear(&s->set[k]);
    memset(c->workspace.data, 0xff, c->workspace.bytes);
    if (v) args.v = &v->dl;
    fg_status status = run_on(c, &args, &seconds, error);
    return status == FG_OK ? intact(c, &s->set[0], error) : status;
}

static fg_status run_again(session *s, candidate *c, double *seconds, fg_error *error)
{
    const testbed *last = &s->set[s->sets - 1];
    fg_status status = run_on(c, &last->args, seconds, error);
    return status == FG_OK ? intact(c, last, error) : status;
}

static fg_status time_run(session *s, candidate *c, double *seconds, fg_error *error)
{
    return run_on(c, &s->set[s->turn++ % (unsigned)s->sets].args, seconds, error);
}

const session_place session_host = { open_sets, close_sets, load, run, run_again, time_run };
