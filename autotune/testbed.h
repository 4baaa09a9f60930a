/* What candidates run on: a problem's tensors, drawn, each between guard zones. */
#ifndef AUTOTUNE_TESTBED_H
#define AUTOTUNE_TESTBED_H

#include "autotune/guard.h"
#include "autotune/sequences.h"

typedef struct testbed_tensor {
    const operand *operand;
    guarded memory;
    int64_t rows, row, pitch; /* rows of so many elements; elements from one row to the next */
    int64_t shape[4], stride[4];
    DLTensor dl;
} testbed_tensor;

/* Tensors of one run. Inputs are frozen. What lies behind a length, or in a page that is nobody's, is NaN. */
typedef struct testbed {
    operand_list operands;
    sequences sequences;
    testbed_tensor tensor[operand_max];
    const DLTensor *extra[problem_max_tensors];
    fg_args args; /* without a workspace; dropout has its seed by value */
    fg_dims dims;
    int64_t bytes;
} testbed;

/* `dims` as sequences_new has them; NULL: all -1. Not to be moved: its parts point to each other. */
fg_status testbed_new(testbed *out, const problem *p, const fg_dims *dims, uint64_t seed,
                      fg_error *error);
void testbed_free(testbed *t);
/* By name, or NULL. */
testbed_tensor *testbed_find(testbed *t, const char *name);

/* Puts operand k where `args` have it; `extra`: where those of args->tensors are. */
void testbed_give(fg_args *args, const DLTensor **extra, const operand_list *list, int k,
                  const DLTensor *tensor);

/* A tensor like `from`, of absolute values, frozen. Only `memory` and what dl.data points to are its own. */
fg_status testbed_absolute(testbed_tensor *out, const testbed_tensor *from, fg_error *error);

/* Makes every element of the outputs NaN, its bits all ones, and what is between and around them the pattern. */
void testbed_clear(testbed *t);

/* FG_WRONG when something was written where nothing is to be, or an element was not written. */
fg_status testbed_intact(const testbed *t, fg_error *error);
fg_status testbed_written(const testbed *t, fg_error *error);

#endif
