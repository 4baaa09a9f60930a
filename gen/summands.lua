-- A score as a sum: what s gives, a multiple of how far a key is from its row's place, as ALiBi has it in whatever words,
-- and the rest. A kernel makes such a score from a row's part and a column's.

local range = require "gen.range"

local summands = {}

local most_terms = 32

---- Distances ----

local function is_fixed(n) return not (n:depends_on("s") or n:depends_on("i") or n:depends_on("j")) end

-- Of an int sum that does not wrap, with i and j once each, opposite, and else what all rows and columns share: the key that a row
-- stands at, as a node, and the factor of (that key - j); or nil.
local function diagonal_of(terms, ranges)
  local sum, by = { constant = terms.constant }, { i = 0, j = 0 }
  for _, t in ipairs(terms) do
    if t.term.op == "variable" and by[t.term.name] then
      by[t.term.name] = t.factor
    elseif not is_fixed(t.term) then
      return
    end
    if t.term.name ~= "j" then sum[#sum + 1] = t end
  end
  if math.abs(by.j) ~= 1 or by.i ~= -by.j then return end
  local key = range.combine(sum, by.i, { constant = 0 })
  return ranges:fits(terms) and ranges:fits(key) and range.node(ranges.pool, key) or nil, by.i
end

-- An int as a float, or a sum or difference of two, as an int sum; or nil.
local function terms_of(n)
  if n.op == "tofloat" then return range.terms(n[1]) end
  if (n.op == "add" or n.op == "sub") and n[1].op == "tofloat" and n[2].op == "tofloat" then
    return range.combine(range.terms(n[2][1]), n.op == "sub" and -1 or 1, range.terms(n[1][1]))
  end
end

-- { diagonal=, factor=, sided= (its absolute value) } or nil.
local function match_distance(n, ranges)
  local sided, terms = false, terms_of(n)
  if n.op == "abs" then
    sided, terms = true, terms_of(n[1])
  elseif n.op == "tofloat" and n[1].op == "abs" then
    sided, terms = true, range.terms(n[1][1])
  end
  if not terms then return end
  local diagonal, factor = diagonal_of(range.combine(terms, 1, { constant = 0 }), ranges)
  return diagonal and { diagonal = diagonal, factor = sided and 1 or factor, sided = sided }
end

---- Sums ----

-- Those of a float node, { node=, factor=1|-1 }, a distance being one; nil where they are many.
local function list_of(score, ranges)
  local list, stack = {}, { { node = score, factor = 1 } }
  while #stack > 0 do
    local x = table.remove(stack)
    local n, factor = x.node, x.factor
    if (n.op == "add" or n.op == "sub") and not match_distance(n, ranges) then
      stack[#stack + 1] = { node = n[2], factor = n.op == "add" and factor or -factor }
      stack[#stack + 1] = { node = n[1], factor = factor }
    elseif n.op == "neg" then
      stack[#stack + 1] = { node = n[1], factor = -factor }
    else
      list[#list + 1] = x
    end
    if #list + #stack > most_terms then return end
  end
  return list
end

-- A summand as slope * distance, or nil.
local function match(x, ranges)
  local pool = ranges.pool
  local function leaning(slope, n)
    local found = match_distance(n, ranges)
    if not found then return end
    found.slope = x.factor * found.factor < 0 and pool:make("neg", slope) or slope
    return found
  end
  if x.node.op ~= "mul" then return leaning(pool:float(1), x.node) end
  for k = 1, 2 do
    local found = is_fixed(x.node[k]) and leaning(x.node[k], x.node[3 - k])
    if found then return found end
  end
end

local function along_keys(nodes)
  local names, seen = {}, {}
  local function look(n)
    if seen[n.id] then return end
    seen[n.id] = true
    if n.op == "read" and #n > 0 and n[#n]:depends_on("j") and not seen[n.name] then
      seen[n.name], names[#names + 1] = true, n.name
    end
    for k = 1, #n do look(n[k]) end
  end
  for _, n in ipairs(nodes) do look(n) end
  return names
end

-- score = curve + slope * (diagonal - j) + rest, `sided`: slope * |diagonal - j|; nil where nothing but s makes it.
--   curve      a node over s
--   slope      a node over b and h, or nil
--   diagonal   an int node over b, h and i: i and what is the same for all rows
--   rest       a node without s, or nil
--   along      names of the tensors that curve and rest read along keys: their last index depends on j
function summands.of(score, ranges)
  local pool, result = ranges.pool, {}
  local function join(name, x)
    local sum = result[name]
    if sum then
      result[name] = pool:make(x.factor < 0 and "sub" or "add", sum, x.node)
    else
      result[name] = x.factor < 0 and pool:make("neg", x.node) or x.node
    end
  end
  for _, x in ipairs(list_of(score, ranges) or {}) do
    local bends = x.node:depends_on("s")
    local found = not bends and not result.slope and match(x, ranges)
    if found then
      result.slope, result.diagonal, result.sided = found.slope, found.diagonal, found.sided
    else
      join(bends and "curve" or "rest", x)
    end
  end
  if not result.curve or not (result.slope or result.rest) then return end
  result.along = along_keys { result.curve, result.rest }
  return result
end

return summands
