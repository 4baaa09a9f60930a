/* ctest: labels=threads */
/* One store in many threads. */
#include "tests/store_support.h"

#include <pthread.h>

enum { threads = 4, rounds = 60 };

static store *shared_store;

static int see(void *user, const fg_store_entry *e)
{
    (void)user;
    ck_assert_int_eq(e->status, FG_OK);
    return 0;
}

/* Each thread's own entries and those that all put. */
static void *use(void *number)
{
    int own = 100 + *(int *)number;
    fg_error error;
    for (int n = 0; n < rounds; n++) {
        digest d = numbered_digest(n % 5);
        store_lock lock = store_lock_take(shared_store, &d, 0.05);
        put_numbered(shared_store, STORE_kernel, n % 5, NULL);
        ck_assert(get_numbered(shared_store, STORE_kernel, n % 5));
        store_lock_drop(&lock);
        put_numbered(shared_store, STORE_winner, own, NULL);
        ck_assert(get_numbered(shared_store, STORE_winner, own));
        if (n % 20 == 0) ck_assert_int_eq(store_visit(shared_store, see, NULL, &error), FG_OK);
        if (n % 20 == 10) ck_assert_int_eq(store_prune(shared_store, -1, NULL, &error), FG_OK);
    }
    return NULL;
}

static void in_threads(void *(*body)(void *number))
{
    pthread_t thread[threads];
    int number[threads];
    for (int n = 0; n < threads; n++) {
        number[n] = n;
        ck_assert_int_eq(pthread_create(&thread[n], NULL, body, &number[n]), 0);
    }
    for (int n = 0; n < threads; n++) ck_assert_int_eq(pthread_join(thread[n], NULL), 0);
}

START_TEST(together)
{
    shared_store = store_quick();
    in_threads(use);
    ck_counts(shared_store, 2 * threads * rounds, 0, 0, 2 * threads * rounds, 0);
    ck_assert_int_eq(warnings, 0);
    ck_assert_int_eq(entries(in("store/new")), 0);
    store_close(shared_store);
}
END_TEST

static void *use_refused(void *number)
{
    (void)number;
    for (int n = 0; n < rounds; n++) {
        put_numbered(shared_store, STORE_kernel, n, NULL);
        ck_assert(!get_numbered(shared_store, STORE_kernel, n));
    }
    return NULL;
}

START_TEST(warned_once)
{
    in_folder();
    ck_assert_int_eq(mkdir(in("store"), 0700), 0);
    ck_assert_int_eq(chmod(in("store"), 0777), 0);
    shared_store = store_here();
    in_threads(use_refused);
    ck_assert_int_eq(warnings, 1);
    ck_counts(shared_store, 0, threads * rounds, 0, 0, threads * rounds);
    store_close(shared_store);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { together, warned_once, NULL };
    return support_run("store_threads", tests);
}
