#include "tests/support_random.h"

#include <math.h>

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t rng_next(rng *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

rng rng_new(uint64_t seed, uint64_t stream)
{
    rng r = { seed };
    r.state = rng_next(&r) ^ stream * UINT64_C(0xd1342543de82ef95);
    r.state = rng_next(&r);
    return r;
}

int64_t rng_below(rng *r, int64_t n)
{
    return (int64_t)(rng_next(r) % (uint64_t)n);
}

int64_t rng_between(rng *r, int64_t least, int64_t most)
{
    return least + rng_below(r, most - least + 1);
}

bool rng_chance(rng *r, double p)
{
    return rng_unit(r) < p;
}

double rng_unit(rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1p-53;
}

double rng_normal(rng *r)
{
    double u = 1 - rng_unit(r), angle = 6.283185307179586 * rng_unit(r);
    return sqrt(-2 * log(u)) * cos(angle);
}
