-- What a kernel gets: one list makes its argument struct (templates/common/args.c.t) and what the runtime fills that with.

local slots = {}

-- Names in C: a user's tensor may be called like anything.
local own = { bias = true, mask = true, slopes = true }
function slots.tensor(name) return own[name] and name or "tensor_" .. name end
function slots.stride(name, dim) return (own[name] and "" or "stride_") .. name .. "_" .. dim end

-- Dimensions of the run's tensors, from 0.
local layouts = {
  bshd = { b = 0, s = 1, h = 2 }, bhsd = { b = 0, h = 1, s = 2 }, packed = { s = 0, h = 1 },
  pages = { p = 0, s = 1, h = 2 }, lse = { b = 0, h = 1, s = 2 }, packed_lse = { h = 0, s = 1 },
}

local lengths = { padded = { "q_lens", "k_lens" }, packed = { "cu_q", "cu_k" } }

function slots.lse_type(p) return p.dtype == "f64" and "f64" or "f32" end

-- sizes: what b, sq and sk are called where the run says them. Region slots are the schedule's to add.
function slots.list(p, variant, sizes)
  local list = {}
  local function add(slot) list[#list + 1] = slot end
  local function pointer(name, ctype, layout)
    add { kind = "pointer", name = name, field = name, ctype = ctype .. " *" }
    for _, dim in ipairs { "b", "h", "p", "s" } do
      if layout and layout[dim] then
        add { kind = "stride", name = name, dim = layout[dim], field = name .. "_" .. dim }
      end
    end
  end
  local function number(kind, name) add { kind = kind, name = name, field = name, ctype = kind == "int" and "i64 " or "double " } end
  local rows = layouts[p.lens == "packed" and "packed" or p.layout]
  local keys = p.page > 0 and layouts.pages or rows
  pointer("q", "const " .. p.dtype, rows)
  pointer("k", "const " .. p.kvdtype, keys)
  pointer("v", "const " .. p.kvdtype, keys)
  pointer("o", p.odtype, rows)
  if p.lse then pointer("lse", slots.lse_type(p), layouts[p.lens == "packed" and "packed_lse" or "lse"]) end
  if p.sinks then pointer("sinks", "const f32", { h = 0 }) end
  for _, name in ipairs(lengths[p.lens] or {}) do pointer(name, "const i32") end
  if p.page > 0 then
    add { kind = "pointer", name = "block_table", field = "table", ctype = "const i32 *" }
    add { kind = "stride", name = "block_table", dim = 0, field = "table_b" }
  end
  for _, read in ipairs(variant.reads) do
    add { kind = "pointer", name = read.name, field = slots.tensor(read.name), ctype = "const " .. read.type .. " *", read = true }
    for k, dim in ipairs(read.dims) do
      add { kind = "stride", name = read.name, dim = dim, field = slots.stride(read.name, k - 1), read = true }
    end
  end
  number("real", "scale")
  for _, param in ipairs(variant.params) do number(param.type == "int" and "int" or "real", param.name) end
  if p.dropout then
    pointer("rng", "const i32")
    for _, name in ipairs { "seed", "offset", "drop" } do number("int", name) end
  end
  for _, key in ipairs { "b", "sq", "sk" } do
    if not p[key] then add { kind = "recipe", recipe = key, field = sizes[key], ctype = "i64 " } end
  end
  return list
end

return slots
