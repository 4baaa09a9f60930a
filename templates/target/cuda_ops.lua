-- How expressions are spelled in CUDA: an element is a scalar of one thread. As c_ops.lua but for types and names.

local c = require "templates.target.c_ops"

local float = { type = { "float", "float" }, suffix = { "r", "r" }, literal = "f", nan = "NOT_A_NUMBER" }
local int = { type = { "int", "int" }, suffix = { "i", "i" } }

local words = c.words .. [[
  u16 bool true false class new delete this template operator private public protected namespace using try catch throw
  and or not xor bitand bitor compl threadIdx blockIdx blockDim gridDim warpSize shared lane warp score kept weight
  power peak limit best copies stage more part block pack unit column_of section here group visible whole
  present position heads_here rows_here
]]

return setmetatable({
  floats = { f32 = float },
  int = int,
  bool = int,
  words = words,
  load = { f16 = "load_f16", bf16 = "load_bf16", f64 = "load_f64" },
  -- A thread has several rows: what they give lives in arrays.
  spell = function(level, name) return level == "row" and name .. "[r]" or name end,
}, { __index = c })
