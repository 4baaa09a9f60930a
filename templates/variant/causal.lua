return {
  order = 40,
  applies = function(p) return p.causal end,
  mask = function(p, v) return "j <= " .. v.diagonal end,
}
