/* A search as the command shows it: the bar, the lines, what is explained and what is logged. */
#include "cli/explain.h"
#include "cli/keys.h"
#include "cli/measure.h"
#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/tune_log.h"

#include "gen/core/problem.h"
#include "tests/support.h"
#include "tests/support_command.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static fg_event event_of(fg_event_kind kind, const char *config, double seconds)
{
    return (fg_event){ .kind = kind,
                       .config = config,
                       .count = 10,
                       .seconds = seconds,
                       .spread = seconds / 100,
                       .elapsed = 2,
                       .budget = 65,
                       .done = 0.5,
                       .legal = 812,
                       .measured = 57,
                       .best_config = "keys=64",
                       .best_seconds = 1.234e-3 };
}

/* ---- The bar ---- */

static int columns_of(const char *seen)
{
    int n = 0;
    for (; *seen; seen++) n += (*seen & 0xc0) != 0x80; /* no continuation byte */
    return n;
}

static bool has_control(const char *seen)
{
    for (; *seen; seen++)
        if ((unsigned char)*seen < ' ') return true;
    return false;
}

static void check_bar(const show *s, const fg_event *e, int width)
{
    char out[2048];
    memset(out, 'x', sizeof out);
    show_format(out, sizeof out, s, e, width);
    ck_assert_msg(columns_of(out) <= (width > 1 ? width - 1 : 0), "%d: '%s'", width, out);
    ck_assert_msg(!has_control(out), "'%s'", out);
}

START_TEST(bars_fit_their_terminal)
{
    static const double parts[] = { -1, 0, 0.37, 1, 2, NAN };
    show s = { .stage = "measuring" };
    memset(s.label, 'n', sizeof s.label - 1);
    for (int width = 0; width < 700; width++) {
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
            fg_event e = event_of(FG_EVENT_TICK, NULL, 0);
            e.done = parts[k];
            s.utf8 = width % 2;
            e.best_config = width % 3 ? e.best_config : NULL;
            check_bar(&s, &e, width);
        }
    }
}
END_TEST

START_TEST(bars_tell_what_there_is)
{
    char out[2048];
    show s = { .stage = "measuring", .label = "2/7 First" };
    fg_event e = event_of(FG_EVENT_TICK, NULL, 0);
    show_format(out, sizeof out, &s, &e, 100);
    ck_assert_str_eq(out,
                     "2/7 First  measuring  ###############...............  57/812  best 1.234 ms  "
                     "1:03 left");
    s.utf8 = true;
    e.done = 1;
    e.elapsed = 80;
    show_format(out, sizeof out, &s, &e, 100);
    ck_assert_ptr_nonnull(strstr(out, "\u2588  57/812  best 1.234 ms  0:00 left"));
    e.budget = INFINITY; /* an exhaustive search: by what it did so far */
    e.done = 0.25;
    show_format(out, sizeof out, &s, &e, 100);
    ck_assert_ptr_nonnull(strstr(out, "4:00 left"));
    e.done = 0;
    show_format(out, sizeof out, &s, &e, 100);
    ck_assert_ptr_null(strstr(out, "left"));
    show_format(out, sizeof out, &s, &e, 30);
    ck_assert_str_eq(out, "measuring  57/812  best 1.234");
}
END_TEST

/* ---- On stderr ---- */

/* What a terminal was sent that nobody has open any more. */
static char *read_all(int master)
{
    enum { most = 65536 };
    char *seen = calloc(1, most);
    size_t length = 0;
    ssize_t got;
    while (length < most - 1 && (got = read(master, seen + length, most - 1 - length)) > 0)
        length += (size_t)got;
    close(master);
    return seen;
}

/* In place of stderr, for what `body` prints: a file, or a terminal whose other end is read behind it. */
static char *printed_by(void (*body)(void), bool on_terminal)
{
    char *seen = NULL;
    int kept = dup(2), master = -1, fd;
    fflush(stderr);
    if (on_terminal) {
        const struct winsize extent = { .ws_row = 24, .ws_col = 60 };
        char path[64];
        master = posix_openpt(O_RDWR | O_NOCTTY);
        ck_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        ck_assert_int_eq(ptsname_r(master, path, sizeof path), 0);
        ck_assert_int_eq(ioctl(master, TIOCSWINSZ, &extent), 0);
        fd = open(path, O_RDWR | O_NOCTTY);
    } else {
        fd = open(".stderr", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    }
    ck_assert_int_ge(fd, 0);
    dup2(fd, 2);
    body();
    fflush(stderr);
    dup2(kept, 2);
    close(kept);
    close(fd);
    if (on_terminal) seen = read_all(master);
    return seen ? seen : support_read(".stderr", NULL);
}

/* A thousand events of two leaders, a note among them. */
static void search_quickly(void)
{
    show s;
    fg_event e = event_of(FG_EVENT_SPACE, NULL, 0);
    show_start(&s, "Fi\x1b[2Jrst\n\xc3\xa4", 2, 7);
    e.measured = 0;
    e.best_config = NULL;
    show_event(&s, &e);
    for (int k = 0; k < 1000; k++) {
        e = event_of(FG_EVENT_MEASURED, "keys=64", 1e-3);
        e.best_config = k < 300 ? "keys=24" : "keys=64";
        show_event(&s, &e);
    }
    e = event_of(FG_EVENT_NOTE, NULL, 0);
    e.text = "it is close";
    show_event(&s, &e);
    show_end(&s);
}

static int count_of(const char *seen, const char *part)
{
    int n = 0;
    while ((seen = strstr(seen, part))) {
        seen += strlen(part);
        n++;
    }
    return n;
}

START_TEST(elsewhere_lines_are_few_and_plain)
{
    enter_folder();
    char *seen = printed_by(search_quickly, false);
    ck_assert_ptr_null(strpbrk(seen, "\r\x1b"));
    ck_assert_str_eq(seen, "flashgen: 2/7 Fi?[2Jrst???: measuring, 2.0 s, 57 of 812 measured, best "
                           "1.234 ms: keys=24\n"
                           "flashgen: 2/7 Fi?[2Jrst???: measuring, 2.0 s, 57 of 812 measured, best "
                           "1.234 ms: keys=64\n"
                           "flashgen: 2/7 Fi?[2Jrst???: it is close\n");
    free(seen);
    leave_folder();
}
END_TEST

START_TEST(a_terminal_has_one_line_that_goes)
{
    static const char erased[] = "\r\x1b[K";
    setenv("TERM", "xterm", 1);
    double start = measure_now();
    char *seen = printed_by(search_quickly, true);
    int most = (int)((measure_now() - start) / 0.1) + 1;
    int drawn = count_of(seen, "\r2/7 Fi?[2J");
    ck_assert_msg(drawn >= 1 && drawn <= most, "%d of %d: %s", drawn, most, seen);
    ck_assert_int_eq(count_of(seen, "\n"), 1); /* the note's */
    const char *note = strstr(seen, "flashgen: 2/7 Fi?[2Jrst???: it is close\r\n");
    ck_assert_msg(note && note >= seen + 4 && memcmp(note - 4, erased, 4) == 0, "%s", seen);
    free(seen);
}
END_TEST

static void draw_and_clear(void)
{
    terminal_clear(); /* nothing is there */
    terminal_draw("a bar");
    terminal_clear();
    terminal_clear();
}

START_TEST(a_bar_is_cleared_once)
{
    char *seen = printed_by(draw_and_clear, true);
    ck_assert_str_eq(seen, "\ra bar\x1b[K\r\x1b[K");
    free(seen);
}
END_TEST

START_TEST(a_dumb_terminal_gets_lines)
{
    setenv("TERM", "dumb", 1);
    char *seen = printed_by(search_quickly, true);
    ck_assert_ptr_null(strchr(seen, '\x1b'));
    ck_assert_int_eq(count_of(seen, "\n"), 3);
    free(seen);
}
END_TEST

/* ---- Explained ---- */

static void take(explain *x, fg_event_kind kind, const char *seen, const char *config, double value)
{
    fg_event e = { .kind = kind,
                   .text = seen,
                   .config = config,
                   .seconds = value,
                   .count = (int64_t)value,
                   .legal = 5 };
    explain_event(x, &e);
}

static const cJSON *axis_value(const cJSON *axes, const char *axis, const char *value)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, axes) if (strcmp(text_in(one, "axis"), axis) == 0 &&
                                      strcmp(text_in(one, "value"), value) == 0) return one;
    ck_abort_msg("there is no %s=%s", axis, value);
    return NULL;
}

START_TEST(axes_are_compared_by_their_values)
{
    explain x = { 0 };
    take(&x, FG_EVENT_SPACE, NULL, NULL, 100);
    take(&x, FG_EVENT_CONSTRAINT, "scratch fits", NULL, 60);
    take(&x, FG_EVENT_CONSTRAINT, "tiles are full", NULL, 35);
    take(&x, FG_EVENT_MEASURED, NULL, "keys=64 order=heads", 9); /* again below */
    take(&x, FG_EVENT_MEASURED, NULL, "keys=128 order=heads", 3);
    take(&x, FG_EVENT_MEASURED, NULL, "keys=64 order=tiles", 4);
    take(&x, FG_EVENT_MEASURED, NULL, "keys=64 order=heads", 2);
    take(&x, FG_EVENT_REJECTED, "it hung", "keys=24 order=tiles", 0);
    cJSON *object = cJSON_CreateObject();
    ck_assert(explain_json(object, &x, "keys=64 order=heads"));
    const cJSON *own = cJSON_GetObjectItem(object, "explain"),
                *axes = cJSON_GetObjectItem(own, "axes");
    ck_assert(number_in(own, "points") == 100 && number_in(own, "legal") == 5);
    const cJSON *constraints = cJSON_GetObjectItem(own, "constraints");
    ck_assert_int_eq(cJSON_GetArraySize(constraints), 2);
    ck_assert_str_eq(text_in(cJSON_GetArrayItem(constraints, 1), "name"), "tiles are full");
    ck_assert(number_in(cJSON_GetArrayItem(constraints, 1), "points") == 35);
    ck_assert_int_eq(cJSON_GetArraySize(axes), 4);
    ck_assert_str_eq(text_in(cJSON_GetArrayItem(axes, 0), "value"),
                     "64"); /* as numbers: before 128 */
    const cJSON *narrow = axis_value(axes, "keys", "64"),
                *tiles = axis_value(axes, "order", "tiles");
    ck_assert(number_in(narrow, "configs") == 2 && number_in(narrow, "best") == 1);
    ck_assert(number_in(narrow, "median") == 1.5);
    ck_assert(number_in(tiles, "configs") == 1 && number_in(tiles, "median") == 2);
    const cJSON *rejected = cJSON_GetObjectItem(own, "rejections");
    ck_assert_str_eq(text_in(cJSON_GetArrayItem(rejected, 0), "reason"), "it hung");
    cJSON_Delete(object);
    explain_free(&x);
}
END_TEST

/* ---- Logged ---- */

static fg_status log_two(const char *path, fg_error *error)
{
    tune_log log;
    fg_event e = event_of(FG_EVENT_MEASURED, "keys=64", 1.5e-3);
    ck_assert_int_eq(tune_log_open(&log, path, error), FG_OK);
    tune_log_event(&log, "b=1 d=16", &e);
    e.kind = FG_EVENT_TICK;
    tune_log_event(&log, "b=1 d=16", &e);
    e.kind = FG_EVENT_REJECTED;
    e.text = "cc said \"no\"\non two lines";
    tune_log_event(&log, "b=1 d=16", &e);
    return tune_log_close(&log, error);
}

START_TEST(the_log_grows_by_whole_lines)
{
    fg_error error;
    enter_folder();
    write_text("log", "{\"torn");
    ck_assert_int_eq(log_two("log", &error), FG_OK);
    ck_assert_int_eq(log_two("log", &error), FG_OK);
    char *seen = support_read("log", NULL), *rest = seen;
    ck_assert_str_eq(strsep(&rest, "\n"), "{\"torn");
    for (int k = 0; k < 4; k++) {
        cJSON *line = cJSON_Parse(strsep(&rest, "\n"));
        ck_assert_str_eq(text_in(line, "problem"), "b=1 d=16");
        ck_assert_str_eq(text_in(line, "config"), "keys=64");
        ck_assert_str_eq(text_in(line, "status"), k % 2 ? "rejected" : "measured");
        ck_assert(number_in(line, "elapsed") == 2);
        if (k % 2)
            ck_assert_str_eq(text_in(line, "reason"), "cc said \"no\"\non two lines");
        else
            ck_assert(number_in(line, "runs") == 10 && number_in(line, "seconds") == 1.5e-3 &&
                      number_in(line, "spread") == 1.5e-5);
        cJSON_Delete(line);
    }
    ck_assert_str_eq(rest, "");
    free(seen);
    leave_folder();
}
END_TEST

START_TEST(a_log_that_fails_is_told)
{
    fg_error error;
    ck_assert_int_eq(log_two("/dev/full", &error), FG_MACHINE);
    ck_assert_msg(strstr(error.text, "cannot write /dev/full"), "%s", error.text);
    ck_assert_int_eq(log_two(NULL, &error), FG_OK);
}
END_TEST

/* ---- Helped ---- */

START_TEST(help_lists_keys_that_problems_have)
{
    for (const key_help *k = key_helps; k->keys; k++) {
        for (const char *key = k->keys; *key; key += strspn(key, " ")) {
            size_t length = strcspn(key, " ="), word = strcspn(key, " ");
            ck_assert_msg(problem_field_find(key, length) != NULL, "%s", key);
            key += word;
        }
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        bars_fit_their_terminal,
        bars_tell_what_there_is,
        elsewhere_lines_are_few_and_plain,
        a_terminal_has_one_line_that_goes,
        a_bar_is_cleared_once,
        a_dumb_terminal_gets_lines,
        axes_are_compared_by_their_values,
        the_log_grows_by_whole_lines,
        a_log_that_fails_is_told,
        help_lists_keys_that_problems_have,
        NULL,
    };
    return support_run("cli_show", tests);
}
