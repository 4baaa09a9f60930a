#include "gen/core/expr_lex.h"
#include "gen/core/expr_pool.h"

#include <math.h>
#include <string.h>

/* The rest of Lua, each with what would be right. Longer spellings first. */
static const struct foreign {
    const char *spelling, *advice;
} foreign_signs[] = {
    { "...", "is not part of the language: name the parameters" },
    { "..", "is not part of the language: there are no strings" },
    { "<<", "is not part of the language: multiply by a power of two" },
    { ">>", "is not part of the language: divide by a power of two with //" },
    { "[[", "is not part of the language: there are no strings, and an index is one expression" },
    { "::", "is not part of the language: there are no labels" },
    { "!=", "is not part of the language: write ~=" },
    { "&&", "is not part of the language: write and" },
    { "||", "is not part of the language: write or" },
    { "!", "is not part of the language: write not" },
    { "^", "is not part of the language: write x * x, or exp(y * log(x))" },
    { "\"", "is not part of the language: there are no strings" },
    { "'", "is not part of the language: there are no strings" },
    { "{", "is not part of the language: there are no tables" },
    { "}", "is not part of the language: there are no tables" },
    { "#", "is not part of the language: there are no lengths; name a dimension" },
    { "&", "is not part of the language: truth values are joined by and" },
    { "|", "is not part of the language: truth values are joined by or" },
    { "~", "is not part of the language: write not, or ~= for different" },
    { ".", "is not part of the language: a number starts with a digit, and functions have no prefix" },
    { ":", "is not part of the language: there are no methods" },
    { "?", "is not part of the language: write where(condition, a, b)" },
}, foreign_words[] = {
    { "for", "is not part of the language: there are no loops" },
    { "while", "is not part of the language: there are no loops" },
    { "repeat", "is not part of the language: there are no loops" },
    { "until", "is not part of the language: there are no loops" },
    { "do", "is not part of the language: there are no loops or blocks" },
    { "in", "is not part of the language: there are no loops" },
    { "break", "is not part of the language: there are no loops" },
    { "goto", "is not part of the language: use if" },
    { "nil", "is not part of the language: values are numbers, true and false" },
};

static const struct own {
    const char *spelling;
    token_kind kind;
} own_tokens[] = {
#define EXPR_TOKEN_ROW(name, spelling) { spelling, TOKEN_##name },
    EXPR_TOKENS(EXPR_TOKEN_ROW)
#undef EXPR_TOKEN_ROW
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool equals(const char *word, const char *name, size_t length)
{
    return strlen(word) == length && memcmp(word, name, length) == 0;
}

bool expr_is_keyword(const char *name, size_t length)
{
    for (size_t k = 0; k < COUNT(foreign_words); k++)
        if (equals(foreign_words[k].spelling, name, length)) return true;
    for (size_t k = 0; k < COUNT(own_tokens); k++)
        if (equals(own_tokens[k].spelling, name, length)) return true;
    return false;
}

static int peek(const lexer *l, size_t ahead)
{
    return ahead < l->length - l->at ? (unsigned char)l->text[l->at + ahead] : -1;
}

static bool starts(const lexer *l, const char *spelling)
{
    size_t length = strlen(spelling);
    return length <= l->length - l->at && memcmp(l->text + l->at, spelling, length) == 0;
}

/* Of the bracket [==[ at `at`: the number of = signs, or -1 where it is none. */
static int long_bracket(const lexer *l, size_t at, char bracket)
{
    size_t k = at;
    if (k >= l->length || l->text[k] != bracket) return -1;
    for (k++; k < l->length && l->text[k] == '=';) k++;
    return k < l->length && l->text[k] == bracket ? (int)(k - at - 1) : -1;
}

static fg_status skip_comment(lexer *l, fg_error *error)
{
    size_t start = l->at;
    int level = long_bracket(l, l->at + 2, '[');
    if (level < 0) {
        while (l->at < l->length && l->text[l->at] != '\n') l->at++;
        return FG_OK;
    }
    for (l->at += 2; l->at < l->length; l->at++) {
        if (l->text[l->at] != ']' || long_bracket(l, l->at, ']') != level) continue;
        l->at += (size_t)level + 2;
        return FG_OK;
    }
    return fail_at(error, FG_REQUEST, (int64_t)start, "a comment opens here and never closes");
}

static fg_status skip_blank(lexer *l, fg_error *error)
{
    fg_status status = FG_OK;
    while (status == FG_OK && l->at < l->length) {
        int c = peek(l, 0);
        if (c == ' ' || (c >= '\t' && c <= '\r'))
            l->at++;
        else if (starts(l, "--"))
            status = skip_comment(l, error);
        else
            break;
    }
    return status;
}

/* ---- Numbers ---- */

/* As Lua: digits, letters and points, and a sign behind the exponent's letter. */
static size_t number_length(const lexer *l)
{
    bool hex = peek(l, 0) == '0' && (peek(l, 1) | 0x20) == 'x';
    size_t k = hex ? 2 : 0;
    for (;; k++) {
        int c = peek(l, k), before = k > 0 ? peek(l, k - 1) | 0x20 : 0;
        bool sign = (c == '+' || c == '-') && before == (hex ? 'p' : 'e');
        if (!is_digit(c) && !is_letter(c) && c != '.' && !sign) return k;
    }
}

static bool hexadecimal_int(const char *digits, size_t length, int64_t *out)
{
    static const char values[] = "0123456789abcdef";
    *out = 0;
    for (size_t k = 2; k < length; k++) {
        const char *digit = memchr(values, digits[k] | (is_digit(digits[k]) ? 0 : 0x20), 16);
        if (!digit || *out > INT32_MAX) return false;
        *out = *out * 16 + (digit - values);
    }
    return length > 2;
}

static bool all_in(const char *digits, size_t length, const char *set)
{
    for (size_t k = 0; k < length; k++)
        if (digits[k] == 0 || !strchr(set, digits[k])) return false;
    return true;
}

static fg_status lex_number(lexer *l, token *out, fg_error *error)
{
    const char *digits = l->text + l->at;
    size_t length = out->length = number_length(l);
    int64_t at = (int64_t)l->at;
    int shown = length > 40 ? 40 : (int)length;
    bool hex = length > 1 && digits[0] == '0' && (digits[1] | 0x20) == 'x';
    if (hex ? all_in(digits + 2, length - 2, "0123456789abcdefABCDEF")
            : all_in(digits, length, "0123456789")) {
        out->kind = TOKEN_int;
        bool fits = hex ? hexadecimal_int(digits, length, &out->integer)
                        : number_int(digits, length, &out->integer);
        if (fits && out->integer <= -(int64_t)INT32_MIN) return FG_OK;
        if (hex && length == 2)
            return fail_at(error, FG_REQUEST, at, "`%.*s` is not a number", shown, digits);
        return fail_at(error, FG_REQUEST, at,
                       "`%.*s` is outside the 32 bits of a whole number: write it as a float, "
                       "with a point or an exponent",
                       shown, digits);
    }
    out->kind = TOKEN_float;
    if (length > 60)
        return fail_at(error, FG_REQUEST, at,
                       "`%.*s...` is too long for a number: 60 characters do", shown, digits);
    if (!number_double(digits, length, &out->real))
        return fail_at(error, FG_REQUEST, at, "`%.*s` is not a number", shown, digits);
    if (isinf(out->real))
        return fail_at(error, FG_REQUEST, at, "`%.*s` is too large for a float", shown, digits);
    return FG_OK;
}

/* ---- Words and signs ---- */

static fg_status refuse_foreign(int64_t at, const struct foreign *f, fg_error *error)
{
    return fail_at(error, FG_REQUEST, at, "`%s` %s", f->spelling, f->advice);
}

static fg_status lex_word(lexer *l, token *out, fg_error *error)
{
    const char *word = l->text + l->at;
    size_t length = 0;
    while (is_letter(peek(l, length)) || is_digit(peek(l, length))) length++;
    out->kind = TOKEN_name;
    out->length = length;
    for (size_t k = 0; k < COUNT(own_tokens); k++)
        if (equals(own_tokens[k].spelling, word, length)) out->kind = own_tokens[k].kind;
    for (size_t k = 0; k < COUNT(foreign_words); k++)
        if (equals(foreign_words[k].spelling, word, length))
            return refuse_foreign((int64_t)l->at, &foreign_words[k], error);
    return FG_OK;
}

/* The longest spelling wins: `<<` is not two `<`, and `~=` is no `~`. */
static fg_status lex_sign(lexer *l, token *out, fg_error *error)
{
    const struct foreign *foreign = NULL;
    int c = peek(l, 0);
    for (size_t k = COUNT(own_tokens); k-- > 0;) {
        if (!starts(l, own_tokens[k].spelling) || strlen(own_tokens[k].spelling) < out->length)
            continue;
        out->kind = own_tokens[k].kind;
        out->length = strlen(own_tokens[k].spelling);
    }
    for (size_t k = COUNT(foreign_signs); k-- > 0;)
        if (starts(l, foreign_signs[k].spelling)) foreign = &foreign_signs[k];
    if (foreign && strlen(foreign->spelling) > out->length)
        return refuse_foreign((int64_t)l->at, foreign, error);
    if (out->length > 0) return FG_OK;
    if (c > ' ' && c < 127)
        return fail_at(error, FG_REQUEST, (int64_t)l->at, "`%c` is not part of the language", c);
    return fail_at(error, FG_REQUEST, (int64_t)l->at,
                   "byte 0x%02x is not part of the language: write ASCII", (unsigned)c);
}

fg_status expr_lex(lexer *l, token *out, fg_error *error)
{
    fg_status status = skip_blank(l, error);
    if (status != FG_OK) return status;
    *out = (token){ .kind = TOKEN_stop, .at = l->at };
    if (l->at == l->length) return FG_OK;
    int c = peek(l, 0);
    if (is_digit(c) || (c == '.' && is_digit(peek(l, 1))))
        status = lex_number(l, out, error);
    else
        status = is_letter(c) ? lex_word(l, out, error) : lex_sign(l, out, error);
    l->at += out->length;
    return status;
}
