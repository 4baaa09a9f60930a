/* Inputs as a search draws them. */
#ifndef AUTOTUNE_DRAWN_H
#define AUTOTUNE_DRAWN_H

#include "runtime/operand.h"

/* What kind of values a tensor takes. */
typedef enum drawn_kind {
    DRAWN_normal,   /* N(0,1), rounded to the type */
    DRAWN_halves,   /* 0 or 1, as often: masks, and every u8, which says what is kept */
    DRAWN_integers, /* 0 to 7 */
    DRAWN_documents, /* 0 to 7, ascending along a row: an i32 by position, as it names a document or segment. Each
                      * row's ends lie at drawn shares of it, the same in tensors of either length. */
    DRAWN_slopes, /* of ALiBi (Press, Smith and Lewis 2022), a head an element */
} drawn_kind;

drawn_kind drawn_kind_of(const operand *o);

/* SplitMix64 (Steele, Lea and Flood 2014). */
uint64_t drawn_next(uint64_t *state);

/* `rows` rows of `row` elements, `pitch` elements apart. The same seed gives the same values. */
void drawn_fill(void *data, dtype type, drawn_kind kind, int64_t rows, int64_t row, int64_t pitch,
                uint64_t seed);

#endif
