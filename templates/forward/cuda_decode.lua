-- Schedule `cuda_decode`, forward, for few query rows on GPUs from sm_80 on. What such a problem costs is reading K and V:
-- each is read once, for all query rows that share a key head. Each warp has keys of its own and brings them itself, so
-- that no warp waits for another before the end; where heads are few, blocks share a head's keys, and the last of them to
-- finish joins what all have.

local c = require "templates.forward.c"
local chunks = require "templates.common.chunks"
local target = require "templates.target.cuda"

local sizes = { f32 = 4, f16 = 2, bf16 = 2 }

local most_queries = 16 -- of a sequence
local most_rows = 32 -- of a key head: with more of them the tensor cores are busy, and schedule cuda_mma is for that
local most_columns = 256

local function group_of(p) return p.hq // p.hkv end

local function refuses(p, dev)
  if target.new(dev.isa).capability < 80 then return "it needs sm_80" end
  if p.dir ~= "fwd" then return "it computes forward only" end
  if sizes[p.dtype] ~= 2 or p.kvdtype ~= p.dtype then return "it takes f16 and bf16, and K and V of Q's type" end
  if not sizes[p.odtype] then return "it takes f32, f16 and bf16, not odtype=" .. p.odtype end
  if math.max(p.d, p.dv) > most_columns then return ("it takes head dimensions to %d"):format(most_columns) end
  if p.d % 2 == 1 or p.dv % 2 == 1 then return "it takes even head dimensions" end
  if p.align < 4 then return "it takes tensors that are aligned to 4 bytes or more" end
  local sq = p.likely.sq
  if sq > most_queries or sq * group_of(p) > most_rows then
    return ("it is for at most %d query rows and %d of a key head, and there are %d and %d")
      :format(most_queries, most_rows, sq, sq * group_of(p))
  end
end

---- What the template and the constraints count with ----

local function lines(bytes) return ceildiv(bytes, 128) * 128 end

-- Of a row of K or V: how many lanes of a warp bring it, and how many rows those of a warp bring at a time.
local function share_of(row)
  local lanes = row.chunks % 8 == 0 and 8 or row.chunks % 4 == 0 and 4 or 2
  return { lanes = lanes, rows = 32 // lanes, pieces = row.chunks // lanes }
end

-- Rows of a block that are there.
local function live_rows(cfg, p) return math.max(1, math.min(cfg.rows, p.sq and p.sq * group_of(p) or cfg.rows)) end

-- stage: bytes of a warp's keys, once; pitch: numbers from one row's part to the next; q_bytes: of Q, where it is not held
-- in registers; bytes: of shared memory.
local function shape_of(cfg, p)
  local s = { k = chunks.row(p.d, 2), v = chunks.row(p.dv, 2), columns = ceildiv(p.dv, 16) * 16, live = live_rows(cfg, p) }
  s.k_share, s.v_share = share_of(s.k), share_of(s.v)
  s.k_bytes, s.v_bytes = lines(cfg.keys * 16 * s.k.pitch), lines(cfg.keys * 16 * s.v.pitch)
  s.stage, s.pitch = s.k_bytes + s.v_bytes, s.columns + 4
  s.q_bytes = cfg.held == 1 and 0 or cfg.rows * ceildiv(p.d, 16) * 32
  s.bytes = s.q_bytes + cfg.warps * math.max(cfg.stages * s.stage, s.live * s.pitch * 4)
  return s
end

-- Of a thread, about: O, Q, S with what it becomes, and what addresses and row values take.
local function registers_of(cfg, p)
  local fragments = cfg.rows // 16
  local q = cfg.held == 1 and ceildiv(p.d, 16) * 4 or 4
  local places = 48 + (p.lens and 6 or 0) + (p.page > 0 and 6 or 0) + (p.sq and 0 or 14)
  local variant = ((p.causal or p.window) and 10 or 0) + (p.dropout and 12 or 0)
    + ((p.score or p.bias or p.alibi or p.softcap or p.mask or p.maskfn) and 10 or 0)
  return fragments * (ceildiv(p.dv, 16) * 8 + q + 3 * cfg.keys // 4 + 10) + places + variant
end

-- Blocks that a multiprocessor has room for.
local function resident_of(cfg, p, dev)
  local registers = ceildiv(math.min(255, registers_of(cfg, p)), 8) * 8
  local by_registers = dev.registers // (32 * cfg.warps * registers)
  local by_memory = dev.l1_bytes // (shape_of(cfg, p).bytes + 1024)
  return math.max(1, math.min(by_registers, by_memory, 16))
end

local function tasks_of(cfg, p)
  local tiles = ceildiv(math.max(p.likely.sq, 1) * group_of(p), cfg.rows)
  return math.max(p.likely.b, 1) * p.hkv * tiles * cfg.splits
end

---- The space ----

local axes = {
  { name = "rows", values = { 16, 32 }, about = "query rows of a block" },
  { name = "held", values = { 1, 0 }, about = "1: Q stays in registers; 0: in shared memory" },
  { name = "splits", values = { 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128 },
    about = "blocks that share the keys of a key head" },
  { name = "warps", values = { 8, 4, 2, 1 }, about = "of a block" },
  { name = "keys", values = { 16, 32, 64 }, about = "keys that a warp has at a time" },
  { name = "stages", values = { 3, 2, 4, 6 }, about = "times a warp's keys in shared memory" },
}

local constraints = {
  { name = "a tile's rows are not mostly padding",
    holds = function(cfg, p) return cfg.rows == 16 or p.likely.sq * group_of(p) > 16 end },
  { name = "blocks share keys only where each warp has some",
    holds = function(cfg, p) return cfg.splits == 1 or p.likely.sk >= cfg.splits * cfg.warps * cfg.keys end },
  { name = "keys are shared only by as many blocks as there is room for",
    holds = function(cfg, p, dev) return cfg.splits == 1 or tasks_of(cfg, p) <= 8 * dev.cores end },
  { name = "a warp's keys are not mostly padding",
    holds = function(cfg, p) return cfg.keys == 16 or cfg.keys < 2 * p.likely.sk end },
  { name = "O, S and Q leave registers for the rest",
    holds = function(cfg, p, dev) return registers_of(cfg, p) <= 260 end },
  { name = "Q leaves the registers only where they have no room for it",
    holds = function(cfg, p)
      if cfg.held == 1 then return true end
      return registers_of(setmetatable({ held = 1 }, { __index = cfg }), p) > 200
    end },
  { name = "shared memory holds each warp's stages, and its part of O",
    holds = function(cfg, p, dev) return shape_of(cfg, p).bytes <= dev.shared_bytes end },
}

-- Microseconds, roughly, fitted to what a kernel by hand took on an H100: memory gives its all where copies of 128 KiB
-- are under way to each multiprocessor, and to most of them; a warp needs a time for its keys however fast they come.
local memory = 3.12e6 -- bytes a microsecond
local function prior(cfg, p, dev)
  local s = shape_of(cfg, p)
  local tasks, resident = tasks_of(cfg, p), resident_of(cfg, p, dev)
  local left = p.window and p.window.left or -1
  local keys = math.max(p.likely.sk, 1)
  if left >= 0 then keys = math.min(keys, left + p.likely.sq + math.max(p.window.right, 0)) end
  local each = ceildiv(keys, cfg.splits * cfg.warps * cfg.keys) -- times that a warp has keys
  local waves = tasks / (dev.cores * resident)
  local here = math.min(resident, math.max(1, tasks / dev.cores))
  local under_way = here * cfg.warps * math.min(cfg.stages - 1, each) * s.stage
  local fast = (1 - 0.25 * math.max(0, 1 - under_way / 131072)) * math.min(1, 1.05 * math.min(tasks, dev.cores) / dev.cores)
  local uneven = waves > 1 and 1 + 0.15 * (math.ceil(waves) / waves - 1) or 1
  local reading = tasks / cfg.splits * keys * (p.d + p.dv) * 2 / memory / fast * uneven
  local turn = 0.35 + (p.d + p.dv) * cfg.keys * cfg.rows / 16 * 4e-5 + (p.page % cfg.keys > 0 and 0.6 or 0)
  local working = math.ceil(math.max(waves, 1)) * each * turn * math.max(1, here * cfg.warps / 8)
  local joining = 0.8
  if cfg.splits > 1 then joining = joining + 1.6 + 0.03 * cfg.splits + tasks * s.live * s.pitch * 8 / memory end
  return 3 + math.max(reading, working) + 0.05 * math.min(reading, working) + turn * math.min(each, 4)
    + joining * math.max(1, 0.2 * waves)
end

---- Arguments and steps ----

local own = { bias = true, mask = true, slopes = true }
local hooks = {
  dialect = require "templates.target.cuda_ops",
  taken = { "B", "HQ", "HKV", "GROUP", "SQ", "SK", "D", "DV", "PAGE", "WARPS", "THREADS", "FRAGMENTS", "ROWS", "OWN", "KEYS",
    "KEY_TILES", "STEPS", "COLUMN_TILES", "STAGES", "INF", "LOG2E", "LN2", "DEVICE", "attention" },
  tensor = function(name) return own[name] and name or "tensor_" .. name end,
  stride = function(name, dim) return (own[name] and "" or "stride_") .. name .. "_" .. dim end,
}

-- Rows of all key heads, a block's together.
local function tiles(p, cfg)
  return ("b * %d * ((sq * %d + %d) // %d)"):format(p.hkv, group_of(p), cfg.rows - 1, cfg.rows)
end

-- What splits leave of rows, and how many of a row's have done so.
local parts = { { name = "partial", ctype = "f32 *" }, { name = "arrived", ctype = "u64 *" } }

local function slots(p, cfg, variant)
  local list = {}
  for _, slot in ipairs(c.slots(p, cfg, variant)) do
    if slot.name ~= "classes" then list[#list + 1] = slot end -- no tile is left out for what a tensor says
  end
  for _, part in ipairs(cfg.splits > 1 and parts or {}) do
    list[#list + 1] = { kind = "region", name = part.name, field = part.name, ctype = part.ctype }
  end
  return list
end

local function regions(p, cfg)
  if cfg.splits == 1 then return {} end
  local s = shape_of(cfg, p)
  return { { name = "partial", prepared = false, bytes = ("%s * %d"):format(tiles(p, cfg), cfg.splits * s.live * s.pitch * 4) },
    { name = "arrived", prepared = false, bytes = tiles(p, cfg) .. " * 8" } }
end

local function steps(p, cfg)
  return { { entry = "attention", threads = 32 * cfg.warps, tasks = ("%s * %d"):format(tiles(p, cfg), cfg.splits),
    scratch = tostring(shape_of(cfg, p).bytes) } }
end

return {
  template = "templates/forward/cuda_decode.cu.t",
  target = "cuda",
  gpu = true,
  order = 5,
  refuses = refuses,
  axes = axes,
  constraints = constraints,
  prior = prior,
  hooks = hooks,
  slots = slots,
  regions = regions,
  steps = steps,
  shape_of = shape_of,
  resident_of = resident_of,
  group_of = group_of,
}
