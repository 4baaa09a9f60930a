/* What an entry of the store is found by: named fields, each length-prefixed, and their SHA-256. */
#ifndef RUNTIME_KEY_H
#define RUNTIME_KEY_H

#include "gen/core/text.h"

enum { digest_bytes = 32, digest_text_size = 2 * digest_bytes + 1 };

typedef struct digest {
    unsigned char byte[digest_bytes];
} digest;

/* Of each field: the length of its name (8 bytes, little-endian), the name, the length of its value
 * (likewise), the value. */
typedef struct store_key {
    text fields; /* failed: out of memory */
} store_key;

void key_init(store_key *k, const memory *m);
void key_free(store_key *k);
void key_add(store_key *k, const char *name, const char *value);
void key_add_int(store_key *k, const char *name, int64_t value);
digest key_digest(const store_key *k);

/* The value of a field in fields[0..size), which may be damaged: not 0-terminated, NULL where there is
 * none. */
const char *key_find(const void *fields, size_t size, const char *name, size_t *length);

digest digest_of(const void *data, size_t size);
bool digest_equal(const digest *a, const digest *b);
/* As 64 hexadecimal digits; false unless spelled[0..length) is one. */
void digest_format(char out[digest_text_size], const digest *d);
bool digest_parse(digest *out, const char *spelled, size_t length);

#endif
