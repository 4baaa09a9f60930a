-- Templates: text with Lua in it.
--
--   % in column 1    the line is Lua;  %%  a line that starts with %
--   ${x}             the value of x: a string or an integer;  $${  a literal ${
--   a line that is only ${x}: x may have several lines, which all get its indentation
--
-- Line n of a template becomes line n of a Lua chunk, so Lua's errors name the template's line. A chunk's
-- names are those given to render, then the globals; an undefined one is an error.
--
-- include(file [, names]) renders another template in place, with further names, and gives what that returns. So
-- templates share text: one that writes nothing but ends with `% return { f = f }` gives local functions with text in
-- them, each of which writes where it is called.

local _, host = ...
local concat = table.concat

local template = {}
local max_depth = 20 -- of includes

---- From a template's line to Lua's ----

-- Where the string that opens at `at` ends, or nil.
local function string_end(line, at)
  local quote = line:sub(at, at)
  local k = at + 1
  while true do
    k = line:find("[\\" .. quote .. "]", k)
    if not k or line:sub(k, k) == quote then return k end
    k = k + 2
  end
end

-- Where the expression that starts at `at` meets its }, or nil and what is wrong.
local function expression_end(line, at)
  local depth = 0
  while true do
    at = line:find("[\"'{}%-]", at)
    if not at then return nil, "'${' without its '}'" end
    local c = line:sub(at, at)
    if c == "}" and depth == 0 then return at end
    if c == "{" then depth = depth + 1 end
    if c == "}" then depth = depth - 1 end
    if c == "-" and line:find("^%-", at + 1) then return nil, "a comment inside of '${'" end
    if c == '"' or c == "'" then at = string_end(line, at) or #line end
    at = at + 1
  end
end

local checked = {} -- expressions known to be one, so that a syntax error names its own line

local function check_expression(text)
  if not checked[text] then
    local chunk, message = host.load("return (" .. text .. "\n)", "=", "t")
    if not chunk then return message:gsub("^:?%d*:%s*", "") end
    checked[text] = true
  end
end

-- The line's pieces as Lua expressions; `fault` reports what is wrong with it.
local function split(line, fault)
  local pieces, at = {}, 1
  local function literal(text)
    if text ~= "" then pieces[#pieces + 1] = ("%q"):format(text) end
  end
  while true do
    local open = line:find("${", at, true)
    if not open then break end
    if open > at and line:sub(open - 1, open - 1) == "$" then
      literal(line:sub(at, open - 2) .. "${")
      at = open + 2
    else
      literal(line:sub(at, open - 1))
      local close, wrong = expression_end(line, open + 2)
      local text = close and line:sub(open + 2, close - 1)
      wrong = wrong or check_expression(text)
      if wrong then fault(wrong .. (text and " in '${" .. text .. "}'" or "")) end
      pieces[#pieces + 1] = ("__value((%s), %q)"):format(text, text)
      at = close + 1
    end
  end
  literal(line:sub(at))
  return pieces
end

local function translate_line(line, number, fault)
  if line:find("^%%[^%%]") or line == "%" then return line:sub(2) end
  if line:find("^%%%%") then line = line:sub(2) end
  local pieces = split(line, fault)
  local indent = line:match("^(%s*)%${.*}$")
  local alone = indent and #pieces == (indent == "" and 1 or 2) and pieces[#pieces]:find("^__value")
  if alone then return ("__splice(%d, %q, %s);"):format(number, indent, pieces[#pieces]) end
  return ("__line(%s);"):format(concat({ number, table.unpack(pieces) }, ", "))
end

local function translate(name, text)
  local code = {}
  if text:sub(-1) ~= "\n" then text = text .. "\n" end
  for line in text:gmatch("(.-)\r?\n") do
    local number = #code + 1
    code[number] = translate_line(line, number, function(wrong)
      error(name .. ":" .. number .. ": " .. wrong, 0)
    end)
  end
  return "local _ENV, __line, __splice, __value = ...; " .. concat(code, "\n")
end

local chunks = {}

-- The template as a function, or nil where there is no such file.
local function compile(name)
  if chunks[name] then return chunks[name] end
  local text = host.read(name)
  if not text then return nil end
  local chunk, message = host.load(translate(name, text), "@" .. name, "t")
  if not chunk then error(message, 0) end
  chunks[name] = chunk
  return chunk
end

---- Running ----

-- What ${...} prints; errors name the line of the template that asks.
local function value(x, text)
  if type(x) == "string" then return x end
  if math.type(x) == "integer" then return tostring(x) end
  if math.type(x) == "float" then error("${" .. text .. "} is a float: print it by f32 or f64", 2) end
  error("${" .. text .. "} is " .. (x == nil and "nil" or "a " .. type(x)), 2)
end

local function writer(out, name)
  local function put(number, text)
    local n = out.count + 1
    out.count, out.text[n], out.file[n], out.number[n] = n, text, name, number
  end
  local function line(number, ...)
    local text = concat { ... }
    if text:find("\n", 1, true) then error("a value of several lines is not alone on its line", 2) end
    put(number, text)
  end
  local function splice(number, indent, text)
    if text == "" then return end
    for piece in (text:gsub("\n$", "") .. "\n"):gmatch("(.-)\n") do
      put(number, piece == "" and "" or indent .. piece)
    end
  end
  return line, splice
end

local strict = {
  __index = function(_, name)
    local x = rawget(host.globals, name)
    if x == nil then error("undefined name '" .. name .. "'", 2) end
    return x
  end,
  __newindex = function(_, name) error("assignment to undefined name '" .. name .. "'", 2) end,
}

local function environment(names, more)
  local env = {}
  for name, x in pairs(names) do env[name] = x end
  for name, x in pairs(more or {}) do env[name] = x end
  return env
end

local function run(out, name, names, depth)
  local chunk = compile(name)
  if not chunk then error("there is no template '" .. name .. "'", 3) end
  if depth > max_depth then error("templates include each other more than " .. max_depth .. " deep", 3) end
  -- include(file [, names]): renders another template here, with these further names; gives what that returns.
  function names.include(file, more)
    return (run(out, file, environment(names, more), depth + 1)) -- no tail call: errors count levels
  end
  local line, splice = writer(out, name)
  return chunk(setmetatable(names, strict), line, splice, value)
end

---- Numbering for compilers ----

-- Whether a block comment is open behind this line.
local function in_comment(line, open)
  local at = 1
  while at do
    at = select(2, line:find(open and "*/" or "/*", at, true))
    if at then open, at = not open, at + 1 end
  end
  return open
end

-- The text with a #line before each line that is not where the compiler would think. Inside of a comment or
-- behind a backslash no directive can stand.
local function number_lines(out)
  local result, file, number, comment, joined = {}, nil, 0, false, false
  for k = 1, out.count do
    number = number + 1
    if not (comment or joined) and (file ~= out.file[k] or number ~= out.number[k]) then
      file, number = out.file[k], out.number[k]
      result[#result + 1] = ("#line %d \"%s\""):format(number, file)
    end
    result[#result + 1] = out.text[k]
    comment, joined = in_comment(out.text[k], comment), out.text[k]:find("\\$") ~= nil
  end
  return result
end

-- The text of template `name` with the names of the table `names`; with #line directives if `lines`.
function template.render(name, names, lines)
  local out = { count = 0, text = {}, file = {}, number = {} }
  run(out, name, environment(names), 1)
  return concat(lines and number_lines(out) or out.text, "\n") .. "\n"
end

return template
