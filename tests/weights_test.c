/* Weights that are next to nothing, beside ones of 1 and below sinks, and values next to what is infinite. */
/* ctest: shards=2 labels=slow */
#include "tests/support_trial.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* One of schedule c, one of c_decode; b=1, 4 heads to 2. */
typedef struct shape {
    const char *line, *config;
    int64_t sq, sk, d, dv;
} shape;

static const shape shapes[] = {
    { "sq=37 sk=75 d=24 dv=21", "keys=24", 37, 75, 24, 21 },
    { "sq=2 sk=300 d=40 dv=24", "keys=16 splits=1", 2, 300, 40, 24 },
    { "sq=2 sk=300 d=40 dv=24", "keys=16 splits=4", 2, 300, 40, 24 },
};

static void put(trial *x, const char *name, int64_t h, int64_t s, int64_t c, double value)
{
    test_tensor *t = trial_tensor(x, name);
    test_set(t, test_index(t, 0, h, s, c), value);
}

static double get(trial *x, int64_t h, int64_t s, int64_t c)
{
    test_tensor *t = trial_tensor(x, "o");
    return test_get(t, test_index(t, 0, h, s, c));
}

/* ---- Weights next to nothing ---- */

/* Minus the logit of key j, where it is not the row's: e to that is a subnormal, or a normal number next to those. */
static double depth(const trial *x, int64_t j)
{
    bool wide = x->handle->problem->dtype == DTYPE_f64;
    return (double)(wide ? 709 + j % 35 : 88 + j % 14);
}

/* Whether key j is one of row i's, whose logit is 0: those in [first, end) that differ by a multiple of d - 1. */
typedef struct tops {
    int64_t first, end;
} tops;

static bool is_top(const shape *s, tops top, int64_t i, int64_t j)
{
    return j >= top.first && j < top.end && (j - i) % (s->d - 1) == 0;
}

/* Column 0 of K holds -depth, and another one what mends that for the rows whose key it is. */
static void fill_logits(trial *x, const shape *s, tops top)
{
    test_fill(trial_tensor(x, "q"), 0);
    test_fill(trial_tensor(x, "k"), 0);
    for (int64_t h = 0; h < 4; h++)
        for (int64_t i = 0; i < s->sq; i++) {
            put(x, "q", h, i, 0, 1);
            put(x, "q", h, i, 1 + i % (s->d - 1), 1);
        }
    for (int64_t h = 0; h < 2; h++)
        for (int64_t j = 0; j < s->sk; j++) {
            put(x, "k", h, j, 0, -depth(x, j));
            if (j >= top.first && j < top.end) put(x, "k", h, j, 1 + j % (s->d - 1), depth(x, j));
        }
}

/* The one key that has a value in column c. */
static int64_t key_of(const shape *s, int64_t c)
{
    return s->sk / s->dv * c + 1;
}

static void fill_values(trial *x, const shape *s)
{
    test_fill(trial_tensor(x, "v"), 0);
    for (int64_t h = 0; h < 2; h++)
        for (int64_t c = 0; c < s->dv; c++) put(x, "v", h, key_of(s, c), c, 1);
}

/* The smallest number of o, or, where bf16 products flush, of those. */
static double smallest(const trial *x)
{
    const problem *p = x->handle->problem;
    bool flushes = x->context->device.isa->flushes_bf16 && p->dtype == DTYPE_bf16;
    return flushes ? (double)FLT_MIN : dtype_tiny(p->dtype);
}

/* Columns from `from` on hold weights, by the logits alone. */
static void weigh(trial *x, const shape *s, tops top, bool sink, int64_t from)
{
    for (int64_t i = 0; i < s->sq; i++) {
        double sum = sink;
        for (int64_t j = 0; j < s->sk; j++) sum += is_top(s, top, i, j) ? 1 : exp(-depth(x, j));
        for (int64_t c = from; c < s->dv; c++) {
            int64_t j = key_of(s, c);
            double want = (is_top(s, top, i, j) ? 1 : exp(-depth(x, j))) / sum;
            double allowed = want / 128 + 2 * smallest(x);
            for (int64_t h = 0; h < 4; h++)
                trial_assert(x, fabs(get(x, h, i, c) - want) <= allowed, "small weights");
        }
    }
}

/* A row's first key of logit 0 is in an early tile, or split, or in a late one, or there is none but the sink. */
static void small_weights(trial *x, const shape *s, bool sink)
{
    const tops all[] = { { 0, s->sk }, { 0, s->sk / 2 }, { s->sk / 2, s->sk }, { 0, 0 } };
    for (int k = 0; k < 3 + sink; k++) {
        fill_logits(x, s, all[k]);
        fill_values(x, s);
        trial_check(x, "small weights");
        weigh(x, s, all[k], sink, 0);
    }
}

/* ---- Values next to what is infinite ---- */

static double huge(const trial *x)
{
    dtype type = x->handle->problem->dtype;
    return type == DTYPE_f16 ? 0x1p8 : type == DTYPE_f64 ? 0x1p1010 : 0x1p114;
}

/* What is a power of two as large gives what is as large, but for the smallest numbers. */
static void huge_values(trial *x)
{
    double before[4 * 37 * 21];
    test_tensor *v = trial_tensor(x, "v"), *o = trial_tensor(x, "o");
    ck_assert_int_le(o->count, 4 * 37 * 21);
    trial_refill(x, 2);
    trial_check(x, "usual values");
    for (int64_t k = 0; k < o->count; k++) before[k] = test_get(o, k);
    for (double size = sqrt(huge(x)); size <= huge(x); size *= size) {
        trial_refill(x, 2);
        for (int64_t k = 0; k < v->count; k++) test_set(v, k, size * test_get(v, k));
        trial_run(x);
        for (int64_t k = 0; k < o->count; k++)
            trial_assert(x, fabs(test_get(o, k) / size - before[k]) <= smallest(x), "huge values");
    }
}

/* Huge values of some keys in column 0, and weights in the others. */
static void both(trial *x, const shape *s, bool sink)
{
    const tops all = { 0, s->sk };
    for (int64_t last = 0; last < s->sk; last += s->sk - 1) {
        fill_logits(x, s, all);
        fill_values(x, s);
        for (int64_t h = 0; h < 2; h++)
            for (int64_t j = 0; j <= last; j++) put(x, "v", h, j, 0, huge(x));
        trial_run(x);
        weigh(x, s, all, sink, 1);
        for (int64_t i = 0; i < s->sq && last > 0 && !sink; i++)
            trial_assert(x, fabs(get(x, 0, i, 0) / huge(x) - 1) < 0x1p-7, "a huge column");
    }
}

/* ---- On all ---- */

static void on_shapes(fg_context *context, const char *type)
{
    static const char *const variants[] = { "", "bias=11QK:f32 sinks" }; /* in base 2, and not */
    for (int k = 0; k < 6; k++) {
        const shape *s = &shapes[k / 2];
        const bool sink = k % 2;
        trial x;
        if (strcmp(type, "f64") == 0 && s != shapes) continue; /* c_decode takes none */
        trial_open(&x, context, s->config, "dtype=%s b=1 hq=4 hkv=2 %s scale=1 lse %s", type,
                   s->line, variants[sink]);
        huge_values(&x);
        if (sink) test_fill(trial_tensor(&x, "bias"), 0), test_fill(trial_tensor(&x, "sinks"), 0);
        small_weights(&x, s, sink);
        both(&x, s, sink);
        trial_close(&x);
    }
}

START_TEST(small_weights_and_huge_values_count)
{
    trial_on_all(on_shapes, false);
}
END_TEST

START_TEST(those_of_doubles_too)
{
    int shard, shards;
    support_shard(&shard, &shards);
    for (int isa = shard; isa < isa_count; isa += shards) {
        fg_context *context = test_context(isa, 2);
        if (context) on_shapes(context, "f64");
        fg_context_free(context);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { small_weights_and_huge_values_count, those_of_doubles_too,
                                   NULL };
    return support_run("weights", tests);
}
