/* Nanoseconds to find a plan in memory: fg_plan_new and fg_plan_free of a problem planned before.
 *
 * usage: bench_lookup 'PROBLEM'. Prints the median of 100,000. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { lookups = 100000 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double seconds[lookups];
    fg_error error;
    fg_plan *first, *found;
    fg_problem *problem;
    fg_plan_info info;
    if (argc != 2) {
        fprintf(stderr, "usage: bench_lookup 'PROBLEM'\n");
        return 2;
    }
    fg_context *context = bench_context(NULL);
    bench_need(fg_problem_parse(&problem, context, argv[1], &error), &error);
    bench_need(fg_plan_new(&first, context, problem, NULL, &error), &error);
    for (int k = 0; k < lookups; k++) {
        double start = bench_seconds();
        bench_need(fg_plan_new(&found, context, problem, NULL, &error), &error);
        seconds[k] = bench_seconds() - start;
        fg_plan_config(found, &info);
        fg_plan_free(found);
        if (info.source == FG_FROM_MEMORY) continue;
        fprintf(stderr, "bench_lookup: the plan was not found in memory\n");
        return 4;
    }
    qsort(seconds, lookups, sizeof *seconds, by_value);
    printf("%.1f\n", 1e9 * seconds[lookups / 2]);
    fg_plan_free(first);
    fg_problem_free(problem);
    fg_context_free(context);
    return 0;
}
