"""Others' attention on the GPU, each as a maker of calls: take(row, q, k, v), of tensors b s h d, gives a function of no
arguments that returns O as b s h d; it raises where the peer does not take the row."""
import functools
import importlib.util

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention as fused


def of_torch(backend):
    def take(row, q, k, v, dropout=0.0):
        if row.window or row.softcap or row.alibi:
            raise ValueError("it has no such scores or masks")
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        causal = row.causal and row.sq > 1

        def call():
            with sdpa_kernel(backend):
                o = fused(q, k, v, dropout_p=dropout, is_causal=causal, enable_gqa=row.hq != row.hkv)
                return o.transpose(1, 2)

        return call

    return take


def take_fa3(row, q, k, v):
    from fa3_fwd_interface import flash_attn_func

    if row.window or row.softcap or row.alibi or row.dtype == "f32":
        raise ValueError("it has no such scores, masks or types")

    def call():
        out = flash_attn_func(q, k, v, causal=row.causal and row.sq > 1)
        return out[0] if isinstance(out, tuple) else out

    return call


def flex_of(mask, score, sq, sk):
    """FlexAttention compiled for one row alone, and its block mask."""
    torch.compiler.reset()
    block = create_block_mask(mask, None, None, sq, sk, device="cuda") if mask else None
    return functools.partial(
        torch.compile(flex_attention, dynamic=False), score_mod=score, block_mask=block
    )


def call_flex(flex, q, k, v):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    gqa = q.shape[1] != k.shape[1]
    return lambda: flex(q, k, v, enable_gqa=gqa).transpose(1, 2)


def call_varlen(q, k, v, cu, length):
    """FlashAttention-2 on sequences of `length`, one behind the other."""
    flash = torch.ops.aten._flash_attention_forward
    return lambda: flash(q, k, v, cu, cu, length, length, 0.0, False, False)[0]


def flex_mask(causal, left):
    """window=left,0 keeps the query's own key and `left` before it; None: no mask."""
    if left is not None:
        return lambda b, h, i, j: (j <= i) & (j >= i - left)
    return (lambda b, h, i, j: j <= i) if causal else None


def flex_score(softcap, slopes):
    """Scores come scaled, as ours do; causal rows see j <= i alone, where |i - j| is i - j."""
    if softcap:
        return lambda s, b, h, i, j: softcap * torch.tanh(s / softcap)
    if slopes is not None:
        return lambda s, b, h, i, j: s - slopes[h] * (i - j)
    return None


def take_flex(row, q, k, v):
    if row.sq != row.sk:
        raise ValueError("its masks are written for as many keys as queries")
    if not hasattr(row, "flex"):  # one function a row: another one is another compilation
        slopes = row.slopes().float() if row.alibi else None
        row.flex = flex_of(flex_mask(row.causal, row.window), flex_score(row.softcap, slopes), row.sq, row.sk)
    return call_flex(row.flex, q, k, v)


PEERS = {
    "FA2": of_torch(SDPBackend.FLASH_ATTENTION),
    "cuDNN": of_torch(SDPBackend.CUDNN_ATTENTION),
    "efficient": of_torch(SDPBackend.EFFICIENT_ATTENTION),
    "FA3": take_fa3,
    "Flex": take_flex,
}


def here():
    """Those that can be imported; Flex, which is compiled for each row, where a row asks for it."""
    fa3 = importlib.util.find_spec("fa3_fwd_interface") is not None
    return [name for name in PEERS if name != "Flex" and (name != "FA3" or fa3)]


def calls_of(name, row, inputs):
    """A call for each set of inputs, and "", or None and why not."""
    try:
        calls = [PEERS[name](row, *x) for x in inputs]
        calls[0]()
        torch.cuda.synchronize()
    except Exception as error:  # a compiler's, an allocator's, a missing kernel's: all of them mean no
        return None, f"{type(error).__name__}: {str(error)[:200]}"
    return calls, ""
