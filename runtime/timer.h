/* Times what a GPU does, by events in a stream: all of it queues before the first of it starts, so that the host's time
 * is in none of it. */
#ifndef RUNTIME_TIMER_H
#define RUNTIME_TIMER_H

#include "runtime/cuda_driver.h"

#include <stdatomic.h>

/* At once: with an event and up to 8 launches each, spans fit what a stream holds. */
enum { timer_spans = 64 };

typedef struct timer {
    const cuda_driver *driver;
    cuda_stream stream;
    cuda_event event[timer_spans + 1];
    int events;
    atomic_bool queued;
} timer;

/* Puts run `index` into the timer's stream. */
typedef fg_status (*timer_run)(void *user, int index, fg_error *error);

/* For up to `spans` at once. The device's context is the thread's current one, here and below. */
fg_status timer_open(timer *t, const cuda_driver *driver, cuda_stream stream, int spans,
                     fg_error *error);
void timer_close(timer *t);

/* seconds[spans]: of a run, where a span is so many of them (`runs`), one behind the other; they have the indices from
 * `first` on. Waits for the last. */
fg_status timer_take(timer *t, double *seconds, int spans, int runs, int first, timer_run run,
                     void *user, fg_error *error);

#endif
