/* Loading what the host compiler writes. */
#include "runtime/backend_c.h"
#include "tests/runtime_stub.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE "dtype=f64 b=1 hq=1 sq=4 d=4"

static fg_error error;

/* A library that gives a number, compiled as kernels are. */
static void number_library(binary *out, const fg_context *context, int number)
{
    char source[100];
    snprintf(source, sizeof source, "int number(void) { return %d; }\n", number);
    fg_status status = compiler_run(out, context, source, strlen(source), &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
}

static int number_of(void *module)
{
    int (*number)(void) = (int (*)(void))(uintptr_t)module_find(module, "number");
    ck_assert_ptr_nonnull(number);
    return number();
}

enum { marker = 0x12345678, many = 2000 };

/* Writes `value` over the marker in a copy of the library. */
static void patch(binary *copy, const binary *b, int value)
{
    int found = 0;
    memcpy(copy->data, b->data, b->size);
    for (size_t at = 0; at + 4 <= b->size; at++) {
        int here;
        memcpy(&here, (char *)b->data + at, 4);
        if (here != marker) continue;
        memcpy((char *)copy->data + at, &value, 4);
        found++;
    }
    ck_assert_int_eq(found, 1);
}

START_TEST(two_thousand_libraries)
{
    static void *module[many];
    fg_context *context = stub_context(NULL);
    binary b, copy;
    number_library(&b, context, marker);
    copy = (binary){ malloc(b.size), b.size };
    int files = stub_open_files();
    for (int k = 0; k < many; k++) {
        patch(&copy, &b, k);
        ck_assert_msg(module_load(&module[k], context, &copy, &error) == FG_OK, "%d: %s", k,
                      error.text);
    }
    ck_assert_int_eq(stub_open_files(), files);
    for (int k = 0; k < many; k++) ck_assert_int_eq(number_of(module[k]), k);
    for (int k = 0; k < many; k += 2) module_unload(module[k]);
    for (int k = 1; k < many; k += 2) ck_assert_int_eq(number_of(module[k]), k);
    for (int k = 1; k < many; k += 2) module_unload(module[k]);
    free(copy.data);
    binary_free(context, &b);
    fg_context_free(context);
}
END_TEST

/* Mapped pages of libraries that the process has. */
static int mapped(const char *words)
{
    int count = 0;
    char line[5000];
    FILE *in = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, in)) count += strstr(line, words) != NULL;
    fclose(in);
    return count;
}

START_TEST(context_unloads)
{
    stub_is_number();
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    ck_assert_int_eq(mapped("memfd:flashgen"), 0);
    fg_plan *one = stub_plan(context, p), *two = stub_plan(context, p);
    ck_assert_int_gt(mapped("memfd:flashgen"), 0);
    fg_plan_free(one);
    ck_assert_int_gt(mapped("memfd:flashgen"), 0);
    fg_plan_free(two);
    ck_assert_int_gt(mapped("memfd:flashgen"), 0); /* for the next one */
    fg_problem_free(p);
    fg_context_free(context);
    ck_assert_int_eq(mapped("memfd:flashgen"), 0);
}
END_TEST

/* What needs a function that nobody has is refused when loaded, not when called. */
START_TEST(unresolved)
{
    static const char source[] =
        "int missing_function(void);\nint number(void) { return missing_function(); }\n";
    fg_context *context = stub_context(NULL);
    binary b;
    void *module = NULL;
    in_folder();
    stub_is_number();
    ck_assert_int_eq(compiler_run(&b, context, source, sizeof source - 1, &error), FG_OK);
    ck_assert_int_eq(module_load(&module, context, &b, &error), FG_COMPILER);
    ck_assert_msg(strstr(error.text, "missing_function") != NULL, "%s", error.text);
    ck_assert_ptr_null(module);
    ck_assert_int_eq(entries(folder), 0);
    binary_free(context, &b);
    fg_context_free(context);
}
END_TEST

/* From here on, memfd_create fails in this process. */
static void refuse_memfd(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program_of = { sizeof filter / sizeof *filter, filter };
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program_of), 0);
    ck_assert_int_eq(memfd_create("x", 0), -1);
}

static void load_several(void)
{
    void *module[8];
    fg_context *context = stub_context(NULL);
    for (int k = 0; k < 8; k++) {
        binary b;
        number_library(&b, context, k);
        ck_assert_msg(module_load(&module[k], context, &b, &error) == FG_OK, "%s", error.text);
        binary_free(context, &b);
    }
    ck_assert_int_eq(entries(folder), 0);
    for (int k = 0; k < 8; k++) ck_assert_int_eq(number_of(module[k]), k);
    for (int k = 0; k < 8; k++) module_unload(module[k]);
    fg_context_free(context);
}

START_TEST(memfd_refused)
{
    in_folder();
    stub_is_number();
    refuse_memfd();
    load_several();
}
END_TEST

/* As in a chroot; only root can take /proc away. */
START_TEST(proc_missing)
{
    in_folder();
    stub_is_number();
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return;
    if (mount("none", "/proc", "tmpfs", 0, NULL) != 0) return;
    ck_assert_int_eq(access("/proc/self", F_OK), -1);
    load_several();
    umount("/proc"); /* leak checkers read it */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        two_thousand_libraries, context_unloads, memfd_refused, proc_missing, unresolved, NULL,
    };
    return support_run("module", tests);
}
