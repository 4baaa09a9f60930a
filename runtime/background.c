/* Plans made in a thread of the library's, while the host goes on. */
#include "runtime/plan.h"

#include "runtime/library.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct plan_job {
    struct plan_job *next; /* of the context's, under the library lock */
    pthread_t thread;
    pid_t process; /* a forked child has the list, but not the thread */
    fg_problem problem;
    fg_plan_options options; /* its event is job_event */
    fg_event_fn event;       /* the host's */
    void *event_user;
    fg_dims most, sizes; /* the options point to these, or to none */
    char *config;
    plan_ask ask;
    fg_plan plan; /* once it is made */
    fg_status status;
    fg_error error;
    atomic_bool done, unwanted;
};

static void job_free(struct plan_job *j)
{
    const memory *m = &j->problem.context->memory;
    problem_free(j->problem.problem);
    if (j->config) memory_free(m, j->config, strlen(j->config) + 1);
    memory_free(m, j, sizeof *j);
}

/* A job of this process that has the request, or NULL. Under the lock. */
static struct plan_job **find_locked(fg_context *context, const plan_request *r)
{
    struct plan_job **at = &context->jobs;
    for (; *at; at = &(*at)->next) {
        const struct plan_job *j = *at;
        if (j->ask.request.hash == r->hash && j->options.rigor == r->rigor &&
            j->process == getpid() && strcmp(j->problem.problem->text, r->problem->text) == 0 &&
            strcmp(j->ask.sizes, r->sizes) == 0 && strcmp(j->config, r->config) == 0)
            break;
    }
    return at;
}

/* The host's callback, unless the context is being freed: then the search ends. */
static int job_event(void *user, const fg_event *event)
{
    const struct plan_job *j = user;
    if (atomic_load(&j->unwanted)) return 1;
    return j->event ? j->event(j->event_user, event) : 0;
}

static void *job_run(void *argument)
{
    struct plan_job *j = argument;
    j->status = plan_resolve(&j->plan, &j->problem, &j->options, &j->ask, &j->error);
    atomic_store(&j->done, true);
    return NULL;
}

/* Those of a problem with `*` were looked at: they are whole. */
static const fg_dims *keep_dims(fg_dims *out, const fg_dims *from, const problem *p)
{
    if (!from || !buckets_needed(p)) return NULL;
    *out = *from;
    return out;
}

static struct plan_job *job_new(const fg_problem *handle, const fg_plan_options *o,
                                const plan_request *r)
{
    const memory *m = &handle->context->memory;
    struct plan_job *j = memory_new(m, 1, sizeof *j);
    if (!j) return NULL;
    j->problem.context = handle->context;
    j->process = getpid();
    j->options = *o;
    j->event = o->event;
    j->event_user = o->event_user;
    j->options.event = job_event;
    j->options.event_user = j;
    j->config = memory_text(m, r->config, r->config_length);
    j->options.config = j->config;
    j->options.most = keep_dims(&j->most, o->most, r->problem);
    j->options.sizes = keep_dims(&j->sizes, o->sizes, r->problem);
    fg_status status =
        problem_parse(&j->problem.problem, m, r->problem->text, r->problem->text_length, &j->error);
    if (j->config && status == FG_OK)
        status = plan_ask_make(&j->ask, j->problem.problem, &j->options, &j->error);
    if (j->config && status == FG_OK) return j;
    job_free(j);
    return NULL;
}

/* Its thread starts with every signal blocked: those are the host's. */
static bool job_start(struct plan_job *j)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&j->thread, NULL, job_run, j) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static fg_status job_new_started(const fg_problem *handle, const fg_plan_options *o,
                                 const plan_request *r, fg_error *error)
{
    fg_context *context = handle->context;
    struct plan_job *j = job_new(handle, o, r);
    if (!j) return fail_memory(error);
    library_lock();
    bool first = *find_locked(context, r) == NULL, started = first && job_start(j);
    if (started) {
        j->next = context->jobs;
        context->jobs = j; /* from here on whoever asks next may free it */
    }
    library_unlock();
    if (!started) job_free(j);
    if (first && !started) return fail(error, FG_MACHINE, "no thread can be started");
    return fail(error, FG_PENDING, "the plan is being made");
}

/* Takes a finished job off the list, or tells that there is none, or none that is done. */
static fg_status job_collect(struct plan_job **out, fg_context *context, const plan_request *r)
{
    library_lock();
    struct plan_job **at = find_locked(context, r), *j = *at;
    bool done = j && atomic_load(&j->done);
    if (done) *at = j->next;
    library_unlock();
    *out = done ? j : NULL;
    return j && !done ? FG_PENDING : FG_OK;
}

fg_status background_resolve(fg_plan *out, const fg_problem *handle, const fg_plan_options *options,
                             const plan_ask *ask, fg_error *error)
{
    struct plan_job *j;
    *out = (fg_plan){ .kernel = NULL };
    if (job_collect(&j, handle->context, &ask->request) == FG_PENDING)
        return fail(error, FG_PENDING, "the plan is being made");
    if (!j) {
        if (plan_find(out, handle->context, ask)) return FG_OK;
        return job_new_started(handle, options, &ask->request, error);
    }
    pthread_join(j->thread, NULL);
    fg_status status = j->status;
    if (status != FG_OK && error) *error = j->error;
    /* What the request gives by now, unless winners were adopted since. */
    if (status == FG_OK && !plan_find(out, handle->context, ask)) *out = j->plan;
    out->source = j->plan.source;
    job_free(j);
    return status;
}

void background_free(fg_context *context)
{
    for (struct plan_job *j = context->jobs; j; j = j->next) atomic_store(&j->unwanted, true);
    while (context->jobs) {
        struct plan_job *j = context->jobs;
        context->jobs = j->next;
        if (j->process == getpid()) pthread_join(j->thread, NULL);
        job_free(j);
    }
}
