/* The whole space of a problem's configs, as gen/make.lua ranks it. */
#include "gen/maker_parts.h"

typedef struct job {
    const maker_request *request;
    maker_space *space;
} job;

static int64_t read_integer(lua_State *L, const char *key)
{
    int whole;
    lua_getfield(L, -1, key);
    int64_t value = lua_tointegerx(L, -1, &whole);
    if (!whole) maker_fail(L, "tally has something that is no integer");
    lua_pop(L, 1);
    return value;
}

static void read_removals(lua_State *L, maker_space *s)
{
    size_t length;
    s->removal = maker_open_list(L, s->memory, "removals", sizeof *s->removal, &s->removals);
    for (int k = 0; k < s->removals; k++) {
        lua_geti(L, -1, k + 1);
        s->removal[k].constraint = maker_copy(L, s->memory, "name", &length);
        s->removal[k].points = read_integer(L, "count");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void read_configs(lua_State *L, maker_space *s)
{
    size_t length;
    s->config = maker_open_list(L, s->memory, "configs", sizeof *s->config, &s->count);
    if (s->count && !(s->cost = memory_new(s->memory, (size_t)s->count, sizeof *s->cost)))
        maker_fail_memory(L);
    for (int k = 0; k < s->count; k++) {
        lua_geti(L, -1, k + 1);
        s->config[k] = maker_copy(L, s->memory, "config", &length);
        lua_getfield(L, -1, "cost");
        s->cost[k] = lua_tonumber(L, -1);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

static int make_space(lua_State *L)
{
    size_t length;
    job *j = lua_touserdata(L, 1);
    maker_push(L, "space");
    lua_push_problem(L, j->request->problem);
    maker_push_device(L, j->request->device);
    maker_push_options(L, j->request);
    lua_call(L, 3, 1);
    j->space->schedule = maker_copy(L, j->space->memory, "schedule", &length);
    j->space->total = read_integer(L, "total");
    read_removals(L, j->space);
    read_configs(L, j->space);
    return 0;
}

fg_status maker_read_space(maker_space **out, const maker_request *request, fg_error *error)
{
    *out = NULL;
    job j = { request, memory_new(request->memory, 1, sizeof *j.space) };
    if (!j.space) return fail_memory(error);
    j.space->memory = request->memory;
    fg_status s = maker_run(request, request->problem, make_space, &j, error);
    if (s == FG_OK)
        *out = j.space;
    else
        maker_space_free(j.space);
    return s;
}
