#!/usr/bin/env python3
"""Problems on a GPU by several folders of templates, and configs, in turn: what a change of a kernel's text does.

    python3 bench/gpu_variants.py build/release --templates /tmp/old --templates - --config 'turns=0' --config 'turns=1' \\
        'dtype=bf16 b=4 hq=16 sq=4096 d=128' 'dtype=bf16 b=4 hq=16 sq=4096 d=128 causal dropout=0.1'

A folder has templates/ in it (git archive COMMIT templates | tar -x -C /tmp/old); - means the built-in ones. A line for
each problem and config: milliseconds and TFLOP/s by each folder. Inputs are used in rotation; results are not looked
at. Needs a build (./dev build), a GPU and PyTorch."""
import argparse
import concurrent.futures
import itertools

import torch

from flashgen_ctypes import Library, Plan, Refused
from gpu_bench import SETS, turns
from gpu_rows import Attention


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("build", help="folder of libflashgen.so")
    add("problems", nargs="+", metavar="PROBLEM")
    add("--templates", action="append", metavar="FOLDER", help="again: beside it (-)")
    add("--config", action="append", metavar="'K=V ...'", help="pin axes; again: beside it (the estimate)")
    add("--rounds", type=int, default=14, help="turns of each; their median counts")
    return parser.parse_args()


def times(line, plans, rounds):
    """Seconds of each, and the row that tells rates."""
    row = Attention(line, "variants", line)
    inputs = [row.draw() for _ in range(SETS)]
    calls = [row.calls(plan, inputs) for plan in plans]  # with what they write
    return turns([runs for runs, _ in calls], rounds), row


def made(job):
    try:
        return job.result()
    except Refused as refused:
        return str(refused)


def main():
    options = arguments()
    folders, configs = options.templates or ["-"], options.config or [None]
    torch.zeros(1, device="cuda")
    libraries = [
        Library.load(options.build, 0, "", "cuda:0", None if folder == "-" else folder) for folder in folders
    ]
    print(f"{libraries[0].device()}; by {', '.join(folders)}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        jobs = {
            (line, config, n): threads.submit(Plan, library, line, 0, config)
            for line, config, (n, library) in itertools.product(options.problems, configs, enumerate(libraries))
        }
        for line in options.problems:
            plans = {key: made(job) for key, job in jobs.items() if key[0] == line}
            there = [key for key, plan in plans.items() if isinstance(plan, Plan)]
            found, row = times(line, [plans[key] for key in there], options.rounds)
            seconds = dict(zip(there, found))
            print(line)
            for config in configs:
                keys = [(line, config, n) for n in range(len(folders))]
                rates = (
                    f"{1e3 * seconds[k]:9.4f} ms {row.rate(seconds[k]):6.1f}" if k in seconds else plans[k][:60]
                    for k in keys
                )
                print(f"  {config or '':<40} " + "  ".join(rates), flush=True)
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
