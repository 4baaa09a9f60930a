#include "gen/core/recipe.h"

#include <stddef.h>
#include <string.h>

/* ---- Operations ---- */

static bool apply_neg(int64_t a, int64_t b, int64_t *out)
{
    (void)b;
    return !__builtin_sub_overflow(0, a, out);
}

static bool apply_add(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static bool apply_sub(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_sub_overflow(a, b, out);
}

static bool apply_mul(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static bool apply_div(int64_t a, int64_t b, int64_t *out)
{
    if (b == 0 || (a == INT64_MIN && b == -1)) return false;
    *out = a / b - (a % b != 0 && (a < 0) != (b < 0));
    return true;
}

static bool apply_mod(int64_t a, int64_t b, int64_t *out)
{
    if (b == 0) return false;
    int64_t rest = b == -1 ? 0 : a % b; /* INT64_MIN % -1 traps */
    *out = rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    return true;
}

static bool apply_min(int64_t a, int64_t b, int64_t *out)
{
    *out = a < b ? a : b;
    return true;
}

static bool apply_max(int64_t a, int64_t b, int64_t *out)
{
    *out = a > b ? a : b;
    return true;
}

typedef enum recipe_op {
    OP_number,
    OP_name,
    OP_neg,
    OP_min,
    OP_max,
    OP_add,
    OP_sub,
    OP_mul,
    OP_div,
    OP_mod,
    op_count
} recipe_op;

static const struct {
    const char *spelling;
    int operands, binding; /* of an infix operator: `*` binds tighter than `+` */
    bool (*apply)(int64_t a, int64_t b, int64_t *out);
} ops[op_count] = {
    [OP_number] = { "", 0, 0, NULL },      [OP_name] = { "", 0, 0, NULL },
    [OP_neg] = { "-", 1, 0, apply_neg },   [OP_min] = { "min", 2, 0, apply_min },
    [OP_max] = { "max", 2, 0, apply_max }, [OP_add] = { "+", 2, 1, apply_add },
    [OP_sub] = { "-", 2, 1, apply_sub },   [OP_mul] = { "*", 2, 2, apply_mul },
    [OP_div] = { "//", 2, 2, apply_div },  [OP_mod] = { "%", 2, 2, apply_mod },
};

static const struct {
    const char *name;
    size_t offset;
} facts_table[] = {
#define RECIPE_FACT(name) { #name, offsetof(recipe_facts, name) },
    RECIPE_NAMES(RECIPE_FACT)
#undef RECIPE_FACT
};

enum { fact_count = sizeof facts_table / sizeof *facts_table, max_nesting = 32 };

/* ---- Parsing: recursive descent to postfix ---- */

typedef struct reader {
    const char *text, *at;
    recipe *out;
    int height; /* of the stack after the steps so far */
    int nesting;
    fg_error *error;
} reader;

static fg_status read_sum(reader *r, int binding);

static fg_status refuse(const reader *r, const char *sentence)
{
    return fail_at(r->error, FG_REQUEST, r->at - r->text, "recipe '%.200s', at byte %d: %s",
                   r->text, (int)(r->at - r->text), sentence);
}

static void skip_space(reader *r)
{
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r') r->at++;
}

static bool take(reader *r, const char *spelling)
{
    skip_space(r);
    size_t length = strlen(spelling);
    if (strncmp(r->at, spelling, length) != 0) return false;
    r->at += length;
    return true;
}

static fg_status expect(reader *r, const char *spelling, const char *sentence)
{
    return take(r, spelling) ? FG_OK : refuse(r, sentence);
}

static fg_status push(reader *r, recipe_op op, int64_t value)
{
    if (r->out->count == recipe_max_steps) return refuse(r, "too many steps");
    r->height += 1 - ops[op].operands;
    if (r->height > recipe_max_stack) return refuse(r, "too many values at a time");
    r->out->step[r->out->count++] = (struct recipe_step){ .op = (uint8_t)op, .value = value };
    return FG_OK;
}

/* Bytes of a number or a name at hand, or 0. */
static size_t word_length(const char *at)
{
    return strspn(at, "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static bool word_is(const char *at, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(at, word, length) == 0;
}

static fg_status read_call(reader *r, recipe_op op)
{
    fg_status s;
    if ((s = expect(r, "(", "min and max take (a, b)")) != FG_OK) return s;
    if ((s = read_sum(r, 1)) != FG_OK) return s;
    if ((s = expect(r, ",", "a comma is needed here")) != FG_OK) return s;
    if ((s = read_sum(r, 1)) != FG_OK) return s;
    if ((s = expect(r, ")", "a closing parenthesis is needed here")) != FG_OK) return s;
    return push(r, op, 0);
}

static fg_status read_name(reader *r, size_t length)
{
    for (recipe_op op = OP_min; op <= OP_max; op++) {
        if (!word_is(r->at, length, ops[op].spelling)) continue;
        r->at += length;
        return read_call(r, op);
    }
    for (int k = 0; k < fact_count; k++) {
        if (!word_is(r->at, length, facts_table[k].name)) continue;
        r->at += length;
        return push(r, OP_name, k);
    }
#define RECIPE_LISTED(name) " " #name
    return refuse(r, "an unknown name; known are min max" RECIPE_NAMES(RECIPE_LISTED));
#undef RECIPE_LISTED
}

static fg_status read_word(reader *r)
{
    int64_t value;
    size_t length = word_length(r->at);
    if (length == 0) return refuse(r, "a number, a name or a parenthesis is needed here");
    if (*r->at < '0' || *r->at > '9') return read_name(r, length);
    if (!number_int(r->at, length, &value)) return refuse(r, "not a 64-bit whole number");
    r->at += length;
    return push(r, OP_number, value);
}

static fg_status read_operand(reader *r)
{
    fg_status s;
    if (r->nesting == max_nesting) return refuse(r, "nested too deeply");
    r->nesting++;
    if (take(r, "-")) {
        s = read_operand(r);
        if (s == FG_OK) s = push(r, OP_neg, 0);
    } else if (take(r, "(")) {
        s = read_sum(r, 1);
        if (s == FG_OK) s = expect(r, ")", "a closing parenthesis is needed here");
    } else {
        s = read_word(r);
    }
    r->nesting--;
    return s;
}

static recipe_op take_infix(reader *r, int binding)
{
    for (recipe_op op = OP_add; op < op_count; op++) {
        if (ops[op].binding == binding && take(r, ops[op].spelling)) return op;
    }
    return op_count;
}

/* Operands joined by operators that bind at least so tight, from left to right. */
static fg_status read_sum(reader *r, int binding)
{
    if (binding > 2) return read_operand(r);
    fg_status s = read_sum(r, binding + 1);
    while (s == FG_OK) {
        recipe_op op = take_infix(r, binding);
        if (op == op_count) break;
        if ((s = read_sum(r, binding + 1)) == FG_OK) s = push(r, op, 0);
    }
    return s;
}

fg_status recipe_parse(recipe *out, const char *source, fg_error *error)
{
    reader r = { .text = source, .at = source, .out = out, .error = error };
    *out = (recipe){ 0 };
    fg_status s = read_sum(&r, 1);
    if (s != FG_OK) return s;
    skip_space(&r);
    return *r.at ? refuse(&r, "an operator is needed here") : FG_OK;
}

/* ---- Evaluation: a stored recipe is foreign data, so each step is checked ---- */

static int64_t fact(const recipe_facts *facts, int64_t index)
{
    int64_t value;
    memcpy(&value, (const char *)facts + facts_table[index].offset, sizeof value);
    return value;
}

static bool well_formed(const struct recipe_step *step, int height)
{
    return step->op < op_count && height >= ops[step->op].operands &&
           height - ops[step->op].operands < recipe_max_stack &&
           (step->op != OP_name || (step->value >= 0 && step->value < fact_count));
}

/* Replaces a step's operands, at the stack's top, by its result; false on overflow. */
static bool evaluate(const struct recipe_step *step, const recipe_facts *facts, int64_t *operand)
{
    if (step->op == OP_number)
        *operand = step->value;
    else if (step->op == OP_name)
        *operand = fact(facts, step->value);
    else
        return ops[step->op].apply(operand[0], ops[step->op].operands == 2 ? operand[1] : 0,
                                   operand);
    return true;
}

fg_status recipe_eval(const recipe *r, const recipe_facts *facts, int64_t *out, fg_error *error)
{
    int64_t stack[recipe_max_stack];
    int height = 0;
    if (r->count < 1 || r->count > recipe_max_steps)
        return fail(error, FG_REQUEST, "a recipe of %d steps", r->count);
    for (int k = 0; k < r->count; k++) {
        const struct recipe_step *step = &r->step[k];
        if (!well_formed(step, height))
            return fail(error, FG_REQUEST, "a recipe's step %d is malformed", k);
        height -= ops[step->op].operands;
        if (!evaluate(step, facts, &stack[height])) {
            return fail(error, FG_REQUEST, "a recipe's step %d ('%s') overflows or divides by zero",
                        k, ops[step->op].spelling);
        }
        height++;
    }
    if (height != 1)
        return fail(error, FG_REQUEST, "a recipe leaves %d values instead of one", height);
    *out = stack[0];
    return FG_OK;
}
