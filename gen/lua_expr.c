#include "gen/lua_expr.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#define POOL "flashgen.pool"
#define NODE "flashgen.expr"

/* User value 1 of a pool: its nodes by id, which makes equal nodes the same value. */
typedef struct lua_pool {
    expr_pool *pool;
    const problem *problem;
    const memory *memory;
} lua_pool;

/* User value 1 of a node: its pool, which so outlives it. */
typedef struct lua_node {
    lua_pool *owner;
    expr id;
} lua_node;

static const char *const type_names[] = { "bool", "int", "float", NULL };
static const char *const kind_names[] = { "score", "mask", NULL };

/* ---- Nodes ---- */

static int no_more(lua_State *L, const lua_pool *owner)
{
    if (expr_node_count(owner->pool) < expr_max_nodes) return luaL_error(L, "not enough memory");
    return luaL_error(L, "the score and mask together need more than %d expression nodes", expr_max_nodes);
}

/* Pushes the node; `pool` is the stack index of its pool. */
static int push_node(lua_State *L, int pool, expr id)
{
    lua_pool *owner = lua_touserdata(L, pool);
    if (!id) return no_more(L, owner);
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

expr lua_to_expr(lua_State *L, int index, expr_pool **pool)
{
    const lua_node *node = luaL_testudata(L, index, NODE);
    if (!node) return 0;
    if (pool) *pool = node->owner->pool;
    return node->id;
}

static lua_pool *check_pool(lua_State *L)
{
    lua_pool *owner = luaL_checkudata(L, 1, POOL);
    if (!owner->pool) luaL_error(L, "the pool is closed");
    return owner;
}

static expr check_node(lua_State *L, int index, const lua_pool *owner)
{
    const lua_node *node = luaL_checkudata(L, index, NODE);
    luaL_argcheck(L, node->owner == owner, index, "a node of another pool");
    return node->id;
}

static const expr_node *self(lua_State *L)
{
    const lua_node *node = luaL_checkudata(L, 1, NODE);
    return expr_get(node->owner->pool, node->id);
}

static const expr_symbol *symbol_of(lua_State *L, const expr_node *n)
{
    return expr_get_symbol(((lua_node *)lua_touserdata(L, 1))->owner->pool, n->symbol);
}

static int node_op(lua_State *L)
{
    lua_pushstring(L, expr_op_names[self(L)->op]);
    return 1;
}

static int node_type(lua_State *L)
{
    lua_pushstring(L, type_names[self(L)->type]);
    return 1;
}

static int node_id(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)((lua_node *)lua_touserdata(L, 1))->id);
    return 1;
}

static int node_pool(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    return 1;
}

static int node_name(lua_State *L)
{
    const expr_node *n = self(L);
    if (n->op != EXPR_variable && n->op != EXPR_read) return 0;
    lua_pushstring(L, symbol_of(L, n)->name);
    return 1;
}

static int node_value(lua_State *L)
{
    const expr_node *n = self(L);
    if (n->op != EXPR_constant) return 0;
    if (n->type == EXPR_FLOAT) lua_pushnumber(L, n->value.f);
    else if (n->type == EXPR_INT) lua_pushinteger(L, n->value.i);
    else lua_pushboolean(L, n->value.i);
    return 1;
}

/* The fewest digits that read back as the same f32, or else as the same double. */
static int node_literal(lua_State *L)
{
    const lua_node *node = luaL_checkudata(L, 1, NODE);
    const expr_node *n = self(L);
    if (n->op != EXPR_constant || n->type != EXPR_FLOAT) return 0;
    text literal;
    text_init(&literal, node->owner->memory);
    expr_format(node->owner->pool, EXPR_SCORE, node->id, &literal);
    bool made = !literal.failed && literal.data && lua_checkstack(L, 2);
    if (made) lua_pushlstring(L, literal.data, literal.length);
    text_free(&literal);
    return made ? 1 : luaL_error(L, "not enough memory");
}

static int node_depends_on(lua_State *L)
{
    const expr_node *n = self(L);
    const lua_node *node = lua_touserdata(L, 1);
    int symbol = expr_find(node->owner->pool, luaL_checkstring(L, 2));
    lua_pushboolean(L, symbol >= 0 && (n->depends >> symbol & 1) != 0);
    return 1;
}

static int node_depends_on_method(lua_State *L)
{
    lua_pushcfunction(L, node_depends_on);
    return 1;
}

static const luaL_Reg node_fields[] = {
    { "op", node_op },           { "type", node_type },   { "id", node_id },
    { "pool", node_pool },       { "name", node_name },   { "value", node_value },
    { "literal", node_literal }, { "depends_on", node_depends_on_method },
    { NULL, NULL },
};

static int node_index(lua_State *L)
{
    const expr_node *n = self(L);
    if (lua_type(L, 2) == LUA_TNUMBER) {
        lua_Integer k = luaL_checkinteger(L, 2);
        if (k < 1 || k > n->arity) return 0;
        lua_getiuservalue(L, 1, 1);
        return push_node(L, lua_gettop(L), n->operand[k - 1]);
    }
    const char *key = luaL_checkstring(L, 2);
    for (const luaL_Reg *field = node_fields; field->name; field++)
        if (strcmp(key, field->name) == 0) return field->func(L);
    return luaL_error(L, "a node has no field '%s'", key);
}

static int node_length(lua_State *L)
{
    lua_pushinteger(L, self(L)->arity);
    return 1;
}

static int push_format(lua_State *L, const lua_pool *owner, expr_kind kind, expr root)
{
    text source;
    text_init(&source, owner->memory);
    expr_format(owner->pool, kind, root, &source);
    bool made = !source.failed && source.data;
    if (made) lua_pushlstring(L, source.data, source.length);
    text_free(&source);
    return made ? 1 : luaL_error(L, "not enough memory");
}

static int node_tostring(lua_State *L)
{
    const lua_node *node = luaL_checkudata(L, 1, NODE);
    return push_format(L, node->owner, EXPR_SCORE, node->id);
}

static const luaL_Reg node_meta[] = {
    { "__index", node_index },
    { "__len", node_length },
    { "__tostring", node_tostring },
    { NULL, NULL },
};

/* ---- Pools ---- */

static int pool_gc(lua_State *L)
{
    lua_pool *owner = luaL_checkudata(L, 1, POOL);
    expr_pool_free(owner->pool);
    owner->pool = NULL;
    return 0;
}

static const char *name_of(lua_State *L, int index)
{
    return luaL_checkstring(L, index);
}

static int pool_variable(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    const char *name = name_of(L, 2);
    expr_type type = (expr_type)luaL_checkoption(L, 3, NULL, type_names);
    int symbol = expr_find(owner->pool, name);
    if (symbol < 0) symbol = expr_declare(owner->pool, name, type);
    if (symbol < 0) return luaL_error(L, "'%s' cannot be declared as a variable", name);
    const expr_symbol *s = expr_get_symbol(owner->pool, symbol);
    if (s->tensor || s->type != type) return luaL_error(L, "'%s' is something else already", name);
    return push_node(L, 1, expr_variable(owner->pool, symbol));
}

static int pool_symbol(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    int symbol = expr_find(owner->pool, name_of(L, 2));
    if (symbol < 0 || expr_get_symbol(owner->pool, symbol)->tensor) return 0;
    return push_node(L, 1, expr_variable(owner->pool, symbol));
}

static int pool_declare_tensor(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    const char *name = name_of(L, 2);
    expr_type type = (expr_type)luaL_checkoption(L, 3, NULL, type_names);
    luaL_checktype(L, 4, LUA_TTABLE);
    lua_Integer rank = luaL_len(L, 4);
    luaL_argcheck(L, rank >= 0 && rank <= expr_max_rank, 4, "a tensor has up to four dimensions");
    expr extent[expr_max_rank] = { 0 };
    for (int k = 0; k < (int)rank; k++) {
        lua_geti(L, 4, k + 1);
        extent[k] = check_node(L, -1, owner);
    }
    if (expr_declare_tensor(owner->pool, name, type, (int)rank, extent) < 0)
        return luaL_error(L, "'%s' cannot be declared as a tensor", name);
    return 0;
}

static int pool_tensor(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    int symbol = expr_find(owner->pool, name_of(L, 2));
    const expr_symbol *s = symbol < 0 ? NULL : expr_get_symbol(owner->pool, symbol);
    if (!s || !s->tensor) return 0;
    int rank = s->rank;
    lua_createtable(L, 0, 3);
    lua_pushstring(L, s->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, type_names[s->type]);
    lua_setfield(L, -2, "type");
    lua_createtable(L, rank, 0);
    for (int k = 0; k < rank; k++) {
        push_node(L, 1, expr_get_symbol(owner->pool, symbol)->extent[k]);
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "extent");
    return 1;
}

static int parse(lua_State *L, expr_kind kind, const char *source, size_t length, const char *where)
{
    lua_pool *owner = lua_touserdata(L, 1);
    expr root = 0;
    fg_error error;
    if (expr_parse(&root, owner->pool, kind, source, length, &error) != FG_OK)
        return luaL_error(L, "%s: %s", where, error.text);
    return push_node(L, 1, root);
}

static int pool_parse(lua_State *L)
{
    check_pool(L);
    expr_kind kind = (expr_kind)luaL_checkoption(L, 2, NULL, kind_names);
    size_t length;
    const char *source = luaL_checklstring(L, 3, &length);
    return parse(L, kind, source, length, luaL_checkstring(L, 4));
}

/* The problem's own functions: their text stays on this side. */
static int pool_user(lua_State *L)
{
    static const char *const names[] = { "score", "maskfn", NULL };
    lua_pool *owner = check_pool(L);
    int which = luaL_checkoption(L, 2, NULL, names);
    const problem_function *f = which ? &owner->problem->maskfn : &owner->problem->score;
    if (!f->text) return 0;
    return parse(L, which ? EXPR_MASK : EXPR_SCORE, f->text, strlen(f->text), names[which]);
}

static int pool_int(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    lua_Integer value = luaL_checkinteger(L, 2);
    luaL_argcheck(L, value >= INT32_MIN && value <= INT32_MAX, 2, "not a 32-bit integer");
    return push_node(L, 1, expr_int(owner->pool, (int32_t)value));
}

static int pool_float(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    return push_node(L, 1, expr_float(owner->pool, luaL_checknumber(L, 2)));
}

static int pool_bool(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    return push_node(L, 1, expr_bool(owner->pool, lua_toboolean(L, 2)));
}

static int pool_read(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    const char *name = name_of(L, 2);
    int symbol = expr_find(owner->pool, name);
    const expr_symbol *s = symbol < 0 ? NULL : expr_get_symbol(owner->pool, symbol);
    if (!s || !s->tensor) return luaL_error(L, "'%s' is not a tensor", name);
    if (lua_gettop(L) != 2 + s->rank) return luaL_error(L, "'%s' takes %d indices", name, s->rank);
    expr index[expr_max_rank] = { 0 };
    for (int k = 0; k < s->rank; k++) index[k] = check_node(L, 3 + k, owner);
    return push_node(L, 1, expr_read(owner->pool, symbol, index));
}

/* What an op takes, a letter an operand: i(nt), f(loat), b(ool), n(umber), and all n or a(ny) alike. */
static const char *const operand_types[EXPR_op_count] = {
    [EXPR_neg] = "n",  [EXPR_abs] = "n",     [EXPR_floor] = "f", [EXPR_exp] = "f",  [EXPR_log] = "f",
    [EXPR_tanh] = "f", [EXPR_sqrt] = "f",    [EXPR_tofloat] = "i",
    [EXPR_add] = "nn", [EXPR_sub] = "nn",    [EXPR_mul] = "nn",  [EXPR_div] = "ff",
    [EXPR_idiv] = "nn", [EXPR_mod] = "nn",   [EXPR_min] = "nn",  [EXPR_max] = "nn",
    [EXPR_lt] = "nn",  [EXPR_le] = "nn",     [EXPR_eq] = "aa",   [EXPR_ne] = "aa",
    [EXPR_not] = "b",  [EXPR_and] = "bb",    [EXPR_or] = "bb",   [EXPR_where] = "baa",
};

static bool type_fits(char wanted, int type)
{
    switch (wanted) {
    case 'b': return type == EXPR_BOOL;
    case 'i': return type == EXPR_INT;
    case 'a': return true;
    default: return type != EXPR_BOOL; /* an int becomes a float where that is needed */
    }
}

static int pool_make(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    int op = luaL_checkoption(L, 2, NULL, expr_op_names);
    const char *types = operand_types[op];
    if (!types || lua_gettop(L) != 2 + (int)strlen(types))
        return luaL_error(L, "'%s' with %d operands cannot be made", expr_op_names[op], lua_gettop(L) - 2);
    expr operand[expr_max_rank] = { 0 };
    int last = -1; /* the type of the 'a' before: bool goes with bool only */
    for (int k = 0; types[k]; k++) {
        operand[k] = check_node(L, 3 + k, owner);
        int type = expr_get(owner->pool, operand[k])->type;
        bool fits = type_fits(types[k], type);
        if (types[k] == 'a') {
            fits = last < 0 || (last == EXPR_BOOL) == (type == EXPR_BOOL);
            last = type;
        }
        luaL_argcheck(L, fits, 3 + k, "its type does not fit the op");
    }
    return push_node(L, 1, expr_make(owner->pool, (expr_op)op, operand));
}

static int pool_substitute(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    expr root = check_node(L, 2, owner), by = check_node(L, 4, owner);
    int symbol = expr_find(owner->pool, name_of(L, 3));
    if (symbol < 0) return luaL_error(L, "'%s' is not declared", name_of(L, 3));
    return push_node(L, 1, expr_substitute(owner->pool, root, symbol, by));
}

static int pool_format(lua_State *L)
{
    lua_pool *owner = check_pool(L);
    expr_kind kind = (expr_kind)luaL_checkoption(L, 2, NULL, kind_names);
    return push_format(L, owner, kind, check_node(L, 3, owner));
}

static int pool_count(lua_State *L)
{
    lua_pushinteger(L, expr_node_count(check_pool(L)->pool));
    return 1;
}

static const luaL_Reg pool_methods[] = {
    { "variable", pool_variable },
    { "symbol", pool_symbol },
    { "declare_tensor", pool_declare_tensor },
    { "tensor", pool_tensor },
    { "parse", pool_parse },
    { "user", pool_user },
    { "int", pool_int },
    { "float", pool_float },
    { "bool", pool_bool },
    { "read", pool_read },
    { "make", pool_make },
    { "substitute", pool_substitute },
    { "format", pool_format },
    { "count", pool_count },
    { NULL, NULL },
};

/* ---- The library ---- */

static int new_pool(lua_State *L)
{
    const problem *p = lua_touserdata(L, lua_upvalueindex(1));
    const memory *m = lua_touserdata(L, lua_upvalueindex(2));
    lua_pool *owner = lua_newuserdatauv(L, sizeof *owner, 1);
    *owner = (lua_pool){ NULL, p, m };
    luaL_setmetatable(L, POOL);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    owner->pool = expr_pool_new(m, p->dtype != DTYPE_f64);
    fg_error error;
    if (!owner->pool || problem_declare(p, owner->pool, &error) != FG_OK)
        return luaL_error(L, "not enough memory");
    return 1;
}

static void open_metatables(lua_State *L)
{
    luaL_newmetatable(L, NODE);
    luaL_setfuncs(L, node_meta, 0);
    lua_pop(L, 1);
    luaL_newmetatable(L, POOL);
    lua_pushcfunction(L, pool_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, pool_methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void lua_open_expr(lua_State *L, const problem *p, const memory *m)
{
    open_metatables(L);
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, (void *)p);
    lua_pushlightuserdata(L, (void *)m);
    lua_pushcclosure(L, new_pool, 2);
    lua_setfield(L, -2, "pool");
    lua_setglobal(L, "expr");
}
