/* ctest: timeout=600 */
/* flashgen tune as its users see it, on a problem and pins that leave a handful of points. */
#include "tests/support.h"
#include "tests/support_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL     "dtype=f32 b=1 hq=2 sq=40 d=16"
#define CANONICAL "b=1 d=16 hq=2 sq=40"
#define PINS      "keys=64 mk=4 order=heads"
#define TUNE(...) RUN("tune", "--threads", "1", "--budget", "0.7", "--config", PINS, __VA_ARGS__)

static int count_of(const char *seen, const char *part)
{
    int n = 0;
    while ((seen = strstr(seen, part))) {
        seen += strlen(part);
        n++;
    }
    return n;
}

static void assert_code(const outcome *o, int code)
{
    ck_assert_msg(o->code == code, "exit code %d, not %d: %s", o->code, code, o->err);
}

/* ---- Lists ---- */

#define LIST "# name: First\n" SMALL "\n" SMALL " nope=1\n\n# name: Last\n" SMALL " causal\n"

START_TEST(a_bad_line_ends_the_run)
{
    enter_folder();
    write_text("list.txt", LIST);
    outcome o = TUNE("--list", "list.txt");
    assert_code(&o, 2);
    ck_assert_msg(strstr(o.err, "list.txt:3: unknown key 'nope'"), "%s", o.err);
    ck_assert_msg(strstr(o.out, "First") && !strstr(o.out, "Last"), "%s", o.out);
    outcome_free(&o);
    leave_folder();
}
END_TEST

START_TEST(keep_going_skips_a_bad_line)
{
    enter_folder();
    write_text("list.txt", LIST);
    outcome o = TUNE("--list", "list.txt", "--keep-going");
    assert_code(&o, 2);
    ck_assert_msg(strstr(o.err, "list.txt:3: unknown key 'nope'"), "%s", o.err);
    ck_assert_msg(strstr(o.err, "flashgen: 1 of 3 problems failed\n"), "%s", o.err);
    ck_assert_msg(strstr(o.out, "First ") && strstr(o.out, "Last "), "%s", o.out);
    ck_assert_int_eq(count_of(o.out, "\n"), 3); /* a header and two rows */
    outcome_free(&o);
    leave_folder();
}
END_TEST

/* No schedule takes f64: 3, worse than the 2 of a bad line. */
START_TEST(the_exit_code_is_the_worst)
{
    enter_folder();
    write_text("list.txt", "dtype=e4m3 b=1 hq=1 sq=8 d=8\n" SMALL " nope=1\n");
    outcome o = TUNE("--list", "list.txt", "--keep-going");
    assert_code(&o, 3);
    ck_assert_msg(strstr(o.err, "list.txt:1: ") && strstr(o.err, "list.txt:2: "), "%s", o.err);
    ck_assert_str_eq(o.out, "");
    outcome_free(&o);
    leave_folder();
}
END_TEST

START_TEST(the_place_in_a_problem_is_shown)
{
    enter_folder();
    outcome o = RUN("tune", SMALL " nope=1", "--keep-going");
    assert_code(&o, 2);
    ck_assert_msg(strstr(o.err, SMALL " nope") && strchr(o.err, '^'), "%s", o.err);
    outcome_free(&o);
    leave_folder();
}
END_TEST

/* ---- A search ---- */

/* Every line of the log is JSON and of this problem; how many are measurements. */
static int check_log(const char *path)
{
    char *lines = support_read(path, NULL), *rest = lines;
    int measured = 0;
    ck_assert_ptr_nonnull(lines);
    while (*rest) {
        cJSON *line = cJSON_Parse(strsep(&rest, "\n"));
        ck_assert_msg(line && rest, "%s", lines);
        ck_assert_str_eq(text_in(line, "problem"), CANONICAL);
        ck_assert_ptr_nonnull(strstr(text_in(line, "config"), "keys=64"));
        ck_assert(number_in(line, "elapsed") >= 0);
        if (strcmp(text_in(line, "status"), "measured") == 0) {
            ck_assert(number_in(line, "runs") > 0 && number_in(line, "seconds") > 0);
            ck_assert(number_in(line, "spread") >= 0);
            measured++;
        }
        cJSON_Delete(line);
    }
    free(lines);
    return measured;
}

START_TEST(open_sizes_are_asked_for)
{
    static const char open[] = "dtype=f32 b=* hq=2 sq=* sk=40 d=16";
    assert_fails(TUNE(open), 2, "b is given at launch (*): a search needs a size");
    assert_fails(TUNE(open, "--b", "3"), 2, "sq is given at launch (*): a search needs a size");
    assert_fails(TUNE(open, "--b", "3", "--sq", "0"), 2, "fg_dims.sq is 0: it must be 1 to");
    assert_fails(TUNE(open, "--b", "18446744073709551615"), 2, "it must be 1 to 1048576");
    assert_fails(TUNE(open, "--b", "x"), 2, "--b takes a whole number");
}
END_TEST

START_TEST(a_winner_is_found_stored_and_run)
{
    enter_folder();
    outcome o = TUNE(SMALL, "--store", "s", "--json", "--log", "log.jsonl");
    assert_code(&o, 0);
    cJSON *first = json_of(o);
    ck_assert_str_eq(text_in(first, "problem"), CANONICAL);
    ck_assert(cJSON_IsFalse(cJSON_GetObjectItem(first, "stored")));
    ck_assert(number_in(first, "legal") >= 2 && number_in(first, "measured") >= 1);
    ck_assert(number_in(first, "seconds") > 0 && number_in(first, "estimate_seconds") > 0);
    ck_assert_int_ge(check_log("log.jsonl"), 1);

    cJSON *second = json_of(assert_works(TUNE(SMALL, "--store", "s", "--json")));
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(second, "stored")));
    ck_assert_str_eq(text_in(second, "config"), text_in(first, "config"));
    cJSON *run = json_of(assert_works(RUN("run", SMALL, "--threads", "1", "--store", "s", "--rigor",
                                          "stored", "--config", PINS, "--check", "--json")));
    ck_assert_str_eq(text_in(run, "config"), text_in(first, "config"));
    ck_assert_str_eq(text_in(run, "source"), "store");
    cJSON_Delete(first);
    cJSON_Delete(second);
    cJSON_Delete(run);
    assert_fails(RUN("run", SMALL " causal", "--threads", "1", "--store", "s", "--rigor", "stored"),
                 3, "");
    leave_folder();
}
END_TEST

START_TEST(a_search_is_told_in_plain_lines)
{
    enter_folder();
    outcome o = TUNE(SMALL, "--explain", "--exhaustive"); /* all of the handful */
    assert_code(&o, 0);
    ck_assert_msg(strpbrk(o.err, "\r\x1b") == NULL, "%s", o.err);
    ck_assert_msg(strstr(o.err, "flashgen: " SMALL ": measuring, "), "%s", o.err);
    ck_assert_msg(strpbrk(o.out, "\r\x1b") == NULL, "%s", o.out);
    ck_assert_msg(strstr(o.out, "estimate ms") && strstr(o.out, "\n" SMALL " "), "%s", o.out);
    ck_assert_msg(strstr(o.out, "  space: ") && strstr(o.out, "the others break:\n"), "%s", o.out);
    ck_assert_msg(strstr(o.out, "    keys       64         in all of them\n"), "%s", o.out);
    ck_assert_msg(strstr(o.out, "    vectors    ") && strstr(o.out, ", median "), "%s", o.out);
    outcome_free(&o);
    leave_folder();
}
END_TEST

START_TEST(in_process_and_exhaustive_find_one_too)
{
    enter_folder();
    outcome o = RUN("tune", SMALL, "--threads", "1", "--config", PINS, "--exhaustive",
                    "--in-process", "--json");
    assert_code(&o, 0);
    cJSON *object = json_of(o);
    ck_assert(number_in(object, "measured") + number_in(object, "rejected") ==
              number_in(object, "legal"));
    cJSON_Delete(object);
    leave_folder();
}
END_TEST

/* ---- On a terminal ---- */

/* As much as a message holds. */
static const char *end_of(const char *seen)
{
    size_t length = strlen(seen), most = 2000;
    return length > most ? seen + length - most : seen;
}

/* Columns up to the escape that ends a drawn line. */
static int columns_of(const char *line)
{
    int n = 0;
    for (; *line && *line != '\x1b'; line++) n += (*line & 0xc0) != 0x80; /* no continuation byte */
    return n;
}

/* The bar's lines fit, the last is erased, and but for them there are only sentences. */
static void check_terminal(const char *seen, int columns)
{
    int drawn = 0, erased = 0;
    for (const char *at = seen; (at = strchr(at, '\r')); at++) {
        if (at[1] == '\n') continue;
        int width = columns_of(at + 1);
        ck_assert_msg(width < columns, "%d columns: %s", width, end_of(seen));
        drawn += width > 0;
        erased = width > 0 ? 0 : erased + 1;
    }
    ck_assert_msg(drawn > 0 && erased > 0 && strstr(seen, "  compiling  "), "%s", end_of(seen));
    for (const char *at = strrchr(seen, '\x1b'); (at = strstr(at, "\r\n")) && at[2]; at += 2)
        ck_assert_msg(strncmp(at + 2, "flashgen: ", 10) == 0, "%s", end_of(seen));
}

START_TEST(a_bar_is_drawn_and_erased)
{
    enter_folder();
    const char *words[] = {
        "tune", "--threads", "1", "--budget", "1", "--config", PINS, SMALL, NULL
    };
    outcome o = command_on_terminal(words, 50, NULL);
    assert_code(&o, 0);
    check_terminal(o.err, 50);
    ck_assert_msg(strstr(o.out, "estimate ms") && !strpbrk(o.out, "\r\x1b"), "%s", o.out);
    outcome_free(&o);
    leave_folder();
}
END_TEST

START_TEST(ctrl_c_cancels_in_order)
{
    enter_folder();
    const char *words[] = { "tune", "--threads", "1", "--budget", "60", SMALL, NULL };
    outcome o = command_on_terminal(words, 100, "measuring");
    ck_assert_msg(o.code == 128 + 2, "%d: %s", o.code, end_of(o.err));
    check_terminal(o.err, 100);
    ck_assert_msg(strstr(o.err, "\r\x1b[Kflashgen: interrupted\r\n"), "%s", end_of(o.err));
    ck_assert_str_eq(o.out, "");
    outcome_free(&o);
    leave_folder();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_bad_line_ends_the_run,
        keep_going_skips_a_bad_line,
        the_exit_code_is_the_worst,
        the_place_in_a_problem_is_shown,
        open_sizes_are_asked_for,
        a_winner_is_found_stored_and_run,
        a_search_is_told_in_plain_lines,
        in_process_and_exhaustive_find_one_too,
        a_bar_is_drawn_and_erased,
        ctrl_c_cancels_in_order,
        NULL,
    };
    return support_run("cli_tune", tests);
}
