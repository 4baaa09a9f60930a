#include "runtime/kernels.h"

#include "runtime/library.h"

#include <string.h>

/* The name of a kernel: of a request, or (rigor_config) of its schedule and all its axes; or that of a table. */
struct kernel_binding {
    struct kernel_binding *next;
    kernel *kernel;
    const kernel_table *table;
    uint64_t hash;
    size_t length;
    char name[]; /* the rigor as a byte, the problem's line, a 0, the sizes, a 0, the config */
};

enum { rigor_config = 'c' };

static uint64_t hash_text(uint64_t hash, const char *at, size_t length)
{
    for (size_t k = 0; k < length; k++) hash = (hash ^ (unsigned char)at[k]) * 0x100000001b3u;
    return hash;
}

plan_request request_of(const problem *p, fg_rigor rigor, const char *sizes, const char *config)
{
    plan_request r = { p, rigor, sizes, config, *sizes ? strlen(sizes) : 0, strlen(config), 0 };
    r.hash = hash_text(p->hash + (uint64_t)rigor, sizes, r.sizes_length);
    r.hash = hash_text(r.hash, config, r.config_length);
    return r;
}

static plan_request request_of_config(const problem *p, const char *schedule, const char *config)
{
    return request_of(p, (fg_rigor)rigor_config, schedule, config);
}

static size_t name_length(const plan_request *r)
{
    return r->problem->text_length + r->sizes_length + r->config_length + 3;
}

static bool is_for(const struct kernel_binding *b, const plan_request *r)
{
    size_t line = r->problem->text_length;
    return b->hash == r->hash && b->length == name_length(r) && b->name[0] == (char)r->rigor &&
           memcmp(b->name + 1, r->problem->text, line) == 0 &&
           b->name[line + 2 + r->sizes_length] == 0 &&
           (r->sizes_length == 0 || memcmp(b->name + line + 2, r->sizes, r->sizes_length) == 0) &&
           memcmp(b->name + line + 3 + r->sizes_length, r->config, r->config_length) == 0;
}

static struct kernel_binding *binding_new(fg_context *context, const plan_request *r)
{
    size_t line = r->problem->text_length, length = name_length(r);
    struct kernel_binding *b = memory_new(&context->memory, sizeof *b + length, 1);
    if (!b) return NULL;
    b->hash = r->hash;
    b->length = length;
    b->name[0] = (char)r->rigor;
    memcpy(b->name + 1, r->problem->text, line);
    memcpy(b->name + line + 2, r->sizes, r->sizes_length);
    memcpy(b->name + line + 3 + r->sizes_length, r->config, r->config_length);
    return b;
}

static struct kernel_binding *binding_of(const plan_request *r, kernel *k)
{
    struct kernel_binding *b = binding_new(k->context, r);
    if (b) b->kernel = k;
    return b;
}

static void binding_free(const memory *m, struct kernel_binding *b)
{
    if (b) memory_free(m, b, sizeof *b + b->length);
}

static struct kernel_binding **bucket_of(fg_context *context, uint64_t hash)
{
    return &context->bindings[(hash ^ hash >> 32) % context_buckets];
}

/* Under the lock. */
static struct kernel_binding *find_locked(fg_context *context, const plan_request *r)
{
    struct kernel_binding *b = *bucket_of(context, r->hash);
    while (b && !is_for(b, r)) b = b->next;
    return b;
}

static void insert_locked(fg_context *context, struct kernel_binding *b)
{
    struct kernel_binding **bucket = bucket_of(context, b->hash);
    b->next = *bucket;
    *bucket = b;
}

kernel *kernels_find(fg_context *context, const plan_request *r)
{
    library_lock();
    struct kernel_binding *b = find_locked(context, r);
    kernel *k = b ? b->kernel : NULL;
    library_unlock();
    return k;
}

kernel *kernels_find_config(fg_context *context, const problem *p, const char *schedule,
                            const char *config)
{
    plan_request r = request_of_config(p, schedule, config);
    return kernels_find(context, &r);
}

fg_status kernels_keep(kernel **k, const problem *p, fg_error *error)
{
    kernel *fresh = *k;
    fg_context *context = fresh->context;
    plan_request r = request_of_config(p, fresh->schedule, fresh->config);
    struct kernel_binding *b = binding_of(&r, fresh);
    if (!b) {
        kernel_free(fresh);
        *k = NULL;
        return fail_memory(error);
    }
    library_lock();
    struct kernel_binding *first = find_locked(context, &r);
    kernel *standing = first ? first->kernel : fresh;
    if (!first) {
        insert_locked(context, b);
        fresh->next = context->kernels;
        context->kernels = fresh;
    }
    library_unlock();
    if (!first) return FG_OK;
    *k = standing;
    binding_free(&context->memory, b);
    kernel_free(fresh);
    return FG_OK;
}

fg_status kernels_bind(const plan_request *r, kernel **k, unsigned adoptions, fg_error *error)
{
    fg_context *context = (*k)->context;
    struct kernel_binding *b = binding_of(r, *k);
    if (!b) return fail_memory(error);
    library_lock();
    struct kernel_binding *before = find_locked(context, r);
    const bool binds = !before && context->adoptions == adoptions;
    if (before) *k = before->kernel;
    if (binds) insert_locked(context, b);
    library_unlock();
    if (!binds) binding_free(&context->memory, b);
    return FG_OK;
}

fg_status kernels_rebind(const plan_request *r, kernel *k, fg_error *error)
{
    struct kernel_binding *b = binding_of(r, k);
    if (!b) return fail_memory(error);
    library_lock();
    struct kernel_binding *before = find_locked(k->context, r);
    if (before)
        before->kernel = k;
    else
        insert_locked(k->context, b);
    library_unlock();
    if (before) binding_free(&k->context->memory, b);
    return FG_OK;
}

fg_status kernels_renew(kernel *fresh, const problem *p, fg_error *error)
{
    fg_context *context = fresh->context;
    library_lock();
    fresh->next = context->kernels;
    context->kernels = fresh;
    library_unlock();
    plan_request r = request_of_config(p, fresh->schedule, fresh->config);
    return kernels_rebind(&r, fresh, error);
}

/* ---- Tables ---- */

const kernel_table *kernels_find_table(fg_context *context, const plan_request *r)
{
    library_lock();
    struct kernel_binding *b = find_locked(context, r);
    const kernel_table *t = b ? b->table : NULL;
    library_unlock();
    return t;
}

fg_status kernels_keep_table(kernel_table *fresh, const plan_request *r, unsigned adoptions,
                             fg_error *error)
{
    fg_context *context = fresh->context;
    struct kernel_binding *b = binding_new(context, r);
    if (!b) {
        table_free(fresh);
        return fail_memory(error);
    }
    b->table = fresh;
    library_lock();
    fresh->next = context->tables;
    context->tables = fresh;
    bool first = context->adoptions == adoptions && !find_locked(context, r);
    if (first) insert_locked(context, b);
    library_unlock();
    if (!first) binding_free(&context->memory, b);
    return FG_OK;
}

unsigned kernels_adoptions(fg_context *context)
{
    library_lock();
    unsigned count = context->adoptions;
    library_unlock();
    return count;
}

/* ---- Forgetting ---- */

/* Of these bindings: all tables of the problem, or with a winner only what is not by it. */
typedef struct forgetting {
    const problem *problem;
    const kernels_winner *winner; /* or NULL */
} forgetting;

static bool is_winner(const kernels_winner *w, const kernel *k)
{
    return strcmp(k->schedule, w->schedule) == 0 && strcmp(k->config, w->config) == 0;
}

/* The bucket of the winner is one of the table's, and another kernel serves it. */
static bool table_lacks(const kernel_table *t, const kernels_winner *w)
{
    const int bucket = buckets_find(&t->buckets, w->sizes->b, w->sizes->sq, w->sizes->sk);
    const maker_sizes end = buckets_sizes(&t->buckets, bucket);
    return memcmp(&end, w->sizes, sizeof end) == 0 && !is_winner(w, t->of[bucket]);
}

static bool request_lacks(const struct kernel_binding *b, const char *sizes,
                          const kernels_winner *w)
{
    char bucket[buckets_text_size];
    if (b->name[0] == rigor_config || (b->name[0] == FG_EXHAUSTIVE && !w->exhaustive)) return false;
    buckets_text(bucket, w->sizes);
    return strcmp(sizes, bucket) == 0 && !is_winner(w, b->kernel);
}

static bool is_forgotten(const forgetting *f, const struct kernel_binding *b)
{
    if (strcmp(b->name + 1, f->problem->text) != 0) return false;
    if (!f->winner) return b->table != NULL;
    const char *sizes = b->name + 2 + f->problem->text_length;
    const char *pins = sizes + strlen(sizes) + 1;
    const size_t length = b->length - (size_t)(pins - b->name);
    if (strlen(f->winner->pins) != length || memcmp(pins, f->winner->pins, length) != 0)
        return false;
    return b->table ? table_lacks(b->table, f->winner) : request_lacks(b, sizes, f->winner);
}

/* Takes those off a list of bindings, and puts them on another. */
static void move_forgotten(struct kernel_binding **to, struct kernel_binding **from,
                           const forgetting *f)
{
    for (struct kernel_binding **at = from; *at;) {
        struct kernel_binding *b = *at;
        if (is_forgotten(f, b)) {
            *at = b->next;
            b->next = *to;
            *to = b;
        } else {
            at = &b->next;
        }
    }
}

static void free_bindings(const memory *m, struct kernel_binding *list)
{
    while (list) {
        struct kernel_binding *b = list;
        list = b->next;
        binding_free(m, b);
    }
}

static void forget(fg_context *context, const forgetting *f)
{
    struct kernel_binding *forgotten = NULL;
    library_lock();
    context->adoptions++;
    for (int bucket = 0; bucket < context_buckets; bucket++)
        move_forgotten(&forgotten, &context->bindings[bucket], f);
    library_unlock();
    free_bindings(&context->memory, forgotten);
}

void kernels_forget_tables(fg_context *context, const problem *p)
{
    forget(context, &(forgetting){ .problem = p });
}

void kernels_forget_others(fg_context *context, const problem *p, const kernels_winner *winner)
{
    forget(context, &(forgetting){ p, winner });
}

void kernels_free(fg_context *context)
{
    for (int bucket = 0; bucket < context_buckets; bucket++)
        free_bindings(&context->memory, context->bindings[bucket]);
    while (context->tables) {
        kernel_table *t = context->tables;
        context->tables = t->next;
        table_free(t);
    }
    while (context->kernels) {
        kernel *k = context->kernels;
        context->kernels = k->next;
        kernel_free(k);
    }
}
