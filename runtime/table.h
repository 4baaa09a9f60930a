/* The kernels of a problem with `*`, one for each bucket of a run's sizes. Immutable; the context keeps it. */
#ifndef RUNTIME_TABLE_H
#define RUNTIME_TABLE_H

#include "runtime/buckets.h"
#include "runtime/kernel.h"

typedef struct kernel_table {
    struct kernel_table *next; /* of the context's, under the library lock */
    fg_context *context;       /* not held: it owns this */
    buckets buckets;
    kernel *of[]; /* bucket; several may share one */
} kernel_table;

/* Without its kernels; NULL: out of memory. */
kernel_table *table_new(fg_context *context, const buckets *all);
void table_free(kernel_table *t);

/* The kernel of a run. */
static inline const kernel *table_find(const kernel_table *t, const recipe_facts *facts)
{
    return t->of[buckets_find(&t->buckets, facts->b, facts->sq, facts->sk)];
}

/* Of the greatest sizes. */
static inline kernel *table_last(const kernel_table *t)
{
    return t->of[buckets_count(&t->buckets) - 1];
}

/* What a run of at most these sizes needs, in all and of it prepared, whichever kernel it takes. */
fg_status table_most_bytes(size_t *all, size_t *prepared, const kernel_table *t,
                           const fg_dims *dims, fg_error *error);

#endif
