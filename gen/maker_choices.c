/* Configs for a grid of sizes, as gen/make.lua chooses them. */
#include "gen/maker_parts.h"

typedef struct job {
    const maker_request *request;
    const maker_grid *grid;
    int most;
    maker_choices *choices;
} job;

static void push_sizes(lua_State *L, const char *key, const int64_t *size, int count)
{
    lua_createtable(L, count, 0);
    for (int k = 0; k < count; k++) {
        lua_pushinteger(L, size[k]);
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, key);
}

static void push_grid(lua_State *L, const maker_grid *g)
{
    lua_createtable(L, 0, 3);
    push_sizes(L, "b", g->b, g->bs);
    push_sizes(L, "sq", g->sq, g->sqs);
    push_sizes(L, "sk", g->sk, g->sks);
}

static void read_choices(lua_State *L, maker_choices *c)
{
    size_t length;
    c->choice = maker_open_list(L, c->memory, "choices", sizeof *c->choice, &c->count);
    for (int k = 0; k < c->count; k++) {
        lua_geti(L, -1, k + 1);
        c->choice[k].schedule = maker_copy(L, c->memory, "schedule", &length);
        c->choice[k].config = maker_copy(L, c->memory, "config", &length);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void read_sizes(lua_State *L, maker_choices *c)
{
    c->of = maker_open_list(L, c->memory, "of", sizeof *c->of, &c->sizes);
    for (int k = 0; k < c->sizes; k++) {
        lua_geti(L, -1, k + 1);
        lua_Integer place = lua_tointeger(L, -1);
        if (place < 1 || place > c->count) maker_fail(L, "choices are of none of the configs");
        c->of[k] = (int)place - 1;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static int make_choices(lua_State *L)
{
    job *j = lua_touserdata(L, 1);
    const maker_grid *g = j->grid;
    maker_push(L, "choices");
    lua_push_problem(L, j->request->problem);
    maker_push_device(L, j->request->device);
    maker_push_options(L, j->request);
    push_grid(L, g);
    lua_pushinteger(L, j->most);
    lua_call(L, 5, 1);
    read_choices(L, j->choices);
    read_sizes(L, j->choices);
    if (j->choices->sizes != g->bs * g->sqs * g->sks) maker_fail(L, "choices are not one a size");
    return 0;
}

fg_status maker_read_choices(maker_choices **out, const maker_request *request,
                             const maker_grid *grid, int most, fg_error *error)
{
    *out = NULL;
    job j = { request, grid, most, memory_new(request->memory, 1, sizeof *j.choices) };
    if (!j.choices) return fail_memory(error);
    j.choices->memory = request->memory;
    fg_status s = maker_run(request, request->problem, make_choices, &j, error);
    if (s == FG_OK)
        *out = j.choices;
    else
        maker_choices_free(j.choices);
    return s;
}
