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

fg_status measure_workspace(void **out, const fg_plan *plan, tensors *t, fg_error *error)
{
    const fg_dims dims = measure_dims(&t->sizes);
    const size_t line = 64;
    size_t bytes = 0;
    *out = NULL;
    fg_status s = fg_plan_workspace(plan, &dims, &bytes, error);
    if (s != FG_OK || bytes == 0) return s;
    *out = aligned_alloc(line, (bytes + line - 1) / line * line);
    if (!*out) return fault_memory(error);
    t->args.workspace = *out;
    t->args.workspace_bytes = bytes;
    return FG_OK;
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

fg_status measure_runs(measurement *out, const fg_plan *plan, const fg_args *const *args, int sets,
                       const measure_limits *limits, fg_error *error)
{
    double taken[most_runs], start = measure_now(), before = start, now = start;
    *out = (measurement){ 0 };
    do {
        fg_status s = fg_run(plan, args[out->runs % sets], error);
        if (s != FG_OK) return s;
        now = measure_now();
        taken[out->runs++] = now - before;
        before = now;
    } while (!enough(limits, out->runs, now - start));
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
