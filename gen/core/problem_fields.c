#include "gen/core/problem.h"

#include <string.h>

static const char *const dir_names[] = { "fwd", "bwd", NULL };
static const char *const layout_names[] = { "bshd", "bhsd", NULL };
static const char *const causal_names[] = { "none", "bottom-right", "top-left", NULL };
static const char *const lens_names[] = { "none", "padded", "packed", NULL };

#define BIT(type) (1u << DTYPE_##type)

enum {
    many = 1 << 20, /* of b, hq, hkv */
    wide = 512,     /* of d, dv */
    floats = BIT(f32) | BIT(f16) | BIT(bf16) | BIT(f64) | BIT(e4m3),
    tensors = BIT(f32) | BIT(f16) | BIT(bf16) | BIT(i32) | BIT(u8),
};

/* F(key, kind, what is right, the rest of the row) */
/* clang-format off */
#define F(key, kind, right, ...) \
    { #key, KIND_##kind, offsetof(problem, key), .form = right, __VA_ARGS__ }
/* clang-format on */

const problem_field problem_fields[] = {
    F(dir, enum, "dir=fwd", .names = dir_names),
    F(dtype, dtype, "dtype=bf16", .types = floats),
    F(kvdtype, dtype, "kvdtype=bf16", .types = floats, .like = "dtype"),
    F(odtype, dtype, "odtype=f32", .types = floats, .like = "dtype"),
    F(b, dim, "b=2", .least = 1, .most = many, .dynamic = true),
    F(hq, dim, "hq=32", .least = 1, .most = many),
    F(hkv, dim, "hkv=8", .least = 1, .most = many, .like = "hq"),
    F(sq, dim, "sq=2048", .most = PROBLEM_MAX_LENGTH, .dynamic = true),
    F(sk, dim, "sk=2048", .most = PROBLEM_MAX_LENGTH, .dynamic = true, .like = "sq"),
    F(d, dim, "d=128", .least = 1, .most = wide),
    F(dv, dim, "dv=128", .least = 1, .most = wide, .like = "d"),
    F(layout, enum, "layout=bhsd", .names = layout_names),
    F(align, int, "align=16", .least = 1, .most = 16, .usual = 16),
    F(scale, real, "scale=0.125"),
    F(causal, enum, "causal or causal=top-left", .names = causal_names, .bare = true),
    F(window, window, "window=128,0"),
    F(softcap, number, "softcap=50"),
    F(alibi, flag, "alibi"),
    F(bias, broadcast, "bias=1HQK or bias=1HQK:f32", .types = floats, .like = "dtype"),
    F(mask, broadcast, "mask=B11K", .types = BIT(u8)),
    F(shard, flag, "shard"),
    F(tensor, tensors, "tensor=slope:f32[hq]", .types = tensors),
    F(dropout, number, "dropout=0.1"),
    F(lens, enum, "lens=padded", .names = lens_names),
    F(page, int, "page=64", .least = 1, .most = PROBLEM_MAX_LENGTH),
    F(sinks, flag, "sinks"),
    F(lse, flag, "lse"),
    F(grad, grad, "grad=q,k,v", .backward = true),
    F(dlse, flag, "dlse", .backward = true),
    F(deterministic, flag, "deterministic", .backward = true),
    F(score, function, "score={s - 0.5 * abs(i - j)}"),
    F(maskfn, function, "maskfn={j <= i}"),
};

const size_t problem_field_count = sizeof problem_fields / sizeof *problem_fields;

const problem_field *problem_field_find(const char *key, size_t length)
{
    for (size_t k = 0; k < problem_field_count; k++) {
        const problem_field *f = &problem_fields[k];
        if (strlen(f->key) == length && memcmp(f->key, key, length) == 0) return f;
    }
    return NULL;
}
