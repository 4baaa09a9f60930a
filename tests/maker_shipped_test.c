#define _GNU_SOURCE
/* The problem's table in Lua, and the text of the shipped schedules. */
#include "gen/core/maker.h"
#include "tests/comma_locale.h"
#include "tests/lua_support.h"

static const maker_device device = {
    "a processor", "avx2", "gcc", "-O3 -mavx2", 2, 2, 32768, 1 << 20, false, 0, 0
};

static problem *parse(const char *line)
{
    problem *p;
    fg_error error = { 0 };
    ck_assert_msg(problem_parse(&p, &memory_default, line, strlen(line), &error) == FG_OK, "%s",
                  error.text);
    return p;
}

/* ---- The problem's table ---- */

static void check_table(const char *line, const char *code)
{
    static lua_snippet s;
    fg_error error = { 0 };
    problem *p = parse(line);
    s = (lua_snippet){ .code = code, .problem = p };
    fg_status status = lua_try(&s, &memory_default, &error);
    ck_assert_msg(status == FG_OK, "%s: %s", line, error.text);
    problem_free(p);
}

START_TEST(test_table)
{
    check_table(
        "dtype=bf16 b=2 hq=8 hkv=2 sq=* sk=9 d=64",
        "local p = ... assert(p.dir == 'fwd' and p.dtype == 'bf16' and p.odtype == 'bf16')"
        "assert(p.b == 2 and p.hkv == 2 and p.sk == 9 and p.dv == 64 and math.type(p.dv) == "
        "'integer')"
        "assert(p.sq == nil and p.dynamic.sq == true and p.dynamic.sk == nil)"
        "assert(p.layout == 'bshd' and p.align == 16 and p.scale == 0.125 and p.page == 0)"
        "assert(p.causal == false and p.window == false and p.softcap == false and p.lens == false)"
        "assert(p.alibi == false and p.bias == false and p.mask == false and p.grad == false)"
        "assert(#p.tensors == 0 and p.score == false and p.maskfn == false and p.lse == false)"
        "assert(p.text:find('d=64', 1, true))");
    check_table(
        "dtype=f32 b=1 hq=4 sq=3 d=8 causal=top-left window=5,-1 softcap=2.5 alibi bias=1H1K:f16 "
        "mask=B11K "
        "tensor=t:f32[hq,3] tensor=a:u8[sk] score={s + t[h][0]} maskfn={a[j] > 0} lse",
        "local p = ... assert(p.causal == 'top-left' and p.window.left == 5 and p.window.right == "
        "-1)"
        "assert(p.softcap == 2.5 and p.alibi == true and p.score == true and p.maskfn and p.lse)"
        "local f = p.bias.full assert(p.bias.type == 'f16' and not f[1] and f[2] and not f[3] and "
        "f[4])"
        "assert(p.mask.type == 'u8' and p.mask.full[1] and #p.mask.full == 4)"
        "local a, t = p.tensors[1], p.tensors[2]"
        "assert(#p.tensors == 2 and a.name == 'a' and a.type == 'u8' and a.rank == 1)"
        "assert(a.extent[1] == 3 and a.dim[1] == 'sk' and t.name == 't' and t.type == 'f32')"
        "assert(t.rank == 2 and t.extent[1] == 4 and t.extent[2] == 3 and t.dim[2] == false)");
    check_table(
        "dtype=f32 b=1 hq=4 sq=3 sk=* d=8 tensor=a:i32[sk] maskfn={a[j] > i}",
        "local p = ... local a = p.tensors[1] assert(a.extent[1] == false and a.dim[1] == 'sk')");
    check_table(
        "dir=bwd dtype=f32 b=1 hq=4 sq=3 d=8 tensor=t:f32[hq] score={s * t[h]} grad=q,t",
        "local p = ... assert(p.dir == 'bwd' and p.grad.q and p.grad.t and p.grad.k == nil)");
}
END_TEST

/* ---- The shipped schedules ---- */

static const char *const shipped[] = {
    "dtype=f32 b=1 hq=8 sq=1024 d=64 causal",
    "dtype=bf16 b=2 hq=8 hkv=2 sq=333 sk=517 d=80 causal bias=1HQK softcap=20 window=128,0 lse",
    "dtype=f16 b=2 hq=6 sq=64 d=33 dv=17 alibi mask=B11K layout=bhsd",
    "dtype=f32 b=2 hq=4 sq=7 sk=9 d=5 tensor=t:f32[hq] score={s - t[h] * abs(i + sk - sq - j)} "
    "maskfn={j % 3 ~= i % 2}",
};

/* The texts of all shipped problems, one behind the other. */
static char *make_shipped(const char *override)
{
    text all;
    text_init(&all, &memory_default);
    for (size_t k = 0; k < sizeof shipped / sizeof *shipped; k++) {
        made *m;
        fg_error error = { 0 };
        problem *p = parse(shipped[k]);
        maker_request request = { .memory = &memory_default,
                                  .problem = p,
                                  .device = &device,
                                  .config = NULL,
                                  .templates = override,
                                  .lines = true };
        ck_assert_msg(maker_installed->make(&m, &request, &error) == FG_OK, "%s: %s", shipped[k],
                      error.text);
        text_add(&all, m->text, m->text_length);
        text_addf(&all, "%s\n", m->config);
        made_free(m);
        problem_free(p);
    }
    char *result = strdup(all.data);
    text_free(&all);
    return result;
}

/* As ck_assert_str_eq, with the first difference only. */
static void check_same(const char *got, const char *expected)
{
    size_t k = 0;
    while (got[k] && got[k] == expected[k]) k++;
    ck_assert_msg(got[k] == expected[k], "differs at byte %zu: '%.60s', not '%.60s'", k, got + k,
                  expected + k);
}

/* The same text whatever surrounds it: another process's memory, environment, folder, locale. */
START_TEST(test_same_text)
{
    char *first = make_shipped(NULL);
    setenv("LUA_PATH", "/nowhere/?.lua", 1);
    setenv("LUA_INIT", "error('LUA_INIT ran')", 1);
    setenv("LUA_PATH_5_4", "/nowhere/?.lua", 1);
    setenv("LUA_INIT_5_4", "error('LUA_INIT ran')", 1);
    comma_locale_enter();
    ck_assert_int_eq(chdir("/"), 0);
    for (int k = 0; k < 8; k++) { /* Lua's hashes differ with addresses and the clock */
        void *hole = malloc(1000 + 4096 * (size_t)k);
        char *again = make_shipped(NULL);
        check_same(again, first);
        free(again);
        free(hole);
    }
    free(first);
}
END_TEST

/* A directory with a part of the templates overrides that part. */
START_TEST(test_override)
{
    char *first = make_shipped(NULL), *again = make_shipped(FLASHGEN_SOURCE_DIR);
    check_same(again, first);
    free(again);
    free(first);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_table,
        test_same_text,
        test_override,
        NULL,
    };
    if (!lua_folder_make()) return 1;
    int failed = support_run("maker_shipped", tests);
    lua_folder_remove();
    return failed;
}
