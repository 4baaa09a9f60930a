/* A number with more digits than a double has, as two of them: the nearest, and what it lacks. Sums and functions
 * are computed in long double; what they give is kept so, since arrays of doubles are what all else takes. */
#ifndef GEN_CORE_WIDE_H
#define GEN_CORE_WIDE_H

#include <math.h>

static inline long double wide_join(double value, double rest)
{
    return (long double)value + (long double)rest;
}

static inline void wide_split(double *value, double *rest, long double x)
{
    *value = (double)x;
    *rest = isfinite(*value) ? (double)(x - (long double)*value) : 0; /* beyond double: infinite */
}

#endif
