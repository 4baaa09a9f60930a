/* Removing what is kept: never what is in use, never by a clock, never what is not ours. */
#include "tests/store_support.h"

#include <sys/file.h>
#include <time.h>

static fg_error error;
static fg_store_report report;

/* ---- Pruning ---- */

static void prune_gives(store *s, int64_t most, int removed, int left)
{
    ck_assert_msg(store_prune(s, most, &report, &error) == FG_OK, "%s", error.text);
    ck_assert_int_eq((int)report.removed, removed);
    ck_assert_int_eq((int)report.left, left);
    if (most >= 0) ck_assert_int_le(report.left_bytes, most);
}

START_TEST(prune_wrong_ones)
{
    store *s = store_quick();
    prune_gives(s, -1, 0, 0); /* there is no store yet */
    ck_assert(!exists(in("store")));
    spoil(s);
    prune_gives(s, -1, 4, 4);
    prune_gives(s, -1, 0, 4);
    for (int n = 0; n < 8; n++) ck_assert(get_numbered(s, STORE_kernel, n) == (n == 3 || n > 4));
    /* Not ours. */
    ck_assert(exists(in("store/kernel/README")) && exists(in("store/notes")));
    ck_assert(exists(in("store/new/notes")));
    store_close(s);
}
END_TEST

static void set_time(const char *path, int64_t seconds, long nanoseconds)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
                                 { .tv_sec = seconds, .tv_nsec = nanoseconds } };
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Used at n * 7 % 20: a permutation. To the nanosecond. */
START_TEST(prune_the_least_recently_used)
{
    store *s = store_quick();
    int64_t bytes[20], all = 0;
    for (int n = 0; n < 20; n++) {
        store_kind kind = (store_kind)(n % store_kind_count);
        struct stat info;
        put_numbered(s, kind, n, NULL);
        set_time(path_of(kind, n), 1700000000, n * 7 % 20);
        ck_assert_int_eq(stat(path_of(kind, n), &info), 0);
        bytes[n * 7 % 20] = info.st_size;
        all += info.st_size;
    }
    prune_gives(s, all, 0, 20);
    prune_gives(s, all - 1, 1, 19);
    all -= bytes[0];
    for (int n = 1; n < 12; n++) all -= bytes[n];
    prune_gives(s, all, 11, 8);
    ck_assert_int_eq(report.left_bytes, all);
    for (int n = 0; n < 20; n++) {
        store_kind kind = (store_kind)(n % store_kind_count);
        ck_assert_msg(exists(path_of(kind, n)) == (n * 7 % 20 >= 12), "entry %d", n);
    }
    prune_gives(s, 0, 8, 0);
    store_close(s);
}
END_TEST

static const int64_t ten_years = 10 * 365 * 86400LL;

START_TEST(prune_with_clocks_off)
{
    store *s = store_quick();
    for (int n = 0; n < 30; n++) {
        put_numbered(s, STORE_kernel, n, NULL);
        int64_t off[] = { -ten_years, 0, ten_years };
        set_time(path_of(STORE_kernel, n), (int64_t)time(NULL) + off[n % 3], 0);
    }
    put_numbered(s, STORE_kernel, 30, NULL);
    set_time(path_of(STORE_kernel, 30), 0, 0);
    put_numbered(s, STORE_kernel, 31, NULL);
    set_time(path_of(STORE_kernel, 31), -1000, 0);
    prune_gives(s, -1, 0, 32);
    prune_gives(s, 1 << 30, 0, 32);
    for (int n = 0; n < 32; n++) ck_assert(get_numbered(s, STORE_kernel, n));
    store_close(s);
}
END_TEST

/* Half-written files: those that somebody writes stay, however old; the others go, however young. */
START_TEST(prune_abandoned)
{
    store *s = store_quick();
    put_numbered(s, STORE_kernel, 1, NULL);
    file_put(in("store/new/put-1-1-1-1"), "half", 4);
    file_put(in("store/new/put-2-1-1-1"), "half", 4);
    ck_assert_int_eq(mkdir(in("store/new/old-3-1-1-1"), 0700), 0);
    ck_assert_int_eq(mkdir(in("store/new/old-4-1-1-1"), 0700), 0);
    file_put(in("store/new/old-4-1-1-1/file"), "mine", 4);
    set_time(in("store/new/put-1-1-1-1"), 1, 0);
    int alive = open(in("store/new/put-1-1-1-1"), O_WRONLY);
    ck_assert_int_eq(flock(alive, LOCK_EX), 0);
    prune_gives(s, -1, 2, 1);
    ck_assert_int_eq((int)report.removed_bytes, 4);
    ck_assert(exists(in("store/new/put-1-1-1-1")) && !exists(in("store/new/put-2-1-1-1")));
    ck_assert(!exists(in("store/new/old-3-1-1-1")) && exists(in("store/new/old-4-1-1-1/file")));
    close(alive);
    ck_assert_int_eq(store_clear(s, &report, &error), FG_OK);
    ck_assert_int_eq((int)report.removed, 2);
    ck_assert(!exists(in("store/new/put-1-1-1-1")));
    store_close(s);
}
END_TEST

/* ---- A prune between a writer's steps ---- */

static store *pruner;
static int prunes;

static void prune_now(void)
{
    if (!pruner) return;
    prunes++;
    ck_assert_int_eq(store_prune(pruner, -1, &report, &error), FG_OK);
}

static int prune_after_openat(int at, const char *path, int flags, mode_t mode)
{
    int fd = store_calls_system.openat(at, path, flags, mode);
    if (flags & O_EXCL && prunes < 2) prune_now();
    return fd;
}

static ssize_t prune_before_write(int fd, const void *data, size_t size)
{
    prune_now();
    return write(fd, data, size > 300 ? 300 : size);
}

static int prune_before_rename(int from_folder, const char *from, int to_folder, const char *to)
{
    prune_now();
    return renameat(from_folder, from, to_folder, to);
}

START_TEST(prune_while_writing)
{
    store_calls opens = store_calls_system, writes = opens, renames = opens;
    opens.openat = prune_after_openat;
    writes.write = prune_before_write;
    renames.renameat = prune_before_rename;
    const store_calls *const all[] = { &opens, &writes, &renames };
    pruner = store_quick();
    for (int n = 0; n < 3; n++) {
        store *s = store_with(in("store"), NULL, all[n], NULL);
        prunes = 0;
        put_numbered(s, STORE_kernel, n, NULL);
        ck_assert_int_gt(prunes, 0);
        ck_assert(get_numbered(s, STORE_kernel, n));
        ck_counts(s, 1, 0, 0, 1, 0);
        store_close(s);
    }
    ck_assert_int_eq(entries(in("store/new")), 0);
    store_close(pruner);
}
END_TEST

/* A damaged entry that is healed just when it was found damaged stays. */
static ssize_t heal_after_read(int fd, void *data, size_t size)
{
    ssize_t got = read(fd, data, size);
    put_numbered(pruner, STORE_kernel, 1, NULL);
    return got;
}

START_TEST(healed_while_pruning)
{
    store_calls calls = store_calls_system;
    calls.read = heal_after_read;
    pruner = store_quick();
    put_numbered(pruner, STORE_kernel, 1, NULL);
    ck_assert_int_eq(truncate(path_of(STORE_kernel, 1), 100), 0);
    store *s = store_with(in("store"), NULL, &calls, NULL);
    prune_gives(s, -1, 0, 1);
    ck_assert(get_numbered(pruner, STORE_kernel, 1));
    store_close(s);
    store_close(pruner);
}
END_TEST

/* ---- Clearing ---- */

START_TEST(clear)
{
    store *s = store_quick();
    store_entry held;
    digest d = numbered_digest(6);
    ck_assert_int_eq(store_clear(s, &report, &error), FG_OK);
    spoil(s);
    store_lock lock = store_lock_take(s, &d, 0);
    ck_assert_int_ge(lock.fd, 0);
    ck_assert(store_get(&held, s, STORE_kernel, &d));
    ck_assert_int_eq(store_clear(s, &report, &error), FG_OK);
    ck_assert_int_eq((int)report.removed, 8);
    ck_assert_int_eq((int)report.left, 0);
    ck_assert(is_numbered(&held, 6)); /* what was read goes on */
    store_entry_free(&held);
    ck_assert_int_eq(entries(in("store/lock")), 1);
    ck_assert_int_eq(entries(in("store/kernel")), 1); /* README */
    ck_assert(exists(in("store/notes")));
    for (int n = 0; n < 8; n++) ck_assert(!get_numbered(s, STORE_kernel, n));
    store_lock_drop(&lock);
    put_numbered(s, STORE_kernel, 6, NULL);
    ck_assert(get_numbered(s, STORE_kernel, 6));
    store_close(s);
}
END_TEST

static int unlink_of_nothing(int at, const char *path, int flags)
{
    (void)at;
    (void)path;
    (void)flags;
    errno = EROFS;
    return -1;
}

START_TEST(what_cannot_be_removed)
{
    store_calls calls = *quick_calls();
    store *s = store_quick();
    calls.unlinkat = unlink_of_nothing;
    for (int n = 0; n < 5; n++) put_numbered(s, STORE_kernel, n, NULL);
    store_close(s);
    s = store_with(in("store"), NULL, &calls, NULL);
    ck_assert_int_eq(store_prune(s, 0, &report, &error), FG_MACHINE);
    ck_assert_msg(strstr(error.text, "Read-only") && strstr(error.text, in("store/kernel")), "%s",
                  error.text);
    ck_assert_int_eq((int)report.left, 5);
    ck_assert_int_eq(store_clear(s, &report, &error), FG_MACHINE);
    ck_assert_int_eq((int)report.left, 5);
    store_close(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        prune_wrong_ones,
        prune_the_least_recently_used,
        prune_with_clocks_off,
        prune_abandoned,
        prune_while_writing,
        healed_while_pruning,
        clear,
        what_cannot_be_removed,
        NULL,
    };
    return support_run("store_prune", tests);
}
