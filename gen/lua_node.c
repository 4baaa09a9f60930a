#include "gen/lua_expr.h"

#include <lauxlib.h>
#include <string.h>

#define NODE "flashgen.expr"

/* User value 1: the pool, which so outlives its nodes. */
typedef struct lua_node {
    lua_pool *owner;
    expr id;
} lua_node;

const char *const lua_expr_types[] = { "bool", "int", "float", NULL };

void lua_memory_error(lua_State *L)
{
    fg_error error;
    lua_host_fail(L, fail_memory(&error), error.text);
}

static _Noreturn void no_node(lua_State *L, const lua_pool *owner)
{
    fg_error error;
    if (expr_node_count(owner->pool) < expr_max_nodes) lua_memory_error(L);
    fail(&error, FG_REQUEST, "score and mask are too large: together they need more than %d terms",
         expr_max_nodes);
    lua_host_fail(L, FG_REQUEST, error.text);
}

int lua_push_node(lua_State *L, int pool, expr id)
{
    lua_pool *owner = lua_touserdata(L, pool);
    if (!id) no_node(L, owner);
    lua_getiuservalue(L, pool, 1);
    if (lua_rawgeti(L, -1, (lua_Integer)id) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_node *node = lua_newuserdatauv(L, sizeof *node, 1);
        *node = (lua_node){ owner, id };
        lua_pushvalue(L, pool);
        lua_setiuservalue(L, -2, 1);
        luaL_setmetatable(L, NODE);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, (lua_Integer)id);
    }
    lua_remove(L, -2);
    return 1;
}

expr lua_to_expr(lua_State *L, int index, const expr_pool **pool)
{
    const lua_node *node = luaL_testudata(L, index, NODE);
    if (node && pool) *pool = node->owner->pool;
    return node ? node->id : 0;
}

expr lua_check_node(lua_State *L, int index, const lua_pool *owner)
{
    const lua_node *node = luaL_checkudata(L, index, NODE);
    luaL_argcheck(L, node->owner == owner, index, "a node of another pool");
    return node->id;
}

int lua_push_source(lua_State *L, lua_pool *owner, expr_kind kind, expr root)
{
    text *source = &owner->source;
    source->length = 0;
    expr_format(owner->pool, kind, root, source);
    if (source->failed) lua_memory_error(L);
    lua_pushlstring(L, source->data, source->length);
    return 1;
}

/* ---- Fields ---- */

typedef struct node_field {
    const char *name;
    int (*push)(lua_State *L, const lua_node *node, const expr_node *n);
} node_field;

static int push_op(lua_State *L, const lua_node *node, const expr_node *n)
{
    (void)node;
    lua_pushstring(L, expr_op_names[n->op]);
    return 1;
}

static int push_type(lua_State *L, const lua_node *node, const expr_node *n)
{
    (void)node;
    lua_pushstring(L, lua_expr_types[n->type]);
    return 1;
}

static int push_id(lua_State *L, const lua_node *node, const expr_node *n)
{
    (void)n;
    lua_pushinteger(L, (lua_Integer)node->id);
    return 1;
}

static int push_pool(lua_State *L, const lua_node *node, const expr_node *n)
{
    (void)node, (void)n;
    lua_getiuservalue(L, 1, 1);
    return 1;
}

static int push_name(lua_State *L, const lua_node *node, const expr_node *n)
{
    if (n->op != EXPR_variable && n->op != EXPR_read) return 0;
    lua_pushstring(L, expr_get_symbol(node->owner->pool, n->symbol)->name);
    return 1;
}

static int push_value(lua_State *L, const lua_node *node, const expr_node *n)
{
    (void)node;
    if (n->op != EXPR_constant) return 0;
    if (n->type == EXPR_FLOAT)
        lua_pushnumber(L, n->value.f);
    else if (n->type == EXPR_INT)
        lua_pushinteger(L, n->value.i);
    else
        lua_pushboolean(L, n->value.i);
    return 1;
}

static int depends_on(lua_State *L)
{
    const lua_node *node = luaL_checkudata(L, 1, NODE);
    int symbol = expr_find(node->owner->pool, luaL_checkstring(L, 2));
    lua_pushboolean(L, symbol >= 0 &&
                           (expr_get(node->owner->pool, node->id)->depends >> symbol & 1) != 0);
    return 1;
}

static int push_depends_on(lua_State *L, const lua_node *node, const expr_node *n)
{
    (void)node, (void)n;
    lua_pushcfunction(L, depends_on);
    return 1;
}

static const node_field node_fields[] = {
    { "op", push_op },
    { "type", push_type },
    { "id", push_id },
    { "pool", push_pool },
    { "name", push_name },
    { "value", push_value },
    { "depends_on", push_depends_on },
    { NULL, NULL },
};

static int push_operand(lua_State *L, const expr_node *n)
{
    lua_Integer k = luaL_checkinteger(L, 2);
    if (k < 1 || k > n->arity) return 0;
    lua_getiuservalue(L, 1, 1);
    return lua_push_node(L, lua_gettop(L), n->operand[k - 1]);
}

static int node_index(lua_State *L)
{
    const lua_node *node = luaL_checkudata(L, 1, NODE);
    const expr_node *n = expr_get(node->owner->pool, node->id);
    if (lua_type(L, 2) == LUA_TNUMBER) return push_operand(L, n);
    const char *key = luaL_checkstring(L, 2);
    for (const node_field *field = node_fields; field->name; field++)
        if (strcmp(key, field->name) == 0) return field->push(L, node, n);
    return luaL_error(L, "a node has no field '%s'", key);
}

static int node_length(lua_State *L)
{
    const lua_node *node = luaL_checkudata(L, 1, NODE);
    lua_pushinteger(L, expr_get(node->owner->pool, node->id)->arity);
    return 1;
}

static int node_tostring(lua_State *L)
{
    const lua_node *node = luaL_checkudata(L, 1, NODE);
    expr_kind kind =
        expr_get(node->owner->pool, node->id)->type == EXPR_BOOL ? EXPR_MASK : EXPR_SCORE;
    return lua_push_source(L, node->owner, kind, node->id);
}

void lua_open_node(lua_State *L)
{
    static const luaL_Reg meta[] = { { "__index", node_index },
                                     { "__len", node_length },
                                     { "__tostring", node_tostring },
                                     { NULL, NULL } };
    luaL_newmetatable(L, NODE);
    luaL_setfuncs(L, meta, 0);
    lua_pop(L, 1);
}
