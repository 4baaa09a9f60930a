/* The host compiler, good and bad. */
#include "runtime/backend_c.h"
#include "runtime/library.h"
#include "tests/runtime_stub.h"

#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE "dtype=f64 b=1 hq=1 sq=4 d=4"

static fg_error error;

/* Writes an executable file into the folder. */
static char *program(const char *name, const char *content)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    fputs(content, out);
    fclose(out);
    chmod(path, 0755);
    return path;
}

static fg_status plan_with(const fg_context_options *o)
{
    fg_context *context = stub_context(o);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = NULL;
    int files = stub_open_files();
    error = (fg_error){ .status = FG_OK };
    fg_status status = fg_plan_new(&plan, context, p, NULL, &error);
    ck_assert((status == FG_OK) == (plan != NULL));
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
    ck_assert_int_eq(stub_open_files(), files);
    return status;
}

/* A compiler that is this script; the error must have the words. */
static void fails_with(const char *script, const char *words)
{
    fg_context_options o = stub_options();
    o.compiler = program("fake", script);
    o.compiler_seconds = 1;
    int before = entries(folder);
    double start = library_seconds();
    ck_assert_msg(plan_with(&o) == FG_COMPILER, "%s: %s", script, error.text);
    ck_assert_int_eq(error.status, FG_COMPILER);
    ck_assert_msg(strstr(error.text, words) != NULL, "no \"%s\" in \"%s\"", words, error.text);
    ck_assert_msg(strstr(error.text, "fake") != NULL, "%s", error.text);
    ck_assert_double_lt(library_seconds() - start, 10);
    ck_assert_int_eq(entries(folder), before); /* nothing stays behind */
}

START_TEST(bad_compilers)
{
    in_folder();
    stub_is_number();
    fails_with("#!/bin/sh\necho kernel.c:3: no good >&2; exit 1\n",
               "failed with exit code 1:\nkernel.c:3: no good");
    fails_with("#!/bin/sh\nkill -9 $$\n", "killed by signal 9");
    fails_with("#!/bin/sh\nkill -SEGV $$\n", "killed by signal 11");
    fails_with("#!/bin/sh\necho working; sleep 100\n",
               "ended after 1000 ms without a result\nworking");
    fails_with("#!/bin/sh\necho done\n", "wrote no kernel.so\ndone");
    fails_with("#!/bin/sh\n: > kernel.so\n", "wrote no kernel.so");
    fails_with("#!/bin/sh\nmkfifo kernel.so\n", "wrote no kernel.so");
    fails_with("#!/bin/sh\nmkdir -p kernel.so/a/b; exit 0\n", "wrote no kernel.so");
    fails_with("#!/bin/sh\nln -s /bin/sh kernel.so\n", "wrote no kernel.so");
    fails_with("#!/bin/sh\nhead -c 5000 /dev/urandom > kernel.so\n", "cannot be loaded");
    fails_with("#!/bin/sh\ncp /bin/true kernel.so\n", "");
    fails_with("#!/bin/sh\nhead -c 100000 /dev/zero; exit 3\n", "exit code 3:\n?????");
    fails_with("no interpreter", "cannot start");
    fails_with("#!/no/such/interpreter\n", "cannot start");
}
END_TEST

START_TEST(missing_compilers)
{
    fg_context_options o = stub_options();
    in_folder();
    stub_is_number();
    o.compiler = "/no/such/cc";
    ck_assert_int_eq(plan_with(&o), FG_COMPILER);
    ck_assert_str_eq(error.text, "there is no host compiler: /no/such/cc is no executable file");
    o.compiler = folder;
    ck_assert_int_eq(plan_with(&o), FG_COMPILER);
    o.compiler = program("data", "not executable");
    chmod(o.compiler, 0644);
    ck_assert_int_eq(plan_with(&o), FG_COMPILER);
    o.compiler = "nocc";
    ck_assert_int_eq(plan_with(&o), FG_COMPILER);
    ck_assert_str_eq(error.text, "there is no host compiler: nocc is not on PATH");
    o.compiler = NULL;
    setenv("PATH", "/no/such:", 1);
    ck_assert_int_eq(plan_with(&o), FG_COMPILER);
    ck_assert_str_eq(error.text, "there is no host compiler: none of cc, gcc and clang is on PATH");
}
END_TEST

/* The first of cc, gcc, clang on PATH, never one from where we happen to be. */
START_TEST(compiler_is_found)
{
    fg_context_options o = stub_options();
    fg_device_info info;
    char path[100];
    in_folder();
    stub_is_number();
    o.compiler = NULL;
    program("clang", "#!/bin/sh\necho made up 1.0; echo second line\n");
    ck_assert_int_eq(chdir(folder), 0);
    setenv("PATH", ".::relative", 1);
    fg_context *context = stub_context(&o);
    ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
    ck_assert_ptr_null(info.compiler);
    ck_assert_ptr_null(info.compiler_version);
    fg_context_free(context);

    snprintf(path, sizeof path, "/no/such:%s", folder);
    setenv("PATH", path, 1);
    context = stub_context(&o);
    ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
    snprintf(path, sizeof path, "%s/clang", folder);
    ck_assert_str_eq(info.compiler, path);
    ck_assert_str_eq(info.compiler_version, "made up 1.0");
    fg_context_free(context);

    o.compiler = "./clang";
    context = stub_context(&o);
    ck_assert_int_eq(chdir("/"), 0); /* where we go later does not matter */
    ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
    ck_assert_str_eq(info.compiler_version, "made up 1.0");
    fg_context_free(context);
}
END_TEST

START_TEST(flags_as_documented)
{
    fg_context_options o = stub_options();
    fg_device_info info;
    o.isa = "portable";
    o.compiler_flags = "  -DONE   -DTWO ";
    fg_context *context = stub_context(&o);
    ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
    ck_assert_str_eq(info.flags, "-O2 -std=gnu11 -fPIC -shared -fno-math-errno -fno-trapping-math "
                                 "-ffp-contract=fast -fwrapv -fno-strict-aliasing "
                                 "-fno-tree-vectorize -fno-inline-functions -nostdlib -DONE -DTWO");
    ck_assert_str_eq(context_maker_device(context).flags, info.flags);
    fg_context_free(context);
    o.compiler_flags = "-fsanitize=address";
    context = stub_context(&o);
    ck_assert_ptr_null(strstr(context->compiler_flags, "-nostdlib"));
    fg_context_free(context);
}
END_TEST

START_TEST(flags_reach_the_compiler)
{
    fg_context_options o = stub_options();
    char flags[200];
    in_folder();
    stub_is_number();
    snprintf(flags, sizeof flags, "-Dlong=broken %s", FLASHGEN_KERNEL_FLAGS);
    o.compiler_flags = flags;
    ck_assert_int_eq(plan_with(&o), FG_COMPILER);
    ck_assert_msg(strstr(error.text, "kernel.c:2:") != NULL, "%s", error.text);
}
END_TEST

START_TEST(odd_folders)
{
    static const char *const names[] = { "a b",       "it's",
                                         "\"q\"",     "$(touch hit)`touch hit`;touch hit",
                                         "new\nline", "-o",
                                         "%s%n\\",    "*" };
    fg_context_options o = stub_options();
    in_folder();
    stub_is_number();
    ck_assert_int_eq(chdir(folder), 0);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char path[200], hit[240];
        snprintf(path, sizeof path, "%s/%s", folder, names[k]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        setenv("TMPDIR", path, 1);
        ck_assert_msg(plan_with(&o) == FG_OK, "%s: %s", path, error.text);
        ck_assert_int_eq(entries(path), 0);
        snprintf(hit, sizeof hit, "%s/hit", folder);
        ck_assert_int_eq(access(hit, F_OK), -1);
    }
}
END_TEST

START_TEST(no_folder)
{
    in_folder();
    stub_is_number();
    setenv("TMPDIR", "/no/such/folder", 1);
    fg_context_options o = stub_options();
    ck_assert_int_eq(plan_with(&o), FG_MACHINE);
}
END_TEST

/* ---- A setuid process ---- */

START_TEST(secure_context)
{
    in_folder();
    stub_is_number();
    fg_context *context = stub_context(NULL);
    fg_context_free(context);
    context = memory_new(&memory_default, 1, sizeof *context);
    context->memory = memory_default;
    context->secure = true;
    ck_assert_int_eq(compiler_find(context, FLASHGEN_KERNEL_COMPILER, &error), FG_OK);
    ck_assert_ptr_null(context->compiler);
    binary b;
    ck_assert_int_eq(compiler_run(&b, context, "", 0, &error), FG_COMPILER);
    ck_assert_str_eq(error.text, "a setuid process runs no host compiler");
    memory_free(&memory_default, context, sizeof *context);
}
END_TEST

/* Outside of Check. */
static int secure_main(void)
{
    fg_context_options o = stub_options();
    fg_context *context = NULL;
    binary b;
    const char *kept = NULL;
    o.store = "/var/tmp";
    if (fg_context_new(&context, &o, &error) != FG_OK) return 1;
    fg_status status = fg_store_info(context, &kept, NULL, &error);
    if (status != FG_OK || kept) return 2;
    status = compiler_run(&b, context, "", 0, &error);
    fg_context_free(context);
    return status == FG_COMPILER && strstr(error.text, "setuid") ? 42 : 1;
}

/* The real thing, where we are root: this program, setuid, run by nobody. */
START_TEST(secure_process)
{
    char copy[100], command[200];
    struct passwd *nobody = getpwnam("nobody");
    if (geteuid() != 0 || !nobody) return;
    in_folder();
    stub_is_number();
    snprintf(copy, sizeof copy, "%s/setuid", folder);
    snprintf(command, sizeof command, "cp /proc/%d/exe %s", (int)getpid(), copy);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(chmod(folder, 0755), 0);
    ck_assert_int_eq(chmod(copy, 04755), 0);
    pid_t child = fork();
    if (child == 0) {
        if (setuid(nobody->pw_uid) != 0) _exit(2);
        execl(copy, copy, "--secure", (char *)NULL);
        _exit(3);
    }
    int status;
    waitpid(child, &status, 0);
    ck_assert_int_eq(WEXITSTATUS(status), 42);
}
END_TEST

int main(int count, char **words)
{
    if (count > 1 && strcmp(words[1], "--secure") == 0) return secure_main();
    const TTest *const tests[] = {
        bad_compilers,
        missing_compilers,
        compiler_is_found,
        flags_as_documented,
        flags_reach_the_compiler,
        odd_folders,
        no_folder,
        secure_context,
        secure_process,
        NULL,
    };
    return support_run("compiler", tests);
}
