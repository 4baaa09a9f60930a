"""Rows of one problem beside peers on the same tensors: the field's cells, models, FlexAttention's four, f32, decoding."""
import itertools
import math
import pathlib
import re

import torch

import gpu_peers
from gpu_bench import DTYPES, RMS, SAME, SETS, Row, empty_like_result, relative_rms, some_rows, words_of


class Attention(Row):
    def __init__(self, name, suite, line, least=1.0, rivals=()):
        super().__init__(name, suite, line, least, rivals)
        words = words_of(line)
        self.b, self.hq, self.sq, self.d = (int(words[k]) for k in ("b", "hq", "sq", "d"))
        others = {"hkv": self.hq, "sk": self.sq, "dv": self.d}
        self.hkv, self.sk, self.dv = (int(words.get(k, other)) for k, other in others.items())
        self.dtype, self.causal, self.alibi = words.get("dtype", "f32"), "causal" in words, "alibi" in words
        self.softcap, self.seed = float(words.get("softcap", 0)), 7 if "dropout" in words else None
        self.window = int(words["window"].split(",")[0]) if "window" in words else None
        if self.window is not None and (not self.causal or not words["window"].endswith(",0")):
            raise ValueError(f"{line}: a window here is causal")

    def draw(self):
        shapes = ((self.sq, self.hq, self.d), (self.sk, self.hkv, self.d), (self.sk, self.hkv, self.dv))
        return [torch.randn(self.b, *s, device="cuda").to(DTYPES[self.dtype]) for s in shapes]

    def slopes(self):
        """The paper's, for a power of two."""
        return torch.tensor([2 ** (-8 * (h + 1) / self.hq) for h in range(self.hq)], device="cuda")

    def pairs(self):
        one = self.sq * self.sk
        if self.causal:  # as the field counts where sq = sk
            one = one / 2 if self.sq == self.sk else one - self.sq * (self.sq - 1) / 2
        if self.window is not None and self.window < self.sk:
            one -= (self.sk - self.window - 1) ** 2 / 2
        return self.b * self.hq * one

    def rate(self, seconds):
        return 2 * self.pairs() * (self.d + self.dv) / seconds / 1e12

    def scores(self, q, k, h, rows):
        """In float64, -inf where hidden."""
        s = q[rows] @ k.T / math.sqrt(self.d)
        if self.softcap:
            s = self.softcap * torch.tanh(s / self.softcap)
        ahead = torch.arange(self.sk, device="cuda") - (rows + self.sk - self.sq)[:, None]
        if self.alibi:
            s = s - self.slopes()[h].double() * ahead.abs()
        if self.causal:
            s = s.masked_fill(ahead > 0, -math.inf)
        if self.window is not None:
            s = s.masked_fill(ahead < -self.window, -math.inf)
        return s

    def exact(self, q, k, v):
        """Of some rows of two heads: {(b, h): (rows, O)}."""
        group, found = self.hq // self.hkv, {}
        for b, h in {(0, 0), (self.b - 1, self.hq - 1)}:
            one = [x[b, :, y].double() for x, y in ((q, h), (k, h // group), (v, h // group))]
            rows = some_rows(self.sq)
            found[b, h] = rows, self.scores(one[0], one[1], h, rows).softmax(-1) @ one[2]
        return found

    def rms(self, o, exact):
        return max(relative_rms(o[b, rows, h], right) for (b, h), (rows, right) in exact.items())

    def peer_calls(self, bench, inputs, exact):
        """Calls by name, what they get wrong, and why others have none."""
        wanted = bench.options.peers.split(",")
        names = [n for n in gpu_peers.here() if n in wanted] if "Flex" not in self.rivals else ["Flex"]
        calls, wrong, missing = {}, [], {}
        for name in names:
            found, missing[name] = gpu_peers.calls_of(name, self, inputs)
            if not found:
                continue
            rms = self.rms(found[0](), exact)
            if rms <= SAME:
                calls[name] = found
            else:
                wrong.append(f"{name} computes something else: RMS {rms:.1e}")
        return calls, wrong, missing

    def calls(self, plan, inputs):
        """One for each set of inputs, and what each writes."""
        more = {"slopes": self.slopes()} if self.alibi else {}
        outputs = [empty_like_result(self.dtype, self.b, self.sq, self.hq, self.dv) for _ in inputs]
        runs = [
            plan.runner(q=q, k=k, v=v, o=o, seed=self.seed, **more) for (q, k, v), o in zip(inputs, outputs)
        ]
        return runs, outputs

    def measure(self, bench):
        plans = bench.plans(self.line)
        inputs = [self.draw() for _ in range(SETS)]
        exact = [self.exact(*x) for x in inputs]
        ours, wrong = [], []
        for plan in plans:
            runs, outputs = self.calls(plan, inputs)
            ours.append(runs)
            for run in runs:
                run()
            rms = max(self.rms(o, x) for o, x in zip(outputs, exact))
            if not rms <= RMS[self.dtype]:
                wrong.append(f"{plan.config()}: RMS {rms:.2e}")
        peers, others_wrong, missing = self.peer_calls(bench, inputs, exact[0])
        times = bench.turns([*ours, *peers.values()])
        mine = times[: len(ours)]
        best = min(range(len(mine)), key=mine.__getitem__)
        return self.found(
            plans[best].config(),
            self.rate(mine[best]),
            {name: self.rate(t) for name, t in zip(peers, times[len(ours) :])},
            wrong + others_wrong,
            missing,
            every={p.config(): self.rate(t) for p, t in zip(plans, mine)},
        )


class Decode(Attention):
    unit = "TB/s"

    def rate(self, seconds):
        return self.b * self.hkv * self.sk * (self.d + self.dv) * 2 / seconds / 1e12


# A window of W tokens counts the token itself: window=W-1,0, and for FlexAttention i - j <= W - 1.
FLEX = {
    "Llama-3 8B": "dtype=bf16 b=1 hq=32 hkv=8 sq=8192 d=128 causal",
    "window 4096": "dtype=bf16 b=1 hq=32 hkv=8 sq=16384 d=128 causal window=4095,0",
    "softcap 50 window 4096": "dtype=bf16 b=1 hq=16 sq=8192 d=256 causal window=4095,0 softcap=50",
    "ALiBi": "dtype=bf16 b=4 hq=16 sq=4096 d=128 causal alibi",
}

MORE_MODELS = {
    "d96": "dtype=bf16 b=4 hq=16 sq=2048 d=96 causal",
    "short": "dtype=bf16 b=64 hq=16 sq=128 d=64 causal",
    "odd": "dtype=bf16 b=8 hq=16 sq=1009 d=128 causal",
    "chunk": "dtype=bf16 b=4 hq=32 hkv=8 sq=256 sk=8192 d=128",
}


def models():
    text = (pathlib.Path(__file__).parent / "models.txt").read_text()
    for name, line in re.findall(r"^# name: (.*)\n(.*)", text, re.M):
        if not re.search("window|softcap|sq=1 ", line):
            yield name, line
    yield from MORE_MODELS.items()


def rows():
    for d, mask, s in itertools.product((64, 128, 256), ("full", "causal"), (512, 1024, 2048, 4096, 8192, 16384)):
        line = f"dtype=bf16 b={16384 // s} hq={2048 // d} sq={s} d={d}" + " causal" * (mask == "causal")
        yield Attention(f"cell d{d} {mask} s{s}", "cell", line, rivals=("FA2",))
    for name, line in models():
        yield Attention(f"model {name}", "model", line, rivals=("FA2", "efficient"))
    for name, line in (
        ("f32 d64 causal", "dtype=f32 b=4 hq=16 sq=2048 d=64 causal"),
        ("f32 d128", "dtype=f32 b=2 hq=16 sq=4096 d=128"),
    ):
        yield Attention(name, "f32", line, rivals=("efficient",))
    for b, sk in ((1, 4096), (1, 131072), (16, 8192), (64, 8192), (8, 32768)):
        line = f"dtype=bf16 b={b} hq=32 hkv=8 sq=1 sk={sk} d=128"
        yield Decode(f"decode b{b} sk{sk // 1024}k", "decode", line, 0.95, ("cuDNN",))
    for name, line in FLEX.items():
        yield Attention(f"flex {name}", "flex", line, rivals=("Flex",))
