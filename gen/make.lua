-- From a problem to a kernel's text: the first schedule that takes it, the best config, the variant.

local _, host = ...
local buckets = require "gen.buckets"
local space = require "gen.space"
local template = require "gen.template"

local make = {}

---- What comes in ----

local function strict(t, what, absent)
  return setmetatable(t, {
    __index = function(_, name)
      if not absent[name] then error(what .. " has no '" .. tostring(name) .. "'", 2) end
    end,
  })
end

local folders = { fwd = "templates/forward/", bwd = "templates/backward/" }

-- The schedules of the problem's direction for such a device, the one to ask first in front: by their order, but behind all
-- others those that yield, as such a problem is not what they are fast at.
local function schedules(p, dev)
  local list = {}
  for _, file in ipairs(files(folders[p.dir])) do
    local module = file:match("^(.*)%.lua$")
    local name = module and module:match("[^/]*$")
    local body = name and require((module:gsub("/", ".")))
    if body and (body.gpu or false) == dev.gpu then
      list[#list + 1] = { name = name, body = body, yields = body.yields and body.yields(p, dev) and 1 or 0 }
    end
  end
  table.sort(list, function(a, b)
    if a.yields ~= b.yields then return a.yields < b.yields end
    local x, y = a.body.order or 0, b.body.order or 0
    return x < y or x == y and a.name < b.name
  end)
  return list
end

-- What a config is chosen for: the problem's sizes, and for `*` those of the request, or what is usual.
local function likely_sizes(p, options)
  local usual = { b = 1, sq = 1024, sk = 1024 }
  local function size(key) return p[key] or options[key] > 0 and options[key] or usual[key] end
  return { b = size("b"), sq = size("sq"), sk = size("sk") }
end

local function is_open(p) return p.dynamic.b or p.dynamic.sq or p.dynamic.sk end

-- For a problem with `*`: one text serves all sizes, so it may differ in what the config says alone.
local no_likely = setmetatable({}, { __index = function()
  error("what is written for all sizes depends on the likely ones through the config alone", 2)
end })

---- Choosing ----

local function best(body, points, pinned)
  return points:best(body.prior, pinned)
end

-- With `*`, a config that names every axis as it is: its text serves all sizes, and some allow it.
local function given_or_best(body, points, pinned)
  local whole = points:complete(pinned)
  if whole then return whole end
  return best(body, points, pinned) -- and why it has none
end

-- The schedule's space and the config that pick(body, space, pinned axes) gives, or nil and why it has none.
local function choose_config(schedule, p, dev, config, pick)
  local points = space.new(schedule.body.axes or {}, schedule.body.constraints or {}, p, dev)
  local pinned, wrong = points:parse(config)
  if not pinned then return points, nil, wrong end
  local cfg, why = pick(schedule.body, points, pinned)
  if not cfg and config:find("%S") then
    why = "no config of schedule " .. schedule.name .. " agrees with '" .. config .. "': " .. why
  end
  return points, cfg, why
end

-- schedule, its space, config: of the first that takes the problem, and the pinned axes; or nil, and what fails with
-- which status.
local function find(p, dev, options, pick)
  local config = options.config
  p.likely = likely_sizes(p, options)
  strict(p, "the problem", p.dynamic)
  strict(dev, "the device", {})
  local reasons, wrong = {}, {}
  for _, schedule in ipairs(schedules(p, dev)) do
    local why = schedule.body.refuses and schedule.body.refuses(p, dev)
    local refused, points, cfg = why, nil, nil
    if not refused then points, cfg, why = choose_config(schedule, p, dev, config, pick) end
    if cfg then return schedule, points, cfg end
    reasons[#reasons + 1] = schedule.name .. ": " .. why
    if not refused and config:find("%S") then wrong[#wrong + 1] = why end
  end
  if #wrong > 0 then return nil, "FG_REQUEST", table.concat(wrong, "; ") end
  if #reasons == 0 then reasons[1] = "there is none for dir=" .. p.dir end
  return nil, "FG_UNSUPPORTED", "no schedule takes this problem (" .. table.concat(reasons, "; ") .. ")"
end

local function choose(p, dev, options, pick)
  local schedule, points, cfg = find(p, dev, options, pick)
  if not schedule then host.fail(points, cfg) end
  return schedule, points, cfg
end

---- The first line ----

-- A word for a shell that ends no C comment and no line.
local function shell_word(text)
  if not text:find("[^%w_/.+=:,@%%-]") and text ~= "" then return text end
  return "'" .. text:gsub("'", "'\\''"):gsub("\n", "'$'\\n''") .. "'"
end

local function add_flag(flags, flag)
  return (" " .. flags .. " "):find(" " .. flag .. " ", 1, true) and flags or flags .. " " .. flag
end

-- The command that compiles the text alone, as a comment of one line.
function make.command(dev)
  local flags = dev.flags:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  local command
  if dev.gpu then -- nvcc takes NVRTC's flags
    command = "nvcc " .. flags .. " -cubin -o kernel.cubin kernel.cu"
  else
    flags = add_flag(add_flag(flags, "-fPIC"), "-shared")
    command = shell_word(dev.compiler) .. " " .. flags:gsub("^ ", "") .. " -o kernel.so kernel.c"
  end
  return "/* " .. command:gsub("%*/", "*''/"):gsub("/%*", "/''*") .. " */\n"
end

-- dtype: of Q; nil is as f32.
local function new_target(kind, dev, dtype)
  return require("templates.target." .. kind).new(dev.isa, dtype)
end

---- Making ----

-- p, dev: as C's tables; options: { config="k=v ...", lines=bool }. Gives what C's `made` holds.
function make.kernel(p, dev, options)
  local schedule, points, cfg = choose(p, dev, options, is_open(p) and given_or_best or best)
  local body = schedule.body
  if is_open(p) then p.likely = no_likely end
  local variant = require("gen.variant").new(p, dev, body.hooks)
  local names = { p = p, dev = dev, cfg = cfg, variant = variant, target = new_target(body.target or "c", dev, p.dtype),
    slots = body.slots(p, cfg, variant), steps = body.steps(p, cfg, dev, variant),
    regions = body.regions and body.regions(p, cfg, dev, variant) or {} }
  local text = template.render(body.template, names, options.lines)
  return { schedule = schedule.name, config = points:format(cfg), text = make.command(dev) .. text,
    slots = names.slots, steps = names.steps, regions = names.regions }
end

-- The legal config number index % count that agrees with options.config, as text, and count.
function make.config_at(p, dev, options, index)
  local count
  local _, points, cfg = choose(p, dev, options, function(_, points, pinned)
    local found, legal = points:at(pinned, index)
    count = legal
    return found, legal
  end)
  return points:format(cfg), count
end

-- All legal configs that agree with options.config. Gives what C's `maker_space` holds.
function make.space(p, dev, options)
  local list, tally
  local schedule = choose(p, dev, options, function(body, points, pinned)
    list, tally = points:ranking(body.prior, pinned)
    return list, tally
  end)
  local removals = {}
  for _, removed in ipairs(tally.removed) do
    if removed.count > 0 then removals[#removals + 1] = removed end
  end
  return { schedule = schedule.name, total = tally.total, removals = removals, configs = list }
end

---- Sizes ----

local function copy(p)
  local result = {}
  for key, value in pairs(p) do result[key] = value end
  return result
end

-- What is chosen at a size; false and why where no config there agrees with the pinned axes.
local function choose_at(p, dev, options, size, pick)
  local at = { config = options.config, b = size.b, sq = size.sq, sk = size.sk }
  local schedule, points, cfg = find(copy(p), dev, at, pick)
  if schedule then return { schedule = schedule, points = points, cfg = cfg } end
  local status, why = points, cfg
  if not options.config:find("%S") then host.fail(status, why) end
  return false, { status = status, why = why }
end

-- A pick: the cheapest of those chosen that is legal; where none is, the best there is, and then it calls missed().
local function among(chosen, missed)
  return function(body, points, pinned)
    local cheapest, least
    for _, one in ipairs(chosen) do
      if one.schedule.body == body and points:has(one.cfg) then
        local cost = points:cost(body.prior, one.cfg)
        if not least or cost < least then cheapest, least = one.cfg, cost end
      end
    end
    if cheapest then return cheapest end
    missed()
    return best(body, points, pinned)
  end
end

-- What each size of a grid takes of those chosen. Where some sizes allow none of them, what is best there joins the
-- chosen, and those sizes the sample.
local function choose_all(p, dev, options, grid, chosen, sample)
  local list, missed = {}, false
  local pick = among(chosen, function() missed = true end)
  buckets.each(grid, function(size)
    missed = false
    local found = choose_at(p, dev, options, size, pick)
    list[#list + 1] = found
    if found and missed then
      chosen[#chosen + 1], sample[#sample + 1] = found, found
    end
  end)
  return list
end

-- Sizes that agree with no pinned axes take what the size before them takes, or `first`.
local function filled(list, first)
  for k = 1, #list do list[k] = list[k] or list[k - 1] or first end
  return list
end

-- The different ones of a list, and which of them each element is.
local function share(list)
  local choices, place, of = {}, {}, {}
  for k, found in ipairs(list) do
    local schedule, config = found.schedule.name, found.points:format(found.cfg)
    local name = schedule .. " " .. config
    if not place[name] then
      choices[#choices + 1] = { schedule = schedule, config = config }
      place[name] = #choices
    end
    of[k] = place[name]
  end
  return { choices = choices, of = of }
end

-- A config for every size of a grid { b={..}, sq={..}, sk={..} }, 0 where the problem says the size: `most` different
-- ones, unless some size allows none of those. Gives what C's `maker_choices` holds.
function make.choices(p, dev, options, grid, most)
  local sample, list, wrong = {}, nil, nil
  local function look(size)
    local found, why = choose_at(p, dev, options, size, best)
    sample[#sample + 1] = found or nil
    if why and (not wrong or wrong.status ~= "FG_REQUEST") then wrong = why end
  end
  buckets.sample(grid, look)
  if #sample == 0 then look { b = options.b, sq = options.sq, sk = options.sk } end -- the likely sizes
  if #sample == 0 then host.fail(wrong.status, wrong.why) end
  for _ = 1, 2 do -- the second time with the sizes that the sample had overlooked
    local looked_at = #sample
    list = choose_all(p, dev, options, grid, buckets.choose(sample, most), sample)
    if #sample == looked_at then break end
  end
  return share(filled(list, sample[1]))
end

-- The kernel that measures multiply-adds. templates/common/peak.lua gives its template, the flops of a round
-- and the scratch of a worker.
function make.peak(dev, options)
  strict(dev, "the device", {})
  local body = require "templates.common.peak"
  local target = new_target("c", dev)
  local text = template.render(body.template, { dev = dev, target = target }, options.lines)
  return { schedule = "peak", config = "", text = make.command(dev) .. text, flops = body.flops(target), regions = {},
    slots = { { kind = "int", name = "rounds" } },
    steps = { { entry = "fg_peak", tasks = "threads", scratch = tostring(body.scratch(target)) } } }
end

return make
