/* A plan on its tensors, timed. */
#ifndef CLI_MEASURE_H
#define CLI_MEASURE_H

#include "tensors.h"

double measure_now(void); /* seconds */

/* The workspace that a plan's runs need, in args; NULL or a block for free(). */
fg_status measure_workspace(void **out, const fg_plan *plan, fg_args *args, fg_error *error);

/* How long to go on: at least `least_runs` and `seconds`, but no further than `most_seconds`. */
typedef struct measure_limits {
    int least_runs;
    double seconds, most_seconds;
} measure_limits;

typedef struct measurement {
    int runs;
    double median; /* seconds */
} measurement;

/* Takes turns through `sets` argument lists. */
fg_status measure_runs(measurement *out, const fg_plan *plan, const fg_args *const *args, int sets,
                       const measure_limits *limits, fg_error *error);

/* 2 (d + dv) for each visible pair, by seconds. */
double measure_gflops(const tensors *t, int64_t pairs, double seconds);

#endif
