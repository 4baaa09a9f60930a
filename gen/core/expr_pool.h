/* What the expr*.c share: the pool's insides, and the arithmetic that folding and evaluation have in common. */
#ifndef GEN_CORE_EXPR_POOL_H
#define GEN_CORE_EXPR_POOL_H

#include "gen/core/expr.h"

enum { expr_chunk = 128, expr_max_symbols = 64 };

typedef struct expr_entry {
    expr_node node;
    uint64_t hash; /* of the structure: the same in every pool with the same symbols */
    bool opaque;   /* an int sum of too many terms: a term of others, never taken apart */
} expr_entry;

struct expr_pool {
    const memory *memory;
    bool real32;
    int count, symbols;
    expr *table; /* hash table of nodes; 0: free */
    uint32_t table_size;
    expr_entry *chunk[expr_max_nodes / expr_chunk]; /* nodes never move */
    expr_symbol symbol[expr_max_symbols];
};

extern const int8_t expr_op_arity[EXPR_op_count];

/* The functions of the language. */
typedef struct expr_function {
    const char *name;
    expr_op op;
    int min_arguments, max_arguments;
} expr_function;

extern const expr_function expr_functions[];
extern const size_t expr_function_count;

const expr_function *expr_find_function(const char *name, size_t length);
/* Any reserved word of Lua. */
bool expr_is_keyword(const char *name, size_t length);
int expr_find_symbol(const expr_pool *pool, const char *name, size_t length);

const expr_entry *expr_get_entry(const expr_pool *pool, expr e);
/* The node as given, without simplification: the one that is there, or a new one. 0 on failure. */
expr expr_intern(expr_pool *pool, expr_op op, expr_type type, const expr *operands, bool opaque);
/* A total order by structure, which does not depend on what was made when. */
int expr_order(const expr_pool *pool, expr a, expr b);

/* Operands have the types the op takes, after conversion. */
typedef expr (*expr_rule)(expr_pool *pool, expr_op op, const expr *operands);
extern const expr_rule expr_rules[EXPR_op_count];
/* The node with these converted operands, as it is. */
expr expr_keep(expr_pool *pool, expr_op op, const expr *operands);

/* Int add, sub, neg, mul of converted operands, as a canonical sum. */
expr expr_sum(expr_pool *pool, expr_op op, const expr *operands);
/* Whether -e would be the nicer of the two: its first term's factor is negative. */
bool expr_sum_is_negative(const expr_pool *pool, expr e);

int32_t expr_apply_int(expr_op op, int32_t a, int32_t b);
double expr_apply_float(expr_op op, double a, double b);
long double expr_apply_wide(expr_op op, long double a, long double b);
bool expr_apply_compare(expr_op op, double a, double b);
int32_t expr_to_int(double x); /* saturates; NaN gives 0 */

#endif
