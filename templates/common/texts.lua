-- What a kernel has of a variant's texts (gen/print.lua's code): its temporaries, and the words in them.

local texts = {}

local levels = { "launch", "head", "row", "column", "element" }

-- The temporaries of a level that one of these roots needs.
function texts.temporaries(code, level, roots)
  local list = {}
  for _, t in ipairs(code[level]) do
    local needed = false
    for _, root in ipairs(roots) do needed = needed or t.roots[root] end
    if needed then list[#list + 1] = t end
  end
  return ipairs(list)
end

function texts.declare(t) return "const " .. t.ctype .. (t.ctype:find("%*$") and "" or " ") .. t.name end

-- The words of these, and of all that roots need.
function texts.words(code, roots, ...)
  local set, list = {}, { ... }
  for _, root in ipairs(roots) do list[#list + 1] = code.value[root] end
  for _, level in ipairs(levels) do
    for _, t in texts.temporaries(code, level, roots) do list[#list + 1] = t.text end
  end
  for _, text in pairs(list) do
    for word in text:gmatch("[%a_][%w_]*") do set[word] = true end
  end
  return set
end

-- Whether one of these bounds of tiles (gen/interval.lua's) has the word.
function texts.names(bounds, word, ...)
  for _, bound in ipairs { ... } do
    if (bounds[bound] or ""):find("%f[%w_]" .. word .. "%f[^%w_]") then return true end
  end
end

return texts
