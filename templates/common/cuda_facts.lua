-- What the texts of attention forward on tensor cores know besides p, cfg and variant: schedules cuda_mma and cuda_wgmma,
-- and the parts that their kernels have in common.

local chunks = require "templates.common.chunks"
local places = require "templates.common.places"

local facts = {}

-- What a block is: its rows and keys, what it multiplies, what it shares with others.
local function block(p, cfg, body)
  local shape = body.shape_of(cfg, p)
  return {
    shape = shape, kind = shape.kind, split = shape.kind == "f32", group = body.group_of(p), packs = cfg.pack == 1,
    paired = cfg.share == 2, -- of warps with the same rows
    parts = cfg.parts > 1, splits = cfg.splits > 1,
    packed = p.lens == "packed", padded = p.lens == "padded", paged = p.page > 0,
    at = chunks.at, further = chunks.further, philox_at = false,
  }
end

-- Where rows are, of tensors and of the block.
local function add_rows(know, p)
  local at = places.new(p, know.packs)
  at.adjacent = p.dropout and not know.packs and not p.shard
  know.places, know.rows_all = at, at.rows
  know.B, know.SQ, know.SK, know.sq, know.sk, know.HEADS = at.B, at.SQ, at.SK, at.sq, at.sk, at.HEADS
  know.some_rows = know.padded and at:times_group(at.SQ) or at.rows -- that O and LSE have
  know.q_head = know.packs and "(hk * GROUP)" or "h"
  know.KEY_BLOCKS, know.ROW_BLOCKS = ("((%s + KEYS - 1) / KEYS)"):format(at.SK), ("((%s + ROWS - 1) / ROWS)"):format(at.SQ)
  function know.element(...) return at:element(...) end
end

-- What the variant makes of scores.
local function add_scores(know, p, variant)
  local levels = know.packs and { levels = { h = "row" } } or {}
  local sum = variant.score.name ~= "s" and not know.packs and variant:summands() or false
  know.has_score, know.sum = variant.score.name ~= "s", sum
  -- To what power of 2 weights may grow before O is rescaled. Scores that lean grow with each tile; f16 goes to 2^16.
  know.slack = sum and sum.slope and ({ bf16 = 24, f16 = 15, f32 = 8 })[know.kind] or 8
  know.code = variant:code(levels, sum and { diagonal = sum.diagonal, slope = sum.slope, rest = sum.rest, curve = sum.curve })
end

-- Which keys rows see.
local function add_keys(know, p, cfg, variant, body)
  local bounds = variant:tiles(know.packs and { levels = { h = "row" } } or {})
  know.bounds, know.classes = bounds, body.classes(p, variant) or false
  know.first_seen = bounds.first and ("max_i(0, %s)"):format(bounds.first) or "0"
  know.last_seen = bounds.last and ("min_i(%s, %s)"):format(know.sk, bounds.last) or know.sk
  know.first_full, know.last_full = bounds.full_first or "0", bounds.full_last or know.sk
  know.tails = p.lens ~= false or not p.sk or p.sk % cfg.keys ~= 0 -- tiles may reach beyond the last key
  know.masks = not bounds.always or know.tails
end

-- How a row's elements come into shared memory: in the background if they are what is multiplied, else by hand.
local function way(know, p, dtype)
  if dtype ~= know.kind or p.align < 4 then return "gather" end
  return p.align >= 16 and "copy" or "pieces"
end

local function add_ways(know, p)
  local size = know.shape.size
  know.q_way, know.kv_way, know.per_chunk = way(know, p, p.dtype), way(know, p, p.kvdtype), 16 // size
  -- The largest copies that such a row is whole multiples of: no byte beyond its end is touched.
  function know.grain_of(columns) return math.min(columns * size & -(columns * size), 16) end
end

-- Of ptx.cu.t and math.cu.t. Q's sign and O's rows go through shared memory by words.
local function add_needs(know, p)
  local through, classes = know.shape.through and not know.splits, know.classes and true
  local by_hand = know.q_way == "gather" or know.kv_way == "gather" or math.min(know.grain_of(p.d), know.grain_of(p.dv)) < 4
  local sum = know.sum
  local need = {
    same_in_all = p.dropout or classes, anew = sum and (sum.rest or sum.curve.name ~= "s"), advance = not know.paged, hide = know.masks,
    log_r = p.lse, any_lane = true, set_lanes = classes, skip_rows = classes and not know.paged,
    load_shared = not know.has_score or classes, store_shared = through or not know.has_score or classes,
    load_shared4 = through, store_global4 = through, store_shared4 = by_hand,
    copy_async = know.q_way ~= "gather" or know.kv_way ~= "gather", ["pack_" .. know.kind] = not know.split,
    keep_pair = p.dropout and not (know.split or know.paired),
  }
  for _, uses in ipairs { know.code.uses, know.bounds.uses } do
    for name in pairs(uses) do need[name] = true end
  end
  if p.odtype ~= "f32" then need["pack_" .. p.odtype] = true end
  know.need = need
end

-- All of it; `body`: the schedule. A text that is included with it has these names.
--   shape, kind, split    the block's shape; what is multiplied; whether f32, in parts of tf32
--   parts, splits         whether blocks share value columns, or keys
--   rows_all, some_rows   rows of a head, or of all that are packed; those that O and LSE have
--   sum                   the score's summands (gen/summands.lua), or false
--   first_seen, last_seen the keys [first, last) that some of positions i0 to i1 see; first_full, last_full: that all see
--   classes               whether tiles are listed, and by what they differ (common/classify.cu.t), or false
--   philox_at             where in shared memory is what Philox makes of a tile's keys alone (philox.cu.t), 16 bytes for each
--                         lane % 4 of each 16 keys; or false: a schedule may say
--   need                  what the texts need of common/ptx.cu.t and common/math.cu.t; a schedule adds its own
function facts.of(p, cfg, variant, body)
  local know = block(p, cfg, body)
  add_rows(know, p)
  add_scores(know, p, variant)
  add_keys(know, p, cfg, variant, body)
  add_ways(know, p)
  add_needs(know, p)
  know.body = body
  return know
end

-- These names, and more.
function facts.with(know, more)
  local all = {}
  for name, fact in pairs(know) do all[name] = fact end
  for name, fact in pairs(more) do all[name] = fact end
  return all
end

return facts
