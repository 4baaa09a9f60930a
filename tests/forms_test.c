/* One computation in several forms, which give the same bits: sequences padded, packed or each a problem of its own, keys
 * in pages in any order, sizes that are open, seeds by value or by tensor, a mask that was prepared. */
/* ctest: shards=2 labels=slow */
#include "tests/support_trial.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { heads = 4, most_q = 300, most_k = 310, values = 21, sequences = 4 };

static const int64_t q_length[sequences] = { 150, 300, 0, 222 },
                     k_length[sequences] = { 211, 310, 190, 0 };

/* A trial whose sequence 0 is number `first` of those above. */
typedef struct form {
    trial x;
    int64_t first;
} form;

/* ---- Where an element lies ---- */

static int64_t rows_before(const int64_t *length, int64_t b)
{
    int64_t sum = 0;
    for (int64_t n = 0; n < b; n++) sum += length[n];
    return sum;
}

static int64_t index_of(form *f, const test_tensor *t, int64_t b, int64_t h, int64_t s, int64_t c)
{
    test_sizes *z = &f->x.t.sizes;
    bool of_keys = *t->name == 'k' || *t->name == 'v';
    int64_t page = f->x.handle->problem->page;
    if (page && of_keys) {
        const test_tensor *table = trial_tensor(&f->x, "block_table");
        int64_t at = (int64_t)test_get(table, b * z->blocks + s / page);
        return test_index(t, at, h, s % page, c);
    }
    if (t->packed) s += rows_before(of_keys ? z->k_len : z->q_len, b);
    return test_index(t, b, h, s, c);
}

/* ---- Contents: a pure function of tensor, sequence, head, position, column ---- */

static double value_at(char name, int64_t b, int64_t h, int64_t s, int64_t c)
{
    uint64_t stream = (uint64_t)(((b * 16 + h) * 1000 + s) * 1000 + c);
    rng r = rng_new((uint64_t)name, stream);
    return rng_normal(&r);
}

static void put_all(form *f, const char *name, const int64_t *length, int64_t count)
{
    test_tensor *t = trial_tensor(&f->x, name);
    bool of_keys = *name != 'q';
    for (int64_t b = 0; b < count; b++)
        for (int64_t h = 0; h < (of_keys ? heads / 2 : heads); h++)
            for (int64_t s = 0; s < length[f->first + b]; s++)
                for (int64_t c = 0; c < t->shape[t->rank - 1]; c++)
                    test_set(t, index_of(f, t, b, h, s, c), value_at(*name, f->first + b, h, s, c));
}

static void put_contents(form *f, int64_t count)
{
    put_all(f, "q", q_length, count);
    put_all(f, "k", k_length, count);
    put_all(f, "v", k_length, count);
}

/* ---- Comparing ---- */

static bool same_element(form *f, form *g, const char *name, const int64_t at[4], int64_t g_b)
{
    test_tensor *a = trial_tensor(&f->x, name), *b = trial_tensor(&g->x, name);
    const void *x = test_element(a, index_of(f, a, at[0], at[1], at[2], at[3])),
               *y = test_element(b, index_of(g, b, g_b, at[1], at[2], at[3]));
    return memcmp(x, y, dtypes[a->type].bits / 8u) == 0;
}

/* The `count` sequences of g, with those of f that they are. */
static void compare(form *f, form *g, int64_t count, const char *what)
{
    for (int64_t b = 0; b < count; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t i = 0; i < q_length[g->first + b]; i++) {
                bool same = true;
                for (int64_t c = 0; c < values; c++) {
                    const int64_t at[] = { g->first + b, h, i, c };
                    same = same && same_element(f, g, "o", at, b);
                }
                const int64_t at[] = { g->first + b, h, i, 0 };
                same = same && same_element(f, g, "lse", at, b);
                trial_assert(&g->x, same, what);
            }
}

/* ---- Forms ---- */

#define COMMON "hq=4 hkv=2 d=24 dv=21 causal softcap=20 lse "

/* The order of sums is that of tiles of keys, and how they are multiplied. */
static const char pins[] = "keys=48 dot=0";

static void set_lengths(test_sizes *z, const problem *p)
{
    test_sizes_whole(z, p);
    z->b = sequences;
    z->sq = most_q;
    z->sk = most_k;
    memcpy(z->q_len, q_length, sizeof q_length);
    memcpy(z->k_len, k_length, sizeof k_length);
    test_sizes_settle(z, p);
    if (!p->page) return;
    z->blocks = (most_k + p->page - 1) / p->page;
    z->pages += 3;
}

static void open_form(form *f, fg_context *context, const char *config, const char *type,
                      const char *words)
{
    test_sizes z;
    trial_open(&f->x, context, config, "dtype=%s " COMMON "%s", type, words);
    set_lengths(&z, f->x.handle->problem);
    trial_resize(&f->x, &z);
    f->first = 0;
    put_contents(f, sequences);
}

static void compare_form(form *padded, fg_context *context, const char *type, const char *words)
{
    form other;
    open_form(&other, context, trial_config(&padded->x), type, words);
    trial_check(&other.x, words);
    compare(padded, &other, sequences, words);
    trial_close(&other.x);
}

/* Each alone, where all of its sizes are in the kernel's text. */
static void compare_alone(form *padded, fg_context *context, const char *type)
{
    for (int64_t b = 0; b < sequences; b++) {
        form alone = { .first = b };
        /* other sizes exclude the rest of a config; and without keys there is no tile */
        trial_open(&alone.x, context, k_length[b] ? pins : NULL,
                   "dtype=%s " COMMON "b=1 sq=%lld sk=%lld", type, (long long)q_length[b],
                   (long long)k_length[b]);
        put_contents(&alone, 1);
        trial_run(&alone.x);
        compare(padded, &alone, 1, "a problem of its own");
        trial_close(&alone.x);
    }
}

static void sequences_in_forms(fg_context *context, const char *type)
{
    static const char *const others[] = {
        "b=4 sq=300 sk=310 lens=packed",          "b=4 sq=300 sk=310 lens=padded layout=bhsd",
        "b=4 sq=300 sk=310 lens=padded page=16",  "b=4 sq=300 sk=310 lens=packed page=1",
        "b=4 sq=300 sk=310 lens=packed page=200", "b=* sq=* sk=* lens=padded",
        "b=* sq=* sk=* lens=packed page=64",
    };
    form padded;
    open_form(&padded, context, pins, type, "b=4 sq=300 sk=310 lens=padded");
    trial_check(&padded.x, "padded sequences");
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        compare_form(&padded, context, type, others[k]);
    compare_alone(&padded, context, type);
    trial_close(&padded.x);
}

START_TEST(sequences_give_the_same_bits_in_every_form)
{
    trial_on_all(sequences_in_forms, true);
}
END_TEST

/* ---- Dropout: positions count within sequences, so that forms agree on what is kept ---- */

static void dropout_in_forms(fg_context *context, const char *type)
{
    form padded;
    open_form(&padded, context, pins, type, "b=4 sq=300 sk=310 dropout=0.3 lens=padded");
    trial_check(&padded.x, "dropout of padded sequences");
    compare_form(&padded, context, type, "b=4 sq=300 sk=310 dropout=0.3 lens=packed");
    compare_form(&padded, context, type, "b=* sq=* sk=* dropout=0.3 lens=packed page=16");
    form by_tensor;
    open_form(&by_tensor, context, trial_config(&padded.x), type,
              "b=4 sq=300 sk=310 dropout=0.9 lens=padded");
    by_tensor.x.t.args.dropout = 0.3;
    test_seed_by_tensor(&by_tensor.x.t);
    trial_run(&by_tensor.x);
    compare(&padded, &by_tensor, sequences, "a seed in a tensor");
    trial_close(&by_tensor.x);
    trial_close(&padded.x);
}

START_TEST(forms_keep_the_same_weights)
{
    trial_on_all(dropout_in_forms, true);
}
END_TEST

/* ---- Pages ---- */

/* Moves what page a has to page b and back, and tells the table. */
static void swap_pages(trial *x, int64_t a, int64_t b)
{
    static const char *const names[] = { "k", "v" };
    for (int k = 0; k < 2; k++) {
        test_tensor *t = trial_tensor(x, names[k]);
        int64_t page = t->count / t->shape[0];
        for (int64_t n = 0; n < page; n++) {
            double kept = test_get(t, a * page + n);
            test_set(t, a * page + n, test_get(t, b * page + n));
            test_set(t, b * page + n, kept);
        }
    }
    test_tensor *table = trial_tensor(x, "block_table");
    for (int64_t n = 0; n < table->count; n++) {
        int64_t at = (int64_t)test_get(table, n);
        if (at == a || at == b) test_set(table, n, (double)(a + b - at));
    }
}

static void pages_in_any_order(fg_context *context, const char *type)
{
    form first, again;
    open_form(&first, context, pins, type, "b=4 sq=300 sk=310 lens=padded page=16");
    open_form(&again, context, pins, type, "b=4 sq=300 sk=310 lens=padded page=16");
    trial_run(&first.x);
    int64_t pages = again.x.t.sizes.pages;
    for (int64_t n = 0; n < pages; n++) swap_pages(&again.x, n, (n * 7 + 3) % pages);
    trial_run(&again.x);
    trial_assert(&again.x, trials_equal(&first.x, &again.x), "pages in another order");
    trial_close(&first.x);
    trial_close(&again.x);
}

START_TEST(pages_may_lie_in_any_order)
{
    trial_on_all(pages_in_any_order, true);
}
END_TEST

/* ---- A mask that was prepared ---- */

static void fill_documents(trial *x)
{
    test_tensor *t = trial_tensor(x, "docs");
    for (int64_t k = 0; k < t->count; k++)
        test_set(t, k, (double)(k % t->shape[1] / (40 + 13 * (k / t->shape[1]))));
}

static void documents(fg_context *context, const char *type)
{
    trial own, prepared;
    static const char line[] = "dtype=%s " COMMON "b=2 sq=300 sk=300 tensor=docs:i32[b,sk] "
                               "maskfn={docs[b][i] == docs[b][j]}";
    trial_open(&own, context, "keys=48", line, type);
    trial_open(&prepared, context, trial_config(&own), line, type);
    fill_documents(&own);
    fill_documents(&prepared);
    trial_check(&own, "documents");
    trial_assert(&prepared, trial_prepare(&prepared), "documents have tiles to prepare");
    for (uint64_t layer = 1; layer < 4; layer++) { /* of a model, say */
        trial_refill(&own, layer);
        trial_refill(&prepared, layer);
        fill_documents(&own);
        fill_documents(&prepared);
        trial_run(&own);
        trial_run(&prepared);
        trial_assert(&prepared, trials_equal(&own, &prepared), "a layer of what was prepared");
    }
    trial_close(&own);
    trial_close(&prepared);
}

START_TEST(layers_share_what_is_prepared)
{
    trial_on_all(documents, true);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { sequences_give_the_same_bits_in_every_form,
                             forms_keep_the_same_weights, pages_may_lie_in_any_order,
                             layers_share_what_is_prepared, NULL };
    return support_run("forms", tests);
}
