#include "sequences.h"

#include <stdlib.h>
#include <string.h>

/* Those whose values are lengths of queries or of keys. */
static const struct {
    const char *name, *option;
    line_dim dim;
    int total; /* a line_dim, or -1 */
} known[] = {
    { "q_lens", "--q-lens", LINE_sq, -1 },
    { "k_lens", "--k-lens", LINE_sk, -1 },
    { "cu_q", "--cu-q", LINE_sq, LINE_total_q },
    { "cu_k", "--cu-k", LINE_sk, LINE_total_k },
};

enum { known_count = sizeof known / sizeof *known };

static const char table[] = "block_table";

static int find(const char *name)
{
    for (int k = 0; k < known_count; k++)
        if (strcmp(known[k].name, name) == 0) return k;
    return -1;
}

bool sequences_first(const char *name)
{
    return find(name) >= 0 || strcmp(name, table) == 0;
}

/* ---- Before ---- */

static fg_status need(const lengths *sizes, int dim, fg_error *error)
{
    return sizes->of[dim] < 0 ? lengths_missing(dim, error) : FG_OK;
}

/* Lengths to draw need a bound, and say how many rows there are. */
static fg_status before_lengths(lengths *sizes, int64_t *bound, int k, fg_error *error)
{
    fg_status s = need(sizes, LINE_b, error);
    if (s == FG_OK) s = need(sizes, (int)known[k].dim, error);
    if (s != FG_OK) return s;
    *bound = sizes->of[known[k].dim];
    if (known[k].total < 0) return FG_OK;
    if (sizes->of[known[k].total] >= 0)
        return fault(
            error, FG_REQUEST, "a file gives %s=%lld: %s FILE must say where each sequence starts",
            line_dim_names[known[k].total], (long long)sizes->of[known[k].total], known[k].option);
    if (*bound > 0 && sizes->of[LINE_b] > INT32_MAX / *bound)
        return fault(error, FG_REQUEST,
                     "%s counts in 32 bits: b=%lld sequences of up to %lld are too many",
                     known[k].name, (long long)sizes->of[LINE_b], (long long)*bound);
    return FG_OK;
}

static fg_status before_table(lengths *sizes, int64_t *bound, const char *line, bool drawn,
                              fg_error *error)
{
    const int64_t spare = 3; /* pages that nobody uses */
    int64_t page = line_number(line, "page"), *blocks = &sizes->of[LINE_blocks], needed;
    fg_status s = need(sizes, LINE_b, error);
    if (s == FG_OK && *blocks < 0) s = need(sizes, LINE_sk, error);
    if (s != FG_OK) return s;
    if (*blocks < 0) *blocks = (sizes->of[LINE_sk] + page - 1) / page;
    if (!drawn) return FG_OK;
    if (__builtin_mul_overflow(sizes->of[LINE_b], *blocks, &needed) || needed > INT32_MAX - spare)
        return fault(error, FG_REQUEST, "%s counts in 32 bits: %lld pages are too many", table,
                     (long long)needed);
    if (sizes->of[LINE_pages] < 0) sizes->of[LINE_pages] = needed + spare;
    *bound = sizes->of[LINE_pages];
    if (*bound >= needed) return FG_OK;
    return fault(
        error, FG_REQUEST, "a file gives %lld pages: %lld blocks each for b=%lld need %lld",
        (long long)*bound, (long long)*blocks, (long long)sizes->of[LINE_b], (long long)needed);
}

fg_status sequences_before(lengths *sizes, int64_t *bound, const char *line, const char *name,
                           bool drawn, fg_error *error)
{
    int k = find(name);
    *bound = 0;
    if (k >= 0 && drawn) return before_lengths(sizes, bound, k, error);
    return strcmp(name, table) == 0 ? before_table(sizes, bound, line, drawn, error) : FG_OK;
}

/* ---- After ---- */

static int64_t value_at(const tensor *t, int64_t index)
{
    return (int64_t)tensor_at(t, index);
}

static fg_status take_total(int64_t *total, const tensor *t, fg_error *error)
{
    int64_t last = value_at(t, t->count - 1);
    if (last < 0)
        return fault(error, FG_REQUEST, "%s ends at %lld, and counts rows", t->name,
                     (long long)last);
    if (*total >= 0 && *total != last)
        return fault(error, FG_REQUEST, "%s ends at %lld, but a file gives %lld rows", t->name,
                     (long long)last, (long long)*total);
    *total = last;
    return FG_OK;
}

static fg_status after_starts(lengths *sizes, const tensor *t, int k, fg_error *error)
{
    int64_t longest = 0, *most = &sizes->of[known[k].dim];
    for (int64_t n = 1; n < t->count; n++) {
        int64_t length = value_at(t, n) - value_at(t, n - 1);
        if (length > longest) longest = length;
    }
    if (*most < 0) *most = longest;
    if (longest > *most)
        return fault(error, FG_REQUEST, "%s has a sequence of %lld, but %s=%lld", t->name,
                     (long long)longest, line_dim_names[known[k].dim], (long long)*most);
    return take_total(&sizes->of[known[k].total], t, error);
}

/* As many pages as the table names. */
static void after_table(lengths *sizes, const tensor *t)
{
    int64_t *pages = &sizes->of[LINE_pages];
    if (*pages >= 0) return;
    *pages = 0;
    for (int64_t n = 0; n < t->count; n++)
        if (value_at(t, n) >= *pages) *pages = value_at(t, n) + 1;
}

fg_status sequences_after(lengths *sizes, const tensor *t, fg_error *error)
{
    int k = find(t->name);
    if (strcmp(t->name, table) == 0) after_table(sizes, t);
    return k >= 0 && known[k].total >= 0 ? after_starts(sizes, t, k, error) : FG_OK;
}
