/* A testbed's tensors in the memory of a GPU, each between zones of a pattern. */
#ifndef AUTOTUNE_REPLICA_H
#define AUTOTUNE_REPLICA_H

#include "autotune/testbed.h"
#include "autotune/zoned.h"
#include "runtime/device_cuda.h"

enum { replica_sets_max = 8 };

typedef struct replica_set {
    zoned memory[operand_max];
    DLTensor tensor[operand_max];
    const DLTensor *extra[problem_max_tensors];
    fg_args args; /* without a workspace */
} replica_set;

/* Sets are alike: runs that take turns through them do not find in the cache what the last one left there. */
typedef struct replica {
    const fg_context *context;
    const device_cuda *device;
    testbed *bed; /* what the first set is of, in the host's memory */
    int sets;
    replica_set set[replica_sets_max];
    zoned blank[operand_max]; /* outputs before a run */
    char *room;               /* in the host's memory */
} replica;

/* Not to be moved. The device's context is the thread's current one, here and below. FG_MEMORY, the GPU's too. */
fg_status replica_new(replica *out, const fg_context *context, testbed *bed, fg_error *error);
void replica_free(replica *r);

/* The first set's outputs become as testbed_clear leaves those of a testbed. */
fg_status replica_clear(const replica *r, fg_error *error);
/* Copies the first set's outputs to the testbed. FG_WRONG, with a sentence, when something was written beside them:
 * then all is put right again. */
fg_status replica_fetch(const replica *r, fg_error *error);
/* FG_WRONG, when something was written beside `z`, which is called `name`. */
fg_status replica_beside(const replica *r, const zoned *z, const char *name, fg_error *error);

#endif
