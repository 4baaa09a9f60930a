/* The kernels that a context has loaded, and what was asked for to get them. They live as long as it does. */
#ifndef RUNTIME_KERNELS_H
#define RUNTIME_KERNELS_H

#include "runtime/table.h"

/* What a host asks for: of a problem, so much effort, with these axes pinned. */
typedef struct plan_request {
    const problem *problem;
    fg_rigor rigor;
    const char
        *sizes; /* of a problem with `*`: those of a bucket, or what a table is of; else "" */
    const char *config; /* "": none is pinned */
    size_t sizes_length, config_length;
    uint64_t hash;
} plan_request;

plan_request request_of(const problem *p, fg_rigor rigor, const char *sizes, const char *config);

/* How often winners were adopted so far: to be read before one is looked for. */
unsigned kernels_adoptions(fg_context *context);

/* The kernel bound to a request, or NULL. */
kernel *kernels_find(fg_context *context, const plan_request *r);
/* The loaded kernel of this problem and schedule with these very axes, all of them, or NULL. */
kernel *kernels_find_config(fg_context *context, const problem *p, const char *schedule,
                            const char *config);

/* Hands a fresh kernel to the context; *k becomes the one to use: another thread may have been first. */
fg_status kernels_keep(kernel **k, const problem *p, fg_error *error);
/* From now on `r` gives `*k`, which is kept, unless it gives another already: then *k becomes that; or winners were
 * adopted since `adoptions` was read: the next plan then chooses anew. */
fg_status kernels_bind(const plan_request *r, kernel **k, unsigned adoptions, fg_error *error);

/* For a search's winner. A fresh kernel becomes the one of its config, and a request gives `k` whatever it
 * gave before: what plans have stays loaded. */
fg_status kernels_renew(kernel *fresh, const problem *p, fg_error *error);
fg_status kernels_rebind(const plan_request *r, kernel *k, fg_error *error);

/* The table bound to a request, or NULL. */
const kernel_table *kernels_find_table(fg_context *context, const plan_request *r);
/* Hands a fresh table to the context. From now on `r` gives it, unless it gives another already, or winners were
 * adopted since `adoptions` was read: the next plan then chooses anew. */
fg_status kernels_keep_table(kernel_table *fresh, const plan_request *r, unsigned adoptions,
                             fg_error *error);
/* A winner was adopted: the problem's tables are given no more. */
void kernels_forget_tables(fg_context *context, const problem *p);

/* A winner of a problem, of a bucket of its sizes. */
typedef struct kernels_winner {
    const maker_sizes *sizes; /* the bucket's greatest; 0 where the problem says them */
    const char *pins, *schedule, *config;
    bool exhaustive;
} kernels_winner;

/* Another process's winner was found: what gives another kernel where this one serves is given no more, and the next
 * plan finds it in the store. */
void kernels_forget_others(fg_context *context, const problem *p, const kernels_winner *winner);

void kernels_free(fg_context *context);

#endif
