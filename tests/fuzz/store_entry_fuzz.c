/* Any bytes as an entry of the store: refused with a reason, or every section is within it and writing them
 * again gives an entry that reads the same. Each input is tried as it is and under a hash that holds, else
 * nothing would come past it; the first byte chooses the kind. */
#include "runtime/store_entry.h"

#include <stdlib.h>
#include <string.h>

static void require(int holds)
{
    if (!holds) abort();
}

static void check_section(const store_entry *e, const store_section *s)
{
    const unsigned char *block = e->block, *start = s->data;
    require(start >= block && s->size <= (size_t)(block + e->block_size - start));
    volatile unsigned char sum = 0;
    for (size_t n = 0; n < s->size; n++) sum = (unsigned char)(sum + start[n]);
}

static void check_fields(const store_section *fields)
{
    static const char *const names[] = { "problem", "schedule", "", "a name that is not there" };
    for (int n = 0; n < 4; n++) {
        size_t length = 0;
        const char *value = key_find(fields->data, fields->size, names[n], &length);
        const char *start = fields->data;
        require(!value || (value >= start && length <= (size_t)(start + fields->size - value)));
    }
}

static void check_again(const store_entry *e, store_kind kind)
{
    text out;
    store_key k;
    store_entry back = { .memory = NULL };
    const char *why;
    digest d = digest_of(e->fields.data, e->fields.size);
    text_init(&out, &memory_default);
    key_init(&k, &memory_default);
    text_add(&k.fields, e->fields.data, e->fields.size);
    store_entry_write(&out, kind, &k, e->section, e->sections);
    require(!out.failed && out.length == e->block_size);
    void *block = memory_new(&memory_default, out.length, 1);
    memcpy(block, out.data, out.length);
    require(store_entry_read(&back, &memory_default, block, out.length, kind, &d, &why));
    require(back.sections == e->sections && back.fields.size == e->fields.size);
    store_entry_free(&back);
    key_free(&k);
    text_free(&out);
}

static void try_entry(const uint8_t *data, size_t size, store_kind kind, int sealed)
{
    store_entry e;
    const char *why = NULL;
    unsigned char *block = size ? memory_new(&memory_default, size, 1) : NULL;
    if (size) memcpy(block, data, size);
    if (sealed) {
        digest all = digest_of(block, size - digest_bytes);
        memcpy(block + size - digest_bytes, all.byte, digest_bytes);
    }
    if (store_entry_read(&e, &memory_default, block, size, kind, NULL, &why)) {
        require(!why && e.sections <= store_max_sections);
        check_section(&e, &e.fields);
        for (int n = 0; n < e.sections; n++) check_section(&e, &e.section[n]);
        check_fields(&e.fields);
        check_again(&e, kind);
        store_entry_free(&e);
        return;
    }
    require(why && *why);
    memory_free(&memory_default, block, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const store_section whole = { data, size };
    check_fields(&whole);
    store_kind kind = size ? (store_kind)(data[0] % store_kind_count) : STORE_kernel;
    try_entry(data, size, kind, 0);
    if (!size) return 0;
    try_entry(data + 1, size - 1, kind, 0);
    if (size > digest_bytes) try_entry(data + 1, size - 1, kind, 1);
    return 0;
}
