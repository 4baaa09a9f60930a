#include "runtime/estimates.h"

#include "runtime/identity.h"
#include "runtime/wire.h"

#include <string.h>

/* ---- Memory ---- */

static fg_status reserve(estimates *e, const memory *m, int count, int bucket_count,
                         fg_error *error)
{
    *e = (estimates){ .memory = m, .count = count, .buckets = bucket_count };
    e->choice = memory_new(m, (size_t)count, sizeof *e->choice);
    e->of = memory_new(m, (size_t)bucket_count, sizeof *e->of);
    return e->choice && e->of ? FG_OK : fail_memory(error);
}

void estimates_free(estimates *e)
{
    if (e->choice) memory_free(e->memory, e->choice, (size_t)e->count * sizeof *e->choice);
    if (e->of) memory_free(e->memory, e->of, (size_t)e->buckets * sizeof *e->of);
    *e = (estimates){ .count = 0 };
}

/* ---- From the maker ---- */

static fg_status copy(estimates *out, const maker_choices *from, const memory *m, fg_error *error)
{
    fg_status status = reserve(out, m, from->count, from->sizes, error);
    for (int k = 0; k < from->count && status == FG_OK; k++) {
        choice *c = &out->choice[k];
        const struct maker_choice *one = &from->choice[k];
        if (strlen(one->schedule) >= sizeof c->schedule || strlen(one->config) >= sizeof c->config)
            return fail(error, FG_INTERNAL, "the config %.200s is too long", one->config);
        strcpy(c->schedule, one->schedule);
        strcpy(c->config, one->config);
    }
    if (status == FG_OK) memcpy(out->of, from->of, (size_t)from->sizes * sizeof *out->of);
    return status;
}

fg_status estimates_make(estimates *out, fg_context *context, const problem *p, const char *pins,
                         const buckets *all, fg_error *error)
{
    buckets_grid grid;
    maker_choices *choices = NULL;
    maker_device device = context_maker_device(context);
    const maker_request request = { .memory = &context->memory,
                                    .problem = p,
                                    .device = &device,
                                    .config = *pins ? pins : NULL,
                                    .templates = context->templates };
    *out = (estimates){ .count = 0 };
    if (!context->maker || !context->maker->choices)
        return fail(error, FG_UNSUPPORTED, "this library was built without a generator");
    buckets_grid_fill(&grid, all);
    fg_status status =
        context->maker->choices(&choices, &request, &grid.grid, estimates_most, error);
    if (status == FG_OK) status = copy(out, choices, &context->memory, error);
    maker_choices_free(choices);
    return status;
}

/* ---- Stored: the choice for the greatest sizes, as where a problem has but one; then all of them ---- */

bool estimates_get(estimates *out, fg_context *context, const buckets *all, const digest *d)
{
    store_entry e;
    *out = (estimates){ .count = 0 };
    if (!store_get(&e, context->store, STORE_estimate, d)) return false;
    const int bucket_count = buckets_count(all);
    wire w = wire_of(e.section[1].data, e.sections == 2 ? e.section[1].size : 0);
    int count = (int)wire_int_in(&w, 1, bucket_count);
    bool right = !w.failed && reserve(out, &context->memory, count, bucket_count, NULL) == FG_OK;
    for (int k = 0; k < count && right; k++) {
        choice *c = &out->choice[k];
        char hex[digest_text_size];
        wire_text(&w, c->schedule, sizeof c->schedule);
        wire_text(&w, c->config, sizeof c->config);
        wire_text(&w, hex, sizeof hex);
        right = digest_parse(&c->kernel, hex, strlen(hex));
    }
    for (int k = 0; k < bucket_count && right; k++) out->of[k] = (int)wire_int_in(&w, 0, count - 1);
    right = right && wire_done(&w);
    store_entry_free(&e);
    if (!right) estimates_free(out);
    return right;
}

/* The kernels' own keys, for a time when they cannot be computed. */
static fg_status find_kernels(estimates *e, fg_context *context, const problem *p)
{
    digest compiler;
    fg_status status = identity_of_compiler(&compiler, context, NULL);
    for (int k = 0; k < e->count && status == FG_OK; k++) {
        store_key key;
        choice *c = &e->choice[k];
        status = choice_kernel_key(&key, context, p, c->schedule, c->config, NULL);
        if (status != FG_OK) break;
        c->compiler = compiler;
        c->kernel = key_digest(&key);
        key_free(&key);
    }
    return status;
}

static void write_all(text *out, const estimates *e)
{
    wire_add_int(out, e->count);
    for (int k = 0; k < e->count; k++) {
        const choice *c = &e->choice[k];
        char hex[digest_text_size];
        digest_format(hex, &c->kernel);
        wire_add_text(out, c->schedule);
        wire_add_text(out, c->config);
        wire_add_text(out, hex);
    }
    for (int k = 0; k < e->buckets; k++) wire_add_int(out, e->of[k]);
}

void estimates_put(estimates *e, fg_context *context, const problem *p, const store_key *k)
{
    text last, all;
    if (find_kernels(e, context, p) != FG_OK) return;
    text_init(&last, &context->memory);
    text_init(&all, &context->memory);
    choice_write(&last, &e->choice[e->of[e->buckets - 1]]);
    write_all(&all, e);
    const store_section sections[] = { { last.data, last.length }, { all.data, all.length } };
    if (!last.failed && !all.failed) store_put(context->store, STORE_estimate, k, sections, 2);
    text_free(&last);
    text_free(&all);
}
