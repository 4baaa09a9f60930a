"""attention_test.py LIBRARY: calls a problem from JAX on the CPU, through attention.c, and compares the
results with float64 arithmetic on the same rounded inputs."""
import concurrent.futures
import ctypes
import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np

TARGET = "flashgen_attention"
SENTENCE = 2048  # FG_ERROR_TEXT
ROUND_OFF = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
DTYPES = {"f32": jnp.float32, "f16": jnp.float16, "bf16": jnp.bfloat16}

library = ctypes.CDLL(sys.argv[1])
library.attention_workspace.restype = ctypes.c_int64
jax.ffi.register_ffi_target(
    TARGET, jax.ffi.pycapsule(library.attention), platform="cpu", api_version=1
)


# ---- The call ----


def fields(line):
    words = (word.partition("=") for word in line.split())
    return {key: value for key, _, value in words}


@functools.cache
def workspace_bytes(line, config):
    sentence = ctypes.create_string_buffer(SENTENCE)
    found = library.attention_workspace(line.encode(), config.encode(), sentence)
    if found < 0:
        raise ValueError(sentence.value.decode())
    return found


def call(line, config, workspace, inputs):
    f = fields(line)
    q, v = inputs[0], inputs[2]
    results = [jax.ShapeDtypeStruct(q.shape[:-1] + v.shape[-1:], q.dtype)]
    if "lse" in f:
        shape = (int(f["b"]), int(f["hq"]), int(f["sq"]))
        results.append(jax.ShapeDtypeStruct(shape, jnp.float32))
    results.append(jax.ShapeDtypeStruct((workspace,), jnp.uint8))
    run = jax.ffi.ffi_call(TARGET, results, vmap_method="sequential")
    return run(*inputs, problem=line, config=config)[:-1]


def attention(line, *inputs, config=""):
    """[o] of a problem, or [o, lse]; `inputs` as fg_problem_tensor orders them."""
    return call(line, config, workspace_bytes(line, config), inputs)


# ---- What it must give ----


def reference(f, q, k, v, score, keep, factor):
    """o and lse in float64; score(s, b, h, i, j), keep(b, h, i, j) and factor(b, h, i, j) as arrays."""
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    if f.get("layout") != "bhsd":
        q, k, v = (x.swapaxes(1, 2) for x in (q, k, v))
    group = q.shape[1] // k.shape[1]
    k, v = (x.repeat(group, axis=1) for x in (k, v))
    at = np.ogrid[tuple(slice(n) for n in (*q.shape[:3], k.shape[2]))]
    s = score(np.einsum("bhid,bhjd->bhij", q, k) / q.shape[3] ** 0.5, *at)
    s = np.where(keep(*at), s, -np.inf)
    top = s.max(axis=3, keepdims=True)
    p = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = p.sum(axis=3, keepdims=True)
    o = np.einsum("bhij,bhjd->bhid", p * factor(*at) / np.where(total == 0, 1, total), v)
    with np.errstate(divide="ignore"):
        lse = (top + np.log(total))[..., 0]
    return (o if f.get("layout") == "bhsd" else o.swapaxes(1, 2)), lse


def compare(what, got, wanted):
    """To the relative RMS that drawn inputs are held to."""
    u = ROUND_OFF[str(got.dtype)]
    bound = 40 * u if got.dtype == jnp.float32 else 0.8 * u
    off = np.asarray(got, np.float64) - wanted
    rms = np.sqrt(np.mean(off**2) / np.mean(wanted**2))
    assert got.shape == wanted.shape, f"{what}: shape {got.shape}, not {wanted.shape}"
    assert rms <= bound, f"{what}: relative RMS {rms:.2e} above {bound:.2e}"


def compare_lse(what, got, wanted):
    hidden = np.isneginf(wanted)
    assert (np.isneginf(got) == hidden).all(), f"{what}: other rows are hidden"
    off = np.abs(np.where(hidden, 0, got) - np.where(hidden, 0, wanted)).max()
    assert off <= 1e-5, f"{what}: lse is off by {off:.2e}"


# ---- Cases: a line, the inputs behind q k v, and what it means ----


def plain(s, b, h, i, j):
    return s


def everything(b, h, i, j):
    return np.True_


def one(b, h, i, j):
    return 1.0


class Case:
    def __init__(self, line, *extras, score=plain, keep=everything, factor=one):
        self.line, self.f = line, fields(line)
        self.b, self.hq, self.sq, self.d = (int(self.f[key]) for key in ("b", "hq", "sq", "d"))
        self.hkv = int(self.f.get("hkv", self.hq))
        self.sk = int(self.f.get("sk", self.sq))
        self.inputs = [*self.draw(), *map(jnp.asarray, extras)]
        self.wanted = reference(self.f, *self.inputs[:3], score, keep, factor)

    def draw(self):
        generator = np.random.default_rng(len(self.line))
        dv = int(self.f.get("dv", self.d))
        for heads, length, width in (
            (self.hq, self.sq, self.d),
            (self.hkv, self.sk, self.d),
            (self.hkv, self.sk, dv),
        ):
            middle = (heads, length) if self.f.get("layout") == "bhsd" else (length, heads)
            x = generator.standard_normal((self.b, *middle, width))
            yield jnp.asarray(x, DTYPES[self.f.get("dtype", "f32")])

    def check(self, results):
        compare(self.line, results[0], self.wanted[0])
        if "lse" in self.f:
            compare_lse(self.line, np.asarray(results[1]), self.wanted[1])

    def run(self):
        return jax.jit(functools.partial(attention, self.line))(*self.inputs)


def causal(rows, keys):
    return lambda b, h, i, j: j <= i + keys - rows


def alibi_case():
    slopes = np.float32([0.5, 0.25, 0.125, 0.0625])
    return Case(
        "dtype=f32 b=1 hq=4 sq=77 d=64 alibi causal lse",
        slopes,
        score=lambda s, b, h, i, j: s - slopes[h] * np.abs(i - j),
        keep=causal(77, 77),
    )


def bias_and_mask_case():
    generator = np.random.default_rng(2)
    bias = np.float32(generator.standard_normal((1, 2, 50, 70)))
    mask = generator.random((3, 1, 1, 70)) < 0.7
    return Case(
        "dtype=f32 b=3 hq=2 sq=50 sk=70 d=40 bias=1HQK mask=B11K lse",
        bias,
        mask,
        score=lambda s, b, h, i, j: s + bias[0, h, i, j],
        keep=lambda b, h, i, j: mask[b, 0, 0, j],
    )


def functions_case():
    """Two tensors of the caller's own, sorted by name, and rows that see nothing."""
    doc = np.int32(np.arange(96) // 20)
    slope = np.float32([1, 0.5])
    return Case(
        "dtype=f32 b=2 hq=2 sq=96 d=64 score={s-slope[h]*abs(i-j)/8} "
        "maskfn={doc[i]==doc[j]and(i<90)} tensor=doc:i32[sk] tensor=slope:f32[hq] lse",
        doc,
        slope,
        score=lambda s, b, h, i, j: s - slope[h] * np.abs(i - j) / 8,
        keep=lambda b, h, i, j: (doc[i] == doc[j]) & (i < 90),
    )


def padded_case():
    """Lengths as buffers, one of them 0."""
    rows, keys = np.int32([30, 0, 17]), np.int32([41, 20, 0])
    return Case(
        "dtype=f32 b=3 hq=2 sq=30 sk=41 d=32 lens=padded lse",
        rows,
        keys,
        keep=lambda b, h, i, j: (i < rows[b]) & (j < keys[b]),
    )


def cases():
    yield Case("dtype=f32 b=1 hq=1 sq=16 d=16")
    yield Case("dtype=f32 b=2 hq=6 hkv=2 sq=65 sk=130 d=48 dv=32 causal lse", keep=causal(65, 130))
    yield Case("dtype=bf16 b=2 hq=4 hkv=1 sq=128 d=64 causal lse", keep=causal(128, 128))
    yield Case("dtype=f16 b=1 hq=3 sq=33 d=80 layout=bhsd lse")
    yield Case("dtype=bf16 b=1 hq=2 sq=1 sk=1000 d=128 layout=bhsd lse")
    yield alibi_case()
    yield bias_and_mask_case()
    yield functions_case()
    yield padded_case()


# ---- Tests ----


def test_cases():
    for case in cases():
        case.check(case.run())


def test_inside_a_program():
    """Between operations that XLA compiles, twice in one program, differing in the mask alone."""
    line = "dtype=f32 b=2 hq=4 sq=40 d=32"
    f = fields(line)
    x = np.random.default_rng(1).standard_normal((2, 40, 4, 32))
    w = np.random.default_rng(3).standard_normal((32, 32)) / 32**0.5

    @jax.jit
    def program(x, w):
        q, k = jnp.tanh(x @ w), x @ w.T
        first = attention(line, q, k, x)[0]
        return x + attention(line + " causal", first, k, x)[0] @ w

    with jax.default_matmul_precision("highest"):
        got = program(jnp.float32(x), jnp.float32(w))
    q, k = np.tanh(x @ w), x @ w.T
    first = reference(f, q, k, x, plain, everything, one)[0]
    second = reference(f, first, k, x, plain, causal(40, 40), one)[0]
    compare("a program", got, x + second @ w)


def test_vmap():
    case = Case("dtype=f32 b=1 hq=2 sq=24 d=32 causal lse", keep=causal(24, 24))
    q, k, v = case.inputs
    mapped = jax.vmap(lambda q: attention(case.line, q, k, v))
    o, lse = jax.jit(mapped)(jnp.stack([q, 0 * q, q]))
    case.check([o[0], lse[0]])
    case.check([o[2], lse[2]])
    uniform = reference(case.f, 0 * q, k, v, plain, causal(24, 24), one)
    compare("q = 0", o[1], uniform[0])


def test_threads():
    """The first plans of problems not met before, by several threads at once; then the same bits always."""
    lines = [f"dtype=f32 b=1 hq=2 sq={70 + n // 2} d=32 causal" for n in range(8)]

    def many(line):
        length = int(fields(line)["sq"])
        case = Case(line, keep=causal(length, length))
        results = [case.run() for _ in range(20)]
        case.check(results[0])
        return all((r[0] == results[0][0]).all() for r in results)

    with concurrent.futures.ThreadPoolExecutor(len(lines)) as pool:
        assert all(pool.map(many, lines)), "a repeated run gave other bits"


def philox(counter, key):
    """Philox4x32-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3; 2011), by arrays of words."""
    c, (k0, k1) = [np.asarray(word, np.uint64) for word in counter], key
    for _ in range(10):
        left, right = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            right >> np.uint64(32) ^ c[1] ^ np.uint64(k0),
            right & np.uint64(0xFFFFFFFF),
            left >> np.uint64(32) ^ c[3] ^ np.uint64(k1),
            left & np.uint64(0xFFFFFFFF),
        ]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c


def kept(words, hq, probability):
    """What dropout multiplies probabilities by, for the four words of rng, as a function of b h i j."""
    threshold = int(float(np.float32(probability)) * 65536 + 0.5)
    seed_low, seed_high, offset_low, offset_high = map(int, words)

    def factor(b, h, i, j):
        counter = 4 * (j >> 4) + (j >> 1 & 3), i >> 1, b * hq + h, offset_low
        c = np.broadcast_arrays(*philox(counter, (seed_low, seed_high ^ offset_high)))
        word = np.choose(2 * (i & 1) + (j >> 3 & 1), c)
        half = word >> (16 * (j & 1)).astype(np.uint64) & np.uint64(0xFFFF)
        return np.where(half >= threshold, 65536 / (65536 - threshold), 0)

    return factor


def test_dropout():
    """Seeds that the program computes: one trace, other masks."""
    known = [int(word) for word in philox((0, 0, 0, 0), (0, 0))]
    assert known == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], "philox is not Philox4x32-10"
    case = Case("dtype=f32 b=2 hq=3 sq=45 sk=70 d=32 causal dropout=0.3 lse", keep=causal(45, 70))
    traces = []

    @jax.jit
    def program(step, *inputs):
        traces.append(step)
        rng = jnp.uint32([7, 0xFFFFFFF0, 1, 2]) + step.astype(jnp.uint32)
        return rng, attention(case.line, *inputs, rng)

    for step in (0, 1, 12):
        rng, (o, lse) = program(jnp.int32(step), *case.inputs)
        factor = kept(rng, case.hq, 0.3)
        wanted = reference(case.f, *case.inputs, plain, causal(45, 70), factor)
        compare(f"step {step}", o, wanted[0])
        compare_lse(f"step {step}", lse, wanted[1])
    assert len(traces) == 1, "another seed was another trace"
    expect("is missing", lambda: attention(case.line, *case.inputs))


def expect(sentence, function):
    try:
        jax.block_until_ready(function())
    except Exception as error:  # of whatever type XLA or the wrapper raises
        assert sentence in str(error), f"'{sentence}' is not in: {error}"
        return
    raise AssertionError(f"no error: '{sentence}'")


def test_errors():
    line = "dtype=f32 b=1 hq=2 sq=64 d=32 causal"
    q = jnp.ones((1, 64, 2, 32))
    enough = workspace_bytes(line, "")
    wide = "b=1 hq=9 hkv=2 sq=64 d=32"
    expect("hkv", lambda: attention(wide, q, q, q))
    expect("hkv", lambda: call(wide, "", enough, (q, q, q)))
    expect("axis 'lanes' the value '3'", lambda: attention(line, q, q, q, config="lanes=3"))
    expect("q has type code 4", lambda: attention(line, q.astype(jnp.bfloat16), q, q))
    expect("k has shape [1, 63, 2, 32]", lambda: attention(line, q, q[:, 1:], q))
    expect("is missing", lambda: attention(line + " alibi", q, q, q))
    expect("more operands", lambda: attention(line, q, q, q, q))
    expect(f"this run needs {enough}", lambda: call(line, "", enough - 1, (q, q, q)))
    right = attention(line, q, q, q)[0]  # nothing of it lingers
    compare("after errors", right, np.ones(q.shape))


def main():
    tests = [test for name, test in globals().items() if name.startswith("test_")]
    for test in tests:
        test()
    print(f"jax {jax.__version__}: {len(tests)} tests passed")


main()
