/* The store: what was compiled and found best, kept on disk, safe across processes, crashes and full disks.
 *
 * One file an entry: DIRECTORY/KIND/DIGEST, DIGEST being its key's in hexadecimal; half-written ones are in
 * DIRECTORY/new, locks in DIRECTORY/lock. Whatever is amiss with an entry makes it a miss, and the next put
 * replaces it. No failure of the store is a failure of its caller: it warns once and goes on in memory. */
#ifndef RUNTIME_STORE_H
#define RUNTIME_STORE_H

#include "runtime/key.h"
#include "runtime/store_calls.h"

/* X(name): the kinds of entries, each a folder */
#define STORE_KINDS(X)                                                                             \
    X(kernel)   /* a binary, with what launching it takes */                                       \
    X(winner)   /* what a search found, by all that it depends on */                               \
    X(stored)   /* the same by problem, device and ABI alone, for those who cannot compile */      \
    X(estimate) /* what the prior chose */                                                         \
    X(compiler) /* a compiler's identity, by the facts of its files */

typedef enum store_kind {
#define STORE_KIND_ENUM(name) STORE_##name,
    STORE_KINDS(STORE_KIND_ENUM)
#undef STORE_KIND_ENUM
        store_kind_count
} store_kind;

enum { store_max_sections = 4 };

typedef struct store_section {
    const void *data;
    size_t size;
} store_section;

/* An entry as read: everything points into one block. */
typedef struct store_entry {
    const memory *memory;
    void *block;
    size_t block_size;
    store_section fields; /* of its key */
    int sections;
    store_section section[store_max_sections];
} store_entry;

typedef struct store store;

typedef struct store_options {
    const memory *memory;
    const char *path;   /* of the context's options; NULL: of the environment */
    const char *shared; /* as in fg_context_options */
    const store_calls *calls;
    void (*warn)(void *user, const char *sentence);
    void *user;
} store_options;

/* *out NULL: there is none (asked for, or unknown where). Touches no file yet. FG_MEMORY is the only
 * failure. */
fg_status store_open(store **out, const store_options *options, fg_error *error);
void store_close(store *s);

/* A NULL store has nothing and keeps nothing. */
bool store_get(store_entry *out, store *s, store_kind kind, const digest *d);
void store_entry_free(store_entry *e);
void store_put(store *s, store_kind kind, const store_key *k, const store_section *sections,
               int count);

/* Waits at most `seconds` until nobody else makes what `d` names. The lock only saves work: one that is
 * not had changes nothing. */
typedef struct store_lock {
    store *store;
    int fd; /* -1: not had */
} store_lock;

store_lock store_lock_take(store *s, const digest *d, double seconds);
void store_lock_drop(store_lock *lock);

/* A count as fg_store_info tells it. */
fg_store_counts store_counts(const store *s);
const char *store_path(const store *s);

/* As fg_store_visit, fg_store_prune and fg_store_clear. */
fg_status store_visit(store *s, fg_store_fn visit, void *user, fg_error *error);
fg_status store_prune(store *s, int64_t most_bytes, fg_store_report *report, fg_error *error);
fg_status store_clear(store *s, fg_store_report *report, fg_error *error);

#endif
