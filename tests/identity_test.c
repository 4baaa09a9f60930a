/* Which compiler it is: what counts, and what a look costs. */
/* ctest: labels=threads */
#include "tests/compiler_stub.h"

#include <pthread.h>
#include <sys/time.h>

/* ---- What counts ---- */

START_TEST(the_same_twice)
{
    in_folder();
    fg_context *context = context_with(FLASHGEN_KERNEL_COMPILER, NULL);
    int files = stub_open_files();
    digest first = identity(context);
    assert_same(identity(context), first);
    assert_same(fresh(FLASHGEN_KERNEL_COMPILER), first);
    fg_context_free(context);
    ck_assert_int_eq(stub_open_files(), files);
    ck_assert_int_eq(entries(folder), 0);
}
END_TEST

START_TEST(each_file_counts)
{
    static const char *const names[] = { "cc1", "our-as", "cc" };
    in_compiler_folder();
    fg_context *context = context_with(in("cc"), NULL);
    digest before = identity(context);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char *content = support_read(in(names[k]), NULL);
        content[strlen(content) - 1] ^= 1;
        write_file(names[k], content);
        digest after = identity(context);
        assert_other(after, before);
        assert_same(fresh(in("cc")), after);
        content[strlen(content) - 1] ^= 1;
        write_file(names[k], content);
        assert_same(identity(context), before);
        free(content);
    }
    write_file("another", "file");
    assert_same(identity(context), before);
    fg_context_free(context);
}
END_TEST

/* Size and mtime as they were: the change shows by ctime. */
START_TEST(a_hidden_change_shows)
{
    struct stat facts, now;
    in_compiler_folder();
    fg_context *context = context_with(in("cc"), NULL);
    digest before = identity(context);
    ck_assert_int_eq(stat(in("cc1"), &facts), 0);
    write_file("cc1", "the second on");
    const struct timespec times[] = { facts.st_atim, facts.st_mtim };
    ck_assert_int_eq(utimensat(AT_FDCWD, in("cc1"), times, 0), 0);
    ck_assert_int_eq(stat(in("cc1"), &now), 0);
    ck_assert(now.st_size == facts.st_size && now.st_mtim.tv_nsec == facts.st_mtim.tv_nsec);
    ck_assert(now.st_ino == facts.st_ino);
    assert_other(identity(context), before);
    fg_context_free(context);
}
END_TEST

/* Written right before a look and again right behind it, within one tick of the clock that stamps files. */
START_TEST(changes_in_a_row_show)
{
    char also[300];
    in_compiler_folder();
    snprintf(also, sizeof also, "case $1 in *=ld) echo one > %s/cc1;; esac", folder);
    write_compiler(also);
    fg_context *context = context_with(in("cc"), NULL);
    for (int k = 0; k < 40; k++) {
        identity(context);
        int fd = open(in("cc1"), O_WRONLY | O_CLOEXEC);
        runs();
        ck_assert_int_eq(write(fd, "two", 3), 3);
        close(fd);
        identity(context);
        ck_assert_msg(runs() > 0, "change %d", k);
    }
    fg_context_free(context);
}
END_TEST

START_TEST(touched_is_the_same)
{
    in_compiler_folder();
    fg_context *context = context_with(in("cc"), NULL);
    digest before = identity(context);
    ck_assert_int_gt(runs(), 0);
    ck_assert_int_eq(utimes(in("cc1"), NULL), 0);
    assert_same(identity(context), before);
    ck_assert_int_gt(runs(), 0);
    fg_context_free(context);
}
END_TEST

/* Another PATH may have another assembler. */
START_TEST(path_counts)
{
    char path[300];
    in_compiler_folder();
    fg_context *context = context_with(in("cc"), NULL);
    digest before = identity(context);
    write_file("lib/our-as", "#!/bin/sh\n# another\n");
    snprintf(path, sizeof path, "%s/lib:%s", folder, getenv("PATH"));
    setenv("PATH", path, 1);
    assert_other(identity(context), before);
    fg_context_free(context);
}
END_TEST

/* ---- What a look costs ---- */

START_TEST(a_hit_only_looks)
{
    in_compiler_folder();
    fg_context *context = context_with(in("cc"), NULL);
    int watch = watch_folder();
    digest first = identity(context);
    ck_assert(opened(watch));
    ck_assert_int_eq(runs(), 3);
    while (opened(watch)) continue;
    for (int k = 0; k < 100; k++) assert_same(identity(context), first);
    ck_assert(!opened(watch));
    ck_assert_int_eq(runs(), 0);
    close(watch);
    fg_context_free(context);
}
END_TEST

/* ---- Compilers that are none ---- */

/* Has an identity, in time; the same again, without asking again. */
static void is_the_driver(const char *script)
{
    write_file("fake", script);
    double start = library_seconds();
    fg_context *context = context_with(in("fake"), NULL);
    digest first = identity(context);
    ck_assert_msg(library_seconds() - start < 6, "%s", script);
    start = library_seconds();
    for (int k = 0; k < 100; k++) assert_same(identity(context), first);
    ck_assert_msg(library_seconds() - start < 100 * patience / 2, "%s", script);
    ck_assert_int_eq(left_behind(), 0);
    char *other = NULL;
    ck_assert_int_gt(asprintf(&other, "%s#", script), 0);
    write_file("fake", other);
    assert_other(identity(context), first);
    free(other);
    fg_context_free(context);
}

START_TEST(fake_compilers)
{
    in_compiler_folder();
    patience = 0.3;
    is_the_driver("#!/bin/sh\nexit 1\n");
    is_the_driver("#!/bin/sh\nexit 0\n");
    is_the_driver("#!/bin/sh\necho done\n");
    is_the_driver("#!/bin/sh\nsleep 100\n");
    is_the_driver("#!/bin/sh\nwhile :; do echo /usr/bin/sh; done\n");
    is_the_driver("#!/bin/sh\nkill -9 $$\n");
    is_the_driver("#!/bin/sh\nhead -c 100000 /dev/urandom\n");
    is_the_driver("#!/bin/sh\nhead -c 100000 /dev/zero | tr '\\0' /\n");
    is_the_driver("#!/bin/sh\necho /; echo /dev/null\n");
    is_the_driver("#!/bin/sh\necho /dev/zero\n");
    is_the_driver("#!/bin/sh\necho cc1 '=>' /lib '('\n");
    is_the_driver("#!/bin/sh\n: > kernel.so; mkdir -p a/b; mkfifo c\n");
    is_the_driver("no interpreter");
    is_the_driver("#!/no/such/interpreter\n");
    is_the_driver("");
}
END_TEST

START_TEST(missing_compilers)
{
    digest d;
    in_compiler_folder();
    fg_context *context = context_with("/no/such/cc", NULL);
    ck_assert_int_eq(identity_of_compiler(&d, context, &error), FG_COMPILER);
    ck_assert_str_eq(error.text, "there is no host compiler: /no/such/cc is no executable file");
    fg_context_free(context);

    context = context_with(in("cc"), NULL);
    digest first = identity(context);
    ck_assert_int_eq(rename(in("cc"), in("gone")), 0);
    ck_assert_int_eq(identity_of_compiler(&d, context, &error), FG_COMPILER);
    ck_assert_msg(strstr(error.text, "No such file") != NULL, "%s", error.text);
    ck_assert_int_eq(mkdir(in("cc"), 0700), 0);
    ck_assert_int_eq(identity_of_compiler(&d, context, &error), FG_COMPILER);
    ck_assert_msg(strstr(error.text, "cannot read the compiler") != NULL, "%s", error.text);
    ck_assert_int_eq(rmdir(in("cc")), 0);
    ck_assert_int_eq(rename(in("gone"), in("cc")), 0);
    assert_same(identity(context), first);

    ck_assert_int_eq(unlink(in("cc1")), 0); /* then it is no gcc */
    assert_other(identity(context), first);
    fg_context_free(context);
}
END_TEST

/* ---- At once, and without memory ---- */

enum { threads = 4, looks = 200 };

static digest right[2];

static void *look(void *context)
{
    for (int k = 0; k < looks; k++) {
        digest d = identity(context);
        ck_assert(digest_equal(&d, &right[0]) || digest_equal(&d, &right[1]));
    }
    return NULL;
}

/* The compiler changes back and forth while others look, by renames: it is always one of the two. */
START_TEST(threads_at_once)
{
    pthread_t thread[threads];
    in_compiler_folder();
    for (int k = 1; k >= 0; k--) {
        write_file("cc1", k ? "the first one" : "the second one");
        right[k] = fresh(in("cc"));
    }
    fg_context *context = context_with(in("cc"), NULL);
    for (int k = 0; k < threads; k++)
        ck_assert_int_eq(pthread_create(&thread[k], NULL, look, context), 0);
    for (int k = 0; k < 6; k++) {
        write_file("new", k % 2 ? "the second one" : "the first one");
        ck_assert_int_eq(rename(in("new"), in("cc1")), 0);
        usleep(30000);
    }
    for (int k = 0; k < threads; k++) pthread_join(thread[k], NULL);
    assert_same(identity(context), right[0]);
    fg_context_free(context);
}
END_TEST

static fg_status identity_failing(failing *f)
{
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    fg_context *context = NULL;
    digest d;
    o.compiler = in("cc");
    o.store = in("store");
    o.allocate = failing_allocate;
    o.allocate_user = f;
    fg_status status = fg_context_new(&context, &o, &error);
    if (status == FG_OK) status = identity_of_compiler(&d, context, &error);
    fg_context_free(context);
    ck_assert_int_eq(f->blocks, 0);
    ck_assert_uint_eq(f->bytes, 0);
    return status;
}

START_TEST(each_allocation_fails)
{
    in_compiler_folder();
    for (int stored = 0; stored < 2; stored++) {
        for (int mode = 0; mode < 2; mode++) {
            bool reached = true;
            int failures = 0;
            for (long n = 1; reached; n++) {
                if (!stored) folder_remove(&memory_default, strdup(in("store")));
                failing f = { .at = n, .for_good = mode };
                fg_status status = identity_failing(&f);
                reached = f.count >= n;
                ck_assert(status == FG_OK || (reached && status == FG_MEMORY));
                failures += status != FG_OK;
            }
            ck_assert_int_gt(failures, 5); /* the store's own are its own */
        }
        stored_identity();
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_same_twice,      each_file_counts, a_hidden_change_shows, changes_in_a_row_show,
        touched_is_the_same, path_counts,      a_hit_only_looks,      fake_compilers,
        missing_compilers,   threads_at_once,  each_allocation_fails, NULL,
    };
    return support_run("identity", tests);
}
