/* Parts of the command that have rules of their own: drawing, problem lines, lengths. */
#include "cli/draw.h"
#include "cli/line.h"

#include "tests/support.h"
#include "tests/support_command.h"

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
    draw(&t, 3);
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
    draw(&u, 3);
    for (int n = 0; n < count; n++) histogram[bytes[n]]++;
    ck_assert_int_eq(histogram[0] + histogram[1], count);
    ck_assert(abs(histogram[0] - histogram[1]) < 5 * (int)sqrt(count));
    strcpy(u.name, "ids");
    memset(histogram, 0, sizeof histogram);
    draw(&u, 3);
    for (int n = 0; n < count; n++) histogram[bytes[n]]++;
    for (int k = 0; k < 8; k++)
        ck_assert(abs(histogram[k] - count / 8) < 5 * (int)sqrt(count / 8.0));
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

/* Reads the problem and makes its tensors. */
static fg_status make_tensors(tensors *t, const char *line, tensor_files *files, fg_error *error)
{
    fg_context *context;
    fg_problem *problem;
    lengths known;
    char *text = strdup(line);
    ck_assert_int_eq(fg_context_new(&context, NULL, error), FG_OK);
    ck_assert_msg(lengths_complete(&known, &text, files, error) == FG_OK, "%s", error->text);
    ck_assert_msg(fg_problem_parse(&problem, context, text, error) == FG_OK, "%s", error->text);
    fg_status s = tensors_make(t, problem, text, &known, files, 0, error);
    fg_problem_free(problem);
    fg_context_free(context);
    free(text);
    return s;
}

START_TEST(lengths_given_at_launch_come_from_files)
{
    static const double values[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    tensors t;
    tensor_files files = { 0 };
    fg_error error;
    enter_folder();
    write_npy("q.npy", "<f4", "False", "(1, 2, 2, 3)", values, 12);
    ck_assert_int_eq(tensor_files_add(&files, "--q", "q", "q.npy", &error), FG_OK);
    fg_status s =
        make_tensors(&t, "dtype=f16 b=* hq=2 sq=* sk=5 d=3 lse layout=bhsd", &files, &error);
    ck_assert_int_eq(s, FG_OK);
    const int64_t o[] = { 1, 2, 2, 3 }, lse[] = { 1, 2, 2 };
    ck_assert_mem_eq(tensors_find(&t, "o")->shape, o, sizeof o);
    ck_assert_mem_eq(tensors_find(&t, "lse")->shape, lse, sizeof lse);
    const tensor *q = tensors_find(&t, "q");
    ck_assert_int_eq(q->strides[2], 8); /* rows of 3 f16 at multiples of 16 bytes */
    ck_assert_int_eq(q->strides[0], 2 * 2 * 8);
    for (int n = 0; n < 12; n++) ck_assert(tensor_at(q, n) == n + 1);
    ck_assert(!q->drawn && tensors_find(&t, "k")->drawn);
    tensors_free(&t);
    tensor_files_free(&files);
    ck_assert_int_eq(make_tensors(&t, "dtype=f16 b=1 hq=2 sq=* sk=5 d=3", &files, &error),
                     FG_REQUEST);
    ck_assert_msg(strstr(error.text, "sq is given at launch"), "%s", error.text);
    tensors_free(&t);
    leave_folder();
}
END_TEST

START_TEST(odd_lines_end)
{
    static const char *const lines[] = { "",      " ",   "=",   "a=",       "=a",   "a={",
                                         "a={{}", "a=}", "{ }", "a={}b={}", "\n=\n" };
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        const char *rest = lines[k];
        slice key, value;
        int words = 0;
        while (line_next(&rest, &key, &value)) ck_assert_int_lt(words++, 10);
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
        lines_are_cut_at_their_words,
        lengths_given_at_launch_come_from_files,
        odd_lines_end,
        NULL,
    };
    return support_run("cli_parts", tests);
}
