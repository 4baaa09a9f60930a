/* ctest: timeout=600 */
/* flashgen store, on a store that flashgen run filled. */
#include "tests/support.h"
#include "tests/support_command.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL "dtype=f32 b=1 hq=2 sq=40 d=16"

static void fill(const char *problem, const char *source)
{
    cJSON *run = json_of(assert_works(RUN("run", problem, "--store", "s", "--json")));
    ck_assert_str_eq(text_in(run, "source"), source);
    cJSON_Delete(run);
}

static char *only_kernel(void)
{
    char *path = NULL;
    DIR *dir = opendir("s/kernel");
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            ck_assert(!path && asprintf(&path, "s/kernel/%s", entry->d_name) > 0);
    closedir(dir);
    ck_assert_ptr_nonnull(path);
    return path;
}

static void damage(const char *path)
{
    struct stat info;
    ck_assert(stat(path, &info) == 0 && info.st_size > 100);
    ck_assert_int_eq(truncate(path, info.st_size - 7), 0);
}

/* ---- Looking ---- */

START_TEST(entries_are_listed)
{
    enter_folder();
    fill(SMALL, "compiled");
    fill(SMALL, "store");
    outcome o = assert_works(RUN("store", "list", "--store", "s"));
    ck_assert_msg(strncmp(o.out, "kind ", 5) == 0 && strstr(o.out, "\nkernel "), "%s", o.out);
    ck_assert_msg(strstr(o.out, "  b=1 d=16 hq=2 sq=40") && strstr(o.out, "keys="), "%s", o.out);
    ck_assert_ptr_nonnull(strstr(o.out, " entries, "));
    outcome_free(&o);
    o = assert_works(RUN("store", "list", "--store", "s", "--json"));
    int kernels = 0;
    for (char *rest = o.out; *rest;) {
        cJSON *line = cJSON_Parse(strsep(&rest, "\n"));
        kernels += strcmp(text_in(line, "kind"), "kernel") == 0;
        ck_assert(number_in(line, "bytes") > 0 && number_in(line, "used") > 1e9);
        ck_assert(cJSON_IsNull(cJSON_GetObjectItem(line, "fault")));
        cJSON_Delete(line);
    }
    ck_assert_int_eq(kernels, 1);
    outcome_free(&o);
    leave_folder();
}
END_TEST

/* An estimate is no winner. */
START_TEST(what_is_not_stored_is_not_made)
{
    enter_folder();
    fill(SMALL, "compiled");
    assert_fails(RUN("run", SMALL, "--store", "s", "--rigor", "stored"), 3, "stored");
    outcome o = RUN("bench", SMALL, "--store", "s", "--rigor", "stored");
    ck_assert_int_eq(o.code, 3);
    outcome_free(&o);
    leave_folder();
}
END_TEST

START_TEST(damage_is_told_and_healed)
{
    enter_folder();
    fill(SMALL, "compiled");
    outcome o = assert_works(RUN("store", "verify", "--store", "s"));
    ck_assert_msg(strstr(o.out, " entries, 0 damaged\n"), "%s", o.out);
    outcome_free(&o);
    char *path = only_kernel();
    damage(path);
    o = RUN("store", "verify", "--store", "s");
    ck_assert_int_eq(o.code, 1);
    ck_assert_msg(strstr(o.out, path) && strstr(o.out, " entries, 1 damaged\n"), "%s", o.out);
    ck_assert_msg(strstr(o.err, "flashgen: 1 of "), "%s", o.err);
    outcome_free(&o);
    o = assert_works(RUN("store", "list", "--store", "s"));
    ck_assert_msg(strstr(o.out, "DAMAGED: "), "%s", o.out);
    outcome_free(&o);
    fill(SMALL, "compiled"); /* anew */
    o = assert_works(RUN("store", "verify", "--store", "s"));
    outcome_free(&o);
    free(path);
    leave_folder();
}
END_TEST

START_TEST(the_path_is_printed)
{
    char folder[4096];
    enter_folder();
    ck_assert_ptr_nonnull(getcwd(folder, sizeof folder));
    outcome o = assert_works(RUN("store", "path", "--store", "s"));
    ck_assert_msg(strcmp(o.out, "s\n") == 0 || strncmp(o.out, folder, strlen(folder)) == 0, "%s",
                  o.out);
    outcome_free(&o);
    static const char *const actions[] = { "list", "verify", "prune", "clear", "path" };
    for (size_t k = 0; k < sizeof actions / sizeof *actions; k++) {
        assert_fails(RUN("store", actions[k], "--store", "none"), 3, "nothing is kept");
        assert_fails(RUN("store", actions[k]), 3, "nothing is kept"); /* by the environment */
    }
    ck_assert_int_eq(count_files(), 0);
    leave_folder();
}
END_TEST

/* ---- Removing ---- */

START_TEST(what_is_damaged_is_pruned)
{
    enter_folder();
    fill(SMALL, "compiled");
    char *path = only_kernel();
    damage(path);
    outcome o = assert_works(RUN("store", "prune", "--store", "s"));
    ck_assert_msg(strncmp(o.out, "entries removed: 1 (", 20) == 0, "%s", o.out);
    ck_assert_int_ne(access(path, F_OK), 0);
    outcome_free(&o);
    free(path);
    leave_folder();
}
END_TEST

START_TEST(all_can_be_removed)
{
    static const char *const words[][7] = {
        { "store", "clear", "--store", "s" },
        { "store", "prune", "--store", "s", "--max-bytes", "0" },
    };
    enter_folder();
    for (int k = 0; k < 2; k++) {
        fill(SMALL, "compiled");
        outcome kept = assert_works(RUN("store", "prune", "--store", "s", "--max-bytes", "1G"));
        ck_assert_msg(strncmp(kept.out, "entries removed: 0 (0 bytes); left: ", 36) == 0, "%s",
                      kept.out);
        outcome_free(&kept);
        outcome o = assert_works(command_run_words(words[k]));
        ck_assert_msg(strstr(o.out, "left: 0 (0 bytes)\n"), "%s", o.out);
        outcome_free(&o);
    }
    leave_folder();
}
END_TEST

/* ---- Shared ---- */

START_TEST(a_shared_store_is_read_only)
{
    enter_folder();
    fill(SMALL, "compiled");
    outcome before = assert_works(RUN("store", "list", "--store", "s"));
    cJSON *run =
        json_of(assert_works(RUN("run", SMALL, "--store", "own", "--shared-store", "s", "--json")));
    ck_assert_str_eq(text_in(run, "source"), "store");
    cJSON_Delete(run);
    run = json_of(assert_works(
        RUN("run", SMALL " causal", "--store", "own", "--shared-store", "missing:s", "--json")));
    ck_assert_str_eq(text_in(run, "source"), "compiled");
    cJSON_Delete(run);
    outcome after = assert_works(RUN("store", "list", "--store", "s"));
    ck_assert_str_eq(before.out, after.out);
    outcome_free(&before);
    outcome_free(&after);
    leave_folder();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        entries_are_listed,          what_is_not_stored_is_not_made,
        damage_is_told_and_healed,   the_path_is_printed,
        what_is_damaged_is_pruned,   all_can_be_removed,
        a_shared_store_is_read_only, NULL,
    };
    return support_run("cli_store", tests);
}
