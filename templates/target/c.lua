-- C with vector extensions: what each instruction set offers, as data.
-- lanes: f32 values a vector; registers: how many vectors the microkernels may hold; dot: bf16 pairs
-- multiply into f32; the rest: instruction texts, %0 the result.

local isa = {
  portable = { bytes = 16, registers = 16 },
  avx2 = { bytes = 32, registers = 16, max = "vmaxps", min = "vminps", half = true },
  avx512 = { bytes = 64, registers = 32, max = "vmaxps", min = "vminps", half = true },
  avx512bf16 = { bytes = 64, registers = 32, max = "vmaxps", min = "vminps", half = true, dot = true },
}

local target = {}

function target.new(name)
  local facts = isa[name] or error("no instruction set is called " .. name)
  local result = { name = name, lanes = facts.bytes // 4 }
  for key, value in pairs(facts) do result[key] = value end
  for _, key in ipairs { "max", "min", "half", "dot" } do result[key] = facts[key] or false end
  return result
end

return target
