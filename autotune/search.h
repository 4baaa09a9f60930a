/* The strategy of a search: which configs to compile, try and time next, and when to stop. It does nothing
 * itself: all that it wants done, a table of calls does. */
#ifndef AUTOTUNE_SEARCH_H
#define AUTOTUNE_SEARCH_H

#include "gen/core/maker.h"

#include <stdbool.h>

enum { search_ahead_max = 3 };

typedef enum search_fate { SEARCH_late, SEARCH_made, SEARCH_failed } search_fate;

typedef struct search_job {
    int id; /* index of the config in the space */
    search_fate fate;
    const char *why; /* it failed, until the next call */
} search_job;

/* Where a search stands. */
typedef struct search_state {
    double done;                      /* 0 to 1 */
    int compiled, measured, rejected; /* configs so far */
    int leader;                       /* or -1: none is measured yet */
    double leader_seconds;
} search_state;

/* What there is to tell: fg_event's kind and members. */
typedef struct search_news {
    fg_event_kind kind;
    int id; /* or -1 */
    const char *text;
    int runs;
    double seconds, spread;
} search_news;

/* A status other than FG_OK and FG_WRONG ends the search. */
typedef struct search_machine {
    double (*now)(void *user);
    /* Begins to compile what can start before the deadline, the first of all in any case, for `compile` with the same
     * jobs to end: meanwhile others are tried. Up to search_ahead_max times ahead; cores are for the earliest. */
    fg_status (*begin)(void *user, search_job *jobs, int count, double deadline, fg_error *error);
    /* Compiles the first job, and of the others those that can start before the deadline. */
    fg_status (*compile)(void *user, search_job *jobs, int count, double deadline, fg_error *error);
    /* Loads, checks and runs what was compiled, as measurer_try and measurer_time do. */
    fg_status (*attempt)(void *user, double *seconds, int id, fg_error *error);
    fg_status (*time)(void *user, double *samples, const int *ids, int count, int runs,
                      int *culprit, fg_error *error);
    void (*drop)(void *user, int id); /* compiled, tried or not: no longer needed */
    fg_status (*tell)(void *user, const search_state *state, const search_news *news,
                      fg_error *error);
} search_machine;

typedef struct search_options {
    const memory *memory;
    const maker_space *space;
    int cores;
    bool
        ahead; /* compiling disturbs no timing: batches are compiled while earlier ones are tried */
    double seconds; /* infinite: every config is measured, and no time is too long */
    const search_machine *machine;
    void *user;
} search_options;

typedef struct search_result {
    int winner; /* not dropped */
    double seconds, spread;
    double estimate_seconds; /* of config 0; 0: it was rejected */
    bool decided;
    search_state state;
} search_result;

/* FG_UNSUPPORTED when no config is right; state.rejected says how many were tried. */
fg_status search_run(search_result *out, const search_options *options, fg_error *error);

#endif
