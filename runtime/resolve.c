/* From a request to a loaded kernel: memory, the store, the maker and the compiler, the tuner. */
#include "runtime/plan.h"

#include "runtime/identity.h"
#include "runtime/tuner.h"

#include <string.h>

typedef struct job {
    fg_context *context;
    const problem *problem;
    const char *pins;
    fg_rigor rigor;
    bool chosen; /* `choice` says what to run; else the prior does */
    bool stamped;
    digest stamp; /* before the text was written */
    choice choice;
    kernel *kernel;
    fg_source source;
} job;

/* ---- What was chosen before ---- */

static bool get_choice(job *j, store_kind kind)
{
    store_key k;
    if (!j->context->store) return false;
    if (choice_key(&k, kind, j->context, j->problem, j->pins, NULL) != FG_OK) return false;
    digest d = key_digest(&k);
    key_free(&k);
    return choice_get(&j->choice, j->context, kind, &d);
}

/* A winner by another compiler is checked again before it counts as a search's. */
static bool get_winner(job *j)
{
    return get_choice(j, STORE_winner) && choice_by_this_compiler(&j->choice, j->context);
}

static void choose(job *j)
{
    switch (j->rigor) {
    case FG_ESTIMATE:
        j->chosen = get_choice(j, STORE_winner) || get_choice(j, STORE_estimate);
        break;
    case FG_MEASURE:
        j->chosen = get_winner(j);
        break;
    case FG_EXHAUSTIVE:
        j->chosen = get_winner(j) && j->choice.exhaustive;
        break;
    case FG_STORED:
        j->chosen = get_choice(j, STORE_stored);
        break;
    }
}

/* ---- From the store ---- */

static fg_status load(job *j, const image *i, fg_error *error)
{
    fg_status status = kernel_load(&j->kernel, j->context, j->problem, i, error);
    return status == FG_OK ? kernels_keep(&j->kernel, j->problem, error) : status;
}

/* Any fault of a stored kernel makes it a miss. */
static bool load_stored(job *j, const digest *d)
{
    store_entry e;
    image i;
    if (!store_get(&e, j->context->store, STORE_kernel, d)) return false;
    bool right = image_read(&i, j->context, e.section, e.sections, NULL) == FG_OK;
    store_entry_free(&e);
    if (!right) return false;
    right = load(j, &i, NULL) == FG_OK;
    image_free(&i);
    if (right) j->source = FG_FROM_STORE;
    return right;
}

/* The chosen kernel, without a generator: by its key where this machine's compiler is known, else as it was
 * recorded. */
static bool load_chosen(job *j)
{
    store_key k;
    digest d = j->choice.kernel;
    const choice *c = &j->choice;
    j->kernel = kernels_find_config(j->context, j->problem, c->config);
    if (j->kernel) return true;
    if (j->rigor != FG_STORED &&
        choice_kernel_key(&k, j->context, j->problem, c->schedule, c->config, NULL) == FG_OK) {
        d = key_digest(&k);
        key_free(&k);
    }
    return load_stored(j, &d);
}

/* ---- Made now ---- */

void plan_store_kernel(fg_context *context, const store_key *k, const image *i)
{
    text bytes;
    store_section sections[image_sections];
    if (image_write(&bytes, sections, i, NULL) == FG_OK)
        store_put(context->store, STORE_kernel, k, sections, image_sections);
    text_free(&bytes);
}

static void store_estimate(job *j, const image *i, const digest *kernel_digest)
{
    store_key k;
    choice c = { .kernel = *kernel_digest };
    const made *m = i->made;
    if (strlen(m->schedule) >= sizeof c.schedule || strlen(m->config) >= sizeof c.config) return;
    strcpy(c.schedule, m->schedule);
    strcpy(c.config, m->config);
    if (identity_of_compiler(&c.compiler, j->context, NULL) != FG_OK) return;
    if (choice_key(&k, STORE_estimate, j->context, j->problem, j->pins, NULL) != FG_OK) return;
    choice_put(j->context, STORE_estimate, &k, &c);
    key_free(&k);
}

static fg_status compile(job *j, image *i, fg_error *error)
{
    fg_status status = image_compile(i, error);
    if (status != FG_OK) return status;
    context_log(j->context, FG_LOG_INFO, "compiled %.300s with %.100s in %d ms", j->problem->text,
                i->made->config, (int)((i->generate_seconds + i->compile_seconds) * 1000));
    return load(j, i, error);
}

/* Nobody edited a template or replaced the compiler meanwhile. */
static bool unchanged(const job *j)
{
    digest now;
    return j->stamped && choice_stamp(&now, j->context) && digest_equal(&now, &j->stamp);
}

/* With a store: one process compiles, the others wait for it, a while. */
static fg_status compile_and_store(job *j, image *i, fg_error *error)
{
    store_key k;
    const made *m = i->made;
    fg_status status = choice_kernel_key(&k, j->context, j->problem, m->schedule, m->config, NULL);
    if (status != FG_OK) return compile(j, i, error);
    digest d = key_digest(&k);
    store_lock lock = { j->context->store, -1 };
    if (!load_stored(j, &d)) {
        lock = store_lock_take(j->context->store, &d, PLAN_LOCK_SECONDS);
        if (!load_stored(j, &d) && (status = compile(j, i, error)) == FG_OK && unchanged(j))
            plan_store_kernel(j->context, &k, i);
    }
    store_lock_drop(&lock);
    if (status == FG_OK && !j->chosen && unchanged(j)) store_estimate(j, i, &d);
    key_free(&k);
    return status;
}

static fg_status build(job *j, fg_error *error)
{
    image i;
    const char *config = j->chosen ? j->choice.config : *j->pins ? j->pins : NULL;
    j->stamped = j->context->store && choice_stamp(&j->stamp, j->context);
    fg_status status = image_generate(&i, j->context, j->problem, config, NULL, error);
    if (status == FG_OK) {
        j->source = FG_COMPILED;
        j->kernel = kernels_find_config(j->context, j->problem, i.made->config);
        if (j->kernel)
            j->source = FG_FROM_MEMORY;
        else
            status = j->context->store ? compile_and_store(j, &i, error) : compile(j, &i, error);
    }
    image_free(&i);
    return status;
}

/* ---- Searched ---- */

/* `again`: what is stored does not serve. */
static fg_status search(job *j, const fg_problem *handle, const fg_plan_options *o, bool again,
                        fg_error *error)
{
    fg_tune_report report;
    fg_tune_options how = FG_TUNE_OPTIONS_INIT;
    how.rigor = o->rigor;
    how.seconds = o->seconds;
    how.config = o->config;
    how.event = o->event;
    how.event_user = o->event_user;
    how.in_process = o->in_process;
    how.again = again;
    if (!tuner_installed)
        return fail(error, FG_UNSUPPORTED, "this library was built without a tuner");
    fg_status status = tuner_installed->tune(&report, j->context, handle, &how, error);
    if (status != FG_OK) return status;
    plan_request r = request_of(j->problem, j->rigor, j->pins);
    j->source = report.found ? FG_FROM_STORE : FG_COMPILED;
    j->kernel = kernels_find(j->context, &r);
    if (j->kernel) return FG_OK;
    choose(j); /* another process was first */
    return j->chosen && load_chosen(j) ? FG_OK : build(j, error);
}

/* ---- All of it ---- */

static fg_status resolve(job *j, const fg_problem *handle, const fg_plan_options *o,
                         fg_error *error)
{
    choose(j);
    if (j->chosen && load_chosen(j)) return FG_OK;
    if (j->rigor == FG_STORED)
        return fail(error, FG_NOT_STORED, "no tuned kernel is stored for %.1500s",
                    j->problem->text);
    if (!j->chosen && j->rigor != FG_ESTIMATE) return search(j, handle, o, false, error);
    fg_status status = build(j, error);
    if (status == FG_OK || !j->chosen) return status;
    j->chosen = false; /* what is stored cannot be made here */
    return j->rigor == FG_ESTIMATE ? build(j, error) : search(j, handle, o, true, error);
}

fg_status plan_resolve(kernel **out, fg_source *source, const fg_problem *handle,
                       const fg_plan_options *options, fg_error *error)
{
    const char *pins = options->config ? options->config : "";
    job j = { .context = handle->context,
              .problem = handle->problem,
              .pins = pins,
              .rigor = options->rigor };
    fg_status status = resolve(&j, handle, options, error);
    plan_request r = request_of(j.problem, j.rigor, pins);
    if (status == FG_OK) status = kernels_bind(&r, &j.kernel, error);
    *out = status == FG_OK ? j.kernel : NULL;
    *source = j.source;
    return status;
}

fg_status plan_adopt(fg_context *context, const problem *p, const char *pins, const image *winner,
                     bool exhaustive, fg_error *error)
{
    static const fg_rigor served[] = { FG_ESTIMATE, FG_MEASURE, FG_STORED, FG_EXHAUSTIVE };
    kernel *k = kernels_find_config(context, p, winner->made->config);
    const digest written = digest_of(winner->made->text, winner->made->text_length);
    fg_status status = FG_OK;
    if (!k || !digest_equal(&k->text, &written)) { /* a template was edited */
        status = kernel_load(&k, context, p, winner, error);
        if (status == FG_OK) status = kernels_renew(k, p, error);
    }
    for (int n = 0; n < 3 + exhaustive && status == FG_OK; n++) {
        plan_request r = request_of(p, served[n], pins);
        status = kernels_rebind(&r, k, error);
    }
    return status;
}
