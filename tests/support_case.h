/* A problem line drawn from all that a forward problem may be, with an instruction set and what to pin of
 * the config: a pure function of (seed, index). */
#ifndef TESTS_SUPPORT_CASE_H
#define TESTS_SUPPORT_CASE_H

#include "gen/core/text.h"
#include "tests/support_random.h"

/* X(name, group): what a case may have; of a group it has one or none. */
/* clang-format off */
#define CASE_FEATURES(X)                                                                           \
    X(f32, dtype) X(bf16, dtype) X(f16, dtype) X(f64, dtype) X(kvdtype, kvdtype) X(odtype, odtype) \
    X(b, b) X(mha, heads) X(gqa, heads) X(mqa, heads) X(dv, dv) X(deep, deep)                      \
    X(empty, length) X(single, length) X(decode, length)                                           \
    X(star_b, star_b) X(star_sq, star_sq) X(star_sk, star_sk)                                      \
    X(padded, lens) X(packed, lens) X(page, page)                                                  \
    X(bhsd, layout) X(align16, align) X(align8, align) X(align4, align) X(align2, align) X(align1, align)\
    X(causal, causal) X(top_left, causal) X(window, window) X(softcap, softcap) X(alibi, alibi)    \
    X(bias, bias) X(mask, mask) X(score, score) X(tensor, tensor) X(scale, scale) X(sinks, sinks)  \
    X(maskfn, maskfn) X(documents, maskfn) X(tiles, maskfn) X(prepared, prepared)                  \
    X(shard, shard) X(dropout, dropout) X(rng, rng) X(given, given) X(lse, lse)                                    \
    X(onehot, data) X(portable, isa) X(avx2, isa) X(avx512, isa) X(avx512bf16, isa)
/* clang-format on */

typedef enum case_feature {
#define CASE_ENUM(name, group) CASE_##name,
    CASE_FEATURES(CASE_ENUM)
#undef CASE_ENUM
        case_features
} case_feature;

extern const char *const case_names[case_features], *const case_groups[case_features];

/* Numbers that a run gives: NAN and FG_DEFAULT_INT where it leaves the problem's. */
typedef struct drawn_values {
    double scale, softcap, dropout;
    int64_t window_left, window_right;
    uint64_t seed, offset;
} drawn_values;

typedef struct drawn_case {
    rng r;
    uint64_t features; /* a bit each */
    text line;
    const char *isa;
    char pins[96];                     /* axes of the config, or "" */
    uint64_t config;                   /* number of the point, modulo how many there are */
    uint64_t sizes, layouts, data;     /* seeds */
    int64_t b, hq, hkv, sq, sk, d, dv; /* of the run */
    int64_t page;                      /* 0: none */
    drawn_values values;
} drawn_case;

void case_draw(drawn_case *c, uint64_t seed, int64_t index, const int lanes_of_isa[4]);
void case_free(drawn_case *c);
bool case_has(const drawn_case *c, case_feature feature);
/* Whether no problem has both. */
bool case_excludes(case_feature a, case_feature b);

/* Parts of case_draw: what a run gives (support_case_run.c), masks that read tensors (support_case_mask.c). */
void case_draw_values(drawn_case *c);
void case_add_documents(drawn_case *c);
void case_add_tiles(drawn_case *c);
int64_t case_draw_side(drawn_case *c); /* of a window */

#endif
