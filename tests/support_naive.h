/* Attention a second time: one row in long double, looped as it is defined, with every tensor's place in memory
 * worked out by hand. Shares with the reference only the fixture and Philox itself. */
#ifndef TESTS_SUPPORT_NAIVE_H
#define TESTS_SUPPORT_NAIVE_H

#include "tests/support_reference.h"

enum { naive_columns = 64 };

/* What score= and maskfn= say, in C; used where the problem has them. sq and sk are the sequence's own. */
typedef struct naive_functions {
    long double (*score)(long double s, int64_t h, int64_t i, int64_t j, int64_t sq, int64_t sk);
    bool (*maskfn)(int64_t h, int64_t i, int64_t j, int64_t sq, int64_t sk);
} naive_functions;

typedef struct naive_row {
    int64_t visible;
    long double lse, o[naive_columns], o_abs[naive_columns];
} naive_row;

/* The lengths of sequence b. */
int64_t naive_sq(const fixture *f, int64_t b);
int64_t naive_sk(const fixture *f, int64_t b);

/* `f` is computed. */
naive_row naive_compute(const fixture *f, const naive_functions *functions, int64_t b, int64_t h,
                        int64_t i);

#endif
