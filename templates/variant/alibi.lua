return {
  order = 20,
  applies = function(p) return p.alibi end,
  tensors = { { name = "slopes", type = "f32", extent = { "hq" } } },
  score = function(p, v) return "s - slopes[h] * abs(" .. v.diagonal .. " - j)" end,
}
