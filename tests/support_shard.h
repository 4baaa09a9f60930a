/* A whole run in parts. */
#ifndef TESTS_SUPPORT_SHARD_H
#define TESTS_SUPPORT_SHARD_H

#include "tests/support_case.h"
#include "tests/support_tensor.h"

enum { AXIS_b, AXIS_h, AXIS_i, AXIS_j, axis_count };
enum { most_pieces = 3 };

/* Pieces of an axis: piece n is [at[n], at[n + 1]). */
typedef struct pieces {
    int count;
    int64_t at[2 * most_pieces + 2];
} pieces;

typedef struct cut {
    pieces of[axis_count];
} cut;

/* What a run of one piece of each axis is given. */
typedef struct shard {
    int64_t origin[axis_count], size[axis_count];
    int64_t head, heads; /* of keys */
    fg_problem *problem;
    fg_plan *plan;
    DLTensor view[8];
    int64_t shape[8][4];
    int views;
    fg_args args;
    void *memory[2];
} shard;

/* Ends anywhere; of keys in pages, where pages end. */
cut test_cut_draw(const drawn_case *c, const test_sizes *z, rng *r);
/* `group`: query heads of a key head. */
shard test_shard_at(const cut *x, int64_t group, const int piece[axis_count]);
/* The whole problem's line with the shard's sizes; what is open stays so, unless a block table would tell it. */
void test_shard_line(text *out, const char *whole, const shard *s);
/* Fills s->args: its part of each tensor, which outputs write in place. */
void test_shard_views(shard *s, const test_tensors *t);

#endif
