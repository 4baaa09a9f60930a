/* Runs on the tensors of a test, between zones that show what is written beside. */
#include "tests/support_tensor.h"

#include "tests/support.h"
#include "tests/support_gpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t element_size(const test_tensor *t)
{
    return dtypes[t->type].bits / 8u;
}

/* ---- Memory ---- */

/* Full of NaN. */
static void *renew(test_memory *m, size_t bytes)
{
    free(m->block);
    *m = (test_memory){ .bytes = bytes };
    if (!bytes) return NULL;
    ck_assert_int_eq(posix_memalign((void **)&m->block, 64, bytes + 2 * test_zone), 0);
    memset(m->block, test_untouched, bytes + 2 * test_zone);
    memset(m->block + test_zone, 0xff, bytes);
    return m->block + test_zone;
}

static bool memory_spilled(const test_memory *m)
{
    bool found = false;
    for (size_t k = 0; k < test_zone && m->block; k++)
        found = found || m->block[k] != test_untouched ||
                m->block[test_zone + m->bytes + k] != test_untouched;
    return found;
}

static bool tensor_spilled(const test_tensor *t)
{
    if (!t->output || t->count == 0) return false;
    size_t size = element_size(t);
    bool found = false;
    unsigned char *own = calloc(t->bytes, 1);
    ck_assert_ptr_nonnull(own);
    for (int64_t k = 0; k < t->count; k++)
        memset(own + ((unsigned char *)test_element(t, k) - t->block), 1, size);
    for (size_t k = 0; k < t->bytes; k++)
        found = found || (!own[k] && t->block[k] != test_untouched);
    free(own);
    return found;
}

const char *test_spilled(const test_tensors *t)
{
    for (int k = 0; k < t->count; k++)
        if (tensor_spilled(&t->tensor[k])) return t->tensor[k].name;
    if (memory_spilled(&t->workspace)) return "the workspace";
    return memory_spilled(&t->prepared) ? "what is prepared" : NULL;
}

void test_forget(test_tensors *t)
{
    for (int k = 0; k < t->count; k++)
        if (t->tensor[k].output && t->tensor[k].block)
            memset(t->tensor[k].block, test_untouched, t->tensor[k].bytes);
}

/* ---- Runs ---- */

static fg_status give_workspace(test_tensors *t, const fg_plan *plan, fg_error *error)
{
    size_t bytes = 0;
    const fg_dims *dims = t->sizes.sized ? &t->sizes.dims : NULL;
    fg_status s = fg_plan_workspace(plan, dims, &bytes, error);
    if (s != FG_OK) return s;
    t->args.workspace = renew(&t->workspace, bytes);
    t->args.workspace_bytes = bytes;
    return FG_OK;
}

typedef fg_status (*plan_call)(const fg_plan *plan, const fg_args *args, fg_error *error);

/* fg_run or fg_plan_prepare, where the tensors are to be. */
static fg_status call_plan(plan_call call, test_tensors *t, const fg_plan *plan, fg_error *error)
{
    test_mirror m;
    if (!t->gpu) return call(plan, &t->args, error);
    fg_status s = test_mirror_open(&m, t->gpu, t, error);
    if (s == FG_OK) s = call(plan, &m.args, error);
    if (s == FG_OK) s = test_mirror_fetch(&m, error);
    test_mirror_close(&m);
    return s;
}

fg_status test_run(test_tensors *t, const fg_plan *plan, fg_error *error)
{
    fg_status s = give_workspace(t, plan, error);
    return s == FG_OK ? call_plan(fg_run, t, plan, error) : s;
}

fg_status test_check(test_tensors *t, fg_context *context, const fg_check_options *options,
                     fg_check_report *report, fg_error *error)
{
    test_mirror m;
    if (!t->gpu) return fg_check(context, t->problem, &t->args, options, report, error);
    fg_status s = test_mirror_open(&m, t->gpu, t, error);
    if (s == FG_OK) s = fg_check(context, t->problem, &m.args, options, report, error);
    test_mirror_close(&m);
    return s;
}

/* ---- Preparing ---- */

static const char *const layers[] = { "q", "k", "v" }; /* what differs from layer to layer */
enum { layer_tensors = sizeof layers / sizeof *layers };

static fg_status prepare(test_tensors *t, const fg_plan *plan, fg_error *error)
{
    size_t bytes = 0;
    const fg_dims *dims = t->sizes.sized ? &t->sizes.dims : NULL;
    fg_status s = fg_plan_prepared(plan, dims, &bytes, error);
    if (s == FG_OK) s = give_workspace(t, plan, error);
    if (s != FG_OK) return s;
    t->args.prepared = renew(&t->prepared, bytes);
    t->args.prepared_bytes = bytes;
    return call_plan(fg_plan_prepare, t, plan, error);
}

fg_status test_prepare(test_tensors *t, const fg_plan *plan, fg_error *error)
{
    unsigned char *kept[layer_tensors];
    for (int k = 0; k < layer_tensors; k++) {
        test_tensor *one = test_tensors_find(t, layers[k]);
        kept[k] = malloc(one->bytes + 1);
        ck_assert_ptr_nonnull(kept[k]);
        if (one->bytes) memcpy(kept[k], one->block, one->bytes);
        test_fill(one, NAN);
    }
    fg_status s = prepare(t, plan, error);
    for (int k = 0; k < layer_tensors; k++) {
        test_tensor *one = test_tensors_find(t, layers[k]);
        if (one->bytes) memcpy(one->block, kept[k], one->bytes);
        free(kept[k]);
    }
    return s;
}

void test_unprepare(test_tensors *t)
{
    t->args.prepared = renew(&t->prepared, 0);
    t->args.prepared_bytes = 0;
}
