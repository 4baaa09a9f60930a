#include "keys.h"

#include <stddef.h>

const key_help key_helps[] = {
    { "b hq sq d", "batch, query heads, queries, head dimension; b and sq may be *: at launch" },
    { "hkv sk dv", "key/value heads, keys (or *), value dimension (hq, sq, d)" },
    { "dtype kvdtype odtype", "f32, f16, bf16 or f64: of Q, of K and V, of O (f32; dtype)" },
    { "layout", "bshd or bhsd (bshd)" },
    { "align", "bytes that pointers and strides are multiples of (16)" },
    { "scale=X", "of the logits (1/sqrt(d))" },
    { "causal causal=top-left", "the last query sees every key; or query i sees keys up to i" },
    { "window=L,R", "keys from L before to R behind the query's own place; -1: unbounded" },
    { "softcap=X", "X tanh(s / X)" },
    { "alibi", "linear biases, with the tensor slopes [hq]" },
    { "bias=1HQK mask=B11K", "tensors over b, hq, sq, sk: added, kept where not 0; 1 broadcasts" },
    { "lens=padded", "each sequence has lengths of its own, in q_lens and k_lens [b]" },
    { "lens=packed", "and they lie behind each other: Q is [total, hq, d]; cu_q, cu_k [b + 1]" },
    { "page=N", "K and V in pages of N keys, which block_table [b, blocks] names" },
    { "sinks", "logits without a value, one a head: the tensor sinks [hq]" },
    { "dropout=P", "of the probabilities, by Philox4x32-10 from a seed and an offset" },
    { "score={...} maskfn={...}", "functions of yours of s b h i j; or =@FILE" },
    { "tensor=NAME:f32[hq]", "a tensor that they read (repeatable)" },
    { "shard", "a part of a whole run, at a place in it that the run says" },
    { "lse", "the log-sum-exp too" },
    { NULL, NULL },
};
