/* Elements of tensors to what kernels compute in and back, bit by bit. */
/* ctest: shards=2 */
#include "tests/arithmetic.h"

#include <math.h>

enum { halves = 1 << 16, most = 1 << 18, padding = 64 };

/* Elements and reals, with room beside them that stays as it is. */
static _Alignas(64) unsigned char elements[8 * most + 2 * padding], reals[8 * most + 2 * padding];
static double values[most];

static dtype real_type(const arithmetic *part)
{
    return part->wide ? DTYPE_f64 : DTYPE_f32;
}

static size_t size_of(dtype type)
{
    return dtypes[type].bits / 8u;
}

static double real_at(const arithmetic *part, int k)
{
    return dtype_load(real_type(part), reals + padding + (size_t)k * size_of(real_type(part)));
}

static bool same(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

static void name_entry(char out[32], const char *what, dtype type)
{
    snprintf(out, 32, "%s_%s", what, dtypes[type].name);
}

/* ---- Loading ---- */

/* Every half; of wider types the same numbers, and what rounds. */
static void fill_elements(dtype type, int n)
{
    rng r = rng_new(41, type);
    for (int k = 0; k < n; k++) {
        unsigned char *at = elements + padding + (size_t)k * size_of(type);
        const uint16_t bits = (uint16_t)k;
        if (size_of(type) == 2)
            memcpy(at, &bits, 2);
        else
            dtype_store(type, at, ldexp(rng_normal(&r), (int)rng_between(&r, -160, 130)));
    }
}

/* What element `index` is as a real. */
static double element_as_real(const arithmetic *part, dtype type, int index)
{
    const double x = dtype_load(type, elements + padding + (size_t)index * size_of(type));
    return part->wide ? x : (double)(float)x;
}

static void load_all(const arithmetic *part, dtype type, const char *what, bool thirds)
{
    char name[32];
    const int n = thirds ? halves / 3 / 64 * 64 : halves;
    const int start = thirds ? halves - 1 : 0, step = thirds ? -3 : 1;
    name_entry(name, what, type);
    fill_elements(type, halves);
    arithmetic_moves(part, name)(elements + padding + (size_t)start * size_of(type),
                                 reals + padding, n);
    for (int k = 0; k < n; k++) {
        const double want = element_as_real(part, type, start + k * step);
        ck_assert_msg(same(real_at(part, k), want), "%s: %s of element %d is %a, not %a",
                      part->what, name, start + k * step, real_at(part, k), want);
    }
}

/* Bytes beside `size` ones at `block + padding` are still 0x5a. */
static bool is_alone(const unsigned char *block, size_t size)
{
    bool alone = true;
    for (int k = 0; k < padding; k++)
        alone = alone && block[k] == 0x5a && block[padding + size + (size_t)k] == 0x5a;
    return alone;
}

/* Rows of any length, from any address. */
static void load_rows(const arithmetic *part, dtype type)
{
    char name[32];
    name_entry(name, "load_row", type);
    fill_elements(type, halves);
    for (int n = 0; n <= 3 * part->lanes + 1; n++) {
        unsigned char *odd = elements + padding + halves * size_of(type) + 1;
        memcpy(odd, elements + padding + 0x3c00 * size_of(type), (size_t)n * size_of(type));
        memset(reals, 0x5a, 8192);
        arithmetic_moves(part, name)(odd, reals + padding, n);
        for (int k = 0; k < n; k++)
            ck_assert(same(real_at(part, k), element_as_real(part, type, 0x3c00 + k)));
        ck_assert_msg(is_alone(reals, (size_t)n * size_of(real_type(part))), "%s: %s of %d",
                      part->what, name, n);
    }
}

static void gather_ints(const arithmetic *part, dtype type)
{
    char name[32];
    static int got[halves];
    const int n = 4096;
    name_entry(name, "gather", type);
    for (int k = 0; k < 3 * n; k++) {
        const double x = type == DTYPE_u8 ? k % 256 : k * -700001.0;
        dtype_store(type, elements + padding + (size_t)k * size_of(type), x);
    }
    arithmetic_moves(part, name)(elements + padding + (size_t)(3 * n - 1) * size_of(type), got, n);
    for (int k = 0; k < n; k++) {
        const void *at = elements + padding + (size_t)(3 * n - 1 - 3 * k) * size_of(type);
        ck_assert_double_eq(got[k], dtype_load(type, at));
    }
}

static const dtype floats[] = { DTYPE_f32, DTYPE_f64, DTYPE_bf16, DTYPE_f16 };

static void load_each(const arithmetic *part)
{
    for (int k = 0; k < 4; k++) {
        load_all(part, floats[k], "load_row", false);
        load_all(part, floats[k], "gather", true);
        if (size_of(floats[k]) == 2) load_all(part, floats[k], "load", false);
        load_rows(part, floats[k]);
    }
    gather_ints(part, DTYPE_i32);
    gather_ints(part, DTYPE_u8);
}

/* ---- Storing ---- */

static double beside(const arithmetic *part, double x, double to)
{
    return part->wide ? nextafter(x, to) : (double)nextafterf((float)x, (float)to);
}

/* Where what is next to a half rounds to infinity, the middle is as if it went on. */
static double middle_above(dtype half, uint16_t code)
{
    const uint16_t above = (uint16_t)(code + 1), below = (uint16_t)(code - 1);
    const double here = dtype_load(half, &code), next = dtype_load(half, &above);
    return isinf(next) ? here + (here - dtype_load(half, &below)) / 2 : (here + next) / 2;
}

/* Each half, what lies in the middle between two, and the next reals on both sides of each: a way round over
 * f32 would round some twice. Then any bits. */
static int draw_values(const arithmetic *part, dtype half)
{
    int n = 0;
    rng r = rng_new(42, half);
    for (uint16_t code = 0; code < 0x8000; code++) {
        const double sign = code % 2 ? -1 : 1, here = sign * dtype_load(half, &code);
        const double middle = sign * middle_above(half, code);
        values[n++] = here;
        values[n++] = beside(part, here, HUGE_VAL);
        values[n++] = beside(part, here, -HUGE_VAL);
        values[n++] = middle;
        values[n++] = beside(part, middle, HUGE_VAL);
        values[n++] = beside(part, middle, -HUGE_VAL);
    }
    for (; n < most; n++) {
        const uint64_t bits = rng_next(&r);
        values[n] = dtype_load(part->wide && n % 2 ? DTYPE_f64 : DTYPE_f32, &bits);
    }
    const dtype type = real_type(part);
    for (int k = 0; k < n; k++)
        dtype_store(type, reals + padding + (size_t)k * size_of(type), values[k]);
    return n;
}

static void ck_element(const arithmetic *part, dtype type, const char *name, int index,
                       double value)
{
    unsigned char want[8];
    const unsigned char *got = elements + padding + (size_t)index * size_of(type);
    dtype_store(type, want, value);
    const double here = dtype_load(type, got), right = dtype_load(type, want);
    ck_assert_msg(same(here, right), "%s: %s of %a is %a, not %a", part->what, name, value, here,
                  right);
}

static void store_all(const arithmetic *part, dtype type, const char *what)
{
    char name[32];
    name_entry(name, what, type);
    const int n = draw_values(part, type == DTYPE_bf16 ? type : DTYPE_f16);
    arithmetic_moves(part, name)(reals + padding, elements + padding, n);
    for (int k = 0; k < n; k++) ck_element(part, type, name, k, real_at(part, k));
}

/* Rows of any length, to any address. */
static void store_rows(const arithmetic *part, dtype type)
{
    char name[32];
    name_entry(name, "store_row", type);
    for (int n = 0; n <= 3 * part->lanes + 1; n++) {
        memset(elements, 0x5a, 8192);
        arithmetic_moves(part, name)(reals + padding, elements + padding + 1, n);
        ck_assert_int_eq(elements[padding], 0x5a);
        memmove(elements + padding, elements + padding + 1, 4096);
        for (int k = 0; k < n; k++) ck_element(part, type, name, k, real_at(part, k));
        ck_assert_msg(is_alone(elements, (size_t)n * size_of(type)), "%s: %s of %d", part->what,
                      name, n);
    }
}

static void store_each(const arithmetic *part)
{
    for (int k = 0; k < 4; k++) {
        store_all(part, floats[k], "store_row");
        store_all(part, floats[k], "store");
        store_rows(part, floats[k]);
    }
}

/* Compiling takes longest: once for both. */
static void each(const arithmetic *part)
{
    load_each(part);
    store_each(part);
}

START_TEST(every_half_and_what_lies_between)
{
    arithmetic_each(each);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { every_half_and_what_lies_between, NULL };
    if (!lua_folder_make()) return 1;
    const int failed = support_run("convert", tests);
    lua_folder_remove();
    return failed;
}
