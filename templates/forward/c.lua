-- Schedule `c`, forward: lanes of a vector are query rows.
-- S^T = K Q^T and O^T += V^T P^T read K and V one element at a time, broadcast to all lanes; neither
-- needs a transposed copy, and maxima and sums over keys never cross lanes.

local known_types = { f32 = true, f16 = true, bf16 = true, f64 = true }

local targets = require "templates.target.c"
local sums = require "templates.common.sums"
local kernel_slots = require "templates.common.slots"
local function widest(p, dev) return targets.new(dev.isa, p.dtype).lanes end
local function registers(p, dev) return targets.new(dev.isa, p.dtype).registers end

local function refuses(p)
  if p.dir ~= "fwd" then return "it computes forward only" end
  for _, key in ipairs { "dtype", "kvdtype", "odtype" } do
    if not known_types[p[key]] then return "it takes f32, f16, bf16 and f64, not " .. key .. "=" .. p[key] end
  end
end

-- Whether bf16 dot instructions may serve, and their rate beside that of f32 multiply-adds.
local function dots(p, dev)
  return targets.new(dev.isa).dot and p.dtype == "bf16" and p.kvdtype == "bf16"
end

local function dot_rate(dev) return dev.name:find("AMD") and 2 or 0.5 end

local function widths(p, dev)
  return widest(p, dev) > 4 and { widest(p, dev), widest(p, dev) // 2 } or { widest(p, dev) }
end

local block_counts = { 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64 }

local axes = {
  { name = "dot", values = function(p, dev) return dots(p, dev) and { 1, 0 } or { 0 } end,
    about = "1: bf16 dot instructions, P rounded to bf16" },
  { name = "lanes", values = widths, about = "query rows in a vector" },
  { name = "vectors", values = { 1, 2, 3, 4 }, about = "vectors of query rows in a register block" },
  { name = "mk", values = { 4, 6, 8, 10, 12, 16 }, about = "keys in a register block of S" },
  { name = "mv", values = { 4, 6, 8, 10, 12, 16 }, about = "value columns in a register block of O" },
  { name = "blocks", values = block_counts, about = "register blocks of query rows in a task" },
  { name = "keys", values = { 16, 24, 32, 48, 64, 96, 128, 160, 192, 256 }, about = "keys a tile" },
  { name = "order", values = { "heads", "tiles" }, ranked = false,
    about = "tasks go head by head, or through all heads tile by tile" },
}

-- Register blocks of query rows in a head, and tasks in all.
local function blocks_of(cfg, p) return ceildiv(math.max(p.likely.sq, 1), cfg.vectors * cfg.lanes) end
local function tasks_of(cfg, p) return p.likely.b * p.hq * ceildiv(blocks_of(cfg, p), cfg.blocks) end

local function padding(n, unit) return -n % unit end

-- Elements of a row of Q or O, padded to vectors.
local function width(cfg, p)
  local longest = math.max(p.d, p.dv)
  return longest + padding(longest, cfg.lanes)
end

-- Elements from a staged row of K or V to the next: rows a high power of two apart would share few sets of a cache.
local function pitch(columns) return columns % 128 == 0 and columns + 16 or columns end

-- Bytes of a worker's scratch, as the template lays it out.
local function scratch(cfg, p, dev)
  local size = p.dtype == "f64" and 8 or 4
  local row = cfg.vectors * size * cfg.lanes -- of all lanes of a register block
  local staged = cfg.keys + cfg.mk
  local columns = p.dv + math.max(cfg.mv, padding(p.dv, cfg.lanes))
  local sets = sums.far(p, cfg.keys) and 2 or 1 -- of sums
  return cfg.blocks * ((p.d + padding(p.d, cfg.lanes) + (columns + 2) * sets) * row + 64) + staged * (row + size * (p.d + 32))
    + size * cfg.keys * (columns + 32) + size * cfg.lanes * width(cfg, p) + (p.dropout and staged * row or 0) + 256
end

local fewer_blocks = {}
for k = 2, #block_counts do fewer_blocks[block_counts[k]] = block_counts[k - 1] end

-- What a constraint calls dead was 2 % or more slower than the best on an AVX-512 machine and as avx2 there, on
-- problems of 110 to 4096 rows and head dimensions of 32 to 256.
local constraints = {
  { name = "vectors are narrower than they could be only where there are no more rows",
    holds = function(cfg, p, dev) return cfg.lanes == widest(p, dev) or p.likely.sq <= cfg.lanes end },
  {
    -- 3 to 20 % slower; but rows that fill few vectors are padded less.
    name = "a register block has one vector of query rows only where there are few",
    holds = function(cfg, p) return cfg.vectors > 1 or p.likely.sq <= 8 * cfg.lanes end,
  },
  {
    -- 1 to 12 % slower where all else is equal and four vectors could be had.
    name = "three vectors of query rows make a register block only where two pad more, or registers are few",
    holds = function(cfg, p, dev)
      return cfg.vectors ~= 3 or registers(p, dev) <= 16
        or padding(p.likely.sq, 3 * cfg.lanes) < padding(p.likely.sq, 2 * cfg.lanes)
    end,
  },
  {
    name = "accumulators leave registers for a column of Q or P and a broadcast",
    holds = function(cfg, p, dev)
      local most = (registers(p, dev) - 1) // cfg.vectors - 1
      return cfg.mk <= most and cfg.mv <= most
    end,
  },
  {
    -- Two units, four to five cycles each; more where there are registers for it, and rows to gain by it.
    name = "accumulators hide the latency of a multiply-add, unless there are no more columns",
    holds = function(cfg, p, dev)
      local least = registers(p, dev) > 16 and cfg.vectors > 1 and 16 or 8
      return cfg.mk * cfg.vectors >= least and (cfg.mv * cfg.vectors >= least or cfg.mv >= p.dv)
    end,
  },
  {
    name = "little of a tile's last register block is padding",
    holds = function(cfg) return padding(cfg.keys, cfg.mk) <= cfg.keys // 16 end,
  },
  {
    -- Where rows are few, staging costs more than products do.
    name = "few value columns are padding, unless rows are few",
    holds = function(cfg, p)
      local few = cfg.vectors == 1 and (cfg.mv < 2 * p.dv or cfg.mv == 4)
      return few or padding(p.dv, cfg.mv) <= math.max(3, p.dv // 8)
    end,
  },
  {
    -- The slower by what is known of the processor's kind, which may be wrong: enough to see that.
    name = "the slower of dot instructions and multiply-adds has square register blocks only",
    holds = function(cfg, p, dev)
      return not dots(p, dev) or cfg.dot == (dot_rate(dev) > 1 and 1 or 0) or cfg.mk == cfg.mv
    end,
  },
  {
    name = "no fewer blocks make as few tasks",
    holds = function(cfg, p)
      local blocks, block = blocks_of(cfg, p), cfg.vectors * cfg.lanes
      return (cfg.vectors == 1 or block < 2 * p.likely.sq)
        and (cfg.blocks == 1 or ceildiv(blocks, cfg.blocks) < ceildiv(blocks, fewer_blocks[cfg.blocks]))
    end,
  },
  {
    -- Each task of a head stages K and V anew.
    name = "a task has rows to share what it stages, unless that leaves threads without work",
    holds = function(cfg, p, dev)
      local vectors = cfg.vectors * cfg.blocks
      return vectors >= 8 and vectors <= 128 or vectors < 8
        and (8 * vectors * cfg.lanes >= p.likely.sq or tasks_of(cfg, p) <= 8 * dev.threads)
    end,
  },
  {
    -- A tile rescales O once; but where rows are few, what was staged had better be in the first-level cache still.
    name = "a tile has 48 keys or more, unless keys or rows are few",
    holds = function(cfg, p) return cfg.keys >= 48 or p.likely.sk <= 128 or p.likely.sq <= 2 * cfg.lanes end,
  },
  { name = "a tile is not mostly padding",
    holds = function(cfg, p) return cfg.keys <= 24 or cfg.keys < 2 * p.likely.sk end },
  { name = "a block's scores fit the first-level cache",
    holds = function(cfg, p, dev)
      return cfg.keys * cfg.vectors * cfg.lanes * 4 <= 0.75 * math.max(dev.l1_bytes, 48 << 10)
    end },
  {
    -- Fewer roundings than those that templates/common/sums.lua lets be.
    name = "sums over a tile and over the tiles keep their error near the root of the keys",
    holds = function(cfg, p)
      return math.min(cfg.keys, p.likely.sk) + p.likely.sk / cfg.keys <= 7 * math.sqrt(p.likely.sk) or cfg.keys == 256 and p.likely.sk >= 1 << 16
    end,
  },
  { name = "scratch fits the second-level cache",
    holds = function(cfg, p, dev) return scratch(cfg, p, dev) <= math.max(dev.l2_bytes, 1 << 20) end },
  {
    -- Then the longest tasks of all heads go first; else the order makes no difference.
    name = "tasks go tile by tile only where they differ in length and are few for the threads",
    holds = function(cfg, p, dev)
      local differ = (p.causal or p.maskfn) and blocks_of(cfg, p) > cfg.blocks and p.likely.b * p.hq > 1
      return cfg.order == "heads" or differ and tasks_of(cfg, p) <= 8 * dev.threads
    end,
  },
}

-- Cycles of a multiply-add in an m by `vectors` register block: as its units, its loads and its latency allow, and
-- a little for the registers that compilers run short of.
local function product(m, vectors)
  local tile = m * vectors
  return math.max(0.5, (m + vectors) / (2 * tile), 4.5 / tile) + math.max(0, tile - 16) / 1000
end

-- Whether the mask likely tells documents apart: it reads tensors, and hides all but a row's own part of the keys.
local function by_documents(p) return p.maskfn and #p.tensors > 0 end

-- Keys that a row sees on average, and how many of the two ends of their range move with the row.
local function visible(p)
  local right = p.causal and 0 or p.window and p.window.right or -1
  local left = p.window and p.window.left or -1
  local keys = p.causal and p.likely.sk - math.min(p.likely.sq, p.likely.sk) / 2 or p.likely.sk
  if left >= 0 and left < p.likely.sk then keys = math.min(keys, left + 1 + math.max(right, 0)) else left = -1 end
  if by_documents(p) then keys = math.min(keys, p.likely.sk / 8) end
  return math.max(keys, 1), (left >= 0 and 1 or 0) + (right >= 0 and 1 or 0)
end

-- Cycles a vector of query rows and a key, roughly: products, softmax, the staging of K and V, which the rows of a
-- task share, and what padding, keys that only a block's other rows see, and idle threads waste. The numbers are
-- fitted to some 2,000 timed configs.
local function prior(cfg, p, dev)
  local vectors, width, keys = cfg.vectors, cfg.lanes, math.min(cfg.keys, math.max(p.likely.sk, 1))
  local columns, blocks = p.dv + padding(p.dv, cfg.mv), blocks_of(cfg, p)
  local seen, ends = visible(p)
  local last = p.likely.sk % cfg.keys
  local padded = 1 + (p.likely.sk // cfg.keys * padding(cfg.keys, cfg.mk) + padding(last, cfg.mk)) / math.max(p.likely.sk, 1)
  local products = (p.d * padded * product(cfg.mk, vectors) + columns * product(cfg.mv, vectors))
    / (cfg.dot == 1 and dot_rate(dev) or 1)
  local softmax = 12 * padded + 1.1 * columns / keys
  local spilled = 0.03 * columns * math.max(0, keys * vectors * width * 4 / dev.l1_bytes - 0.4)
  local cold = math.min(1, math.max(0, keys * (p.d + columns) * 4 / dev.l1_bytes - 0.5)) -- staged and gone from the first level
  local tasks, rows = ceildiv(blocks, cfg.blocks), vectors * width * math.min(cfg.blocks, blocks)
  local staging = (0.23 + 1.1 / width + 0.1 * cold) * (p.d + columns) * tasks / (blocks * vectors)
    * (1 + ends * rows / 2 / seen)
  local rounded = by_documents(p) and cfg.keys / seen or 0 -- such a mask leaves out whole tiles only
  local wasted = blocks * vectors * (1 + ends * vectors * width / 2 / seen + rounded)
  local all = p.likely.b * p.hq * tasks
  local idle = ceildiv(all, dev.threads) * dev.threads / math.max(all, 1)
  return (products + softmax + spilled + staging) * wasted * idle
end

local hooks = {
  lanes = "i",
  taken = { "stage_q", "stage_k", "stage_v", "scores", "softmax", "accumulate", "drain", "finish", "blank", "classify",
    "attention", "transpose", "dropout_rows", "fetch", "number", "begin", "attend", "conclude", "task_find", "task_ranges",
    "apply_score", "apply_mask", "most", "before", "written", "range", "B", "HQ", "SQ", "SK", "D", "DV", "PAGE", "VECTORS", "MK", "MV", "BLOCK",
    "BLOCKS", "ROWS", "KEYS", "STAGED", "DEPTH", "COLUMNS", "K_PITCH", "V_PITCH", "WIDTH", "SKIP", "TILES", "ROW_BLOCKS",
    "KEY_TILES", "EMPTY", "MIXED", "FULL", "LINE", "Q_SHARE", "KEY_SHARE", "LANE", "LANES", "INLINE", "APART", "UNROLLED", "PART", "FAR", "settle", "gather", "shrink_twice", "visit", "lower", "are_finite", "plain", "worth", "LEAST", "RAISE", "INF", "LOG2E", "LN2" },
  tensor = kernel_slots.tensor,
  stride = kernel_slots.stride,
}

-- For masks that read tensors: which of b and h the tiles' classes differ by; or nil.
local function classes(p, variant)
  if not variant:mask_reads() or variant:tiles().always then return nil end
  return { b = variant.keep:depends_on("b") or p.lens ~= false, h = variant.keep:depends_on("h") }
end

local function slots(p, cfg, variant)
  local list = kernel_slots.list(p, variant, { b = "b_size", sq = p.lens and "most_sq" or "sq", sk = p.lens and "most_sk" or "sk" })
  if classes(p, variant) then list[#list + 1] = { kind = "region", name = "classes", field = "classes", ctype = "u8 *" } end
  return list
end

local function row_blocks(cfg) return ("((sq + %d) // %d)"):format(cfg.vectors * cfg.lanes - 1, cfg.vectors * cfg.lanes) end

local function class_rows(p, cfg, by)
  return (by.b and "b * " or "") .. (by.h and "hq * " or "") .. row_blocks(cfg)
end

local function regions(p, cfg, dev, variant)
  local by = classes(p, variant)
  if not by then return {} end
  local bytes = ("%s * ((sk + %d) // %d)"):format(class_rows(p, cfg, by), cfg.keys - 1, cfg.keys)
  return { { name = "classes", prepared = true, bytes = bytes } }
end

local function steps(p, cfg, dev, variant)
  local rows, list, by = cfg.vectors * cfg.blocks * cfg.lanes, {}, classes(p, variant)
  if by then list[1] = { entry = "classify", prepares = true, tasks = class_rows(p, cfg, by), scratch = "0" } end
  list[#list + 1] = {
    entry = "attention",
    tasks = ("b * hq * ((sq + %d) // %d)"):format(rows - 1, rows),
    scratch = tostring(scratch(cfg, p, dev)),
  }
  return list
end

return {
  template = "templates/forward/c.c.t",
  order = 20,
  refuses = refuses,
  axes = axes,
  constraints = constraints,
  prior = prior,
  slots = slots,
  hooks = hooks,
  regions = regions,
  steps = steps,
  width = width,
  pitch = pitch,
  classes = classes,
}
