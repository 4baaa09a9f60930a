/* Timing in turn, and what becomes of a config. */
#include "autotune/search_parts.h"

#include <math.h>
#include <string.h>

fg_status search_tell(search *s, const search_news *news)
{
    double done = s->model ? (search_now(s) - s->start) / s->o->seconds
                           : (double)(s->now.measured + s->now.rejected) / s->o->space->count;
    s->now.done = fmin(fmax(done, s->now.done), 1);
    return s->o->machine->tell(s->o->user, &s->now, news, s->error);
}

fg_status search_tick(search *s)
{
    return search_tell(s, &(search_news){ .kind = FG_EVENT_TICK, .id = -1 });
}

void search_drop(search *s, int id)
{
    s->o->machine->drop(s->o->user, id);
    if (s->entry[id].state == ENTRY_loaded) s->entry[id].state = ENTRY_dropped;
}

void search_lead_anew(search *s)
{
    s->now.leader = -1;
    for (int id = 0; id < s->o->space->count; id++) {
        const entry *e = &s->entry[id];
        if (e->state != ENTRY_loaded) continue;
        if (s->now.leader >= 0 && e->seconds >= s->now.leader_seconds) continue;
        s->now.leader = id;
        s->now.leader_seconds = e->seconds;
    }
}

fg_status search_reject(search *s, int id, const char *why)
{
    if (s->entry[id].state == ENTRY_loaded) s->now.measured--;
    s->entry[id] = (entry){ .state = ENTRY_rejected };
    s->now.rejected++;
    search_drop(s, id);
    if (id == s->now.leader) search_lead_anew(s);
    return search_tell(s, &(search_news){ .kind = FG_EVENT_REJECTED, .id = id, .text = why });
}

/* ---- Turns ---- */

void search_enter(search *s, int id)
{
    racer *r = &s->race.racer[s->race.count++];
    r->id = id;
    r->out = false;
    r->runs = 0;
}

racer *search_racer(search *s, int id)
{
    for (int k = 0; k < s->race.count; k++)
        if (s->race.racer[k].id == id) return &s->race.racer[k];
    return NULL;
}

double search_turn_seconds(const search *s)
{
    double sum = 0;
    for (int k = 0; k < s->race.count; k++)
        if (!s->race.racer[k].out) sum += s->entry[s->race.racer[k].id].seconds;
    return sum;
}

static void take_samples(search *s, const int *ids, int count, int runs)
{
    for (int c = 0; c < count; c++) {
        racer *r = search_racer(s, ids[c]);
        memcpy(r->sample + r->runs, s->sample + c * runs, (size_t)runs * sizeof *r->sample);
        r->runs += runs;
        s->entry[r->id].runs += runs;
    }
}

/* Those that run; how many samples there is room for. */
static int running(const search *s, int *ids, int *room)
{
    int count = 0;
    *room = race_max_runs;
    for (int k = 0; k < s->race.count; k++) {
        const racer *r = &s->race.racer[k];
        if (r->out) continue;
        ids[count++] = r->id;
        if (race_max_runs - r->runs < *room) *room = race_max_runs - r->runs;
    }
    return count;
}

static int runs_within(double seconds, double each, int least, int most)
{
    if (!(each * most > seconds)) return most;
    return each * least > seconds ? least : (int)(seconds / each);
}

fg_status search_turn(search *s, double seconds, int least, int most)
{
    int ids[race_max], room, culprit = 0, count = running(s, ids, &room);
    int runs = runs_within(seconds, search_turn_seconds(s), least, most < room ? most : room);
    fg_error why;
    if (count == 0 || runs <= 0) return FG_OK;
    fg_status status = s->o->machine->time(s->o->user, s->sample, ids, count, runs, &culprit, &why);
    if (status == FG_WRONG) {
        search_racer(s, ids[culprit])->out = true;
        return search_reject(s, ids[culprit], why.text);
    }
    if (status == FG_OK)
        take_samples(s, ids, count, runs);
    else if (s->error)
        *s->error = why;
    return status == FG_OK ? search_tick(s) : status;
}
