#include "mirror.h"

#include "measure.h"

#include <stdlib.h>
#include <string.h>

/* ---- Copies ---- */

static fg_status copy_one(mirror *m, int k, int index, fg_error *error)
{
    const tensor *t = &m->host->item[k];
    m->copy[k] = t->dl;
    m->copy[k].device = (DLDevice){ 2, index };
    m->copy[k].data = NULL;
    fg_status s = fg_memory_new(&m->copy[k].data, m->context, tensor_bytes(t), error);
    if (s != FG_OK) return s;
    return fg_memory_copy(m->context, m->copy[k].data, t->dl.data, tensor_bytes(t), error);
}

/* The copy of a tensor that the host's args point to. */
static const DLTensor *copy_of(const mirror *m, const DLTensor *of)
{
    for (int k = 0; k < m->host->count; k++)
        if (&m->host->item[k].dl == of) return &m->copy[k];
    return NULL;
}

static void point_to_copies(mirror *m)
{
    fg_args *a = &m->args;
#define POINT(name)                                                                                \
    if (a->name) a->name = copy_of(m, a->name);
    FG_TENSORS(POINT)
#undef POINT
    for (size_t k = 0; k < a->tensor_count; k++) m->extra[k] = copy_of(m, a->tensors[k]);
    a->tensors = m->extra;
}

fg_status mirror_make(mirror *out, fg_context *context, const fg_plan *plan, int index,
                      tensors *host, fg_error *error)
{
    fg_plan_info info;
    fg_status s = FG_OK;
    fg_plan_config(plan, &info);
    *out = (mirror){ .context = context,
                     .host = host,
                     .gpu = strcmp(info.target, "cuda") == 0,
                     .args = host->args };
    if (!out->gpu) return FG_OK;
    for (int k = 0; k < host->count && s == FG_OK; k++) s = copy_one(out, k, index, error);
    point_to_copies(out);
    return s;
}

fg_status mirror_fetch(mirror *m, fg_error *error)
{
    fg_status s = FG_OK;
    if (!m->gpu) return FG_OK;
    for (int k = 0; k < m->host->count && s == FG_OK; k++) {
        const tensor *t = &m->host->item[k];
        if (t->output)
            s = fg_memory_copy(m->context, t->dl.data, m->copy[k].data, tensor_bytes(t), error);
    }
    return s;
}

/* ---- Workspace ---- */

static fg_status reserve(mirror *m, size_t bytes, fg_error *error)
{
    const size_t line = 64;
    if (m->gpu) return fg_memory_new(&m->workspace, m->context, bytes, error);
    m->workspace = aligned_alloc(line, (bytes + line - 1) / line * line);
    return m->workspace ? FG_OK : fault_memory(error);
}

fg_status mirror_workspace(mirror *m, const fg_plan *plan, fg_error *error)
{
    const fg_dims dims = measure_dims(&m->host->sizes);
    size_t bytes = 0;
    fg_status s = fg_plan_workspace(plan, &dims, &bytes, error);
    if (s == FG_OK && bytes > 0) s = reserve(m, bytes, error);
    if (s != FG_OK) return s;
    m->args.workspace = m->workspace;
    m->args.workspace_bytes = bytes;
    return FG_OK;
}

void mirror_free(mirror *m)
{
    for (int k = 0; m->gpu && k < m->host->count; k++) fg_memory_free(m->context, m->copy[k].data);
    if (m->gpu)
        fg_memory_free(m->context, m->workspace);
    else
        free(m->workspace);
    *m = (mirror){ .context = NULL };
}
