/* Drawn inputs: the same for the same seed, name and element, whatever else is drawn. */
#ifndef CLI_DRAW_H
#define CLI_DRAW_H

#include "element.h"

#include <stddef.h>

/* What --help says of it. */
extern const char *const draw_help;

/* Fills `count` elements of the tensor `name`: N(0,1); integers uniform in [0, 8); "mask": one half is 1;
 * "slopes": the ALiBi paper's. */
void draw(void *data, const element_type *type, int64_t count, const char *name, uint64_t seed);

/* Slope `head` of `heads` (Press, Smith, Lewis 2022): 2^(-8 (head + 1) / heads); where heads is no power of
 * two, the slopes of the power below and then every second one of the power above. */
double draw_slope(int64_t head, int64_t heads);

#endif
