-- Schedule `c`, forward: lanes of a vector are query rows.
-- S^T = K Q^T and O^T += V^T P^T read K and V one element at a time, broadcast to all lanes; neither
-- needs a transposed copy, and maxima and sums over keys never cross lanes.

local element_bytes = { f32 = 4, f16 = 2, bf16 = 2 }

local targets = require "templates.target.c"
local function widest(dev) return targets.new(dev.isa).lanes end
local function registers(dev) return targets.new(dev.isa).registers end

local function refuses(p)
  if p.dir ~= "fwd" then return "it computes forward only" end
  for _, key in ipairs { "dtype", "kvdtype", "odtype" } do
    if not element_bytes[p[key]] then return "it takes f32, f16 and bf16, not " .. key .. "=" .. p[key] end
  end
  if p.lens then return "it takes no lens=" end
  if p.page > 0 then return "it takes no page=" end
  if p.dropout then return "it takes no dropout=" end
  if p.sinks then return "it takes no sinks" end
  for _, key in ipairs { "b", "sq", "sk" } do
    if not p[key] then return "it takes no " .. key .. "=*" end
  end
end

-- Whether bf16 dot instructions may serve, and their rate beside that of f32 multiply-adds.
local function dots(p, dev)
  return targets.new(dev.isa).dot and p.dtype == "bf16" and p.kvdtype == "bf16"
end

local function dot_rate(dev) return dev.name:find("AMD") and 2 or 0.5 end

local function widths(p, dev)
  local list = {}
  for _, lanes in ipairs { 16, 8, 4 } do
    if lanes <= widest(dev) then list[#list + 1] = lanes end
  end
  return list
end

local axes = {
  { name = "dot", values = function(p, dev) return dots(p, dev) and { 1, 0 } or { 0 } end,
    about = "1: bf16 dot instructions, P rounded to bf16" },
  { name = "lanes", values = widths, about = "query rows in a vector" },
  { name = "vectors", values = { 1, 2, 3, 4, 6 }, about = "vectors of query rows in a register block" },
  { name = "mk", values = { 4, 6, 8, 12, 16 }, about = "keys in a register block of S" },
  { name = "mv", values = { 2, 4, 6, 8, 12, 16 }, about = "value columns in a register block of O" },
  { name = "blocks", values = { 1, 2, 3, 4, 6 }, about = "register blocks of query rows in a task" },
  { name = "keys", values = { 24, 48, 64, 96, 128, 192, 256 }, about = "keys a tile" },
  { name = "order", values = { "heads", "tiles" }, ranked = false,
    about = "tasks go head by head, or through all heads tile by tile" },
  { name = "unroll", values = { 1, 2, 4 }, ranked = false, about = "steps of a product at once" },
}

-- Bytes of a worker's scratch, as the template lays it out.
local function scratch(cfg, p, dev)
  local row = cfg.vectors * 4 * cfg.lanes -- of all lanes of a register block
  local staged = cfg.keys + cfg.mk
  local columns = p.dv + cfg.mv
  return cfg.blocks * ((p.d + columns + 2) * row + 64) + staged * (row + 4 * (p.d + 16))
    + 4 * cfg.keys * (columns + 16) + 256
end

local constraints = {
  { name = "vectors are narrower than they could be only where there are no more rows",
    holds = function(cfg, p, dev) return cfg.lanes == widest(dev) or p.sq <= cfg.lanes end },
  {
    name = "accumulators leave registers for a column of Q or P and a broadcast",
    holds = function(cfg, p, dev)
      local most = (registers(dev) - 1) // cfg.vectors - 1
      return cfg.mk <= most and cfg.mv <= most
    end,
  },
  {
    name = "accumulators hide the latency of a multiply-add, unless there are no more columns",
    holds = function(cfg, p)
      local least = 8 // cfg.vectors
      return cfg.mk >= least and (cfg.mv >= least or cfg.mv >= p.dv)
    end,
  },
  { name = "a block of value columns is not mostly padding",
    holds = function(cfg, p) return cfg.mv < 2 * p.dv or cfg.mv == 2 end },
  {
    name = "a task has rows for each of its blocks",
    holds = function(cfg, p, dev)
      local block = cfg.vectors * cfg.lanes
      return (cfg.vectors == 1 or block < 2 * p.sq) and (cfg.blocks == 1 or block * (cfg.blocks - 1) < p.sq)
    end,
  },
  { name = "a tile is not mostly padding",
    holds = function(cfg, p) return cfg.keys == 24 or cfg.keys < 2 * p.sk end },
  {
    -- A sum of n like terms errs by up to n / 2 round-offs, in practice by a third of that; 2 sqrt(n) is allowed.
    name = "sums over a tile and over the tiles keep their error near the root of the keys",
    holds = function(cfg, p)
      return math.min(cfg.keys, p.sk) + p.sk / cfg.keys <= 7 * math.sqrt(p.sk) or cfg.keys == 256 and p.sk >= 1 << 16
    end,
  },
  { name = "scratch fits the second-level cache",
    holds = function(cfg, p, dev) return scratch(cfg, p, dev) <= math.max(dev.l2_bytes, 4 << 20) end },
}

-- Cycles of an m by `vectors` block, for a step of its product: multiply-adds at the rate that loads, their
-- latency and loop ends allow.
local function product(m, vectors)
  local tile = m * vectors
  return math.max(0.5, (m + vectors) / (2 * tile), 4 / tile) * (1 + 1.5 / tile)
end

-- Cycles a vector of query rows and a key, roughly: products, softmax, the staging of K and V shared by the
-- rows of a task, and what padding and idle threads waste.
local function prior(cfg, p, dev)
  local vectors, blocks, keys, width = cfg.vectors, cfg.blocks, cfg.keys, cfg.lanes
  local columns, rows = ceildiv(p.dv, cfg.mv) * cfg.mv, math.max(p.sq, 1)
  local products = (p.d * product(cfg.mk, vectors) + columns * product(cfg.mv, vectors)) / (cfg.dot == 1 and dot_rate(dev) or 1)
  local softmax = 10 + (columns + 16) * 1.5 / keys
  local staging = 0.85 * (p.d + columns) / (vectors * blocks)
  local spilled = math.max(0, keys * vectors * width * 4 / dev.l1_bytes - 0.6) * 0.1 * columns
  local padded = ceildiv(rows, vectors * width) * vectors * width / rows
  local tasks = math.max(1, p.b * p.hq * ceildiv(rows, vectors * width * blocks))
  local idle = ceildiv(tasks, dev.threads) * dev.threads / tasks
  return (products + softmax + staging + spilled) * padded * idle
end

-- Names in C: a user's tensor may be called like anything.
local own = { bias = true, mask = true, slopes = true }
local hooks = {
  lanes = "i",
  tensor = function(name) return own[name] and name or "tensor_" .. name end,
  stride = function(name, dim) return (own[name] and "" or "stride_") .. name .. "_" .. dim end,
}

-- One table makes the kernel's argument struct and what the runtime fills it with.
local function slots(p, cfg, variant)
  local list = {}
  local function add(slot) list[#list + 1] = slot end
  local dims = p.layout == "bshd" and { b = 0, s = 1, h = 2 } or { b = 0, h = 1, s = 2 }
  local types = { q = p.dtype, k = p.kvdtype, v = p.kvdtype, o = p.odtype }
  for _, name in ipairs { "q", "k", "v", "o" } do
    local const = name == "o" and "" or "const "
    add { kind = "pointer", name = name, field = name, ctype = const .. types[name] .. " *" }
    for _, dim in ipairs { "b", "h", "s" } do
      add { kind = "stride", name = name, dim = dims[dim], field = name .. "_" .. dim }
    end
  end
  if p.lse then
    add { kind = "pointer", name = "lse", field = "lse", ctype = "f32 *" }
    for dim, letter in ipairs { "b", "h", "s" } do
      add { kind = "stride", name = "lse", dim = dim - 1, field = "lse_" .. letter }
    end
  end
  for _, read in ipairs(variant.reads) do
    local field = hooks.tensor(read.name)
    add { kind = "pointer", name = read.name, field = field, ctype = "const " .. read.type .. " *", read = true }
    for k, dim in ipairs(read.dims) do
      add { kind = "stride", name = read.name, dim = dim, field = hooks.stride(read.name, k - 1), read = true }
    end
  end
  add { kind = "real", name = "scale", field = "scale", ctype = "double " }
  for _, param in ipairs(variant.params) do
    local kind = param.type == "int" and "int" or "real"
    add { kind = kind, name = param.name, field = param.name, ctype = kind == "int" and "i64 " or "double " }
  end
  return list
end

local function steps(p, cfg, dev)
  local rows = cfg.vectors * cfg.blocks * cfg.lanes
  return { {
    entry = "attention",
    tasks = ("b * hq * ((sq + %d) // %d)"):format(rows - 1, rows),
    scratch = tostring(scratch(cfg, p, dev)),
  } }
end

return {
  template = "templates/forward/c.c.t",
  refuses = refuses,
  axes = axes,
  constraints = constraints,
  prior = prior,
  slots = slots,
  hooks = hooks,
  steps = steps,
}
