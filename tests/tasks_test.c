/* How tasks are run: on threads, after a fork, while others plan. */
/* ctest: labels=threads */
#include "runtime/library.h"
#include "tests/runtime_stub.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE "dtype=f64 b=1 hq=4 sq=64 d=4"

static fg_error error;

START_TEST(every_task_once)
{
    static const struct {
        const char *text;
        int tasks;
    } sizes[] = { { "0", 0 },    { "1", 1 }, { "3", 3 }, { "sq", 64 }, { "sq * 3 + 1", 193 },
                  { "0 - 5", 0 } };
    for (int threads = 1; threads <= 5; threads += 2)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            fg_context_options o = stub_options();
            counted c;
            o.threads = threads;
            stub_counts_tasks(sizes[k].text);
            counted_new(&c, &o);
            for (int times = 1; times <= 20; times++) {
                ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_OK);
                ck_assert_msg(counts(&c, sizes[k].tasks, times), "%s on %d", sizes[k].text,
                              threads);
            }
            counted_free(&c);
        }
}
END_TEST

typedef struct host_pool {
    int calls;
    int64_t worker, first, last; /* added to what is right */
} host_pool;

static void host_parallel_for(void *user, int64_t count, fg_task_fn task, void *data)
{
    host_pool *h = user;
    h->calls++;
    for (int64_t k = 0; k < count; k += 10) {
        int64_t end = k + 10 < count ? k + 10 : count;
        task(data, k / 10 % 2 + h->worker, k + h->first, end + h->last);
    }
}

START_TEST(the_hosts_pool)
{
    fg_context_options o = stub_options();
    host_pool h = { 0, 0, 0, 0 };
    counted c;
    o.threads = 2;
    o.parallel_for = host_parallel_for;
    o.parallel_user = &h;
    stub_counts_tasks("sq + 3");
    counted_new(&c, &o);
    ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_OK);
    ck_assert_int_eq(h.calls, 1);
    ck_assert(counts(&c, 67, 1));
    static const host_pool bad[] = {
        { 0, 1, 0, 0 }, { 0, -1, 0, 0 }, { 0, 0, -1, 0 }, { 0, 0, 0, 1 }, { 0, 0, 0, -1 }
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        h = bad[k];
        ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_REQUEST);
        ck_assert_str_eq(
            error.text,
            "the host's parallel_for must cover tasks 0 to 67 once each, with workers below 2");
    }
    counted_free(&c);
}
END_TEST

/* ---- Forks ---- */

static bool child_succeeds(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

START_TEST(fork_after_openmp)
{
    fg_context_options o = stub_options();
    counted c;
    o.threads = 4;
    stub_counts_tasks("sq");
    counted_new(&c, &o);
    ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_OK);
    pid_t child = fork();
    if (child == 0) {
        alarm(20); /* a hang is a failure */
        bool right = fg_run(c.plan, &c.run.args, &error) == FG_OK && counts(&c, 64, 2);
        counted other;
        stub_counts_tasks("sq + 1"); /* planning works there, too */
        counted_new(&other, &o);
        right =
            right && fg_run(other.plan, &other.run.args, &error) == FG_OK && counts(&other, 65, 1);
        counted_free(&other);
        counted_free(&c);
        _exit(right ? 0 : 1);
    }
    ck_assert(child_succeeds(child));
    ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_OK); /* the parent is as before */
    ck_assert(counts(&c, 64, 2));
    counted_free(&c);
}
END_TEST

/* The child calls no pool of the host: its threads are not there. */
START_TEST(fork_with_a_pool)
{
    fg_context_options o = stub_options();
    host_pool h = { 0, 0, 0, 0 };
    counted c;
    o.threads = 2;
    o.parallel_for = host_parallel_for;
    o.parallel_user = &h;
    stub_counts_tasks("sq");
    counted_new(&c, &o);
    pid_t child = fork();
    if (child == 0)
        _exit(fg_run(c.plan, &c.run.args, NULL) == FG_OK && counts(&c, 64, 1) && h.calls == 0 ? 0
                                                                                              : 1);
    ck_assert(child_succeeds(child));
    counted_free(&c);
}
END_TEST

/* ---- Threads ---- */

typedef struct planner {
    fg_context *context;
    fg_problem *problem[4];
    int failures;
    atomic_bool *stop;
} planner;

static void plan_and_run(planner *w, int k)
{
    fg_plan *plan = NULL;
    fg_error why;
    stub_run run;
    stub_number = 10 + k % 4; /* of this problem, whoever compiles it */
    if (fg_plan_new(&plan, w->context, w->problem[k % 4], NULL, &why) != FG_OK) {
        w->failures++;
        return;
    }
    stub_run_new(&run, w->problem[k % 4], 0);
    if (fg_run(plan, &run.args, &why) != FG_OK || *(double *)run.args.o->data != stub_number)
        w->failures++;
    stub_run_free(&run);
    fg_plan_free(plan);
}

static void *planner_main(void *data)
{
    planner *w = data;
    for (int k = 0; k < 24; k++) plan_and_run(w, k);
    return NULL;
}

enum { planners = 6 };

START_TEST(threads_plan_together)
{
    pthread_t thread[planners];
    planner w[planners];
    fg_context_options o = stub_options();
    o.threads = 1;
    stub_is_number();
    fg_context *context = stub_context(&o);
    fg_problem *p[4];
    for (int k = 0; k < 4; k++) {
        char line[80];
        snprintf(line, sizeof line, "dtype=f64 b=1 hq=1 sq=%d d=4", 4 + k);
        p[k] = stub_problem(context, line);
    }
    for (int k = 0; k < planners; k++) {
        w[k] = (planner){ .context = context };
        memcpy(w[k].problem, p, sizeof p);
        ck_assert_int_eq(pthread_create(&thread[k], NULL, planner_main, &w[k]), 0);
    }
    for (int k = 0; k < planners; k++) {
        pthread_join(thread[k], NULL);
        ck_assert_int_eq(w[k].failures, 0);
    }
    int kept = 0; /* one for each problem, however many threads made it */
    for (const kernel *found = context->kernels; found; found = found->next) kept++;
    ck_assert_int_eq(kept, 4);
    for (int k = 0; k < 4; k++) fg_problem_free(p[k]);
    fg_context_free(context);
}
END_TEST

static void *lock_often(void *data)
{
    while (!atomic_load((atomic_bool *)data)) {
        library_lock();
        library_unlock();
    }
    return NULL;
}

/* Whatever another thread holds when we fork, the child can plan. */
START_TEST(fork_while_others_plan)
{
    pthread_t thread;
    atomic_bool stop = false;
    stub_is_number();
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = stub_plan(context, p);
    ck_assert_int_eq(pthread_create(&thread, NULL, lock_often, &stop), 0);
    for (int k = 0; k < 100; k++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            fg_plan_free(stub_plan(context, p));
            _exit(0);
        }
        ck_assert(child_succeeds(child));
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_task_once,
        the_hosts_pool,
        fork_after_openmp,
        fork_with_a_pool,
        threads_plan_together,
        fork_while_others_plan,
        NULL,
    };
    return support_run("tasks", tests);
}
