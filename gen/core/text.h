/* Text: a growing buffer, numbers without a locale, and error sentences. */
#ifndef GEN_CORE_TEXT_H
#define GEN_CORE_TEXT_H

#include "gen/core/memory.h"

#include <stdbool.h>

typedef struct text {
    const memory *memory;
    char *data; /* 0-terminated once anything was added */
    size_t length, capacity;
    bool failed; /* an allocation failed: later additions do nothing */
} text;

void text_init(text *t, const memory *m);
void text_free(text *t);
void text_add(text *t, const char *bytes, size_t length);
void text_addf(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The shortest decimal that reads back as the same double ("inf", "-inf", "nan" included). */
void text_add_double(text *t, double x);
/* The shortest decimal that, read as a double and rounded to f32, gives the same float. */
void text_add_float(text *t, float x);

/* Reads a decimal or hexadecimal number from text[0..length); false unless all of it is one. "inf" and
 * "nan" are not numbers. Integers: decimal with an optional sign. Independent of the locale. */
bool number_double(const char *text, size_t length, double *out);
bool number_int(const char *text, size_t length, int64_t *out);

/* Fills *error (which may be NULL) and returns `status`. No %f or %g: floats go through text. */
fg_status fail(fg_error *error, fg_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
fg_status fail_at(fg_error *error, fg_status status, int64_t position, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
fg_status fail_memory(fg_error *error);

#endif
