/* A probe kernel and its run, for a test to spoil: what the library takes, and what it refuses. */
#ifndef TESTS_PROBE_RUN_H
#define TESTS_PROBE_RUN_H

#include "tests/runtime_stub.h"

static fg_error error;
static fg_context *context;
static fg_problem *problem_of_test;
static fg_plan *plan;
static stub_run run;

/* A probe kernel that shows a run's numbers. Tensors come with `room` for each size that a run says. */
static inline void begin(const char *line, int64_t room)
{
    stub_is_probe(4);
    stub_add_slot(SLOT_int, "drop", 0);
    stub_add_slot(SLOT_int, "seed", 0);
    stub_add_slot(SLOT_int, "offset", 0);
    context = stub_context(NULL);
    problem_of_test = stub_problem(context, line);
    plan = stub_plan(context, problem_of_test);
    stub_run_new(&run, problem_of_test, room);
    run.args.rng = NULL;
}

static inline void end(void)
{
    stub_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(problem_of_test);
    fg_context_free(context);
}

static inline DLTensor *tensor(const char *name)
{
    fg_tensor_info info;
    for (int k = 0; fg_problem_tensor(problem_of_test, (size_t)k, &info) == FG_OK; k++)
        if (strcmp(info.name, name) == 0) return &run.tensor[k];
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

/* One dimension of a tensor, which stays compact. */
static inline void resize(const char *name, int dim, int64_t extent)
{
    DLTensor *t = tensor(name);
    t->shape[dim] = extent;
    t->strides = NULL;
}

/* The values of an int32 tensor of one dimension, and how many. */
#define SET(name, ...)                                                                             \
    set(name, (const int32_t[]){ __VA_ARGS__ }, sizeof(int32_t[]){ __VA_ARGS__ } / sizeof(int32_t))

static inline void set(const char *name, const int32_t *values, size_t count)
{
    resize(name, 0, (int64_t)count);
    memcpy(tensor(name)->data, values, count * sizeof *values);
}

static inline void runs(void)
{
    error.text[0] = 0;
    fg_status status = fg_run(plan, &run.args, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
}

static inline void refuses(const char *sentence)
{
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_REQUEST);
    ck_assert_int_eq(error.status, FG_REQUEST);
    ck_assert_str_eq(error.text, sentence);
}

static bound bounds[operand_max];

/* What the run's sizes are. */
static inline recipe_facts binds(void)
{
    recipe_facts facts = plan->kernel->facts;
    fg_status status = operands_bind(bounds, &facts, &plan->kernel->operands, &run.args, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    return facts;
}

static inline run_sequence sequence(const recipe_facts *facts, int64_t b)
{
    const run_lengths lengths = lengths_of(&plan->kernel->operands, bounds, facts);
    return sequence_at(&lengths, b);
}

#endif
