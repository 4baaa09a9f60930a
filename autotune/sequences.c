#include "autotune/sequences.h"

#include "autotune/drawn.h"

#include <string.h>

/* ---- Lengths ---- */

static int64_t size_of(int64_t own, int64_t given, int64_t usual)
{
    return own != problem_dynamic ? own : given >= 0 ? given : usual;
}

static int64_t sum_of(const int32_t *length, int64_t count)
{
    int64_t sum = 0;
    for (int64_t n = 0; n < count; n++) sum += length[n];
    return sum;
}

/* From `least` to `most`, evenly. */
static void spread(int32_t *length, int64_t count, int64_t least, int64_t most)
{
    for (int64_t n = 0; n < count; n++) {
        int64_t steps = count > 1 ? count - 1 : 1;
        length[n] = (int32_t)(most - (most - least) * n / steps);
    }
}

/* Makes up the difference, each sequence as far as it may. */
static void fill_total(int32_t *length, int64_t count, int64_t most, int64_t total)
{
    int64_t missing = total - sum_of(length, count);
    for (int64_t n = 0; n < count; n++) {
        int64_t room = missing > 0 ? most - length[n] : -(int64_t)length[n];
        int64_t change = (missing > 0) == (room < missing) ? room : missing;
        length[n] = (int32_t)(length[n] + change);
        missing -= change;
    }
}

/* Around the mean of a total, or of three quarters. */
static fg_status draw_lengths(int32_t *length, int64_t count, int64_t most, int64_t total,
                              const char *what, fg_error *error)
{
    int64_t mean = count ? total / count : 0;
    int64_t reach = most - mean < mean / 3 ? most - mean : mean / 3;
    if (total < 0) {
        spread(length, count, most - most / 2, most);
        return FG_OK;
    }
    if (total > count * most)
        return fail(error, FG_REQUEST,
                    "%s is %lld: %lld sequences of at most %lld have no such total", what,
                    (long long)total, (long long)count, (long long)most);
    spread(length, count, mean - reach, mean + reach);
    fill_total(length, count, most, total);
    return FG_OK;
}

static void swap(int32_t *a, int32_t *b)
{
    int32_t other = *a;
    *a = *b;
    *b = other;
}

/* Of both alike, so that a sequence's queries and keys stay together. */
static void mix(int32_t *a, int32_t *b, int64_t count, uint64_t seed)
{
    for (int64_t k = count - 1; k > 0; k--) {
        int64_t other = (int64_t)(drawn_next(&seed) % (uint64_t)(k + 1));
        swap(&a[k], &a[other]);
        if (b) swap(&b[k], &b[other]);
    }
}

/* ---- Making ---- */

static int64_t blocks_of(const sequences *s, int64_t keys)
{
    int64_t page = s->problem->page;
    return page ? (keys + page - 1) / page : 0;
}

static fg_status draw_all(sequences *s, const fg_dims *dims, uint64_t seed, fg_error *error)
{
    problem_lens lens = s->problem->lens;
    bool packed = lens == LENS_packed;
    fg_status status = FG_OK;
    spread(s->q_len, s->b, s->sq, s->sq);
    spread(s->k_len, s->b, s->sk, s->sk);
    if (lens != LENS_none) {
        status = draw_lengths(s->q_len, s->b, s->sq, packed ? dims->total_q : -1, "total_q", error);
        if (status == FG_OK)
            status =
                draw_lengths(s->k_len, s->b, s->sk, packed ? dims->total_k : -1, "total_k", error);
        mix(s->q_len, s->k_len, s->b, seed);
    }
    s->total_q = sum_of(s->q_len, s->b);
    s->total_k = sum_of(s->k_len, s->b);
    if (status == FG_OK && packed && (s->total_q > INT32_MAX || s->total_k > INT32_MAX))
        return fail(error, FG_UNSUPPORTED,
                    "cu_q and cu_k count to 2^31 - 1: a search needs shorter sequences, or fewer");
    return status;
}

static fg_status count_pages(sequences *s, fg_error *error)
{
    s->blocks = blocks_of(s, s->sk);
    for (int64_t n = 0; n < s->b && s->blocks; n++) s->pages += blocks_of(s, s->k_len[n]);
    if (s->problem->page) s->pages += s->pages / 8 + 1;
    if (s->pages <= INT32_MAX) return FG_OK;
    return fail(error, FG_UNSUPPORTED, "a block table names fewer than 2^31 pages");
}

fg_status sequences_new(sequences *out, const problem *p, const fg_dims *dims, uint64_t seed,
                        fg_error *error)
{
    const int64_t usual = 1024;
    *out = (sequences){ .memory = p->memory, .problem = p };
    out->b = size_of(p->b, dims->b, 1);
    out->sq = size_of(p->sq, dims->sq, usual);
    out->sk = size_of(p->sk, dims->sk, usual);
    if (p->page && p->sk == problem_dynamic) /* it may be the table alone that tells */
        out->sk = blocks_of(out, out->sk) * p->page;
    size_t count = out->b > 0 ? (size_t)out->b : 1;
    out->q_len = memory_new(p->memory, count, sizeof *out->q_len);
    out->k_len = memory_new(p->memory, count, sizeof *out->k_len);
    fg_status status =
        out->q_len && out->k_len ? draw_all(out, dims, seed, error) : fail_memory(error);
    if (status == FG_OK) status = count_pages(out, error);
    if (status != FG_OK) sequences_free(out);
    return status;
}

void sequences_free(sequences *s)
{
    size_t bytes = (s->b > 0 ? (size_t)s->b : 1) * sizeof *s->q_len;
    if (s->q_len) memory_free(s->memory, s->q_len, bytes);
    if (s->k_len) memory_free(s->memory, s->k_len, bytes);
    s->q_len = s->k_len = NULL;
}

int64_t sequences_extent(const sequences *s, const operand *o, int k)
{
    if (o->shape[k] != problem_dynamic) return o->shape[k];
    switch (o->dim[k]) {
    case DIM_b:
        return s->b;
    case DIM_sq:
        return s->sq;
    case DIM_sk:
        return s->sk;
    case DIM_total_q:
        return s->total_q;
    case DIM_total_k:
        return s->total_k;
    default: /* a tensor's own */
        return *o->name == 'c' ? s->b + 1 : *o->name == 'b' ? s->blocks : s->pages;
    }
}

fg_dims sequences_dims(const sequences *s)
{
    fg_dims dims = FG_DIMS_INIT;
    dims.b = s->b;
    dims.sq = s->sq;
    dims.sk = s->sk;
    if (s->problem->lens == LENS_packed) {
        dims.total_q = s->total_q;
        dims.total_k = s->total_k;
    }
    return dims;
}

/* ---- What says them ---- */

static void fill_cumulative(int32_t *data, const int32_t *length, int64_t count)
{
    data[0] = 0;
    for (int64_t n = 0; n < count; n++) data[n + 1] = data[n] + length[n];
}

/* Pages lie anywhere, as in a cache that has been in use. */
static fg_status fill_table(const sequences *s, int32_t *data, uint64_t seed, fg_error *error)
{
    size_t count = (size_t)s->pages;
    int32_t *order = memory_new(s->memory, count, sizeof *order);
    if (!order) return fail_memory(error);
    for (size_t k = 0; k < count; k++) order[k] = (int32_t)k;
    mix(order, NULL, s->pages, seed);
    int64_t next = 0;
    for (int64_t b = 0; b < s->b; b++)
        for (int64_t n = 0; n < s->blocks; n++)
            data[b * s->blocks + n] = n < blocks_of(s, s->k_len[b]) ? order[next++] : -1;
    memory_free(s->memory, order, count * sizeof *order);
    return FG_OK;
}

fg_status sequences_fill(const sequences *s, const char *name, int32_t *data, uint64_t seed,
                         fg_error *error)
{
    bool queries = name[strlen(name) - 1] == 'q' || *name == 'q';
    const int32_t *length = queries ? s->q_len : s->k_len;
    if (*name == 'b') return fill_table(s, data, seed, error);
    if (*name == 'c')
        fill_cumulative(data, length, s->b);
    else
        memcpy(data, length, (size_t)s->b * sizeof *length);
    return FG_OK;
}

/* ---- What nothing may read ---- */

static fg_status poison_pages(const sequences *s, const int32_t *table, sequences_poison_fn poison,
                              void *user, fg_error *error)
{
    size_t count = (size_t)s->pages;
    int64_t page = s->problem->page;
    int32_t *keys = memory_new(s->memory, count, sizeof *keys); /* that each page has */
    if (!keys) return fail_memory(error);
    for (int64_t b = 0; b < s->b; b++)
        for (int64_t n = 0; n < blocks_of(s, s->k_len[b]); n++) {
            int64_t left = s->k_len[b] - n * page;
            keys[table[b * s->blocks + n]] = (int32_t)(left < page ? left : page);
        }
    for (int64_t at = 0; at < s->pages; at++)
        for (int64_t k = keys[at]; k < page; k++) poison(user, at, k);
    memory_free(s->memory, keys, count * sizeof *keys);
    return FG_OK;
}

fg_status sequences_poison(const sequences *s, char tensor, const int32_t *table,
                           sequences_poison_fn poison, void *user, fg_error *error)
{
    bool queries = tensor == 'q';
    const int32_t *length = queries ? s->q_len : s->k_len;
    if (s->problem->page && !queries) return poison_pages(s, table, poison, user, error);
    for (int64_t b = 0; b < s->b && s->problem->lens == LENS_padded; b++)
        for (int64_t k = length[b]; k < (queries ? s->sq : s->sk); k++) poison(user, b, k);
    return FG_OK;
}
