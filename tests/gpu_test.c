/* A GPU: contexts, streams, graphs, and what a run costs the host. */
/* ctest: labels=gpu serial */
#include "tests/support_gpu.h"
#include "tests/text_stub.h"

#include "runtime/device_cuda.h"
#include "runtime/library.h"

#include <dlfcn.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE "dtype=f32 b=2 hq=4 sq=512 d=64"

enum { elements = 2 * 4 * 512 * 64, scratch = 96 << 10 };

static fg_error error;

/* o = scale q, by way of more shared memory than a kernel has without asking. */
static void stub_is_scale(void)
{
    snprintf(stub_text, sizeof stub_text, "%s",
             "struct args { const float *q; float *o; long long n; double scale; };\n"
             "extern __shared__ float tile[];\n"
             "extern \"C\" __global__ void fg_kernel(const struct args a)\n"
             "{\n"
             "    float *mine = tile + (96 << 8) - 256;\n"
             "    for (long long k = blockIdx.x * 256ll + threadIdx.x; k < a.n; k += gridDim.x * "
             "256ll) {\n"
             "        mine[threadIdx.x ^ 1] = a.q[k] * (float)a.scale;\n"
             "        __syncthreads();\n"
             "        a.o[k] = mine[threadIdx.x ^ 1];\n"
             "        __syncthreads();\n"
             "    }\n"
             "}\n");
    stub_threads = 256;
    stub_tasks = "threads";
    stub_scratch = "98304";
    stub_slots = 0;
    stub_add_slot(SLOT_pointer, "q", 0);
    stub_add_slot(SLOT_pointer, "o", 0);
    stub_add_slot(SLOT_recipe, "b * hq * sq * d", 0);
    stub_add_slot(SLOT_real, "scale", 0);
}

/* ---- A plan and its tensors ---- */

typedef struct scene {
    fg_context *context;
    fg_problem *problem;
    fg_plan *plan;
    stub_run run;
    float *here;
    void *there[operand_max];
} scene;

static void works(fg_status status)
{
    ck_assert_msg(status == FG_OK, "%s: %s", fg_status_name(status), error.text);
}

static void refuses(fg_status status, fg_status wanted, const char *part)
{
    ck_assert_msg(status == wanted, "%s: %s", fg_status_name(status), error.text);
    ck_assert_msg(strstr(error.text, part) != NULL, "%s", error.text);
}

static void scene_new(scene *s)
{
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    *s = (scene){ .context = NULL };
    o.device = "cuda";
    o.store = "";
    stub_is_scale();
    s->context = stub_context(&o);
    s->context->maker = &text_maker;
    s->problem = stub_problem(s->context, LINE);
    s->plan = stub_plan(s->context, s->problem);
    stub_run_new(&s->run, s->problem, 0);
    s->here = malloc(elements * sizeof *s->here);
    for (int k = 0; k < elements; k++) s->here[k] = (float)(k % 1000);
    for (int k = 0; k < s->run.count; k++) {
        works(fg_memory_new(&s->there[k], s->context, elements * sizeof(float), &error));
        works(fg_memory_copy(s->context, s->there[k], s->here, elements * sizeof(float), &error));
        s->run.tensor[k].data = s->there[k];
        s->run.tensor[k].device = (DLDevice){ 2, 0 };
    }
}

static void scene_free(scene *s)
{
    for (int k = 0; k < s->run.count; k++) fg_memory_free(s->context, s->there[k]);
    free(s->here);
    stub_run_free(&s->run);
    fg_plan_free(s->plan);
    fg_problem_free(s->problem);
    fg_context_free(s->context);
}

static fg_status scene_run(scene *s)
{
    return fg_run(s->plan, &s->run.args, &error);
}

/* What is in o is this many times what is in q. */
static void scene_is(scene *s, float scale)
{
    float *back = malloc(elements * sizeof *back);
    works(fg_context_wait(s->context, &error));
    works(fg_memory_copy(s->context, back, s->run.args.o->data, elements * sizeof *back, &error));
    for (int k = 0; k < elements; k++)
        ck_assert_msg(back[k] == s->here[k] * scale, "o[%d] is %g", k, (double)back[k]);
    free(back);
}

/* ---- Of the driver, what the library does without ---- */

typedef struct cuda_graph_handle *cuda_graph;

#define MORE_ENTRIES(X)                                                                            \
    X(context_new, "cuCtxCreate_v2", (cuda_context * context, unsigned flags, int device))         \
    X(context_free, "cuCtxDestroy_v2", (cuda_context context))                                     \
    X(stream_new, "cuStreamCreate", (cuda_stream * stream, unsigned flags))                        \
    X(stream_free, "cuStreamDestroy_v2", (cuda_stream stream))                                     \
    X(capture, "cuStreamBeginCapture_v2", (cuda_stream stream, int mode))                          \
    X(captured, "cuStreamEndCapture", (cuda_stream stream, cuda_graph * graph))                    \
    X(instantiate, "cuGraphInstantiateWithFlags",                                                  \
      (cuda_graph * executable, cuda_graph graph, unsigned long long flags))                       \
    X(replay, "cuGraphLaunch", (cuda_graph executable, cuda_stream stream))

typedef struct more {
#define MORE_ENTRY(name, symbol, arguments) int(*name) arguments;
    MORE_ENTRIES(MORE_ENTRY)
#undef MORE_ENTRY
} more;

static more more_of(const scene *s)
{
    more m;
    void *found;
#define MORE_ENTRY(name, symbol, arguments)                                                        \
    found = dlsym(s->context->gpu->driver.library, symbol);                                        \
    ck_assert_msg(found != NULL, "%s", symbol);                                                    \
    memcpy(&m.name, &found, sizeof found);
    MORE_ENTRIES(MORE_ENTRY)
#undef MORE_ENTRY
    return m;
}

/* ---- Tests ---- */

START_TEST(a_run)
{
    scene s;
    scene_new(&s);
    s.run.args.scale = 3;
    works(scene_run(&s));
    scene_is(&s, 3);
    scene_free(&s);
}
END_TEST

START_TEST(streams)
{
    scene s;
    cuda_context foreign;
    cuda_stream stream, theirs;
    scene_new(&s);
    const more m = more_of(&s);
    const device_cuda *d = s.context->gpu;
    ck_assert_int_eq(m.context_new(&foreign, 0, d->handle), 0); /* is current from here */
    ck_assert_int_eq(m.stream_new(&theirs, 1), 0);
    s.run.args.stream = theirs;
    refuses(scene_run(&s), FG_REQUEST, "the stream is of another context");
    s.run.args.stream = NULL;
    s.run.args.scale = 4;
    works(scene_run(&s));
    cuda_context current = NULL;
    ck_assert_int_eq(d->driver.context_current(&current), 0);
    ck_assert_ptr_eq(current, foreign);
    ck_assert_int_eq(m.stream_free(theirs), 0);
    ck_assert_int_eq(m.context_free(foreign), 0);
    scene_is(&s, 4);
    ck_assert_int_eq(d->driver.context_push(d->context), 0);
    ck_assert_int_eq(m.stream_new(&stream, 1), 0);
    s.run.args.stream = stream;
    s.run.args.scale = 5;
    works(scene_run(&s));
    scene_is(&s, 5);
    ck_assert_int_eq(m.stream_free(stream), 0);
    ck_assert_int_eq(d->driver.context_pop(&current), 0);
    scene_free(&s);
}
END_TEST

/* The plan's first run is captured, in the strictest mode, while another plan is made. */
START_TEST(graphs)
{
    scene s, other;
    cuda_stream stream;
    cuda_graph graph, executable;
    cuda_context popped;
    scene_new(&s);
    const more m = more_of(&s);
    const device_cuda *d = s.context->gpu;
    ck_assert_int_eq(d->driver.context_push(d->context), 0);
    ck_assert_int_eq(m.stream_new(&stream, 1), 0);
    s.run.args.stream = stream;
    s.run.args.scale = 7;
    ck_assert_int_eq(m.capture(stream, 0), 0);
    works(scene_run(&s));
    works(scene_run(&s));
    scene_new(&other);
    ck_assert_int_eq(m.captured(stream, &graph), 0);
    scene_is(&s, 1);
    ck_assert_int_eq(m.instantiate(&executable, graph, 0), 0);
    for (int k = 0; k < 2; k++) ck_assert_int_eq(m.replay(executable, stream), 0);
    scene_is(&s, 7);
    works(scene_run(&other));
    scene_free(&other);
    ck_assert_int_eq(m.stream_free(stream), 0);
    ck_assert_int_eq(d->driver.context_pop(&popped), 0);
    scene_free(&s);
}
END_TEST

START_TEST(wrong_memory)
{
    scene s;
    scene_new(&s);
    DLTensor *q = &s.run.tensor[0];
    q->data = s.here;
    refuses(scene_run(&s), FG_REQUEST, "q is in the host's memory: this plan runs on cuda:0");
    q->data = (char *)s.there[0] + 4;
    refuses(scene_run(&s), FG_REQUEST, "q is not aligned to 16 bytes");
    q->data = s.there[0];
    q->device.device_type = 1;
    refuses(scene_run(&s), FG_REQUEST, "it must be on cuda:0");
    scene_free(&s);
}
END_TEST

START_TEST(after_a_fork)
{
    int how;
    scene s;
    scene_new(&s);
    works(scene_run(&s));
    pid_t child = fork();
    if (child == 0) {
        fg_context *context;
        fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
        o.device = "cuda";
        void *block;
        bool right =
            scene_run(&s) == FG_MACHINE && strstr(error.text, "forked") &&
            fg_context_new(&context, &o, &error) == FG_MACHINE &&
            fg_memory_new(&block, s.context, 1, &error) == FG_MACHINE &&
            fg_check(s.context, s.problem, &s.run.args, NULL, NULL, &error) == FG_MACHINE &&
            fg_context_wait(s.context, &error) == FG_MACHINE;
        fg_plan_free(s.plan);
        _exit(right ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "it ended with %d", how);
    s.run.args.scale = 2;
    works(scene_run(&s));
    scene_is(&s, 2);
    scene_free(&s);
}
END_TEST

START_TEST(times)
{
    enum { runs = 100 };
    double seconds[runs];
    scene s;
    scene_new(&s);
    const fg_args *args[] = { &s.run.args };
    works(fg_plan_time(s.plan, args, 1, seconds, runs, &error));
    for (int k = 0; k < runs; k++) {
        ck_assert_double_gt(seconds[k], 1e-6);
        ck_assert_double_lt(seconds[k], 0.1);
    }
    printf("a run takes the GPU %.2f us\n", 1e6 * seconds[runs / 2]);
    scene_free(&s);
}
END_TEST

/* Seconds of a launch to the host, of fewer than a stream holds. */
static double launch_seconds(scene *s, bool bare)
{
    enum { launches = 100 };
    const device_cuda *d = s->context->gpu;
    int64_t slots[] = { (int64_t)s->there[0], (int64_t)s->run.args.o->data, 256, 0 };
    void *parameters[] = { slots };
    cuda_launch config = { 1, 1, 1, 256, 1, 1, scratch, NULL, NULL, 0 };
    works(fg_context_wait(s->context, &error));
    double start = library_seconds();
    for (int k = 0; k < launches; k++)
        if (bare)
            d->driver.launch(&config, s->plan->kernel->step[0].entry, parameters, NULL);
        else
            fg_run(s->plan, &s->run.args, NULL);
    return (library_seconds() - start) / launches;
}

START_TEST(what_a_run_costs_the_host)
{
    enum { rounds = 50 };
    scene s;
    cuda_context popped;
    scene_new(&s);
    const device_cuda *d = s.context->gpu;
    works(scene_run(&s));
    double pushed = 1, run = 1, bare = 1;
    for (int r = 0; r < rounds; r++) { /* in turn: what slows the host falls on each */
        pushed = fmin(pushed, launch_seconds(&s, false));
        ck_assert_int_eq(d->driver.context_push(d->context), 0);
        run = fmin(run, launch_seconds(&s, false));
        bare = fmin(bare, launch_seconds(&s, true));
        ck_assert_int_eq(d->driver.context_pop(&popped), 0);
    }
    printf("a run takes the host %.2f us (%.2f with another context current), a bare launch %.2f\n",
           1e6 * run, 1e6 * pushed, 1e6 * bare);
    ck_assert_double_lt(run, bare + 1e-6);
    scene_free(&s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_run, streams, graphs, wrong_memory, times, what_a_run_costs_the_host, after_a_fork, NULL,
    };
    return support_run_here("gpu", "cuda", tests);
}
