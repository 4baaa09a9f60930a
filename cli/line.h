/* A problem line as the user wrote it: what the command itself reads in it, before the library does. */
#ifndef CLI_LINE_H
#define CLI_LINE_H

#include "fault.h"

#include <stdbool.h>

typedef struct slice {
    const char *at;
    size_t length;
} slice;

bool slice_is(slice s, const char *text);

/* Walks key[=value]: false at the end. A value that starts with a brace ends with its partner. */
bool line_next(const char **rest, slice *key, slice *value);
/* The value of `key`; at is NULL where the line does not have it. */
slice line_find(const char *line, const char *key);

/* The whole number that is the value of `key`, or -1. */
int64_t line_number(const char *line, const char *key);

/* A copy, for the caller to free, in which score=@FILE and maskfn=@FILE hold the file's text in braces. */
fg_status line_expand(char **out, const char *line, fg_error *error);
/* Adds " key=value" to a text for free(). */
fg_status line_add(char **line, const char *key, int64_t value, fg_error *error);

/* X(name): the lengths of a problem */
#define LINE_DIMS(X) X(b) X(hq) X(hkv) X(sq) X(sk) X(d) X(dv)

/* X(name): sizes that only a run has: rows of packed sequences, pages, a table's blocks, b + 1 */
#define LINE_RUN_DIMS(X) X(total_q) X(total_k) X(pages) X(blocks) X(starts)

typedef enum line_dim {
#define LINE_DIM_ENUM(name) LINE_##name,
    LINE_DIMS(LINE_DIM_ENUM) LINE_RUN_DIMS(LINE_DIM_ENUM)
#undef LINE_DIM_ENUM
        line_dim_count,
    line_keys = LINE_dv + 1 /* those before are keys of a problem */
} line_dim;

extern const char *const line_dim_names[line_dim_count];

typedef struct line_axes {
    int rank;
    bool whole; /* with shard: they are the whole run's */
    int dim[4]; /* a line_dim, or -1: a number of its own, or 1 where it broadcasts */
} line_axes;

/* What the axes of tensor `name` are, by the problem's layout and declarations; false for a tensor that
 * the line does not declare. */
bool line_axes_of(const char *line, const char *name, line_axes *out);

#endif
