/* One search of fg_tune, and what it reaches the machine by. */
#ifndef AUTOTUNE_TUNING_H
#define AUTOTUNE_TUNING_H

#include "autotune/compile.h"
#include "autotune/measurer.h"
#include "autotune/search.h"
#include "runtime/buckets.h"

typedef struct tuning_batch {
    compile_job *jobs;
    int count, room;
    compile_pool *pool;
} tuning_batch;

typedef struct tuning {
    fg_context *context;
    const problem *problem;
    const fg_tune_options *options;
    const char *pins;
    maker_sizes sizes; /* of the bucket; 0 where the problem says them */
    char sizes_text[buckets_text_size];
    digest winner; /* of the key */
    bool stamped;
    digest stamp; /* before anything was made */
    maker_space *space;
    measurer *measurer;
    image *image; /* of each config; empty where it is not compiled, or no longer needed */
    /* In turn: the last to end has errors that are still told. */
    tuning_batch batch[search_ahead_max + 1];
    int begun, ended;   /* so far */
    sem_t cores;        /* the host's, that compile */
    search_state state; /* as last told */
    double start, compile_seconds;
    double patience; /* seconds to wait while others time */
    fg_error reason; /* of the first rejection, behind its config; FG_OK: none so far */
    bool rechecked;  /* a winner by another compiler */
} tuning;

extern const search_machine tuning_machine; /* its user is a tuning */

/* The start is now. */
void tuning_begin(tuning *t);
/* Tells the host that time went by. FG_CANCELLED when it has had enough. */
fg_status tuning_tick(tuning *t, fg_error *error);
/* Tells what there is to tell besides a search's own news. */
fg_status tuning_tell(tuning *t, fg_event_kind kind, const char *what, int64_t count,
                      fg_error *error);

/* Starts the measurer. */
fg_status tuning_measure(tuning *t, fg_error *error);
/* Ends it, and frees what the machine made. */
void tuning_end(tuning *t);

#endif
