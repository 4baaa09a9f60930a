/* What is derived from expressions: the variant that a problem asks for, its text, and where each part goes. */
#include "tests/lua_support.h"

/* ---- Derivation as text ---- */

/* Defines dump(p, options): a line for each temporary, then the values and the bounds on tiles. */
static const char dump[] =
    "local function dump(p, options)\n"
    "  local v = require('gen.variant').new(p, {})\n"
    "  local lines, code, tiles = {}, v:code(options), v:tiles()\n"
    "  for _, level in ipairs { 'launch', 'head', 'row', 'column', 'element' } do\n"
    "    for _, t in ipairs(code[level]) do\n"
    "      lines[#lines + 1] = level .. ': ' .. t.ctype .. ' ' .. t.name .. ' = ' .. t.text\n"
    "    end\n"
    "  end\n"
    "  lines[#lines + 1] = 'score: ' .. code.value.score\n"
    "  if code.value.keep then lines[#lines + 1] = 'keep: ' .. code.value.keep end\n"
    "  for _, name in ipairs { 'first', 'last', 'full_first', 'full_last', 'empty', 'full' } do\n"
    "    if tiles[name] then lines[#lines + 1] = name .. ': ' .. tiles[name] end\n"
    "  end\n"
    "  return table.concat(lines, '\\n')\n"
    "end\n";

static const char shape[] = "b=2 hq=8 sq=333 sk=517 d=80 ";

typedef struct derivation {
    const problem *problem;
    char code[8192], result[1 << 16];
} derivation;

static int derive_in_lua(lua_State *L)
{
    derivation *d = lua_touserdata(L, 1);
    if (luaL_loadstring(L, d->code) != LUA_OK) return lua_error(L);
    lua_push_problem(L, d->problem);
    lua_call(L, 1, 1);
    snprintf(d->result, sizeof d->result, "%s", lua_tostring(L, -1));
    return 0;
}

static fg_status try_derive(derivation *d, const memory *m, const char *line, fg_error *error)
{
    problem *p = NULL;
    lua_host *host = NULL;
    fg_status s = problem_parse(&p, &memory_default, line, strlen(line), error);
    ck_assert_msg(s == FG_OK, "%s: %s", line, error->text);
    d->problem = p;
    s = lua_host_new(&host, m, NULL, p, error);
    if (s == FG_OK) s = lua_host_run(host, derive_in_lua, d, error);
    lua_host_free(host);
    problem_free(p);
    return s;
}

/* What `code`, given p, returns for the problem. */
static const char *derive(const char *more, const char *code)
{
    static derivation d;
    char line[8192];
    fg_error error = { .text = "" };
    snprintf(line, sizeof line, "%s%s", strncmp(more, "b=", 2) == 0 ? "" : shape, more);
    snprintf(d.code, sizeof d.code, "local p = ...\n%s%s", dump, code);
    fg_status s = try_derive(&d, &memory_default, line, &error);
    ck_assert_msg(s == FG_OK, "%s: %s", line, error.text);
    return d.result;
}

static const char *lanes(const char *more)
{
    return derive(more, "return dump(p, { lanes = 'i' })");
}

static const char *scalars(const char *more)
{
    return derive(more, "return dump(p, {})");
}

/* Whether the text has the part once. */
static void ck_once(const char *result, const char *part)
{
    const char *at = strstr(result, part);
    ck_assert_msg(at != NULL, "no '%s' in\n%s", part, result);
    ck_assert_msg(strstr(at + 1, part) == NULL, "more than one '%s' in\n%s", part, result);
}

static void ck_without(const char *result, const char *part)
{
    ck_assert_msg(strstr(result, part) == NULL, "there is '%s' in\n%s", part, result);
}

/* ---- The shipped features ---- */

START_TEST(test_plain)
{
    ck_assert_str_eq(lanes(""), "score: s");
    ck_assert_str_eq(
        derive("", "local v = require('gen.variant').new(p, {})\n"
                   "return tostring(v.score.name == 's' and v.keep == nil and #v.reads == 0 and\n"
                   "  #v.params == 0 and v:tiles().always)"),
        "true");
}
END_TEST

START_TEST(test_causal)
{
    ck_assert_str_eq(lanes("causal"),
                     "row: vi last_key = i[v] + 184\nscore: s\nkeep: j <= last_key[v]\n"
                     "last: i1 + 185\nfull_last: i0 + 185");
    ck_assert_str_eq(lanes("causal=top-left"),
                     "score: s\nkeep: j <= i[v]\nlast: i1 + 1\nfull_last: i0 + 1");
    ck_assert_str_eq(scalars("causal"),
                     "row: int last_key = i + 184\nscore: s\nkeep: j <= last_key\n"
                     "last: i1 + 185\nfull_last: i0 + 185");
}
END_TEST

START_TEST(test_window)
{
    ck_assert_str_eq(lanes("window=100,7"),
                     "row: vi first_key = i[v] - window_left + 184\nrow: vi last_key = i[v] + "
                     "window_right + 184\n"
                     "score: s\nkeep: (j >= first_key[v]) & (j <= last_key[v])\n"
                     "first: i0 - window_left + 184\nlast: window_right + i1 + 185\n"
                     "full_first: i1 - window_left + 184\nfull_last: window_right + i0 + 185");
    /* the right side says nothing beside causal */
    ck_assert_str_eq(
        lanes("window=100,0 causal=top-left"),
        "row: vi first_key = i[v] - window_left\n"
        "score: s\nkeep: (j <= i[v]) & (j >= first_key[v])\n"
        "first: i0 - window_left\nlast: i1 + 1\nfull_first: i1 - window_left\nfull_last: i0 + 1");
}
END_TEST

START_TEST(test_softcap_and_alibi)
{
    ck_assert_str_eq(lanes("softcap=20"), "launch: real least = min_r(1.0f / softcap, 1e+38f)\n"
                                          "score: softcap * tanh_vr(s * least)");
    ck_assert_str_eq(
        lanes("alibi"),
        "head: real slope = slopes[h * slopes_0]\nrow: vr row_real = tofloat_vr(i[v] + 184)\n"
        "column: real column_real = (real)j\n"
        "score: s - slope * abs_vr(row_real[v] - column_real)");
    ck_assert_str_eq(
        scalars("alibi causal=top-left"),
        "head: real slope = slopes[h * slopes_0]\nrow: real row_real = (real)i\n"
        "column: real column_real = (real)j\nscore: s - slope * abs_r(row_real - column_real)\n"
        "keep: j <= i\nlast: i1 + 1\nfull_last: i0 + 1");
    /* the row's part serves both */
    ck_once(lanes("alibi causal"), "i[v] + 184");
}
END_TEST

START_TEST(test_bias_broadcasts)
{
    ck_assert_str_eq(lanes("bias=BHQK"), "head: f32 * bias_bh = bias + b * bias_0 + h * "
                                         "bias_1\ncolumn: f32 * bias_j = bias_bh + j * bias_3\n"
                                         "score: s + gather_f32(bias_j, bias_2, i[v])");
    ck_assert_str_eq(
        lanes("bias=1H1K:f16"),
        "head: f16 * bias_h = bias + h * bias_0\n"
        "column: real bias_value = load_f16(bias_h[j * bias_1])\nscore: s + bias_value");
    ck_assert_str_eq(
        lanes("bias=11Q1"),
        "row: vr bias_value = gather_f32(bias, bias_0, i[v])\nscore: s + bias_value[v]");
    ck_assert_str_eq(lanes("bias=B111"),
                     "head: real bias_value = bias[b * bias_0]\nscore: s + bias_value");
    ck_assert_str_eq(lanes("bias=1111:bf16"),
                     "launch: real bias_value = load_bf16(bias[0])\nscore: s + bias_value");
    ck_assert_str_eq(
        scalars("bias=B1QK"),
        "head: f32 * bias_b = bias + b * bias_0\nrow: f32 * bias_i = bias_b + i * bias_1\n"
        "score: s + bias_i[j * bias_2]");
}
END_TEST

START_TEST(test_mask)
{
    ck_assert_str_eq(lanes("mask=B11K"), "head: u8 * mask_b = mask + b * mask_0\n"
                                         "column: int column_keeps = mask_b[j * mask_1] != 0\n"
                                         "score: s\nkeep: splat_i(-column_keeps)\nfull_last: 0");
    ck_assert_str_eq(
        lanes("mask=11QK causal=top-left"),
        "column: u8 * mask_j = mask + j * mask_1\nscore: s\n"
        "keep: (j <= i[v]) & (gather_u8(mask_j, mask_0, i[v]) != 0)\nlast: i1 + 1\nfull_last: 0");
}
END_TEST

START_TEST(test_all_in_order)
{
    const char *result = lanes(
        "softcap=20 alibi bias=1H11 score={exp(s)} causal window=9,9 mask=1H11 maskfn={j ~= 3}");
    ck_once(result, "score: exp_vr(bias_value + (softcap * tanh_vr(s * least) - slope * ");
    ck_assert_str_eq(
        derive("softcap=20 alibi bias=1H11 causal window=9,9 mask=1H11 maskfn={j ~= 3}",
               "local v, words = require('gen.variant').new(p, {}), {}\n"
               "for _, x in ipairs(v.reads) do words[#words + 1] = x.name .. ':' .. x.type .. "
               "x.rank .. x.dims[1] end\n"
               "for _, x in ipairs(v.params) do words[#words + 1] = x.name .. ':' .. x.type end\n"
               "words[#words + 1] = v.pool:format('mask', v.keep)\n"
               "return table.concat(words, ' ')"),
        "slopes:f3210 bias:f3211 mask:u811 softcap:float window_left:int "
        "j <= i + 184 and i - window_left + 184 <= j and mask[h] ~= 0 and j ~= 3");
}
END_TEST

/* ---- The user's functions ---- */

/* Tensors may be called as the tile's ends are. */
START_TEST(test_names)
{
    ck_once(lanes("maskfn={j <= i + 7 and j < i1[h]} tensor=i1:i32[hq]"),
            "\nlast: min_i(i1[h * i1_0], i1 + 8)");
    ck_once(lanes("score={s + last_key[h] * i} maskfn={j <= i + 1} tensor=last_key:f32[hq]"),
            "row: vi last_key2 = i[v] + 1\n");
}
END_TEST

/* An int that is used as a float stays one where a float would not hold its parts. */
START_TEST(test_ints_as_floats)
{
    ck_assert_str_eq(lanes("score={s + (i - 2 * j)}"), "row: vr row_real = tofloat_vr(i[v])\n"
                                                       "column: real column_real = (real)(2 * j)\n"
                                                       "score: s + (row_real[v] - column_real)");
    ck_once(lanes("score={s + (i + j + 3)}"), "score: s + (column_real + row_real[v])");
    ck_once(lanes("b=1 hq=1 sq=16777217 sk=9 d=8 score={s + (j - i)}"),
            "score: s + (column_real - row_real[v])");
    ck_once(lanes("b=1 hq=1 sq=16777218 sk=9 d=8 score={s + (j - i)}"), "score: s + tofloat_vr(");
    ck_once(lanes("score={s + abs(i * j - i)}"), "tofloat_vr(abs_vi(");
    /* quotients by constants */
    ck_once(lanes("score={s / 4 + s / -0.5}"), "score: 0.25f * s - 2.0f * s");
    ck_once(lanes("score={s / 0}"), "s / 0.0f");
    ck_once(lanes("score={s / 1e-38}"), "s / ");
    ck_once(lanes("score={s / h}"), "s / head_real");
    ck_once(lanes("score={s + j / 41}"), "/ 41.0f"); /* 41 * (1 / 41) is below 1 */
    ck_once(lanes("score={s + floor(s / 41)}"), "s / 41.0f");
    ck_once(lanes("score={where(s / 41 < 1, s, 0)}"), "s / 41.0f");
    ck_once(lanes("b=1 hq=1 sq=* sk=9 d=8 alibi"), "tofloat_vr(abs_vi(");
}
END_TEST

/* The parts of a score as text: summands' code and where their distance is 0. */
static const char *parts(const char *more)
{
    return derive(more,
                  "local v = require('gen.variant').new(p, {})\n"
                  "local sum, list = v:summands(), {}\n"
                  "if not sum then return 'none' end\n"
                  "for _, name in ipairs { 'curve', 'slope', 'diagonal', 'rest' } do\n"
                  "  local n = sum[name]\n"
                  "  local text = n and require('gen.print').inline({ n }, v:options())[1]\n"
                  "  list[#list + 1] = text and name .. ': ' .. text\n"
                  "end\n"
                  "list[#list + 1] = sum.first and 'first: ' .. sum.first\n"
                  "if sum.sided then list[#list + 1] = 'sided' end\n"
                  "for _, name in ipairs(sum.along) do list[#list + 1] = 'along ' .. name end\n"
                  "return table.concat(list, '\\n')");
}

START_TEST(test_summands)
{
    static const char leaning[] = "curve: s\nslope: -slopes[h * slopes_0]\ndiagonal: i + 184\n"
                                  "first: i0 + 184\nsided";
    ck_assert_str_eq(parts("alibi"), leaning);
    ck_assert_str_eq(parts("b=1 hq=1 sq=* sk=* d=8 alibi"),
                     "curve: s\nslope: -slopes[h * slopes_0]\ndiagonal: i + sk - sq\n"
                     "first: sk + i0 - sq\nsided");
    ck_assert_str_eq(parts("score={s + (j - i) * 0.5}"),
                     "curve: s\nslope: -0.5f\ndiagonal: i\nfirst: i0");
    ck_assert_str_eq(parts("score={s + (i + 3 - j) * t[b][h]} tensor=t:f32[b,hq]"),
                     "curve: s\nslope: t[b * t_0 + h * t_1]\ndiagonal: i + 3\nfirst: i0 + 3");
    ck_assert_str_eq(parts("score={2 - (i - j) - s} bias=11QK"),
                     "curve: -s\nslope: -1.0f\ndiagonal: i - 2\n"
                     "rest: -bias[i * bias_0 + j * bias_1]\nfirst: i0 - 2\nalong bias");
    ck_assert_str_eq(parts("bias=1HQ1"), "curve: s\nrest: bias[h * bias_0 + i * bias_1]");
    ck_once(parts("softcap=20 alibi"), "curve: softcap * tanh_r(");
    ck_assert_str_eq(parts(""), "none");
    ck_assert_str_eq(parts("softcap=20"), "none");
    ck_assert_str_eq(parts("score={s * t[i][j]} tensor=t:f32[sq,sk]"), "none");
    /* neither of these is a distance */
    ck_assert_str_eq(parts("score={s + abs(i - 2 * j)}"),
                     "curve: s\nrest: abs_r((real)i - (real)(2 * j))");
    ck_assert_str_eq(parts("score={s + abs(i + j)}"), "curve: s\nrest: abs_r((real)i + (real)j)");
    ck_once(parts("score={s + (i - j - 2147483640)}"), "rest: "); /* it wraps */
    ck_assert_str_eq(parts("score={s + i}"), "curve: s\nrest: (real)i");
}
END_TEST

START_TEST(test_user_is_as_good_as_shipped)
{
    static const char rename[] = "return (dump(p, { lanes = 'i' }):gsub('tilt', 'slope'))";
    char shipped[4096];
    snprintf(shipped, sizeof shipped, "%s", lanes("alibi"));
    ck_assert_str_eq(
        derive("score={s - tilts[h] * abs((i + sk - sq) / 1 - j / 1)} tensor=tilts:f32[hq]",
               rename),
        shipped);
    ck_assert_str_eq(
        derive("score={s - abs((sk - sq + i) / 1 - j / 1) * tilts[h]} tensor=tilts:f32[hq]",
               rename),
        shipped);
    ck_assert_str_eq(
        derive("score={s - tilts[h] * abs(j + sq - sk - i)} tensor=tilts:f32[hq]", rename),
        shipped);
    snprintf(shipped, sizeof shipped, "%s", lanes("causal"));
    ck_assert_str_eq(lanes("maskfn={j <= i + sk - sq}"), shipped);
    ck_assert_str_eq(
        lanes("maskfn={function(b, h, i, j) if j > i + 184 then return false end return true end}"),
        shipped);
}
END_TEST

START_TEST(test_hoisting)
{
    const char *result =
        lanes("score={s * t[h] + u[i] - exp(t[0]) + w[b][j] + where(h < 4, s, 2 * t[h])} "
              "tensor=t:f32[hq] tensor=u:f32[sq] tensor=w:bf16[b,sk]");
    ck_once(result, "launch: real power = exp_r(t[0])\n");
    ck_once(result, "head: real t_value = t[h * t_0]\n");
    ck_once(result, "head: int head_keeps = h < 4\n");
    ck_once(result, "row: vr u_value = gather_f32(u, u_0, i[v])\n");
    ck_once(result, "column: real w_value = load_bf16(w_b[j * w_1])\n");
    ck_once(result, "(head_keeps ? s : splat_r(head_product))");
    /* sq and sk are known at launch only */
    ck_once(lanes("b=* hq=4 sq=* sk=* d=64 causal"), "row: vi last_key = i[v] + sk - sq\n");
    ck_once(lanes("b=* hq=4 sq=* sk=* d=64 score={s * sqrt(sk)}"),
            "launch: real root = sqrt_r((real)sk)\n");
}
END_TEST

START_TEST(test_roots)
{
    ck_assert_str_eq(derive("alibi causal window=9,9",
                            "local v, list = require('gen.variant').new(p, {}), {}\n"
                            "local code = v:code { lanes = 'i' }\n"
                            "for _, t in ipairs(code.head) do list[#list + 1] = t end\n"
                            "for _, t in ipairs(code.row) do list[#list + 1] = t end\n"
                            "for k, t in ipairs(list) do\n"
                            "  list[k] = t.name .. (t.roots.score and '+s' or '') .. (t.roots.keep "
                            "and '+k' or '')\n"
                            "end\n"
                            "for name in pairs(code.uses) do list[#list + 1] = name end\n"
                            "return table.concat(list, ' ')"),
                     "slope+s last_key+s+k first_key+k row_real+s abs_vr tofloat_vr");
}
END_TEST

START_TEST(test_shared_once)
{
    const char *result = lanes(
        "score={function(s, b, h, i, j) local x = tanh(s + i % 7); return x * x + exp(x) end}");
    ck_once(result, "tanh_vr(");
    ck_once(result, "element: vr curve = tanh_vr(");
    ck_once(result, "score: exp_vr(curve) + curve * curve");
    /* one pointer for two reads */
    ck_once(lanes("score={s + u[h][i] * u[h][j]} tensor=u:f32[hq,517]"), "u + h * u_0");
}
END_TEST

START_TEST(test_clamping)
{
    ck_without(lanes("score={s + t[i + j]} tensor=t:f32[849]"), "min");
    ck_once(lanes("score={s + t[i + j]} tensor=t:f32[848]"),
            "gather_f32(t, t_0, min_vi(i[v] + j, splat_i(847)))");
    ck_without(lanes("score={s + t[i - j + 516]} tensor=t:f32[849]"), "max");
    ck_once(lanes("score={s + t[i - j + 515]} tensor=t:f32[849]"),
            "max_vi(row_offset[v] - j, splat_i(0))");
    ck_once(scalars("score={s + t[i - j]} tensor=t:f32[64]"),
            "t[min_i(max_i(i - j, 0), 63) * t_0]");
    ck_without(lanes("score={s + t[abs(i - j)]} tensor=t:f32[517]"), "min");
    ck_without(lanes("b=* hq=4 sq=* sk=* d=64 score={s + t[b][i] * u[j]} tensor=t:f32[b,sq] "
                     "tensor=u:f32[sk]"),
               "min");
    ck_once(lanes("b=* hq=4 sq=* sk=* d=64 score={s + t[i]} tensor=t:f32[sk]"),
            "min_vi(i[v], splat_i(sk - 1))");
}
END_TEST

START_TEST(test_wrapping)
{
    ck_once(scalars("maskfn={i * j * 10000 < 7}"), "keep: 10000 * (i * j) < 7");
    ck_once(scalars("maskfn={i * j * 20000 < 7}"), "keep: mul_i(20000, i * j) < 7");
    ck_once(lanes("maskfn={n[b] + i > n[b] * j} tensor=n:i32[b]"), "add_vi(");
    ck_once(scalars("maskfn={i + 2147483647 > j}"), "add_i(i, 2147483647)");
    ck_once(scalars("maskfn={abs(i - 5) // 4 == j % 3}"), "abs_i(i - 5) / 4");
    ck_once(scalars("maskfn={(i - 5) // 4 == j % -3}"), "floordiv_i(i - 5, 4)");
    ck_once(scalars("maskfn={(i - 5) // 4 == j % -3}"), "mod_i(j, -3)");
}
END_TEST

START_TEST(test_parentheses)
{
    ck_once(scalars("score={s - (s - h) - (2 - s) / (s / h)}"),
            "score: s - (s - head_real) - (2.0f - s) / (s / head_real)");
    ck_once(scalars("score={exp(-(s - 1)) - exp(-s)}"), "score: exp_r(-(s - 1.0f)) - exp_r(-s)");
    ck_once(scalars("maskfn={i < 5 and (j < 4 or h == 2) or not (i < 9 and j < 2)}"),
            "empty: (i0 >= 5 || (j0 >= 4 && h != 2)) && i1 < 9 && j1 < 2");
    ck_once(scalars("maskfn={i < 5 and (j < i or h == 2) or not (i < 9 and j < 2)}"),
            "keep: (row_keeps && (j < i || head_keeps)) || !(row_keeps2 && column_keeps)");
    ck_once(lanes("maskfn={i < 5 and (j < 4 or h == 2)}"), "keep: row_keeps[v] & -column_keeps");
    ck_once(scalars("score={where(i - j > 3, s, 0.1) * where(s < 0, 1e-7, -2.5)}"),
            "score: (i - j > 3 ? s : 0.1f) * (s < 0.0f ? 1e-07f : -2.5f)");
    ck_once(scalars("score={max(s, -1 / 0) + 0 / 0}"), "max_r(s, -INF) + __builtin_nanf(\"\")");
}
END_TEST

START_TEST(test_f64)
{
    ck_assert_str_eq(derive("b=1 hq=1 sq=8 sk=8 d=8 dtype=f64 score={tanh(s) * 0.1 + i}",
                            "return dump(p, { lanes = 'i' })"),
                     "row: vr row_real = tofloat_vr(i[v])\nscore: row_real[v] + 0.1 * tanh_vr(s)");
    ck_once(derive("b=1 hq=1 sq=8 sk=8 d=8 dtype=f64 score={max(s, 0 / 0) * 1e-300 - 1 / 0}",
                   "return dump(p, { lanes = 'i' })"),
            "score: 1e-300 * max_vr(s, splat_r(__builtin_nan(\"\"))) - INF");
}
END_TEST

/* Texts stay short enough for any compiler's nesting, however the function is built. */
START_TEST(test_long_functions)
{
    char code[8000] = "score={function(s, b, h, i, j) ";
    size_t length = strlen(code);
    for (int k = 0; k < 250; k++)
        length +=
            (size_t)snprintf(code + length, sizeof code - length, "local s = tanh(s + %d) ", k);
    snprintf(code + length, sizeof code - length, "return s end}");
    const char *result = lanes(code);
    for (const char *line = result; line; line = strchr(line + 1, '\n')) {
        const char *end = strchr(line + 1, '\n');
        ck_assert_uint_lt(end ? (size_t)(end - line) : strlen(line), 250);
    }
    ck_once(result, " + 249.0f");
}
END_TEST

/* ---- Nodes in Lua ---- */

START_TEST(test_nodes)
{
    ck_assert_str_eq(
        derive("tensor=t:f32[hq] score={s + t[h]}",
               "local pool = expr.pool()\n"
               "local i, j, t = pool:symbol('i'), pool:symbol('j'), pool:tensor('t')\n"
               "local sum = pool:make('add', j, i)\n"
               "assert(sum == pool:make('add', i, j) and ({ [sum] = 1 })[pool:make('add', i, j)] "
               "== 1)\n"
               "assert(sum.op == 'add' and sum.type == 'int' and #sum == 2 and sum[1] == i and not "
               "sum[3])\n"
               "assert(sum:depends_on('j') and not sum:depends_on('b') and i.name == 'i' and "
               "sum.pool == pool)\n"
               "assert(pool:symbol('sq').value == 333 and pool:bool(true).value == true)\n"
               "assert(pool:float(0.25).value == 0.25 and not i.value and not pool:symbol('t'))\n"
               "assert(t.type == 'float' and t.extent[1].value == 8 and not pool:tensor('i'))\n"
               "assert(pool:read('t', i).name == 't' and pool:read('t', i)[1] == i)\n"
               "assert(pool:parse('mask', 'j <= i', 'here') == pool:make('le', j, i))\n"
               "assert(pool:substitute(sum, 'i', j) == pool:make('mul', pool:int(2), j))\n"
               "assert(pool:user('maskfn') == nil and pool:user('score').op == 'add')\n"
               "return pool:format('score', pool:user('score')) .. tostring(sum)"),
        "s + t[h]i + j");
}
END_TEST

static void ck_fails(const char *code, fg_status status, const char *part)
{
    static derivation d;
    char line[256];
    fg_error error = { .text = "" };
    snprintf(line, sizeof line, "%stensor=t:f32[hq] score={s + t[h]}", shape);
    snprintf(d.code, sizeof d.code, "local pool = expr.pool() local i = pool:symbol('i') %s", code);
    ck_assert_int_eq(try_derive(&d, &memory_default, line, &error), status);
    ck_assert_msg(strstr(error.text, part) != NULL, "no '%s' in '%s'", part, error.text);
}

START_TEST(test_node_errors)
{
    ck_fails("pool:make('plus', i, i)", FG_INTERNAL, "no op is called 'plus'");
    ck_fails("pool:make('add', i)", FG_INTERNAL, "'add' does not take these operands");
    ck_fails("pool:make('not', i)", FG_INTERNAL, "'not' does not take these operands");
    ck_fails("pool:make('add', i, 7)", FG_INTERNAL, "flashgen.expr expected");
    ck_fails("pool:make('add', i, expr.pool():symbol('i'))", FG_INTERNAL, "another pool");
    ck_fails("pool:int(1 << 31)", FG_INTERNAL, "32 bits");
    ck_fails("pool:variable('t', 'int')", FG_INTERNAL, "'t' cannot be a variable");
    ck_fails("pool:variable('if', 'int')", FG_INTERNAL, "'if' cannot be a variable");
    ck_fails("pool:declare_tensor('i', 'int', { i })", FG_INTERNAL, "'i' cannot be a tensor");
    ck_fails("pool:read('t')", FG_INTERNAL, "'t' takes 1 indices");
    ck_fails("pool:read('u', i)", FG_INTERNAL, "'u' is not a tensor");
    ck_fails("pool:parse('mask', 'j <', 'here')", FG_INTERNAL, "here: ");
    ck_fails("return i.color", FG_INTERNAL, "no field 'color'");
    ck_fails("for k = 1, 100000 do pool:int(k) end", FG_REQUEST, "too large");
}
END_TEST

START_TEST(test_memory_runs_out)
{
    static derivation d;
    fg_error error;
    counter c = { 0 };
    const memory m = { counter_allocate, &c };
    char line[512];
    snprintf(line, sizeof line, "%scausal alibi score={s + t[h]} tensor=t:f32[hq]", shape);
    snprintf(d.code, sizeof d.code, "local p = ...\n%sreturn dump(p, { lanes = 'i' })", dump);
    ck_assert_int_eq(try_derive(&d, &m, line, &error), FG_OK);
    const size_t calls = c.calls;
    ck_assert_uint_eq(c.live, 0);
    for (size_t at = 1; at <= calls; at += 1 + at / 40) {
        for (int persists = 0; persists < 2; persists++) {
            c = (counter){ .fail_at = at, .persists = persists };
            fg_status s = try_derive(&d, &m, line, &error);
            ck_assert_msg(s == FG_MEMORY || (s == FG_OK && !persists), "allocation %zu: %s", at,
                          error.text);
            ck_assert_uint_eq(c.live, 0);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { test_plain,
                                   test_causal,
                                   test_window,
                                   test_softcap_and_alibi,
                                   test_ints_as_floats,
                                   test_summands,
                                   test_bias_broadcasts,
                                   test_mask,
                                   test_all_in_order,
                                   test_names,
                                   test_user_is_as_good_as_shipped,
                                   test_hoisting,
                                   test_roots,
                                   test_shared_once,
                                   test_clamping,
                                   test_wrapping,
                                   test_parentheses,
                                   test_f64,
                                   test_long_functions,
                                   test_nodes,
                                   test_node_errors,
                                   test_memory_runs_out,
                                   NULL };
    return support_run("derive", tests);
}
