#include "autotune/compile.h"

#include "runtime/library.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { threads_max = 64, tick_ns = 200000000, low_priority = 10 };

/* What threads share, under the lock. */
struct compile_pool {
    compile_options options;
    compile_job *jobs;
    int count, next, working; /* jobs; threads at work */
    bool stopped;
    pthread_mutex_t lock;
    pthread_cond_t progress;
    int threads;
    pthread_t thread[threads_max];
};

typedef struct compile_pool pool;

static void make(const compile_options *o, compile_job *job)
{
    job->status =
        image_make(&job->image, o->context, o->problem, job->config, o->sizes, &job->error);
}

/* The next job to begin, or NULL. */
static compile_job *take(pool *p)
{
    bool first = p->next == 0 && !p->options.optional;
    bool late = !first && library_seconds() >= p->options.deadline;
    return p->stopped || late || p->next == p->count ? NULL : &p->jobs[p->next++];
}

/* ---- On threads ---- */

/* With a core for it. */
static compile_job *await_job(pool *p)
{
    sem_t *cores = p->options.cores;
    while (cores && sem_wait(cores) != 0) {
    }
    pthread_mutex_lock(&p->lock);
    compile_job *job = take(p);
    pthread_mutex_unlock(&p->lock);
    if (cores && !job) sem_post(cores);
    return job;
}

static void *work(void *argument)
{
    pool *p = argument;
    if (p->options.beside) setpriority(PRIO_PROCESS, (id_t)gettid(), low_priority);
    for (compile_job *job; (job = await_job(p));) {
        make(&p->options, job);
        if (p->options.cores) sem_post(p->options.cores);
    }
    pthread_mutex_lock(&p->lock);
    p->working--;
    pthread_cond_signal(&p->progress);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* A host that can have no more threads gets fewer, or none. The host's signals are for its own threads. */
static void start(pool *p)
{
    sigset_t all, before;
    int wanted = p->options.threads < p->count ? p->options.threads : p->count;
    if (wanted > threads_max) wanted = threads_max;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&p->lock);
    while (p->threads < wanted && pthread_create(&p->thread[p->threads], NULL, work, p) == 0)
        p->threads++;
    p->working = p->threads;
    pthread_mutex_unlock(&p->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
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
        status = p->options.tick(p->options.user, error);
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

static fg_status run_here(pool *p, fg_error *error)
{
    fg_status status = FG_OK;
    for (compile_job *job; status == FG_OK && (job = take(p));) {
        make(&p->options, job);
        status = p->options.tick(p->options.user, error);
    }
    return status;
}

/* ---- All of it ---- */

fg_status compile_begin(compile_pool **out, compile_job *jobs, int count,
                        const compile_options *options, fg_error *error)
{
    pool *p = memory_new(&options->context->memory, 1, sizeof *p);
    *out = p;
    if (!p) return fail_memory(error);
    p->options = *options;
    p->jobs = jobs;
    p->count = count;
    for (int k = 0; k < count; k++) jobs[k].status = FG_PENDING;
    pool_open(p);
    /* OpenMP's locks, and others', may be held for ever in a forked child: it makes no threads. */
    if (options->threads > 1 && !library_forked()) start(p);
    return FG_OK;
}

static void finish(pool *p)
{
    for (int k = 0; k < p->threads; k++) pthread_join(p->thread[k], NULL);
    pool_close(p);
    memory_free(&p->options.context->memory, p, sizeof *p);
}

fg_status compile_end(compile_pool *p, fg_error *error)
{
    fg_status status = p->threads > 0 ? wait_for_all(p, error) : run_here(p, error);
    finish(p);
    return status;
}

void compile_cancel(compile_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopped = true;
    pthread_mutex_unlock(&p->lock);
}

void compile_stop(compile_pool *p)
{
    compile_cancel(p);
    finish(p);
}

fg_status compile_all(compile_job *jobs, int count, const compile_options *options, fg_error *error)
{
    compile_pool *p;
    fg_status status = compile_begin(&p, jobs, count, options, error);
    return status == FG_OK ? compile_end(p, error) : status;
}
