#include "autotune/axes.h"

#include "gen/core/text.h"

#include <string.h>

/* A piece of a config's text. */
typedef struct word {
    const char *at;
    size_t length;
} word;

/* The distinct values of an axis, in ascending order once sorted. */
typedef struct column {
    word name, value[axes_max_values];
    int values;
} column;

static bool same(word a, word b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

/* The next "k=v"; false at the end. */
static bool next_pair(const char **at, word *name, word *value)
{
    const char *start = *at + strspn(*at, " ");
    size_t length = strcspn(start, " "), key = strcspn(start, "= ");
    if (length == 0 || key == length) return false;
    *name = (word){ start, key };
    *value = (word){ start + key + 1, length - key - 1 };
    *at = start + length;
    return true;
}

static int find(const column *c, word value)
{
    for (int k = 0; k < c->values; k++)
        if (same(c->value[k], value)) return k;
    return -1;
}

/* Numbers by size, before words by the alphabet. */
static bool above(word a, word b)
{
    int64_t x, y;
    bool left = number_int(a.at, a.length, &x), right = number_int(b.at, b.length, &y);
    if (left && right) return x > y;
    if (left != right) return right;
    size_t least = a.length < b.length ? a.length : b.length;
    int order = memcmp(a.at, b.at, least);
    return order > 0 || (order == 0 && a.length > b.length);
}

static bool add_value(column *c, word value)
{
    if (find(c, value) >= 0) return true;
    if (c->values == axes_max_values) return false;
    int k = c->values++;
    for (; k > 0 && above(c->value[k - 1], value); k--) c->value[k] = c->value[k - 1];
    c->value[k] = value;
    return true;
}

/* Adds a config's values to the columns; the first config names them. */
static bool add_config(column *columns, int *count, const char *config, bool first)
{
    word name, value;
    int k = 0;
    for (; next_pair(&config, &name, &value); k++) {
        if (k == (first ? axes_max : *count)) return false;
        if (first) columns[k].name = name;
        if (!same(columns[k].name, name) || !add_value(&columns[k], value)) return false;
    }
    if (first) *count = k;
    return k == *count && config[strspn(config, " ")] == 0;
}

/* An axis that never varies tells nothing. */
static void fill(axes *a, const column *columns, int count, char *const *config)
{
    for (int p = 0; p < a->points; p++) {
        const char *at = config[p];
        unsigned char *out = a->value + (size_t)p * (size_t)a->axes;
        word name, value;
        for (int k = 0; k < count && next_pair(&at, &name, &value); k++)
            if (columns[k].values > 1) *out++ = (unsigned char)find(&columns[k], value);
    }
}

static fg_status make(axes *a, column *columns, char *const *config, fg_error *error)
{
    int count = 0;
    for (int p = 0; p < a->points; p++)
        if (!add_config(columns, &count, config[p], p == 0))
            return fail(error, FG_INTERNAL, "config '%.200s' is not of its space", config[p]);
    for (int k = 0; k < count; k++)
        if (columns[k].values > 1) a->values[a->axes++] = columns[k].values;
    if (a->axes == 0) return FG_OK;
    a->value = memory_new(a->memory, (size_t)a->points, (size_t)a->axes);
    if (!a->value) return fail_memory(error);
    fill(a, columns, count, config);
    return FG_OK;
}

fg_status axes_new(axes *out, const memory *m, char *const *config, int count, fg_error *error)
{
    *out = (axes){ .memory = m, .points = count };
    column *columns = memory_new(m, axes_max, sizeof *columns);
    if (!columns) return fail_memory(error);
    fg_status status = make(out, columns, config, error);
    memory_free(m, columns, axes_max * sizeof *columns);
    return status;
}

void axes_free(axes *a)
{
    if (a->value) memory_free(a->memory, a->value, (size_t)a->points * (size_t)a->axes);
    *a = (axes){ .memory = NULL };
}
