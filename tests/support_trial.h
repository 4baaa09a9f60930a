/* A problem, its kernel and its tensors, on one instruction set. */
#ifndef TESTS_SUPPORT_TRIAL_H
#define TESTS_SUPPORT_TRIAL_H

#include "tests/support_tensor.h"

enum { isa_count = 4 };

extern const char *const isa_names[isa_count];
extern const int isa_lanes[isa_count];

/* A context whose kernels carry the sanitizer of this program; NULL where the processor lacks the
 * instruction set. */
fg_context *test_context(int isa, int threads);

/* Runs body(context, dtype) on this processor's instruction sets, for each of f32, bf16 and f16, or in
 * turns, one for each instruction set. The processes of this program share them. */
void trial_on_all(void (*body)(fg_context *context, const char *type), bool in_turns);

typedef struct trial {
    fg_context *context;
    fg_problem *handle;
    fg_plan *plan;
    test_tensors t;
    const char *isa;
} trial;

/* The kernel with these axes pinned, and compact tensors with their usual contents. `config` may be NULL.
 * The test fails where there is none. */
void trial_open(trial *x, fg_context *context, const char *config, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void trial_close(trial *x);
/* Tensors of other sizes, of which the problem must leave open what differs, with usual contents. */
void trial_resize(trial *x, const test_sizes *sizes);
test_tensor *trial_tensor(trial *x, const char *name);
/* Usual contents again, of this seed. */
void trial_refill(trial *x, uint64_t seed);
void trial_run(trial *x);
/* Later runs get what is prepared now; whether there was something to prepare. */
bool trial_prepare(trial *x);
/* Runs, and holds the outputs to the reference; `what` is for the message. */
void trial_check(trial *x, const char *what);
/* Fails with the problem, the config and the instruction set. */
#define trial_assert(x, condition, what)                                                           \
    ck_assert_msg(condition, "%s: %s\n%s\nisa=%s config='%s'", what, #condition,                   \
                  fg_problem_format((x)->handle), (x)->isa, trial_config(x))
const char *trial_config(const trial *x);

/* Whether o (and lse) hold the same bits. */
bool trials_equal(trial *x, trial *y);

#endif
