/* The files that a compiler is made of. */
#include "runtime/toolchain.h"
#include "tests/compiler_stub.h"

static bool has_file(const toolchain *t, const char *part)
{
    for (const toolchain_file *f = t->files; f; f = f->next)
        if (strstr(f->path, part)) return true;
    return false;
}

static void assert_sorted(const toolchain *t)
{
    for (const toolchain_file *f = t->files; f; f = f->next) {
        ck_assert_int_eq(*f->path, '/');
        if (f->next) ck_assert_str_lt(f->path, f->next->path);
    }
}

static void find_tools(toolchain *t, fg_context *context)
{
    char driver[PATH_MAX];
    ck_assert_ptr_nonnull(realpath(context->compiler, driver));
    ck_assert_int_eq(toolchain_find(t, context, driver, &error), FG_OK);
    ck_assert_int_eq(left_behind(), 0);
    ck_assert(has_file(t, driver));
    assert_sorted(t);
}

static bool on_path(const char *name)
{
    char command[100];
    snprintf(command, sizeof command, "command -v %s > /dev/null", name);
    return system(command) == 0;
}

START_TEST(files_of_gcc)
{
    toolchain t;
    in_folder();
    if (!on_path("gcc")) return;
    fg_context *context = context_with("gcc", NULL);
    find_tools(&t, context);
    ck_assert(t.whole);
    ck_assert(has_file(&t, "/cc1") && has_file(&t, "-as") && has_file(&t, "/libc.so"));
    ck_assert(has_file(&t, "ld") && has_file(&t, "/libbfd") && has_file(&t, "/ld-linux"));
    ck_assert(!has_file(&t, "clang"));
    toolchain_free(&t);
    fg_context_free(context);
}
END_TEST

START_TEST(files_of_clang)
{
    toolchain t;
    in_folder();
    if (!on_path("clang")) return;
    fg_context *context = context_with("clang", NULL);
    find_tools(&t, context);
    ck_assert(t.whole);
    ck_assert(has_file(&t, "clang") && has_file(&t, "/libc.so") && has_file(&t, "ld"));
    ck_assert(!has_file(&t, "/cc1"));
    toolchain_free(&t);
    fg_context_free(context);
    /* Behind a script there is the same one. */
    write_file("wrapped", "#!/bin/sh\nexec clang \"$@\"\n");
    context = context_with(in("wrapped"), NULL);
    find_tools(&t, context);
    ck_assert(has_file(&t, "/clang") && has_file(&t, "/wrapped"));
    toolchain_free(&t);
    fg_context_free(context);
}
END_TEST

START_TEST(files_of_ours)
{
    toolchain t;
    in_compiler_folder();
    ck_assert_int_eq(rename(in("cc1"), in("c c\xc3\xa9\n1")), 0);
    ck_assert_int_eq(symlink("c c\xc3\xa9\n1", in("cc1")), 0);
    fg_context *context = context_with(in("cc"), NULL);
    find_tools(&t, context);
    ck_assert(t.whole && has_file(&t, "/cc") && has_file(&t, "/our-as"));
    ck_assert(has_file(&t, "/c c\xc3\xa9\n1") && !has_file(&t, "no-such") && !has_file(&t, ".."));
    toolchain_free(&t);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        files_of_gcc,
        files_of_clang,
        files_of_ours,
        NULL,
    };
    return support_run("toolchain", tests);
}
