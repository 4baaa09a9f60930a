-- C with vector extensions: what each instruction set offers, as data.
-- bytes: of a vector; registers: how many vectors the microkernels may hold; dot: bf16 pairs multiply into f32;
-- the rest: instruction texts. Beside them, by what is computed in: real ("f32" or "f64"), lanes (of `real`),
-- literal (what prints a constant).

local isa = {
  portable = { bytes = 16, registers = 16 },
  avx2 = { bytes = 32, registers = 16, x86 = true },
  avx512 = { bytes = 64, registers = 32, x86 = true, scales = true },
  avx512bf16 = { bytes = 64, registers = 32, x86 = true, scales = true, dot = true },
}

-- %0 the result, %1 and %2 the operands. reduce: x - floor(x). scale: %0 times 2^floor(%1), but 0 where %1 is below %2 (a NaN is not).
local instructions = {
  f32 = { max = "vmaxps %2, %1, %0", min = "vminps %2, %1, %0", reduce = "vreduceps $1, %1, %0",
    scale = "vcmpps $21, %2, %1, %%k1\\n\\tvscalefps %1, %0, %0%{%%k1%}%{z%}" },
  f64 = { max = "vmaxpd %2, %1, %0", min = "vminpd %2, %1, %0" },
}
local halves = { widen = "vcvtph2ps %1, %0", narrow = "vcvtps2ph $0, %1, %0" } -- f16 to f32 and back, to nearest

local target = {}

-- Scores are f64 where Q is.
function target.real(dtype) return dtype == "f64" and "f64" or "f32" end

-- dtype: of Q; nil is as f32.
function target.new(name, dtype)
  local known = isa[name] or error("no instruction set is called " .. name)
  local real = target.real(dtype)
  local own = known.x86 and instructions[real] or {}
  return { name = name, bytes = known.bytes, registers = known.registers, real = real,
    lanes = known.bytes // (real == "f64" and 8 or 4), literal = real == "f64" and f64 or f32,
    max = own.max or false, min = own.min or false,
    reduce = known.scales and own.reduce or false, scale = known.scales and own.scale or false, halves = known.x86 and halves or false,
    multiply = known.x86 and "vpmuludq" or false, -- of the low words of 64-bit lanes
    dot = known.dot and real == "f32" or false }
end

-- The same with narrower vectors.
function target.narrowed(facts, lanes)
  return setmetatable({ lanes = lanes, bytes = facts.bytes // facts.lanes * lanes }, { __index = facts })
end

return target
