/* The whole text, and functions with their statements: a function becomes one expression by following its
 * branches. */
#include "gen/core/expr_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const expr_kind_names[] = { "score", "mask" };

/* ---- Failing ---- */

expr parser_refuse(parser *p, size_t at, const char *format, ...)
{
    char sentence[FG_ERROR_TEXT];
    if (p->status != FG_OK) return 0;
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    p->status = fail_at(p->error, FG_REQUEST, (int64_t)at, "%s", sentence);
    return 0;
}

expr parser_expected(parser *p, const char *wanted)
{
    const token *t = &p->token;
    int shown = t->length > 40 ? 40 : (int)t->length;
    if (t->kind == TOKEN_stop)
        return parser_refuse(p, t->at, "the text ends where %s should stand", wanted);
    if (t->kind == TOKEN_assign)
        return parser_refuse(
            p, t->at, "`=` stands where %s should: equality is ==, and a value is named by local",
            wanted);
    return parser_refuse(p, t->at, "`%.*s` stands where %s should", shown, p->lexer.text + t->at,
                         wanted);
}

expr parser_made(parser *p, expr e, size_t at)
{
    if (p->pool->count - p->start > expr_max_made || (!e && p->pool->count >= expr_max_nodes))
        return parser_refuse(p, at, "the expression is too large: at most %d different operations",
                             expr_max_made);
    if (!e && p->status == FG_OK) p->status = fail_memory(p->error);
    return e;
}

/* ---- Tokens ---- */

bool parser_next(parser *p)
{
    if (p->status == FG_OK) p->status = expr_lex(&p->lexer, &p->token, p->error);
    return p->status == FG_OK;
}

bool parser_at(const parser *p, token_kind kind)
{
    return p->status == FG_OK && p->token.kind == kind;
}

bool parser_take(parser *p, token_kind kind, const char *wanted)
{
    if (!parser_at(p, kind)) return parser_expected(p, wanted);
    return parser_next(p);
}

bool parser_enter(parser *p)
{
    if (p->depth == expr_max_depth)
        return parser_refuse(p, p->token.at, "this is nested too deeply: at most %d levels",
                             expr_max_depth);
    p->depth++;
    return true;
}

void parser_leave(parser *p)
{
    p->depth--;
}

/* ---- Types and names ---- */

bool parser_is_bool(const parser *p, expr e)
{
    return expr_get(p->pool, e)->type == EXPR_BOOL;
}

const char *parser_type_name(const parser *p, expr e)
{
    return parser_is_bool(p, e) ? "truth value" : "number";
}

/* The parameters of a function, in order; a mask's leave out the first. */
static const char *const positional[] = { "s", "b", "h", "i", "j" };
enum { positions = sizeof positional / sizeof *positional };

bool parser_may_name(const parser *p, int symbol)
{
    const char *name = expr_get_symbol(p->pool, symbol)->name;
    for (int k = 0; k < positions; k++)
        if (strcmp(name, positional[k]) == 0)
            return !p->function && (k > 0 || p->kind == EXPR_SCORE);
    return true;
}

static uint64_t hash_name(const char *name, size_t length)
{
    uint64_t hash = length;
    for (size_t k = 0; k < length; k++)
        hash = (hash ^ (unsigned char)name[k]) * UINT64_C(0x100000001b3);
    return hash;
}

const local *parser_find_local(const parser *p, const token *name)
{
    const char *word = p->lexer.text + name->at;
    uint64_t hash = hash_name(word, name->length);
    for (int k = p->local_count - 1; k >= 0; k--) {
        const local *l = &p->locals[k];
        if (l->hash == hash && l->length == name->length && memcmp(l->name, word, l->length) == 0)
            return l;
    }
    return NULL;
}

static bool grow_locals(parser *p)
{
    int capacity = p->local_capacity ? 2 * p->local_capacity : 16;
    size_t old_size = (size_t)p->local_capacity * sizeof(local),
           size = (size_t)capacity * sizeof(local);
    local *locals = memory_resize(p->pool->memory, p->locals, old_size, size);
    if (!locals) {
        p->status = fail_memory(p->error);
        return false;
    }
    p->locals = locals;
    p->local_capacity = capacity;
    return true;
}

bool parser_bind(parser *p, const token *name, expr value)
{
    const char *word = p->lexer.text + name->at;
    if (p->local_count == p->local_capacity && !grow_locals(p)) return false;
    p->locals[p->local_count++] =
        (local){ word, name->length, hash_name(word, name->length), value };
    return true;
}

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

/* A score is float everywhere, so that branches agree. */
static expr convert_result(parser *p, expr e, size_t at)
{
    if (!e) return 0;
    if (parser_is_bool(p, e) != (p->kind == EXPR_MASK))
        return parser_refuse(p, at, "a %s is a %s, and this is a %s%s", expr_kind_names[p->kind],
                             p->kind == EXPR_MASK ? "truth value" : "number",
                             parser_type_name(p, e),
                             p->kind == EXPR_MASK ? "" : ": where(condition, a, b) chooses");
    return p->kind == EXPR_MASK ? e : parser_made(p, expr_make(p->pool, EXPR_tofloat, &e), at);
}

static bool parse_return(parser *p, outcome *out)
{
    size_t at = p->token.at;
    if (ends_block(p) || parser_at(p, TOKEN_semicolon))
        return parser_expected(p, "the value to return");
    out->value = convert_result(p, parse_expression(p), at);
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
    if (position == positions)
        return parser_refuse(p, p->token.at,
                             "one parameter too many: a %s is function(%sb, h, i, j)",
                             expr_kind_names[p->kind], p->kind == EXPR_SCORE ? "s, " : "");
    if (!take_new_name(p, &name, "the name of a parameter")) return false;
    if (parser_find_local(p, &name))
        return parser_refuse(p, name.at, "two parameters have this name");
    int symbol = expr_find(p->pool, positional[position]);
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

/* ---- The whole text ---- */

static expr parse_whole(parser *p)
{
    expr e = 0;
    if (!parser_next(p)) return 0;
    size_t at = p->token.at;
    if (parser_at(p, TOKEN_function)) {
        e = parse_function(p);
        if (e && !parser_at(p, TOKEN_stop))
            return parser_expected(p, "the end of the text, behind the function's `end`,");
        return e;
    }
    if (parser_at(p, TOKEN_local) || parser_at(p, TOKEN_if) || parser_at(p, TOKEN_return))
        return parser_refuse(p, at,
                             "statements stand in a function: write function(%sb, h, i, j) ... end",
                             p->kind == EXPR_SCORE ? "s, " : "");
    e = parse_expression(p);
    if (e && !parser_at(p, TOKEN_stop))
        return parser_expected(p, "an operator or the end of the text");
    return convert_result(p, e, at);
}

/* The canonical text must be one that this parser takes. */
static fg_status check_canonical(parser *p, expr e)
{
    text canonical;
    fg_status status = FG_OK;
    text_init(&canonical, p->pool->memory);
    expr_format(p->pool, p->kind, e, &canonical);
    if (canonical.failed)
        status = fail_memory(p->error);
    else if (canonical.length > expr_max_text)
        status =
            fail_at(p->error, FG_REQUEST, 0,
                    "the expression is too large: simplified, its text has %zu bytes of at most %d",
                    canonical.length, expr_max_text);
    text_free(&canonical);
    return status;
}

/* What canonical text may spell that its source did not (parameters, `1.0 *`, 1.0 / 0.0), so that it makes no
 * more nodes. */
static void make_common(expr_pool *pool)
{
    for (int k = 0; k < positions; k++) expr_variable(pool, expr_find(pool, positional[k]));
    for (int k = 0; k <= 1; k++) expr_bool(pool, k);
    for (int k = -1; k <= 1; k++) expr_float(pool, k);
}

fg_status expr_parse(expr *out, expr_pool *pool, expr_kind kind, const char *source, size_t length,
                     fg_error *error)
{
    make_common(pool);
    parser p = { .pool = pool,
                 .kind = kind,
                 .lexer = { source, length, 0 },
                 .error = error,
                 .start = pool->count };
    *out = 0;
    if (length > expr_max_text)
        return fail_at(error, FG_REQUEST, expr_max_text, "the text has %zu bytes of at most %d",
                       length, expr_max_text);
    expr e = parse_whole(&p);
    memory_free(pool->memory, p.locals, (size_t)p.local_capacity * sizeof(local));
    if (p.status == FG_OK) p.status = check_canonical(&p, e);
    if (p.status == FG_OK) *out = e;
    return p.status;
}
