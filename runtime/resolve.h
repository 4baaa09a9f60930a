/* What the parts of plan_resolve share. */
#ifndef RUNTIME_RESOLVE_H
#define RUNTIME_RESOLVE_H

#include "runtime/plan.h"

/* One kernel to find or make. */
typedef struct resolve_job {
    fg_context *context;
    const problem *problem;
    const char *pins;
    fg_rigor rigor;
    maker_sizes sizes; /* of a bucket; 0 where the problem says them */
    char sizes_text[buckets_text_size];
    bool chosen; /* `choice` says what to run; else the prior does */
    bool stamped;
    digest stamp; /* before the text was written */
    choice choice;
    unsigned adoptions; /* before a winner was looked for */
    kernel *kernel;
    fg_source source;
} resolve_job;

resolve_job resolve_job_of(const fg_problem *handle, const fg_plan_options *options,
                           const maker_sizes *sizes);

/* The chosen kernel, without a generator or a compiler. */
bool resolve_load(resolve_job *j);
/* The chosen kernel, or where it cannot be had, or nothing is chosen, the prior's. */
fg_status resolve_make(resolve_job *j, fg_error *error);
/* What the rigor asks for. */
fg_status resolve_one(resolve_job *j, const fg_problem *handle, const fg_plan_options *options,
                      fg_error *error);

/* plan_resolve of a problem with `*` (resolve_table.c). */
fg_status resolve_table(fg_plan *out, const fg_problem *handle, const fg_plan_options *options,
                        const plan_ask *ask, fg_error *error);

#endif
