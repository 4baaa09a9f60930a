#include "tests/support_contents.h"

#include <math.h>

/* ---- One-hot keys and values: a wrong index shows as a whole number ---- */

static void fill_onehot(test_tensor *t, int64_t heads, double size, int64_t step)
{
    int64_t columns = t->shape[t->rank - 1], rows = t->count / columns;
    test_fill(t, 0);
    for (int64_t row = 0; row < rows; row++) {
        int64_t position = row / heads, at = position * step + row % heads;
        test_set(t, row * columns + at % columns, size + (double)(at / columns % 3));
    }
}

/* ---- Contents ---- */

/* Ascending ids, those of one document beside each other. */
static void fill_documents(test_tensor *t, rng *r)
{
    static const double lengths[] = { 2, 12, 60, 1000 };
    double ends = 1 / rng_pick(r, lengths);
    int64_t row = t->count ? t->shape[t->rank - 1] : 1, id = 0;
    for (int64_t k = 0; k < t->count; k++) {
        id = k % row == 0 ? 0 : id + rng_chance(r, ends);
        test_set(t, k, (double)(id > 255 && t->type == DTYPE_u8 ? 255 : id));
    }
}

static void fill_tiles(test_tensor *t, rng *r)
{
    static const double shares[] = { 0, 0.1, 0.5, 0.9, 1 };
    double share = rng_pick(r, shares);
    for (int64_t k = 0; k < t->count; k++)
        test_set(t, k, rng_chance(r, share) ? (double)rng_between(r, 1, 255) : 0);
}

/* Some weigh as much as all keys, some nothing. */
static void fill_sinks(test_tensor *t, rng *r)
{
    const double special[] = { -HUGE_VAL, 8, -30 };
    for (int64_t h = 0; h < t->count; h++)
        test_set(t, h, rng_chance(r, 0.3) ? rng_pick(r, special) : 2 * rng_normal(r));
}

static const struct {
    const char *name;
    void (*fill)(test_tensor *t, rng *r);
} contents[] = {
    { "docs", fill_documents }, { "docs_q", fill_documents }, { "docs_k", fill_documents },
    { "tiles", fill_tiles },    { "sinks", fill_sinks },
};

static void fill_all_onehot(test_tensors *t, const drawn_case *c)
{
    const struct {
        const char *name;
        double size;
        int64_t step;
    } rows[] = { { "q", 4, 1 }, { "k", 3, 1 }, { "v", 1, 3 } };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        fill_onehot(test_tensors_find(t, rows[k].name), c->hkv, rows[k].size, rows[k].step);
    test_poison(t);
}

static void fill(test_tensors *t, const drawn_case *c)
{
    rng r = rng_new(c->data, 0);
    test_fill_usual(t, &r);
    for (size_t k = 0; k < sizeof contents / sizeof *contents; k++) {
        test_tensor *one = test_tensors_find(t, contents[k].name);
        if (one) contents[k].fill(one, &r);
    }
    if (case_has(c, CASE_onehot)) fill_all_onehot(t, c);
}

/* The numbers of the run. */
static void give(test_tensors *t, const drawn_case *c)
{
    const drawn_values *v = &c->values;
    t->args.scale = v->scale;
    t->args.softcap = v->softcap;
    t->args.dropout = v->dropout;
    t->args.window_left = v->window_left;
    t->args.window_right = v->window_right;
    t->args.seed = v->seed;
    t->args.offset = v->offset;
    if (case_has(c, CASE_rng)) test_seed_by_tensor(t);
}

void case_tensors(test_tensors *t, fg_problem *handle, const drawn_case *c)
{
    rng layouts = rng_new(c->layouts, 0), lengths = rng_new(c->sizes, 0);
    test_sizes sizes;
    test_sizes_draw(&sizes, handle->problem, c->b, c->sq, c->sk, &lengths);
    if (handle->problem->shard) test_sizes_place(&sizes, handle->problem, &lengths);
    test_tensors_make(t, handle, &sizes, &layouts);
    give(t, c);
    fill(t, c);
}
