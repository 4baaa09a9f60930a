/* What the prior chooses for every bucket of a problem with `*`, from the maker or from the store. */
#ifndef RUNTIME_ESTIMATES_H
#define RUNTIME_ESTIMATES_H

#include "runtime/buckets.h"
#include "runtime/choice.h"

typedef struct estimates {
    const memory *memory;
    int count; /* different ones */
    choice *choice;
    int buckets;
    int *of; /* index into choice, of each bucket */
} estimates;

/* At most so many different ones, unless some sizes allow none of those. */
enum { estimates_most = 6 };

/* Asks the maker. */
fg_status estimates_make(estimates *out, fg_context *context, const problem *p, const char *pins,
                         const buckets *all, fg_error *error);
void estimates_free(estimates *e);

/* What is stored under a key; false where there is nothing that makes sense for these buckets. */
bool estimates_get(estimates *out, fg_context *context, const buckets *all, const digest *d);
/* Stores them. Keeps silent where that fails. */
void estimates_put(estimates *e, fg_context *context, const problem *p, const store_key *k);

#endif
