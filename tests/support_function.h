/* Functions as a user may write them, drawn from a grammar. They stay where a bound on rounding errors
 * means something: no float is compared that was computed, slopes by s and terms are moderate. */
#ifndef TESTS_SUPPORT_FUNCTION_H
#define TESTS_SUPPORT_FUNCTION_H

#include "gen/core/text.h"
#include "tests/support_random.h"

enum { drawn_tensors_max = 6 };

typedef struct drawn_tensor {
    const char *name, *type;
    int rank;
    const char *dim[4]; /* as the problem line has it */
} drawn_tensor;

typedef struct drawn_dim {
    const char *name, *index; /* index: the variable that runs over it, or NULL */
    int64_t extent;
} drawn_dim;

typedef struct drawn_functions {
    rng *r;
    const drawn_dim *dims; /* ends with a NULL name */
    drawn_tensor tensor[drawn_tensors_max];
    int tensors;
    text *out;
    bool local_int, local_float; /* `x` and `y` are there */
} drawn_functions;

/* Append to `out` the text between the braces; tensors join those already drawn. */
void draw_score(drawn_functions *f, text *out);
void draw_mask(drawn_functions *f, text *out);
/* " tensor=NAME:type[dim,...]" of each. */
void draw_tensor_keys(const drawn_functions *f, text *out);

#endif
