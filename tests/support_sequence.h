/* What `*`, lengths and pages leave to a run: its sizes, the tensors that say them, and NaN wherever nothing may
 * be read. */
#ifndef TESTS_SUPPORT_SEQUENCE_H
#define TESTS_SUPPORT_SEQUENCE_H

#include "runtime/operand.h"
#include "tests/support_random.h"

enum { test_most_sequences = 16 }; /* that have lengths, or pages, of their own */

typedef struct test_sizes {
    int64_t b, sq, sk;                                              /* sq, sk: bounds, with lens= */
    int64_t q_len[test_most_sequences], k_len[test_most_sequences]; /* of sequence b */
    int64_t total_q, total_k;                                       /* lens=packed */
    int64_t pages, blocks; /* page=N: in k, in a row of the table */
    fg_dims dims;          /* for fg_plan_workspace */
    bool shared;           /* sequences beside each other may have pages in common */
    bool sized;            /* false: it gets NULL */
    run_shard shard; /* of a problem with shard; whole sizes 0: the run's own, nothing is said */
} test_sizes;

/* The problem's own sizes, whole sequences and as many pages as they take; 3 for a `*`. */
void test_sizes_whole(test_sizes *out, const problem *p);
/* Lengths of every kind up to sq and sk, pages that nobody uses, and room for a longer run. A sk that only the
 * block table tells is rounded up to whole pages. */
void test_sizes_draw(test_sizes *out, const problem *p, int64_t b, int64_t sq, int64_t sk, rng *r);
/* A place in a somewhat larger run. */
void test_sizes_place(test_sizes *z, const problem *p, rng *r);
/* To be called where q_len or k_len were set by hand. */
void test_sizes_settle(test_sizes *z, const problem *p);

#endif
