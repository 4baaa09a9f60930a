/* A maker whose space is a list of hand-written candidates, some of them faulty. */
#ifndef TESTS_TUNE_STUB_H
#define TESTS_TUNE_STUB_H

#include "runtime/choice.h"
#include "runtime/library.h"
#include "tests/cuda_candidate.h"

enum { FAULT_uncompiled = fault_count };

static fg_error error;

/* "fault=F n=N", the prior's best first. */
static char tune_config[64][32];
static int tune_configs;
static int64_t tune_unsampled;
static atomic_int tune_made;

static inline void tune_space(const int *faults, int count)
{
    tune_unsampled = candidate_unsampled();
    tune_configs = count;
    for (int k = 0; k < count; k++) sprintf(tune_config[k], "fault=%d n=%d", faults[k], k);
}

static inline fg_status tune_make(made **out, const maker_request *r, fg_error *e)
{
    char source[stub_max_text];
    int fault = 0, n = 0;
    const char *config = r->config ? r->config : tune_config[0];
    sscanf(config, "fault=%d n=%d", &fault, &n);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (fault == FAULT_uncompiled)
        snprintf(source, sizeof source, "this is no C, but a mistake");
    else if (r->device->gpu)
        cuda_candidate_write(source, sizeof source, tune_unsampled, 4, fault);
    else
        snprintf(source, sizeof source, candidate_text, (long long)candidate_sq - 1,
                 (long long)tune_unsampled, 64 * r->device->threads, candidate_faults[fault]);
#pragma GCC diagnostic pop
    made *m = memory_new(r->memory, 1, sizeof *m);
    if (!m) return fail_memory(e);
    *m = (made){
        .memory = r->memory, .slots = stub_slots, .steps = 1, .text_length = strlen(source)
    };
    m->regions = stub_regions;
    m->step[0].threads = stub_threads;
    memcpy(m->slot, stub_slot, sizeof m->slot);
    memcpy(m->region, stub_region, sizeof m->region);
    strcpy(m->step[0].entry, "fg_kernel");
    m->schedule = stub_copy(r->memory, "stub");
    m->config = stub_copy(r->memory, config);
    m->text = stub_copy(r->memory, source);
    fg_status status = recipe_parse(&m->step[0].tasks, "hq * sq", e);
    if (status == FG_OK) status = recipe_parse(&m->step[0].scratch, "64", e);
    if (status == FG_OK && (!m->schedule || !m->config || !m->text)) status = fail_memory(e);
    atomic_fetch_add(&tune_made, 1);
    *out = status == FG_OK ? m : NULL;
    if (status != FG_OK) made_free(m);
    return status;
}

static inline fg_status tune_list(maker_space **out, const maker_request *r, fg_error *e)
{
    const memory *m = r->memory;
    maker_space *s = memory_new(m, 1, sizeof *s);
    *out = NULL;
    if (!s) return fail_memory(e);
    *s = (maker_space){ .memory = m, .total = tune_configs + 7, .removals = 1 };
    s->count = tune_configs;
    s->schedule = stub_copy(m, "stub");
    s->removal = memory_new(m, 1, sizeof *s->removal);
    s->config = memory_new(m, (size_t)s->count, sizeof *s->config);
    s->cost = memory_new(m, (size_t)s->count, sizeof *s->cost);
    bool whole = s->schedule && s->removal && s->config && s->cost;
    if (whole) s->removal[0].constraint = stub_copy(m, "it is odd"), s->removal[0].points = 7;
    whole = whole && s->removal[0].constraint;
    for (int k = 0; k < s->count && whole; k++) {
        s->cost[k] = 1;
        whole = (s->config[k] = stub_copy(m, tune_config[k])) != NULL;
    }
    if (whole)
        *out = s;
    else
        maker_space_free(s);
    return whole ? FG_OK : fail_memory(e);
}

static const maker tune_maker = { .make = tune_make, .space = tune_list };

/* ---- Searches ---- */

typedef struct told {
    int kinds[16], silent; /* events; ticks of a second's silence */
    double last, done;
    int cancel_at, count; /* an event */
    int64_t legal, rejected;
    char text[4096]; /* of rejections and notes */
    bool wrong;
} told;

static inline int tune_event(void *user, const fg_event *e)
{
    told *t = user;
    double now = library_seconds();
    t->kinds[e->kind]++;
    t->silent += t->last > 0 && now - t->last > 1;
    t->last = now;
    t->legal = e->legal;
    t->wrong |= e->done < 0 || e->done > 1 || e->measured + e->rejected > e->legal;
    t->wrong |= e->kind == FG_EVENT_MEASURED && (!e->config || !(e->seconds > 0) || e->count < 1);
    t->wrong |= e->kind == FG_EVENT_REJECTED && (!e->config || !e->text);
    t->wrong |= (e->best_config != NULL) != (e->best_seconds > 0);
    size_t length = strlen(t->text);
    if (e->text)
        snprintf(t->text + length, sizeof t->text - length, "%s: %.300s\n",
                 e->config ? e->config : "", e->text);
    return ++t->count == t->cancel_at;
}

typedef struct tried {
    fg_context *context;
    fg_problem *problem;
    fg_tune_options options;
    told told;
    fg_tune_report report;
} tried;

static char store_folder[96];

/* With a store in this test's folder. */
static inline fg_context_options tried_options(void)
{
    fg_context_options o = stub_options();
    if (!*folder) in_folder();
    snprintf(store_folder, sizeof store_folder, "%s/store", folder);
    o.store = store_folder;
    return o;
}

/* `given` NULL: tried_options. */
static inline void tried_new(tried *t, const fg_context_options *given)
{
    fg_context_options o = given ? *given : tried_options();
    if (!given || !given->worker) o.worker = FLASHGEN_COMMAND;
    static const char *const pointers[] = { "q", "k", "v", "o", "lse" };
    stub_slots = 0;
    for (int k = 0; k < 5; k++) stub_add_slot(SLOT_pointer, pointers[k], 0);
    stub_add_slot(SLOT_real, "scale", 0);
    if (o.device) cuda_candidate_launch();
    *t = (tried){ .options = FG_TUNE_OPTIONS_INIT };
    t->context = stub_context(&o);
    t->context->maker = &tune_maker;
    t->problem = stub_problem(t->context, CANDIDATE_PROBLEM);
    t->options.seconds = 10; /* small spaces end before */
    t->options.event = tune_event;
    t->options.event_user = &t->told;
}

static inline void tried_free(tried *t)
{
    fg_problem_free(t->problem);
    fg_context_free(t->context);
}

static inline fg_status tried_tune(tried *t)
{
    t->told = (told){ .cancel_at = t->told.cancel_at };
    memset(&t->report, 0xee, sizeof t->report);
    fg_status status = fg_tune(&t->report, t->context, t->problem, &t->options, &error);
    ck_assert_msg(!t->told.wrong, "%s", t->told.text);
    return status;
}

static inline void tried_must(tried *t, bool found)
{
    fg_status status = tried_tune(t);
    ck_assert_msg(status == FG_OK, "%s\n%s", error.text, t->told.text);
    ck_assert_int_eq(t->report.found, found);
    ck_assert_int_eq(t->told.kinds[FG_EVENT_SPACE], !found);
    ck_assert_str_ne(t->report.config, "");
    ck_assert_double_gt(t->report.seconds, 0);
}

/* What is stored of it. */
static inline bool tried_stored(const tried *t, store_kind kind, choice *c)
{
    store_key k;
    const char *pins = t->options.config ? t->options.config : "";
    ck_assert_int_eq(choice_key(&k, kind, t->context, t->problem->problem, pins, &error), FG_OK);
    digest d = key_digest(&k);
    key_free(&k);
    return choice_get(c, t->context, kind, &d);
}

#endif
