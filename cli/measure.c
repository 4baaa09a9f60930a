#include "measure.h"

#include <stdlib.h>
#include <time.h>

double measure_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

fg_dims measure_dims(const lengths *sizes)
{
    fg_dims dims = FG_DIMS_INIT;
    dims.b = sizes->of[LINE_b];
    dims.sq = sizes->of[LINE_sq];
    dims.sk = sizes->of[LINE_sk];
    dims.total_q = sizes->of[LINE_total_q];
    dims.total_k = sizes->of[LINE_total_k];
    return dims;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { most_runs = 4096 };

static bool enough(const measure_limits *limits, int runs, double elapsed)
{
    if (runs == most_runs || elapsed >= limits->most_seconds) return true;
    return runs >= limits->least_runs && elapsed >= limits->seconds;
}

/* Processors take one run at a time; a GPU takes some turns through all sets, whose launches queue. */
static fg_status time_some(measurement *out, double *taken, const fg_plan *plan,
                           const fg_args *const *args, int sets, fg_error *error)
{
    enum { turns = 8 };
    const bool gpu = args[0]->q->device.device_type != 1;
    const int left = most_runs - out->runs, all = turns * sets;
    const int some = !gpu ? 1 : all < left ? all : left;
    fg_status s = fg_plan_time(plan, gpu ? args : args + out->runs % sets, gpu ? sets : 1,
                               taken + out->runs, some, error);
    if (s == FG_OK) out->runs += some;
    return s;
}

fg_status measure_runs(measurement *out, const fg_plan *plan, const fg_args *const *args, int sets,
                       const measure_limits *limits, fg_error *error)
{
    double taken[most_runs], start = measure_now();
    *out = (measurement){ 0 };
    do {
        fg_status s = time_some(out, taken, plan, args, sets, error);
        if (s != FG_OK) return s;
    } while (!enough(limits, out->runs, measure_now() - start));
    qsort(taken, (size_t)out->runs, sizeof *taken, by_value);
    out->median = (taken[(out->runs - 1) / 2] + taken[out->runs / 2]) / 2;
    return FG_OK;
}

double measure_gflops(const tensors *t, int64_t pairs, double seconds)
{
    double flops = 2 * (double)(t->sizes.of[LINE_d] + t->sizes.of[LINE_dv]) * (double)pairs;
    return seconds > 0 ? flops / seconds / 1e9 : 0;
}

/* Of all sequences. */
static double keys_of(tensors *t)
{
    const tensor *lens = tensors_find(t, "k_lens");
    double keys = 0;
    if (t->sizes.of[LINE_total_k] >= 0) return (double)t->sizes.of[LINE_total_k];
    if (!lens) return (double)t->sizes.of[LINE_b] * (double)t->sizes.of[LINE_sk];
    for (int64_t n = 0; n < lens->count; n++) keys += tensor_at(lens, n);
    return keys;
}

double measure_kv_gbs(tensors *t, double seconds)
{
    const int64_t *of = t->sizes.of, bits = tensors_find(t, "k")->type->bits; /* v's too */
    double bytes = keys_of(t) * (double)(of[LINE_hkv] * (of[LINE_d] + of[LINE_dv]) * bits / 8);
    return seconds > 0 ? bytes / seconds / 1e9 : 0;
}
