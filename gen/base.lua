-- What Lua may use here: no file, clock, address or order of a hash table, so that equal problems give
-- equal text; and no undefined name. Runs first, with Lua's base, table, string and math in reach.
--
-- Gone: load, dofile, loadfile, print, warn, collectgarbage, pcall, xpcall, next, _G, string.dump,
-- math.random. Changed: pairs, table.sort, tostring, string.format, assert, require. New: files, f32,
-- f64, ceildiv. Modules below gen/ are given `host` beside their name: what only they may use.

local host = ...
local globals = _G
local error, load, math_type, move, next, rawget, setmetatable, type, getmetatable =
  error, load, math.type, table.move, next, rawget, setmetatable, type, getmetatable
local concat, format, select, tostring = table.concat, string.format, select, tostring
local min = math.min

---- Order ----

local function less(a, b) return a < b end

local function merge(from, to, first, middle, last, before)
  local left, right = first, middle
  for k = first, last - 1 do
    if left < middle and (right >= last or not before(from[right], from[left])) then
      to[k], left = from[left], left + 1
    else
      to[k], right = from[right], right + 1
    end
  end
end

-- Stable; Lua's own leaves the order of equals to the clock.
local function sort(list, before)
  local n, from, to, width = #list, list, {}, 1
  while width < n do
    for first = 1, n, 2 * width do
      merge(from, to, first, min(first + width, n + 1), min(first + 2 * width, n + 1), before or less)
    end
    from, to, width = to, from, 2 * width
  end
  if from ~= list then move(from, 1, n, 1, list) end
end

-- Numbers before strings.
local function key_before(a, b)
  local a_number, b_number = type(a) == "number", type(b) == "number"
  if a_number == b_number then return a < b end
  return a_number
end

local function sorted_pairs(t)
  if type(t) ~= "table" then error("pairs of a " .. type(t), 2) end
  local meta = getmetatable(t)
  if type(meta) == "table" and meta.__pairs then return meta.__pairs(t) end
  local keys, k = {}, 0
  for key in next, t do
    if type(key) ~= "number" and type(key) ~= "string" then
      error("pairs of a table with a " .. type(key) .. " as key: it has no order", 2)
    end
    keys[#keys + 1] = key
  end
  sort(keys, key_before)
  return function()
    k = k + 1
    if keys[k] ~= nil then return keys[k], rawget(t, keys[k]) end
  end
end

---- Text ----

-- Text that would hold an address is none.
local function plain_tostring(x)
  local kind = type(x)
  if kind == "table" or kind == "userdata" or kind == "function" then
    local meta = getmetatable(x)
    if not (type(meta) == "table" and meta.__tostring) then error("a " .. kind .. " has no text", 2) end
  end
  return tostring(x)
end

-- Strings and integers: floats are printed by f32 and f64.
local function plain_format(pattern, ...)
  if type(pattern) ~= "string" then error("a format is a string, not a " .. type(pattern), 2) end
  for k = 1, select("#", ...) do
    local x = select(k, ...)
    if type(x) ~= "string" and math_type(x) ~= "integer" then
      error(("argument %d of format '%s' is a %s: only strings and integers print"):format(k, pattern,
        math_type(x) or type(x)), 2)
    end
  end
  return format(pattern, ...)
end

local function located_assert(value, sentence, ...)
  if not value then error(sentence or "assertion failed", 2) end
  return value, sentence, ...
end

-- The least integer not below a / b.
local function ceildiv(a, b)
  if math_type(a) ~= "integer" or math_type(b) ~= "integer" or b <= 0 then
    error("ceildiv takes an integer and a positive integer", 2)
  end
  return -(-a // b)
end

---- Modules ----

local loading = {}
local loaded = {}

local function load_module(name)
  local file = name:gsub("%.", "/") .. ".lua"
  local text = (name:find("^gen%.") or name:find("^templates%.")) and host.read(file)
  if not text then error("no module '" .. name .. "': there is no file '" .. file .. "'", 3) end
  local chunk, message = load(text, "@" .. file, "t", globals)
  if not chunk then error(message, 0) end
  return chunk(name, name:find("^gen%.") and host or nil)
end

local function require(name)
  if type(name) ~= "string" then error("require takes a module's name, not a " .. type(name), 2) end
  if loaded[name] == nil then
    if loading[name] then error("module '" .. name .. "' requires itself", 2) end
    loading[name] = true
    loaded[name] = load_module(name)
    if loaded[name] == nil then error("module '" .. name .. "' returns nothing", 2) end
  end
  return loaded[name]
end

---- What remains ----

host.globals = globals
host.load = load

local keep = { "error", "getmetatable", "ipairs", "math", "rawequal", "rawget", "rawlen", "rawset", "select",
  "setmetatable", "string", "table", "tonumber", "type", "_VERSION", "expr" }
local values = { pairs = sorted_pairs, tostring = plain_tostring, assert = located_assert, require = require,
  files = host.list, f32 = host.f32, f64 = host.f64, ceildiv = ceildiv }
for _, name in ipairs(keep) do values[name] = globals[name] end
string.format = plain_format
string.dump = nil
table.sort = sort
math.random = nil
math.randomseed = nil
for name in next, globals do globals[name] = nil end
for name, value in next, values do globals[name] = value end
setmetatable(globals, {
  __index = function(_, name) error("undefined name '" .. tostring(name) .. "'", 2) end,
  __newindex = function(_, name) error("assignment to undefined name '" .. tostring(name) .. "'", 2) end,
  __metatable = false,
})
