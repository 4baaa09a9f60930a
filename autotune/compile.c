#include "autotune/compile.h"

#include "runtime/library.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

enum { threads_max = 64, tick_ns = 200000000 };

/* What the threads of a call share, under the lock. */
typedef struct pool {
    const compile_options *options;
    compile_job *jobs;
    int count, next, working; /* jobs; threads at work */
    bool stopped;
    pthread_mutex_t lock;
    pthread_cond_t progress;
} pool;

static void make(const compile_options *o, compile_job *job)
{
    job->status =
        image_make(&job->image, o->context, o->problem, job->config, o->sizes, &job->error);
}

/* The next job to begin, or NULL. */
static compile_job *take(pool *p)
{
    bool late = p->next > 0 && library_seconds() >= p->options->deadline;
    return p->stopped || late || p->next == p->count ? NULL : &p->jobs[p->next++];
}

/* ---- On threads ---- */

static void *work(void *argument)
{
    pool *p = argument;
    pthread_mutex_lock(&p->lock);
    for (compile_job *job; (job = take(p));) {
        pthread_mutex_unlock(&p->lock);
        make(p->options, job);
        pthread_mutex_lock(&p->lock);
    }
    p->working--;
    pthread_cond_signal(&p->progress);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* How many there are: a host that can have no more threads gets fewer, or none. The host's signals are for
 * its own threads. */
static int start(pool *p, pthread_t *thread)
{
    sigset_t all, before;
    int started = 0, wanted = p->options->threads < p->count ? p->options->threads : p->count;
    if (wanted > threads_max) wanted = threads_max;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&p->lock);
    while (started < wanted && pthread_create(&thread[started], NULL, work, p) == 0) started++;
    p->working = started;
    pthread_mutex_unlock(&p->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static struct timespec after(long nanoseconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += nanoseconds;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static fg_status wait_for_all(pool *p, fg_error *error)
{
    fg_status status = FG_OK;
    pthread_mutex_lock(&p->lock);
    while (p->working > 0) {
        struct timespec until = after(tick_ns);
        if (pthread_cond_timedwait(&p->progress, &p->lock, &until) == 0 || p->stopped) continue;
        pthread_mutex_unlock(&p->lock);
        status = p->options->tick(p->options->user, error);
        pthread_mutex_lock(&p->lock);
        p->stopped = status != FG_OK;
    }
    pthread_mutex_unlock(&p->lock);
    return status;
}

static void pool_open(pool *p)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&p->progress, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&p->lock, NULL);
}

static void pool_close(pool *p)
{
    pthread_cond_destroy(&p->progress);
    pthread_mutex_destroy(&p->lock);
}

/* False: there are no threads to be had. */
static bool run_threads(pool *p, fg_status *status, fg_error *error)
{
    pthread_t thread[threads_max];
    pool_open(p);
    int started = start(p, thread);
    if (started > 0) *status = wait_for_all(p, error);
    for (int k = 0; k < started; k++) pthread_join(thread[k], NULL);
    pool_close(p);
    return started > 0;
}

/* ---- All of it ---- */

static fg_status run_here(pool *p, fg_error *error)
{
    fg_status status = FG_OK;
    for (compile_job *job; status == FG_OK && (job = take(p));) {
        make(p->options, job);
        status = p->options->tick(p->options->user, error);
    }
    return status;
}

fg_status compile_all(compile_job *jobs, int count, const compile_options *options, fg_error *error)
{
    pool p = { .options = options, .jobs = jobs, .count = count };
    fg_status status = FG_OK;
    for (int k = 0; k < count; k++) jobs[k].status = FG_PENDING;
    /* OpenMP's locks, and others', may be held for ever in a forked child: it makes no threads. */
    if (options->threads > 1 && !library_forked() && run_threads(&p, &status, error)) return status;
    return run_here(&p, error);
}
