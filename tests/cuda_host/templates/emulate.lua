-- Schedules for GPUs as ones for a processor, which runs a fiber for each thread of a block. For tests: they give what the
-- kernel's text says, though not how fast.

local gpus = {}

-- What the kernel is written for: the flags name its architecture.
local function gpu_of(dev)
  local isa = dev.flags:match "%-DEMULATED_(sm_%d+)" or error "flags that name no GPU"
  gpus[isa] = gpus[isa] or { name = "an H100", isa = isa, compiler = "nvcc", flags = "", cores = 132, threads = 264,
    gpu = true, l1_bytes = 233472, shared_bytes = 232448, l2_bytes = 50 << 20, registers = 65536 }
  return gpus[isa]
end

local emulate = { gpu_of = gpu_of }

-- Schedule `name`, whose kernel forward/emulated_NAME.c.t writes.
function emulate.schedule(name)
  local cuda = require("templates.forward." .. name)
  local body = {}
  for key, value in pairs(cuda) do body[key] = value end
  body.yields = nil
  body.gpu, body.order, body.target = false, cuda.order - 100, "emulated"
  body.template = "templates/forward/emulated_" .. name .. ".c.t"
  body.refuses = function(p, dev) return cuda.refuses(p, gpu_of(dev)) end
  body.prior = function(cfg, p, dev) return cuda.prior(cfg, p, gpu_of(dev)) end
  body.axes, body.constraints = {}, {}
  for k, axis in ipairs(cuda.axes) do
    local copy = {}
    for key, value in pairs(axis) do copy[key] = value end
    if type(axis.values) == "function" then copy.values = function(p, dev) return axis.values(p, gpu_of(dev)) end end
    body.axes[k] = copy
  end
  for k, constraint in ipairs(cuda.constraints) do
    body.constraints[k] = { name = constraint.name, holds = function(cfg, p, dev) return constraint.holds(cfg, p, gpu_of(dev)) end }
  end
  if cuda.regions then body.regions = function(p, cfg, dev, variant) return cuda.regions(p, cfg, gpu_of(dev), variant) end end
  body.steps = function(p, cfg, dev, variant)
    local list = {}
    for k, step in ipairs(cuda.steps(p, cfg, gpu_of(dev), variant)) do
      list[k] = { clear = step.clear, entry = step.entry, prepares = step.prepares, tasks = step.tasks,
        scratch = step.scratch }
    end
    return list
  end
  return body
end

return emulate
