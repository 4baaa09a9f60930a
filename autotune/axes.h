/* A list of configs as points: for each axis, which of its values a config has. */
#ifndef AUTOTUNE_AXES_H
#define AUTOTUNE_AXES_H

#include "gen/core/memory.h"

#include <stdbool.h>

enum { axes_max = 24, axes_max_values = 64 };

typedef struct axes {
    const memory *memory;
    int points, axes;     /* axes of a single value aside */
    int values[axes_max]; /* of each axis */
    unsigned char *value; /* [point][axis]: its place among the axis's values, in ascending order */
} axes;

/* Of "k=v k=v ..." texts that all name the same axes in the same order. FG_INTERNAL when they do not. */
fg_status axes_new(axes *out, const memory *m, char *const *config, int count, fg_error *error);
void axes_free(axes *a);

static inline const unsigned char *axes_point(const axes *a, int point)
{
    return a->value + (size_t)point * (size_t)a->axes;
}

#endif
