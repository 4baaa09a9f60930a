/* A plan on its tensors, timed. */
#ifndef CLI_MEASURE_H
#define CLI_MEASURE_H

#include "tensors.h"

double measure_now(void); /* seconds */

/* As the library takes them. */
fg_dims measure_dims(const lengths *sizes);

/* How long to go on: at least `least_runs` and `seconds`, but no further than `most_seconds`. */
typedef struct measure_limits {
    int least_runs;
    double seconds, most_seconds;
} measure_limits;

typedef struct measurement {
    int runs;
    double median; /* seconds */
} measurement;

/* Takes turns through `sets` argument lists, all of the plan's device. */
fg_status measure_runs(measurement *out, const fg_plan *plan, const fg_args *const *args, int sets,
                       const measure_limits *limits, fg_error *error);

/* 2 (d + dv) for each visible pair, by seconds. */
double measure_gflops(const tensors *t, int64_t pairs, double seconds);

/* Bytes of the keys and values within their lengths, each once, by seconds: what bounds a few queries. */
double measure_kv_gbs(tensors *t, double seconds);

#endif
