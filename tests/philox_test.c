/* templates/common/philox.c.t against a plain Philox, on each instruction set and in narrowed lanes, by the kernel
 * compiler and by clang. */
/* ctest: timeout=300 */
#include "gen/lua.h"
#include "tests/support.h"
#include "tests/support_random.h"
#include "tests/support_trial.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_KEYS = 150, MAX_ROWS = 4 * 16, UNTOUCHED = 0x55555555 };

/* ---- Philox4x32-10, as its authors describe it ---- */

static void philox(uint32_t x[4], uint32_t key0, uint32_t key1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t a = UINT64_C(0xd2511f53) * x[0], b = UINT64_C(0xcd9e8d57) * x[2];
        uint32_t y[4] = { (uint32_t)(b >> 32) ^ x[1] ^ key0, (uint32_t)b,
                          (uint32_t)(a >> 32) ^ x[3] ^ key1, (uint32_t)a };
        memcpy(x, y, sizeof y);
        key0 += 0x9e3779b9;
        key1 += 0xbb67ae85;
    }
}

/* The known answers that Random123 is published with. */
START_TEST(known_answers)
{
    static const uint32_t known[][10] = {
        { 0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
        { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
          0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
        { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
          0x94fdcceb, 0x5001e420, 0x24126ea1 },
    };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        uint32_t x[4];
        memcpy(x, known[k], sizeof x);
        philox(x, known[k][4], known[k][5]);
        for (int w = 0; w < 4; w++) ck_assert_uint_eq(x[w], known[k][6 + w]);
    }
}
END_TEST

/* ---- The template ---- */

/* As the template declares it. */
struct dropout {
    unsigned key0, key1, offset, head;
    int t;
};

static bool kept(const struct dropout *x, int i, int j)
{
    uint32_t c[4] = { 4 * ((uint32_t)j >> 4) + ((uint32_t)j >> 1 & 3), (uint32_t)i >> 1, x->head,
                      x->offset };
    philox(c, x->key0, x->key1);
    uint32_t word = c[2 * (i & 1) + (j >> 3 & 1)];
    return (int)(j & 1 ? word >> 16 : word & 0xffff) >= x->t;
}

typedef struct form {
    const char *isa, *flags, *compiler, *lanes; /* as the template says: rows, row pairs or keys */
    int width, vectors;
} form;

typedef struct text_request {
    const form *form;
    char text[1 << 16];
} text_request;

static const char entries[] =
    "void rows(vi *keep, const struct dropout *x, int i0, int j0, int n)\n"
    "{ dropout_rows((vi (*)[VECTORS])keep, x, i0, j0, n); }\n";
static const char key_entries[] =
    "void keys(vi *keep, const struct dropout *x, int i, int j0, int n)\n"
    "{ dropout_keys(keep, x, i, j0, n); }\n";

static bool by_rows(const form *f)
{
    return strcmp(f->lanes, "keys") != 0;
}

static int render(lua_State *L)
{
    static const char code[] =
        "local p, isa, width, lanes, vectors = ...\n"
        "local target = require('templates.target.c')\n"
        "target = target.narrowed(target.new(isa), width)\n"
        "local render = require('gen.template').render\n"
        "return render('templates/common/types.c.t', { target = target, p = p })\n"
        "  .. ('enum { VECTORS = %d };\\n'):format(vectors)\n"
        "  .. render('templates/common/philox.c.t', { target = target, lanes = lanes })\n";
    text_request *request = lua_touserdata(L, 1);
    const form *f = request->form;
    if (luaL_loadstring(L, code) != LUA_OK) return lua_error(L);
    lua_newtable(L);
    lua_pushinteger(L, 16);
    lua_setfield(L, -2, "align");
    lua_pushliteral(L, "f32");
    lua_setfield(L, -2, "dtype");
    lua_pushstring(L, f->isa);
    lua_pushinteger(L, f->width);
    lua_pushstring(L, f->lanes);
    lua_pushinteger(L, f->vectors);
    lua_call(L, 5, 1);
    snprintf(request->text, sizeof request->text, "%s%s", lua_tostring(L, -1),
             by_rows(f) ? entries : key_entries);
    return 0;
}

static void write_text(const char *path, const form *f)
{
    static text_request request;
    lua_host *host;
    fg_error error = { .text = "" };
    request.form = f;
    fg_status s = lua_host_new(&host, &memory_default, NULL, NULL, &error);
    if (s == FG_OK) s = lua_host_run(host, render, &request, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
    lua_host_free(host);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(request.text, out);
    ck_assert_int_eq(fclose(out), 0);
}

typedef void function(int *keep, const struct dropout *x, int i, int j, int n);

/* Warning-clean, too. */
static function *compile(void **library, const form *f)
{
    char folder[] = "/tmp/flashgen_philox_XXXXXX", source[64], binary[64], command[800];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(source, sizeof source, "%s/x.c", folder);
    snprintf(binary, sizeof binary, "%s/x.so", folder);
    write_text(source, f);
    snprintf(command, sizeof command,
             "%s -O2 -std=gnu11 -fPIC -shared -fwrapv -Wall -Wextra -Wconversion -Wshadow -Werror "
             "%s %s -o %s %s",
             f->compiler, f->flags, FLASHGEN_KERNEL_FLAGS, binary, source);
    ck_assert_msg(system(command) == 0, "%s", command);
    *library = dlopen(binary, RTLD_NOW);
    ck_assert_msg(*library != NULL, "%s", dlerror());
    remove(source), remove(binary), rmdir(folder);
    return (function *)dlsym(*library, by_rows(f) ? "rows" : "keys");
}

/* ---- Drawn requests ---- */

static struct dropout draw(rng *r)
{
    struct dropout x = { (unsigned)rng_next(r), (unsigned)rng_next(r), (unsigned)rng_next(r),
                         (unsigned)rng_next(r), 0 };
    const int64_t t[] = { 0, 1, 0xffff, 0x10000, rng_between(r, 0, 0x10000) };
    x.t = (int)t[rng_below(r, 9) < 4 ? rng_below(r, 4) : 4];
    return x;
}

static int draw_place(rng *r)
{
    const int64_t near_end = INT32_MAX - MAX_KEYS - MAX_ROWS;
    int64_t place = rng_below(r, rng_chance(r, 0.8) ? 5000 : near_end);
    return (int)(rng_chance(r, 0.3) ? place / 16 * 16 : place);
}

/* `rows` by `keys` of keep, and what stands behind it. */
static void assert_kept(const form *f, const int *keep, const struct dropout *x, int i0, int rows,
                        int j0, int keys)
{
    for (int k = 0; k < keys; k++)
        for (int l = 0; l < rows; l++)
            ck_assert_msg(keep[k * rows + l] == -kept(x, i0 + l, j0 + k),
                          "%s %s lanes=%d vectors=%d %s: row %d + %d, key %d + %d, t=%d: %x",
                          f->isa, f->compiler, f->width, f->vectors, f->lanes, i0, l, j0, k, x->t,
                          (unsigned)keep[k * rows + l]);
    for (int k = 0; k < 16; k++) ck_assert_int_eq(keep[keys * rows + k], UNTOUCHED);
}

static void check_form(const form *f, int count)
{
    static _Alignas(64) int keep[MAX_KEYS * MAX_ROWS + 64];
    const bool rows = by_rows(f), even = strcmp(f->lanes, "row pairs") == 0;
    rng r = rng_new(0x9a11d0, (uint64_t)(f->width * 8 + f->vectors * 2 + rows));
    void *library;
    function *run = compile(&library, f);
    ck_assert(run != NULL);
    for (int k = 0; k < count; k++) {
        const struct dropout x = draw(&r);
        int i = draw_place(&r), j = draw_place(&r), n = (int)rng_between(&r, 0, MAX_KEYS - 16);
        if (even) i &= ~1;
        for (size_t e = 0; e < sizeof keep / sizeof *keep; e++) keep[e] = UNTOUCHED;
        run(keep, &x, i, j, n);
        if (rows)
            assert_kept(f, keep, &x, i, f->width * f->vectors, j, n);
        else
            assert_kept(f, keep, &x, i, 1, j, (n + f->width - 1) / f->width * f->width);
    }
    dlclose(library);
}

static bool found(const char *compiler)
{
    char command[400];
    snprintf(command, sizeof command, "command -v %s > /dev/null", compiler);
    return system(command) == 0;
}

static void check_all(const char *lanes, int most_vectors)
{
    for (int isa = 0; isa < isa_count; isa++) {
        fg_context *context = test_context(isa, 1);
        if (!context) continue;
        form f = { context->device.isa->name, context->device.isa->flags, NULL, lanes, 0, 0 };
        for (f.width = isa_lanes[isa]; f.width >= 4 && 2 * f.width >= isa_lanes[isa]; f.width /= 2)
            for (f.vectors = 1; f.vectors <= most_vectors; f.vectors++) {
                f.compiler = FLASHGEN_KERNEL_COMPILER;
                check_form(&f, 40);
                f.compiler = "clang";
                if (!*FLASHGEN_KERNEL_FLAGS && f.vectors == 1 && found(f.compiler))
                    check_form(&f, 40);
            }
        fg_context_free(context);
    }
}

START_TEST(lanes_are_rows)
{
    check_all("rows", 4);
}
END_TEST

START_TEST(lanes_are_row_pairs)
{
    check_all("row pairs", 4);
}
END_TEST

START_TEST(lanes_are_keys)
{
    check_all("keys", 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { known_answers, lanes_are_rows, lanes_are_row_pairs,
                                   lanes_are_keys, NULL };
    return support_run("philox", tests);
}
