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

/* Of several batches in turn each leaves cores to the others. Of one: a little more than compile at once, unless that
 * is much. */
static int usual_size(const search *s)
{
    int cores = s->o->cores;
    int size = cores < 8 ? cores + 2 : s->o->ahead ? cores / 2 : cores + cores / 4;
    return size < race_max ? size : race_max - 1;
}

/* Of slow kernels not more than can be tried. */
static int batch_size(const search *s)
{
    int size = usual_size(s);
    if (!s->model || s->now.leader < 0) return size;
    double left = (s->explore_end - search_now(s)) / (3 * s->now.leader_seconds);
    return left < 1 ? 1 : left < size ? (int)left : size;
}

/* So many that, of the oldest, the last job alone leaves no core without another. */
static int batches_ahead(const search *s)
{
    int size = usual_size(s), wanted = (s->o->cores + 2 * (size - 1)) / size;
    if (!s->o->ahead) return 0;
    return wanted < search_ahead_max ? wanted : search_ahead_max;
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

typedef struct batch {
    search_job jobs[race_max];
    int count;
    double chosen;
} batch;

/* What compiles, the oldest first, and what is tried before it. */
typedef struct pipeline {
    batch batch[search_ahead_max + 1];
    int oldest, count;
} pipeline;

static batch *batch_at(pipeline *p, int k)
{
    return &p->batch[(p->oldest + k) % (search_ahead_max + 1)];
}

static bool choose(search *s, batch *b)
{
    b->chosen = search_now(s);
    b->count = may_go_on(s) ? pick(s, b->jobs) : 0;
    return b->count > 0;
}

/* Behind `tried`, which is compiled, what compiles meanwhile: it is picked without what that teaches. What begins so
 * late that it does not end before the last race is left out. */
static fg_status begin_more(search *s, pipeline *p, int tried)
{
    const int wanted = tried + batches_ahead(s);
    const double deadline = s->explore_end - s->batch_seconds / 4;
    fg_status status = FG_OK;
    while (status == FG_OK && p->count < wanted && choose(s, batch_at(p, p->count))) {
        batch *b = batch_at(p, p->count++);
        status = s->o->machine->begin(s->o->user, b->jobs, b->count, deadline, s->error);
    }
    return status;
}

static fg_status compile_and_try(search *s, pipeline *p)
{
    batch *b = batch_at(p, 0);
    fg_status status =
        s->o->machine->compile(s->o->user, b->jobs, b->count, s->explore_end, s->error);
    if (status == FG_OK) status = begin_more(s, p, 1);
    if (status == FG_OK) status = search_try(s, b->jobs, b->count);
    s->batch_seconds = fmax(s->batch_seconds, search_now(s) - b->chosen);
    if (s->model) set_reserve(s);
    p->oldest = (p->oldest + 1) % (search_ahead_max + 1);
    p->count--;
    return status;
}

static fg_status explore(search *s)
{
    pipeline p = { .count = 0 };
    fg_status status = begin_more(s, &p, 0);
    while (status == FG_OK) {
        if (p.count == 0 && choose(s, batch_at(&p, 0))) p.count = 1;
        if (p.count == 0) break;
        status = compile_and_try(s, &p);
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
