-- Where the parts of expressions go before they are printed: levels, lanes, how sums are split, which nodes
-- get a name, how tensors are addressed.

local range = require "gen.range"

local plan = {}
plan.__index = plan

local usual_levels = { b = "head", h = "head", i = "row", j = "column", s = "element" }
local sequence_levels = { sq = "head", sk = "head" } -- where each sequence has its own
local rank = { launch = 1, head = 2, row = 3, column = 3, element = 4 }

local function join(a, b)
  if rank[a] == 3 and rank[b] == 3 and a ~= b then return "element" end
  return rank[a] >= rank[b] and a or b
end

function plan.new(roots, options, inline)
  local self = setmetatable({ ranges = options.ranges, pool = options.ranges.pool, inline = inline,
    homes = setmetatable(options.levels or {}, { __index = usual_levels }), sequences = options.sequences or false,
    indices = options.indices or {},
    levels = {}, sums = {}, reads = {}, uses = {}, loosened = {} }, plan)
  self.lanes = not inline and options.lanes or false
  if inline then return self end
  for _, root in pairs(roots) do self:visit(root, "element") end
  return self
end

---- Levels ----

function plan:level(n)
  local level = self.levels[n.id]
  if not level then
    level = "launch"
    for name in pairs(usual_levels) do
      if n:depends_on(name) then level = join(level, self.homes[name]) end
    end
    for name, own in pairs(self.sequences and sequence_levels or {}) do
      if n:depends_on(name) then level = join(level, own) end
    end
    self.levels[n.id] = level
  end
  return level
end

function plan:is_vector(n)
  return self.lanes and (n:depends_on(self.lanes) or n:depends_on("s")) or false
end

local function is_leaf(n) return n.op == "constant" or n.op == "variable" end

---- Sums ----

local sum_ops = { add = true, sub = true, neg = true }

local function is_sum(n)
  return n.type == "int" and (sum_ops[n.op] or n.op == "mul" and n[1].op == "constant") or false
end

-- The terms as one item, its sign outside where all are negative.
function plan:group(terms, constant)
  local negative = constant <= 0 and #terms > 0
  for _, t in ipairs(terms) do negative = negative and t.factor < 0 end
  local sum = { constant = negative and -constant or constant }
  for k, t in ipairs(terms) do sum[k] = { factor = negative and -t.factor or t.factor, term = t.term } end
  return { factor = negative and -1 or 1, node = range.node(self.pool, sum) }
end

-- What an element adds: what its row gives, what its column gives, the rest.
function plan:split(terms)
  local at = { launch = {}, head = {}, row = {}, column = {}, element = {} }
  for _, t in ipairs(terms) do
    local list = at[self:level(t.term)]
    list[#list + 1] = t
  end
  local fixed, items = table.move(at.launch, 1, #at.launch, #at.head + 1, at.head), {}
  local home = #at.row > 0 and at.row or #at.column > 0 and at.column or fixed
  if home ~= fixed then table.move(fixed, 1, #fixed, #home + 1, home) end
  for _, list in ipairs { at.row, at.column, home == fixed and fixed or {} } do
    local constant = list == home and terms.constant or 0
    if #list > 0 then items[#items + 1] = self:group(list, constant) end
  end
  if #home == 0 and terms.constant ~= 0 then items.constant = terms.constant end
  for _, t in ipairs(at.element) do items[#items + 1] = { factor = t.factor, node = t.term } end
  return items
end

local needed_room = 64 -- nodes of the pool, for groups

local function sorted_items(items, constant)
  local result = {}
  local function add(negative)
    for _, item in ipairs(items) do
      if (item.factor < 0) == negative then result[#result + 1] = item end
    end
    if constant ~= 0 and (constant < 0) == negative then
      result[#result + 1] = { factor = negative and -1 or 1, value = math.abs(constant) }
    end
  end
  add(false)
  add(true)
  if result[1] == nil then result[1] = { factor = 1, value = 0 } end
  -- a constant last, unless it alone has a plus
  for k = 2, #result - 1 do
    if result[k].value and result[k].factor > 0 then table.insert(result, table.remove(result, k)) break end
  end
  return result
end

-- An int sum as { factor=, node= } or { factor=1|-1, value= }, in the order of printing.
function plan:items(n)
  local known = self.sums[n.id]
  if known then return known end
  local terms = range.terms(n)
  local items, constant
  if not self.inline and self:level(n) == "element" and self.pool:room() > needed_room then
    items = self:split(terms)
    constant = items.constant or 0
  else
    items, constant = {}, terms.constant
    for k, t in ipairs(terms) do items[k] = { factor = t.factor, node = t.term } end
  end
  known = sorted_items(items, constant)
  self.sums[n.id] = known
  return known
end

local most_int = 0x7fffffff

-- Whether adding the items from left to right may leave 32 bits, where C knows no result.
function plan:wraps(items)
  local sum = { constant = 0 }
  for _, item in ipairs(items) do
    if math.abs(item.factor) > most_int or item.value and item.value > most_int then return true end
    if item.node then
      local product = { constant = 0, { factor = item.factor, term = item.node } }
      if not self.ranges:fits(product) then return true end
      sum[#sum + 1] = product[1]
    else
      sum.constant = sum.constant + item.factor * item.value
    end
    if not self.ranges:fits(sum) then return true end
  end
  return false
end

---- Reads ----

-- What each index is below.
local domains = { b = { "b_size", "own_b" }, h = { "hq" }, i = { "sq", "most_sq", "own_sq" },
  j = { "sk", "most_sk", "own_sk" } }

-- An index that is certainly inside, as it is; else clamped.
function plan:inside(index, extent)
  local pool, ranges = self.pool, self.ranges
  local name = self.indices[index.id] or index.op == "variable" and index.name
  for _, domain in ipairs(domains[name] or {}) do
    if extent.op == "variable" and extent.name == domain then return index end
  end
  local last = pool:make("sub", extent, pool:int(1))
  if ranges:of(index) < 0 then index = pool:make("max", index, pool:int(0)) end
  return ranges:at_most(index, last) and index or pool:make("min", index, last)
end

-- Index terms by the level at which they join the address: `stages` become pointers, `rest` the access itself.
function plan:read(n)
  local known = self.reads[n.id]
  if known then return known end
  local by_level = { launch = {}, head = {}, row = {}, column = {}, element = {} }
  local extent, level, all = self.pool:tensor(n.name).extent, self:level(n), {}
  for k = 1, #n do
    local index = self:inside(n[k], extent[k])
    if index.op ~= "constant" or index.value ~= 0 then
      all[#all + 1] = { index = index, dim = k - 1 }
    end
  end
  known = { stages = {}, rest = {} }
  -- With lanes only the other dimension's terms are scalars beside what varies in an element; without, a row's
  -- pointer serves all its columns.
  local last_stage = rank[level] < 3 and 0 or rank[level] == 3 and 2 or 3
  local middle = self.lanes == "i" and "column" or "row"
  for _, stage in ipairs { "head", middle } do
    local terms, at = {}, "launch"
    for _, term in ipairs(all) do
      local own = self:level(term.index)
      local fits = not term.stage and rank[stage] <= last_stage and (own == stage or rank[own] < 3)
      if fits and not self.inline then
        term.stage, at, terms[#terms + 1] = stage, join(at, own), term
      end
    end
    if #terms > 0 then known.stages[#known.stages + 1] = { terms = terms, level = at } end
  end
  for _, term in ipairs(all) do
    if not term.stage then known.rest[#known.rest + 1] = term end
  end
  self.reads[n.id] = known
  return known
end

---- Names ----

-- What is printed inside of a node, and the level it is printed at.
function plan:edges(n)
  local list, level = {}, self:level(n)
  if n.op == "read" then
    local read = self:read(n)
    for _, stage in ipairs(read.stages) do
      for _, term in ipairs(stage.terms) do list[#list + 1] = { node = term.index, level = stage.level } end
    end
    for _, term in ipairs(read.rest) do list[#list + 1] = { node = term.index, level = level } end
  elseif is_sum(n) then
    for _, item in ipairs(self:items(n)) do
      if item.node then list[#list + 1] = { node = item.node, level = level } end
    end
  else
    for k = 1, #n do list[k] = { node = n[k], level = level } end
  end
  return list
end

-- i + sk - sq is as good as a name outside of the innermost loop.
function plan:is_cheap(n)
  if not is_sum(n) then return false end
  for _, item in ipairs(self:items(n)) do
    if item.node and not is_leaf(item.node) then return false end
  end
  return true
end

function plan:visit(n, level)
  if is_leaf(n) then return end
  self.uses[n.id] = (self.uses[n.id] or 0) + 1
  if self:level(n) ~= level and (level == "element" or not self:is_cheap(n)) then self.loosened[n.id] = true end
  if self.uses[n.id] > 1 then return end
  for _, edge in ipairs(self:edges(n)) do self:visit(edge.node, edge.level) end
end

function plan:may_name(n) return not self.inline and not is_leaf(n) end

-- Whether the node is a temporary: used more than once, or in a tighter loop than it is computed in.
function plan:is_named(n)
  return self:may_name(n) and (self.loosened[n.id] or (self.uses[n.id] or 0) > 1) or false
end

return plan
