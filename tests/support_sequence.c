#include "tests/support_sequence.h"
#include "tests/support_tensor.h"

#include "tests/support.h"

#include <math.h>
#include <string.h>

static int64_t blocks_of(const problem *p, int64_t keys)
{
    return p->page ? (keys + p->page - 1) / p->page : 0;
}

/* ---- Sizes ---- */

/* Whether a tensor other than k, v and the block table tells sk. */
static bool says_keys(const problem *p)
{
    bool says = (p->bias.present && p->bias.full[3]) || (p->mask.present && p->mask.full[3]);
    for (int t = 0; t < p->tensors && !p->shard; t++) /* a shard's are the whole run's */
        for (int k = 0; k < p->tensor[t].rank; k++)
            says = says || strcmp(p->tensor[t].dim[k], "sk") == 0;
    return says;
}

static void start(test_sizes *z, const problem *p, int64_t b, int64_t sq, int64_t sk)
{
    bool by_table = p->page && p->sk == problem_dynamic && !says_keys(p);
    *z = (test_sizes){ .b = b, .sq = sq, .sk = by_table ? blocks_of(p, sk) * p->page : sk };
    bool each = p->lens != LENS_none || p->page;
    if (each) ck_assert_int_le(b, test_most_sequences);
    for (int64_t n = 0; n < b && each; n++) {
        z->q_len[n] = z->sq;
        z->k_len[n] = z->sk;
    }
    z->blocks = blocks_of(p, z->sk);
}

void test_sizes_settle(test_sizes *z, const problem *p)
{
    z->total_q = z->total_k = z->pages = 0;
    for (int64_t n = 0; n < z->b && n < test_most_sequences; n++) {
        z->total_q += z->q_len[n];
        z->total_k += z->k_len[n];
        z->pages += blocks_of(p, z->k_len[n]);
    }
    z->dims = (fg_dims)FG_DIMS_INIT;
    z->dims.b = z->b;
    z->dims.sq = z->sq;
    z->dims.sk = z->sk;
    if (p->lens == LENS_packed) {
        z->dims.total_q = z->total_q;
        z->dims.total_k = z->total_k;
    }
    z->sized = p->lens == LENS_packed || p->b < 0 || p->sq < 0 || p->sk < 0;
}

void test_sizes_whole(test_sizes *out, const problem *p)
{
    const int64_t usual = 3;
    start(out, p, p->b < 0 ? usual : p->b, p->sq < 0 ? usual : p->sq, p->sk < 0 ? usual : p->sk);
    test_sizes_settle(out, p);
}

static int64_t draw_length(int64_t most, rng *r)
{
    double kind = rng_unit(r);
    if (kind < 0.1) return 0;
    if (kind < 0.4) return most;
    if (kind < 0.5) return most < 1 ? most : 1;
    if (kind < 0.6) return most < 1 ? most : most - 1;
    return rng_between(r, 0, most);
}

static void draw_room(test_sizes *z, rng *r)
{
    int64_t *const dims[] = { &z->dims.b, &z->dims.sq, &z->dims.sk, &z->dims.total_q,
                              &z->dims.total_k };
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++)
        if (*dims[k] >= 0 && rng_chance(r, 0.3)) *dims[k] += rng_between(r, 1, 40);
    z->sized = z->sized || rng_chance(r, 0.5);
}

void test_sizes_draw(test_sizes *out, const problem *p, int64_t b, int64_t sq, int64_t sk, rng *r)
{
    start(out, p, b, sq, sk);
    for (int64_t n = 0; n < b && p->lens != LENS_none; n++) {
        out->q_len[n] = draw_length(out->sq, r);
        out->k_len[n] = draw_length(out->sk, r);
    }
    test_sizes_settle(out, p);
    draw_room(out, r);
    out->shared = rng_chance(r, 0.5);
    if (!p->page) return;
    bool told = p->lens == LENS_packed || p->sk >= 0 || says_keys(p);
    out->pages += rng_below(r, 4);
    if (told) out->blocks += rng_below(r, 3); /* columns that no sequence needs */
}

static void place(int64_t *origin, int64_t *whole, int64_t size, int most, rng *r)
{
    static const int64_t far[] = { 0, 1, 16, 40, 77, 1000 };
    *origin = far[rng_below(r, most)];
    *whole = *origin + size + far[rng_below(r, most)];
}

/* Of the largest tensor of the whole run, at most. */
static double whole_elements(const run_shard *at, const problem *p)
{
    double longest = fmax(fmax((double)at->whole_b, (double)at->whole_hq),
                          fmax((double)at->whole_sq, (double)at->whole_sk));
    double most = 1;
    for (int t = 0; t < p->tensors; t++) most = fmax(most, pow(longest, p->tensor[t].rank));
    return most;
}

/* Tensors of the whole run are given: they stay small. */
void test_sizes_place(test_sizes *z, const problem *p, rng *r)
{
    const double enough = 1 << 24;
    run_shard *at = &z->shard;
    int most = 7;
    do {
        most--;
        place(&at->origin_b, &at->whole_b, z->b, most, r);
        place(&at->origin_h, &at->whole_hq, p->hq, most, r);
        place(&at->origin_i, &at->whole_sq, z->sq, most, r);
        place(&at->origin_j, &at->whole_sk, z->sk, most, r);
        at->whole_hkv = p->hkv + rng_below(r, 3);
        at->whole_hq += (at->whole_hkv - at->whole_hq % at->whole_hkv) % at->whole_hkv;
    } while (most > 1 && whole_elements(at, p) > enough);
}

/* ---- Lengths ---- */

static void fill_lens(test_tensor *t, const int64_t *length)
{
    for (int64_t b = 0; b < t->count; b++) test_set(t, b, (double)length[b]);
}

static void fill_cumulative(test_tensor *t, const int64_t *length)
{
    int64_t sum = 0;
    for (int64_t b = 0; b < t->count; b++) {
        test_set(t, b, (double)sum);
        if (b + 1 < t->count) sum += length[b];
    }
}

/* ---- Pages ---- */

static void shuffle(int64_t *order, int64_t count, rng *r)
{
    for (int64_t k = count - 1; k > 0; k--) {
        int64_t other = rng_below(r, k + 1), swap = order[k];
        order[k] = order[other];
        order[other] = swap;
    }
}

/* What no sequence needs names no page. */
static double no_page(int64_t pages, rng *r)
{
    const double wrong[] = { -1, (double)pages, INT32_MAX, INT32_MIN };
    return rng_pick(r, wrong);
}

enum { most_pages = 4096 };

/* Pages in any order; sequences that begin alike share some, as those of one prompt do. */
static void fill_table(test_tensor *t, const test_tensors *all, rng *r)
{
    int64_t order[most_pages], next = 0;
    const test_sizes *z = &all->sizes;
    int64_t page = all->problem->problem->page;
    ck_assert_int_le(z->pages, most_pages);
    for (int64_t n = 0; n < z->pages; n++) order[n] = n;
    shuffle(order, z->pages, r);
    for (int64_t b = 0; b < z->b; b++)
        for (int64_t n = 0; n < z->blocks; n++) {
            int64_t at = b * z->blocks + n;
            bool used = n * page<z->k_len[b], beside = b> 0 && n * page < z->k_len[b - 1];
            if (!used)
                test_set(t, at, no_page(z->pages, r));
            else if (z->shared && beside && rng_chance(r, 0.2))
                test_set(t, at, test_get(t, at - z->blocks));
            else
                test_set(t, at, (double)order[next++]);
        }
}

/* ---- Seeds ---- */

static void fill_rng(test_tensor *t, const fg_args *args)
{
    const uint64_t words[] = { args->seed, args->seed >> 32, args->offset, args->offset >> 32 };
    for (int64_t k = 0; k < t->count; k++) {
        uint32_t word = (uint32_t)words[k];
        memcpy(test_element(t, k), &word, sizeof word);
    }
}

void test_fill_run(test_tensors *t, rng *r)
{
    static const char *const lens[] = { "q_lens", "k_lens" }, *const cu[] = { "cu_q", "cu_k" };
    const int64_t *const length[] = { t->sizes.q_len, t->sizes.k_len };
    test_tensor *one;
    for (int k = 0; k < 2; k++) {
        if ((one = test_tensors_find(t, lens[k]))) fill_lens(one, length[k]);
        if ((one = test_tensors_find(t, cu[k]))) fill_cumulative(one, length[k]);
    }
    if ((one = test_tensors_find(t, "block_table"))) fill_table(one, t, r);
    if ((one = test_tensors_find(t, "rng"))) fill_rng(one, &t->args);
}

/* ---- What nothing may read ---- */

static void poison_row(test_tensor *t, int64_t b, int64_t s)
{
    int64_t columns = t->shape[3], heads = t->heads_first ? t->shape[1] : t->shape[2];
    for (int64_t h = 0; h < heads; h++)
        for (int64_t c = 0; c < columns; c++) test_set(t, test_index(t, b, h, s, c), NAN);
}

static void poison_behind(test_tensor *t, const int64_t *length, int64_t b, int64_t most)
{
    for (int64_t n = 0; n < b; n++)
        for (int64_t s = length[n]; s < most; s++) poison_row(t, n, s);
}

static void poison_pages(test_tensor *t, test_tensors *all)
{
    const test_sizes *z = &all->sizes;
    const test_tensor *table = test_tensors_find(all, "block_table");
    int64_t page = t->shape[1];
    int64_t used[most_pages] = { 0 }; /* keys at the start of each page */
    for (int64_t b = 0; b < z->b; b++)
        for (int64_t n = 0; n * page < z->k_len[b]; n++) {
            int64_t at = (int64_t)test_get(table, b * z->blocks + n), keys = z->k_len[b] - n * page;
            if (keys > used[at]) used[at] = keys < page ? keys : page;
        }
    for (int64_t at = 0; at < z->pages; at++)
        for (int64_t s = used[at]; s < page; s++) poison_row(t, at, s);
}

/* Whether some sequence has the pair. */
static bool pair_exists(const test_sizes *z, const bool full[4], int64_t b, int64_t i, int64_t j)
{
    for (int64_t n = 0; n < z->b; n++) {
        if (full[0] && n != b) continue;
        if ((full[2] ? i : 0) < z->q_len[n] && (full[3] ? j : 0) < z->k_len[n]) return true;
    }
    return false;
}

static void poison_bias(test_tensor *t, const test_sizes *z, const bool full[4])
{
    for (int64_t k = 0; k < t->count; k++) {
        int64_t j = k % t->shape[3], i = k / t->shape[3] % t->shape[2];
        int64_t b = k / t->shape[3] / t->shape[2] / t->shape[1];
        if (!pair_exists(z, full, b, i, j)) test_set(t, k, NAN);
    }
}

/* Where rows share their memory, some of them are read. */
static test_tensor *find_own(test_tensors *t, const char *name)
{
    test_tensor *found = test_tensors_find(t, name);
    return found && !found->repeats && found->count ? found : NULL;
}

void test_poison(test_tensors *t)
{
    static const char *const kv[] = { "k", "v" };
    const problem *p = t->problem->problem;
    const test_sizes *z = &t->sizes;
    test_tensor *one;
    bool padded = p->lens == LENS_padded;
    if (padded && (one = find_own(t, "q"))) poison_behind(one, z->q_len, z->b, z->sq);
    for (int k = 0; k < 2; k++) {
        if (!(one = find_own(t, kv[k]))) continue;
        if (p->page)
            poison_pages(one, t);
        else if (padded)
            poison_behind(one, z->k_len, z->b, z->sk);
    }
    if (p->lens != LENS_none && (one = find_own(t, "bias"))) poison_bias(one, z, p->bias.full);
}
