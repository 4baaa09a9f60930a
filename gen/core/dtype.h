/* The element types, in one table. */
#ifndef GEN_CORE_DTYPE_H
#define GEN_CORE_DTYPE_H

#include "flashgen.h"

#include <stdbool.h>

/* X(name, DLPack code, bits, mantissa bits with the hidden one; 0 for integers) */
/* clang-format off */
#define DTYPES(X)                                                                                  \
    X(f32, 2, 32, 24)                                                                              \
    X(f16, 2, 16, 11)                                                                              \
    X(bf16, 4, 16, 8)                                                                              \
    X(f64, 2, 64, 53)                                                                              \
    X(e4m3, 10, 8, 4)                                                                              \
    X(i32, 0, 32, 0)                                                                               \
    X(u8, 1, 8, 0)

typedef enum dtype {
#define DTYPE_ENUM(name, code, bits, mantissa) DTYPE_##name,
    DTYPES(DTYPE_ENUM)
#undef DTYPE_ENUM
    dtype_count
} dtype;
/* clang-format on */

typedef struct dtype_facts {
    const char *name;
    uint8_t code, bits, mantissa;
} dtype_facts;

extern const dtype_facts dtypes[dtype_count];

/* By name; dtype_count when there is none. */
dtype dtype_find(const char *name, size_t length);
double dtype_load(dtype type, const void *element);
/* Rounds to nearest, ties to even; integers saturate. */
void dtype_store(dtype type, void *element, double value);
/* Half the distance from 1 to the next number; 0 for integers. */
double dtype_unit_roundoff(dtype type);
/* The smallest positive number. */
double dtype_tiny(dtype type);

#endif
