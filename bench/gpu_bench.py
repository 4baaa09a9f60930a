"""What the rows of gpu_vs_torch.py share: plans made ahead, calls timed in turn, and what a row found."""
import concurrent.futures
import math
import statistics

import torch

from flashgen_ctypes import Plan, Refused

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
RMS = {"f32": 40 * 2.0**-24, "bf16": 0.8 * 2.0**-8, "f16": 0.8 * 2.0**-11}
SAME = 0.03  # relative RMS below which a peer computes the same; another mask or score gives far more
SLEEP = 20_000_000  # cycles
SETS = 3  # of inputs, used in rotation


def words_of(line):
    return dict(w.split("=", 1) if "=" in w else (w, True) for w in line.split())


def turns(contenders, rounds):
    """Median seconds of each; a contender is a list of calls, used in rotation. Launches queue behind a kernel that
    sleeps."""
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


class Bench:
    """A library, the options, and plans, which threads make while other rows are measured."""

    def __init__(self, library, options):
        self.library, self.options = library, options
        self.configs = options.config or [None]
        self.threads = concurrent.futures.ThreadPoolExecutor(max(options.ahead, 1))
        self.made = {}

    def ask(self, lines):
        """These will be wanted, in this order. Tuning needs the GPU to itself: nothing is made ahead then."""
        if self.options.tune or not self.options.ahead:
            return
        for line in lines:
            for config in self.configs:
                if (line, config) not in self.made:
                    self.made[line, config] = self.threads.submit(Plan, self.library, line, 0, config)

    def plan(self, line, config=None):
        made = self.made.pop((line, config), None)
        return made.result() if made else Plan(self.library, line, self.options.tune, config)

    def plans(self, line):
        """One for each config that is pinned; those that the problem refuses are told and left out."""
        made = []
        for config in self.configs:
            try:
                made.append(self.plan(line, config))
            except Refused as refused:
                if len(self.configs) == 1:
                    raise
                print(f"  {config}: {str(refused)[:300]}")
        if not made:
            raise Refused("no config serves")
        return made

    def first_plan(self, line):
        return self.plan(line, self.configs[0])

    def turns(self, contenders):
        return turns(contenders, self.options.rounds)

    def close(self):
        self.threads.shutdown(cancel_futures=True)


class Row:
    """`least`: of its ratio, ours to the best rival's; `rivals`: names of peers that it is held to."""

    unit = "TFLOP/s"

    def __init__(self, name, suite, line, least=1.0, rivals=()):
        self.name, self.suite, self.line, self.least, self.rivals = name, suite, line, least, rivals

    def lines(self):
        """Of the plans that it will ask for."""
        return [self.line]

    def measure(self, bench):
        raise NotImplementedError

    def found(self, config, ours, peers, wrong=(), missing=(), note="", every=None):
        """`peers`: their rates by name; `missing`: why a rival has none, by name."""
        rivals = [peers[n] for n in self.rivals if n in peers]
        ratio = ours / max(rivals) if rivals else None
        faults = list(wrong)
        if ratio is not None and not ratio >= self.least:
            faults.append(f"below {self.least:g}")
        if not rivals:
            faults += [f"no {name} beside it: {why}" for name, why in dict(missing).items() if name in self.rivals]
        return {
            "name": self.name,
            "suite": self.suite,
            "line": self.line,
            "config": config,
            "unit": self.unit,
            "ours": ours,
            "peers": peers,
            "ratio": ratio,
            "least": self.least,
            "faults": faults,
            "note": note,
            "all": every or {},
        }


def relative_rms(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def empty_like_result(dtype, *shape):
    """NaN, so that what is not written shows."""
    return torch.full(shape, math.nan, device="cuda", dtype=DTYPES[dtype])


def some_rows(sq):
    """The first and the last ones."""
    return torch.unique(torch.cat([torch.arange(min(64, sq)), torch.arange(max(0, sq - 192), sq)])).cuda()
