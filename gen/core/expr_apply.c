/* What the operations do to numbers. */
#include "gen/core/expr_pool.h"

#include <tgmath.h>

int32_t expr_to_int(double x)
{
    if (isnan(x)) return 0;
    if (x <= (double)INT32_MIN) return INT32_MIN;
    return x >= (double)INT32_MAX ? INT32_MAX : (int32_t)x;
}

static int32_t wrap(int64_t x)
{
    return (int32_t)(uint32_t)(uint64_t)x;
}

static int64_t floor_mod(int64_t a, int64_t b)
{
    int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

int32_t expr_apply_int(expr_op op, int32_t a, int32_t b)
{
    int64_t x = a, y = b;
    switch (op) {
    case EXPR_neg:
        return wrap(-x);
    case EXPR_abs:
        return wrap(x < 0 ? -x : x);
    case EXPR_add:
        return wrap(x + y);
    case EXPR_sub:
        return wrap(x - y);
    case EXPR_mul:
        return wrap(x * y);
    case EXPR_idiv:
        return y == 0 ? 0 : wrap((x - floor_mod(x, y)) / y);
    case EXPR_mod:
        return y == 0 ? 0 : wrap(floor_mod(x, y));
    case EXPR_min:
        return b < a ? b : a;
    case EXPR_max:
        return a < b ? b : a;
    default:
        return 0;
    }
}

/* <tgmath.h> chooses the function by the type. */
#define APPLY_FLOAT(name, real)                                                                    \
    real name(expr_op op, real a, real b)                                                          \
    {                                                                                              \
        switch (op) {                                                                              \
        case EXPR_neg:                                                                             \
            return -a;                                                                             \
        case EXPR_abs:                                                                             \
            return fabs(a);                                                                        \
        case EXPR_floor:                                                                           \
            return (real)expr_to_int((double)floor(a));                                            \
        case EXPR_exp:                                                                             \
            return exp(a);                                                                         \
        case EXPR_log:                                                                             \
            return log(a);                                                                         \
        case EXPR_tanh:                                                                            \
            return tanh(a);                                                                        \
        case EXPR_sqrt:                                                                            \
            return sqrt(a);                                                                        \
        case EXPR_add:                                                                             \
            return a + b;                                                                          \
        case EXPR_sub:                                                                             \
            return a - b;                                                                          \
        case EXPR_mul:                                                                             \
            return a * b;                                                                          \
        case EXPR_div:                                                                             \
            return a / b;                                                                          \
        case EXPR_min:                                                                             \
            return b < a ? b : a;                                                                  \
        case EXPR_max:                                                                             \
            return a < b ? b : a;                                                                  \
        default:                                                                                   \
            return a; /* tofloat */                                                                \
        }                                                                                          \
    }

APPLY_FLOAT(expr_apply_float, double)
APPLY_FLOAT(expr_apply_wide, long double)

bool expr_apply_compare(expr_op op, double a, double b)
{
    switch (op) {
    case EXPR_lt:
        return a < b;
    case EXPR_le:
        return a <= b;
    case EXPR_eq:
        return a == b;
    default:
        return a != b;
    }
}
