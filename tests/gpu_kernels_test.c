/* Kernels of the schedules on a GPU: the same bits every time, and binaries that the driver does not take. */
/* ctest: labels=gpu serial */
#include "tests/support_trial.h"
#include "tests/support_gpu.h"
#include "tests/text_stub.h"

#include "runtime/choice.h"
#include "runtime/device_cuda.h"
#include "runtime/plan.h"

#include <dlfcn.h>
#include <pthread.h>

static fg_error error;

static void works(fg_status status)
{
    ck_assert_msg(status == FG_OK, "%s: %s", fg_status_name(status), error.text);
}

static fg_context *gpu_context(const char *device, const char *kept)
{
    fg_context *context;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.device = device;
    o.store = kept;
    works(fg_context_new(&context, &o, &error));
    return context;
}

/* ---- Streams that the legacy one does not wait for ---- */

static void *driver_entry(const fg_context *context, const char *symbol)
{
    void *found = dlsym(context->gpu->driver.library, symbol);
    ck_assert_msg(found != NULL, "%s", symbol);
    return found;
}

static cuda_stream stream_new(const fg_context *context)
{
    enum { non_blocking = 1 };
    int (*create)(cuda_stream * stream, unsigned flags);
    void *found = driver_entry(context, "cuStreamCreate");
    memcpy(&create, &found, sizeof found);
    cuda_stream stream;
    ck_assert_int_eq(create(&stream, non_blocking), 0);
    return stream;
}

static void stream_free(const fg_context *context, cuda_stream stream)
{
    int (*destroy)(cuda_stream stream);
    void *found = driver_entry(context, "cuStreamDestroy_v2");
    memcpy(&destroy, &found, sizeof found);
    ck_assert_int_eq(destroy(stream), 0);
}

/* ---- A plan on a GPU's tensors ---- */

typedef struct scene {
    fg_context *context;
    trial x;
    test_mirror m;
    cuda_stream stream;
} scene;

static void scene_new(scene *s, fg_context *context, const char *config, const char *line)
{
    size_t bytes = 0;
    void *workspace = NULL;
    s->context = context;
    trial_open(&s->x, context, config, "%s", line);
    works(test_mirror_open(&s->m, context, &s->x.t, &error));
    works(fg_plan_workspace(s->x.plan, NULL, &bytes, &error));
    works(fg_memory_new(&workspace, context, bytes, &error));
    s->m.workspace = s->m.args.workspace = workspace; /* which the mirror frees */
    s->m.args.workspace_bytes = bytes;
    s->stream = s->m.args.stream = stream_new(context);
}

static void scene_free(scene *s)
{
    test_mirror_close(&s->m);
    stream_free(s->context, s->stream);
    trial_close(&s->x);
}

static void scene_run(scene *s)
{
    works(fg_run(s->x.plan, &s->m.args, &error));
    ck_assert_int_eq(s->context->gpu->driver.stream_wait(s->stream), 0);
}

/* ---- Load: another thread's runs in a stream of its own ---- */

typedef struct load {
    scene scene;
    atomic_bool ends;
    int runs, failed;
} load;

static void *run_on(void *user)
{
    enum { ahead = 4 };
    load *l = user;
    const cuda_driver *driver = &l->scene.context->gpu->driver;
    driver->context_push(l->scene.context->gpu->context);
    while (!atomic_load(&l->ends) && !l->failed) {
        for (int k = 0; k < ahead; k++)
            l->failed += fg_run(l->scene.x.plan, &l->scene.m.args, NULL) != FG_OK;
        l->failed += driver->stream_wait(l->scene.stream) != 0;
        l->runs += ahead;
    }
    return NULL;
}

/* ---- The same bits ---- */

enum { repeats = 1000 };

/* A run's o and lse are the first run's, bit for bit, though they held something else before. */
static void repeat(fg_context *context, const char *config, const char *line)
{
    static const char *const outputs[] = { "o", "lse" };
    scene s;
    scene_new(&s, context, config, line);
    fg_check_options how = FG_CHECK_OPTIONS_INIT;
    fg_check_report report = { 0 };
    how.full = 1;
    scene_run(&s);
    works(fg_check(context, s.x.handle, &s.m.args, &how, &report, &error));
    for (int k = 0; k < 2; k++) {
        const test_tensor *t = test_tensors_find(&s.x.t, outputs[k]);
        void *there = s.m.block[t - s.x.t.tensor];
        unsigned char *first = malloc(t->bytes), *now = malloc(t->bytes);
        works(fg_memory_copy(context, first, there, t->bytes, &error));
        for (int n = 0; n < repeats / 2; n++) {
            works(fg_memory_copy(context, there, t->block, t->bytes, &error));
            scene_run(&s);
            works(fg_memory_copy(context, now, there, t->bytes, &error));
            ck_assert_msg(memcmp(first, now, t->bytes) == 0, "%s of run %d differs: %s, %s",
                          outputs[k], n, line, trial_config(&s.x));
        }
        free(first);
        free(now);
    }
    printf("%d runs of %s (%s) give the same bits, %.3f of the bound\n", repeats, line,
           trial_config(&s.x), report.error_over_bound);
    scene_free(&s);
}

START_TEST(the_same_bits_under_load)
{
    static const struct {
        const char *config, *line;
    } all[] = {
        { "", "dtype=bf16 b=2 hq=4 hkv=2 sq=300 sk=333 d=128 causal lse" },
        { "share=2", "dtype=f16 b=1 hq=2 sq=200 sk=300 d=256 dropout=0.1 lse" },
        { "splits=8", "dtype=bf16 b=1 hq=8 hkv=2 sq=2 sk=5000 d=128 lse" },
        { "stages=4", "dtype=bf16 b=2 hq=2 sq=400 d=64 lens=padded lse "
                      "maskfn={doc[b][i] == doc[b][j]} tensor=doc:i32[b,sk]" },
        { "", "dtype=f32 b=1 hq=4 sq=130 d=64 causal lse" },
    };
    load l = { .failed = 0 };
    pthread_t thread;
    cuda_context popped;
    fg_context *context = gpu_context("cuda", "");
    const cuda_driver *driver = &context->gpu->driver;
    driver->context_push(context->gpu->context);
    scene_new(&l.scene, context, "", "dtype=bf16 b=2 hq=16 sq=1024 d=64 causal lse");
    ck_assert_int_eq(pthread_create(&thread, NULL, run_on, &l), 0);
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        repeat(context, all[k].config, all[k].line);
    atomic_store(&l.ends, true);
    pthread_join(thread, NULL);
    ck_assert_int_eq(l.failed, 0);
    printf("beside %d runs of another kernel\n", l.runs);
    ck_assert_int_gt(l.runs, 0);
    scene_free(&l.scene);
    driver->context_pop(&popped);
    fg_context_free(context);
}
END_TEST

/* ---- Binaries that the driver does not take ---- */

#define LINE "dtype=bf16 b=1 hq=2 sq=40 d=64 lse"

/* The store has for the problem a kernel whose binary is for an architecture that this GPU is not of. */
static void store_foreign(void)
{
    image i, other;
    store_key key;
    fg_context *context = gpu_context("cuda", folder);
    const char *other_isa = strcmp(context->gpu->isa, "sm_90") == 0 ? "sm_80" : "sm_90";
    fg_context *foreign = gpu_context(other_isa, "");
    fg_problem *p = stub_problem(context, LINE);
    works(image_make(&i, context, p->problem, NULL, NULL, &error));
    works(image_make(&other, foreign, p->problem, i.made->config, NULL, &error));
    const binary own = i.compiled;
    i.compiled = other.compiled;
    works(choice_kernel_key(&key, context, p->problem, i.made->schedule, i.made->config, NULL));
    plan_store_kernel(context, &key, &i);
    i.compiled = own;
    key_free(&key);
    image_free(&i);
    image_free(&other);
    fg_problem_free(p);
    fg_context_free(foreign);
    fg_context_free(context);
}

/* It is compiled anew, and mended for those who come after. */
START_TEST(rejected_binaries)
{
    static const fg_source sources[] = { FG_COMPILED, FG_FROM_STORE };
    in_folder();
    store_foreign();
    for (int k = 0; k < 2; k++) {
        fg_plan_info info;
        trial x;
        fg_store_counts counts;
        fg_context *context = gpu_context("cuda", folder);
        trial_open(&x, context, NULL, LINE);
        fg_plan_config(x.plan, &info);
        works(fg_store_info(context, NULL, &counts, &error));
        ck_assert_int_eq(info.source, sources[k]);
        if (k == 0) ck_assert_int_ge(counts.hits, 1); /* it was found, and did not load */
        x.t.gpu = context;
        trial_check(&x, "after a binary that does not load");
        trial_close(&x);
        fg_context_free(context);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { rejected_binaries, the_same_bits_under_load, NULL };
    return support_run_here("gpu_kernels", "cuda", tests);
}
