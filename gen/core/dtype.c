#include "gen/core/dtype.h"

#include <math.h>
#include <string.h>

const dtype_facts dtypes[dtype_count] = {
#define DTYPE_FACTS(name, code, bits, mantissa) { #name, code, bits, mantissa },
    DTYPES(DTYPE_FACTS)
#undef DTYPE_FACTS
};

dtype dtype_find(const char *name, size_t length)
{
    dtype t = 0;
    while (t < dtype_count &&
           !(strlen(dtypes[t].name) == length && memcmp(dtypes[t].name, name, length) == 0))
        t++;
    return t;
}

/* ---- Floats of 16 bits and fewer: sign, exponent, fraction, worked out in integers ---- */

static int exponent_bias(dtype type)
{
    return (1 << (dtypes[type].bits - dtypes[type].mantissa - 1)) - 1;
}

static bool has_infinity(dtype type)
{
    return type != DTYPE_e4m3; /* e4m3fn: its last code is NaN, and it saturates */
}

/* Codes above it, without the sign, are infinity and NaN. */
static uint32_t largest_finite(dtype type)
{
    uint32_t codes = 1u << (dtypes[type].bits - 1), fractions = 1u << (dtypes[type].mantissa - 1);
    return codes - 1 - (has_infinity(type) ? fractions : 1);
}

static double small_magnitude(dtype type, uint32_t code)
{
    int fraction_bits = dtypes[type].mantissa - 1, exponent = (int)(code >> fraction_bits);
    uint32_t hidden = 1u << fraction_bits, fraction = code & (hidden - 1);
    if (code > largest_finite(type))
        return has_infinity(type) && fraction == 0 ? HUGE_VAL : (double)NAN;
    int scale = (exponent ? exponent : 1) - exponent_bias(type) - fraction_bits;
    return ldexp(exponent ? fraction + hidden : fraction, scale);
}

static double small_value(dtype type, uint32_t code)
{
    uint32_t sign = 1u << (dtypes[type].bits - 1);
    double magnitude = small_magnitude(type, code & (sign - 1));
    return code & sign ? -magnitude : magnitude;
}

/* The upper half of an f32. */
static double bf16_value(uint16_t code)
{
    uint32_t bits = (uint32_t)code << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* value / 2^shift to nearest, ties to even; value has at most 53 bits, shift is positive */
static uint64_t shift_even(uint64_t value, int shift)
{
    if (shift >= 63) return 0;
    uint64_t half = UINT64_C(1) << (shift - 1), whole = value >> shift,
             rest = value & (2 * half - 1);
    return whole + (rest > half || (rest == half && (whole & 1)));
}

static uint32_t small_code(dtype type, double value)
{
    int fraction_bits = dtypes[type].mantissa - 1;
    uint32_t sign = signbit(value) ? 1u << (dtypes[type].bits - 1) : 0, top = largest_finite(type);
    if (isnan(value))
        return sign | (top + 1 + (has_infinity(type) ? 1u << (fraction_bits - 1) : 0));
    uint64_t bits, hidden = UINT64_C(1) << 52;
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> 52 & 2047) - 1023 + exponent_bias(type); /* as `type` biases it */
    int below = exponent < 1 ? 1 - exponent : 0; /* subnormal by so many places */
    uint64_t code = shift_even((bits & (hidden - 1)) | hidden, 52 - fraction_bits + below);
    if (!below)
        code += (uint64_t)(exponent - 1)
                << fraction_bits; /* the hidden bit adds the one left out */
    if (code > top) code = has_infinity(type) ? top + 1 : top;
    return sign | (uint32_t)code;
}

/* ---- One element ---- */

/* To the nearest whole number in range; NaN gives 0. */
static double saturate(double value, double least, double most)
{
    return isnan(value) ? 0 : fmin(fmax(rint(value), least), most);
}

/* memcpy, as a host's tensors may lie at any address. */
#define ELEMENT(name, c_type, to_double, from_double)                                              \
    static double load_##name(const void *element)                                                 \
    {                                                                                              \
        c_type x;                                                                                  \
        memcpy(&x, element, sizeof x);                                                             \
        return to_double;                                                                          \
    }                                                                                              \
    static void store_##name(void *element, double value)                                          \
    {                                                                                              \
        c_type x = (c_type)(from_double);                                                          \
        memcpy(element, &x, sizeof x);                                                             \
    }

ELEMENT(f32, float, (double)x, value)
ELEMENT(f16, uint16_t, small_value(DTYPE_f16, x), small_code(DTYPE_f16, value))
ELEMENT(bf16, uint16_t, bf16_value(x), small_code(DTYPE_bf16, value))
ELEMENT(f64, double, x, value)
ELEMENT(e4m3, uint8_t, small_value(DTYPE_e4m3, x), small_code(DTYPE_e4m3, value))
ELEMENT(i32, int32_t, x, saturate(value, INT32_MIN, INT32_MAX))
ELEMENT(u8, uint8_t, x, saturate(value, 0, UINT8_MAX))

static const struct {
    double (*load)(const void *element);
    void (*store)(void *element, double value);
} element_of[dtype_count] = {
#define DTYPE_ELEMENT(name, code, bits, mantissa) { load_##name, store_##name },
    DTYPES(DTYPE_ELEMENT)
#undef DTYPE_ELEMENT
};

double dtype_load(dtype type, const void *element)
{
    return element_of[type].load(element);
}

void dtype_store(dtype type, void *element, double value)
{
    element_of[type].store(element, value);
}

double dtype_unit_roundoff(dtype type)
{
    return dtypes[type].mantissa ? ldexp(1, -dtypes[type].mantissa) : 0;
}

double dtype_tiny(dtype type)
{
    if (dtypes[type].mantissa == 0) return 1;
    return ldexp(1, 1 - exponent_bias(type) - (dtypes[type].mantissa - 1));
}
