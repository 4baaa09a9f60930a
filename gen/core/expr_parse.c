/* Expressions, by precedence climbing as in Lua. */
#include "gen/core/expr_parser.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const expr_function expr_functions[] = {
    { "abs", EXPR_abs, 1, 1 },
    { "min", EXPR_min, 2, expr_max_text },
    { "max", EXPR_max, 2, expr_max_text },
    { "floor", EXPR_floor, 1, 1 },
    { "exp", EXPR_exp, 1, 1 },
    { "log", EXPR_log, 1, 1 },
    { "tanh", EXPR_tanh, 1, 1 },
    { "sqrt", EXPR_sqrt, 1, 1 },
    { "where", EXPR_where, 3, 3 },
};
const size_t expr_function_count = sizeof expr_functions / sizeof *expr_functions;

const expr_function *expr_find_function(const char *name, size_t length)
{
    for (size_t k = 0; k < expr_function_count; k++) {
        const char *known = expr_functions[k].name;
        if (strlen(known) == length && memcmp(known, name, length) == 0) return &expr_functions[k];
    }
    return NULL;
}

/* ---- Names ---- */

static expr refuse_unknown(parser *p, const token *name)
{
    char known[1200] = "";
    size_t length = 0;
    const char *word = p->lexer.text + name->at;
    for (int k = 0; k < p->pool->symbols && length < sizeof known - 40; k++) {
        const char *symbol = p->pool->symbol[k].name;
        if (!parser_may_name(p, k)) continue;
        memcpy(known + length, symbol, strlen(symbol) + 1);
        length += strlen(symbol);
        memcpy(known + length, ", ", 3);
        length += 2;
    }
    return parser_refuse(p, name->at,
                         "`%.*s` is not known here: a %s may name %s%s"
                         "and the functions abs, min, max, floor, exp, log, tanh, sqrt, where",
                         name->length > 40 ? 40 : (int)name->length, word, expr_kind_names[p->kind],
                         p->function ? "its parameters and locals, " : "", known);
}

static expr parse_index(parser *p)
{
    size_t opened = p->token.at;
    if (!parser_next(p)) return 0;
    size_t at = p->token.at;
    expr index = parse_expression(p);
    if (!index) return 0;
    if (expr_get(p->pool, index)->type != EXPR_INT)
        return parser_refuse(p, at, "an index is a whole number, and this is a %s",
                             parser_is_bool(p, index) ? "truth value"
                                                      : "float: floor(x) makes one");
    if (!parser_at(p, TOKEN_close_index)) {
        char wanted[60];
        return parser_expected(
            p, (snprintf(wanted, sizeof wanted, "the `]` of the `[` at byte %zu", opened), wanted));
    }
    return parser_next(p) ? index : 0;
}

static expr parse_read(parser *p, const token *name, int symbol)
{
    const expr_symbol *s = expr_get_symbol(p->pool, symbol);
    expr index[expr_max_rank] = { 0 };
    for (int k = 0; k < s->rank; k++) {
        if (!parser_at(p, TOKEN_open_index))
            return parser_refuse(
                p, p->token.at,
                "the tensor %s has %d dimension%s: index %d of them stands here, as in %s%s",
                s->name, s->rank, s->rank == 1 ? "" : "s", k + 1, s->name,
                &"[b][h][i][j]"[3 * (4 - s->rank)]);
        index[k] = parse_index(p);
        if (!index[k]) return 0;
    }
    if (parser_at(p, TOKEN_open_index))
        return parser_refuse(p, p->token.at, "the tensor %s has %d dimension%s: one index too many",
                             s->name, s->rank, s->rank == 1 ? "" : "s");
    return parser_made(p, expr_read(p->pool, symbol, index), name->at);
}

static expr refuse_suffix(parser *p, const token *name)
{
    int shown = name->length > 40 ? 40 : (int)name->length;
    const char *word = p->lexer.text + name->at;
    if (parser_at(p, TOKEN_open))
        return parser_refuse(p, p->token.at, "`%.*s` is a value and cannot be called", shown, word);
    return parser_refuse(p, p->token.at, "`%.*s` is no tensor and takes no index", shown, word);
}

static bool at_suffix(const parser *p)
{
    return parser_at(p, TOKEN_open) || parser_at(p, TOKEN_open_index);
}

/* ---- Calls ---- */

/* Argument number `count` (from 1); the third of where is as the second. */
static bool check_argument(parser *p, const expr_function *f, int count, expr e, expr second,
                           size_t at)
{
    bool wants_bool =
        f->op == EXPR_where && (count == 1 || (count == 3 && parser_is_bool(p, second)));
    if (f->op == EXPR_where && count == 2) return true;
    if (parser_is_bool(p, e) == wants_bool) return true;
    return parser_refuse(p, at, "argument %d of %s should be a %s, and this is a %s", count,
                         f->name, wants_bool ? "truth value" : "number", parser_type_name(p, e));
}

static bool refuse_count(parser *p, const expr_function *f, size_t at)
{
    static const char *const many[] = { "no", "1", "2", "3" };
    bool more = f->max_arguments > f->min_arguments;
    return parser_refuse(p, at, "%s takes %s argument%s%s", f->name, many[f->min_arguments],
                         f->min_arguments > 1 ? "s" : "", more ? " or more" : "");
}

/* min and max of many fold from the left: sides[0] is the result so far. */
static expr parse_arguments(parser *p, const expr_function *f, size_t at)
{
    expr sides[3] = { 0 };
    int count = 0;
    bool folds = f->max_arguments > 3;
    do {
        size_t start = p->token.at;
        if (parser_at(p, TOKEN_close)) return refuse_count(p, f, start);
        expr e = parse_expression(p);
        if (!e) return 0;
        if (count == f->max_arguments) return refuse_count(p, f, start);
        if (!check_argument(p, f, count + 1, e, sides[1], start)) return 0;
        sides[folds && count > 1 ? 1 : count] = e;
        if (folds && count > 0) sides[0] = parser_made(p, expr_make(p->pool, f->op, sides), at);
        if (!sides[0]) return 0;
        count++;
    } while (parser_at(p, TOKEN_comma) && parser_next(p));
    if (p->status != FG_OK) return 0;
    if (!parser_at(p, TOKEN_close)) return parser_expected(p, "`,` or the `)` of the call");
    if (count < f->min_arguments) return refuse_count(p, f, p->token.at);
    if (!parser_next(p)) return 0;
    return folds ? sides[0] : parser_made(p, expr_make(p->pool, f->op, sides), at);
}

static expr parse_call(parser *p, const token *name, const expr_function *f)
{
    if (!parser_at(p, TOKEN_open))
        return parser_refuse(p, name->at, "%s is a function: write %s(...)", f->name, f->name);
    if (!parser_next(p)) return 0;
    return parse_arguments(p, f, name->at);
}

static expr parse_name(parser *p)
{
    token name = p->token;
    const char *word = p->lexer.text + name.at;
    if (!parser_next(p)) return 0;
    const local *l = parser_find_local(p, &name);
    if (l) return at_suffix(p) ? refuse_suffix(p, &name) : l->value;
    const expr_function *f = expr_find_function(word, name.length);
    if (f) return parse_call(p, &name, f);
    int symbol = expr_find_symbol(p->pool, word, name.length);
    if (symbol < 0 || !parser_may_name(p, symbol)) return refuse_unknown(p, &name);
    if (expr_get_symbol(p->pool, symbol)->tensor) return parse_read(p, &name, symbol);
    if (at_suffix(p)) return refuse_suffix(p, &name);
    return parser_made(p, expr_variable(p->pool, symbol), name.at);
}

/* ---- Constants ---- */

static expr parse_number(parser *p, bool negative)
{
    token t = p->token;
    double real = negative ? -t.real : t.real;
    if (t.kind == TOKEN_float && p->pool->real32 && isinf((float)real))
        return parser_refuse(p, t.at, "`%.*s` is too large for an f32", (int)t.length,
                             p->lexer.text + t.at);
    if (t.kind == TOKEN_int && t.integer > INT32_MAX && !negative)
        return parser_refuse(
            p, t.at,
            "`%.*s` is outside the 32 bits of a whole number: write it as a float, with a point or "
            "an exponent",
            t.length > 40 ? 40 : (int)t.length, p->lexer.text + t.at);
    if (!parser_next(p)) return 0;
    if (t.kind == TOKEN_float) return parser_made(p, expr_float(p->pool, real), t.at);
    return parser_made(p, expr_int(p->pool, (int32_t)(negative ? -t.integer : t.integer)), t.at);
}

static expr parse_bool(parser *p)
{
    token t = p->token;
    return parser_next(p) ? parser_made(p, expr_bool(p->pool, t.kind == TOKEN_true), t.at) : 0;
}

static expr parse_parentheses(parser *p)
{
    char wanted[60];
    snprintf(wanted, sizeof wanted, "the `)` of the `(` at byte %zu", p->token.at);
    if (!parser_next(p)) return 0;
    expr e = parse_expression(p);
    if (!e || !parser_take(p, TOKEN_close, wanted)) return 0;
    return at_suffix(p)
               ? parser_refuse(p, p->token.at, "an operator should stand between two values")
               : e;
}

static expr parse_primary(parser *p)
{
    switch (p->token.kind) {
    case TOKEN_name:
        return parse_name(p);
    case TOKEN_int:
    case TOKEN_float:
        return parse_number(p, false);
    case TOKEN_true:
    case TOKEN_false:
        return parse_bool(p);
    case TOKEN_open:
        return parse_parentheses(p);
    case TOKEN_function:
        return parser_refuse(p, p->token.at,
                             "`function` stands inside: a function is the whole text");
    default:
        return parser_expected(p, "a value");
    }
}

/* ---- Operators ---- */

static expr parse_unary(parser *p)
{
    bool minus = parser_at(p, TOKEN_sub);
    if (!minus && !parser_at(p, TOKEN_not)) return parse_primary(p);
    size_t at = p->token.at;
    if (!parser_next(p)) return 0;
    if (minus && (parser_at(p, TOKEN_int) || parser_at(p, TOKEN_float)))
        return parse_number(p, true);
    if (!parser_enter(p)) return 0;
    expr e = parse_unary(p);
    parser_leave(p);
    if (!e) return 0;
    if (parser_is_bool(p, e) == minus)
        return parser_refuse(p, at, "`%s` takes a %s, and this is a %s", minus ? "-" : "not",
                             minus ? "number" : "truth value", parser_type_name(p, e));
    return parser_made(p, expr_make(p->pool, minus ? EXPR_neg : EXPR_not, &e), at);
}

static const struct binary {
    token_kind token;
    int precedence;
    expr_op op;
    bool swapped; /* a > b is b < a */
    const char *spelling;
} binaries[] = {
    { TOKEN_or, 1, EXPR_or, false, "or" },     { TOKEN_and, 2, EXPR_and, false, "and" },
    { TOKEN_lt, 3, EXPR_lt, false, "<" },      { TOKEN_le, 3, EXPR_le, false, "<=" },
    { TOKEN_gt, 3, EXPR_lt, true, ">" },       { TOKEN_ge, 3, EXPR_le, true, ">=" },
    { TOKEN_eq, 3, EXPR_eq, false, "==" },     { TOKEN_ne, 3, EXPR_ne, false, "~=" },
    { TOKEN_add, 4, EXPR_add, false, "+" },    { TOKEN_sub, 4, EXPR_sub, false, "-" },
    { TOKEN_mul, 5, EXPR_mul, false, "*" },    { TOKEN_div, 5, EXPR_div, false, "/" },
    { TOKEN_idiv, 5, EXPR_idiv, false, "//" }, { TOKEN_mod, 5, EXPR_mod, false, "%" },
};

static const struct binary *find_binary(token_kind kind)
{
    for (size_t k = 0; k < sizeof binaries / sizeof *binaries; k++)
        if (binaries[k].token == kind) return &binaries[k];
    return NULL;
}

static bool check_side(parser *p, const struct binary *op, expr e, const char *side, size_t at)
{
    bool logic = op->op == EXPR_and || op->op == EXPR_or;
    bool whole = op->op == EXPR_idiv || op->op == EXPR_mod;
    if (logic && !parser_is_bool(p, e))
        return parser_refuse(
            p, at, "`%s` joins truth values, and its %s side is a number: compare it, as in x ~= 0",
            op->spelling, side);
    if (!logic && parser_is_bool(p, e))
        return parser_refuse(p, at, "`%s` takes numbers, and its %s side is a truth value%s",
                             op->spelling, side,
                             op->precedence == 3 ? ": join comparisons by and" : "");
    if (whole && expr_get(p->pool, e)->type == EXPR_FLOAT)
        return parser_refuse(
            p, at, "`%s` takes whole numbers, and its %s side is a float: write floor(a / b)",
            op->spelling, side);
    return true;
}

/* What binds tighter than `limit`. */
static expr parse_binary(parser *p, int limit)
{
    size_t left_at = p->token.at;
    expr left = parse_unary(p);
    for (;;) {
        const struct binary *op = find_binary(p->token.kind);
        if (!left || !op || op->precedence <= limit) return left;
        size_t at = p->token.at;
        if (!check_side(p, op, left, "left", left_at) || !parser_next(p)) return 0;
        size_t right_at = p->token.at;
        expr right = parse_binary(p, op->precedence);
        if (!right || !check_side(p, op, right, "right", right_at)) return 0;
        expr sides[2] = { op->swapped ? right : left, op->swapped ? left : right };
        left = parser_made(p, expr_make(p->pool, op->op, sides), at);
    }
}

expr parse_expression(parser *p)
{
    if (!parser_enter(p)) return 0;
    expr e = parse_binary(p, 0);
    parser_leave(p);
    return e;
}
