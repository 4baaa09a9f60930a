/* The reference of a sample of rows, computed once, for every candidate's output to be compared with. */
#ifndef AUTOTUNE_SAMPLE_H
#define AUTOTUNE_SAMPLE_H

#include "runtime/reference.h"

typedef struct sample {
    const reference *r;
    int64_t heads, each; /* heads that are sampled, rows of each */
    int group_rows;      /* at most, in a group */
    int64_t groups;
    reference_group *group;
    double row_error, v_sum; /* the largest met: as reference_o_bound takes them */
    bool undefined;          /* a row is NaN, or nothing is promised of it */
} sample;

/* Computes it on the context's threads: some 2^28 multiply-adds, and no fewer than 8 rows. */
fg_status sample_new(sample *out, const reference *r, fg_error *error);
void sample_free(sample *s);

/* FG_WRONG, with a sentence, when the outputs that the reference knows are outside their bounds. */
fg_status sample_check(const sample *s, fg_error *error);

#endif
