-- A round is a thousand multiply-adds on each of as many accumulators as hide their latency: two a cycle,
-- ready four to five cycles later. No more, as compilers unroll short loops only.
local function accumulators() return 12 end

return {
  template = "templates/common/peak.c.t",
  accumulators = accumulators,
  flops = function(target) return 2 * 1000 * accumulators(target) * target.lanes end,
  scratch = function(target) return target.bytes * accumulators(target) end,
}
