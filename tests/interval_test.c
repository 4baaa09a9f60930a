/* ctest: timeout=600 */
/* Tiles by interval arithmetic against brute force, on drawn masks. */
#include "gen/lua_expr.h"
#include "tests/support.h"

#include <lauxlib.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Drawing ---- */

static uint64_t drawn;

static int draw(int count)
{
    drawn += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = drawn;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (int)((x ^ x >> 31) % (uint64_t)count);
}

static int between(int least, int most)
{
    return least + draw(most - least + 1);
}

typedef struct source {
    char text[4096];
    size_t length;
} source;

static void add(source *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(source *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(s->text + s->length, sizeof s->text - s->length, format, arguments);
    va_end(arguments);
    s->length += (size_t)length;
    ck_assert_uint_lt(s->length, sizeof s->text);
}

static const char *choose(const char *const *words)
{
    int count = 0;
    while (words[count]) count++;
    return words[draw(count)];
}

static void add_bool(source *s, int depth);

static void add_constant(source *s)
{
    static const int large[] = { INT32_MAX, INT32_MAX - 40, 1 << 30,    65536,
                                 46341,     3000,           -(1 << 30), INT32_MIN + 1 };
    int value = draw(12) ? between(-40, 40) : large[draw(8)];
    add(s, value < 0 ? "(%d)" : "%d", value);
}

static void add_leaf(source *s)
{
    static const char *const names[] = { "i", "i", "i", "j", "j", "j", "sq", "sk", "b", "h", NULL };
    static const char *const reads[] = { "len[b]",  "doc[b][j]",     "doc[b][i]", "kind[j]",
                                         "kind[h]", "doc[h][i - j]", NULL };
    int kind = draw(16);
    if (kind < 11)
        add(s, "%s", choose(names));
    else if (kind < 15)
        add_constant(s);
    else
        add(s, "%s", choose(reads));
}

static void add_int(source *s, int depth);

/* `form` has an & for each int operand and a ? for each bool. */
static void add_form(source *s, const char *form, int depth)
{
    for (; *form; form++) {
        if (*form == '&')
            add_int(s, depth);
        else if (*form == '?')
            add_bool(s, depth);
        else
            add(s, "%c", *form);
    }
}

static void add_int(source *s, int depth)
{
    static const char *const forms[] = { "(& + &)",        "(& - &)",
                                         "(& + &)",        "(& - &)",
                                         "(& * &)",        "(3 * &)",
                                         "(-2 * &)",       "(& // 8)",
                                         "(& // -3)",      "(& // &)",
                                         "(& % 5)",        "(& % 16)",
                                         "(& % -4)",       "(& % &)",
                                         "abs(&)",         "abs(& - &)",
                                         "min(&, &)",      "max(&, &)",
                                         "where(?, &, &)", "(-&)",
                                         "floor(& / 4)",   "floor(& * 0.3)",
                                         "(& // (i + 3))", "(& % (j + 2))",
                                         "abs(doc[b][j])", NULL };
    if (depth <= 0 || draw(4) == 0)
        add_leaf(s);
    else
        add_form(s, choose(forms), depth - 1);
}

static void add_bool(source *s, int depth)
{
    static const char *const compares[] = { "& < &",      "& <= &",       "& > &",
                                            "& >= &",     "& == &",       "& ~= &",
                                            "& <= & / 3", "& * 0.25 < &", NULL };
    static const char *const joins[] = { "(? and ?)", "(? and ?)",      "(? or ?)",
                                         "(not (?))", "where(?, ?, ?)", NULL };
    bool join = depth > 1 && draw(3) == 0;
    if (!join) add(s, "(");
    add_form(s, join ? choose(joins) : choose(compares), depth - 1);
    if (!join) add(s, ")");
}

static void draw_general(source *s)
{
    int parts = between(1, 3);
    for (int k = 0; k < parts; k++) {
        if (k) add(s, " and ");
        add_bool(s, 3);
    }
}

/* factor * j against a line in i. */
static void draw_half_plane(source *s)
{
    static const char *const signs[] = { "<", "<=", ">", ">=", NULL };
    int factor = between(1, 4) * (draw(2) ? 1 : -1), slope = between(-3, 3), at = between(-60, 60);
    const char *sign = choose(signs);
    switch (draw(3)) {
    case 0:
        add(s, "%d * j %s %d * i + %d", factor, sign, slope, at);
        break;
    case 1:
        add(s, "%d * i - %d %s %d * j + sk - sq", slope, at, sign, factor);
        break;
    default:
        add(s, "not (%d * i + %d * j %s %d)", slope, factor, sign, at);
    }
}

/* What is visible is one interval of keys for each row, and one for any rows. */
static void draw_band(source *s)
{
    int at = between(-30, 30), width = between(-6, 30), factor = between(1, 3);
    switch (draw(5)) {
    case 0:
        add(s, "j >= i + %d and j <= i + %d", at, at + width);
        break;
    case 1:
        add(s, "abs(i + %d - j) <= %d", at, width);
        break;
    case 2:
        add(s, "%d * j - i > %d and %d * j - i < %d", factor, at, factor, at + width);
        break;
    case 3:
        add(s, "i + j >= %d and not (i + j > %d)", at + 30, at + 30 + width);
        break;
    default:
        add(s, "abs(j - i) < %d and j <= i + sk - sq", width);
    }
}

typedef enum family { HALF_PLANE, BAND, GENERAL, families } family;

static void (*const draw_mask[families])(source *) = { draw_half_plane, draw_band, draw_general };

/* ---- One mask ---- */

/* What brute force and analysis say of key tiles. */
typedef struct tally {
    int tiles, none, all;  /* by brute force */
    int skipped, unmasked; /* by analysis */
    int bounded;           /* masks with a first or last key */
} tally;

enum { FIRST, LAST, FULL_FIRST, FULL_LAST, EMPTY, FULL, texts };

static const char *const text_names[texts] = { "first",     "last",  "full_first",
                                               "full_last", "empty", "full" };

typedef struct trial {
    const problem *problem;
    const char *source;
    bool always;
    expr_program mask, text[texts]; /* without steps where there is none */
    const expr_pool *pool;          /* of the texts */
    expr_env env, tile_env;
    struct place {
        int64_t b, h, i, j, sq, sk; /* origins, and whole sizes */
    } place;                        /* of a shard; else 0, and the problem's own */
    tally *tally;
} trial;

static double read_element(void *user, int symbol, const int64_t *index)
{
    const expr_pool *pool = user;
    const char *name = expr_get_symbol(pool, symbol)->name;
    uint64_t x = (uint64_t)(index[0] * 7 + index[1] * 13 + name[0]) * UINT64_C(0x9e3779b97f4a7c15);
    if (strcmp(name, "kind") == 0) return (double)(x >> 61);
    return x >> 60 == 0 ? (double)INT32_MIN : (double)(x >> 58) - 8;
}

static void set(const expr_pool *pool, expr_env *env, const char *name, int64_t value)
{
    int symbol = expr_find(pool, name);
    if (symbol >= 0) env->variable[symbol] = (double)value;
}

static double value_of(const expr_program *program, const expr_env *env)
{
    static double scratch[expr_scratch * expr_max_nodes];
    expr_result result;
    ck_assert_int_le(program->count, expr_max_nodes);
    expr_eval(program, env, scratch, &result);
    return result.value;
}

static bool sees(trial *t, int64_t i, int64_t j)
{
    if (!t->mask.steps) return true;
    set(t->problem->pool, &t->env, "i", i + t->place.i);
    set(t->problem->pool, &t->env, "j", j + t->place.j);
    return value_of(&t->mask, &t->env) != 0;
}

static double text_of(const trial *t, int which, double otherwise)
{
    return t->text[which].steps ? value_of(&t->text[which], &t->tile_env) : otherwise;
}

typedef struct rectangle {
    int64_t i0, i1, j0, j1;
} rectangle;

static void check_tile(trial *t, const rectangle *r)
{
    const double first = text_of(t, FIRST, 0), last = text_of(t, LAST, 1e12);
    const double full_first = text_of(t, FULL_FIRST, 0), full_last = text_of(t, FULL_LAST, 1e12);
    const double from = fmax(first, (double)r->j0), to = fmin(last, (double)r->j1 + 1);
    bool skipped = from >= to || text_of(t, EMPTY, 0) != 0;
    bool unmasked = t->always || ((double)r->j0 >= full_first && (double)r->j1 < full_last &&
                                  text_of(t, FULL, 1) != 0);
    int visible = 0, pairs = 0;
    for (int64_t i = r->i0; i <= r->i1; i++) {
        for (int64_t j = r->j0; j <= r->j1; j++, pairs++) {
            if (!sees(t, i, j)) continue;
            visible++;
            ck_assert_msg((double)j >= first && (double)j < last,
                          "%s: (%lld, %lld) is outside of the bounds", t->source, (long long)i,
                          (long long)j);
        }
    }
    ck_assert_msg(!skipped || visible == 0,
                  "%s: %s: skipped, yet %d are visible in %lld..%lld, %lld..%lld", t->problem->text,
                  t->source, visible, (long long)r->i0, (long long)r->i1, (long long)r->j0,
                  (long long)r->j1);
    ck_assert_msg(!unmasked || visible == pairs,
                  "%s: %s: full, yet %d are hidden in %lld..%lld, %lld..%lld", t->problem->text,
                  t->source, pairs - visible, (long long)r->i0, (long long)r->i1, (long long)r->j0,
                  (long long)r->j1);
    *t->tally = (tally){ t->tally->tiles + 1,
                         t->tally->none + (visible == 0),
                         t->tally->all + (visible == pairs),
                         t->tally->skipped + skipped,
                         t->tally->unmasked + unmasked,
                         t->tally->bounded };
}

/* The ends of a tile of at most `longest` in [0, size): anywhere, or at the end, or near `near`. */
static void draw_ends(int64_t size, int longest, int64_t near, int64_t *first, int64_t *last)
{
    int64_t at = draw(4) ? near + between(-40, 40) : draw(2) ? size - longest : draw(1 << 28);
    if (size < 100) at = draw((int)size);
    *first = at < 0 ? 0 : at >= size ? size - 1 : at;
    *last = *first + draw(longest);
    if (*last >= size) *last = size - 1;
}

/* The whole is somewhat larger than a shard of `size`, or as large as may be. */
static void draw_place(int64_t *origin, int64_t *whole, int64_t size)
{
    const int64_t longest = 1 << 28;
    int64_t room = longest - size < 100 || draw(4) == 0 ? longest - size : draw(100);
    *whole = size + room;
    *origin = room > 0 && draw(4) ? draw((int)room + 1) : draw(2) ? room : 0;
}

/* What functions call sq, sk and so on, and for tiles the origins. */
static void set_place(trial *t)
{
    const problem *p = t->problem;
    struct place *at = &t->place;
    *at = (struct place){ .sq = p->sq, .sk = p->sk };
    if (!p->shard) return;
    draw_place(&at->i, &at->sq, p->sq);
    draw_place(&at->j, &at->sk, p->sk);
    at->b = draw(50);
    at->h = draw(50);
    const struct {
        const char *name;
        int64_t value;
    } values[] = { { "sq", at->sq },      { "sk", at->sk },      { "hq", p->hq + 50 },
                   { "b_size", 60 },      { "origin_b", at->b }, { "origin_h", at->h },
                   { "origin_i", at->i }, { "origin_j", at->j } };
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        set(p->pool, &t->env, values[k].name, values[k].value);
        set(t->pool, &t->tile_env, values[k].name, values[k].value);
    }
}

static void check_tiles(trial *t)
{
    const problem *p = t->problem;
    const struct place *at = &t->place;
    t->env = (expr_env){ .by = -1, .read = read_element, .user = p->pool };
    t->tile_env = (expr_env){ .by = -1, .read = read_element, .user = (void *)t->pool };
    set_place(t);
    for (int k = 0; k < 6; k++) {
        rectangle r;
        int64_t b = draw((int)p->b), h = draw((int)p->hq);
        draw_ends(p->sq, 12, draw(2) ? 0 : p->sq / 2, &r.i0, &r.i1);
        draw_ends(p->sk, 16, r.i0 + at->i + at->sk - at->sq - at->j, &r.j0, &r.j1);
        set(p->pool, &t->env, "b", b + at->b);
        set(p->pool, &t->env, "h", h + at->h);
        set(t->pool, &t->tile_env, "b", b);
        set(t->pool, &t->tile_env, "h", h);
        set(t->pool, &t->tile_env, "i0", r.i0);
        set(t->pool, &t->tile_env, "i1", r.i1);
        set(t->pool, &t->tile_env, "j0", r.j0);
        set(t->pool, &t->tile_env, "j1", r.j1);
        check_tile(t, &r);
    }
}

static void compile(expr_program *program, const expr_pool *pool, expr root)
{
    if (root) ck_assert_int_eq(expr_program_new(program, &memory_default, pool, root, NULL), FG_OK);
}

/* Index 1: a trial. */
static int try_mask(lua_State *L)
{
    static const char code[] = "local v = require('gen.variant').new(..., {}) local t = v:tiles()\n"
                               "return t.nodes, v.score, t.always or false";
    trial *t = lua_touserdata(L, 1);
    lua_open_expr(L, t->problem, &memory_default);
    if (luaL_loadstring(L, code) != LUA_OK) return lua_error(L);
    lua_push_problem(L, t->problem);
    lua_call(L, 1, 3);
    t->always = lua_toboolean(L, -1);
    ck_assert_uint_ne(lua_to_expr(L, -2, &t->pool), 0);
    compile(&t->mask, t->problem->pool, t->problem->maskfn.root);
    for (int k = 0; k < texts; k++) {
        lua_getfield(L, 2, text_names[k]);
        compile(&t->text[k], t->pool, lua_to_expr(L, -1, NULL));
        lua_pop(L, 1);
    }
    t->tally->bounded += t->text[FIRST].steps || t->text[LAST].steps;
    check_tiles(t);
    for (int k = 0; k < texts; k++)
        if (t->text[k].steps) expr_program_free(&t->text[k]);
    if (t->mask.steps) expr_program_free(&t->mask);
    return 0;
}

/* ---- Many masks ---- */

static problem *draw_problem(const source *mask, bool shard)
{
    char line[8192];
    bool large = draw(5) == 0;
    int sq = large ? 1 << between(20, 28) : between(1, 60),
        sk = large ? 1 << between(20, 28) : between(1, 60);
    snprintf(
        line, sizeof line,
        "b=%d hq=%d sq=%d sk=%d d=8 tensor=len:i32[b] tensor=doc:i32[3,sk] tensor=kind:u8[40] "
        "score={s + len[b] + doc[0][j] + kind[i]} maskfn={%s}%s", /* a problem reads all that it declares */
        between(1, 3), between(1, 3), sq, sk, mask->text, shard ? " shard" : "");
    problem *p = NULL;
    fg_error error = { .text = "" };
    ck_assert_msg(problem_parse(&p, &memory_default, line, strlen(line), &error) == FG_OK, "%s: %s",
                  line, error.text);
    return p;
}

/* States are renewed now and then: the steps that one may take are bounded. */
static tally try_masks(family f, int count, uint64_t seed, bool shard)
{
    tally sums = { 0 };
    lua_host *host = NULL;
    fg_error error = { .text = "" };
    drawn = seed;
    for (int k = 0; k < count; k++) {
        source mask = { .length = 0 };
        draw_mask[f](&mask);
        problem *p = draw_problem(&mask, shard);
        trial t = { .problem = p, .source = mask.text, .tally = &sums };
        if (k % 100 == 0) {
            lua_host_free(host);
            ck_assert_int_eq(lua_host_new(&host, &memory_default, NULL, p, &error), FG_OK);
        }
        fg_status s = lua_host_run(host, try_mask, &t, &error);
        ck_assert_msg(s == FG_OK, "%s: %s", mask.text, error.text);
        problem_free(p);
    }
    lua_host_free(host);
    if (getenv("INTERVAL_TEST_SAY"))
        printf("%d masks, %d tiles: %d hide all, %d known; %d show all, %d known; %d bounded\n",
               count, sums.tiles, sums.none, sums.skipped, sums.all, sums.unmasked, sums.bounded);
    return sums;
}

START_TEST(test_half_planes_are_exact)
{
    tally t = try_masks(HALF_PLANE, 2000, 1, false);
    ck_assert_int_eq(t.skipped, t.none);
    ck_assert_int_eq(t.unmasked, t.all);
    ck_assert_int_gt(t.none, 2000);
    ck_assert_int_gt(t.all, 2000);
}
END_TEST

START_TEST(test_bands_are_exact)
{
    tally t = try_masks(BAND, 2000, 2, false);
    ck_assert_int_eq(t.skipped, t.none);
    ck_assert_int_eq(t.unmasked, t.all);
    ck_assert_int_gt(t.none, 2000);
    ck_assert_int_gt(t.all, 500);
}
END_TEST

START_TEST(test_drawn_masks_are_not_misjudged)
{
    tally t = try_masks(GENERAL, 6000, 3, false);
    ck_assert_int_gt(t.skipped, t.none / 2);
    ck_assert_int_gt(t.unmasked, t.all / 2);
    ck_assert_int_gt(t.bounded, 1000);
}
END_TEST

START_TEST(test_masks_of_shards_are_not_misjudged)
{
    tally lines = try_masks(HALF_PLANE, 2000, 4, true), bands = try_masks(BAND, 2000, 5, true);
    ck_assert_int_gt(lines.skipped + bands.skipped, (lines.none + bands.none) * 9 / 10);
    ck_assert_int_gt(lines.unmasked + bands.unmasked, (lines.all + bands.all) * 9 / 10);
    tally t = try_masks(GENERAL, 3000, 6, true);
    ck_assert_int_gt(t.skipped, t.none / 2);
    ck_assert_int_gt(t.unmasked, t.all / 2);
    ck_assert_int_gt(t.bounded, 500);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { test_half_planes_are_exact, test_bands_are_exact,
                                   test_drawn_masks_are_not_misjudged,
                                   test_masks_of_shards_are_not_misjudged, NULL };
    return support_run("interval", tests);
}
