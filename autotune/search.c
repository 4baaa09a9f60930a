#include "autotune/search_parts.h"

#include "gen/core/text.h"

#include <math.h>

/* ---- Picking ---- */

static int slowest_of(const double *seconds, int count)
{
    int slowest = 0;
    for (int k = 1; k < count; k++)
        if (seconds[k] > seconds[slowest]) slowest = k;
    return slowest;
}

/* Where more is known than can be learned from, the fastest teach. What was rejected teaches nothing: its
 * like may be right, and fast. */
static void learn(search *s)
{
    int points[model_max], count = 0, slowest = 0;
    double seconds[model_max];
    for (int id = 0; id < s->o->space->count; id++) {
        const entry *e = &s->entry[id];
        if (e->state == ENTRY_fresh || e->state == ENTRY_rejected) continue;
        if (count == model_max && e->seconds >= seconds[slowest]) continue;
        int at = count == model_max ? slowest : count++;
        points[at] = id;
        seconds[at] = e->seconds;
        if (count == model_max) slowest = slowest_of(seconds, count);
    }
    model_learn(s->model, points, seconds, count);
}

/* The prior's next. */
static int pick_next(search *s)
{
    while (s->next < s->o->space->count && s->taken[s->next]) s->next++;
    if (s->next == s->o->space->count) return -1;
    s->taken[s->next] = true;
    return s->next;
}

/* A little more than compile at once, unless the next ones follow at once; of slow kernels not more than can be
 * tried. */
static int batch_size(const search *s)
{
    int cores = s->o->cores, more = cores < 8 ? 2 : s->o->ahead ? 0 : cores / 4;
    int size = cores + more;
    if (size > race_max - 1) size = race_max - 1;
    if (!s->model || s->now.leader < 0) return size;
    double left = (s->explore_end - search_now(s)) / (3 * s->now.leader_seconds);
    return left < 1 ? 1 : left < size ? (int)left : size;
}

static int pick(search *s, search_job *jobs)
{
    int ids[race_max], count = 0, size = batch_size(s);
    if (!s->taken[0]) ids[count++] = pick_next(s);
    if (s->model) {
        learn(s);
        count += model_pick(s->model, ids + count, size - count, s->taken);
    } else {
        while (count < size && (ids[count] = pick_next(s)) >= 0) count++;
    }
    for (int k = 0; k < count; k++) jobs[k] = (search_job){ .id = ids[k] };
    return count;
}

/* ---- Exploring ---- */

/* The last race gets what it may need, within bounds. */
static void set_reserve(search *s)
{
    const double budget = s->o->seconds, most = 0.2 * budget, least = 0.04 * budget;
    double wanted = s->now.leader < 0 ? most : 1200 * s->now.leader_seconds;
    s->explore_end = s->end - fmin(fmax(wanted, least), most);
}

static bool may_go_on(const search *s)
{
    bool first = s->now.measured + s->now.rejected == 0;
    return first || !s->model || search_now(s) + s->batch_seconds / 2 < s->explore_end;
}

/* One batch, its compiling begun or not. */
typedef struct batch {
    search_job jobs[race_max];
    int count;
} batch;

static void choose(search *s, batch *b)
{
    b->count = may_go_on(s) ? pick(s, b->jobs) : 0;
}

/* What compiles while it is tried was picked without what it teaches. */
static fg_status begin_next(search *s, batch *next)
{
    next->count = 0;
    if (!s->o->ahead) return FG_OK;
    choose(s, next);
    if (next->count == 0) return FG_OK;
    return s->o->machine->begin(s->o->user, next->jobs, next->count, s->explore_end, s->error);
}

static fg_status explore(search *s)
{
    batch batches[2], *now = &batches[0], *next = &batches[1];
    fg_status status = FG_OK;
    for (choose(s, now); status == FG_OK && now->count > 0;) {
        double began = search_now(s);
        status =
            s->o->machine->compile(s->o->user, now->jobs, now->count, s->explore_end, s->error);
        if (status == FG_OK) status = begin_next(s, next);
        if (status == FG_OK) status = search_try(s, now->jobs, now->count);
        s->batch_seconds = fmax(s->batch_seconds, search_now(s) - began);
        if (s->model) set_reserve(s);
        if (status == FG_OK && next->count == 0) choose(s, next);
        batch *last = now;
        now = next;
        next = last;
    }
    return status;
}

static fg_status run(search *s, search_result *out)
{
    s->start = search_now(s);
    s->end = s->start + s->o->seconds;
    s->explore_end = s->end;
    if (s->model) set_reserve(s);
    fg_status status = FG_OK;
    while (status == FG_OK && out->winner < 0) {
        status = explore(s);
        if (status == FG_OK && s->now.leader < 0)
            return fail(s->error, FG_UNSUPPORTED, "no config is right");
        if (status == FG_OK) status = search_finish(s, out);
    }
    return status;
}

/* ---- Making and freeing ---- */

static fg_status make(search *s, fg_error *error)
{
    const search_options *o = s->o;
    size_t count = (size_t)o->space->count;
    s->entry = memory_new(o->memory, count, sizeof *s->entry);
    s->taken = memory_new(o->memory, count, sizeof *s->taken);
    if (!s->entry || !s->taken) return fail_memory(error);
    if (isinf(o->seconds)) return FG_OK;
    fg_status status = axes_new(&s->axes, o->memory, o->space->config, o->space->count, error);
    if (status != FG_OK) return status;
    s->model = model_new(o->memory, &s->axes, o->space->cost);
    return s->model ? FG_OK : fail_memory(error);
}

static void unmake(search *s)
{
    const memory *m = s->o->memory;
    size_t count = (size_t)s->o->space->count;
    model_free(s->model);
    if (s->axes.memory) axes_free(&s->axes);
    memory_free(m, s->taken, count * sizeof *s->taken);
    memory_free(m, s->entry, count * sizeof *s->entry);
    memory_free(m, s, sizeof *s);
}

fg_status search_run(search_result *out, const search_options *options, fg_error *error)
{
    search *s = memory_new(options->memory, 1, sizeof *s);
    *out = (search_result){ .winner = -1, .state = { .leader = -1 } };
    if (!s) return fail_memory(error);
    s->o = options;
    s->now.leader = -1;
    s->error = error;
    fg_status status = make(s, error);
    if (status == FG_OK) status = run(s, out);
    out->state = s->now;
    unmake(s);
    return status;
}
