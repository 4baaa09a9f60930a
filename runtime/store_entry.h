/* An entry's bytes: a header with magic and lengths, a bounded section table, the sections, and the SHA-256
 * of all of it. Little-endian everywhere. */
#ifndef RUNTIME_STORE_ENTRY_H
#define RUNTIME_STORE_ENTRY_H

#include "runtime/store.h"

enum { store_entry_limit = 256 << 20 }; /* bytes */

/* Appends the whole entry to `out`; out->failed: out of memory. */
void store_entry_write(text *out, store_kind kind, const store_key *k,
                       const store_section *sections, int count);

/* Takes over `block`, memory_new'ed, when it is an entry of this kind and digest; else `why` is told (a
 * sentence's end, as "is truncated") and the block stays the caller's. `d` NULL: of any digest. */
bool store_entry_read(store_entry *out, const memory *m, void *block, size_t size, store_kind kind,
                      const digest *d, const char **why);

#endif
