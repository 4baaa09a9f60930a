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

-- axes: { {name=, values= a list or function(p, dev)}, ... }, constraints: { {name=, holds=function(cfg, p, dev)} }
function space.new(axes, constraints, p, dev)
  local self = { axes = {}, values = {}, constraints = constraints, p = p, dev = dev }
  for k, axis in ipairs(axes) do
    assert(not self.values[axis.name], "axis '" .. axis.name .. "' comes twice")
    local values = axis.values
    if type(values) == "function" then values = values(p, dev) end
    self.axes[k] = axis.name
    self.values[axis.name] = check_values(axis.name, values)
  end
  return setmetatable(self, space)
end

---- Walking ----

local strict = {
  __index = function(_, name) error("the config has no axis '" .. tostring(name) .. "'", 2) end,
}

local function copy(cfg)
  local result = setmetatable({}, strict)
  for name, value in pairs(cfg) do result[name] = value end
  return result
end

-- Iterates every choice that agrees with `pinned`, the last axis fastest. The table is the same each time.
function space:choices(pinned)
  local cfg, index, values = nil, {}, {}
  for k, name in ipairs(self.axes) do
    values[k] = pinned[name] ~= nil and { pinned[name] } or self.values[name]
  end
  local function start()
    cfg = setmetatable({}, strict)
    for k, name in ipairs(self.axes) do index[k], cfg[name] = 1, values[k][1] end
    return cfg
  end
  return function()
    if not cfg then return start() end
    for k = #self.axes, 1, -1 do
      index[k] = index[k] < #values[k] and index[k] + 1 or 1
      cfg[self.axes[k]] = values[k][index[k]]
      if index[k] > 1 then return cfg end
    end
  end
end

-- The number of the first constraint that `cfg` violates, or nil.
function space:violated(cfg)
  for k, constraint in ipairs(self.constraints) do
    if not constraint.holds(cfg, self.p, self.dev) then return k end
  end
end

-- Iterates the legal configs, in axis order.
function space:points()
  local choice = self:choices {}
  return function()
    for cfg in choice do
      if not self:violated(cfg) then return copy(cfg) end
    end
  end
end

---- Choosing ----

local function count(self, pinned, visit)
  local tally = { total = 0, legal = 0, removed = {} }
  for k, constraint in ipairs(self.constraints) do tally.removed[k] = { name = constraint.name, count = 0 } end
  for cfg in self:choices(pinned) do
    tally.total = tally.total + 1
    local k = self:violated(cfg)
    if k then
      tally.removed[k].count = tally.removed[k].count + 1
    else
      tally.legal = tally.legal + 1
      visit(cfg)
    end
  end
  return tally
end

-- { total=, legal=, removed={ {name=, count=}, ... } }: a point counts for the first constraint it violates.
function space:explain(pinned)
  return count(self, pinned or {}, function() end)
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

-- The legal config of least prior(cfg, p, dev) that agrees with `pinned`, the first of equals; or nil and why.
function space:best(prior, pinned)
  local best, least = nil, nil
  local tally = count(self, pinned or {}, function(cfg)
    local cost = prior(cfg, self.p, self.dev)
    assert(math.type(cost) and cost == cost, "the prior of " .. self:format(cfg) .. " is no number")
    if not least or cost < least then best, least = copy(cfg), cost end
  end)
  if best then return best end
  return nil, reason(tally)
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
  host.fail("FG_REQUEST", "the config gives axis '" .. name .. "' the value " .. quote(text)
    .. ", which is none of " .. table.concat(words, ", "))
end

local function axis_of(self, name)
  if rawget(self.values, name) then return name end
  local names = { table.unpack(self.axes) }
  table.sort(names)
  host.fail("FG_REQUEST", "the config names an axis " .. quote(name) .. ", which is none of "
    .. table.concat(names, ", "))
end

-- "k=v ..." as a table of pinned axes.
function space:parse(text)
  local pinned = {}
  for word in text:gmatch("%S+") do
    local name, value = word:match("^([^=]+)=(.*)$")
    if not name then host.fail("FG_REQUEST", "the config has " .. quote(word) .. " where it needs axis=value") end
    name = axis_of(self, name)
    if pinned[name] ~= nil then host.fail("FG_REQUEST", "the config gives axis '" .. name .. "' twice") end
    pinned[name] = value_of(self, name, value)
  end
  return pinned
end

-- All axes as "k=v ...", sorted by name.
function space:format(cfg)
  local words = {}
  for name, value in pairs(cfg) do words[#words + 1] = name .. "=" .. value end
  return table.concat(words, " ")
end

return space
