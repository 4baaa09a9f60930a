/* Where candidates are checked and timed: a worker process, or, when the host asks, this one. */
#ifndef AUTOTUNE_MEASURER_H
#define AUTOTUNE_MEASURER_H

#include "runtime/image.h"

typedef struct measurer measurer;

typedef struct measurer_options {
    fg_context *context; /* its threads and instruction set are the worker's */
    const problem *problem;
    bool in_process;
    double seconds;      /* a candidate's check or run, and the worker's start, end after these */
    const fg_dims *dims; /* of `*` and of totals, as testbed_new has them */
} measurer_options;

enum { measurer_most_candidates = 4096, measurer_most_samples = 1 << 20 }; /* of measurer_time */

/* Draws inputs between guard zones, and computes the reference of a sample of rows. The problem outlives
 * the measurer. FG_MACHINE: no worker can be had, and what would help. On a GPU a worker may still be at that: then it
 * is the first candidate that fails. */
fg_status measurer_new(measurer **out, const measurer_options *options, fg_error *error);
void measurer_free(measurer *m);

/* Loads, runs and checks a candidate under a number of the caller's. `seconds`: of its second run. FG_WRONG:
 * it was rejected (wrong, wrote outside its output, crashed, hung), and why; it is not loaded then. Anything
 * else: no candidate can be measured any more. */
fg_status measurer_try(measurer *m, double *seconds, int id, const image *candidate,
                       fg_error *error);

/* Runs `count` loaded candidates in turn, `runs` times each: seconds of run k of ids[c] at
 * samples[c * runs + k]. FG_WRONG: ids[*culprit] crashed or hung, and is loaded no more; what the others'
 * samples hold is meaningless. */
fg_status measurer_time(measurer *m, double *samples, const int *ids, int count, int runs,
                        int *culprit, fg_error *error);

void measurer_drop(measurer *m, int id);

#endif
