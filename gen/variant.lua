-- What a problem does to scores and which keys it hides, as two expressions: composed from the features
-- in templates/variant/, each a small file:
--
--   order     features apply to the score in this order
--   applies   function(p) -> whether the problem asks for it
--   params    { { name=, type="int"|"float" } }: numbers that a run gives
--   tensors   { { name=, type=, extent={dims or numbers}, dims={of the run's tensor, from 0; nil: all} } }
--   score     the new score in terms of s, b, h, i, j, the dims, params and tensors
--   mask      what keeps a key
--   own       true: in a shard's own indices and sizes, else in those of the whole run
--
-- tensors, score and mask may be functions of (p, v), score and mask giving text, a node or nil.
-- v: pool, diagonal (the key that row i stands at), broadcast(name, p's field) -> a tensor and its `read`.

local print = require "gen.print"
local floats = require "gen.floats"
local interval = require "gen.interval"
local ranges = require "gen.range"
local shard = require "gen.shard"
local summands = require "gen.summands"
local tile = require "gen.tile"

local variant = {}
variant.__index = variant

local folder = "templates/variant/"

local function features(p)
  local list = {}
  for _, file in ipairs(files(folder)) do
    local name = file:match("([%w_]+)%.lua$")
    local feature = name and require("templates.variant." .. name)
    if feature and feature.applies(p) then list[#list + 1] = { name = name, body = feature } end
  end
  table.sort(list, function(a, b) return a.body.order < b.body.order end)
  return list
end

---- What features build on ----

-- Of bias and mask: over (b, hq, sq, sk) without the dimensions that broadcast.
local function broadcast(name, field)
  local extents, indices = { "b", "hq", "sq", "sk" }, { "[b]", "[h]", "[i]", "[j]" }
  local t = { name = name, type = field.type, extent = {}, dims = {}, read = name }
  for k = 1, 4 do
    if field.full[k] then
      t.extent[#t.extent + 1], t.dims[#t.dims + 1], t.read = extents[k], k - 1, t.read .. indices[k]
    end
  end
  if #t.dims == 0 then t.extent, t.dims, t.read = { 1 }, { 0 }, name .. "[0]" end
  return t
end

-- `b` names the index, its extent is p.b or b_size. `own`: of a shard's sizes, or nil.
local function extent_node(pool, p, extent, own)
  if own and own[extent] then return own[extent] end
  if extent == "b" then extent = not p.shard and p.b or "b_size" end
  return type(extent) == "string" and pool:symbol(extent) or pool:int(extent)
end

local function all_dims(rank)
  local dims = {}
  for k = 1, rank do dims[k] = k - 1 end
  return dims
end

local element_types = { i32 = "int", u8 = "int" }

function variant:declare(p, feature, v)
  local tensors = feature.tensors or {}
  if type(tensors) == "function" then tensors = tensors(p, v) end
  for _, param in ipairs(feature.params or {}) do
    self.pool:variable(param.name, param.type)
    self.known_params[#self.known_params + 1] = param
  end
  local own = feature.own and self.shard and self.shard.own
  for _, t in ipairs(tensors) do
    local extent = {}
    for k, dim in ipairs(t.extent) do extent[k] = extent_node(self.pool, p, dim, own) end
    t = { name = t.name, type = t.type, extent = t.extent, dims = t.dims or all_dims(#t.extent) }
    self.pool:declare_tensor(t.name, element_types[t.type] or "float", extent)
    self.known_tensors[#self.known_tensors + 1] = t
  end
end

-- The node of a feature's score or mask, or nil.
function variant:node(p, feature, kind, v)
  local source = feature.body[kind]
  if type(source) == "function" then source = source(p, v) end
  if type(source) == "string" then source = self.pool:parse(kind, source, folder .. feature.name .. ".lua") end
  if source and self.shard and not feature.body.own then source = self.shard:place(source) end
  return source
end

function variant:apply(p, feature, v)
  local pool = self.pool
  self:declare(p, feature.body, v)
  local score, mask = self:node(p, feature, "score", v), self:node(p, feature, "mask", v)
  if score then self.score = pool:substitute(score, "s", self.score) end
  if mask then self.keep = self.keep and pool:make("and", self.keep, mask) or mask end
end

---- What the result reads ----

local function walk(node, seen)
  if seen[node.id] then return end
  seen[node.id] = true
  if node.name then seen[node.name] = true end
  for k = 1, #node do walk(node[k], seen) end
end

local function used(list, seen)
  local result = {}
  for _, entry in ipairs(list) do
    if seen[entry.variable or entry.name] then result[#result + 1] = entry end
  end
  return result
end

local function user_tensors(p)
  local list = {}
  for k, t in ipairs(p.tensors) do
    list[k] = { name = t.name, type = t.type, extent = t.extent, dims = all_dims(t.rank) }
  end
  return list
end

-- What a schedule reads itself.
local function mark_read(self, p, seen)
  local names = {}
  for variable, name in pairs(self.shard.names) do names[name] = variable end
  local function mark(...)
    for _, name in ipairs { ... } do seen[names[name]] = true end
  end
  if p.dropout then mark("origin_b", "origin_h", "origin_i", "origin_j", "whole_hq") end
  if p.sinks then mark("origin_h", "origin_j", "whole_sk") end
  for _, t in ipairs(self.reads) do
    for _, extent in ipairs(self.pool:tensor(t.name).extent) do walk(extent, seen) end
  end
end

-- `hooks`: defaults for the options of code and tiles, or nil.
--   pool; score, keep: nodes (score is the variable s where nothing changes it, keep nil without a mask)
--   reads = { { name=, type=, rank=, dims= } }, params = { { name=, type= } }: what the nodes use
function variant.new(p, dev, hooks)
  local pool = expr.pool()
  local self = setmetatable({ pool = pool, p = p, hooks = hooks or {}, keep = false, score = pool:symbol("s"),
    known_params = {}, known_tensors = user_tensors(p) }, variant)
  self.shard = p.shard and shard.new(pool, p, ranges.longest) or false
  for _, param in ipairs(self.shard and self.shard.params or {}) do
    self.known_params[#self.known_params + 1] = param
  end
  local v = { pool = pool, broadcast = broadcast, diagonal = p.causal == "top-left" and "i" or "i + sk - sq" }
  for _, feature in ipairs(features(p)) do self:apply(p, feature, v) end
  for _, t in ipairs(self.known_tensors) do t.rank = #t.dims end
  self.ranges = ranges.new(pool, p, self.known_tensors, self.shard)
  self.keep = self.keep and interval.reduce(self.keep, self.ranges) or nil
  self.score = floats.convert(self.score, self.ranges)
  local seen = {}
  walk(self.score, seen)
  if self.keep then walk(self.keep, seen) end
  self.reads = used(self.known_tensors, seen)
  if self.shard then mark_read(self, p, seen) end
  self.params = used(self.known_params, seen)
  return self
end

-- Whether the mask reads a tensor: nothing but the tensors says then which tiles it leaves.
function variant:mask_reads()
  local seen, found = {}, false
  local function look(n)
    if found or seen[n.id] then return end
    seen[n.id], found = true, n.op == "read"
    for k = 1, #n do look(n[k]) end
  end
  if self.keep then look(self.keep) end
  return found
end

function variant:options(options)
  local all = { ranges = self.ranges, reads = self.reads, sequences = self.p.lens ~= false, real = self.p.dtype == "f64" and "f64" or "f32" }
  if self.shard then all.names, all.indices = self.shard.names, self.shard:indices() end
  for key, value in pairs(self.hooks) do all[key] = value end
  for key, value in pairs(options or {}) do all[key] = value end
  return all
end

-- As print.code; `parts`: further roots.
function variant:code(options, parts)
  local roots = { score = self.score, keep = self.keep }
  for name, node in pairs(parts or {}) do roots[name] = node end
  return print.code(roots, self:options(options))
end

-- As summands.of, and `first`: the diagonal of row i0 as a text; or nil.
function variant:summands(options)
  local sum = summands.of(self.score, self.ranges)
  if not sum or not sum.slope then return sum end
  local first = tile.new(self.ranges):bounds(sum.diagonal)
  sum.first = print.inline({ first = first }, self:options(options)).first
  return sum
end

-- As interval.tiles.
function variant:tiles(options)
  return interval.tiles(self.keep, self:options(options))
end

return variant
