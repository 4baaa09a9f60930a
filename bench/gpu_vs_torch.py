#!/usr/bin/env python3
"""Attention on a GPU beside PyTorch's FlashAttention-2, cuDNN and memory-efficient ones: one process, the same
tensors, layout b s h d, in turn. TFLOP/s count 2 (d + dv) a visible pair of a query and a key; a decoding row
counts TB/s of K and V. Inputs are used in rotation; launches queue behind a kernel that sleeps, so that host time
is not in them. Needs a build (./dev build), a GPU and PyTorch.

Exits 1 where a result is wrong or a row is not as it must be."""
import argparse
import itertools
import json
import math
import pathlib
import re
import statistics
import sys
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention as fused

from flashgen_ctypes import Library, Plan, Refused
from turns import geometric_mean

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
RMS = {"f32": 40 * 2.0**-24, "bf16": 0.8 * 2.0**-8, "f16": 0.8 * 2.0**-11}
PEERS = {
    "FA2": SDPBackend.FLASH_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}
SLEEP = 20_000_000  # cycles
SETS = 3


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("build", nargs="?", default="build/release", help="folder of libflashgen.so")
    add("--rounds", type=int, default=12, help="turns of each; their median counts")
    add("--rows", default="", metavar="REGEX", help="only these, as 'cell d64 causal'")
    add("--peers", default="FA2,cuDNN,efficient", help="beside which")
    add("--tune", type=float, default=0, metavar="SECONDS", help="search each config first")
    add("--config", action="append", metavar="'K=V ...'", help="pin axes; again: the best of these counts")
    add("--store", default="", metavar="FOLDER", help="of kernels and winners; else nothing is kept")
    add("--json", metavar="FILE", help="write the rows there")
    return parser.parse_args()


options = arguments()


class Row:
    def __init__(self, name, suite, line, least=1.0):
        self.name, self.suite, self.line, self.least = name, suite, line, least
        words = dict(w.split("=", 1) if "=" in w else (w, True) for w in line.split())
        self.b, self.hq, self.sq, self.d = (int(words[k]) for k in ("b", "hq", "sq", "d"))
        others = {"hkv": self.hq, "sk": self.sq, "dv": self.d}
        self.hkv, self.sk, self.dv = (int(words.get(k, other)) for k, other in others.items())
        self.dtype, self.causal = words.get("dtype", "f32"), "causal" in words

    def draw(self):
        shapes = ((self.sq, self.hq, self.d), (self.sk, self.hkv, self.d), (self.sk, self.hkv, self.dv))
        return [torch.randn(self.b, *s, device="cuda").to(DTYPES[self.dtype]) for s in shapes]

    def pairs(self):
        one = self.sq * self.sk
        if self.causal:  # as the field counts where sq = sk
            one = one / 2 if self.sq == self.sk else one - self.sq * (self.sq - 1) / 2
        return self.b * self.hq * one

    def rate(self, seconds):
        """TFLOP/s, or of decoding TB/s."""
        if self.suite == "decode":
            return self.b * self.hkv * self.sk * (self.d + self.dv) * 2 / seconds / 1e12
        return 2 * self.pairs() * (self.d + self.dv) / seconds / 1e12

    def exact(self, q, k, v, b, h):
        """Of a head, in float64; the first and last rows."""
        group = self.hq // self.hkv
        q, k, v = (x[b, :, y].double() for x, y in ((q, h), (k, h // group), (v, h // group)))
        rows = torch.unique(torch.cat([torch.arange(min(64, self.sq)), torch.arange(max(0, self.sq - 192), self.sq)])).cuda()
        s = q[rows] @ k.T / math.sqrt(self.d)
        if self.causal:
            hidden = torch.arange(self.sk, device="cuda") > (rows + self.sk - self.sq)[:, None]
            s = s.masked_fill(hidden, -math.inf)
        return rows, s.softmax(-1) @ v

    def rms(self, o, q, k, v):
        worst = 0
        for b, h in {(0, 0), (self.b - 1, self.hq - 1)}:
            rows, exact = self.exact(q, k, v, b, h)
            worst = max(worst, ((o[b, rows, h].double() - exact).norm() / exact.norm()).item())
        return worst

    def peer(self, backend, q, k, v):
        """A call, or None where the peer does not take it."""
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        causal = self.causal and self.sq > 1

        def call():
            with sdpa_kernel(backend):
                return fused(q, k, v, is_causal=causal, enable_gqa=self.hq != self.hkv)

        try:
            call()
        except RuntimeError:
            return None
        return call


def turns(contenders, rounds):
    """Median seconds of each; a contender is a list of calls, used in rotation."""
    found = [[] for _ in contenders]
    for calls in contenders:
        for call in calls:
            call()
    for n in range(rounds):
        torch.cuda.synchronize()
        torch.cuda._sleep(SLEEP)
        marks = []
        order = list(enumerate(contenders))
        for k, calls in order[:: -1 if n % 2 else 1]:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in "ab")
            start.record()
            calls[n % len(calls)]()
            end.record()
            marks.append((k, start, end))
        torch.cuda.synchronize()
        for k, start, end in marks:
            found[k].append(start.elapsed_time(end) / 1e3)
    return [statistics.median(f) for f in found]


def plans(row, library):
    made = []
    for config in options.config or [None]:
        try:
            made.append(Plan(library, row.line, options.tune, config))
        except Refused as refused:
            if len(options.config or [None]) == 1:
                raise
            print(f"  {config}: {str(refused)[:300]}")
    return made


def measure(row, library):
    started = time.perf_counter()
    candidates = plans(row, library)
    torch.cuda.synchronize()
    planned = time.perf_counter() - started
    inputs = [row.draw() for _ in range(SETS)]
    ours, wrong = [], []
    for plan in candidates:
        outputs = [torch.full((row.b, row.sq, row.hq, row.dv), math.nan, device="cuda").to(DTYPES[row.dtype]) for _ in inputs]
        ours.append([plan.runner(q=q, k=k, v=v, o=o) for (q, k, v), o in zip(inputs, outputs)])
        for run in ours[-1]:
            run()
        rms = max(row.rms(o, *x) for o, x in zip(outputs, inputs))
        if not rms <= RMS[row.dtype]:
            wrong.append(f"{plan.config()}: RMS {rms:.2e}")
    peers = {}
    for name in options.peers.split(","):
        calls = [row.peer(PEERS[name], *x) for x in inputs]
        if all(calls):
            peers[name] = calls
    times = turns([*ours, *peers.values()], options.rounds)
    mine = times[: len(ours)]
    best = min(range(len(mine)), key=mine.__getitem__)
    return {
        "name": row.name,
        "line": row.line,
        "suite": row.suite,
        "config": candidates[best].config(),
        "ours": row.rate(mine[best]),
        "all": {p.config(): row.rate(t) for p, t in zip(candidates, mine)},
        "peers": {name: row.rate(t) for name, t in zip(peers, times[len(ours) :])},
        "wrong": wrong,
        "plan_seconds": planned,
    }


def rows():
    for d, mask, s in itertools.product((64, 128, 256), ("full", "causal"), (512, 1024, 2048, 4096, 8192, 16384)):
        line = f"dtype=bf16 b={16384 // s} hq={2048 // d} sq={s} d={d}" + " causal" * (mask == "causal")
        yield Row(f"cell d{d} {mask} s{s}", "cell", line)
    models = (pathlib.Path(__file__).parent / "models.txt").read_text()
    for name, line in re.findall(r"^# name: (.*)\n(.*)", models, re.M):
        if not re.search("window|softcap|sq=1 ", line):
            yield Row(f"model {name}", "model", line)
    for name, line in {
        "d96": "dtype=bf16 b=4 hq=16 sq=2048 d=96 causal",
        "short": "dtype=bf16 b=64 hq=16 sq=128 d=64 causal",
        "odd": "dtype=bf16 b=8 hq=16 sq=1009 d=128 causal",
        "chunk": "dtype=bf16 b=4 hq=32 hkv=8 sq=256 sk=8192 d=128",
    }.items():
        yield Row(f"model {name}", "model", line)
    yield Row("f32 d64 causal", "f32", "dtype=f32 b=4 hq=16 sq=2048 d=64 causal")
    yield Row("f32 d128", "f32", "dtype=f32 b=2 hq=16 sq=4096 d=128")
    for b, sk in ((1, 4096), (1, 131072), (16, 8192), (64, 8192), (8, 32768)):
        yield Row(f"decode b{b} sk{sk // 1024}k", "decode", f"dtype=bf16 b={b} hq=32 hkv=8 sq=1 sk={sk} d=128", 0.95)


# What a row is held to.
RIVALS = {"cell": ["FA2"], "model": ["FA2", "efficient"], "f32": ["efficient"], "decode": ["cuDNN"]}
MEANS = {"cell": 1.15, "model": 1.25, "f32": 1.15, "decode": 1.0}


def ratio(found):
    rivals = [found["peers"][n] for n in RIVALS[found["suite"]] if n in found["peers"]]
    return found["ours"] / max(rivals) if rivals else None


def show(row, found):
    found["ratio"] = ratio(found)
    faults = list(found["wrong"])
    if found["ratio"] is not None and found["ratio"] < row.least:
        faults.append(f"below {row.least}")
    peers = " ".join(f"{n} {found['peers'].get(n, math.nan):7.2f}" for n in options.peers.split(","))
    print(
        f"{row.name:<32} ours {found['ours']:7.2f} {peers} ratio "
        + (f"{found['ratio']:.3f}" if found["ratio"] else "none ")
        + f"  plan {found['plan_seconds']:.2f} s  {found['config']}  {'; '.join(faults)}",
        flush=True,
    )
    if len(found["all"]) > 1:
        for config, rate in sorted(found["all"].items(), key=lambda x: -x[1]):
            print(f"    {rate:7.2f} {config}")
    return faults


def main():
    torch.manual_seed(1)
    library = Library.load(options.build, 0, options.store, "cuda:0")
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}; {library.device()}", flush=True)
    results, bad = [], 0
    for row in rows():
        if not re.search(options.rows, row.name):
            continue
        try:
            found = measure(row, library)
        except Refused as refused:
            print(f"{row.name:<32} {str(refused)[:1500]}", flush=True)
            bad += 1
            continue
        bad += bool(show(row, found))
        results.append(found)
        torch.cuda.empty_cache()
    for suite, least in MEANS.items():
        ratios = [f["ratio"] for f in results if f["suite"] == suite and f["ratio"]]
        if ratios:
            mean = geometric_mean(ratios)
            bad += mean < least
            print(f"geometric mean, {suite:<8} {mean:6.3f} least {min(ratios):.3f}" + f"  below {least}" * (mean < least))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(1 if bad else 0)


main()
