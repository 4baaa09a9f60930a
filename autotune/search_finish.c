/* The last race: the best so far and the estimate in turn, until one of them surely leads. */
#include "autotune/search_parts.h"

#include <math.h>

enum { finalists = 6 };

static const double close_by = 1.08; /* how far behind a finalist may be */
static const double sure = 3;        /* standard errors of a lead */
static const double equal =
    0.0005; /* standard error of a ratio, below which more runs tell nothing more */
static const double look = 0.2; /* seconds between two looks at the clock, where runs are shorter */

typedef enum verdict { OPEN, EQUAL, DECIDED } verdict;

/* When it must be over: without a budget, after what should be enough. */
static double end_of(const search *s)
{
    if (s->model) return s->end;
    return search_now(s) + fmin(fmax(2000 * s->now.leader_seconds, 2), 60);
}

/* So many that each can be run some times. */
static int finalists_until(const search *s, double end)
{
    double turns = (end - search_now(s)) / (5 * s->now.leader_seconds);
    return turns < 1 ? 1 : turns < finalists ? (int)turns : finalists;
}

static int best_waiting(search *s)
{
    int best = -1;
    for (int id = 0; id < s->o->space->count; id++) {
        const entry *e = &s->entry[id];
        if (e->state != ENTRY_loaded || search_racer(s, id)) continue;
        if (best < 0 || e->seconds < s->entry[best].seconds) best = id;
    }
    return best;
}

static void enter_finalists(search *s, double end)
{
    int count = finalists_until(s, end), best;
    s->race.count = 0;
    if (count > 1 && s->entry[0].state == ENTRY_loaded) search_enter(s, 0);
    for (int n = 0; n < count && (best = best_waiting(s)) >= 0; n++)
        if (s->entry[best].seconds <= close_by * s->now.leader_seconds) search_enter(s, best);
}

/* Takes out those that are surely behind. */
static verdict settle(search *s)
{
    int leader = race_leader(&s->race), least = search_turn_seconds(s) > 0.3 ? 4 : 10;
    verdict v = DECIDED;
    for (int k = 0; k < s->race.count && leader >= 0; k++) {
        racer *r = &s->race.racer[k];
        if (r->out || k == leader) continue;
        estimate lead = race_ratio(r, &s->race.racer[leader]);
        if (r->runs >= least && lead.median - 1 > sure * lead.error)
            r->out = true;
        else if (r->runs < 64 || lead.error > equal)
            v = OPEN;
        else if (v == DECIDED)
            v = EQUAL;
    }
    return v;
}

static bool over(search *s, double end)
{
    int leader = race_leader(&s->race);
    if (leader < 0) return true;
    int runs = s->race.racer[leader].runs;
    if (runs == 0)
        return s->race.count == 1 && search_now(s) > end; /* its check was all there is time for */
    return runs == race_max_runs || search_now(s) + search_turn_seconds(s) > end;
}

static fg_status run_turns(search *s, double end, verdict *v)
{
    fg_status status = FG_OK;
    while (status == FG_OK && *v == OPEN && !over(s, end)) {
        status = search_turn(s, look, 1, 16);
        if (status == FG_OK) *v = settle(s);
    }
    return status;
}

/* Beside the winner's. */
static double estimate_seconds(search *s, const racer *winner, double seconds)
{
    const racer *first = search_racer(s, 0);
    if (first && first->runs > 0) return race_ratio(first, winner).median * seconds;
    return s->entry[0].seconds / s->entry[winner->id].seconds * seconds;
}

static void conclude(search *s, search_result *out, bool decided)
{
    const racer *winner = &s->race.racer[race_leader(&s->race)];
    estimate seconds = race_seconds(winner);
    out->winner = winner->id;
    out->seconds = winner->runs > 0 ? seconds.median : s->entry[winner->id].seconds;
    out->spread = isfinite(seconds.error) ? seconds.error : 0;
    out->decided = decided;
    if (s->entry[0].runs > 0) out->estimate_seconds = estimate_seconds(s, winner, out->seconds);
    s->now.leader = out->winner;
    s->now.leader_seconds = out->seconds;
}

fg_status search_finish(search *s, search_result *out)
{
    static const char *const notes[] = {
        "the time was over before the winner's lead was more than the noise",
        "the winner's lead is within the noise: others are as fast",
    };
    verdict v = OPEN;
    double end = end_of(s);
    fg_status status = FG_OK;
    do {
        v = OPEN;
        enter_finalists(s, end);
        status = run_turns(s, end, &v);
    } while (status == FG_OK && race_leader(&s->race) < 0 && s->now.leader >= 0);
    if (status != FG_OK || s->now.leader < 0) return status;
    conclude(s, out, v == DECIDED);
    s->now.done = 1;
    if (v == DECIDED) return search_tick(s);
    return search_tell(
        s, &(search_news){ .kind = FG_EVENT_NOTE, .id = out->winner, .text = notes[v] });
}
