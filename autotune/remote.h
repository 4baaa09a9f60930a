/* A worker process, as the search sees it. */
#ifndef AUTOTUNE_REMOTE_H
#define AUTOTUNE_REMOTE_H

#include "autotune/frame.h"
#include "autotune/measurer.h"
#include "runtime/process.h"

#include <limits.h>

typedef struct remote {
    measurer_options options;
    fg_dims dims;        /* the options' */
    char path[PATH_MAX]; /* of its executable */
    process process;
    double patience;     /* seconds that an answer may take */
    bool starting;       /* it has not said yet that it is ready */
    frame_result asked;  /* how that went */
    bool running, begun; /* begun: a candidate, in the last request */
    int culprit;         /* that one */
} remote;

/* Finds the executable. FG_MACHINE when there is none. */
fg_status remote_init(remote *r, const measurer_options *options, fg_error *error);
/* Ends the worker, if it runs. */
void remote_end(remote *r);

/* Each ends the worker when it crashes, hangs or makes no sense: FG_WRONG when a candidate had begun,
 * else FG_MACHINE. */
fg_status remote_start(remote *r, fg_error *error);
/* Waits until it is: before the first of the others. */
fg_status remote_ready(remote *r, fg_error *error);
fg_status remote_try(remote *r, double *seconds, int id, const store_section *sections,
                     fg_error *error);
fg_status remote_time(remote *r, double *samples, const int *ids, int count, int runs,
                      fg_error *error);
void remote_drop(remote *r, int id);

#endif
