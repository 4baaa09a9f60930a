/* Candidates compiled several at once: on threads, late, ended, failing, after a fork. */
/* ctest: labels=threads */
#include "autotune/compile.h"
#include "tests/tune_stub.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS = 8 };

typedef struct trial {
    tried t;
    compile_job job[JOBS];
    compile_options options;
    int ticks, end_at;
    pthread_t caller;
    const sigset_t *blocks; /* from the first tick on, in the caller */
} trial;

static fg_status tick(void *user, fg_error *e)
{
    trial *t = user;
    ck_assert(pthread_equal(t->caller, pthread_self()));
    if (t->blocks) pthread_sigmask(SIG_BLOCK, t->blocks, NULL);
    if (++t->ticks != t->end_at) return FG_OK;
    return (fg_status)(snprintf(e->text, sizeof e->text, "enough"), FG_CANCELLED);
}

/* A compiler that takes its time. */
static void write_compiler(const char *path, const char *seconds)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "#!/bin/sh\nsleep %s\nexec %s \"$@\"\n", seconds, FLASHGEN_KERNEL_COMPILER);
    fclose(f);
    ck_assert_int_eq(chmod(path, 0700), 0);
}

static void trial_new(trial *t, const int *faults, const char *seconds)
{
    fg_context_options o = stub_options();
    char path[96];
    if (!*folder) in_folder();
    snprintf(path, sizeof path, "%s/compiler", folder);
    if (seconds) write_compiler(path, seconds), o.compiler = path;
    tune_space(faults, JOBS);
    *t = (trial){ .caller = pthread_self() };
    tried_new(&t->t, &o);
    for (int k = 0; k < JOBS; k++) t->job[k].config = tune_config[k];
    t->options = (compile_options){ .context = t->t.context,
                                    .problem = t->t.problem->problem,
                                    .threads = 3,
                                    .deadline = HUGE_VAL,
                                    .tick = tick,
                                    .user = t };
}

static void trial_free(trial *t)
{
    for (int k = 0; k < JOBS; k++)
        if (t->job[k].status == FG_OK) image_free(&t->job[k].image);
    tried_free(&t->t);
}

static int of_status(const trial *t, fg_status status)
{
    int count = 0;
    for (int k = 0; k < JOBS; k++) count += t->job[k].status == status;
    return count;
}

static const int right[JOBS] = { 0 };

START_TEST(each_is_itself)
{
    static const int some[JOBS] = { [2] = FAULT_uncompiled, [5] = FAULT_uncompiled };
    trial t;
    for (int threads = 1; threads <= 100; threads = threads * 4 + 1) {
        trial_new(&t, some, NULL);
        t.options.threads = threads;
        ck_assert_int_eq(compile_all(t.job, JOBS, &t.options, &error), FG_OK);
        ck_assert_int_eq(of_status(&t, FG_OK), 6);
        for (int k = 0; k < JOBS; k++) {
            ck_assert_int_eq(t.job[k].status, some[k] ? FG_COMPILER : FG_OK);
            if (some[k])
                ck_assert_ptr_nonnull(strstr(t.job[k].error.text, "no C"));
            else
                ck_assert_str_eq(t.job[k].image.made->config, tune_config[k]);
        }
        trial_free(&t);
    }
}
END_TEST

START_TEST(time_goes_by)
{
    trial t;
    trial_new(&t, right, "0.9");
    t.options.threads = JOBS;
    double start = library_seconds();
    ck_assert_int_eq(compile_all(t.job, JOBS, &t.options, &error), FG_OK);
    ck_assert_double_lt(library_seconds() - start, 0.9 * JOBS); /* at once */
    ck_assert_int_ge(t.ticks, 2);
    ck_assert_int_eq(of_status(&t, FG_OK), JOBS);
    trial_free(&t);
}
END_TEST

START_TEST(ended)
{
    trial t;
    for (int threads = 1; threads <= 3; threads += 2) {
        trial_new(&t, right, "0.3");
        t.options.threads = threads;
        t.end_at = 1;
        ck_assert_int_eq(compile_all(t.job, JOBS, &t.options, &error), FG_CANCELLED);
        ck_assert_str_eq(error.text, "enough");
        ck_assert_int_eq(t.ticks, 1);
        ck_assert_int_eq(of_status(&t, FG_OK), threads);
        ck_assert_int_eq(of_status(&t, FG_PENDING), JOBS - threads);
        trial_free(&t);
    }
}
END_TEST

/* The first is compiled however late it is, if it must be. */
START_TEST(late)
{
    trial t;
    for (int k = 0; k < 4; k++) {
        trial_new(&t, right, NULL);
        t.options.threads = k % 2 ? 3 : 1;
        t.options.optional = k / 2;
        t.options.deadline = library_seconds();
        ck_assert_int_eq(compile_all(t.job, JOBS, &t.options, &error), FG_OK);
        ck_assert_int_eq(t.job[0].status, k / 2 ? FG_PENDING : FG_OK);
        ck_assert_int_eq(of_status(&t, FG_PENDING), k / 2 ? JOBS : JOBS - 1);
        trial_free(&t);
    }
}
END_TEST

enum { FIRST = 5 }; /* jobs of one pool; the others are another's */

static void begin_two(trial *t, compile_pool *pools[2], sem_t *cores, unsigned count)
{
    trial_new(t, right, "0.4");
    sem_init(cores, 0, count);
    t->options.cores = cores;
    t->options.threads = 4;
    ck_assert_int_eq(compile_begin(&pools[0], t->job, FIRST, &t->options, &error), FG_OK);
    ck_assert_int_eq(compile_begin(&pools[1], t->job + FIRST, JOBS - FIRST, &t->options, &error),
                     FG_OK);
}

/* The second has the cores that the first one's last job leaves. */
START_TEST(two_share_cores)
{
    trial t;
    sem_t cores;
    compile_pool *pools[2];
    int left = 0;
    begin_two(&t, pools, &cores, 4);
    double start = library_seconds();
    ck_assert_int_eq(compile_end(pools[0], &error), FG_OK);
    compile_stop(pools[1]);
    ck_assert_double_gt(library_seconds() - start, 0.7); /* two in a row */
    ck_assert_int_eq(of_status(&t, FG_OK), JOBS);
    sem_getvalue(&cores, &left);
    ck_assert_int_eq(left, 4);
    sem_destroy(&cores);
    trial_free(&t);
}
END_TEST

START_TEST(two_are_stopped)
{
    trial t;
    sem_t cores;
    compile_pool *pools[2];
    begin_two(&t, pools, &cores, 1);
    for (int k = 0; k < 2; k++) compile_cancel(pools[k]);
    for (int k = 0; k < 2; k++) compile_stop(pools[k]);
    ck_assert_int_le(of_status(&t, FG_OK), 1);
    ck_assert_int_ge(of_status(&t, FG_PENDING), JOBS - 1);
    sem_destroy(&cores);
    trial_free(&t);
}
END_TEST

/* There, no thread may be made; the host's is enough. */
START_TEST(forked)
{
    trial t;
    trial_new(&t, right, NULL);
    pid_t child = fork();
    if (child == 0) {
        t.caller = pthread_self();
        bool well = compile_all(t.job, JOBS, &t.options, &error) == FG_OK;
        _exit(well && of_status(&t, FG_OK) == JOBS && t.ticks == JOBS ? 7 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 7);
    trial_free(&t);
}
END_TEST

static atomic_int elsewhere;
static pthread_t host_thread;

static void on_signal(int number)
{
    (void)number;
    if (!pthread_equal(host_thread, pthread_self())) atomic_fetch_add(&elsewhere, 1);
}

static void *send_signals(void *stop)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    while (!atomic_load((atomic_bool *)stop)) {
        kill(getpid(), SIGUSR1);
        nanosleep(&(struct timespec){ .tv_nsec = 300000 }, NULL);
    }
    return NULL;
}

/* The host's signals go to the host's threads, even if none of them takes any, and interrupt nothing. */
START_TEST(signals)
{
    trial t;
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    atomic_bool stop = false;
    pthread_t sender;
    host_thread = pthread_self();
    struct sigaction action = { .sa_handler = on_signal };
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    trial_new(&t, right, "0.5");
    t.blocks = &usr1;
    ck_assert_int_eq(pthread_create(&sender, NULL, send_signals, &stop), 0);
    ck_assert_int_eq(compile_all(t.job, JOBS, &t.options, &error), FG_OK);
    atomic_store(&stop, true);
    pthread_join(sender, NULL);
    ck_assert_int_eq(of_status(&t, FG_OK), JOBS);
    ck_assert_int_eq(atomic_load(&elsewhere), 0);
    trial_free(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_is_itself,  time_goes_by, ended,   late, two_share_cores,
        two_are_stopped, forked,       signals, NULL,
    };
    return support_run("compile", tests);
}
