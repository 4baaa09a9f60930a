-- How long sums may be. One of n like terms errs by up to n / 2 round-offs; of f32's and f64's results 2 sqrt(n) are
-- allowed, those of narrower types err more by far. So none is of more than `part` products, nor of more than `far`
-- sums of tiles, whatever sizes a run has.

local sums = {}

local part, far = 64, 256
local exact = { f32 = true, f64 = true }

local function show(p) return exact[p.dtype] and exact[p.kvdtype] and exact[p.odtype] end

-- Keys of a part of a tile, or nil: a tile has no more.
function sums.part(p, keys) return show(p) and keys > part and part or nil end

-- Tiles that are summed on their own, or nil: there are no more. `keys`: of a tile, times the tasks that share them.
function sums.far(p, keys) return show(p) and not (p.sk and p.sk <= far * keys) and far or nil end

return sums
