/* Tokens of the expression language. */
#ifndef GEN_CORE_EXPR_LEX_H
#define GEN_CORE_EXPR_LEX_H

#include "gen/core/expr.h"

/* X(name, spelling) */
/* clang-format off */
#define EXPR_TOKENS(X)                                                                             \
    X(and, "and") X(or, "or") X(not, "not") X(true, "true") X(false, "false")                      \
    X(local, "local") X(if, "if") X(then, "then") X(elseif, "elseif") X(else, "else") X(end, "end")\
    X(return, "return") X(function, "function")                                                    \
    X(eq, "==") X(ne, "~=") X(le, "<=") X(ge, ">=") X(idiv, "//") X(lt, "<") X(gt, ">") X(assign, "=")\
    X(add, "+") X(sub, "-") X(mul, "*") X(div, "/") X(mod, "%") X(open, "(") X(close, ")")         \
    X(open_index, "[") X(close_index, "]") X(comma, ",") X(semicolon, ";")
/* clang-format on */

typedef enum token_kind {
    TOKEN_stop, /* the end of the text */
    TOKEN_name,
    TOKEN_int,
    TOKEN_float,
#define EXPR_TOKEN_ENUM(name, spelling) TOKEN_##name,
    EXPR_TOKENS(EXPR_TOKEN_ENUM)
#undef EXPR_TOKEN_ENUM
} token_kind;

typedef struct token {
    token_kind kind;
    size_t at, length;
    int64_t integer; /* of TOKEN_int: 0 to 2^31; the last one stands only behind a minus */
    double real;     /* of TOKEN_float */
} token;

typedef struct lexer {
    const char *text;
    size_t length, at;
} lexer;

/* The next token; FG_REQUEST for what the language does not have. */
fg_status expr_lex(lexer *l, token *out, fg_error *error);

#endif
