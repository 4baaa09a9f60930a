#ifndef RUNTIME_PLAN_H
#define RUNTIME_PLAN_H

#include "runtime/choice.h"
#include "runtime/kernels.h"

struct fg_plan {
    kernel *kernel;
    fg_source source;
};

/* Waits for at most so long for another process that compiles the same kernel. */
#define PLAN_LOCK_SECONDS 5.0

/* Finds or makes the kernel of a request, and binds it; `options` say how to search where that is asked
 * for. */
fg_status plan_resolve(kernel **out, fg_source *source, const fg_problem *problem,
                       const fg_plan_options *options, fg_error *error);

/* A search's winner, compiled now, becomes what plans of this problem and these pins get in the context, of every rigor
 * that it serves. */
fg_status plan_adopt(fg_context *context, const problem *p, const char *pins, const image *winner,
                     bool exhaustive, fg_error *error);

/* Stores a kernel under its key. */
void plan_store_kernel(fg_context *context, const store_key *k, const image *i);

/* As plan_resolve, in a thread: FG_PENDING until it is done. */
fg_status background_resolve(kernel **out, fg_source *source, const fg_problem *problem,
                             const fg_plan_options *options, fg_error *error);
/* Waits for the threads. */
void background_free(fg_context *context);

#endif
