-- Schedule `cuda_wgmma`, forward, for GPUs of compute capability 9.0: tensor cores by products of warpgroups, whose operands
-- lie in shared memory. A block has query rows of a head, each warpgroup 64 of them; one more warpgroup brings tiles of K and
-- V. S, P and O stay in registers.

local mma = require "templates.forward.cuda_mma"
local panels = require("templates.common.chunks").panels
local target = require "templates.target.cuda"

local function refuses(p, dev)
  if target.new(dev.isa).capability ~= 90 then return "it needs sm_90" end
  if p.dir ~= "fwd" then return "it computes forward only" end
  if p.dtype ~= p.kvdtype or p.dtype ~= "f16" and p.dtype ~= "bf16" then return "Q, K and V are not all f16 or all bf16" end
  if p.odtype ~= "f16" and p.odtype ~= "bf16" and p.odtype ~= "f32" then return "it writes f32, f16 and bf16" end
  if math.max(p.d, p.dv) > 256 then return "it takes head dimensions to 256" end
end

-- What of schedule cuda_mma counts warps, rows and keys sees this one's.
local function like(cfg)
  return setmetatable({ warps = 4 * cfg.groups, rows = 16, parts = 1, share = 1, splits = 1, held = 0 }, { __index = cfg })
end

-- Whether what Philox makes of keys alone is made once for a warp: its rows are of one head.
local function philox_by_keys(cfg, p) return p.dropout and cfg.pack == 0 and not p.shard end

local function padded(n, unit) return ceildiv(n, unit) * unit end

local function shape_of(cfg, p)
  local rows = 64 * cfg.groups
  local s = { kind = p.dtype, size = 2, rows = rows, threads = 128, columns = padded(p.dv, 16) }
  s.q, s.k, s.v = panels(p.d, rows), panels(p.d, cfg.keys), panels(p.dv, cfg.keys)
  s.o = panels(s.columns, rows)
  s.through = p.odtype ~= "f32" and p.align == 16 and p.dv % 8 == 0
  s.q_bytes = 16 * rows * math.max(s.q.chunks, s.through and s.o.chunks or 0)
  s.k_bytes, s.v_bytes = cfg.keys * 16 * s.k.chunks, cfg.keys * 16 * s.v.chunks
  s.philox_bytes = philox_by_keys(cfg, p) and 16 + 16 * cfg.groups * cfg.keys
  s.phase_bytes = 8 * (4 * cfg.stages + 1)
  s.bytes = s.q_bytes + cfg.stages * (s.k_bytes + s.v_bytes) + s.phase_bytes + (s.philox_bytes or 0)
  return s
end

-- Of the threads that multiply: O, S, P and what addresses, row values, functions, masks and dropout take.
local function registers_of(cfg, p)
  local o, s = padded(p.dv, 16) // 2, cfg.keys // 2
  return o + s + s // 2 + 40 + (p.dropout and 8 or 0) + (philox_by_keys(cfg, p) and cfg.keys // 16 or 0)
    + ((p.mask or p.maskfn) and s // 2 or 0) + ((p.score or p.bias or p.alibi or p.softcap) and 16 or 0)
end

-- Registers of a thread of the warpgroup that brings tiles, and of the others: with several a multiprocessor has too few for
-- each to have as many.
local function shares_of(cfg, p)
  if cfg.groups == 1 then return false end
  return cfg.groups == 2 and { 40, 232 } or { 32, 160 }
end

local axes = {
  { name = "groups", values = { 1, 2, 3 }, about = "warpgroups that multiply, 64 query rows each" },
  { name = "pack", values = function(p) return mma.group_of(p) > 1 and { 0, 1 } or { 0 } end,
    about = "1: a tile has the rows of all query heads of a key head" },
  { name = "keys", values = { 64, 80, 96, 112, 128, 144, 160, 176, 192 }, about = "keys a tile" },
  { name = "stages", values = { 2, 3, 4 }, about = "tiles of K and V in shared memory" },
  { name = "turns", values = { 0, 1 }, about = "1: warpgroups multiply in turns" },
  { name = "section", values = { 32, 8, 1 }, ranked = false, about = "heads that go together, tile by tile" },
  { name = "test", values = mma.tests, ranked = false, about = "how scores are compared with what O can take" },
}

local constraints = {
  { name = "a number of 32 bits counts the rows of packed heads", holds = function(cfg, p) return mma.countable(like(cfg), p) end },
  { name = "packed heads see the same keys", holds = function(cfg, p) return mma.packable(like(cfg), p) end },
  { name = "a tile's rows are not mostly padding",
    holds = function(cfg, p) return cfg.groups == 1 or 64 * cfg.groups < 2 * mma.most_rows(like(cfg), p) end },
  { name = "a tile's keys are not mostly padding",
    holds = function(cfg, p) return cfg.keys == 64 or cfg.keys < 2 * p.likely.sk end },
  { name = "O, S and P leave registers for the rest", -- as ptxas is found to serialize products beyond
    holds = function(cfg, p) return registers_of(cfg, p) <= ({ 248, 232, 168 })[cfg.groups] end },
  { name = "shared memory holds Q and the stages of K and V",
    holds = function(cfg, p, dev) return shape_of(cfg, p).bytes <= dev.shared_bytes end },
  { name = "one warpgroup has no turns", holds = function(cfg) return cfg.turns == 0 or cfg.groups > 1 end },
  { name = "heads go together only where there are as many",
    holds = function(cfg, p) return cfg.section == 1 or cfg.section <= p.likely.b * p.hq // mma.head_rows(like(cfg), p) end },
}

-- A block brings Q and waits for its first tiles alone on its multiprocessor: that pays where it has much to do. And it has no
-- other blocks to share its keys with.
local function yields(p, dev)
  local cfg = like { groups = 1, pack = mma.group_of(p) > 1 and mma.packable({ pack = 1 }, p) and 1 or 0 }
  local products = mma.visible(cfg, p) * (p.d + p.dv)
  return products < (p.d <= 64 and 45000 or 20000) or 2 * mma.tasks_of(cfg, p) < dev.cores and p.likely.sk >= 1024
end

-- Of products and of all else that a block does for a tile, what is not hidden behind the longer: by the number of warpgroups,
-- together and in turns.
local exposed = { { 1, 1 }, { 0.5, 0.33 }, { 0.2, 0.12 } }

-- Cycles that a block takes for a tile.
local function tile_cycles(cfg, p)
  local columns, groups = padded(p.dv, 16), cfg.groups
  local score = 5.8 + ((p.score or p.bias or p.alibi or p.softcap) and 5 or 0)
  local products = groups * cfg.keys * (padded(p.d, 16) + columns) * 0.037
  local others = groups * (cfg.keys * score + columns * 0.6)
  local turns = cfg.turns == 1 and 140 or 0
  -- With two stages a place is free only when the last of the warpgroups is through with it.
  local waits = cfg.stages == 2 and 0.04 * (groups - 1) * math.max(products - others, 0) or 0
  local words = p.dropout and groups * (cfg.keys * 7 + ceildiv(cfg.keys, 128) * 260) or 0 -- whose long products stop tensor cores
  return math.max(products, others) + math.min(products, others) * exposed[groups][cfg.turns + 1] + words + turns + waits
end

-- Cycles of a multiprocessor, roughly: fitted to some 1400 kernels timed on an H100.
local function prior(cfg, p, dev)
  local as, ranged = like(cfg), p.causal or p.window
  local tiles = ranged and (mma.visible(as, p) + 32) / cfg.keys + 1.5 or ceildiv(math.max(p.likely.sk, 1), cfg.keys)
  local share = mma.tasks_of(as, p) / dev.cores
  local waves = p.causal and share + 0.2 or math.ceil(share)
  return (tiles * tile_cycles(cfg, p) + 1400 + 4.2 * cfg.groups * (p.d + p.dv)) * math.max(waves, 1)
end

local function slots(p, cfg, variant) return mma.slots(p, like(cfg), variant) end
local function regions(p, cfg, dev, variant) return mma.regions(p, like(cfg), dev, variant) end

local function steps(p, cfg, dev, variant)
  local list = mma.steps(p, like(cfg), dev, variant)
  local attention = list[#list]
  attention.threads, attention.scratch = 128 * (cfg.groups + 1), tostring(shape_of(cfg, p).bytes)
  return list
end

return {
  template = "templates/forward/cuda_wgmma.cu.t",
  target = "cuda",
  gpu = true,
  order = 5,
  refuses = refuses,
  yields = yields,
  axes = axes,
  constraints = constraints,
  prior = prior,
  hooks = mma.hooks,
  slots = slots,
  regions = regions,
  side_warps = mma.side_warps,
  side_tiles = mma.side_tiles,
  classes = mma.classes,
  steps = steps,
  like = like,
  shape_of = shape_of,
  registers_of = registers_of,
  shares_of = shares_of,
  group_of = mma.group_of,
}
