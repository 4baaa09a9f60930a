/* What the yardstick programs share: a problem with inputs, on the public header alone. */
#ifndef BENCH_H
#define BENCH_H

#include <flashgen.h>

enum { bench_most_tensors = 16 };

/* A problem, ready to run. */
typedef struct subject {
    fg_context *context;
    DLDevice device; /* its memory's */
    fg_problem *problem;
    fg_plan *plan;
    fg_plan_info info; /* of its first planning */
    fg_args args;
    double input_seconds; /* that allocating and filling the inputs took */
    int64_t flops;        /* of a run: 2 (d + dv) for each visible pair */
    DLTensor tensor[bench_most_tensors];
    int64_t shape[bench_most_tensors][4];
    const DLTensor *named[bench_most_tensors];
} subject;

/* Says what went wrong and ends the program. */
void bench_need(fg_status status, const fg_error *error);

double bench_seconds(void); /* on a clock that only runs forward */

/* GHz of one core, on its own and beside multiply-adds of the widest vectors at some 7/8 of their rate. */
double bench_clock(void);
double bench_loaded_clock(void);

/* `store`: as in fg_context_options; NULL: nothing is kept. `device`: as there. */
fg_context *bench_context(const char *store);
fg_context *bench_context_on(const char *device, const char *store);

/* Fills inputs with values in [-1, 1), where the context runs. `config`: pinned axes, or NULL. Without `count_pairs`,
 * which is for the processors alone, flops stays 0. */
void subject_open(subject *s, fg_context *context, const char *line, const char *config,
                  int count_pairs);
void subject_run(const subject *s);
void subject_close(subject *s);

#endif
