/* Typed expressions: what a score or a mask computes, as a graph of shared nodes.
 *
 * The language is a small subset of Lua that is parsed here and never run: an expression, or
 * function(s, b, h, i, j) ... end (a mask: function(b, h, i, j)) with `local`, `if/elseif/else` and
 * `return`. A function becomes one expression by following its branches.
 *
 * Values. int: 32 bits, wraps; `//` and `%` floor and give 0 on division by zero. float: f32 in kernels
 * (f64 for f64). bool. int op int is int; `/`, exp, log, tanh, sqrt and mixed arithmetic are float.
 * floor gives an int, saturating, NaN gives 0. `//` and `%` take ints only. min(a, b) is b where b < a and
 * else a, max(a, b) is b where a < b and else a (this says what NaN does). An index out of range is clamped;
 * an empty tensor reads as 0. Everything is total, so both sides of `where` may be computed.
 *
 * Nodes are made only through the calls below, which share equal nodes and simplify: constants fold;
 * integer sums become c0 + sum of c*term, in one order (exact, as integers wrap); of float rules only
 * those that change no bit of a finite result. An operand's index is smaller than its user's, and making a
 * node again from its operands gives the same node. */
#ifndef GEN_CORE_EXPR_H
#define GEN_CORE_EXPR_H

#include "gen/core/text.h"

typedef struct expr_pool expr_pool;
typedef uint32_t expr; /* index of a node in its pool; 0: none */

typedef enum expr_type { EXPR_BOOL, EXPR_INT, EXPR_FLOAT } expr_type;

/* X(op, operands): constants carry a value, variables and reads a symbol. a > b is b < a. */
/* clang-format off */
#define EXPR_OPS(X)                                                                                \
    X(none, 0) X(constant, 0) X(variable, 0) X(read, -1)                                           \
    X(neg, 1) X(abs, 1) X(floor, 1) X(exp, 1) X(log, 1) X(tanh, 1) X(sqrt, 1) X(tofloat, 1)        \
    X(add, 2) X(sub, 2) X(mul, 2) X(div, 2) X(idiv, 2) X(mod, 2) X(min, 2) X(max, 2)               \
    X(lt, 2) X(le, 2) X(eq, 2) X(ne, 2) X(not, 1) X(and, 2) X(or, 2) X(where, 3)
/* clang-format on */

typedef enum expr_op {
#define EXPR_OP_ENUM(name, operands) EXPR_##name,
    EXPR_OPS(EXPR_OP_ENUM)
#undef EXPR_OP_ENUM
        EXPR_op_count
} expr_op;

extern const char *const expr_op_names[EXPR_op_count];

enum {
    expr_max_text = 65536,  /* bytes of a source text */
    expr_max_made = 4096,   /* nodes that one text may make */
    expr_max_nodes = 16384, /* in a pool */
    expr_max_depth = 200,   /* of nested source constructs */
    expr_max_rank = 4,      /* of a tensor */
};

typedef struct expr_node {
    uint8_t op, type, arity;
    uint8_t rank;    /* of a read: its operands are the indices */
    uint16_t symbol; /* of a variable or read */
    expr operand[expr_max_rank];
    union {
        int32_t i; /* EXPR_INT and EXPR_BOOL constants */
        double f;  /* EXPR_FLOAT constants; rounded to f32 where the pool says so */
    } value;
    uint64_t
        depends; /* bit n: on the variable with symbol n (n < 64); a read depends as its indices do */
} expr_node;

typedef struct expr_symbol {
    char name[32];
    expr_type type; /* of the variable, or of an element (i32, u8: int) */
    bool tensor;
    int rank;
    expr extent[expr_max_rank]; /* int nodes */
    expr defined;               /* a name that stands for this node (a static dim), or 0 */
} expr_symbol;

/* `real32`: float constants are rounded to f32, and folding rounds as f32 does. */
expr_pool *expr_pool_new(const memory *m, bool real32);
void expr_pool_free(expr_pool *pool);

/* Symbols: -1 when the name is taken, is a keyword or function of the language, is not an identifier of
 * at most 31 bytes, or memory or the 64 symbols have run out. */
int expr_declare(expr_pool *pool, const char *name, expr_type type);
int expr_define(expr_pool *pool, const char *name, expr value);
int expr_declare_tensor(expr_pool *pool, const char *name, expr_type element, int rank,
                        const expr *extent);
int expr_find(const expr_pool *pool, const char *name); /* or -1 */
const expr_symbol *expr_get_symbol(const expr_pool *pool, int symbol);
int expr_symbol_count(const expr_pool *pool);

/* Makers: 0 when memory or the pool's nodes have run out, for a 0 operand, and for operands of types that the
 * op does not take (expr_accepts). Ints are converted where a float is needed. */
expr expr_int(expr_pool *pool, int32_t value);
expr expr_bool(expr_pool *pool, bool value);
expr expr_float(expr_pool *pool, double value);
expr expr_variable(expr_pool *pool, int symbol); /* follows a definition */
expr expr_read(expr_pool *pool, int symbol, const expr *indices);
expr expr_make(expr_pool *pool, expr_op op, const expr *operands);
/* Whether the op takes operands of these types: one that an expression has. */
bool expr_accepts(const expr_pool *pool, expr_op op, const expr *operands);
/* Valid as long as the pool; for 0, a node of EXPR_none. */
const expr_node *expr_get(const expr_pool *pool, expr e);
int expr_node_count(const expr_pool *pool); /* nodes are 1 .. count */

/* `root` with every occurrence of the variable replaced by a node of its type (or an int for a float). */
expr expr_substitute(expr_pool *pool, expr root, int symbol, expr replacement);

typedef enum expr_kind { EXPR_SCORE, EXPR_MASK } expr_kind;

/* Parses text[0..length). A score may name s b h i j, a mask b h i j, both all other symbols of the pool
 * (s b h i j are declared by the caller, before). The result is float (score) or bool (mask). On error the
 * position is the byte offset in `text`, and the sentence says what stands there and what would be right. */
fg_status expr_parse(expr *out, expr_pool *pool, expr_kind kind, const char *text, size_t length,
                     fg_error *error);

/* Canonical source text, without braces: parsing it gives the same node. Nodes used more than once are
 * printed once, as locals of a function, so the text grows as the graph does. */
void expr_format(const expr_pool *pool, expr_kind kind, expr root, text *out);

/* Evaluation in double, or long double, with the derivative by one variable. */
typedef struct expr_env {
    double variable[64]; /* by symbol; ints as whole numbers */
    int by;              /* symbol to differentiate by, or -1 */
    bool wide;           /* floats in long double */
    double rest;         /* with `wide`: what variable[by] lacks (gen/core/wide.h) */
    /* An element; the indices are within the extents already. */
    double (*read)(void *user, int symbol, const int64_t *index);
    void *user;
} expr_env;

typedef struct expr_result {
    double value,
        slope; /* slope: d value / d variable[by]; comparisons and ints count as constants */
    double
        magnitude; /* the largest finite |float value| met on the way, not in what `where` drops */
    double rest;   /* with `wide`: what `value` lacks */
} expr_result;

/* The nodes below a root, operands first: what evaluation walks. It needs the pool no longer than the pool's
 * nodes live. */
typedef struct expr_program {
    const memory *memory;
    struct expr_step *steps;
    int count;
} expr_program;

fg_status expr_program_new(expr_program *out, const memory *m, const expr_pool *pool, expr root,
                           fg_error *error);
void expr_program_free(expr_program *program);
enum { expr_scratch = 4 };
/* `scratch`: expr_scratch doubles for each of the program's `count`. */
void expr_eval(const expr_program *program, const expr_env *env, double *scratch,
               expr_result *result);
/* The same, where since then only variables of `changed` have (bits as in expr_node.depends): computes what
 * depends on them, the rest is in the scratch. */
void expr_eval_again(const expr_program *program, const expr_env *env, double *scratch,
                     uint64_t changed, expr_result *result);

#endif
