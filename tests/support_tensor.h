/* The tensors of a problem, in memory that gives faults away: a block holds exactly what the strides
 * reach; what lies between elements reads as NaN and must not be written. */
#ifndef TESTS_SUPPORT_TENSOR_H
#define TESTS_SUPPORT_TENSOR_H

#include "runtime/context.h"
#include "tests/support_sequence.h"

enum {
    test_tensors_max = 32,
    test_untouched = 0x7f, /* bytes of huge numbers: what outputs hold, and what must stay */
    test_zone = 64,        /* bytes on either side of a run's memory */
};

typedef struct test_tensor {
    const char *name;
    dtype type;
    int rank;
    int64_t shape[4], stride[4];
    int64_t count;                     /* elements */
    bool output, heads_first, repeats; /* repeats: a stride is 0 */
    bool packed;                       /* all sequences' positions in one dimension */
    bool exact;                        /* lengths, pages, seeds: elements are what they are */
    DLTensor dl;
    unsigned char *block;
    size_t bytes;
    unsigned char *first; /* the element at 0, 0, ... */
} test_tensor;

/* Memory of a run between zones that must not be written. */
typedef struct test_memory {
    unsigned char *block;
    size_t bytes; /* without the zones */
} test_memory;

typedef struct test_tensors {
    fg_problem *problem;
    test_sizes sizes;
    test_tensor tensor[test_tensors_max];
    const DLTensor *extra[problem_max_tensors];
    int count;
    fg_args args; /* dropout has a seed by value */
    test_memory workspace, prepared;
    fg_context
        *gpu; /* what runs and checks are on, with copies of all this; NULL: the processors */
} test_tensors;

/* Layouts are drawn from `layouts` (orders of dimensions, padding, signs, pointers aligned to what the
 * problem promises and no better), or compact where it is NULL. Outputs hold a pattern, inputs NaN. `sizes`
 * NULL: test_sizes_whole. */
void test_tensors_make(test_tensors *out, fg_problem *handle, const test_sizes *sizes,
                       rng *layouts);
void test_tensors_free(test_tensors *t);
test_tensor *test_tensors_find(test_tensors *t, const char *name); /* or NULL */

/* By the index in row-major order of the shape. */
void *test_element(const test_tensor *t, int64_t index);
double test_get(const test_tensor *t, int64_t index);
void test_set(test_tensor *t, int64_t index, double value);
/* The index of (b, head, position, column) in q, k, v or o, (b, head, i) in lse, (b, head, i, j) in bias or
 * mask, whatever the layout; packed: positions count through all sequences, b is ignored; in pages: b is the page. */
int64_t test_index(const test_tensor *t, int64_t b, int64_t h, int64_t s, int64_t c);

void test_fill_normal(test_tensor *t, rng *r);
void test_fill(test_tensor *t, double value);
/* What each tensor is usually: N(0,1); masks keep one half; integers in [-3, 12); slopes the paper's; lengths and
 * pages those of `sizes`, rng the seed of `args`; then test_poison. */
void test_fill_usual(test_tensors *t, rng *r);
/* Lengths, block table, rng (support_sequence.c). */
void test_fill_run(test_tensors *t, rng *r);
/* NaN in q, k, v and bias behind every length, in pages that are nobody's, and behind a sequence's last key in its
 * last page. */
void test_poison(test_tensors *t);
/* Gives the seed by the tensor rng. */
void test_seed_by_tensor(test_tensors *t);

/* What was written beside its elements or bytes, or NULL (support_run.c). */
const char *test_spilled(const test_tensors *t);

/* Runs the plan on the tensors, with a workspace full of NaN. */
fg_status test_run(test_tensors *t, const fg_plan *plan, fg_error *error);
/* fg_check of what a run left. */
fg_status test_check(test_tensors *t, fg_context *context, const fg_check_options *options,
                     fg_check_report *report, fg_error *error);
/* From now on runs get what fg_plan_prepare finds now, while q, k and v hold NaN; their contents come back. Whether
 * there was something to prepare: `prepared.bytes`. */
fg_status test_prepare(test_tensors *t, const fg_plan *plan, fg_error *error);
/* From now on runs prepare for themselves again. */
void test_unprepare(test_tensors *t);
/* Outputs hold the pattern again. */
void test_forget(test_tensors *t);

#endif
