-- Configs for a grid of sizes: few kernels, each the best by the prior at some size and good enough at others.

local buckets = {}

local close = 1.05     -- times the least cost of a size: a kernel this near serves it as well as its own
local illegal = 1e100  -- what a config counts as that a size does not allow: to have one for each comes first
local all_of_them = 24 -- sizes

-- Every second of a list's elements, and the last.
local function thinned(list)
  local some = {}
  for k = 1, #list, 2 do some[#some + 1] = list[k] end
  if #list % 2 == 0 then some[#some + 1] = list[#list] end
  return some
end

-- Calls visit({ b=, sq=, sk= }) for every size, sk fastest.
function buckets.each(grid, visit)
  for _, b in ipairs(grid.b) do
    for _, sq in ipairs(grid.sq) do
      for _, sk in ipairs(grid.sk) do visit { b = b, sq = sq, sk = sk } end
    end
  end
end

-- The sizes that are searched: all where they are few; else every second length, with the least and the greatest b
-- in turn, as the colours of a chess board.
function buckets.sample(grid, visit)
  if #grid.b * #grid.sq * #grid.sk <= all_of_them then return buckets.each(grid, visit) end
  for i, sq in ipairs(thinned(grid.sq)) do
    for j, sk in ipairs(thinned(grid.sk)) do
      visit { b = grid.b[(i + j) % 2 == 0 and 1 or #grid.b], sq = sq, sk = sk }
    end
  end
end

-- How many times the least cost of a size another size's config has there.
local function ratio(one, at)
  local body = at.schedule.body
  if one.schedule.name ~= at.schedule.name or not at.points:has(one.cfg) then return illegal end
  local cost, least = at.points:cost(body.prior, one.cfg), at.points:cost(body.prior, at.cfg)
  if cost == least then return 1 end
  return math.min(1 + (cost - least) / math.abs(least), illegal)
end

-- Those of the sample that differ, each with its ratio at every size of the sample.
local function candidates(sample)
  local pool, known = {}, {}
  for _, one in ipairs(sample) do
    local name = one.schedule.name .. " " .. one.points:format(one.cfg)
    if not known[name] then
      local ratios = {}
      for k, at in ipairs(sample) do ratios[k] = ratio(one, at) end
      known[name], pool[#pool + 1] = true, { one = one, ratios = ratios }
    end
  end
  return pool
end

local function all_close(reached)
  for _, r in ipairs(reached) do
    if r > close then return false end
  end
  return true
end

-- What the sample would cost with one more, as a sum of logarithms.
local function cost_with(reached, ratios)
  local sum = 0
  for k, r in ipairs(reached) do sum = sum + math.log(math.min(r, ratios[k])) end
  return sum
end

-- Takes the one that helps most, again and again, until every size is close to its best, or there are `most`.
-- sample: { { schedule=, points=, cfg= the best }, ... }. Gives some of its elements.
function buckets.choose(sample, most)
  local pool, chosen, reached = candidates(sample), {}, {}
  for k = 1, #sample do reached[k] = illegal end
  while #chosen < most and not all_close(reached) do
    local best, least
    for _, candidate in ipairs(pool) do
      local cost = cost_with(reached, candidate.ratios)
      if not least or cost < least then best, least = candidate, cost end
    end
    chosen[#chosen + 1] = best.one
    for k, r in ipairs(best.ratios) do reached[k] = math.min(reached[k], r) end
  end
  return chosen
end

return buckets
