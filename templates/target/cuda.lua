-- CUDA C++ for GPUs from sm_80 on: what the element code is printed with, as data.

local target = {}

-- isa: sm_80, sm_90a, ... Scores are f32 whatever Q is.
function target.new(isa)
  local capability = math.tointeger(tonumber(isa:match("^sm_(%d+)%a?$") or error(isa .. " is no GPU architecture")))
  return { name = isa, capability = capability, real = "f32", literal = f32 }
end

return target
