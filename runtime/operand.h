/* The tensors of a problem, and what a run gives for them. */
#ifndef RUNTIME_OPERAND_H
#define RUNTIME_OPERAND_H

#include "gen/core/problem.h"
#include "gen/core/recipe.h"

/* Which length an extent is. */
typedef enum operand_dim { DIM_fixed, DIM_b, DIM_sq, DIM_sk } operand_dim;

typedef struct operand {
    char name[32];
    dtype type;
    int rank;
    bool output;
    int field;    /* in FG_TENSORS; -1: in fg_args.tensors */
    int align;    /* bytes that the pointer and all strides are multiples of */
    bool compact; /* the last dimension has stride 1 */
    int64_t shape[4];
    operand_dim dim[4]; /* where the shape is problem_dynamic */
} operand;

enum { operand_fields = 8, operand_max = operand_fields + problem_max_tensors };

typedef struct operand_list {
    int count, extras; /* extras: those of fg_args.tensors, at the end */
    operand operand[operand_max];
} operand_list;

/* An operand in a run. */
typedef struct bound {
    char *data;
    int64_t stride[4]; /* in elements; 0 where the extent is 1 */
} bound;

void operands_make(operand_list *out, const problem *p);

/* Checks a run's tensors against the problem; `facts` comes with the problem's dims, those that are
 * problem_dynamic are taken from the tensors. */
fg_status operands_bind(bound out[operand_max], recipe_facts *facts, const operand_list *list,
                        const fg_args *args, fg_error *error);

/* By name, or -1. */
int operand_find(const operand_list *list, const char *name);

#endif
