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
local function width_of(p) return p.kvdtype == "bf16" and 2 or 1 end -- vectors of it, widened
local function chunk_of(p, dev) return width_of(p) * target_of(dev).lanes end
-- Loads of a row of V.
local function columns_of(p, dev) return ceildiv(p.dv, chunk_of(p, dev)) end

-- What the template and the recipes count with. Bytes: of a worker's scratch, of what a split leaves of a row.
local function shape_of(cfg, p, dev)
  local target, chunk = target_of(dev), chunk_of(p, dev)
  local s = { padded = ceildiv(cfg.rows, cfg.mr) * cfg.mr, chunk = chunk, width = width_of(p),
    k_width = cfg.dot == 1 and 1 or width_of(p), depth = ceildiv(p.d, chunk), columns = columns_of(p, dev), element = element_bytes[p.kvdtype] }
  local sets = sums.far(p, cfg.part * cfg.splits) and 2 or 1 -- of sums
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
  for _, n in ipairs { 16, 32, 64, 128, 256, 512, 1024, 2048 } do
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

-- On an AMD processor dot instructions are as fast as multiply-adds of half as many products.
local function dot_values(p, dev)
  if not target_of(dev).dot or p.dtype ~= "bf16" or p.kvdtype ~= "bf16" then return { 0 } end
  return dev.name:find("AMD") and { 1 } or { 0, 1 }
end

local axes = {
  { name = "rows", values = row_counts, about = "query rows of a key head in a task" },
  { name = "ahead", values = { 1, 0 }, about = "1: keys are fetched ahead of their use" },
  { name = "dot", values = dot_values, about = "1: bf16 dot instructions, P rounded to bf16" },
  { name = "heads", values = head_counts, about = "key heads of a task" },
  { name = "splits", values = { 1, 2, 4, 8, 16, 32, 64 }, about = "tasks that share a key head's keys" },
  { name = "keys", values = key_counts, about = "keys a block" },
  { name = "mr", values = { 1, 2, 3, 4, 5, 6, 8 }, about = "query rows in a register block of S" },
  { name = "mk", values = key_block_counts, about = "keys in a register block of S" },
  { name = "mo", values = { 1, 2, 3, 4, 5, 6, 8 }, about = "query rows in a register block of O" },
  { name = "mv", values = { 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16 }, about = "loads of a row of V in a register block of O" },
  { name = "part", values = { 8, 16, 32, 64 }, about = "keys of a block that register blocks of O take turns with" },
}

local function tasks_of(cfg, p)
  local blocks = ceildiv(p.hq // p.hkv * p.likely.sq, cfg.rows)
  return p.likely.b * p.hkv // cfg.heads * blocks * cfg.splits
end

local function row_bytes(p) return (p.d + p.dv) * element_bytes[p.kvdtype] end

-- A key head's rows are next to each other.
local function contiguous(p)
  return p.layout == "bhsd" and p.page == 0 and p.lens ~= "packed" or p.hkv == 1
end

local constraints = {
  { name = "a task has the rows that are likely", holds = function(cfg, p) return cfg.rows == usual_rows(p) end },
  { name = "keys that are not fetched ahead are of one head, in long blocks, others in short ones",
    holds = function(cfg, p)
      if cfg.ahead == 0 and cfg.heads > 1 then return false end
      if cfg.ahead == 1 then return cfg.keys <= 128 end
      return cfg.keys >= math.min(256, p.likely.sk // 4)
    end },
  { name = "blocks are as long as half of the keys at most, or the shortest there are",
    holds = function(cfg, p, dev) return cfg.keys == key_counts(p, dev)[1] or 2 * cfg.keys <= p.likely.sk end },
  { name = "a split has keys for four blocks, or for one that is not fetched ahead",
    holds = function(cfg, p)
      return cfg.splits == 1 or p.likely.sk >= (cfg.ahead == 1 and 4 or 1) * cfg.splits * cfg.keys
    end },
  { name = "there are no more splits than threads can use",
    holds = function(cfg, p, dev) return cfg.splits == 1 or tasks_of(cfg, p) <= 16 * dev.threads end },
  { name = "key heads share a task only where threads have work nevertheless",
    holds = function(cfg, p, dev)
      return cfg.heads == 1 or tasks_of(cfg, p) >= math.min(dev.threads, ceildiv(p.likely.sk, 4 * cfg.keys))
    end },
  { name = "two blocks that are fetched ahead fit the second-level cache",
    holds = function(cfg, p, dev)
      return cfg.ahead == 0 or cfg.heads == 1 or 2 * cfg.keys * cfg.heads * row_bytes(p) <= math.max(dev.l2_bytes, 1 << 20)
    end },
  { name = "a register block has no more rows than there are, few that are padding, and few blocks serve",
    holds = function(cfg)
      return cfg.mr <= cfg.rows and -cfg.rows % cfg.mr <= math.max(1, cfg.rows // 8)
        and 4 * cfg.mr >= math.min(cfg.rows, 8)
    end },
  { name = "accumulators of S leave registers for what is multiplied",
    holds = function(cfg, p, dev) return cfg.mk * cfg.mr + width_of(p) + 1 <= target_of(dev).registers end },
  {
    -- Four to five cycles; blocks of S next to each other overlap.
    name = "accumulators of S hide half of the latency of a multiply-add, unless keys are read one after the other",
    holds = function(cfg, p)
      if cfg.ahead == 0 then return cfg.mk == 1 or cfg.mk * p.d * element_bytes[p.kvdtype] <= 512 and cfg.mk * cfg.mr <= 16 end
      return cfg.mk * cfg.mr >= 4
    end,
  },
  { name = "register blocks of O divide those of S", holds = function(cfg) return cfg.mr % cfg.mo == 0 end },
  { name = "a register block of O is no wider than V",
    holds = function(cfg, p, dev) return cfg.mv <= columns_of(p, dev) end },
  {
    -- With all of them, a few wait in memory: that is cheaper than to read V once more.
    name = "accumulators of O fill a quarter of the registers, or their columns are all there are; none is left over",
    holds = function(cfg, p, dev)
      local sums, registers = cfg.mv * width_of(p) * cfg.mo, target_of(dev).registers
      return sums <= registers and (4 * sums >= registers or cfg.mv == columns_of(p, dev))
    end,
  },
  {
    name = "register blocks of O take turns with 64 keys where there is but one, else with 8 or 32",
    holds = function(cfg, p, dev)
      local alone = cfg.mo == cfg.mr and cfg.rows <= cfg.mr and cfg.mv == columns_of(p, dev)
      if alone then return cfg.part == math.min(cfg.keys, 64) end
      return cfg.part == 8 or cfg.part == 32 and cfg.keys >= 32
    end,
  },
  {
    -- As in schedule c.
    name = "sums over a part, the parts and the splits keep their error near the root of the keys",
    holds = function(cfg, p)
      local sk = math.max(p.likely.sk, 1)
      local parts, far = sk / (cfg.part * cfg.splits), sums.far(p, cfg.part * cfg.splits)
      if far then parts = math.min(parts, far) + parts / far end
      return math.min(cfg.part, sk) + parts + cfg.splits <= 7 * math.sqrt(sk) + 16 or cfg.part >= 32
    end,
  },
}

-- Processors fetch by themselves what is read in the order of its addresses, faster than instructions can ask for it.
-- For that, rows are whole and read one after the other (or within half a KiB), and K and V turn about seldom.
local function slowed(cfg, p, dev)
  local row = p.d * element_bytes[p.kvdtype]
  return (contiguous(p) and 1 or 2) * (cfg.mv == columns_of(p, dev) and 1 or 1.3) * (1 + 16384 / (cfg.keys * row))
end

-- Cycles a key and key head, roughly: products, softmax and the widening of K and V beside reading them, which
-- hides half of the lesser of both; idle threads. What is fetched ahead comes slower where it is less than a page in
-- the order of its addresses; and where much else is fetched, it is partly gone when its turn comes.
local function prior(cfg, p, dev)
  local s, lanes = shape_of(cfg, p, dev), target_of(dev).lanes
  local k, v, passes = s.depth * s.k_width, s.columns * s.width * (cfg.dot == 1 and 0.5 or 1), s.padded / cfg.mr
  local load = p.kvdtype == "f32" and 0.5 or 1
  local dot = cfg.dot == 1 and not dev.name:find("AMD") and 3 or 1
  local products = k * (0.5 * dot * s.padded * math.max(1, 4 / (cfg.mk * cfg.mr)) + load * passes)
    + v * (0.5 * dot * s.padded * math.max(1, 8 / (cfg.mv * s.width * cfg.mo)) + load * s.padded / cfg.mo)
  local softmax = s.padded * (1.5 + 1 / cfg.mk + 20 / lanes + 80 / cfg.keys + 2 * v / cfg.part)
  local share, ends, crowd = 1, 0, 0
  if cfg.ahead == 0 then
    share = slowed(cfg, p, dev)
  else
    share = 1.25 + 0.03 * cfg.mk
    if not contiguous(p) and cfg.heads < p.hkv and cfg.heads * p.d * s.element < 4096 then share = share + 0.35 end
    ends = cfg.keys * cfg.splits / math.max(p.likely.sk, 1) -- a split's first block is waited for
    crowd = 2 * cfg.keys * cfg.heads * row_bytes(p) / math.max(dev.l2_bytes, 1 << 20)
  end
  local read, work = row_bytes(p) * share / 5, products + softmax
  local tasks = math.max(tasks_of(cfg, p), 1)
  local idle = ceildiv(tasks, dev.threads) * dev.threads / tasks + 0.05 * dev.threads / tasks
  return (math.max(read, work) + 0.5 * math.min(read, work)) * idle * (1 + 0.8 * ends + 0.05 * crowd + 0.002 * cfg.splits)
end

---- What a run fills in ----

local hooks = {
  lanes = "j",
  levels = { h = "row" }, -- a task's rows are of many heads
  spell = function(level, name) return level == "row" and name .. "[r]" or name end,
  tensor = kernel_slots.tensor,
  stride = kernel_slots.stride,
  taken = { "all", "below", "both", "chunk_at", "combine", "count", "dropout", "drop", "elements", "empty", "far_o", "far_sum",
    "far_top", "fetch_k", "fetch_v", "find_keys", "finish", "finish_empty", "full_first", "full_last", "g", "gather", "heads", "hint", "keep", "kept", "left",
    "load_k", "load_v", "more", "near", "next", "offset", "ones", "own", "pair_v", "partial", "part", "pass", "peak", "peak_of", "place", "plain", "lower", "are_finite", "worth",
    "query", "rng", "round_p", "row", "row_k", "row_v", "scores", "seed", "sequence", "settle", "settled", "shrink", "softmax", "split", "splits", "stage_q", "sums", "sums_of_block",
    "task_at", "total", "touch", "turn", "u64", "vh", "w", "widen", "y", "zeros", "INLINE", "APART", "UNROLLED", "LANE", "LANES", "LINES", "FAR", "RAISE", "INF", "LOG2E" },
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
