/* Searches that are cancelled, run out of memory, wait for each other, or run in a forked child. */
/* ctest: labels=threads */
#include "tests/tune_stub.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static const int three[] = { FAULT_slow, FAULT_none, FAULT_slow };

/* At the first events, one by one, and then here and there. */
START_TEST(cancelled)
{
    tried t;
    choice c;
    tune_space(three, 3);
    tried_new(&t, NULL);
    t.options.in_process = 1;
    tried_must(&t, false);
    int events = t.told.count;
    t.options.again = 1;
    ck_assert_int_eq(fg_store_clear(t.context, NULL, &error), FG_OK);
    for (int k = 1; k < events - 2; k += k < 6 ? 1 : 5) {
        t.told.cancel_at = k;
        double start = library_seconds();
        fg_status status = tried_tune(&t);
        if (status == FG_OK && k > 6) { /* ticks come with time: this search had fewer events */
            ck_assert_int_lt(t.told.count, k);
            break;
        }
        ck_assert_int_eq(status, FG_CANCELLED);
        ck_assert_int_eq(t.told.count, k);
        ck_assert_double_lt(library_seconds() - start, 10);
        ck_assert(!tried_stored(&t, STORE_winner, &c));
    }
    tried_free(&t);
}
END_TEST

/* The reference is computed by several threads. */
static void *locked_allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    void *result = failing_allocate(user, block, old_size, new_size);
    pthread_mutex_unlock(&lock);
    return result;
}

START_TEST(out_of_memory)
{
    fg_context_options o = stub_options();
    failing f = { 0 };
    tried t;
    o.allocate = locked_allocate;
    o.allocate_user = &f;
    tune_space(three, 1);
    tried_new(&t, &o);
    t.options.in_process = 1;
    t.options.seconds = 0.05;
    tried_must(&t, false);
    long before = f.blocks, all = f.count;
    int failed = 0;
    for (long at = 1; at < all; at += 1 + at / 8) {
        f.count = 0;
        f.at = at;
        fg_status status = tried_tune(&t);
        ck_assert_msg(status == FG_OK || status == FG_MEMORY, "%s", error.text);
        failed += status == FG_MEMORY;
        f.at = 0;
        ck_assert_int_eq(f.blocks, before);
    }
    ck_assert_int_ge(failed, 10);
    tried_free(&t);
    ck_assert_int_eq(f.blocks, 0);
    ck_assert_uint_eq(f.bytes, 0);
}
END_TEST

static void *tune_thread(void *argument)
{
    tried_tune(argument);
    return NULL;
}

/* Of two that search the same, the second waits, and finds what the first stored. */
START_TEST(two_searches)
{
    tried t[2];
    pthread_t thread;
    tune_space(three, 3);
    tried_new(&t[0], NULL);
    tried_new(&t[1], NULL);
    t[0].options.seconds = t[1].options.seconds = 20;
    ck_assert_int_eq(pthread_create(&thread, NULL, tune_thread, &t[0]), 0);
    fg_status status = tried_tune(&t[1]);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    pthread_join(thread, NULL);
    ck_assert_int_eq(t[0].report.found + t[1].report.found, 1);
    ck_assert_str_eq(t[0].report.config, t[1].report.config);
    ck_assert_int_eq(t[0].told.silent + t[1].told.silent, 0);
    tried_free(&t[0]);
    tried_free(&t[1]);
}
END_TEST

START_TEST(in_a_forked_child)
{
    tried t;
    tune_space(three, 3);
    tried_new(&t, NULL);
    tried_must(&t, false);
    t.options.again = 1;
    t.options.in_process = 1;
    pid_t child = fork();
    if (child == 0) _exit(tried_tune(&t) == FG_OK ? 7 : 1);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 7);
    tried_free(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { cancelled, out_of_memory, two_searches, in_a_forked_child,
                                   NULL };
    return support_run("tune_ends", tests);
}
