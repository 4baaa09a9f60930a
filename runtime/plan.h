#ifndef RUNTIME_PLAN_H
#define RUNTIME_PLAN_H

#include "runtime/choice.h"
#include "runtime/kernels.h"

struct fg_plan {
    kernel *kernel;            /* of a table: that for the largest sizes */
    const kernel_table *table; /* NULL where the problem has no `*` */
    fg_source source;
};

/* Waits for at most so long for another process that compiles the same kernel. */
#define PLAN_LOCK_SECONDS 5.0

/* A plan's options as a request. */
typedef struct plan_ask {
    plan_request request; /* points into this: not to be moved */
    bool table;           /* the problem has `*`: then these are meant */
    maker_sizes most;     /* what the table is up to */
    maker_sizes tuned;    /* the bucket that may be searched for; 0: none */
    char sizes[2 * buckets_text_size + 32];
} plan_ask;

fg_status plan_ask_make(plan_ask *out, const problem *p, const fg_plan_options *options,
                        fg_error *error);

/* Of what the context has in memory: false when there is nothing. */
bool plan_find(fg_plan *out, fg_context *context, const plan_ask *ask);

/* Finds or makes the kernels of a request, and binds them; `options` say how to search where that is asked
 * for. */
fg_status plan_resolve(fg_plan *out, const fg_problem *problem, const fg_plan_options *options,
                       const plan_ask *ask, fg_error *error);

/* A search's winner, compiled now, becomes what plans of this problem and these pins get in the context, of every rigor
 * that it serves; `sizes`: of the bucket that was searched for. */
fg_status plan_adopt(fg_context *context, const problem *p, const maker_sizes *sizes,
                     const char *pins, const image *winner, bool exhaustive, fg_error *error);

/* Stores a kernel under its key. */
void plan_store_kernel(fg_context *context, const store_key *k, const image *i);

/* As plan_resolve, in a thread: FG_PENDING until it is done. */
fg_status background_resolve(fg_plan *out, const fg_problem *problem,
                             const fg_plan_options *options, const plan_ask *ask, fg_error *error);
/* Waits for the threads. */
void background_free(fg_context *context);

#endif
