/* Sizes that lengths and block tables say by their values. */
#ifndef CLI_SEQUENCES_H
#define CLI_SEQUENCES_H

#include "tensors.h"

/* Whether other tensors' shapes depend on this one, so that it comes first. */
bool sequences_first(const char *name);

/* Fills the sizes that the tensor needs, `drawn` or from a file; its bound goes to *bound (draw.h). */
fg_status sequences_before(lengths *sizes, int64_t *bound, const char *line, const char *name,
                           bool drawn, fg_error *error);

/* Takes what its values say. */
fg_status sequences_after(lengths *sizes, const tensor *t, fg_error *error);

#endif
