/* Candidates generated and compiled, several at once. */
#ifndef AUTOTUNE_COMPILE_H
#define AUTOTUNE_COMPILE_H

#include "runtime/image.h"

#include <semaphore.h>

typedef struct compile_job {
    const char *config;
    fg_status status; /* FG_PENDING: it was too late to begin */
    image image;      /* where the status is FG_OK */
    fg_error error;
} compile_job;

typedef struct compile_options {
    const fg_context *context;
    const problem *problem;
    int threads;
    double deadline; /* on library_seconds' clock: later, none but the first begins */
    /* Called some times a second, from the calling thread; a status other than FG_OK ends it. */
    fg_status (*tick)(void *user, fg_error *error);
    void *user;
    const maker_sizes *sizes; /* as context_make */
    bool beside;              /* threads leave the cores to whoever else wants them */
    bool optional;            /* late, not even the first begins */
    sem_t *cores; /* what several pools share: a thread takes one for each job; or NULL */
} compile_options;

typedef struct compile_pool compile_pool;

/* Begins in threads, where there are any to be had; jobs stay where they are until compile_end. */
fg_status compile_begin(compile_pool **out, compile_job *jobs, int count,
                        const compile_options *options, fg_error *error);
/* Waits for those that have begun, whatever comes, and begins the others meanwhile. A failure is tick's; each job has
 * its own. */
fg_status compile_end(compile_pool *pool, fg_error *error);
/* Begins no more. */
void compile_cancel(compile_pool *pool);
/* And ends, without ticks. Of pools that share cores all are cancelled before one is stopped. */
void compile_stop(compile_pool *pool);

/* Both. */
fg_status compile_all(compile_job *jobs, int count, const compile_options *options,
                      fg_error *error);

#endif
