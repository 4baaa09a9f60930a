/* Drawn inputs: the same for the same seed, name and element, whatever else is drawn. */
#ifndef CLI_DRAW_H
#define CLI_DRAW_H

#include "tensors.h"

#include <stddef.h>

/* What --help says of it. */
#define DRAW_HELP                                                                                  \
    "Drawn inputs. Word n of a tensor's stream is SplitMix64's output for state S + n * "          \
    "0x9e3779b97f4a7c15,\n"                                                                        \
    "where S is SplitMix64's output for the seed xor the 64-bit FNV-1a hash of the tensor's "      \
    "name. Floats are\n"                                                                           \
    "N(0,1), rounded to their type: elements 2m and 2m + 1 by Box and Muller from words 2m and "   \
    "2m + 1.\n"                                                                                    \
    "Integers are the top 3 bits of word n, a mask the top one; slopes are the ALiBi paper's. "    \
    "Of b lengths\n"                                                                               \
    "number n is word n modulo the bound plus 1, and number (word b modulo b) the bound. A "       \
    "block table is\n"                                                                             \
    "pages 0, 1, ... shuffled from the inside out by words 0, 1, ..., out of 3 more than it "      \
    "needs.\n"

/* Fills the tensor by its name: N(0,1); integers uniform in [0, 8); "mask": one half is 1; "slopes": the
 * ALiBi paper's; "q_lens" and "k_lens": uniform in [0, bound], and at least one is the bound; "cu_q" and "cu_k":
 * where sequences of such lengths start; "block_table": different pages out of `bound`, in no order. */
void draw(tensor *t, uint64_t seed, int64_t bound);

/* Slope `head` of `heads` (Press, Smith, Lewis 2022): 2^(-8 (head + 1) / heads); where heads is no power of
 * two, the slopes of the power below and then every second one of the power above. */
double draw_slope(int64_t head, int64_t heads);

#endif
