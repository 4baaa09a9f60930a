#include "tests/support_shard.h"

#include "cli/line.h"
#include "tests/support.h"

#include <string.h>

/* ---- Where to cut ---- */

static void add_end(pieces *p, int64_t at)
{
    int place = p->count;
    for (int k = 0; k <= p->count; k++)
        if (p->at[k] == at) return;
    while (p->at[place] > at) place--;
    memmove(&p->at[place + 2], &p->at[place + 1], (size_t)(p->count - place) * sizeof *p->at);
    p->at[place + 1] = at;
    p->count++;
}

/* Ends anywhere, or at multiples of `unit`. */
static void draw_pieces(pieces *p, rng *r, int64_t size, int64_t unit)
{
    *p = (pieces){ .count = 1, .at = { 0, size } };
    if (rng_chance(r, 0.4)) return;
    for (int k = rng_chance(r, 0.3) ? 2 : 1; k > 0; k--) {
        int64_t at = size > 1 ? rng_between(r, 1, size - 1) / unit * unit : 0;
        if (at > 0) add_end(p, at);
    }
}

/* A piece of nothing at the front, which has no say. */
static void add_empty(pieces *p)
{
    memmove(&p->at[1], &p->at[0], (size_t)(p->count + 1) * sizeof *p->at);
    p->count++;
}

/* A shard has whole groups of query heads, or some of one. */
static void part_groups(pieces *p, int64_t group)
{
    const pieces drawn = *p;
    for (int k = 1; k < drawn.count; k++) {
        if (drawn.at[k] % group == 0) continue;
        add_end(p, drawn.at[k] / group * group);
        add_end(p, drawn.at[k] / group * group + group);
    }
}

cut test_cut_draw(const drawn_case *c, const test_sizes *z, rng *r)
{
    cut x;
    draw_pieces(&x.of[AXIS_b], r, z->b, 1);
    draw_pieces(&x.of[AXIS_h], r, c->hq, 1);
    draw_pieces(&x.of[AXIS_i], r, z->sq, 1);
    draw_pieces(&x.of[AXIS_j], r, z->sk, c->page ? c->page : 1);
    if (!c->page && rng_chance(r, 0.2)) add_empty(&x.of[AXIS_j]);
    part_groups(&x.of[AXIS_h], c->hq / c->hkv);
    return x;
}

/* ---- One shard ---- */

shard test_shard_at(const cut *x, int64_t group, const int piece[axis_count])
{
    shard s = { .views = 0 };
    for (int k = 0; k < axis_count; k++) {
        s.origin[k] = x->of[k].at[piece[k]];
        s.size[k] = x->of[k].at[piece[k] + 1] - s.origin[k];
    }
    s.head = s.origin[AXIS_h] / group;
    s.heads = (s.origin[AXIS_h] + s.size[AXIS_h] - 1) / group - s.head + 1;
    return s;
}

void test_shard_line(text *out, const char *whole, const shard *s)
{
    const struct {
        const char *key;
        int64_t size;
    } sizes[] = { { "b", s->size[AXIS_b] },
                  { "hq", s->size[AXIS_h] },
                  { "hkv", s->heads },
                  { "sq", s->size[AXIS_i] },
                  { "sk", s->size[AXIS_j] } };
    enum { count = sizeof sizes / sizeof *sizes };
    slice key, value;
    bool open[count] = { false };
    text_addf(out, "shard");
    for (const char *rest = whole; line_next(&rest, &key, &value);) {
        int size = 0;
        while (size < count && !slice_is(key, sizes[size].key)) size++;
        if (size < count)
            open[size] = slice_is(value, "*") && !(size == 4 && line_find(whole, "page").at);
        else
            text_addf(out, " %.*s", (int)(rest - key.at), key.at);
    }
    for (int k = 0; k < count; k++)
        if (open[k])
            text_addf(out, " %s=*", sizes[k].key);
        else
            text_addf(out, " %s=%lld", sizes[k].key, (long long)sizes[k].size);
}

/* A part of the whole run's tensor, where its axes are of `by` (-1: uncut). */
static const DLTensor *view(shard *s, const DLTensor *whole, int64_t head, int64_t heads,
                            const int by[4])
{
    if (!whole) return NULL;
    DLTensor *v = &s->view[s->views];
    int64_t *shape = s->shape[s->views++];
    *v = *whole;
    v->shape = shape;
    for (int k = 0; k < v->ndim; k++) {
        bool uncut = by[k] < 0 || whole->shape[k] == 1;
        int64_t first = uncut ? 0 : by[k] == AXIS_h ? head : s->origin[by[k]];
        shape[k] = uncut ? whole->shape[k] : by[k] == AXIS_h ? heads : s->size[by[k]];
        if (first == 0 || !whole->data)
            continue; /* of an empty tensor there is no place to go on from */
        ck_assert_ptr_nonnull(whole->strides);
        v->data = (char *)v->data + first * whole->strides[k] * (v->dtype.bits / 8);
    }
    return v;
}

static const DLTensor *rows_view(shard *s, const problem *p, const DLTensor *whole, int along,
                                 int64_t head, int64_t heads)
{
    const int bshd[] = { AXIS_b, along, AXIS_h, -1 }, bhsd[] = { AXIS_b, AXIS_h, along, -1 },
              pages[] = { -1, -1, AXIS_h, -1 };
    bool paged = p->page && along == AXIS_j;
    return view(s, whole, head, heads, paged ? pages : p->layout == LAYOUT_bhsd ? bhsd : bshd);
}

/* Blocks from the shard's first key on: those behind its last are not read. */
static const DLTensor *table_view(shard *s, const problem *p, const DLTensor *whole)
{
    const int by[4] = { AXIS_b, -1 };
    const DLTensor *v = view(s, whole, 0, 0, by);
    if (!v) return NULL;
    DLTensor *own = &s->view[s->views - 1];
    int64_t first = s->origin[AXIS_j] / p->page;
    own->data = (char *)own->data + first * 4;
    own->shape[1] -= first;
    return own;
}

void test_shard_views(shard *s, const test_tensors *t)
{
    const problem *p = t->problem->problem;
    const int lse[] = { AXIS_b, AXIS_h, AXIS_i, -1 }, scores[] = { AXIS_b, AXIS_h, AXIS_i, AXIS_j };
    int64_t h = s->origin[AXIS_h], hq = s->size[AXIS_h];
    fg_args *a = &s->args;
    *a = t->args;
    a->q = rows_view(s, p, a->q, AXIS_i, h, hq);
    a->k = rows_view(s, p, a->k, AXIS_j, s->head, s->heads);
    a->v = rows_view(s, p, a->v, AXIS_j, s->head, s->heads);
    a->o = rows_view(s, p, a->o, AXIS_i, h, hq);
    a->lse = view(s, a->lse, h, hq, lse);
    a->bias = view(s, a->bias, h, hq, scores);
    a->mask = view(s, a->mask, h, hq, scores);
    a->block_table = table_view(s, p, a->block_table);
    a->origin_b = s->origin[AXIS_b];
    a->origin_h = h;
    a->origin_i = s->origin[AXIS_i];
    a->origin_j = s->origin[AXIS_j];
    a->whole_b = t->sizes.b;
    a->whole_hq = p->hq;
    a->whole_hkv = p->hkv;
    a->whole_sq = t->sizes.sq;
    a->whole_sk = t->sizes.sk;
}
