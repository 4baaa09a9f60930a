/* From a request for a problem with `*` to a table of kernels: winners where there are any, else what the prior chooses
 * for all buckets at once. */
#include "runtime/resolve.h"

#include "runtime/backend_c.h"
#include "runtime/estimates.h"

#include <string.h>

/* A kernel of the table. */
typedef struct part {
    resolve_job job;
    fg_status status;
    fg_error error;
} part;

typedef struct tabling {
    const fg_problem *handle;
    const fg_plan_options *options;
    const plan_ask *ask;
    fg_context *context;
    const problem *problem;
    buckets buckets;
    int count; /* buckets */
    int *of;   /* part of each; -1: none yet */
    part *part;
    int parts, room;
    unsigned adoptions; /* before winners were looked for */
} tabling;

static fg_status open_table(tabling *t, fg_error *error)
{
    t->buckets = buckets_up_to(t->problem, &t->ask->most);
    t->count = buckets_count(&t->buckets);
    t->of = memory_new(&t->context->memory, (size_t)t->count, sizeof *t->of);
    if (!t->of) return fail_memory(error);
    for (int k = 0; k < t->count; k++) t->of[k] = -1;
    return FG_OK;
}

static void close_table(tabling *t)
{
    const memory *m = &t->context->memory;
    if (t->part) memory_free(m, t->part, (size_t)t->room * sizeof *t->part);
    if (t->of) memory_free(m, t->of, (size_t)t->count * sizeof *t->of);
}

static resolve_job job_at(const tabling *t, int bucket)
{
    const maker_sizes sizes = buckets_sizes(&t->buckets, bucket);
    return resolve_job_of(t->handle, t->options, &sizes);
}

/* ---- The kernels ---- */

static int find_part(const tabling *t, const resolve_job *j)
{
    int k = 0;
    while (k < t->parts && (strcmp(t->part[k].job.choice.schedule, j->choice.schedule) != 0 ||
                            strcmp(t->part[k].job.choice.config, j->choice.config) != 0))
        k++;
    return k;
}

static fg_status reserve(tabling *t, fg_error *error)
{
    const size_t size = sizeof *t->part;
    if (t->parts < t->room) return FG_OK;
    int room = t->room ? 2 * t->room : 8;
    part *grown =
        memory_resize(&t->context->memory, t->part, (size_t)t->room * size, (size_t)room * size);
    if (!grown) return fail_memory(error);
    t->part = grown;
    t->room = room;
    return FG_OK;
}

/* The bucket takes what the job has chosen, or found already. */
static fg_status take(tabling *t, int bucket, const resolve_job *j, fg_error *error)
{
    int k = find_part(t, j);
    fg_status status = k == t->parts ? reserve(t, error) : FG_OK;
    if (status != FG_OK) return status;
    if (k == t->parts) t->part[t->parts++] = (part){ .job = *j };
    if (!t->part[k].job.kernel) t->part[k].job.kernel = j->kernel;
    t->of[bucket] = k;
    return FG_OK;
}

static fg_status take_kernel(tabling *t, int bucket, resolve_job *j, fg_error *error)
{
    const kernel *k = j->kernel;
    if (strlen(k->schedule) >= sizeof j->choice.schedule ||
        strlen(k->config) >= sizeof j->choice.config)
        return fail(error, FG_INTERNAL, "the config %.200s is too long", k->config);
    strcpy(j->choice.schedule, k->schedule);
    strcpy(j->choice.config, k->config);
    return take(t, bucket, j, error);
}

/* ---- Winners ---- */

/* The bucket that is searched for where nothing is stored. */
static fg_status take_tuned(tabling *t, fg_error *error)
{
    const maker_sizes *s = &t->ask->tuned;
    if (t->options->rigor != FG_MEASURE && t->options->rigor != FG_EXHAUSTIVE) return FG_OK;
    int bucket = buckets_find(&t->buckets, s->b, s->sq, s->sk);
    resolve_job j = job_at(t, bucket);
    plan_request r = request_of(t->problem, j.rigor, j.sizes_text, j.pins);
    j.kernel = kernels_find(t->context, &r);
    fg_status status = j.kernel ? FG_OK : resolve_one(&j, t->handle, t->options, error);
    return status == FG_OK ? take_kernel(t, bucket, &j, error) : status;
}

/* What a search of this process found. */
static bool find_adopted(resolve_job *j, fg_rigor rigor)
{
    plan_request r = request_of(j->problem, rigor, j->sizes_text, j->pins);
    j->kernel = kernels_find(j->context, &r);
    return j->kernel != NULL;
}

/* `k`: the key, but for the sizes, which it has only while this runs. */
static fg_status find_stored(bool *found, resolve_job *j, store_kind kind, store_key *k,
                             fg_error *error)
{
    const size_t length = k->fields.length;
    fg_status status = choice_key_add(k, "sizes", j->sizes_text, error);
    if (status != FG_OK) return status;
    digest d = key_digest(k);
    k->fields.length = length;
    *found = j->chosen = choice_get(&j->choice, j->context, kind, &d);
    return FG_OK;
}

/* Where nothing can be made, only what loads counts. */
static fg_status take_winner(tabling *t, int bucket, store_kind kind, store_key *k, fg_error *error)
{
    const bool makes = kind == STORE_winner;
    bool found = false;
    resolve_job j = job_at(t, bucket);
    if (find_adopted(&j, makes ? FG_ESTIMATE : FG_STORED)) return take_kernel(t, bucket, &j, error);
    if (!t->context->store) return FG_OK;
    fg_status status = find_stored(&found, &j, kind, k, error);
    if (status != FG_OK || !found || (!makes && !resolve_load(&j))) return status;
    return take(t, bucket, &j, error);
}

static fg_status take_winners(tabling *t, fg_error *error)
{
    store_key k;
    const char *pins = t->options->config ? t->options->config : "";
    const store_kind kind = t->options->rigor == FG_STORED ? STORE_stored : STORE_winner;
    fg_status status = choice_key(&k, kind, t->context, t->problem, pins, error);
    if (status != FG_OK) return status;
    for (int bucket = 0; bucket < t->count && status == FG_OK; bucket++)
        if (t->of[bucket] < 0) status = take_winner(t, bucket, kind, &k, error);
    key_free(&k);
    return status;
}

/* ---- Where there are none ---- */

static int nearest(const tabling *t, const int *of, int bucket)
{
    int best = -1;
    for (int k = 0; k < t->count; k++)
        if (of[k] >= 0 && (best < 0 || buckets_distance(&t->buckets, bucket, k) <
                                           buckets_distance(&t->buckets, bucket, best)))
            best = k;
    return best;
}

static fg_status take_nearest(tabling *t, fg_error *error)
{
    const memory *m = &t->context->memory;
    const size_t bytes = (size_t)t->count * sizeof *t->of;
    if (t->parts == 0)
        return fail(error, FG_NOT_STORED, "no tuned kernel is stored for any sizes of %.1500s",
                    t->problem->text);
    int *winners = memory_new(m, bytes, 1);
    if (!winners) return fail_memory(error);
    memcpy(winners, t->of, bytes);
    for (int k = 0; k < t->count; k++)
        if (t->of[k] < 0) t->of[k] = winners[nearest(t, winners, k)];
    memory_free(m, winners, bytes);
    return FG_OK;
}

static fg_status take_estimates(tabling *t, const estimates *e, fg_error *error)
{
    fg_status status = FG_OK;
    for (int bucket = 0; bucket < t->count && status == FG_OK; bucket++) {
        if (t->of[bucket] >= 0) continue;
        resolve_job j = job_at(t, bucket);
        j.chosen = true;
        j.choice = e->choice[e->of[bucket]];
        status = take(t, bucket, &j, error);
    }
    return status;
}

/* ---- Loading and making ---- */

static void make_parts(const void *args, void *scratch, int64_t first, int64_t last)
{
    part *const *parts = args;
    (void)scratch;
    for (part *p = *parts + first; p < *parts + last; p++)
        if (!p->job.kernel) p->status = resolve_make(&p->job, &p->error);
}

/* On as many threads as a run has; never the host's, which may be busy with what waits for us. */
static fg_status make_all(tabling *t, fg_error *error)
{
    const launch what = { .entry = (void *)(uintptr_t)make_parts,
                          .args = &t->part,
                          .tasks = t->parts };
    fg_status status = FG_OK;
    tasks_run_here(t->context, &what);
    for (int k = 0; k < t->parts && status == FG_OK; k++) {
        status = t->part[k].status;
        if (status != FG_OK && error) *error = t->part[k].error;
    }
    return status;
}

static fg_status estimates_key(store_key *k, const tabling *t)
{
    char most[buckets_text_size];
    const char *pins = t->options->config ? t->options->config : "";
    buckets_text(most, &t->ask->most);
    fg_status status = choice_key(k, STORE_estimate, t->context, t->problem, pins, NULL);
    return status == FG_OK ? choice_key_add(k, "most", most, NULL) : status;
}

/* The stamp is older than the estimates: what somebody edited meanwhile is not kept under the wrong key. */
static void keep_estimates(tabling *t, estimates *e, const digest *stamp)
{
    store_key k;
    digest now;
    if (!choice_stamp(&now, t->context) || !digest_equal(&now, stamp)) return;
    if (estimates_key(&k, t) != FG_OK) return;
    estimates_put(e, t->context, t->problem, &k);
    key_free(&k);
}

static bool stored_estimates(estimates *e, const tabling *t)
{
    store_key k;
    if (!t->context->store || estimates_key(&k, t) != FG_OK) return false;
    digest d = key_digest(&k);
    key_free(&k);
    return estimates_get(e, t->context, &t->buckets, &d);
}

static fg_status estimate_and_make(tabling *t, fg_error *error)
{
    estimates e;
    digest stamp;
    fg_status status = FG_OK;
    const char *pins = t->options->config ? t->options->config : "";
    const bool stored = stored_estimates(&e, t);
    const bool stamped = !stored && t->context->store && choice_stamp(&stamp, t->context);
    if (!stored) status = estimates_make(&e, t->context, t->problem, pins, &t->buckets, error);
    if (status == FG_OK) status = take_estimates(t, &e, error);
    if (status == FG_OK) status = make_all(t, error);
    if (status == FG_OK && stamped) keep_estimates(t, &e, &stamp);
    estimates_free(&e);
    return status;
}

/* ---- All of it ---- */

static bool complete(const tabling *t)
{
    int k = 0;
    while (k < t->count && t->of[k] >= 0) k++;
    return k == t->count;
}

static fg_status choose(tabling *t, fg_error *error)
{
    fg_status status = open_table(t, error);
    if (status == FG_OK) status = take_tuned(t, error);
    t->adoptions = kernels_adoptions(t->context); /* our own search's is among the winners */
    if (status == FG_OK) status = take_winners(t, error);
    if (status != FG_OK) return status;
    if (t->options->rigor == FG_STORED) return take_nearest(t, error);
    return complete(t) ? make_all(t, error) : estimate_and_make(t, error);
}

/* What took most. */
static fg_source source_of(const tabling *t)
{
    fg_source source = FG_FROM_MEMORY;
    for (int k = 0; k < t->parts; k++)
        if (t->part[k].job.source > source) source = t->part[k].job.source;
    return source;
}

static fg_status keep(fg_plan *out, const tabling *t, fg_error *error)
{
    kernel_table *fresh = table_new(t->context, &t->buckets);
    if (!fresh) return fail_memory(error);
    for (int k = 0; k < t->count; k++) fresh->of[k] = t->part[t->of[k]].job.kernel;
    fg_status status = kernels_keep_table(fresh, &t->ask->request, t->adoptions, error);
    if (status == FG_OK) *out = (fg_plan){ table_last(fresh), fresh, source_of(t) };
    return status;
}

fg_status resolve_table(fg_plan *out, const fg_problem *handle, const fg_plan_options *options,
                        const plan_ask *ask, fg_error *error)
{
    tabling t = { .handle = handle,
                  .options = options,
                  .ask = ask,
                  .context = handle->context,
                  .problem = handle->problem };
    fg_status status = choose(&t, error);
    if (status == FG_OK) status = keep(out, &t, error);
    close_table(&t);
    return status;
}
