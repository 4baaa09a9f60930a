/* ctest: timeout=600 */
/* The built command as its users see it: words, sentences, exit codes. */
#include "tests/support.h"
#include "tests/support_command.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL "dtype=f32 b=1 hq=2 sq=40 d=16"

/* ---- Words and help ---- */

START_TEST(help_and_version_are_printed)
{
    static const char *const words[][2] = {
        { "run", "--check[=full]" }, { "emit", "--lines" },          { "bench", "--list FILE" },
        { "tune", "--budget S" },    { "store", "--max-bytes N[K" }, { "info", "--json" },
    };
    enter_folder();
    outcome all = assert_works(RUN("--help"));
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        outcome o = assert_works(RUN(words[k][0], "--help"));
        ck_assert_msg(strstr(o.out, words[k][1]) && strstr(o.out, "--compiler CC"), "%s", o.out);
        ck_assert_ptr_nonnull(strstr(all.out, words[k][0]));
        outcome_free(&o);
    }
    ck_assert_ptr_null(strstr(all.out, "worker"));
    ck_assert_msg(strstr(all.out, "softcap=X") && strstr(all.out, "tensor=NAME"), "%s", all.out);
    outcome_free(&all);
    outcome version = assert_works(RUN("--version"));
    ck_assert_msg(strncmp(version.out, "flashgen ", 9) == 0, "%s", version.out);
    outcome_free(&version);
    leave_folder();
}
END_TEST

START_TEST(wrong_requests_name_the_culprit)
{
    static const struct {
        const char *words[7];
        const char *says;
    } cases[] = {
        { { "runn" }, "'runn' is no command: run, emit, bench, tune, store or info (see --help)" },
        { { "run" }, "a problem is missing" },
        { { "run", "dtype=f32", "b=1" }, "'b=1' is one word too many" },
        { { "run", SMALL, "--nope" }, "--nope" },
        { { "run", SMALL, "-x" }, "-x" },
        { { "run", SMALL, "--q" }, "--q needs a value" },
        { { "run", SMALL, "--json=1" }, "--json takes no value" },
        { { "run", SMALL, "--draw", "-1" }, "--draw takes a whole number" },
        { { "run", SMALL, "--seed", "-1" }, "--seed takes a whole number from 0 to 2^64 - 1" },
        { { "run", SMALL, "--seed", "18446744073709551616" }, "not '18446744073709551616'" },
        { { "run", SMALL, "--seed", "18446744073709551615" }, "the problem has no dropout" },
        { { "run", SMALL, "--sq", "40" }, "--sq 40 goes with sq=*" },
        { { "run", SMALL, "--sinks", "flat.npy" }, "--sinks gives flat.npy" },
        { { "run", SMALL, "--block-table", "flat.npy" }, "no input block_table" },
        { { "run", SMALL, "--check=most" }, "--check=most" },
        { { "run", SMALL, "--target", "metal" }, "--target 'metal'" },
        { { "run", SMALL, "--target", "sm_1" }, "there is no device \"sm_1\"" },
        { { "run", SMALL, "--target", "cuda:" }, "there is no device \"cuda:\"" },
        { { "run", SMALL, "--rigor", "fast" }, "--rigor 'fast'" },
        { { "bench", SMALL, "--rigor", "fast" }, "--rigor 'fast'" },
        { { "run", SMALL, "--rigor", "measure", "--budget", "0" },
          "--budget takes seconds above 0" },
        { { "run", SMALL, "--budget", "2" }, "--budget goes with --rigor measure" },
        { { "run", SMALL, "--rigor", "stored", "--budget", "2" }, "not with stored" },
        { { "run", SMALL, "--isa", "sse9" }, "sse9" },
        { { "run", SMALL " colour=red" }, "colour" },
        { { "run", "dtype=f32 b=1 hq=2 sq=40" }, "d" },
        { { "run", SMALL, "--tensor", "t" }, "NAME=FILE" },
        { { "run", SMALL, "--q", "missing.npy" }, "cannot open missing.npy" },
        { { "run", SMALL, "--q", "." }, "cannot read ." },
        { { "run", SMALL, "--q", "text.npy" }, "text.npy is not a whole .npy file" },
        { { "run", SMALL, "--bias", "q.npy" }, "no input bias" },
        { { "run", SMALL, "--tensor", "t=q.npy" }, "no input t" },
        { { "run", SMALL, "--lse", "l.npy" }, "does not ask for lse" },
        { { "run", SMALL, "--q", "flat.npy" }, "flat.npy has shape [6]" },
        { { "run", "dtype=f32 b=1 hq=2 sq=41 d=16", "--q", "q.npy" },
          "q.npy gives sq=1 (dimension 1 of its shape" },
        { { "run", "dtype=f32", "--q", "q.npy", "--k", "k.npy" }, "k.npy gives d=3" },
        { { "run", SMALL " score=@missing.lua" }, "cannot open missing.lua" },
        { { "run", SMALL " score=@brace.lua" }, "brace.lua holds a brace" },
        { { "run", SMALL " score={s +}" }, "score" },
        { { "run", SMALL, "--config", "nonsense=1" }, "nonsense" },
        { { "emit" }, "a problem is missing" },
        { { "emit", SMALL, "--q", "q.npy" }, "--q" },
        { { "bench" }, "there is no problem" },
        { { "bench", "--list", "missing.txt" }, "cannot open missing.txt" },
        { { "tune" }, "there is no problem" },
        { { "tune", SMALL, "--budget", "0" }, "--budget takes seconds above 0" },
        { { "tune", SMALL, "--budget", "0.0" }, "--budget takes seconds above 0" },
        { { "tune", SMALL, "--budget", "-1" }, "--budget takes seconds above 0" },
        { { "tune", SMALL, "--budget", "inf" }, "not 'inf'" },
        { { "tune", SMALL, "--budget", "0x10" }, "not '0x10'" },
        { { "tune", SMALL, "--budget", "1.2.3" }, "not '1.2.3'" },
        { { "tune", SMALL, "--budget", "." }, "not '.'" },
        { { "tune", SMALL " nope=1", "--budget", "1" }, "nope" },
        { { "tune", "--list", "missing.txt" }, "cannot open missing.txt" },
        { { "tune", SMALL, "--log", "missing/log" }, "missing/log" },
        { { "store" }, "what to do is missing: list, verify, prune, clear or path" },
        { { "store", "lost" }, "'lost' is not what a store does" },
        { { "store", "list", "all" }, "'all' is one word too many" },
        { { "store", "clear", "--json" }, "--json goes with list and verify" },
        { { "store", "list", "--max-bytes", "1" }, "--max-bytes goes with prune" },
        { { "store", "prune", "--store", "s", "--max-bytes", "" }, "not ''" },
        { { "store", "prune", "--store", "s", "--max-bytes", "-1" }, "not '-1'" },
        { { "store", "prune", "--store", "s", "--max-bytes", "1T" }, "not '1T'" },
        { { "store", "prune", "--store", "s", "--max-bytes", "1KK" }, "not '1KK'" },
        { { "store", "prune", "--store", "s", "--max-bytes", "9007199254740992K" },
          "not '9007199254740992K'" },
        { { "info", "all" }, "one word too many" },
        { { "worker", "bee" }, "one word too many" },
    };
    static const double zeros[8] = { 0 };
    enter_folder();
    write_text("text.npy", "no array");
    write_text("brace.lua", "s } causal {");
    write_npy("q.npy", "<f4", "False", "(1, 1, 1, 2)", zeros, 2);
    write_npy("k.npy", "<f4", "False", "(1, 1, 1, 3)", zeros, 3);
    write_npy("flat.npy", "<f4", "False", "(6,)", zeros, 6);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        assert_fails(command_run_words(cases[k].words), 2, cases[k].says);
    ck_assert_int_eq(count_files(), 5); /* no store among them */
    leave_folder();
}
END_TEST

START_TEST(a_function_error_shows_its_place)
{
    enter_folder();
    outcome o = RUN("emit", SMALL " score={s + nope}");
    ck_assert_int_eq(o.code, 2);
    const char *line = strstr(o.err, "{s + nope}"), *mark = strchr(o.err, '^');
    ck_assert_msg(line && mark, "%s", o.err);
    const char *start = line;
    while (start[-1] != '\n') start--;
    const char *mark_start = mark;
    while (mark_start[-1] != '\n') mark_start--;
    ck_assert_int_eq(mark - mark_start, line + 5 - start); /* under `nope` */
    outcome_free(&o);
    leave_folder();
}
END_TEST

/* ---- What the machine refuses ---- */

START_TEST(nothing_is_written_half)
{
    enter_folder();
    write_text("o.npy", "old");
    assert_fails(RUN("run", SMALL " lse", "--out", "o.npy", "--lse", "missing/l.npy"), 2,
                 "missing/l.npy");
    char *old = support_read("o.npy", NULL);
    ck_assert_str_eq(old, "old");
    free(old);
    ck_assert_int_eq(count_files(), 1);
    outcome device = assert_works(RUN("run", SMALL, "--out", "/dev/null"));
    outcome_free(&device);
    struct stat info;
    ck_assert(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
    assert_fails(RUN("run", SMALL, "--out", "/dev/full"), 3, "/dev/full");
    leave_folder();
}
END_TEST

START_TEST(a_link_is_written_through)
{
    enter_folder();
    write_text("real.npy", "old");
    ck_assert_int_eq(symlink("real.npy", "link.npy"), 0);
    outcome o = assert_works(RUN("run", SMALL, "--out", "link.npy"));
    outcome_free(&o);
    struct stat info;
    ck_assert(lstat("link.npy", &info) == 0 && S_ISLNK(info.st_mode));
    loaded real = load_npy("real.npy");
    ck_assert_int_eq(real.header.rank, 4);
    free(real.bytes);
    leave_folder();
}
END_TEST

START_TEST(an_output_that_cannot_be_printed_is_told)
{
    const int outs[] = { -1, open("/dev/full", O_WRONLY | O_CLOEXEC) };
    ck_assert_int_ge(outs[1], 0);
    for (int k = 0; k < 2; k++) {
        int stream = stream_new();
        char *argv[] = { (char *)(uintptr_t)FLASHGEN_COMMAND, (char *)(uintptr_t) "info", NULL };
        ck_assert_int_eq(command_spawn(argv, outs[k], stream), 3);
        char *err = stream_end(stream);
        ck_assert_msg(strstr(err, "cannot write to the standard output"), "%s", err);
        free(err);
    }
    close(outs[1]);
}
END_TEST

START_TEST(a_compiler_that_fails_is_told)
{
    enter_folder();
    assert_fails(RUN("run", SMALL, "--compiler", "no-such-compiler"), 3, "no-such-compiler");
    assert_fails(RUN("run", SMALL, "--compiler", "/bin/false"), 3, "/bin/false");
    leave_folder();
}
END_TEST

/* ---- emit, bench, info ---- */

START_TEST(the_first_line_compiles_the_rest)
{
    enter_folder();
    outcome o = assert_works(RUN("emit", SMALL " causal"));
    char *end = strchr(o.out, '\n');
    ck_assert_ptr_nonnull(end);
    ck_assert_msg(strncmp(o.out, "/*", 2) == 0 || strncmp(o.out, "//", 2) == 0, "%.*s",
                  (int)(end - o.out), o.out);
    ck_assert_ptr_nonnull(memmem(o.out, (size_t)(end - o.out), "-shared", 7));
    ck_assert_ptr_null(strstr(o.out, "#line"));
    outcome with = assert_works(RUN("emit", SMALL " causal", "--lines"));
    ck_assert_ptr_nonnull(strstr(with.out, "#line"));
    outcome_free(&o);
    outcome_free(&with);
    leave_folder();
}
END_TEST

/* What a run of few queries takes, and of many; each is right for all. */
START_TEST(emit_takes_sizes)
{
    static const char line[] = "dtype=f32 b=* hq=2 sq=* sk=* d=16";
    outcome few = assert_works(RUN("emit", line, "--sq", "1", "--sk", "4096"));
    outcome many = assert_works(RUN("emit", line, "--sq", "900"));
    ck_assert_msg(strstr(few.out, "void combine(") != NULL, "%s", few.out);
    ck_assert_msg(strstr(many.out, "void combine(") == NULL, "%s", many.out);
    outcome_free(&few);
    outcome_free(&many);
    outcome bad = RUN("emit", line, "--sq", "0");
    ck_assert_int_eq(bad.code, 2);
    ck_assert_msg(strstr(bad.err, "fg_dims.sq is 0") != NULL, "%s", bad.err);
    outcome_free(&bad);
}
END_TEST

START_TEST(bench_goes_through_a_list)
{
    enter_folder();
    write_text("list.txt", "# a comment\n\n# name: First\n" SMALL "\n" SMALL
                           " causal   \r\n# name: Third\n" SMALL " d=16\n");
    outcome o = RUN("bench", "--list", "list.txt", "--json", "--threads", "1");
    ck_assert_int_eq(o.code, 2); /* the third gives d twice */
    ck_assert_msg(strstr(o.err, "list.txt:7: "), "%s", o.err);
    cJSON *object = json_of(o);
    const cJSON *results = cJSON_GetObjectItem(object, "results");
    ck_assert_int_eq(cJSON_GetArraySize(results), 2);
    ck_assert_str_eq(text_in(cJSON_GetArrayItem(results, 0), "name"), "First");
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(results, 1), "name")));
    ck_assert_str_eq(text_in(cJSON_GetArrayItem(results, 1), "problem"),
                     "b=1 causal d=16 hq=2 sq=40");
    ck_assert(number_in(cJSON_GetArrayItem(results, 0), "gflops") > 0);
    ck_assert(number_in(cJSON_GetArrayItem(results, 0), "of_peak") > 0);
    double ms = number_in(cJSON_GetArrayItem(results, 0), "median_ms"),
           read = 40 * 2 * (16 + 16) * 4 / 1e6; /* millions of bytes of keys and values */
    ck_assert(fabs(number_in(cJSON_GetArrayItem(results, 0), "kv_gbs") * ms / read - 1) < 1e-6);
    ck_assert_str_eq(text_in(cJSON_GetArrayItem(results, 0), "source"), "compiled");
    ck_assert(number_in(object, "peak_gflops") > 0);
    cJSON_Delete(object);
    outcome table = assert_works(RUN("bench", SMALL, "--threads", "1"));
    ck_assert_msg(strstr(table.out, "of peak") && strstr(table.out, "b=1 d=16 hq=2 sq=40"), "%s",
                  table.out);
    outcome_free(&table);
    leave_folder();
}
END_TEST

START_TEST(bench_takes_what_a_run_takes)
{
    static const char *const cases[][5] = {
        { "bench", SMALL, "--offset", "0" },
        { "bench", SMALL, "--sq", "40" },
    };
    static const char *const says[] = { "--offset 0, but the problem has no dropout",
                                        "--sq 40 goes with sq=*" };
    enter_folder();
    for (int k = 0; k < 2; k++) {
        outcome o = command_run_words(cases[k]);
        ck_assert_int_eq(o.code, 2);
        ck_assert_msg(strstr(o.err, says[k]), "%s", o.err);
        outcome_free(&o);
    }
    leave_folder();
}
END_TEST

START_TEST(info_says_what_there_is)
{
    enter_folder();
    cJSON *object =
        json_of(assert_works(RUN("info", "--json", "--isa", "portable", "--threads", "3")));
    ck_assert_str_eq(text_in(object, "isa"), "portable");
    ck_assert(number_in(object, "threads") == 3);
    ck_assert(number_in(object, "cores") >= 1);
    ck_assert_ptr_nonnull(strstr(text_in(object, "version"), "."));
    cJSON_Delete(object);
    leave_folder();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        help_and_version_are_printed,
        wrong_requests_name_the_culprit,
        a_function_error_shows_its_place,
        nothing_is_written_half,
        a_link_is_written_through,
        an_output_that_cannot_be_printed_is_told,
        a_compiler_that_fails_is_told,
        the_first_line_compiles_the_rest,
        emit_takes_sizes,
        bench_goes_through_a_list,
        bench_takes_what_a_run_takes,
        info_says_what_there_is,
        NULL,
    };
    return support_run("cli", tests);
}
