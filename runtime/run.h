#ifndef RUNTIME_RUN_H
#define RUNTIME_RUN_H

#include "runtime/kernel.h"

/* Binds the tensors, takes the problem's numbers where args has none, checks the workspace, runs. `args` are
 * complete (options_copy). */
fg_status run_kernel(const kernel *k, const fg_args *args, fg_error *error);

#endif
