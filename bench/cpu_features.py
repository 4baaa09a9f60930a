#!/usr/bin/env python3
"""What features cost on the CPU, in one process and in turn:

  decode    one query over many keys in memory, in GB/s of K and V, beside a plain read of as many bytes, and PyTorch
  paged     keys in shuffled pages beside contiguous ones
  dropout   on beside off
  packed    documents told apart by a mask function beside lens=packed, the same ones

Needs a build (./dev build) and Python with PyTorch. Exits 1 where a row has no result or a wrong one."""
import argparse
import ctypes
import functools
import math
import os
import re
import subprocess
import sys
import tempfile


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("build", nargs="?", default="build/release", help="folder of libflashgen.so")
    add("--threads", type=int, default=2)
    add("--rounds", type=int, default=11, help="turns of each; their median counts")
    add("--rows", default="", metavar="REGEX", help="only these, as 'decode bf16'")
    add("--tune", type=float, default=0, metavar="SECONDS", help="search each config first")
    add("--store", default="", metavar="FOLDER", help="of kernels and winners; else nothing is kept")
    return parser.parse_args()


options = arguments()
os.environ["OMP_NUM_THREADS"] = str(options.threads)  # read when the runtimes are loaded

import torch  # noqa: E402
from torch.nn.functional import scaled_dot_product_attention as fused  # noqa: E402

from flashgen_ctypes import Library, Plan, Refused  # noqa: E402
from turns import rotate, side_by_side  # noqa: E402

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
UNCACHED = 0.7  # GB of keys and values, used in rotation: more than last-level caches hold
CLOSE = {"f32": 1e-5, "bf16": 1e-2}  # relative RMS between two ways to the same result


def draw(dtype, *shape):
    return torch.randn(shape).to(DTYPES[dtype])


def plan_of(library, line):
    return Plan(library, line, options.tune)


def same(dtype, what, a, b):
    off = ((a.double() - b.double()).norm() / b.double().norm()).item()
    if not off <= CLOSE[dtype]:
        raise Refused(f"WRONG: {what} differ by {off:.1e}")


def turns(*functions):
    return side_by_side(functions, options.rounds)


# ---- Decoding ----

READ = """
typedef long long vector __attribute__((vector_size(64)));
void read_all(const vector *from, long long count, long long *sum) {
    long long total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
    for (long long block = 0; block < count / 64; block++) {
        vector at[4] = {{0}};
        for (int k = 0; k < 64; k++) at[k % 4] += from[64 * block + k];
        at[0] += at[1] + at[2] + at[3];
        for (int k = 0; k < 8; k++) total += at[0][k];
    }
    *sum = total;
}
"""


@functools.cache
def make_reader():
    """A function that reads a tensor whose size is a multiple of 4 KiB, with the threads of the runs."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            "cc -O3 -march=native -fopenmp -shared -fPIC -x c - -o".split() + [f"{folder}/read.so"],
            input=READ.encode(),
            check=True,
        )
        read_all = ctypes.CDLL(f"{folder}/read.so").read_all
    total = ctypes.c_longlong()

    def read(tensor):
        count = tensor.numel() * tensor.element_size() // 64
        read_all(ctypes.c_void_p(tensor.data_ptr()), ctypes.c_longlong(count), ctypes.byref(total))

    return read


def decode(library, dtype, sk):
    hq, hkv, d = 32, 8, 128
    line = f"dtype={dtype} b=1 hq={hq} hkv={hkv} sq=1 sk={sk} d={d} layout=bhsd"
    plan = plan_of(library, line)
    q, first = draw(dtype, 1, hq, 1, d), draw(dtype, 2, 1, hkv, sk, d)
    rate = first.numel() * first.element_size() / 1e9
    sets = [first] + [first.clone() for _ in range(math.ceil(UNCACHED / rate))]
    o, read = torch.empty_like(q), make_reader()
    runs = [plan.runner(q=q, k=k, v=v, o=o) for k, v in sets]
    reads = [functools.partial(read, kv) for kv in sets]
    theirs = [functools.partial(fused, q, *kv, enable_gqa=True) for kv in sets]
    ours, plain, torchs = turns(rotate(runs), rotate(reads), rotate(theirs))
    same(dtype, "ours and PyTorch's", o, theirs[0]())
    return (
        f"{1e3 * ours:9.3f} ms {rate / ours:7.1f} GB/s; a read {rate / plain:7.1f} GB/s, "
        f"{plain / ours:.2f} of it; PyTorch {1e3 * torchs:9.3f} ms, {torchs / ours:.2f}"
    )


# ---- Two ways to the same, or to less ----


def beside(name, a, other, b):
    a, b = turns(a, b)
    return f"{name} {1e3 * a:9.3f} ms; {other} {1e3 * b:9.3f} ms; {name} / {other} {a / b:.3f}"


def paged(library, dtype, sq, sk, page):
    b, hq, hkv, d = 4, 32, 8, 128
    line = f"dtype={dtype} b={b} hq={hq} hkv={hkv} sq={sq} sk={sk} d={d} causal"
    contiguous, pages = plan_of(library, line), plan_of(library, f"{line} page={page}")
    count = b * sk // page
    table = torch.randperm(count)
    q, k, v = draw(dtype, b, sq, hq, d), draw(dtype, b, sk, hkv, d), draw(dtype, b, sk, hkv, d)
    whole, split = torch.empty_like(q), torch.empty_like(q)
    scattered = [torch.empty(count, page, hkv, d, dtype=x.dtype) for x in (k, v)]
    for to, x in zip(scattered, (k, v)):
        to[table] = x.view(count, page, hkv, d)
    block_table = table.to(torch.int32).view(b, -1)
    run = contiguous.runner(q=q, k=k, v=v, o=whole)
    k, v = scattered
    run_split = pages.runner(q=q, k=k, v=v, o=split, block_table=block_table)
    row = beside("paged", run_split, "contiguous", run)
    same(dtype, "paged and contiguous", split, whole)
    return row


def dropout(library, dtype, s, d):
    line = f"dtype={dtype} b=1 hq=8 sq={s} d={d} layout=bhsd causal"
    without, with_ = plan_of(library, line), plan_of(library, f"{line} dropout=0.1")
    q, k = (draw(dtype, 1, 8, s, d) for _ in "qk")
    v = torch.ones_like(q)
    o = torch.empty_like(q)
    on = with_.runner(q=q, k=k, v=v, o=o, seed=7)
    row = beside("on", on, "off", without.runner(q=q, k=k, v=v, o=torch.empty_like(q)))
    kept = o[:, :, s // 2 :].double().mean().item()
    if not abs(kept - 1) <= 1e-3:  # six times what chance gives it
        raise Refused(f"WRONG: the probabilities kept sum to {kept}, on average")
    return row


def packed(library, dtype, documents, length):
    hq, d, total = 8, 64, documents * length
    line = f"dtype={dtype} hq={hq} d={d} "
    by_mask = plan_of(
        library, f"{line} b=1 sq={total} maskfn={{doc[i]==doc[j]}} tensor=doc:i32[sk]"
    )
    by_lens = plan_of(library, f"{line} b={documents} sq={length} lens=packed")
    q, k, v = (draw(dtype, total, hq, d) for _ in "qkv")
    doc = torch.arange(total, dtype=torch.int32) // length
    cu = torch.arange(documents + 1, dtype=torch.int32) * length
    masked, listed = torch.empty_like(q), torch.empty_like(q)
    run_mask = by_mask.runner(q=q[None], k=k[None], v=v[None], o=masked[None], tensors=[doc])
    prepared = by_mask.runner(
        q=q[None], k=k[None], v=v[None], o=masked[None], tensors=[doc], prepare=True
    )
    run_lens = by_lens.runner(
        total_q=total, total_k=total, q=q, k=k, v=v, o=listed, cu_q=cu, cu_k=cu
    )
    mask, ready, lens = turns(run_mask, prepared, run_lens)
    same(dtype, "mask function and lens=packed", masked, listed)
    return (
        f"mask {1e3 * mask:9.3f} ms; prepared {1e3 * ready:9.3f} ms; packed {1e3 * lens:9.3f} ms; "
        f"mask / packed {mask / lens:.3f}, prepared / packed {ready / lens:.3f}"
    )


def rows():
    """Each row's name, function and arguments."""
    for dtype in DTYPES:
        for kilo in (8, 16, 32, 64):
            yield f"decode {dtype} sk {kilo}k", decode, dtype, 1024 * kilo
        for page in (16, 128):
            yield f"paged {page} {dtype} sq 1 sk 8k", paged, dtype, 1, 8192, page
        yield f"paged 16 {dtype} s 1k", paged, dtype, 1024, 1024, 16
        for d in (64, 128):
            yield f"dropout {dtype} d {d} s 2k", dropout, dtype, 2048, d
        yield f"packed {dtype} 16 x 1k", packed, dtype, 16, 1024


def main():
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    library = Library.load(options.build, options.threads, options.store)
    print(f"PyTorch {torch.__version__}; {library.device()}")
    missing = 0
    for name, measure, *arguments in rows():
        if not re.search(options.rows, name):
            continue
        try:
            row = measure(library, *arguments)
        except Refused as refused:
            row = str(refused)
            missing += 1
        print(f"{name:<24} {row}", flush=True)
    sys.exit(1 if missing else 0)


main()
