-- Schedule `c_decode`, forward, for few query rows: lanes of a vector are columns of K and V, then keys.
-- What such a problem costs is reading K and V: each is read once, for all query rows that share a key head, in the
-- order of its addresses, and the keys are split among tasks, so that all threads read.

local targets = require "templates.target.c"
local sums = require "templates.common.sums"
local kernel_slots = require "templates.common.slots"
local function target_of(dev) return targets.new(dev.isa) end

local element_bytes = { f32 = 4, f16 = 2, bf16 = 2 }

local most_rows = 32 -- query rows of a key head in a task
-- Of a sequence. With 24 schedule c, whose lanes are queries then, is as fast in f32 on an AVX-512 machine.
local most_queries = 16

local function refuses(p)
  if p.dir ~= "fwd" then return "it computes forward only" end
  for _, key in ipairs { "dtype", "kvdtype", "odtype" } do
    if not element_bytes[p[key]] then return "it takes f32, f16 and bf16, not " .. key .. "=" .. p[key] end
  end
  if p.likely.sq > most_queries then
    return ("it is for at most %d query rows, and there are %d"):format(most_queries, p.likely.sq)
  end
end

---- Shapes ----

-- Query rows of a key head in a task, where there are sq queries: few blocks of about as many.
local function rows_for(p, sq)
  local all = math.max(1, p.hq // p.hkv * sq)
  return ceildiv(all, ceildiv(all, most_rows))
end

-- Where a run says how many queries there are, powers of two.
local function row_counts(p)
  if p.sq then return { rows_for(p, p.sq) } end
  local list, seen = {}, {}
  for _, sq in ipairs { 1, 2, 4, 8, 16 } do
    local rows = rows_for(p, sq)
    if not seen[rows] then list[#list + 1], seen[rows] = rows, true end
  end
  return list
end

-- Of the counts the least that serves the likely queries in as few blocks as can be.
local function usual_rows(p)
  local sq = 1
  while sq < p.likely.sq do sq = 2 * sq end
  return rows_for(p, p.sq or sq)
end

-- Elements of K and V in a load: bf16 comes in pairs.
local function chunk_of(p, dev) return (p.kvdtype == "bf16" and 2 or 1) * target_of(dev).lanes end

-- What the template and the recipes count with. Bytes: of a worker's scratch, of what a split leaves of a row.
local function shape_of(cfg, p, dev)
  local target, chunk = target_of(dev), chunk_of(p, dev)
  local s = { padded = ceildiv(cfg.rows, cfg.mr) * cfg.mr, chunk = chunk, width = chunk // target.lanes,
    depth = ceildiv(p.d, chunk), columns = ceildiv(p.dv, chunk), element = element_bytes[p.kvdtype] }
  local sets = sums.far(p, cfg.keys * cfg.splits) and 2 or 1 -- of sums
  s.scratch = s.padded * (cfg.heads * (s.depth * 4 * chunk + sets * (s.columns * 4 * chunk + 2 * target.bytes)) + 4 * cfg.keys)
  s.partial = s.columns * 4 * chunk + target.bytes
  return s
end

---- The space ----

-- Key heads next to each other in memory may be one task's.
local function head_counts(p)
  local list = { 1 }
  if p.layout == "bhsd" and p.page == 0 and p.lens ~= "packed" then return list end
  for _, n in ipairs { 2, 4, 8, 16, 32 } do
    if p.hkv % n == 0 and n < p.hkv then list[#list + 1] = n end
  end
  if p.hkv > 1 and p.hkv <= 32 then list[#list + 1] = p.hkv end
  return list
end

local function key_counts(_, dev)
  local list = {}
  for _, n in ipairs { 16, 32, 64, 128 } do
    if n % target_of(dev).lanes == 0 then list[#list + 1] = n end
  end
  return list
end

local function key_block_counts(_, dev)
  local list = {}
  for _, n in ipairs { 1, 2, 4, 8 } do
    if n <= target_of(dev).lanes then list[#list + 1] = n end
  end
  return list
end

local axes = {
  { name = "rows", values = row_counts, about = "query rows of a key head in a task" },
  { name = "heads", values = head_counts, about = "key heads of a task" },
  { name = "splits", values = { 1, 2, 4, 8, 16, 32, 64 }, about = "tasks that share a key head's keys" },
  { name = "keys", values = key_counts, about = "keys a block" },
  { name = "mr", values = { 1, 2, 3, 4, 5, 6, 8 }, about = "query rows in a register block" },
  { name = "mk", values = key_block_counts, about = "keys in a register block of S" },
  { name = "mv", values = { 1, 2, 3, 4, 6, 8 }, about = "loads of a row of V in a register block of O" },
  { name = "ahead", values = { 1, 0 }, about = "1: keys are fetched ahead of their use" },
}

local function tasks_of(cfg, p)
  local blocks = ceildiv(p.hq // p.hkv * p.likely.sq, cfg.rows)
  return p.likely.b * p.hkv // cfg.heads * blocks * cfg.splits
end

local function row_bytes(p) return (p.d + p.dv) * element_bytes[p.kvdtype] end

local constraints = {
  { name = "a task has the rows that are likely", holds = function(cfg, p) return cfg.rows == usual_rows(p) end },
  { name = "a register block has no more rows than there are, and few that are padding",
    holds = function(cfg)
      return cfg.mr <= cfg.rows and -cfg.rows % cfg.mr <= math.max(1, cfg.rows // 8)
    end },
  { name = "accumulators leave registers for what is multiplied",
    holds = function(cfg, p, dev)
      local registers, width = target_of(dev).registers, chunk_of(p, dev) // target_of(dev).lanes
      return cfg.mk * cfg.mr + width + 1 <= registers and cfg.mv * width * (cfg.mr + 1) + 1 <= registers
    end },
  { name = "a register block of O is no wider than V",
    holds = function(cfg, p, dev) return cfg.mv <= ceildiv(p.dv, chunk_of(p, dev)) end },
  {
    -- Two units, four to five cycles each; blocks of S next to each other overlap.
    name = "accumulators hide half of the latency of a multiply-add, unless there are no more columns",
    holds = function(cfg, p, dev)
      local columns = ceildiv(p.dv, chunk_of(p, dev))
      return cfg.mk * cfg.mr >= 4
        and (cfg.mv == columns or cfg.mv * cfg.mr * (chunk_of(p, dev) // target_of(dev).lanes) >= 4)
    end,
  },
  { name = "a split has keys for four blocks",
    holds = function(cfg, p) return cfg.splits == 1 or p.likely.sk >= 4 * cfg.splits * cfg.keys end },
  { name = "there are no more splits than threads can use",
    holds = function(cfg, p, dev) return cfg.splits == 1 or tasks_of(cfg, p) <= 16 * dev.threads end },
  { name = "key heads share a task only where threads have work nevertheless",
    holds = function(cfg, p, dev)
      return cfg.heads == 1 or tasks_of(cfg, p) >= math.min(dev.threads, ceildiv(p.likely.sk, 4 * cfg.keys))
    end },
  {
    -- As in schedule c.
    name = "sums over a block, the blocks and the splits keep their error near the root of the keys",
    holds = function(cfg, p)
      local sk = math.max(p.likely.sk, 1)
      return math.min(cfg.keys, sk) + sk / (cfg.keys * cfg.splits) + cfg.splits <= 7 * math.sqrt(sk) + 16
        or cfg.keys == 128
    end,
  },
  { name = "two blocks and the scratch fit the second-level cache",
    holds = function(cfg, p, dev)
      local all = 2 * cfg.keys * cfg.heads * row_bytes(p) + shape_of(cfg, p, dev).scratch
      return all <= math.max(dev.l2_bytes, 1 << 20) or cfg.heads == 1
    end },
}

-- Cycles a key and key head, roughly: products, softmax and the widening of K and V beside reading them, which
-- hides half of the lesser of both; idle threads. Less than a page in the order of its addresses comes a third
-- slower, however much less; what is fetched while much else is, is partly gone when its turn comes.
local function prior(cfg, p, dev)
  local s, lanes = shape_of(cfg, p, dev), target_of(dev).lanes
  local k, v, passes = s.depth * s.width, s.columns * s.width, s.padded / cfg.mr
  local load = p.kvdtype == "f32" and 0.5 or 1
  local products = k * (0.5 * s.padded * math.max(1, 8 / (cfg.mk * cfg.mr)) + load * passes)
    + v * (0.5 * s.padded * math.max(1, 8 / (cfg.mv * s.width * cfg.mr)) + load * passes)
  local softmax = s.padded * (3 + 20 / lanes + 80 / cfg.keys + ceildiv(s.columns, cfg.mv) + 2 * v / cfg.keys)
  local ordered = cfg.heads == p.hkv or cfg.heads * p.d * element_bytes[p.kvdtype] >= 4096
    or p.layout == "bhsd" and p.page == 0 and p.lens ~= "packed"
  local bytes = row_bytes(p) * (cfg.ahead == 1 and 1 or 1.2) * (ordered and 1 or 1.3)
  local read, work = bytes / 5, products + softmax
  local ends = cfg.keys * cfg.splits / math.max(p.likely.sk, 1) -- a split's first block is waited for
  local crowd = 2 * cfg.keys * cfg.heads * row_bytes(p) / math.max(dev.l2_bytes, 1 << 20)
  local tasks = math.max(tasks_of(cfg, p), 1)
  local idle = ceildiv(tasks, dev.threads) * dev.threads / tasks + 0.02 * dev.threads / tasks
  return (math.max(read, work) + 0.5 * math.min(read, work)) * idle * (1 + 0.8 * ends + 0.3 * crowd)
end

---- What a run fills in ----

local hooks = {
  lanes = "j",
  levels = { h = "row" }, -- a task's rows are of many heads
  spell = function(level, name) return level == "row" and name .. "[r]" or name end,
  tensor = kernel_slots.tensor,
  stride = kernel_slots.stride,
  taken = { "all", "both", "chunk_at", "combine", "count", "dropout", "drop", "elements", "empty", "far_o", "far_sum",
    "far_top", "fetch_k", "fetch_v", "find_keys", "finish", "finish_empty", "full_first", "full_last", "g", "gather", "heads", "hint", "keep", "kept", "left",
    "load_k", "load_v", "more", "near", "next", "offset", "own", "partial", "part", "pass", "peak", "peak_of", "place", "plain", "lower", "are_finite", "worth",
    "query", "rng", "row", "row_k", "row_v", "scores", "seed", "sequence", "settle", "settled", "shrink", "softmax", "split", "splits", "stage_q", "sums",
    "task_at", "total", "touch", "turn", "u64", "vh", "w", "widen", "y", "INLINE", "APART", "UNROLLED", "LANE", "LANES", "LINES", "FAR", "RAISE", "INF", "LOG2E" },
}

local function slots(p, cfg, variant)
  local list = kernel_slots.list(p, variant, { b = "b_size", sq = "sq_size", sk = "sk_size" })
  if cfg.splits > 1 then list[#list + 1] = { kind = "region", name = "partial", field = "partial", ctype = "struct partial *" } end
  return list
end

-- Blocks of rows of all key heads.
local function blocks(p, cfg)
  return ("b * hkv * ((sq * %d + %d) // %d)"):format(p.hq // p.hkv, cfg.rows - 1, cfg.rows)
end

local function steps(p, cfg, dev)
  local tasks = ("%s // %d * %d"):format(blocks(p, cfg), cfg.heads, cfg.splits)
  local list = { { entry = "attention", tasks = tasks, scratch = tostring(shape_of(cfg, p, dev).scratch) } }
  if cfg.splits > 1 then list[2] = { entry = "combine", tasks = blocks(p, cfg), scratch = "0" } end
  return list
end

local function regions(p, cfg, dev)
  if cfg.splits == 1 then return {} end
  local bytes = ("%s * %d"):format(blocks(p, cfg), cfg.rows * cfg.splits * shape_of(cfg, p, dev).partial)
  return { { name = "partial", bytes = bytes } }
end

return {
  template = "templates/forward/c_decode.c.t",
  order = 10,
  refuses = refuses,
  axes = axes,
  constraints = constraints,
  prior = prior,
  slots = slots,
  hooks = hooks,
  steps = steps,
  regions = regions,
  shape_of = shape_of,
}
