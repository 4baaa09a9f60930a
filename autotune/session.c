#include "autotune/session_parts.h"

/* ---- Making ---- */

fg_status session_new(session **out, fg_context *context, const problem *p, const fg_dims *dims,
                      fg_error *error)
{
    *out = NULL;
    session *s = memory_new(&context->memory, 1, sizeof *s);
    if (!s) return fail_memory(error);
    s->context = context;
    s->problem = p;
    s->place = context->gpu ? &session_cuda : &session_host;
    fg_status status = s->place->open(s, dims, error);
    if (status == FG_OK) status = reference_new(&s->reference, context, p, &s->set[0].args, error);
    if (status == FG_OK) status = sample_new(&s->sample, &s->reference, error);
    if (status == FG_OK) {
        trusted_init(&s->trusted, &s->sample);
        *out = s;
    } else {
        session_free(s);
    }
    return status;
}

static void candidate_free(candidate *c)
{
    kernel_free(c->kernel);
    guarded_free(&c->workspace);
}

bool session_broken(const session *s)
{
    return s->broken;
}

void session_free(session *s)
{
    if (!s) return;
    const memory *m = &s->context->memory;
    for (int k = 0; k < s->count; k++) candidate_free(&s->candidate[k]);
    if (s->candidate) memory_free(m, s->candidate, (size_t)s->room * sizeof *s->candidate);
    trusted_free(&s->trusted);
    sample_free(&s->sample);
    reference_free(&s->reference);
    s->place->close(s);
    for (int k = 0; k < s->sets; k++) testbed_free(&s->set[k]);
    memory_free(m, s, sizeof *s);
}

/* ---- The candidates ---- */

static candidate *find(const session *s, int id)
{
    for (int k = 0; k < s->count; k++)
        if (s->candidate[k].id == id) return &s->candidate[k];
    return NULL;
}

static fg_status reserve(session *s, fg_error *error)
{
    if (s->count < s->room) return FG_OK;
    int room = s->room ? 2 * s->room : 16;
    size_t size = sizeof *s->candidate;
    candidate *grown = memory_resize(&s->context->memory, s->candidate, (size_t)s->room * size,
                                     (size_t)room * size);
    if (!grown) return fail_memory(error);
    s->candidate = grown;
    s->room = room;
    return FG_OK;
}

static fg_status load(candidate *c, session *s, const image *i, fg_error *error)
{
    run_bytes bytes; /* the sets differ in their order alone */
    fg_status status = kernel_load(&c->kernel, s->context, s->problem, i, error);
    if (status == FG_OK) status = kernel_most_bytes(&bytes, c->kernel, &s->set[0].dims, error);
    if (status != FG_OK) return status;
    c->workspace_bytes = bytes.workspace + bytes.prepared;
    status = s->place->load(s, c, error);
    if (status != FG_MEMORY) return status;
    return fail(error, FG_WRONG, "there is no memory for its workspace of %zu bytes",
                c->workspace_bytes);
}

void session_drop(session *s, int id)
{
    candidate *c = find(s, id);
    if (!c) return;
    candidate_free(c);
    *c = s->candidate[--s->count];
}

/* ---- Running and checking ---- */

/* With |V| for V the kernel itself says what weights the values of each row have. */
static fg_status trust(session *s, candidate *c, fg_error *error)
{
    testbed *set = &s->set[0];
    testbed_tensor v;
    fg_status status = trusted_take(&s->trusted, set, error);
    if (status == FG_OK) status = testbed_absolute(&v, testbed_find(set, "v"), error);
    if (status != FG_OK) return status;
    status = s->place->run(s, c, &v, error);
    if (status == FG_OK) status = trusted_take_absolute(&s->trusted, set, error);
    guarded_free(&v.memory);
    return status;
}

static fg_status check(session *s, candidate *c, fg_error *error)
{
    fg_status status;
    testbed *set = &s->set[0];
    if ((status = s->place->run(s, c, NULL, error)) != FG_OK) return status;
    if ((status = testbed_written(set, error)) != FG_OK) return status;
    if ((status = sample_check(&s->sample, error)) != FG_OK) return status;
    if ((status = trusted_check(&s->trusted, error)) != FG_OK) return status;
    return trusted_ready(&s->trusted) ? FG_OK : trust(s, c, error);
}

static fg_status load_and_check(candidate *c, session *s, double *seconds, const image *i,
                                fg_error *error)
{
    fg_status status = load(c, s, i, error);
    if (status == FG_OK) status = check(s, c, error);
    return status == FG_OK ? s->place->run_again(s, c, seconds, error) : status;
}

/* A GPU's memory is others', too: where there was enough for another candidate, it is no reason to end. */
static bool is_the_end(const session *s, fg_status status)
{
    return status == FG_MEMORY && !(s->context->gpu && trusted_ready(&s->trusted));
}

fg_status session_try(session *s, double *seconds, int id, const image *i, fg_error *error)
{
    candidate c = { .id = id };
    session_drop(s, id);
    fg_status status = reserve(s, error);
    if (status != FG_OK) return status;
    status = load_and_check(&c, s, seconds, i, error);
    if (status == FG_OK)
        s->candidate[s->count++] = c;
    else
        candidate_free(&c);
    if (status == FG_OK || is_the_end(s, status)) return status;
    if (error) error->status = FG_WRONG; /* whatever it was, another candidate may do better */
    return FG_WRONG;
}

/* ---- Timing ---- */

static fg_status time_one(session *s, double *seconds, int id, session_begin_fn begin, void *user,
                          fg_error *error)
{
    candidate *c = find(s, id);
    if (!c) return fail(error, FG_REQUEST, "candidate %d is not loaded", id);
    if (begin && !begin(user, id)) return fail(error, FG_CANCELLED, "the timing was given up");
    fg_status status = s->place->time(s, c, seconds, error);
    if (status == FG_OK) return status;
    if (error) error->status = FG_WRONG;
    return FG_WRONG;
}

/* Each round begins with another candidate, so that none always comes first or after the same load. */
fg_status session_time(session *s, double *samples, const int *ids, int count, int runs,
                       session_begin_fn begin, void *user, fg_error *error)
{
    fg_status status = FG_OK;
    for (int64_t k = 0; k < (int64_t)runs * count && status == FG_OK; k++) {
        int64_t round = k / count, c = (k + round) % count;
        status = time_one(s, &samples[c * runs + round], ids[c], begin, user, error);
    }
    return status;
}
