/* From a request to a loaded kernel: memory, the store, the maker and the compiler, the tuner. */
#include "runtime/resolve.h"

#include "runtime/identity.h"
#include "runtime/tuner.h"

#include <string.h>

typedef resolve_job job;

resolve_job resolve_job_of(const fg_problem *handle, const fg_plan_options *o,
                           const maker_sizes *sizes)
{
    resolve_job j = { .context = handle->context,
                      .problem = handle->problem,
                      .pins = o->config ? o->config : "",
                      .rigor = o->rigor,
                      .sizes = *sizes };
    buckets_text(j.sizes_text, sizes);
    return j;
}

static plan_request request_for(const job *j)
{
    return request_of(j->problem, j->rigor, j->sizes_text, j->pins);
}

/* ---- What was chosen before ---- */

static bool get_choice(job *j, store_kind kind)
{
    store_key k;
    if (!j->context->store) return false;
    if (choice_key(&k, kind, j->context, j->problem, j->pins, NULL) != FG_OK) return false;
    if (choice_key_add(&k, "sizes", j->sizes_text, NULL) != FG_OK) return false;
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
    j->adoptions = kernels_adoptions(j->context);
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
bool resolve_load(resolve_job *j)
{
    store_key k;
    digest d = j->choice.kernel;
    const choice *c = &j->choice;
    j->kernel = kernels_find_config(j->context, j->problem, c->schedule, c->config);
    if (j->kernel) return true;
    if (!j->context->store) return false;
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
    if (status == FG_OK && !j->chosen && !*j->sizes_text && unchanged(j)) store_estimate(j, i, &d);
    key_free(&k);
    return status;
}

static fg_status build(job *j, fg_error *error)
{
    image i;
    const char *config = j->chosen ? j->choice.config : *j->pins ? j->pins : NULL;
    j->stamped = j->context->store && choice_stamp(&j->stamp, j->context);
    fg_status status = image_generate(&i, j->context, j->problem, config, &j->sizes, error);
    if (status == FG_OK) {
        j->source = FG_COMPILED;
        j->kernel = kernels_find_config(j->context, j->problem, i.made->schedule, i.made->config);
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
    how.sizes = o->sizes;
    if (!tuner_installed)
        return fail(error, FG_UNSUPPORTED, "this library was built without a tuner");
    fg_status status = tuner_installed->tune(&report, j->context, handle, &how, error);
    if (status != FG_OK) return status;
    plan_request r = request_for(j);
    j->source = report.found ? FG_FROM_STORE : FG_COMPILED;
    j->kernel = kernels_find(j->context, &r);
    if (j->kernel) return FG_OK;
    choose(j); /* another process was first */
    return j->chosen && resolve_load(j) ? FG_OK : build(j, error);
}

/* ---- All of it ---- */

fg_status resolve_make(resolve_job *j, fg_error *error)
{
    if (j->chosen && resolve_load(j)) return FG_OK;
    fg_status status = build(j, error);
    if (status == FG_OK || status == FG_MEMORY || !j->chosen) return status;
    j->chosen = false; /* what is stored cannot be made here */
    return build(j, error);
}

static fg_status find_or_make(job *j, const fg_problem *handle, const fg_plan_options *o,
                              fg_error *error)
{
    choose(j);
    if (j->rigor == FG_ESTIMATE) return resolve_make(j, error);
    if (j->chosen && resolve_load(j)) return FG_OK;
    if (j->rigor == FG_STORED)
        return fail(error, FG_NOT_STORED, "no tuned kernel is stored for %.1500s",
                    j->problem->text);
    if (!j->chosen) return search(j, handle, o, false, error);
    if (build(j, error) == FG_OK) return FG_OK;
    j->chosen = false; /* what is stored cannot be made here */
    return search(j, handle, o, true, error);
}

fg_status resolve_one(resolve_job *j, const fg_problem *handle, const fg_plan_options *o,
                      fg_error *error)
{
    fg_status status = find_or_make(j, handle, o, error);
    plan_request r = request_for(j);
    if (status == FG_OK) status = kernels_bind(&r, &j->kernel, j->adoptions, error);
    return status;
}

fg_status plan_resolve(fg_plan *out, const fg_problem *handle, const fg_plan_options *options,
                       const plan_ask *ask, fg_error *error)
{
    static const maker_sizes none = { 0 };
    if (ask->table) return resolve_table(out, handle, options, ask, error);
    job j = resolve_job_of(handle, options, &none);
    fg_status status = resolve_one(&j, handle, options, error);
    *out = (fg_plan){ status == FG_OK ? j.kernel : NULL, NULL, j.source };
    return status;
}

fg_status plan_adopt(fg_context *context, const problem *p, const maker_sizes *sizes,
                     const char *pins, const image *winner, bool exhaustive, fg_error *error)
{
    static const fg_rigor served[] = { FG_ESTIMATE, FG_MEASURE, FG_STORED, FG_EXHAUSTIVE };
    char bucket[buckets_text_size];
    buckets_text(bucket, sizes);
    kernel *k = kernels_find_config(context, p, winner->made->schedule, winner->made->config);
    const digest written = digest_of(winner->made->text, winner->made->text_length);
    fg_status status = FG_OK;
    if (!k || !digest_equal(&k->text, &written)) { /* a template was edited */
        status = kernel_load(&k, context, p, winner, error);
        if (status == FG_OK) status = kernels_renew(k, p, error);
    }
    for (int n = 0; n < 3 + exhaustive && status == FG_OK; n++) {
        plan_request r = request_of(p, served[n], bucket, pins);
        status = kernels_rebind(&r, k, error);
    }
    if (buckets_needed(p)) kernels_forget_tables(context, p);
    return status;
}
