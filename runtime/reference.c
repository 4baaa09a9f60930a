#include "runtime/reference.h"

#include "runtime/context.h"

#include <string.h>

/* ---- A run's tensors ---- */

/* One tensor: where it is in fg_args and in reference, and its logical extents. */
typedef struct binding {
    const char *name;
    const DLTensor *given;
    reference_view *view;
    int rank;
    int64_t extent[4];
    int place[4]; /* of each logical axis in the given tensor */
    dtype type;
} binding;

static fg_status bind_shape(const binding *b, fg_error *error)
{
    const DLTensor *t = b->given;
    if (t->ndim != b->rank)
        return fail(error, FG_REQUEST, "%s has %d dimensions, not %d", b->name, (int)t->ndim, b->rank);
    for (int k = 0; k < b->rank; k++)
        if (t->shape[b->place[k]] != b->extent[k])
            return fail(error, FG_REQUEST, "dimension %d of %s is %lld, not %lld", b->place[k], b->name,
                        (long long)t->shape[b->place[k]], (long long)b->extent[k]);
    return FG_OK;
}

static bool same_type(const DLTensor *t, dtype type)
{
    bool is_bool = t->dtype.code == 6 && type == DTYPE_u8;
    return (t->dtype.code == dtypes[type].code || is_bool) && t->dtype.bits == dtypes[type].bits && t->dtype.lanes == 1;
}

static int64_t compact_stride(const DLTensor *t, int dim)
{
    int64_t stride = 1;
    for (int k = t->ndim - 1; k > dim; k--) stride *= t->shape[k];
    return stride;
}

static fg_status bind(const binding *b, fg_error *error)
{
    const DLTensor *t = b->given;
    int64_t count = 1;
    fg_status s;
    if (!t) return fail(error, FG_REQUEST, "%s is missing", b->name);
    if ((s = bind_shape(b, error)) != FG_OK) return s;
    if (!same_type(t, b->type)) return fail(error, FG_REQUEST, "%s is not %s", b->name, dtypes[b->type].name);
    for (int k = 0; k < 4; k++) {
        b->view->extent[k] = k < b->rank ? b->extent[k] : 1;
        if (k >= b->rank) continue;
        int place = b->place[k];
        b->view->stride[k] = t->strides ? t->strides[place] : compact_stride(t, place);
        if (b->extent[k] == 1) b->view->stride[k] = 0;
        count *= b->extent[k];
    }
    if (!t->data && count) return fail(error, FG_REQUEST, "%s has no data", b->name);
    static const char nothing[8];
    b->view->type = b->type;
    b->view->data = t->data ? (const char *)t->data + t->byte_offset : nothing; /* not NULL: it is there */
    return FG_OK;
}

/* q k v o, logically (b, head, position, column). */
static fg_status bind_main(const reference *r, const char *name, const DLTensor *given, reference_view *view,
                           dtype type, const int64_t *extent, fg_error *error)
{
    binding b = { name, given, view, 4, { extent[0], extent[1], extent[2], extent[3] }, { 0, 2, 1, 3 }, type };
    if (r->problem->layout == LAYOUT_bhsd) {
        b.place[1] = 1;
        b.place[2] = 2;
    }
    return bind(&b, error);
}

static fg_status bind_broadcast(const reference *r, const char *name, const DLTensor *given, reference_view *view,
                                const problem_broadcast *how, fg_error *error)
{
    if (!how->present) return FG_OK;
    binding b = { name, given, view, 4, { r->b, r->hq, r->sq, r->sk }, { 0, 1, 2, 3 }, how->type };
    for (int k = 0; k < 4; k++)
        if (!how->full[k]) b.extent[k] = 1;
    return bind(&b, error);
}

static int64_t dim_of(const reference *r, const char *name)
{
    const struct {
        const char *name;
        int64_t value;
    } dims[] = { { "b", r->b },   { "hq", r->hq }, { "hkv", r->hkv }, { "sq", r->sq },
                 { "sk", r->sk }, { "d", r->d },   { "dv", r->dv } };
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++)
        if (strcmp(dims[k].name, name) == 0) return dims[k].value;
    return 0;
}

static fg_status bind_tensors(reference *r, const fg_args *args, fg_error *error)
{
    const problem *p = r->problem;
    if (args->tensor_count != (size_t)p->tensors)
        return fail(error, FG_REQUEST, "the problem has %d tensor= and the run gives %zu", p->tensors,
                    args->tensor_count);
    for (int t = 0; t < p->tensors; t++) {
        const problem_tensor *own = &p->tensor[t];
        binding b = { own->name, args->tensors[t], &r->tensor[t], own->rank, { 0 }, { 0, 1, 2, 3 }, own->type };
        for (int k = 0; k < own->rank; k++) b.extent[k] = own->dim[k][0] ? dim_of(r, own->dim[k]) : own->extent[k];
        fg_status s = bind(&b, error);
        if (s != FG_OK) return s;
    }
    return FG_OK;
}

/* What causal, window, mask and maskfn need. */
static fg_status bind_masks(reference *r, const fg_args *args, fg_error *error)
{
    fg_status s = bind_broadcast(r, "mask", args->mask, &r->mask, &r->problem->mask, error);
    if (s == FG_OK && (r->problem->maskfn.root || r->problem->score.root)) s = bind_tensors(r, args, error);
    return s;
}

static fg_status bind_all(reference *r, const fg_args *args, fg_error *error)
{
    const problem *p = r->problem;
    fg_status s;
    const int64_t q[] = { r->b, r->hq, r->sq, r->d }, k[] = { r->b, r->hkv, r->sk, r->d };
    const int64_t v[] = { r->b, r->hkv, r->sk, r->dv }, o[] = { r->b, r->hq, r->sq, r->dv };
    if ((s = bind_main(r, "q", args->q, &r->q, p->dtype, q, error)) != FG_OK) return s;
    if ((s = bind_main(r, "k", args->k, &r->k, p->kvdtype, k, error)) != FG_OK) return s;
    if ((s = bind_main(r, "v", args->v, &r->v, p->kvdtype, v, error)) != FG_OK) return s;
    if ((s = bind_main(r, "o", args->o, &r->o, p->odtype, o, error)) != FG_OK) return s;
    binding lse = { "lse", args->lse, &r->lse, 3, { r->b, r->hq, r->sq }, { 0, 1, 2 }, DTYPE_f32 };
    if (p->lse && (s = bind(&lse, error)) != FG_OK) return s;
    binding slopes = { "slopes", args->slopes, &r->slopes, 1, { r->hq }, { 0 }, DTYPE_f32 };
    if (p->alibi && (s = bind(&slopes, error)) != FG_OK) return s;
    return bind_broadcast(r, "bias", args->bias, &r->bias, &p->bias, error);
}

/* ---- A run's sizes and values ---- */

static fg_status resolve_dim(int64_t own, const char *name, const char *tensor, const DLTensor *t, int place,
                             int64_t *out, fg_error *error)
{
    *out = own;
    if (own != problem_dynamic) return FG_OK;
    if (!t || t->ndim <= place || t->shape[place] < 0)
        return fail(error, FG_REQUEST, "%s is *, so %s has to be given, of 4 dimensions", name, tensor);
    *out = t->shape[place];
    return FG_OK;
}

static fg_status resolve_dims(reference *r, const fg_args *args, fg_error *error)
{
    const problem *p = r->problem;
    int position = p->layout == LAYOUT_bshd ? 1 : 2;
    fg_status s;
    if ((s = resolve_dim(p->b, "b", "q", args->q, 0, &r->b, error)) != FG_OK) return s;
    if ((s = resolve_dim(p->sq, "sq", "q", args->q, position, &r->sq, error)) != FG_OK) return s;
    if ((s = resolve_dim(p->sk, "sk", "k", args->k, position, &r->sk, error)) != FG_OK) return s;
    r->hq = p->hq;
    r->hkv = p->hkv;
    r->d = p->d;
    r->dv = p->dv;
    r->offset = p->causal == CAUSAL_top_left ? 0 : r->sk - r->sq;
    return FG_OK;
}

static void resolve_values(reference *r, const fg_args *args)
{
    const problem *p = r->problem;
    r->scale = isnan(args->scale) ? p->scale : args->scale;
    r->default_scale = r->scale == 1 / sqrt((double)p->d);
    r->softcap = isnan(args->softcap) ? p->softcap.value : args->softcap;
    r->window_left = args->window_left == FG_DEFAULT_INT ? p->window.left : args->window_left;
    r->window_right = args->window_right == FG_DEFAULT_INT ? p->window.right : args->window_right;
}

static fg_status refuse(const problem *p, fg_error *error)
{
    const struct {
        bool present;
        const char *what;
    } features[] = {
        { p->dir == DIR_bwd, "dir=bwd" },
        { p->dropout.present, "dropout" },
        { p->lens != LENS_none, "lens" },
        { p->page != 0, "page" },
        { p->sinks, "sinks" },
        { p->dtype == DTYPE_f64 || p->kvdtype == DTYPE_f64 || p->odtype == DTYPE_f64, "f64" },
        { p->dtype == DTYPE_e4m3 || p->kvdtype == DTYPE_e4m3 || p->odtype == DTYPE_e4m3, "e4m3" },
    };
    for (size_t k = 0; k < sizeof features / sizeof *features; k++)
        if (features[k].present)
            return fail(error, FG_UNSUPPORTED, "the reference does not take %s yet", features[k].what);
    return FG_OK;
}

fg_status reference_new(reference *out, const memory *m, const problem *p, const fg_args *args, bool outputs,
                        fg_error *error)
{
    fg_status s;
    *out = (reference){ .problem = p, .memory = m };
    if ((s = refuse(p, error)) != FG_OK) goto out;
    if ((s = resolve_dims(out, args, error)) != FG_OK) goto out;
    resolve_values(out, args);
    if ((s = bind_masks(out, args, error)) != FG_OK) goto out;
    if (outputs && (s = bind_all(out, args, error)) != FG_OK) goto out;
    if (p->maskfn.root && (s = expr_program_new(&out->maskfn, m, p->pool, p->maskfn.root, error)) != FG_OK) goto out;
    if (p->score.root && (s = expr_program_new(&out->score, m, p->pool, p->score.root, error)) != FG_OK) goto out;
out:
    if (s != FG_OK) reference_free(out);
    return s;
}

void reference_free(reference *r)
{
    if (r->maskfn.nodes) expr_program_free(&r->maskfn);
    if (r->score.nodes) expr_program_free(&r->score);
    *r = (reference){ 0 };
}

size_t reference_expr_scratch(const reference *r)
{
    int most = r->score.count > r->maskfn.count ? r->score.count : r->maskfn.count;
    return 3 * (size_t)most;
}
