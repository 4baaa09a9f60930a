#include "tensors.h"

#include "draw.h"
#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Files ---- */

fg_status tensor_files_add(tensor_files *files, const char *option, const char *name,
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
    *f = (tensor_file){ .option = option, .path = path };
    snprintf(f->name, sizeof f->name, "%s", name);
    fg_status s = file_load(&f->bytes, &size, path, error);
    return s == FG_OK ? npy_parse(&f->header, f->bytes, size, path, error) : s;
}

void tensor_files_free(tensor_files *files)
{
    for (int k = 0; k < files->count; k++) free(files->item[k].bytes);
    files->count = 0;
}

static tensor_file *file_of(tensor_files *files, const char *name)
{
    for (int k = 0; k < files->count; k++)
        if (strcmp(files->item[k].name, name) == 0) return &files->item[k];
    return NULL;
}

/* ---- One tensor ---- */

static fg_status resolve_shape(tensor *t, const char *line, const lengths *known, fg_error *error)
{
    line_axes axes;
    bool named = line_axes_of(line, t->name, &axes) && axes.rank == t->dl.ndim;
    t->count = 1;
    for (int k = 0; k < t->dl.ndim; k++) {
        int dim = named ? axes.dim[k] : -1;
        if (t->shape[k] < 0 && dim >= 0) t->shape[k] = known->of[dim];
        if (t->shape[k] < 0)
            return fault(error, FG_REQUEST,
                         "%s is given at launch (*) and no file says it: give it a number",
                         dim >= 0 ? line_dim_names[dim] : "a length");
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

static fg_status allocate(tensor *t, int64_t *total, fg_error *error)
{
    const size_t line = 64;
    int64_t rows = t->row > 0 ? t->count / t->row : 0;
    size_t bytes = (size_t)(rows * t->pitch) * (t->type->bits / 8u);
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

static fg_status make_one(tensor *t, const fg_tensor_info *info, const char *line,
                          const lengths *known, fg_error *error)
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
    fg_status s = resolve_shape(t, line, known, error);
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

static fg_status fill(tensor *t, tensor_files *files, uint64_t seed, fg_error *error)
{
    tensor_file *f = file_of(files, t->name);
    if (t->output) return FG_OK;
    if (f) return fill_from_file(t, f, error);
    t->drawn = true;
    draw(t, seed);
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

fg_status tensors_make(tensors *out, const fg_problem *problem, const char *line,
                       const lengths *known, tensor_files *files, uint64_t seed, fg_error *error)
{
    fg_status s = FG_OK;
    fg_tensor_info info;
    *out = (tensors){ .args = FG_ARGS_INIT };
    out->args.tensors = out->extra;
    while (s == FG_OK && fg_problem_tensor(problem, (size_t)out->count, &info) == FG_OK) {
        if (out->count == tensors_max)
            return fault(error, FG_INTERNAL, "more than %d tensors", tensors_max);
        tensor *t = &out->item[out->count++];
        s = make_one(t, &info, line, known, error);
        if (s == FG_OK) s = allocate(t, &out->bytes, error);
        if (s == FG_OK) s = fill(t, files, seed, error);
        if (s == FG_OK) place(out, t);
    }
    return s == FG_OK ? check_all_used(files, error) : s;
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
