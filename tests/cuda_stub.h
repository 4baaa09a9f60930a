/* Contexts on the devices of tests/fake_cuda.h, and runs on their memory. */
#ifndef TESTS_CUDA_STUB_H
#define TESTS_CUDA_STUB_H

#include "runtime/device_cuda.h"
#include "tests/fake_cuda.h"
#include "tests/runtime_stub.h"

#include <dlfcn.h>

/* The library's state; it stays loaded. */
static inline fake_cuda *fake(void)
{
    void *library = dlopen(FLASHGEN_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    ck_assert_msg(library != NULL, "%s", dlerror());
    fake_cuda *f = dlsym(library, FAKE_CUDA_STATE);
    ck_assert_ptr_nonnull(f);
    dlclose(library);
    return f;
}

static inline int fake_count(const char *symbol)
{
    const struct fake_call *c = fake()->call;
    while (c->symbol && strcmp(c->symbol, symbol) != 0) c++;
    return c->count;
}

/* From its next call on, so many calls of `symbol` give `code`. */
static inline void fake_fail(const char *symbol, int calls, int code)
{
    fake_cuda *f = fake();
    f->fail_from = fake_count(symbol) + 1;
    f->fail_count = calls;
    f->fail_code = code;
    f->fail_symbol = symbol;
}

static inline fg_context_options cuda_options(const char *device)
{
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.device = device;
    o.cuda_driver = o.nvrtc = FLASHGEN_FAKE_CUDA;
    o.store = "";
    return o;
}

static inline fg_context *gpu_context(const char *device)
{
    fg_context_options o = cuda_options(device);
    return stub_context(&o);
}

/* A kernel of one step that stores `number` to o[0]; of 128 threads. */
static inline void cuda_is_number(int number)
{
    snprintf(stub_text, sizeof stub_text, "fg_kernel fg_prepare program %%d\n");
    stub_number = number;
    stub_threads = 128;
    stub_slots = 0;
    stub_add_slot(SLOT_pointer, "o", 0);
}

/* One run's tensors, moved to the device. */
typedef struct cuda_run {
    stub_run run;
    const device_cuda *device;
    cuda_address block[operand_max];
} cuda_run;

static inline void cuda_run_new(cuda_run *r, fg_context *context, const fg_problem *p)
{
    device_cuda_visit v;
    stub_run_new(&r->run, p, 0);
    r->device = context->gpu;
    ck_assert_int_eq(device_cuda_enter_slowly(&v, r->device, NULL), FG_OK);
    for (int k = 0; k < r->run.count; k++) {
        ck_assert_int_eq(r->device->driver.memory_new(&r->block[k], 1 << 16), 0);
        r->run.tensor[k].data = (void *)(uintptr_t)r->block[k];
        r->run.tensor[k].device = (DLDevice){ 2, r->device->index };
    }
    device_cuda_leave_slowly(&v, r->device);
}

static inline void cuda_run_free(cuda_run *r)
{
    device_cuda_visit v;
    ck_assert_int_eq(device_cuda_enter_slowly(&v, r->device, NULL), FG_OK);
    for (int k = 0; k < r->run.count; k++) r->device->driver.memory_free(r->block[k]);
    device_cuda_leave_slowly(&v, r->device);
    stub_run_free(&r->run);
}

static inline double cuda_result(const cuda_run *r)
{
    return *(const double *)r->run.args.o->data;
}

/* ---- A plan and what it runs on ---- */

#define LINE "dtype=f64 b=1 hq=4 sq=64 d=4"

static fg_error error;

/* A plan of a number, and what it runs on. */
typedef struct scene {
    fg_context *context;
    fg_problem *problem;
    fg_plan *plan;
    cuda_run run;
} scene;

static inline void scene_new(scene *s, const char *device, int number)
{
    cuda_is_number(number);
    s->context = gpu_context(device);
    s->problem = stub_problem(s->context, LINE);
    s->plan = stub_plan(s->context, s->problem);
    cuda_run_new(&s->run, s->context, s->problem);
}

static inline void scene_free(scene *s)
{
    cuda_run_free(&s->run);
    fg_plan_free(s->plan);
    fg_problem_free(s->problem);
    fg_context_free(s->context);
}

static inline fg_status scene_run(scene *s)
{
    return fg_run(s->plan, &s->run.run.args, &error);
}

/* Of the sentence, what tells this failure from others. */
static inline void refuses(fg_status status, fg_status wanted, const char *part)
{
    ck_assert_msg(status == wanted, "%s: %s", fg_status_name(status), error.text);
    ck_assert_msg(strstr(error.text, part) != NULL, "%s", error.text);
}

static inline fg_status plan_again(scene *s, const char *line, fg_source *source)
{
    fg_plan *plan;
    fg_plan_info info;
    fg_problem *p = stub_problem(s->context, line);
    fg_status status = fg_plan_new(&plan, s->context, p, NULL, &error);
    if (status == FG_OK) fg_plan_config(plan, &info);
    if (status == FG_OK) *source = info.source;
    if (status == FG_OK) fg_plan_free(plan);
    fg_problem_free(p);
    return status;
}

#endif
