/* Stores that are only read: after the own one, and never written to. */
#include "tests/store_support.h"

static void share(const char *name, int n)
{
    store *s = store_here();
    put_numbered(s, STORE_kernel, n, NULL);
    store_close(s);
    ck_assert_int_eq(rename(in("store"), in("%s", name)), 0);
    ck_assert_int_eq(chmod(in("%s", name), 0755), 0);
}

static store *sharing(const char *names, const store_calls *calls)
{
    char paths[512] = "";
    for (const char *name = names; *name; name++)
        snprintf(paths + strlen(paths), sizeof paths - strlen(paths), "%s:", in("shared%c", *name));
    return store_with(in("store"), paths, calls, NULL);
}

START_TEST(shared)
{
    share("shared1", 1);
    share("shared2", 2);
    store *s = sharing("012", NULL); /* shared0 is missing: no matter */
    ck_assert(get_numbered(s, STORE_kernel, 1));
    ck_assert(get_numbered(s, STORE_kernel, 2));
    ck_assert(!get_numbered(s, STORE_kernel, 3));
    ck_assert(!exists(in("store")));
    put_numbered(s, STORE_kernel, 3, NULL);
    ck_assert(get_numbered(s, STORE_kernel, 3));
    ck_counts(s, 3, 1, 0, 1, 0);
    ck_assert_int_eq(entries(in("shared1/kernel")), 1);
    ck_assert_int_eq(entries(in("shared2/kernel")), 1);
    ck_assert_int_eq(warnings, 0);
    store_close(s);
}
END_TEST

/* Damage in one store has the next one asked. */
START_TEST(shared_after_damage)
{
    share("shared1", 1);
    share("shared2", 1);
    store *s = sharing("12", NULL);
    put_numbered(s, STORE_kernel, 1, NULL);
    ck_assert_int_eq(truncate(path_of(STORE_kernel, 1), 100), 0);
    char name[600];
    snprintf(name, sizeof name, "%s/kernel/%s", in("shared1"),
             strrchr(path_of(STORE_kernel, 1), '/') + 1);
    ck_assert_int_eq(truncate(name, 200), 0);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    ck_counts(s, 1, 0, 2, 1, 0);
    store_close(s);
}
END_TEST

static int touched;

static int note_touch(int fd, const struct timespec times[2])
{
    touched++;
    return futimens(fd, times);
}

/* Neither its times, nor by prune and clear. */
START_TEST(shared_is_never_written)
{
    fg_error error;
    fg_store_report report = { 1, 1, 1, 1 };
    store_calls calls = store_calls_system;
    share("shared1", 1);
    char name[600];
    snprintf(name, sizeof name, "%s/kernel/%s", in("shared1"),
             strrchr(path_of(STORE_kernel, 1), '/') + 1);
    struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    ck_assert_int_eq(utimensat(AT_FDCWD, name, times, 0), 0);
    calls.futimens = note_touch;
    store *s = sharing("1", &calls);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    ck_assert_int_eq(touched, 0);
    ck_assert_int_eq(store_prune(s, 0, &report, &error), FG_OK);
    ck_assert_int_eq((int)(report.removed + report.left), 0);
    ck_assert_int_eq(store_clear(s, &report, &error), FG_OK);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    store_close(s);
    s = store_with("", in("shared1"), NULL, NULL); /* no own one */
    ck_assert_ptr_null(store_path(s));
    ck_assert(get_numbered(s, STORE_kernel, 1));
    put_numbered(s, STORE_kernel, 2, NULL);
    ck_counts(s, 1, 0, 0, 0, 0);
    ck_assert_int_eq(store_prune(s, 0, NULL, &error), FG_OK);
    ck_assert_int_eq(store_visit(s, no_visit, NULL, &error), FG_OK);
    ck_assert_int_eq(entries(in("shared1/kernel")), 1);
    store_close(s);
}
END_TEST

START_TEST(shared_refused)
{
    store_calls calls = store_calls_system;
    share("shared1", 1);
    share("shared2", 1);
    ck_assert_int_eq(chmod(in("shared1"), 0775), 0);
    store *s = sharing("12", NULL);
    for (int n = 0; n < 3; n++) ck_assert(get_numbered(s, STORE_kernel, 1));
    ck_assert_int_eq(warnings, 1);
    ck_assert_msg(strstr(warning, in("shared1")) && strstr(warning, "others may write"), "%s",
                  warning);
    store_close(s);

    calls.fstat = fstat_of_another;
    faked_owner = 0; /* root may share */
    s = sharing("2", &calls);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    faked_owner = geteuid() + 4242;
    ck_assert(!get_numbered(s, STORE_kernel, 1));
    ck_assert_int_eq(warnings, 2);
    ck_assert_msg(strstr(warning, "another user") != NULL, "%s", warning);
    store_close(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        shared, shared_after_damage, shared_is_never_written, shared_refused, NULL,
    };
    return support_run("store_shared", tests);
}
