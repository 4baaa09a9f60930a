#define _GNU_SOURCE
/* gen/lua.c and gen/base.lua: what Lua may use, its limits, its errors. */
#include "tests/lua_support.h"

#include <langinfo.h>
#include <locale.h>

/* ---- What Lua may use ---- */

START_TEST(test_gone)
{
    static const char *const gone[] = {
        "load",       "dofile",   "loadfile", "print",   "collectgarbage",
        "pcall",      "xpcall",   "next",     "_G",      "warn",
        "io",         "os",       "debug",    "package", "coroutine",
        "loadstring", "undefined"
    };
    char code[64], part[64];
    for (size_t k = 0; k < sizeof gone / sizeof *gone; k++) {
        snprintf(code, sizeof code, "return %s", gone[k]);
        snprintf(part, sizeof part, "undefined name '%s'", gone[k]);
        lua_fails(code, FG_INTERNAL, part);
    }
    ck_assert_str_eq(
        lua_do("return not (math.random or math.randomseed or string.dump) and 'gone'"), "gone");
    lua_fails("x = 1", FG_INTERNAL, "snippet:1: assignment to undefined name 'x'");
    lua_fails("setmetatable(getmetatable(string), {})", FG_INTERNAL, "snippet:1: ");
}
END_TEST

START_TEST(test_order)
{
    ck_assert_str_eq(
        lua_do(
            "local r = '' for k, v in pairs { b = 1, a = 2, [10] = 3, [2] = 4 } do r = r .. k .. v "
            "end return r"),
        "24103a2b1");
    lua_fails("for k in pairs { [true] = 1 } do end", FG_INTERNAL,
              "snippet:1: pairs of a table with a boolean");
    lua_fails("for k in pairs(1) do end", FG_INTERNAL, "snippet:1: pairs of a number");
    /* 1000 numbers by their hundreds: equals keep their order. */
    ck_assert_str_eq(
        lua_do("local t = {} for k = 1, 1000 do t[k] = k * 7919 % 1000 end "
               "local old = {} for k, x in ipairs(t) do old[x] = k end "
               "table.sort(t, function(a, b) return a // 100 < b // 100 end) "
               "for k = 2, #t do local a, b = t[k - 1], t[k] "
               "assert(a // 100 < b // 100 or (a // 100 == b // 100 and old[a] < old[b])) end "
               "return #t"),
        "1000");
    ck_assert_str_eq(lua_do("local t = { 'b', 'C', 'a' } table.sort(t) return table.concat(t)"),
                     "Cab");
}
END_TEST

START_TEST(test_no_addresses)
{
    lua_fails("local x = tostring({})", FG_INTERNAL, "snippet:1: a table has no text");
    lua_fails("local x = tostring(function() end)", FG_INTERNAL,
              "snippet:1: a function has no text");
    lua_fails("local x = ('%s'):format({})", FG_INTERNAL,
              "snippet:1: argument 1 of format '%s' is a table");
    lua_fails("return ('%d %g'):format(1, 0.5)", FG_INTERNAL,
              "argument 2 of format '%d %g' is a float");
    ck_assert_str_eq(lua_do("return ('%d %s %5.2s|'):format(1, 2, 'abc') .. tostring(nil)"),
                     "1 2    ab|nil");
}
END_TEST

START_TEST(test_require)
{
    lua_folder_clear();
    lua_file("templates/m.lua", "return { name = ... }");
    ck_assert_str_eq(lua_do("local m = require 'templates.m' return m.name .. tostring(m == "
                            "require 'templates.m')"),
                     "templates.mtrue");
    lua_file("templates/loop.lua", "local m = require 'templates.loop' return m");
    lua_fails("require 'templates.loop'", FG_INTERNAL,
              "templates/loop.lua:1: module 'templates.loop' requires itself");
    lua_file("templates/nothing.lua", "local x = 1");
    lua_fails("require 'templates.nothing'", FG_INTERNAL,
              "module 'templates.nothing' returns nothing");
    lua_fails("require 'string'", FG_INTERNAL, "snippet:1: no module 'string'");
    lua_fails("require 'templates...m'", FG_INTERNAL, "cannot be the name of a template");
    lua_file("templates/host.lua",
             "return select('#', ...) == 2 and select(2, ...) == nil and 'none'");
    ck_assert_str_eq(lua_do("return require 'templates.host'"), "none");
}
END_TEST

START_TEST(test_files)
{
    lua_folder_clear();
    lua_file("templates/some/b.lua", "");
    lua_file("templates/some/a.t", "");
    lua_file("templates/some/.hidden", "");
    lua_file("templates/some/a.t~", "");
    lua_file("templates/some/deeper/c.t", "");
    ck_assert_str_eq(lua_do("return table.concat(files 'templates/some/', ' ')"),
                     "templates/some/a.t templates/some/b.lua");
    ck_assert_str_eq(lua_do("return #files 'templates/none/'"), "0");
    /* Those of the library are there too, once. */
    lua_file("templates/forward/c.lua", "return 'mine'");
    ck_assert_str_eq(lua_do("local n = 0 for _, f in ipairs(files 'templates/forward/') do "
                            "if f == 'templates/forward/c.lua' then n = n + 1 end end "
                            "return n .. require 'templates.forward.c'"),
                     "1mine");
}
END_TEST

/* What cannot be a template is refused before anything is read from it. */
START_TEST(test_foreign_files)
{
    char path[512];
    fg_error error;
    lua_host *host;
    lua_folder_clear();
    snprintf(path, sizeof path, "%s/templates", lua_folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/templates/fifo.lua", lua_folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    lua_fails("require 'templates.fifo'", FG_REQUEST, "is no ordinary file");
    ck_assert_int_eq(lua_host_new(&host, &memory_default, "/nowhere/at/all", NULL, &error),
                     FG_REQUEST);
    ck_assert_ptr_nonnull(strstr(error.text, "'/nowhere/at/all'"));
    ck_assert_ptr_null(host);
}
END_TEST

/* ---- Limits ---- */

START_TEST(test_limits)
{
    lua_fails("local t = {} while true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end", FG_INTERNAL,
              "the templates need more than 256 MiB");
    lua_fails("return ('x'):rep(1 << 29)", FG_INTERNAL, "the templates need more than 256 MiB");
    lua_fails("local function f() return pairs(f) end while true do local x = f end", FG_INTERNAL,
              "snippet:1: no end after");
}
END_TEST

#define SMALL                                                                                      \
    "require('gen.space').new({ { name = 'a', values = { 1, 2 } } }, {}, {}, {}):best(function() " \
    "return 1 end) "                                                                               \
    "return require('gen.template').render('templates/t.t', { n = 3 }, true)"

START_TEST(test_memory)
{
    static lua_snippet s;
    fg_error error;
    counter c = { 0 };
    memory m = { counter_allocate, &c };
    s = (lua_snippet){ .code = SMALL };
    lua_file("templates/t.t", "% for k = 1, n do\n${k}\n% end\n");
    ck_assert_int_eq(lua_try(&s, &m, &error), FG_OK);
    ck_assert_uint_eq(c.live, 0);
    char *expected = strdup(s.result);
    size_t calls = c.calls;
    ck_assert_uint_gt(calls, 500);
    for (int persists = 0; persists < 2; persists++) {
        for (size_t k = 1; k <= calls; k++) {
            c = (counter){ .fail_at = k, .persists = persists };
            fg_status status = lua_try(&s, &m, &error);
            ck_assert_uint_eq(c.live, 0);
            if (status ==
                FG_OK) /* Lua survives a failure where it finds garbage, or only wanted to shrink */
                ck_assert_str_eq(s.result, expected);
            else
                ck_assert_msg(status == FG_MEMORY, "%zu: %s", k, error.text);
            ck_assert(status != FG_OK || !persists || k > calls / 2);
        }
    }
    free(expected);
}
END_TEST

/* ---- The locale ---- */

static int look_at_locale(lua_State *L)
{
    (void)L;
    ck_assert_str_eq(nl_langinfo(CODESET), "ANSI_X3.4-1968");
    return 0;
}

START_TEST(test_locale)
{
    fg_error error;
    lua_host *host;
    locale_t other = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    ck_assert_msg(other != (locale_t)0, "there is no locale C.UTF-8");
    uselocale(other);
    ck_assert_int_eq(lua_host_new(&host, &memory_default, lua_folder, NULL, &error), FG_OK);
    ck_assert_int_eq(lua_host_run(host, look_at_locale, NULL, &error), FG_OK);
    lua_host_free(host);
    ck_assert_ptr_eq(uselocale((locale_t)0), other);
    uselocale(LC_GLOBAL_LOCALE);
    freelocale(other);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_gone,          test_order,  test_no_addresses, test_require, test_files,
        test_foreign_files, test_limits, test_memory,       test_locale,  NULL,
    };
    if (!lua_folder_make()) return 1;
    int failed = support_run("lua", tests);
    lua_folder_remove();
    return failed;
}
