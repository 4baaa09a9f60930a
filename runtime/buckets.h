/* Buckets of the sizes of `*` dimensions, in which plans choose and searches find. Those of b end at the powers of two;
 * those of sq and sk at 1, 16, 32, 64, ... */
#ifndef RUNTIME_BUCKETS_H
#define RUNTIME_BUCKETS_H

#include "gen/core/maker.h"

enum { buckets_most_b = 21, buckets_most_lengths = 26 };

static inline int buckets_log2(int64_t n) /* rounded up */
{
    return n <= 1 ? 0 : 64 - __builtin_clzll((uint64_t)n - 1);
}

/* The bucket of a size. */
static inline int buckets_of_b(int64_t b)
{
    return buckets_log2(b);
}

static inline int buckets_of_length(int64_t n)
{
    return n <= 1 ? 0 : n <= 16 ? 1 : buckets_log2(n) - 3;
}

/* The buckets of a problem's sizes, those of sk following each other: how many of each; 1 of what the problem says. */
typedef struct buckets {
    int b, sq, sk;
    bool open_b, open_sq, open_sk; /* `*` */
} buckets;

static inline int buckets_least(int a, int b)
{
    return a < b ? a : b;
}

/* The index of the bucket that a run falls in, or the last where it is beyond. */
static inline int buckets_find(const buckets *all, int64_t b, int64_t sq, int64_t sk)
{
    int at_b = buckets_least(buckets_of_b(b), all->b - 1);
    int at_sq = buckets_least(buckets_of_length(sq), all->sq - 1);
    int at_sk = buckets_least(buckets_of_length(sk), all->sk - 1);
    return (at_b * all->sq + at_sq) * all->sk + at_sk;
}

/* The problem has `*`. */
static inline bool buckets_needed(const problem *p)
{
    return p->b == problem_dynamic || p->sq == problem_dynamic || p->sk == problem_dynamic;
}

/* Those of sizes up to `most`. */
buckets buckets_up_to(const problem *p, const maker_sizes *most);
int buckets_count(const buckets *all);
/* The greatest sizes of a bucket; 0 for what the problem says. */
maker_sizes buckets_sizes(const buckets *all, int index);
/* The same of the bucket that these sizes fall in. */
maker_sizes buckets_round(const problem *p, const maker_sizes *sizes);
/* How many buckets lie between two, along each dimension. */
int buckets_distance(const buckets *all, int from, int to);

/* What the maker chooses for: every bucket's greatest sizes. */
typedef struct buckets_grid {
    int64_t b[buckets_most_b], sq[buckets_most_lengths], sk[buckets_most_lengths];
    maker_grid grid; /* points into this: not to be moved */
} buckets_grid;

void buckets_grid_fill(buckets_grid *out, const buckets *all);

/* As "b=4 sq=512", for keys; "" where the problem says all. */
enum { buckets_text_size = 64 };
void buckets_text(char out[buckets_text_size], const maker_sizes *sizes);

/* Of a caller's dims what the problem leaves open, `otherwise` where they do not say it; 0 where the problem says it.
 * FG_REQUEST where one is below `least` or more than a run may have. `dims` may be NULL. */
fg_status buckets_take(maker_sizes *out, const problem *p, const fg_dims *dims, int64_t least,
                       const maker_sizes *otherwise, fg_error *error);

#endif
