/* The command's .npy files and elements. */
#include "cli/npy.h"
#include "gen/core/dtype.h"

#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Files made here ---- */

typedef struct made_file {
    uint8_t *bytes; /* a block of exactly its size, so that a read beyond it is seen */
    size_t size;
} made_file;

/* A header of this version around `dict`, then `data` bytes 0, 1, 2, ... */
static made_file make_file(int version, const char *dict, size_t data)
{
    size_t length = strlen(dict), prefix = version == 1 ? 10 : 12;
    made_file f = { .size = prefix + length + data };
    f.bytes = malloc(f.size);
    memcpy(f.bytes, "\x93NUMPY", 6);
    f.bytes[6] = (uint8_t)version;
    f.bytes[7] = 0;
    for (size_t k = 8; k < prefix; k++) f.bytes[k] = (uint8_t)(length >> 8 * (k - 8));
    memcpy(f.bytes + prefix, dict, length);
    for (size_t k = 0; k < data; k++) f.bytes[prefix + length + k] = (uint8_t)k;
    return f;
}

#define DICT(descr, order, shape)                                                                  \
    "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }\n"

START_TEST(headers_that_are_right)
{
    static const struct {
        int version;
        const char *dict;
        size_t data;
        const char *type;
        int rank;
        int64_t shape[2];
    } cases[] = {
        { 1, DICT("<f4", "False", "(2, 3)"), 24, "f32", 2, { 2, 3 } },
        { 2, DICT("<f8", "False", "(3,)"), 24, "f64", 1, { 3 } },
        { 3, DICT("<f2", "True", "(2,3)"), 12, "f16", 2, { 2, 3 } },
        { 1, DICT("|u1", "False", "()"), 1, "u8", 0, { 0 } },
        { 1, DICT("|b1", "False", "(5,)"), 5, "u8", 1, { 5 } },
        { 1, DICT("<i4", "False", "(0, 7)"), 0, "i32", 2, { 0, 7 } },
        { 1, DICT("<i8", "False", "(2,)"), 16, "i64", 1, { 2 } },
        { 1,
          "{\"shape\":(2L , 1L),\"fortran_order\":False,\"descr\":\"<f4\"}",
          8,
          "f32",
          2,
          { 2, 1 } },
        { 1,
          "  { 'shape' : ( 1 , ) , 'descr' : '<f4' , 'fortran_order' : False }  \n",
          4,
          "f32",
          1,
          { 1 } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        fg_error error;
        npy_header h;
        made_file f = make_file(cases[k].version, cases[k].dict, cases[k].data);
        fg_status s = npy_parse(&h, f.bytes, f.size, "x.npy", &error);
        ck_assert_msg(s == FG_OK, "%s: %s", cases[k].dict, error.text);
        ck_assert_str_eq(h.type->name, cases[k].type);
        ck_assert_int_eq(h.rank, cases[k].rank);
        for (int n = 0; n < h.rank; n++) ck_assert_int_eq(h.shape[n], cases[k].shape[n]);
        ck_assert_uint_eq(h.data, f.size - cases[k].data);
        free(f.bytes);
    }
}
END_TEST

START_TEST(headers_that_are_wrong)
{
    static const struct {
        const char *dict;
        size_t data;
        const char *says;
    } cases[] = {
        { DICT(">f4", "False", "(1,)"), 4, "big-endian" },
        { DICT("<u4", "False", "(1,)"), 4, "elements of type <u4" },
        { DICT("<c8", "False", "(1,)"), 8, "elements of type <c8" },
        { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4,
          "not the name of one element type" },
        { DICT("<f4", "false", "(1,)"), 4, "neither True nor False" },
        { DICT("<f4", "False", "[1]"), 4, "not a tuple" },
        { DICT("<f4", "False", "(-1,)"), 4, "something else than lengths" },
        { DICT("<f4", "False", "(1.5,)"), 4, "does not end" },
        { DICT("<f4", "False", "(99999999999999999999,)"), 4, "something else than lengths" },
        { DICT("<f4", "False", "(4611686018427387904, 4)"), 4, "too large" },
        { DICT("<f8", "False", "(2305843009213693952,)"), 4, "too large" },
        { DICT("<f4", "False", "(1,1,1,1,1,1,1,1,1)"), 4, "more than 8 dimensions" },
        { DICT("<f4", "False", "(2,)"), 7, "promises 8 bytes and 7 follow" },
        { DICT("<f4", "False", "(2,)"), 9, "promises 8 bytes and 9 follow" },
        { "{'descr': '<f4', 'fortran_order': False}", 4, "lacks" },
        { "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, "twice" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}", 4, "besides" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': ()} import os", 4, "follows" },
        { "{'descr': '<f4' 'fortran_order': False, 'shape': ()}", 4, "does not end" },
        { "{'descr': '<f4", 0, "not the name" },
        { "", 0, "not a dict" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        fg_error error;
        npy_header h;
        made_file f = make_file(1, cases[k].dict, cases[k].data);
        ck_assert_int_eq(npy_parse(&h, f.bytes, f.size, "x.npy", &error), FG_REQUEST);
        ck_assert_msg(strstr(error.text, cases[k].says), "%s: %s", cases[k].dict, error.text);
        ck_assert_msg(strstr(error.text, "x.npy"), "%s", error.text);
        free(f.bytes);
    }
}
END_TEST

/* Every element that the header promises is read: under a sanitizer, none is beyond the file. */
static fg_status read_all(const uint8_t *bytes, size_t size)
{
    fg_error error;
    npy_header h;
    uint8_t *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, bytes, size);
    fg_status s = npy_parse(&h, copy, size, "x.npy", &error);
    for (int64_t n = 0; s == FG_OK && n < h.count; n++) npy_at(&h, copy, n);
    free(copy);
    return s;
}

START_TEST(cut_files_are_refused)
{
    made_file f = make_file(1, DICT("<f4", "True", "(2, 3)"), 24);
    ck_assert_int_eq(read_all(f.bytes, f.size), FG_OK);
    for (size_t size = 0; size < f.size; size++)
        ck_assert_int_eq(read_all(f.bytes, size), FG_REQUEST);
    free(f.bytes);
}
END_TEST

START_TEST(any_byte_may_be_anything)
{
    int refused = 0;
    made_file f = make_file(2, DICT("<f2", "True", "(2, 3)"), 12);
    for (size_t at = 0; at < f.size; at++) {
        uint8_t own = f.bytes[at];
        for (int byte = 0; byte < 256; byte++) {
            f.bytes[at] = (uint8_t)byte;
            refused += read_all(f.bytes, f.size) != FG_OK;
        }
        f.bytes[at] = own;
    }
    ck_assert_int_gt(refused, 10000); /* of 88 bytes, few may change */
    free(f.bytes);
}
END_TEST

START_TEST(fortran_order_is_read_in_c_order)
{
    /* In memory 0 1 2 3 4 5; as [2, 3] in Fortran order: rows 0 2 4 and 1 3 5. */
    static const double want[] = { 0, 2, 4, 1, 3, 5 };
    fg_error error;
    npy_header h;
    made_file f = make_file(1, DICT("|u1", "True", "(2, 3)"), 6);
    ck_assert_int_eq(npy_parse(&h, f.bytes, f.size, "x", &error), FG_OK);
    for (int n = 0; n < 6; n++) ck_assert(npy_at(&h, f.bytes, n) == want[n]);
    free(f.bytes);
}
END_TEST

START_TEST(written_headers_are_read)
{
    const int64_t shape[] = { INT64_C(1) << 40, 1, 0, 123456789, 7 };
    for (int rank = 0; rank <= 5; rank++) {
        char bytes[npy_max_header + 4] = "";
        fg_error error;
        npy_header h;
        size_t size = npy_write_header(bytes, rank % 2, rank, shape);
        ck_assert_uint_eq(size % 64, 0);
        size_t data =
            rank == 0 ? 4 : 0; /* a scalar has an element; [2^40] and [2^40, 1] are not here */
        fg_status s = npy_parse(&h, bytes, size + data, "x", &error);
        ck_assert_int_eq(s, rank == 1 || rank == 2 ? FG_REQUEST : FG_OK);
        if (s != FG_OK) continue;
        ck_assert_str_eq(h.type->name, rank % 2 ? "f64" : "f32");
        ck_assert_int_eq(h.rank, rank);
        ck_assert(!h.fortran);
        for (int k = 0; k < rank; k++) ck_assert_int_eq(h.shape[k], shape[k]);
    }
}
END_TEST

/* ---- Elements: against the library's own, which is written another way ---- */

static const struct {
    dtype type;
    DLDataType dl;
} pairs[] = {
    { DTYPE_f64, { 2, 64, 1 } },  { DTYPE_f32, { 2, 32, 1 } }, { DTYPE_f16, { 2, 16, 1 } },
    { DTYPE_bf16, { 4, 16, 1 } }, { DTYPE_i32, { 0, 32, 1 } }, { DTYPE_u8, { 1, 8, 1 } },
};

enum { pair_count = sizeof pairs / sizeof *pairs };

static void assert_same_store(int k, double value)
{
    const element_type *type = element_find(pairs[k].dl);
    uint8_t own[8] = { 0 }, other[8] = { 0 };
    type->store(own, value);
    dtype_store(pairs[k].type, other, value);
    if (isnan(value) && type->unit_roundoff > 0)
        ck_assert(isnan(type->load(own)));
    else
        ck_assert_msg(memcmp(own, other, 8) == 0, "%s of %.17g is %.17g and %.17g", type->name,
                      value, type->load(own), dtype_load(pairs[k].type, other));
}

START_TEST(elements_are_rounded_to_nearest_even)
{
    static const double known[] = {
        0,
        -0.0,
        1 + 0x1p-11,
        1 + 0x3p-11,
        1 + 0x1p-11 + 0x1p-40,
        1 + 0x1p-8,
        1 + 0x1p-8 + 0x1p-40,
        65519.99,
        65520,
        -65520,
        0x1p-25,
        0x1p-25 + 0x1p-60,
        0x1p-24,
        0x1p-14 - 0x1p-25,
        0x1p-134,
        0x1p-133,
        0x1p-149,
        0x1p-151,
        3.4e38,
        3.5e38,
        1e300,
        1e-300,
        5e-324,
        HUGE_VAL,
        -HUGE_VAL,
        NAN,
        0.5,
        1.5,
        2.5,
        255.5,
        -0.5,
        2147483647,
        2147483648,
        -2147483649.0,
        -7,
    };
    for (int k = 0; k < pair_count; k++)
        for (size_t n = 0; n < sizeof known / sizeof *known; n++) assert_same_store(k, known[n]);
}
END_TEST

START_TEST(drawn_elements_are_rounded_alike)
{
    uint64_t state = 1;
    for (int n = 0; n < 200000; n++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double value = ldexp((double)(int64_t)state, (int)(state >> 40 & 511) - 340);
        for (int k = 0; k < pair_count; k++) assert_same_store(k, value);
    }
}
END_TEST

START_TEST(every_code_of_16_bits_comes_back)
{
    for (int k = 0; k < pair_count; k++) {
        const element_type *type = element_find(pairs[k].dl);
        for (uint32_t code = 0; type->bits == 16 && code < 65536; code++) {
            uint16_t from = (uint16_t)code, to;
            double value = type->load(&from);
            ck_assert(value == dtype_load(pairs[k].type, &from) || isnan(value));
            type->store(&to, value);
            ck_assert_msg(to == from || isnan(value), "%s code %x", type->name, code);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        headers_that_are_right,
        headers_that_are_wrong,
        cut_files_are_refused,
        any_byte_may_be_anything,
        fortran_order_is_read_in_c_order,
        written_headers_are_read,
        elements_are_rounded_to_nearest_even,
        drawn_elements_are_rounded_alike,
        every_code_of_16_bits_comes_back,
        NULL,
    };
    return support_run("npy", tests);
}
