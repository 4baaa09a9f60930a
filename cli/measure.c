#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

double measure_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

fg_status measure_workspace(void **out, const fg_plan *plan, fg_args *args, fg_error *error)
{
    const size_t line = 64;
    size_t bytes = 0;
    *out = NULL;
    fg_status s = fg_plan_workspace(plan, &bytes, error);
    if (s != FG_OK || bytes == 0) return s;
    *out = aligned_alloc(line, (bytes + line - 1) / line * line);
    if (!*out) return fault_memory(error);
    args->workspace = *out;
    args->workspace_bytes = bytes;
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

static int64_t columns(const tensors *t, const char *name)
{
    for (int k = 0; k < t->count; k++)
        if (strcmp(t->item[k].name, name) == 0) return t->item[k].shape[3];
    return 0;
}

double measure_gflops(const tensors *t, int64_t pairs, double seconds)
{
    double flops = 2 * (double)(columns(t, "q") + columns(t, "v")) * (double)pairs;
    return seconds > 0 ? flops / seconds / 1e9 : 0;
}
