/* What the parts of a search share. */
#ifndef AUTOTUNE_SEARCH_PARTS_H
#define AUTOTUNE_SEARCH_PARTS_H

#include "autotune/model.h"
#include "autotune/race.h"
#include "autotune/search.h"

typedef enum entry_state { ENTRY_fresh, ENTRY_rejected, ENTRY_dropped, ENTRY_loaded } entry_state;

/* What is known of a config. */
typedef struct entry {
    entry_state state;
    int runs;
    double seconds; /* beside the leader's, once run */
} entry;

typedef struct search {
    const search_options *o;
    search_state now;
    axes axes;
    model *model; /* NULL: the search is exhaustive */
    entry *entry;
    bool *taken; /* configs that were picked */
    int next;    /* of the prior's order */
    double start, end, explore_end;
    double batch_seconds; /* of the slowest so far */
    race race;
    double sample[race_max * race_max_runs];
    fg_error *error;
} search;

static inline double search_now(const search *s)
{
    return s->o->machine->now(s->o->user);
}

fg_status search_tell(search *s, const search_news *news);
fg_status search_tick(search *s);
/* It is not what it should be, or did not compile. */
fg_status search_reject(search *s, int id, const char *why);
void search_drop(search *s, int id);
/* The fastest that is loaded leads. */
void search_lead_anew(search *s);

/* Has a config among those that `search_turn` runs. */
void search_enter(search *s, int id);
racer *search_racer(search *s, int id);
/* Seconds of one run of each that is not out. */
double search_turn_seconds(const search *s);
/* Runs all that are not out, about `seconds` long, each `least` to `most` times. One that crashes only now
 * is rejected, and this turn counts for nobody. */
fg_status search_turn(search *s, double seconds, int least, int most);

/* Tries what was compiled, and times what passes beside the leader. */
fg_status search_try(search *s, const search_job *jobs, int count);
/* Times the best, until one of them leads or the time is over. Leaves `out` as it is when all of them
 * crash. */
fg_status search_finish(search *s, search_result *out);

#endif
