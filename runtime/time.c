/* How long runs take. */
#include "runtime/device_cuda.h"
#include "runtime/library.h"
#include "runtime/plan.h"
#include "runtime/timer.h"

static fg_status time_here(const fg_plan *plan, const fg_args *const *args, int count,
                           double *seconds, int runs, fg_error *error)
{
    fg_status status = FG_OK;
    double before = library_seconds();
    for (int k = 0; k < runs && status == FG_OK; k++) {
        status = fg_run(plan, args[k % count], error);
        double now = library_seconds();
        seconds[k] = now - before;
        before = now;
    }
    return status;
}

/* ---- On a GPU ---- */

/* Runs that take turns through args. */
typedef struct turns {
    const fg_plan *plan;
    const fg_args *const *args;
    int count;
} turns;

static fg_status run_turn(void *user, int index, fg_error *error)
{
    const turns *t = user;
    return fg_run(t->plan, t->args[index % t->count], error);
}

/* A kernel's first launch may make the driver wait until the GPU is idle, for more local memory. */
static fg_status warm_up(turns *all, const timer *t, fg_error *error)
{
    fg_status status = FG_OK;
    for (int k = 0; k < all->count && status == FG_OK; k++) status = run_turn(all, k, error);
    if (status != FG_OK) return status;
    const int code = t->driver->stream_wait(t->stream);
    return code == CUDA_SUCCESS ? FG_OK : cuda_fail(t->driver, code, "timing runs", error);
}

static fg_status time_turns(turns *all, timer *t, double *seconds, int runs, fg_error *error)
{
    fg_status status = warm_up(all, t, error);
    for (int first = 0; first < runs && status == FG_OK; first += timer_spans) {
        int some = runs - first < timer_spans ? runs - first : timer_spans;
        status = timer_take(t, seconds + first, some, 1, first, run_turn, all, error);
    }
    return status;
}

static fg_status time_there(const fg_plan *plan, const fg_args *const *args, int count,
                            double *seconds, int runs, fg_error *error)
{
    const device_cuda *d = plan->kernel->context->gpu;
    turns all = { plan, args, count };
    timer t;
    device_cuda_visit v;
    fg_status status = device_cuda_ready(d, error);
    if (status == FG_OK) status = device_cuda_enter_slowly(&v, d, error);
    if (status != FG_OK) return status;
    const int spans = runs < timer_spans ? runs : timer_spans;
    status = timer_open(&t, &d->driver, args[0]->stream, spans, error);
    if (status == FG_OK) status = time_turns(&all, &t, seconds, runs, error);
    timer_close(&t);
    device_cuda_leave_slowly(&v, d);
    return status;
}

fg_status fg_plan_time(const fg_plan *plan, const fg_args *const *args, int count, double *seconds,
                       int runs, fg_error *error)
{
    if (!plan || !args || !seconds || count < 1 || runs < 1)
        return fail(error, FG_REQUEST,
                    "plan, args or seconds is NULL, or there are %d args and %d runs", count, runs);
    for (int k = 0; k < count; k++)
        if (!args[k]) return fail(error, FG_REQUEST, "args[%d] is NULL", k);
    return (plan->kernel->context->gpu ? time_there : time_here)(plan, args, count, seconds, runs,
                                                                 error);
}
