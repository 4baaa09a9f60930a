#include "gen/core/text.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_init(text *t, const memory *m)
{
    *t = (text){ .memory = m };
}

void text_free(text *t)
{
    memory_free(t->memory, t->data, t->capacity);
    text_init(t, t->memory);
}

static bool text_reserve(text *t, size_t more)
{
    if (t->failed) return false;
    if (t->capacity - t->length > more) return true;
    size_t capacity = (t->length + more + 1) * 2;
    char *data =
        more < SIZE_MAX / 4 ? memory_resize(t->memory, t->data, t->capacity, capacity) : NULL;
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void text_add(text *t, const char *bytes, size_t length)
{
    if (!text_reserve(t, length)) return;
    memcpy(t->data + t->length, bytes, length);
    t->length += length;
    t->data[t->length] = 0;
}

void text_addf(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0 || !text_reserve(t, (size_t)length)) return;
    va_start(args, format);
    vsnprintf(t->data + t->length, (size_t)length + 1, format, args);
    va_end(args);
    t->length += (size_t)length;
}

/* The host may have set any locale: numbers are read and printed in C's. */
static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void c_locale_make(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t c_locale_enter(void)
{
    pthread_once(&c_locale_once, c_locale_make);
    return uselocale(c_locale);
}

static void add_shortest(text *t, double x, bool single)
{
    char digits[40];
    locale_t host = c_locale_enter();
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, x);
        double back = strtod(digits, NULL);
        if (isnan(x) || back == x || (single && (float)back == (float)x)) break;
    }
    const char *e = strchr(digits, 'e');
    int exponent = e ? atoi(e + 1) : -1;
    if (exponent >= 0 && exponent < 6)
        snprintf(digits, sizeof digits, "%.*g", exponent + 1, x); /* 20, not 2e+01 */
    uselocale(host);
    text_add(t, digits, strlen(digits));
}

void text_add_double(text *t, double x)
{
    add_shortest(t, x, false);
}

void text_add_float(text *t, float x)
{
    add_shortest(t, (double)x, true);
}

bool number_double(const char *s, size_t length, double *out)
{
    char copy[64], *end;
    if (length == 0 || length >= sizeof copy || memchr(s, 0, length)) return false;
    memcpy(copy, s, length);
    copy[length] = 0;
    const char *digits = copy + (*copy == '-' || *copy == '+');
    if (!((*digits >= '0' && *digits <= '9') || *digits == '.')) return false; /* space, inf, nan */
    locale_t host = c_locale_enter();
    *out = strtod(copy, &end);
    uselocale(host);
    return end == copy + length;
}

bool number_int(const char *s, size_t length, int64_t *out)
{
    size_t k = length > 0 && (s[0] == '-' || s[0] == '+');
    int64_t value = 0;
    if (k == length) return false;
    for (; k < length; k++) {
        if (s[k] < '0' || s[k] > '9') return false;
        if (__builtin_mul_overflow(value, 10, &value)) return false;
        if (__builtin_sub_overflow(value, s[k] - '0', &value))
            return false; /* downwards: INT64_MIN fits */
    }
    return s[0] == '-' ? (*out = value, true) : !__builtin_sub_overflow(0, value, out);
}

static fg_status fail_list(fg_error *error, fg_status status, int64_t position, const char *format,
                           va_list args)
{
    if (error) {
        error->status = status;
        error->position = position;
        vsnprintf(error->text, sizeof error->text, format, args);
    }
    return status;
}

fg_status fail_at(fg_error *error, fg_status status, int64_t position, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_list(error, status, position, format, args);
    va_end(args);
    return status;
}

fg_status fail(fg_error *error, fg_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_list(error, status, -1, format, args);
    va_end(args);
    return status;
}

fg_status fail_memory(fg_error *error)
{
    return fail(error, FG_MEMORY, "out of memory");
}
