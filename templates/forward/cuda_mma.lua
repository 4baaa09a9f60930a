-- Schedule `cuda_mma`, forward, for GPUs from sm_80 on: tensor cores by mma.sync. A block of threads has some query rows
-- of a head, each warp 16 or 32 of them; tiles of K and V come by cp.async while the one before is worked on; S, P and O
-- stay in registers.

local c = require "templates.forward.c"
local row_of = require("templates.common.chunks").row
local ranges = require "gen.range"
local target = require "templates.target.cuda"

local sizes = { f32 = 4, f16 = 2, bf16 = 2 }

local function refuses(p, dev)
  if target.new(dev.isa).capability < 80 then return "it needs sm_80" end
  if p.dir ~= "fwd" then return "it computes forward only" end
  for _, key in ipairs { "dtype", "kvdtype", "odtype" } do
    if not sizes[p[key]] then return "it takes f32, f16 and bf16, not " .. key .. "=" .. p[key] end
  end
  if math.max(p.d, p.dv) > 512 then return "it takes head dimensions to 512" end
end

---- What the template and the constraints count with ----

-- What tensor cores multiply: f32 is split into parts of tf32, and so is a mix of types.
local function kind_of(p) return p.dtype == p.kvdtype and p.dtype or "f32" end

local function padded(n, unit) return ceildiv(n, unit) * unit end

-- Value columns of a block: all, or where O leaves the registers a part of them.
local function columns_of(cfg, p) return padded(ceildiv(p.dv, cfg.parts), 16) end

-- Query rows of a block.
local function block_rows(cfg) return math.max(cfg.warps // cfg.share, 1) * cfg.rows end

local function shape_of(cfg, p)
  local kind = kind_of(p)
  local size = sizes[kind]
  local s = { kind = kind, size = size, q = row_of(p.d, size), k = row_of(p.d, size), v = row_of(columns_of(cfg, p), size),
    rows = block_rows(cfg), threads = 32 * cfg.warps, columns = columns_of(cfg, p) }
  -- O leaves through Q's place, in its own type.
  s.o = row_of(s.columns, 2)
  s.through = sizes[p.odtype] == 2 and p.align == 16 and p.dv % 8 == 0
  s.q_bytes = s.rows * 16 * math.max(s.q.pitch, s.through and s.o.pitch or 0)
  s.k_bytes, s.v_bytes = cfg.keys * 16 * s.k.pitch, cfg.keys * 16 * s.v.pitch
  s.k_bytes, s.v_bytes, s.q_bytes = padded(s.k_bytes, 128), padded(s.v_bytes, 128), padded(s.q_bytes, 128)
  s.p = row_of(cfg.keys, 2) -- of warps that share rows: P, twice, and a number a row and warp
  s.p_bytes, s.row_bytes = cfg.warps // cfg.share * cfg.rows * 16 * s.p.pitch, 4 * cfg.warps * cfg.rows
  s.bytes = s.q_bytes + cfg.stages * (s.k_bytes + s.v_bytes)
  if cfg.share == 2 then s.bytes = s.bytes + 2 * s.p_bytes + s.row_bytes end
  return s
end

-- Of a thread, about: O, S, Q where it is kept, and what addresses and row values take.
local function registers_of(cfg, p)
  local fragments = cfg.rows // 16
  local o, s = fragments * columns_of(cfg, p) // 2 // cfg.share, fragments * cfg.keys // 2 // cfg.share
  local q = fragments * 4 * cfg.held
  if kind_of(p) == "f32" then return o + 5 * s // 2 + q + 60 + 16 * fragments end -- P in two parts each
  return o + s + q + 40 + o // 16 + 8 * fragments + (cfg.share == 2 and 24 or 0) + (p.dropout and 12 or 0)
    + ((p.score or p.bias or p.alibi or p.softcap) and 8 + s // 8 or 0)
end

-- Blocks that a multiprocessor has room for. Each of its quarters has registers of its own.
local function resident_of(cfg, p, dev)
  local threads = 32 * cfg.warps
  local registers = padded(math.min(255, registers_of(cfg, p)), 8)
  local by_registers = dev.registers // 4 // (32 * registers) * 4 // cfg.warps
  local by_memory = dev.l1_bytes // (shape_of(cfg, p).bytes + 1024)
  return math.max(1, math.min(by_registers, by_memory, 1536 // threads, 16))
end

local function group_of(p) return p.hq // p.hkv end

-- Rows of a head's tiles: with packing, those of all query heads that share a key head.
local function head_rows(cfg, p) return cfg.pack == 1 and group_of(p) or 1 end

local function tiles_of(cfg, p) return ceildiv(math.max(p.likely.sq, 1) * head_rows(cfg, p), block_rows(cfg)) end

local function tasks_of(cfg, p)
  return p.likely.b * p.hq // head_rows(cfg, p) * tiles_of(cfg, p) * cfg.parts * cfg.splits
end

---- Axes ----

-- None, few or all of Q.
local function held_steps(p)
  local all = row_of(p.d, sizes[kind_of(p)]).chunks // 2
  return all > 2 and { 0, 2, all } or { 0, all }
end

-- The better one first, as where scores are mostly below 0 the other is: then "int" rescales every time. What a variant
-- makes of scores is compared as exponents, for which ints always serve.
local function tests(p)
  if p.score or p.bias or p.alibi or p.softcap then return { "int" } end
  return kind_of(p) ~= "f32" and p.d > 64 and p.dv <= 128 and { "int", "float" } or { "float", "int" }
end

local axes = {
  { name = "parts", values = { 1, 2, 4 }, about = "blocks that share the value columns of a tile" },
  { name = "pack", values = function(p) return group_of(p) > 1 and { 0, 1 } or { 0 } end,
    about = "1: a tile has the rows of all query heads of a key head" },
  { name = "splits", values = { 1, 2, 4, 8, 16, 32, 64 }, about = "blocks that share the keys of a tile of rows" },
  { name = "rows", values = { 16, 32 }, about = "query rows of a warp" },
  { name = "warps", values = { 1, 2, 4, 8 }, about = "of a block" },
  { name = "share", values = function(p) return p.dv > 128 and { 1, 2 } or { 1 } end,
    about = "2: two warps have the same rows, each half of a tile's keys and of the value columns" },
  { name = "keys", values = { 16, 32, 48, 64, 96, 128 }, about = "keys a tile" },
  { name = "held", values = held_steps, about = "steps of a product with K for which Q stays in registers" },
  { name = "stages", values = { 1, 2, 3, 4 }, about = "tiles of K and V in shared memory; with 4 two come at a time" },
  { name = "section", values = { 32, 8, 1 }, ranked = false, about = "heads that go together, tile by tile" },
  { name = "test", values = tests, ranked = false, about = "how scores are compared with what O can take" },
}

local function most_rows(cfg, p) return math.max(p.likely.sq * head_rows(cfg, p), 1) end

-- Packed heads share tiles only where the mask is the same for all of them.
local function packable(cfg, p) return cfg.pack == 0 or not (p.maskfn or p.mask) end

local function countable(cfg, p)
  return cfg.pack == 0 or (p.sq or ranges.longest.sq) * group_of(p) + block_rows(cfg) < 1 << 31
end

local constraints = {
  { name = "value columns are shared among blocks only where one has no room for them",
    holds = function(cfg, p) return cfg.parts == 1 or ceildiv(p.dv, cfg.parts // 2) * cfg.rows // 16 > 256 end },
  { name = "a part has value columns",
    holds = function(cfg, p) return cfg.parts == 1 or (cfg.parts - 1) * columns_of(cfg, p) < p.dv end },
  { name = "a number of 32 bits counts the rows of packed heads", holds = countable },
  { name = "packed heads see the same keys", holds = packable },
  { name = "keys are shared among blocks only where rows are few and keys are many",
    holds = function(cfg, p, dev)
      local rows = p.likely.b * p.hq * p.likely.sq
      return cfg.splits == 1 or rows * cfg.splits <= 128 * 8 * dev.cores and p.likely.sk >= 128 * cfg.splits
    end },
  { name = "keys are shared only by as many blocks as there is room for",
    holds = function(cfg, p, dev)
      return cfg.splits == 1 or tasks_of(cfg, p) <= 8 * dev.cores
    end },
  { name = "a tile's rows are not mostly padding",
    holds = function(cfg, p) return block_rows(cfg) == 16 or block_rows(cfg) < 2 * most_rows(cfg, p) end },
  { name = "warps share rows only where the halves are whole fragments",
    holds = function(cfg, p)
      local columns = cfg.share == 1 or columns_of(cfg, p)
      return cfg.share == 1 or cfg.warps > 1 and cfg.rows == 32 and kind_of(p) ~= "f32" and cfg.parts == 1 and cfg.splits == 1
        and columns % 32 == 0 and (columns % 128 == 0 or columns % 64 ~= 0) and not (p.mask or p.maskfn)
    end },
  { name = "warps share keys by halves",
    holds = function(cfg) return cfg.share == 1 or cfg.keys == 32 or cfg.keys == 64 or cfg.keys == 128 end },
  { name = "a tile's keys are not mostly padding",
    holds = function(cfg, p) return cfg.keys == 16 or cfg.keys < 2 * p.likely.sk end },
  { name = "O, S and Q leave registers for the rest",
    holds = function(cfg, p) return registers_of(cfg, p) <= 264 end },
  { name = "shared memory holds Q and the stages of K and V",
    holds = function(cfg, p, dev) return shape_of(cfg, p).bytes <= dev.shared_bytes end },
  { name = "warps that share rows have two stages", holds = function(cfg) return cfg.share == 1 or cfg.stages == 2 end },
  { name = "one stage serves only where two have little room",
    holds = function(cfg, p, dev)
      if cfg.stages > 1 then return true end
      local s = shape_of(cfg, p)
      return s.bytes + s.k_bytes + s.v_bytes > dev.shared_bytes // 2
    end },
  { name = "three stages and more serve only where blocks share a multiprocessor all the same",
    holds = function(cfg, p, dev) return cfg.stages < 3 or 2 * (shape_of(cfg, p).bytes + 1024) <= dev.l1_bytes end },
  { name = "threads fill a multiprocessor",
    holds = function(cfg, p, dev)
      return cfg.warps >= 4 or tasks_of(cfg, p) <= 2 * dev.cores or math.max(p.d, p.dv) > 256
        or kind_of(p) == "f32" or resident_of(cfg, p, dev) * cfg.warps >= 4
    end },
  { name = "heads go together only where there are as many",
    holds = function(cfg, p) return cfg.section == 1 or cfg.section <= p.likely.b * p.hq // head_rows(cfg, p) end },
}

-- Keys that a tile of rows sees on average.
local function visible(cfg, p)
  local right = p.causal and 0 or p.window and p.window.right or -1
  local left = p.window and p.window.left or -1
  local rows = block_rows(cfg) / head_rows(cfg, p)
  local keys = p.likely.sk
  if p.causal then keys = p.likely.sk - math.min(p.likely.sq, p.likely.sk) / 2 + rows / 2 end
  if left >= 0 and left < p.likely.sk then keys = math.min(keys, left + 1 + math.max(right, 0) + rows) end
  return math.max(math.min(keys, p.likely.sk), 1)
end

-- What a warp does for a tile: instructions of tensor cores, fragments from shared memory, scores of a lane, chunks that a
-- thread copies.
local function work(cfg, p, s)
  local fragments, keys = cfg.rows // 16, cfg.keys // cfg.share
  local steps, columns = s.q.chunks // 2, s.columns // cfg.share
  local scores = fragments * keys // 2
  local copied = cfg.keys * (s.k.chunks + s.v.chunks) / s.threads
  if s.kind == "f32" then
    local products = fragments * (keys // 8 * steps + columns // 8 * keys // 8)
    local split = 4 * fragments * steps + keys // 4 * steps + columns // 8 * keys // 4 -- numbers, into two each
    return { products = 3 * products, read = fragments * (steps - cfg.held) + steps * keys / 16 + columns // 8 * keys // 8,
      scores = scores, copied = copied, split = split }
  end
  local paired = cfg.share == 2 and fragments * cfg.keys // 16 or 0
  return { products = fragments * (keys // 8 * steps + columns // 8 * cfg.keys // 16),
    read = fragments * (steps - cfg.held) + steps * keys / 16 + columns // 16 * cfg.keys // 16 + paired,
    scores = scores, copied = copied, split = 0 }
end

-- Cycles that a quarter of a multiprocessor takes for a tile of each of its warps: what tensor cores and other
-- instructions take, mostly side by side, and what nothing hides. Fitted to some 800 kernels timed on an H100, where an
-- instruction of the tensor cores takes 6.2.
local function tile_cycles(cfg, p, s, resident)
  local w, warps = work(cfg, p, s), resident * cfg.warps / 4 -- of a quarter
  local products = 6.2 * w.products
  local others = w.products + 60 + 11.5 * w.read + 12.3 * w.scores + 24 * w.copied + 2 * w.split
  local spilled = math.max(0, registers_of(cfg, p) - 232) * 15.6 -- and what avoids spilling
  local each = math.max(products, others) + 0.42 * math.min(products, others) + spilled + (cfg.share == 2 and 180 or 0)
  local odd = cfg.keys & cfg.keys - 1 == 0 and 1 or 1.06
  local exposed = 33 + 73 * cfg.warps + 32 * w.scores + ({ 1500, 96, 0, -15 })[cfg.stages]
  return each * odd * math.max(warps, 1) + exposed * (resident == 1 and 1.5 or 1)
end

-- Cycles of a multiprocessor, roughly.
local function prior(cfg, p, dev)
  local s = shape_of(cfg, p)
  local tasks = tasks_of(cfg, p)
  local filling = p.likely.sq * head_rows(cfg, p) / (tiles_of(cfg, p) * s.rows) -- of tiles by rows
  local each = tasks / dev.cores
  local resident = math.min(resident_of(cfg, p, dev), math.max(1, math.ceil(each)))
  local warps = resident * cfg.warps / 4 -- a quarter
  local tile = tile_cycles(cfg, p, s, resident) / math.max(warps, 1) * cfg.warps / 4
  local moved = cfg.keys * (p.d + s.columns) * sizes[p.kvdtype] / (tiles_of(cfg, p) == 1 and 13.4 or 25)
  local ranged = p.causal or p.window
  local tiles = ranged and visible(cfg, p) / cfg.keys + 0.5 or ceildiv(math.max(p.likely.sk, 1), cfg.keys)
  local block = tiles / cfg.splits * math.max(tile, moved) + 1000 / resident
  local joined = p.likely.b * p.hq * p.likely.sq * p.dv * cfg.splits * 8 / 1700 -- cycles of all memory
  each = each * (0.5 + 0.5 * filling)
  local uneven = p.causal and 0.7 * resident or math.ceil(each / resident) * resident - each
  return block * math.max(each + 0.39 * uneven, 1) + (cfg.splits > 1 and 6000 + joined or 0)
end

---- Arguments and steps ----

local own = { bias = true, mask = true, slopes = true }
local hooks = {
  dialect = require "templates.target.cuda_ops",
  taken = { "B", "HQ", "HKV", "HEADS", "GROUP", "SQ", "SK", "D", "DV", "PAGE", "WARPS", "THREADS", "FRAGMENTS", "ROWS",
    "KEYS", "KEY_TILES", "COLUMN_TILES", "STEPS", "STAGES", "TILES", "SECTION", "PARTS", "OWN", "INF", "LOG2E", "LN2",
    "DEVICE", "attention", "classify", "collect", "combine" },
  tensor = function(name) return own[name] and name or "tensor_" .. name end,
  stride = function(name, dim) return (own[name] and "" or "stride_") .. name .. "_" .. dim end,
}

-- Of masks that read tensors: blocks of rows, in each head and sequence that these differ by, and tiles of keys.
local function class_rows(p, cfg, by)
  local rows = block_rows(cfg)
  return (by.b and "b * " or "") .. (by.h and "hq * " or "") .. ("((sq + %d) // %d)"):format(rows - 1, rows)
end

local function key_blocks(cfg) return ("((sk + %d) // %d)"):format(cfg.keys - 1, cfg.keys) end

-- Of a row and a split: O so far, and its peak and sum.
local function slots(p, cfg, variant)
  local list = c.slots(p, cfg, variant)
  if c.classes(p, variant) then list[#list + 1] = { kind = "region", name = "seen", field = "seen", ctype = "u32 *" } end
  if cfg.splits > 1 then
    for _, name in ipairs { "partial", "partial_sums" } do
      list[#list + 1] = { kind = "region", name = name, field = name, ctype = "f32 *" }
    end
  end
  return list
end

local function regions(p, cfg, dev, variant)
  local list, by = {}, c.classes(p, variant)
  if by then
    list[1] = { name = "classes", prepared = false, bytes = ("%s * %d * %s"):format(class_rows(p, cfg, by), cfg.warps, key_blocks(cfg)) }
    list[2] = { name = "seen", prepared = true, bytes = ("%s * (%s + 4) * 8"):format(class_rows(p, cfg, by), key_blocks(cfg)) }
  end
  if cfg.splits > 1 then
    list[#list + 1] = { name = "partial", prepared = false, bytes = ("b * hq * sq * %d"):format(4 * cfg.splits * p.dv) }
    list[#list + 1] = { name = "partial_sums", prepared = false, bytes = ("b * hq * sq * %d"):format(8 * cfg.splits) }
  end
  return list
end

local side_warps = 4 -- of a block that finds what rows see, or joins what splits leave
local side_tiles = 4 -- of which such a warp finds what rows see

local function steps(p, cfg, dev, variant)
  local rows = block_rows(cfg)
  local sq = cfg.pack == 1 and ("sq * %d"):format(group_of(p)) or "sq"
  local heads = cfg.pack == 1 and p.hkv or p.hq
  local list, by = {}, c.classes(p, variant)
  if by then
    list[1] = { entry = "classify", prepares = true, threads = 32 * side_warps, scratch = "0",
      tasks = ("(%s * %d * ((%s + %d) // %d) + %d) // %d"):format(class_rows(p, cfg, by), cfg.warps, key_blocks(cfg),
        side_tiles - 1, side_tiles, side_warps - 1, side_warps) }
    list[2] = { entry = "collect", prepares = true, threads = 32 * side_warps, scratch = tostring(4 * side_warps),
      tasks = class_rows(p, cfg, by) }
  end
  list[#list + 1] = {
    entry = "attention", threads = 32 * cfg.warps,
    tasks = ("b * %d * ((%s + %d) // %d)"):format(heads * cfg.parts * cfg.splits, sq, rows - 1, rows),
    scratch = tostring(shape_of(cfg, p).bytes),
  }
  if cfg.splits > 1 then
    list[#list + 1] = { entry = "combine", threads = 32 * side_warps, scratch = "0",
      tasks = ("(b * hq * sq + %d) // %d"):format(side_warps - 1, side_warps) }
  end
  return list
end

return {
  template = "templates/forward/cuda_mma.cu.t",
  target = "cuda",
  gpu = true,
  order = 10,
  refuses = refuses,
  axes = axes,
  constraints = constraints,
  prior = prior,
  hooks = hooks,
  slots = slots,
  regions = regions,
  side_warps = side_warps,
  side_tiles = side_tiles,
  classes = c.classes,
  steps = steps,
  shape_of = shape_of,
  resident_of = resident_of,
  registers_of = registers_of,
  group_of = group_of,
  head_rows = head_rows,
  tasks_of = tasks_of,
  most_rows = most_rows,
  packable = packable,
  countable = countable,
  visible = visible,
  tests = tests,
}
