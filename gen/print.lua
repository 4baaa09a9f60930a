-- Expressions as text in the kernel's language: each part placed at the loosest level that its variables
-- allow, what is used twice named once, the rest written in line with the parentheses it needs.
--
-- Levels: launch, head (b, h), row (i), column (j), element. Integer sums of an element are split into what
-- rows and what columns give, which is exact as integers wrap; elsewhere operations stay as the expression
-- has them, so the same expression gives the same bits wherever it is printed.

local plan = require "gen.plan"

local print = {}
local printer = {}
printer.__index = printer

local default_dialect = "templates.target.c_ops"

local function new_printer(roots, options, inline)
  local dialect = options.dialect or require(default_dialect)
  local self = setmetatable({ dialect = dialect, ranges = options.ranges, helpers = {}, named = {}, pointers = {},
    spell = options.spell or dialect.spell, tensor = options.tensor or function(name) return name end,
    stride = options.stride or function(name, dim) return name .. "_" .. dim end,
    float = dialect.floats[options.real or "f32"], names = options.names or {}, taken = {}, order = {} }, printer)
  self.plan = plan.new(roots, options, inline)
  for word in dialect.words:gmatch("%S+") do self.taken[word] = true end
  for _, word in ipairs(options.taken or {}) do self.taken[word] = true end
  for _, name in pairs(self.names) do self.taken[name] = true end
  self.types = {}
  for _, read in ipairs(options.reads) do
    self.types[read.name] = read.type
    self.taken[self.tensor(read.name)] = true
    for k = 0, 3 do self.taken[self.stride(read.name, k)] = true end
  end
  return self
end

---- Words ----

local function pick(pair, vector) return pair[vector and 2 or 1] end

function printer:type_of(type) return type == "float" and self.float or self.dialect[type] end

function printer:helper(name, type, vector)
  local full = name .. "_" .. pick(self:type_of(type).suffix, vector)
  self.helpers[full] = true
  return full
end

function printer:unique(name)
  local result, k = name, 1
  while self.taken[result] do
    k = k + 1
    result = name .. k
  end
  self.taken[result] = true
  return result
end

local nouns = { abs = "distance", mod = "remainder", idiv = "group", mul = "product", div = "ratio", tanh = "curve",
  min = "least", max = "most", floor = "whole", exp = "power", log = "logarithm", sqrt = "root", where = "choice",
  tofloat = "real", add = "offset", sub = "offset", neg = "offset", lt = "keeps", le = "keeps", eq = "keeps",
  ne = "keeps", ["not"] = "keeps", ["and"] = "keeps", ["or"] = "keeps" }

-- slopes[h] is a slope, bias[h] no bia.
local function name_of_read(name)
  local single = name:match("^(%a[%w_]+[^aisu])s$")
  return single or name .. "_value"
end

function printer:name(n, hint)
  if hint == "root" then hint = nil end
  if n.op == "read" then return self:unique(name_of_read(n.name)) end
  local level, noun = self.plan:level(n), nouns[n.op]
  if n.type == "float" and noun == "offset" then noun = "total" end
  if level == "launch" or level == "element" then return self:unique(hint or noun) end
  return self:unique(hint or level .. "_" .. noun)
end

---- Operands ----

local function enclose(text, precedence, needed)
  return precedence < needed and "(" .. text .. ")" or text
end

function printer:operand(n, needed, hint)
  local text, precedence = self:text(n, hint)
  return enclose(text, precedence, needed)
end

-- A scalar bool as a lane of a mask.
function printer:as_mask(n)
  if n.op == "constant" then return n.value and "-1" or "0" end
  return "-" .. self:operand(n, self.dialect.primary)
end

-- A helper's argument.
function printer:argument(n, vector)
  if not vector or self.plan:is_vector(n) then return (self:text(n)) end
  local text = n.type == "bool" and self:as_mask(n) or self:text(n)
  return self:helper("splat", n.type, false) .. "(" .. text .. ")"
end

function printer:call(name, n)
  local vector, arguments = self.plan:is_vector(n), {}
  for k = 1, #n do arguments[k] = self:argument(n[k], vector) end
  return self:helper(name, n[1].type, vector) .. "(" .. table.concat(arguments, ", ") .. ")", self.dialect.primary
end

-- How a vector's & or | takes it.
function printer:logical(n, vector, needed)
  if not vector or self.plan:is_vector(n) then return self:operand(n, needed) end
  return enclose(self:as_mask(n), self.dialect.operators.neg.precedence[1], needed)
end

---- Ops ----

local write = {}

local function call(self, n) return self:call(n.op, n) end
for _, op in ipairs { "abs", "floor", "exp", "log", "tanh", "sqrt", "min", "max" } do write[op] = call end

function write.variable(self, n)
  local name = self.names[n.name] or n.name:match("^([ij][01])_*$") or n.name -- gen.tile may have had to lengthen it
  return self.spell(self.plan:level(n), name, self.plan:is_vector(n)), self.dialect.primary
end

local function write_float(self, n)
  local x, dialect = n.value, self.dialect
  if x ~= x then return self.float.nan, dialect.primary end
  local size = math.abs(x)
  local text = size == math.huge and dialect.infinity or tostring(n):gsub("^%-", "") .. self.float.literal
  if x < 0 or 1 / x < 0 then return "-" .. text, dialect.operators.neg.precedence[1] end
  return text, dialect.primary
end

function write.constant(self, n)
  if n.type == "float" then return write_float(self, n) end
  if n.type == "bool" then return n.value and "1" or "0", self.dialect.primary end
  if n.value == -0x80000000 then return self.dialect.least_int, self.dialect.primary end
  return ("%d"):format(n.value), n.value < 0 and self.dialect.operators.neg.precedence[1] or self.dialect.primary
end

-- a op b: a may be as loose as op, b not.
local function binary(self, n)
  local op, vector = self.dialect.operators[n.op], self.plan:is_vector(n)
  local precedence = pick(op.precedence, vector)
  return self:operand(n[1], precedence) .. " " .. pick(op.sign, vector) .. " " .. self:operand(n[2], precedence + 1),
    precedence
end
write.div = binary

local function unary(self, n)
  local op, vector = self.dialect.operators[n.op], self.plan:is_vector(n)
  local text = self:operand(n[1], pick(op.precedence, vector))
  if text:find("^%-") then text = "(" .. text .. ")" end
  return pick(op.sign, vector) .. text, pick(op.precedence, vector)
end
write["not"] = unary

-- Truncation is floor where nothing is negative.
function write.idiv(self, n)
  local ranges = self.ranges
  if ranges:of(n[1]) >= 0 and ranges:of(n[2]) > 0 then return binary(self, n) end
  return self:call(self.dialect.operators[n.op].helper, n)
end
write.mod = write.idiv

function write.tofloat(self, n)
  if self.plan:is_vector(n) then
    return self:helper("tofloat", "float", true) .. "(" .. self:text(n[1]) .. ")", self.dialect.primary
  end
  local precedence = self.dialect.operators.neg.precedence[1]
  return self.dialect.cast:format(self.float.type[1], self:operand(n[1], precedence)), precedence
end

-- What a bound on j is called.
local key_names = {
  [true] = { le = "last_key", lt = "end_key" },
  [false] = { le = "first_key", lt = "key_before" },
}

local function compare(self, n)
  local op, vector = self.dialect.operators[n.op], self.plan:is_vector(n)
  local left, right, sign = n[1], n[2], op.sign
  local swap = op.mirror and (left.op == "constant" or right.op == "variable" and left.op ~= "variable")
  if swap then left, right, sign = right, left, op.mirror end
  local hint = op.mirror and left.name == "j" and key_names[not swap][n.op] or nil
  local parts = pick(op.parts, vector)
  return self:operand(left, parts) .. " " .. pick(sign, vector) .. " " .. self:operand(right, parts, hint),
    pick(op.precedence, vector)
end
write.lt, write.le, write.eq, write.ne = compare, compare, compare, compare

local function logic(self, n)
  local op, vector = self.dialect.operators[n.op], self.plan:is_vector(n)
  local sign = " " .. pick(op.sign, vector) .. " "
  local function side(x) -- a chain of the same op needs no parentheses
    local same = x.op == n.op and self.plan:is_vector(x) == vector
    return self:logical(x, vector, same and pick(op.precedence, vector) or pick(op.parts, vector))
  end
  return side(n[1]) .. sign .. side(n[2]), pick(op.precedence, vector)
end
write["and"], write["or"] = logic, logic

function write.where(self, n)
  local vector = self.plan:is_vector(n)
  local a, b = self:argument(n[2], vector), self:argument(n[3], vector)
  if self.plan:is_vector(n[1]) then
    local name = self:helper("select", n.type == "bool" and "int" or n.type, false)
    return name .. "(" .. self:text(n[1]) .. ", " .. a .. ", " .. b .. ")", self.dialect.primary
  end
  local precedence = self.dialect.choice.precedence
  local function part(x, text)
    local _, own = self:text(x)
    return vector and text or enclose(text, own, precedence + 1)
  end
  return self:operand(n[1], precedence + 1) .. " ? " .. part(n[2], a) .. " : " .. part(n[3], b), precedence
end

---- Arithmetic ----

-- Helpers that wrap, one after the other: the sum might leave 32 bits on the way.
function printer:wrapping_sum(n, items)
  local vector, type = self.plan:is_vector(n), "int"
  local function argument(x) return self:argument(x, vector) end
  local function constant(size) -- 2^31 is -2^31 here
    return argument(self.ranges.pool:int(size < 0x80000000 and size or -0x80000000))
  end
  local text
  for _, item in ipairs(items) do
    local size = math.abs(item.factor)
    local term = item.node and argument(item.node) or nil
    if not term then
      term, size = constant(item.value), 1
    elseif size ~= 1 then
      term = self:helper("mul", type, vector) .. "(" .. constant(size) .. ", " .. term .. ")"
    end
    local name = item.factor < 0 and "sub" or "add"
    if not text then
      text = item.factor < 0 and self:helper("sub", type, vector) .. "(" .. constant(0) .. ", " .. term .. ")" or term
    else
      text = self:helper(name, type, vector) .. "(" .. text .. ", " .. term .. ")"
    end
  end
  return text, self.dialect.primary
end

function printer:plain_sum(items)
  local dialect = self.dialect
  local add, mul = dialect.operators.add.precedence[1], dialect.operators.mul.precedence[1]
  local text, precedence
  for k, item in ipairs(items) do
    local size = math.abs(item.factor)
    local term, own
    if not item.node then
      term, own = ("%d"):format(math.abs(item.value)), dialect.primary
    elseif size == 1 then
      term, own = self:text(item.node)
    else
      term, own = ("%d * %s"):format(k == 1 and item.factor or size, self:operand(item.node, mul + 1)), mul
    end
    local minus = item.factor < 0 and (k > 1 or own ~= mul or size == 1)
    if k > 1 then
      text, precedence = text .. (minus and " - " or " + ") .. enclose(term, own, add + 1), add
    elseif minus then
      text, precedence = "-" .. enclose(term, own, dialect.primary), dialect.operators.neg.precedence[1]
    elseif #items > 1 then
      text, precedence = enclose(term, own, add), add
    else
      text, precedence = term, own
    end
  end
  return text, precedence
end

local function int_sum(self, n)
  local items = self.plan:items(n)
  if self.plan:wraps(items) then return self:wrapping_sum(n, items) end
  return self:plain_sum(items)
end

local function arithmetic(self, n)
  if n.type == "int" then return int_sum(self, n) end
  if n.op == "neg" then return unary(self, n) end
  return binary(self, n)
end
write.add, write.sub, write.neg = arithmetic, arithmetic, arithmetic

function write.mul(self, n)
  if n.type == "float" then return binary(self, n) end
  if n[1].op == "constant" then return int_sum(self, n) end
  if self.ranges:is_exact(n) then return binary(self, n) end
  return self:call("mul", n)
end

---- Reads ----

function printer:offset(terms, name)
  local needed, list = self.dialect.operators.mul.precedence[1] + 1, {}
  for k, term in ipairs(terms) do
    local stride, index = self.stride(name, term.dim), term.index
    local one = index.op == "constant" and index.value == 1
    list[k] = one and stride or self:operand(index, needed) .. " * " .. stride
  end
  return table.concat(list, " + ")
end

-- The tensor's address with the terms of looser levels in it: bias_bh, then bias_j.
function printer:base(n, read)
  local tensor, key, address = self.tensor(n.name), n.name, self.tensor(n.name)
  for _, stage in ipairs(read.stages) do
    local name = ""
    for _, term in ipairs(stage.terms) do
      key = key .. " " .. term.dim .. ":" .. term.index.id
      for _, variable in ipairs { "b", "h", "i", "j" } do
        if term.index:depends_on(variable) and not name:find(variable) then name = name .. variable end
      end
    end
    local known = self.pointers[key]
    if not known then
      known = { type = "pointer", vector = false, text = address .. " + " .. self:offset(stage.terms, n.name),
        ctype = self.dialect.pointer:format(self.types[n.name]) }
      self:define(stage.level, self:unique(tensor .. "_" .. (name == "" and "at" or name)), known)
      self.pointers[key] = known
    end
    stage.temporary, address = known, self.spell(known.level, known.name, false)
  end
  return address
end

function write.read(self, n)
  local read, type = self.plan:read(n), self.types[n.name]
  local address, dialect = self:base(n, read), self.dialect
  if self.plan:is_vector(n) then
    local name = "gather" .. (#read.rest > 1 and #read.rest or "") .. "_" .. type
    self.helpers[name] = true
    local arguments = { address }
    for _, term in ipairs(read.rest) do
      arguments[#arguments + 1] = self.stride(n.name, term.dim)
      arguments[#arguments + 1] = (self:text(term.index))
    end
    return name .. "(" .. table.concat(arguments, ", ") .. ")", dialect.primary
  end
  local offset = #read.rest > 0 and self:offset(read.rest, n.name) or "0"
  local text, load = address .. "[" .. offset .. "]", dialect.load[type]
  if not load then return text, dialect.primary end
  self.helpers[load] = true
  return load .. "(" .. text .. ")", dialect.primary
end

---- Temporaries ----

function printer:define(level, name, temporary)
  temporary.name, temporary.level, temporary.roots = name, level, {}
  self.order[#self.order + 1] = temporary
  return temporary
end

local longest_text, deepest_text = 160, 10

-- Where a node becomes a temporary only because its text has grown; how deep a text is, in calls and parentheses.
local function outgrown(text)
  if #text > longest_text then return true end
  local depth = 0
  for bracket in text:gmatch("[()]") do
    depth = depth + (bracket == "(" and 1 or -1)
    if depth > deepest_text then return true end
  end
  return false
end

-- The node's text and its precedence.
function printer:text(n, hint)
  local known = self.named[n.id]
  if not known then
    local text, precedence = write[n.op](self, n)
    local named = self.plan:is_named(n) or self.plan:may_name(n) and hint ~= "root" and outgrown(text)
    if not named then return text, precedence end
    local vector, level = self.plan:is_vector(n), self.plan:level(n)
    known = self:define(level, self:name(n, hint),
      { type = n.type, vector = vector, text = text, ctype = pick(self:type_of(n.type).type, vector) })
    self.named[n.id] = known
  end
  return self.spell(known.level, known.name, known.vector), self.dialect.primary
end

-- Marks the temporaries that a root needs.
function printer:mark(n, root, seen)
  if seen[n.id] then return end
  seen[n.id] = true
  if self.named[n.id] then self.named[n.id].roots[root] = true end
  if n.op == "read" then
    for _, stage in ipairs(self.plan:read(n).stages) do stage.temporary.roots[root] = true end
  end
  for _, edge in ipairs(self.plan:edges(n)) do self:mark(edge.node, root, seen) end
end

local function lanes_of(self, n)
  if not self.plan.lanes or self.plan:is_vector(n) then return (self:text(n, "root")) end
  return (self:argument(n, true))
end

-- roots: name -> node. options:
--   ranges, reads    of the variant
--   lanes            "i" or "j": rows or keys are the lanes of vectors; nil: scalars only
--   levels           name -> level, of variables that have another than usual: h = "row" where rows are of many heads
--   dialect          data as templates/target/c_ops.lua; real: "f32" or "f64"
--   names            variable -> how it is called, where that is not its name
--   indices          node.id -> the index b, h, i or j of a whole run that it is, of a shard
--   spell(level, name, vector) -> how a variable or temporary is read
--   tensor(name)     -> how a tensor's pointer is called; stride(name, dim): a stride, dims from 0
--   taken            words that temporaries must not be called
-- Result: launch, head, row, column, element: lists of temporaries { name=, type= ("float", "int", "bool",
-- "pointer"), vector=, ctype=, text=, level=, roots={name=true} } in the order of their needs (ctype of a
-- pointer without its const); value: root -> text, vectors where there are lanes; uses: helper -> true.
function print.code(roots, options)
  local self = new_printer(roots, options, false)
  local result = { launch = {}, head = {}, row = {}, column = {}, element = {}, value = {}, uses = self.helpers }
  for name, root in pairs(roots) do result.value[name] = lanes_of(self, root) end
  for name, root in pairs(roots) do self:mark(root, name, {}) end
  for _, temporary in ipairs(self.order) do
    local list = result[temporary.level]
    list[#list + 1] = temporary
  end
  return result
end

-- roots: name -> node; name -> text in scalars, without temporaries.
function print.inline(roots, options)
  local self = new_printer(roots, options, true)
  local result = {}
  for name, root in pairs(roots) do result[name] = (self:text(root)) end
  return result, self.helpers
end

return print
