-- How CUDA kernels spell sizes, rows and elements. A size is a number of the text where the problem says it, else a
-- variable; with lens= each sequence has its own below those.

local ranges = require "gen.range"

local places = {}
places.__index = places

local sizes = { f32 = 4, f16 = 2, bf16 = 2 }

-- packs: whether rows are those of all query heads of a key head, GROUP next to each other at each position.
--   B, SQ, SK  sizes of the tensors
--   sq, sk     of the sequence;  rows: of a head, or of all that are packed
--   HEADS      heads, or packs of them
--   adjacent   whether a lane's rows r and r + 1 of a fragment are next to each other; the schedule may say so
--   row_type   what counts rows: i64 where those of packs may be 2^31
function places.new(p, packs)
  local self = setmetatable({ p = p, packs = packs, B = p.b and "B" or "b_size", HEADS = packs and "HKV" or "HQ", adjacent = false }, places)
  self.SQ = p.sq and "SQ" or p.lens and "most_sq" or "sq"
  self.SK = p.sk and "SK" or p.lens and "most_sk" or "sk"
  self.sq, self.sk = p.lens and "sq" or self.SQ, p.lens and "sk" or self.SK
  local many = packs and (p.sq or ranges.longest.sq) * (p.hq // p.hkv) >= (1 << 31) - 1024
  self.row_type = many and "i64" or "int"
  self.rows = self:times_group(self.sq)
  return self
end

function places:times_group(x)
  return (self.row_type == "i64" and "(i64)" or "") .. (self.packs and x .. " * GROUP" or x)
end

-- The query row, from `first` on, of row x of fragments, x a number from 0 on. Rows in turns of two: those that a call of
-- Philox decides are of one lane, 8 rows of a fragment apart; adjacent says so.
function places:of_fragments(first, x)
  if not self.adjacent then return ("%s + %s"):format(first, x) end
  return ("%s + (%s & ~15) + %s %% 8 * 2 + %s / 8 %% 2"):format(first, x, x, x)
end

-- The query row of a lane's row r, of a warp's from warp_row on.
function places:of_lane(r)
  local pair = self.adjacent and "lane / 4 * 2 + %s %% 2" or "%s %% 2 * 8 + lane / 4"
  return ("warp_row + %s / 2 * 16 + " .. pair):format(r, r)
end

-- The positions i0 to i1 of `count` rows from `row` on, or fewer before the last.
function places:positions(row, count)
  local last = ("min_i(%s + %s, %s) - 1"):format(row, count, self.rows)
  if self.packs then return ("i0 = %s / GROUP, i1 = (%s) / GROUP"):format(row, last) end
  return ("i0 = %s, i1 = %s"):format(row, last)
end

-- The first row of a head in q, k, v, o or lse; cu: in a packed tensor the row where the sequence starts.
function places:base(name, head, cu)
  local text = ("a.%s + %s * a.%s_h"):format(name, head, name)
  if self.p.page > 0 and (name == "k" or name == "v") then return text end
  if self.p.lens == "packed" then return text .. (" + %s * a.%s_s"):format(cu, name) end
  return text .. (" + b * a.%s_b"):format(name)
end

-- Row `row` of a head's; `to`: that head's first one, or nil: the variable of the tensor's name.
function places:row(name, to)
  if self.packs then
    return ("%s + (i64)(row / GROUP) * a.%s_s + row %% GROUP * a.%s_h"):format(to or name, name, name)
  end
  return ("%s + (i64)row * a.%s_s"):format(to or name, name)
end

-- Whether elements may be aligned as less than their type.
function places:is_loose(dtype) return self.p.align < sizes[dtype] end

function places:some_loose() return self:is_loose(self.p.dtype) or self:is_loose(self.p.kvdtype) or self:is_loose(self.p.odtype) end

-- Element n of a row of Q, K, V or O, which is aligned as the problem promises.
function places:element(dtype, row, n, const)
  if not self:is_loose(dtype) then return ("%s[%s]"):format(row, n) end
  return ("((%sloose<%s> *)%s)[%s].x"):format(const and "const " or "", dtype, row, n)
end

return places
