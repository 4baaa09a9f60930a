#include "tests/support_naive.h"

#include "tests/support.h"

#include <stdlib.h>

static int64_t int_of(const fixture *f, const char *name, int64_t index)
{
    return (int64_t)fixture_get(f, name, index);
}

static int64_t length(const fixture *f, const char *lens, const char *cu, int64_t longest,
                      int64_t b)
{
    switch (f->problem->problem->lens) {
    case LENS_padded:
        return int_of(f, lens, b);
    case LENS_packed:
        return int_of(f, cu, b + 1) - int_of(f, cu, b);
    default:
        return longest;
    }
}

int64_t naive_sq(const fixture *f, int64_t b)
{
    return length(f, "q_lens", "cu_q", f->r.sq, b);
}

int64_t naive_sk(const fixture *f, int64_t b)
{
    return length(f, "k_lens", "cu_k", f->r.sk, b);
}

/* ---- Where elements lie ---- */

static long double q_at(const fixture *f, int64_t b, int64_t h, int64_t i, int64_t c)
{
    const reference *r = &f->r;
    int64_t row = (b * r->sq + i) * r->hq + h;
    if (r->problem->layout == LAYOUT_bhsd) row = (b * r->hq + h) * r->sq + i;
    if (r->problem->lens == LENS_packed) row = (int_of(f, "cu_q", b) + i) * r->hq + h;
    return (long double)fixture_get(f, "q", row * r->d + c);
}

static long double key_at(const fixture *f, const char *name, int64_t b, int64_t h, int64_t j,
                          int64_t c)
{
    const reference *r = &f->r;
    int64_t width = *name == 'k' ? r->d : r->dv, page = r->problem->page, group = r->hq / r->hkv;
    int64_t row = (b * r->sk + j) * r->hkv + h / group;
    if (r->problem->layout == LAYOUT_bhsd) row = (b * r->hkv + h / group) * r->sk + j;
    if (r->problem->lens == LENS_packed) row = (int_of(f, "cu_k", b) + j) * r->hkv + h / group;
    if (page) {
        int64_t blocks = f->info[fixture_find(f, "block_table")].shape[1];
        int64_t at = int_of(f, "block_table", b * blocks + j / page);
        row = (at * page + j % page) * r->hkv + h / group;
    }
    return (long double)fixture_get(f, name, row * width + c);
}

static double score_at(const fixture *f, const char *name, const problem_broadcast *shape,
                       const int64_t at[4])
{
    const int64_t extent[4] = { f->r.b, f->r.hq, f->r.sq, f->r.sk };
    int64_t index = 0;
    for (int k = 0; k < 4; k++)
        if (shape->full[k]) index = index * extent[k] + at[k];
    return fixture_get(f, name, index);
}

/* ---- Masks, scores, dropout ---- */

static bool sees(const fixture *f, const naive_functions *functions, const int64_t at[4])
{
    const problem *p = f->problem->problem;
    int64_t sq = naive_sq(f, at[0]), sk = naive_sk(f, at[0]), i = at[2], j = at[3];
    int64_t place = p->causal == CAUSAL_top_left ? i : i + sk - sq;
    if (p->causal != CAUSAL_none && j > place) return false;
    if (p->window.present && p->window.left >= 0 && j < place - p->window.left) return false;
    if (p->window.present && p->window.right >= 0 && j > place + p->window.right) return false;
    if (p->mask.present && score_at(f, "mask", &p->mask, at) == 0) return false;
    return !p->maskfn.root || functions->maskfn(at[1], i, j, sq, sk);
}

static long double logit(const fixture *f, const naive_functions *functions, const int64_t at[4])
{
    const problem *p = f->problem->problem;
    int64_t sq = naive_sq(f, at[0]), sk = naive_sk(f, at[0]), i = at[2], j = at[3];
    int64_t place = p->causal == CAUSAL_top_left ? i : i + sk - sq;
    long double s = 0, cap = (long double)p->softcap.value;
    for (int64_t c = 0; c < p->d; c++)
        s += q_at(f, at[0], at[1], i, c) * key_at(f, "k", at[0], at[1], j, c);
    s *= (long double)p->scale;
    if (p->softcap.present) s = cap * tanhl(s / cap);
    if (p->alibi) s -= (long double)fixture_get(f, "slopes", at[1]) * (long double)llabs(place - j);
    if (p->bias.present) s += (long double)score_at(f, "bias", &p->bias, at);
    return p->score.root ? functions->score(s, at[1], i, j, sq, sk) : s;
}

/* Sixteen keys share four counters, each of which serves two keys here and two eight further on. */
static bool keeps(const fixture *f, int64_t threshold, const int64_t at[4])
{
    const reference *r = &f->r;
    uint64_t seed = UINT64_C(0x0123456789abcdef), offset = UINT64_C(0xfedcba9876543210);
    uint32_t word[4], place = (uint32_t)(at[3] % 16);
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)((seed ^ offset) >> 32) };
    const uint32_t counter[4] = { (uint32_t)(at[3] / 16) * 4 + place % 8 / 2, (uint32_t)(at[2] / 2),
                                  (uint32_t)(at[0] * r->hq + at[1]), (uint32_t)offset };
    reference_philox(word, counter, key);
    uint32_t both = word[at[2] % 2 * 2 + place / 8];
    return (place % 2 ? both / 65536 : both % 65536) >= threshold;
}

/* ---- A row ---- */

static void add_key(naive_row *out, const fixture *f, long double weight, const int64_t at[4])
{
    const problem *p = f->problem->problem;
    int64_t threshold = p->dropout.present ? (int64_t)(p->dropout.value * 65536 + 0.5) : 0;
    if (threshold && !keeps(f, threshold, at)) return;
    if (threshold) weight = weight * 65536 / (long double)(65536 - threshold);
    for (int64_t c = 0; c < p->dv; c++) {
        long double v = key_at(f, "v", at[0], at[1], at[3], c);
        out->o[c] += weight * v;
        out->o_abs[c] += weight * fabsl(v);
    }
}

naive_row naive_compute(const fixture *f, const naive_functions *functions, int64_t b, int64_t h,
                        int64_t i)
{
    const problem *p = f->problem->problem;
    naive_row out = { .lse = -HUGE_VALL };
    long double sum = 0;
    ck_assert_int_le(p->dv, naive_columns);
    if (i >= naive_sq(f, b)) return out;
    if (p->sinks) sum += expl((long double)fixture_get(f, "sinks", h));
    for (int64_t j = 0; j < naive_sk(f, b); j++) {
        const int64_t at[4] = { b, h, i, j };
        if (!sees(f, functions, at)) continue;
        long double weight = expl(logit(f, functions, at));
        sum += weight;
        out.visible++;
        add_key(&out, f, weight, at);
    }
    if (sum > 0) out.lse = logl(sum);
    for (int64_t c = 0; c < p->dv && sum > 0; c++) {
        out.o[c] /= sum;
        out.o_abs[c] /= sum;
    }
    return out;
}
