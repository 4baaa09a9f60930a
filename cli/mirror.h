/* A run's tensors where its plan runs: on processors the command's own, on a GPU copies of them. */
#ifndef CLI_MIRROR_H
#define CLI_MIRROR_H

#include "tensors.h"

typedef struct mirror {
    fg_context *context; /* not held */
    tensors *host;
    bool gpu;
    DLTensor copy[tensors_max];
    const DLTensor *extra[tensors_max]; /* of fg_args.tensors */
    void *workspace;
    fg_args args;
} mirror;

/* Copies all tensors of `host` to the GPU of the context that the plan is of; `index`: its number. *out does not move
 * afterwards, nor does `host`: args points into both. */
fg_status mirror_make(mirror *out, fg_context *context, const fg_plan *plan, int index,
                      tensors *host, fg_error *error);
/* The workspace of the plan's runs on these tensors, in their args. */
fg_status mirror_workspace(mirror *m, const fg_plan *plan, fg_error *error);
/* Copies what the runs wrote to the host's tensors. */
fg_status mirror_fetch(mirror *m, fg_error *error);
void mirror_free(mirror *m);

#endif
