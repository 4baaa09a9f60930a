/* A problem with its tensors, compact and zero at first, and what the reference makes of them. */
#ifndef TESTS_SUPPORT_REFERENCE_H
#define TESTS_SUPPORT_REFERENCE_H

#include "runtime/reference.h"

enum { fixture_tensors = 20 };

/* What a problem leaves to a run: extents of its tensors. */
typedef struct fixture_sizes {
    int64_t b, sq, sk, total_q, total_k, pages, blocks;
} fixture_sizes;

typedef struct fixture {
    fg_context *context;
    fg_problem *problem;
    int count;
    fg_tensor_info info[fixture_tensors];
    DLTensor tensor[fixture_tensors];
    dtype type[fixture_tensors];
    int64_t elements[fixture_tensors];
    const DLTensor *extra[fixture_tensors];
    fg_args args;
    reference r;
    double *o,
        *lse; /* of the reference: [b, hq, sq, dv], [b, hq, sq]; rows that no output has: 0 */
    double *o_rest, *lse_rest;
    reference_row *row;
} fixture;

/* Lines promise no alignment: the tensors here are compact whatever their head dimension. */
void fixture_new(fixture *f, const char *line);
/* Dropout has a seed by value; fixture_seed_by_tensor gives rng in its place. */
void fixture_new_sized(fixture *f, const char *line, const fixture_sizes *sizes);
void fixture_seed_by_tensor(fixture *f);
void fixture_free(fixture *f);

int fixture_find(const fixture *f, const char *name);
void fixture_set(fixture *f, const char *name, int64_t index, double value);
double fixture_get(const fixture *f, const char *name, int64_t index);
void fixture_fill(fixture *f, const char *name, double value);

/* Something between -2 and 2, the same for the same name and element. */
double fixture_noise(const char *name, int64_t n);
/* Every input becomes noise. */
void fixture_draw(fixture *f);

/* Every row of the reference, into f->o, f->lse and f->row; once. */
void fixture_compute(fixture *f);
/* Where row i of a head is in lse, and times dv in o; -1 where no output has it. */
int64_t fixture_o_row(const fixture *f, int64_t b, int64_t h, int64_t i);
int64_t fixture_lse_row(const fixture *f, int64_t b, int64_t h, int64_t i);
/* Puts what the reference computed into o and lse, rounded to their types. */
void fixture_store(fixture *f);
/* fg_check, which answers FG_OK or FG_WRONG. */
fg_status fixture_check(fixture *f, fg_check_options options, fg_check_report *report);

/* Within 1e-12. */
void assert_close(double got, double want);
/* What a row without visible keys has. */
void assert_empty(const fixture *f, int64_t row);

#endif
