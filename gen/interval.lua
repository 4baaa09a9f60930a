-- What a mask says about whole tiles: bounds on the keys that a block of rows can see, and tests for a tile,
-- from the one expression that the kernel tests for each element.
--
-- Each and-ed part of a mask is looked at by itself. Where it compares one affine term in j with what rows and
-- heads give, it bounds j in closed form ("span"); else it is decided for each tile.

local range = require "gen.range"
local print = require "gen.print"
local tile = require "gen.tile"

local interval = {}

local least_int = -0x80000000

---- Closed forms ----

-- A span says of a bool node: j lies in [first, last) wherever it holds for some row; and, if it is
-- `complete`, that it holds for every row where j lies in [full_first, full_last). No bound: nil.
-- `atoms`: the comparisons that are and-ed in it, each factor * j <= sum.

local nothing = { complete = false, atoms = {} }
local most_atoms = 64 -- they are compared in pairs; more are forgotten

local function join(self, a, b, pick) return a and b and pick(self, a, b) or a or b end

function tile:both(a, b)
  local atoms, more = table.move(a.atoms, 1, #a.atoms, 1, {}), math.min(#b.atoms, most_atoms - #a.atoms)
  return { first = join(self, a.first, b.first, tile.larger), last = join(self, a.last, b.last, tile.smaller),
    full_first = join(self, a.full_first, b.full_first, tile.larger),
    full_last = join(self, a.full_last, b.full_last, tile.smaller),
    complete = a.complete and b.complete, atoms = table.move(b.atoms, 1, more, #atoms + 1, atoms) }
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
--   uses                    helper -> true, as of print.code
-- and the same as nodes. i0..i1 and j0..j1 lie within the sequences. `options` are those of print.code.
function interval.tiles(keep, options)
  if not keep then return { always = true, nodes = {}, uses = {} } end
  local t = tile.new(options.ranges)
  local nodes = t:prune(t:classify(keep))
  local texts, uses = print.inline(nodes, options)
  local result = { always = true, nodes = nodes, uses = uses }
  for name, text in pairs(texts) do result[name], result.always = text, false end
  return result
end

---- Parts that say nothing new ----

-- `keep` without the comparisons that others, or the ranges of i and j, imply; nil where nothing is left.
function interval.reduce(keep, ranges)
  local t = tile.new(ranges)
  local parts = conjuncts(keep)
  if #parts > most_atoms then return keep end
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
