#include "runtime/store_entry.h"

#include <string.h>

/* The header, all of it 8-byte words:
 *
 *     magic | version, number of sections | kind, padded with zeros | bytes of the whole file |
 *     bytes of the key's fields | bytes of each section, 0 for those not there
 *
 * Then the fields and the sections, each starting at a multiple of 16 behind zeros; then the SHA-256 of all
 * that came before. */
enum {
    version = 1,
    kind_bytes = 8,
    parts = 1 + store_max_sections,
    header_bytes = 32 + 8 * parts,
    alignment = 16,
};

static const char magic[8] = { '\211', 'f', 'l', 'a', 's', 'h', 'g', 'n' };

#define KIND_NAME(name) #name,
static const char kind_names[store_kind_count][kind_bytes + 1] = { STORE_KINDS(KIND_NAME) };
#undef KIND_NAME

static size_t aligned(size_t at)
{
    return (at + alignment - 1) / alignment * alignment;
}

/* ---- Writing ---- */

static void add_word(text *out, uint64_t word, int bytes)
{
    for (int n = 0; n < bytes; n++) text_add(out, &(char){ (char)(word >> (8 * n) & 255) }, 1);
}

static void add_part(text *out, size_t start, const void *data, size_t size)
{
    static const char zeros[alignment];
    size_t at = out->length - start;
    text_add(out, zeros, aligned(at) - at);
    if (size) text_add(out, data, size);
}

static size_t whole_size(const store_section *part, int count)
{
    size_t at = header_bytes;
    for (int n = 0; n < count; n++) at = aligned(at) + part[n].size;
    return at + digest_bytes;
}

void store_entry_write(text *out, store_kind kind, const store_key *k,
                       const store_section *sections, int count)
{
    store_section part[parts] = { { k->fields.data, k->fields.length } };
    size_t start = out->length;
    for (int n = 0; n < count; n++) part[1 + n] = sections[n];
    if (k->fields.failed) out->failed = true;
    text_add(out, magic, sizeof magic);
    add_word(out, version, 4);
    add_word(out, (uint64_t)count, 4);
    text_add(out, kind_names[kind], kind_bytes);
    add_word(out, whole_size(part, 1 + count), 8);
    for (int n = 0; n < parts; n++) add_word(out, part[n].size, 8);
    for (int n = 0; n < 1 + count; n++) add_part(out, start, part[n].data, part[n].size);
    if (out->failed) return;
    digest all = digest_of(out->data + start, out->length - start);
    text_add(out, (const char *)all.byte, digest_bytes);
}

/* ---- Reading ---- */

static uint64_t word_at(const unsigned char *at, int bytes)
{
    uint64_t word = 0;
    for (int n = 0; n < bytes; n++) word |= (uint64_t)at[n] << (8 * n);
    return word;
}

static const char *header_fault(const unsigned char *block, size_t size, store_kind kind)
{
    if (size < header_bytes + digest_bytes) return "is truncated";
    if (memcmp(block, magic, sizeof magic) != 0) return "is no entry";
    if (word_at(block + 8, 4) != version) return "is of another version";
    if (word_at(block + 12, 4) > store_max_sections) return "has too many sections";
    if (memcmp(block + 16, kind_names[kind], kind_bytes) != 0) return "is of another kind";
    if (word_at(block + 24, 8) != size) return "is not as long as it says";
    return NULL;
}

/* Where each part lies, by the sizes of those before it: nothing overlaps, all is within the file. */
static bool parts_lay(store_section *part, const unsigned char *block, size_t size, int count)
{
    size_t at = header_bytes, end = size - digest_bytes;
    for (int n = 0; n < parts; n++) {
        uint64_t bytes = word_at(block + 32 + 8 * n, 8);
        if (n > count) {
            if (bytes != 0) return false;
            continue;
        }
        at = aligned(at);
        if (at > end || bytes > end - at) return false;
        part[n] = (store_section){ block + at, (size_t)bytes };
        at += (size_t)bytes;
    }
    return at == end;
}

static bool hash_holds(const unsigned char *block, size_t size)
{
    digest all = digest_of(block, size - digest_bytes);
    return memcmp(all.byte, block + size - digest_bytes, digest_bytes) == 0;
}

bool store_entry_read(store_entry *out, const memory *m, void *block, size_t size, store_kind kind,
                      const digest *d, const char **why)
{
    store_section part[parts] = { { NULL, 0 } };
    *why = header_fault(block, size, kind);
    if (*why) return false;
    int count = (int)word_at((const unsigned char *)block + 12, 4);
    if (!parts_lay(part, block, size, count))
        *why = "has sections that do not fill it";
    else if (!hash_holds(block, size))
        *why = "is damaged";
    if (*why) return false;
    digest own = digest_of(part[0].data, part[0].size);
    if (d && !digest_equal(d, &own)) {
        *why = "is the entry of another key";
        return false;
    }
    *out = (store_entry){ m, block, size, part[0], count, { { NULL, 0 } } };
    memcpy(out->section, part + 1, sizeof out->section);
    return true;
}

void store_entry_free(store_entry *e)
{
    memory_free(e->memory, e->block, e->block_size);
    *e = (store_entry){ .memory = e->memory };
}
