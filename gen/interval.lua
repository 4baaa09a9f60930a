-- What a mask says about whole tiles, by interval arithmetic over their rows i0..i1 and keys j0..j1 (all
-- inclusive): from the one expression that the kernel tests for each element, bounds on the keys that a
-- block of rows can see, and tests for a tile.
--
-- Each and-ed part of a mask is looked at by itself. Where it compares one affine term in j with what rows
-- and heads give, it bounds j ("span"); else it is tested for each tile ("decide"). Ends of intervals are
-- nodes of the pool over i0, i1, j0, j1. Ends lie within what gen.range knows of the node, so arithmetic
-- on them wraps only where the node's own might; there, for floats, and for reads that depend on i or j, the
-- range is all that is known.

local range = require "gen.range"
local print = require "gen.print"

local interval = {}
local tile = {}
tile.__index = tile

local least_int = -0x80000000

local function analysis(ranges)
  local pool = ranges.pool
  local self = { pool = pool, ranges = ranges, known_bounds = {}, known_decisions = {}, known_spans = {} }
  for _, name in ipairs { "i0", "i1", "j0", "j1" } do self[name] = pool:variable(name, "int") end
  self.yes, self.no, self.zero, self.keys = pool:bool(true), pool:bool(false), pool:int(0), pool:symbol("sk")
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

---- Closed forms ----

-- A span says of a bool node: j lies in [first, last) wherever it holds for some row; and, if it is
-- `complete`, that it holds for every row where j lies in [full_first, full_last). No bound: nil.
-- `atoms`: the comparisons that are and-ed in it, each factor * j <= sum.

local nothing = { complete = false, atoms = {} }

local function join(self, a, b, pick) return a and b and pick(self, a, b) or a or b end

function tile:both(a, b)
  local atoms = table.move(a.atoms, 1, #a.atoms, 1, {})
  return { first = join(self, a.first, b.first, tile.larger), last = join(self, a.last, b.last, tile.smaller),
    full_first = join(self, a.full_first, b.full_first, tile.larger),
    full_last = join(self, a.full_last, b.full_last, tile.smaller),
    complete = a.complete and b.complete, atoms = table.move(b.atoms, 1, #b.atoms, #atoms + 1, atoms) }
end

local function loosen(self, a, b, pick) return a and b and pick(self, a, b) or nil end

-- Complete where both bound j on the same one side.
function tile:either(a, b)
  local below = a.last and b.last and not a.first and not b.first
  local above = a.first and b.first and not a.last and not b.last
  local result = { first = loosen(self, a.first, b.first, tile.smaller),
    last = loosen(self, a.last, b.last, tile.larger),
    complete = a.complete and b.complete and (below or above) and true or false, atoms = {} }
  if result.complete then
    result.full_first = loosen(self, a.full_first, b.full_first, tile.smaller)
    result.full_last = loosen(self, a.full_last, b.full_last, tile.larger)
  end
  return result
end

-- factor * term <= sum, where `term` alone depends on j; or nil.
function tile:isolate(n)
  local a, b = range.terms(n[1]), range.terms(n[2])
  if not (self.ranges:fits(a) and self.ranges:fits(b)) then return end
  local all, rest, found = range.combine(a, -1, b), { constant = 0 }, nil
  rest.constant = all.constant - (n.op == "lt" and 1 or 0)
  for _, t in ipairs(all) do
    if not t.term:depends_on("j") then
      rest[#rest + 1] = t
    elseif found then
      return
    else
      found = { factor = -t.factor, term = t.term, sum = rest }
    end
  end
  return found
end

local function shifted(terms, scale, by) return range.combine(terms, scale, { constant = by }) end

-- The sum's node divided and rounded down, or nil where the sum may wrap.
function tile:quotient(terms, by)
  if not self.ranges:fits(terms) then return end
  local node = range.node(self.pool, terms)
  return by == 1 and node or self:make("idiv", node, self.pool:int(by))
end

-- The first j above factor * j <= sum, its bounds over the rows. Where it may wrap, no key is beyond sk.
function tile:upper(terms, factor)
  if factor == 1 and self.ranges:fits(shifted(terms, 1, 1)) then
    return self:bounds(range.node(self.pool, shifted(terms, 1, 1)))
  end
  local last, one = self:quotient(terms, factor), self.pool:int(1)
  if not last then return end
  local lo, hi = self:bounds(last)
  if factor == 1 then
    local end_key = self:make("sub", self.keys, one)
    lo, hi = self:smaller(lo, end_key), self:smaller(hi, end_key)
  end
  return self:make("add", lo, one), self:make("add", hi, one)
end

-- The first j with -factor * j <= sum, its bounds over the rows.
function tile:lower(terms, factor)
  local first = self:quotient(shifted(terms, -1, factor - 1), factor)
  if first then return self:bounds(first) end
  local opposite = self:quotient(terms, factor)
  if not opposite then return end
  local lo, hi = self:bounds(opposite)
  local end_key = self:make("neg", self.keys)
  return self:make("neg", self:larger(hi, end_key)), self:make("neg", self:larger(lo, end_key))
end

-- What term <= limit (or limit <= term) says, for terms with j inside.
local inner = {}

function inner.idiv(self, term, limit, above)
  local by, terms = term[2], range.terms(limit)
  if by.op ~= "constant" or by.value <= 0 or not self.ranges:fits(terms) then return end
  local edge = shifted(terms, by.value, above and 0 or by.value - 1)
  if not self.ranges:fits(edge) then return end
  edge = range.node(self.pool, edge)
  return above and self:make("le", edge, term[1]) or self:make("le", term[1], edge)
end

function inner.abs(self, term, limit, above)
  local x = term[1]
  if self.ranges:of(x) == least_int or self.ranges:of(limit) == least_int then return end
  local minus = self:make("neg", limit)
  if above then return self:make("or", self:make("le", limit, x), self:make("le", x, minus)) end
  return self:make("and", self:make("le", x, limit), self:make("le", minus, x))
end

local function each(op_below, op_above)
  return function(self, term, limit, above)
    local function compare(x) return above and self:make("le", limit, x) or self:make("le", x, limit) end
    return self:make(above and op_above or op_below, compare(term[1]), compare(term[2]))
  end
end
inner.min, inner.max = each("or", "and"), each("and", "or")

local spans = {}

local function affine(self, found)
  local lo, hi
  if found.factor > 0 then
    lo, hi = self:upper(found.sum, found.factor)
    return lo and { last = hi, full_last = lo, complete = true, atoms = { found } }
  end
  lo, hi = self:lower(found.sum, -found.factor)
  return lo and { first = lo, full_first = hi, complete = true, atoms = { found } }
end

function spans.le(self, n)
  local found = n[1].type == "int" and self:isolate(n)
  if not found then return end
  if found.term.op == "variable" then return affine(self, found) end
  local terms, factor, above = found.sum, found.factor, found.factor < 0
  if above then terms, factor = shifted(terms, -1, -factor - 1), -factor end
  local limit = inner[found.term.op] and self:quotient(terms, factor)
  local same = limit and inner[found.term.op](self, found.term, limit, above)
  return same and self:span(same)
end
spans.lt = spans.le

function spans.eq(self, n)
  if n[1].type ~= "int" then return end
  return self:both(self:span(self:make("le", n[1], n[2])), self:span(self:make("le", n[2], n[1])))
end

spans["and"] = function(self, n) return self:both(self:span(n[1]), self:span(n[2])) end
spans["or"] = function(self, n) return self:either(self:span(n[1]), self:span(n[2])) end

spans["not"] = function(self, n)
  local inside = n[1]
  local opposite = inside.op == "and" and "or" or inside.op == "or" and "and"
  if not opposite then return end
  return self:span(self:make(opposite, self:make("not", inside[1]), self:make("not", inside[2])))
end

function spans.where(self, n)
  local c = n[1]
  return self:span(self:make("or", self:make("and", c, n[2]), self:make("and", self:make("not", c), n[3])))
end

function tile:span(n)
  if self:spent() or not n:depends_on("j") or not spans[n.op] then return nothing end
  local known = self.known_spans[n.id]
  if not known then
    known = spans[n.op](self, n) or nothing
    self.known_spans[n.id] = known
  end
  return known
end

---- A whole mask ----

local function conjuncts(keep)
  local list, stack, seen = {}, { keep }, {}
  while #stack > 0 do
    local n = table.remove(stack)
    if n.op == "and" and not seen[n] then
      stack[#stack + 1], stack[#stack + 2] = n[2], n[1]
    elseif not seen[n] then
      list[#list + 1] = n
    end
    seen[n] = true
  end
  return list
end

-- Whether two comparisons leave no j to any row: a band turned inside out.
function tile:contradict(atoms)
  for a = 1, #atoms do
    for b = a + 1, #atoms do
      local x, y = atoms[a], atoms[b]
      if x.factor == -y.factor then
        local _, most = self.ranges:exact(range.combine(x.sum, 1, y.sum))
        if most and most < 0 then return true end
      end
    end
  end
  return false
end

-- Bounds and tests, each a node or nil where it says nothing.
function tile:classify(keep)
  local all, empty, full = { complete = true, atoms = {} }, self.no, self.yes
  for _, part in ipairs(conjuncts(keep)) do
    local span = self:span(part)
    if not span.complete then
      local surely, never = self:decide(part)
      empty, full = self:make("or", empty, never), self:make("and", full, surely)
      span = { first = span.first, last = span.last, atoms = span.atoms }
    end
    all = self:both(all, span)
  end
  if empty == self.yes or self:contradict(all.atoms) then return { last = self.zero, full_last = self.zero } end
  if full == self.no then all.full_first, all.full_last = nil, self.zero end
  local ranges = self.ranges
  local function lower(n) return n and not ranges:at_most(n, self.zero) and n or nil end
  local function upper(n) return n and not ranges:at_most(self.keys, n) and n or nil end
  return { first = lower(all.first), last = upper(all.last), full_first = lower(all.full_first),
    full_last = upper(all.full_last), empty = empty ~= self.no and empty or nil,
    full = full ~= self.yes and full ~= self.no and full or nil }
end

local largest_text = 200 -- nodes, as written out

local function size(n, known)
  if not known[n.id] then
    local total = 1
    for k = 1, #n do total = math.min(total + size(n[k], known), largest_text + 1) end
    known[n.id] = total
  end
  return known[n.id]
end

-- Where a text would cost more than it saves.
function tile:prune(nodes)
  local known = {}
  local function large(n) return n and size(n, known) > largest_text end
  if large(nodes.full_first) or large(nodes.full_last) or large(nodes.full) then
    nodes.full_first, nodes.full_last, nodes.full = nil, self.zero, nil
  end
  for _, name in ipairs { "first", "last", "empty" } do
    if large(nodes[name]) then nodes[name] = nil end
  end
  return nodes
end

-- What `keep` (or nil) says about tiles, as texts in scalars over b, h and the tile's ends, and launch values:
--   first, last             every visible key lies in [first, last); may lie outside [0, sk]; nil: no bound
--   full_first, full_last   a tile with its keys in [full_first, full_last) is full if `full` holds too
--   empty, full             nil where there is nothing to test
--   always                  true where every key is visible
-- and the same as nodes. i0..i1 and j0..j1 lie within the sequences. `options` are those of print.code.
function interval.tiles(keep, options)
  if not keep then return { always = true, nodes = {} } end
  local t = analysis(options.ranges)
  local nodes = t:prune(t:classify(keep))
  local result = { always = true, nodes = nodes }
  for name, text in pairs(print.inline(nodes, options)) do result[name], result.always = text, false end
  return result
end

---- Parts that say nothing new ----

local most_parts = 64

-- `keep` without the comparisons that others, or the ranges of i and j, imply; nil where nothing is left.
function interval.reduce(keep, ranges)
  local t = analysis(ranges)
  local parts = conjuncts(keep)
  if #parts > most_parts then return keep end
  local last_key = { constant = -1, { factor = 1, term = t.keys } }
  local found, result = {}, nil
  for k, part in ipairs(parts) do
    local atom = (part.op == "le" or part.op == "lt") and part[1].type == "int" and t:isolate(part)
    found[k] = atom and atom.term.op == "variable" and atom or false
  end
  local function never_less(a, b) -- whether a >= b
    local lo = ranges:exact(range.combine(b, -1, a))
    return lo ~= nil and lo >= 0
  end
  local function implied(k)
    local atom = found[k]
    if not atom then return false end
    local trivial = atom.factor > 0 and range.combine(last_key, atom.factor, { constant = 0 }) or { constant = 0 }
    if never_less(atom.sum, trivial) then return true end
    for other = 1, #parts do
      local x = other ~= k and found[other]
      if x and x.factor == atom.factor and never_less(atom.sum, x.sum) then return true end
    end
    return false
  end
  for k, part in ipairs(parts) do
    if implied(k) then
      found[k] = false
    else
      result = result and t:make("and", result, part) or part
    end
  end
  return result
end

return interval
