/* Several processes: the same entry at once, killed writers, locks and their holders. */
#include "runtime/library.h"
#include "tests/store_support.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

static fg_error error;
static fg_store_report report;

static void pause_for(double seconds)
{
    nanosleep(&(struct timespec){ (time_t)seconds, (long)(fmod(seconds, 1) * 1e9) }, NULL);
}

static pid_t child_of(void (*body)(int number), int number)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid) return pid;
    body(number);
    _exit(0);
}

static void child_ends_well(pid_t pid)
{
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child ended with %d", status);
}

static void child_kill(pid_t pid)
{
    int status;
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
}

/* ---- The same at once ---- */

/* A child's failure shows in its exit code: Check's assertions are its parent's. */
static void put_and_get(int number)
{
    store *s = store_quick();
    for (int n = 0; n < 200; n++) {
        store_entry e;
        digest d = numbered_digest(n % 3);
        put_numbered(s, STORE_kernel, n % 3, NULL);
        if (!store_get(&e, s, STORE_kernel, &d) || !is_numbered(&e, n % 3)) _exit(1 + number);
        store_entry_free(&e);
    }
    fg_store_counts c = store_counts(s);
    if (c.written != 200 || c.unwritten || c.damaged) _exit(100);
    store_close(s);
}

START_TEST(the_same_at_once)
{
    pid_t pids[4];
    in_folder();
    for (int n = 0; n < 4; n++) pids[n] = child_of(put_and_get, n);
    for (int n = 0; n < 4; n++) child_ends_well(pids[n]);
    ck_assert_int_eq(entries(in("store/kernel")), 3);
    ck_assert_int_eq(entries(in("store/new")), 0);
}
END_TEST

static store *inherited;

static void use_inherited(int number)
{
    store_entry e;
    digest d = numbered_digest(1);
    if (!store_get(&e, inherited, STORE_kernel, &d)) _exit(1);
    store_entry_free(&e);
    put_numbered(inherited, STORE_kernel, number, NULL);
}

START_TEST(after_a_fork)
{
    inherited = store_here();
    put_numbered(inherited, STORE_kernel, 1, NULL);
    child_ends_well(child_of(use_inherited, 2));
    ck_assert(get_numbered(inherited, STORE_kernel, 2));
    store_close(inherited);
}
END_TEST

/* ---- Killed ---- */

static ssize_t write_slowly(int fd, const void *data, size_t size)
{
    return write(fd, data, size > 64 ? 64 : size);
}

static void put_until_killed(int number)
{
    store_calls calls = *quick_calls();
    calls.write = write_slowly;
    store *s = store_with(in("store"), NULL, &calls, NULL);
    for (int n = number;; n++) {
        digest d = numbered_digest(n % 64);
        store_lock lock = store_lock_take(s, &d, 0.01);
        put_numbered(s, (store_kind)(n % store_kind_count), n % 64, NULL);
        store_lock_drop(&lock);
    }
}

typedef struct tally {
    int right, wrong;
} tally;

static int count_entries(void *user, const fg_store_entry *e)
{
    tally *t = user;
    t->right += e->status == FG_OK;
    t->wrong += e->status != FG_OK;
    return 0;
}

START_TEST(killed_writers)
{
    enum { rounds = 200, writers = 4 };
    rng r = rng_new(9, 0);
    int abandoned = 0;
    store *s = store_quick();
    for (int round = 0; round < rounds; round++) {
        pid_t pids[writers];
        for (int n = 0; n < writers; n++) pids[n] = child_of(put_until_killed, round * 5 + n * 16);
        for (int n = 0; n < writers; n++) {
            pause_for(0.002 * rng_unit(&r));
            child_kill(pids[n]);
        }
        for (int n = 0; n < 64; n++)
            for (int kind = 0; kind < store_kind_count; kind++)
                if (n % 8 == round % 8) get_numbered(s, (store_kind)kind, n);
        if (round % 20 == 19 && exists(in("store/new"))) abandoned += entries(in("store/new"));
        if (round % 20 == 19) ck_assert_int_eq(store_prune(s, -1, &report, &error), FG_OK);
    }
    tally t = { 0, 0 };
    ck_assert_int_eq(store_visit(s, count_entries, &t, &error), FG_OK);
    ck_assert_int_eq(t.wrong, 0);
    ck_assert_int_gt(t.right, 60);
    ck_assert_int_gt(abandoned, 50); /* else nobody was killed at it */
    ck_assert_int_eq(entries(in("store/new")), 0);
    ck_assert_int_eq((int)report.left, t.right);
    ck_assert_int_eq((int)store_counts(s).damaged, 0);
    store_close(s);
}
END_TEST

/* ---- Locks ---- */

static int ready[2];

static void hold_lock(int number)
{
    digest d = numbered_digest(number);
    store *s = store_here();
    store_lock lock = store_lock_take(s, &d, 10);
    if (lock.fd < 0) _exit(1);
    if (write(ready[1], "x", 1) != 1) _exit(2);
    for (;;) pause();
}

static pid_t holder_of(int number)
{
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = child_of(hold_lock, number);
    ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
    return pid;
}

START_TEST(locks_exclude)
{
    store *s = store_here();
    digest d = numbered_digest(1), like_it = d, other = d;
    like_it.byte[31] ^= 1;
    other.byte[0] ^= 1;
    int files = stub_open_files();
    store_lock one = store_lock_take(s, &d, 0);
    ck_assert_int_ge(one.fd, 0);
    store_lock two = store_lock_take(s, &like_it, 0.05);
    ck_assert_int_eq(two.fd, -1);
    store_lock three = store_lock_take(s, &other, 0);
    ck_assert_int_ge(three.fd, 0);
    store_lock_drop(&one);
    ck_assert_int_eq(one.fd, -1);
    two = store_lock_take(s, &d, 0);
    ck_assert_int_ge(two.fd, 0);
    store_lock_drop(&two);
    store_lock_drop(&two); /* twice is once */
    store_lock_drop(&three);
    ck_assert_int_eq(stub_open_files(), files);
    ck_assert_int_eq(entries(in("store/lock")), 2);
    store_close(s);
}
END_TEST

START_TEST(a_killed_holder)
{
    in_folder();
    store *s = store_here();
    digest d = numbered_digest(1);
    pid_t pid = holder_of(1);
    ck_assert_int_eq(store_lock_take(s, &d, 0.05).fd, -1);
    child_kill(pid);
    store_lock lock = store_lock_take(s, &d, 0);
    ck_assert_int_ge(lock.fd, 0);
    store_lock_drop(&lock);
    store_close(s);
}
END_TEST

static void kill_later(int pid)
{
    pause_for(0.1);
    kill(pid, SIGKILL);
}

/* Killed while somebody waits. */
START_TEST(a_dying_holder)
{
    in_folder();
    store *s = store_here();
    digest d = numbered_digest(1);
    pid_t pid = holder_of(1), killer = child_of(kill_later, pid);
    double start = library_seconds();
    store_lock lock = store_lock_take(s, &d, 120);
    ck_assert_int_ge(lock.fd, 0);
    ck_assert_double_lt(library_seconds() - start, 60);
    store_lock_drop(&lock);
    child_ends_well(killer);
    waitpid(pid, NULL, 0);
    store_close(s);
}
END_TEST

START_TEST(a_stopped_holder)
{
    in_folder();
    store *s = store_here();
    digest d = numbered_digest(1);
    pid_t pid = holder_of(1);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    double start = library_seconds();
    ck_assert_int_eq(store_lock_take(s, &d, 0.3).fd, -1);
    double took = library_seconds() - start;
    ck_assert_double_ge(took, 0.29);
    ck_assert_double_lt(took, 20);
    child_kill(pid);
    store_close(s);
}
END_TEST

static void wait_for_end(int number)
{
    (void)number;
    for (;;) pause();
}

/* A child that was forked while a lock was held does not hold it on. */
START_TEST(a_lock_and_a_fork)
{
    store *s = store_here();
    digest d = numbered_digest(1);
    store_lock lock = store_lock_take(s, &d, 0);
    ck_assert_int_ge(lock.fd, 0);
    pid_t pid = child_of(wait_for_end, 0);
    store_lock_drop(&lock);
    lock = store_lock_take(s, &d, 0);
    ck_assert_int_ge(lock.fd, 0);
    store_lock_drop(&lock);
    child_kill(pid);
    store_close(s);
}
END_TEST

static int no_flock(int fd, int operation)
{
    (void)fd;
    (void)operation;
    errno = ENOLCK;
    return -1;
}

/* A file system without locks, a folder in the way: not had, at once; all else goes on. */
START_TEST(locks_not_to_be_had)
{
    store_calls calls = store_calls_system;
    digest d = numbered_digest(1);
    calls.flock = no_flock;
    in_folder();
    store *s = store_with(in("store"), NULL, &calls, NULL);
    int files = stub_open_files();
    double start = library_seconds();
    ck_assert_int_eq(store_lock_take(s, &d, 100).fd, -1);
    put_numbered(s, STORE_kernel, 1, NULL);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    store_close(s);
    ck_assert_int_eq(unlink(in("store/lock/%02x", d.byte[0])), 0);
    ck_assert_int_eq(mkdir(in("store/lock/%02x", d.byte[0]), 0700), 0);
    s = store_here();
    ck_assert_int_eq(store_lock_take(s, &d, 100).fd, -1);
    ck_assert_double_lt(library_seconds() - start, 50);
    ck_assert_int_eq(stub_open_files(), files);
    store_close(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_same_at_once, after_a_fork,     killed_writers,    locks_exclude,       a_killed_holder,
        a_dying_holder,   a_stopped_holder, a_lock_and_a_fork, locks_not_to_be_had, NULL,
    };
    return support_run("store_process", tests);
}
