/* The door from plans to autotune, which the run-only library does not have. */
#ifndef RUNTIME_TUNER_H
#define RUNTIME_TUNER_H

#include "runtime/context.h"

typedef struct tuner {
    /* As fg_tune; options are complete, `report` is never NULL. */
    fg_status (*tune)(fg_tune_report *report, fg_context *context, const fg_problem *problem,
                      const fg_tune_options *options, fg_error *error);
} tuner;

/* NULL in the run-only library. */
extern const tuner *const tuner_installed;

#endif
