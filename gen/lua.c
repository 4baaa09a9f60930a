#define _GNU_SOURCE
#include "gen/lua.h"

#include "gen/files.h"

#include <lauxlib.h>
#include <locale.h>
#include <lualib.h>
#include <string.h>

struct lua_host {
    lua_State *L;
    const memory *memory;
    files files;
    locale_t outer; /* the thread's, to be restored */
    size_t bytes;   /* held by the state */
    bool exceeded;  /* why an allocation was refused last: the limit, or memory */
    int ticks;
    fg_error failure; /* what lua_host_fail was given */
};

static lua_host *host_of(lua_State *L)
{
    return *(lua_host **)lua_getextraspace(L);
}

struct files *lua_host_files(lua_State *L)
{
    return &host_of(L)->files;
}

static void *allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    lua_host *h = user;
    if (!block) old_size = 0; /* Lua passes the kind of object there */
    if (!block && new_size == 0) return NULL;
    bool exceeds = new_size > old_size && new_size - old_size > lua_host_max_bytes - h->bytes;
    void *result = exceeds ? NULL : memory_resize(h->memory, block, old_size, new_size);
    if (result || new_size == 0)
        h->bytes = h->bytes - old_size + new_size;
    else
        h->exceeded = exceeds;
    return result;
}

static void tick(lua_State *L, lua_Debug *where)
{
    (void)where;
    if (++host_of(L)->ticks < lua_host_max_ticks) return;
    luaL_where(L, 0);
    lua_pushfstring(L, "no end after %d million instructions", lua_host_max_ticks);
    lua_concat(L, 2);
    lua_error(L);
}

void lua_host_fail(lua_State *L, fg_status status, const char *sentence)
{
    lua_host *h = host_of(L);
    fail(&h->failure, status, "%s", sentence);
    lua_pushlightuserdata(L, h);
    lua_error(L);
    __builtin_unreachable();
}

/* The innermost line being run of a file whose name begins so; false where there is none. */
static bool find_line(lua_State *L, const char *name, lua_Debug *where)
{
    for (int level = 1; lua_getstack(L, level, where); level++) {
        lua_getinfo(L, "Sl", where);
        if (where->currentline > 0 && strncmp(where->source + 1, name, strlen(name)) == 0)
            return true;
    }
    return false;
}

/* Makes an error value a sentence that names the template's line, also where the error is in gen's Lua. */
static int explain(lua_State *L)
{
    lua_Debug where;
    if (lua_islightuserdata(L, 1)) return 1;
    if (!lua_isstring(L, 1)) {
        const char *name = find_line(L, "", &where) ? where.source + 1 : "?";
        lua_pushfstring(L, "%s:%d: an error that is a %s", name, where.currentline,
                        luaL_typename(L, 1));
        return 1;
    }
    const char *sentence = lua_tostring(L, 1);
    if (strncmp(sentence, "templates/", 10) != 0 && find_line(L, "templates/", &where))
        lua_pushfstring(L, "%s (from %s:%d)", sentence, where.source + 1, where.currentline);
    return 1;
}

static fg_status forward(lua_host *h, int outcome, fg_error *error)
{
    if (outcome == LUA_ERRMEM && h->exceeded)
        return fail(error, FG_INTERNAL, "the templates need more than %d MiB",
                    lua_host_max_bytes >> 20);
    if (outcome == LUA_ERRMEM) return fail_memory(error);
    if (lua_islightuserdata(h->L, -1)) return fail(error, h->failure.status, "%s", h->failure.text);
    return fail(error, FG_INTERNAL, "%s", lua_tostring(h->L, -1));
}

fg_status lua_host_run(lua_host *h, lua_CFunction body, void *data, fg_error *error)
{
    lua_settop(h->L, 0);
    lua_pushcfunction(h->L, explain);
    lua_pushcfunction(h->L, body);
    lua_pushlightuserdata(h->L, data);
    int outcome = lua_pcall(h->L, 1, 0, 1);
    return outcome == LUA_OK ? FG_OK : forward(h, outcome, error);
}

static void run_base(lua_State *L)
{
    fg_error error;
    const char *bytes;
    size_t size;
    fg_status s = files_read(lua_host_files(L), "gen/base.lua", &bytes, &size, &error);
    if (s != FG_OK) lua_host_fail(L, s, error.text);
    if (!bytes) lua_host_fail(L, FG_INTERNAL, "'gen/base.lua' is missing from the library");
    if (luaL_loadbufferx(L, bytes, size, "@gen/base.lua", "t") != LUA_OK) lua_error(L);
    lua_push_primitives(L);
    lua_call(L, 1, 0);
}

static int open_libraries(lua_State *L)
{
    static const luaL_Reg libraries[] = { { LUA_GNAME, luaopen_base },
                                          { LUA_TABLIBNAME, luaopen_table },
                                          { LUA_STRLIBNAME, luaopen_string },
                                          { LUA_MATHLIBNAME, luaopen_math },
                                          { NULL, NULL } };
    const problem *p = lua_touserdata(L, 1);
    for (const luaL_Reg *library = libraries; library->name; library++)
        luaL_requiref(L, library->name, library->func, 1);
    if (p) lua_open_expr(L, p, host_of(L)->memory);
    lua_settop(L, 0);
    run_base(L);
    return 0;
}

/* Only templates that a user edits can run forever; a count adds a fifth to what Lua does. */
static fg_status open_state(lua_host *h, const problem *p, bool edited, fg_error *error)
{
    h->L = lua_newstate(allocate, h);
    if (!h->L) return fail_memory(error);
    *(lua_host **)lua_getextraspace(h->L) = h;
    lua_gc(h->L, LUA_GCINC, 1000, 0, 0); /* a make is short: collect late */
    if (edited) lua_sethook(h->L, tick, LUA_MASKCOUNT, 1000000);
    return lua_host_run(h, open_libraries, (void *)p, error);
}

fg_status lua_host_new(lua_host **out, const memory *m, const char *templates, const problem *p,
                       fg_error *error)
{
    fg_status s;
    *out = NULL;
    lua_host *h = memory_new(m, 1, sizeof *h);
    if (!h) return fail_memory(error);
    h->memory = m;
    h->outer =
        uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0)); /* glibc's own object: never freed */
    if ((s = files_open(&h->files, m, templates, error)) != FG_OK) goto out;
    if ((s = open_state(h, p, templates != NULL, error)) != FG_OK) goto out;
    *out = h;
    h = NULL;
out:
    lua_host_free(h);
    return s;
}

void lua_host_free(lua_host *h)
{
    if (!h) return;
    if (h->L) lua_close(h->L);
    files_close(&h->files);
    uselocale(h->outer);
    memory_free(h->memory, h, sizeof *h);
}
