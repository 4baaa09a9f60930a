-- A shard's place in a whole run. Expressions call the whole run's indices b h i j and its sizes hq hkv sq sk; a kernel
-- counts from 0 to its own. So an index becomes the kernel's own plus its origin, which a run gives, as it does the
-- whole sizes:
--
--   own      b, hq, sq, sk: nodes of the shard's own sizes
--   index    b, h, i, j: nodes of the whole run's indices
--   params   { { name= in C and in a run, type="int", variable= in the pool } }
--   names    variable in the pool -> its name in C
--   limits   variable in the pool -> { least, most }

local shard = {}
shard.__index = shard

local sizes = { b = "b", h = "hq", i = "sq", j = "sk" } -- of the indices
local variables = { b = "b_size", hq = "hq", hkv = "hkv", sq = "sq", sk = "sk" } -- of the whole sizes, in the pool

-- A user's tensor may have the name.
local function new_variable(pool, name)
  while pool:tensor(name) do name = name .. "_" end
  return pool:variable(name, "int"), name
end

function shard:add_param(variable, name, least, most)
  self.params[#self.params + 1] = { name = name, type = "int", variable = variable }
  self.names[variable], self.limits[variable] = name, { least, most }
end

-- `most`: of each size.
function shard.new(pool, p, most)
  local self = setmetatable({ pool = pool, own = {}, index = {}, params = {}, names = {}, limits = {} }, shard)
  for index, size in pairs(sizes) do
    local origin, name = new_variable(pool, "origin_" .. index)
    self.index[index] = pool:make("add", pool:symbol(index), origin)
    self:add_param(name, "origin_" .. index, 0, most[size] - (p[size] or 0))
    self.own[size] = p[size] and pool:int(p[size])
    if not p[size] then
      self.own[size], name = new_variable(pool, "own_" .. size)
      self.names[name], self.limits[name] = size == "b" and "b_size" or size, { 0, most[size] }
    end
  end
  for size, variable in pairs(variables) do
    self:add_param(variable, "whole_" .. size, p[size] or 0, most[size])
  end
  return self
end

-- A node in the whole run's terms, in the kernel's.
function shard:place(node)
  for index, whole in pairs(self.index) do node = self.pool:substitute(node, index, whole) end
  return node
end

-- node.id -> which index of the whole run it is.
function shard:indices()
  local result = {}
  for index, node in pairs(self.index) do result[node.id] = index end
  return result
end

return shard
