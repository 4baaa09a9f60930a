-- Interval arithmetic over a tile: rows i0..i1 and keys j0..j1, all inclusive. Ends of intervals are nodes of
-- the pool over i0, i1, j0, j1, so that they print as the kernel's own arithmetic.
--
-- Ends lie within what gen.range knows of the node, so arithmetic on them wraps only where the node's own might.
-- There, for reads that depend on i or j, and for most floats, that range is all that is known.

local range = require "gen.range"

local tile = {}
tile.__index = tile

local least_int = -0x80000000

-- The variable of this name, or where a tensor has it, with _ behind it (gen.print drops that).
local function end_of_tile(ranges, name)
  local free = name
  while ranges.pool:tensor(free) do free = free .. "_" end
  ranges.box[free] = ranges.box[name:sub(1, 1)]
  return ranges.pool:variable(free, "int")
end

function tile.new(ranges)
  local pool = ranges.pool
  local self = { pool = pool, ranges = ranges, known_bounds = {}, known_decisions = {}, known_spans = {} }
  for _, name in ipairs { "i0", "i1", "j0", "j1" } do self[name] = end_of_tile(ranges, name) end
  self.yes, self.no, self.zero, self.keys = pool:bool(true), pool:bool(false), pool:int(0), ranges.keys
  self.least, self.most = pool:int(least_int), pool:int(0x7fffffff)
  self.reserve = math.max(pool:room() - 2000, pool:room() * 3 // 4)
  return setmetatable(self, tile)
end

-- Large masks may outgrow the pool: then nothing more is known.
function tile:spent() return self.pool:room() < self.reserve end

function tile:make(op, ...) return self.pool:make(op, ...) end

local function moves(n) return n:depends_on("i") or n:depends_on("j") end

function tile:smaller(a, b)
  if self.ranges:at_most(a, b) then return a end
  return self.ranges:at_most(b, a) and b or self:make("min", a, b)
end

function tile:larger(a, b)
  if self.ranges:at_most(a, b) then return b end
  return self.ranges:at_most(b, a) and a or self:make("max", a, b)
end

-- a <= b, with what is subtracted on the other side: i1 + 5 <= j0.
function tile:at_most(a, b)
  local ranges = self.ranges
  if ranges:at_most(a, b) then return self.yes end
  local x, y = range.terms(a), range.terms(b)
  if not (ranges:fits(x) and ranges:fits(y)) then return self:make("le", a, b) end
  local left, right = { constant = 0 }, { constant = 0 }
  local difference = range.combine(y, -1, x)
  for _, t in ipairs(difference) do
    local side = t.factor > 0 and left or right
    side[#side + 1] = { factor = math.abs(t.factor), term = t.term }
  end
  local side = difference.constant > 0 and left or right
  side.constant = math.abs(difference.constant)
  local _, most = ranges:exact(difference)
  if most and most <= 0 then return self.yes end
  local least = ranges:exact(difference)
  if least and least > 0 then return self.no end
  if not (ranges:fits(left) and ranges:fits(right)) then return self:make("le", a, b) end
  return self:make("le", range.node(self.pool, left), range.node(self.pool, right))
end

function tile:less(a, b) return self:make("not", self:at_most(b, a)) end

---- Ends of an interval ----

local ends = {}

function ends.variable(self, n)
  if n.name == "i" then return self.i0, self.i1 end
  return self.j0, self.j1
end

local function sum(self, n)
  local terms = range.terms(n)
  if not self.ranges:fits(terms) then return end
  local lo, hi = { constant = terms.constant }, { constant = terms.constant }
  for k, t in ipairs(terms) do
    local a, b = self:bounds(t.term)
    if t.factor < 0 then a, b = b, a end
    lo[k], hi[k] = { factor = t.factor, term = a }, { factor = t.factor, term = b }
  end
  return range.node(self.pool, lo), range.node(self.pool, hi)
end
ends.add, ends.sub, ends.neg = sum, sum, sum

function ends.abs(self, n)
  local a, b = self:bounds(n[1])
  if self.ranges:of(n[1]) == least_int then return end
  local minus_a, minus_b = self:make("neg", a), self:make("neg", b)
  return self:larger(self:larger(a, minus_b), self.zero), self:larger(minus_a, b)
end

function ends.mul(self, n)
  if n[1].op == "constant" then return sum(self, n) end
  if not self.ranges:is_exact(n) then return end
  if n[1] == n[2] then
    local a, b = self:bounds(self:make("abs", n[1]))
    return self:make("mul", a, a), self:make("mul", b, b)
  end
  local a, b = self:bounds(n[1])
  local c, d = self:bounds(n[2])
  if self.ranges:of(n[1]) >= 0 and self.ranges:of(n[2]) >= 0 then
    return self:make("mul", a, c), self:make("mul", b, d)
  end
  local w, x, y, z = self:make("mul", a, c), self:make("mul", a, d), self:make("mul", b, c), self:make("mul", b, d)
  return self:smaller(self:smaller(w, x), self:smaller(y, z)), self:larger(self:larger(w, x), self:larger(y, z))
end

function ends.min(self, n)
  local a, b = self:bounds(n[1])
  local c, d = self:bounds(n[2])
  return self:smaller(a, c), self:smaller(b, d)
end

function ends.max(self, n)
  local a, b = self:bounds(n[1])
  local c, d = self:bounds(n[2])
  return self:larger(a, c), self:larger(b, d)
end

-- By what is positive everywhere. What is divided may have any sign.
function ends.idiv(self, n)
  if self.ranges:of(n[2]) <= 0 then return end
  local a, b = self:bounds(n[1])
  local c, d = self:bounds(n[2])
  local least, most = self.ranges:of(n[1])
  local function quotient(x, y) return self:make("idiv", x, y) end
  if c == d then return quotient(a, c), quotient(b, c) end
  if least >= 0 then return quotient(a, d), quotient(b, c) end
  if most <= 0 then return quotient(a, c), quotient(b, d) end
  return self:smaller(quotient(a, c), quotient(a, d)), self:larger(quotient(b, c), quotient(b, d))
end

-- Within one period the remainder grows with what is divided.
function ends.mod(self, n)
  local c, d = self:bounds(n[2])
  if self.ranges:of(n[2]) <= 0 then return end
  local last = self:make("sub", d, self.pool:int(1))
  if c ~= d then return self.zero, last end
  local a, b = self:bounds(n[1])
  local same = self:make("eq", self:make("idiv", a, c), self:make("idiv", b, c))
  return self:make("where", same, self:make("mod", a, c), self.zero),
    self:make("where", same, self:make("mod", b, c), last)
end

function ends.where(self, n)
  local surely, never = self:decide(n[1])
  local a, b = self:bounds(n[2])
  local c, d = self:bounds(n[3])
  local function choose(x, y, either)
    return self:make("where", surely, x, self:make("where", never, y, either))
  end
  return choose(a, c, self:smaller(a, c)), choose(b, d, self:larger(b, d))
end

-- Least and most of an int node over the tile.
function tile:bounds(n)
  if not moves(n) then return n, n end
  local known = self.known_bounds[n.id]
  if known then return known[1], known[2] end
  if self:spent() then return self.least, self.most end
  local least, most = self.ranges:of(n)
  local lo, hi
  if ends[n.op] then lo, hi = ends[n.op](self, n) end
  if not lo then lo, hi = self.least, self.most end
  local _, high = self.ranges:of(hi)
  if self.ranges:of(lo) < least then lo = self:larger(lo, self.pool:int(least)) end
  if high > most then hi = self:smaller(hi, self.pool:int(most)) end
  self.known_bounds[n.id] = { lo, hi }
  return lo, hi
end

-- Of a float node; nil where unknown. One rounded operation is monotonic; two might be contracted to one,
-- differently here than in the kernel.
function tile:float_bounds(n)
  if not moves(n) then return n, n end
  if n.op == "tofloat" then
    local a, b = self:bounds(n[1])
    return self:make("tofloat", a), self:make("tofloat", b)
  end
  local number, other = n[1], n[2]
  if n.op == "div" then number, other = n[2], n[1] end
  if n.op ~= "mul" and n.op ~= "div" or number.op ~= "constant" or other.op ~= "tofloat" then return end
  local size = math.abs(number.value)
  if not (size > 1e-9 and size < 1e9) then return end
  local a, b = self:float_bounds(other)
  if number.value < 0 then a, b = b, a end
  if n.op == "div" then return self:make("div", a, number), self:make("div", b, number) end
  return self:make("mul", a, number), self:make("mul", b, number)
end

---- What is certain on a tile ----

local certain = {}

local function compared(self, n)
  local a, b = n[1], n[2]
  if a.type == "float" then
    local lo, hi = self:float_bounds(a)
    local low, high = self:float_bounds(b)
    if not (lo and low) then return end
    local function make(op, x, y) return self:make(op, x, y) end
    return make, lo, hi, low, high
  end
  local function make(op, x, y)
    if op == "le" then return self:at_most(x, y) end
    return self:less(x, y)
  end
  local x, y = range.terms(a), range.terms(b)
  local difference = range.combine(y, -1, x)
  local shared = a:depends_on("i") and b:depends_on("i") or a:depends_on("j") and b:depends_on("j")
  if shared and self.ranges:fits(x) and self.ranges:fits(y) and self.ranges:fits(difference) then
    local lo, hi = self:bounds(range.node(self.pool, difference))
    return make, lo, hi, self.zero, self.zero
  end
  local lo, hi = self:bounds(a)
  return make, lo, hi, self:bounds(b)
end

function certain.le(self, n)
  local make, lo, hi, low, high = compared(self, n)
  if make then return make("le", hi, low), make("lt", high, lo) end
end

function certain.lt(self, n)
  local make, lo, hi, low, high = compared(self, n)
  if make then return make("lt", hi, low), make("le", high, lo) end
end

function certain.eq(self, n)
  local make, lo, hi, low, high = compared(self, n)
  if not make then return end
  return self:make("and", make("le", hi, low), make("le", high, lo)),
    self:make("or", make("lt", hi, low), make("lt", high, lo))
end

function certain.ne(self, n)
  local surely, never = certain.eq(self, n)
  return never, surely
end

certain["not"] = function(self, n)
  local surely, never = self:decide(n[1])
  return never, surely
end

certain["and"] = function(self, n)
  local a, not_a = self:decide(n[1])
  local b, not_b = self:decide(n[2])
  return self:make("and", a, b), self:make("or", not_a, not_b)
end

certain["or"] = function(self, n)
  local a, not_a = self:decide(n[1])
  local b, not_b = self:decide(n[2])
  return self:make("or", a, b), self:make("and", not_a, not_b)
end

function certain.where(self, n)
  local c, not_c = self:decide(n[1])
  local a, not_a = self:decide(n[2])
  local b, not_b = self:decide(n[3])
  local function choose(x, y)
    local both = self:make("and", x, y)
    return self:make("or", both, self:make("or", self:make("and", c, x), self:make("and", not_c, y)))
  end
  return choose(a, b), choose(not_a, not_b)
end

-- When a bool node holds for all of the tile, and when for none of it: nodes, `no` where never known.
function tile:decide(n)
  if not moves(n) then return n, self:make("not", n) end
  local known = self.known_decisions[n.id]
  if known then return known[1], known[2] end
  local surely, never
  if certain[n.op] and not self:spent() then surely, never = certain[n.op](self, n) end
  if not surely then surely, never = self.no, self.no end
  self.known_decisions[n.id] = { surely, never }
  return surely, never
end

return tile
