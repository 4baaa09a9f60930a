-- From a problem to a kernel's text: the first schedule that takes it, the best config, the variant.

local _, host = ...
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

-- Iterates the schedules of the problem's direction by name, loading each when it is its turn.
local function schedules(p)
  local list, k = files(folders[p.dir]), 0
  return function()
    repeat k = k + 1 until not list[k] or list[k]:find("%.lua$")
    if not list[k] then return nil end
    local module = list[k]:gsub("%.lua$", ""):gsub("/", ".")
    return { name = module:match("[^.]*$"), body = require(module) }
  end
end

---- Choosing ----

local function no_prior() return 0 end

local function best(body, points, pinned)
  return points:best(body.prior or no_prior, pinned)
end

-- The schedule's space and the config that pick(body, space, pinned axes) gives, or nil and why it has none.
local function choose_config(schedule, p, dev, config, pick)
  local points = space.new(schedule.body.axes or {}, schedule.body.constraints or {}, p, dev)
  local cfg, why = pick(schedule.body, points, points:parse(config))
  if not cfg and config:find("%S") then
    host.fail("FG_REQUEST", "no config of schedule " .. schedule.name .. " agrees with '" .. config .. "': " .. why)
  end
  return points, cfg, why
end

-- schedule, its space, config: of the first that takes the problem.
local function choose(p, dev, config, pick)
  strict(p, "the problem", p.dynamic)
  strict(dev, "the device", {})
  local reasons = {}
  for schedule in schedules(p) do
    local why = schedule.body.refuses and schedule.body.refuses(p, dev)
    local points, cfg
    if not why then points, cfg, why = choose_config(schedule, p, dev, config, pick) end
    if cfg then return schedule, points, cfg end
    reasons[#reasons + 1] = schedule.name .. ": " .. why
  end
  if #reasons == 0 then reasons[1] = "there is none for dir=" .. p.dir end
  host.fail("FG_UNSUPPORTED", "no schedule takes this problem (" .. table.concat(reasons, "; ") .. ")")
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
  local flags = add_flag(add_flag(dev.flags:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""), "-fPIC"), "-shared")
  local command = shell_word(dev.compiler) .. " " .. flags:gsub("^ ", "") .. " -o kernel.so kernel.c"
  return "/* " .. command:gsub("%*/", "*''/"):gsub("/%*", "/''*") .. " */\n"
end

local function new_target(kind, dev)
  return require("templates.target." .. kind).new(dev.isa)
end

---- Making ----

-- p, dev: as C's tables; options: { config="k=v ...", lines=bool }. Gives what C's `made` holds.
function make.kernel(p, dev, options)
  local schedule, points, cfg = choose(p, dev, options.config, best)
  local body = schedule.body
  local variant = require("gen.variant").new(p, dev, body.hooks)
  local names = { p = p, dev = dev, cfg = cfg, variant = variant, target = new_target(body.target or "c", dev),
    slots = body.slots(p, cfg, variant), steps = body.steps(p, cfg, dev) }
  local text = template.render(body.template, names, options.lines)
  return { schedule = schedule.name, config = points:format(cfg), text = make.command(dev) .. text,
    slots = names.slots, steps = names.steps }
end

-- The legal config number index % count that agrees with options.config, as text, and count.
function make.config_at(p, dev, options, index)
  local count
  local _, points, cfg = choose(p, dev, options.config, function(_, points, pinned)
    local found, legal = points:at(pinned, index)
    count = legal
    return found, legal
  end)
  return points:format(cfg), count
end

-- All legal configs that agree with options.config. Gives what C's `maker_space` holds.
function make.space(p, dev, options)
  local list, tally
  local schedule = choose(p, dev, options.config, function(body, points, pinned)
    list, tally = points:ranking(body.prior or no_prior, pinned)
    return list, tally
  end)
  local removals = {}
  for _, removed in ipairs(tally.removed) do
    if removed.count > 0 then removals[#removals + 1] = removed end
  end
  return { schedule = schedule.name, total = tally.total, removals = removals, configs = list }
end

-- The kernel that measures multiply-adds. templates/common/peak.lua gives its template, the flops of a round
-- and the scratch of a worker.
function make.peak(dev, options)
  strict(dev, "the device", {})
  local body = require "templates.common.peak"
  local target = new_target("c", dev)
  local text = template.render(body.template, { dev = dev, target = target }, options.lines)
  return { schedule = "peak", config = "", text = make.command(dev) .. text, flops = body.flops(target),
    slots = { { kind = "int", name = "rounds" } },
    steps = { { entry = "fg_peak", tasks = "threads", scratch = tostring(body.scratch(target)) } } }
end

return make
