/* The problem as the table `p` of schedules and templates:
 *   enum, dtype   its name; false for "none"
 *   dim           an integer; nil where it is `*`, and then p.dynamic[key] is true
 *   int, flag     as they are
 *   real, number  a float; false where a number is absent
 *   window        { left=, right= } or false
 *   broadcast     { type=, full={4 booleans over b, hq, sq, sk} } or false
 *   tensors       p.tensors: a list of { name=, type=, rank=, extent={..}, dim={..} }, an extent being false
 *                 where it is `*` and a dim the extent's name, or false for a number
 *   grad          { q=, k=, v=, bias=, NAME=: true where asked for } or false
 *   function      whether there is one
 * and p.text, the canonical line. */
#include "gen/lua.h"

#include <string.h>

static const void *value_of(const problem *p, const problem_field *f)
{
    return (const char *)p + f->offset;
}

static void push_enum(lua_State *L, const problem *p, const problem_field *f)
{
    const char *name = f->names[*(const int *)value_of(p, f)];
    if (strcmp(name, "none") == 0)
        lua_pushboolean(L, 0);
    else
        lua_pushstring(L, name);
}

static void push_dtype(lua_State *L, const problem *p, const problem_field *f)
{
    lua_pushstring(L, dtypes[*(const dtype *)value_of(p, f)].name);
}

static void push_dim(lua_State *L, const problem *p, const problem_field *f)
{
    int64_t extent = *(const int64_t *)value_of(p, f);
    if (extent != problem_dynamic) {
        lua_pushinteger(L, extent);
        return;
    }
    lua_getfield(L, -1, "dynamic");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, f->key);
    lua_pop(L, 1);
    lua_pushnil(L);
}

static void push_int(lua_State *L, const problem *p, const problem_field *f)
{
    lua_pushinteger(L, *(const int64_t *)value_of(p, f));
}

static void push_real(lua_State *L, const problem *p, const problem_field *f)
{
    lua_pushnumber(L, *(const double *)value_of(p, f));
}

static void push_flag(lua_State *L, const problem *p, const problem_field *f)
{
    lua_pushboolean(L, *(const bool *)value_of(p, f));
}

static void push_number(lua_State *L, const problem *p, const problem_field *f)
{
    const problem_number *number = value_of(p, f);
    if (number->present)
        lua_pushnumber(L, number->value);
    else
        lua_pushboolean(L, 0);
}

static void push_window(lua_State *L, const problem *p, const problem_field *f)
{
    const problem_window *window = value_of(p, f);
    if (!window->present) {
        lua_pushboolean(L, 0);
        return;
    }
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, window->left);
    lua_setfield(L, -2, "left");
    lua_pushinteger(L, window->right);
    lua_setfield(L, -2, "right");
}

static void push_broadcast(lua_State *L, const problem *p, const problem_field *f)
{
    const problem_broadcast *broadcast = value_of(p, f);
    if (!broadcast->present) {
        lua_pushboolean(L, 0);
        return;
    }
    lua_createtable(L, 0, 2);
    lua_pushstring(L, dtypes[broadcast->type].name);
    lua_setfield(L, -2, "type");
    lua_createtable(L, 4, 0);
    for (int k = 0; k < 4; k++) {
        lua_pushboolean(L, broadcast->full[k]);
        lua_seti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "full");
}

static void push_extents(lua_State *L, const problem_tensor *t)
{
    lua_createtable(L, t->rank, 0);
    lua_createtable(L, t->rank, 0);
    for (int k = 0; k < t->rank; k++) {
        if (t->extent[k] == problem_dynamic)
            lua_pushboolean(L, 0);
        else
            lua_pushinteger(L, t->extent[k]);
        lua_seti(L, -3, k + 1);
        if (t->dim[k][0])
            lua_pushstring(L, t->dim[k]);
        else
            lua_pushboolean(L, 0);
        lua_seti(L, -2, k + 1);
    }
    lua_setfield(L, -3, "dim");
    lua_setfield(L, -2, "extent");
}

static void push_tensors(lua_State *L, const problem *p, const problem_field *f)
{
    (void)f;
    lua_createtable(L, p->tensors, 0);
    for (int k = 0; k < p->tensors; k++) {
        lua_createtable(L, 0, 5);
        lua_pushstring(L, p->tensor[k].name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, dtypes[p->tensor[k].type].name);
        lua_setfield(L, -2, "type");
        lua_pushinteger(L, p->tensor[k].rank);
        lua_setfield(L, -2, "rank");
        push_extents(L, &p->tensor[k]);
        lua_seti(L, -2, k + 1);
    }
}

/* Sets t[name] of the table on top where `asked`; whether it did. */
static bool set_grad(lua_State *L, const char *name, bool asked)
{
    if (!asked) return false;
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, name);
    return true;
}

static void push_grad(lua_State *L, const problem *p, const problem_field *f)
{
    const problem_grad *grad = value_of(p, f);
    lua_newtable(L);
    bool any = set_grad(L, "q", grad->q);
    any |= set_grad(L, "k", grad->k);
    any |= set_grad(L, "v", grad->v);
    any |= set_grad(L, "bias", grad->bias);
    for (int k = 0; k < p->tensors; k++) any |= set_grad(L, p->tensor[k].name, grad->tensor[k]);
    if (any) return;
    lua_pop(L, 1);
    lua_pushboolean(L, 0);
}

static void push_function(lua_State *L, const problem *p, const problem_field *f)
{
    lua_pushboolean(L, ((const problem_function *)value_of(p, f))->root != 0);
}

void lua_push_problem(lua_State *L, const problem *p)
{
    static void (*const push[problem_kind_count])(lua_State *, const problem *,
                                                  const problem_field *) = {
        [KIND_enum] = push_enum,
        [KIND_dtype] = push_dtype,
        [KIND_dim] = push_dim,
        [KIND_int] = push_int,
        [KIND_real] = push_real,
        [KIND_flag] = push_flag,
        [KIND_number] = push_number,
        [KIND_window] = push_window,
        [KIND_broadcast] = push_broadcast,
        [KIND_tensors] = push_tensors,
        [KIND_grad] = push_grad,
        [KIND_function] = push_function,
    };
    lua_newtable(L);
    lua_newtable(L);
    lua_setfield(L, -2, "dynamic");
    for (size_t k = 0; k < problem_field_count; k++) {
        const problem_field *f = &problem_fields[k];
        push[f->kind](L, p, f);
        lua_setfield(L, -2, f->kind == KIND_tensors ? "tensors" : f->key);
    }
    lua_pushlstring(L, p->text, p->text_length);
    lua_setfield(L, -2, "text");
}
