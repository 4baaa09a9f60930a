/* The manual against what it tells of: --help, the problem's table of fields, the public header. */
#include "gen/core/problem.h"
#include "tests/support.h"
#include "tests/support_command.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Sets of names ---- */

enum { names_max = 128 };

typedef struct names {
    int count;
    char name[names_max][40];
} names;

static bool names_have(const names *n, const char *name)
{
    for (int k = 0; k < n->count; k++)
        if (strcmp(n->name[k], name) == 0) return true;
    return false;
}

/* Adds the name at the start of `from`, in which \- is a -. */
static void names_add(names *n, const char *from)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    char name[sizeof *n->name] = "";
    for (size_t k = 0; *from == '\\' || (*from && strchr(allowed, *from)); from++) {
        if (*from == '\\') continue;
        ck_assert_uint_lt(k + 1, sizeof name);
        name[k++] = *from;
    }
    if (!*name || names_have(n, name)) return;
    ck_assert_int_lt(n->count, names_max);
    strcpy(n->name[n->count++], name);
}

/* The names behind each `before` that starts a line. */
static names names_of_lines(const char *lines, const char *before)
{
    names n = { 0 };
    for (const char *line = lines; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, before, strlen(before)) == 0) names_add(&n, line + strlen(before));
    }
    return n;
}

static void assert_within(const names *inner, const names *outer, const char *where)
{
    for (int k = 0; k < inner->count; k++)
        ck_assert_msg(names_have(outer, inner->name[k]), "%s lacks %s", where, inner->name[k]);
}

/* ---- The pages ---- */

static char *read_source(const char *name)
{
    char *path = support_path(name), *bytes = support_read(path, NULL);
    ck_assert_msg(bytes != NULL, "cannot read %s", path);
    free(path);
    return bytes;
}

static char *read_page(const char *page)
{
    char name[100];
    snprintf(name, sizeof name, "cli/man/%s", page);
    return read_source(name);
}

static names commands(void)
{
    outcome help = assert_works(RUN("--help"));
    names n = names_of_lines(help.out, "  flashgen ");
    outcome_free(&help);
    ck_assert(names_have(&n, "run"));
    return n;
}

static void check_options(const char *command)
{
    char name[80];
    snprintf(name, sizeof name, "flashgen-%s.1", command);
    outcome help = assert_works(RUN(command, "--help"));
    char *page = read_page(name);
    const names told = names_of_lines(help.out, "  --");
    const names written = names_of_lines(page, ".It Fl Fl ");
    ck_assert(names_have(&told, "help"));
    assert_within(&told, &written, name);
    assert_within(&written, &told, help.out);
    free(page);
    outcome_free(&help);
}

START_TEST(pages_have_the_options_of_help)
{
    enter_folder();
    const names all = commands();
    for (int k = 0; k < all.count; k++) check_options(all.name[k]);
    leave_folder();
}
END_TEST

START_TEST(every_command_has_a_page_and_is_listed)
{
    names pages = { 0 };
    char *path = support_path("cli/man");
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strncmp(entry->d_name, "flashgen-", 9) == 0) names_add(&pages, entry->d_name + 9);
    closedir(dir);
    free(path);
    enter_folder();
    const names all = commands();
    leave_folder();
    char *page = read_page("flashgen.1");
    const names listed = names_of_lines(page, ".It Xr flashgen-");
    free(page);
    assert_within(&pages, &all, "flashgen --help");
    assert_within(&all, &listed, "flashgen.1");
    assert_within(&listed, &pages, "cli/man");
}
END_TEST

/* ---- What else they tell of ---- */

/* Whether `key` is one of those that an item of a list is about. */
static bool names_key(const char *page, const char *key)
{
    char line[256], padded[48];
    snprintf(padded, sizeof padded, " %s ", key);
    for (const char *at = page; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        size_t length = strcspn(at, "\n");
        if (strncmp(at, ".It Cm ", 7) != 0) continue;
        snprintf(line, sizeof line, "%.*s ", (int)length, at);
        if (strstr(line, padded)) return true;
    }
    return false;
}

START_TEST(every_key_of_a_problem_is_told)
{
    char *page = read_page("flashgen.1");
    for (size_t k = 0; k < problem_field_count; k++)
        ck_assert_msg(names_key(page, problem_fields[k].key), "flashgen.1 lacks %s",
                      problem_fields[k].key);
    free(page);
}
END_TEST

/* The name before the first parenthesis of each declaration. */
static names functions_declared(const char *header)
{
    names n = { 0 };
    for (const char *at = strstr(header, "\nFG_API "); at; at = strstr(at + 1, "\nFG_API ")) {
        const char *open = strchr(at, '('), *name = open;
        while (name > at && name[-1] != ' ' && name[-1] != '*') name--;
        names_add(&n, name);
    }
    return n;
}

static names functions_told(const char *page)
{
    static const char before[] = "Fn fg_";
    names n = { 0 };
    for (const char *at = strstr(page, before); at; at = strstr(at + 1, before))
        names_add(&n, at + strlen("Fn "));
    return n;
}

START_TEST(every_function_is_told)
{
    char *header = read_source("include/flashgen.h"), *page = read_page("flashgen.3");
    const names functions = functions_declared(header), told = functions_told(page);
    ck_assert(names_have(&functions, "fg_run"));
    assert_within(&functions, &told, "flashgen.3");
    assert_within(&told, &functions, "flashgen.h");
    free(header);
    free(page);
}
END_TEST

/* In place, as roff prints it. */
static void unescape(char *page)
{
    char *to = page;
    for (const char *from = page; *from; from++) {
        if (*from == '\\')
            *to++ = *++from == 'e' ? '\\' : *from;
        else
            *to++ = *from;
    }
    *to = 0;
}

START_TEST(the_example_is_one_that_is_compiled)
{
    char *page = read_page("flashgen.3"), *example = read_source("examples/host.c");
    unescape(page);
    ck_assert_ptr_nonnull(strstr(page, example));
    free(page);
    free(example);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        pages_have_the_options_of_help,      every_command_has_a_page_and_is_listed,
        every_key_of_a_problem_is_told,      every_function_is_told,
        the_example_is_one_that_is_compiled, NULL
    };
    return support_run("man", tests);
}
