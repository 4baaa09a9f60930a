/* Expressions in Lua: the library `expr` (lua_open_expr of gen/lua.h).
 *
 *   pool = expr.pool()                    with all that the problem declares
 *   pool:variable(name, type)             its node; declared unless it is there
 *   pool:symbol(name)                     a variable's node or a static dim's constant, or nil
 *   pool:declare_tensor(name, type, {extent nodes})
 *   pool:tensor(name)                     { name, type, extent = {nodes} }, or nil
 *   pool:parse("score"|"mask", source, where)
 *   pool:user("score"|"maskfn")           the problem's own function, or nil
 *   pool:int(n), pool:float(x), pool:bool(b), pool:make(op, operands...), pool:read(name, indices...)
 *   pool:substitute(root, name, node), pool:format("score"|"mask", root)
 *   pool:room()                           how many more nodes it takes
 *
 * A node has op, type, id, pool, name (variable, read), value (constant), operands [1] .. [#n] and
 * n:depends_on(name). Equal nodes are one Lua value, so they can be keys. Types are "bool", "int", "float". */
#ifndef GEN_LUA_EXPR_H
#define GEN_LUA_EXPR_H

#include "gen/lua.h"

/* User value 1 of a pool: its nodes by id, which makes equal nodes one value. */
typedef struct lua_pool {
    expr_pool *pool; /* NULL once collected */
    const problem *problem;
    const memory *memory;
    text source; /* of a node that is being formatted: here it is freed whatever Lua throws */
} lua_pool;

/* The node at stack index `index`, or 0; `pool` (or NULL) receives its pool. */
expr lua_to_expr(lua_State *L, int index, const expr_pool **pool);

/* gen/lua_node.c, for lua_expr.c */
void lua_open_node(lua_State *L);
/* Pushes the node; `pool` is the stack index of its pool. Raises what made it 0. */
int lua_push_node(lua_State *L, int pool, expr id);
int lua_push_source(lua_State *L, lua_pool *owner, expr_kind kind, expr root);
expr lua_check_node(lua_State *L, int index, const lua_pool *owner);
_Noreturn void lua_memory_error(lua_State *L);

extern const char *const lua_expr_types[]; /* by expr_type, NULL behind the last */

#endif
