#include "runtime/kernel.h"
#include "runtime/library.h"

static fg_status time_rounds(double *seconds, const kernel *k, int64_t rounds, fg_error *error)
{
    run_numbers numbers = { .rounds = rounds };
    double start = library_seconds();
    fg_status status = kernel_run(k, NULL, &numbers, &k->facts, NULL, error);
    *seconds = library_seconds() - start;
    return status;
}

/* Long enough that starting the threads is nothing, short enough to be run often: the best counts. */
static fg_status measure(double *rounds_a_second, const kernel *k, fg_error *error)
{
    const double enough = 0.02;
    int64_t rounds = 1;
    double seconds = 0;
    fg_status status;
    *rounds_a_second = 0;
    while ((status = time_rounds(&seconds, k, rounds, error)) == FG_OK && seconds < enough &&
           rounds < INT64_MAX / 4)
        rounds *= 2;
    for (int turn = 0; turn < 15 && status == FG_OK; turn++) {
        status = time_rounds(&seconds, k, rounds, error);
        if (seconds > 0 && (double)rounds / seconds > *rounds_a_second)
            *rounds_a_second = (double)rounds / seconds;
    }
    return status;
}

fg_status fg_context_peak(fg_context *context, double *gflops, fg_error *error)
{
    kernel *k = NULL;
    int64_t flops = 0;
    double rounds = 0;
    if (!context || !gflops) return fail(error, FG_REQUEST, "context or gflops is NULL");
    fg_status status = kernel_new(&k, context, NULL, NULL, &flops, error);
    if (status != FG_OK) return status;
    status = measure(&rounds, k, error);
    kernel_free(k);
    *gflops = rounds * (double)flops * context->threads / 1e9;
    return status;
}
