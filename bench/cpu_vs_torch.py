#!/usr/bin/env python3
"""Attention beside PyTorch's fused one (scaled_dot_product_attention on the CPU): one process, the same
inputs, the same number of threads, in turn. GFLOP/s counts 4 b h s s d for both, half of it if causal.

PyTorch's tensors are [b, h, s, d], contiguous, as its kernel likes them; ours are the same memory
(--layout bhsd, the default) or copies of it as [b, s, h, d]. Each call of ours writes a given output;
PyTorch's offers no such thing and allocates. Needs a build (./dev build) and Python with PyTorch.

Exits 1 where a line of the table, a geometric mean or a result is not as it must be."""
import argparse
import itertools
import json
import os
import pathlib
import re
import statistics
import sys


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("build", nargs="?", default="build/release", help="folder of libflashgen.so")
    add("--threads", type=int, default=2, help="of both")
    add("--rounds", type=int, default=11, help="turns of each; their median counts")
    add("--cells", default="", metavar="REGEX", help="only these, as 'bf16 d64 .* causal'")
    add("--layout", choices=("bhsd", "bshd"), default="bhsd", help="of our tensors")
    add("--tune", type=float, default=0, metavar="SECONDS", help="search each config first")
    add("--store", default="", metavar="FOLDER", help="of kernels and winners; else nothing is kept")
    add("--json", metavar="FILE", help="write the cells there")
    return parser.parse_args()


options = arguments()
os.environ["OMP_NUM_THREADS"] = str(options.threads)  # read when the runtimes are loaded

import torch  # noqa: E402
from torch.nn.functional import scaled_dot_product_attention as fused  # noqa: E402

from flashgen_ctypes import Library, Plan, Refused  # noqa: E402
from turns import all_turns, geometric_mean, rotate  # noqa: E402

COPIES = 4  # of the inputs, used in rotation
HEADS = 8
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
RMS = {"f32": 40 * 2.0**-24, "bf16": 0.8 * 2.0**-8}  # that drawn inputs are held to
CELL_LEAST = 1.0  # ours / PyTorch's speed
MEAN_LEAST = {"all": 1.5, "full": 1.3, "causal": 1.3}


class Cell:
    def __init__(self, dtype, d, mask, s):
        self.dtype, self.d, self.s, self.mask = dtype, d, s, mask
        self.name = f"{dtype} d{d} s{s} {mask}"
        self.causal = mask == "causal"
        self.line = f"dtype={dtype} b=1 hq={HEADS} sq={s} d={d} layout={options.layout}"
        self.line += " causal" * self.causal
        self.flops = 4 * HEADS * s * s * d / (2 if self.causal else 1)

    def draw(self):
        shape = (1, HEADS, self.s, self.d)
        return [torch.randn(shape).to(DTYPES[self.dtype]) for _ in "qkv"]

    def ours(self, plan, q, k, v):
        """A run of it, and its output as [b, h, s, d]."""
        if options.layout == "bshd":
            q, k, v = (x.transpose(1, 2).contiguous() for x in (q, k, v))
        o = torch.empty_like(q)
        run = plan.runner(q=q, k=k, v=v, o=o)
        return run, o.transpose(1, 2) if options.layout == "bshd" else o

    def rms(self, o, q, k, v):
        """Relative RMS error of the first and last head, against float64."""
        ends = [0, HEADS - 1]
        wide = (x[:, ends].double() for x in (q, k, v))
        exact = fused(*wide, is_causal=self.causal)
        return ((o[:, ends].double() - exact).norm() / exact.norm()).item()

    def measure(self, library):
        plan = Plan(library, self.line, options.tune)
        inputs = [self.draw() for _ in range(COPIES)]
        runs, outputs = zip(*(self.ours(plan, *x) for x in inputs))
        for run in runs:  # also where a turn is too short for all of them
            run()
        theirs = [lambda x=x: fused(*x, is_causal=self.causal) for x in inputs]
        turns = all_turns([rotate(runs), rotate(theirs)], options.rounds)
        mine, other = map(statistics.median, turns)
        return {
            "cell": self.name,
            "line": self.line,
            "config": plan.config(),
            "ours_ms": 1e3 * mine,
            "torch_ms": 1e3 * other,
            "ours_gflops": self.flops / mine / 1e9,
            "best_gflops": self.flops / min(turns[0]) / 1e9,
            "torch_gflops": self.flops / other / 1e9,
            "ratio": other / mine,
            "ours_rms": max(self.rms(o, *x) for o, x in zip(outputs, inputs)),
            "torch_rms": self.rms(theirs[0](), *inputs[0]),
        }


def cells():
    for dtype, d, mask, s in itertools.product(
        DTYPES, (64, 128), ("full", "causal"), (512, 1024, 2048, 4096)
    ):
        cell = Cell(dtype, d, mask, s)
        if re.search(options.cells, cell.name):
            yield cell


def fault(cell, found):
    if not found["ours_rms"] <= RMS[cell.dtype]:
        return f"WRONG: RMS above {RMS[cell.dtype]:.1e}"
    return "" if found["ratio"] >= CELL_LEAST else f"below {CELL_LEAST}"


def show(found, what):
    print(
        "{cell:<24} {ours_ms:9.3f} {torch_ms:9.3f} {ours_gflops:9.1f} {torch_gflops:9.1f} "
        "{ratio:6.2f} {of_peak:8.2f} {ours_rms:9.1e} {torch_rms:9.1e}  ".format(**found) + what,
        flush=True,
    )


class Peak:
    """The best rate of multiply-adds seen so far, which a cell's best turn is compared with: what else the machine does
    only takes from both."""

    def __init__(self, library):
        self.library, self.gflops = library, 0
        for _ in range(5):
            self.look()

    def look(self):
        self.gflops = max(self.gflops, self.library.peak())


def run_cell(cell, library, peak):
    """None where there is no result."""
    peak.look()
    try:
        found = cell.measure(library)
    except Refused as refused:
        print(f"{cell.name:<24} {refused}", flush=True)
        return None
    found["of_peak"] = found["best_gflops"] / peak.gflops
    found["fault"] = fault(cell, found)
    show(found, found["fault"])
    return found


def show_means(rows):
    """Whether all are as they must be."""
    good = True
    for name, least in MEAN_LEAST.items():
        ratios = [r["ratio"] for r in rows if name in ("all", r["cell"].split()[-1])]
        if not ratios:
            continue
        mean = geometric_mean(ratios)
        good = good and mean >= least
        print(f"geometric mean, {name:<8} {mean:6.2f}" + f"  below {least}" * (mean < least))
    return good


def main():
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    library = Library.load(options.build, options.threads, options.store)
    peak = Peak(library)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads; ours {options.layout}")
    print(f"{library.device()}, f32 peak {peak.gflops:.1f} GFLOP/s")
    print(
        f"{'cell':<24} {'ours ms':>9} {'torch ms':>9} {'GFLOP/s':>9} {'torch':>9} {'ratio':>6} "
        f"{'of peak':>8} {'RMS':>9} {'torch':>9}"
    )
    found = [run_cell(cell, library, peak) for cell in cells()]
    rows = [row for row in found if row]
    good = show_means(rows) and len(rows) == len(found) and not any(r["fault"] for r in rows)
    if options.json:
        report = {
            "torch": torch.__version__,
            "device": library.device(),
            "peak_gflops": peak.gflops,
            "cells": rows,
        }
        pathlib.Path(options.json).write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(0 if good and rows else 1)


main()
