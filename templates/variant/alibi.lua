-- Below 2^24 a float holds each number: then a row's and a column's are converted once, not each distance.
local function number(p, x)
  return p.sq and p.sk and p.sq + p.sk < 1 << 24 and not p.shard and "(" .. x .. ") / 1" or x
end

return {
  order = 20,
  applies = function(p) return p.alibi end,
  tensors = { { name = "slopes", type = "f32", extent = { "hq" } } },
  score = function(p, v) return "s - slopes[h] * abs(" .. number(p, v.diagonal) .. " - " .. number(p, "j") .. ")" end,
}
