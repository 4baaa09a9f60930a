#include "runtime/kernel.h"

#include "runtime/device_cuda.h"
#include "runtime/library.h"

#include <stddef.h>
#include <string.h>

/* ---- From what the maker made ---- */

typedef struct number_name {
    const char *name;
    made_slot_kind kind;
    size_t offset; /* in run_numbers */
} number_name;

static const number_name number_names[] = {
#define REAL_NAME(name) { #name, SLOT_real, offsetof(run_numbers, name) },
    RUN_REALS(REAL_NAME)
#undef REAL_NAME
#define INT_NAME(name) { #name, SLOT_int, offsetof(run_numbers, name) },
        RUN_INTS(INT_NAME)
#undef INT_NAME
#define SHARD_NAME(name) { #name, SLOT_int, offsetof(run_numbers, shard.name) },
            SHARD_INTS(SHARD_NAME)
#undef SHARD_NAME
};

static int number_find(const made_slot *s)
{
    for (size_t k = 0; k < sizeof number_names / sizeof *number_names; k++)
        if (number_names[k].kind == s->kind && strcmp(number_names[k].name, s->name) == 0)
            return (int)number_names[k].offset;
    return -1;
}

static int region_find(const kernel *k, const char *name)
{
    for (int r = 0; r < k->regions; r++)
        if (strcmp(k->region[r].name, name) == 0) return r;
    return -1;
}

static fg_status take_slot(kernel *k, const made_slot *s, fg_error *error)
{
    kernel_slot *slot = &k->slot[k->slots++];
    *slot = (kernel_slot){ .kind = s->kind, .dim = s->dim };
    switch (s->kind) {
    case SLOT_pointer:
    case SLOT_stride:
        slot->index = operand_find(&k->operands, s->name);
        break;
    case SLOT_real:
    case SLOT_int:
        slot->index = number_find(s);
        break;
    case SLOT_region:
        slot->index = region_find(k, s->name);
        break;
    case SLOT_recipe:
        slot->index = k->recipes++;
        k->recipe[slot->index] = s->recipe;
        break;
    }
    bool ranked = s->kind != SLOT_stride || slot->index < 0 ||
                  (s->dim >= 0 && s->dim < k->operands.operand[slot->index].rank);
    if (slot->index >= 0 && ranked) return FG_OK;
    return fail(error, FG_INTERNAL,
                "the kernel asks for \"%.31s\" (kind %d, dimension %d), which no run has", s->name,
                (int)s->kind, s->dim);
}

static fg_status take_slots(kernel *k, const made *m, fg_error *error)
{
    fg_status status = FG_OK;
    for (int r = 0; r < m->regions; r++) k->region[k->regions++] = m->region[r];
    for (int s = 0; s < m->slots; s++) k->recipe_room += m->slot[s].kind == SLOT_recipe;
    if (k->recipe_room > 0) {
        k->recipe = memory_new(&k->context->memory, (size_t)k->recipe_room, sizeof *k->recipe);
        if (!k->recipe) return fail_memory(error);
    }
    for (int s = 0; s < m->slots && status == FG_OK; s++) status = take_slot(k, &m->slot[s], error);
    return status;
}

/* The prepared region is cleared where it is written. */
static fg_status take_clear(kernel_step *out, const kernel *k, const char *region, fg_error *error)
{
    const int index = region_find(k, region);
    if (index < 0)
        return fail(error, FG_INTERNAL, "a step clears \"%.31s\", which no run has", region);
    *out = (kernel_step){ .clear = index, .prepares = k->region[index].prepared };
    return FG_OK;
}

/* A step is for the machine that the context is for. */
static fg_status check_threads(const kernel *k, const kernel_step *step, fg_error *error)
{
    if ((step->threads > 0) == (k->context->gpu != NULL)) return FG_OK;
    return fail(error, FG_INTERNAL, "a step of %d threads is none of target %s", step->threads,
                k->backend->target);
}

static fg_status take_launch(kernel_step *out, const kernel *k, const made_step *s, fg_error *error)
{
    *out = (kernel_step){ -1, NULL, s->prepares, s->threads, s->tasks, s->scratch };
    fg_status status = k->backend->find(&out->entry, k->module, s->entry, error);
    return status == FG_OK ? check_threads(k, out, error) : status;
}

static fg_status take_steps(kernel *k, const made *m, fg_error *error)
{
    if (m->steps > 0) k->step = memory_new(&k->context->memory, (size_t)m->steps, sizeof *k->step);
    if (m->steps > 0 && !k->step) return fail_memory(error);
    k->step_room = m->steps;
    fg_status status = FG_OK;
    for (int s = 0; s < m->steps && status == FG_OK; s++) {
        const made_step *from = &m->step[s];
        kernel_step *to = &k->step[k->steps++];
        status = from->clear[0] ? take_clear(to, k, from->clear, error)
                                : take_launch(to, k, from, error);
    }
    return status;
}

static fg_status take_names(kernel *k, const made *m, fg_error *error)
{
    const memory *own = &k->context->memory;
    k->schedule = memory_text(own, m->schedule, strlen(m->schedule));
    k->config = memory_text(own, m->config, strlen(m->config));
    return k->schedule && k->config ? FG_OK : fail_memory(error);
}

run_defaults run_defaults_of(const problem *p)
{
    return (run_defaults){
        .softcap = p->softcap.present,
        .window = p->window.present,
        .dropout = p->dropout.present,
        .probability = p->dropout.value,
        .numbers = { .scale = p->scale,
                     .softcap = p->softcap.value,
                     .window_left = p->window.present ? p->window.left : -1,
                     .window_right = p->window.present ? p->window.right : -1 },
    };
}

static void take_problem(kernel *k, const problem *p)
{
    operands_make(&k->operands, p);
    if (k->context->gpu) k->operands.device = &k->context->gpu->operands;
    k->facts = operands_sizes(p);
    k->defaults = run_defaults_of(p);
}

/* ---- Making ---- */

static fg_status load(kernel *k, const image *i, fg_error *error)
{
    double start = library_seconds();
    fg_status status = k->backend->load(&k->module, k->context, &i->compiled, error);
    if (i->made->text) k->text = digest_of(i->made->text, i->made->text_length);
    k->generate_seconds = i->generate_seconds;
    k->compile_seconds = i->compile_seconds;
    k->load_seconds = library_seconds() - start;
    return status;
}

static fg_status fill(kernel *k, const problem *p, const image *i, fg_error *error)
{
    fg_status status;
    if (p) take_problem(k, p);
    k->facts.threads = context_maker_device(k->context).threads;
    if ((status = take_names(k, i->made, error)) != FG_OK) return status;
    if ((status = take_slots(k, i->made, error)) != FG_OK) return status;
    if ((status = load(k, i, error)) != FG_OK) return status;
    return take_steps(k, i->made, error);
}

fg_status kernel_load(kernel **out, fg_context *context, const problem *p, const image *i,
                      fg_error *error)
{
    *out = NULL;
    kernel *k = memory_new(&context->memory, 1, sizeof *k);
    if (!k) return fail_memory(error);
    k->context = context;
    k->backend = context->backend;
    fg_status status = fill(k, p, i, error);
    if (status == FG_OK)
        *out = k;
    else
        kernel_free(k);
    return status;
}

void kernel_free(kernel *k)
{
    if (!k) return;
    const memory *m = &k->context->memory;
    k->backend->unload(k->module);
    if (k->schedule) memory_free(m, k->schedule, strlen(k->schedule) + 1);
    if (k->config) memory_free(m, k->config, strlen(k->config) + 1);
    if (k->recipe) memory_free(m, k->recipe, (size_t)k->recipe_room * sizeof *k->recipe);
    if (k->step) memory_free(m, k->step, (size_t)k->step_room * sizeof *k->step);
    memory_free(m, k, sizeof *k);
}
