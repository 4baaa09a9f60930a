#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void bench_need(fg_status status, const fg_error *error)
{
    if (status == FG_OK) return;
    fprintf(stderr, "bench: %s\n", error->text);
    exit(3);
}

static void *need_memory(void *block)
{
    if (block) return block;
    fprintf(stderr, "bench: out of memory\n");
    exit(3);
}

double bench_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int gpu_number; /* of the contexts made here */

fg_context *bench_context_on(const char *device, const char *store)
{
    if (device) sscanf(device, "cuda:%d", &gpu_number);
    fg_context *context;
    fg_error error;
    fg_context_options options = FG_CONTEXT_OPTIONS_INIT;
    options.store = store ? store : "";
    options.device = device;
    bench_need(fg_context_new(&context, &options, &error), &error);
    return context;
}

fg_context *bench_context(const char *store)
{
    return bench_context_on(NULL, store);
}

/* ---- Inputs ---- */

static void fill(void *data, const fg_tensor_info *info, int64_t count)
{
    static uint32_t state = 1;
    for (int64_t n = 0; n < count; n++) {
        state = state * 1664525 + 1013904223;
        float value = (float)(int32_t)state * 0x1p-31f;
        if (info->dtype.bits == 32)
            memcpy((float *)data + n, &value, sizeof value);
        else if (info->dtype.bits == 16) /* of bf16, f32's upper half */
            memcpy((uint16_t *)data + n, (char *)&value + 2, 2);
        else
            ((uint8_t *)data)[n] = (uint8_t)(state >> 31);
    }
}

/* The number behind ` KEY=` in a problem's line, or 1. */
static int64_t number_of(const fg_problem *problem, const char *key)
{
    const char *at = strstr(fg_problem_format(problem), key);
    return at ? atoll(at + strlen(key)) : 1;
}

/* Keys in pages: as many blocks a sequence as its keys take, a page each. */
static int64_t open_extent(const subject *s, const fg_tensor_info *info)
{
    int64_t page = number_of(s->problem, " page="), sk = number_of(s->problem, " sk=");
    int64_t blocks = (sk + page - 1) / page;
    return info->dtype.code == 0 ? blocks : blocks * s->shape[0][0];
}

/* Pages in no order that helps. */
static void fill_pages(int32_t *table, int64_t count)
{
    const int64_t step = 7919 % count && count % 7919 ? 7919 : 1; /* a prime */
    for (int64_t n = 0; n < count; n++) table[n] = (int32_t)(n * step % count);
}

/* Where the context runs: {1, 0} is the host, {2, n} GPU n. Asking fg_context_device would load a compiler. */
static DLDevice device_of(fg_context *context)
{
    void *block;
    if (fg_memory_new(&block, context, 64, NULL) != FG_OK) return (DLDevice){ 1, 0 };
    fg_memory_free(context, block);
    return (DLDevice){ 2, gpu_number };
}

static int on_gpu(const subject *s)
{
    return s->device.device_type == 2;
}

static void *host_memory(size_t bytes)
{
    return need_memory(aligned_alloc(64, (bytes + 64) / 64 * 64));
}

static void *gpu_memory(const subject *s, size_t bytes)
{
    fg_error error;
    void *there;
    bench_need(fg_memory_new(&there, s->context, bytes + 64, &error), &error);
    return there;
}

static void *move_to_gpu(const subject *s, void *data, size_t bytes)
{
    fg_error error;
    void *there = gpu_memory(s, bytes);
    bench_need(fg_memory_copy(s->context, there, data, bytes, &error), &error);
    free(data);
    return there;
}

static void free_memory(const subject *s, void *block)
{
    if (on_gpu(s))
        fg_memory_free(s->context, block);
    else
        free(block);
}

static void make_tensor(subject *s, size_t index, const fg_tensor_info *info)
{
    int64_t count = 1;
    for (int k = 0; k < info->ndim; k++) {
        s->shape[index][k] = info->shape[k] >= 0 ? info->shape[k] : open_extent(s, info);
        count *= s->shape[index][k];
    }
    size_t bytes = (size_t)count * info->dtype.bits / 8;
    void *data = host_memory(bytes);
    if (strcmp(info->name, "block_table") == 0)
        fill_pages(data, count);
    else
        fill(data, info, count);
    if (on_gpu(s)) data = move_to_gpu(s, data, bytes);
    s->tensor[index] =
        (DLTensor){ data, s->device, info->ndim, info->dtype, s->shape[index], NULL, 0 };
}

static void place_tensor(subject *s, const char *name, const DLTensor *tensor)
{
#define PLACE(field)                                                                               \
    if (strcmp(name, #field) == 0) {                                                               \
        s->args.field = tensor;                                                                    \
        return;                                                                                    \
    }
    FG_TENSORS(PLACE)
#undef PLACE
    s->named[s->args.tensor_count++] = tensor;
}

static void make_tensors(subject *s)
{
    fg_tensor_info info;
    s->args = (fg_args)FG_ARGS_INIT;
    s->args.tensors = s->named;
    for (size_t k = 0; k < bench_most_tensors; k++) {
        if (fg_problem_tensor(s->problem, k, &info) != FG_OK) break;
        make_tensor(s, k, &info);
        place_tensor(s, info.name, &s->tensor[k]);
    }
}

/* ---- Subjects ---- */

void subject_open(subject *s, fg_context *context, const char *line, const char *config,
                  int count_pairs)
{
    fg_error error;
    fg_plan_options how = FG_PLAN_OPTIONS_INIT;
    int64_t pairs = 0;
    memset(s, 0, sizeof *s);
    s->context = context;
    s->device = device_of(context);
    how.config = config;
    bench_need(fg_problem_parse(&s->problem, context, line, &error), &error);
    double start = bench_seconds();
    make_tensors(s);
    s->input_seconds = bench_seconds() - start;
    bench_need(fg_plan_new(&s->plan, context, s->problem, &how, &error), &error);
    fg_plan_config(s->plan, &s->info);
    bench_need(fg_plan_workspace(s->plan, NULL, &s->args.workspace_bytes, &error), &error);
    const size_t bytes = s->args.workspace_bytes;
    s->args.workspace = on_gpu(s) ? gpu_memory(s, bytes) : host_memory(bytes);
    if (!count_pairs) return;
    bench_need(fg_visible_pairs(context, s->problem, &s->args, &pairs, &error), &error);
    s->flops = 2 * (s->args.q->shape[3] + s->args.v->shape[3]) * pairs;
}

void subject_run(const subject *s)
{
    fg_error error;
    bench_need(fg_run(s->plan, &s->args, &error), &error);
}

void subject_close(subject *s)
{
    for (size_t k = 0; k < bench_most_tensors; k++) free_memory(s, s->tensor[k].data);
    free_memory(s, s->args.workspace);
    fg_plan_free(s->plan);
    fg_problem_free(s->problem);
}
