-- Weights are made 2^raise times as large as they are, and so are their sums: then none that a result shows is a
-- subnormal. Those are slow to compute with, and exp_fall_vr flushes them.
-- Bits of a type's fraction: so far do its subnormals reach below the least normal number of what is computed in. f16's
-- end far above that.
local fraction = { f16 = 0, bf16 = 7, f32 = 23, f64 = 52 }

return function(p)
  local least = math.min(fraction[p.dtype], fraction[p.kvdtype], fraction[p.odtype])
  return p.dtype == "f64" and least < fraction.f64 and 0 or least
end
