/* The kernels' functions against long double, their ints against 64 bits. */
/* ctest: shards=2 */
#include "tests/arithmetic.h"

#include <float.h>
#include <math.h>

enum { most = 1 << 16 };

/* ---- Arrays of the part's reals ---- */

typedef struct values {
    int count;
    double at[most]; /* each a real of the part */
} values;

static void add(values *v, const arithmetic *part, double x)
{
    if (v->count < most) v->at[v->count++] = part->wide ? x : (double)(float)x;
}

/* Calls the entry on reals: `to` gets reals again. */
static void apply(const arithmetic *part, const char *name, const values *a, const values *b,
                  double *to)
{
    static _Alignas(64) float narrow[3][most];
    static _Alignas(64) double wide[3][most];
    arithmetic_apply *entry = arithmetic_applies(part, name);
    for (int k = 0; k < most; k++) {
        wide[0][k] = a->at[k], wide[1][k] = b->at[k];
        if (!part->wide) narrow[0][k] = (float)a->at[k], narrow[1][k] = (float)b->at[k];
    }
    if (part->wide)
        entry(wide[0], wide[1], wide[2], most);
    else
        entry(narrow[0], narrow[1], narrow[2], most);
    for (int k = 0; k < most; k++) to[k] = part->wide ? wide[2][k] : (double)narrow[2][k];
}

/* ---- Errors ---- */

static long double rounded(const arithmetic *part, long double x)
{
    return part->wide ? (long double)(double)x : (long double)(float)x;
}

/* How many units in the last place of `want` lie between. */
static long double units(const arithmetic *part, long double got, long double want)
{
    const int digits = part->wide ? 53 : 24, least = part->wide ? -1022 : -126;
    const int exponent = want == 0 ? least : ilogbl(want);
    return fabsl(got - want) / ldexpl(1, (exponent > least ? exponent : least) - digits + 1);
}

typedef struct function {
    const char *vector, *scalar; /* entries; scalar may be NULL */
    long double (*truth)(long double);
    double low, high;    /* where it is measured most */
    double narrow, wide; /* units that it may be wrong by, as f32 and f64 */
    double relative;     /* and for each unit of |x| besides, as f32 */
} function;

static const function functions[] = {
    { "exp_vr", "exp_r", expl, -760, 720, 1.1, 1.5, 0 },
    { "exp_fall_vr", NULL, expl, -744, 0, 2.5, 1.5, 1.25 },
    /* Of all f32 in [-1, 0] it is 3.07 where multiply-adds are fused, 3.45 where they are not. */
    { "exp2_fall_vr", NULL, exp2l, -1074, 0, 3.5, 1.5, 0 },
    { "log_vr", "log_r", logl, 0, 8, 1.1, 1.5, 0 },
    { "tanh_vr", "tanh_r", tanhl, -20, 20, 3.5, 1.5, 0 },
    { "sqrt_vr", "sqrt_r", sqrtl, 0, 100, 0.5, 0.5, 0 },
};

/* Ends of what is usual, and what is unusual. */
static void add_edges(values *v, const arithmetic *part)
{
    static const double edges[] = {
        0,      1,       2,     0.5,      0.55,      0.5493061443340548,
        0.75,   9,       22,    44,       88.72,     88.73,
        103.9,  104.1,   105,   708.3964, 709.782,   709.783,
        745.13, 745.2,   746,   1e5,      1e30,      HUGE_VAL,
        1e-5,   1e-30,   1e-40, 1e-45,    0x1p-1074, 0x1p-1022,
        1e300,  DBL_MAX,
    };
    for (size_t k = 0; k < sizeof edges / sizeof *edges; k++)
        for (int sign = -1; sign <= 1; sign += 2) {
            const double x = sign * edges[k];
            add(v, part, x);
            add(v, part, nextafter(x, HUGE_VAL));
            add(v, part, nextafter(x, -HUGE_VAL));
            add(v, part, (double)nextafterf((float)x, HUGE_VALF));
            add(v, part, (double)nextafterf((float)x, -HUGE_VALF));
        }
    add(v, part, NAN);
}

/* Where reductions change their step: near halves of multiples of log(2), and powers of 2 times sqrt(2). */
static void add_seams(values *v, const arithmetic *part, rng *r)
{
    for (int n = -1080; n < 1030; n++) {
        const double near = 1 + 0x1p-40 * rng_normal(r);
        add(v, part, (n + 0.5) * M_LN2 * near);
        add(v, part, ldexp(M_SQRT2, n) * near);
    }
    for (int n = -20; n < 20; n++) add(v, part, 1 + n * (part->wide ? DBL_EPSILON : FLT_EPSILON));
}

static void draw(values *v, const arithmetic *part, const function *f, rng *r)
{
    const int range = part->wide ? 1070 : 148;
    v->count = 0;
    add_edges(v, part);
    add_seams(v, part, r);
    while (v->count < most / 4)
        add(v, part, ldexp(rng_unit(r) * 2 - 1, (int)rng_between(r, -range, range)));
    while (v->count < most) {
        const double x = f->low + (f->high - f->low) * rng_unit(r);
        add(v, part, part->wide || fabs(f->low) < 100 ? x : x / 7);
    }
}

/* What is no number, or infinite, must be so; what falls below the normal numbers may be 0 where it may. */
static bool is_special(const arithmetic *part, double got, long double want, bool flushes)
{
    const long double least = part->wide ? 0x1p-1022L : 0x1p-126L;
    if (isnan(want)) return isnan(got);
    if (isinf(rounded(part, want))) return (long double)got == rounded(part, want);
    return flushes && want < least && got >= 0 && (long double)got <= least;
}

static void check_function(const arithmetic *part, const function *f, const char *entry, rng *r)
{
    static values v;
    static double got[most];
    long double worst = 0;
    const bool falls = !f->scalar;
    draw(&v, part, f, r);
    for (int k = 0; k < v.count && falls; k++) v.at[k] = -fabs(v.at[k]);
    apply(part, entry, &v, &v, got);
    for (int k = 0; k < v.count; k++) {
        const double x = v.at[k];
        const long double want = ldexpl(f->truth((long double)x), falls ? part->raise : 0);
        if (is_special(part, got[k], want, falls)) continue;
        const long double error = units(part, (long double)got[k], want);
        const double allowed = part->wide ? f->wide : f->narrow + f->relative * fmin(fabs(x), 128);
        if (error > worst) worst = error;
        ck_assert_msg(error <= (long double)allowed, "%s: %s(%a) = %a, not %La: %.2Lf units",
                      part->what, entry, x, got[k], want, error);
    }
    ck_assert_msg(worst > 0.4L, "%s: %s was not measured", part->what, entry);
}

static void measure(const arithmetic *part)
{
    rng r = rng_new(31, (uint64_t)part->lanes);
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        check_function(part, &functions[k], functions[k].vector, &r);
        if (functions[k].scalar) check_function(part, &functions[k], functions[k].scalar, &r);
    }
}

/* ---- Of two reals ---- */

/* A NaN in b wins, one in a loses; of zeros either. */
static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void choose(const arithmetic *part)
{
    static const double some[] = {
        0, -0.0, 1, -1, 1e30, -1e30, 1e-40, 5, HUGE_VAL, -HUGE_VAL, NAN
    };
    static values a, b;
    static double got[most];
    rng r = rng_new(32, 0);
    for (int k = 0; k < most; k++) a.at[k] = rng_pick(&r, some), b.at[k] = rng_pick(&r, some);
    if (!part->wide) /* as they are then */
        for (int k = 0; k < most; k++)
            a.at[k] = (double)(float)a.at[k], b.at[k] = (double)(float)b.at[k];
    static const struct {
        const char *name;
        double (*truth)(double, double);
    } pairs[] = {
        { "max_vr", larger }, { "max_r", larger }, { "min_vr", smaller }, { "min_r", smaller }
    };
    for (size_t n = 0; n < sizeof pairs / sizeof *pairs; n++) {
        apply(part, pairs[n].name, &a, &b, got);
        for (int k = 0; k < most; k++)
            ck_assert_msg(same(got[k], pairs[n].truth(a.at[k], b.at[k])), "%s: %s(%g, %g) = %g",
                          part->what, pairs[n].name, a.at[k], b.at[k], got[k]);
    }
    for (int vector = 0; vector < 2; vector++) {
        apply(part, vector ? "abs_vr" : "abs_r", &a, &b, got);
        for (int k = 0; k < most; k++)
            ck_assert_msg(same(got[k], fabs(a.at[k])) && !signbit(got[k]), "%s: |%g| = %g",
                          part->what, a.at[k], got[k]);
    }
}

/* ---- Ints ---- */

/* Exact: the quotient's last bit is worth less than 1 / b. */
static int64_t floor_quotient(int64_t a, int64_t b)
{
    return b == 0 ? 0 : (int64_t)floor((double)a / (double)b);
}

static int64_t int_sum(int64_t a, int64_t b)
{
    return a + b;
}
static int64_t int_difference(int64_t a, int64_t b)
{
    return a - b;
}
static int64_t int_product(int64_t a, int64_t b)
{
    return a * b;
}
static int64_t int_size(int64_t a, int64_t b)
{
    return (void)b, a < 0 ? -a : a;
}
static int64_t int_most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static int64_t int_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static int64_t int_rest(int64_t a, int64_t b)
{
    return b == 0 ? 0 : a - b * floor_quotient(a, b);
}

/* By 64 bits, of which the low ones stay. */
static const struct {
    const char *name;
    int64_t (*truth)(int64_t, int64_t);
} int_functions[] = {
    { "add", int_sum },
    { "sub", int_difference },
    { "mul", int_product },
    { "abs", int_size },
    { "max", int_most },
    { "min", int_least },
    { "floordiv", floor_quotient },
    { "mod", int_rest },
};

static int some_int(rng *r)
{
    static const int some[] = { 0,       1,     -1,        2,         -2,           3, 7, -7,
                                1000003, 65536, INT32_MAX, INT32_MIN, INT32_MIN + 1 };
    return rng_chance(r, 0.5) ? rng_pick(r, some) : (int)(uint32_t)rng_next(r);
}

static void compute_ints(const arithmetic *part)
{
    static int a[most], b[most], got[most];
    rng r = rng_new(33, 0);
    for (int k = 0; k < most; k++) a[k] = some_int(&r), b[k] = some_int(&r);
    for (size_t n = 0; n < 2 * sizeof int_functions / sizeof *int_functions; n++) {
        char name[32];
        snprintf(name, sizeof name, "%s_%s", int_functions[n / 2].name, n % 2 ? "vi" : "i");
        arithmetic_applies(part, name)(a, b, got, most);
        for (int k = 0; k < most; k++) {
            const int want = (int)(uint32_t)(uint64_t)int_functions[n / 2].truth(a[k], b[k]);
            ck_assert_msg(got[k] == want, "%s: %s(%d, %d) = %d, not %d", part->what, name, a[k],
                          b[k], got[k], want);
        }
    }
}

/* ---- Between ints and reals ---- */

static int saturated_floor(double x)
{
    if (isnan(x)) return 0;
    return (int)fmax(INT32_MIN, fmin(INT32_MAX, floor(x)));
}

static _Alignas(64) double wide[2][most];
static _Alignas(64) float narrow[2][most];

/* The number where the part reads and writes it. */
static void *real_at(const arithmetic *part, int array, int k)
{
    return part->wide ? (void *)&wide[array][k] : (void *)&narrow[array][k];
}

static double put(const arithmetic *part, int array, int k, double x)
{
    wide[array][k] = x, narrow[array][k] = (float)x;
    return part->wide ? x : (double)(float)x;
}

static double get(const arithmetic *part, int array, int k)
{
    return part->wide ? wide[array][k] : (double)narrow[array][k];
}

static double some_real(rng *r)
{
    static const double some[] = { 0,      1,          0.5,          2.5,
                                   0x1p31, 0x1p31 - 1, 0x1p31 - 0.5, 0x1p31 + 1,
                                   1e30,   1e-30,      HUGE_VAL,     NAN };
    const double x =
        rng_chance(r, 0.5) ? rng_pick(r, some) : ldexp(rng_unit(r), (int)rng_below(r, 40));
    const double near = rng_chance(r, 0.2) ? nextafter(x, 0) : x;
    return rng_chance(r, 0.5) ? near : -near;
}

static void convert(const arithmetic *part)
{
    static int ints[most], got[most];
    static double from[most];
    rng r = rng_new(34, 0);
    for (int k = 0; k < most; k++) {
        from[k] = put(part, 0, k, some_real(&r));
        ints[k] = some_int(&r) >> rng_below(&r, 31);
    }
    for (int vector = 0; vector < 2; vector++) {
        arithmetic_applies(part, vector ? "floor_vr" : "floor_r")(real_at(part, 0, 0),
                                                                  real_at(part, 1, 0), got, most);
        for (int k = 0; k < most; k++)
            ck_assert_msg(got[k] == saturated_floor(from[k]), "%s: floor(%a) = %d", part->what,
                          from[k], got[k]);
    }
    arithmetic_applies(part, "select_r")(real_at(part, 0, 0), ints, real_at(part, 1, 0), most);
    for (int k = 0; k < most; k++) {
        const double want = from[k] > 0 && ints[k] < 3     ? from[k]
                            : from[k] != 0 && 1 <= ints[k] ? -1
                                                           : 7;
        ck_assert_msg(get(part, 1, k) == want, "%s: of %g and %d %g was chosen", part->what,
                      from[k], ints[k], get(part, 1, k));
    }
    arithmetic_applies(part, "tofloat_vr")(ints, ints, real_at(part, 1, 0), most);
    for (int k = 0; k < most; k++) {
        const double want = part->wide ? ints[k] : (double)(float)ints[k];
        ck_assert_msg(get(part, 1, k) == want, "%s: %d became %g", part->what, ints[k],
                      get(part, 1, k));
    }
}

/* Compiling takes longest: once for all. */
static void each(const arithmetic *part)
{
    measure(part);
    choose(part);
    compute_ints(part);
    convert(part);
}

START_TEST(arithmetic_is_right)
{
    arithmetic_each(each);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { arithmetic_is_right, NULL };
    if (!lua_folder_make()) return 1;
    const int failed = support_run("math", tests);
    lua_folder_remove();
    return failed;
}
