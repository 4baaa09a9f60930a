#include "runtime/image.h"

#include "runtime/library.h"
#include "runtime/wire.h"

#include <string.h>

/* ---- Making ---- */

static fg_status generate_peak(made **out, const fg_context *context, int64_t *flops,
                               fg_error *error)
{
    maker_device device = context_maker_device(context);
    maker_request request = { .memory = &context->memory,
                              .device = &device,
                              .templates = context->templates };
    *out = NULL;
    if (!context->maker)
        return fail(error, FG_UNSUPPORTED, "this library was built without a generator");
    return context->maker->peak(out, flops, &request, error);
}

fg_status image_compile(image *i, fg_error *error)
{
    double start = library_seconds();
    fg_status status = i->context->backend->compile(&i->compiled, i->context, i->made->text,
                                                    i->made->text_length, error);
    i->compile_seconds = library_seconds() - start;
    return status;
}

fg_status image_generate(image *out, const fg_context *context, const problem *p,
                         const char *config, const maker_sizes *sizes, fg_error *error)
{
    double start = library_seconds();
    *out = (image){ .context = context };
    fg_status status = context_make(&out->made, context, p, config, sizes, true, error);
    out->generate_seconds = library_seconds() - start;
    return status;
}

fg_status image_make(image *out, const fg_context *context, const problem *p, const char *config,
                     const maker_sizes *sizes, fg_error *error)
{
    fg_status status = image_generate(out, context, p, config, sizes, error);
    if (status == FG_OK) status = image_compile(out, error);
    if (status != FG_OK) image_free(out);
    return status;
}

fg_status image_make_peak(image *out, const fg_context *context, int64_t *flops, fg_error *error)
{
    *out = (image){ .context = context };
    fg_status status = generate_peak(&out->made, context, flops, error);
    if (status == FG_OK) status = image_compile(out, error);
    if (status != FG_OK) image_free(out);
    return status;
}

void image_free(image *i)
{
    if (!i->context) return;
    made_free(i->made);
    binary_free(i->context, &i->compiled);
    *i = (image){ .context = NULL };
}

/* ---- Bytes ---- */

static void write_recipe(text *out, const recipe *r)
{
    wire_add_int(out, r->count);
    for (int k = 0; k < r->count; k++) {
        wire_add_int(out, r->step[k].op);
        wire_add_int(out, r->step[k].value);
    }
}

static void write_slot(text *out, const made_slot *s)
{
    wire_add_int(out, s->kind);
    wire_add_text(out, s->name);
    wire_add_int(out, s->dim);
    write_recipe(out, &s->recipe);
}

static void write_step(text *out, const made_step *s)
{
    wire_add_text(out, s->clear);
    wire_add_text(out, s->entry);
    wire_add_int(out, s->prepares);
    wire_add_int(out, s->threads);
    write_recipe(out, &s->tasks);
    write_recipe(out, &s->scratch);
}

static void write_region(text *out, const made_region *r)
{
    wire_add_text(out, r->name);
    wire_add_int(out, r->prepared);
    write_recipe(out, &r->bytes);
}

fg_status image_write(text *bytes, store_section sections[image_sections], const image *i,
                      fg_error *error)
{
    const made *m = i->made;
    text_init(bytes, &i->context->memory);
    wire_add_int(bytes, image_abi);
    wire_add_text(bytes, m->schedule);
    wire_add_text(bytes, m->config);
    wire_add_int(bytes, m->regions);
    for (int k = 0; k < m->regions; k++) write_region(bytes, &m->region[k]);
    wire_add_int(bytes, m->slots);
    for (int k = 0; k < m->slots; k++) write_slot(bytes, &m->slot[k]);
    wire_add_int(bytes, m->steps);
    for (int k = 0; k < m->steps; k++) write_step(bytes, &m->step[k]);
    sections[0] = (store_section){ bytes->data, bytes->length };
    sections[1] = (store_section){ i->compiled.data, i->compiled.size };
    return bytes->failed ? fail_memory(error) : FG_OK;
}

static void read_recipe(recipe *out, wire *w)
{
    out->count = (int)wire_int_in(w, 0, recipe_max_steps);
    for (int k = 0; k < out->count; k++) {
        out->step[k].op = (uint8_t)wire_int_in(w, 0, UINT8_MAX);
        out->step[k].value = wire_int(w);
    }
}

static void read_slot(made_slot *out, wire *w)
{
    out->kind = (made_slot_kind)wire_int_in(w, SLOT_pointer, SLOT_region);
    wire_text(w, out->name, sizeof out->name);
    out->dim = (int)wire_int_in(w, 0, 7);
    read_recipe(&out->recipe, w);
}

static void read_step(made_step *out, wire *w)
{
    wire_text(w, out->clear, sizeof out->clear);
    wire_text(w, out->entry, sizeof out->entry);
    out->prepares = wire_int_in(w, 0, 1) != 0;
    out->threads = (int)wire_int_in(w, 0, 1024);
    read_recipe(&out->tasks, w);
    read_recipe(&out->scratch, w);
}

static void read_region(made_region *out, wire *w)
{
    wire_text(w, out->name, sizeof out->name);
    out->prepared = wire_int_in(w, 0, 1) != 0;
    read_recipe(&out->bytes, w);
}

static char *read_name(const memory *m, wire *w)
{
    char name[FG_CONFIG_TEXT];
    wire_text(w, name, sizeof name);
    return memory_text(m, name, strlen(name));
}

static fg_status read_launch(made *m, wire *w, fg_error *error)
{
    wire_int_in(w, image_abi, image_abi);
    m->schedule = read_name(m->memory, w);
    m->config = read_name(m->memory, w);
    if (!m->schedule || !m->config) return fail_memory(error);
    m->regions = (int)wire_int_in(w, 0, made_max_regions);
    for (int k = 0; k < m->regions; k++) read_region(&m->region[k], w);
    m->slots = (int)wire_int_in(w, 0, made_max_slots);
    for (int k = 0; k < m->slots; k++) read_slot(&m->slot[k], w);
    m->steps = (int)wire_int_in(w, 0, made_max_steps);
    for (int k = 0; k < m->steps; k++) read_step(&m->step[k], w);
    return wire_done(w) ? FG_OK : fail(error, FG_REQUEST, "what is to be launched makes no sense");
}

static fg_status read_binary(binary *out, const memory *m, const store_section *section,
                             fg_error *error)
{
    if (section->size == 0) return fail(error, FG_REQUEST, "there is no binary");
    out->data = memory_new(m, section->size, 1);
    if (!out->data) return fail_memory(error);
    out->size = section->size;
    memcpy(out->data, section->data, section->size);
    return FG_OK;
}

fg_status image_read(image *out, const fg_context *context, const store_section *sections,
                     int count, fg_error *error)
{
    const memory *m = &context->memory;
    *out = (image){ .context = context };
    if (count != image_sections) return fail(error, FG_REQUEST, "%d sections are no kernel", count);
    wire w = wire_of(sections[0].data, sections[0].size);
    out->made = memory_new(m, 1, sizeof *out->made);
    if (!out->made) return fail_memory(error);
    out->made->memory = m;
    fg_status status = read_launch(out->made, &w, error);
    if (status == FG_OK) status = read_binary(&out->compiled, m, &sections[1], error);
    if (status != FG_OK) image_free(out);
    return status;
}
