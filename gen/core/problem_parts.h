/* Between the files that read and print a problem. */
#ifndef GEN_CORE_PROBLEM_PARTS_H
#define GEN_CORE_PROBLEM_PARTS_H

#include "gen/core/problem.h"

/* Bytes of the line. */
typedef struct span {
    const char *at;
    size_t length;
} span;

/* A key as it stands in the line; `value` is without braces. */
typedef struct problem_entry {
    const problem_field *field;
    span key, value;
    bool valued;
} problem_entry;

enum { problem_max_entries = 64 };

typedef struct problem_reader {
    problem *p;
    span line;
    fg_error *error;
    problem_entry entry[problem_max_entries];
    int entries;
} problem_reader;

/* The first entry of a key, or NULL. */
const problem_entry *problem_entry_find(const problem_reader *r, const char *key);

/* The entry that declares a tensor. */
const problem_entry *problem_tensor_entry(const problem_reader *r, const char *name);

/* FG_REQUEST with a sentence; `where` is what it is about, `where.at` NULL: nothing in the line. */
fg_status problem_refuse(const problem_reader *r, span where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same about a part of an entry: KEY='part': REASON, as FORM. */
fg_status problem_refuse_part(const problem_reader *r, const problem_entry *e, span part,
                              const char *reason);

/* A piece of the line as a sentence can hold it: short, and printable. */
typedef struct quoted {
    char text[44];
} quoted;
quoted problem_quote(span s);

/* Adds " word" to a sentence in `out`, as far as there is room. */
void problem_add_word(char *out, size_t size, const char *word);

/* Cuts `*head` off the front of `*rest`, at the first `separator`, which goes; all of it where there is
 * none, and then false. */
bool span_cut(span *head, span *rest, char separator);
bool span_is(span s, const char *word);

static inline void *problem_at(const problem *p, const problem_field *f)
{
    return (char *)p + f->offset;
}

/* What a kind of field does. */
typedef struct problem_kind_ops {
    bool valueless; /* its key takes no value */
    fg_status (*parse)(problem_reader *r, const problem_entry *e);
    /* Sets the default; NULL: zero is right. */
    fg_status (*absent)(problem_reader *r, const problem_field *f);
    /* Adds " key=value" unless that is the default. */
    void (*print)(const problem *p, const problem_field *f, text *out);
} problem_kind_ops;

extern const problem_kind_ops problem_kinds[problem_kind_count];

/* Kinds whose value a run may replace. */
typedef struct problem_without {
    problem_part part; /* the first without the value; PROBLEM_whole: every one has it */
    /* What stands in its place; NULL: nothing. */
    void (*print)(const problem *p, const problem_field *f, text *out);
} problem_without;

extern const problem_without problem_without_value[problem_kind_count];

/* The name of a type that the entry's field allows. */
fg_status problem_parse_type(problem_reader *r, const problem_entry *e, span name, dtype *out);
fg_status problem_parse_tensor(problem_reader *r, const problem_entry *e);
void problem_print_tensors(const problem *p, const problem_field *f, text *out);
fg_status problem_parse_grad(problem_reader *r, const problem_entry *e);
fg_status problem_default_grad(problem_reader *r, const problem_field *f);
void problem_print_grad(const problem *p, const problem_field *f, text *out);
fg_status problem_parse_function(problem_reader *r, const problem_entry *e);
void problem_print_function(const problem *p, const problem_field *f, text *out);

/* The pool that functions are parsed into, with all names declared. */
fg_status problem_open_pool(problem_reader *r);

/* What no field can see alone. */
fg_status problem_check(const problem_reader *r);

#endif
