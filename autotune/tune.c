/* fg_tune: what is stored, else a search whose winner is stored. */
#include "autotune/race.h"
#include "autotune/tuning.h"
#include "runtime/device_cuda.h"
#include "runtime/identity.h"
#include "runtime/library.h"
#include "runtime/plan.h"
#include "runtime/tuner.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- What comes in ---- */

static fg_status budget_check(const fg_tune_options *o, const memory *m, fg_error *error)
{
    text number;
    if (o->rigor == FG_EXHAUSTIVE || (o->seconds > 0 && isfinite(o->seconds))) return FG_OK;
    text_init(&number, m);
    text_add_double(&number, o->seconds);
    fail(error, FG_REQUEST, "the budget is %s seconds: a search takes more than 0, and an end",
         number.failed ? "of no" : number.data);
    text_free(&number);
    return FG_REQUEST;
}

static fg_status options_check(const fg_tune_options *o, const fg_context *context, fg_error *error)
{
    if (o->rigor != FG_MEASURE && o->rigor != FG_EXHAUSTIVE)
        return fail(error, FG_REQUEST, "a search has rigor FG_MEASURE or FG_EXHAUSTIVE, not %d",
                    (int)o->rigor);
    return budget_check(o, &context->memory, error);
}

/* ---- What was found before ---- */

static void report_choice(fg_tune_report *out, const choice *c)
{
    *out = (fg_tune_report){ .found = 1 };
    strcpy(out->schedule, c->schedule);
    strcpy(out->config, c->config);
#define COPY(name) out->name = c->name
    COPY(seconds);
    COPY(spread);
    COPY(estimate_seconds);
    COPY(elapsed);
    COPY(compile_seconds);
    COPY(legal);
    COPY(compiled);
    COPY(measured);
    COPY(rejected);
#undef COPY
    out->decided = c->decided != 0;
}

/* The winner that serves what is asked for. */
static bool find_winner(choice *out, const tuning *t)
{
    if (!choice_get(out, t->context, STORE_winner, &t->winner)) return false;
    return out->exhaustive || t->options->rigor == FG_MEASURE;
}

/* ---- What is found now ---- */

static void store_choice(tuning *t, const choice *c)
{
    static const store_kind kinds[] = { STORE_winner, STORE_stored };
    /* What an edited template made serves nobody else. */
    const int count = t->context->templates ? 1 : 2;
    for (int k = 0; k < count; k++) {
        store_key key;
        if (choice_key(&key, kinds[k], t->context, t->problem, t->pins, NULL) != FG_OK) continue;
        if (choice_key_add(&key, "sizes", t->sizes_text, NULL) != FG_OK) continue;
        choice_put(t->context, kinds[k], &key, c);
        key_free(&key);
    }
}

/* Nothing that the store refuses is a failure here. */
static void store_winner(tuning *t, choice *c, const image *i)
{
    store_key key;
    fg_context *context = t->context;
    digest now;
    if (!context->store || identity_of_compiler(&c->compiler, context, NULL) != FG_OK) return;
    /* A template was edited, or the compiler replaced, meanwhile: this is the winner of another time. */
    if (!t->stamped || !choice_stamp(&now, context) || !digest_equal(&now, &t->stamp)) return;
    if (choice_kernel_key(&key, context, t->problem, c->schedule, c->config, NULL) != FG_OK) return;
    c->kernel = key_digest(&key);
    plan_store_kernel(context, &key, i);
    key_free(&key);
    store_choice(t, c);
}

static fg_status publish(tuning *t, choice *c, const image *i, fg_error *error)
{
    const made *m = i->made;
    if (strlen(m->schedule) >= sizeof c->schedule || strlen(m->config) >= sizeof c->config)
        return fail(error, FG_INTERNAL, "the winner's config is too long to be kept");
    strcpy(c->schedule, m->schedule);
    strcpy(c->config, m->config);
    store_winner(t, c, i);
    return plan_adopt(t->context, t->problem, &t->sizes, t->pins, i, c->exhaustive != 0, error);
}

/* ---- Another compiler ---- */

static fg_status time_again(tuning *t, choice *c, const image *i, fg_error *error)
{
    double sample[race_max_runs], seconds;
    int id = 0, culprit;
    fg_status status = measurer_try(t->measurer, &seconds, id, i, error);
    if (status != FG_OK) return status;
    int runs = (int)fmin(fmax(0.2 / fmax(seconds, 1e-9), 1), 32);
    status = measurer_time(t->measurer, sample, &id, 1, runs, &culprit, error);
    if (status != FG_OK) return status;
    estimate median = race_estimate(sample, runs);
    c->seconds = median.median;
    c->spread = isfinite(median.error) ? median.error : 0;
    return FG_OK;
}

/* The same config by this compiler: it must be right, and is timed; nothing else is searched. */
static fg_status recheck(tuning *t, choice *c, fg_error *error)
{
    image i;
    fg_status status =
        tuning_tell(t, FG_EVENT_NOTE,
                    "the compiler changed: the winner is compiled and checked again", 0, error);
    if (status != FG_OK) return status;
    status = image_make(&i, t->context, t->problem, c->config, &t->sizes, error);
    if (status == FG_OK) status = tuning_measure(t, error);
    if (status == FG_OK) status = time_again(t, c, &i, error);
    if (status == FG_OK) status = publish(t, c, &i, error);
    image_free(&i);
    measurer_free(t->measurer);
    t->measurer = NULL;
    return status;
}

/* What this process chose before it knew of the winner must not stand. */
static void forget_others(const tuning *t, const choice *c)
{
    const kernels_winner winner = { .sizes = &t->sizes,
                                    .pins = t->pins,
                                    .schedule = c->schedule,
                                    .config = c->config,
                                    .exhaustive = c->exhaustive != 0 };
    kernels_forget_others(t->context, t->problem, &winner);
}

/* FG_NOT_STORED: there is nothing that serves. */
static fg_status look_up(tuning *t, fg_tune_report *report, fg_error *error)
{
    choice c;
    fg_status status = FG_OK;
    if (t->options->again || !find_winner(&c, t)) return FG_NOT_STORED;
    if (!choice_by_this_compiler(&c, t->context)) {
        if (t->rechecked) return FG_NOT_STORED;
        t->rechecked = true;
        status = recheck(t, &c, error);
    }
    if (status == FG_OK) {
        report_choice(report, &c);
        forget_others(t, &c);
    }
    return status == FG_OK || status == FG_CANCELLED || status == FG_MEMORY ? status
                                                                            : FG_NOT_STORED;
}

/* ---- Searching ---- */

static fg_status open_space(tuning *t, fg_error *error)
{
    fg_context *context = t->context;
    maker_device device = context_maker_device(context);
    const maker_request request = { .memory = &context->memory,
                                    .problem = t->problem,
                                    .device = &device,
                                    .config = t->options->config,
                                    .templates = context->templates,
                                    .sizes = t->sizes };
    if (!context->maker || !context->maker->space)
        return fail(error, FG_UNSUPPORTED, "this library was built without a generator");
    if (!context->compiler) return fail(error, FG_COMPILER, "%s", context->compiler_missing);
    fg_status status = context->maker->space(&t->space, &request, error);
    if (status != FG_OK) return status;
    t->image = memory_new(&context->memory, (size_t)t->space->count, sizeof *t->image);
    return t->image ? FG_OK : fail_memory(error);
}

static fg_status tell_space(tuning *t, fg_error *error)
{
    const maker_space *s = t->space;
    fg_status status = tuning_tell(t, FG_EVENT_SPACE, s->schedule, s->total, error);
    for (int k = 0; k < s->removals && status == FG_OK; k++)
        status = tuning_tell(t, FG_EVENT_CONSTRAINT, s->removal[k].constraint, s->removal[k].points,
                             error);
    return status;
}

/* Why nothing could be found, where the search itself does not know. */
static fg_status explain(const tuning *t, fg_status status, fg_error *error)
{
    if (status != FG_UNSUPPORTED || t->reason.status == FG_OK) return status;
    const char *what = t->state.compiled > 0 ? "is right" : "can be compiled";
    return fail(error, t->state.compiled > 0 ? FG_INTERNAL : t->reason.status,
                "none of the %d configs tried %s; the first, %.1800s", t->state.rejected, what,
                t->reason.text);
}

static choice choice_of(const tuning *t, const search_result *r)
{
    bool all = t->options->rigor == FG_EXHAUSTIVE;
    return (choice){ .seconds = r->seconds,
                     .spread = r->spread,
                     .estimate_seconds = r->estimate_seconds,
                     .elapsed = library_seconds() - t->start,
                     .compile_seconds = t->compile_seconds,
                     .budget = all ? HUGE_VAL : t->options->seconds,
                     .legal = t->space->count,
                     .compiled = r->state.compiled,
                     .measured = r->state.measured,
                     .rejected = r->state.rejected,
                     .decided = r->decided,
                     .exhaustive = all };
}

static fg_status search(tuning *t, fg_tune_report *report, fg_error *error)
{
    search_result result;
    tuning_begin(t);
    fg_status status = open_space(t, error);
    if (status == FG_OK) status = tell_space(t, error);
    if (status == FG_OK) status = tuning_measure(t, error);
    if (status != FG_OK) return status;
    const double spent = library_seconds() - t->start;
    const search_options o = {
        .memory = &t->context->memory,
        .space = t->space,
        .cores = t->context->device.cores,
        .ahead = t->context->gpu != NULL,
        .seconds =
            t->options->rigor == FG_EXHAUSTIVE ? HUGE_VAL : fmax(t->options->seconds - spent, 1e-3),
        .machine = &tuning_machine,
        .user = t,
    };
    if ((status = search_run(&result, &o, error)) != FG_OK) return explain(t, status, error);
    choice c = choice_of(t, &result);
    if ((status = publish(t, &c, &t->image[result.winner], error)) != FG_OK) return status;
    report_choice(report, &c);
    report->found = 0;
    return FG_OK;
}

/* ---- One search of a problem at a time ---- */

/* Waits for another process that searches the same, as long as it would itself take. */
static fg_status lock_winner(tuning *t, store_lock *lock, fg_error *error)
{
    const double slice = 0.25, begin = library_seconds();
    const double most = t->options->rigor == FG_EXHAUSTIVE ? 600 : t->options->seconds;
    for (double now = begin; now < begin + most; now = library_seconds()) {
        double wait = fmin(slice, begin + most - now);
        *lock = store_lock_take(t->context->store, &t->winner, wait);
        bool at_once = library_seconds() - now < wait / 2; /* there are no locks here */
        if (lock->fd >= 0 || at_once) return FG_OK;
        fg_status status = tuning_tell(t, FG_EVENT_TICK, NULL, 0, error);
        if (status != FG_OK) return status;
    }
    return tuning_tell(t, FG_EVENT_NOTE, "another search of this problem goes on: not waiting", 0,
                       error);
}

static fg_status search_alone(tuning *t, fg_tune_report *report, fg_error *error)
{
    store_lock lock = { t->context->store, -1 };
    fg_status status = lock_winner(t, &lock, error);
    if (status == FG_OK) status = look_up(t, report, error); /* another may have found it */
    if (status == FG_NOT_STORED) status = search(t, report, error);
    store_lock_drop(&lock);
    return status;
}

static fg_status find_key(tuning *t, fg_error *error)
{
    store_key key;
    fg_status status = choice_key(&key, STORE_winner, t->context, t->problem, t->pins, error);
    if (status == FG_OK) status = choice_key_add(&key, "sizes", t->sizes_text, error);
    if (status != FG_OK) return status;
    t->winner = key_digest(&key);
    key_free(&key);
    return FG_OK;
}

/* The bucket to search for. */
static fg_status take_sizes(tuning *t, fg_error *error)
{
    static const maker_sizes needed = { -1, -1, -1 };
    maker_sizes sizes;
    fg_status status = buckets_take(&sizes, t->problem, t->options->sizes, 1, &needed, error);
    if (status != FG_OK) return status;
    t->sizes = buckets_round(t->problem, &sizes);
    buckets_text(t->sizes_text, &t->sizes);
    return FG_OK;
}

static fg_status tune(fg_tune_report *report, fg_context *context, const fg_problem *handle,
                      const fg_tune_options *options, fg_error *error)
{
    tuning t = { .context = context,
                 .problem = handle->problem,
                 .options = options,
                 .pins = options->config ? options->config : "",
                 .patience = 2 };
    tuning_begin(&t);
    fg_status status = take_sizes(&t, error);
    if (status == FG_OK && context->gpu) status = device_cuda_ready(context->gpu, error);
    if (status != FG_OK) return status;
    sem_init(&t.cores, 0, (unsigned)context->device.cores);
    t.stamped = context->store && choice_stamp(&t.stamp, context);
    status = find_key(&t, error);
    if (status == FG_OK) status = look_up(&t, report, error);
    if (status == FG_NOT_STORED) status = search_alone(&t, report, error);
    tuning_end(&t);
    return status;
}

static const tuner this_tuner = { tune };
const tuner *const tuner_installed = &this_tuner;

fg_status fg_tune(fg_tune_report *out, fg_context *context, const fg_problem *handle,
                  const fg_tune_options *options, fg_error *error)
{
    fg_tune_options o = FG_TUNE_OPTIONS_INIT;
    fg_tune_report report = { .found = 0 };
    if (!context || !handle) return fail(error, FG_REQUEST, "context or problem is NULL");
    fg_status status = options_copy(&o, sizeof o, sizeof o, options, "fg_tune_options", error);
    if (status == FG_OK) status = options_check(&o, context, error);
    if (status == FG_OK) status = tune(&report, context, handle, &o, error);
    if (status == FG_OK && out) *out = report;
    return status;
}
