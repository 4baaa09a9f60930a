#include "runtime/timer.h"

#include "runtime/library.h"

#include <sched.h>

static fg_status said(const timer *t, int code, fg_error *error)
{
    return code == CUDA_SUCCESS ? FG_OK : cuda_fail(t->driver, code, "timing runs", error);
}

fg_status timer_open(timer *t, const cuda_driver *driver, cuda_stream stream, int spans,
                     fg_error *error)
{
    int code = CUDA_SUCCESS;
    t->driver = driver;
    t->stream = stream;
    for (t->events = 0; t->events <= spans; t->events++)
        if ((code = driver->event_new(&t->event[t->events], 0)) != CUDA_SUCCESS) break;
    if (code != CUDA_SUCCESS) timer_close(t);
    return said(t, code, error);
}

void timer_close(timer *t)
{
    while (t->events > 0) t->driver->event_free(t->event[--t->events]);
}

/* A thread of the driver's holds the stream up until all is in it; or, should a launch wait for what came before it, a
 * while. */
static void hold(void *user)
{
    const double patience = 0.25;
    timer *t = user;
    double start = library_seconds();
    while (!atomic_load(&t->queued) && library_seconds() < start + patience) sched_yield();
}

/* An event before the first span, and one behind each. */
static fg_status queue(timer *t, int spans, int runs, int first, timer_run run, void *user,
                       fg_error *error)
{
    fg_status status = said(t, t->driver->event_record(t->event[0], t->stream), error);
    for (int k = 0; k < spans * runs && status == FG_OK; k++) {
        status = run(user, first + k, error);
        if (status == FG_OK && (k + 1) % runs == 0)
            status = said(t, t->driver->event_record(t->event[(k + 1) / runs], t->stream), error);
    }
    return status;
}

static fg_status read_times(const timer *t, double *seconds, int spans, int runs, fg_error *error)
{
    int code = CUDA_SUCCESS;
    for (int k = 0; k < spans && code == CUDA_SUCCESS; k++) {
        float milliseconds = 0;
        code = t->driver->event_milliseconds(&milliseconds, t->event[k], t->event[k + 1]);
        seconds[k] = 1e-3 * (double)milliseconds / runs;
    }
    return said(t, code, error);
}

fg_status timer_take(timer *t, double *seconds, int spans, int runs, int first, timer_run run,
                     void *user, fg_error *error)
{
    atomic_store(&t->queued, false);
    fg_status status = said(t, t->driver->host_function(t->stream, hold, t), error);
    if (status == FG_OK) status = queue(t, spans, runs, first, run, user, error);
    atomic_store(&t->queued, true);
    int code = t->driver->stream_wait(t->stream); /* `hold` must not outlive the timer */
    if (status == FG_OK) status = said(t, code, error);
    return status == FG_OK ? read_times(t, seconds, spans, runs, error) : status;
}
