/* flashgen run: its choices and what it found, shared by the run and its report. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "measure.h"
#include "plan.h"

typedef struct run_choices {
    const char *q, *k, *v, *bias, *mask, *slopes, *sinks;
    const char *q_lens, *k_lens, *cu_q, *cu_k, *block_table;
    words tensor;
    int64_t draw;
    input_choices inputs;
    const char *out, *lse, *expect;
    plan_choices plan;
    optional check;
    bool json;
    context_choices context;
} run_choices;

typedef struct run_result {
    const char *problem; /* canonical */
    fg_plan_info plan;
    double first_seconds;
    measurement timing;
    double gflops;
    bool checked, right, expected; /* right: as checked */
    fg_check_report report;
    double expect_rms, expect_bound;
} run_result;

/* One JSON object (tests/data/run.schema.json), or some lines for people. */
fg_status run_report(const run_result *r, const run_choices *choices, fg_error *error);

/* Writes o and lse where the choices ask for it: both, or neither. */
fg_status run_write(const run_choices *choices, tensors *t, fg_error *error);

/* Relative RMS of o against a file, and what it is held to. */
fg_status run_expect(run_result *r, const run_choices *choices, tensors *t, fg_error *error);

#endif
