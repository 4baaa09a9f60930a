#include "autotune/session.h"

#include "autotune/trusted.h"
#include "runtime/library.h"
#include "runtime/run.h"

#include <string.h>

/* A kernel that passed, or is about to. */
typedef struct candidate {
    int id;
    kernel *kernel;
    guarded workspace;
} candidate;

enum { sets_max = 2 };

struct session {
    fg_context *context;
    const problem *problem;
    testbed set[sets_max]; /* runs take turns through them; outputs are compared on the first */
    int sets;
    unsigned turn;
    reference reference;
    sample sample;
    trusted trusted;
    candidate *candidate;
    int count, room;
};

/* ---- Making ---- */

/* Two sets, so that no run finds its inputs in the cache because the last one left them there. */
static fg_status draw(session *s, const fg_dims *dims, fg_error *error)
{
    const int64_t most_bytes = INT64_C(1) << 29;
    fg_status status = testbed_new(&s->set[0], s->problem, dims, 0, error);
    if (status != FG_OK) return status;
    s->sets = 1;
    if (2 * s->set[0].bytes >= most_bytes) return FG_OK;
    status = testbed_new(&s->set[1], s->problem, dims, 1, error);
    s->sets += status == FG_OK;
    return status;
}

fg_status session_new(session **out, fg_context *context, const problem *p, const fg_dims *dims,
                      fg_error *error)
{
    *out = NULL;
    session *s = memory_new(&context->memory, 1, sizeof *s);
    if (!s) return fail_memory(error);
    s->context = context;
    s->problem = p;
    fg_status status = draw(s, dims, error);
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

void session_free(session *s)
{
    if (!s) return;
    const memory *m = &s->context->memory;
    for (int k = 0; k < s->count; k++) candidate_free(&s->candidate[k]);
    if (s->candidate) memory_free(m, s->candidate, (size_t)s->room * sizeof *s->candidate);
    trusted_free(&s->trusted);
    sample_free(&s->sample);
    reference_free(&s->reference);
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

static fg_status load(candidate *c, const session *s, const image *i, fg_error *error)
{
    run_bytes bytes; /* the sets differ in their order alone */
    fg_status status = kernel_load(&c->kernel, s->context, s->problem, i, error);
    if (status == FG_OK) status = kernel_most_bytes(&bytes, c->kernel, &s->set[0].dims, error);
    if (status != FG_OK) return status;
    size_t size = bytes.workspace + bytes.prepared;
    if (guarded_new(&c->workspace, size, error) == FG_OK) return FG_OK;
    return fail(error, FG_WRONG, "there is no memory for its workspace of %zu bytes", size);
}

void session_drop(session *s, int id)
{
    candidate *c = find(s, id);
    if (!c) return;
    candidate_free(c);
    *c = s->candidate[--s->count];
}

/* ---- Running and checking ---- */

static fg_status run(const candidate *c, const fg_args *on, double *seconds, fg_error *error)
{
    fg_args args = *on;
    args.workspace = c->workspace.data;
    args.workspace_bytes = c->workspace.bytes;
    double start = library_seconds();
    fg_status status = run_kernel(c->kernel, &args, error);
    *seconds = library_seconds() - start;
    return status;
}

static fg_status intact(const candidate *c, const testbed *set, fg_error *error)
{
    const char *where = guarded_spilled(&c->workspace);
    if (where) return fail(error, FG_WRONG, "it wrote %s its workspace", where);
    return testbed_intact(set, error);
}

/* With |V| for V the kernel itself says what weights the values of each row have. */
static fg_status trust(session *s, const candidate *c, fg_error *error)
{
    testbed *set = &s->set[0];
    testbed_tensor v;
    fg_args args = set->args;
    double seconds;
    fg_status status = trusted_take(&s->trusted, set, error);
    if (status == FG_OK) status = testbed_absolute(&v, testbed_find(set, "v"), error);
    if (status != FG_OK) return status;
    args.v = &v.dl;
    status = run(c, &args, &seconds, error);
    if (status == FG_OK) status = trusted_take_absolute(&s->trusted, set, error);
    guarded_free(&v.memory);
    return status;
}

static fg_status check(session *s, const candidate *c, fg_error *error)
{
    fg_status status;
    double seconds;
    testbed *set = &s->set[0];
    for (int k = 0; k < s->sets; k++) testbed_clear(&s->set[k]);
    memset(c->workspace.data, 0xff, c->workspace.bytes);
    if ((status = run(c, &set->args, &seconds, error)) != FG_OK) return status;
    if ((status = intact(c, set, error)) != FG_OK) return status;
    if ((status = testbed_written(set, error)) != FG_OK) return status;
    if ((status = sample_check(&s->sample, error)) != FG_OK) return status;
    if ((status = trusted_check(&s->trusted, error)) != FG_OK) return status;
    return trusted_ready(&s->trusted) ? FG_OK : trust(s, c, error);
}

static fg_status load_and_check(candidate *c, session *s, double *seconds, const image *i,
                                fg_error *error)
{
    const testbed *last = &s->set[s->sets - 1];
    fg_status status = load(c, s, i, error);
    if (status == FG_OK) status = check(s, c, error);
    if (status == FG_OK) status = run(c, &last->args, seconds, error);
    return status == FG_OK ? intact(c, last, error) : status;
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
    if (status == FG_OK || status == FG_MEMORY) return status;
    if (error) error->status = FG_WRONG; /* whatever it was, another candidate may do better */
    return FG_WRONG;
}

/* ---- Timing ---- */

static fg_status time_one(session *s, double *seconds, int id, session_begin_fn begin, void *user,
                          fg_error *error)
{
    const candidate *c = find(s, id);
    if (!c) return fail(error, FG_REQUEST, "candidate %d is not loaded", id);
    if (begin && !begin(user, id)) return fail(error, FG_CANCELLED, "the timing was given up");
    return run(c, &s->set[s->turn++ % (unsigned)s->sets].args, seconds, error);
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
