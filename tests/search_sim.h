/* A machine that a search believes in: configs with costs, noise, failures, and a clock of its own. */
#ifndef TESTS_SEARCH_SIM_H
#define TESTS_SEARCH_SIM_H

#include "autotune/search.h"
#include "gen/core/text.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef fail /* Check's old name for ck_abort_msg */

typedef enum sim_fault { SIM_right, SIM_uncompiled, SIM_wrong, SIM_crashes_later } sim_fault;

typedef struct sim {
    maker_space space;
    double *seconds; /* the truth, of each config */
    unsigned char *fault;
    double compile_seconds; /* of one core, on average */
    double uneven; /* one config takes up to so much more or less of it, in the background */
    int cores;
    bool ahead;          /* it compiles in the background */
    double overhead;     /* of a try */
    double run_overhead; /* of a run that is timed */
    double noise;        /* standard deviation of log seconds */
    double spikes, slow; /* how often a run takes how much longer */
    double drift;        /* amplitude of a slow wave of all times */
    double clock;
    double core_free[64]; /* when each core is, of what is compiled in the background */
    struct {
        const search_job *jobs;
        double ready_at;
    } begun[4]; /* by `begin`, the oldest first */
    int begun_count;
    uint64_t random;
    /* What was seen. */
    unsigned char *loaded, *compiled;
    int tells, compiles, tries, most_loaded, now_loaded, wrong_calls;
    double last_tell, longest_silence, last_done;
    int cancel_at; /* a tell */
    int notes, rejected, measured;
    double best_told;
} sim;

static inline double sim_uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static inline double sim_normal(uint64_t *state)
{
    double u = sim_uniform(state), v = sim_uniform(state);
    return sqrt(-2 * log(u + 1e-300)) * cos(6.283185307179586 * v);
}

static inline double sim_now(void *user)
{
    return ((sim *)user)->clock;
}

static inline void sim_made(sim *s, search_job *job)
{
    int id = job->id;
    job->fate = s->fault[id] == SIM_uncompiled ? SEARCH_failed : SEARCH_made;
    job->why = "it does not compile";
    s->compiled[id] = job->fate == SEARCH_made;
    s->compiles++;
}

static inline double sim_compile_seconds(const sim *s, int id)
{
    uint64_t state = (uint64_t)id;
    return s->compile_seconds * (1 + s->uneven * (2 * sim_uniform(&state) - 1));
}

static inline void sim_check(sim *s, const search_job *jobs, int count)
{
    for (int k = 0; k < count; k++) {
        int id = jobs[k].id;
        s->wrong_calls += id < 0 || id >= s->space.count || s->compiled[id];
    }
}

/* A job goes to the core that is the first to be free. */
static inline fg_status sim_begin(void *user, search_job *jobs, int count, double deadline,
                                  fg_error *error)
{
    sim *s = user;
    const int n = s->begun_count;
    (void)error;
    if (n == 4 || !s->ahead) return s->wrong_calls++, FG_OK;
    sim_check(s, jobs, count);
    s->begun[n].jobs = jobs;
    s->begun[n].ready_at = s->clock;
    s->begun_count++;
    for (int k = 0; k < count; k++) {
        double *core = s->core_free;
        for (int c = 1; c < s->cores; c++)
            if (s->core_free[c] < *core) core = &s->core_free[c];
        double start = fmax(s->clock, *core);
        if (s->compiles > 0 && start >= deadline) continue;
        sim_made(s, &jobs[k]);
        *core = start + sim_compile_seconds(s, jobs[k].id);
        s->begun[n].ready_at = fmax(s->begun[n].ready_at, *core);
    }
    return FG_OK;
}

static inline fg_status sim_end(sim *s, const search_job *jobs)
{
    s->wrong_calls += s->begun[0].jobs != jobs;
    s->clock = fmax(s->clock, s->begun[0].ready_at);
    memmove(s->begun, s->begun + 1, (size_t)--s->begun_count * sizeof *s->begun);
    return FG_OK;
}

static inline fg_status sim_compile(void *user, search_job *jobs, int count, double deadline,
                                    fg_error *error)
{
    sim *s = user;
    (void)error;
    if (s->begun_count > 0) return sim_end(s, jobs);
    sim_check(s, jobs, count);
    for (int k = 0; k < count; k++) {
        if (k > 0 && s->clock >= deadline) continue;
        sim_made(s, &jobs[k]);
        if (k % s->cores == 0) s->clock += s->compile_seconds;
    }
    return FG_OK;
}

/* One run, and the time it takes. */
static inline double sim_run(sim *s, int id)
{
    double x = s->seconds[id] * exp(s->noise * sim_normal(&s->random));
    if (sim_uniform(&s->random) < s->spikes) x *= 1 + s->slow * sim_uniform(&s->random);
    x *= 1 + s->drift * sin(s->clock / 3);
    s->clock += x;
    return x;
}

static inline fg_status sim_attempt(void *user, double *seconds, int id, fg_error *error)
{
    sim *s = user;
    s->wrong_calls += !s->compiled[id] || s->loaded[id];
    s->clock += s->overhead;
    s->tries++;
    sim_run(s, id);
    if (s->fault[id] == SIM_wrong) return fail(error, FG_WRONG, "it is wrong");
    *seconds = sim_run(s, id);
    s->loaded[id] = 1;
    if (++s->now_loaded > s->most_loaded) s->most_loaded = s->now_loaded;
    return FG_OK;
}

static inline fg_status sim_time(void *user, double *samples, const int *ids, int count, int runs,
                                 int *culprit, fg_error *error)
{
    sim *s = user;
    for (int k = 0; k < runs; k++)
        for (int c = 0; c < count; c++) {
            s->wrong_calls += !s->loaded[ids[c]];
            if (s->fault[ids[c]] == SIM_crashes_later) {
                *culprit = c;
                s->loaded[ids[c]] = 0;
                s->now_loaded--;
                return fail(error, FG_WRONG, "it crashed");
            }
            samples[c * runs + k] = sim_run(s, ids[c]);
            s->clock += s->run_overhead;
        }
    return FG_OK;
}

static inline void sim_drop(void *user, int id)
{
    sim *s = user;
    s->now_loaded -= s->loaded[id];
    s->loaded[id] = s->compiled[id] = 0;
}

static inline fg_status sim_tell(void *user, const search_state *state, const search_news *news,
                                 fg_error *error)
{
    sim *s = user;
    s->tells++;
    s->longest_silence = fmax(s->longest_silence, s->clock - s->last_tell);
    s->last_tell = s->clock;
    s->wrong_calls += !(state->done >= s->last_done && state->done <= 1);
    s->last_done = state->done;
    s->notes += news->kind == FG_EVENT_NOTE;
    s->rejected += news->kind == FG_EVENT_REJECTED;
    s->measured += news->kind == FG_EVENT_MEASURED;
    s->wrong_calls += news->kind == FG_EVENT_REJECTED && (!news->text || news->id < 0);
    s->wrong_calls += state->rejected != s->rejected;
    s->best_told = state->leader_seconds;
    if (s->tells == s->cancel_at) return fail(error, FG_CANCELLED, "enough");
    return FG_OK;
}

static const search_machine sim_machine = { sim_now,  sim_begin, sim_compile, sim_attempt,
                                            sim_time, sim_drop,  sim_tell };

static inline void sim_new(sim *s, int most)
{
    *s = (sim){ .compile_seconds = 0.4, .cores = 2, .overhead = 0.01, .random = 1, .noise = 0.01 };
    s->space.memory = &memory_default;
    s->space.config = calloc((size_t)most, sizeof *s->space.config);
    s->space.cost = calloc((size_t)most, sizeof *s->space.cost);
    s->seconds = calloc((size_t)most, sizeof *s->seconds);
    s->fault = calloc((size_t)most, 1);
    s->loaded = calloc((size_t)most, 1);
    s->compiled = calloc((size_t)most, 1);
}

static inline void sim_free(sim *s)
{
    for (int k = 0; k < s->space.count; k++) free(s->space.config[k]);
    void *const blocks[] = { s->space.config, s->space.cost, s->seconds,
                             s->fault,        s->loaded,     s->compiled };
    for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++) free(blocks[k]);
}

static inline void sim_add(sim *s, const char *config, double cost, double seconds)
{
    int k = s->space.count++;
    s->space.config[k] = strdup(config);
    s->space.cost[k] = cost;
    s->seconds[k] = seconds;
}

/* Forgets what was seen: another search on the same machine. */
static inline void sim_reset(sim *s, uint64_t random)
{
    memset(s->core_free, 0, sizeof s->core_free);
    s->begun_count = 0;
    s->clock = s->last_tell = s->longest_silence = s->last_done = 0;
    s->random = random;
    s->tells = s->compiles = s->tries = s->most_loaded = s->now_loaded = s->wrong_calls = 0;
    s->notes = s->rejected = s->measured = 0;
    memset(s->loaded, 0, (size_t)s->space.count);
    memset(s->compiled, 0, (size_t)s->space.count);
}

static inline fg_status sim_search(search_result *out, sim *s, double seconds, fg_error *error)
{
    const search_options o = { &memory_default, &s->space,    s->cores, s->ahead,
                               seconds,         &sim_machine, s };
    return search_run(out, &o, error);
}

/* The fastest of the right ones. */
static inline double sim_least(const sim *s)
{
    double least = HUGE_VAL;
    for (int k = 0; k < s->space.count; k++)
        if (s->fault[k] == SIM_right) least = fmin(least, s->seconds[k]);
    return least;
}

#endif
