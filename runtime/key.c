#include "runtime/key.h"

#include <sodium/crypto_hash_sha256.h>
#include <stdio.h>
#include <string.h>

void key_init(store_key *k, const memory *m)
{
    text_init(&k->fields, m);
}

void key_free(store_key *k)
{
    text_free(&k->fields);
}

static void add_prefixed(text *t, const char *bytes, size_t length)
{
    char prefix[8];
    for (int n = 0; n < 8; n++) prefix[n] = (char)((uint64_t)length >> (8 * n) & 255);
    text_add(t, prefix, sizeof prefix);
    text_add(t, bytes, length);
}

void key_add(store_key *k, const char *name, const char *value)
{
    add_prefixed(&k->fields, name, strlen(name));
    add_prefixed(&k->fields, value, strlen(value));
}

void key_add_int(store_key *k, const char *name, int64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    key_add(k, name, digits);
}

digest key_digest(const store_key *k)
{
    return digest_of(k->fields.data, k->fields.length);
}

/* Moves *at past a prefixed run of bytes; NULL where it is not whole. */
static const char *take_prefixed(const char *fields, size_t size, size_t *at, size_t *length)
{
    uint64_t stated = 0;
    if (size - *at < 8) return NULL;
    for (int n = 0; n < 8; n++)
        stated |= (uint64_t)(unsigned char)fields[*at + (size_t)n] << (8 * n);
    *at += 8;
    if (stated > size - *at) return NULL;
    const char *bytes = fields + *at;
    *length = (size_t)stated;
    *at += *length;
    return bytes;
}

const char *key_find(const void *fields, size_t size, const char *name, size_t *length)
{
    size_t at = 0, wanted = strlen(name), named = 0;
    while (at < size) {
        const char *its_name = take_prefixed(fields, size, &at, &named);
        const char *value = its_name ? take_prefixed(fields, size, &at, length) : NULL;
        if (!value) break;
        if (named == wanted && memcmp(its_name, name, wanted) == 0) return value;
    }
    return NULL;
}

digest digest_of(const void *data, size_t size)
{
    digest d;
    crypto_hash_sha256(d.byte, size ? data : "", size);
    return d;
}

bool digest_equal(const digest *a, const digest *b)
{
    return memcmp(a->byte, b->byte, digest_bytes) == 0;
}

static const char hexadecimal[] = "0123456789abcdef";

void digest_format(char out[digest_text_size], const digest *d)
{
    for (int n = 0; n < digest_bytes; n++) {
        out[2 * n] = hexadecimal[d->byte[n] >> 4];
        out[2 * n + 1] = hexadecimal[d->byte[n] & 15];
    }
    out[2 * digest_bytes] = 0;
}

/* -1: no digit. Capitals are none: a digest has one spelling. */
static int digit_of(char c)
{
    const char *found = c ? strchr(hexadecimal, c) : NULL;
    return found ? (int)(found - hexadecimal) : -1;
}

bool digest_parse(digest *out, const char *spelled, size_t length)
{
    if (length != 2 * digest_bytes) return false;
    for (int n = 0; n < digest_bytes; n++) {
        int high = digit_of(spelled[2 * n]), low = digit_of(spelled[2 * n + 1]);
        if (high < 0 || low < 0) return false;
        out->byte[n] = (unsigned char)(high << 4 | low);
    }
    return true;
}
