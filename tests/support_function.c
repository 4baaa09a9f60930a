#include "tests/support_function.h"

#include <string.h>

/* Some are words of C or of the kernels' own text. */
static const char *const names[] = {
    "t",    "u",     "w",  "x1", "row", "keys", "int", "D",  "top",   "sum",   "value", "tile",
    "task", "block", "vr", "n",  "a",   "B",    "INF", "i0", "first", "range", "r",     "float"
};

static const char *const float_types[] = { "f32", "f32", "f16", "bf16" };
static const char *const int_types[] = { "i32", "u8" };

static void add(drawn_functions *f, const char *part)
{
    text_add(f->out, part, strlen(part));
}

static void draw_int(drawn_functions *f, int depth);
static void draw_bool(drawn_functions *f, int depth);
static void draw_float(drawn_functions *f, int depth);

/* ---- Reads ---- */

enum { most_elements = 100000 };

static const char *find_name(drawn_functions *f)
{
    for (;;) {
        const char *name = rng_pick(f->r, names);
        bool taken = false;
        for (int k = 0; k < f->tensors; k++) taken = taken || strcmp(f->tensor[k].name, name) == 0;
        if (!taken) return name;
    }
}

static const drawn_dim *find_dim(const drawn_functions *f, const char *name)
{
    const drawn_dim *dim = f->dims;
    while (dim->name && strcmp(dim->name, name) != 0) dim++;
    return dim;
}

static drawn_tensor *declare(drawn_functions *f, bool whole)
{
    static const int ranks[] = { 1, 1, 1, 2, 2, 3, 4 };
    drawn_tensor *t = &f->tensor[f->tensors];
    int64_t count = 1, dims = 0;
    while (f->dims[dims].name) dims++;
    *t = (drawn_tensor){ .name = find_name(f), .rank = rng_pick(f->r, ranks) };
    t->type = whole ? rng_pick(f->r, int_types) : rng_pick(f->r, float_types);
    f->tensors++;
    for (int k = 0; k < t->rank; k++) {
        const drawn_dim *dim = &f->dims[rng_below(f->r, dims)];
        while (count * dim->extent > most_elements) dim = &f->dims[rng_below(f->r, dims)];
        t->dim[k] = dim->name;
        count *= dim->extent;
    }
    return t;
}

static bool is_whole(const drawn_tensor *t)
{
    return *t->type == 'i' || *t->type == 'u';
}

static const drawn_tensor *find_tensor(drawn_functions *f, bool whole)
{
    int of_type = 0;
    for (int k = 0; k < f->tensors; k++) of_type += is_whole(&f->tensor[k]) == whole;
    bool full = f->tensors == drawn_tensors_max;
    if ((of_type == 0 && !full) || (!full && rng_chance(f->r, 0.3))) return declare(f, whole);
    if (of_type == 0) return NULL;
    int64_t nth = rng_below(f->r, of_type);
    for (int k = 0;; k++)
        if (is_whole(&f->tensor[k]) == whole && nth-- == 0) return &f->tensor[k];
}

/* Indices are what runs over the dimension, or anything. */
static void draw_read(drawn_functions *f, bool whole, int depth)
{
    const drawn_tensor *t = find_tensor(f, whole);
    if (!t) {
        add(f, whole ? "3" : "0.375");
        return;
    }
    const drawn_tensor copy = *t; /* indices may declare more */
    add(f, copy.name);
    for (int k = 0; k < copy.rank; k++) {
        const char *index = find_dim(f, copy.dim[k])->index;
        add(f, "[");
        if (index && rng_chance(f->r, 0.6))
            add(f, index);
        else
            draw_int(f, depth > 1 ? 1 : 0);
        add(f, "]");
    }
}

/* ---- Integers ---- */

static void draw_int_leaf(drawn_functions *f)
{
    static const char *const leaves[] = { "i",  "j",   "i",  "j",  "h",  "b",       "sq", "sk",
                                          "hq", "hkv", "d",  "dv", "0",  "1",       "2",  "3",
                                          "5",  "7",   "16", "31", "64", "1000003", "-1" };
    /* 41 and 49 times what their inverses are rounded to is below 1. */
    static const char *const quotients[] = { "floor(j / 41)", "floor(i / 49)" };
    if (f->local_int && rng_chance(f->r, 0.3))
        add(f, "x");
    else if (rng_chance(f->r, 0.1))
        add(f, rng_pick(f->r, quotients));
    else
        add(f, rng_pick(f->r, leaves));
}

static void draw_int_pair(drawn_functions *f, const char *open, const char *between, int depth)
{
    add(f, open);
    draw_int(f, depth - 1);
    add(f, between);
    draw_int(f, depth - 1);
    add(f, ")");
}

static void draw_int(drawn_functions *f, int depth)
{
    static const struct {
        const char *open, *between;
    } pairs[] = {
        { "(", " + " }, { "(", " - " }, { "(", " * " },   { "(", " // " },  { "(", " % " },
        { "(", " + " }, { "(", " - " }, { "min(", ", " }, { "max(", ", " },
    };
    int64_t kind = depth > 0 ? rng_below(f->r, 14) : 13;
    if (kind < 9) {
        draw_int_pair(f, pairs[kind].open, pairs[kind].between, depth);
    } else if (kind == 9) {
        add(f, "abs(");
        draw_int(f, depth - 1);
        add(f, ")");
    } else if (kind == 10) {
        draw_read(f, true, depth);
    } else if (kind == 11) {
        add(f, "where(");
        draw_bool(f, depth - 1);
        draw_int_pair(f, ", ", ", ", depth);
    } else if (kind == 12) {
        add(f, "floor("); /* of what is exact */
        draw_read(f, false, depth);
        add(f, " * 4)");
    } else {
        draw_int_leaf(f);
    }
}

/* ---- Conditions ---- */

static void draw_comparison(drawn_functions *f, int depth)
{
    static const char *const ops[] = { " < ", " <= ", " > ", " >= ", " == ", " ~= " };
    draw_int(f, depth);
    add(f, rng_pick(f->r, ops));
    draw_int(f, depth);
}

/* What people write. */
static void draw_usual_condition(drawn_functions *f)
{
    static const char *const usual[] = {
        "j <= i + sk - sq",
        "i - j < 40",
        "j < 9 or i - j < 30",
        "i // 16 >= j // 16",
        "(i + j) % 3 ~= 0",
        "abs(i - j) % 5 ~= 1",
        "j >= i // 32 * 32",
        "j * 3 <= i * 2 + 50",
        "(i ~= j)",
        "h % 2 == 0 or j > i - 20",
        "(i * 73856093 + j * 19349663 + h * 83492791) % 5 ~= 0",
    };
    add(f, rng_pick(f->r, usual));
}

static void draw_bool(drawn_functions *f, int depth)
{
    int64_t kind = rng_below(f->r, depth > 0 ? 9 : 5);
    add(f, "(");
    if (kind < 2) {
        draw_comparison(f, depth > 0 ? depth : 0);
    } else if (kind == 2) {
        draw_usual_condition(f);
    } else if (kind == 3) {
        draw_read(f, false, depth);
        add(f, rng_chance(f->r, 0.5) ? " > -0.5" : " <= 0.75");
    } else if (kind == 4) {
        draw_read(f, true, depth);
        add(f, rng_chance(f->r, 0.5) ? " ~= 0" : " < 6");
    } else {
        if (kind == 8) add(f, "not ");
        draw_bool(f, depth - 1);
        if (kind < 8) {
            add(f, kind == 5 ? " and " : " or ");
            draw_bool(f, depth - 1);
        }
    }
    add(f, ")");
}

/* ---- Floats without s ---- */

static void draw_float_leaf(drawn_functions *f)
{
    static const char *const numbers[] = { "0.5",   "1.25", "0.1",  "2",
                                           "-0.75", "3.5",  "1e-3", "0.3333" };
    int64_t kind = rng_below(f->r, 6);
    if (f->local_float && kind < 2) {
        add(f, "y");
    } else if (kind < 3) {
        draw_read(f, false, 1);
    } else if (kind == 3) {
        add(f, "((");
        draw_int(f, 1);
        add(f, ") % 8 * 0.25)"); /* small, whatever it was */
    } else {
        add(f, rng_pick(f->r, numbers));
    }
}

static void draw_float_pair(drawn_functions *f, const char *open, const char *between,
                            const char *close, int depth)
{
    add(f, open);
    draw_float(f, depth - 1);
    if (!between) return;
    add(f, between);
    draw_float(f, depth - 1);
    add(f, close);
}

static void draw_float(drawn_functions *f, int depth)
{
    static const struct {
        const char *open, *between, *close;
    } forms[] = {
        { "(", " + ", ")" },
        { "(", " - ", ")" },
        { "min(", ", ", ")" },
        { "max(", ", ", ")" },
        { "abs(", NULL, ")" },
        { "tanh(", NULL, ")" },
        { "exp(-abs(", NULL, "))" },
        { "(- ", NULL, ")" },
        { "sqrt(1 + abs(", NULL, "))" },
        { "log(1 + abs(", NULL, "))" },
        { "(0.5 * ", NULL, ")" },
        { "1 / (1 + abs(", NULL, "))" },
    };
    int64_t kind = depth > 0 ? rng_below(f->r, 16) : 15;
    if (kind < 12) {
        draw_float_pair(f, forms[kind].open, forms[kind].between, forms[kind].close, depth);
        if (!forms[kind].between) add(f, forms[kind].close);
    } else if (kind == 12) {
        add(f, "where(");
        draw_bool(f, 1);
        draw_float_pair(f, ", ", ", ", ")", depth);
    } else if (kind == 13) {
        add(f, "0.125 * abs(i - j)");
    } else {
        draw_float_leaf(f);
    }
}

/* ---- Functions ---- */

static void draw_new_score(drawn_functions *f)
{
    static const struct {
        const char *open, *close;
    } forms[] = {
        { "s + ", "" },
        { "s - ", "" },
        { "s * 0.75 + ", "" },
        { "-s + ", "" },
        { "6 * tanh(s / 8) + ", "" },
        { "min(s, ", ")" },
        { "max(", ", s)" },
        { "sqrt(1 + s * s) - ", "" },
        { "log(1 + exp(min(s, 4))) + ", "" },
        { "s * tanh(", ")" },
        { "abs(s) - ", "" },
        { "s + 0.5 * tanh(s) + ", "" },
    };
    int64_t kind = rng_below(f->r, (int64_t)(sizeof forms / sizeof *forms) + 1);
    if (kind == 0 && rng_chance(f->r, 0.5)) {
        add(f, "where(");
        draw_bool(f, 2);
        add(f, ", s, s - 1.5)");
    } else if (kind < 12) {
        add(f, forms[kind].open);
        draw_float(f, 2);
        add(f, forms[kind].close);
    } else {
        add(f, "s");
    }
}

static void draw_locals(drawn_functions *f)
{
    if (rng_chance(f->r, 0.7)) {
        add(f, " local x = ");
        draw_int(f, 2);
        add(f, ";");
        f->local_int = true;
    }
    if (rng_chance(f->r, 0.7)) {
        add(f, " local y = 0.5 * "); /* never an int */
        draw_float(f, 1);
        add(f, ";");
        f->local_float = true;
    }
}

/* Branches, with locals or none, that end in what `result` draws. */
static void draw_body(drawn_functions *f, void (*result)(drawn_functions *f))
{
    draw_locals(f);
    if (rng_chance(f->r, 0.8)) {
        add(f, " if ");
        draw_bool(f, 1);
        add(f, " then return ");
        result(f);
        if (rng_chance(f->r, 0.4)) {
            add(f, " elseif ");
            draw_bool(f, 1);
            add(f, " then return ");
            result(f);
        }
        add(f, " end");
    }
    add(f, " return ");
    result(f);
    add(f, " end");
    f->local_int = f->local_float = false;
}

static void draw_new_mask(drawn_functions *f)
{
    draw_bool(f, 2);
}

void draw_score(drawn_functions *f, text *out)
{
    f->out = out;
    if (rng_chance(f->r, 0.35)) {
        add(f, "function(s, b, h, i, j)");
        draw_body(f, draw_new_score);
    } else {
        draw_new_score(f);
    }
}

void draw_mask(drawn_functions *f, text *out)
{
    f->out = out;
    if (rng_chance(f->r, 0.35)) {
        add(f, "function(b, h, i, j)");
        draw_body(f, draw_new_mask);
    } else {
        draw_new_mask(f);
    }
}

void draw_tensor_keys(const drawn_functions *f, text *out)
{
    for (int k = 0; k < f->tensors; k++) {
        const drawn_tensor *t = &f->tensor[k];
        text_addf(out, " tensor=%s:%s", t->name, t->type);
        for (int n = 0; n < t->rank; n++) text_addf(out, "%s%s", n ? "," : "[", t->dim[n]);
        text_addf(out, "]");
    }
}
