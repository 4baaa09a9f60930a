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

void draw(tensor *t, uint64_t seed)
{
    uint64_t stream = stream_of(t->name, seed);
    bool mask = strcmp(t->name, "mask") == 0;
    if (strcmp(t->name, "slopes") == 0) {
        for (int64_t n = 0; n < t->count; n++) tensor_set(t, n, draw_slope(n, t->count));
    } else if (t->type->unit_roundoff == 0) {
        for (int64_t n = 0; n < t->count; n++)
            tensor_set(t, n, (double)(word(stream, n) >> (mask ? 63 : 61)));
    } else {
        draw_normal(t, stream);
    }
}
