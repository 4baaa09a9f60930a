#include "gen/lua_expr.h"

#include <lauxlib.h>
#include <string.h>

#define POOL "flashgen.pool"

static const char *const kind_names[] = { "score", "mask", NULL };

static lua_pool *check_pool(lua_State *L)
{
    return luaL_checkudata(L, 1, POOL);
}

static int pool_gc(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    expr_pool_free(owner->pool);
    owner->pool = NULL;
    text_free(&owner->source);
    return 0;
}

/* ---- Symbols ---- */

/* The symbol named at index 2, or NULL. */
static const expr_symbol *find(lua_State *L, const lua_pool *owner, int *symbol)
{
    *symbol = expr_find(owner->pool, luaL_checkstring(L, 2));
    return *symbol < 0 ? NULL : expr_get_symbol(owner->pool, *symbol);
}

static int pool_variable(lua_State *L)
{
    const lua_pool *owner = check_pool(L);
    expr_type type = (expr_type)luaL_checkoption(L, 3, NULL, lua_expr_types);
    int symbol;
    const expr_symbol *s = find(L, owner, &symbol);
    if (!s) symbol = expr_declare(owner->pool, luaL_checkstring(L, 2), type);
    if (symbol < 0 || (s && (s->tensor || s->type != type)))
        return luaL_error(L, "'%s' cannot be a variable", luaL_checkstring(L, 2));
    return lua_push_node(L, 1, expr_variable(owner->pool, symbol));
}

static int pool_symbol(lua_State *L)
{
    const lua_pool *owner = check_pool(L);
    int symbol;
    const expr_symbol *s = find(L, owner, &symbol);
    if (!s || s->tensor) return 0;
    return lua_push_node(L, 1, expr_variable(owner->pool, symbol));
}

static int pool_declare_tensor(lua_State *L)
{
    const lua_pool *owner = check_pool(L);
    expr_type type = (expr_type)luaL_checkoption(L, 3, NULL, lua_expr_types);
    expr extent[expr_max_rank] = { 0 };
    luaL_checktype(L, 4, LUA_TTABLE);
    lua_Integer rank = luaL_len(L, 4);
    luaL_argcheck(L, rank >= 0 && rank <= expr_max_rank, 4, "a tensor has up to four dimensions");
    for (int k = 0; k < (int)rank; k++) {
        lua_geti(L, 4, k + 1);
        extent[k] = lua_check_node(L, -1, owner);
    }
    if (expr_declare_tensor(owner->pool, luaL_checkstring(L, 2), type, (int)rank, extent) < 0)
        return luaL_error(L, "'%s' cannot be a tensor", luaL_checkstring(L, 2));
    return 0;
}

static int pool_tensor(lua_State *L)
{
    const lua_pool *owner = check_pool(L);
    int symbol;
    const expr_symbol *s = find(L, owner, &symbol);
    if (!s || !s->tensor) return 0;
    lua_createtable(L, 0, 3);
    lua_pushstring(L, s->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, lua_expr_types[s->type]);
    lua_setfield(L, -2, "type");
    lua_createtable(L, s->rank, 0);
    for (int k = 0; k < s->rank; k++) {
        lua_push_node(L, 1, s->extent[k]);
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "extent");
    return 1;
}

/* ---- Sources ---- */

static int parse(lua_State *L, const lua_pool *owner, expr_kind kind, const char *source,
                 const char *where)
{
    expr root = 0;
    fg_error error;
    fg_status s = expr_parse(&root, owner->pool, kind, source, strlen(source), &error);
    if (s == FG_MEMORY) lua_host_fail(L, s, error.text);
    if (s != FG_OK) return luaL_error(L, "%s: %s", where, error.text);
    return lua_push_node(L, 1, root);
}

static int pool_parse(lua_State *L)
{
    const lua_pool *owner = check_pool(L);
    expr_kind kind = (expr_kind)luaL_checkoption(L, 2, NULL, kind_names);
    return parse(L, owner, kind, luaL_checkstring(L, 3), luaL_checkstring(L, 4));
}

/* The user's text goes from the problem to the parser: Lua sees nodes only. */
static int pool_user(lua_State *L)
{
    static const char *const names[] = { "score", "maskfn", NULL };
    const lua_pool *owner = check_pool(L);
    int mask = luaL_checkoption(L, 2, NULL, names);
    const char *source = mask ? owner->problem->maskfn.text : owner->problem->score.text;
    if (!source) return 0;
    return parse(L, owner, mask ? EXPR_MASK : EXPR_SCORE, source, names[mask]);
}

static int pool_format(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    expr_kind kind = (expr_kind)luaL_checkoption(L, 2, NULL, kind_names);
    return lua_push_source(L, owner, kind, lua_check_node(L, 3, owner));
}

/* ---- Nodes ---- */

static int pool_int(lua_State *L)
{
    const lua_pool *owner = check_pool(L);
    lua_Integer value = luaL_checkinteger(L, 2);
    luaL_argcheck(L, value >= INT32_MIN && value <= INT32_MAX, 2, "not an integer of 32 bits");
    return lua_push_node(L, 1, expr_int(owner->pool, (int32_t)value));
}

static int pool_float(lua_State *L)
{
    return lua_push_node(L, 1, expr_float(check_pool(L)->pool, luaL_checknumber(L, 2)));
}

static int pool_bool(lua_State *L)
{
    return lua_push_node(L, 1, expr_bool(check_pool(L)->pool, lua_toboolean(L, 2)));
}

static int pool_read(lua_State *L)
{
    const lua_pool *owner = check_pool(L);
    int symbol;
    const expr_symbol *s = find(L, owner, &symbol);
    if (!s || !s->tensor) return luaL_error(L, "'%s' is not a tensor", luaL_checkstring(L, 2));
    if (lua_gettop(L) != 2 + s->rank)
        return luaL_error(L, "'%s' takes %d indices", s->name, s->rank);
    expr index[expr_max_rank] = { 0 };
    for (int k = 0; k < s->rank; k++) {
        index[k] = lua_check_node(L, 3 + k, owner);
        luaL_argcheck(L, expr_get(owner->pool, index[k])->type == EXPR_INT, 3 + k,
                      "an index is an int");
    }
    return lua_push_node(L, 1, expr_read(owner->pool, symbol, index));
}

static expr_op check_op(lua_State *L, int index)
{
    const char *name = luaL_checkstring(L, index);
    for (int op = 0; op < EXPR_op_count; op++)
        if (strcmp(expr_op_names[op], name) == 0) return (expr_op)op;
    return (expr_op)luaL_error(L, "no op is called '%s'", name);
}

static int pool_make(lua_State *L)
{
    const lua_pool *owner = check_pool(L);
    expr_op op = check_op(L, 2);
    expr operand[expr_max_rank] = { 0 };
    int count = lua_gettop(L) - 2;
    luaL_argcheck(L, count <= expr_max_rank, 3, "too many operands");
    for (int k = 0; k < count; k++) operand[k] = lua_check_node(L, 3 + k, owner);
    if (!expr_accepts(owner->pool, op, operand))
        return luaL_error(L, "'%s' does not take these operands", expr_op_names[op]);
    return lua_push_node(L, 1, expr_make(owner->pool, op, operand));
}

static int pool_substitute(lua_State *L)
{
    const lua_pool *owner = check_pool(L);
    expr root = lua_check_node(L, 2, owner), by = lua_check_node(L, 4, owner);
    int symbol = expr_find(owner->pool, luaL_checkstring(L, 3));
    if (symbol < 0) return luaL_error(L, "'%s' is not declared", luaL_checkstring(L, 3));
    return lua_push_node(L, 1, expr_substitute(owner->pool, root, symbol, by));
}

static int pool_room(lua_State *L)
{
    lua_pushinteger(L, expr_max_nodes - expr_node_count(check_pool(L)->pool));
    return 1;
}

static const luaL_Reg pool_methods[] = {
    { "variable", pool_variable },
    { "symbol", pool_symbol },
    { "declare_tensor", pool_declare_tensor },
    { "tensor", pool_tensor },
    { "parse", pool_parse },
    { "user", pool_user },
    { "format", pool_format },
    { "int", pool_int },
    { "float", pool_float },
    { "bool", pool_bool },
    { "read", pool_read },
    { "make", pool_make },
    { "substitute", pool_substitute },
    { "room", pool_room },
    { NULL, NULL },
};

/* ---- The library ---- */

static int new_pool(lua_State *L)
{
    const problem *p = lua_touserdata(L, lua_upvalueindex(1));
    const memory *m = lua_touserdata(L, lua_upvalueindex(2));
    lua_pool *owner = lua_newuserdatauv(L, sizeof *owner, 1);
    *owner = (lua_pool){ .problem = p, .memory = m };
    text_init(&owner->source, m);
    luaL_setmetatable(L, POOL);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    owner->pool = expr_pool_new(m, p->dtype != DTYPE_f64);
    fg_error error;
    if (!owner->pool) lua_memory_error(L);
    fg_status s = problem_declare(p, owner->pool, &error);
    if (s != FG_OK) lua_host_fail(L, s, error.text);
    return 1;
}

static void open_pool(lua_State *L)
{
    luaL_newmetatable(L, POOL);
    lua_pushcfunction(L, pool_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, pool_methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void lua_open_expr(lua_State *L, const problem *p, const memory *m)
{
    lua_open_node(L);
    open_pool(L);
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, (void *)p);
    lua_pushlightuserdata(L, (void *)m);
    lua_pushcclosure(L, new_pool, 2);
    lua_setfield(L, -2, "pool");
    lua_setglobal(L, "expr");
}
