#define _GNU_SOURCE
/* gen/template.lua: the template engine. */
#include "tests/lua_support.h"

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
    ck_assert_str_eq(render("${ceildiv(x, 4)} ${f32(0.5)} ${f64(3)}\n", "{x = 9}"),
                     "3 0x1p-1f 0x1.8p+1\n");
}
END_TEST

START_TEST(test_lua_lines)
{
    ck_assert_str_eq(render("% for k = 1, n do\n  f(${k});\n% end\n", "{n = 3}"),
                     "  f(1);\n  f(2);\n  f(3);\n");
    ck_assert_str_eq(render("%\n%if a then\nyes\n%else\nno\n%end\n", "{a = false}"), "no\n");
    ck_assert_str_eq(
        render("% local function twice(v)\n${v},\n${v}\n% end\n% twice(1)\n% twice(2)\n", "{}"),
        "1,\n1\n2,\n2\n");
    ck_assert_str_eq(render("% local t = {\n%   1, 2,\n% }\n${#t}.\n%-- a comment\n", "{}"),
                     "2.\n");
}
END_TEST

START_TEST(test_splice)
{
    ck_assert_str_eq(render("  ${s}\nend\n", "{s = 'a;\\n  b;\\n\\nc;\\n'}"),
                     "  a;\n    b;\n\n  c;\nend\n");
    ck_assert_str_eq(render("a\n\t${s}\nb\n", "{s = ''}"), "a\nb\n");
    ck_assert_str_eq(render("${s}\n", "{s = 'one'}"), "one\n");
    ck_assert_str_eq(render("  ${s}${s}\n", "{s = ''}"), "  \n");
    render_fails("a\n${'b\\nc'};\n",
                 "templates/t.t:2: a value of several lines is not alone on its line");
}
END_TEST

START_TEST(test_include)
{
    lua_file("templates/u.t", "u ${x} ${y}\n");
    ck_assert_str_eq(render("a\n%include 'templates/u.t'\nb\n", "{x = 1, y = 2}"), "a\nu 1 2\nb\n");
    ck_assert_str_eq(render("%include('templates/u.t', { y = 3 })\n${y}\n", "{x = 1, y = 2}"),
                     "u 1 3\n2\n");
    render_fails("a\n%include 'templates/none.t'\n",
                 "templates/t.t:2: there is no template 'templates/none.t'");
    render_fails("a\n%include 'templates/u.t'\n", "templates/u.t:1: undefined name 'y'");
    render_fails("%include 'templates/t.t'\n",
                 "templates/t.t:1: templates include each other more than");
    render_fails("%include '../etc/passwd'\n", "'../etc/passwd' cannot be the name of a template");
}
END_TEST

/* What a template returns, its includer has: functions whose text comes where they are called. */
START_TEST(test_include_returns)
{
    lua_file("templates/u.t", "% local function twice(x)\n${x}${y}\n${x}${y}\n% end\n"
                              "% return { twice = twice, n = 7 }\n");
    ck_assert_str_eq(render("% local u = include('templates/u.t', { y = 3 })\na\n"
                            "% u.twice(1)\n${u.n}\n% u.twice(x)\n",
                            "{x = 2}"),
                     "a\n13\n13\n7\n23\n23\n");
    ck_assert_str_eq(render_lines("% local u = include('templates/u.t', { y = 3 })\n% u.twice(1)\n"
                                  "b\n",
                                  "{}"),
                     "#line 2 \"templates/u.t\"\n13\n13\n#line 3 \"templates/t.t\"\nb\n");
    render_fails("% local u = include 'templates/u.t'\n% u.twice(1)\n",
                 "templates/u.t:2: undefined name 'y'");
    lua_file("templates/u.t", "u\n");
    ck_assert_str_eq(render("${include 'templates/u.t' == nil and 'nothing' or 'some'}\n", "{}"),
                     "u\nnothing\n");
    lua_file("templates/u.t", "% return 1\nu\n");
    render_fails("% include 'templates/u.t'\n", "templates/u.t:2: ");
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
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        render_fails(cases[k][0], cases[k][1]);
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
    ck_assert_str_eq(
        render_lines("#define f \\\n% local x\n  1\nb\n", "{}"),
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
    static const double values[] = {
        0.0, -0.0, 1, 0.1, -1.4426950408889634, 3.4028234e38, 1e-45, 0x1.fffffep-127
    };
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

int main(void)
{
    const TTest *const tests[] = {
        test_text,
        test_values,
        test_lua_lines,
        test_splice,
        test_include,
        test_include_returns,
        test_errors,
        test_error_from,
        test_lines,
        test_lines_of_includes,
        test_lines_inside,
        test_literals,
        NULL,
    };
    if (!lua_folder_make()) return 1;
    int failed = support_run("template", tests);
    lua_folder_remove();
    return failed;
}
