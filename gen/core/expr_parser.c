/* The parser: its state, and the whole text. */
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

const char *const parser_positional[parser_positions] = { "s", "b", "h", "i", "j" };

bool parser_may_name(const parser *p, int symbol)
{
    const char *name = expr_get_symbol(p->pool, symbol)->name;
    for (int k = 0; k < parser_positions; k++)
        if (strcmp(name, parser_positional[k]) == 0)
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

/* ---- The whole text ---- */

/* A score is float everywhere, so that branches agree. */
expr parser_convert_result(parser *p, expr e, size_t at)
{
    if (!e) return 0;
    if (parser_is_bool(p, e) != (p->kind == EXPR_MASK))
        return parser_refuse(p, at, "a %s is a %s, and this is a %s%s", expr_kind_names[p->kind],
                             p->kind == EXPR_MASK ? "truth value" : "number",
                             parser_type_name(p, e),
                             p->kind == EXPR_MASK ? "" : ": where(condition, a, b) chooses");
    return p->kind == EXPR_MASK ? e : parser_made(p, expr_make(p->pool, EXPR_tofloat, &e), at);
}

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
    return parser_convert_result(p, e, at);
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
    for (int k = 0; k < parser_positions; k++)
        expr_variable(pool, expr_find(pool, parser_positional[k]));
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
