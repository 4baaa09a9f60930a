/* The user's functions, and the names that they may use. */
#include "gen/core/problem_parts.h"

#include <string.h>

/* ---- Names ---- */

static int64_t value_of(const problem *p, const char *key)
{
    return *(const int64_t *)problem_at(p, problem_field_find(key, strlen(key)));
}

/* Each sequence's own. */
static bool is_length(const problem *p, const char *key)
{
    return p->lens != LENS_none && (strcmp(key, "sq") == 0 || strcmp(key, "sk") == 0);
}

/* Only a run knows it: the size of what its shard is a part of. */
static bool is_whole(const problem *p, const char *key)
{
    return p->shard && strcmp(key, "d") != 0 && strcmp(key, "dv") != 0;
}

/* A static one is its value. False where memory has run out. */
static bool declare_dim(const problem *p, expr_pool *pool, const char *key)
{
    int64_t value = value_of(p, key);
    if (value == problem_dynamic || is_length(p, key) || is_whole(p, key))
        return expr_declare(pool, key, EXPR_INT) >= 0;
    expr number = expr_int(pool, (int32_t)value);
    return number && expr_define(pool, key, number) >= 0;
}

/* What extents call a dimension that only a run knows: `b` is the index, sq and sk a sequence's own. */
static const char *extent_name(const problem *p, const char *dim)
{
    if (strcmp(dim, "b") == 0) return "b_size";
    if (!is_length(p, dim)) return dim;
    return dim[1] == 'q' ? "most_sq" : "most_sk";
}

static bool declare_extent(const problem *p, expr_pool *pool, const char *dim)
{
    const char *name = extent_name(p, dim);
    bool known = value_of(p, dim) != problem_dynamic && !is_whole(p, dim);
    return known || strcmp(name, dim) == 0 || expr_declare(pool, name, EXPR_INT) >= 0;
}

static bool declare_names(const problem *p, expr_pool *pool)
{
    static const char *const indices[] = { "b", "h", "i", "j" };
    static const char *const dims[] = { "hq", "hkv", "sq", "sk", "d", "dv" };
    bool done = expr_declare(pool, "s", EXPR_FLOAT) >= 0;
    for (size_t k = 0; done && k < sizeof indices / sizeof *indices; k++) {
        done = expr_declare(pool, indices[k], EXPR_INT) >= 0;
    }
    for (size_t k = 0; done && k < sizeof dims / sizeof *dims; k++)
        done = declare_dim(p, pool, dims[k]);
    return done && declare_extent(p, pool, "b") && declare_extent(p, pool, "sq") &&
           declare_extent(p, pool, "sk");
}

static expr extent_node(const problem *p, const problem_tensor *t, int dim, expr_pool *pool)
{
    bool known = t->extent[dim] != problem_dynamic && !(*t->dim[dim] && is_whole(p, t->dim[dim]));
    if (known) return expr_int(pool, (int32_t)t->extent[dim]);
    return expr_variable(pool, expr_find(pool, extent_name(p, t->dim[dim])));
}

/* FG_REQUEST: the name has a meaning in the language. */
static fg_status declare_tensor(const problem *p, const problem_tensor *t, expr_pool *pool)
{
    expr extent[expr_max_rank];
    for (int k = 0; k < t->rank; k++) {
        if (!(extent[k] = extent_node(p, t, k, pool))) return FG_MEMORY;
    }
    expr_type element = dtypes[t->type].mantissa ? EXPR_FLOAT : EXPR_INT;
    return expr_declare_tensor(pool, t->name, element, t->rank, extent) < 0 ? FG_REQUEST : FG_OK;
}

fg_status problem_declare(const problem *p, expr_pool *pool, fg_error *error)
{
    bool done = declare_names(p, pool);
    for (int k = 0; done && k < p->tensors; k++)
        done = declare_tensor(p, &p->tensor[k], pool) == FG_OK;
    return done ? FG_OK : fail_memory(error);
}

fg_status problem_open_pool(problem_reader *r)
{
    problem *p = r->p;
    p->pool = expr_pool_new(p->memory, p->dtype != DTYPE_f64);
    if (!p->pool || !declare_names(p, p->pool)) return fail_memory(r->error);
    for (int k = 0; k < p->tensors; k++) {
        problem_tensor *t = &p->tensor[k];
        fg_status s = declare_tensor(p, t, p->pool);
        if (s == FG_MEMORY) return fail_memory(r->error);
        if (s == FG_REQUEST) {
            const problem_entry *e = problem_tensor_entry(r, t->name);
            span name = { e->value.at, strlen(t->name) };
            return problem_refuse_part(r, e, name,
                                       "this name is a word of functions; another is needed");
        }
        t->symbol = expr_find(p->pool, t->name);
    }
    return FG_OK;
}

/* ---- score={...}, maskfn={...} ---- */

static expr_kind kind_of(const problem_field *f)
{
    return f->offset == offsetof(problem, score) ? EXPR_SCORE : EXPR_MASK;
}

/* A score that is s, a mask that keeps all. */
static bool changes_nothing(const problem *p, expr_kind kind, expr root)
{
    const expr_node *n = expr_get(p->pool, root);
    if (kind == EXPR_MASK) return n->op == EXPR_constant && n->value.i;
    return n->op == EXPR_variable && n->symbol == expr_find(p->pool, "s");
}

static fg_status keep_text(problem_reader *r, const problem_entry *e, problem_function *function)
{
    text out;
    text_init(&out, r->p->memory);
    expr_format(r->p->pool, kind_of(e->field), function->root, &out);
    if (!out.failed) function->text = memory_text(r->p->memory, out.data, out.length);
    size_t length = out.length;
    text_free(&out);
    if (!function->text) return fail_memory(r->error);
    if (length <= expr_max_text) return FG_OK;
    return problem_refuse(r, e->key, "%s grows beyond %d bytes when written out", e->field->key,
                          expr_max_text);
}

fg_status problem_parse_function(problem_reader *r, const problem_entry *e)
{
    problem_function *function = problem_at(r->p, e->field);
    expr_kind kind = kind_of(e->field);
    fg_error inner;
    fg_status s =
        expr_parse(&function->root, r->p->pool, kind, e->value.at, e->value.length, &inner);
    if (s == FG_MEMORY) return fail_memory(r->error);
    if (s != FG_OK) {
        int64_t at = e->value.at - r->line.at + (inner.position > 0 ? inner.position : 0);
        return fail_at(r->error, s, at, "%s: %s", e->field->key, inner.text);
    }
    if (!changes_nothing(r->p, kind, function->root)) return keep_text(r, e, function);
    function->root = 0;
    return FG_OK;
}

void problem_print_function(const problem *p, const problem_field *f, text *out)
{
    const problem_function *function = problem_at(p, f);
    if (function->root) text_addf(out, " %s={%s}", f->key, function->text);
}
