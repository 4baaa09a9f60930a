/* How long runs take. */
#include "runtime/device_cuda.h"
#include "runtime/library.h"
#include "runtime/plan.h"

#include <sched.h>
#include <stdatomic.h>

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

/* Runs that queue at once: with an event and up to 8 launches each they fit what a stream holds. */
enum { batch_max = 64 };

typedef struct batch {
    const cuda_driver *driver;
    cuda_stream stream;
    cuda_event event[batch_max + 1];
    int events;
    atomic_bool queued;
} batch;

/* A thread of the driver's holds the stream up until all is in it; or, should a launch wait for what came before it, a
 * while. */
static void hold(void *user)
{
    const double patience = 0.25;
    batch *b = user;
    double start = library_seconds();
    while (!atomic_load(&b->queued) && library_seconds() < start + patience) sched_yield();
}

static int make_events(batch *b, int count)
{
    int code = CUDA_SUCCESS;
    for (b->events = 0; b->events < count && code == CUDA_SUCCESS; b->events++)
        code = b->driver->event_new(&b->event[b->events], 0);
    if (code != CUDA_SUCCESS) b->events--;
    return code;
}

static void free_events(batch *b)
{
    while (b->events > 0) b->driver->event_free(b->event[--b->events]);
}

static fg_status said(const batch *b, int code, fg_error *error)
{
    return code == CUDA_SUCCESS ? FG_OK : cuda_fail(b->driver, code, "timing runs", error);
}

/* Runs first .. first + runs, with an event before each and one behind the last. */
static fg_status queue(batch *b, const fg_plan *plan, const fg_args *const *args, int count,
                       int first, int runs, fg_error *error)
{
    atomic_store(&b->queued, false);
    fg_status status = said(b, b->driver->host_function(b->stream, hold, b), error);
    if (status == FG_OK) status = said(b, b->driver->event_record(b->event[0], b->stream), error);
    for (int k = 0; k < runs && status == FG_OK; k++) {
        status = fg_run(plan, args[(first + k) % count], error);
        if (status == FG_OK)
            status = said(b, b->driver->event_record(b->event[k + 1], b->stream), error);
    }
    atomic_store(&b->queued, true);
    int code = b->driver->stream_wait(b->stream); /* `hold` must not outlive the batch */
    return status == FG_OK ? said(b, code, error) : status;
}

/* A kernel's first launch may make the driver wait until the GPU is idle, for more local memory. */
static fg_status warm_up(const batch *b, const fg_plan *plan, const fg_args *const *args, int count,
                         fg_error *error)
{
    fg_status status = FG_OK;
    for (int k = 0; k < count && status == FG_OK; k++) status = fg_run(plan, args[k], error);
    return status == FG_OK ? said(b, b->driver->stream_wait(b->stream), error) : status;
}

static fg_status read_times(const batch *b, double *seconds, int runs, fg_error *error)
{
    int code = CUDA_SUCCESS;
    for (int k = 0; k < runs && code == CUDA_SUCCESS; k++) {
        float milliseconds = 0;
        code = b->driver->event_milliseconds(&milliseconds, b->event[k], b->event[k + 1]);
        seconds[k] = 1e-3 * (double)milliseconds;
    }
    return said(b, code, error);
}

static fg_status time_there(const fg_plan *plan, const fg_args *const *args, int count,
                            double *seconds, int runs, fg_error *error)
{
    const device_cuda *d = plan->kernel->context->gpu;
    batch b = { .driver = &d->driver, .stream = args[0]->stream };
    device_cuda_visit v;
    fg_status status = device_cuda_ready(d, error);
    if (status == FG_OK) status = device_cuda_enter_slowly(&v, d, error);
    if (status != FG_OK) return status;
    status = said(&b, make_events(&b, (runs < batch_max ? runs : batch_max) + 1), error);
    if (status == FG_OK) status = warm_up(&b, plan, args, count, error);
    for (int first = 0; first < runs && status == FG_OK; first += batch_max) {
        int some = runs - first < batch_max ? runs - first : batch_max;
        status = queue(&b, plan, args, count, first, some, error);
        if (status == FG_OK) status = read_times(&b, seconds + first, some, error);
    }
    free_events(&b);
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
