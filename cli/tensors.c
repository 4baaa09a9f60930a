#include "tensors.h"

#include "draw.h"
#include "file.h"
#include "places.h"
#include "sequences.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Files ---- */

fg_status tensor_files_add(tensor_files *files, const char *given_by, const char *name,
                           const char *path, fg_error *error)
{
    size_t size;
    if (files->count == tensors_max)
        return fault(error, FG_REQUEST, "more than %d files are given", tensors_max);
    for (int k = 0; k < files->count; k++)
        if (strcmp(files->item[k].name, name) == 0)
            return fault(error, FG_REQUEST, "there are two files for %s: %s and %s", name,
                         files->item[k].path, path);
    tensor_file *f = &files->item[files->count++];
    *f = (tensor_file){ .option = given_by, .path = path };
    snprintf(f->name, sizeof f->name, "%s", name);
    fg_status s = file_load(&f->bytes, &size, path, error);
    return s == FG_OK ? npy_parse(&f->header, f->bytes, size, path, error) : s;
}

void tensor_files_free(tensor_files *files)
{
    for (int k = 0; k < files->count; k++) free(files->item[k].bytes);
    files->count = 0;
}

int tensor_files_find(const tensor_files *files, const char *name)
{
    for (int k = 0; k < files->count; k++)
        if (strcmp(files->item[k].name, name) == 0) return k;
    return -1;
}

/* ---- One tensor ---- */

static int64_t size_of(const lengths *sizes, int dim)
{
    if (dim < 0) return -1;
    if (dim != LINE_starts) return sizes->of[dim];
    return sizes->of[LINE_b] < 0 ? -1 : sizes->of[LINE_b] + 1;
}

static fg_status resolve_shape(tensor *t, const char *line, const lengths *sizes,
                               const lengths *whole, fg_error *error)
{
    line_axes axes;
    bool named = line_axes_of(line, t->name, &axes) && axes.rank == t->dl.ndim;
    t->count = 1;
    for (int k = 0; k < t->dl.ndim; k++) {
        int dim = named ? axes.dim[k] : -1;
        if (t->shape[k] < 0) t->shape[k] = size_of(sizes, dim);
        if (named && axes.whole && dim >= 0 && whole->of[dim] >= 0) t->shape[k] = whole->of[dim];
        if (t->shape[k] < 0) return lengths_missing(dim == LINE_starts ? LINE_b : dim, error);
        if (__builtin_mul_overflow(t->count, t->shape[k], &t->count) || t->count > INT64_MAX / 1024)
            return fault(error, FG_MACHINE, "%s is too large for this machine", t->name);
    }
    return FG_OK;
}

/* q k v o: pointers and strides are multiples of what the problem promises. */
static int64_t promised_align(const char *line, const char *name)
{
    slice align = line_find(line, "align");
    if (strlen(name) != 1 || !strchr("qkvo", *name)) return 1;
    return align.at ? strtoll(align.at, NULL, 10) : 16;
}

static void resolve_strides(tensor *t, const char *line)
{
    int last = t->dl.ndim - 1;
    int64_t size = t->type->bits / 8, step = promised_align(line, t->name) / size;
    t->row = t->pitch = last >= 0 ? t->shape[last] : 1;
    if (step > 1) t->pitch = (t->row + step - 1) / step * step;
    int64_t stride = t->pitch;
    for (int k = last; k >= 0; k--) {
        t->strides[k] = k == last ? 1 : stride;
        if (k < last) stride *= t->shape[k];
    }
    t->dl.strides = t->strides;
}

size_t tensor_bytes(const tensor *t)
{
    int64_t rows = t->row > 0 ? t->count / t->row : 0;
    return (size_t)(rows * t->pitch) * (t->type->bits / 8u);
}

static fg_status allocate(tensor *t, int64_t *total, fg_error *error)
{
    const size_t line = 64;
    size_t bytes = tensor_bytes(t);
    size_t whole = (bytes + line - 1) / line * line;
    t->dl.data = aligned_alloc(line, whole ? whole : line);
    if (!t->dl.data)
        return fault(error, FG_MEMORY, "out of memory: %s takes %zu bytes", t->name, bytes);
    *total += (int64_t)bytes;
    return FG_OK;
}

static fg_status fill_from_file(tensor *t, tensor_file *f, fg_error *error)
{
    char theirs[npy_shape_text], ours[npy_shape_text];
    const npy_header *h = &f->header;
    bool mask = strcmp(t->name, "mask") == 0; /* nonzero keeps, also 0.25 */
    f->used = true;
    if (h->rank != t->dl.ndim ||
        memcmp(h->shape, t->shape, (size_t)h->rank * sizeof *h->shape) != 0)
        return fault(error, FG_REQUEST, "%s has shape %s: %s has shape %s here", f->path,
                     npy_format_shape(theirs, h->rank, h->shape), t->name,
                     npy_format_shape(ours, t->dl.ndim, t->shape));
    for (int64_t n = 0; n < t->count; n++) {
        double value = npy_at(h, f->bytes, n);
        tensor_set(t, n, mask ? value != 0 : value);
    }
    return FG_OK;
}

static fg_status shape_one(tensor *t, const fg_tensor_info *info, const char *line,
                           const tensors *all, fg_error *error)
{
    snprintf(t->name, sizeof t->name, "%s", info->name);
    memcpy(t->shape, info->shape, sizeof t->shape);
    t->output = info->output;
    t->type = element_find(info->dtype);
    t->dl = (DLTensor){
        .device = { 1, 0 }, .ndim = info->ndim, .dtype = info->dtype, .shape = t->shape
    };
    if (!t->type)
        return fault(error, FG_UNSUPPORTED, "the command does not handle the element type of %s",
                     t->name);
    fg_status s = resolve_shape(t, line, &all->sizes, &all->whole, error);
    if (s == FG_OK) resolve_strides(t, line);
    return s;
}

/* ---- All ---- */

/* The field of fg_args that has the tensor's name; NULL for those of tensor=. */
static const DLTensor **field_of(fg_args *args, const char *name)
{
    const struct {
        const char *name;
        const DLTensor **field;
    } fields[] = {
#define FIELD(name) { #name, &args->name },
        FG_TENSORS(FIELD)
#undef FIELD
    };
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
        if (strcmp(fields[k].name, name) == 0) return fields[k].field;
    return NULL;
}

static void place(tensors *out, tensor *t)
{
    const DLTensor **field = field_of(&out->args, t->name);
    if (field)
        *field = &t->dl;
    else
        out->extra[out->args.tensor_count++] = &t->dl;
}

static fg_status make_one(tensors *out, const tensors_from *from, const fg_tensor_info *info,
                          fg_error *error)
{
    tensor *t = &out->item[out->count++];
    int file = tensor_files_find(from->files, info->name);
    bool first = sequences_first(info->name);
    int64_t bound;
    fg_status s;
    t->drawn = file < 0 && !info->output;
    s = sequences_before(&out->sizes, &bound, from->line, info->name, t->drawn, error);
    if (s == FG_OK) s = shape_one(t, info, from->line, out, error);
    if (s == FG_OK) s = allocate(t, &out->bytes, error);
    if (s != FG_OK) return s;
    if (t->drawn) draw(t, first ? from->draw_lengths : from->draw, bound);
    if (file >= 0 && !t->output) s = fill_from_file(t, &from->files->item[file], error);
    if (s == FG_OK) s = sequences_after(&out->sizes, t, error);
    place(out, t);
    return s;
}

/* In the problem's order, those first that sizes depend on, or the others. */
static fg_status make_some(tensors *out, const tensors_from *from, bool first, fg_error *error)
{
    fg_tensor_info info;
    fg_status s = FG_OK;
    for (size_t k = 0; s == FG_OK && fg_problem_tensor(from->problem, k, &info) == FG_OK; k++) {
        if (info.optional || sequences_first(info.name) != first) continue;
        if (out->count == tensors_max)
            return fault(error, FG_INTERNAL, "more than %d tensors", tensors_max);
        s = make_one(out, from, &info, error);
    }
    return s;
}

/* By value, where the problem has dropout. */
static fg_status take_seed(tensors *out, const tensors_from *from, fg_error *error)
{
    const input_choices *in = from->inputs;
    bool dropout = line_find(from->line, "dropout").at != NULL;
    if (!dropout && (in->seed.given || in->offset.given))
        return fault(error, FG_REQUEST, "--%s %llu, but the problem has no dropout",
                     in->seed.given ? "seed" : "offset",
                     (unsigned long long)(in->seed.given ? in->seed.value : in->offset.value));
    out->args.seeded = dropout;
    out->args.seed = in->seed.value;
    out->args.offset = in->offset.value;
    return FG_OK;
}

static fg_status check_all_used(const tensor_files *files, fg_error *error)
{
    for (int k = 0; k < files->count; k++)
        if (!files->item[k].used)
            return fault(error, FG_REQUEST, "%s gives %s, but the problem has no input %s",
                         files->item[k].option, files->item[k].path, files->item[k].name);
    return FG_OK;
}

fg_status tensors_make(tensors *out, const tensors_from *from, fg_error *error)
{
    *out = (tensors){ .args = FG_ARGS_INIT, .sizes = *from->known };
    out->args.tensors = out->extra;
    fg_status s = take_seed(out, from, error);
    if (s == FG_OK) s = places_take(&out->args, &out->whole, from->line, from->inputs, error);
    if (s == FG_OK) s = make_some(out, from, true, error);
    if (s == FG_OK) s = make_some(out, from, false, error);
    return s == FG_OK ? check_all_used(from->files, error) : s;
}

void tensors_free(tensors *t)
{
    for (int k = 0; k < t->count; k++) free(t->item[k].dl.data);
    t->count = 0;
}

tensor *tensors_find(tensors *t, const char *name)
{
    for (int k = 0; k < t->count; k++)
        if (strcmp(t->item[k].name, name) == 0) return &t->item[k];
    return NULL;
}

static void *element_of(const tensor *t, int64_t index)
{
    int64_t place = t->pitch == t->row ? index : index / t->row * t->pitch + index % t->row;
    return (char *)t->dl.data + (size_t)place * (t->type->bits / 8u);
}

double tensor_at(const tensor *t, int64_t index)
{
    return t->type->load(element_of(t, index));
}

void tensor_set(tensor *t, int64_t index, double value)
{
    t->type->store(element_of(t, index), value);
}
