/* The element types: every code of the small floats against values found by counting up. */
#include "gen/core/dtype.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* How a small float is laid out, said a second time. */
typedef struct layout {
    dtype type;
    int fraction_bits;
    double smallest;
    uint32_t finite; /* codes without sign, from 0 */
    double beyond;   /* what a value too large becomes */
} layout;

static const layout layouts[] = {
    { DTYPE_f16, 10, 0x1p-24, 0x7c00, INFINITY },
    { DTYPE_bf16, 7, 0x1p-133, 0x7f80, INFINITY },
    { DTYPE_e4m3, 3, 0x1p-9, 0x7f, 448 },
};

static uint32_t code_of(dtype type, double x)
{
    uint32_t code = 0;
    dtype_store(type, &code, x);
    return code;
}

static double value_of(dtype type, uint32_t code)
{
    return dtype_load(type, &code);
}

static uint32_t sign_of(dtype type)
{
    return 1u << (dtypes[type].bits - 1);
}

/* x and -x both become `code`. */
static void expect_code(dtype type, double x, uint32_t code)
{
    ck_assert_msg(code_of(type, x) == code, "%s: %a is %x and not %x", dtypes[type].name, x,
                  code_of(type, x), code);
    ck_assert_uint_eq(code_of(type, -x), code | sign_of(type));
}

/* Counting up, the step doubles after each full set of fractions but the first. */
static void check_between(const layout *l, uint32_t code, double here, double next)
{
    double middle = (here + next) / 2;
    ck_assert_double_eq(value_of(l->type, code), here);
    ck_assert_double_eq(value_of(l->type, code | sign_of(l->type)), -here);
    expect_code(l->type, here, code);
    expect_code(l->type, nextafter(middle, 0), code);
    if (code + 1 == l->finite) return;
    expect_code(l->type, middle, code % 2 ? code + 1 : code);
    expect_code(l->type, nextafter(middle, next), code + 1);
}

START_TEST(every_small_float)
{
    const layout *l = &layouts[_i];
    double here = 0, step = l->smallest;
    for (uint32_t code = 0; code < l->finite; code++) {
        if (code >> l->fraction_bits > 1 && code % (1u << l->fraction_bits) == 0) step *= 2;
        check_between(l, code, here, here + step);
        here += step;
    }
}
END_TEST

START_TEST(too_large_for_a_small_float)
{
    const layout *l = &layouts[_i];
    double largest = value_of(l->type, l->finite - 1);
    double step = largest - value_of(l->type, l->finite - 2), half = largest + step / 2;
    double above[] = { half, nextafter(half, HUGE_VAL), 2 * largest, 1e300, DBL_MAX, HUGE_VAL };
    for (size_t k = 0; k < sizeof above / sizeof *above; k++) {
        ck_assert_double_eq(value_of(l->type, code_of(l->type, above[k])), l->beyond);
        ck_assert_double_eq(value_of(l->type, code_of(l->type, -above[k])), -l->beyond);
    }
    expect_code(l->type, nextafter(half, 0), l->finite - 1);
}
END_TEST

START_TEST(too_small_for_a_small_float)
{
    const layout *l = &layouts[_i];
    expect_code(l->type, 0, 0);
    expect_code(l->type, l->smallest / 2, 0);
    expect_code(l->type, nextafter(l->smallest / 2, 1), 1);
    expect_code(l->type, DBL_MIN, 0);
    expect_code(l->type, 0x1p-1074, 0);
}
END_TEST

START_TEST(nan_stays_nan)
{
    const dtype floats[] = { DTYPE_f32, DTYPE_f16, DTYPE_bf16, DTYPE_f64, DTYPE_e4m3 };
    for (size_t k = 0; k < sizeof floats / sizeof *floats; k++) {
        double element = 0;
        dtype_store(floats[k], &element, (double)NAN);
        ck_assert_msg(isnan(dtype_load(floats[k], &element)), "%s", dtypes[floats[k]].name);
    }
    for (uint32_t fraction = 1; fraction < 0x400; fraction++)
        ck_assert(isnan(value_of(DTYPE_f16, 0x7c00 + fraction)));
    for (uint32_t fraction = 1; fraction < 0x80; fraction++)
        ck_assert(isnan(value_of(DTYPE_bf16, 0xff80 + fraction)));
    ck_assert(isnan(value_of(DTYPE_e4m3, 0x7f)) && isnan(value_of(DTYPE_e4m3, 0xff)));
}
END_TEST

START_TEST(zero_keeps_its_sign)
{
    for (dtype t = DTYPE_f32; t <= DTYPE_e4m3; t++) {
        double element = 0;
        dtype_store(t, &element, -0.0);
        ck_assert_msg(signbit(dtype_load(t, &element)), "%s", dtypes[t].name);
    }
}
END_TEST

/* From double at once: a way round over f32 would round twice. */
START_TEST(rounds_once)
{
    expect_code(DTYPE_f16, 1 + 0x1p-11 + 0x1p-50, 0x3c01);
    expect_code(DTYPE_f16, 1 + 0x1p-11 - 0x1p-50, 0x3c00);
    expect_code(DTYPE_bf16, 1 + 0x1p-8 + 0x1p-50, 0x3f81);
    expect_code(DTYPE_f32, 1 + 0x1p-24, 0x3f800000);
    expect_code(DTYPE_f32, 1 + 0x1p-24 + 0x1p-50, 0x3f800001);
    expect_code(DTYPE_f32, 1 + 0x1.8p-23, 0x3f800002);
}
END_TEST

static const struct {
    dtype type;
    double from, to;
} whole[] = {
    { DTYPE_i32, 2.5, 2 },
    { DTYPE_i32, 3.5, 4 },
    { DTYPE_i32, -2.5, -2 },
    { DTYPE_i32, -3.5, -4 },
    { DTYPE_i32, 1e10, INT32_MAX },
    { DTYPE_i32, -1e10, INT32_MIN },
    { DTYPE_i32, HUGE_VAL, INT32_MAX },
    { DTYPE_i32, (double)NAN, 0 },
    { DTYPE_i32, INT32_MIN, INT32_MIN },
    { DTYPE_u8, 0.5, 0 },
    { DTYPE_u8, 1.5, 2 },
    { DTYPE_u8, -0.7, 0 },
    { DTYPE_u8, 254.5, 254 },
    { DTYPE_u8, 255.5, 255 },
    { DTYPE_u8, 300, 255 },
    { DTYPE_u8, -HUGE_VAL, 0 },
    { DTYPE_u8, (double)NAN, 0 },
};

START_TEST(integers_saturate)
{
    int32_t element = 0;
    dtype_store(whole[_i].type, &element, whole[_i].from);
    ck_assert_double_eq(dtype_load(whole[_i].type, &element), whole[_i].to);
}
END_TEST

START_TEST(any_address)
{
    char bytes[17];
    for (dtype t = 0; t < dtype_count; t++) {
        for (int offset = 0; offset < 8; offset++) {
            memset(bytes, 0x55, sizeof bytes);
            dtype_store(t, bytes + offset, 3);
            ck_assert_double_eq(dtype_load(t, bytes + offset), 3);
            ck_assert_int_eq(bytes[offset + dtypes[t].bits / 8], 0x55);
            if (offset) ck_assert_int_eq(bytes[offset - 1], 0x55);
        }
    }
}
END_TEST

START_TEST(units)
{
    for (dtype t = DTYPE_f32; t <= DTYPE_e4m3; t++) {
        double u = dtype_unit_roundoff(t), element = 0;
        dtype_store(t, &element, 1 + 2 * u);
        ck_assert_double_eq(dtype_load(t, &element), 1 + 2 * u);
        dtype_store(t, &element, 1 + u);
        ck_assert_double_eq(dtype_load(t, &element), 1);
    }
    ck_assert_double_eq(dtype_unit_roundoff(DTYPE_f32), 0x1p-24);
    ck_assert_double_eq(dtype_unit_roundoff(DTYPE_i32), 0);
    ck_assert_double_eq(dtype_tiny(DTYPE_f32), (double)FLT_TRUE_MIN);
    ck_assert_double_eq(dtype_tiny(DTYPE_f64), DBL_TRUE_MIN);
    for (size_t k = 0; k < sizeof layouts / sizeof *layouts; k++) {
        ck_assert_double_eq(dtype_tiny(layouts[k].type), layouts[k].smallest);
    }
    ck_assert_double_eq(dtype_tiny(DTYPE_u8), 1);
}
END_TEST

START_TEST(names)
{
    for (dtype t = 0; t < dtype_count; t++)
        ck_assert_int_eq(dtype_find(dtypes[t].name, strlen(dtypes[t].name)), t);
    ck_assert_int_eq(dtype_find("f32x", 3), DTYPE_f32);
    ck_assert_int_eq(dtype_find("f32x", 4), dtype_count);
    ck_assert_int_eq(dtype_find("f3", 2), dtype_count);
    ck_assert_int_eq(dtype_find("", 0), dtype_count);
    ck_assert_int_eq(dtype_find("F32", 3), dtype_count);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dtype");
    TCase *floats = tcase_create("floats"), *others = tcase_create("others");
    const int small = sizeof layouts / sizeof *layouts;
    tcase_add_loop_test(floats, every_small_float, 0, small);
    tcase_add_loop_test(floats, too_large_for_a_small_float, 0, small);
    tcase_add_loop_test(floats, too_small_for_a_small_float, 0, small);
    tcase_add_test(floats, nan_stays_nan);
    tcase_add_test(floats, zero_keeps_its_sign);
    tcase_add_test(floats, rounds_once);
    tcase_add_loop_test(others, integers_saturate, 0, sizeof whole / sizeof *whole);
    tcase_add_test(others, any_address);
    tcase_add_test(others, units);
    tcase_add_test(others, names);
    suite_add_tcase(suite, floats);
    suite_add_tcase(suite, others);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
