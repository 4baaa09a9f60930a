-- The problem's own functions, after all else.
return {
  order = 90,
  applies = function(p) return p.score or p.maskfn end,
  score = function(p, v) return v.pool:user("score") end,
  mask = function(p, v) return v.pool:user("maskfn") end,
}
