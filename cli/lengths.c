/* What the line, options and files say of a problem's lengths. */
#include "tensors.h"

#include <string.h>

/* Who said a length first. */
typedef struct witness {
    const tensor_file *file; /* NULL: the problem's line, an option, or nobody */
    bool option;
} witness;

typedef struct gathering {
    lengths *lengths;
    const char *line;
    witness first[line_dim_count];
    fg_error *error;
} gathering;

static fg_status contradiction(const gathering *g, const tensor_file *file, int axis, int dim,
                               int64_t length)
{
    char shape[npy_shape_text];
    const npy_header *h = &file->header;
    const witness *w = &g->first[dim];
    return fault(g->error, FG_REQUEST,
                 "%s gives %s=%lld (dimension %d of its shape %s), but %s gives %s=%lld",
                 file->path, line_dim_names[dim], (long long)length, axis,
                 npy_format_shape(shape, h->rank, h->shape),
                 w->file     ? w->file->path
                 : w->option ? "an option"
                             : "the problem",
                 line_dim_names[dim], (long long)g->lengths->of[dim]);
}

static fg_status take_length(gathering *g, const tensor_file *file, int axis, int dim)
{
    int64_t length = file->header.shape[axis];
    if (dim == LINE_starts) {
        if (length == 0)
            return fault(g->error, FG_REQUEST, "%s is empty: %s has b + 1 elements", file->path,
                         file->name);
        dim = LINE_b;
        length--;
    }
    int64_t *known = &g->lengths->of[dim];
    if (*known >= 0 && *known != length) return contradiction(g, file, axis, dim, length);
    if (*known < 0) g->first[dim] = (witness){ .file = file };
    *known = length;
    return FG_OK;
}

static fg_status take_file(gathering *g, const tensor_file *file)
{
    char shape[npy_shape_text];
    const npy_header *h = &file->header;
    line_axes axes;
    fg_status s = FG_OK;
    if (!line_axes_of(g->line, file->name, &axes))
        return FG_OK; /* tensors_make says that nothing takes it */
    if (h->rank != axes.rank)
        return fault(g->error, FG_REQUEST, "%s has shape %s: %s has %d dimensions", file->path,
                     npy_format_shape(shape, h->rank, h->shape), file->name, axes.rank);
    for (int k = 0; k < axes.rank && s == FG_OK && !axes.whole; k++)
        if (axes.dim[k] >= 0) s = take_length(g, file, k, axes.dim[k]);
    return s;
}

/* ---- Options ---- */

static fg_status take_option(gathering *g, line_dim dim, const natural *given)
{
    const char *name = line_dim_names[dim];
    if (!given->given) return FG_OK;
    if (!slice_is(line_find(g->line, name), "*"))
        return fault(g->error, FG_REQUEST, "--%s %llu goes with %s=*, which the problem has not",
                     name, (unsigned long long)given->value, name);
    if (given->value > 1 << 28)
        return fault(g->error, FG_REQUEST, "--%s %llu is too large: at most 2^28 is taken", name,
                     (unsigned long long)given->value);
    g->lengths->of[dim] = (int64_t)given->value;
    g->first[dim] = (witness){ .option = true };
    return FG_OK;
}

static fg_status take_options(gathering *g, const input_choices *inputs)
{
    fg_status s = take_option(g, LINE_b, &inputs->b);
    if (s == FG_OK) s = take_option(g, LINE_sq, &inputs->sq);
    if (s == FG_OK) s = take_option(g, LINE_sk, &inputs->sk);
    return s;
}

/* ---- The rest ---- */

/* Keys in whole pages are as many as the table has room for. */
static fg_status take_pages(gathering *g)
{
    int64_t page = line_number(g->line, "page"), *sk = &g->lengths->of[LINE_sk], keys;
    const tensor_file *table = g->first[LINE_blocks].file;
    bool open = slice_is(line_find(g->line, "sk"), "*") && !g->first[LINE_sk].file;
    if (page < 1 || !open || slice_is(line_find(g->line, "lens"), "packed")) return FG_OK;
    int64_t needed = *sk < 0 ? -1 : (*sk + page - 1) / page,
            blocks = table ? g->lengths->of[LINE_blocks] : needed;
    if (needed >= 0 && needed != blocks)
        return fault(g->error, FG_REQUEST, "%s has %lld blocks of %lld keys, but --sk is %lld",
                     table->path, (long long)blocks, (long long)page, (long long)*sk);
    if (blocks >= 0 && !__builtin_mul_overflow(blocks, page, &keys)) *sk = keys;
    return FG_OK;
}

/* The library's own defaults, for a length that nobody said; where there are lengths of keys, they say how
 * many. */
static void take_defaults(gathering *g, const tensor_files *files)
{
    static const struct {
        line_dim dim, like;
    } defaults[] = { { LINE_hkv, LINE_hq }, { LINE_sk, LINE_sq }, { LINE_dv, LINE_d } };
    int64_t *of = g->lengths->of;
    for (size_t k = 0; k < sizeof defaults / sizeof *defaults; k++) {
        if (defaults[k].dim == LINE_sk && tensor_files_find(files, "cu_k") >= 0) continue;
        if (of[defaults[k].dim] < 0) of[defaults[k].dim] = of[defaults[k].like];
    }
}

fg_status lengths_complete(lengths *out, char **line, const tensor_files *files,
                           const input_choices *inputs, fg_error *error)
{
    gathering g = { .lengths = out, .line = *line, .error = error };
    for (int k = 0; k < line_dim_count; k++)
        out->of[k] = k < line_keys ? line_number(*line, line_dim_names[k]) : -1;
    fg_status s = take_options(&g, inputs);
    for (int k = 0; k < files->count && s == FG_OK; k++) s = take_file(&g, &files->item[k]);
    if (s == FG_OK) s = take_pages(&g);
    for (int k = 0; k < line_keys && s == FG_OK; k++)
        if (out->of[k] >= 0 && !line_find(*line, line_dim_names[k]).at)
            s = line_add(line, line_dim_names[k], out->of[k], error);
    take_defaults(&g, files);
    return s;
}

fg_status lengths_missing(int dim, fg_error *error)
{
    const bool open = dim == LINE_b || dim == LINE_sq || dim == LINE_sk;
    const char *name = dim >= 0 ? line_dim_names[dim] : "a length";
    return fault(error, FG_REQUEST, "%s is given at launch (*) and no file says it: give %s%s",
                 name, open ? "a number, or --" : "it a number", open ? name : "");
}
