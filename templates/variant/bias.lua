return {
  order = 30,
  own = true,
  applies = function(p) return p.bias end,
  tensors = function(p, v) return { v.broadcast("bias", p.bias) } end,
  score = function(p, v) return "s + " .. v.broadcast("bias", p.bias).read end,
}
