"""Rows of what a feature costs, or of one way beside another to the same result: pages, dropout, packed documents."""
import math

import torch

import gpu_peers
from gpu_bench import RMS, SAME, SETS, Row, empty_like_result, relative_rms, some_rows
from gpu_rows import Attention, Decode


class Paged(Decode):
    """Keys in shuffled pages beside contiguous ones, which is its rival."""

    def __init__(self, name, line, page):
        super().__init__(name, "paged", line, 0.9, ("contiguous",))
        self.page = page

    def lines(self):
        return [f"{self.line} page={self.page}", self.line]

    def scatter(self, k, v):
        """K and V in pages, and the block table."""
        count = self.b * self.sk // self.page
        table = torch.randperm(count, device="cuda")
        pages = [torch.empty(count, self.page, *x.shape[2:], dtype=x.dtype, device="cuda") for x in (k, v)]
        for to, x in zip(pages, (k, v)):
            to[table] = x.view(to.shape)
        return *pages, table.to(torch.int32).view(self.b, -1)

    def measure(self, bench):
        paged, whole = (bench.first_plan(line) for line in self.lines())
        split_runs, runs, wrong = [], [], []
        for _ in range(SETS):
            q, k, v = self.draw()
            o, there = (empty_like_result(self.dtype, self.b, 1, self.hq, self.dv) for _ in "ab")
            pages_k, pages_v, table = self.scatter(k, v)
            split_runs.append(paged.runner(q=q, k=pages_k, v=pages_v, o=o, block_table=table))
            runs.append(whole.runner(q=q, k=k, v=v, o=there))
            split_runs[-1](), runs[-1]()
            exact = self.exact(q, k, v)
            wrong += [f"RMS {r:.2e}" for r in (self.rms(o, exact), self.rms(there, exact)) if not r <= RMS[self.dtype]]
            if not relative_rms(o, there) <= 2 * RMS[self.dtype]:
                wrong.append("paged and contiguous differ")
        times = [self.rate(t) for t in bench.turns([split_runs, runs])]
        return self.found(paged.config(), times[0], {"contiguous": times[1]}, wrong)


class Dropout(Attention):
    """On beside off, of the same problem; at most 1.25 of its time. FA2 stands beside it with the same probability."""

    probability = 0.1

    def __init__(self, name, line):
        super().__init__(name, "dropout", line, 1 / 1.25, ("off",))

    def lines(self):
        return [f"{self.line} dropout={self.probability}", self.line]

    def kept(self, plan):
        """Where V is 1, O is what the kept weights sum up to: 1 on average, over all rows that see many keys."""
        q, k, v = self.draw()
        v.fill_(1)
        o = empty_like_result(self.dtype, self.b, self.sq, self.hq, self.dv)
        plan.runner(q=q, k=k, v=v, o=o, seed=7)()
        many = o[:, self.sq // 2 :, :, 0].double()
        return many.mean().item(), many.std().item()

    def expected_spread(self):
        """Of O where V is 1, for n keys with N(0, 1) scores: their weights' squares sum up to e / n."""
        n = 0.75 * self.sk if self.causal else self.sk
        p = self.probability
        return math.sqrt(p / (1 - p) * math.e / n)

    def faults(self, plan, exact, o):
        mean, spread = self.kept(plan)
        expected = self.expected_spread()
        if not abs(mean - 1) <= 1e-3:  # far beyond what chance gives it
            yield f"the kept weights sum up to {mean:.5f} on average"
        if not 0.7 * expected <= spread <= 1.4 * expected:  # 0: nothing was dropped
            yield f"the kept weights' sums spread by {spread:.4f}, not {expected:.4f}"
        if not self.rms(o, exact) <= RMS[self.dtype]:
            yield "without dropout it is wrong"

    def measure(self, bench):
        with_, without = (bench.first_plan(line) for line in self.lines())
        inputs = [self.draw() for _ in range(SETS)]
        outputs = [[empty_like_result(self.dtype, self.b, self.sq, self.hq, self.dv) for _ in "ab"] for _ in inputs]
        on = [with_.runner(q=q, k=k, v=v, o=o, seed=7) for (q, k, v), (o, _) in zip(inputs, outputs)]
        off = [without.runner(q=q, k=k, v=v, o=o) for (q, k, v), (_, o) in zip(inputs, outputs)]
        off[0]()
        wrong = list(self.faults(with_, self.exact(*inputs[0]), outputs[0][1]))
        theirs = [gpu_peers.PEERS["FA2"](self, *x, dropout=self.probability) for x in inputs]
        slow, fast, fa2 = bench.turns([on, off, theirs])
        note = f"on / off {slow / fast:.3f}"
        return self.found(with_.config(), self.rate(slow), {"off": self.rate(fast), "FA2": self.rate(fa2)}, wrong, note=note)


class Packed(Row):
    """Documents of one length, one behind the other."""

    documents, length, heads, d, dtype = 16, 1024, 16, 128, "bf16"
    total = documents * length

    def __init__(self, name, line, rival):
        super().__init__(name, "packed", line, 1.0, (rival,))

    def draw(self):
        return [torch.randn(self.total, self.heads, self.d, device="cuda").to(torch.bfloat16) for _ in "qkv"]

    def result(self):
        return empty_like_result(self.dtype, self.total, self.heads, self.d)

    def rate(self, seconds):
        return 4 * self.documents * self.length**2 * self.heads * self.d / seconds / 1e12

    def rms(self, o, q, k, v):
        """Of the first and the last document, each with a head."""
        worst = 0
        for document, h in ((0, 0), (self.documents - 1, self.heads - 1)):
            at = slice(document * self.length, (document + 1) * self.length)
            one_q, one_k, one_v, one_o = (x[at, h].double() for x in (q, k, v, o))
            rows = some_rows(self.length)
            right = (one_q[rows] @ one_k.T / math.sqrt(self.d)).softmax(-1) @ one_v
            worst = max(worst, relative_rms(one_o[rows], right))
        return worst

    def peer(self, make, inputs):
        """Calls that return O [total, heads, d], what they get wrong, and why there are none."""
        try:
            calls = [make(*x) for x in inputs]
            rms = self.rms(calls[0](), *inputs[0])
        except Exception as error:  # a compiler's, a missing kernel's: all of them mean no
            return None, [], f"{type(error).__name__}: {str(error)[:200]}"
        if rms <= SAME:
            return calls, [], ""
        return None, [f"{self.rivals[0]} computes something else: RMS {rms:.1e}"], "it is wrong"

    def compare(self, bench, ours, make_peer, inputs, outputs):
        """Rates of `ours`, of the peer, and the faults."""
        wrong = []
        for runs in ours:
            for run, o, x in zip(runs, outputs, inputs):
                o.fill_(math.nan)
                run()
                if not self.rms(o, *x) <= RMS[self.dtype]:
                    wrong.append(f"RMS {self.rms(o, *x):.2e}")
        calls, others_wrong, why = self.peer(make_peer, inputs)
        times = [self.rate(t) for t in bench.turns([*ours, *([calls] if calls else [])])]
        peers = {self.rivals[0]: times[len(ours)]} if calls else {}
        return times[: len(ours)], peers, wrong + others_wrong, {self.rivals[0]: why}


class PackedByMask(Packed):
    """Told apart by a mask function on document ids, beside FlexAttention with its block mask of the same ids. Both
    have made their lists of tiles before; `each run` counts ours, too."""

    def __init__(self, name):
        line = f"dtype={self.dtype} b=1 hq={self.heads} sq={self.total} d={self.d}"
        super().__init__(name, f"{line} maskfn={{doc[i]==doc[j]}} tensor=doc:i32[sk]", "Flex")

    def measure(self, bench):
        plan = bench.first_plan(self.line)
        inputs, outputs = [self.draw() for _ in range(SETS)], [self.result() for _ in range(SETS)]
        doc = torch.arange(self.total, device="cuda", dtype=torch.int32) // self.length
        both = [
            [
                plan.runner(q=q[None], k=k[None], v=v[None], o=o[None], tensors=[doc], prepare=prepare)
                for (q, k, v), o in zip(inputs, outputs)
            ]
            for prepare in (True, False)
        ]
        flex = gpu_peers.flex_of(lambda b, h, i, j: doc[i] == doc[j], None, self.total, self.total)

        def beside(q, k, v):
            call = gpu_peers.call_flex(flex, q[None], k[None], v[None])
            return lambda: call()[0]

        (ready, each), peers, wrong, missing = self.compare(bench, both, beside, inputs, outputs)
        note = f"prepared; with its pre-pass in each run {each:.2f}"
        if peers:
            note += f", of Flex {each / peers['Flex']:.3f}"
        return self.found(plan.config(), ready, peers, wrong, missing, note)


class PackedByLengths(Packed):
    """Told apart by lens=packed, beside FlashAttention-2 of variable lengths."""

    def __init__(self, name):
        line = f"dtype={self.dtype} b={self.documents} hq={self.heads} sq={self.length} d={self.d} lens=packed"
        super().__init__(name, line, "FA2 varlen")

    def measure(self, bench):
        plan = bench.first_plan(self.line)
        inputs, outputs = [self.draw() for _ in range(SETS)], [self.result() for _ in range(SETS)]
        cu = torch.arange(self.documents + 1, device="cuda", dtype=torch.int32) * self.length
        runs = [
            plan.runner(total_q=self.total, total_k=self.total, q=q, k=k, v=v, o=o, cu_q=cu, cu_k=cu)
            for (q, k, v), o in zip(inputs, outputs)
        ]

        def beside(q, k, v):
            return gpu_peers.call_varlen(q, k, v, cu, self.length)

        (ours,), peers, wrong, missing = self.compare(bench, [runs], beside, inputs, outputs)
        return self.found(plan.config(), ours, peers, wrong, missing)


def rows():
    for b, sk, page in ((16, 8192, 16), (8, 32768, 64)):
        line = f"dtype=bf16 b={b} hq=32 hkv=8 sq=1 sk={sk} d=128"
        yield Paged(f"paged b{b} sk{sk // 1024}k page{page}", line, page)
    for mask in ("full", "causal"):
        line = "dtype=bf16 b=4 hq=16 sq=4096 d=128" + " causal" * (mask == "causal")
        yield Dropout(f"dropout d128 {mask}", line)
    yield PackedByMask("packed by maskfn")
    yield PackedByLengths("packed by lens")
