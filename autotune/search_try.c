/* A batch of candidates: checked one by one, then timed beside the leader. */
#include "autotune/search_parts.h"

#include <math.h>

enum { most_loaded = 8, stages = 3 };

/* The longer a candidate holds out, the closer it must be; and the longer it is timed. */
static const struct {
    double behind, seconds;
} stage[stages] = { { 0.06, 0.02 }, { 0.03, 0.04 }, { 0.02, 0.08 } };

/* A first run that takes so much longer than the leader's is the last. Short ones say little and cost
 * little; long ones cost too much to be repeated. */
static double gate(double seconds)
{
    return seconds < 0.02 ? HUGE_VAL : seconds < 0.05 ? 1.3 : 1.15;
}

static bool has_time(const search *s, double seconds)
{
    return !s->model || search_now(s) + seconds < s->explore_end;
}

/* What a candidate takes is said beside the leader's time, whatever slowed the machine meanwhile. */
static void judge(search *s, double behind)
{
    const racer *leader = search_racer(s, s->now.leader);
    for (int k = 0; k < s->race.count && leader; k++) {
        racer *r = &s->race.racer[k];
        if (r->out || r == leader) continue;
        estimate ratio = race_ratio(r, leader);
        s->entry[r->id].seconds = ratio.median * s->now.leader_seconds;
        r->out = ratio.median > 1 + behind + (isfinite(ratio.error) ? ratio.error : 0);
    }
}

static fg_status run_stages(search *s)
{
    fg_status status = FG_OK;
    for (int k = 0; k < stages && status == FG_OK;) {
        double each = search_turn_seconds(s);
        bool alone = each <= s->now.leader_seconds;
        int least = each > 0.2 ? 1 : 3, rejected = s->now.rejected;
        if (alone || (k > 0 && (each > 0.5 || !has_time(s, least * each)))) break;
        status = search_turn(s, stage[k].seconds, least, 24);
        if (s->now.rejected > rejected) continue; /* one crashed: the others have another go */
        if (status == FG_OK) judge(s, stage[k].behind);
        k++;
    }
    return status;
}

static fg_status tell_measured(search *s, int id, double spread)
{
    const entry *e = &s->entry[id];
    const search_news news = { FG_EVENT_MEASURED, id, NULL, e->runs, e->seconds, spread };
    if (e->state == ENTRY_rejected) return FG_OK;
    return search_tell(s, &news);
}

static fg_status compete(search *s, const int *ids, int count)
{
    int leader = s->now.leader;
    s->race.count = 0;
    if (leader < 0) search_lead_anew(s);
    if (leader >= 0) search_enter(s, leader);
    for (int k = 0; k < count; k++) search_enter(s, ids[k]);
    fg_status status = run_stages(s);
    if (status == FG_OK) search_lead_anew(s);
    for (int k = 0; k < count && status == FG_OK; k++) {
        double spread = race_seconds(search_racer(s, ids[k])).error;
        status = tell_measured(s, ids[k], isfinite(spread) ? spread : 0);
    }
    return status;
}

/* Those that a last race may need stay loaded: the best, and the estimate. */
static void drop_worst(search *s)
{
    int loaded, worst;
    do {
        loaded = 0;
        worst = -1;
        for (int id = 1; id < s->o->space->count; id++) {
            if (s->entry[id].state != ENTRY_loaded) continue;
            loaded++;
            if (worst < 0 || s->entry[id].seconds > s->entry[worst].seconds) worst = id;
        }
        if (loaded > most_loaded) search_drop(s, worst);
    } while (loaded > most_loaded + 1);
}

/* *passes: it is worth timing. */
static fg_status attempt(search *s, int id, bool *passes)
{
    fg_error why;
    double seconds = 0;
    fg_status status = s->o->machine->attempt(s->o->user, &seconds, id, &why);
    if (status == FG_WRONG) return search_reject(s, id, why.text);
    if (status != FG_OK) {
        if (s->error) *s->error = why;
        return status;
    }
    s->entry[id] = (entry){ ENTRY_loaded, 1, fmax(seconds, 1e-9) };
    s->now.measured++;
    *passes = s->now.leader < 0 || seconds <= gate(seconds) * s->now.leader_seconds;
    if (*passes) return search_tick(s);
    status = tell_measured(s, id, 0);
    if (id != 0) search_drop(s, id);
    return status;
}

static fg_status try_one(search *s, const search_job *job, bool *passes)
{
    *passes = false;
    if (job->fate == SEARCH_failed) return search_reject(s, job->id, job->why);
    if (job->fate == SEARCH_late) return FG_OK;
    s->now.compiled++;
    bool first = s->now.measured + s->now.rejected == 0;
    bool late = s->model && s->now.measured == 0 && search_now(s) > s->end;
    /* It runs twice. */
    if (first || (!late && (s->now.measured == 0 || has_time(s, 2 * s->now.leader_seconds))))
        return attempt(s, job->id, passes);
    search_drop(s, job->id);
    return FG_OK;
}

fg_status search_try(search *s, const search_job *jobs, int count)
{
    int passed[race_max], entered = 0;
    fg_status status = FG_OK;
    for (int k = 0; k < count && status == FG_OK; k++) {
        bool passes;
        status = try_one(s, &jobs[k], &passes);
        if (passes) passed[entered++] = jobs[k].id;
    }
    if (status == FG_OK && entered > 0) status = compete(s, passed, entered);
    if (status == FG_OK) drop_worst(s);
    return status;
}
