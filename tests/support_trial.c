#include "tests/support_trial.h"

#include "tests/support.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const isa_names[isa_count] = { "portable", "avx2", "avx512", "avx512bf16" };
const int isa_lanes[isa_count] = { 4, 8, 16, 16 };

fg_context *test_context(int isa, int threads)
{
    fg_context *context;
    fg_error error;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.threads = threads;
    o.isa = isa_names[isa];
    o.compiler = FLASHGEN_KERNEL_COMPILER;
    o.compiler_flags = FLASHGEN_KERNEL_FLAGS;
    if (*o.compiler_flags)
        o.compiler_seconds = 300; /* an instrumented kernel of a large depth takes a minute */
    ck_assert_msg(fg_context_new(&context, &o, &error) == FG_OK, "%s", error.text);
    if (strcmp(context->device.isa->name, isa_names[isa]) == 0) return context;
    fg_context_free(context);
    return NULL;
}

void trial_on_all(void (*body)(fg_context *context, const char *type), bool in_turns)
{
    static const char *const types[] = { "f32", "bf16", "f16" };
    int shard, shards, turn = 0;
    support_shard(&shard, &shards);
    for (int isa = 0; isa < isa_count; isa++) {
        fg_context *context = test_context(isa, 2);
        for (int type = 0; type < 3 && context; type++) {
            if (in_turns && type != (isa + 1) % 3) continue; /* avx512bf16 gets bf16 */
            if (turn++ % shards == shard) body(context, types[type]);
        }
        fg_context_free(context);
    }
}

const char *trial_config(const trial *x)
{
    fg_plan_info info = { .config = "" };
    if (x->plan) fg_plan_config(x->plan, &info);
    return info.config;
}

void trial_open(trial *x, fg_context *context, const char *config, const char *format, ...)
{
    char line[4096];
    fg_error error;
    fg_plan_options how = FG_PLAN_OPTIONS_INIT;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    how.config = config;
    *x = (trial){ .context = context, .isa = context->device.isa->name };
    fg_status s = fg_problem_parse(&x->handle, context, line, &error);
    ck_assert_msg(s == FG_OK, "%s\n%s", error.text, line);
    s = fg_plan_new(&x->plan, context, x->handle, &how, &error);
    ck_assert_msg(s == FG_OK, "%s\n%s\nisa=%s", error.text, line, x->isa);
    test_tensors_make(&x->t, x->handle, NULL, NULL);
    trial_refill(x, 1);
}

void trial_close(trial *x)
{
    test_tensors_free(&x->t);
    fg_plan_free(x->plan);
    fg_problem_free(x->handle);
    *x = (trial){ 0 };
}

void trial_resize(trial *x, const test_sizes *sizes)
{
    test_tensors_free(&x->t);
    test_tensors_make(&x->t, x->handle, sizes, NULL);
    trial_refill(x, 1);
}

bool trial_prepare(trial *x)
{
    fg_error error = { 0 };
    trial_assert(x, test_prepare(&x->t, x->plan, &error) == FG_OK, error.text);
    return x->t.prepared.bytes > 0;
}

test_tensor *trial_tensor(trial *x, const char *name)
{
    test_tensor *t = test_tensors_find(&x->t, name);
    ck_assert_msg(t != NULL, "%s has no %s", fg_problem_format(x->handle), name);
    return t;
}

void trial_refill(trial *x, uint64_t seed)
{
    rng r = rng_new(seed, 0);
    test_fill_usual(&x->t, &r);
}

void trial_run(trial *x)
{
    fg_error error = { 0 };
    trial_assert(x, test_run(&x->t, x->plan, &error) == FG_OK, error.text);
    const char *spilled = test_spilled(&x->t);
    trial_assert(x, !spilled, "bytes beside an output were written");
}

void trial_check(trial *x, const char *what)
{
    fg_error error = { 0 };
    fg_check_report report;
    fg_check_options how = FG_CHECK_OPTIONS_INIT;
    how.full = 1;
    trial_run(x);
    fg_status s = test_check(&x->t, x->context, &how, &report, &error);
    ck_assert_msg(s == FG_OK, "%s: %s\n%s\nisa=%s config='%s'", what, error.text,
                  fg_problem_format(x->handle), x->isa, trial_config(x));
}

static bool tensors_equal(const test_tensor *a, const test_tensor *b)
{
    if (!a || !b) return a == b;
    if (a->count != b->count || a->type != b->type) return false;
    for (int64_t k = 0; k < a->count; k++)
        if (memcmp(test_element(a, k), test_element(b, k), dtypes[a->type].bits / 8u) != 0)
            return false;
    return true;
}

bool trials_equal(trial *x, trial *y)
{
    return tensors_equal(trial_tensor(x, "o"), trial_tensor(y, "o")) &&
           tensors_equal(test_tensors_find(&x->t, "lse"), test_tensors_find(&y->t, "lse"));
}
