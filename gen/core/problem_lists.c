/* The fields that list things: tensor= and grad=. */
#include "gen/core/problem_parts.h"

#include <string.h>

/* ---- tensor=NAME:type[dim,...] ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(span s)
{
    bool right = s.length > 0 && s.length < sizeof((problem_tensor *)0)->name && is_letter(*s.at);
    for (size_t k = 0; right && k < s.length; k++)
        right = is_letter(s.at[k]) || (s.at[k] >= '0' && s.at[k] <= '9');
    return right;
}

/* Names of a run's other tensors and numbers. */
static bool is_taken(span s)
{
#define TENSOR_NAME(name) #name,
    static const char *const taken[] = { FG_TENSORS(TENSOR_NAME) "sinks",
                                         "scale",
                                         "softcap",
                                         "window_left",
                                         "window_right",
                                         "dropout" };
#undef TENSOR_NAME
    for (size_t k = 0; k < sizeof taken / sizeof *taken; k++) {
        if (span_is(s, taken[k])) return true;
    }
    return false;
}

static fg_status parse_tensor_name(problem_reader *r, const problem_entry *e, span name,
                                   problem_tensor *t)
{
    if (!is_name(name)) {
        return problem_refuse_part(r, e, name,
                                   "a name of letters, digits and _, at most 31 bytes, is needed");
    }
    if (is_taken(name))
        return problem_refuse_part(r, e, name,
                                   "this name has a meaning already; another is needed");
    memcpy(t->name, name.at, name.length);
    return FG_OK;
}

static fg_status parse_extent(problem_reader *r, const problem_entry *e, span s, problem_tensor *t)
{
    if (t->rank == 4) return problem_refuse_part(r, e, s, "at most four dimensions are possible");
    const problem_field *dim = problem_field_find(s.at, s.length);
    int64_t *extent = &t->extent[t->rank];
    if (dim && dim->kind == KIND_dim) {
        strcpy(t->dim[t->rank++], dim->key);
        *extent = *(const int64_t *)problem_at(r->p, dim);
        return FG_OK;
    }
    t->rank++;
    if (number_int(s.at, s.length, extent) && *extent >= 1 && *extent <= PROBLEM_MAX_LENGTH)
        return FG_OK;
    return problem_refuse_part(
        r, e, s, "one of b hq hkv sq sk d dv or a number from 1 to 268435456 is needed");
}

static fg_status parse_shape(problem_reader *r, const problem_entry *e, span rest,
                             problem_tensor *t)
{
    span shape, dim;
    if (!span_cut(&shape, &rest, ']') || rest.length) {
        return problem_refuse_part(r, e, e->value, "NAME:type[dim,...] is needed");
    }
    bool more;
    do {
        more = span_cut(&dim, &shape, ',');
        fg_status s = parse_extent(r, e, dim, t);
        if (s != FG_OK) return s;
    } while (more);
    return FG_OK;
}

/* Puts it where the order of names wants it. */
static fg_status insert(problem_reader *r, const problem_entry *e, span name,
                        const problem_tensor *t)
{
    problem *p = r->p;
    int at = 0;
    while (at < p->tensors && strcmp(p->tensor[at].name, t->name) < 0) at++;
    if (at < p->tensors && strcmp(p->tensor[at].name, t->name) == 0) {
        return problem_refuse_part(r, e, name,
                                   "this tensor is declared twice; another name is needed");
    }
    if (p->tensors == problem_max_tensors) {
        return problem_refuse(r, e->key, "too many tensors: at most %d", problem_max_tensors);
    }
    memmove(&p->tensor[at + 1], &p->tensor[at], (size_t)(p->tensors - at) * sizeof *t);
    p->tensor[at] = *t;
    p->tensors++;
    return FG_OK;
}

fg_status problem_parse_tensor(problem_reader *r, const problem_entry *e)
{
    problem_tensor t = { 0 };
    span rest = e->value, name, type;
    if (!span_cut(&name, &rest, ':') || !span_cut(&type, &rest, '[')) {
        return problem_refuse_part(r, e, e->value, "NAME:type[dim,...] is needed");
    }
    fg_status s;
    if ((s = parse_tensor_name(r, e, name, &t)) != FG_OK) return s;
    if ((s = problem_parse_type(r, e, type, &t.type)) != FG_OK) return s;
    if ((s = parse_shape(r, e, rest, &t)) != FG_OK) return s;
    return insert(r, e, name, &t);
}

const problem_entry *problem_tensor_entry(const problem_reader *r, const char *name)
{
    for (int k = 0; k < r->entries; k++) {
        span value = r->entry[k].value, declared;
        if (r->entry[k].field->kind == KIND_tensors && span_cut(&declared, &value, ':') &&
            span_is(declared, name)) {
            return &r->entry[k];
        }
    }
    return NULL;
}

void problem_print_tensors(const problem *p, const problem_field *f, text *out)
{
    for (const problem_tensor *t = p->tensor; t < p->tensor + p->tensors; t++) {
        text_addf(out, " %s=%s:%s", f->key, t->name, dtypes[t->type].name);
        for (int k = 0; k < t->rank; k++) {
            text_add(out, k ? "," : "[", 1);
            if (*t->dim[k])
                text_addf(out, "%s", t->dim[k]);
            else
                text_addf(out, "%lld", (long long)t->extent[k]);
        }
        text_add(out, "]", 1);
    }
}

/* ---- grad=q,k,v,bias,NAME ---- */

/* Where the wish for a gradient is kept; NULL: nothing of that name has one. */
static bool *wish(problem *p, span name)
{
    problem_grad *grad = &p->grad;
    if (span_is(name, "q")) return &grad->q;
    if (span_is(name, "k")) return &grad->k;
    if (span_is(name, "v")) return &grad->v;
    if (span_is(name, "bias") && p->bias.present) return &grad->bias;
    for (int k = 0; k < p->tensors; k++) {
        if (span_is(name, p->tensor[k].name) && dtypes[p->tensor[k].type].mantissa)
            return &grad->tensor[k];
    }
    return NULL;
}

fg_status problem_parse_grad(problem_reader *r, const problem_entry *e)
{
    span rest = e->value, name;
    bool more;
    do {
        more = span_cut(&name, &rest, ',');
        bool *wished = wish(r->p, name);
        if (!wished)
            return problem_refuse_part(
                r, e, name, "q, k, v, bias or a tensor of floats in the problem is needed");
        if (*wished)
            return problem_refuse_part(r, e, name, "this stands in the list twice; once is right");
        *wished = true;
    } while (more);
    return FG_OK;
}

fg_status problem_default_grad(problem_reader *r, const problem_field *f)
{
    (void)f;
    if (r->p->dir == DIR_bwd) r->p->grad.q = r->p->grad.k = r->p->grad.v = true;
    return FG_OK;
}

static void add_item(text *out, size_t start, const char *name)
{
    text_addf(out, "%s%s", out->length > start ? "," : "", name);
}

void problem_print_grad(const problem *p, const problem_field *f, text *out)
{
    const problem_grad *grad = &p->grad;
    bool more = grad->bias;
    for (int k = 0; k < p->tensors; k++) more = more || grad->tensor[k];
    if (p->dir != DIR_bwd || (grad->q && grad->k && grad->v && !more)) return; /* the default */
    text_addf(out, " %s=", f->key);
    size_t start = out->length;
    if (grad->q) add_item(out, start, "q");
    if (grad->k) add_item(out, start, "k");
    if (grad->v) add_item(out, start, "v");
    if (grad->bias) add_item(out, start, "bias");
    for (int k = 0; k < p->tensors; k++) {
        if (grad->tensor[k]) add_item(out, start, p->tensor[k].name);
    }
}
