#include "gen/core/problem_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The field whose value is this one's default. */
static const problem_field *model(const problem_field *f)
{
    return f->like ? problem_field_find(f->like, strlen(f->like)) : NULL;
}

static void print_key(const problem_field *f, text *out)
{
    text_addf(out, " %s=", f->key);
}

/* ---- Names: enum, dtype ---- */

static fg_status parse_enum(problem_reader *r, const problem_entry *e)
{
    int *value = problem_at(r->p, e->field);
    char reason[96] = "one of";
    *value = 1;
    if (!e->valued) return FG_OK;
    for (*value = 0; e->field->names[*value]; ++*value) {
        if (span_is(e->value, e->field->names[*value])) return FG_OK;
        problem_add_word(reason, sizeof reason, e->field->names[*value]);
    }
    problem_add_word(reason, sizeof reason, "is needed");
    return problem_refuse_part(r, e, e->value, reason);
}

static void print_enum(const problem *p, const problem_field *f, text *out)
{
    int value = *(const int *)problem_at(p, f);
    if (value == 1 && f->bare)
        text_addf(out, " %s", f->key);
    else if (value != 0)
        text_addf(out, " %s=%s", f->key, f->names[value]);
}

fg_status problem_parse_type(problem_reader *r, const problem_entry *e, span name, dtype *out)
{
    char reason[96] = "one of the types";
    *out = dtype_find(name.at, name.length);
    if (*out != dtype_count && (e->field->types >> *out & 1)) return FG_OK;
    for (dtype t = 0; t < dtype_count; t++) {
        if (e->field->types >> t & 1) problem_add_word(reason, sizeof reason, dtypes[t].name);
    }
    problem_add_word(reason, sizeof reason, "is needed");
    return problem_refuse_part(r, e, name, reason);
}

/* That of the model, or the first that is allowed. */
static dtype default_type(const problem *p, const problem_field *f)
{
    const problem_field *like = model(f);
    return like ? *(const dtype *)problem_at(p, like) : (dtype)__builtin_ctz(f->types);
}

static fg_status parse_dtype(problem_reader *r, const problem_entry *e)
{
    return problem_parse_type(r, e, e->value, problem_at(r->p, e->field));
}

static fg_status default_dtype(problem_reader *r, const problem_field *f)
{
    *(dtype *)problem_at(r->p, f) = default_type(r->p, f);
    return FG_OK;
}

static void print_dtype(const problem *p, const problem_field *f, text *out)
{
    dtype type = *(const dtype *)problem_at(p, f);
    if (type != default_type(p, f)) text_addf(out, " %s=%s", f->key, dtypes[type].name);
}

/* ---- Whole numbers: dim, int ---- */

static fg_status parse_int(problem_reader *r, const problem_entry *e)
{
    const problem_field *f = e->field;
    int64_t *value = problem_at(r->p, f);
    if (number_int(e->value.at, e->value.length, value) && *value >= f->least && *value <= f->most)
        return FG_OK;
    char reason[96];
    snprintf(reason, sizeof reason, "a whole number from %lld to %lld%s is needed",
             (long long)f->least, (long long)f->most, f->dynamic ? " or *" : "");
    return problem_refuse_part(r, e, e->value, reason);
}

static fg_status parse_dim(problem_reader *r, const problem_entry *e)
{
    if (!e->field->dynamic || !span_is(e->value, "*")) return parse_int(r, e);
    *(int64_t *)problem_at(r->p, e->field) = problem_dynamic;
    return FG_OK;
}

static fg_status default_dim(problem_reader *r, const problem_field *f)
{
    const problem_field *like = model(f);
    const span nowhere = { NULL, 0 };
    if (!like) return problem_refuse(r, nowhere, "%s is missing, as %s", f->key, f->form);
    int64_t value = *(const int64_t *)problem_at(r->p, like);
    *(int64_t *)problem_at(r->p, f) = value;
    if (value != problem_dynamic) return FG_OK;
    return problem_refuse(r, nowhere,
                          "%s is missing: it defaults to %s only where that is a number", f->key,
                          like->key);
}

static void print_dim(const problem *p, const problem_field *f, text *out)
{
    const problem_field *like = model(f);
    int64_t value = *(const int64_t *)problem_at(p, f);
    if (value == problem_dynamic)
        text_addf(out, " %s=*", f->key);
    else if (!like || value != *(const int64_t *)problem_at(p, like))
        text_addf(out, " %s=%lld", f->key, (long long)value);
}

static fg_status default_int(problem_reader *r, const problem_field *f)
{
    *(int64_t *)problem_at(r->p, f) = f->usual;
    return FG_OK;
}

static void print_int(const problem *p, const problem_field *f, text *out)
{
    int64_t value = *(const int64_t *)problem_at(p, f);
    if (value != f->usual) text_addf(out, " %s=%lld", f->key, (long long)value);
}

/* ---- Numbers that a run may replace: real (the scale), number ---- */

/* Finite also where it is computed with. */
static fg_status parse_double(problem_reader *r, const problem_entry *e, double *out)
{
    if (!number_double(e->value.at, e->value.length, out)) {
        return problem_refuse_part(r, e, e->value, "a number is needed");
    }
    if (!isfinite(*out) || (r->p->dtype != DTYPE_f64 && !isfinite((float)*out))) {
        return problem_refuse_part(r, e, e->value, "a finite number is needed");
    }
    return FG_OK;
}

static double default_scale(const problem *p)
{
    return 1 / sqrt((double)p->d);
}

static fg_status parse_real(problem_reader *r, const problem_entry *e)
{
    return parse_double(r, e, problem_at(r->p, e->field));
}

static fg_status default_real(problem_reader *r, const problem_field *f)
{
    *(double *)problem_at(r->p, f) = default_scale(r->p);
    return FG_OK;
}

static void print_real(const problem *p, const problem_field *f, text *out)
{
    double value = *(const double *)problem_at(p, f);
    if (value == default_scale(p)) return;
    print_key(f, out);
    text_add_double(out, value);
}

/* " key" where a number or a window is there: each starts with whether it is. */
static void print_present(const problem *p, const problem_field *f, text *out)
{
    _Static_assert(offsetof(problem_number, present) == 0, "starts with present");
    _Static_assert(offsetof(problem_window, present) == 0, "starts with present");
    if (*(const bool *)problem_at(p, f)) text_addf(out, " %s", f->key);
}

static fg_status parse_number(problem_reader *r, const problem_entry *e)
{
    problem_number *number = problem_at(r->p, e->field);
    number->present = true;
    return parse_double(r, e, &number->value);
}

static void print_number(const problem *p, const problem_field *f, text *out)
{
    const problem_number *number = problem_at(p, f);
    if (!number->present) return;
    print_key(f, out);
    text_add_double(out, number->value);
}

/* ---- flag, window, broadcast ---- */

static fg_status parse_flag(problem_reader *r, const problem_entry *e)
{
    *(bool *)problem_at(r->p, e->field) = true;
    return FG_OK;
}

static void print_flag(const problem *p, const problem_field *f, text *out)
{
    if (*(const bool *)problem_at(p, f)) text_addf(out, " %s", f->key);
}

static fg_status parse_side(problem_reader *r, const problem_entry *e, span side, int64_t *out)
{
    if (number_int(side.at, side.length, out) && *out >= -1 && *out <= INT32_MAX) return FG_OK;
    return problem_refuse_part(r, e, side,
                               "two whole numbers, -1 (unbounded) to 2147483647, are needed");
}

static fg_status parse_window(problem_reader *r, const problem_entry *e)
{
    problem_window *window = problem_at(r->p, e->field);
    span right = e->value, left;
    span_cut(&left, &right, ',');
    window->present = true;
    fg_status s = parse_side(r, e, left, &window->left);
    return s == FG_OK ? parse_side(r, e, right, &window->right) : s;
}

static void print_window(const problem *p, const problem_field *f, text *out)
{
    const problem_window *w = problem_at(p, f);
    if (w->present)
        text_addf(out, " %s=%lld,%lld", f->key, (long long)w->left, (long long)w->right);
}

static const char broadcast_letters[] = "BHQK";

static fg_status parse_broadcast(problem_reader *r, const problem_entry *e)
{
    problem_broadcast *broadcast = problem_at(r->p, e->field);
    span type = e->value, dims;
    bool typed = span_cut(&dims, &type, ':');
    bool right = dims.length == 4;
    for (int k = 0; right && k < 4; k++) {
        broadcast->full[k] = dims.at[k] == broadcast_letters[k];
        right = broadcast->full[k] || dims.at[k] == '1';
    }
    if (!right)
        return problem_refuse_part(r, e, dims,
                                   "BHQK is needed, with 1 for each dimension that broadcasts");
    broadcast->present = true;
    broadcast->type = default_type(r->p, e->field);
    return typed ? problem_parse_type(r, e, type, &broadcast->type) : FG_OK;
}

static void print_broadcast(const problem *p, const problem_field *f, text *out)
{
    const problem_broadcast *broadcast = problem_at(p, f);
    if (!broadcast->present) return;
    print_key(f, out);
    for (int k = 0; k < 4; k++) text_add(out, broadcast->full[k] ? &broadcast_letters[k] : "1", 1);
    if (broadcast->type != default_type(p, f)) text_addf(out, ":%s", dtypes[broadcast->type].name);
}

const problem_kind_ops problem_kinds[problem_kind_count] = {
    [KIND_enum] = { false, parse_enum, NULL, print_enum },
    [KIND_dtype] = { false, parse_dtype, default_dtype, print_dtype },
    [KIND_dim] = { false, parse_dim, default_dim, print_dim },
    [KIND_int] = { false, parse_int, default_int, print_int },
    [KIND_real] = { false, parse_real, default_real, print_real },
    [KIND_flag] = { true, parse_flag, NULL, print_flag },
    [KIND_number] = { false, parse_number, NULL, print_number },
    [KIND_window] = { false, parse_window, NULL, print_window },
    [KIND_broadcast] = { false, parse_broadcast, NULL, print_broadcast },
    [KIND_tensors] = { false, problem_parse_tensor, NULL, problem_print_tensors },
    [KIND_grad] = { false, problem_parse_grad, problem_default_grad, problem_print_grad },
    [KIND_function] = { false, problem_parse_function, NULL, problem_print_function },
};

const problem_without problem_without_value[problem_kind_count] = {
    [KIND_real] = { PROBLEM_tuned, NULL },
    [KIND_number] = { PROBLEM_tuned, print_present },
    [KIND_window] = { PROBLEM_kernel, print_present },
};
