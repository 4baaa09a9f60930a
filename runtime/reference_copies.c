#include "runtime/reference_copies.h"

#include "runtime/device_cuda.h"

#include <stdio.h>

enum {
    unit = 16,     /* bytes: no problem promises more of pointers and strides */
    loose = 4,     /* a block may have so many times the bytes of its elements */
    host_type = 1, /* DLPack's */
};

bool reference_elsewhere(const fg_args *args)
{
    bool found = false;
#define LOOK(name) found = found || (args->name && args->name->device.device_type != host_type);
    FG_TENSORS(LOOK)
#undef LOOK
    return found;
}

/* ---- What of a tensor lies together ---- */

/* How a tensor is copied: its dimensions from the smallest stride on; those before `inner` are one block. */
typedef struct plan_of_copy {
    int order[4], rank, inner;
    int64_t span, origin;  /* elements of a block, and from its lowest to its first */
    int64_t pitch, blocks; /* pitch: elements from block to block in the copy */
} plan_of_copy;

static int64_t size_of(int64_t stride)
{
    return stride < 0 ? -stride : stride;
}

static void sort_dimensions(plan_of_copy *p, const bound *from)
{
    for (int k = 0; k < p->rank; k++) {
        int at = k;
        for (; at > 0 && size_of(from->stride[p->order[at - 1]]) > size_of(from->stride[k]); at--)
            p->order[at] = p->order[at - 1];
        p->order[at] = k;
    }
}

/* operands_bind has seen that what all dimensions reach fits in 64 bits. */
static void plan_block(plan_of_copy *p, const bound *from)
{
    int64_t elements = 1;
    for (p->span = 1; p->inner < p->rank; p->inner++) {
        const int dim = p->order[p->inner];
        const int64_t extent = from->extent[dim], stride = from->stride[dim];
        const int64_t span = p->span + (extent - 1) * size_of(stride);
        int64_t more = elements;
        if (stride != 0 && __builtin_mul_overflow(elements, extent, &more)) more = INT64_MAX;
        if (span / loose > more) return;
        if (stride < 0) p->origin -= (extent - 1) * stride;
        p->span = span;
        elements = more;
    }
}

static bool plan_blocks(plan_of_copy *p, const bound *from, int64_t element)
{
    const int64_t step = element < unit ? unit / element : 1;
    int64_t bytes;
    if (__builtin_add_overflow(p->span, step - 1, &p->pitch)) return false;
    p->pitch = p->pitch / step * step;
    p->blocks = 1;
    for (int k = p->inner; k < p->rank; k++)
        if (__builtin_mul_overflow(p->blocks, from->extent[p->order[k]], &p->blocks)) return false;
    return !__builtin_mul_overflow(p->blocks, p->pitch, &bytes) &&
           !__builtin_mul_overflow(bytes, element, &bytes) && bytes < INT64_MAX - 2 * unit;
}

/* ---- Copies ---- */

/* Of block n: elements from the first one's to its own. */
static int64_t block_offset(const plan_of_copy *p, const bound *from, int64_t n)
{
    int64_t offset = 0;
    for (int k = p->inner; k < p->rank; k++) {
        const int dim = p->order[k];
        offset += n % from->extent[dim] * from->stride[dim];
        n /= from->extent[dim];
    }
    return offset;
}

static int copy_blocks(char *first, const plan_of_copy *p, const bound *from, int64_t element,
                       const cuda_driver *driver)
{
    int code = CUDA_SUCCESS;
    for (int64_t n = 0; n < p->blocks && code == CUDA_SUCCESS; n++)
        code = driver->memory_copy(
            (uintptr_t)(first + n * p->pitch * element),
            (uintptr_t)(from->data + (block_offset(p, from, n) - p->origin) * element),
            (size_t)(p->span * element));
    return code;
}

static void describe(reference_copy *c, const operand *o, const plan_of_copy *p, const bound *from,
                     char *first)
{
    int64_t pitch = p->pitch;
    for (int k = 0; k < p->rank; k++) {
        const int dim = p->order[k];
        c->shape[dim] = from->extent[dim];
        c->stride[dim] = from->stride[dim];
        if (k < p->inner) continue;
        c->stride[dim] = pitch;
        pitch *= from->extent[dim];
    }
    c->tensor = (DLTensor){ .data = first,
                            .device = { host_type, 0 },
                            .ndim = o->rank,
                            .dtype = { dtypes[o->type].code, dtypes[o->type].bits, 1 },
                            .shape = c->shape,
                            .strides = c->stride };
}

static bool is_empty(const operand *o, const bound *from)
{
    bool empty = false;
    for (int k = 0; k < o->rank; k++) empty = empty || from->extent[k] == 0;
    return empty;
}

static fg_status too_much(const operand *o, fg_error *error)
{
    return fail(error, FG_MEMORY, "out of memory: a copy of %s", o->name);
}

static fg_status copy_one(reference_copy *c, const fg_context *context, const operand *o,
                          const bound *from, fg_error *error)
{
    const int64_t element = dtypes[o->type].bits / 8;
    plan_of_copy p = { .rank = o->rank, .blocks = 0 };
    sort_dimensions(&p, from);
    if (is_empty(o, from)) {
        p.inner = p.rank;
        describe(c, o, &p, from, NULL);
        return FG_OK;
    }
    plan_block(&p, from);
    if (!plan_blocks(&p, from, element)) return too_much(o, error);
    c->bytes = (size_t)(p.blocks * p.pitch * element) + unit;
    c->memory = memory_new(&context->memory, 1, c->bytes);
    if (!c->memory) return too_much(o, error);
    char *first = c->memory + (unit - (uintptr_t)c->memory % unit) % unit;
    const cuda_driver *driver = &context->gpu->driver;
    int code = copy_blocks(first, &p, from, element, driver);
    if (code != CUDA_SUCCESS) {
        char what[64];
        snprintf(what, sizeof what, "copying %s to the host", o->name);
        return cuda_fail(driver, code, what, error);
    }
    describe(c, o, &p, from, first + p.origin * element);
    return FG_OK;
}

/* ---- All of a run's ---- */

static void point_to(reference_copies *out, const operand_list *list, const bound *bounds,
                     fg_args *args)
{
    const DLTensor **const fields[] = {
#define FIELD(name) &args->name,
        FG_TENSORS(FIELD)
#undef FIELD
    };
    for (int k = 0; k < list->count; k++) {
        const operand *o = &list->operand[k];
        const int extra = k - (list->count - list->extras);
        if (!bounds[k].data) continue; /* an optional one, not given */
        if (extra < 0)
            *fields[o->field] = &out->copy[k].tensor;
        else
            out->extra[extra] = &out->copy[k].tensor;
    }
    args->tensors = out->extra;
}

/* What still writes them: in a stream that need not be one that the legacy default stream waits for. */
static fg_status wait(const device_cuda *d, const fg_args *args, fg_error *error)
{
    int code = d->driver.stream_wait(args->stream);
    return code == CUDA_SUCCESS ? FG_OK
                                : cuda_fail(&d->driver, code, "waiting for the stream", error);
}

static fg_status copy_all(reference_copies *out, const operand_list *list, const bound *bounds,
                          const fg_args *args, fg_error *error)
{
    device_cuda_visit v;
    const device_cuda *d = out->context->gpu;
    fg_status status = device_cuda_enter_slowly(&v, d, error);
    if (status != FG_OK) return status;
    status = wait(d, args, error);
    for (int k = 0; k < list->count && status == FG_OK; k++)
        if (bounds[k].data)
            status = copy_one(&out->copy[k], out->context, &list->operand[k], &bounds[k], error);
    device_cuda_leave_slowly(&v, d);
    return status;
}

fg_status reference_copies_make(reference_copies *out, const fg_context *context, const problem *p,
                                fg_args *args, fg_error *error)
{
    operand_list list;
    bound bounds[operand_max];
    recipe_facts facts = operands_sizes(p);
    *out = (reference_copies){ .context = context };
    fg_status status = device_cuda_ready(context->gpu, error);
    if (status != FG_OK) return status;
    operands_make(&list, p);
    list.device = &context->gpu->operands;
    status = operands_bind(bounds, &facts, &list, args, error);
    if (status == FG_OK) status = copy_all(out, &list, bounds, args, error);
    if (status == FG_OK)
        point_to(out, &list, bounds, args);
    else
        reference_copies_free(out);
    return status;
}

void reference_copies_free(reference_copies *c)
{
    for (int k = 0; k < operand_max && c->context; k++)
        memory_free(&c->context->memory, c->copy[k].memory, c->copy[k].bytes);
    *c = (reference_copies){ .context = NULL };
}
