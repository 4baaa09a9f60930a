/* The Lua state of one make: its memory, its limits, its errors, and what Lua may use (gen/base.lua).
 *
 * Templates and schedules are ours, yet a broken one must not hang, exhaust or end the host: steps and
 * bytes are bounded, and every error comes back as a status with a sentence that names file and line. */
#ifndef GEN_LUA_H
#define GEN_LUA_H

#include "gen/core/problem.h"

#include <lua.h>

enum {
    lua_host_max_bytes = 256 << 20,
    lua_host_max_ticks = 200, /* of a million instructions each: a few seconds */
};

typedef struct lua_host lua_host;

/* `problem` may be NULL: then there is no library `expr`. `templates` is the overriding directory or NULL.
 * Until lua_host_free the calling thread's locale is C's. */
fg_status lua_host_new(lua_host **out, const memory *m, const char *templates,
                       const problem *problem, fg_error *error);
void lua_host_free(lua_host *host);

/* Calls body(L) protected, with `data` as light userdata at index 1. */
fg_status lua_host_run(lua_host *host, lua_CFunction body, void *data, fg_error *error);

/* Inside of lua_host_run: ends it with this status and sentence. Allocates nothing. */
_Noreturn void lua_host_fail(lua_State *L, fg_status status, const char *sentence);

/* gen/lua_primitives.c: pushes the table of functions that gen/base.lua builds on. */
void lua_push_primitives(lua_State *L);
struct files *lua_host_files(lua_State *L);

/* gen/problem_table.c: pushes the problem as a table. */
void lua_push_problem(lua_State *L, const problem *p);

/* gen/lua_expr.c: sets the global library `expr`. */
void lua_open_expr(lua_State *L, const problem *p, const memory *m);

#endif
