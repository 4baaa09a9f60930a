#include "autotune/tuning.h"

#include "runtime/device_cuda.h"
#include "runtime/library.h"

#include <math.h>
#include <string.h>

/* ---- Telling ---- */

void tuning_begin(tuning *t)
{
    t->start = library_seconds();
    t->state = (search_state){ .leader = -1 };
}

static bool exhaustive(const tuning *t)
{
    return t->options->rigor == FG_EXHAUSTIVE;
}

static const char *config_of(const tuning *t, int id)
{
    return id < 0 ? NULL : t->space->config[id];
}

static fg_status tell(tuning *t, fg_event *e, fg_error *error)
{
    const search_state *s = &t->state;
    if (!t->options->event) return FG_OK;
    e->elapsed = library_seconds() - t->start;
    e->budget = exhaustive(t) ? HUGE_VAL : t->options->seconds;
    e->done = s->done;
    e->legal = t->space ? t->space->count : 0;
    e->compiled = s->compiled;
    e->measured = s->measured;
    e->rejected = s->rejected;
    e->best_config = config_of(t, s->leader);
    e->best_seconds = s->leader < 0 ? 0 : s->leader_seconds;
    if (t->options->event(t->options->event_user, e) == 0) return FG_OK;
    return fail(error, FG_CANCELLED, "the event callback ended the search");
}

fg_status tuning_tell(tuning *t, fg_event_kind kind, const char *what, int64_t count,
                      fg_error *error)
{
    fg_event e = { .kind = kind, .text = what, .count = count };
    return tell(t, &e, error);
}

fg_status tuning_tick(tuning *t, fg_error *error)
{
    double passed = library_seconds() - t->start;
    if (!exhaustive(t)) t->state.done = fmin(fmax(t->state.done, passed / t->options->seconds), 1);
    return tuning_tell(t, FG_EVENT_TICK, NULL, 0, error);
}

static void keep_reason(tuning *t, int id, fg_status status, const char *why)
{
    if (t->reason.status == FG_OK) fail(&t->reason, status, "%s: %s", t->space->config[id], why);
}

static fg_status machine_tell(void *user, const search_state *state, const search_news *news,
                              fg_error *error)
{
    tuning *t = user;
    fg_event e = { .kind = news->kind,
                   .text = news->text,
                   .config = config_of(t, news->id),
                   .count = news->runs,
                   .seconds = news->seconds,
                   .spread = news->spread };
    t->state = *state;
    if (news->kind == FG_EVENT_REJECTED) keep_reason(t, news->id, FG_WRONG, news->text);
    return tell(t, &e, error);
}

/* ---- Doing ---- */

static double machine_now(void *user)
{
    (void)user;
    return library_seconds();
}

static fg_status tick(void *user, fg_error *error)
{
    return tuning_tick(user, error);
}

static fg_status reserve(tuning *t, int which, int count, fg_error *error)
{
    const memory *m = &t->context->memory;
    compile_job **jobs = &t->batch[which].jobs;
    if (count <= t->batch[which].room) return FG_OK;
    memory_free(m, *jobs, (size_t)t->batch[which].room * sizeof **jobs);
    *jobs = memory_new(m, (size_t)count, sizeof **jobs);
    t->batch[which].room = *jobs ? count : 0;
    return *jobs ? FG_OK : fail_memory(error);
}

static fg_status machine_begin(void *user, search_job *jobs, int count, double deadline,
                               fg_error *error)
{
    tuning *t = user;
    const int which = ++t->batches % 2;
    fg_status status = reserve(t, which, count, error);
    if (status != FG_OK) return status;
    compile_job *own = t->batch[which].jobs;
    t->batch[which].count = count;
    for (int k = 0; k < count; k++)
        own[k] = (compile_job){ .config = t->space->config[jobs[k].id] };
    const compile_options o = {
        .context = t->context,
        .problem = t->problem,
        .threads = t->context->device.cores,
        .deadline = deadline,
        .tick = tick,
        .user = t,
        .sizes = &t->sizes,
        .beside = t->context->gpu != NULL, /* the worker is at work */
    };
    return compile_begin(&t->pool, own, count, &o, error);
}

/* A compiler that makes nothing of so many has something else against us. */
enum { hopeless = 16 };

static fg_status give_up(const tuning *t, fg_error *error)
{
    return fail(error, t->reason.status, "no config can be compiled; the first, %.1800s",
                t->reason.text);
}

static fg_status collect(tuning *t, search_job *to, compile_job *from, fg_error *error)
{
    static const search_fate fates[] = { SEARCH_failed, SEARCH_made };
    if (from->status == FG_OK) t->image[to->id] = from->image;
    if (from->status == FG_MEMORY) return fail_memory(error);
    if (from->status == FG_PENDING) return FG_OK;
    to->fate = fates[from->status == FG_OK];
    to->why = from->error.text;
    if (to->fate == SEARCH_failed) keep_reason(t, to->id, from->status, from->error.text);
    return FG_OK;
}

static fg_status collect_all(tuning *t, search_job *jobs, int count, fg_error *error)
{
    fg_status status = FG_OK;
    int succeeded = 0;
    for (int k = 0; k < count; k++) {
        fg_status collected = collect(t, &jobs[k], &t->batch[t->batches % 2].jobs[k], error);
        if (status == FG_OK) status = collected;
        succeeded += jobs[k].fate == SEARCH_made;
    }
    bool none = succeeded == 0 && t->state.compiled == 0;
    return status == FG_OK && none && t->state.rejected + count >= hopeless ? give_up(t, error)
                                                                            : status;
}

/* Counts the seconds that are waited for compilers. */
static fg_status machine_compile(void *user, search_job *jobs, int count, double deadline,
                                 fg_error *error)
{
    tuning *t = user;
    const double began = library_seconds();
    fg_status status = t->pool ? FG_OK : machine_begin(t, jobs, count, deadline, error);
    if (status != FG_OK) return status;
    compile_pool *pool = t->pool;
    t->pool = NULL;
    fg_status ended = compile_end(pool, error);
    t->compile_seconds += library_seconds() - began;
    status = collect_all(t, jobs, count, ended == FG_OK ? error : NULL);
    return ended == FG_OK ? status : ended;
}

/* ---- Timing ---- */

/* Others' timing disturbs ours: searches that share a store take turns, but none waits for long. The lock of
 * another digest may be the same file, as may that of our own winner. */
static store_lock take_turn(tuning *t)
{
    static const char processors[] = "timing";
    const char *name = t->context->gpu ? t->context->gpu->uuid : processors;
    const digest d = digest_of(name, strlen(name) + 1);
    store_lock lock = { t->context->store, -1 };
    if (d.byte[0] == t->winner.byte[0]) return lock;
    lock = store_lock_take(t->context->store, &d, t->patience);
    t->patience = lock.fd < 0 ? 0 : 2;
    return lock;
}

static fg_status machine_attempt(void *user, double *seconds, int id, fg_error *error)
{
    tuning *t = user;
    store_lock lock = take_turn(t);
    fg_status status = measurer_try(t->measurer, seconds, id, &t->image[id], error);
    store_lock_drop(&lock);
    return status;
}

static fg_status machine_time(void *user, double *samples, const int *ids, int count, int runs,
                              int *culprit, fg_error *error)
{
    tuning *t = user;
    store_lock lock = take_turn(t);
    fg_status status = measurer_time(t->measurer, samples, ids, count, runs, culprit, error);
    store_lock_drop(&lock);
    return status;
}

static void machine_drop(void *user, int id)
{
    tuning *t = user;
    measurer_drop(t->measurer, id);
    image_free(&t->image[id]);
}

const search_machine tuning_machine = { machine_now,     machine_begin, machine_compile,
                                        machine_attempt, machine_time,  machine_drop,
                                        machine_tell };

/* ---- Beginning and ending ---- */

/* A candidate that takes longer for its check, or a run, is taken to hang. */
static double hanging(const tuning *t)
{
    if (t->context->gpu) return exhaustive(t) ? 60 : 10;
    return exhaustive(t) ? 120 : 20;
}

fg_status tuning_measure(tuning *t, fg_error *error)
{
    const measurer_options o = { .context = t->context,
                                 .problem = t->problem,
                                 .in_process = t->options->in_process != 0,
                                 .seconds = hanging(t),
                                 .dims = t->options->sizes };
    return measurer_new(&t->measurer, &o, error);
}

static void stop_compiling(tuning *t)
{
    if (!t->pool) return;
    compile_stop(t->pool);
    for (int k = 0; k < t->batch[t->batches % 2].count; k++) {
        compile_job *job = &t->batch[t->batches % 2].jobs[k];
        if (job->status == FG_OK) image_free(&job->image);
    }
}

void tuning_end(tuning *t)
{
    const memory *m = &t->context->memory;
    stop_compiling(t);
    measurer_free(t->measurer);
    if (t->image) {
        for (int id = 0; id < t->space->count; id++) image_free(&t->image[id]);
        memory_free(m, t->image, (size_t)t->space->count * sizeof *t->image);
    }
    for (int k = 0; k < 2; k++)
        memory_free(m, t->batch[k].jobs, (size_t)t->batch[k].room * sizeof *t->batch[k].jobs);
    maker_space_free(t->space);
}
