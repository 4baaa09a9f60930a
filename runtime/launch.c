/* A kernel's arguments, filled for one run, and its steps. */
#include "runtime/kernel.h"

#include <string.h>

/* Each argument is 8 bytes. */
typedef union argument {
    void *pointer;
    int64_t integer;
    double real;
} argument;

_Static_assert(sizeof(argument) == 8, "kernels read 8-byte fields");

enum { scratch_align = 64 }; /* a cache line, so that no two workers share one */

static fg_status scratch_bytes(int64_t *out, const kernel_step *step, const recipe_facts *facts,
                               fg_error *error)
{
    fg_status status = recipe_eval(&step->scratch, facts, out, error);
    if (status != FG_OK) return status;
    if (*out < 0 || *out > INT64_MAX / 2)
        return fail(error, FG_INTERNAL, "a kernel's scratch has no such size");
    *out = (*out + scratch_align - 1) / scratch_align * scratch_align;
    return FG_OK;
}

fg_status kernel_workspace(size_t *bytes, const kernel *k, const recipe_facts *facts,
                           fg_error *error)
{
    *bytes = 0;
    for (int s = 0; s < k->steps; s++) {
        int64_t worker = 0, all = 0;
        fg_status status = scratch_bytes(&worker, &k->step[s], facts, error);
        if (status != FG_OK) return status;
        if (__builtin_mul_overflow(worker, k->context->threads, &all))
            return fail(error, FG_REQUEST, "the workspace would need more than 2^63 bytes");
        if ((size_t)all > *bytes) *bytes = (size_t)all;
    }
    return FG_OK;
}

static fg_status fill_arguments(argument *out, const kernel *k, const bound *operands,
                                const run_numbers *numbers, const recipe_facts *facts,
                                fg_error *error)
{
    fg_status status = FG_OK;
    for (int s = 0; s < k->slots && status == FG_OK; s++) {
        const kernel_slot *slot = &k->slot[s];
        switch (slot->kind) {
        case SLOT_pointer:
            out[s].pointer = operands[slot->index].data;
            break;
        case SLOT_stride:
            out[s].integer = operands[slot->index].stride[slot->dim];
            break;
        case SLOT_real:
        case SLOT_int:
            memcpy(&out[s], (const char *)numbers + slot->index, sizeof out[s]);
            break;
        case SLOT_recipe:
            status = recipe_eval(&k->recipe[slot->index], facts, &out[s].integer, error);
            break;
        }
    }
    return status;
}

static fg_status run_step(const kernel *k, const kernel_step *step, const argument *args,
                          const recipe_facts *facts, void *workspace, fg_error *error)
{
    launch what = { .entry = step->entry, .args = args, .scratch = workspace };
    fg_status status = recipe_eval(&step->tasks, facts, &what.tasks, error);
    if (status == FG_OK) status = scratch_bytes(&what.scratch_bytes, step, facts, error);
    if (status == FG_OK) status = k->backend->launch(k->context, &what, error);
    return status;
}

fg_status kernel_run(const kernel *k, const bound *operands, const run_numbers *numbers,
                     const recipe_facts *facts, void *workspace, fg_error *error)
{
    argument args[made_max_slots];
    fg_status status = fill_arguments(args, k, operands, numbers, facts, error);
    for (int s = 0; s < k->steps && status == FG_OK; s++)
        status = run_step(k, &k->step[s], args, facts, workspace, error);
    return status;
}
