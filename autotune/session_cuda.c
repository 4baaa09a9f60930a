/* Candidates on a GPU. */
#include "autotune/replica.h"
#include "autotune/session_parts.h"
#include "runtime/run.h"
#include "runtime/timer.h"

#include <math.h>

/* Inputs are there several times; of workspaces there is one, as candidates run one after the other. */
struct session_gpu {
    replica replica;
    zoned workspace; /* of the most that one asked for */
    timer timer;
};

static const cuda_driver *driver_of(const session *s)
{
    return &s->context->gpu->driver;
}

/* ---- Making ---- */

static fg_status open_here(session *s, fg_error *error)
{
    struct session_gpu *g = s->gpu;
    fg_status status = replica_new(&g->replica, s->context, &s->set[0], error);
    if (status != FG_OK) return status;
    return timer_open(&g->timer, driver_of(s), CU_STREAM_PER_THREAD, 1, error);
}

static fg_status open_sets(session *s, const fg_dims *dims, fg_error *error)
{
    device_cuda_visit v;
    fg_status status = device_cuda_ready(s->context->gpu, error);
    if (status == FG_OK) status = testbed_new(&s->set[0], s->problem, dims, 0, error);
    if (status != FG_OK) return status;
    s->sets = 1;
    s->gpu = memory_new(&s->context->memory, 1, sizeof *s->gpu);
    if (!s->gpu) return fail_memory(error);
    status = device_cuda_enter_slowly(&v, s->context->gpu, error);
    if (status != FG_OK) return status;
    status = open_here(s, error);
    device_cuda_leave_slowly(&v, s->context->gpu);
    return status;
}

static void close_sets(session *s)
{
    device_cuda_visit v;
    if (!s->gpu) return;
    if (device_cuda_enter_slowly(&v, s->context->gpu, NULL) == FG_OK) {
        timer_close(&s->gpu->timer);
        zoned_free(&s->gpu->workspace, driver_of(s));
        replica_free(&s->gpu->replica);
        device_cuda_leave_slowly(&v, s->context->gpu);
    }
    memory_free(&s->context->memory, s->gpu, sizeof *s->gpu);
}

static fg_status load_here(session *s, const candidate *c, fg_error *error)
{
    zoned *all = &s->gpu->workspace;
    if (c->workspace_bytes <= all->bytes) return FG_OK;
    zoned more; /* without it, those that passed have theirs */
    fg_status status = zoned_new(&more, driver_of(s), c->workspace_bytes, guard_pattern, error);
    if (status != FG_OK) return status;
    zoned_free(all, driver_of(s));
    *all = more;
    return FG_OK;
}

/* ---- Running ---- */

/* The candidate's part of the workspace. */
static zoned workspace_of(const session *s, const candidate *c)
{
    zoned z = s->gpu->workspace;
    z.bytes = c->workspace_bytes;
    return z;
}

static fg_status launch_on(const session *s, const candidate *c, const fg_args *on, fg_error *error)
{
    fg_args args = *on;
    args.workspace = (void *)(uintptr_t)s->gpu->workspace.data;
    args.workspace_bytes = c->workspace_bytes;
    args.stream = CU_STREAM_PER_THREAD;
    return run_kernel(c->kernel, &args, error);
}

static fg_status clear(const session *s, const candidate *c, fg_error *error)
{
    const zoned z = workspace_of(s, c);
    fg_status status = replica_clear(&s->gpu->replica, error);
    if (status == FG_OK && z.block) status = zoned_fill(driver_of(s), z.data, 0xff, z.bytes, error);
    return status == FG_OK && z.block ? zoned_mend(&z, driver_of(s), error) : status;
}

static fg_status finish(const session *s, const candidate *c, fg_error *error)
{
    const replica *r = &s->gpu->replica;
    const zoned z = workspace_of(s, c);
    fg_status status = zoned_wait(driver_of(s), error);
    if (status == FG_OK && z.block) status = replica_beside(r, &z, "its workspace", error);
    return status == FG_OK ? replica_fetch(r, error) : status;
}

static fg_status run_with(const session *s, const candidate *c, const fg_args *args,
                          fg_error *error)
{
    fg_status status = clear(s, c, error);
    if (status == FG_OK) status = launch_on(s, c, args, error);
    return status == FG_OK ? finish(s, c, error) : status;
}

static fg_status run_with_values(const session *s, const candidate *c, const testbed_tensor *v,
                                 fg_error *error)
{
    const cuda_driver *d = driver_of(s);
    const replica_set *set = &s->gpu->replica.set[0];
    fg_args args = set->args;
    DLTensor other = *args.v;
    zoned there;
    fg_status status = zoned_new(&there, d, v->memory.bytes, 0xff, error);
    if (status != FG_OK) return status;
    other.data = (void *)(uintptr_t)there.data;
    args.v = &other;
    status = zoned_copy(d, there.data, (uintptr_t)v->memory.data, there.bytes, error);
    if (status == FG_OK) status = run_with(s, c, &args, error);
    zoned_free(&there, d);
    return status;
}

/* ---- Timing ---- */

typedef struct timed {
    const session *session;
    const candidate *candidate;
} timed;

static fg_status launch_turn(void *user, int index, fg_error *error)
{
    const timed *t = user;
    const replica *r = &t->session->gpu->replica;
    return launch_on(t->session, t->candidate, &r->set[index % r->sets].args, error);
}

/* Short ones in a row, so that an event's own time is little beside theirs. */
static int runs_of(const candidate *c)
{
    const double enough = 200e-6;
    return c->seconds > 0 ? (int)fmin(fmax(ceil(enough / c->seconds), 1), 16) : 2;
}

static fg_status time_here(session *s, candidate *c, double *seconds, fg_error *error)
{
    const int runs = runs_of(c);
    timed t = { s, c };
    int first = (int)(s->turn % (unsigned)s->gpu->replica.sets);
    s->turn += (unsigned)runs;
    fg_status status = timer_take(&s->gpu->timer, seconds, 1, runs, first, launch_turn, &t, error);
    if (status == FG_OK) c->seconds = *seconds;
    return status;
}

/* ---- As visits to the GPU ---- */

/* A kernel that faults takes its context along: each call fails from then on. */
static void look_for_faults(session *s, fg_status status)
{
    if (status != FG_OK && zoned_wait(driver_of(s), NULL) != FG_OK) s->broken = true;
}

static fg_status load(session *s, candidate *c, fg_error *error)
{
    device_cuda_visit v;
    fg_status status = device_cuda_enter_slowly(&v, s->context->gpu, error);
    if (status != FG_OK) return status;
    status = load_here(s, c, error);
    device_cuda_leave_slowly(&v, s->context->gpu);
    return status;
}

static fg_status run(session *s, candidate *c, const testbed_tensor *values, fg_error *error)
{
    device_cuda_visit v;
    fg_status status = device_cuda_enter_slowly(&v, s->context->gpu, error);
    if (status != FG_OK) return status;
    status = values ? run_with_values(s, c, values, error)
                    : run_with(s, c, &s->gpu->replica.set[0].args, error);
    look_for_faults(s, status);
    device_cuda_leave_slowly(&v, s->context->gpu);
    return status;
}

static fg_status time_run(session *s, candidate *c, double *seconds, fg_error *error)
{
    device_cuda_visit v;
    fg_status status = device_cuda_enter_slowly(&v, s->context->gpu, error);
    if (status != FG_OK) return status;
    status = time_here(s, c, seconds, error);
    look_for_faults(s, status);
    device_cuda_leave_slowly(&v, s->context->gpu);
    return status;
}

const session_place session_cuda = { open_sets, close_sets, load, run, time_run, time_run };
