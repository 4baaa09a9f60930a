/* Every system call and every allocation of the store fails, once and from then on: each get is right or a
 * miss, each put is there or not, nothing live is removed, no descriptor or byte leaks. */
#include "tests/store_support.h"

#include <sys/file.h>

static fg_error error;

/* ---- Calls that fail ---- */

enum { SHORT = -1 }; /* not an errno: reads and writes do half of it */

typedef struct fault {
    long at; /* the call that fails; 0: none */
    bool for_good;
    int code;
    long count, failed;
} fault;

static fault faulty;

static bool strikes(void)
{
    faulty.count++;
    if (faulty.at == 0 || faulty.count < faulty.at) return false;
    if (faulty.count > faulty.at && !faulty.for_good) return false;
    if (faulty.code == SHORT) return false;
    faulty.failed++;
    errno = faulty.code;
    return true;
}

/* After strikes(). */
static size_t shortened(size_t size)
{
    bool now =
        faulty.at && (faulty.for_good ? faulty.count >= faulty.at : faulty.count == faulty.at);
    if (faulty.code != SHORT || !now || size < 2) return size;
    faulty.failed++;
    return size / 2;
}

static int bad_openat(int at, const char *path, int flags, mode_t mode)
{
    return strikes() ? -1 : store_calls_system.openat(at, path, flags, mode);
}

static int bad_raise(int fd, int least)
{
    return strikes() ? -1 : store_calls_system.raise(fd, least);
}

static int bad_mkdirat(int at, const char *path, mode_t mode)
{
    return strikes() ? -1 : mkdirat(at, path, mode);
}

static int bad_fstat(int fd, struct stat *info)
{
    return strikes() ? -1 : fstat(fd, info);
}

static int bad_fstatat(int at, const char *path, struct stat *info, int flags)
{
    return strikes() ? -1 : fstatat(at, path, info, flags);
}

static ssize_t bad_read(int fd, void *data, size_t size)
{
    return strikes() ? -1 : read(fd, data, shortened(size));
}

static ssize_t bad_write(int fd, const void *data, size_t size)
{
    return strikes() ? -1 : write(fd, data, shortened(size));
}

static int bad_fsync(int fd)
{
    (void)fd;
    return strikes() ? -1 : 0;
}

/* Closed all the same, as Linux does it. */
static int bad_close(int fd)
{
    bool bad = strikes();
    int code = errno, result = close(fd);
    if (!bad) return result;
    errno = code;
    return -1;
}

static int bad_renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return strikes() ? -1 : renameat(from_folder, from, to_folder, to);
}

static int bad_unlinkat(int at, const char *path, int flags)
{
    return strikes() ? -1 : unlinkat(at, path, flags);
}

static int bad_flock(int fd, int operation)
{
    return strikes() ? -1 : flock(fd, operation);
}

static int bad_futimens(int fd, const struct timespec times[2])
{
    return strikes() ? -1 : futimens(fd, times);
}

static DIR *bad_fdopendir(int fd)
{
    return strikes() ? NULL : fdopendir(fd);
}

static struct dirent *bad_readdir(DIR *list)
{
    return strikes() ? NULL : readdir(list);
}

static int bad_closedir(DIR *list)
{
    bool bad = strikes();
    int code = errno, result = closedir(list);
    if (!bad) return result;
    errno = code;
    return -1;
}

static const store_calls bad_calls = {
    .openat = bad_openat,
    .raise = bad_raise,
    .mkdirat = bad_mkdirat,
    .fstat = bad_fstat,
    .fstatat = bad_fstatat,
    .read = bad_read,
    .write = bad_write,
    .fsync = bad_fsync,
    .close = bad_close,
    .renameat = bad_renameat,
    .unlinkat = bad_unlinkat,
    .flock = bad_flock,
    .futimens = bad_futimens,
    .fdopendir = bad_fdopendir,
    .readdir = bad_readdir,
    .closedir = bad_closedir,
};

/* ---- What is done meanwhile ---- */

enum { used = 6 };

static store *sound; /* the same directory, without faults */

static void old_time(const char *path)
{
    struct timespec times[2] = { { .tv_sec = 5000 }, { .tv_sec = 5000 } };
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Entry 1 is missing; 2 is damaged; a folder is in the way of 3; 4 was used long ago; 5 is in the shared one;
 * one file is abandoned. */
static void prepare(void)
{
    char inside[600];
    folder_remove(&memory_default, strdup(in("store")));
    for (int n = 2; n < 5; n++) put_numbered(sound, STORE_kernel, n, NULL);
    ck_assert_int_eq(truncate(path_of(STORE_kernel, 2), 500), 0);
    ck_assert_int_eq(unlink(path_of(STORE_kernel, 3)), 0);
    ck_assert_int_eq(mkdir(path_of(STORE_kernel, 3), 0700), 0);
    snprintf(inside, sizeof inside, "%s/file", path_of(STORE_kernel, 3));
    file_put(inside, "x", 1);
    old_time(path_of(STORE_kernel, 4));
    file_put(in("store/new/put-9-9-9-9"), "half", 4);
}

/* What is told to be wrong is wrong. */
static int see(void *user, const fg_store_entry *e)
{
    store_entry read;
    digest d;
    (void)user;
    const char *name = strrchr(e->path, '/') + 1;
    bool named = digest_parse(&d, name, strlen(name));
    bool right = named && store_get(&read, sound, STORE_kernel, &d);
    if (right) store_entry_free(&read);
    ck_assert(e->status == FG_OK || e->status == FG_WRONG || e->status == FG_MACHINE);
    if (e->status != FG_MACHINE) ck_assert_msg(right == (e->status == FG_OK), "%s", e->path);
    return 0;
}

static bool is_failure(fg_status status)
{
    return status == FG_MACHINE || status == FG_MEMORY;
}

static void gone_through(store *s, const memory *m)
{
    bool before[used];
    for (int n = 1; n < used; n++) {
        digest d = numbered_digest(n);
        store_lock lock = store_lock_take(s, &d, 0);
        get_numbered(s, STORE_kernel, n);
        int64_t written = store_counts(s).written;
        if (n < 4) put_numbered(s, STORE_kernel, n, m);
        if (store_counts(s).written > written) ck_assert(get_numbered(sound, STORE_kernel, n));
        get_numbered(s, STORE_kernel, n);
        store_lock_drop(&lock);
        before[n] = get_numbered(sound, STORE_kernel, n);
    }
    fg_status status = store_visit(s, see, NULL, &error);
    ck_assert(status == FG_OK || is_failure(status));
    status = store_prune(s, -1, NULL, &error);
    ck_assert(status == FG_OK || is_failure(status));
    for (int n = 1; n < used; n++)
        ck_assert_msg(get_numbered(sound, STORE_kernel, n) == before[n], "entry %d is lost", n);
    status = store_prune(s, 2500, NULL, &error);
    ck_assert(status == FG_OK || is_failure(status));
    status = store_clear(s, NULL, &error);
    ck_assert(status == FG_OK || is_failure(status));
}

/* After the faults all heals. */
static void recovers(void)
{
    int unwritten = (int)store_counts(sound).unwritten;
    for (int n = 1; n < 4; n++) {
        put_numbered(sound, STORE_kernel, n, NULL);
        ck_assert(get_numbered(sound, STORE_kernel, n));
    }
    ck_assert_int_eq((int)store_counts(sound).unwritten, unwritten);
    ck_assert_int_eq(store_prune(sound, -1, NULL, &error), FG_OK);
    /* What could not be removed: the folder that was in the way, with its file. */
    ck_assert_int_le(entries(in("store/new")), 1);
}

static void start(void)
{
    in_quick_folder();
    sound = store_with(in("shared"), NULL, quick_calls(), NULL);
    put_numbered(sound, STORE_kernel, 5, NULL);
    store_close(sound);
    sound = store_quick();
}

/* A scenario from a fresh start, with what it left behind looked at. */
static void once(const memory *m)
{
    prepare();
    int files = stub_open_files();
    warnings = 0;
    store *s = store_with(in("store"), in("shared"), &bad_calls, m);
    gone_through(s, m);
    ck_assert_int_le(warnings, 2); /* one for each directory */
    fg_store_counts c = store_counts(s);
    ck_assert_int_eq((int)(c.written + c.unwritten), 3);
    ck_assert_int_ge((int)(c.hits + c.misses + c.damaged), 10);
    store_close(s);
    ck_assert_int_eq(stub_open_files(), files);
}

/* ---- Campaigns ---- */

START_TEST(every_call_fails)
{
    static const int codes[] = { ENOSPC, EIO, EINTR, EDQUOT, EMFILE, SHORT };
    failing f = { .at = -1 };
    const memory m = { failing_allocate, &f };
    start();
    faulty = (fault){ .at = 0 };
    once(&m);
    long calls = faulty.count, failed = 0, runs = 0;
    ck_assert_int_gt((int)calls, 150);
    for (size_t code = 0; code < sizeof codes / sizeof *codes; code++)
        for (int for_good = 0; for_good < 2; for_good++)
            for (long at = 1; at <= calls; at++) {
                faulty = (fault){ .at = at, .for_good = for_good, .code = codes[code] };
                once(&m);
                failed += faulty.failed;
                runs++;
                ck_assert_msg(f.blocks == 0 && f.bytes == 0, "call %ld leaks %ld blocks", at,
                              f.blocks);
                faulty = (fault){ .at = 0 };
                recovers();
            }
    printf("store: %ld system calls failed in %ld runs of %ld calls: each get right or a miss\n",
           failed, runs, calls);
    ck_assert_int_gt((int)failed, (int)calls * 30);
    store_close(sound);
}
END_TEST

START_TEST(every_allocation_fails)
{
    failing f = { .at = -1 };
    const memory m = { failing_allocate, &f };
    start();
    once(&m);
    long all = f.count;
    ck_assert_int_gt((int)all, 50);
    for (int for_good = 0; for_good < 2; for_good++)
        for (long at = 1; at <= all; at++) {
            store *s = NULL;
            store_options o = {
                &m, in("store"), in("shared"), &store_calls_system, on_warning, NULL
            };
            prepare();
            f = (failing){ .at = at, .for_good = for_good };
            int files = stub_open_files();
            fg_status status = store_open(&s, &o, &error);
            ck_assert(status == FG_MEMORY ? s == NULL : status == FG_OK);
            if (s) gone_through(s, &m);
            store_close(s);
            ck_assert_int_eq(stub_open_files(), files);
            ck_assert_msg(f.blocks == 0 && f.bytes == 0, "allocation %ld leaks %ld blocks", at,
                          f.blocks);
            recovers();
        }
    printf("store: %ld allocations failed, once and from then on\n", all);
    store_close(sound);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { every_call_fails, every_allocation_fails, NULL };
    return support_run("store_fault", tests);
}
