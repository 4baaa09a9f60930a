/* Random numbers that are the same everywhere: a stream is a pure function of its seed and number. */
#ifndef TESTS_SUPPORT_RANDOM_H
#define TESTS_SUPPORT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rng {
    uint64_t state;
} rng;

rng rng_new(uint64_t seed, uint64_t stream);
uint64_t rng_next(rng *r);
int64_t rng_below(rng *r, int64_t n);                     /* 0 to n - 1 */
int64_t rng_between(rng *r, int64_t least, int64_t most); /* both included */
bool rng_chance(rng *r, double p);
double rng_unit(rng *r); /* in [0, 1) */
double rng_normal(rng *r);

/* An element of an array. */
#define rng_pick(r, array) ((array)[rng_below((r), (int64_t)(sizeof(array) / sizeof *(array)))])

#endif
