/* What the files say of a problem's lengths. */
#include "tensors.h"

#include <stdlib.h>
#include <string.h>

/* Who said a length first. */
typedef struct witness {
    const tensor_file *file; /* NULL: the problem's line, or nobody */
    int axis;
} witness;

static int64_t number_of(slice value)
{
    int64_t number = 0;
    if (!value.at || value.length == 0 || value.length > 15) return -1;
    for (size_t k = 0; k < value.length; k++) {
        if (value.at[k] < '0' || value.at[k] > '9')
            return -1; /* `*`, or wrong: the library says so */
        number = number * 10 + (value.at[k] - '0');
    }
    return number;
}

static fg_status contradiction(const tensor_file *file, int axis, int dim, int64_t other,
                               const witness *first, fg_error *error)
{
    char shape[npy_shape_text];
    const npy_header *h = &file->header;
    return fault(
        error, FG_REQUEST, "%s gives %s=%lld (dimension %d of its shape %s), but %s gives %s=%lld",
        file->path, line_dim_names[dim], (long long)h->shape[axis], axis,
        npy_format_shape(shape, h->rank, h->shape), first->file ? first->file->path : "the problem",
        line_dim_names[dim], (long long)other);
}

static fg_status take_file(lengths *out, witness *first, const char *line, const tensor_file *file,
                           fg_error *error)
{
    char shape[npy_shape_text];
    const npy_header *h = &file->header;
    line_axes axes;
    if (!line_axes_of(line, file->name, &axes))
        return FG_OK; /* tensors_make says that nothing takes it */
    if (h->rank != axes.rank)
        return fault(error, FG_REQUEST, "%s has shape %s: %s has %d dimensions", file->path,
                     npy_format_shape(shape, h->rank, h->shape), file->name, axes.rank);
    for (int k = 0; k < axes.rank; k++) {
        int dim = axes.dim[k];
        if (dim < 0) continue;
        if (out->of[dim] < 0) {
            out->of[dim] = h->shape[k];
            first[dim] = (witness){ file, k };
        } else if (out->of[dim] != h->shape[k]) {
            return contradiction(file, k, dim, out->of[dim], &first[dim], error);
        }
    }
    return FG_OK;
}

/* The library's own defaults, for a length that no file knows. */
static void take_defaults(lengths *out)
{
    static const struct {
        line_dim dim, like;
    } defaults[] = { { LINE_hkv, LINE_hq }, { LINE_sk, LINE_sq }, { LINE_dv, LINE_d } };
    for (size_t k = 0; k < sizeof defaults / sizeof *defaults; k++)
        if (out->of[defaults[k].dim] < 0) out->of[defaults[k].dim] = out->of[defaults[k].like];
}

fg_status lengths_complete(lengths *out, char **line, const tensor_files *files, fg_error *error)
{
    witness first[line_dim_count] = { { NULL, 0 } };
    fg_status s = FG_OK;
    for (int k = 0; k < line_dim_count; k++)
        out->of[k] = number_of(line_find(*line, line_dim_names[k]));
    for (int k = 0; k < files->count && s == FG_OK; k++)
        s = take_file(out, first, *line, &files->item[k], error);
    for (int k = 0; k < line_dim_count && s == FG_OK; k++)
        if (out->of[k] >= 0 && !line_find(*line, line_dim_names[k]).at)
            s = line_add(line, line_dim_names[k], out->of[k], error);
    take_defaults(out);
    return s;
}
