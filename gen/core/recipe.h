/* Recipes: integer expressions over dims and device facts, evaluated at launch without Lua.
 * Text: numbers, names, + - * // %, min(a, b), max(a, b), parentheses. 64-bit, `//` and `%` floor. */
#ifndef GEN_CORE_RECIPE_H
#define GEN_CORE_RECIPE_H

#include "gen/core/text.h"

/* X(name): what a recipe may read */
#define RECIPE_NAMES(X) X(b) X(hq) X(hkv) X(sq) X(sk) X(d) X(dv) X(total_q) X(total_k) X(threads)

typedef struct recipe_facts {
#define RECIPE_FIELD(name) int64_t name;
    RECIPE_NAMES(RECIPE_FIELD)
#undef RECIPE_FIELD
} recipe_facts;

enum { recipe_max_steps = 64, recipe_max_stack = 16 };

typedef struct recipe {
    int count;
    struct recipe_step {
        uint8_t op;
        int64_t value; /* a number, or the index of a name */
    } step[recipe_max_steps];
} recipe;

fg_status recipe_parse(recipe *out, const char *text, fg_error *error);
/* FG_REQUEST on overflow or division by zero. */
fg_status recipe_eval(const recipe *r, const recipe_facts *facts, int64_t *out, fg_error *error);

#endif
