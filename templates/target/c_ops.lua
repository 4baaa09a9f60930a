-- How expressions are spelled in C with vector extensions, as data (gen/print.lua reads it).
--
-- Pairs are { scalar, vector }. A helper is called OP_SUFFIX by the type of its first operand, and takes
-- vectors only where its result is one; what a vector operator takes may be a scalar. Bools are ints 0 and 1,
-- in vectors lanes of all zeros or ones.

local floats = {
  f32 = { type = { "real", "vr" }, suffix = { "r", "vr" }, literal = "f", nan = "__builtin_nanf(\"\")" },
  f64 = { type = { "real", "vr" }, suffix = { "r", "vr" }, literal = "", nan = "__builtin_nan(\"\")" },
}
local int = { type = { "int", "vi" }, suffix = { "i", "vi" } }

local words = [[
  auto break case char const continue default do double else enum extern float for goto if inline int long
  register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
  asm typeof i32 u32 i64 u8 f16 bf16 f32 f64 real vr vi vu args block blocks scratch range
  a b d h i j k m n o q r s t v x y z b_size hq hkv sq sk dv i0 i1 j0 j1 row rows column columns key keys tile
  task first last from to top sum shrink skip full value lse scale softcap window_left window_right head lane
  most_sq most_sk tiles row_blocks key_tiles place table class classes seen some all keep drop kept seed offset rng sink
  sinks q_lens k_lens cu_q cu_k tile_first tile_last blocks u64 vw vf vh vq vq2
]]

return {
  floats = floats,
  int = int,
  bool = int,

  -- `parts`: how tightly an operand must bind, so that mixed logic has parentheses.
  choice = { precedence = 3 },
  operators = {
    ["or"] = { sign = { "||", "|" }, precedence = { 4, 6 }, parts = { 6, 11 } },
    ["and"] = { sign = { "&&", "&" }, precedence = { 5, 8 }, parts = { 6, 11 } },
    eq = { sign = { "==", "==" }, precedence = { 9, 9 }, parts = { 11, 11 } },
    ne = { sign = { "!=", "!=" }, precedence = { 9, 9 }, parts = { 11, 11 } },
    lt = { sign = { "<", "<" }, precedence = { 10, 10 }, parts = { 11, 11 }, mirror = { ">", ">" } },
    le = { sign = { "<=", "<=" }, precedence = { 10, 10 }, parts = { 11, 11 }, mirror = { ">=", ">=" } },
    add = { sign = { "+", "+" }, precedence = { 12, 12 } },
    sub = { sign = { "-", "-" }, precedence = { 12, 12 } },
    mul = { sign = { "*", "*" }, precedence = { 13, 13 } },
    div = { sign = { "/", "/" }, precedence = { 13, 13 } },
    idiv = { sign = { "/", "/" }, precedence = { 13, 13 }, helper = "floordiv" }, -- the operator where signs allow
    mod = { sign = { "%", "%" }, precedence = { 13, 13 }, helper = "mod" },
    neg = { sign = { "-", "-" }, precedence = { 14, 14 } },
    ["not"] = { sign = { "!", "~" }, precedence = { 14, 14 } },
  },
  primary = 16,

  infinity = "INF",
  least_int = "(-2147483647 - 1)",
  cast = "(%s)%s",
  pointer = "%s *",
  load = { f16 = "load_f16", bf16 = "load_bf16", e4m3 = "load_e4m3" }, -- others convert by themselves

  -- Values of rows live in arrays over the vectors of a block.
  spell = function(level, name, vector)
    return level == "row" and vector and name .. "[v]" or name
  end,

  words = words,
}
