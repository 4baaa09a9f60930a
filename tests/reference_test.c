/* The reference against identities of attention, against hand-computed cases and against arithmetic that
 * is written here a second time. */
#include "runtime/reference.h"

#include "tests/support.h" /* last: Check has a macro named fail */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A problem with its tensors, compact, zero at first ---- */

enum { most_tensors = 12 };

typedef struct fixture {
    fg_context *context;
    fg_problem *problem;
    int count;
    fg_tensor_info info[most_tensors];
    DLTensor tensor[most_tensors];
    dtype type[most_tensors];
    int64_t elements[most_tensors];
    const DLTensor *extra[most_tensors];
    fg_args args;
    reference r;
    double *o, *lse; /* of the reference: [b, hq, sq, dv], [b, hq, sq] */
    reference_row *row;
} fixture;

static dtype type_of(DLDataType type)
{
    for (int k = 0; k < dtype_count; k++)
        if (dtypes[k].code == type.code && dtypes[k].bits == type.bits) return (dtype)k;
    ck_abort_msg("no such type");
    return DTYPE_f32;
}

static const DLTensor **field_of(fg_args *args, const char *name)
{
#define FIELD(field)                                                                               \
    if (strcmp(name, #field) == 0) return &args->field;
    FG_TENSORS(FIELD)
#undef FIELD
    return NULL;
}

static void add_tensor(fixture *f, int k)
{
    fg_tensor_info *info = &f->info[k];
    f->type[k] = type_of(info->dtype);
    f->elements[k] = 1;
    for (int n = 0; n < info->ndim; n++) f->elements[k] *= info->shape[n];
    f->tensor[k] = (DLTensor){
        .device = { 1, 0 }, .ndim = info->ndim, .dtype = info->dtype, .shape = info->shape
    };
    f->tensor[k].data = calloc((size_t)f->elements[k] + 1, 8);
    const DLTensor **field = field_of(&f->args, info->name);
    if (field)
        *field = &f->tensor[k];
    else
        f->extra[f->args.tensor_count++] = &f->tensor[k];
}

/* Lines promise no alignment: the tensors here are compact whatever their head dimension. */
static void setup(fixture *f, const char *given)
{
    fg_error error;
    char line[400];
    snprintf(line, sizeof line, "%s align=1", given);
    *f = (fixture){ .args = FG_ARGS_INIT };
    f->args.tensors = f->extra;
    ck_assert_int_eq(fg_context_new(&f->context, NULL, &error), FG_OK);
    fg_status s = fg_problem_parse(&f->problem, f->context, line, &error);
    ck_assert_msg(s == FG_OK, "%s: %s", line, error.text);
    while (fg_problem_tensor(f->problem, (size_t)f->count, &f->info[f->count]) == FG_OK)
        add_tensor(f, f->count++);
}

static void teardown(fixture *f)
{
    for (int k = 0; k < f->count; k++) free(f->tensor[k].data);
    free(f->o);
    free(f->lse);
    free(f->row);
    reference_free(&f->r);
    fg_problem_free(f->problem);
    fg_context_free(f->context);
}

static int find(const fixture *f, const char *name)
{
    for (int k = 0; k < f->count; k++)
        if (strcmp(f->info[k].name, name) == 0) return k;
    ck_abort_msg("no tensor %s", name);
    return 0;
}

static void set(fixture *f, const char *name, int64_t index, double value)
{
    int k = find(f, name);
    ck_assert_int_lt(index, f->elements[k]);
    dtype_store(f->type[k], (char *)f->tensor[k].data + index * (dtypes[f->type[k]].bits / 8),
                value);
}

static double get(const fixture *f, const char *name, int64_t index)
{
    int k = find(f, name);
    ck_assert_int_lt(index, f->elements[k]);
    return dtype_load(f->type[k],
                      (char *)f->tensor[k].data + index * (dtypes[f->type[k]].bits / 8));
}

static void set_all(fixture *f, const char *name, double value)
{
    for (int64_t n = 0; n < f->elements[find(f, name)]; n++) set(f, name, n, value);
}

/* Something between -2 and 2, the same for the same name and element. */
static double noise(const char *name, int64_t n)
{
    uint64_t x = (uint64_t)n * 2654435761u + (uint64_t)name[0] * 40503u + (uint64_t)name[1];
    x = (x ^ (x >> 15)) * UINT64_C(0x9e3779b97f4a7c15);
    return (double)((x ^ (x >> 31)) >> 40) * 0x1p-22 - 2;
}

static void set_noise(fixture *f, const char *name)
{
    for (int64_t n = 0; n < f->elements[find(f, name)]; n++) set(f, name, n, noise(name, n));
}

static void set_inputs(fixture *f)
{
    for (int k = 0; k < f->count; k++)
        if (!f->info[k].output) set_noise(f, f->info[k].name);
}

/* Every row of the reference, into f->o, f->lse and f->row. */
static void compute(fixture *f)
{
    fg_error error;
    reference *r = &f->r;
    reference_group g;
    fg_status s = reference_new(r, f->context, f->problem->problem, &f->args, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
    ck_assert_int_eq(reference_group_new(&g, r, &error), FG_OK);
    size_t rows = (size_t)(r->b * r->hq * r->sq);
    f->o = calloc(rows * (size_t)r->dv + 1, sizeof *f->o);
    f->lse = calloc(rows + 1, sizeof *f->lse);
    f->row = calloc(rows + 1, sizeof *f->row);
    for (size_t n = 0; n < rows; n++) {
        g.b = (int64_t)n / r->sq / r->hq;
        g.h = (int64_t)n / r->sq % r->hq;
        g.row[0].i = (int64_t)n % r->sq;
        g.count = 1;
        reference_group_compute(&g);
        f->row[n] = g.row[0];
        f->lse[n] = g.row[0].lse;
        memcpy(f->o + n * (size_t)r->dv, g.o, (size_t)r->dv * sizeof *f->o);
    }
    reference_group_free(&g);
}

/* Puts what the reference computed into o and lse, rounded to their types. */
static void store_outputs(fixture *f)
{
    const reference *r = &f->r;
    bool bhsd = r->problem->layout == LAYOUT_bhsd;
    for (int64_t n = 0; n < r->b * r->hq * r->sq; n++) {
        int64_t b = n / r->sq / r->hq, h = n / r->sq % r->hq, i = n % r->sq;
        int64_t row = bhsd ? n : (b * r->sq + i) * r->hq + h;
        for (int64_t c = 0; c < r->dv; c++) set(f, "o", row * r->dv + c, f->o[n * r->dv + c]);
        if (r->problem->lse) set(f, "lse", n, f->lse[n]);
    }
}

static fg_status check(fixture *f, fg_check_options options, fg_check_report *report)
{
    fg_error error = { FG_OK, -1, "" };
    fg_status s = fg_check(f->context, f->problem, &f->args, &options, report, &error);
    ck_assert_msg(s == FG_OK || s == FG_WRONG, "%s", error.text);
    if (s == FG_WRONG) ck_assert(error.text[0] != 0);
    return s;
}

static void assert_close(double got, double want)
{
    ck_assert_msg(fabs(got - want) <= 1e-12 * (1 + fabs(want)) || got == want, "%.17g is not %.17g",
                  got, want);
}

static void assert_same(const char *one, const char *other)
{
    fixture a, b;
    setup(&a, one);
    setup(&b, other);
    set_inputs(&a);
    set_inputs(&b);
    compute(&a);
    compute(&b);
    for (int64_t n = 0; n < a.r.b * a.r.hq * a.r.sq; n++) {
        assert_close(a.lse[n], b.lse[n]);
        for (int64_t c = 0; c < a.r.dv; c++) assert_close(a.o[n * a.r.dv + c], b.o[n * a.r.dv + c]);
    }
    teardown(&a);
    teardown(&b);
}

/* ---- Cases that are known ---- */

START_TEST(two_keys_by_hand)
{
    fixture f;
    setup(&f, "dtype=f32 b=1 hq=1 sq=1 sk=2 d=1 scale=2 lse");
    set(&f, "q", 0, 1);
    set(&f, "k", 1, 0.5);
    set(&f, "v", 0, 1);
    set(&f, "v", 1, 5);
    compute(&f); /* logits 0 and 1 */
    double e = exp(1);
    assert_close(f.o[0], (1 + 5 * e) / (1 + e));
    assert_close(f.lse[0], log(1 + e));
    ck_assert_int_eq(f.row[0].visible, 2);
    assert_close(f.row[0].product_error, 1); /* sqrt(1) * 2 * 1 * 0.5 */
    assert_close(f.row[0].magnitude, 1);
    teardown(&f);
}
END_TEST

START_TEST(values_of_one_give_one)
{
    fixture f;
    setup(&f, "dtype=f32 b=2 hq=4 hkv=2 sq=9 sk=70 d=12 dv=5 window=20,3 softcap=3 lse");
    set_inputs(&f);
    set_all(&f, "v", 1);
    compute(&f);
    for (int64_t n = 0; n < 2 * 4 * 9 * 5; n++) assert_close(f.o[n], 1);
    teardown(&f);
}
END_TEST

START_TEST(one_hot_keys_pick_their_value)
{
    enum { keys = 67 };
    fixture f;
    setup(&f, "dtype=f32 b=1 hq=1 sq=67 d=67 dv=1 scale=1000 layout=bhsd");
    for (int j = 0; j < keys; j++) {
        set(&f, "q", j * keys + (j * 5 + 1) % keys, 1);
        set(&f, "k", j * keys + j, 1);
        set(&f, "v", j, j);
    }
    compute(&f);
    for (int i = 0; i < keys; i++) assert_close(f.o[i], (i * 5 + 1) % keys);
    teardown(&f);
}
END_TEST

START_TEST(permuted_keys_change_nothing)
{
    enum { keys = 130, d = 6 };
    fixture a, b;
    const char *line = "dtype=bf16 b=1 hq=1 sq=3 sk=130 d=6 lse";
    setup(&a, line);
    setup(&b, line);
    set_inputs(&a);
    set_inputs(&b);
    for (int j = 0; j < keys; j++)
        for (int c = 0; c < d; c++) {
            int to = (j * 7 + 3) % keys * d + c;
            set(&b, "k", to, get(&a, "k", j * d + c));
            set(&b, "v", to, get(&a, "v", j * d + c));
        }
    compute(&a);
    compute(&b);
    for (int n = 0; n < 3 * d; n++) assert_close(a.o[n], b.o[n]);
    for (int n = 0; n < 3; n++) assert_close(a.lse[n], b.lse[n]);
    teardown(&a);
    teardown(&b);
}
END_TEST

START_TEST(equal_logits_average)
{
    fixture f;
    setup(&f, "dtype=f16 b=1 hq=1 sq=5 d=4 causal lse");
    set_inputs(&f);
    set_all(&f, "q", 0);
    compute(&f);
    for (int i = 0; i < 5; i++) {
        double sum = 0;
        for (int j = 0; j <= i; j++) sum += get(&f, "v", j * 4 + 2);
        assert_close(f.o[i * 4 + 2], sum / (i + 1));
        assert_close(f.lse[i], log(i + 1));
        ck_assert_int_eq(f.row[i].visible, i + 1);
    }
    teardown(&f);
}
END_TEST

static void assert_empty(const fixture *f, int64_t row)
{
    ck_assert(f->lse[row] == -HUGE_VAL);
    for (int64_t c = 0; c < f->r.dv; c++) ck_assert(f->o[row * f->r.dv + c] == 0);
}

START_TEST(no_keys_give_zero)
{
    fixture f;
    fg_check_report report;
    setup(&f, "dtype=f32 b=2 hq=1 sq=3 sk=0 d=4 lse");
    set_inputs(&f);
    compute(&f);
    for (int64_t n = 0; n < 6; n++) assert_empty(&f, n);
    store_outputs(&f);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    set(&f, "o", 5, 0x1p-140);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    teardown(&f);
}
END_TEST

START_TEST(hidden_rows_give_zero)
{
    fixture f;
    fg_check_report report;
    setup(&f, "dtype=f32 b=1 hq=1 sq=9 sk=4 d=4 causal lse"); /* rows 0..4 see nothing */
    set_inputs(&f);
    compute(&f);
    for (int64_t n = 0; n < 5; n++) assert_empty(&f, n);
    ck_assert(isfinite(f.lse[5]));
    store_outputs(&f);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    set(&f, "lse", 2, NAN);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    ck_assert_int_eq(report.worst[2], 2);
    ck_assert_int_eq(report.worst[3], -1);
    teardown(&f);
}
END_TEST

START_TEST(query_heads_share_keys)
{
    fixture f;
    setup(&f, "dtype=f32 b=2 hq=6 hkv=2 sq=1 sk=3 d=2 dv=1");
    set_inputs(&f);
    for (int n = 0; n < 2 * 3 * 2; n++) set(&f, "v", n, n % 2 + 10 * (n / 6)); /* [b, sk, hkv, 1] */
    compute(&f);
    for (int b = 0; b < 2; b++)
        for (int h = 0; h < 6; h++) assert_close(f.o[b * 6 + h], h / 3 + 10 * b);
    teardown(&f);
}
END_TEST

/* ---- A second arithmetic: everything at once, in long double, looped as it is defined ---- */

typedef struct second {
    int64_t b, hq, hkv, sq, sk, d, dv;
} second;

static long double second_logit(const fixture *f, const second *s, int64_t b, int64_t h, int64_t i,
                                int64_t j)
{
    long double sum = 0;
    int64_t g = h * s->hkv / s->hq, distance = i + s->sk - s->sq - j;
    for (int64_t c = 0; c < s->d; c++)
        sum += (long double)get(f, "q", ((b * s->sq + i) * s->hq + h) * s->d + c) *
               (long double)get(f, "k", ((b * s->sk + j) * s->hkv + g) * s->d + c);
    sum /= sqrtl((long double)s->d);
    sum = 4 * tanhl(sum / 4);
    sum -= (long double)get(f, "slopes", h) * (long double)llabs(distance);
    sum += (long double)get(f, "bias", (h * s->sq + i) * s->sk + j); /* 1HQK */
    sum += (long double)get(f, "t", h) * (long double)j;
    bool seen = distance >= 0 && distance <= 11 && get(f, "mask", b * s->sk + j) != 0; /* B11K */
    return seen && (i + j) % 3 != 0 ? sum : -HUGE_VALL;
}

static void second_row(const fixture *f, const second *s, int64_t b, int64_t h, int64_t i)
{
    long double sum = 0, o[16] = { 0 };
    int64_t n = (b * s->hq + h) * s->sq + i;
    for (int64_t j = 0; j < s->sk; j++) {
        long double p = expl(second_logit(f, s, b, h, i, j));
        sum += p;
        for (int64_t c = 0; c < s->dv; c++)
            o[c] += p * (long double)get(
                            f, "v", ((b * s->sk + j) * s->hkv + h * s->hkv / s->hq) * s->dv + c);
    }
    assert_close(f->lse[n], sum > 0 ? (double)logl(sum) : -HUGE_VAL);
    for (int64_t c = 0; c < s->dv; c++)
        assert_close(f->o[n * s->dv + c], sum > 0 ? (double)(o[c] / sum) : 0);
}

START_TEST(every_feature_a_second_time)
{
    fixture f;
    const second s = { 2, 4, 2, 19, 27, 7, 3 };
    setup(&f, "dtype=f32 kvdtype=bf16 b=2 hq=4 hkv=2 sq=19 sk=27 d=7 dv=3 causal window=11,0 "
              "softcap=4 alibi "
              "bias=1HQK:f16 mask=B11K tensor=t:f32[hq] lse score={s + t[h] * j} maskfn={(i + j) % "
              "3 ~= 0}");
    set_inputs(&f);
    for (int64_t n = 0; n < 2 * 27; n++) set(&f, "mask", n, n % 5 != 1);
    compute(&f);
    for (int64_t b = 0; b < s.b; b++)
        for (int64_t h = 0; h < s.hq; h++)
            for (int64_t i = 0; i < s.sq; i++) second_row(&f, &s, b, h, i);
    teardown(&f);
}
END_TEST

START_TEST(users_functions_equal_the_built_in)
{
    static const char *const pairs[][2] = {
        { "softcap=3", "score={3 * tanh(s / 3)}" },
        { "causal", "maskfn={j <= i + sk - sq}" },
        { "causal=top-left", "maskfn={j <= i}" },
        { "window=5,2", "maskfn={j >= i + sk - sq - 5 and j <= i + sk - sq + 2}" },
        { "window=-1,2", "maskfn={j <= i + sk - sq + 2}" },
        { "causal=top-left window=4,-1", "maskfn={j <= i and j >= i - 4}" },
        { "causal=top-left window=4,-1", "causal=top-left window=4,9" },
    };
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        char line[2][200];
        for (int n = 0; n < 2; n++)
            snprintf(line[n], sizeof line[n], "dtype=f32 b=2 hq=2 sq=13 sk=21 d=5 lse %s",
                     pairs[k][n]);
        assert_same(line[0], line[1]);
    }
}
END_TEST

START_TEST(layouts_and_strides_are_the_same_numbers)
{
    fixture a, b;
    setup(&a, "dtype=f32 b=2 hq=2 sq=3 sk=4 d=5 layout=bhsd lse");
    setup(&b, "dtype=f32 b=2 hq=2 sq=3 sk=4 d=5 lse");
    set_inputs(&a);
    int64_t q_strides[] = { 2 * 3 * 5, 5, 3 * 5, 1 }, k_strides[] = { 2 * 4 * 5, 5, 4 * 5, 1 };
    b.tensor[find(&b, "q")].strides = q_strides; /* a's memory, seen as [b, s, h, d] */
    b.tensor[find(&b, "k")].strides = k_strides;
    b.tensor[find(&b, "v")].strides = k_strides;
    for (int64_t n = 0; n < 2 * 2 * 3 * 5; n++) set(&b, "q", n, get(&a, "q", n));
    for (int64_t n = 0; n < 2 * 2 * 4 * 5; n++) set(&b, "k", n, get(&a, "k", n));
    for (int64_t n = 0; n < 2 * 2 * 4 * 5; n++) set(&b, "v", n, get(&a, "v", n));
    compute(&a);
    compute(&b);
    for (int n = 0; n < 2 * 2 * 3 * 5; n++) ck_assert(a.o[n] == b.o[n]);
    teardown(&a);
    teardown(&b);
}
END_TEST

/* ---- The bound ---- */

START_TEST(slope_and_magnitude_enter_the_bound)
{
    fixture f;
    setup(&f, "dtype=f32 b=1 hq=1 sq=1 sk=1 d=1 scale=1 tensor=t:f32[1] score={3 * s * s + t[0]}");
    set(&f, "q", 0, 2);
    set(&f, "k", 0, 5);
    set(&f, "t", 0, -1000);
    compute(&f);
    assert_close(f.lse[0], 3 * 100 - 1000);
    assert_close(f.row[0].product_error, 10 * 60); /* |q| |k|, times the slope 6 s */
    assert_close(f.row[0].magnitude, 1000);
    teardown(&f);
}
END_TEST

START_TEST(softcap_slope_enters_the_bound)
{
    fixture f;
    setup(&f, "dtype=f32 b=1 hq=1 sq=1 sk=1 d=1 scale=1 softcap=0.5 score={100 * s}");
    set(&f, "q", 0, 1);
    set(&f, "k", 0, 0.25);
    compute(&f);
    double t = tanh(0.5);
    assert_close(f.row[0].product_error, 0.25 * 100 * (1 - t * t));
    assert_close(f.row[0].magnitude,
                 100 * 0.5 * t > 100 ? 100 * 0.5 * t : 100); /* the constant counts */
    teardown(&f);
}
END_TEST

/* With q = 0 the bound is u (|V| + |O|) + w 2 sqrt(n) |V| + t: only rounding and the sums. */
START_TEST(the_bound_is_the_documents)
{
    fixture f;
    fg_check_report report;
    setup(&f, "dtype=bf16 b=1 hq=1 sq=1 sk=4 d=1");
    for (int j = 0; j < 4; j++) set(&f, "v", j, 4);
    set(&f, "o", 0, 4 + 0x1p-6); /* one bf16 place above 4 is 2^-5: 4.015625 rounds to even, 4 */
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    ck_assert(report.error_over_bound == 0);
    set(&f, "o", 0, 4 + 0x1p-5);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    double tiny = dtype_tiny(DTYPE_bf16), bound = 0x1p-8 * 8 + 0x1p-24 * 4 * 4 + tiny * (1 + 4);
    assert_close(report.error_over_bound, 0x1p-5 / bound);
    assert_close(report.rms, 0x1p-5 / 4);
    set(&f, "o", 0, 4 + 0x1p-4);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    assert_close(report.error_over_bound, 0x1p-4 / bound);
    teardown(&f);
}
END_TEST

START_TEST(the_lse_bound_is_the_documents)
{
    fixture f;
    fg_check_report report;
    setup(&f, "dtype=f32 b=1 hq=1 sq=1 sk=16 d=1 lse");
    set_all(&f, "v", 1);
    set(&f, "o", 0, 1);
    double lse = log(16), bound = 0x1p-24 * (2 * 4 + lse + 4);
    for (int wrong = 0; wrong < 2; wrong++) {
        set(&f, "lse", 0, lse + bound * (wrong ? 1.1 : 0.9));
        double got = get(&f, "lse", 0);
        ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report),
                         wrong ? FG_WRONG : FG_OK);
        assert_close(report.error_over_bound, fabs(got - lse) / bound);
        ck_assert_int_eq(report.worst[3], -1);
    }
    teardown(&f);
}
END_TEST

START_TEST(a_wrong_element_is_found)
{
    fixture f;
    fg_check_report report;
    setup(&f, "dtype=f16 b=2 hq=3 sq=20 sk=33 d=16 causal lse");
    set_inputs(&f);
    compute(&f);
    store_outputs(&f);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    ck_assert(report.error_over_bound > 0 && report.error_over_bound <= 1 && report.rms > 0);
    ck_assert_int_eq(report.rows, 2 * 3 * 20);
    int64_t at = ((1 * 20 + 17) * 3 + 2) * 16 + 11;
    set(&f, "o", at, get(&f, "o", at) + 0.25);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    const int64_t worst[4] = { 1, 2, 17, 11 };
    ck_assert_mem_eq(report.worst, worst, sizeof worst);
    teardown(&f);
}
END_TEST

START_TEST(the_rms_has_a_bound_of_its_own)
{
    fixture f;
    fg_check_report report;
    const fg_check_options drawn = { sizeof(fg_check_options), 0, 1 };
    setup(&f, "dtype=f32 b=1 hq=1 sq=32 sk=64 d=64");
    set_inputs(&f);
    compute(&f);
    store_outputs(&f);
    ck_assert_int_eq(check(&f, drawn, &report), FG_OK);
    assert_close(report.rms_bound, 40 * 0x1p-24);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    ck_assert(isinf(report.rms_bound));
    for (int64_t n = 0; n < 32 * 64; n++) set(&f, "o", n, get(&f, "o", n) * (1 + 60 * 0x1p-24));
    ck_assert_int_eq(check(&f, drawn, &report), FG_WRONG);
    ck_assert(report.error_over_bound <= 1 && report.rms > report.rms_bound);
    teardown(&f);
}
END_TEST

START_TEST(the_rms_is_not_held_where_it_means_nothing)
{
    static const char *const lines[] = { "dtype=f32 b=1 hq=1 sq=1 d=64",
                                         "dtype=f32 b=1 hq=1 sq=32 d=64 scale=1",
                                         "dtype=f32 b=1 hq=1 sq=32 d=64 score={s * 2}" };
    const fg_check_options drawn = { sizeof(fg_check_options), 0, 1 };
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        fixture f;
        fg_check_report report;
        setup(&f, lines[k]);
        set_inputs(&f);
        compute(&f);
        store_outputs(&f);
        ck_assert_int_eq(check(&f, drawn, &report), FG_OK);
        ck_assert(isinf(report.rms_bound));
        teardown(&f);
    }
}
END_TEST

/* ---- What is not finite ---- */

/* A case: one input element is replaced; what row 1 of 2 is then. */
typedef struct odd {
    const char *tensor;
    int64_t index;
    double value, lse; /* lse NAN: the row is NaN; 0: finite */
} odd;

START_TEST(odd_numbers_give_what_the_document_says)
{
    static const odd odds[] = {
        { "q", 2, NAN, NAN },         { "q", 3, INFINITY, NAN },   { "k", 0, NAN, NAN },
        { "bias", 3, INFINITY, NAN }, { "bias", 4, -INFINITY, 0 }, { "v", 0, 1, 0 },
    };
    for (size_t k = 0; k < sizeof odds / sizeof *odds; k++) {
        fixture f;
        fg_check_report report;
        setup(&f, "dtype=f32 b=1 hq=1 sq=2 sk=3 d=2 bias=11QK lse");
        set_inputs(&f);
        set(&f, "k", 0, 1);
        set(&f, "k", 1, 1);
        set(&f, odds[k].tensor, odds[k].index, odds[k].value);
        compute(&f);
        ck_assert_msg(isnan(f.lse[1]) == isnan(odds[k].lse), "case %zu", k);
        ck_assert(isnan(f.o[2]) == isnan(odds[k].lse));
        store_outputs(&f);
        ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
        set(&f, "o", 2, isnan(odds[k].lse) ? 1 : (double)NAN);
        ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
        teardown(&f);
    }
}
END_TEST

START_TEST(minus_infinity_hides)
{
    fixture f;
    fg_check_report report;
    setup(&f, "dtype=f32 b=1 hq=1 sq=2 sk=3 d=2 bias=11QK lse");
    set_inputs(&f);
    for (int n = 0; n < 3; n++) set(&f, "bias", n, -HUGE_VAL);
    set(&f, "bias", 4, -HUGE_VAL);
    compute(&f);
    assert_empty(&f, 0);
    ck_assert_int_eq(f.row[1].visible, 2);
    store_outputs(&f);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    teardown(&f);
}
END_TEST

START_TEST(what_a_mask_hides_is_unspecified_when_not_finite)
{
    fixture f;
    fg_check_report report;
    setup(&f, "dtype=f32 b=1 hq=1 sq=2 sk=3 d=2 causal=top-left lse"); /* row 0 sees key 0 */
    set_inputs(&f);
    set(&f, "v", 3, NAN); /* key 1, column 1: hidden from row 0, visible to row 1 */
    compute(&f);
    store_outputs(&f);
    ck_assert(isnan(get(&f, "o", 3)));
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    set(&f, "o", 1, NAN);
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_OK);
    set(&f, "o", 0, NAN); /* the other column is specified */
    ck_assert_int_eq(check(&f, (fg_check_options)FG_CHECK_OPTIONS_INIT, &report), FG_WRONG);
    teardown(&f);
}
END_TEST

/* ---- Samples ---- */

/* Each row sees one key, whose value is 1: right is 1 everywhere, and costs nothing to know. */
START_TEST(large_problems_are_sampled_at_their_edges)
{
    enum { length = 8192, d = 64 };
    static const int rows[] = {
        0, 1, 15, 16, 63, 64, length / 2 - 1, length / 2, length - 64, length - 2, length - 1
    };
    fixture f;
    fg_check_report report;
    fg_check_options options = FG_CHECK_OPTIONS_INIT;
    setup(&f, "dtype=bf16 b=1 hq=2 hkv=1 sq=8192 d=64 window=0,0");
    set_all(&f, "v", 1);
    set_all(&f, "o", 1);
    ck_assert_int_eq(check(&f, options, &report), FG_OK);
    ck_assert_int_ge(report.rows, 256);
    ck_assert_int_lt(report.rows, 2 * length);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        int64_t at = rows[k] * 2 * d; /* some head's row is in the sample; both are wrong */
        set(&f, "o", at, 2);
        set(&f, "o", at + d, 2);
        ck_assert_msg(check(&f, options, &report) == FG_WRONG, "row %d is not in the sample",
                      rows[k]);
        set(&f, "o", at, 1);
        set(&f, "o", at + d, 1);
    }
    options.full = 1;
    ck_assert_int_eq(check(&f, options, &report), FG_OK);
    ck_assert_int_eq(report.rows, 2 * length);
    teardown(&f);
}
END_TEST

/* ---- Visible pairs ---- */

static int64_t count_pairs(fixture *f)
{
    fg_error error;
    int64_t pairs = -1;
    fg_status s = fg_visible_pairs(f->context, f->problem, &f->args, &pairs, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
    return pairs;
}

START_TEST(visible_pairs_are_counted)
{
    static const char *const masks[] = {
        "",
        "causal",
        "causal=top-left",
        "window=3,1",
        "window=-1,-1",
        "window=0,0 causal",
        "window=-1,4",
        "mask=B11K",
        "mask=1HQ1 causal",
        "mask=BHQK window=2,2",
        "maskfn={(i + h) % 2 == 0}",
        "maskfn={b == 0 or j > i} causal",
        "maskfn={j * j < 50}",
    };
    for (size_t k = 0; k < sizeof masks / sizeof *masks; k++) {
        for (int sizes = 0; sizes < 3; sizes++) {
            static const char *const lengths[] = { "sq=9 sk=14", "sq=14 sk=9", "sq=11" };
            char line[200];
            fixture f;
            snprintf(line, sizeof line, "dtype=f32 b=2 hq=3 d=1 %s %s", lengths[sizes], masks[k]);
            setup(&f, line);
            if (strstr(line, "mask="))
                for (int64_t n = 0; n < f.elements[find(&f, "mask")]; n++)
                    set(&f, "mask", n, noise("mask", n) > 0);
            compute(&f);
            int64_t pairs = 0;
            for (int64_t n = 0; n < f.r.b * f.r.hq * f.r.sq; n++) pairs += f.row[n].visible;
            ck_assert_msg(count_pairs(&f) == pairs, "%s: %lld, not %lld", line,
                          (long long)count_pairs(&f), (long long)pairs);
            teardown(&f);
        }
    }
}
END_TEST

START_TEST(visible_pairs_by_hand)
{
    fixture f;
    setup(&f, "dtype=f32 b=2 hq=4 hkv=2 sq=100 d=1 causal");
    ck_assert_int_eq(count_pairs(&f), 2 * 4 * 100 * 101 / 2);
    teardown(&f);
    setup(&f, "dtype=f32 b=1 hq=1 sq=100 d=1 causal window=9,0");
    ck_assert_int_eq(count_pairs(&f), 10 * 100 - 45);
    teardown(&f);
    setup(&f, "dtype=f32 b=1 hq=2 sq=7 sk=0 d=1 causal");
    ck_assert_int_eq(count_pairs(&f), 0);
    teardown(&f);
}
END_TEST

/* ---- Refusals ---- */

START_TEST(what_is_not_supported_is_named)
{
    static const char *const lines[][2] = {
        { "dtype=f64 b=1 hq=1 sq=2 d=2", "f64" },
        { "dtype=f32 b=1 hq=1 sq=2 d=2 dropout=0.5", "dropout" },
    };
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        fixture f;
        fg_check_report report;
        fg_error error;
        setup(&f, lines[k][0]);
        ck_assert_int_eq(fg_check(f.context, f.problem, &f.args, NULL, &report, &error),
                         FG_UNSUPPORTED);
        ck_assert_msg(strstr(error.text, lines[k][1]), "%s", error.text);
        teardown(&f);
    }
}
END_TEST

/* Allocates until `left` reaches 0. */
static void *stingy(void *user, void *block, size_t old_size, size_t new_size)
{
    int64_t *left = user;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return --*left < 0 ? NULL : realloc(block, new_size);
}

START_TEST(every_allocation_may_fail)
{
    fixture f;
    fg_error error;
    int64_t left = INT64_MAX, pairs;
    fg_check_report report;
    fg_context_options options = FG_CONTEXT_OPTIONS_INIT;
    setup(&f, "dtype=f32 b=1 hq=1 sq=3 sk=5 d=2 lse score={s * 2} maskfn={j ~= i + 2}");
    fg_context_free(f.context);
    fg_problem_free(f.problem);
    options.allocate = stingy;
    options.allocate_user = &left;
    ck_assert_int_eq(fg_context_new(&f.context, &options, &error), FG_OK);
    ck_assert_int_eq(
        fg_problem_parse(
            &f.problem, f.context,
            "dtype=f32 b=1 hq=1 sq=3 sk=5 d=2 align=1 lse score={s * 2} maskfn={j ~= i + 2}",
            &error),
        FG_OK);
    compute(&f);
    store_outputs(&f);
    int failures = 0;
    for (int64_t n = 0;; n++) {
        left = n;
        fg_status s = fg_check(f.context, f.problem, &f.args, NULL, &report, &error);
        if (s == FG_OK) s = fg_visible_pairs(f.context, f.problem, &f.args, &pairs, &error);
        if (s == FG_OK) break;
        ck_assert_int_eq(s, FG_MEMORY);
        failures++;
    }
    ck_assert_int_gt(failures, 5);
    left = INT64_MAX;
    teardown(&f);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        two_keys_by_hand,
        values_of_one_give_one,
        one_hot_keys_pick_their_value,
        permuted_keys_change_nothing,
        equal_logits_average,
        no_keys_give_zero,
        hidden_rows_give_zero,
        query_heads_share_keys,
        every_feature_a_second_time,
        users_functions_equal_the_built_in,
        layouts_and_strides_are_the_same_numbers,
        slope_and_magnitude_enter_the_bound,
        softcap_slope_enters_the_bound,
        the_bound_is_the_documents,
        the_lse_bound_is_the_documents,
        a_wrong_element_is_found,
        the_rms_has_a_bound_of_its_own,
        the_rms_is_not_held_where_it_means_nothing,
        odd_numbers_give_what_the_document_says,
        minus_infinity_hides,
        what_a_mask_hides_is_unspecified_when_not_finite,
        large_problems_are_sampled_at_their_edges,
        visible_pairs_are_counted,
        visible_pairs_by_hand,
        what_is_not_supported_is_named,
        every_allocation_may_fail,
        NULL,
    };
    return support_run("reference", tests);
}
