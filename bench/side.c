/* Times several things side by side: in turn, round after round, so that what else the machine does
 * falls on all of them alike.
 *
 * usage: bench_side ROUNDS THING..., a THING being a problem, `peak` (the library's measured
 * multiply-add rate), `clock` (of one core) or `loaded` (the same beside multiply-adds). Prints a line
 * each: best, median and unit (ms a run, GFLOP/s or GHz), GFLOP/s of the best, THING. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { most_rounds = 1000 };

typedef struct thing {
    const char *name;
    double (*measure)(struct thing *thing, fg_context *context);
    const char *unit;
    int more_is_better;
    subject subject;
    double found[most_rounds];
} thing;

/* ---- What is measured, once a round ---- */

/* The best run of some: long ones once, short ones for as long as it takes a neighbour to leave. */
static double problem_ms(thing *t, fg_context *context)
{
    const double enough = 0.05;
    double start = bench_seconds(), before = start, best = INFINITY;
    (void)context;
    do {
        subject_run(&t->subject);
        double now = bench_seconds();
        best = fmin(best, now - before);
        before = now;
    } while (before - start < enough);
    return 1e3 * best;
}

static double peak_gflops(thing *t, fg_context *context)
{
    double gflops;
    fg_error error;
    (void)t;
    bench_need(fg_context_peak(context, &gflops, &error), &error);
    return gflops;
}

static double clock_gigahertz(thing *t, fg_context *context)
{
    (void)t, (void)context;
    return bench_clock();
}

static double loaded_gigahertz(thing *t, fg_context *context)
{
    (void)t, (void)context;
    return bench_loaded_clock();
}

/* ---- The rounds ---- */

static void open_thing(thing *t, fg_context *context, const char *name)
{
    const thing kinds[] = {
        { .name = "peak", .measure = peak_gflops, .unit = "GFLOP/s", .more_is_better = 1 },
        { .name = "clock", .measure = clock_gigahertz, .unit = "GHz", .more_is_better = 1 },
        { .name = "loaded", .measure = loaded_gigahertz, .unit = "GHz", .more_is_better = 1 },
    };
    *t = (thing){ .name = name, .measure = problem_ms, .unit = "ms" };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (strcmp(name, kinds[k].name) == 0) *t = kinds[k];
    if (t->measure == problem_ms) subject_open(&t->subject, context, name, NULL, 1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(thing *t, int rounds)
{
    qsort(t->found, (size_t)rounds, sizeof *t->found, by_value);
    double best = t->found[t->more_is_better ? rounds - 1 : 0], median = t->found[rounds / 2];
    double gflops = (double)t->subject.flops / best / 1e6;
    printf("%.4f %.4f %s %.2f %s\n", best, median, t->unit, gflops, t->name);
}

int main(int argc, char **argv)
{
    int rounds = argc > 2 ? atoi(argv[1]) : 0, count = argc - 2;
    if (rounds < 1 || rounds > most_rounds) {
        fprintf(stderr, "usage: bench_side ROUNDS THING... (rounds up to %d)\n", most_rounds);
        return 2;
    }
    fg_context *context = bench_context(NULL);
    thing *things = calloc((size_t)count, sizeof *things);
    if (!things) return 3;
    for (int k = 0; k < count; k++) open_thing(&things[k], context, argv[k + 2]);
    for (int round = 0; round < rounds; round++)
        for (int k = 0; k < count; k++)
            things[k].found[round] = things[k].measure(&things[k], context);
    for (int k = 0; k < count; k++) print(&things[k], rounds);
    for (int k = 0; k < count; k++) subject_close(&things[k].subject);
    free(things);
    fg_context_free(context);
    return 0;
}
