/* The outputs of the first candidate that passed: every element of a later one's is compared with them. */
#ifndef AUTOTUNE_TRUSTED_H
#define AUTOTUNE_TRUSTED_H

#include "autotune/sample.h"
#include "autotune/testbed.h"

typedef struct trusted {
    const memory *memory;
    const sample *sample;
    size_t o_bytes, lse_bytes;
    char *o, *o_abs, *lse; /* as the tensors lie in memory; o_abs: P|V|, NULL before it is known */
} trusted;

void trusted_init(trusted *t, const sample *s);
void trusted_free(trusted *t);
bool trusted_ready(const trusted *t);

/* Takes what stands in the outputs: first o and lse, then o again, of a run with |V| for V. */
fg_status trusted_take(trusted *t, testbed *from, fg_error *error);
fg_status trusted_take_absolute(trusted *t, testbed *from, fg_error *error);

/* FG_WRONG, with a sentence, where an element differs from the trusted one by more than four times the
 * bound, its row's part of it being the largest of the sample; or where there is none yet, is not finite. */
fg_status trusted_check(const trusted *t, fg_error *error);

#endif
