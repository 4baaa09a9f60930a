/* The other end of autotune/remote.c: a session, served over a pair of descriptors. */
#include "autotune/frame.h"
#include "autotune/measurer.h"
#include "autotune/session.h"
#include "runtime/device_cuda.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { request_limit = 1 << 29 };

typedef struct worker {
    frame_end end;
    const memory *memory;
    fg_context *context;
    fg_problem *problem;
    session *session;
    bool owed; /* a candidate has begun, and `go` is still to come */
    bool lost; /* nobody listens, or nothing more can be done */
} worker;

static void await_go(worker *w)
{
    frame f;
    if (!w->owed || w->lost) return;
    w->owed = false;
    w->lost = frame_receive(&f, &w->end, 0, w->memory) != FRAME_RESULT_ok || f.kind != FRAME_go;
}

static void answer(worker *w, frame_kind kind, const void *data, size_t size)
{
    const store_section part = { data, size };
    await_go(w);
    if (!w->lost && frame_send(&w->end, kind, &part, 1) != FRAME_RESULT_ok) w->lost = true;
}

/* Frees the text. */
static fg_status answer_text(worker *w, frame_kind kind, text *t, fg_error *error)
{
    fg_status status = t->failed ? fail_memory(error) : FG_OK;
    if (status == FG_OK) answer(w, kind, t->data, t->length);
    text_free(t);
    return status;
}

static void answer_failure(worker *w, const fg_error *e)
{
    text t;
    text_init(&t, w->memory);
    wire_add_int(&t, e->status);
    wire_add_text(&t, e->text);
    if (answer_text(w, FRAME_failed, &t, NULL) != FG_OK) w->lost = true;
}

static fg_status refuse(fg_error *error)
{
    return fail(error, FG_REQUEST, "the worker was asked for something that makes no sense");
}

/* Whoever asked knows from here on who is to blame. It is awake before the candidate runs, and asleep again soon after,
 * so that it does not take a core from it: from one that runs on a GPU it takes none. */
static bool begin(void *user, int id)
{
    worker *w = user;
    text t;
    text_init(&t, w->memory);
    wire_add_int(&t, id);
    if (answer_text(w, FRAME_begin, &t, NULL) != FG_OK) w->lost = true;
    w->owed = true;
    if (!w->context->gpu) await_go(w);
    return !w->lost;
}

/* ---- One function for each request ---- */

/* What the context is to be, as the search says it. */
typedef struct place {
    int threads;
    char isa[32];
    char uuid[64]; /* of the GPU, which is the only one that CUDA shows here; "": processors */
    char driver[PATH_MAX];
} place;

static void take_place(place *out, wire *request)
{
    out->threads = (int)wire_int_in(request, 1, INT_MAX);
    wire_text(request, out->isa, sizeof out->isa);
    wire_text(request, out->uuid, sizeof out->uuid);
    wire_text(request, out->driver, sizeof out->driver);
}

static fg_status open_context(worker *w, const place *p, fg_error *error)
{
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.threads = p->threads;
    o.isa = p->isa;
    o.store = "";
    if (*p->uuid) o.device = "cuda";
    if (*p->driver) o.cuda_driver = p->driver;
    o.nvrtc = ""; /* nothing is compiled here */
    fg_status status = fg_context_new(&w->context, &o, error);
    if (status != FG_OK || !*p->uuid || strcmp(w->context->gpu->uuid, p->uuid) == 0) return status;
    return fail(error, FG_MACHINE, "CUDA shows %s here, where %s is to be measured",
                w->context->gpu->uuid, p->uuid);
}

static fg_dims take_dims(wire *request)
{
    fg_dims dims = FG_DIMS_INIT;
    const struct {
        int64_t *dim, most;
    } all[] = {
        { &dims.b, 1 << 20 },
        { &dims.sq, PROBLEM_MAX_LENGTH },
        { &dims.sk, PROBLEM_MAX_LENGTH },
        { &dims.total_q, PROBLEM_MAX_LENGTH << 20 },
        { &dims.total_k, PROBLEM_MAX_LENGTH << 20 },
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        *all[k].dim = wire_int_in(request, -1, all[k].most);
    return dims;
}

static fg_status serve_start(worker *w, wire *request, fg_error *error)
{
    place p;
    take_place(&p, request);
    char *line = memory_new(w->memory, problem_max_text + 1, 1);
    if (!line) return fail_memory(error);
    wire_text(request, line, problem_max_text + 1);
    const fg_dims dims = take_dims(request);
    fg_status status = wire_done(request) && !w->context ? FG_OK : refuse(error);
    if (status == FG_OK) status = open_context(w, &p, error);
    if (status == FG_OK) status = fg_problem_parse(&w->problem, w->context, line, error);
    if (status == FG_OK)
        status = session_new(&w->session, w->context, w->problem->problem, &dims, error);
    memory_free(w->memory, line, problem_max_text + 1);
    if (status == FG_OK) answer(w, FRAME_ready, NULL, 0);
    return status;
}

static fg_status serve_try(worker *w, wire *request, fg_error *error)
{
    image i;
    double seconds;
    text t;
    int id = (int)wire_int_in(request, INT_MIN, INT_MAX);
    size_t first = (size_t)wire_int_in(request, 0, request_limit);
    if (!w->session || request->failed || first > request->left) return refuse(error);
    const store_section sections[image_sections] = {
        { request->at, first }, { request->at + first, request->left - first }
    };
    if (!begin(w, id)) return FG_CANCELLED;
    fg_status status = image_read(&i, w->context, sections, image_sections, error);
    if (status == FG_OK) status = session_try(w->session, &seconds, id, &i, error);
    image_free(&i);
    if (status != FG_OK) return status;
    text_init(&t, w->memory);
    frame_add_seconds(&t, seconds);
    return answer_text(w, FRAME_tried, &t, error);
}

static fg_status time_all(worker *w, const int *ids, int count, int runs, fg_error *error)
{
    text t;
    size_t samples = (size_t)count * (size_t)runs;
    double *seconds = memory_new(w->memory, samples, sizeof *seconds);
    if (!seconds) return fail_memory(error);
    text_init(&t, w->memory);
    fg_status status = session_time(w->session, seconds, ids, count, runs, begin, w, error);
    for (size_t k = 0; k < samples && status == FG_OK; k++) frame_add_seconds(&t, seconds[k]);
    memory_free(w->memory, seconds, samples * sizeof *seconds);
    return status == FG_OK ? answer_text(w, FRAME_timed, &t, error) : status;
}

static fg_status serve_time(worker *w, wire *request, fg_error *error)
{
    int ids[measurer_most_candidates];
    int runs = (int)wire_int_in(request, 1, measurer_most_samples);
    size_t count = request->left / 8;
    if (!w->session || count < 1 || count > measurer_most_candidates ||
        count * (size_t)runs > measurer_most_samples)
        return refuse(error);
    for (size_t k = 0; k < count; k++) ids[k] = (int)wire_int_in(request, INT_MIN, INT_MAX);
    return wire_done(request) ? time_all(w, ids, (int)count, runs, error) : refuse(error);
}

static fg_status serve_drop(worker *w, wire *request, fg_error *error)
{
    int id = (int)wire_int_in(request, INT_MIN, INT_MAX);
    if (!wire_done(request) || !w->session) return refuse(error);
    session_drop(w->session, id);
    return FG_OK;
}

static fg_status (*const serve[])(worker *, wire *, fg_error *) = {
    [FRAME_start] = serve_start,
    [FRAME_try] = serve_try,
    [FRAME_time] = serve_time,
    [FRAME_drop] = serve_drop,
};

/* ---- The service ---- */

static void serve_one(worker *w, const frame *f)
{
    fg_error error = { FG_OK, -1, "" };
    wire request = wire_of(f->data, f->size);
    bool known =
        f->kind >= 0 && f->kind < (int64_t)(sizeof serve / sizeof *serve) && serve[f->kind];
    fg_status status = known ? serve[f->kind](w, &request, &error) : refuse(&error);
    if (status != FG_OK && !w->lost) answer_failure(w, &error);
    if (w->session && session_broken(w->session)) w->lost = true; /* another worker goes on */
}

static void worker_close(worker *w)
{
    session_free(w->session);
    fg_problem_free(w->problem);
    fg_context_free(w->context);
}

/* A candidate that never ends sees no end of input: who started us must not end before us. It may have done
 * so already; the socket remembers who it was. */
static bool is_wanted(int input)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getsockopt(input, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return true;
    return peer.pid == getppid() || peer.pid == getpid();
}

fg_status fg_worker(int input, int output, fg_error *error)
{
    worker w = { .end = { input, output, HUGE_VAL, NULL, NULL }, .memory = &memory_default };
    frame_result result = FRAME_RESULT_ok;
    if (!is_wanted(input)) return FG_OK;
    while (!w.lost) {
        frame f;
        result = frame_receive(&f, &w.end, request_limit, w.memory);
        if (result != FRAME_RESULT_ok) break;
        serve_one(&w, &f);
        frame_free(&f, w.memory);
    }
    worker_close(&w);
    if (result == FRAME_RESULT_memory) return fail_memory(error);
    return result == FRAME_RESULT_garbage ? refuse(error) : FG_OK;
}
