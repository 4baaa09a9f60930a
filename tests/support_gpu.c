#include "tests/support_gpu.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Programs ---- */

/* Why they are missing, or "", also where they are there and fail. */
static const char *missing(const char *device)
{
    static fg_error error;
    static char why[256];
    fg_context *context = NULL;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.device = device;
    o.store = "";
    fg_status status = fg_context_new(&context, &o, &error);
    if (status != FG_OK) return status == FG_MACHINE ? error.text : "";
    snprintf(why, sizeof why, "%s", context->compiler ? "" : context->compiler_missing);
    fg_context_free(context);
    return why;
}

bool support_skips(const char *program, const char *device)
{
    const char *why = missing(device);
    if (*why) printf("%s: skipped: %s\n", program, why);
    return *why != 0;
}

int support_run_here(const char *name, const char *device, const TTest *const *tests)
{
    if (support_skips(name, device)) return support_skipped;
    Suite *suite = suite_create(name);
    TCase *all = tcase_create(name);
    for (; *tests; tests++) tcase_add_test(all, *tests);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* ---- Mirrors ---- */

static fg_status move(void **out, fg_context *context, const void *from, size_t bytes,
                      fg_error *error)
{
    fg_status s = fg_memory_new(out, context, bytes, error);
    return s == FG_OK ? fg_memory_copy(context, *out, from, bytes, error) : s;
}

static fg_status move_tensor(test_mirror *m, int k, int index, fg_error *error)
{
    const test_tensor *t = &m->host->tensor[k];
    m->copy[k] = t->dl;
    m->copy[k].device = (DLDevice){ 2, index };
    if (!t->block) return FG_OK; /* it has no elements */
    fg_status s = move(&m->block[k], m->context, t->block, t->bytes, error);
    m->copy[k].data = (char *)m->block[k] + ((unsigned char *)t->dl.data - t->block);
    return s;
}

static bool bare(void)
{
    return getenv("FLASHGEN_TEST_BARE") != NULL;
}

/* What a run is given of its memory, which has a zone on either side on the host. */
static fg_status move_memory(void **block, void **field, fg_context *context, const test_memory *m,
                             bool as_it_comes, fg_error *error)
{
    if (!*field) return FG_OK;
    fg_status s = as_it_comes ? fg_memory_new(block, context, m->bytes, error)
                              : move(block, context, m->block, m->bytes + 2 * test_zone, error);
    *field = (char *)*block + (as_it_comes ? 0 : test_zone);
    return s;
}

static const DLTensor *copy_of(const test_mirror *m, const DLTensor *of)
{
    for (int k = 0; k < m->host->count; k++)
        if (&m->host->tensor[k].dl == of) return &m->copy[k];
    return NULL;
}

static void point_to_copies(test_mirror *m)
{
    fg_args *a = &m->args;
#define POINT(name) a->name = copy_of(m, a->name);
    FG_TENSORS(POINT)
#undef POINT
    for (size_t k = 0; k < a->tensor_count; k++) m->extra[k] = copy_of(m, a->tensors[k]);
    a->tensors = m->extra;
}

fg_status test_mirror_open(test_mirror *out, fg_context *context, test_tensors *host,
                           fg_error *error)
{
    fg_device_info info;
    int index = 0;
    *out = (test_mirror){ .context = context, .host = host, .args = host->args };
    fg_status s = fg_context_device(context, &info, error);
    if (s == FG_OK) sscanf(info.device, "cuda:%d", &index);
    for (int k = 0; k < host->count && s == FG_OK; k++) s = move_tensor(out, k, index, error);
    point_to_copies(out);
    if (s == FG_OK)
        s = move_memory(&out->workspace, &out->args.workspace, context, &host->workspace, bare(),
                        error);
    if (s == FG_OK)
        s = move_memory(&out->prepared, &out->args.prepared, context, &host->prepared, false,
                        error);
    return s;
}

static fg_status fetch(const test_mirror *m, unsigned char *to, const void *from, size_t bytes,
                       fg_error *error)
{
    return to && from ? fg_memory_copy(m->context, to, from, bytes, error) : FG_OK;
}

fg_status test_mirror_fetch(test_mirror *m, fg_error *error)
{
    const test_memory *w = &m->host->workspace, *p = &m->host->prepared;
    fg_status s = fg_context_wait(m->context, error);
    for (int k = 0; k < m->host->count && s == FG_OK; k++) {
        const test_tensor *t = &m->host->tensor[k];
        if (t->output) s = fetch(m, t->block, m->block[k], t->bytes, error);
    }
    if (s == FG_OK && !bare())
        s = fetch(m, w->block, m->workspace, w->bytes + 2 * test_zone, error);
    if (s == FG_OK) s = fetch(m, p->block, m->prepared, p->bytes + 2 * test_zone, error);
    return s;
}

void test_mirror_close(test_mirror *m)
{
    for (int k = 0; k < m->host->count; k++) fg_memory_free(m->context, m->block[k]);
    fg_memory_free(m->context, m->workspace);
    fg_memory_free(m->context, m->prepared);
}
