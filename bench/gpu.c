/* What a GPU's kernels cost the host, in a process that has done nothing before.
 *
 * usage: bench_gpu first 'PROBLEM' [STORE]
 *        bench_gpu host 'PROBLEM'
 *
 * first: seconds from fg_context_new to the first result, CUDA's primary context being there and NVRTC never loaded;
 * STORE: a directory for kernels (none). Prints: total; of it fg_context_new, generate, compile, load, and running until
 * it is done; starting CUDA, before; and where the kernel came from. Filling the inputs is in none of them.
 *
 * host: microseconds that a run of one kernel takes the host, and those of a bare launch of that kernel with the same
 * arguments, as a graph that captured a run holds it: the least of many rounds that take turns, each of fewer launches
 * than a stream holds. */
#include "bench.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Of the driver, what a host program of its own would call ---- */

/* CUDA_KERNEL_NODE_PARAMS_v2 */
typedef struct kernel_node {
    void *function;
    unsigned blocks[3], threads[3], shared_bytes;
    void **parameters, **extra;
    void *kernel, *context;
} kernel_node;

/* X(name, symbol, arguments): all return a CUresult. */
#define ENTRIES(X)                                                                                 \
    X(init, "cuInit", (unsigned flags))                                                            \
    X(retain, "cuDevicePrimaryCtxRetain", (void **context, int device))                            \
    X(set_current, "cuCtxSetCurrent", (void *context))                                             \
    X(stream_new, "cuStreamCreate", (void **stream, unsigned flags))                               \
    X(wait, "cuStreamSynchronize", (void *stream))                                                 \
    X(capture, "cuStreamBeginCapture_v2", (void *stream, int mode))                                \
    X(captured, "cuStreamEndCapture", (void *stream, void **graph))                                \
    X(nodes, "cuGraphGetNodes", (void *graph, void **nodes, size_t *count))                        \
    X(node, "cuGraphKernelNodeGetParams_v2", (void *node, kernel_node *out))                       \
    X(launch, "cuLaunchKernel",                                                                    \
      (void *function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z,                    \
       unsigned threads_x, unsigned threads_y, unsigned threads_z, unsigned shared_bytes,          \
       void *stream, void **parameters, void **extra))

typedef struct driver {
#define ENTRY(name, symbol, arguments) int(*name) arguments;
    ENTRIES(ENTRY)
#undef ENTRY
} driver;

static void fail(const char *what)
{
    fprintf(stderr, "bench_gpu: %s\n", what);
    exit(3);
}

static void works(int code, const char *what)
{
    if (code == 0) return;
    fprintf(stderr, "bench_gpu: %s: CUDA's error %d\n", what, code);
    exit(3);
}

/* Makes the primary context of the first GPU, as PyTorch would have before. */
static driver start_cuda(void)
{
    driver d;
    void *library = dlopen("libcuda.so.1", RTLD_NOW), *found, *context;
    if (!library) fail(dlerror());
#define ENTRY(name, symbol, arguments)                                                             \
    found = dlsym(library, symbol);                                                                \
    if (!found) fail("the driver has no " symbol);                                                 \
    memcpy(&d.name, &found, sizeof found);
    ENTRIES(ENTRY)
#undef ENTRY
    works(d.init(0), "cuInit");
    works(d.retain(&context, 0), "cuDevicePrimaryCtxRetain");
    works(d.set_current(context), "cuCtxSetCurrent");
    return d;
}

/* ---- The first result ---- */

static void first(const char *line, const char *store)
{
    static const char *const sources[] = { "memory", "store", "bundle", "compiled" };
    subject s;
    fg_error error;
    const double before = bench_seconds();
    start_cuda();
    const double start = bench_seconds();
    fg_context *context = bench_context_on("cuda", store);
    const double made = bench_seconds();
    subject_open(&s, context, line, NULL, 0);
    const double planned = bench_seconds();
    subject_run(&s);
    bench_need(fg_context_wait(context, &error), &error);
    const double ran = bench_seconds();
    printf("%.6f %.6f %.6f %.6f %.6f %.6f %.6f %s\n", ran - start - s.input_seconds, made - start,
           s.info.generate_seconds, s.info.compile_seconds, s.info.load_seconds, ran - planned,
           start - before, sources[s.info.source]);
    subject_close(&s);
    fg_context_free(context);
}

/* ---- The host's time ---- */

/* What a run launches: one kernel. Its parameters live as long as the graph, which stays. */
static kernel_node capture(const driver *d, const subject *s)
{
    enum { relaxed = 2 };
    void *stream = s->args.stream, *graph, *node;
    size_t count = 0;
    kernel_node out = { 0 };
    works(d->capture(stream, relaxed), "cuStreamBeginCapture");
    subject_run(s);
    works(d->captured(stream, &graph), "cuStreamEndCapture");
    works(d->nodes(graph, NULL, &count), "cuGraphGetNodes");
    if (count != 1) fail("this problem is more than one launch");
    works(d->nodes(graph, &node, &count), "cuGraphGetNodes");
    works(d->node(node, &out), "cuGraphKernelNodeGetParams");
    return out;
}

static void launch(const driver *d, const kernel_node *k, void *stream)
{
    works(d->launch(k->function, k->blocks[0], k->blocks[1], k->blocks[2], k->threads[0],
                    k->threads[1], k->threads[2], k->shared_bytes, stream, k->parameters, NULL),
          "cuLaunchKernel");
}

/* Microseconds of one, of many that a stream holds. `k` NULL: a run; else a bare launch. */
static double round_of(const driver *d, const subject *s, const kernel_node *k)
{
    enum { launches = 100 };
    works(d->wait(s->args.stream), "cuStreamSynchronize");
    const double start = bench_seconds();
    for (int n = 0; n < launches; n++)
        if (k)
            launch(d, k, s->args.stream);
        else
            subject_run(s);
    return 1e6 * (bench_seconds() - start) / launches;
}

static void host(const char *line)
{
    enum { rounds = 300 };
    subject s;
    const driver d = start_cuda();
    fg_context *context = bench_context_on("cuda", NULL);
    subject_open(&s, context, line, NULL, 0);
    works(d.stream_new(&s.args.stream, 1), "cuStreamCreate");
    subject_run(&s);
    const kernel_node k = capture(&d, &s);
    double run = INFINITY, bare = INFINITY;
    for (int r = 0; r < rounds; r++) { /* in turn: neighbours fall on both */
        run = fmin(run, round_of(&d, &s, NULL));
        bare = fmin(bare, round_of(&d, &s, &k));
    }
    printf("%.3f %.3f\n", run, bare);
    works(d.wait(s.args.stream), "cuStreamSynchronize");
    subject_close(&s);
    fg_context_free(context);
}

int main(int argc, char **argv)
{
    if (argc >= 3 && argc <= 4 && strcmp(argv[1], "first") == 0)
        first(argv[2], argv[3]);
    else if (argc == 3 && strcmp(argv[1], "host") == 0)
        host(argv[2]);
    else
        fail("usage: bench_gpu first 'PROBLEM' [STORE], or bench_gpu host 'PROBLEM'");
    return 0;
}
