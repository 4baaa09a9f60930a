-- A round is a thousand multiply-adds on each of as many accumulators as hide their latency.
local function accumulators(target) return target.registers - 4 end

return {
  template = "templates/common/peak.c.t",
  accumulators = accumulators,
  flops = function(target) return 2 * 1000 * accumulators(target) * target.lanes end,
  scratch = function(target) return target.bytes * accumulators(target) end,
}
