#include "npy.h"

#include <stdio.h>
#include <string.h>

/* ---- The header's text: a literal of a Python dict ---- */

typedef struct cursor {
    const char *at, *end;
    const char *name;
    fg_error *error;
} cursor;

static fg_status malformed(const cursor *c, const char *what)
{
    return fault(c->error, FG_REQUEST, "%s is not a whole .npy file: %s", c->name, what);
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
}

static bool take(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    size_t length = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) return false;
    c->at += length;
    return true;
}

/* A quoted string without escapes, into out[size]. */
static bool take_string(cursor *c, char *out, size_t size)
{
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    char quote = *c->at++;
    size_t length = 0;
    while (c->at < c->end && *c->at != quote) {
        if (length + 1 == size || *c->at < ' ' || *c->at > '~' || *c->at == '\\') return false;
        out[length++] = *c->at++;
    }
    out[length] = 0;
    return take(c, quote);
}

static bool take_length(cursor *c, int64_t *out)
{
    skip_space(c);
    const char *start = c->at;
    for (*out = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, *c->at - '0', out))
            return false;
    bool any = c->at > start;
    if (any && c->at < c->end && *c->at == 'L') c->at++; /* as Python 2 wrote it */
    return any;
}

/* What numpy's descr strings are called here. */
static const struct {
    const char *descr;
    DLDataType type;
} descrs[] = {
    { "<f8", { 2, 64, 1 } }, { "<f4", { 2, 32, 1 } }, { "<f2", { 2, 16, 1 } },
    { "<i8", { 0, 64, 1 } }, { "<i4", { 0, 32, 1 } }, { "|u1", { 1, 8, 1 } },
    { "|b1", { 1, 8, 1 } },  { "<u1", { 1, 8, 1 } },  { "<b1", { 1, 8, 1 } },
};

static fg_status read_descr(cursor *c, npy_header *h)
{
    char text[32];
    if (!take_string(c, text, sizeof text))
        return malformed(c, "its descr is not the name of one element type");
    for (size_t k = 0; k < sizeof descrs / sizeof *descrs; k++)
        if (strcmp(descrs[k].descr, text) == 0) h->type = element_find(descrs[k].type);
    if (h->type) return FG_OK;
    if (text[0] == '>')
        return fault(c->error, FG_REQUEST,
                     "%s holds big-endian elements (%s); save them little-endian", c->name, text);
    return fault(c->error, FG_REQUEST,
                 "%s holds elements of type %s; f64, f32, f16, i64, i32, u8 and bool are read",
                 c->name, text);
}

static fg_status read_order(cursor *c, npy_header *h)
{
    h->fortran = take_word(c, "True");
    if (h->fortran || take_word(c, "False")) return FG_OK;
    return malformed(c, "its fortran_order is neither True nor False");
}

static fg_status read_shape(cursor *c, npy_header *h)
{
    if (!take(c, '(')) return malformed(c, "its shape is not a tuple");
    while (!take(c, ')')) {
        if (h->rank == npy_max_rank)
            return fault(c->error, FG_REQUEST, "%s has more than %d dimensions", c->name,
                         npy_max_rank);
        if (!take_length(c, &h->shape[h->rank++]))
            return malformed(c, "its shape holds something else than lengths");
        if (take(c, ',')) continue;
        if (!take(c, ')')) return malformed(c, "its shape does not end");
        return FG_OK;
    }
    return FG_OK;
}

static const struct {
    const char *key;
    fg_status (*read)(cursor *c, npy_header *h);
} entries[] = { { "descr", read_descr }, { "fortran_order", read_order }, { "shape", read_shape } };

enum { entry_count = sizeof entries / sizeof *entries };

static fg_status read_entry(cursor *c, npy_header *h, bool *seen)
{
    char key[32];
    if (!take_string(c, key, sizeof key) || !take(c, ':'))
        return malformed(c, "its header is not a dict of names");
    for (int k = 0; k < entry_count; k++) {
        if (strcmp(entries[k].key, key) != 0) continue;
        if (seen[k]) return malformed(c, "its header says something twice");
        seen[k] = true;
        return entries[k].read(c, h);
    }
    return malformed(c, "its header has a key besides descr, fortran_order and shape");
}

static fg_status read_dict(cursor *c, npy_header *h)
{
    bool seen[entry_count] = { false };
    if (!take(c, '{')) return malformed(c, "its header is not a dict");
    while (!take(c, '}')) {
        fg_status s = read_entry(c, h, seen);
        if (s != FG_OK) return s;
        if (take(c, ',')) continue;
        if (!take(c, '}')) return malformed(c, "its header does not end");
        break;
    }
    skip_space(c);
    if (c->at != c->end) return malformed(c, "something follows its header's dict");
    for (int k = 0; k < entry_count; k++)
        if (!seen[k]) return malformed(c, "its header lacks descr, fortran_order or shape");
    return FG_OK;
}

/* ---- The file ---- */

static bool count_elements(npy_header *h)
{
    h->count = 1;
    for (int k = 0; k < h->rank; k++)
        if (__builtin_mul_overflow(h->count, h->shape[k], &h->count)) return false;
    return true;
}

static fg_status check_size(const cursor *c, npy_header *h, size_t size)
{
    size_t bytes;
    if (!count_elements(h) ||
        __builtin_mul_overflow((size_t)h->count, (size_t)h->type->bits / 8, &bytes))
        return malformed(c, "its shape is too large");
    if (bytes == size - h->data) return FG_OK;
    return fault(c->error, FG_REQUEST,
                 "%s is not a whole .npy file: its header promises %zu bytes and %zu follow",
                 c->name, bytes, size - h->data);
}

fg_status npy_parse(npy_header *out, const void *bytes, size_t size, const char *name,
                    fg_error *error)
{
    const uint8_t *b = bytes;
    cursor c = { .name = name, .error = error };
    *out = (npy_header){ 0 };
    if (size < 10 || memcmp(b, "\x93NUMPY", 6) != 0)
        return malformed(&c, "it does not start as one");
    if (b[6] < 1 || b[6] > 3) return malformed(&c, "its version is none of 1, 2 and 3");
    size_t prefix = b[6] == 1 ? 10 : 12, length = b[8] | (size_t)b[9] << 8;
    if (size < prefix) return malformed(&c, "it ends within its header");
    if (prefix == 12) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > size - prefix) return malformed(&c, "it ends within its header");
    out->data = prefix + length;
    c.at = (const char *)bytes + prefix;
    c.end = c.at + length;
    fg_status s = read_dict(&c, out);
    return s == FG_OK ? check_size(&c, out, size) : s;
}

/* Where the element that is `index`th in C order stands in Fortran order. */
static int64_t fortran_index(const npy_header *h, int64_t index)
{
    int64_t place = 0, stride = h->count;
    for (int k = h->rank - 1; k >= 0; k--) {
        stride /= h->shape[k]; /* not 0: there is an element */
        place += index % h->shape[k] * stride;
        index /= h->shape[k];
    }
    return place;
}

double npy_at(const npy_header *h, const void *bytes, int64_t index)
{
    int64_t place = h->fortran ? fortran_index(h, index) : index;
    return h->type->load((const char *)bytes + h->data + (size_t)place * (h->type->bits / 8u));
}

/* ---- Writing ---- */

static size_t add(char *out, size_t size, size_t length, const char *format, long long value)
{
    int more = snprintf(out + length, size - length, format, value);
    return length + (more > 0 ? (size_t)more : 0);
}

size_t npy_write_header(char *out, bool f64, int rank, const int64_t *shape)
{
    const size_t prefix = 10;
    size_t length = prefix, size = npy_max_header;
    length = add(out, size, length, "{'descr': '<f%lld', 'fortran_order': False, 'shape': (",
                 f64 ? 8 : 4);
    for (int k = 0; k < rank; k++)
        length = add(out, size, length, k + 1 < rank || k == 0 ? "%lld, " : "%lld", shape[k]);
    length = add(out, size, length, "), }", 0);
    while (length % 64 != 63) out[length++] = ' '; /* numpy aligns the elements to 64 */
    out[length++] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((length - prefix) & 255);
    out[9] = (char)((length - prefix) >> 8);
    return length;
}

const char *npy_format_shape(char *out, int rank, const int64_t *shape)
{
    size_t length = add(out, npy_shape_text, 0, "[", 0);
    for (int k = 0; k < rank; k++)
        length = add(out, npy_shape_text, length, k ? ", %lld" : "%lld", shape[k]);
    add(out, npy_shape_text, length, "]", 0);
    return out;
}
