/* A run's tensors that are in a GPU's memory, copied to the host's, for the reference. */
#ifndef RUNTIME_REFERENCE_COPIES_H
#define RUNTIME_REFERENCE_COPIES_H

#include "runtime/context.h"
#include "runtime/operand.h"

/* One tensor's: blocks of its innermost dimensions as they lie on the GPU, one behind another. */
typedef struct reference_copy {
    DLTensor tensor;
    int64_t shape[4], stride[4];
    char *memory; /* the allocation, which the tensor is aligned in; or NULL */
    size_t bytes;
} reference_copy;

typedef struct reference_copies {
    const fg_context *context; /* not held */
    reference_copy copy[operand_max];
    const DLTensor *extra[problem_max_tensors];
} reference_copies;

/* Whether some tensor is said not to be in the host's memory. */
bool reference_elsewhere(const fg_args *args);

/* Checks the tensors as a run on the context's GPU does, waits for args->stream, and makes `args` point to copies in
 * *out, which stays where it is. Each takes at most 4 times what its elements take. FG_REQUEST where a tensor is not
 * there, FG_MEMORY, FG_MACHINE where the GPU cannot be read. Nothing is held after a failure. */
fg_status reference_copies_make(reference_copies *out, const fg_context *context, const problem *p,
                                fg_args *args, fg_error *error);
void reference_copies_free(reference_copies *c);

#endif
