/* What the tests of gen's Lua share: a directory that overrides templates, Lua snippets run in a state over
 * it, and an allocator that fails on purpose. */
#ifndef TESTS_LUA_SUPPORT_H
#define TESTS_LUA_SUPPORT_H

#include "gen/lua.h"
#include "tests/support.h"

#include <ftw.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- A directory of templates ---- */

static char lua_folder[] = "/tmp/flashgen_lua_XXXXXX";

/* In main, before the tests: whether it could be made. */
__attribute__((unused)) static bool lua_folder_make(void)
{
    return mkdtemp(lua_folder) != NULL;
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *place)
{
    (void)facts, (void)kind, (void)place;
    return remove(path);
}

__attribute__((unused)) static void lua_folder_remove(void)
{
    nftw(lua_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Empty again. */
__attribute__((unused)) static void lua_folder_clear(void)
{
    lua_folder_remove();
    ck_assert_int_eq(mkdir(lua_folder, 0700), 0);
}

/* Writes DIRECTORY/name, with the folders on its way. */
__attribute__((unused)) static void lua_file(const char *name, const char *content)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", lua_folder, name);
    for (char *slash = path + strlen(lua_folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    fputs(content, out);
    ck_assert_int_eq(fclose(out), 0);
}

/* ---- An allocator that fails on purpose, and counts ---- */

typedef struct counter {
    size_t live, calls;
    size_t fail_at; /* the call that fails, from 1; 0: none */
    bool persists;  /* so do all later ones */
} counter;

__attribute__((unused)) static void *counter_allocate(void *user, void *block, size_t old_size,
                                                      size_t new_size)
{
    counter *c = user;
    if (new_size == 0) {
        c->live -= old_size;
        free(block);
        return NULL;
    }
    c->calls++;
    if (c->fail_at && (c->persists ? c->calls >= c->fail_at : c->calls == c->fail_at)) return NULL;
    void *result = realloc(block, new_size);
    c->live += new_size - old_size;
    return result;
}

/* ---- Lua snippets ---- */

typedef struct lua_snippet {
    const char *code;
    const problem *problem; /* what the code gets as its argument, or NULL */
    char result[1 << 16];   /* the string that it returned */
} lua_snippet;

static int run_snippet(lua_State *L)
{
    lua_snippet *s = lua_touserdata(L, 1);
    if (luaL_loadbufferx(L, s->code, strlen(s->code), "=snippet", "t") != LUA_OK)
        return lua_error(L);
    if (s->problem)
        lua_push_problem(L, s->problem);
    else
        lua_pushnil(L);
    lua_call(L, 1, 1);
    snprintf(s->result, sizeof s->result, "%s", lua_isstring(L, -1) ? lua_tostring(L, -1) : "");
    return 0;
}

/* Runs the snippet in a fresh state over the directory. */
__attribute__((unused)) static fg_status lua_try(lua_snippet *s, const memory *m, fg_error *error)
{
    lua_host *host = NULL;
    fg_status status = lua_host_new(&host, m, lua_folder, s->problem, error);
    if (status == FG_OK) status = lua_host_run(host, run_snippet, s, error);
    lua_host_free(host);
    return status;
}

/* What `code` returns. */
__attribute__((unused)) static const char *lua_do(const char *code)
{
    static lua_snippet s;
    fg_error error = { 0 };
    s = (lua_snippet){ .code = code };
    fg_status status = lua_try(&s, &memory_default, &error);
    ck_assert_msg(status == FG_OK, "%s\n%s", error.text, code);
    return s.result;
}

/* `code` ends with `status` and a sentence that has `part`. */
__attribute__((unused)) static void lua_fails(const char *code, fg_status status, const char *part)
{
    static lua_snippet s;
    fg_error error = { 0 };
    s = (lua_snippet){ .code = code };
    fg_status got = lua_try(&s, &memory_default, &error);
    ck_assert_msg(got == status, "status %d, not %d: %s\n%s", (int)got, (int)status, error.text,
                  code);
    ck_assert_msg(strstr(error.text, part) != NULL, "'%s' has no '%s'", error.text, part);
}

#endif
