return {
  order = 10,
  applies = function(p) return p.softcap end,
  params = { { name = "softcap", type = "float" } },
  score = "softcap * tanh(s * min(1 / softcap, 1e38))", -- the inverse of any cap is a number
}
