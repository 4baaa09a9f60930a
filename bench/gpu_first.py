"""Rows of seconds to a first result, and of the host's time a run: each in a process of its own, of the program bench_gpu."""
import functools
import os
import pathlib
import subprocess
import tempfile

from gpu_bench import Row
from flashgen_ctypes import Refused

PROBLEMS = {
    f"d{d} {mask}": f"dtype=bf16 b=2 hq={2048 // d} sq=2048 d={d}" + " causal" * (mask == "causal")
    for d in (64, 128, 256)
    for mask in ("full", "causal")
}
PROBLEMS["decode"] = "dtype=bf16 b=16 hq=32 hkv=8 sq=1 sk=8192 d=128"

PARTS = "context generate compile load run".split()
NEW, STORED = 1.0, 0.03  # seconds
OVER = 1.0  # microseconds that a run may take beyond a bare launch


def program(build, *arguments):
    path = pathlib.Path(build) / "bench_gpu"
    if not path.exists():
        raise Refused(f"there is no {path}: run ./dev build")
    cold = {**os.environ, "CUDA_CACHE_DISABLE": "1"}  # NVRTC keeps what it compiled, too
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=120, env=cold)
    if done.returncode:
        raise Refused(done.stderr.strip())
    return done.stdout.split()


@functools.cache
def both_firsts(build, line):
    """What two processes say, one behind the other on one store, which is empty before."""
    with tempfile.TemporaryDirectory() as store:
        return [program(build, "first", line, store) for _ in "ab"]


class Bounded(Row):
    """`most`: what it may take. Its ratio is that to what it takes."""

    def __init__(self, name, suite, line, most):
        super().__init__(name, suite, line, 1.0, ("allowed",))
        self.most = most

    def lines(self):
        return []  # the program makes its own

    def within(self, took, note, wrong=()):
        """In the unit's inverse, so that more is better, as everywhere."""
        found = self.found("", 1 / max(took, 1e-9), {"allowed": 1 / self.most}, wrong, note=note)
        return {**found, "ours": took, "peers": {"allowed": self.most}}


class First(Bounded):
    """CUDA's primary context is there before, and nothing else: the program never loaded NVRTC. The first process finds an
    empty store, so that its time has finding out which NVRTC it is; the second one finds what the first one left."""

    unit = "s"

    def __init__(self, name, line, stored):
        super().__init__(name, "first", line, STORED if stored else NEW)
        self.stored = stored

    def measure(self, bench):
        words = both_firsts(bench.options.build, self.line)[self.stored]
        source = "store" if self.stored else "compiled"
        total, *parts, cuda = (float(x) for x in words[:-1])
        note = " ".join(f"{name} {1e3 * s:.1f}" for name, s in zip(PARTS, parts)) + f" ms; CUDA itself {cuda:.2f} s before"
        wrong = [] if words[-1] == source else [f"the kernel is from {words[-1]}"]
        return self.within(total, note, wrong)


class Host(Bounded):
    unit = "us"

    def measure(self, bench):
        run, bare = (float(x) for x in program(bench.options.build, "host", self.line))
        return self.within(run - bare, f"a run {run:.2f} us, a bare launch of its kernel {bare:.2f} us")


def rows():
    for stored in (False, True):
        for name, line in PROBLEMS.items():
            yield First(f"first {'stored' if stored else 'new'} {name}", line, stored)
    yield Host("host time over a bare launch", "host", "dtype=bf16 b=1 hq=4 sq=64 d=64", OVER)
