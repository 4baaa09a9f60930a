#include "autotune/measurer.h"

#include "autotune/remote.h"
#include "autotune/session.h"

#include <string.h>

/* A candidate that passed: what a new worker is sent of it when the last one was lost. */
typedef struct entry {
    int id;
    bool rejected; /* by a later worker */
    char why[256];
    char *bytes; /* its sections, one behind the other */
    store_section section[image_sections];
} entry;

struct measurer {
    const memory *memory;
    session *session; /* in this process; else: */
    remote remote;
    entry *entry;
    int count, room;
};

/* ---- What is loaded ---- */

static int find(const measurer *m, int id)
{
    int k = 0;
    while (k < m->count && m->entry[k].id != id) k++;
    return k;
}

static void entry_free(const measurer *m, entry *e)
{
    memory_free(m->memory, e->bytes, e->section[0].size + e->section[1].size);
}

/* In the order in which they passed: the first is what others are compared with. */
static void forget(measurer *m, int k)
{
    entry_free(m, &m->entry[k]);
    m->count--;
    memmove(&m->entry[k], &m->entry[k + 1], (size_t)(m->count - k) * sizeof *m->entry);
}

static fg_status reserve(measurer *m, fg_error *error)
{
    if (m->count < m->room) return FG_OK;
    int room = m->room ? 2 * m->room : 16;
    entry *grown = memory_resize(m->memory, m->entry, (size_t)m->room * sizeof *m->entry,
                                 (size_t)room * sizeof *m->entry);
    if (!grown) return fail_memory(error);
    m->entry = grown;
    m->room = room;
    return FG_OK;
}

static fg_status remember(measurer *m, int id, const store_section *sections, fg_error *error)
{
    fg_status status = reserve(m, error);
    if (status != FG_OK) return status;
    size_t first = sections[0].size, second = sections[1].size;
    entry e = { .id = id, .bytes = memory_new(m->memory, first + second, 1) };
    if (!e.bytes) return fail_memory(error);
    memcpy(e.bytes, sections[0].data, first);
    memcpy(e.bytes + first, sections[1].data, second);
    e.section[0] = (store_section){ e.bytes, first };
    e.section[1] = (store_section){ e.bytes + first, second };
    m->entry[m->count++] = e;
    return FG_OK;
}

/* ---- A worker ---- */

/* Sends a new worker all that passed before. One that fails now is told of when it is asked for. */
static fg_status reload(measurer *m, fg_error *error)
{
    for (int k = 0; k < m->count && m->remote.running; k++) {
        entry *e = &m->entry[k];
        fg_error why = { FG_OK, -1, "" };
        double seconds;
        if (e->rejected) continue;
        fg_status status = remote_try(&m->remote, &seconds, e->id, e->section, &why);
        if (status == FG_OK) continue;
        if (status != FG_WRONG) return fail(error, status, "%s", why.text);
        e->rejected = true;
        memcpy(e->why, why.text, sizeof e->why - 1);
        /* Its fault may have taken the context along: others had better have another. */
        if (m->remote.options.context->gpu) remote_end(&m->remote);
    }
    return FG_OK;
}

/* Each worker that is lost rejects one candidate at least. */
static fg_status await_worker(measurer *m, fg_error *error)
{
    fg_status status = FG_OK;
    while (status == FG_OK && (!m->remote.running || m->remote.starting)) {
        if (!m->remote.running) status = remote_start(&m->remote, error);
        if (status == FG_OK) status = remote_ready(&m->remote, error);
        if (status == FG_OK) status = reload(m, error);
    }
    return status;
}

/* One lost before the candidate began suffered from an earlier one: it has another go. */
static bool lost_early(const measurer *m, fg_status status)
{
    return status == FG_MACHINE && !m->remote.running && !m->remote.begun;
}

static fg_status try_remotely(measurer *m, double *seconds, int id, const image *i, fg_error *error)
{
    text bytes;
    store_section sections[image_sections];
    fg_status status = image_write(&bytes, sections, i, error);
    for (int left = 2; left > 0 && status == FG_OK; left--) {
        if ((status = await_worker(m, error)) != FG_OK) break;
        status = remote_try(&m->remote, seconds, id, sections, error);
        if (!lost_early(m, status) || left == 1) break;
        status = FG_OK;
    }
    if (status == FG_OK) status = remember(m, id, sections, error);
    text_free(&bytes);
    return status;
}

static fg_status check_known(const measurer *m, const int *ids, int count, int *culprit,
                             fg_error *error)
{
    for (int k = 0; k < count; k++) {
        int at = find(m, ids[k]);
        if (at == m->count) return fail(error, FG_REQUEST, "candidate %d is not loaded", ids[k]);
        if (!m->entry[at].rejected) continue;
        *culprit = k;
        return fail(error, FG_WRONG, "%s", m->entry[at].why);
    }
    return FG_OK;
}

static int place_of(int id, const int *ids, int count)
{
    int k = 0;
    while (k < count - 1 && ids[k] != id) k++;
    return k;
}

static fg_status time_remotely(measurer *m, double *samples, const int *ids, int count, int runs,
                               int *culprit, fg_error *error)
{
    fg_status status = FG_OK;
    for (int left = 2; left > 0; left--) {
        if ((status = await_worker(m, error)) != FG_OK) return status;
        if ((status = check_known(m, ids, count, culprit, error)) != FG_OK) return status;
        status = remote_time(&m->remote, samples, ids, count, runs, error);
        if (!lost_early(m, status)) break;
    }
    if (status == FG_WRONG) *culprit = place_of(m->remote.culprit, ids, count);
    return status;
}

/* ---- The interface ---- */

fg_status measurer_new(measurer **out, const measurer_options *o, fg_error *error)
{
    *out = NULL;
    measurer *m = memory_new(&o->context->memory, 1, sizeof *m);
    if (!m) return fail_memory(error);
    m->memory = &o->context->memory;
    fg_status status;
    if (o->in_process)
        status = session_new(&m->session, o->context, o->problem, o->dims, error);
    else if ((status = remote_init(&m->remote, o, error)) == FG_OK)
        status = remote_start(&m->remote, error);
    /* CUDA takes its time to start: the first candidates are compiled meanwhile. */
    if (status == FG_OK && !o->in_process && !o->context->gpu)
        status = remote_ready(&m->remote, error);
    if (status == FG_OK)
        *out = m;
    else
        measurer_free(m);
    return status;
}

void measurer_free(measurer *m)
{
    if (!m) return;
    session_free(m->session);
    remote_end(&m->remote);
    for (int k = 0; k < m->count; k++) entry_free(m, &m->entry[k]);
    if (m->entry) memory_free(m->memory, m->entry, (size_t)m->room * sizeof *m->entry);
    memory_free(m->memory, m, sizeof *m);
}

/* What nothing in this process survives rejects no candidate. */
static fg_status judge_here(const measurer *m, fg_status status, fg_error *error)
{
    if (status != FG_WRONG || !session_broken(m->session)) return status;
    if (error) error->status = FG_MACHINE;
    return FG_MACHINE;
}

fg_status measurer_try(measurer *m, double *seconds, int id, const image *candidate,
                       fg_error *error)
{
    measurer_drop(m, id);
    if (!m->session) return try_remotely(m, seconds, id, candidate, error);
    return judge_here(m, session_try(m->session, seconds, id, candidate, error), error);
}

static bool note(void *user, int id)
{
    int *last = user;
    *last = id;
    return true;
}

static fg_status time_here(measurer *m, double *samples, const int *ids, int count, int runs,
                           int *last, fg_error *error)
{
    fg_status status = session_time(m->session, samples, ids, count, runs, note, last, error);
    return judge_here(m, status, error);
}

fg_status measurer_time(measurer *m, double *samples, const int *ids, int count, int runs,
                        int *culprit, fg_error *error)
{
    if (count < 1 || count > measurer_most_candidates || runs < 1 ||
        (int64_t)count * runs > measurer_most_samples)
        return fail(error, FG_REQUEST, "there is no timing %d candidates %d times each", count,
                    runs);
    int last = *ids;
    fg_status status = m->session ? time_here(m, samples, ids, count, runs, &last, error)
                                  : time_remotely(m, samples, ids, count, runs, culprit, error);
    if (status == FG_WRONG && m->session) *culprit = place_of(last, ids, count);
    if (status == FG_WRONG) measurer_drop(m, ids[*culprit]);
    return status;
}

void measurer_drop(measurer *m, int id)
{
    if (m->session) {
        session_drop(m->session, id);
        return;
    }
    int k = find(m, id);
    if (k == m->count) return;
    remote_drop(&m->remote, id);
    forget(m, k);
}
