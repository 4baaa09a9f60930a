#include "runtime/table.h"

#include "runtime/context.h"

static size_t table_bytes(const buckets *all)
{
    return sizeof(kernel_table) + (size_t)buckets_count(all) * sizeof(kernel *);
}

kernel_table *table_new(fg_context *context, const buckets *all)
{
    kernel_table *t = memory_new(&context->memory, 1, table_bytes(all));
    if (!t) return NULL;
    t->context = context;
    t->buckets = *all;
    return t;
}

void table_free(kernel_table *t)
{
    if (t) memory_free(&t->context->memory, t, table_bytes(&t->buckets));
}

/* ---- Memory ---- */

/* Along one dimension: the buckets that runs of at most `given` (-1: any size) may fall in, and the greatest size in
 * each. */
static int last_reached(int bucket, int64_t given, int count)
{
    return given < 0 ? count - 1 : buckets_least(bucket, count - 1);
}

/* `end` 0: the problem says the size. The last bucket has no end. */
static int64_t greatest(int64_t given, int64_t end, bool last)
{
    if (end == 0 || last) return given;
    return given < 0 || given > end ? end : given;
}

/* No more than so many sequences of so many rows. */
static int64_t total(int64_t given, int64_t b, int64_t length)
{
    int64_t most;
    if (b < 0 || length < 0 || __builtin_mul_overflow(b, length, &most)) return given;
    return given > most ? most : given;
}

/* The greatest sizes of runs within `dims` that take the kernel of a bucket. */
static fg_dims dims_within(const kernel_table *t, int b, int sq, int sk, const fg_dims *dims)
{
    const buckets *all = &t->buckets;
    const maker_sizes end = buckets_sizes(all, (b * all->sq + sq) * all->sk + sk);
    const recipe_facts *own = &t->of[0]->facts;
    fg_dims d = *dims;
    d.b = greatest(dims->b, end.b, b == all->b - 1);
    d.sq = greatest(dims->sq, end.sq, sq == all->sq - 1);
    d.sk = greatest(dims->sk, end.sk, sk == all->sk - 1);
    const int64_t sequences = end.b ? d.b : own->b;
    d.total_q = total(dims->total_q, sequences, end.sq ? d.sq : own->sq);
    d.total_k = total(dims->total_k, sequences, end.sk ? d.sk : own->sk);
    return d;
}

static void keep_most(size_t *most, size_t bytes)
{
    if (bytes > *most) *most = bytes;
}

fg_status table_most_bytes(size_t *all, size_t *prepared, const kernel_table *t,
                           const fg_dims *dims, fg_error *error)
{
    const buckets *grid = &t->buckets;
    const int last_b = last_reached(buckets_of_b(dims->b), dims->b, grid->b);
    const int last_sq = last_reached(buckets_of_length(dims->sq), dims->sq, grid->sq);
    const int last_sk = last_reached(buckets_of_length(dims->sk), dims->sk, grid->sk);
    *all = *prepared = 0;
    for (int b = 0; b <= last_b; b++)
        for (int sq = 0; sq <= last_sq; sq++)
            for (int sk = 0; sk <= last_sk; sk++) {
                run_bytes bytes;
                const fg_dims d = dims_within(t, b, sq, sk, dims);
                const kernel *k = t->of[(b * grid->sq + sq) * grid->sk + sk];
                fg_status status = kernel_most_bytes(&bytes, k, &d, error);
                if (status != FG_OK) return status;
                keep_most(all, bytes.workspace + bytes.prepared);
                keep_most(prepared, bytes.prepared);
            }
    return FG_OK;
}
