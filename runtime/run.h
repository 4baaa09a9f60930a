#ifndef RUNTIME_RUN_H
#define RUNTIME_RUN_H

#include "runtime/kernel.h"

/* Binds the tensors, takes the problem's numbers where args has none, checks the workspace, runs. `args` are
 * complete (options_copy). */
fg_status run_kernel(const kernel *k, const fg_args *args, fg_error *error);

/* A run's numbers: what `args` say, else what the problem does. An unbounded window is a very wide one; seed and
 * offset are those of `args`, also where rng has them. */
fg_status run_take_numbers(run_numbers *out, const run_defaults *defaults, const fg_args *args,
                           fg_error *error);

#endif
