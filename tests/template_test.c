#define _GNU_SOURCE
/* The Lua host and the template engine. */
#include "tests/lua_support.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>

#define RENDER "return require('gen.template').render('templates/t.t', "

/* The text of `content` with the names of `names`, a Lua table. */
static const char *render(const char *content, const char *names)
{
    char code[1024];
    lua_file("templates/t.t", content);
    snprintf(code, sizeof code, RENDER "%s)", names);
    return lua_do(code);
}

static const char *render_lines(const char *content, const char *names)
{
    char code[1024];
    lua_file("templates/t.t", content);
    snprintf(code, sizeof code, RENDER "%s, true)", names);
    return lua_do(code);
}

static void render_fails(const char *content, const char *part)
{
    lua_file("templates/t.t", content);
    lua_fails(RENDER "{ x = 1, s = 'text', t = {} })", FG_INTERNAL, part);
}

/* ---- Text ---- */

START_TEST(test_text)
{
    ck_assert_str_eq(render("a\n  b\n", "{}"), "a\n  b\n");
    ck_assert_str_eq(render("no newline", "{}"), "no newline\n");
    ck_assert_str_eq(render("a\r\n\r\nb\r\n", "{}"), "a\n\nb\n");
    ck_assert_str_eq(render("\n\n", "{}"), "\n\n");
    ck_assert_str_eq(render("%% d\n %d\na % b\n", "{}"), "% d\n %d\na % b\n");
    ck_assert_str_eq(render("\\n \"q\" \t]] 'x'\n", "{}"), "\\n \"q\" \t]] 'x'\n");
    ck_assert_str_eq(render("$${x} $$ ${x} $x {x}\n", "{x = 1}"), "${x} $$ 1 $x {x}\n");
}
END_TEST

START_TEST(test_values)
{
    ck_assert_str_eq(render("${x}${s}, ${-x}\n", "{x = 7, s = 'a'}"), "7a, -7\n");
    ck_assert_str_eq(render("v${ ({ x, 2 })[1] }${'}'}${\"\\\"}\"}\n", "{x = 1}"), "v1}\"}\n");
    ck_assert_str_eq(render("${x > 1 and 'big' or 'small'};\n", "{x = 2}"), "big;\n");
    ck_assert_str_eq(render("${ceildiv(x, 4)} ${f32(0.5)} ${f64(3)}\n", "{x = 9}"), "3 0x1p-1f 0x1.8p+1\n");
}
END_TEST

START_TEST(test_lua_lines)
{
    ck_assert_str_eq(render("% for k = 1, n do\n  f(${k});\n% end\n", "{n = 3}"), "  f(1);\n  f(2);\n  f(3);\n");
    ck_assert_str_eq(render("%\n%if a then\nyes\n%else\nno\n%end\n", "{a = false}"), "no\n");
    ck_assert_str_eq(render("% local function twice(v)\n${v},\n${v}\n% end\n% twice(1)\n% twice(2)\n", "{}"),
                     "1,\n1\n2,\n2\n");
    ck_assert_str_eq(render("% local t = {\n%   1, 2,\n% }\n${#t}.\n%-- a comment\n", "{}"), "2.\n");
}
END_TEST

START_TEST(test_splice)
{
    ck_assert_str_eq(render("  ${s}\nend\n", "{s = 'a;\\n  b;\\n\\nc;\\n'}"), "  a;\n    b;\n\n  c;\nend\n");
    ck_assert_str_eq(render("a\n\t${s}\nb\n", "{s = ''}"), "a\nb\n");
    ck_assert_str_eq(render("${s}\n", "{s = 'one'}"), "one\n");
    ck_assert_str_eq(render("  ${s}${s}\n", "{s = ''}"), "  \n");
    render_fails("a\n${'b\\nc'};\n", "templates/t.t:2: a value of several lines is not alone on its line");
}
END_TEST

START_TEST(test_include)
{
    lua_file("templates/u.t", "u ${x} ${y}\n");
    ck_assert_str_eq(render("a\n%include 'templates/u.t'\nb\n", "{x = 1, y = 2}"), "a\nu 1 2\nb\n");
    ck_assert_str_eq(render("%include('templates/u.t', { y = 3 })\n${y}\n", "{x = 1, y = 2}"), "u 1 3\n2\n");
    render_fails("a\n%include 'templates/none.t'\n", "templates/t.t:2: there is no template 'templates/none.t'");
    render_fails("a\n%include 'templates/u.t'\n", "templates/u.t:1: undefined name 'y'");
    render_fails("%include 'templates/t.t'\n", "templates/t.t:1: templates include each other more than");
    render_fails("%include '../etc/passwd'\n", "'../etc/passwd' cannot be the name of a template");
}
END_TEST

/* ---- Errors name the template's line ---- */

START_TEST(test_errors)
{
    static const char *const cases[][2] = {
        { "a\n${y}\n", "templates/t.t:2: undefined name 'y'" },
        { "a\n\nb ${x} ${t.y}\n", "templates/t.t:3: ${t.y} is nil" },
        { "${x / 2}\n", "templates/t.t:1: ${x / 2} is a float: print it by f32 or f64" },
        { "a\n  ${x > 0}\n", "templates/t.t:2: ${x > 0} is a boolean" },
        { "${t}\n", "templates/t.t:1: ${t} is a table" },
        { "a\n${x\n}\n", "templates/t.t:2: '${' without its '}'" },
        { "a ${'}\n", "templates/t.t:1: '${' without its '}'" },
        { "a\nb ${}\n", "templates/t.t:2: " },
        { "a\nb ${x x}\n", "templates/t.t:2: ')' expected near 'x' in '${x x}'" },
        { "${x, x}\n", "templates/t.t:1: " },
        { "a\n${x --[[ y ]]}\n", "templates/t.t:2: a comment inside of '${'" },
        { "a\n% for\n% end\n", "templates/t.t:3: " },
        { "a\n% if x then\nb\n", "templates/t.t:3: 'end' expected (to close 'if' at line 2)" },
        { "a\nb\n% y = 1\n", "templates/t.t:3: assignment to undefined name 'y'" },
        { "a\n% x = nil + 1\n", "templates/t.t:2: attempt to perform arithmetic on a nil value" },
        { "a\n% assert(x == 2, \"x is two\")\n", "templates/t.t:2: x is two" },
        { "a\n% error 'no'\n", "templates/t.t:2: no" },
        { "a\n\n% error({})\n", "templates/t.t:3: an error that is a table" },
        { "a\n${f32('1')}\n", "templates/t.t:2: bad argument #1 to 'f32'" },
        { "a\n${f32(1/0)}\n", "templates/t.t:2: infinity is not finite" },
        { "a\n${f32(1e39)}\n", "templates/t.t:2: infinity is not finite" },
        { "a\n${f64(0/0)}\n", "templates/t.t:2: NaN is not finite" },
        { "a\n${ceildiv(1, 0)}\n", "templates/t.t:2: ceildiv takes" },
        { "a\n% while true do end\n", "templates/t.t:2: no end after 200 million instructions" },
        { "a\n% local function f() return 1 + f() end f()\n", "stack overflow" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) render_fails(cases[k][0], cases[k][1]);
}
END_TEST

/* An error in gen's Lua or C names the template's line too. */
START_TEST(test_error_from)
{
    lua_file("gen/helper.lua", "return { f = function(x) return x.y.z end }");
    render_fails("% local h = require 'gen.helper'\n\n${h.f({})}\n", "(from templates/t.t:3)");
    lua_file("templates/m.lua", "return 1\n+\n");
    render_fails("% require 'templates.m'\n", "templates/m.lua:3: unexpected symbol near <eof>");
    render_fails("a\n% require 'templates.none'\n", "templates/t.t:2: no module 'templates.none'");
}
END_TEST

/* ---- #line ---- */

START_TEST(test_lines)
{
    ck_assert_str_eq(render_lines("a\nb\nc\n", "{}"), "#line 1 \"templates/t.t\"\na\nb\nc\n");
    ck_assert_str_eq(render_lines("a\n% local x = 1\nb\n", "{}"),
                     "#line 1 \"templates/t.t\"\na\n#line 3 \"templates/t.t\"\nb\n");
    ck_assert_str_eq(render_lines("% for k = 1, 2 do\na\n% end\n", "{}"),
                     "#line 2 \"templates/t.t\"\na\n#line 2 \"templates/t.t\"\na\n");
    /* Each line of a splice is the splice's line; what follows it is in order again. */
    ck_assert_str_eq(render_lines("a\n ${s}\nb\n", "{s = 'x\\ny'}"),
                     "#line 1 \"templates/t.t\"\na\n x\n#line 2 \"templates/t.t\"\n y\nb\n");
}
END_TEST

START_TEST(test_lines_of_includes)
{
    lua_file("templates/u.t", "u\n");
    ck_assert_str_eq(render_lines("%include 'templates/u.t'\na\n", "{}"),
                     "#line 1 \"templates/u.t\"\nu\n#line 2 \"templates/t.t\"\na\n");
}
END_TEST

/* Where no directive can stand, the numbering is right again as soon as one can. */
START_TEST(test_lines_inside)
{
    ck_assert_str_eq(render_lines("#define f \\\n% local x\n  1\nb\n", "{}"),
                     "#line 1 \"templates/t.t\"\n#define f \\\n  1\n#line 4 \"templates/t.t\"\nb\n");
    ck_assert_str_eq(render_lines("/* a\n% local x\n*/ b\nc\n", "{}"),
                     "#line 1 \"templates/t.t\"\n/* a\n*/ b\n#line 4 \"templates/t.t\"\nc\n");
    ck_assert_str_eq(render_lines("/* a */ /*/\n% local x\n*/\nc\n", "{}"),
                     "#line 1 \"templates/t.t\"\n/* a */ /*/\n*/\n#line 4 \"templates/t.t\"\nc\n");
}
END_TEST

/* ---- Literals ---- */

START_TEST(test_literals)
{
    static const double values[] = { 0.0, -0.0, 1, 0.1, -1.4426950408889634, 3.4028234e38, 1e-45, 0x1.fffffep-127 };
    char names[64];
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        snprintf(names, sizeof names, "{x = %a}", values[k]);
        const char *literal = render("${f32(x)}\n", names);
        float back = strtof(literal, NULL);
        ck_assert_str_eq(literal + strlen(literal) - 2, "f\n");
        ck_assert_double_eq(back, (float)values[k]);
        ck_assert_int_eq(!!signbit(back), !!signbit(values[k]));
        ck_assert_double_eq(strtod(render("${f64(x)}\n", names), NULL), values[k]);
    }
}
END_TEST

/* ---- What Lua may use ---- */

START_TEST(test_gone)
{
    static const char *const gone[] = { "load", "dofile", "loadfile", "print", "collectgarbage", "pcall", "xpcall",
                                        "next", "_G", "warn", "io", "os", "debug", "package", "coroutine",
                                        "loadstring", "undefined" };
    char code[64], part[64];
    for (size_t k = 0; k < sizeof gone / sizeof *gone; k++) {
        snprintf(code, sizeof code, "return %s", gone[k]);
        snprintf(part, sizeof part, "undefined name '%s'", gone[k]);
        lua_fails(code, FG_INTERNAL, part);
    }
    ck_assert_str_eq(lua_do("return not (math.random or math.randomseed or string.dump) and 'gone'"), "gone");
    lua_fails("x = 1", FG_INTERNAL, "snippet:1: assignment to undefined name 'x'");
    lua_fails("setmetatable(getmetatable(string), {})", FG_INTERNAL, "snippet:1: ");
}
END_TEST

START_TEST(test_order)
{
    ck_assert_str_eq(lua_do("local r = '' for k, v in pairs { b = 1, a = 2, [10] = 3, [2] = 4 } do r = r .. k .. v "
                            "end return r"),
                     "24103a2b1");
    lua_fails("for k in pairs { [true] = 1 } do end", FG_INTERNAL, "snippet:1: pairs of a table with a boolean");
    lua_fails("for k in pairs(1) do end", FG_INTERNAL, "snippet:1: pairs of a number");
    /* 1000 numbers by their hundreds: equals keep their order. */
    ck_assert_str_eq(lua_do("local t = {} for k = 1, 1000 do t[k] = k * 7919 % 1000 end "
                            "local old = {} for k, x in ipairs(t) do old[x] = k end "
                            "table.sort(t, function(a, b) return a // 100 < b // 100 end) "
                            "for k = 2, #t do local a, b = t[k - 1], t[k] "
                            "assert(a // 100 < b // 100 or (a // 100 == b // 100 and old[a] < old[b])) end "
                            "return #t"),
                     "1000");
    ck_assert_str_eq(lua_do("local t = { 'b', 'C', 'a' } table.sort(t) return table.concat(t)"), "Cab");
}
END_TEST

START_TEST(test_no_addresses)
{
    lua_fails("local x = tostring({})", FG_INTERNAL, "snippet:1: a table has no text");
    lua_fails("local x = tostring(function() end)", FG_INTERNAL, "snippet:1: a function has no text");
    lua_fails("local x = ('%s'):format({})", FG_INTERNAL, "snippet:1: argument 1 of format '%s' is a table");
    lua_fails("return ('%d %g'):format(1, 0.5)", FG_INTERNAL, "argument 2 of format '%d %g' is a float");
    ck_assert_str_eq(lua_do("return ('%d %s %5.2s|'):format(1, 2, 'abc') .. tostring(nil)"), "1 2    ab|nil");
}
END_TEST

START_TEST(test_require)
{
    lua_folder_clear();
    lua_file("templates/m.lua", "return { name = ... }");
    ck_assert_str_eq(lua_do("local m = require 'templates.m' return m.name .. tostring(m == require 'templates.m')"),
                     "templates.mtrue");
    lua_file("templates/loop.lua", "local m = require 'templates.loop' return m");
    lua_fails("require 'templates.loop'", FG_INTERNAL, "templates/loop.lua:1: module 'templates.loop' requires itself");
    lua_file("templates/nothing.lua", "local x = 1");
    lua_fails("require 'templates.nothing'", FG_INTERNAL, "module 'templates.nothing' returns nothing");
    lua_fails("require 'string'", FG_INTERNAL, "snippet:1: no module 'string'");
    lua_fails("require 'templates...m'", FG_INTERNAL, "cannot be the name of a template");
    lua_file("templates/host.lua", "return select('#', ...) == 2 and select(2, ...) == nil and 'none'");
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
    ck_assert_int_eq(lua_host_new(&host, &memory_default, "/nowhere/at/all", NULL, &error), FG_REQUEST);
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

#define SMALL                                                                                                  \
    "require('gen.space').new({ { name = 'a', values = { 1, 2 } } }, {}, {}, {}):best(function() return 1 end) " \
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
            if (status == FG_OK) /* Lua survives a failure where it finds garbage, or only wanted to shrink */
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
        test_text,       test_values,           test_lua_lines,    test_splice,       test_include,
        test_errors,     test_error_from,       test_lines,        test_lines_of_includes, test_lines_inside,
        test_literals,   test_gone,             test_order,        test_no_addresses, test_require,
        test_files,      test_foreign_files,    test_limits,       test_memory,       test_locale,
        NULL,
    };
    if (!lua_folder_make()) return 1;
    int failed = support_run("template", tests);
    lua_folder_remove();
    return failed;
}
