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
    if (step->threads > 0) return FG_OK;
    *out = (*out + scratch_align - 1) / scratch_align * scratch_align;
    return FG_OK;
}

/* Adds a part, rounded up to whole cache lines. */
static fg_status add_bytes(size_t *sum, int64_t bytes, fg_error *error)
{
    size_t all;
    if (bytes < 0 || bytes > INT64_MAX - scratch_align ||
        __builtin_add_overflow(*sum, (size_t)bytes, &all) || all > INT64_MAX - scratch_align)
        return fail(error, FG_REQUEST, "the workspace would need more than 2^63 bytes");
    *sum = (all + scratch_align - 1) / scratch_align * scratch_align;
    return FG_OK;
}

/* What the workers of the step that needs most have. */
static fg_status workers_bytes(int64_t *out, const kernel *k, const recipe_facts *facts,
                               fg_error *error)
{
    *out = 0;
    for (int s = 0; s < k->steps; s++) {
        int64_t worker = 0, all = 0;
        const bool launches = k->step[s].clear < 0;
        if (!launches || k->step[s].threads > 0)
            continue; /* a block's is no part of the workspace */
        fg_status status = scratch_bytes(&worker, &k->step[s], facts, error);
        if (status != FG_OK) return status;
        if (__builtin_mul_overflow(worker, k->context->threads, &all)) all = INT64_MAX;
        if (all > *out) *out = all;
    }
    return FG_OK;
}

/* Where each region starts, in the workspace or in what is prepared, and what both hold in all. */
static fg_status lay_out(run_bytes *all, size_t start[made_max_regions], const kernel *k,
                         const recipe_facts *facts, fg_error *error)
{
    fg_status status = FG_OK;
    *all = (run_bytes){ 0 };
    for (int r = 0; r < k->regions && status == FG_OK; r++) {
        size_t *sum = k->region[r].prepared ? &all->prepared : &all->workspace;
        int64_t bytes = 0;
        start[r] = *sum;
        status = recipe_eval(&k->region[r].bytes, facts, &bytes, error);
        if (status == FG_OK) status = add_bytes(sum, bytes, error);
    }
    return status;
}

fg_status kernel_bytes(run_bytes *out, const kernel *k, const recipe_facts *facts, fg_error *error)
{
    size_t start[made_max_regions];
    int64_t workers = 0;
    fg_status status = lay_out(out, start, k, facts, error);
    if (status == FG_OK) status = workers_bytes(&workers, k, facts, error);
    if (status == FG_OK) status = add_bytes(&out->workspace, workers, error);
    return status;
}

/* What the problem says itself is not looked at. */
static fg_status check_dims(const fg_dims *dims, const recipe_facts *own, fg_error *error)
{
    const struct {
        const char *name;
        operand_dim dim;
        int64_t given, own;
    } all[] = {
#define GIVEN_DIM(name) { #name, DIM_##name, dims->name, own->name }
        GIVEN_DIM(b), GIVEN_DIM(sq), GIVEN_DIM(sk), GIVEN_DIM(total_q), GIVEN_DIM(total_k),
#undef GIVEN_DIM
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const int64_t most = operand_longest[all[k].dim];
        if (all[k].own != problem_dynamic || (all[k].given >= -1 && all[k].given <= most)) continue;
        return fail(error, FG_REQUEST, "fg_dims.%s is %lld: it must be 0 to %lld, or -1 for any",
                    all[k].name, (long long)all[k].given, (long long)most);
    }
    return FG_OK;
}

static void take_dim(int64_t *fact, int64_t given, int64_t otherwise)
{
    if (*fact == problem_dynamic) *fact = given >= 0 ? given : otherwise;
}

fg_status kernel_most_bytes(run_bytes *out, const kernel *k, const fg_dims *dims, fg_error *error)
{
    recipe_facts facts = k->facts;
    fg_dims d = *dims;
    if (k->operands.lens != LENS_packed) d.total_q = d.total_k = -1; /* b sq and b sk, always */
    fg_status status = check_dims(&d, &facts, error);
    if (status != FG_OK) return status;
    take_dim(&facts.b, d.b, operand_longest[DIM_b]);
    take_dim(&facts.sq, d.sq, operand_longest[DIM_sq]);
    take_dim(&facts.sk, d.sk, operand_longest[DIM_sk]);
    take_dim(&facts.total_q, d.total_q, facts.b * facts.sq);
    take_dim(&facts.total_k, d.total_k, facts.b * facts.sk);
    return kernel_bytes(out, k, &facts, error);
}

/* The regions of a run, and behind those in the workspace the workers' scratch. */
typedef struct places {
    char *region[made_max_regions], *scratch;
} places;

static fg_status place(places *out, const kernel *k, const recipe_facts *facts,
                       const run_memory *own, fg_error *error)
{
    size_t start[made_max_regions];
    run_bytes all;
    fg_status status = lay_out(&all, start, k, facts, error);
    char *prepared = own->prepared ? own->prepared : own->workspace;
    char *rest = own->prepared ? own->workspace : own->workspace + all.prepared;
    for (int r = 0; r < k->regions && status == FG_OK; r++)
        out->region[r] = (k->region[r].prepared ? prepared : rest) + start[r];
    out->scratch = rest + all.workspace;
    return status;
}

static fg_status fill_arguments(argument *out, const kernel *k, const bound *operands,
                                const run_numbers *numbers, const recipe_facts *facts,
                                const places *at, fg_error *error)
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
        case SLOT_region:
            out[s].pointer = at->region[slot->index];
            break;
        case SLOT_recipe:
            status = recipe_eval(&k->recipe[slot->index], facts, &out[s].integer, error);
            break;
        }
    }
    return status;
}

static fg_status run_launch(const kernel *k, const kernel_step *step, const argument *args,
                            const recipe_facts *facts, char *scratch, const run_memory *own,
                            fg_error *error)
{
    launch what = { .entry = step->entry,
                    .args = args,
                    .threads = step->threads,
                    .scratch = scratch,
                    .host = own->host,
                    .stream = own->stream };
    fg_status status = recipe_eval(&step->tasks, facts, &what.tasks, error);
    if (status == FG_OK) status = scratch_bytes(&what.scratch_bytes, step, facts, error);
    if (status == FG_OK) status = k->backend->launch(k->context, &what, error);
    return status;
}

static fg_status run_clear(const kernel *k, const kernel_step *step, const recipe_facts *facts,
                           const places *at, void *stream, fg_error *error)
{
    int64_t bytes = 0; /* place() found that it is no negative number */
    fg_status status = recipe_eval(&k->region[step->clear].bytes, facts, &bytes, error);
    if (status != FG_OK || bytes == 0) return status;
    return k->backend->clear(k->context, at->region[step->clear], (size_t)bytes, stream, error);
}

fg_status kernel_run(const kernel *k, const bound *operands, const run_numbers *numbers,
                     const recipe_facts *facts, const run_memory *own, fg_error *error)
{
    argument args[made_max_slots];
    places at;
    fg_status status = place(&at, k, facts, own, error);
    if (status == FG_OK) status = fill_arguments(args, k, operands, numbers, facts, &at, error);
    for (int s = 0; s < k->steps && status == FG_OK; s++) {
        const kernel_step *step = &k->step[s];
        if (own->prepare_only ? !step->prepares : step->prepares && own->prepared) continue;
        status = step->clear < 0 ? run_launch(k, step, args, facts, at.scratch, own, error)
                                 : run_clear(k, step, facts, &at, own->stream, error);
    }
    return status;
}
