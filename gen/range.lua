-- What values an int node can take, as two numbers: over all rows, columns, heads and whatever a run
-- brings. Sums are looked at as wholes: integers wrap, so a sum whose exact value fits 32 bits is exact
-- however its terms were added.

local range = {}
range.__index = range

local least, most = -0x80000000, 0x7fffffff

local longest_length, most_batches, widest_window = 1 << 28, 1 << 20, 1 << 29

-- The most that sizes of whole runs may be.
range.longest = { b = most_batches, hq = most_batches, hkv = most_batches, sq = longest_length, sk = longest_length }

local element_ranges = { u8 = { 0, 255 } }

-- name -> { least, most } of a variable or of a tensor's elements.
local function limits(p, tensors, shard)
  local function below(extent) return { 0, math.max(extent - 1, 0) } end
  local box = {
    b = below(p.b or most_batches), h = below(p.hq),
    i = below(p.sq or longest_length), j = below(p.sk or longest_length),
    b_size = { 0, most_batches }, sq = { 0, p.sq or longest_length }, sk = { 0, p.sk or longest_length },
    most_sq = { 0, longest_length }, most_sk = { 0, longest_length },
    window_left = { 0, widest_window }, window_right = { 0, widest_window },
  }
  for _, t in ipairs(tensors) do box[t.name] = element_ranges[t.type] end
  for name, limit in pairs(shard and shard.limits or {}) do box[name] = limit end
  return box
end

-- `shard`: as gen.shard makes it, or nil. keys: how many a sequence has here.
function range.new(pool, p, tensors, shard)
  local keys = shard and shard.own.sk or pool:symbol("sk")
  return setmetatable({ pool = pool, box = limits(p, tensors, shard), keys = keys, known = {} }, range)
end

---- Sums ----

local longest_sum = 128

-- An int node as constant + sum of factor * term: { constant=, { factor=, term= }, ... }.
function range.terms(node)
  local sum = { constant = 0 }
  local function add(e, factor)
    if e.op == "constant" then
      sum.constant = sum.constant + factor * e.value
    elseif e.op == "neg" then
      sum[#sum + 1] = { factor = -factor, term = e[1] }
    elseif e.op == "mul" and e[1].op == "constant" then
      sum[#sum + 1] = { factor = factor * e[1].value, term = e[2] }
    else
      sum[#sum + 1] = { factor = factor, term = e }
    end
  end
  while (node.op == "add" or node.op == "sub") and #sum < longest_sum do
    add(node[2], node.op == "add" and 1 or -1)
    node = node[1]
  end
  add(node, 1)
  for k = 1, #sum // 2 do sum[k], sum[#sum + 1 - k] = sum[#sum + 1 - k], sum[k] end
  return sum
end

-- scale * a + b, terms joined.
function range.combine(a, scale, b)
  local sum, at = { constant = scale * a.constant + b.constant }, {}
  local function add(t, factor)
    local k = at[t.term.id]
    if not k then
      k = #sum + 1
      at[t.term.id], sum[k] = k, { factor = 0, term = t.term }
    end
    sum[k].factor = sum[k].factor + factor
  end
  for _, t in ipairs(a) do add(t, scale * t.factor) end
  for _, t in ipairs(b) do add(t, t.factor) end
  local kept = { constant = sum.constant }
  for _, t in ipairs(sum) do
    if t.factor ~= 0 then kept[#kept + 1] = t end
  end
  return kept
end

-- The sum's node; it has the sum's value where that fits.
function range.node(pool, sum)
  local function wrapped(x) return pool:int((x + 0x80000000 & 0xffffffff) - 0x80000000) end
  local node = wrapped(sum.constant)
  for _, t in ipairs(sum) do
    node = pool:make("add", node, pool:make("mul", wrapped(t.factor), t.term))
  end
  return node
end

local huge = 1 << 52 -- beyond it 64 bits might not hold a sum

-- The exact least and most of a sum, or nil where they are huge.
function range:exact(sum)
  local lo, hi = sum.constant, sum.constant
  for _, t in ipairs(sum) do
    local a, b = self:of(t.term)
    if math.abs(t.factor) > 1 << 32 then return end
    a, b = t.factor * a, t.factor * b
    if a > b then a, b = b, a end
    if a < -huge or b > huge then return end
    lo, hi = lo + a, hi + b
  end
  if lo >= -huge and hi <= huge then return lo, hi end
end

function range:fits(sum)
  local lo, hi = self:exact(sum)
  return lo ~= nil and lo >= least and hi <= most
end

---- Ops ----

local ops = {}

local function corners(f, a, b, c, d)
  local w, x, y, z = f(a, c), f(a, d), f(b, c), f(b, d)
  return math.min(w, x, y, z), math.max(w, x, y, z)
end

local function sum_of(self, n) return self:exact(range.terms(n)) end
ops.add, ops.sub, ops.neg = sum_of, sum_of, sum_of

function ops.constant(self, n) return n.value, n.value end

local function named(self, n)
  local box = self.box[n.name]
  if box then return box[1], box[2] end
end
ops.variable, ops.read = named, named

function ops.mul(self, n)
  if n[1].op == "constant" then return sum_of(self, n) end
  local a, b = self:of(n[1])
  if n[1] == n[2] then
    local far = math.max(math.abs(a), math.abs(b))
    local near = (a > 0 or b < 0) and math.min(math.abs(a), math.abs(b)) or 0
    return near * near, far * far
  end
  return corners(function(x, y) return x * y end, a, b, self:of(n[2]))
end

function ops.abs(self, n)
  local a, b = self:of(n[1])
  local far = math.max(math.abs(a), math.abs(b))
  return (a > 0 or b < 0) and math.min(math.abs(a), math.abs(b)) or 0, far
end

function ops.min(self, n)
  local a, b = self:of(n[1])
  local c, d = self:of(n[2])
  return math.min(a, c), math.min(b, d)
end

function ops.max(self, n)
  local a, b = self:of(n[1])
  local c, d = self:of(n[2])
  return math.max(a, c), math.max(b, d)
end

function ops.where(self, n)
  local a, b = self:of(n[2])
  local c, d = self:of(n[3])
  return math.min(a, c), math.max(b, d)
end

function ops.idiv(self, n)
  local a, b = self:of(n[1])
  local c, d = self:of(n[2])
  if c > 0 or d < 0 then return corners(function(x, y) return x // y end, a, b, c, d) end
  local far = math.max(math.abs(a), math.abs(b)) -- by 0 gives 0
  return -far, far
end

function ops.mod(self, n)
  local a, b = self:of(n[1])
  local c, d = self:of(n[2])
  if c == d and c > 0 and a // c == b // c then return a % c, b % c end
  if c > b and a >= 0 then return a, b end
  local lo, hi = c < 0 and c + 1 or 0, d > 0 and d - 1 or 0
  if c > 0 and a >= 0 then hi = math.min(hi, b) end
  return lo, hi
end

-- Least and most of an int node; of one that may wrap, or comes from a float, all of 32 bits.
function range:of(node)
  local known = self.known[node.id]
  if not known then
    local op = ops[node.op]
    local lo, hi
    if op then lo, hi = op(self, node) end
    local exact = lo ~= nil and lo >= least and hi <= most
    if not exact then lo, hi = least, most end
    known = { lo, hi, exact }
    self.known[node.id] = known
  end
  return known[1], known[2]
end

-- Whether the op itself cannot wrap.
function range:is_exact(node)
  self:of(node)
  return self.known[node.id][3]
end

-- Whether a <= b, whatever the variables are.
function range:at_most(a, b)
  local _, high = self:of(a)
  if high <= self:of(b) then return true end
  local x, y = range.terms(a), range.terms(b)
  if not (self:fits(x) and self:fits(y)) then return false end
  local lo = self:exact(range.combine(x, -1, y))
  return lo ~= nil and lo >= 0
end

return range
