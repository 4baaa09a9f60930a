#include "autotune/drawn.h"

#include <math.h>
#include <string.h>

uint64_t drawn_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* In (0, 1), never an end. */
static double uniform(uint64_t *state)
{
    return ((double)(drawn_next(state) >> 11) + 0.5) * 0x1p-53;
}

/* Box and Muller 1958. */
static double normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

static double halves(uint64_t *state)
{
    return (double)(drawn_next(state) >> 63);
}

static double integers(uint64_t *state)
{
    return (double)(drawn_next(state) >> 61);
}

/* Heads beyond a power of two take those of the next that it left out. */
static double slope(int64_t head, int64_t heads)
{
    int64_t power = 1;
    while (power <= heads / 2) power *= 2;
    if (head < power) return exp2(-8 * (double)(head + 1) / (double)power);
    return exp2(-8 * (double)(2 * (head - power) + 1) / (double)(2 * power));
}

static bool by_position(const operand *o)
{
    operand_dim last = o->rank ? o->dim[o->rank - 1] : DIM_fixed;
    return last == DIM_sq || last == DIM_sk;
}

drawn_kind drawn_kind_of(const operand *o)
{
    if (strcmp(o->name, "slopes") == 0) return DRAWN_slopes;
    if (o->type == DTYPE_u8) return DRAWN_halves;
    if (dtypes[o->type].mantissa) return DRAWN_normal;
    return by_position(o) ? DRAWN_documents : DRAWN_integers;
}

/* Elements are picked from so many drawn ones, as rounding each would take a second for 2^26. */
enum { pool_bits = 12, pool_size = 1 << pool_bits, picks = 64 / pool_bits };

typedef struct pool {
    uint64_t state;
    size_t size; /* of an element */
    char element[pool_size][8];
} pool;

static double (*const values[])(uint64_t *) = {
    [DRAWN_normal] = normal,
    [DRAWN_halves] = halves,
    [DRAWN_integers] = integers,
};

static void pool_fill(pool *p, dtype type, drawn_kind kind, uint64_t seed)
{
    double value = 0;
    p->state = seed;
    p->size = dtypes[type].bits / 8u;
    for (int k = 0; k < pool_size; k++) {
        bool mirror = kind == DRAWN_normal && k % 2; /* so few would have a mean */
        value = mirror ? -value : values[kind](&p->state);
        dtype_store(type, p->element[k], value);
    }
}

static void pool_row(pool *p, char *out, int64_t count)
{
    for (int64_t c = 0; c < count; c += picks) {
        uint64_t bits = drawn_next(&p->state);
        for (int64_t k = c; k < c + picks && k < count; k++, bits >>= pool_bits)
            memcpy(out + (size_t)k * p->size, p->element[bits % pool_size], p->size);
    }
}

/* ---- What is no pick ---- */

static void fill_slopes(char *out, dtype type, int64_t heads)
{
    for (int64_t h = 0; h < heads; h++)
        dtype_store(type, out + (size_t)h * dtypes[type].bits / 8u, slope(h, heads));
}

enum { documents = 8 };

static void fill_documents(char *out, dtype type, int64_t count, uint64_t *state)
{
    double end[documents - 1];
    for (int k = 0; k < documents - 1; k++) end[k] = uniform(state);
    for (int64_t c = 0; c < count; c++) {
        int id = 0;
        for (int k = 0; k < documents - 1; k++) id += end[k] * (double)count <= (double)c;
        dtype_store(type, out + (size_t)c * dtypes[type].bits / 8u, id);
    }
}

void drawn_fill(void *data, dtype type, drawn_kind kind, int64_t rows, int64_t row, int64_t pitch,
                uint64_t seed)
{
    pool p;
    size_t step = (size_t)pitch * dtypes[type].bits / 8u;
    if (kind == DRAWN_slopes) {
        fill_slopes(data, type, row);
        return;
    }
    for (int64_t r = 0; r < rows && kind == DRAWN_documents; r++)
        fill_documents((char *)data + (size_t)r * step, type, row, &seed);
    if (kind == DRAWN_documents) return;
    pool_fill(&p, type, kind, seed);
    for (int64_t r = 0; r < rows; r++) pool_row(&p, (char *)data + (size_t)r * step, row);
}
