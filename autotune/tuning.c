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

static tuning_batch *batch_at(tuning *t, int number)
{
    return &t->batch[number % (search_ahead_max + 1)];
}

static fg_status reserve(const tuning *t, tuning_batch *b, int count, fg_error *error)
{
    const memory *m = &t->context->memory;
    if (count <= b->room) return FG_OK;
    memory_free(m, b->jobs, (size_t)b->room * sizeof *b->jobs);
    b->jobs = memory_new(m, (size_t)count, sizeof *b->jobs);
    b->room = b->jobs ? count : 0;
    return b->jobs ? FG_OK : fail_memory(error);
}

static fg_status begin(tuning *t, const search_job *jobs, int count, double deadline, bool optional,
                       fg_error *error)
{
    tuning_batch *b = batch_at(t, t->begun);
    fg_status status = reserve(t, b, count, error);
    if (status != FG_OK) return status;
    b->count = count;
    for (int k = 0; k < count; k++)
        b->jobs[k] = (compile_job){ .config = t->space->config[jobs[k].id] };
    const compile_options o = {
        .context = t->context,
        .problem = t->problem,
        .threads = t->context->device.cores,
        .deadline = deadline,
        .tick = tick,
        .user = t,
        .sizes = &t->sizes,
        .beside = t->context->gpu != NULL, /* the worker is at work */
        .optional = optional,
        .cores = &t->cores,
    };
    status = compile_begin(&b->pool, b->jobs, count, &o, error);
    if (status == FG_OK) t->begun++;
    return status;
}

static fg_status machine_begin(void *user, search_job *jobs, int count, double deadline,
                               fg_error *error)
{
    tuning *t = user;
    return begin(t, jobs, count, deadline, t->begun > 0, error);
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

static fg_status collect_all(tuning *t, const tuning_batch *b, search_job *jobs, fg_error *error)
{
    const int count = b->count;
    fg_status status = FG_OK;
    int succeeded = 0;
    for (int k = 0; k < count; k++) {
        fg_status collected = collect(t, &jobs[k], &b->jobs[k], error);
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
    const bool ahead = t->begun > t->ended;
    fg_status status = ahead ? FG_OK : begin(t, jobs, count, deadline, false, error);
    if (status != FG_OK) return status;
    tuning_batch *b = batch_at(t, t->ended++);
    fg_status ended = compile_end(b->pool, error);
    t->compile_seconds += library_seconds() - began;
    status = collect_all(t, b, jobs, ended == FG_OK ? error : NULL);
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

static void drop_images(const tuning_batch *b)
{
    for (int k = 0; k < b->count; k++)
        if (b->jobs[k].status == FG_OK) image_free(&b->jobs[k].image);
}

static void stop_compiling(tuning *t)
{
    for (int n = t->ended; n < t->begun; n++) compile_cancel(batch_at(t, n)->pool);
    for (; t->ended < t->begun; t->ended++) {
        compile_stop(batch_at(t, t->ended)->pool);
        drop_images(batch_at(t, t->ended));
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
    for (int k = 0; k <= search_ahead_max; k++)
        memory_free(m, t->batch[k].jobs, (size_t)t->batch[k].room * sizeof *t->batch[k].jobs);
    sem_destroy(&t->cores);
    maker_space_free(t->space);
}
