return {
  order = 10,
  applies = function(p) return p.softcap end,
  params = { { name = "softcap", type = "float" } },
  score = "softcap * tanh(s / softcap)",
}
