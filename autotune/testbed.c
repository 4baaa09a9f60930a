#include "autotune/testbed.h"

#include "autotune/drawn.h"

#include <stdio.h>
#include <string.h>

static size_t element_bytes(const testbed_tensor *t)
{
    return dtypes[t->operand->type].bits / 8u;
}

static char *row_of(const testbed_tensor *t, int64_t r)
{
    return t->memory.data + (size_t)(r * t->pitch) * element_bytes(t);
}

/* ---- Making ---- */

static const DLTensor **field_of(fg_args *args, int field)
{
    const DLTensor **const fields[] = {
#define FIELD_PLACE(name) &args->name,
        FG_TENSORS(FIELD_PLACE)
#undef FIELD_PLACE
    };
    return fields[field];
}

void testbed_give(fg_args *args, const DLTensor **extra, const operand_list *list, int k,
                  const DLTensor *tensor)
{
    const operand *o = &list->operand[k];
    *(o->field >= 0 ? field_of(args, o->field) : &extra[k - (list->count - list->extras)]) = tensor;
}

/* Row-major; rows are padded to what the problem promises of strides. */
static fg_status lay_out(testbed_tensor *t, fg_error *error)
{
    const operand *o = t->operand;
    int last = o->rank - 1;
    int64_t step = o->align / (int64_t)element_bytes(t);
    t->row = last >= 0 ? t->shape[last] : 1;
    t->pitch = step > 1 ? (t->row + step - 1) / step * step : t->row;
    t->rows = 1;
    int64_t stride = t->pitch, bytes;
    for (int k = last; k >= 0; k--) {
        t->stride[k] = k == last ? 1 : stride;
        if (k == last) continue;
        t->rows *= t->shape[k];
        if (__builtin_mul_overflow(stride, t->shape[k], &stride)) return fail_memory(error);
    }
    if (__builtin_mul_overflow(stride, (int64_t)element_bytes(t), &bytes))
        return fail_memory(error);
    return guarded_new(&t->memory, (size_t)bytes, error);
}

static void describe(testbed_tensor *t)
{
    const operand *o = t->operand;
    t->dl = (DLTensor){
        .data = t->memory.data,
        .device = { 1, 0 },
        .ndim = o->rank,
        .dtype = { dtypes[o->type].code, dtypes[o->type].bits, 1 },
        .shape = t->shape,
        .strides = t->stride,
    };
}

/* Tensors that go with each other have their seed in common. */
static uint64_t seed_of(const testbed *t, int k, uint64_t seed)
{
    bool documents = drawn_kind_of(&t->operands.operand[k]) == DRAWN_documents;
    return seed * operand_max + (documents ? operand_max - 1 : (uint64_t)k);
}

static fg_status fill(testbed *t, int k, uint64_t seed, fg_error *error)
{
    testbed_tensor *one = &t->tensor[k];
    const operand *o = one->operand;
    bool laid_out = *o->name && !o->name[1];
    if (o->output) return FG_OK;
    if (o->compact && !laid_out)
        return sequences_fill(&t->sequences, o->name, (int32_t *)(void *)one->memory.data, seed,
                              error);
    drawn_fill(one->memory.data, o->type, drawn_kind_of(o), one->rows, one->row, one->pitch,
               seed_of(t, k, seed));
    return FG_OK;
}

static fg_status make(testbed *t, int k, uint64_t seed, fg_error *error)
{
    const operand *o = &t->operands.operand[k];
    testbed_tensor *one = &t->tensor[k];
    one->operand = o;
    if (o->optional) return FG_OK; /* rng: the seed is given by value */
    for (int n = 0; n < o->rank; n++) one->shape[n] = sequences_extent(&t->sequences, o, n);
    fg_status status = lay_out(one, error);
    if (status != FG_OK) return status;
    t->bytes += (int64_t)one->memory.bytes;
    describe(one);
    testbed_give(&t->args, t->extra, &t->operands, k, &one->dl);
    t->args.tensor_count += o->field < 0;
    return fill(t, k, seed, error);
}

/* ---- What nothing may read ---- */

typedef struct poisoning {
    const testbed_tensor *tensor;
    int position, head; /* dimensions */
} poisoning;

static void poison(void *user, int64_t b, int64_t position)
{
    const poisoning *p = user;
    const testbed_tensor *t = p->tensor;
    size_t size = element_bytes(t);
    int64_t first = b * t->stride[0] + position * t->stride[p->position];
    for (int64_t h = 0; h < t->shape[p->head]; h++)
        memset(t->memory.data + (size_t)(first + h * t->stride[p->head]) * size, 0xff,
               (size_t)t->row * size);
}

static fg_status poison_all(testbed *t, const problem *p, fg_error *error)
{
    static const char *const names[] = { "q", "k", "v" };
    const testbed_tensor *table = testbed_find(t, "block_table");
    fg_status status = FG_OK;
    for (int k = 0; k < 3 && status == FG_OK; k++) {
        bool paged = p->page && *names[k] != 'q', swapped = p->layout == LAYOUT_bhsd && !paged;
        poisoning what = { testbed_find(t, names[k]), swapped ? 2 : 1, swapped ? 1 : 2 };
        status = sequences_poison(&t->sequences, *names[k],
                                  table ? (const int32_t *)(const void *)table->memory.data : NULL,
                                  poison, &what, error);
    }
    return status;
}

static fg_status freeze_inputs(testbed *t, fg_error *error)
{
    fg_status status = FG_OK;
    for (int k = 0; k < t->operands.count && status == FG_OK; k++)
        if (!t->tensor[k].operand->output && t->tensor[k].memory.map)
            status = guarded_freeze(&t->tensor[k].memory, error);
    return status;
}

/* ---- All of it ---- */

static void take_seed(testbed *t, const problem *p, uint64_t seed)
{
    if (!p->dropout.present) return;
    t->args.seeded = 1;
    t->args.seed = drawn_next(&seed);
    t->args.offset = drawn_next(&seed);
}

fg_status testbed_new(testbed *out, const problem *p, const fg_dims *dims, uint64_t seed,
                      fg_error *error)
{
    const fg_dims usual = FG_DIMS_INIT;
    *out = (testbed){ .args = FG_ARGS_INIT };
    fg_status status = sequences_new(&out->sequences, p, dims ? dims : &usual, seed, error);
    if (status != FG_OK) return status;
    out->dims = sequences_dims(&out->sequences);
    operands_make(&out->operands, p);
    for (int k = 0; k < out->operands.count && status == FG_OK; k++)
        status = make(out, k, seed, error);
    out->args.tensors = out->args.tensor_count ? out->extra : NULL;
    take_seed(out, p, seed);
    if (status == FG_OK) status = poison_all(out, p, error);
    if (status == FG_OK) status = freeze_inputs(out, error);
    if (status != FG_OK) testbed_free(out);
    return status;
}

void testbed_free(testbed *t)
{
    for (int k = 0; k < t->operands.count; k++) guarded_free(&t->tensor[k].memory);
    t->operands.count = 0;
    sequences_free(&t->sequences);
}

testbed_tensor *testbed_find(testbed *t, const char *name)
{
    int k = operand_find(&t->operands, name);
    return k >= 0 ? &t->tensor[k] : NULL;
}

/* Every type's sign is the first bit of its last byte. V may be large, and a worker is taken to hang meanwhile. */
static void copy_unsigned(char *to, const char *from, size_t size, int64_t count)
{
    memcpy(to, from, size * (size_t)count);
    for (int64_t k = 1; k <= count; k++) to[(size_t)k * size - 1] &= 0x7f;
}

fg_status testbed_absolute(testbed_tensor *out, const testbed_tensor *from, fg_error *error)
{
    *out = *from;
    fg_status status = guarded_new(&out->memory, from->memory.bytes, error);
    if (status != FG_OK) return status;
    out->dl.data = out->memory.data;
    for (int64_t r = 0; r < from->rows; r++)
        copy_unsigned(row_of(out, r), row_of(from, r), element_bytes(from), from->row);
    status = guarded_freeze(&out->memory, error);
    if (status != FG_OK) guarded_free(&out->memory);
    return status;
}

/* ---- Outputs ---- */

static void clear(testbed_tensor *t)
{
    guarded_mend(&t->memory);
    if (t->pitch > t->row) memset(t->memory.data, guard_pattern, t->memory.bytes);
    for (int64_t r = 0; r < t->rows; r++)
        memset(row_of(t, r), 0xff, (size_t)t->row * element_bytes(t));
}

void testbed_clear(testbed *t)
{
    for (int k = 0; k < t->operands.count; k++)
        if (t->tensor[k].operand->output) clear(&t->tensor[k]);
}

static bool padding_intact(const testbed_tensor *t)
{
    for (int64_t r = 0; r < t->rows && t->pitch > t->row; r++) {
        const char *end = row_of(t, r + 1);
        for (const char *at = row_of(t, r) + (size_t)t->row * element_bytes(t); at < end; at++)
            if ((unsigned char)*at != guard_pattern) return false;
    }
    return true;
}

fg_status testbed_intact(const testbed *t, fg_error *error)
{
    for (int k = 0; k < t->operands.count; k++) {
        const testbed_tensor *one = &t->tensor[k];
        if (!one->operand->output) continue;
        const char *where = guarded_spilled(&one->memory);
        if (where) return fail(error, FG_WRONG, "it wrote %s %s", where, one->operand->name);
        if (!padding_intact(one))
            return fail(error, FG_WRONG, "it wrote between the rows of %s", one->operand->name);
    }
    return FG_OK;
}

/* Whether an element of 2 bytes may be all ones: a quick look at all of them. */
static bool may_be_unwritten(const uint16_t *row, int64_t count)
{
    unsigned found = 0;
    for (int64_t c = 0; c < count; c++) found |= row[c] == 0xffff;
    return found;
}

/* The first element whose bits are all ones; `count` when there is none. */
static int64_t find_unwritten(const char *row, int64_t count, size_t size)
{
    static const unsigned char ones[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    int64_t c = 0;
    if (!may_be_unwritten((const void *)row, count * (int64_t)size / 2)) return count;
    while (c < count && memcmp(row + (size_t)c * size, ones, size) != 0) c++;
    return c;
}

/* The index of a row, along each dimension but the last. */
static void row_index(int64_t out[4], const testbed_tensor *t, int64_t r)
{
    for (int k = t->operand->rank - 2; k >= 0; k--) {
        out[k] = r % t->shape[k];
        r /= t->shape[k];
    }
}

static fg_status tell_unwritten(const testbed_tensor *t, int64_t r, int64_t c, fg_error *error)
{
    char at[4 * 22 + 1] = "";
    int64_t index[4] = { 0 };
    const operand *o = t->operand;
    size_t length = 0;
    row_index(index, t, r);
    index[o->rank - 1] = c;
    for (int k = 0; k < o->rank; k++)
        length += (size_t)snprintf(at + length, sizeof at - length, "[%lld]", (long long)index[k]);
    return fail(error, FG_WRONG, "it did not write %s%s", o->name, at);
}

fg_status testbed_written(const testbed *t, fg_error *error)
{
    for (int k = 0; k < t->operands.count; k++) {
        const testbed_tensor *one = &t->tensor[k];
        if (!one->operand->output) continue;
        for (int64_t r = 0; r < one->rows; r++) {
            int64_t c = find_unwritten(row_of(one, r), one->row, element_bytes(one));
            if (c < one->row) return tell_unwritten(one, r, c, error);
        }
    }
    return FG_OK;
}
