#define _GNU_SOURCE
/* gen/space.lua: the space of a schedule's configs. */
#include "tests/lua_support.h"

#include <stdio.h>

#define SPACE                                                                                      \
    "local space = require 'gen.space'\n"                                                          \
    "local p, dev = { d = 3 }, { l1_bytes = 6 }\n"                                                 \
    "local s = space.new({\n"                                                                      \
    "  { name = 'rows', values = { 4, 1, 2 } },\n"                                                 \
    "  { name = 'kind', values = { 'near', 'far' } },\n"                                           \
    "  { name = 'keys', values = function(p, dev) return { p.d, dev.l1_bytes } end },\n"           \
    "}, {\n"                                                                                       \
    "  { name = 'rows fit', holds = function(cfg, p, dev) return cfg.rows * p.d <= dev.l1_bytes "  \
    "end },\n"                                                                                     \
    "  { name = 'far is wide', holds = function(cfg) return cfg.kind ~= 'far' or cfg.keys == 6 "   \
    "end },\n"                                                                                     \
    "}, p, dev)\n"                                                                                 \
    "local function cost(cfg) return -cfg.rows end\n"

START_TEST(test_points)
{
    ck_assert_str_eq(
        lua_do(SPACE "local all = {} for cfg in s:points() do all[#all + 1] = s:format(cfg) end "
                     "return table.concat(all, '; ')"),
        "keys=3 kind=near rows=1; keys=6 kind=near rows=1; keys=6 kind=far rows=1; "
        "keys=3 kind=near rows=2; keys=6 kind=near rows=2; keys=6 kind=far rows=2");
}
END_TEST

START_TEST(test_best)
{
    ck_assert_str_eq(lua_do(SPACE "return s:format(s:best(cost))"), "keys=3 kind=near rows=2");
    ck_assert_str_eq(lua_do(SPACE "return s:format(s:best(cost, s:parse 'kind=far'))"),
                     "keys=6 kind=far rows=2");
    ck_assert_str_eq(lua_do(SPACE "return s:format(s:best(cost, s:parse ' rows=1  keys=6 '))"),
                     "keys=6 kind=near rows=1");
    ck_assert_str_eq(lua_do(SPACE "return s:format(s:best(function() return 0 end))"),
                     "keys=3 kind=near rows=1");
    ck_assert_str_eq(lua_do("local s = require('gen.space').new({}, {}, {}, {}) "
                            "return '<' .. s:format(s:best(function() return 0 end)) .. '>'"),
                     "<>");
}
END_TEST

START_TEST(test_nothing_legal)
{
    ck_assert_str_eq(
        lua_do(
            SPACE
            "local cfg, why = s:best(cost, s:parse 'rows=4') return tostring(cfg) .. ' ' .. why"),
        "nil 'rows fit' excludes 4 of 4");
    ck_assert_str_eq(
        lua_do(SPACE "local _, why = s:best(cost, s:parse 'kind=far keys=3') return why"),
        "'rows fit' excludes 1 of 3, 'far is wide' excludes 2 of 3");
}
END_TEST

START_TEST(test_explain)
{
    ck_assert_str_eq(
        lua_do(SPACE
               "local e = s:explain() local a, b = e.removed[1], e.removed[2] "
               "return ('%d %d %s %d %s %d'):format(e.total, e.legal, a.name, a.count, b.name, "
               "b.count)"),
        "12 6 rows fit 4 far is wide 2");
}
END_TEST

/* Another space may have what this one has not: no failure yet. */
static void refuses(const char *config, const char *why)
{
    char line[sizeof SPACE + 200];
    snprintf(line, sizeof line, SPACE "return select(2, s:parse '%s')", config);
    ck_assert_str_eq(lua_do(line), why);
}

START_TEST(test_parse)
{
    ck_assert_str_eq(lua_do(SPACE
                            "local c = s:parse 'kind=far rows=4' "
                            "return math.type(c.rows) .. c.rows .. c.kind .. tostring(c.keys)"),
                     "integer4farnil");
    refuses("bn=4", "the config names an axis 'bn', which is none of keys, kind, rows");
    refuses("rows=3", "the config gives axis 'rows' the value '3', which is none of 4, 1, 2");
    refuses("rows=", "the config gives axis 'rows' the value '', which is none of 4, 1, 2");
    refuses("a\\1\\200b=1", "the config names an axis 'a??b', which is none of keys, kind, rows");
    lua_fails(SPACE "s:parse 'rows=1 rows=1'", FG_REQUEST, "gives axis 'rows' twice");
    lua_fails(SPACE "s:parse 'rows'", FG_REQUEST, "has 'rows' where it needs axis=value");
    lua_fails(SPACE "s:parse '=4'", FG_REQUEST, "has '=4' where it needs axis=value");
}
END_TEST

START_TEST(test_wrong_spaces)
{
#define NEW(axes, constraints) "require('gen.space').new({ " axes " }, { " constraints " }, {}, {})"
    lua_fails(NEW("{ name = 'a', values = {} }", ""), FG_INTERNAL, "axis 'a' has no values");
    lua_fails(NEW("{ name = 'a', values = { 1, 1 } }", ""), FG_INTERNAL,
              "axis 'a' has the value '1' twice");
    lua_fails(NEW("{ name = 'a', values = { 0.5 } }", ""), FG_INTERNAL,
              "axis 'a' has a value that is no integer or");
    lua_fails(NEW("{ name = 'a', values = { 'x y' } }", ""), FG_INTERNAL,
              "axis 'a' has a value that is no integer or");
    lua_fails(NEW("{ name = 'a', values = { 1 } }, { name = 'a', values = { 1 } }", ""),
              FG_INTERNAL, "axis 'a' comes twice");
    lua_fails(NEW("", "{ name = 'c', holds = function(cfg) return cfg.b end }") ":explain()",
              FG_INTERNAL, "snippet:1: the config has no axis 'b'");
    lua_fails(NEW("{ name = 'a', values = { 1 } }",
                  "{ name = 'c', holds = function(cfg) cfg.a = 2 end }") ":explain()",
              FG_INTERNAL, "snippet:1: a config is for reading");
    lua_fails(NEW("{ name = 'a', values = { 1 } }", "") ":best(function() return 0 / 0 end)",
              FG_INTERNAL, "the prior of a=1 is no number");
    lua_fails(NEW("{ name = 'a', values = { 1 } }", "") ":best(function(cfg) return cfg.z end)",
              FG_INTERNAL, "snippet:1: the config has no axis 'z'");
}
END_TEST

/* 2000 drawn spaces against nested loops. Constraints look at some axes only, some of them only at times, and
 * some at all through pairs. */
static const char drawn[] =
    "local space = require 'gen.space'\n"
    "local state = 1\n"
    "local function draw(n) state = (state * 1103515245 + 12345) % (1 << 31) return (state >> 16) "
    "% n end\n"
    "local function drawn_axes()\n"
    "  local axes = {}\n"
    "  for k = 1, draw(5) do\n"
    "    local values = {}\n"
    "    for v = 1, 1 + draw(4) do values[v] = v * 3 - draw(2) end\n"
    "    axes[k] = { name = 'axis' .. draw(90) + 100 * k, values = values }\n"
    "  end\n"
    "  return axes\n"
    "end\n"
    "local function drawn_constraint(axes)\n"
    "  local kind, mod, left = draw(6), 2 + draw(4), draw(4)\n"
    "  local a = axes[1 + draw(math.max(#axes, 1))]\n"
    "  local b = axes[1 + draw(math.max(#axes, 1))]\n"
    "  return { name = 'c', holds = function(cfg)\n"
    "    if kind == 5 or not a then return mod > 2 end\n"
    "    if kind == 4 then\n"
    "      local sum = 0\n"
    "      for _, value in pairs(cfg) do sum = sum + value end\n"
    "      return sum % mod ~= left\n"
    "    end\n"
    "    if kind == 3 and cfg[a.name] % 2 == 0 then return true end\n"
    "    return (cfg[a.name] + 2 * cfg[b.name]) % mod ~= left\n"
    "  end }\n"
    "end\n"
    "local function each(axes, visit, cfg, k)\n"
    "  if k > #axes then return visit(cfg) end\n"
    "  for _, value in ipairs(axes[k].values) do\n"
    "    cfg[axes[k].name] = value\n"
    "    each(axes, visit, cfg, k + 1)\n"
    "  end\n"
    "end\n"
    "local legal_ones = 0\n"
    "for round = 1, 2000 do\n"
    "  local axes, constraints = drawn_axes(), {}\n"
    "  for k = 1, draw(4) do constraints[k] = drawn_constraint(axes) end\n"
    "  local s = space.new(axes, constraints, {}, {})\n"
    "  local salt = draw(1000)\n"
    "  local function prior(cfg)\n"
    "    local sum = salt\n"
    "    for _, value in pairs(cfg) do sum = sum * 31 + value end\n"
    "    return sum % 7\n"
    "  end\n"
    "  local all, removed, total, best = {}, {}, 0, nil\n"
    "  each(axes, function(cfg)\n"
    "    total = total + 1\n"
    "    for k, c in ipairs(constraints) do\n"
    "      if not c.holds(cfg) then removed[k] = (removed[k] or 0) + 1 return end\n"
    "    end\n"
    "    all[#all + 1] = s:format(cfg)\n"
    "    if not best or prior(cfg) < best.cost then best = { cost = prior(cfg), text = "
    "s:format(cfg) } end\n"
    "  end, {}, 1)\n"
    "  local k = 0\n"
    "  for cfg in s:points() do\n"
    "    k = k + 1\n"
    "    assert(s:format(cfg) == all[k], 'another point')\n"
    "  end\n"
    "  assert(k == #all, 'another number of points')\n"
    "  local index = draw(100)\n"
    "  local found, legal = s:at({}, index)\n"
    "  assert(#all == 0 and not found or legal == #all and s:format(found) == all[index % #all + "
    "1], 'at')\n"
    "  local cfg = s:best(prior)\n"
    "  assert((cfg and s:format(cfg)) == (best and best.text), 'another best')\n"
    "  local e = s:explain()\n"
    "  assert(e.total == total and e.legal == #all, 'another total')\n"
    "  for k in ipairs(constraints) do assert(e.removed[k].count == (removed[k] or 0), 'another "
    "count') end\n"
    "  legal_ones = legal_ones + #all\n"
    "end\n"
    "return legal_ones";

START_TEST(test_drawn)
{
    ck_assert_int_gt(atoi(lua_do(drawn)), 10000);
}
END_TEST

/* A violation skips all that shares it: a large space with a narrow legal part takes few steps. */
START_TEST(test_skips)
{
    ck_assert_str_eq(lua_do("local axes, values, calls = {}, {}, 0\n"
                            "for v = 1, 50 do values[v] = v end\n"
                            "for k = 1, 8 do axes[k] = { name = 'a' .. k, values = values } end\n"
                            "local constraints = {}\n"
                            "for k = 1, 8 do\n"
                            "  constraints[k] = { name = 'c' .. k, holds = function(cfg)\n"
                            "    calls = calls + 1\n"
                            "    return cfg['a' .. k] == 7\n"
                            "  end }\n"
                            "end\n"
                            "local s = require('gen.space').new(axes, constraints, {}, {})\n"
                            "return s:format(s:best(function() return 1 end)) .. ' ' .. calls"),
                     "a1=7 a2=7 a3=7 a4=7 a5=7 a6=7 a7=7 a8=7 400");
}
END_TEST

/* What the prior does not look at costs it nothing; the first legal value stands. */
START_TEST(test_unranked)
{
    ck_assert_str_eq(
        lua_do("local calls = 0\n"
               "local s = require('gen.space').new({\n"
               "  { name = 'a', values = { 1, 2, 3 } },\n"
               "  { name = 'u', values = { 8, 4, 2, 1 }, ranked = false },\n"
               "}, { { name = 'fits', holds = function(cfg) return cfg.a * cfg.u <= 6 end } },\n"
               "  {}, {})\n"
               "local best = s:best(function(cfg) calls = calls + 1 return -cfg.a end)\n"
               "return s:format(best) .. ' ' .. calls .. ' ' .. s:explain().legal"),
        "a=3 u=2 3 7");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_points,       test_best,  test_nothing_legal, test_explain,  test_parse,
        test_wrong_spaces, test_drawn, test_skips,         test_unranked, NULL,
    };
    if (!lua_folder_make()) return 1;
    int failed = support_run("space", tests);
    lua_folder_remove();
    return failed;
}
