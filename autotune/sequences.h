/* The sequences of a run that a search makes: how long each is, and which pages have its keys. */
#ifndef AUTOTUNE_SEQUENCES_H
#define AUTOTUNE_SEQUENCES_H

#include "runtime/operand.h"

/* What the problem leaves to the run. Lengths are spread evenly from half to the whole of sq and sk, in no order; a
 * total that is given they fill, around its mean. Keys have the share of sk that queries have of sq. */
typedef struct sequences {
    const memory *memory;
    const problem *problem;
    int64_t b, sq, sk;
    int64_t total_q, total_k; /* lens=packed */
    int64_t pages, blocks;    /* page=N: of k, and of a row of the table; an eighth is nobody's */
    int32_t *q_len, *k_len;   /* of each sequence */
} sequences;

/* `dims`: of what is `*`, and totals; -1: 1, 1024 and 1024, and what the lengths give. FG_REQUEST where no sequences have
 * that total. */
fg_status sequences_new(sequences *out, const problem *p, const fg_dims *dims, uint64_t seed,
                        fg_error *error);
void sequences_free(sequences *s);

/* Of an operand in this run. */
int64_t sequences_extent(const sequences *s, const operand *o, int k);
/* What a workspace is asked for. */
fg_dims sequences_dims(const sequences *s);

/* Fills q_lens, k_lens, cu_q, cu_k or block_table, which is compact; its entries that no sequence needs name no page. */
fg_status sequences_fill(const sequences *s, const char *name, int32_t *data, uint64_t seed,
                         fg_error *error);

/* Calls `poison` with each position of q, k or v that no run may read, and the index of its sequence or page. `table`:
 * the block table, or NULL. */
typedef void (*sequences_poison_fn)(void *user, int64_t b, int64_t position);
fg_status sequences_poison(const sequences *s, char tensor, const int32_t *table,
                           sequences_poison_fn poison, void *user, fg_error *error);

#endif
