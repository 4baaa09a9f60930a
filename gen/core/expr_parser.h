/* The parser's state, shared by its parts: the whole text, expressions, functions with their statements. */
#ifndef GEN_CORE_EXPR_PARSER_H
#define GEN_CORE_EXPR_PARSER_H

#include "gen/core/expr_lex.h"
#include "gen/core/expr_pool.h"

typedef struct local {
    const char *name; /* in the text */
    size_t length;
    uint64_t hash;
    expr value;
} local;

typedef struct parser {
    expr_pool *pool;
    expr_kind kind;
    lexer lexer;
    token token; /* the next one */
    fg_error *error;
    fg_status status; /* of the first failure: nothing is parsed after it */
    int depth, start; /* start: nodes in the pool before */
    bool function;    /* s b h i j are what the parameters say */
    local *locals;    /* parameters too; the last of a name is meant */
    int local_count, local_capacity;
} parser;

extern const char *const expr_kind_names[]; /* "score", "mask" */

/* Each records the first failure and returns 0, so that callers need only hand it on. */
expr parser_refuse(parser *p, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "X stands where WANTED should". */
expr parser_expected(parser *p, const char *wanted);
/* Hands on a node just made; 0 becomes the failure that it means. */
expr parser_made(parser *p, expr e, size_t at);

bool parser_next(parser *p);
bool parser_at(const parser *p, token_kind kind);
/* Takes a token of this kind, or says that it should stand here. */
bool parser_take(parser *p, token_kind kind, const char *wanted);
bool parser_enter(parser *p); /* one level deeper; parser_leave when true */
void parser_leave(parser *p);

/* "a number", "a truth value" */
const char *parser_type_name(const parser *p, expr e);
bool parser_is_bool(const parser *p, expr e);

/* The parameters of a function, in order; a mask's leave out the first. */
enum { parser_positions = 5 };
extern const char *const parser_positional[parser_positions];

/* What the kind wants: a score is float everywhere, so that branches agree. `e` stands at `at`. */
expr parser_convert_result(parser *p, expr e, size_t at);

expr parse_expression(parser *p);
expr parse_function(parser *p);

bool parser_bind(parser *p, const token *name, expr value);
const local *parser_find_local(const parser *p, const token *name);
/* Whether a text of this kind may name the symbol. */
bool parser_may_name(const parser *p, int symbol);

#endif
