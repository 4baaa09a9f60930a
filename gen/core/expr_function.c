/* Functions and their statements: a function becomes one expression by following its branches. */
#include "gen/core/expr_parser.h"

/* A name that is about to be given a meaning. */
static bool take_new_name(parser *p, token *name, const char *wanted)
{
    *name = p->token;
    if (!parser_at(p, TOKEN_name)) return parser_expected(p, wanted);
    const expr_function *f = expr_find_function(p->lexer.text + name->at, name->length);
    if (f)
        return parser_refuse(p, name->at, "%s is a function of the language: choose another name",
                             f->name);
    return parser_next(p);
}

/* ---- Statements ---- */

/* How a block ends: where `when` holds it has returned `value`. `always`: every path has. */
typedef struct outcome {
    bool always;
    expr when, value; /* 0: never */
} outcome;

static bool parse_block(parser *p, outcome *out);

static expr choose(parser *p, expr condition, expr yes, expr no, size_t at)
{
    if (!yes || !no) return yes ? yes : no;
    return parser_made(p, expr_make(p->pool, EXPR_where, (expr[]){ condition, yes, no }), at);
}

/* `first`, which may return, and where it has not, `rest`. */
static bool follow(parser *p, outcome *first, const outcome *rest, size_t at)
{
    first->value = choose(p, first->when, first->value, rest->value, at);
    if (rest->when)
        first->when =
            parser_made(p, expr_make(p->pool, EXPR_or, (expr[]){ first->when, rest->when }), at);
    first->always = rest->always;
    return p->status == FG_OK;
}

static bool join_branches(parser *p, outcome *out, expr condition, const outcome *yes,
                          const outcome *no, size_t at)
{
    expr never = parser_made(p, expr_bool(p->pool, false), at);
    out->always = yes->always && no->always;
    out->value = choose(p, condition, yes->value, no->value, at);
    out->when = 0;
    if (never && (yes->when || no->when))
        out->when =
            choose(p, condition, yes->when ? yes->when : never, no->when ? no->when : never, at);
    return p->status == FG_OK;
}

/* Behind `if` or `elseif`. */
static bool parse_if(parser *p, outcome *out)
{
    size_t at = p->token.at;
    outcome yes = { 0 }, no = { 0 };
    expr condition = parse_expression(p);
    if (!condition) return false;
    if (!parser_is_bool(p, condition))
        return parser_refuse(
            p, at, "a condition is a truth value, and this is a number: compare it, as in x ~= 0");
    if (!parser_take(p, TOKEN_then, "`then`") || !parse_block(p, &yes)) return false;
    if (parser_at(p, TOKEN_elseif)) {
        if (!parser_next(p) || !parser_enter(p)) return false;
        bool ok = parse_if(p, &no);
        parser_leave(p);
        return ok && join_branches(p, out, condition, &yes, &no, at);
    }
    if (parser_at(p, TOKEN_else) && (!parser_next(p) || !parse_block(p, &no))) return false;
    if (!parser_take(p, TOKEN_end, "`end`, `else` or `elseif`")) return false;
    return join_branches(p, out, condition, &yes, &no, at);
}

static bool parse_local(parser *p)
{
    token name;
    if (!take_new_name(p, &name, "the name of a local")) return false;
    if (parser_at(p, TOKEN_comma))
        return parser_refuse(p, p->token.at,
                             "`,` stands where `=` should: a local names one value");
    if (!parser_take(p, TOKEN_assign, "`=`, as in local r = i - j,")) return false;
    expr value = parse_expression(p);
    if (!value) return false;
    if (parser_at(p, TOKEN_comma))
        return parser_refuse(p, p->token.at,
                             "`,` stands behind the value: a local names one value");
    return parser_bind(p, &name, value);
}

static bool ends_block(const parser *p)
{
    return parser_at(p, TOKEN_end) || parser_at(p, TOKEN_else) || parser_at(p, TOKEN_elseif) ||
           parser_at(p, TOKEN_stop);
}

static bool parse_return(parser *p, outcome *out)
{
    size_t at = p->token.at;
    if (ends_block(p) || parser_at(p, TOKEN_semicolon))
        return parser_expected(p, "the value to return");
    out->value = parser_convert_result(p, parse_expression(p), at);
    if (!out->value) return false;
    if (parser_at(p, TOKEN_comma))
        return parser_refuse(p, p->token.at,
                             "`,` stands behind the value: a function returns one value");
    out->when = parser_made(p, expr_bool(p->pool, true), at);
    out->always = true;
    return out->when != 0;
}

static bool refuse_statement(parser *p)
{
    token name = p->token;
    int shown = name.length > 40 ? 40 : (int)name.length;
    if (name.kind != TOKEN_name) return parser_expected(p, "local, if, return or end");
    if (!parser_next(p)) return false;
    const char *word = p->lexer.text + name.at;
    if (parser_at(p, TOKEN_assign))
        return parser_refuse(
            p, name.at,
            "`%.*s` is assigned to, which is not part of the language: write local %.*s = ...",
            shown, word, shown, word);
    return parser_refuse(p, name.at, "`%.*s` stands where local, if, return or end should", shown,
                         word);
}

/* One statement; `out` is what it returns. */
static bool parse_statement(parser *p, outcome *out)
{
    token_kind kind = p->token.kind;
    bool known = kind == TOKEN_local || kind == TOKEN_if || kind == TOKEN_return;
    if (!known) return refuse_statement(p);
    if (!parser_next(p)) return false;
    if (kind == TOKEN_local) return parse_local(p);
    return kind == TOKEN_if ? parse_if(p, out) : parse_return(p, out);
}

/* What follows a statement that may have returned is its `else`, a level deeper. */
static bool parse_statements(parser *p, outcome *out)
{
    outcome rest = { 0 };
    size_t at = p->token.at;
    while (p->status == FG_OK && !ends_block(p) && !out->when) {
        at = p->token.at;
        if (parser_at(p, TOKEN_semicolon))
            parser_next(p);
        else if (!parse_statement(p, out))
            return false;
    }
    while (parser_at(p, TOKEN_semicolon)) parser_next(p);
    if (p->status != FG_OK || ends_block(p)) return p->status == FG_OK;
    if (out->always)
        return parser_refuse(p, p->token.at,
                             "this is never reached: every path has returned before");
    if (!parser_enter(p)) return false;
    bool ok = parse_statements(p, &rest);
    parser_leave(p);
    return ok && follow(p, out, &rest, at);
}

/* Up to what ends it, which stays. Its locals end with it. */
static bool parse_block(parser *p, outcome *out)
{
    int outer = p->local_count;
    *out = (outcome){ 0 };
    if (!parser_enter(p)) return false;
    bool ok = parse_statements(p, out);
    parser_leave(p);
    p->local_count = outer;
    return ok;
}

/* ---- Functions ---- */

static bool parse_parameter(parser *p, int position)
{
    token name;
    if (position == parser_positions)
        return parser_refuse(p, p->token.at,
                             "one parameter too many: a %s is function(%sb, h, i, j)",
                             expr_kind_names[p->kind], p->kind == EXPR_SCORE ? "s, " : "");
    if (!take_new_name(p, &name, "the name of a parameter")) return false;
    if (parser_find_local(p, &name))
        return parser_refuse(p, name.at, "two parameters have this name");
    int symbol = expr_find(p->pool, parser_positional[position]);
    return parser_bind(p, &name, parser_made(p, expr_variable(p->pool, symbol), name.at));
}

static bool parse_parameters(parser *p)
{
    int position = p->kind == EXPR_MASK;
    if (!parser_take(p, TOKEN_open, "the `(` of the parameters")) return false;
    if (parser_at(p, TOKEN_close)) return parser_next(p);
    do {
        if (!parse_parameter(p, position++)) return false;
    } while (parser_at(p, TOKEN_comma) && parser_next(p));
    return p->status == FG_OK && parser_take(p, TOKEN_close, "`,` or the `)` of the parameters");
}

expr parse_function(parser *p)
{
    outcome body;
    p->function = true;
    if (!parser_next(p) || !parse_parameters(p) || !parse_block(p, &body)) return 0;
    size_t end = p->token.at;
    if (!parser_take(p, TOKEN_end, "the `end` of the function")) return 0;
    if (!body.always)
        return parser_refuse(p, end, "a path of the function ends here without a return");
    return body.value;
}
