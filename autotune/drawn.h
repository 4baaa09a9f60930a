/* Inputs as a search draws them. */
#ifndef AUTOTUNE_DRAWN_H
#define AUTOTUNE_DRAWN_H

#include "gen/core/dtype.h"

/* What kind of values a tensor takes. */
typedef enum drawn_kind {
    DRAWN_normal,   /* N(0,1), rounded to the type */
    DRAWN_halves,   /* 0 or 1, as often */
    DRAWN_integers, /* 0 to 7 */
    DRAWN_slopes,   /* of ALiBi (Press, Smith and Lewis 2022), a head an element */
} drawn_kind;

/* `name` as problem_tensor_at has it. */
drawn_kind drawn_kind_of(const char *name, dtype type);

/* `rows` rows of `row` elements, `pitch` elements apart. The same seed gives the same values. */
void drawn_fill(void *data, dtype type, drawn_kind kind, int64_t rows, int64_t row, int64_t pitch,
                uint64_t seed);

#endif
