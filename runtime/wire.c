#include "runtime/wire.h"

#include <string.h>

void wire_put_int(char out[wire_int_bytes], int64_t value)
{
    for (int k = 0; k < wire_int_bytes; k++)
        out[k] = (char)(unsigned char)((uint64_t)value >> 8 * k);
}

void wire_add_int(text *out, int64_t value)
{
    char bytes[wire_int_bytes];
    wire_put_int(bytes, value);
    text_add(out, bytes, sizeof bytes);
}

void wire_add_text(text *out, const char *value)
{
    size_t length = strlen(value);
    wire_add_int(out, (int64_t)length);
    text_add(out, value, length);
}

wire wire_of(const void *data, size_t size)
{
    return (wire){ data, size, false };
}

static const unsigned char *take(wire *w, size_t size)
{
    const unsigned char *at = w->at;
    if (w->failed || size > w->left) {
        w->failed = true;
        return NULL;
    }
    w->at += size;
    w->left -= size;
    return at;
}

int64_t wire_int(wire *w)
{
    const unsigned char *at = take(w, 8);
    uint64_t value = 0;
    for (int k = 0; at && k < 8; k++) value |= (uint64_t)at[k] << 8 * k;
    return (int64_t)value;
}

int64_t wire_int_in(wire *w, int64_t least, int64_t most)
{
    int64_t value = wire_int(w);
    if (w->failed || value < least || value > most) {
        w->failed = true;
        return least;
    }
    return value;
}

void wire_text(wire *w, char *out, size_t size)
{
    size_t length = (size_t)wire_int_in(w, 0, (int64_t)size - 1);
    const unsigned char *at = take(w, length);
    if (at && memchr(at, 0, length)) w->failed = true;
    if (w->failed) length = 0;
    if (length) memcpy(out, at, length);
    out[length] = 0;
}

bool wire_done(const wire *w)
{
    return !w->failed && w->left == 0;
}
