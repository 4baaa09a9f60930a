/* Expressions in Lua: the library `expr`, and the way back from a Lua value to its node.
 *
 *   pool = expr.pool()                 with all that the problem declares
 *   pool:variable(name, type)          declares it (or finds it, if it is one of that type); its node
 *   pool:declare_tensor(name, type, {extent nodes})
 *   pool:symbol(name)                  the variable's node, or nil; a static dim's is its constant
 *   pool:tensor(name)                  { name, type, extent = {nodes} }, or nil
 *   pool:parse("score"|"mask", text, where), pool:user("score"|"maskfn") (nil where there is none)
 *   pool:int(n) pool:float(x) pool:bool(b) pool:make(op, ...) pool:read(name, ...)
 *   pool:substitute(root, name, node), pool:format("score"|"mask", root), pool:count()
 *
 * A node has op, type, value (constants), name (variables, reads), id, pool, literal (a float constant's
 * shortest text), operands [1] .. [#n], and n:depends_on(name). Equal nodes of a pool are the same Lua
 * value. What cannot be made is a Lua error. */
#ifndef GEN_LUA_EXPR_H
#define GEN_LUA_EXPR_H

#include "gen/core/problem.h"

#include <lua.h>

/* Sets the global `expr`. `p` and `m` outlive the state. */
void lua_open_expr(lua_State *L, const problem *p, const memory *m);

/* The node at `index`, or 0 if that is no node; `pool`, which may be NULL, receives its pool. */
expr lua_to_expr(lua_State *L, int index, expr_pool **pool);

#endif
