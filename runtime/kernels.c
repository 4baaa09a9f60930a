#include "runtime/kernels.h"

#include "runtime/library.h"

#include <string.h>

/* The name of a kernel: of a request, or (rigor_config) of all its axes. */
struct kernel_binding {
    struct kernel_binding *next;
    kernel *kernel;
    uint64_t hash;
    size_t length;
    char name[]; /* the rigor as a byte, the problem's line, a 0, the config */
};

enum { rigor_config = 'c' };

plan_request request_of(const problem *p, fg_rigor rigor, const char *config)
{
    plan_request r = { p, rigor, config, strlen(config), p->hash + (uint64_t)rigor };
    for (size_t k = 0; k < r.config_length; k++)
        r.hash = (r.hash ^ (unsigned char)config[k]) * 0x100000001b3u;
    return r;
}

static plan_request request_of_config(const problem *p, const char *config)
{
    return request_of(p, (fg_rigor)rigor_config, config);
}

static bool is_for(const struct kernel_binding *b, const plan_request *r)
{
    size_t line = r->problem->text_length;
    return b->hash == r->hash && b->length == line + 2 + r->config_length &&
           b->name[0] == (char)r->rigor && memcmp(b->name + 1, r->problem->text, line) == 0 &&
           memcmp(b->name + line + 2, r->config, r->config_length) == 0;
}

static struct kernel_binding *binding_new(const plan_request *r, kernel *k)
{
    size_t line = r->problem->text_length, length = line + 2 + r->config_length;
    struct kernel_binding *b = memory_new(&k->context->memory, sizeof *b + length, 1);
    if (!b) return NULL;
    b->kernel = k;
    b->hash = r->hash;
    b->length = length;
    b->name[0] = (char)r->rigor;
    memcpy(b->name + 1, r->problem->text, line);
    memcpy(b->name + line + 2, r->config, r->config_length);
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

kernel *kernels_find_config(fg_context *context, const problem *p, const char *config)
{
    plan_request r = request_of_config(p, config);
    return kernels_find(context, &r);
}

fg_status kernels_keep(kernel **k, const problem *p, fg_error *error)
{
    kernel *fresh = *k;
    fg_context *context = fresh->context;
    plan_request r = request_of_config(p, fresh->config);
    struct kernel_binding *b = binding_new(&r, fresh);
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

static void bind_locked(struct kernel_binding **b, const plan_request *r, bool replace)
{
    struct kernel_binding *before = find_locked((*b)->kernel->context, r), *fresh = *b;
    if (!before) {
        insert_locked(fresh->kernel->context, fresh);
        *b = NULL;
    } else if (replace) {
        before->kernel = fresh->kernel;
    }
}

/* *k becomes the kernel that the request gives now. */
static fg_status bind(const plan_request *r, kernel **k, bool replace, fg_error *error)
{
    fg_context *context = (*k)->context;
    struct kernel_binding *b = binding_new(r, *k);
    if (!b) return fail_memory(error);
    library_lock();
    bind_locked(&b, r, replace);
    *k = find_locked(context, r)->kernel;
    library_unlock();
    binding_free(&context->memory, b);
    return FG_OK;
}

fg_status kernels_bind(const plan_request *r, kernel **k, fg_error *error)
{
    return bind(r, k, false, error);
}

fg_status kernels_rebind(const plan_request *r, kernel *k, fg_error *error)
{
    return bind(r, &k, true, error);
}

fg_status kernels_renew(kernel *fresh, const problem *p, fg_error *error)
{
    fg_context *context = fresh->context;
    library_lock();
    fresh->next = context->kernels;
    context->kernels = fresh;
    library_unlock();
    plan_request r = request_of_config(p, fresh->config);
    return kernels_rebind(&r, fresh, error);
}

void kernels_free(fg_context *context)
{
    for (int bucket = 0; bucket < context_buckets; bucket++) {
        while (context->bindings[bucket]) {
            struct kernel_binding *b = context->bindings[bucket];
            context->bindings[bucket] = b->next;
            binding_free(&context->memory, b);
        }
    }
    while (context->kernels) {
        kernel *k = context->kernels;
        context->kernels = k->next;
        kernel_free(k);
    }
}
