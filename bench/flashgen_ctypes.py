"""What the Python yardsticks need of include/flashgen.h, over ctypes and PyTorch's memory.

Library.load compares the structs below with what the C compiler makes of the header, so that they cannot drift."""
import ctypes
import pathlib
import subprocess
import tempfile
from ctypes import c_char, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint16
from ctypes import c_uint64, c_void_p

import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEFAULT_INT = -(2**63)
NAN = float("nan")

# FG_TENSORS
TENSORS = "q k v o lse bias mask slopes sinks q_lens k_lens cu_q cu_k block_table rng".split()

SHARD = "origin_b origin_h origin_i origin_j whole_b whole_hq whole_hkv whole_sq whole_sk".split()


class DLDevice(ctypes.Structure):
    _fields_ = [("device_type", c_int32), ("device_id", c_int32)]


class DLDataType(ctypes.Structure):
    _fields_ = [("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16)]


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p),
        ("device", DLDevice),
        ("ndim", c_int32),
        ("dtype", DLDataType),
        ("shape", ctypes.POINTER(c_int64)),
        ("strides", ctypes.POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


class fg_error(ctypes.Structure):
    _fields_ = [("status", c_int), ("position", c_int64), ("text", c_char * 2048)]


class fg_context_options(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("allocate", c_void_p),
        ("allocate_user", c_void_p),
        ("log", c_void_p),
        ("log_user", c_void_p),
        ("threads", c_int),
        ("parallel_for", c_void_p),
        ("parallel_user", c_void_p),
        ("compiler", c_char_p),
        ("compiler_flags", c_char_p),
        ("compiler_seconds", c_double),
        ("isa", c_char_p),
        ("templates", c_char_p),
        ("store", c_char_p),
        ("shared_stores", c_char_p),
        ("worker", c_char_p),
        ("device", c_char_p),
        ("cuda_driver", c_char_p),
        ("nvrtc", c_char_p),
    ]


class fg_device_info(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("isa", c_char_p),
        ("flags", c_char_p),
        ("compiler", c_char_p),
        ("compiler_version", c_char_p),
        ("cores", c_int),
        ("threads", c_int),
        ("l1_bytes", c_int64),
        ("l2_bytes", c_int64),
        ("target", c_char_p),
        ("device", c_char_p),
    ]


class fg_tune_options(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("rigor", c_int),
        ("seconds", c_double),
        ("config", c_char_p),
        ("event", c_void_p),
        ("event_user", c_void_p),
        ("again", c_int),
        ("in_process", c_int),
        ("sizes", c_void_p),
    ]


class fg_tune_report(ctypes.Structure):
    _fields_ = [
        ("schedule", c_char * 32),
        ("config", c_char * 512),
        ("seconds", c_double),
        ("spread", c_double),
        ("estimate_seconds", c_double),
        ("elapsed", c_double),
        ("compile_seconds", c_double),
        ("legal", c_int64),
        ("compiled", c_int64),
        ("measured", c_int64),
        ("rejected", c_int64),
        ("decided", c_int),
        ("found", c_int),
    ]


class fg_plan_options(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("rigor", c_int),
        ("config", c_char_p),
        ("seconds", c_double),
        ("event", c_void_p),
        ("event_user", c_void_p),
        ("in_process", c_int),
        ("background", c_int),
        ("most", c_void_p),
        ("sizes", c_void_p),
    ]


class fg_plan_info(ctypes.Structure):
    _fields_ = [
        ("target", c_char_p),
        ("schedule", c_char_p),
        ("config", c_char_p),
        ("source", c_int),
        ("generate_seconds", c_double),
        ("compile_seconds", c_double),
        ("load_seconds", c_double),
    ]


class fg_dims(ctypes.Structure):
    _fields_ = [("size", c_size_t)] + [(n, c_int64) for n in "b sq sk total_q total_k".split()]


class fg_args(ctypes.Structure):
    _fields_ = (
        [("size", c_size_t)]
        + [(name, ctypes.POINTER(DLTensor)) for name in TENSORS]
        + [
            ("tensors", ctypes.POINTER(ctypes.POINTER(DLTensor))),
            ("tensor_count", c_size_t),
            ("scale", c_double),
            ("softcap", c_double),
            ("dropout", c_double),
            ("window_left", c_int64),
            ("window_right", c_int64),
            ("seeded", c_int),
            ("seed", c_uint64),
            ("offset", c_uint64),
            ("workspace", c_void_p),
            ("workspace_bytes", c_size_t),
            ("prepared", c_void_p),
            ("prepared_bytes", c_size_t),
            ("parallel_user", c_void_p),
        ]
        + [(name, c_int64) for name in SHARD]
        + [("stream", c_void_p)]
    )


STRUCTS = (
    DLDevice,
    DLDataType,
    DLTensor,
    fg_error,
    fg_context_options,
    fg_device_info,
    fg_tune_options,
    fg_tune_report,
    fg_plan_options,
    fg_plan_info,
    fg_dims,
    fg_args,
)

CALLS = {
    "fg_context_new": (c_int, c_void_p, c_void_p, c_void_p),
    "fg_context_free": (None, c_void_p),
    "fg_context_device": (c_int, c_void_p, c_void_p, c_void_p),
    "fg_context_peak": (c_int, c_void_p, c_void_p, c_void_p),
    "fg_problem_parse": (c_int, c_void_p, c_void_p, c_char_p, c_void_p),
    "fg_problem_free": (None, c_void_p),
    "fg_tune": (c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "fg_plan_new": (c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "fg_plan_free": (None, c_void_p),
    "fg_plan_config": (None, c_void_p, c_void_p),
    "fg_plan_workspace": (c_int, c_void_p, c_void_p, c_void_p, c_void_p),
    "fg_plan_prepared": (c_int, c_void_p, c_void_p, c_void_p, c_void_p),
    "fg_plan_prepare": (c_int, c_void_p, c_void_p, c_void_p),
    "fg_run": (c_int, c_void_p, c_void_p, c_void_p),
}


def layout_program():
    """A C program that prints name, sizeof, and each field's offsetof and sizeof."""
    lines = ['#include "flashgen.h"', "#include <stdio.h>", "int main(void) {"]
    for s in STRUCTS:
        lines.append(f'printf("{s.__name__} %zu", sizeof({s.__name__}));')
        for name, _ in s._fields_:
            lines.append(
                f'printf(" {name} %zu %zu", offsetof({s.__name__}, {name}), '
                f"sizeof((({s.__name__} *)0)->{name}));"
            )
        lines.append('puts("");')
    return "\n".join([*lines, "return 0; }\n"])


def layout_here():
    for s in STRUCTS:
        fields = ((name, getattr(s, name)) for name, _ in s._fields_)
        yield " ".join(
            [f"{s.__name__} {ctypes.sizeof(s)}", *(f"{n} {f.offset} {f.size}" for n, f in fields)]
        )


def check_layout(compiler="cc"):
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/layout"
        subprocess.run(
            [compiler, "-x", "c", "-", "-o", program, "-I", str(ROOT / "include")],
            input=layout_program().encode(),
            check=True,
        )
        there = subprocess.run([program], capture_output=True, check=True).stdout.decode()
    for mine, c in zip(layout_here(), there.splitlines(), strict=True):
        if mine != c:
            raise SystemExit(f"include/flashgen.h has changed: {c}\nflashgen_ctypes.py says {mine}")


class Refused(Exception):
    """A status other than FG_OK, with the library's sentence."""


def dl_tensor(t):
    """The tensor of PyTorch's memory, which it keeps alive."""
    code = {torch.int32: 0, torch.uint8: 1, torch.bool: 6, torch.bfloat16: 4}.get(t.dtype, 2)
    sizes = c_int64 * max(t.ndim, 1)
    out = DLTensor(
        t.data_ptr(),
        DLDevice(2, t.device.index) if t.is_cuda else DLDevice(1, 0),
        t.ndim,
        DLDataType(code, 8 * t.element_size(), 1),
        sizes(*t.shape),
        sizes(*t.stride()),
        0,
    )
    out.memory = t
    return out


class Library:
    """A library and one context of it. `store`: a folder, or "" for nothing kept; `device`: as "cuda:0"; `templates`: a
    folder that overrides the built-in ones."""

    def __init__(self, path, threads, store="", device="cpu", templates=None):
        self.c = ctypes.CDLL(str(path))
        for name, (result, *arguments) in CALLS.items():
            function = getattr(self.c, name)
            function.restype, function.argtypes = result, arguments
        self.handle = c_void_p()
        options = fg_context_options(
            size=ctypes.sizeof(fg_context_options),
            threads=threads,
            compiler_seconds=60.0,
            store=str(store).encode(),
            device=device.encode(),
            templates=templates and str(templates).encode(),
        )
        self.memory_device = device
        self.call("fg_context_new", ctypes.byref(self.handle), ctypes.byref(options))

    @classmethod
    def load(cls, build, threads, store="", device="cpu", templates=None):
        check_layout()
        return cls(pathlib.Path(build) / "libflashgen.so", threads, store, device, templates)

    def call(self, name, *arguments):
        error = fg_error()
        if getattr(self.c, name)(*arguments, ctypes.byref(error)) != 0:
            raise Refused(error.text.decode())

    def peak(self):
        """GFLOP/s of f32 multiply-adds."""
        gflops = c_double()
        self.call("fg_context_peak", self.handle, ctypes.byref(gflops))
        return gflops.value

    def device(self):
        info = fg_device_info()
        self.call("fg_context_device", self.handle, ctypes.byref(info))
        return f"{info.name.decode()}, {info.isa.decode()}, {info.threads} threads"


class Plan:
    """A problem's plan; `tune`: the seconds that its config may be searched for first; `config`: pinned axes."""

    def __init__(self, library, line, tune=0, config=None):
        self.library, self.line = library, line
        problem, self.handle = c_void_p(), c_void_p()
        library.call("fg_problem_parse", ctypes.byref(problem), library.handle, line.encode())
        try:
            if tune:
                self.tune(problem, tune)
            options = fg_plan_options(ctypes.sizeof(fg_plan_options), config=config and config.encode())
            library.call(
                "fg_plan_new", ctypes.byref(self.handle), library.handle, problem, ctypes.byref(options)
            )
        finally:
            library.c.fg_problem_free(problem)

    def tune(self, problem, seconds):
        options = fg_tune_options(size=ctypes.sizeof(fg_tune_options), rigor=1, seconds=seconds)
        report = fg_tune_report()
        self.library.call(
            "fg_tune", ctypes.byref(report), self.library.handle, problem, ctypes.byref(options)
        )

    def info(self):
        info = fg_plan_info()
        self.library.c.fg_plan_config(self.handle, ctypes.byref(info))
        return info

    def config(self):
        info = self.info()
        return f"{info.schedule.decode()}: {info.config.decode()}"

    def bytes(self, call, dims):
        size = c_size_t()
        self.library.call(call, self.handle, ctypes.byref(dims), ctypes.byref(size))
        return size.value

    def runner(self, total_q=-1, total_k=-1, prepare=False, tensors=(), seed=None, **named):
        """A function that runs on these tensors; `tensors`: those of tensor=, sorted by name."""
        dims = fg_dims(ctypes.sizeof(fg_dims), -1, -1, -1, total_q, total_k)
        args = fg_args(
            size=ctypes.sizeof(fg_args),
            scale=NAN,
            softcap=NAN,
            dropout=NAN,
            window_left=DEFAULT_INT,
            window_right=DEFAULT_INT,
            workspace_bytes=self.bytes("fg_plan_workspace", dims),
            tensor_count=len(tensors),
            **dict.fromkeys(SHARD, DEFAULT_INT),
        )
        keep = [dl_tensor(t) for t in (*named.values(), *tensors)]
        for name, tensor in zip(named, keep):
            setattr(args, name, ctypes.pointer(tensor))
        pointers = [ctypes.pointer(t) for t in keep[len(named) :]]
        args.tensors = (ctypes.POINTER(DLTensor) * max(len(pointers), 1))(*pointers)
        if seed is not None:
            args.seeded, args.seed = 1, seed
        if self.library.memory_device != "cpu":
            args.stream = torch.cuda.current_stream().cuda_stream
        args.workspace = self.memory(keep, args.workspace_bytes)
        if prepare:
            args.prepared_bytes = self.bytes("fg_plan_prepared", dims)
            args.prepared = self.memory(keep, args.prepared_bytes)
            self.library.call("fg_plan_prepare", self.handle, ctypes.byref(args))
        return self.bound(args, keep)

    def memory(self, keep, size):
        """Aligned to 64 bytes; `keep` keeps it."""
        keep.append(torch.empty(size + 64, dtype=torch.uint8, device=self.library.memory_device))
        return -(-keep[-1].data_ptr() // 64) * 64

    def bound(self, args, keep):
        run, handle, at, error = self.library.c.fg_run, self.handle, ctypes.byref(args), fg_error()

        def once(args=args, keep=keep):  # which live as long as it does
            if run(handle, at, ctypes.byref(error)) != 0:
                raise Refused(error.text.decode())

        return once

    def __del__(self):
        if self.handle:
            self.library.c.fg_plan_free(self.handle)
