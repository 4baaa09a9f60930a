/* Every allocation of the library goes through one of these, so that tests can make each one fail. */
#ifndef GEN_CORE_MEMORY_H
#define GEN_CORE_MEMORY_H

#include "flashgen.h"

typedef struct memory {
    fg_allocate_fn allocate;
    void *user;
} memory;

/* The C library's realloc and free. */
extern const memory memory_default;

/* count * size zeroed bytes; NULL on failure or overflow. */
void *memory_new(const memory *m, size_t count, size_t size);
void *memory_resize(const memory *m, void *block, size_t old_size, size_t new_size);
void memory_free(const memory *m, void *block, size_t size);
/* A copy of `length` bytes with a 0 behind them. */
char *memory_text(const memory *m, const char *text, size_t length);

/* Blocks that are freed together. */
typedef struct arena {
    const memory *memory;
    struct arena_block *blocks;
    size_t used;
} arena;

void arena_init(arena *a, const memory *m);
void arena_free(arena *a);
/* `size` bytes aligned to 16, zeroed; NULL on failure. */
void *arena_new(arena *a, size_t size);

#endif
