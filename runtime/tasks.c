/* Tasks on the threads of this process. */
#include "runtime/backend_c.h"
#include "runtime/library.h"

#include <omp.h>

typedef void (*task_entry)(const void *args, void *scratch, int64_t first, int64_t last);

static task_entry entry_of(const launch *what)
{
    return (task_entry)(uintptr_t)what->entry;
}

static char *scratch_of(const launch *what, int64_t worker)
{
    return what->scratch ? what->scratch + worker * what->scratch_bytes : NULL;
}

/* What the host's parallel_for is given, and whether it did as it should. */
typedef struct hosted {
    const launch *what;
    int threads;
    atomic_int_least64_t done;
    atomic_bool wrong;
} hosted;

static void hosted_task(void *data, int64_t worker, int64_t first, int64_t last)
{
    hosted *h = data;
    const launch *what = h->what;
    if (worker < 0 || worker >= h->threads || first < 0 || last > what->tasks || first > last) {
        atomic_store(&h->wrong, true);
        return;
    }
    entry_of(what)(what->args, scratch_of(what, worker), first, last);
    atomic_fetch_add(&h->done, last - first);
}

static fg_status run_hosted(const fg_context *context, const launch *what, fg_error *error)
{
    hosted h = { .what = what, .threads = context->threads };
    void *user = what->host ? what->host : context->parallel_user;
    context->parallel_for(user, what->tasks, hosted_task, &h);
    if (!atomic_load(&h.wrong) && atomic_load(&h.done) == what->tasks) return FG_OK;
    return fail(
        error, FG_REQUEST,
        "the host's parallel_for must cover tasks 0 to %lld once each, with workers below %d",
        (long long)what->tasks, context->threads);
}

/* Few enough pieces that handing them out costs nothing, enough that the last ones are small. */
static int64_t piece_of(const launch *what, int threads)
{
    int64_t piece = what->tasks / (64 * (int64_t)threads);
    return piece > 1 ? piece : 1;
}

static void run_openmp(const launch *what, int threads)
{
    const int64_t piece = piece_of(what, threads), pieces = (what->tasks + piece - 1) / piece;
#pragma omp parallel num_threads(threads)
    {
        char *scratch = scratch_of(what, omp_get_thread_num());
#pragma omp for schedule(dynamic, 1)
        for (int64_t p = 0; p < pieces; p++) {
            int64_t first = p * piece,
                    last = first + piece < what->tasks ? first + piece : what->tasks;
            entry_of(what)(what->args, scratch, first, last);
        }
    }
}

static int threads_for(const fg_context *context, const launch *what)
{
    return what->tasks < context->threads ? (int)what->tasks : context->threads;
}

void tasks_run_here(const fg_context *context, const launch *what)
{
    int threads = threads_for(context, what);
    if (what->tasks <= 0) return;
    if (threads == 1 || library_forked())
        entry_of(what)(what->args, what->scratch, 0, what->tasks);
    else
        run_openmp(what, threads);
}

fg_status tasks_run(const fg_context *context, const launch *what, fg_error *error)
{
    bool by_host = context->parallel_for && threads_for(context, what) > 1 && !library_forked();
    if (by_host) return run_hosted(context, what, error);
    tasks_run_here(context, what);
    return FG_OK;
}
