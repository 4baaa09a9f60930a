/* Numbers and texts as bytes, little-endian, and back from bytes that are not trusted. */
#ifndef RUNTIME_WIRE_H
#define RUNTIME_WIRE_H

#include "gen/core/text.h"

enum { wire_int_bytes = 8 };
void wire_put_int(char out[wire_int_bytes], int64_t value);
void wire_add_int(text *out, int64_t value);
void wire_add_text(text *out, const char *value); /* its length first */

/* What is left to read; `failed` once something was not there: then every read gives 0 or "". */
typedef struct wire {
    const unsigned char *at;
    size_t left;
    bool failed;
} wire;

wire wire_of(const void *data, size_t size);
int64_t wire_int(wire *w);
/* A number from `least` to `most`. */
int64_t wire_int_in(wire *w, int64_t least, int64_t most);
/* Up to size - 1 bytes without a 0 among them. */
void wire_text(wire *w, char *out, size_t size);
bool wire_done(const wire *w); /* all read, nothing failed */

#endif
