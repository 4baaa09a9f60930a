#include "gen/files.h"
#include "gen/maker_parts.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { max_config = 4096 }; /* bytes */

/* One make, as its protected part sees it. */
typedef struct job {
    const maker_request *request;
    made *made;
    int64_t *flops;        /* of a peak kernel, or NULL */
    int64_t index, *count; /* of a config */
    char *config;
} job;

/* ---- Results out of Lua: the table that gen/make.lua returns is on top ---- */

_Noreturn void maker_fail(lua_State *L, const char *what)
{
    fg_error error;
    fail(&error, FG_INTERNAL, "the schedule's %s", what);
    lua_host_fail(L, FG_INTERNAL, error.text);
}

_Noreturn void maker_fail_memory(lua_State *L)
{
    lua_host_fail(L, FG_MEMORY, "out of memory");
}

/* The string in field `key` of the table on top; it stays alive with the table. */
static const char *field_text(lua_State *L, const char *key, size_t *length)
{
    char what[80];
    if (lua_getfield(L, -1, key) != LUA_TSTRING) {
        snprintf(what, sizeof what, "field '%s' is no string", key);
        maker_fail(L, what);
    }
    const char *bytes = lua_tolstring(L, -1, length);
    lua_pop(L, 1);
    return bytes;
}

char *maker_copy(lua_State *L, const memory *m, const char *key, size_t *length)
{
    const char *bytes = field_text(L, key, length);
    if (memchr(bytes, 0, *length)) maker_fail(L, "text has a zero byte");
    char *copy = memory_text(m, bytes, *length);
    if (!copy) maker_fail_memory(L);
    return copy;
}

void *maker_open_list(lua_State *L, const memory *m, const char *key, size_t size, int *count)
{
    lua_Unsigned length = lua_getfield(L, -1, key) == LUA_TTABLE ? lua_rawlen(L, -1) : 0;
    if (length > INT_MAX) maker_fail(L, "list is too long");
    *count = (int)length;
    void *list = length ? memory_new(m, length, size) : NULL;
    if (length && !list) maker_fail_memory(L);
    return list;
}

static void read_name(lua_State *L, const char *key, char out[32])
{
    size_t length;
    const char *bytes = field_text(L, key, &length);
    if (length >= 32) maker_fail(L, "names have at most 31 bytes");
    memcpy(out, bytes, length + 1);
}

static void read_recipe(lua_State *L, const char *key, recipe *out)
{
    fg_error error;
    char what[FG_ERROR_TEXT];
    size_t length;
    const char *bytes = field_text(L, key, &length);
    if (recipe_parse(out, bytes, &error) == FG_OK) return;
    snprintf(what, sizeof what, "recipe '%.200s' is wrong: %.1500s", bytes, error.text);
    maker_fail(L, what);
}

static made_slot_kind read_kind(lua_State *L)
{
    static const char *const names[] = { "pointer", "stride", "real", "int", "recipe", "region" };
    size_t length;
    const char *bytes = field_text(L, "kind", &length);
    for (made_slot_kind kind = SLOT_pointer; kind <= SLOT_region; kind++)
        if (strcmp(names[kind], bytes) == 0) return kind;
    maker_fail(L, "slots have a kind that is none of pointer, stride, real, int, recipe, region");
}

/* A pointer or stride must be of a tensor that the problem has. */
static void check_tensor(lua_State *L, const problem *p, const made_slot *slot)
{
    problem_tensor_info info;
    char what[96];
    for (size_t k = 0; problem_tensor_at(p, k, &info); k++) {
        if (strcmp(info.name, slot->name) != 0) continue;
        if (slot->kind == SLOT_pointer || (slot->dim >= 0 && slot->dim < info.rank)) return;
    }
    snprintf(what, sizeof what, "slots read a tensor or dimension that there is not: %s, %d",
             slot->name, slot->dim);
    maker_fail(L, what);
}

static void check_region(lua_State *L, const made *m, const char *name)
{
    for (int k = 0; k < m->regions; k++)
        if (strcmp(m->region[k].name, name) == 0) return;
    maker_fail(L, "slots or steps name a region that there is not");
}

static int read_dim(lua_State *L)
{
    int whole;
    lua_getfield(L, -1, "dim");
    lua_Integer dim = lua_tointegerx(L, -1, &whole);
    lua_pop(L, 1);
    return whole && dim >= 0 && dim < 8 ? (int)dim : -1;
}

static void read_slot(lua_State *L, job *j, int index)
{
    made_slot *slot = &j->made->slot[index];
    slot->kind = read_kind(L);
    if (slot->kind == SLOT_recipe)
        read_recipe(L, "recipe", &slot->recipe);
    else
        read_name(L, "name", slot->name);
    slot->dim = slot->kind == SLOT_stride ? read_dim(L) : 0;
    if (slot->kind == SLOT_pointer || slot->kind == SLOT_stride)
        check_tensor(L, j->request->problem, slot);
    if (slot->kind == SLOT_region) check_region(L, j->made, slot->name);
}

static bool read_flag(lua_State *L, const char *key)
{
    lua_getfield(L, -1, key);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

/* Threads of a block: up to 1024, 0 where the step says none. */
static int read_threads(lua_State *L)
{
    int whole = lua_getfield(L, -1, "threads") == LUA_TNIL;
    lua_Integer threads = whole ? 0 : lua_tointegerx(L, -1, &whole);
    lua_pop(L, 1);
    if (!whole || threads < 0 || threads > 1024)
        maker_fail(L, "a step's threads are no number up to 1024");
    return (int)threads;
}

static bool has(lua_State *L, const char *key)
{
    bool present = lua_getfield(L, -1, key) != LUA_TNIL;
    lua_pop(L, 1);
    return present;
}

static void read_step(lua_State *L, job *j, int index)
{
    made_step *step = &j->made->step[index];
    if (has(L, "clear")) {
        read_name(L, "clear", step->clear);
        check_region(L, j->made, step->clear);
        return;
    }
    read_name(L, "entry", step->entry);
    step->prepares = read_flag(L, "prepares");
    step->threads = read_threads(L);
    read_recipe(L, "tasks", &step->tasks);
    read_recipe(L, "scratch", &step->scratch);
}

static void read_region(lua_State *L, job *j, int index)
{
    made_region *region = &j->made->region[index];
    read_name(L, "name", region->name);
    region->prepared = read_flag(L, "prepared");
    read_recipe(L, "bytes", &region->bytes);
}

/* Reads each of the list in field `key`; how many there are. */
static int read_list(lua_State *L, const char *key, int least, int most,
                     void (*read)(lua_State *, job *, int))
{
    job *j = lua_touserdata(L, 1);
    char what[80];
    lua_Unsigned count = lua_getfield(L, -1, key) == LUA_TTABLE ? lua_rawlen(L, -1) : 0;
    if (count < (lua_Unsigned)least || count > (lua_Unsigned)most) {
        snprintf(what, sizeof what, "%s are no list of %d to %d", key, least, most);
        maker_fail(L, what);
    }
    for (int k = 0; k < (int)count; k++) {
        if (lua_geti(L, -1, k + 1) != LUA_TTABLE)
            maker_fail(L, "slots, steps and regions are tables");
        read(L, j, k);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return (int)count;
}

static void read_flops(lua_State *L, job *j)
{
    int whole;
    if (!j->flops) return;
    lua_getfield(L, -1, "flops");
    *j->flops = lua_tointegerx(L, -1, &whole);
    if (!whole || *j->flops <= 0) maker_fail(L, "flops of a round are no positive integer");
    lua_pop(L, 1);
}

static void read_made(lua_State *L, job *j)
{
    size_t length;
    made *m = j->made;
    m->schedule = maker_copy(L, m->memory, "schedule", &length);
    m->config = maker_copy(L, m->memory, "config", &length);
    m->text = maker_copy(L, m->memory, "text", &m->text_length);
    m->regions = read_list(L, "regions", 0, made_max_regions, read_region);
    m->slots = read_list(L, "slots", 1, made_max_slots, read_slot);
    m->steps = read_list(L, "steps", 1, made_max_steps, read_step);
    read_flops(L, j);
}

/* ---- Requests into Lua ---- */

static void set_text(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

void maker_push_device(lua_State *L, const maker_device *device)
{
    lua_createtable(L, 0, 11);
    lua_pushboolean(L, device->gpu);
    lua_setfield(L, -2, "gpu");
    set_text(L, "name", device->name ? device->name : "");
    set_text(L, "isa", device->isa);
    set_text(L, "compiler", device->compiler ? device->compiler : "cc");
    set_text(L, "flags", device->flags ? device->flags : "");
    set_integer(L, "cores", device->cores);
    set_integer(L, "threads", device->threads);
    set_integer(L, "l1_bytes", device->l1_bytes);
    set_integer(L, "l2_bytes", device->l2_bytes);
    set_integer(L, "shared_bytes", device->shared_bytes);
    set_integer(L, "registers", device->registers);
}

void maker_push_options(lua_State *L, const maker_request *request)
{
    lua_createtable(L, 0, 5);
    set_integer(L, "b", request->sizes.b);
    set_integer(L, "sq", request->sizes.sq);
    set_integer(L, "sk", request->sizes.sk);
    set_text(L, "config", request->config ? request->config : "");
    lua_pushboolean(L, request->lines);
    lua_setfield(L, -2, "lines");
}

void maker_push(lua_State *L, const char *name)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "gen.make");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, name);
}

static int make_kernel(lua_State *L)
{
    job *j = lua_touserdata(L, 1);
    maker_push(L, "kernel");
    lua_push_problem(L, j->request->problem);
    maker_push_device(L, j->request->device);
    maker_push_options(L, j->request);
    lua_call(L, 3, 1);
    read_made(L, j);
    return 0;
}

static int make_peak(lua_State *L)
{
    job *j = lua_touserdata(L, 1);
    maker_push(L, "peak");
    maker_push_device(L, j->request->device);
    maker_push_options(L, j->request);
    lua_call(L, 2, 1);
    read_made(L, j);
    return 0;
}

static int find_config(lua_State *L)
{
    job *j = lua_touserdata(L, 1);
    maker_push(L, "config_at");
    lua_push_problem(L, j->request->problem);
    maker_push_device(L, j->request->device);
    maker_push_options(L, j->request);
    lua_pushinteger(L, j->index);
    lua_call(L, 4, 2);
    *j->count = lua_tointeger(L, -1);
    const char *config = lua_tostring(L, -2);
    j->config = memory_text(j->request->memory, config, strlen(config));
    if (!j->config) maker_fail_memory(L);
    return 0;
}

fg_status maker_run(const maker_request *r, const problem *p, lua_CFunction body, void *data,
                    fg_error *error)
{
    lua_host *host = NULL;
    if (r->config && strlen(r->config) > max_config)
        return fail(error, FG_REQUEST, "the config has more than %d bytes", max_config);
    fg_status s = lua_host_new(&host, r->memory, r->templates, p, error);
    if (s == FG_OK) s = lua_host_run(host, body, data, error);
    lua_host_free(host);
    return s;
}

static fg_status run(made **out, job *j, const problem *p, lua_CFunction body, fg_error *error)
{
    const memory *m = j->request->memory;
    *out = NULL;
    if (!(j->made = memory_new(m, 1, sizeof *j->made))) return fail_memory(error);
    j->made->memory = m;
    fg_status s = maker_run(j->request, p, body, j, error);
    if (s == FG_OK)
        *out = j->made;
    else
        made_free(j->made);
    return s;
}

static fg_status maker_make(made **out, const maker_request *request, fg_error *error)
{
    job j = { .request = request };
    return run(out, &j, request->problem, make_kernel, error);
}

static fg_status maker_peak(made **out, int64_t *flops, const maker_request *request,
                            fg_error *error)
{
    job j = { .request = request, .flops = flops };
    return run(out, &j, NULL, make_peak, error);
}

static fg_status maker_config_at(char **config, int64_t *count, const maker_request *request,
                                 int64_t index, fg_error *error)
{
    job j = { .request = request, .index = index, .count = count };
    *count = 0;
    fg_status s = maker_run(request, request->problem, find_config, &j, error);
    *config = j.config;
    return s;
}

static const maker lua_maker = {
    .make = maker_make,
    .peak = maker_peak,
    .config_at = maker_config_at,
    .space = maker_read_space,
    .choices = maker_read_choices,
    .hash = files_hash,
};
const maker *const maker_installed = &lua_maker;
