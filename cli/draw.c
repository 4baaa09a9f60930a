#include "draw.h"

#include <string.h>

static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t word(uint64_t stream, int64_t n)
{
    return mix(stream + (uint64_t)n * UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t stream_of(const char *name, uint64_t seed)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    return mix(seed ^ hash);
}

/* In (0, 1), never an end. */
static double uniform(uint64_t bits)
{
    return ((double)(bits >> 11) + 0.5) * 0x1p-53;
}

static void draw_normal(tensor *t, uint64_t stream)
{
    for (int64_t n = 0; n < t->count; n += 2) {
        double radius = sqrt(-2 * log(uniform(word(stream, n)))), sine, cosine;
        sincos(6.283185307179586 * uniform(word(stream, n + 1)), &sine, &cosine);
        tensor_set(t, n, radius * cosine);
        if (n + 1 < t->count) tensor_set(t, n + 1, radius * sine);
    }
}

double draw_slope(int64_t head, int64_t heads)
{
    int64_t power = 1;
    while (power <= heads / 2) power *= 2;
    if (head < power) return exp2(-8 * (double)(head + 1) / (double)power);
    return exp2(-8 * (double)(2 * (head - power) + 1) / (double)(2 * power));
}

static void draw_slopes(tensor *t, uint64_t stream, int64_t bound)
{
    (void)stream;
    (void)bound;
    for (int64_t n = 0; n < t->count; n++) tensor_set(t, n, draw_slope(n, t->count));
}

static void draw_mask(tensor *t, uint64_t stream, int64_t bound)
{
    (void)bound;
    for (int64_t n = 0; n < t->count; n++) tensor_set(t, n, (double)(word(stream, n) >> 63));
}

static int64_t below(uint64_t stream, int64_t n, int64_t count)
{
    return (int64_t)(word(stream, n) % (uint64_t)count);
}

/* One of `count`. */
static int64_t one_length(uint64_t stream, int64_t n, int64_t count, int64_t bound)
{
    return n == below(stream, count, count) ? bound : below(stream, n, bound + 1);
}

static void draw_lengths(tensor *t, uint64_t stream, int64_t bound)
{
    for (int64_t n = 0; n < t->count; n++)
        tensor_set(t, n, (double)one_length(stream, n, t->count, bound));
}

static void draw_starts(tensor *t, uint64_t stream, int64_t bound)
{
    int64_t start = 0;
    for (int64_t n = 0; n < t->count; n++) {
        tensor_set(t, n, (double)start);
        if (n + 1 < t->count) start += one_length(stream, n, t->count - 1, bound);
    }
}

/* Fisher and Yates from the inside out; of more pages than blocks, a sample. */
static void draw_table(tensor *t, uint64_t stream, int64_t bound)
{
    for (int64_t n = 0; n < bound && t->count > 0; n++) {
        int64_t at = below(stream, n, n + 1);
        if (n < t->count) tensor_set(t, n, tensor_at(t, at));
        if (at < t->count) tensor_set(t, at, (double)n);
    }
}

static const struct {
    const char *name;
    void (*draw)(tensor *t, uint64_t stream, int64_t bound);
} named[] = {
    { "slopes", draw_slopes },     { "mask", draw_mask },   { "q_lens", draw_lengths },
    { "k_lens", draw_lengths },    { "cu_q", draw_starts }, { "cu_k", draw_starts },
    { "block_table", draw_table },
};

void draw(tensor *t, uint64_t seed, int64_t bound)
{
    uint64_t stream = stream_of(t->name, seed);
    for (size_t k = 0; k < sizeof named / sizeof *named; k++) {
        if (strcmp(named[k].name, t->name) != 0) continue;
        named[k].draw(t, stream, bound);
        return;
    }
    if (t->type->unit_roundoff > 0)
        draw_normal(t, stream);
    else
        for (int64_t n = 0; n < t->count; n++) tensor_set(t, n, (double)(word(stream, n) >> 61));
}
