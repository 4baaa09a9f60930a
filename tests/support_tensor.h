/* The tensors of a problem, in memory that gives faults away: a block holds exactly what the strides
 * reach; what lies between elements reads as NaN and must not be written. */
#ifndef TESTS_SUPPORT_TENSOR_H
#define TESTS_SUPPORT_TENSOR_H

#include "runtime/context.h"
#include "tests/support_random.h"

enum { test_tensors_max = 32 };

typedef struct test_tensor {
    const char *name;
    dtype type;
    int rank;
    int64_t shape[4], stride[4];
    int64_t count;                     /* elements */
    bool output, heads_first, repeats; /* repeats: a stride is 0 */
    DLTensor dl;
    unsigned char *block;
    size_t bytes;
    unsigned char *first; /* the element at 0, 0, ... */
} test_tensor;

typedef struct test_tensors {
    fg_problem *problem;
    test_tensor tensor[test_tensors_max];
    const DLTensor *extra[problem_max_tensors];
    int count;
    fg_args args;
    void *workspace;
} test_tensors;

/* Layouts are drawn from `layouts` (orders of dimensions, padding, signs, pointers aligned to what the
 * problem promises and no better), or compact where it is NULL. Outputs hold a pattern, inputs NaN. */
void test_tensors_make(test_tensors *out, fg_problem *handle, rng *layouts);
void test_tensors_free(test_tensors *t);
test_tensor *test_tensors_find(test_tensors *t, const char *name); /* or NULL */

/* By the index in row-major order of the shape. */
void *test_element(const test_tensor *t, int64_t index);
double test_get(const test_tensor *t, int64_t index);
void test_set(test_tensor *t, int64_t index, double value);
/* The index of (b, head, position, column) in q, k, v or o, (b, head, i) in lse, (b, head, i, j) in bias or
 * mask, whatever the layout. */
int64_t test_index(const test_tensor *t, int64_t b, int64_t h, int64_t s, int64_t c);

void test_fill_normal(test_tensor *t, rng *r);
void test_fill(test_tensor *t, double value);
/* What each tensor is usually: N(0,1); masks keep one half; integers in [-3, 12); slopes the paper's. */
void test_fill_usual(test_tensors *t, rng *r);

/* The first output that was written beside its elements, or NULL. */
const char *test_spilled(const test_tensors *t);

/* Runs the plan on the tensors, with a workspace full of NaN. */
fg_status test_run(test_tensors *t, const fg_plan *plan, fg_error *error);

#endif
