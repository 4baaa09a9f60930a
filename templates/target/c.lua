-- C with vector extensions: what each instruction set offers, as data.
-- lanes: f32 values a vector; registers: how many vectors the microkernels may hold; dot: bf16 pairs
-- multiply into f32; the rest: instruction texts, %0 the result.

local isa = {
  portable = { bytes = 16, registers = 16 },
  avx2 = { bytes = 32, registers = 16, max = "vmaxps", min = "vminps" },
  avx512 = { bytes = 64, registers = 32, max = "vmaxps", min = "vminps" },
  avx512bf16 = { bytes = 64, registers = 32, max = "vmaxps", min = "vminps", dot = true },
}

for name, facts in pairs(isa) do
  facts.name, facts.lanes = name, facts.bytes // 4
  for _, key in ipairs { "max", "min", "dot" } do facts[key] = facts[key] or false end
end

local target = {}

function target.new(name) return isa[name] or error("no instruction set is called " .. name) end

-- The same with narrower vectors.
function target.narrowed(facts, lanes)
  return setmetatable({ lanes = lanes, bytes = 4 * lanes }, { __index = facts })
end

return target
