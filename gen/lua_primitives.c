/* The functions in C that gen/base.lua builds on. */
#include "gen/files.h"
#include "gen/lua.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

/* read(name) -> the file's text, or nil */
static int primitive_read(lua_State *L)
{
    fg_error error;
    const char *bytes;
    size_t size;
    fg_status s = files_read(lua_host_files(L), luaL_checkstring(L, 1), &bytes, &size, &error);
    if (s != FG_OK) lua_host_fail(L, s, error.text);
    if (bytes)
        lua_pushlstring(L, bytes, size);
    else
        lua_pushnil(L);
    return 1;
}

/* list(folder) -> the names of the files in it, sorted */
static int primitive_list(lua_State *L)
{
    fg_error error;
    const files_name *name;
    fg_status s = files_list(lua_host_files(L), luaL_checkstring(L, 1), &name, &error);
    if (s != FG_OK) lua_host_fail(L, s, error.text);
    lua_newtable(L);
    for (lua_Integer k = 1; name; name = name->next, k++) {
        lua_pushstring(L, name->name);
        lua_seti(L, -2, k);
    }
    return 1;
}

/* fail(status, sentence): ends the make; for what is the caller's fault and not a template's. */
static int primitive_fail(lua_State *L)
{
    static const char *const names[] = { "FG_REQUEST", "FG_UNSUPPORTED", NULL };
    static const fg_status statuses[] = { FG_REQUEST, FG_UNSUPPORTED };
    lua_host_fail(L, statuses[luaL_checkoption(L, 1, NULL, names)], luaL_checkstring(L, 2));
}

static double check_finite(lua_State *L, double x)
{
    if (!isfinite(x))
        luaL_error(L, "%s is not finite and has no literal", isnan(x) ? "NaN" : "infinity");
    return x;
}

/* f32(x) -> a C literal of exactly x, rounded to float. */
static int primitive_f32(lua_State *L)
{
    char literal[40];
    luaL_checktype(L, 1, LUA_TNUMBER);
    float x = (float)lua_tonumber(L, 1);
    snprintf(literal, sizeof literal, "%af", check_finite(L, (double)x));
    lua_pushstring(L, literal);
    return 1;
}

/* f64(x) -> a C literal of exactly x. */
static int primitive_f64(lua_State *L)
{
    char literal[40];
    luaL_checktype(L, 1, LUA_TNUMBER);
    snprintf(literal, sizeof literal, "%a", check_finite(L, lua_tonumber(L, 1)));
    lua_pushstring(L, literal);
    return 1;
}

void lua_push_primitives(lua_State *L)
{
    static const luaL_Reg primitives[] = { { "read", primitive_read }, { "list", primitive_list },
                                           { "fail", primitive_fail }, { "f32", primitive_f32 },
                                           { "f64", primitive_f64 },   { NULL, NULL } };
    luaL_newlib(L, primitives);
}
