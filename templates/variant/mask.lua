return {
  order = 60,
  own = true,
  applies = function(p) return p.mask end,
  tensors = function(p, v) return { v.broadcast("mask", p.mask) } end,
  mask = function(p, v) return v.broadcast("mask", p.mask).read .. " ~= 0" end,
}
