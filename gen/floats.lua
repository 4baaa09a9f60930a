-- Scores in operations that are cheap for each element.
--
-- An int of rows and columns that is used as a float: where both parts are small each becomes a float by itself, once for a
-- row and once for a column, and an element adds floats. The bits are the same: each part is exact, and their sum is rounded
-- once, as the int was. And a quotient of what s makes by a constant becomes a product, which is rounded once more: s is
-- rounded anyway. Quotients of rows and columns stay, as 41 / 41 is 1, and so does whatever jumps.

local range = require "gen.range"

local floats = {}

local exact = 1 << 24 -- what a float holds of ints, all up to it

-- The sum's parts over rows and over columns, each with its sign; nil where one is large or a term is of both.
local function split(n, ranges)
  local row, column = { constant = 0 }, { constant = 0 }
  local terms = range.terms(n)
  if not ranges:fits(terms) then return end
  for _, t in ipairs(terms) do
    local part = t.term:depends_on("j") and column or row
    if part == column and t.term:depends_on("i") or t.term:depends_on("s") then return end
    part[#part + 1] = t
  end
  row.constant = terms.constant
  for _, part in ipairs { row, column } do
    local least, most = ranges:exact(part)
    if not least or least < -exact or most > exact then return end
  end
  return row, column
end

local function is_negative(part)
  for _, t in ipairs(part) do
    if t.factor > 0 then return false end
  end
  return part.constant <= 0
end

-- The sum as a float.
local function as_float(n, ranges)
  if not (n:depends_on("i") and n:depends_on("j")) then return end
  local pool, row, column = ranges.pool, split(n, ranges)
  if not row then return end
  local function float_of(part, sign)
    return pool:make("tofloat", range.node(pool, range.combine(part, sign, { constant = 0 })))
  end
  if is_negative(column) then return pool:make("sub", float_of(row, 1), float_of(column, -1)) end
  if is_negative(row) then return pool:make("sub", float_of(column, 1), float_of(row, -1)) end
  return pool:make("add", float_of(row, 1), float_of(column, 1))
end

local jumps = { floor = true, lt = true, le = true, eq = true, ne = true }

local rules = {}

function rules.tofloat(n, ranges)
  local inside = n[1]
  if inside.op ~= "abs" then return as_float(inside, ranges) end
  local float = as_float(inside[1], ranges)
  return float and ranges.pool:make("abs", float)
end

-- Neither the constant nor its inverse is near the ends of what floats are.
function rules.div(n, ranges, x)
  local by = n[2]
  if by.op ~= "constant" or not n[1]:depends_on("s") then return end
  local size = math.abs(by.value)
  if not (size > 0x1p-100 and size < 0x1p100) then return end
  return ranges.pool:make("mul", ranges.pool:float(1 / by.value), x)
end

-- `root` with both.
function floats.convert(root, ranges)
  local pool, known, count = ranges.pool, {}, 0
  local function look(n)
    if known[n.id] then return end
    known[n.id], count = n, count + 1
    for k = 1, #n do look(n[k]) end
  end
  look(root)
  if pool:room() < 4 * count + 256 then return root end
  known = {}
  local function rebuild(n)
    if jumps[n.op] then return n end
    if known[n.id] then return known[n.id] end
    local operands, changed = {}, false
    for k = 1, #n do
      operands[k] = rebuild(n[k])
      changed = changed or operands[k] ~= n[k]
    end
    local result = rules[n.op] and rules[n.op](n, ranges, operands[1])
    if not result then
      result = not changed and n or n.op == "read" and pool:read(n.name, table.unpack(operands))
        or pool:make(n.op, table.unpack(operands))
    end
    known[n.id] = result
    return result
  end
  return rebuild(root)
end

return floats
