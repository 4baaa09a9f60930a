#include "element.h"

#include <string.h>

/* ---- 16-bit floats, in integers: sign, `exponent` bits, `fraction` bits ---- */

static uint16_t pack(double value, int fraction, int exponent)
{
    uint64_t bits, hidden = UINT64_C(1) << 52;
    memcpy(&bits, &value, sizeof bits);
    uint64_t sign = bits >> 63 << 15, infinity = ((UINT64_C(1) << exponent) - 1) << fraction;
    if (isnan(value)) return (uint16_t)(sign | infinity | UINT64_C(1) << (fraction - 1));
    int biased = (int)(bits >> 52 & 2047) - 1023 + (1 << (exponent - 1)) - 1;
    int shift = 52 - fraction + (biased < 1 ? 1 - biased : 0); /* subnormal by so many places */
    if (shift > 54) return (uint16_t)sign;                     /* below half of the smallest */
    uint64_t whole = (bits & (hidden - 1)) | hidden, half = UINT64_C(1) << (shift - 1);
    uint64_t code = whole >> shift, rest = whole & (2 * half - 1);
    code += rest > half || (rest == half && (code & 1));
    if (biased > 1)
        code += (uint64_t)(biased - 1) << fraction; /* the hidden bit adds the one left out */
    return (uint16_t)(sign | (code > infinity ? infinity : code));
}

static double unpack(uint16_t code, int fraction, int exponent)
{
    int bias = (1 << (exponent - 1)) - 1, top = (1 << exponent) - 1;
    int field = code >> fraction & top, rest = code & ((1 << fraction) - 1);
    double value = field ? rest + (1 << fraction) : rest;
    double magnitude = ldexp(value, (field ? field : 1) - bias - fraction);
    if (field == top) magnitude = rest ? (double)NAN : HUGE_VAL;
    return code >> 15 ? -magnitude : magnitude;
}

/* ---- The table ---- */

static double saturate(double value, double least, double most)
{
    if (isnan(value)) return 0;
    double whole = nearbyint(value); /* in the default rounding: to even */
    return whole < least ? least : whole > most ? most : whole;
}

/* E(name, C type, what `x` of that type is as a double, what the double `v` becomes) */
#define ELEMENT(name, type, to, from)                                                              \
    static double load_##name(const void *element)                                                 \
    {                                                                                              \
        type x;                                                                                    \
        memcpy(&x, element, sizeof x);                                                             \
        return to;                                                                                 \
    }                                                                                              \
    static void store_##name(void *element, double v)                                              \
    {                                                                                              \
        type x = from;                                                                             \
        memcpy(element, &x, sizeof x);                                                             \
    }

ELEMENT(f64, double, x, v)
ELEMENT(f32, float, (double)x, (float)v)
ELEMENT(f16, uint16_t, unpack(x, 10, 5), pack(v, 10, 5))
ELEMENT(bf16, uint16_t, unpack(x, 7, 8), pack(v, 7, 8))
ELEMENT(i64, int64_t, (double)x, (int64_t)saturate(v, (double)INT64_MIN, 0x1.fffffffffffffp62))
ELEMENT(i32, int32_t, x, (int32_t)saturate(v, INT32_MIN, INT32_MAX))
ELEMENT(u8, uint8_t, x, (uint8_t)saturate(v, 0, UINT8_MAX))

static const element_type types[] = {
    { "f64", 2, 64, 0x1p-53, load_f64, store_f64 },
    { "f32", 2, 32, 0x1p-24, load_f32, store_f32 },
    { "f16", 2, 16, 0x1p-11, load_f16, store_f16 },
    { "bf16", 4, 16, 0x1p-8, load_bf16, store_bf16 },
    { "i64", 0, 64, 0, load_i64, store_i64 },
    { "i32", 0, 32, 0, load_i32, store_i32 },
    { "u8", 1, 8, 0, load_u8, store_u8 },
};

const element_type *element_find(DLDataType type)
{
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        if (types[k].code == type.code && types[k].bits == type.bits && type.lanes == 1)
            return &types[k];
    return NULL;
}
