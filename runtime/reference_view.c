/* The tensors of a run, over axes that do not depend on how they lie in memory. */
#include "runtime/reference.h"

#include <string.h>

enum { nowhere = 4 };

/* For each kind of tensor, the logical axis of each of its own. */
static const int as_is[] = { 0, 1, 2, 3 }, positions_first[] = { 0, 2, 1, 3 },
                 packed_rows[] = { 2, 1, 3, nowhere }, packed_lse[] = { 1, 2, nowhere, nowhere };

static const int *axes_of(const problem *p, const operand *o)
{
    bool one_letter = o->field >= 0 && o->name[1] == 0; /* q k v o */
    bool paged = p->page && one_letter && strchr("kv", o->name[0]);
    if (paged) return positions_first;
    if (p->lens == LENS_packed && one_letter) return packed_rows;
    if (p->lens == LENS_packed && strcmp(o->name, "lse") == 0) return packed_lse;
    return one_letter && p->layout == LAYOUT_bshd ? positions_first : as_is;
}

static void view_make(reference_view *view, const operand *o, const bound *b, const int *axes)
{
    *view = (reference_view){ .type = o->type, .data = b->data, .extent = { 1, 1, 1, 1 } };
    for (int k = 0; k < o->rank; k++) {
        view->stride[axes[k]] = b->stride[k];
        view->extent[axes[k]] = b->extent[k];
    }
}

void reference_views_make(reference *r)
{
    const operand_list *list = &r->operands;
    const struct {
        const char *name;
        reference_view *view;
    } named[] = {
#define NAMED_VIEW(name) { #name, &r->name },
        FG_TENSORS(NAMED_VIEW)
#undef NAMED_VIEW
    };
    for (int k = 0; k < list->count; k++) {
        int extra = k - (list->count - list->extras);
        reference_view *view = extra >= 0 ? &r->tensor[extra] : NULL;
        for (size_t n = 0; n < sizeof named / sizeof *named && !view; n++)
            if (strcmp(named[n].name, list->operand[k].name) == 0) view = named[n].view;
        if (view)
            view_make(view, &list->operand[k], &r->bound[k],
                      axes_of(r->problem, &list->operand[k]));
    }
}

/* ---- Elements ---- */

double reference_at(const reference_view *v, int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t element = a * v->stride[0] + b * v->stride[1] + c * v->stride[2] + d * v->stride[3];
    return dtype_load(v->type, v->data + element * (dtypes[v->type].bits / 8));
}

void reference_row_at(const reference_view *v, int64_t a, int64_t head, int64_t position,
                      double *out)
{
    int64_t element = a * v->stride[0] + head * v->stride[1] + position * v->stride[2];
    int64_t step = v->stride[3] * (dtypes[v->type].bits / 8), n = v->extent[3];
    const char *from = v->data + element * (dtypes[v->type].bits / 8);
    if (v->type == DTYPE_f32) { /* the common type, worth a loop of its own */
        for (int64_t c = 0; c < n; c++) {
            float x;
            memcpy(&x, from + c * step, sizeof x);
            out[c] = x;
        }
        return;
    }
    for (int64_t c = 0; c < n; c++) out[c] = dtype_load(v->type, from + c * step);
}

/* ---- Sequences ---- */

run_sequence reference_sequence(const reference *r, int64_t b)
{
    return sequence_at(&r->lengths, b);
}

int64_t reference_rows_in(const reference *r, const run_sequence *s)
{
    return r->problem->lens == LENS_packed ? s->sq : r->sq;
}

reference_place reference_key(const reference *r, const run_sequence *s, int64_t b, int64_t j)
{
    int64_t page = r->problem->page;
    if (!page) return (reference_place){ b, s->k_first + j };
    return (reference_place){ (int64_t)reference_at(&r->block_table, b, j / page, 0, 0), j % page };
}
