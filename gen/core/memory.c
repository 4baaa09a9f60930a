#include "gen/core/memory.h"

#include <stdlib.h>
#include <string.h>

static void *allocate_default(void *user, void *block, size_t old_size, size_t new_size)
{
    (void)user;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, new_size);
}

const memory memory_default = { allocate_default, NULL };

void *memory_resize(const memory *m, void *block, size_t old_size, size_t new_size)
{
    return m->allocate(m->user, block, old_size, new_size);
}

void *memory_new(const memory *m, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes == 0) return NULL;
    void *block = memory_resize(m, NULL, 0, bytes);
    if (block) memset(block, 0, bytes);
    return block;
}

void memory_free(const memory *m, void *block, size_t size)
{
    if (block) memory_resize(m, block, size, 0);
}

char *memory_text(const memory *m, const char *text, size_t length)
{
    char *copy = memory_new(m, length + 1, 1);
    if (copy) memcpy(copy, text, length);
    return copy;
}

struct arena_block {
    struct arena_block *next;
    size_t size; /* of the whole block */
};

enum { arena_header = 32, arena_step = 16384 };

void arena_init(arena *a, const memory *m)
{
    *a = (arena){ .memory = m };
}

void arena_free(arena *a)
{
    while (a->blocks) {
        struct arena_block *next = a->blocks->next;
        memory_free(a->memory, a->blocks, a->blocks->size);
        a->blocks = next;
    }
    a->used = 0;
}

static struct arena_block *arena_grow(arena *a, size_t size)
{
    size_t bytes = arena_header + (size > arena_step ? size : arena_step);
    struct arena_block *block = memory_new(a->memory, 1, bytes);
    if (!block) return NULL;
    block->next = a->blocks;
    block->size = bytes;
    a->blocks = block;
    a->used = arena_header;
    return block;
}

void *arena_new(arena *a, size_t size)
{
    if (size > SIZE_MAX / 2) return NULL;
    size = (size + 15) & ~(size_t)15;
    if (!a->blocks || a->blocks->size - a->used < size) {
        if (!arena_grow(a, size)) return NULL;
    }
    void *result = (char *)a->blocks + a->used;
    a->used += size;
    return result;
}
