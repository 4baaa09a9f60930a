/* How near a search on a budget comes to one of everything.
 *
 * usage: bench_tuned SECONDS REPEATS 'PROBLEM' [NAME [DEVICE]]
 * Searches the whole space once, then REPEATS times within SECONDS; runs all winners and the estimate in
 * turn; prints a row of a table: the space, the time for all of it and how many configs were compiled a second,
 * its best; and what each search's winner, and the estimate,
 * take of its time (medians). */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { most_repeats = 8, rounds = 41 };

typedef struct contender {
    fg_tune_report report; /* of the estimate: of nothing */
    subject subject;
    double seconds[rounds];
} contender;

static void search(contender *c, fg_context *context, const fg_problem *problem, fg_rigor rigor,
                   double seconds)
{
    fg_error error;
    fg_tune_options how = FG_TUNE_OPTIONS_INIT;
    how.rigor = rigor;
    how.seconds = seconds;
    how.again = 1;
    bench_need(fg_tune(&c->report, context, problem, &how, &error), &error);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* On a GPU the middle one of a few, by its own clock. */
static double time_one(const subject *s)
{
    enum { runs = 5 };
    double seconds[runs], start = bench_seconds();
    fg_error error;
    const fg_args *args = &s->args;
    if (s->device.device_type == 1) {
        subject_run(s);
        return bench_seconds() - start;
    }
    bench_need(fg_plan_time(s->plan, &args, 1, seconds, runs, &error), &error);
    qsort(seconds, runs, sizeof *seconds, by_value);
    return seconds[runs / 2];
}

/* In turn, each round starting with the next one. */
static void time_all(contender *all, int count)
{
    for (int c = 0; c < count; c++) subject_run(&all[c].subject);
    for (int round = 0; round < rounds; round++)
        for (int k = 0; k < count; k++) {
            contender *c = &all[(k + round) % count];
            c->seconds[round] = time_one(&c->subject);
        }
    for (int c = 0; c < count; c++) qsort(all[c].seconds, rounds, sizeof(double), by_value);
}

static void print(const contender *all, int repeats, const char *name)
{
    const contender *best = &all[0], *estimate = &all[repeats + 1];
    double least = best->seconds[rounds / 2];
    printf("%-24s | %5lld | %6.0f s, %4.1f a s | %9.3f ms |", name, (long long)best->report.legal,
           best->report.elapsed, (double)best->report.compiled / best->report.compile_seconds,
           1e3 * least);
    for (int k = 1; k <= repeats; k++)
        printf(" %.3f (%lld, %.0f s) |", all[k].seconds[rounds / 2] / least,
               (long long)all[k].report.measured, all[k].report.elapsed);
    printf(" %.3f\n", estimate->seconds[rounds / 2] / least);
    for (int k = 0; k <= repeats; k++) printf("#   %s\n", all[k].report.config);
    printf("#   %s\n", estimate->subject.info.config);
}

int main(int argc, char **argv)
{
    static contender all[most_repeats + 2];
    fg_error error;
    fg_problem *problem;
    double seconds = argc > 3 ? strtod(argv[1], NULL) : 0;
    int repeats = argc > 3 ? atoi(argv[2]) : 0;
    if (!(seconds > 0) || repeats < 1 || repeats > most_repeats) {
        fprintf(stderr, "usage: bench_tuned SECONDS REPEATS 'PROBLEM' [NAME [DEVICE]]\n");
        return 2;
    }
    const char *device = argc > 5 ? argv[5] : NULL;
    fg_context *context = bench_context_on(device, NULL), *fresh = bench_context_on(device, NULL);
    bench_need(fg_problem_parse(&problem, context, argv[3], &error), &error);
    search(&all[0], context, problem, FG_EXHAUSTIVE, seconds);
    for (int k = 1; k <= repeats; k++) search(&all[k], context, problem, FG_MEASURE, seconds);
    for (int k = 0; k < repeats + 2; k++)
        subject_open(&all[k].subject, fresh, argv[3], k <= repeats ? all[k].report.config : NULL,
                     0);
    time_all(all, repeats + 2);
    print(all, repeats, argc > 4 ? argv[4] : argv[3]);
    for (int k = 0; k < repeats + 2; k++) subject_close(&all[k].subject);
    fg_problem_free(problem);
    fg_context_free(context);
    fg_context_free(fresh);
    return 0;
}
