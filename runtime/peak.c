#include "runtime/device_cuda.h"
#include "runtime/kernel.h"
#include "runtime/library.h"

#include <math.h>

/* The least of some runs: what else the machine does only adds. */
static fg_status time_rounds(double *seconds, const kernel *k, int64_t rounds, int threads,
                             const run_memory *own, fg_error *error)
{
    run_numbers numbers = { .rounds = rounds };
    recipe_facts facts = k->facts;
    fg_status status = FG_OK;
    facts.threads = threads; /* a task each */
    *seconds = INFINITY;
    for (int run = 0; run < 12 && status == FG_OK; run++) {
        double start = library_seconds();
        status = kernel_run(k, NULL, &numbers, &facts, own, error);
        double took = library_seconds() - start;
        if (took < *seconds) *seconds = took;
    }
    return status;
}

/* As many rounds as take one thread, which waits for no other, so long that starting all is nothing. */
static fg_status measure(double *rounds_a_second, const kernel *k, const run_memory *own,
                         fg_error *error)
{
    const double enough = 0.01;
    int64_t rounds = 1;
    double seconds = 0;
    fg_status status = time_rounds(&seconds, k, rounds, 1, own, error);
    while (status == FG_OK && seconds < enough && rounds < INT64_MAX / 4096) {
        rounds *= seconds < enough / 64 ? 32 : 2;
        status = time_rounds(&seconds, k, rounds, 1, own, error);
    }
    if (status == FG_OK) status = time_rounds(&seconds, k, rounds, k->context->threads, own, error);
    *rounds_a_second = (double)rounds / seconds;
    return status;
}

/* With a workspace of its own, aligned within a larger block. */
static fg_status measure_kernel(double *rounds_a_second, const kernel *k, fg_error *error)
{
    const memory *m = &k->context->memory;
    run_bytes bytes;
    fg_status status = kernel_bytes(&bytes, k, &k->facts, error);
    if (status != FG_OK) return status;
    char *block = memory_new(m, bytes.workspace + 64, 1);
    if (!block) return fail_memory(error);
    const run_memory aligned = { .workspace = block + 64 - (uintptr_t)block % 64 };
    status = measure(rounds_a_second, k, &aligned, error);
    memory_free(m, block, bytes.workspace + 64);
    return status;
}

fg_status fg_context_peak(fg_context *context, double *gflops, fg_error *error)
{
    kernel *k = NULL;
    int64_t flops = 0;
    double rounds = 0;
    if (!context || !gflops) return fail(error, FG_REQUEST, "context or gflops is NULL");
    if (context->gpu)
        return fail(error, FG_UNSUPPORTED, "a GPU's rate is not measured: its context is for %s",
                    context->gpu->place);
    image i;
    fg_status status = image_make_peak(&i, context, &flops, error);
    if (status != FG_OK) return status;
    status = kernel_load(&k, context, NULL, &i, error);
    image_free(&i);
    if (status != FG_OK) return status;
    status = measure_kernel(&rounds, k, error);
    kernel_free(k);
    if (status == FG_OK) *gflops = rounds * (double)flops * context->threads / 1e9;
    return status;
}
