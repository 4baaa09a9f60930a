/* Which directory: where it is, when it is refused, and what is said. */
#include "tests/store_support.h"

static const char *path_by(const char *flashgen, const char *cache, const char *home)
{
    static char found[512];
    const char *const names[] = { "FLASHGEN_STORE", "XDG_CACHE_HOME", "HOME" };
    const char *const values[] = { flashgen, cache, home };
    for (int n = 0; n < 3; n++)
        ck_assert_int_eq(values[n] ? setenv(names[n], values[n], 1) : unsetenv(names[n]), 0);
    store *s = store_with(NULL, NULL, NULL, NULL);
    snprintf(found, sizeof found, "%s", s ? store_path(s) : "none");
    store_close(s);
    return found;
}

START_TEST(where)
{
    ck_assert_str_eq(path_by("/a/b", "/c", "/h"), "/a/b");
    ck_assert_str_eq(path_by("/a/b///", "/c", "/h"), "/a/b");
    ck_assert_str_eq(path_by("", "/c", "/h"), "none");
    ck_assert_str_eq(path_by(NULL, "/c", "/h"), "/c/flashgen");
    ck_assert_str_eq(path_by(NULL, "/c/", "/h"), "/c/flashgen");
    ck_assert_str_eq(path_by(NULL, "c", "/h"), "/h/.cache/flashgen");
    ck_assert_str_eq(path_by(NULL, "", "/h"), "/h/.cache/flashgen");
    ck_assert_str_eq(path_by(NULL, NULL, "h"), "none");
    ck_assert_str_eq(path_by(NULL, NULL, ""), "none");
    ck_assert_str_eq(path_by(NULL, NULL, NULL), "none");
    ck_assert_int_eq(chdir("/usr"), 0);
    ck_assert_str_eq(path_by("x/y", NULL, NULL), "/usr/x/y");
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_str_eq(path_by("x", NULL, NULL), "/x");
    ck_assert_str_eq(path_by("/", NULL, NULL), "/");
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* A later chdir changes nothing. */
START_TEST(relative)
{
    in_folder();
    ck_assert_int_eq(chdir(folder), 0);
    store *s = store_with("store", "shared", NULL, NULL);
    ck_assert_int_eq(chdir("/"), 0);
    put_numbered(s, STORE_kernel, 1, NULL);
    ck_assert(exists(path_of(STORE_kernel, 1)));
    ck_assert_int_eq(rename(in("store"), in("shared")), 0);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    store_close(s);
}
END_TEST

START_TEST(a_directory_without_a_path)
{
    in_folder();
    ck_assert_int_eq(mkdir(in("gone"), 0700), 0);
    ck_assert_int_eq(chdir(in("gone")), 0);
    ck_assert_int_eq(rmdir(in("gone")), 0);
    ck_assert_ptr_null(store_with("store", NULL, NULL, NULL));
    ck_assert_int_eq(warnings, 1);
}
END_TEST

/* It may be taken away at any time. */
START_TEST(removed_while_open)
{
    store *s = store_here();
    put_numbered(s, STORE_kernel, 1, NULL);
    folder_remove(&memory_default, strdup(in("store")));
    ck_assert(!get_numbered(s, STORE_kernel, 1));
    put_numbered(s, STORE_kernel, 1, NULL);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    ck_assert_int_eq(warnings, 0);
    store_close(s);
}
END_TEST

static int low_fds;

static ssize_t write_above(int fd, const void *data, size_t size)
{
    low_fds += fd <= 2;
    return write(fd, data, size);
}

/* A host that closed 0 to 2 and prints all the same does not print into an entry. */
START_TEST(closed_stdio)
{
    store_calls calls = store_calls_system;
    int saved[3];
    calls.write = write_above;
    in_folder();
    store *s = store_with(in("store"), NULL, &calls, NULL);
    for (int fd = 0; fd < 3; fd++) {
        saved[fd] = fcntl(fd, F_DUPFD, 10);
        close(fd);
    }
    put_numbered(s, STORE_kernel, 1, NULL);
    bool got = get_numbered(s, STORE_kernel, 1);
    digest d = numbered_digest(1);
    store_lock lock = store_lock_take(s, &d, 0);
    bool locked = lock.fd > 2;
    store_lock_drop(&lock);
    int left = 0;
    for (int fd = 0; fd < 3; fd++) {
        left += fcntl(fd, F_GETFD) != -1;
        if (saved[fd] >= 0) dup2(saved[fd], fd);
    }
    ck_assert(got && locked);
    ck_assert_int_eq(low_fds, 0);
    ck_assert_int_eq(left, 0);
    store_close(s);
}
END_TEST

/* ---- Refused ---- */

/* All is as without a store, and said once. */
static void refused(store *s, const char *why)
{
    fg_error error;
    fg_store_report report;
    digest d = numbered_digest(1);
    int files = stub_open_files();
    warnings = 0;
    for (int n = 0; n < 3; n++) {
        ck_assert(!get_numbered(s, STORE_kernel, 1));
        put_numbered(s, STORE_kernel, 1, NULL);
        store_lock lock = store_lock_take(s, &d, 0);
        ck_assert_int_eq(lock.fd, -1);
        store_lock_drop(&lock);
    }
    ck_counts(s, 0, 3, 0, 0, 3);
    ck_assert_int_eq(warnings, 1);
    ck_assert_msg(strstr(warning, why) && strstr(warning, in("store")), "%s", warning);
    ck_assert_int_eq(store_visit(s, no_visit, NULL, &error), FG_MACHINE);
    ck_assert_msg(strstr(error.text, why) != NULL, "%s", error.text);
    ck_assert_int_eq(store_prune(s, 0, &report, &error), FG_MACHINE);
    ck_assert_int_eq(store_clear(s, &report, &error), FG_MACHINE);
    ck_assert_int_eq(stub_open_files(), files);
    ck_assert_int_eq(warnings, 1);
    store_close(s);
}

static void kept_before(void)
{
    store *s = store_here();
    put_numbered(s, STORE_kernel, 1, NULL);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    store_close(s);
}

START_TEST(writable_by_others)
{
    static const mode_t modes[] = { 0720, 0702, 0777, 01777 };
    for (int n = 0; n < 4; n++) {
        kept_before();
        ck_assert_int_eq(chmod(in("store"), modes[n]), 0);
        refused(store_here(), "others may write");
        ck_assert_int_eq(chmod(in("store"), 0700), 0);
    }
}
END_TEST

START_TEST(a_link)
{
    kept_before();
    ck_assert_int_eq(rename(in("store"), in("real")), 0);
    ck_assert_int_eq(symlink(in("real"), in("store")), 0);
    refused(store_here(), "symbolic link");
    refused(store_with(in("store/"), NULL, NULL, NULL), "symbolic link");
    ck_assert_int_eq(entries(in("real/kernel")), 1);
}
END_TEST

START_TEST(a_file)
{
    in_folder();
    file_put(in("store"), "mine", 4);
    refused(store_here(), "no directory");
    refused(store_with(in("store/below"), NULL, NULL, NULL), "no directory");
}
END_TEST

START_TEST(of_another_user)
{
    store_calls calls = store_calls_system;
    calls.fstat = fstat_of_another;
    faked_owner = geteuid() + 4242;
    kept_before();
    refused(store_with(in("store"), NULL, &calls, NULL), "another user");
}
END_TEST

/* A home that is missing is not made. */
START_TEST(missing_home)
{
    in_folder();
    ck_assert_int_eq(setenv("HOME", in("store"), 1), 0);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("FLASHGEN_STORE");
    store *s = store_with(NULL, NULL, NULL, NULL);
    ck_assert(!get_numbered(s, STORE_kernel, 1));
    ck_assert_int_eq(warnings, 0);
    put_numbered(s, STORE_kernel, 1, NULL);
    put_numbered(s, STORE_kernel, 2, NULL);
    ck_assert_int_eq(warnings, 1);
    ck_assert_msg(strstr(warning, "No such file or directory") != NULL, "%s", warning);
    ck_counts(s, 0, 1, 0, 0, 2);
    ck_assert(!exists(in("store")));
    ck_assert_int_eq(mkdir(in("store"), 0755), 0);
    put_numbered(s, STORE_kernel, 1, NULL);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    ck_assert(exists(in("store/.cache/flashgen/kernel")));
    store_close(s);
}
END_TEST

/* ---- What cannot be written ---- */

static int faked_code;

static int fail_faked(void)
{
    errno = faked_code;
    return -1;
}

static int openat_that_creates_nothing(int at, const char *path, int flags, mode_t mode)
{
    return flags & O_CREAT ? fail_faked() : store_calls_system.openat(at, path, flags, mode);
}

static int openat_of_nothing(int at, const char *path, int flags, mode_t mode)
{
    (void)at;
    (void)path;
    (void)flags;
    (void)mode;
    return fail_faked();
}

static int mkdirat_of_nothing(int at, const char *path, mode_t mode)
{
    (void)at;
    (void)path;
    (void)mode;
    return fail_faked();
}

static ssize_t write_half(int fd, const void *data, size_t size)
{
    if (size < 500) return fail_faked();
    return write(fd, data, size / 2);
}

static int fsync_of_nothing(int fd)
{
    (void)fd;
    return fail_faked();
}

static int rename_of_nothing(int from_folder, const char *from, int to_folder, const char *to)
{
    (void)from_folder;
    (void)from;
    (void)to_folder;
    (void)to;
    return fail_faked();
}

/* One warning with the reason; what was there before stays, nothing half-written does. */
static void unwritable(const store_calls *calls, int code, const char *why)
{
    if (!folder[0]) kept_before();
    int files = stub_open_files();
    store *s = store_with(in("store"), NULL, calls, NULL);
    faked_code = code;
    warnings = 0;
    for (int n = 1; n < 4; n++) put_numbered(s, STORE_kernel, n, NULL);
    ck_assert_int_eq(warnings, 1);
    ck_assert_msg(strstr(warning, why) != NULL, "%s", warning);
    ck_counts(s, 0, 0, 0, 0, 3);
    store_close(s);
    s = store_here();
    ck_assert(get_numbered(s, STORE_kernel, 1));
    ck_assert(!get_numbered(s, STORE_kernel, 2));
    ck_assert_int_eq(entries(in("store/new")), 0);
    ck_assert_int_eq(stub_open_files(), files);
    store_close(s);
}

START_TEST(unwritable_for_every_reason)
{
    store_calls creates = store_calls_system, opens = creates, writes = creates, syncs = creates,
                renames = creates;
    creates.openat = openat_that_creates_nothing;
    creates.mkdirat = mkdirat_of_nothing;
    opens.openat = openat_of_nothing;
    writes.write = write_half;
    syncs.fsync = fsync_of_nothing;
    renames.renameat = rename_of_nothing;
    unwritable(&creates, EROFS, "Read-only file system");
    unwritable(&creates, EACCES, "Permission denied");
    unwritable(&opens, EMFILE, "Too many open files");
    unwritable(&writes, ENOSPC, "No space left");
    unwritable(&writes, EDQUOT, "quota");
    unwritable(&syncs, EIO, "Input/output error");
    unwritable(&renames, EDQUOT, "quota");
    unwritable(&renames, ENOENT, "No such file");
}
END_TEST

START_TEST(cannot_be_made)
{
    store_calls calls = store_calls_system;
    calls.mkdirat = mkdirat_of_nothing;
    faked_code = EROFS;
    in_folder();
    store *s = store_with(in("store"), NULL, &calls, NULL);
    ck_assert(!get_numbered(s, STORE_kernel, 1));
    ck_assert_int_eq(warnings, 0);
    put_numbered(s, STORE_kernel, 1, NULL);
    put_numbered(s, STORE_kernel, 1, NULL);
    ck_assert_int_eq(warnings, 1);
    ck_assert_msg(strstr(warning, "Read-only") != NULL, "%s", warning);
    ck_assert(!exists(in("store")));
    store_close(s);
}
END_TEST

START_TEST(too_large)
{
    store *s = store_here();
    store_key k = numbered_key(1, NULL);
    /* Never read: it is refused by its size. */
    const store_section section = { "", (size_t)store_entry_limit };
    store_put(s, STORE_kernel, &k, &section, 1);
    ck_counts(s, 0, 0, 0, 0, 1);
    ck_assert_int_eq(warnings, 1);
    key_free(&k);
    store_close(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        where,
        relative,
        a_directory_without_a_path,
        removed_while_open,
        closed_stdio,
        writable_by_others,
        a_link,
        a_file,
        of_another_user,
        missing_home,
        unwritable_for_every_reason,
        cannot_be_made,
        too_large,
        NULL,
    };
    return support_run("store_folder", tests);
}
