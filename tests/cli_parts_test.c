/* Parts of the command that have rules of their own: drawing, problem lines, elements. */
#include "cli/draw.h"
#include "cli/line.h"

#include "tests/support.h"
#include "tests/support_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Parts ---- */

START_TEST(slopes_are_the_papers)
{
    for (int h = 0; h < 8; h++) ck_assert(draw_slope(h, 8) == exp2(-(h + 1)));
    for (int h = 0; h < 8; h++) ck_assert(draw_slope(h, 12) == exp2(-(h + 1))); /* of 8 heads */
    for (int h = 8; h < 12; h++)
        ck_assert(draw_slope(h, 12) == exp2(-(h - 8) - 0.5)); /* every second of 16 */
    ck_assert(draw_slope(0, 1) == exp2(-8));
    ck_assert(draw_slope(2, 3) == exp2(-2));
}
END_TEST

START_TEST(draws_are_distributed_as_said)
{
    enum { count = 40001 };
    static double values[count];
    tensor t = { .name = "q",
                 .type = element_find((DLDataType){ 2, 64, 1 }),
                 .count = count,
                 .row = 1,
                 .pitch = 1 };
    double sum = 0, squares = 0, fourth = 0;
    t.dl.data = values;
    draw(&t, 3, 0);
    for (int n = 0; n < count; n++) {
        sum += values[n];
        squares += values[n] * values[n];
        fourth += pow(values[n], 4);
    }
    ck_assert(fabs(sum / count) < 5 / sqrt(count));
    ck_assert(fabs(squares / count - 1) < 5 * sqrt(2.0 / count));
    ck_assert(fabs(fourth / count - 3) < 5 * sqrt(96.0 / count));

    static uint8_t bytes[count];
    int histogram[8] = { 0 };
    tensor u = { .name = "mask",
                 .type = element_find((DLDataType){ 1, 8, 1 }),
                 .count = count,
                 .row = 1,
                 .pitch = 1 };
    u.dl.data = bytes;
    draw(&u, 3, 0);
    for (int n = 0; n < count; n++) histogram[bytes[n]]++;
    ck_assert_int_eq(histogram[0] + histogram[1], count);
    ck_assert(abs(histogram[0] - histogram[1]) < 5 * (int)sqrt(count));
    strcpy(u.name, "ids");
    memset(histogram, 0, sizeof histogram);
    draw(&u, 3, 0);
    for (int n = 0; n < count; n++) histogram[bytes[n]]++;
    for (int k = 0; k < 8; k++)
        ck_assert(abs(histogram[k] - count / 8) < 5 * (int)sqrt(count / 8.0));
}
END_TEST

/* A tensor of i32 values of one dimension. */
static tensor integers(const char *name, int32_t *values, int64_t count)
{
    tensor t = {
        .type = element_find((DLDataType){ 0, 32, 1 }), .count = count, .row = count, .pitch = count
    };
    snprintf(t.name, sizeof t.name, "%s", name);
    t.dl.data = values;
    return t;
}

START_TEST(drawn_lengths_keep_their_bound)
{
    enum { count = 4000, bound = 6 };
    static int32_t values[count];
    int histogram[bound + 1] = { 0 };
    tensor t = integers("k_lens", values, count);
    draw(&t, 1, bound);
    for (int n = 0; n < count; n++) {
        ck_assert(values[n] >= 0 && values[n] <= bound);
        histogram[values[n]]++;
    }
    for (int k = 0; k <= bound; k++)
        ck_assert(abs(histogram[k] - count / (bound + 1)) < 5 * (int)sqrt(count / (bound + 1.0)));
    for (uint64_t seed = 0; seed < 100; seed++) { /* few, of which one is the bound all the same */
        int longest = 0;
        t.count = 1 + (int64_t)seed % 3;
        draw(&t, seed, 1000);
        for (int n = 0; n < t.count; n++)
            if (values[n] > longest) longest = values[n];
        ck_assert_int_eq(longest, 1000);
    }
}
END_TEST

START_TEST(drawn_starts_are_sums_of_lengths)
{
    int32_t values[9];
    for (uint64_t seed = 0; seed < 100; seed++) {
        int longest = 0;
        tensor t = integers("cu_q", values, 1 + (int64_t)seed % 9);
        draw(&t, seed, 50);
        ck_assert_int_eq(values[0], 0);
        for (int n = 1; n < t.count; n++) {
            int length = values[n] - values[n - 1];
            ck_assert(length >= 0 && length <= 50);
            if (length > longest) longest = length;
        }
        ck_assert_int_eq(longest, t.count > 1 ? 50 : 0);
    }
}
END_TEST

/* Every page as likely everywhere, none twice. */
START_TEST(drawn_tables_are_shuffled)
{
    enum { blocks = 5, pages = 8, draws = 4000 };
    int32_t values[blocks];
    int seen[blocks][pages] = { { 0 } }, neighbours = 0;
    for (uint64_t seed = 0; seed < draws; seed++) {
        tensor t = integers("block_table", values, blocks);
        unsigned taken = 0;
        draw(&t, seed, pages);
        for (int n = 0; n < blocks; n++) {
            ck_assert(values[n] >= 0 && values[n] < pages && !(taken >> values[n] & 1));
            taken |= 1u << values[n];
            seen[n][values[n]]++;
            neighbours += n > 0 && values[n] == values[n - 1] + 1;
        }
    }
    for (int n = 0; n < blocks; n++)
        for (int page = 0; page < pages; page++)
            ck_assert(abs(seen[n][page] - draws / pages) < 5 * (int)sqrt(draws / (double)pages));
    /* 7 of the 56 ordered pairs, for each of 4 */
    ck_assert(abs(neighbours - 4 * draws / 8) < 5 * (int)sqrt(4 * draws / 8.0));
}
END_TEST

START_TEST(wide_integers_saturate)
{
    static const double values[][2] = { { 5, 5 },
                                        { -0x1p62, -0x1p62 },
                                        { 0x1p80, 0x1.fffffffffffffp62 },
                                        { -0x1p80, -0x1p63 },
                                        { (double)NAN, 0 } };
    const element_type *i64 = element_find((DLDataType){ 0, 64, 1 });
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        int64_t element;
        i64->store(&element, values[k][0]);
        ck_assert(i64->load(&element) == values[k][1]);
    }
}
END_TEST

START_TEST(lines_are_cut_at_their_words)
{
    static const char line[] =
        " b=2\tscore={s + { b=9 } }  lse  d=64 tensor=t:f32[hq,7,sk] layout=bhsd bias=1H1K:f16";
    line_axes axes;
    ck_assert(slice_is(line_find(line, "b"), "2"));
    ck_assert(slice_is(line_find(line, "score"), "{s + { b=9 } }"));
    ck_assert(slice_is(line_find(line, "lse"), ""));
    ck_assert(slice_is(line_find(line, "d"), "64"));
    ck_assert_ptr_null(line_find(line, "s").at);
    ck_assert(line_axes_of(line, "k", &axes));
    ck_assert_int_eq(axes.dim[1], LINE_hkv);
    ck_assert_int_eq(axes.dim[2], LINE_sk);
    ck_assert(line_axes_of(line, "bias", &axes));
    ck_assert_int_eq(axes.dim[0], -1);
    ck_assert_int_eq(axes.dim[1], LINE_hq);
    ck_assert(line_axes_of(line, "t", &axes));
    ck_assert_int_eq(axes.rank, 3);
    ck_assert_int_eq(axes.dim[0], LINE_hq);
    ck_assert_int_eq(axes.dim[1], -1);
    ck_assert_int_eq(axes.dim[2], LINE_sk);
    ck_assert(!line_axes_of(line, "u", &axes));
}
END_TEST

/* The axes, separated by spaces; "?" is a number of its own. */
static void assert_axes(const char *line, const char *name, const char *expected)
{
    char text[100] = "";
    line_axes axes = { 0 };
    if (!line_axes_of(line, name, &axes)) strcpy(text, "none ");
    for (int k = 0; k < axes.rank; k++) {
        strcat(text, axes.dim[k] < 0 ? "?" : line_dim_names[axes.dim[k]]);
        strcat(text, " ");
    }
    text[strlen(text) - 1] = 0;
    ck_assert_str_eq(text, expected);
}

START_TEST(axes_follow_lengths_and_pages)
{
    static const char packed[] = "lens=packed lse bias=1HQK", paged[] = "page=4 layout=bhsd sinks",
                      padded[] = "lens=padded layout=bhsd", both[] = "lens=packed page=4";
    assert_axes(packed, "q", "total_q hq d");
    assert_axes(packed, "k", "total_k hkv d");
    assert_axes(packed, "o", "total_q hq dv");
    assert_axes(packed, "lse", "hq total_q");
    assert_axes(packed, "bias", "? hq sq sk");
    assert_axes(packed, "cu_q", "starts");
    assert_axes(packed, "q_lens", "none");
    assert_axes(packed, "block_table", "none");
    assert_axes(paged, "q", "b hq sq d");
    assert_axes(paged, "v", "pages ? hkv dv"); /* whatever the layout */
    assert_axes(paged, "block_table", "b blocks");
    assert_axes(paged, "sinks", "hq");
    assert_axes(paged, "cu_k", "none");
    assert_axes(padded, "k", "b hkv sk d");
    assert_axes(padded, "k_lens", "b");
    assert_axes(padded, "sinks", "none");
    assert_axes(both, "k", "pages ? hkv d");
    assert_axes(both, "q", "total_q hq d");
}
END_TEST

START_TEST(odd_lines_end)
{
    static const char *const lines[] = { "",      " ",   "=",   "a=",       "=a",   "a={",
                                         "a={{}", "a=}", "{ }", "a={}b={}", "\n=\n" };
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        const char *rest = lines[k];
        slice key, value;
        int count = 0;
        while (line_next(&rest, &key, &value)) ck_assert_int_lt(count++, 10);
        ck_assert_msg(rest == lines[k] + strlen(lines[k]) || strspn(rest, " \n") == strlen(rest),
                      "'%s'", lines[k]);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        slopes_are_the_papers,
        draws_are_distributed_as_said,
        drawn_lengths_keep_their_bound,
        drawn_starts_are_sums_of_lengths,
        drawn_tables_are_shuffled,
        wide_integers_saturate,
        lines_are_cut_at_their_words,
        axes_follow_lengths_and_pages,
        odd_lines_end,
        NULL,
    };
    return support_run("cli_parts", tests);
}
