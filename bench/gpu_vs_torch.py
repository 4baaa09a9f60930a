#!/usr/bin/env python3
"""Attention on a GPU beside PyTorch's FlashAttention-2, cuDNN, memory-efficient ones and FlexAttention, and
FlashAttention-3 where fa3-fwd is there: one process, the same tensors, layout b s h d, in turn. TFLOP/s count
2 (d + dv) a visible pair of a query and a key; a decoding row counts TB/s of K and V. Inputs are used in rotation;
launches queue behind a kernel that sleeps, so that host time is not in them.

  cell, model, f32, decode    one problem beside its rivals
  flex                        FlexAttention's four, compiled, with its block mask
  packed                      16 documents of 1k: by maskfn beside FlexAttention, by lens=packed beside FA2's varlen
  paged, dropout              with beside without
  first, host                 seconds to a first result in a new process, and the host's time a run

Needs a build (./dev build), a GPU and PyTorch. Exits 1 where a result is wrong, a row or a mean is below what it is
held to, or a rival is missing that a row is held to alone."""
import argparse
import json
import math
import pathlib
import re
import sys
import time

import torch

import gpu_features
import gpu_first
import gpu_rows
from flashgen_ctypes import Library, Refused
from gpu_bench import Bench
from turns import geometric_mean

# What the geometric mean of a suite's ratios must be; of others it is told alone.
MEANS = {"cell": 1.15, "model": 1.25, "f32": 1.15, "decode": 1.0}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("build", nargs="?", default="build/release", help="folder of libflashgen.so and bench_gpu")
    add("--rounds", type=int, default=12, help="turns of each; their median counts")
    add("--rows", default="", metavar="REGEX", help="only these, as 'cell d64 causal'")
    add("--peers", default="FA2,cuDNN,efficient,FA3", help="beside which; FlexAttention's rows have it alone")
    add("--tune", type=float, default=0, metavar="SECONDS", help="search each config first")
    add("--config", action="append", metavar="'K=V ...'", help="pin axes; again: the best of these counts")
    add("--store", default="", metavar="FOLDER", help="of kernels and winners; else nothing is kept")
    add("--ahead", type=int, default=4, metavar="THREADS", help="that make later rows' plans meanwhile (0: none)")
    add("--json", metavar="FILE", help="write the rows there")
    return parser.parse_args()


def all_rows():
    yield from gpu_first.rows()  # first, while no thread compiles
    yield from gpu_rows.rows()
    yield from gpu_features.rows()


def show(found):
    peers = " ".join(f"{n} {rate:.4g}" for n, rate in found["peers"].items())
    ratio = f"{found['ratio']:.3f}" if found["ratio"] else "none"
    faults = "; ".join(found["faults"])
    print(
        f"{found['name']:<32} ours {found['ours']:8.4g} {found['unit']:<7} {peers:<44} ratio {ratio}"
        + f"  {found['config']}" * bool(found["config"])
        + f"  ({found['note']})" * bool(found["note"])
        + f"  FAULT: {faults}" * bool(faults)
        + f"  {found['seconds']:.1f} s",
        flush=True,
    )
    if len(found["all"]) > 1:
        for config, rate in sorted(found["all"].items(), key=lambda x: -x[1]):
            print(f"    {rate:7.2f} {config}")


def measure(row, bench):
    """What was found, or None: then it was told why."""
    start = time.perf_counter()
    try:
        found = row.measure(bench)
    except (Refused, torch.OutOfMemoryError) as refused:
        print(f"{row.name:<32} FAULT: {str(refused)[:1500]}", flush=True)
        return None
    found["seconds"] = time.perf_counter() - start
    show(found)
    return found


def show_means(results):
    """How many are below."""
    below = 0
    for suite in dict.fromkeys(f["suite"] for f in results):
        ratios = [f["ratio"] for f in results if f["suite"] == suite and f["ratio"]]
        if not ratios:
            continue
        mean, held = geometric_mean(ratios), MEANS.get(suite, -math.inf)
        below += mean < held
        fault = f"  FAULT: below {held}" * (mean < held)
        print(f"{suite:<8} geometric mean {mean:6.3f} least {min(ratios):.3f} of {len(ratios)}{fault}")
    return below


def main():
    options = arguments()
    torch.manual_seed(1)
    library = Library.load(options.build, 0, options.store, "cuda:0")
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}; {library.device()}", flush=True)
    rows = [row for row in all_rows() if re.search(options.rows, row.name)]
    bench = Bench(library, options)
    results, bad, asked = [], 0, False
    for row in rows:
        if row.lines() and not asked:
            bench.ask(line for later in rows for line in later.lines())
            asked = True
        found = measure(row, bench)
        bad += found is None or bool(found["faults"])
        results += [found] if found else []
        torch.cuda.empty_cache()
    bench.close()
    bad += show_means(results)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    print("all rows are as they must be" if not bad else f"{bad} faults")
    sys.exit(1 if bad or not results else 0)


if __name__ == "__main__":
    main()
