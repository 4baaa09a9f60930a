#include "autotune/remote.h"

#include "runtime/device_cuda.h"
#include "runtime/executable.h"
#include "runtime/library.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The executable ---- */

/* Beside the library: in its own folder, or in bin beside it. */
static bool find_beside(char out[PATH_MAX])
{
    static const char *const names[] = { "../bin/flashgen", "flashgen" };
    char library[PATH_MAX];
    Dl_info info;
    if (!dladdr((void *)(uintptr_t)remote_init, &info) || !info.dli_fname) return false;
    if (!strchr(info.dli_fname, '/') || !realpath(info.dli_fname, library)) return false;
    int folder = (int)(strrchr(library, '/') - library);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char path[PATH_MAX];
        int wrote = snprintf(path, sizeof path, "%.*s/%s", folder, library, names[k]);
        if (wrote < PATH_MAX && executable_find(out, path)) return true;
    }
    return false;
}

fg_status remote_init(remote *r, const measurer_options *options, fg_error *error)
{
    const fg_context *context = options->context;
    *r = (remote){ .options = *options, .dims = FG_DIMS_INIT, .patience = options->seconds };
    if (options->dims) r->dims = *options->dims;
    if (context->secure)
        return fail(error, FG_MACHINE, "a setuid process starts no worker to measure in");
    if (context->worker) {
        if (executable_find(r->path, context->worker)) return FG_OK;
        return fail(error, FG_MACHINE,
                    "%.300s, which is to measure, is no executable file: give the path of the "
                    "flashgen command as the context's worker",
                    context->worker);
    }
    if (find_beside(r->path) || executable_find(r->path, "flashgen")) return FG_OK;
    return fail(error, FG_MACHINE,
                "there is no flashgen command beside the library or on PATH to measure in: give "
                "its path as the context's worker, or measure in this process");
}

/* ---- Losing it ---- */

static bool gone(void *user)
{
    return process_has_ended(user);
}

static frame_end end_of(remote *r)
{
    return (frame_end){ r->process.socket, r->process.socket, library_seconds() + r->patience, gone,
                        &r->process };
}

void remote_end(remote *r)
{
    process_result result;
    if (r->running) process_stop(&result, &r->process, 0);
    r->running = false;
}

static void describe(char *out, size_t size, const remote *r, frame_result why,
                     const process_result *result)
{
    if (why == FRAME_RESULT_late)
        snprintf(out, size, "hung: ended after %lld ms", (long long)(r->patience * 1000));
    else if (why == FRAME_RESULT_garbage)
        snprintf(out, size, "broke the worker: what it says makes no sense");
    else if (result->end == PROCESS_late)
        snprintf(out, size, "broke the worker: it says nothing more");
    else if (result->end == PROCESS_killed)
        snprintf(out, size, "crashed by signal %d", result->code);
    else if (result->end == PROCESS_exited && result->code >= 0)
        snprintf(out, size, "ended the process with exit code %d", result->code);
    else
        snprintf(out, size, "ended the process");
}

/* Its last words may say more than its end. */
static fg_status lose(remote *r, frame_result why, fg_error *error)
{
    static const double dying = 5; /* seconds for a sanitizer's report or a core file */
    char what[100];
    process_result result;
    if (why == FRAME_RESULT_memory) {
        remote_end(r);
        return fail_memory(error);
    }
    process_stop(&result, &r->process, why == FRAME_RESULT_closed ? dying : 0);
    r->running = false;
    describe(what, sizeof what, r, why, &result);
    if (r->begun) return fail(error, FG_WRONG, "%s", what);
    return fail(error, FG_MACHINE, "the worker %.300s %s%s%.1200s", r->path, what,
                result.length ? ": " : "", result.output);
}

/* ---- Conversation ---- */

/* What is asked, and what may come back. */
typedef struct request {
    frame_kind kind, reply;
    const store_section *parts;
    int part_count;
    const int *ids; /* that may begin, up to so many times in all */
    int id_count, begins;
    size_t reply_size;
} request;

static frame_result take_begin(remote *r, request *q, const frame *f)
{
    wire w = wire_of(f->data, f->size);
    int64_t id = wire_int(&w);
    bool known = false;
    for (int k = 0; k < q->id_count; k++) known = known || q->ids[k] == id;
    if (!wire_done(&w) || !known || q->begins-- <= 0) return FRAME_RESULT_garbage;
    r->begun = true;
    r->culprit = (int)id;
    frame_end end = end_of(r);
    return frame_send(&end, FRAME_go, NULL, 0);
}

/* The worker goes on. */
static fg_status take_failure(frame_result *result, const frame *f, fg_error *error)
{
    char sentence[FG_ERROR_TEXT];
    wire w = wire_of(f->data, f->size);
    fg_status status = (fg_status)wire_int_in(&w, FG_OK + 1, FG_NOT_STORED);
    wire_text(&w, sentence, sizeof sentence);
    if (!wire_done(&w)) *result = FRAME_RESULT_garbage;
    return fail(error, status, "%s", sentence);
}

static frame_result ask(remote *r, const request *q)
{
    frame_end end = end_of(r);
    r->begun = false;
    return frame_send(&end, q->kind, q->parts, q->part_count);
}

/* `result`: of asking. On FG_OK the reply is the caller's. */
static fg_status hear(remote *r, request q, frame_result result, frame *reply, fg_error *error)
{
    const memory *m = &r->options.context->memory;
    const size_t most = sizeof(fg_error) > q.reply_size ? sizeof(fg_error) : q.reply_size;
    fg_status status = FG_OK;
    for (bool done = false; result == FRAME_RESULT_ok && !done;) {
        frame_end end = end_of(r);
        if ((result = frame_receive(reply, &end, most, m)) != FRAME_RESULT_ok) break;
        done = reply->kind != FRAME_begin;
        if (!done)
            result = take_begin(r, &q, reply);
        else if (reply->kind == FRAME_failed)
            status = take_failure(&result, reply, error);
        else if (reply->kind == (int64_t)q.reply && reply->size == q.reply_size)
            return FG_OK;
        else
            result = FRAME_RESULT_garbage;
        frame_free(reply, m);
    }
    return result == FRAME_RESULT_ok ? status : lose(r, result, error);
}

static fg_status converse(remote *r, request q, frame *reply, fg_error *error)
{
    return hear(r, q, ask(r, &q), reply, error);
}

/* ---- Requests ---- */

static fg_status spawn(remote *r, fg_error *error)
{
    static char word[] = "worker";
    /* So that it finds its libraries and runs its threads as the host does. */
    static const char *const kept[] = { "LD_LIBRARY_PATH",   "TMPDIR",     "OMP_WAIT_POLICY",
                                        "OMP_PROC_BIND",     "OMP_PLACES", "GOMP_SPINCOUNT",
                                        "GOMP_CPU_AFFINITY", NULL };
    static const char *const kept_by_gpu[] = { "LD_LIBRARY_PATH", "TMPDIR",
                                               "CUDA_MPS_PIPE_DIRECTORY", NULL };
    /* Its threads check what the GPU wrote: those that wait leave the cores to compilers. */
    static char waiting[] = "OMP_WAIT_POLICY=passive";
    char *const argv[] = { r->path, word, NULL };
    char visible[96]; /* the same GPU, however the host counts them */
    const device_cuda *gpu = r->options.context->gpu;
    snprintf(visible, sizeof visible, "CUDA_VISIBLE_DEVICES=%s", gpu ? gpu->uuid : "");
    char *const own[] = { gpu ? visible : NULL, waiting, NULL };
    int e = process_start(&r->process, argv, gpu ? kept_by_gpu : kept, own);
    if (e)
        return fail(error, FG_MACHINE, "the worker %.300s cannot be started (errno %d)", r->path,
                    e);
    r->running = true;
    return FG_OK;
}

static void add_dims(text *t, const fg_dims *dims)
{
    const int64_t all[] = { dims->b, dims->sq, dims->sk, dims->total_q, dims->total_k };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) wire_add_int(t, all[k]);
}

static void add_place(text *t, const fg_context *context)
{
    const char *driver = context->gpu ? context->cuda_driver : NULL;
    wire_add_int(t, context->threads);
    wire_add_text(t, context->device.isa->name);
    wire_add_text(t, context->gpu ? context->gpu->uuid : "");
    wire_add_text(t, driver ? driver : "");
}

/* CUDA takes its time to start, where there are many GPUs. */
static double starting(const remote *r)
{
    return r->options.context->gpu ? fmax(r->options.seconds, 60) : r->options.seconds;
}

fg_status remote_start(remote *r, fg_error *error)
{
    text t;
    fg_status status = spawn(r, error);
    if (status != FG_OK) return status;
    text_init(&t, &r->options.context->memory);
    add_place(&t, r->options.context);
    wire_add_text(&t, r->options.problem->text);
    add_dims(&t, &r->dims);
    const store_section part = { t.data, t.length };
    const request q = { .kind = FRAME_start, .parts = &part, .part_count = 1 };
    r->starting = true;
    r->asked = t.failed ? FRAME_RESULT_memory : ask(r, &q);
    text_free(&t);
    return FG_OK;
}

fg_status remote_ready(remote *r, fg_error *error)
{
    frame reply;
    const request q = { .kind = FRAME_start, .reply = FRAME_ready };
    if (!r->starting) return FG_OK;
    r->starting = false;
    r->patience = starting(r);
    fg_status status = hear(r, q, r->asked, &reply, error);
    r->patience = r->options.seconds;
    if (status != FG_OK) remote_end(r);
    return status;
}

fg_status remote_try(remote *r, double *seconds, int id, const store_section *sections,
                     fg_error *error)
{
    text t;
    frame reply;
    text_init(&t, &r->options.context->memory);
    wire_add_int(&t, id);
    wire_add_int(&t, (int64_t)sections[0].size);
    const store_section parts[] = { { t.data, t.length }, sections[0], sections[1] };
    const request q = { FRAME_try, FRAME_tried, parts, 3, &id, 1, 1, 8 };
    fg_status status = t.failed ? fail_memory(error) : converse(r, q, &reply, error);
    text_free(&t);
    if (status != FG_OK) return status;
    wire w = wire_of(reply.data, reply.size);
    *seconds = frame_seconds(&w);
    frame_free(&reply, &r->options.context->memory);
    return w.failed ? lose(r, FRAME_RESULT_garbage, error) : FG_OK;
}

fg_status remote_time(remote *r, double *samples, const int *ids, int count, int runs,
                      fg_error *error)
{
    text t;
    frame reply;
    const int all = count * runs;
    text_init(&t, &r->options.context->memory);
    wire_add_int(&t, runs);
    for (int k = 0; k < count; k++) wire_add_int(&t, ids[k]);
    const store_section part = { t.data, t.length };
    const request q = { FRAME_time, FRAME_timed, &part, 1, ids, count, all, 8 * (size_t)all };
    fg_status status = t.failed ? fail_memory(error) : converse(r, q, &reply, error);
    text_free(&t);
    if (status != FG_OK) return status;
    wire w = wire_of(reply.data, reply.size);
    for (int k = 0; k < all; k++) samples[k] = frame_seconds(&w);
    frame_free(&reply, &r->options.context->memory);
    return w.failed ? lose(r, FRAME_RESULT_garbage, error) : FG_OK;
}

/* One that cannot be told is noticed by the next request. */
void remote_drop(remote *r, int id)
{
    char bytes[wire_int_bytes];
    const store_section part = { bytes, sizeof bytes };
    frame_end end = end_of(r);
    wire_put_int(bytes, id);
    if (r->running) frame_send(&end, FRAME_drop, &part, 1);
}
