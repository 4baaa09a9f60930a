#include "runtime/operand.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const field_names[] = {
#define FIELD_NAME(name) #name,
    FG_TENSORS(FIELD_NAME)
#undef FIELD_NAME
};

_Static_assert(sizeof field_names / sizeof *field_names == operand_fields,
               "one bound for each field");

static const size_t field_places[] = {
#define FIELD_PLACE(name) offsetof(fg_args, name),
    FG_TENSORS(FIELD_PLACE)
#undef FIELD_PLACE
};

static const DLTensor *field_at(const fg_args *args, int field)
{
    const char *place = (const char *)args + field_places[field];
    return *(const DLTensor *const *)(const void *)place;
}

int operand_find(const operand_list *list, const char *name)
{
    for (int k = 0; k < list->count; k++)
        if (strcmp(list->operand[k].name, name) == 0) return k;
    return -1;
}

/* ---- From the problem ---- */

/* What the axes of the named tensors are, in layout bshd. */
typedef struct axes {
    const char *name;
    operand_dim dim[4];
} axes;

static const axes named_axes[] = {
    { "q", { DIM_b, DIM_sq } },
    { "k", { DIM_b, DIM_sk } },
    { "v", { DIM_b, DIM_sk } },
    { "o", { DIM_b, DIM_sq } },
    { "lse", { DIM_b, DIM_fixed, DIM_sq } },
    { "bias", { DIM_b, DIM_fixed, DIM_sq, DIM_sk } },
    { "mask", { DIM_b, DIM_fixed, DIM_sq, DIM_sk } },
    { "slopes", { DIM_hq } },
    { "sinks", { DIM_hq } },
    { "q_lens", { DIM_b } },
    { "k_lens", { DIM_b } },
    { "cu_q", { DIM_any } }, /* b + 1: checked with its values */
    { "cu_k", { DIM_any } },
    { "block_table", { DIM_b, DIM_any } },
};

/* The same where lens=packed. */
static const axes packed_axes[] = {
    { "q", { DIM_total_q } },
    { "k", { DIM_total_k } },
    { "v", { DIM_total_k } },
    { "o", { DIM_total_q } },
    { "lse", { DIM_fixed, DIM_total_q } },
};

/* Where there are pages. */
static const axes paged_axes[] = { { "k", { DIM_any } }, { "v", { DIM_any } } };

#define COUNT_OF(table) (sizeof(table) / sizeof *(table))

enum { laid_out = 4 /* q k v o follow the layout and the promise of alignment */ };

static void dims_from(operand *o, const axes *table, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (strcmp(table[k].name, o->name) == 0) memcpy(o->dim, table[k].dim, sizeof o->dim);
}

static void dims_named(operand *o, const problem *p, int field)
{
    dims_from(o, named_axes, COUNT_OF(named_axes));
    if (p->lens == LENS_packed) dims_from(o, packed_axes, COUNT_OF(packed_axes));
    if (p->page) dims_from(o, paged_axes, COUNT_OF(paged_axes));
    bool paged = p->page && (o->name[0] == 'k' || o->name[0] == 'v');
    if (field >= laid_out || paged || p->layout != LAYOUT_bhsd) return;
    operand_dim middle = o->dim[1];
    o->dim[1] = o->dim[2];
    o->dim[2] = middle;
}

static void dims_extra(operand *o, const problem_tensor *t)
{
    static const struct {
        const char *name;
        operand_dim dim;
    } dims[] = {
        { "b", DIM_b }, { "hq", DIM_hq }, { "hkv", DIM_hkv }, { "sq", DIM_sq }, { "sk", DIM_sk }
    };
    for (int k = 0; k < t->rank; k++)
        for (size_t n = 0; n < COUNT_OF(dims); n++)
            if (strcmp(t->dim[k], dims[n].name) == 0) o->dim[k] = dims[n].dim;
}

static int field_find(const char *name)
{
    for (int k = 0; k < operand_fields; k++)
        if (strcmp(field_names[k], name) == 0) return k;
    return -1;
}

static void operand_make(operand *o, const problem *p, const problem_tensor_info *info,
                         const problem_tensor *extra)
{
    int size = dtypes[info->type].bits / 8;
    *o = (operand){ .type = info->type,
                    .rank = info->rank,
                    .output = info->output,
                    .optional = info->optional,
                    .compact = info->compact,
                    .align = size,
                    .field = -1 };
    snprintf(o->name, sizeof o->name, "%s", info->name);
    memcpy(o->shape, info->shape, sizeof o->shape);
    o->whole =
        p->shard && (extra || strcmp(o->name, "slopes") == 0 || strcmp(o->name, "sinks") == 0);
    if (extra) {
        dims_extra(o, extra);
        return;
    }
    o->field = field_find(o->name);
    dims_named(o, p, o->field);
    if (o->field >= laid_out) return;
    o->align = (int)p->align;
}

recipe_facts operands_sizes(const problem *p)
{
    return (recipe_facts){
        .b = p->b,
        .hq = p->hq,
        .hkv = p->hkv,
        .sq = p->sq,
        .sk = p->sk,
        .d = p->d,
        .dv = p->dv,
        .total_q = problem_dynamic,
        .total_k = problem_dynamic,
    };
}

void operands_make(operand_list *out, const problem *p)
{
    problem_tensor_info info;
    int count = 0;
    while (count < operand_max && problem_tensor_at(p, (size_t)count, &info)) count++;
    *out = (operand_list){
        .count = count, .extras = p->tensors, .lens = p->lens, .page = p->page, .shard = p->shard
    };
    for (int k = 0; k < count && problem_tensor_at(p, (size_t)k, &info); k++) {
        int extra = k - (count - p->tensors);
        operand_make(&out->operand[k], p, &info, extra >= 0 ? &p->tensor[extra] : NULL);
        if (extra >= 0) continue;
        out->wanted |= 1u << out->operand[k].field;
        out->optional |= (unsigned)info.optional << out->operand[k].field;
    }
}

/* ---- In a run ---- */

/* "[2, 333, 8, 80]" */
typedef struct shape_text {
    char text[100];
} shape_text;

static shape_text shape_print(const int64_t *shape, int rank)
{
    shape_text out;
    size_t length = 0;
    for (int k = 0; k < rank; k++) {
        int wrote = snprintf(out.text + length, sizeof out.text - length, "%s%lld", k ? ", " : "[",
                             (long long)shape[k]);
        length += (size_t)wrote;
    }
    snprintf(out.text + length, sizeof out.text - length, "%s", rank ? "]" : "[]");
    return out;
}

/* DLPack's device types. */
enum { device_host = 1, device_cuda_type = 2, device_cuda_managed = 13 };

static fg_status check_place(const operand_device *d, const operand *o, DLDevice got,
                             fg_error *error)
{
    if (!d && got.device_type != device_host)
        return fail(error, FG_REQUEST, "%s is on device type %d: it must be in host memory (1)",
                    o->name, (int)got.device_type);
    if (!d || got.device_type == device_cuda_managed) return FG_OK;
    if (got.device_type != device_cuda_type)
        return fail(error, FG_REQUEST, "%s is on device type %d: it must be on %s (2)", o->name,
                    (int)got.device_type, d->place);
    if (got.device_id == d->index) return FG_OK;
    return fail(error, FG_REQUEST, "%s is on cuda:%d: this plan runs on %s", o->name,
                (int)got.device_id, d->place);
}

static fg_status check_type(const operand *o, const DLTensor *t, fg_error *error)
{
    const dtype_facts *want = &dtypes[o->type];
    DLDataType got = t->dtype;
    bool alike = (o->type == DTYPE_u8 && got.code == 6) /* a mask as bytes of 0 and 1 */
                 || (o->optional && got.code == 1);     /* words of either sign */
    if ((got.code == want->code || alike) && got.bits == want->bits && got.lanes == 1) return FG_OK;
    return fail(error, FG_REQUEST,
                "%s has type code %d, %d bits, %d lanes: it must be %s (%d, %d, 1)", o->name,
                got.code, got.bits, got.lanes, want->name, want->code, want->bits);
}

const int64_t operand_longest[operand_dims] = {
    [DIM_b] = 1 << 20,
    [DIM_hq] = 1 << 20,
    [DIM_hkv] = 1 << 20,
    [DIM_sq] = PROBLEM_MAX_LENGTH,
    [DIM_sk] = PROBLEM_MAX_LENGTH,
    [DIM_total_q] = INT64_C(1) << 40,
    [DIM_total_k] = INT64_C(1) << 40,
    [DIM_any] = INT64_C(1) << 40,
};

/* Where a run's size stands, or NULL. */
static int64_t *fact_of(recipe_facts *facts, operand_dim dim)
{
    static const struct {
        bool here;
        size_t place;
    } rows[operand_dims] = {
        [DIM_b] = { true, offsetof(recipe_facts, b) },
        [DIM_sq] = { true, offsetof(recipe_facts, sq) },
        [DIM_sk] = { true, offsetof(recipe_facts, sk) },
        [DIM_total_q] = { true, offsetof(recipe_facts, total_q) },
        [DIM_total_k] = { true, offsetof(recipe_facts, total_k) },
    };
    if (!rows[dim].here) return NULL;
    return (int64_t *)(void *)((char *)facts + rows[dim].place);
}

/* Fills the dims that only a run knows, with the first tensor that has them; those of one tensor alone are but
 * looked at. */
static fg_status take_dims(recipe_facts *facts, const operand *o, const DLTensor *t,
                           fg_error *error)
{
    for (int k = 0; k < o->rank; k++) {
        operand_dim dim = o->dim[k];
        int64_t *place = fact_of(facts, dim);
        if (o->shape[k] != problem_dynamic || (place && *place != problem_dynamic)) continue;
        if (t->shape[k] < 0 || t->shape[k] > operand_longest[dim])
            return fail(error, FG_REQUEST,
                        "%s has extent %lld in dimension %d: it must be 0 to %lld", o->name,
                        (long long)t->shape[k], k, (long long)operand_longest[dim]);
        if (place) *place = t->shape[k];
    }
    return FG_OK;
}

static int64_t whole_of(const run_shard *shard, operand_dim dim)
{
    const int64_t whole[operand_dims] = {
        [DIM_b] = shard->whole_b,   [DIM_hq] = shard->whole_hq, [DIM_hkv] = shard->whole_hkv,
        [DIM_sq] = shard->whole_sq, [DIM_sk] = shard->whole_sk,
    };
    return whole[dim];
}

/* `shard`: whose whole run's sizes the tensor has, or NULL. */
static fg_status check_shape(const operand *o, recipe_facts *facts, const run_shard *shard,
                             const DLTensor *t, fg_error *error)
{
    if (t->ndim != o->rank || (o->rank > 0 && !t->shape))
        return fail(error, FG_REQUEST, "%s has %d dimensions: it must have %d", o->name,
                    (int)t->ndim, o->rank);
    fg_status status = shard ? FG_OK : take_dims(facts, o, t, error);
    if (status != FG_OK) return status;
    int64_t want[4] = { 0 };
    bool equal = true;
    for (int k = 0; k < o->rank; k++) {
        const int64_t *run = fact_of(facts, o->dim[k]);
        want[k] = o->shape[k] != problem_dynamic ? o->shape[k] : run ? *run : t->shape[k];
        if (shard && o->dim[k] != DIM_fixed) want[k] = whole_of(shard, o->dim[k]);
        equal = equal && want[k] == t->shape[k];
    }
    if (equal) return FG_OK;
    return fail(error, FG_REQUEST, "%s has shape %s: it must be %s", o->name,
                shape_print(t->shape, o->rank).text, shape_print(want, o->rank).text);
}

/* Strides in elements of a tensor that is not empty, 0 where there is but one: what a host puts there means
 * nothing. */
static void take_strides(int64_t out[4], const DLTensor *t)
{
    int64_t compact = 1;
    for (int k = t->ndim - 1; k >= 0; k--) {
        out[k] = t->shape[k] <= 1 ? 0 : t->strides ? t->strides[k] : compact;
        if (__builtin_mul_overflow(compact, t->shape[k], &compact))
            compact = INT64_MAX; /* reach_fits sees it */
    }
}

static fg_status check_stride(const operand *o, int k, int64_t stride, fg_error *error)
{
    int size = dtypes[o->type].bits / 8;
    bool last = o->compact && k == o->rank - 1;
    if (last && stride != 1)
        return fail(error, FG_REQUEST,
                    "%s has stride %lld in its last dimension: it must be compact (1)", o->name,
                    (long long)stride);
    if (o->output && stride == 0)
        return fail(error, FG_REQUEST,
                    "%s has stride 0 in dimension %d: an output must not overlap itself", o->name,
                    k);
    const uint64_t bytes =
        (uint64_t)stride * (uint64_t)size; /* what wraps is a multiple of any promise */
    if (!last && (bytes & (uint64_t)(o->align - 1)) != 0)
        return fail(error, FG_REQUEST,
                    "%s has a stride of %lld elements in dimension %d, no multiple of %d bytes: "
                    "the problem must "
                    "promise a smaller align",
                    o->name, (long long)stride, k, o->align);
    return FG_OK;
}

/* Every element's distance from the first, in bytes, must be a number. */
static bool reach_fits(const operand *o, const DLTensor *t, const int64_t stride[4])
{
    int64_t reach = 0, part;
    for (int k = 0; k < t->ndim; k++) {
        if (stride[k] == INT64_MIN) return false;
        int64_t step = stride[k] < 0 ? -stride[k] : stride[k];
        if (__builtin_mul_overflow(step, t->shape[k], &part) ||
            __builtin_add_overflow(reach, part, &reach))
            return false;
    }
    return !__builtin_mul_overflow(reach, dtypes[o->type].bits / 8, &part);
}

/* An empty tensor's elements, as expressions have it: all strides are 0. Kernels may read ahead of a test. */
static const _Alignas(16) char zeros[16];

static fg_status bind_memory(bound *out, const operand *o, const DLTensor *t,
                             const operand_device *device, fg_error *error)
{
    bool empty = false;
    for (int k = 0; k < t->ndim; k++) empty = empty || t->shape[k] == 0;
    *out = (bound){ .data = device ? device->zeros : (char *)(uintptr_t)zeros };
    for (int k = 0; k < t->ndim; k++) out->extent[k] = t->shape[k];
    if (empty) return FG_OK;
    if (!t->data) return fail(error, FG_REQUEST, "%s has no data", o->name);
    out->data = (char *)t->data + t->byte_offset;
    take_strides(out->stride, t);
    if (((uintptr_t)out->data & (uintptr_t)(o->align - 1)) != 0)
        return fail(error, FG_REQUEST,
                    "%s is not aligned to %d bytes: the problem must promise a smaller align",
                    o->name, o->align);
    if (!reach_fits(o, t, out->stride))
        return fail(error, FG_REQUEST, "%s has strides that reach beyond 64 bits", o->name);
    fg_status status = device ? device->check(device, out->data, o->name, error) : FG_OK;
    for (int k = 0; k < t->ndim && status == FG_OK; k++)
        if (t->shape[k] > 1) status = check_stride(o, k, out->stride[k], error);
    return status;
}

static fg_status check_present(const operand_list *list, const fg_args *args, fg_error *error)
{
    for (int f = 0; f < operand_fields; f++) {
        const bool wanted = list->wanted >> f & 1, optional = list->optional >> f & 1;
        if (wanted == (field_at(args, f) != NULL) || optional) continue;
        return wanted ? fail(error, FG_REQUEST, "%s is missing: the problem asks for it",
                             field_names[f])
                      : fail(error, FG_REQUEST, "%s was given, but the problem has none",
                             field_names[f]);
    }
    if (args->tensor_count == (size_t)list->extras && (list->extras == 0 || args->tensors))
        return FG_OK;
    return fail(error, FG_REQUEST,
                "%zu tensors were given: the problem declares %d by tensor=", args->tensor_count,
                list->extras);
}

/* `shard`: NULL binds all tensors but those that are of the whole run, else those. */
static fg_status bind_some(bound out[operand_max], recipe_facts *facts, const run_shard *shard,
                           const operand_list *list, const fg_args *args, fg_error *error)
{
    fg_status status = FG_OK;
    for (int k = 0; k < list->count && status == FG_OK; k++) {
        const operand *o = &list->operand[k];
        int extra = k - (list->count - list->extras);
        const DLTensor *t = extra < 0 ? field_at(args, o->field) : args->tensors[extra];
        if (o->whole != (shard != NULL)) continue;
        out[k] = (bound){ .data = NULL };
        if (!t && o->optional) continue;
        if (!t) return fail(error, FG_REQUEST, "%s is missing: the problem asks for it", o->name);
        status = check_place(list->device, o, t->device, error);
        if (status == FG_OK) status = check_type(o, t, error);
        if (status == FG_OK) status = check_shape(o, facts, shard, t, error);
        if (status == FG_OK) status = bind_memory(&out[k], o, t, list->device, error);
    }
    return status;
}

fg_status operands_bind(bound out[operand_max], recipe_facts *facts, const operand_list *list,
                        const fg_args *args, fg_error *error)
{
    run_shard shard;
    fg_status status = check_present(list, args, error);
    if (status == FG_OK) status = bind_some(out, facts, NULL, list, args, error);
    if (status == FG_OK) status = operands_check_lengths(facts, list, out, error);
    if (status != FG_OK || !list->shard) return status;
    status = shard_take(&shard, list, facts, args, error);
    return status == FG_OK ? bind_some(out, facts, &shard, list, args, error) : status;
}
