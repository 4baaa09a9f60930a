#include "gen/core/problem_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Words of the line ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool span_is(span s, const char *word)
{
    return strlen(word) == s.length && memcmp(s.at, word, s.length) == 0;
}

bool span_cut(span *head, span *rest, char separator)
{
    const char *found = rest->length ? memchr(rest->at, separator, rest->length) : NULL;
    *head = (span){ rest->at, found ? (size_t)(found - rest->at) : rest->length };
    size_t gone = head->length + (found != NULL);
    *rest = (span){ rest->at + gone, rest->length - gone };
    return found != NULL;
}

quoted problem_quote(span s)
{
    quoted q;
    size_t room = sizeof q.text - 4, length = s.length < room ? s.length : room;
    for (size_t k = 0; k < length; k++)
        q.text[k] = s.at[k] >= ' ' && s.at[k] <= '~' ? s.at[k] : '?';
    strcpy(q.text + length, s.length > length ? "..." : "");
    return q;
}

void problem_add_word(char *out, size_t size, const char *word)
{
    size_t length = strlen(out);
    snprintf(out + length, size - length, " %s", word);
}

fg_status problem_refuse(const problem_reader *r, span where, const char *format, ...)
{
    char sentence[FG_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return fail_at(r->error, FG_REQUEST, where.at ? where.at - r->line.at : -1, "%s", sentence);
}

fg_status problem_refuse_part(const problem_reader *r, const problem_entry *e, span part,
                              const char *reason)
{
    return problem_refuse(r, part, "%s='%s': %s, as %s", e->field->key, problem_quote(part).text,
                          reason, e->field->form);
}

const problem_entry *problem_entry_find(const problem_reader *r, const char *key)
{
    for (int k = 0; k < r->entries; k++) {
        if (strcmp(r->entry[k].field->key, key) == 0) return &r->entry[k];
    }
    return NULL;
}

/* ---- The line into entries ---- */

static fg_status refuse_key(const problem_reader *r, span key)
{
    char known[512] = "";
    for (size_t k = 0; k < problem_field_count; k++)
        problem_add_word(known, sizeof known, problem_fields[k].key);
    return problem_refuse(r, key, "unknown key '%s'; known are%s", problem_quote(key).text, known);
}

/* From the opening brace to its partner; length 0 where there is none. */
static span braced(span rest)
{
    int depth = 0;
    for (size_t k = 0; k < rest.length; k++) {
        depth += (rest.at[k] == '{') - (rest.at[k] == '}');
        if (depth == 0) return (span){ rest.at, rest.at[k] == '}' ? k + 1 : 0 };
    }
    return (span){ rest.at, 0 };
}

static size_t word_length(span rest, const char *stop)
{
    size_t length = 0;
    while (length < rest.length && !is_space(rest.at[length]) && rest.at[length] != *stop) length++;
    return length;
}

/* Reads what stands behind `=` and moves *rest behind it. */
static fg_status take_value(const problem_reader *r, problem_entry *e, span *rest)
{
    bool function = e->field->kind == KIND_function;
    span value = function ? braced(*rest) : (span){ rest->at, word_length(*rest, "") };
    if (function && value.length == 0) {
        span word = { rest->at, word_length(*rest, "") };
        return problem_refuse_part(r, e, word, "a function within braces is needed");
    }
    *rest = (span){ rest->at + value.length, rest->length - value.length };
    e->value = function ? (span){ value.at + 1, value.length - 2 } : value;
    return FG_OK;
}

static fg_status check_entry(const problem_reader *r, const problem_entry *e)
{
    bool valueless = problem_kinds[e->field->kind].valueless;
    if (e->field->kind != KIND_tensors && problem_entry_find(r, e->field->key)) {
        return problem_refuse(r, e->key, "%s is given twice", e->field->key);
    }
    if (r->entries == problem_max_entries) {
        return problem_refuse(r, e->key, "too many tensors: at most %d", problem_max_tensors);
    }
    if (e->valued && valueless)
        return problem_refuse(r, e->key, "%s takes no value", e->field->key);
    if (!e->valued && !valueless && !e->field->bare) {
        return problem_refuse(r, e->key, "%s needs a value, as %s", e->field->key, e->field->form);
    }
    return FG_OK;
}

static fg_status take_entry(problem_reader *r, span *rest)
{
    span key = { rest->at, word_length(*rest, "=") };
    problem_entry e = { .key = key, .field = problem_field_find(key.at, key.length) };
    if (!e.field) return refuse_key(r, key);
    *rest = (span){ rest->at + key.length, rest->length - key.length };
    e.valued = rest->length && *rest->at == '=';
    fg_status s = check_entry(r, &e);
    if (s == FG_OK && e.valued) {
        *rest = (span){ rest->at + 1, rest->length - 1 };
        s = take_value(r, &e, rest);
    }
    if (s != FG_OK) return s;
    r->entry[r->entries++] = e;
    if (rest->length == 0 || is_space(*rest->at)) return FG_OK;
    return problem_refuse(r, *rest, "'%s' stands right behind %s={...}: a space is needed",
                          problem_quote(*rest).text, e.field->key);
}

static fg_status split(problem_reader *r)
{
    span rest = r->line;
    if (rest.length > problem_max_text) {
        return fail(r->error, FG_REQUEST, "the problem's text is longer than %d bytes",
                    problem_max_text);
    }
    for (;;) {
        while (rest.length && is_space(*rest.at)) rest = (span){ rest.at + 1, rest.length - 1 };
        if (rest.length == 0) return FG_OK;
        fg_status s = take_entry(r, &rest);
        if (s != FG_OK) return s;
    }
}

/* ---- Entries into fields ---- */

static fg_status read_field(problem_reader *r, const problem_field *f)
{
    const problem_kind_ops *kind = &problem_kinds[f->kind];
    bool given = false;
    for (int k = 0; k < r->entries; k++) {
        const problem_entry *e = &r->entry[k];
        if (e->field != f) continue;
        given = true;
        if (f->backward && r->p->dir != DIR_bwd)
            return problem_refuse(r, e->key, "%s is for dir=bwd only", f->key);
        fg_status s = kind->parse(r, e);
        if (s != FG_OK) return s;
    }
    return given || !kind->absent ? FG_OK : kind->absent(r, f);
}

/* ---- The canonical line ---- */

/* The field whose key is next in the alphabet, behind `last` or first of all. */
static const problem_field *next_key(const problem_field *last)
{
    const problem_field *next = NULL;
    for (size_t k = 0; k < problem_field_count; k++) {
        const problem_field *f = &problem_fields[k];
        if (last && strcmp(f->key, last->key) <= 0) continue;
        if (!next || strcmp(f->key, next->key) < 0) next = f;
    }
    return next;
}

static uint64_t fnv1a(const char *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t k = 0; k < length; k++) hash = (hash ^ (uint8_t)bytes[k]) * UINT64_C(0x100000001b3);
    return hash;
}

static void print_field(text *out, const problem *p, const problem_field *f, problem_part part)
{
    const problem_without *without = &problem_without_value[f->kind];
    if (without->part == PROBLEM_whole || part < without->part)
        problem_kinds[f->kind].print(p, f, out);
    else if (without->print)
        without->print(p, f, out);
}

void problem_line(text *out, const problem *p, problem_part part)
{
    text line; /* each field begins with a space */
    text_init(&line, out->memory);
    for (const problem_field *f = next_key(NULL); f; f = next_key(f))
        print_field(&line, p, f, part);
    if (line.failed)
        out->failed = true;
    else
        text_add(out, line.data + 1, line.length - 1);
    text_free(&line);
}

static fg_status write_canonical(problem *p, fg_error *error)
{
    text out;
    text_init(&out, p->memory);
    problem_line(&out, p, PROBLEM_whole);
    if (!out.failed) p->text = memory_text(p->memory, out.data, out.length);
    if (p->text) {
        p->text_length = out.length;
        p->hash = fnv1a(p->text, p->text_length);
    }
    text_free(&out);
    return p->text ? FG_OK : fail_memory(error);
}

/* ---- All of it ---- */

static fg_status read_problem(problem_reader *r)
{
    fg_status s = split(r);
    for (size_t k = 0; s == FG_OK && k < problem_field_count; k++) {
        const problem_field *f = &problem_fields[k];
        if (f->kind == KIND_function && !r->p->pool) s = problem_open_pool(r);
        if (s == FG_OK) s = read_field(r, f);
    }
    if (s == FG_OK) s = problem_check(r);
    return s == FG_OK ? write_canonical(r->p, r->error) : s;
}

fg_status problem_parse(problem **out, const memory *m, const char *line, size_t length,
                        fg_error *error)
{
    *out = NULL;
    problem *p = memory_new(m, 1, sizeof *p);
    if (!p) return fail_memory(error);
    p->memory = m;
    problem_reader r = { .p = p, .line = { line, length }, .error = error };
    fg_status s = read_problem(&r);
    if (s != FG_OK)
        problem_free(p);
    else
        *out = p;
    return s;
}

static void free_text(const problem *p, char *owned)
{
    if (owned) memory_free(p->memory, owned, strlen(owned) + 1);
}

void problem_free(problem *p)
{
    if (!p) return;
    free_text(p, p->score.text);
    free_text(p, p->maskfn.text);
    free_text(p, p->text);
    expr_pool_free(p->pool);
    memory_free(p->memory, p, sizeof *p);
}
