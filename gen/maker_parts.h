/* What the parts of the maker share: requests into gen/make.lua, its results out of it. */
#ifndef GEN_MAKER_PARTS_H
#define GEN_MAKER_PARTS_H

#include "gen/core/maker.h"
#include "gen/lua.h"

/* Runs body(L) in a state of its own, with `data` as light userdata at index 1. `p` may be NULL. */
fg_status maker_run(const maker_request *request, const problem *p, lua_CFunction body, void *data,
                    fg_error *error);

/* Within that: pushes the function `name` of gen/make.lua, or these arguments of its. */
void maker_push(lua_State *L, const char *name);
void maker_push_device(lua_State *L, const maker_device *device);
void maker_push_options(lua_State *L, const maker_request *request);

/* Ends it: what the schedule gave is `what`. */
_Noreturn void maker_fail(lua_State *L, const char *what);
_Noreturn void maker_fail_memory(lua_State *L);

/* Pushes the list in field `key`, and gives zeroed memory for as many elements: none for none. */
void *maker_open_list(lua_State *L, const memory *m, const char *key, size_t size, int *count);

/* A copy of the string in field `key` of the table on top. */
char *maker_copy(lua_State *L, const memory *m, const char *key, size_t *length);

/* gen/maker_choices.c */
fg_status maker_read_choices(maker_choices **out, const maker_request *request,
                             const maker_grid *grid, int most, fg_error *error);

/* gen/maker_space.c */
fg_status maker_read_space(maker_space **out, const maker_request *request, fg_error *error);

#endif
