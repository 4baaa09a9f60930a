#include "tests/support_tensor.h"

#include "runtime/operand.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t element_size(const test_tensor *t)
{
    return dtypes[t->type].bits / 8;
}

/* ---- Layouts ---- */

/* What a tensor's memory is made from. */
typedef struct layout {
    int order[4];   /* dimensions, the innermost first */
    int64_t align;  /* of the pointer, in bytes */
    int64_t unit;   /* strides are multiples of so many elements */
    bool compact;   /* the last dimension has stride 1 */
    int64_t reach;  /* elements from the lowest to the highest, both included */
    int64_t origin; /* elements from the lowest to the first */
} layout;

static void shuffle(int *order, int count, rng *r)
{
    for (int k = count - 1; k > 0; k--) {
        int other = (int)rng_below(r, k + 1), swap = order[k];
        order[k] = order[other];
        order[other] = swap;
    }
}

static void order_dimensions(layout *l, int rank, rng *r)
{
    for (int k = 0; k < rank; k++) l->order[k] = rank - 1 - k;
    if (!r || !rng_chance(r, 0.4)) return;
    int fixed = l->compact ? 1 : 0;
    if (rank > fixed) shuffle(l->order + fixed, rank - fixed, r);
}

/* The stride of the next dimension outwards, whose elements are `step` apart when packed. */
static int64_t draw_stride(test_tensor *t, const layout *l, int64_t step, rng *r)
{
    static const int64_t paddings[] = { 0, 0, 0, 1, 1, 2, 3, 7 };
    int64_t stride = (step + l->unit - 1) / l->unit * l->unit;
    if (!r) return stride;
    bool values = strcmp(t->name, "v") == 0; /* sums of equal values round alike */
    if (!t->output && !t->exact && !values && rng_chance(r, 0.04)) {
        t->repeats = true;
        return 0;
    }
    stride += l->unit * rng_pick(r, paddings);
    return rng_chance(r, 0.15) ? -stride : stride;
}

static void draw_strides(test_tensor *t, layout *l, rng *r)
{
    int64_t step = 1;
    for (int k = 0; k < t->rank; k++) {
        int dim = l->order[k];
        bool packed = l->compact && dim == t->rank - 1;
        int64_t stride = packed ? 1 : draw_stride(t, l, step, r), size = llabs(stride);
        t->stride[dim] = stride;
        if (t->shape[dim] > 1) {
            l->reach += (t->shape[dim] - 1) * size;
            if (stride < 0) l->origin += (t->shape[dim] - 1) * size;
        } else if (r && rng_chance(r, 0.3)) {
            t->stride[dim] = rng_between(r, -99, 99); /* of one element: means nothing */
        }
        if (size * t->shape[dim] > step) step = size * t->shape[dim];
    }
}

/* The first element is aligned to l->align and to no power of two above it. */
static void allocate(test_tensor *t, const layout *l, rng *r)
{
    int64_t size = element_size(t), origin = l->origin * size;
    int64_t place = r ? 2 * l->align : 64, shift = ((r ? l->align : 0) - origin) % place;
    if (shift < 0) shift += place;
    t->bytes = (size_t)(shift + l->reach * size);
    ck_assert_int_eq(posix_memalign((void **)&t->block, 64, t->bytes), 0);
    memset(t->block, t->output ? test_untouched : 0xff, t->bytes);
    t->first = t->block + shift + origin;
    t->dl.byte_offset = r && rng_chance(r, 0.5) ? (uint64_t)rng_below(r, 64) : 0;
    t->dl.data = t->first - t->dl.byte_offset;
}

static void lay_out(test_tensor *t, int64_t align, rng *r)
{
    layout l = { .align = element_size(t), .unit = 1, .reach = 1, .compact = t->exact };
    t->count = 1;
    for (int k = 0; k < t->rank; k++) t->count *= t->shape[k];
    if (align) {
        l.compact = true;
        l.align = align;
        if (align > element_size(t)) l.unit = align / element_size(t);
    }
    order_dimensions(&l, t->rank, r);
    draw_strides(t, &l, r);
    if (t->count > 0) allocate(t, &l, r);
}

/* ---- Making ---- */

/* What the problem leaves to a run. */
static int64_t extent_of(const operand *o, int k, const test_sizes *z)
{
    switch (o->dim[k]) {
    case DIM_b:
        return z->b;
    case DIM_sq:
        return z->sq;
    case DIM_sk:
        return z->sk;
    case DIM_total_q:
        return z->total_q;
    case DIM_total_k:
        return z->total_k;
    default:
        return *o->name == 'c' ? z->b + 1 : *o->name == 'b' ? z->blocks : z->pages;
    }
}

static int64_t whole_of(const operand *o, int k, const run_shard *shard, int64_t own)
{
    switch (o->dim[k]) {
    case DIM_b:
        return shard->whole_b;
    case DIM_hq:
        return shard->whole_hq;
    case DIM_hkv:
        return shard->whole_hkv;
    case DIM_sq:
        return shard->whole_sq;
    case DIM_sk:
        return shard->whole_sk;
    default:
        return own;
    }
}

static void make_one(test_tensor *t, const problem *p, const problem_tensor_info *info,
                     const operand *o, const test_sizes *z, rng *r)
{
    bool laid_out = strlen(info->name) == 1 && strchr("qkvo", *info->name);
    bool paged = p->page && (*info->name == 'k' || *info->name == 'v') && laid_out;
    *t = (test_tensor){
        .name = info->name,
        .type = info->type,
        .rank = info->rank,
        .output = info->output,
        .heads_first = (p->layout == LAYOUT_bhsd && !paged) || !laid_out,
        .packed = p->lens == LENS_packed && !paged && (laid_out || strcmp(info->name, "lse") == 0),
        .exact = info->compact && !laid_out,
    };
    for (int k = 0; k < t->rank; k++)
        t->shape[k] = o->shape[k] == problem_dynamic ? extent_of(o, k, z) : o->shape[k];
    for (int k = 0; k < t->rank && o->whole && z->shard.whole_b; k++)
        t->shape[k] = whole_of(o, k, &z->shard, t->shape[k]);
    lay_out(t, laid_out ? p->align : 0, r);
    t->dl.device.device_type = 1;
    t->dl.ndim = t->rank;
    t->dl.dtype = (DLDataType){ dtypes[t->type].code, dtypes[t->type].bits, 1 };
    if (strcmp(t->name, "mask") == 0 && r && rng_chance(r, 0.5)) t->dl.dtype.code = 6;
    if (strcmp(t->name, "rng") == 0 && r && rng_chance(r, 0.5)) t->dl.dtype.code = 1;
    t->dl.shape = t->shape;
    t->dl.strides = r || laid_out ? t->stride : NULL;
}

static void set_seed(test_tensors *t)
{
    t->args.rng = NULL;
    t->args.seeded = 1;
    t->args.seed = UINT64_C(0x9e3779b97f4a7c15);
    t->args.offset = UINT64_C(0x100000003);
}

void test_seed_by_tensor(test_tensors *t)
{
    t->args.rng = &test_tensors_find(t, "rng")->dl;
    t->args.seeded = 0;
}

static void set_args(test_tensors *t, int extras)
{
    const struct {
        const char *name;
        const DLTensor **field;
    } fields[] = {
#define FIELD(name) { #name, &t->args.name },
        FG_TENSORS(FIELD)
#undef FIELD
    };
    t->args = (fg_args)FG_ARGS_INIT;
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
        const test_tensor *found = test_tensors_find(t, fields[k].name);
        if (found) *fields[k].field = &found->dl;
    }
    for (int k = 0; k < extras; k++) t->extra[k] = &t->tensor[t->count - extras + k].dl;
    t->args.tensors = extras ? t->extra : NULL;
    t->args.tensor_count = (size_t)extras;
    if (t->args.rng) set_seed(t);
#define SHARD_ARG(name) t->args.name = t->sizes.shard.name;
    if (t->sizes.shard.whole_b) {
        SHARD_INTS(SHARD_ARG)
    }
#undef SHARD_ARG
}

void test_tensors_make(test_tensors *out, fg_problem *handle, const test_sizes *sizes, rng *layouts)
{
    problem_tensor_info info;
    operand_list list;
    const problem *p = handle->problem;
    *out = (test_tensors){ .problem = handle };
    if (sizes)
        out->sizes = *sizes;
    else
        test_sizes_whole(&out->sizes, p);
    operands_make(&list, p);
    while (problem_tensor_at(p, (size_t)out->count, &info)) {
        int at = out->count++;
        ck_assert_int_lt(at, test_tensors_max);
        make_one(&out->tensor[at], p, &info, &list.operand[at], &out->sizes, layouts);
    }
    set_args(out, p->tensors);
}

void test_tensors_free(test_tensors *t)
{
    for (int k = 0; k < t->count; k++) free(t->tensor[k].block);
    free(t->workspace.block);
    free(t->prepared.block);
    *t = (test_tensors){ 0 };
}

test_tensor *test_tensors_find(test_tensors *t, const char *name)
{
    for (int k = 0; k < t->count; k++)
        if (strcmp(t->tensor[k].name, name) == 0) return &t->tensor[k];
    return NULL;
}

/* ---- Elements ---- */

void *test_element(const test_tensor *t, int64_t index)
{
    int64_t offset = 0;
    for (int k = t->rank - 1; k >= 0; k--) {
        if (t->shape[k] > 1) offset += index % t->shape[k] * t->stride[k];
        index /= t->shape[k];
    }
    return t->first + offset * element_size(t);
}

double test_get(const test_tensor *t, int64_t index)
{
    return dtype_load(t->type, test_element(t, index));
}

void test_set(test_tensor *t, int64_t index, double value)
{
    dtype_store(t->type, test_element(t, index), value);
}

int64_t test_index(const test_tensor *t, int64_t b, int64_t h, int64_t s, int64_t c)
{
    const int64_t all[] = { b, t->heads_first ? h : s, t->heads_first ? s : h, c };
    const int64_t *at = all + t->packed;
    int64_t index = 0;
    for (int k = 0; k < t->rank; k++)
        index = index * t->shape[k] + (t->shape[k] > 1 ? at[k] : 0); /* a 1 broadcasts */
    return index;
}

/* ---- Contents ---- */

void test_fill_normal(test_tensor *t, rng *r)
{
    for (int64_t k = 0; k < t->count; k++) test_set(t, k, rng_normal(r));
}

void test_fill(test_tensor *t, double value)
{
    for (int64_t k = 0; k < t->count; k++) test_set(t, k, value);
}

static void fill_integers(test_tensor *t, rng *r)
{
    int64_t least = t->type == DTYPE_u8 ? 0 : -3;
    for (int64_t k = 0; k < t->count; k++) test_set(t, k, (double)rng_between(r, least, 11));
}

/* Bytes of a mask that keep may be any but 0. */
static void fill_mask(test_tensor *t, rng *r)
{
    int64_t most = t->dl.dtype.code == 6 ? 1 : 255;
    for (int64_t k = 0; k < t->count; k++)
        test_set(t, k, rng_chance(r, 0.5) ? (double)rng_between(r, 1, most) : 0);
}

static void fill_slopes(test_tensor *t)
{
    for (int64_t h = 0; h < t->count; h++)
        test_set(t, h, exp2(-8.0 * (double)(h + 1) / (double)t->count));
}

void test_fill_usual(test_tensors *t, rng *r)
{
    for (int k = 0; k < t->count; k++) {
        test_tensor *one = &t->tensor[k];
        if (one->output || one->exact) continue;
        if (strcmp(one->name, "mask") == 0)
            fill_mask(one, r);
        else if (strcmp(one->name, "slopes") == 0)
            fill_slopes(one);
        else if (dtypes[one->type].mantissa)
            test_fill_normal(one, r);
        else
            fill_integers(one, r);
    }
    test_fill_run(t, r);
    test_poison(t);
}
