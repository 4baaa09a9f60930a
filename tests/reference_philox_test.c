/* ctest: timeout=120 */
/* Dropout's random bits: known answers, which bits an element takes, and whether what is kept looks random. */
#include "runtime/reference_philox.h"

#include "tests/support.h" /* last: Check has a macro named fail */

#include <math.h>
#include <stdlib.h>

/* ---- Philox4x32-10 ---- */

/* Random123's kat_vectors. */
START_TEST(known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        uint32_t out[4];
        reference_philox(out, known[k].counter, known[k].key);
        ck_assert_mem_eq(out, known[k].out, sizeof out);
    }
}
END_TEST

/* ---- Which bits ---- */

/* The other way round: from each half word of each call to the element that takes it. */
START_TEST(every_half_word_is_one_element)
{
    enum { rows = 6, columns = 64, head = 7 };
    const reference_dropout at = { UINT64_C(0x1122334455667788), UINT64_C(0x99aabbccddeeff00), 0 };
    int seen[rows][columns] = { 0 };
    for (uint32_t y = 0; y < rows / 2; y++)
        for (uint32_t x = 0; x < columns / 4; x++) {
            const uint32_t counter[4] = { x, y, head, 0xddeeff00 };
            const uint32_t key[2] = { 0x55667788, 0x11223344 ^ 0x99aabbcc };
            uint32_t word[4];
            reference_philox(word, counter, key);
            for (uint32_t n = 0; n < 8; n++) { /* n: 4 (row) + 2 (upper eight columns) + half */
                int64_t i = 2 * y + n / 4, j = 16 * (x / 4) + 2 * (x % 4) + 8 * (n / 2 % 2) + n % 2;
                uint32_t half = n % 2 ? word[n / 2] >> 16 : word[n / 2] & 0xffff;
                reference_dropout just = at, above = at;
                just.threshold = half;
                above.threshold = half + 1;
                ck_assert(reference_keeps(&just, head, i, j));
                ck_assert(!reference_keeps(&above, head, i, j));
                seen[i][j]++;
            }
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) ck_assert_int_eq(seen[i][j], 1);
}
END_TEST

START_TEST(thresholds_at_the_ends)
{
    reference_dropout none = { 1, 2, 0 }, all = { 1, 2, 65536 }, half = { 1, 2, 32768 };
    for (int64_t n = 0; n < 1 << 16; n++) {
        ck_assert(reference_keeps(&none, 0, n >> 8, n & 255));
        ck_assert(!reference_keeps(&all, 0, n >> 8, n & 255));
    }
    ck_assert(reference_dropout_scale(&none) == 1);
    ck_assert(reference_dropout_scale(&half) == 2);
    ck_assert(reference_dropout_scale(&all) == 0);
}
END_TEST

/* ---- Whether it looks random ---- */

enum { side = 8192, words = side / 64, some = 1024 };

/* So many rows of one head, `side` elements each. */
typedef struct field {
    int64_t rows;
    double share; /* that is kept, if all is well */
    int64_t kept, row[side], column[side];
    uint64_t bits[side][words]; /* of row i: bit j % 64 of word j / 64 */
} field;

static field *field_new(const reference_dropout *d, int64_t head, int64_t rows)
{
    field *f = calloc(1, sizeof *f);
    ck_assert_ptr_nonnull(f);
    f->rows = rows;
    f->share = 1 - (double)d->threshold / 65536;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < side; j++) {
            if (!reference_keeps(d, head, i, j)) continue;
            f->bits[i][j / 64] |= UINT64_C(1) << j % 64;
            f->row[i]++;
            f->column[j]++;
        }
    for (int64_t i = 0; i < rows; i++) f->kept += f->row[i];
    return f;
}

/* How many standard deviations a count of `draws`, each of chance p, is off. */
static double deviations(double count, double draws, double p)
{
    return (count - draws * p) / sqrt(draws * p * (1 - p));
}

/* Chi-square of counts of so many draws each, in standard deviations. */
static double chi_square(const int64_t *count, int64_t counts, int64_t draws, double p)
{
    double sum = 0, n = (double)counts;
    for (int64_t k = 0; k < counts; k++)
        sum += pow(deviations((double)count[k], (double)draws, p), 2);
    return (sum - n) / sqrt(2 * n);
}

/* 64 bits of a row from column j on; columns wrap. */
static uint64_t bits_from(const uint64_t row[words], int64_t j)
{
    int64_t word = j / 64 % words, shift = j % 64;
    uint64_t low = row[word] >> shift;
    return shift ? low | row[(word + 1) % words] << (64 - shift) : low;
}

/* The pairs so many rows and columns apart that are alike: the root of chi-square, with a sign. */
static double alike(const field *f, const field *other, int64_t rows, int64_t columns)
{
    double p = f->share, count = 0;
    for (int64_t i = 0; i < f->rows; i++) {
        const uint64_t *a = f->bits[i], *b = other->bits[(i + rows) % f->rows];
        for (int64_t w = 0; w < words; w++)
            count += __builtin_popcountll(~(a[w] ^ bits_from(b, 64 * w + columns)));
    }
    return deviations(count, (double)f->rows * side, p * p + (1 - p) * (1 - p));
}

/* Half of all: whether a pair is alike says nothing of another pair, then. */
static const reference_dropout fair = { UINT64_C(0x243f6a8885a308d3), UINT64_C(0x13198a2e03707344),
                                        32768 };

static void check_counts(const field *f)
{
    double all = deviations((double)f->kept, (double)f->rows * side, f->share);
    double rows = chi_square(f->row, f->rows, side, f->share);
    double columns = chi_square(f->column, side, f->rows, f->share);
    ck_assert_msg(fabs(all) < 5 && fabs(rows) < 5 && fabs(columns) < 5,
                  "share %g: all %.2f, rows %.2f, columns %.2f sigma", f->share, all, rows,
                  columns);
}

static void check_neighbours(const field *f)
{
    for (int64_t rows = 0; rows <= 4; rows++)
        for (int64_t columns = 0; columns <= 33; columns++) {
            if (rows == 0 && columns == 0) continue;
            double off = alike(f, f, rows, columns);
            ck_assert_msg(fabs(off) < 5, "%lld rows, %lld columns apart: %.2f sigma",
                          (long long)rows, (long long)columns, off);
        }
}

/* 2^26 elements. */
START_TEST(counts_and_neighbours_are_as_likely)
{
    field *f = field_new(&fair, 5, side);
    check_counts(f);
    check_neighbours(f);
    free(f);
}
END_TEST

START_TEST(counts_are_as_likely_at_any_threshold)
{
    static const int64_t thresholds[] = { 655, 6554, 45875, 64000 };
    for (size_t k = 0; k < sizeof thresholds / sizeof *thresholds; k++) {
        reference_dropout d = fair;
        d.threshold = thresholds[k];
        field *f = field_new(&d, 0, some);
        check_counts(f);
        free(f);
    }
}
END_TEST

START_TEST(heads_seeds_and_offsets_are_independent)
{
    field *f = field_new(&fair, 5, some);
    for (int k = 0; k < 5; k++) {
        reference_dropout d = fair;
        if (k == 1) d.seed ^= 1;
        if (k == 2) d.seed ^= UINT64_C(1) << 32;
        if (k == 3) d.offset ^= 1;
        if (k == 4) d.offset ^= UINT64_C(1) << 32;
        field *other = field_new(&d, k == 0 ? 6 : 5, some);
        double off = alike(f, other, 0, 0);
        ck_assert_msg(fabs(off) < 5, "case %d: %.2f sigma", k, off);
        free(other);
    }
    free(f);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        known_answers,
        every_half_word_is_one_element,
        thresholds_at_the_ends,
        counts_and_neighbours_are_as_likely,
        counts_are_as_likely_at_any_threshold,
        heads_seeds_and_offsets_are_independent,
        NULL,
    };
    return support_run("reference_philox", tests);
}
