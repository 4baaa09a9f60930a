#include "tests/support_case.h"
#include "tests/support_function.h"

#include <stdio.h>
#include <string.h>

const char *const case_names[case_features] = {
#define CASE_NAME(name, group) #name,
    CASE_FEATURES(CASE_NAME)
#undef CASE_NAME
}, *const case_groups[case_features] = {
#define CASE_GROUP(name, group) #group,
    CASE_FEATURES(CASE_GROUP)
#undef CASE_GROUP
};

/* What a case may cost: pairs over all heads, and multiply-adds. */
enum { most_pairs = 250000, most_madds = 40000000 };

static const char *const types[] = { "f32", "bf16", "f16", "f64" };

static void set(drawn_case *c, case_feature feature)
{
    c->features |= UINT64_C(1) << feature;
}

bool case_has(const drawn_case *c, case_feature feature)
{
    return c->features >> feature & 1;
}

bool case_excludes(case_feature a, case_feature b)
{
    if (strcmp(case_groups[a], case_groups[b]) == 0) return true;
    if (a == CASE_shard && (b == CASE_padded || b == CASE_packed)) return true;
    if (b == CASE_shard && (a == CASE_padded || a == CASE_packed)) return true;
    return (a == CASE_bhsd && b == CASE_packed) || (a == CASE_packed && b == CASE_bhsd);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- Types and instruction set ---- */

static const char *draw_other(drawn_case *c, const char *type, case_feature feature)
{
    const char *other = rng_pick(&c->r, types);
    if (!rng_chance(&c->r, 0.45) || other == type) return type;
    set(c, feature);
    return other;
}

/* The dot products of avx512bf16 are for bf16 alone, which gets it more often. */
static void draw_types(drawn_case *c)
{
    static const char *const isas[] = { "portable", "avx2", "avx512", "avx512bf16" };
    static const int usual[] = { 0, 0, 1, 1, 2, 2, 3 };
    int64_t type = rng_pick(&c->r, usual);
    const char *kv = draw_other(c, types[type], CASE_kvdtype),
               *out = draw_other(c, types[type], CASE_odtype);
    int64_t isa = rng_below(&c->r, 4);
    if (type == 1 && kv == types[1] && rng_chance(&c->r, 0.3)) isa = 3;
    set(c, CASE_f32 + (case_feature)type);
    set(c, CASE_portable + (case_feature)isa);
    c->isa = isas[isa];
    text_addf(&c->line, "dtype=%s", types[type]);
    if (kv != types[type]) text_addf(&c->line, " kvdtype=%s", kv);
    if (out != types[type]) text_addf(&c->line, " odtype=%s", out);
}

/* ---- Dimensions ---- */

static bool wants(drawn_case *c, double p, case_feature feature)
{
    if (!rng_chance(&c->r, p)) return false;
    set(c, feature);
    return true;
}

static void draw_kind(drawn_case *c)
{
    static const case_feature stars[] = { CASE_star_b, CASE_star_sq, CASE_star_sk };
    if (!wants(c, 0.2, CASE_padded)) wants(c, 0.25, CASE_packed);
    wants(c, 0.22, CASE_page);
    for (size_t k = 0; k < sizeof stars / sizeof *stars; k++) wants(c, 0.16, stars[k]);
}

static void draw_heads(drawn_case *c)
{
    static const int64_t usual[] = { 1, 1, 1, 2, 3 }, several[] = { 1, 2, 2, 3, 5 };
    int64_t kind = rng_below(&c->r, 3), group = kind ? rng_between(&c->r, 2, kind == 1 ? 3 : 6) : 1;
    bool lens = case_has(c, CASE_padded) || case_has(c, CASE_packed);
    c->b = lens ? rng_pick(&c->r, several) : rng_pick(&c->r, usual);
    c->hkv = kind == 0 ? rng_between(&c->r, 1, 4) : kind == 1 ? rng_between(&c->r, 2, 3) : 1;
    c->hq = c->hkv * group;
    if (c->b > 1) set(c, CASE_b);
    set(c, CASE_mha + (case_feature)kind);
}

static int64_t draw_length(rng *r)
{
    static const int64_t special[] = { 2,  3,   7,   13,  16,  17,  31,  32,  61, 64,
                                       67, 127, 128, 131, 191, 251, 257, 384, 509 };
    return rng_chance(r, 0.5) ? rng_pick(r, special)
                              : rng_between(r, 1, rng_chance(r, 0.5) ? 64 : 400);
}

/* Lengths that span more than two tiles of a config on both axes, with what to pin of it. */
static void draw_wide(drawn_case *c, int lanes, int64_t budget)
{
    static const int64_t all_keys[] = { 24, 24, 48, 48, 64, 96, 128, 192 },
                         all_vectors[] = { 1, 1, 2, 3, 4, 4 };
    int64_t keys = 24, vectors = 2, blocks = 1;
    for (int tries = 0; tries < 8; tries++) {
        int64_t k = rng_pick(&c->r, all_keys), v = rng_pick(&c->r, all_vectors),
                n = rng_between(&c->r, 1, 4);
        if (7 * lanes * v * n * k > budget) continue;
        keys = k;
        vectors = v;
        blocks = n;
        break;
    }
    int64_t rows = lanes * vectors * blocks;
    c->sq = 2 * rows + rng_between(&c->r, 1, rows);
    c->sk = 2 * keys + rng_between(&c->r, 1, 2 * keys);
    snprintf(c->pins, sizeof c->pins, "keys=%d vectors=%d blocks=%d", (int)keys, (int)vectors,
             (int)blocks);
}

static void draw_edge(drawn_case *c, case_feature feature, int64_t length)
{
    int64_t which = rng_below(&c->r, 5); /* one of both, rarely both */
    c->sq = which == 0 || which == 1 || which == 4 ? length : draw_length(&c->r);
    c->sk = which == 2 || which == 3 || which == 4 ? length : draw_length(&c->r);
    set(c, feature);
}

/* Few queries for many keys. */
static void draw_decode(drawn_case *c)
{
    c->sq = rng_between(&c->r, 1, 8);
    c->sk = rng_between(&c->r, 300, 3000);
    set(c, CASE_decode);
}

static void draw_lengths(drawn_case *c, int lanes)
{
    double kind = rng_unit(&c->r);
    int64_t budget = most_pairs / (c->b * c->hq);
    if (kind < 0.47) {
        draw_wide(c, lanes, budget);
    } else if (kind < 0.555) {
        draw_edge(c, CASE_empty, 0);
    } else if (kind < 0.63) {
        draw_edge(c, CASE_single, 1);
    } else if (kind < 0.74) {
        draw_decode(c);
    } else {
        c->sq = draw_length(&c->r);
        c->sk = draw_length(&c->r);
    }
    if (c->sq * c->sk <= budget) return;
    if (rng_chance(&c->r, 0.5) && !case_has(c, CASE_decode))
        c->sq = most(1, budget / c->sk);
    else
        c->sk = most(1, budget / c->sq);
}

static int64_t draw_depth(rng *r, int64_t limit)
{
    static const int64_t usual[] = { 8, 16, 32, 40, 64, 64, 80, 96, 128, 128 },
                         special[] = { 1, 2, 3, 5 };
    double kind = rng_unit(r);
    int64_t depth = kind < 0.35   ? rng_pick(r, usual)
                    : kind < 0.6  ? rng_between(r, 1, 40)
                    : kind < 0.75 ? rng_pick(r, special)
                    : kind < 0.82 ? 512
                                  : rng_between(r, 129, 511);
    return least(depth, most(1, limit));
}

static void draw_depths(drawn_case *c)
{
    int64_t limit = most_madds / 2 / most(1, c->b * c->hq * c->sq * c->sk);
    c->d = draw_depth(&c->r, limit);
    c->dv = rng_chance(&c->r, 0.6) ? c->d : draw_depth(&c->r, limit);
    if (c->d != c->dv) set(c, CASE_dv);
    if (c->d > 128 || c->dv > 128) set(c, CASE_deep);
}

static void add_dim(drawn_case *c, const char *key, int64_t value, bool star)
{
    if (star)
        text_addf(&c->line, " %s=*", key);
    else
        text_addf(&c->line, " %s=%lld", key, (long long)value);
}

static void add_dims(drawn_case *c)
{
    bool star_sq = case_has(c, CASE_star_sq), star_sk = case_has(c, CASE_star_sk);
    add_dim(c, "b", c->b, case_has(c, CASE_star_b));
    add_dim(c, "hq", c->hq, false);
    add_dim(c, "sq", c->sq, star_sq);
    add_dim(c, "d", c->d, false);
    if (c->hkv != c->hq) add_dim(c, "hkv", c->hkv, false);
    if (c->sk != c->sq || star_sq || star_sk) add_dim(c, "sk", c->sk, star_sk);
    if (c->dv != c->d) add_dim(c, "dv", c->dv, false);
}

static void add_sequences(drawn_case *c)
{
    static const int64_t pages[] = { 1, 3, 7, 16, 16, 32, 64, 64, 128, 200 };
    const int64_t most_pages = 4000;
    if (case_has(c, CASE_padded)) text_addf(&c->line, " lens=padded");
    if (case_has(c, CASE_packed)) text_addf(&c->line, " lens=packed");
    if (!case_has(c, CASE_page)) return;
    c->page = rng_pick(&c->r, pages);
    if (c->b * c->sk > most_pages * c->page) c->page = 16;
    text_addf(&c->line, " page=%lld", (long long)c->page);
}

/* ---- Features ---- */

int64_t case_draw_side(drawn_case *c)
{
    int64_t longest = most(1, most(c->sq, c->sk));
    int64_t sides[] = { -1,
                        0,
                        rng_between(&c->r, 1, 20),
                        rng_between(&c->r, 0, longest),
                        rng_between(&c->r, 0, longest),
                        rng_between(&c->r, 20, 90),
                        2147483647 };
    return rng_pick(&c->r, sides);
}

static void add_masks(drawn_case *c)
{
    if (wants(c, 0.18, CASE_causal))
        text_addf(&c->line, " causal");
    else if (wants(c, 0.2, CASE_top_left))
        text_addf(&c->line, " causal=top-left");
    if (!wants(c, 0.3, CASE_window)) return;
    int64_t left = case_draw_side(c), right = case_draw_side(c);
    text_addf(&c->line, " window=%lld,%lld", (long long)left, (long long)right);
}

static void add_broadcast(drawn_case *c, const char *key)
{
    char dims[5];
    int64_t full = rng_below(&c->r, 16);
    for (int k = 0; k < 4; k++) dims[k] = full >> k & 1 ? "BHQK"[k] : '1';
    dims[4] = 0;
    text_addf(&c->line, " %s=%s", key, dims);
}

static void add_scores(drawn_case *c)
{
    static const char *const caps[] = { "0.5", "2", "10", "30", "50" };
    static const char *const scales[] = { "0", "-0.3", "0.05", "1", "5", "-1e-3" };
    if (wants(c, 0.3, CASE_softcap)) text_addf(&c->line, " softcap=%s", rng_pick(&c->r, caps));
    if (wants(c, 0.3, CASE_alibi)) text_addf(&c->line, " alibi");
    if (wants(c, 0.3, CASE_scale)) text_addf(&c->line, " scale=%s", rng_pick(&c->r, scales));
    if (wants(c, 0.3, CASE_bias)) {
        add_broadcast(c, "bias");
        if (rng_chance(&c->r, 0.6)) text_addf(&c->line, ":%s", rng_pick(&c->r, types));
    }
    if (wants(c, 0.3, CASE_mask)) add_broadcast(c, "mask");
    if (wants(c, 0.25, CASE_sinks)) text_addf(&c->line, " sinks");
    if (wants(c, 0.5, CASE_lse)) text_addf(&c->line, " lse");
}

static void add_functions(drawn_case *c)
{
    const drawn_dim dims[] = { { "b", "b", c->b },   { "hq", "h", c->hq }, { "hkv", NULL, c->hkv },
                               { "sq", "i", c->sq }, { "sk", "j", c->sk }, { "d", NULL, c->d },
                               { "7", NULL, 7 },     { "1", NULL, 1 },     { NULL, NULL, 0 } };
    drawn_functions f = { .r = &c->r, .dims = dims };
    if (wants(c, 0.4, CASE_score)) {
        text_addf(&c->line, " score={");
        draw_score(&f, &c->line);
        text_addf(&c->line, "}");
    }
    if (wants(c, 0.24, CASE_maskfn)) {
        text_addf(&c->line, " maskfn={");
        draw_mask(&f, &c->line);
        text_addf(&c->line, "}");
    } else if (wants(c, 0.18, CASE_documents)) {
        case_add_documents(c);
    } else if (wants(c, 0.2, CASE_tiles)) {
        case_add_tiles(c);
    }
    draw_tensor_keys(&f, &c->line);
    if (f.tensors) set(c, CASE_tensor);
}

static void add_dropout(drawn_case *c)
{
    /* 7.62939453125e-06: one half of 2^-16, which rounds up */
    static const char *const shares[] = { "0",     "1",    "0.5",  "0.1",
                                          "0.1",   "0.25", "0.9",  "0.37",
                                          "0.999", "1e-6", "1e-3", "7.62939453125e-06" };
    if (!wants(c, 0.3, CASE_dropout)) return;
    text_addf(&c->line, " dropout=%s", rng_pick(&c->r, shares));
    wants(c, 0.5, CASE_rng);
}

static void add_layout(drawn_case *c)
{
    static const int aligns[] = { 16, 8, 4, 2, 1 };
    int64_t align = rng_below(&c->r, 5);
    if (!case_has(c, CASE_packed) && wants(c, 0.45, CASE_bhsd)) text_addf(&c->line, " layout=bhsd");
    if (align) text_addf(&c->line, " align=%d", aligns[align]);
    set(c, CASE_align16 + (case_feature)align);
}

void case_draw(drawn_case *c, uint64_t seed, int64_t index, const int lanes_of_isa[4])
{
    *c = (drawn_case){ .r = rng_new(seed, (uint64_t)index) };
    text_init(&c->line, &memory_default);
    draw_types(c);
    draw_kind(c);
    draw_heads(c);
    int isa = 0;
    while (!case_has(c, CASE_portable + (case_feature)isa)) isa++;
    draw_lengths(c, lanes_of_isa[isa]);
    draw_depths(c);
    add_dims(c);
    add_layout(c);
    add_sequences(c);
    add_masks(c);
    add_scores(c);
    add_functions(c);
    add_dropout(c);
    wants(c, 0.25, CASE_onehot);
    wants(c, 0.5, CASE_prepared);
    wants(c, 0.2, CASE_given);
    case_draw_values(c);
    c->config = rng_next(&c->r) >> 1;
    c->sizes = rng_next(&c->r);
    c->layouts = rng_next(&c->r);
    c->data = rng_next(&c->r);
    bool lens = case_has(c, CASE_padded) || case_has(c, CASE_packed);
    if (!lens && wants(c, 0.25, CASE_shard)) text_addf(&c->line, " shard");
}

void case_free(drawn_case *c)
{
    text_free(&c->line);
}
