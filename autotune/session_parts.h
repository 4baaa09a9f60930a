/* What the parts of a session share. */
#ifndef AUTOTUNE_SESSION_PARTS_H
#define AUTOTUNE_SESSION_PARTS_H

#include "autotune/session.h"
#include "autotune/trusted.h"
#include "runtime/kernel.h"

/* A kernel that passed, or is about to. */
typedef struct candidate {
    int id;
    kernel *kernel;
    size_t workspace_bytes;
    guarded workspace; /* on processors */
    double seconds;    /* of a run, as last timed: on a GPU */
} candidate;

/* Where candidates run: on processors, or on a GPU. */
typedef struct session_place {
    /* Draws the sets. */
    fg_status (*open)(session *s, const fg_dims *dims, fg_error *error);
    void (*close)(session *s);
    /* Finds room for a workspace: FG_MEMORY where there is none. */
    fg_status (*load)(session *s, candidate *c, fg_error *error);
    /* Runs it on the first set, whose outputs and workspace were all ones before; with another v, or NULL. On FG_OK
     * the outputs are in the host's memory, and nothing was written beside them. */
    fg_status (*run)(session *s, candidate *c, const testbed_tensor *v, fg_error *error);
    /* The run behind that, for the search to know what it takes. */
    fg_status (*run_again)(session *s, candidate *c, double *seconds, fg_error *error);
    fg_status (*time)(session *s, candidate *c, double *seconds, fg_error *error);
} session_place;

extern const session_place session_host, session_cuda;

enum { session_sets_max = 2 };

struct session_gpu;

struct session {
    fg_context *context;
    const problem *problem;
    const session_place *place;
    testbed
        set[session_sets_max]; /* runs take turns through them; outputs are compared on the first */
    int sets;
    unsigned turn;
    struct session_gpu *gpu; /* session_cuda's own */
    bool broken;             /* the GPU's context: nothing runs in it any more */
    reference reference;
    sample sample;
    trusted trusted;
    candidate *candidate;
    int count, room;
};

#endif
