-- Schedules for GPUs as ones for a processor, which runs a fiber for each thread of a block. For tests: they give what the
-- kernel's text says, though not how fast.

-- What the kernel is written for.
local gpu = { name = "an H100", isa = "sm_90", compiler = "nvcc", flags = "", cores = 132, threads = 264, gpu = true,
  l1_bytes = 233472, shared_bytes = 232448, l2_bytes = 50 << 20, registers = 65536 }

local emulate = { gpu = gpu }

-- Schedule `name`, whose kernel forward/emulated_NAME.c.t writes.
function emulate.schedule(name)
  local cuda = require("templates.forward." .. name)
  local body = {}
  for key, value in pairs(cuda) do body[key] = value end
  body.gpu, body.order, body.target = false, cuda.order - 100, "emulated"
  body.template = "templates/forward/emulated_" .. name .. ".c.t"
  body.refuses = function(p) return cuda.refuses(p, gpu) end
  body.prior = function(cfg, p) return cuda.prior(cfg, p, gpu) end
  body.axes, body.constraints = {}, {}
  for k, axis in ipairs(cuda.axes) do
    local copy = {}
    for key, value in pairs(axis) do copy[key] = value end
    if type(axis.values) == "function" then copy.values = function(p) return axis.values(p, gpu) end end
    body.axes[k] = copy
  end
  for k, constraint in ipairs(cuda.constraints) do
    body.constraints[k] = { name = constraint.name, holds = function(cfg, p) return constraint.holds(cfg, p, gpu) end }
  end
  body.slots = function(p, cfg, variant) return cuda.slots(p, cfg, variant, gpu) end
  if cuda.regions then body.regions = function(p, cfg, dev, variant) return cuda.regions(p, cfg, gpu, variant) end end
  body.steps = function(p, cfg, dev, variant)
    local list = {}
    for k, step in ipairs(cuda.steps(p, cfg, gpu, variant)) do
      list[k] = { clear = step.clear, entry = step.entry, prepares = step.prepares, tasks = step.tasks,
        scratch = step.scratch }
    end
    return list
  end
  return body
end

return emulate
