-- The space of a schedule's configs: every choice of one value for each axis that all constraints allow.

local _, host = ...

local space = {}
space.__index = space

---- Making ----

local function check_values(name, values)
  assert(type(values) == "table" and #values > 0, "axis '" .. name .. "' has no values")
  local seen = {}
  for _, value in ipairs(values) do
    local word = type(value) == "string" and value:find("^[%w_.-]+$")
    assert(word or math.type(value) == "integer", "axis '" .. name .. "' has a value that is no integer or word")
    assert(not seen[tostring(value)], "axis '" .. name .. "' has the value '" .. value .. "' twice")
    seen[tostring(value)] = true
  end
  return values
end

-- axes: { {name=, values= a list or function(p, dev), ranked=}, ... }, ranked = false: the prior does not look at
-- it; constraints: { {name=, holds=function(cfg, p, dev)} }
function space.new(axes, constraints, p, dev)
  local self = { axes = {}, values = {}, constraints = constraints, p = p, dev = dev, ranked = 0 }
  for k, axis in ipairs(axes) do
    assert(not self.values[axis.name], "axis '" .. axis.name .. "' comes twice")
    local values = axis.values
    if type(values) == "function" then values = values(p, dev) end
    self.axes[k] = axis.name
    self.values[axis.name] = check_values(axis.name, values)
    if axis.ranked ~= false then self.ranked = k end
  end
  self.names = { table.unpack(self.axes) }
  table.sort(self.names)
  return setmetatable(self, space)
end

---- Walking ----

-- Names the line that reads it: two calls above.
local function no_axis(name) error("the config has no axis '" .. tostring(name) .. "'", 3) end

local strict = { __index = function(_, name) no_axis(name) end }

local function copy(cfg)
  local result = setmetatable({}, strict)
  for name, value in pairs(cfg) do result[name] = value end
  return result
end

-- A config to look at, and `seen.last`, the last axis that was looked at since it was set to 0.
local function watch(self, cfg)
  local place, seen = {}, { last = 0 }
  for k, name in ipairs(self.axes) do place[name] = k end
  return setmetatable({}, {
    __index = function(_, name)
      local k = place[name] or no_axis(name)
      if k > seen.last then seen.last = k end
      return cfg[name]
    end,
    __newindex = function() error("a config is for reading", 2) end,
    __pairs = function()
      seen.last = #self.axes
      return pairs(cfg)
    end,
  }), seen
end

-- A walk's place: one choice for each axis.
local function start(self, pinned)
  local place = { axes = self.axes, values = {}, index = {}, cfg = setmetatable({}, strict) }
  for k, name in ipairs(self.axes) do
    place.values[k] = pinned[name] ~= nil and { pinned[name] } or self.values[name]
    place.index[k], place.cfg[name] = 1, place.values[k][1]
  end
  return place
end

-- How many choices are left, this one included, before axis `depth` or one before it must change.
local function rest(place, depth)
  local choices, done = 1, 0
  for k = #place.axes, depth + 1, -1 do
    done = done + (place.index[k] - 1) * choices
    choices = choices * #place.values[k]
  end
  return choices - done
end

-- To the next choice that differs in axis `depth` or before: the first axis that changed, or nil at the end.
local function advance(place, depth)
  local index, values = place.index, place.values
  while depth > 0 and index[depth] == #values[depth] do depth = depth - 1 end
  if depth == 0 then return nil end
  index[depth] = index[depth] + 1
  for k = depth + 1, #index do index[k] = 1 end
  for k = depth, #index do place.cfg[place.axes[k]] = values[k][index[k]] end
  return depth
end

-- Visits the legal configs that agree with `pinned`, in axis order, the last axis fastest; gives the tally
-- that explain() describes. What a constraint said holds until an axis that it looked at changes, so a
-- violation skips all choices that share it; `exact` asks which constraint comes first at each: then it skips
-- those that also share what the constraints before it looked at. `visit` gets the first axis that changed since
-- it was called last, and may name an axis: then the choices that differ only behind it are skipped.
local function walk(self, pinned, exact, visit)
  local place = start(self, pinned)
  local view, seen = watch(self, place.cfg)
  local tally, holds = { total = 0, legal = 0, removed = {} }, {}
  for k, constraint in ipairs(self.constraints) do tally.removed[k] = { name = constraint.name, count = 0 } end

  -- The first violated constraint, or nil, when `changed` is the first axis to have changed.
  local function violated(changed)
    for k = 1, #self.constraints do
      if holds[k] and holds[k] >= changed then holds[k] = nil end
    end
    for k, constraint in ipairs(self.constraints) do
      if not holds[k] then
        seen.last = 0
        local legal = constraint.holds(view, self.p, self.dev)
        holds[k] = legal and seen.last or nil
        if not legal then return k, exact and math.max(seen.last, table.unpack(holds, 1, k - 1)) or seen.last end
      end
    end
  end

  local changed, fresh = 0, 0
  while changed do
    local k, depth = violated(changed)
    depth, fresh = depth or #self.axes, math.min(fresh, changed)
    local points = rest(place, depth)
    tally.total = tally.total + points
    if k then
      tally.removed[k].count = tally.removed[k].count + points
    else
      tally.legal = tally.legal + 1
      depth, fresh = visit(place.cfg, fresh) or depth, #self.axes
    end
    changed = advance(place, depth)
  end
  return tally
end

-- Iterates the legal configs, in axis order.
function space:points()
  local list, k = {}, 0
  walk(self, {}, false, function(cfg) list[#list + 1] = copy(cfg) end)
  return function()
    k = k + 1
    return list[k]
  end
end

-- Why nothing is legal: the constraints that remove something, with how much.
local function reason(tally)
  local parts = {}
  for _, removed in ipairs(tally.removed) do
    if removed.count > 0 then
      parts[#parts + 1] = ("'%s' excludes %d of %d"):format(removed.name, removed.count, tally.total)
    end
  end
  return table.concat(parts, ", ")
end

-- Number index % count of the legal configs that agree with `pinned`, in axis order, and count; or nil and why.
function space:at(pinned, index)
  local tally = walk(self, pinned, false, function() end)
  if tally.legal == 0 then return nil, reason(tally) end
  local place, found = index % tally.legal, nil
  walk(self, pinned, false, function(cfg)
    if place == 0 then found = copy(cfg) end
    place = place - 1
  end)
  return found, tally.legal
end

---- Choosing ----

local function lists(values, wanted)
  for _, value in ipairs(values) do
    if value == wanted then return true end
  end
  return false
end

-- The config that pinned axes are, if they are all of them; not whether it is legal.
function space:complete(pinned)
  local cfg = {}
  for _, name in ipairs(self.axes) do
    if pinned[name] == nil then return nil end
    cfg[name] = pinned[name]
  end
  return cfg
end

-- Whether a config of the same schedule's space, for other sizes, is a legal one of this.
function space:has(cfg)
  for _, name in ipairs(self.axes) do
    if not lists(self.values[name], cfg[name]) then return false end
  end
  for _, constraint in ipairs(self.constraints) do
    if not constraint.holds(cfg, self.p, self.dev) then return false end
  end
  return true
end

-- { total=, legal=, removed={ {name=, count=}, ... } }: a point counts for the first constraint it violates.
function space:explain(pinned)
  return walk(self, pinned or {}, true, function() end)
end

local function no_prior() return 0 end

-- prior: a function(cfg, p, dev), or nil where the schedule has none.
function space:cost(prior, cfg)
  local cost = (prior or no_prior)(cfg, self.p, self.dev)
  if not math.type(cost) or cost ~= cost then error("the prior of " .. self:format(cfg) .. " is no number") end
  return cost
end

-- The legal config of least cost that agrees with `pinned`, the first of equals; or nil and why.
function space:best(prior, pinned)
  local best, least = nil, nil
  local tally = walk(self, pinned or {}, false, function(cfg)
    local cost = self:cost(prior, cfg)
    if not least or cost < least then best, least = copy(cfg), cost end
    return self.ranked
  end)
  return best, not best and reason(tally) or nil
end

-- All legal configs that agree with `pinned`, as { {config= text, cost=}, ... }, the least cost first, equals in
-- axis order, and explain()'s tally; or nil and why.
function space:ranking(prior, pinned)
  local list, cost = {}, nil
  local tally = walk(self, pinned or {}, true, function(cfg, fresh)
    if fresh <= self.ranked then cost = self:cost(prior, cfg) end
    list[#list + 1] = { config = self:format(cfg), cost = cost }
  end)
  if #list == 0 then return nil, reason(tally) end
  table.sort(list, function(a, b) return a.cost < b.cost end)
  return list, tally
end

---- Text ----

-- As a user wrote it, cut and without control characters.
local function quote(text)
  return "'" .. text:sub(1, 60):gsub("[^%g ]", "?") .. "'"
end

local function value_of(self, name, text)
  local words = {}
  for k, value in ipairs(self.values[name]) do
    words[k] = tostring(value)
    if words[k] == text then return value end
  end
  return nil, "the config gives axis '" .. name .. "' the value " .. quote(text)
    .. ", which is none of " .. table.concat(words, ", ")
end

local function pin(self, name, text)
  if rawget(self.values, name) then return value_of(self, name, text) end
  return nil, "the config names an axis " .. quote(name) .. ", which is none of " .. table.concat(self.names, ", ")
end

-- "k=v ..." as a table of pinned axes; nil and why where it is not of this space.
function space:parse(text)
  local pinned = {}
  for word in text:gmatch("%S+") do
    local name, value = word:match("^([^=]+)=(.*)$")
    if not name then host.fail("FG_REQUEST", "the config has " .. quote(word) .. " where it needs axis=value") end
    if pinned[name] ~= nil then host.fail("FG_REQUEST", "the config gives axis '" .. name .. "' twice") end
    local why
    pinned[name], why = pin(self, name, value)
    if why then return nil, why end
  end
  return pinned
end

-- All axes as "k=v ...", sorted by name.
function space:format(cfg)
  local words = {}
  for k, name in ipairs(self.names) do words[k] = name .. "=" .. cfg[name] end
  return table.concat(words, " ")
end

return space
