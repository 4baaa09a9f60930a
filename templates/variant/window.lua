-- An unbounded side comes in as a huge one, which the runtime clamps to 2^29: nothing wraps.
return {
  order = 50,
  applies = function(p) return p.window end,
  params = { { name = "window_left", type = "int" }, { name = "window_right", type = "int" } },
  mask = function(p, v)
    return ("j >= %s - window_left and j <= %s + window_right"):format(v.diagonal, v.diagonal)
  end,
}
