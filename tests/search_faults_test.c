/* Searches among candidates that fail, that are ended, that run out of memory; and their parts. */
#include "autotune/axes.h"
#include "autotune/race.h"
#include "tests/search_machine.h"

/* ---- Faults ---- */

/* The estimate, and every leader for a while, may be among the bad ones. */
static void spoil(sim *s, uint64_t seed)
{
    for (int k = 0; k < s->space.count; k++) {
        double x = sim_uniform(&seed);
        s->fault[k] = x < 0.2   ? SIM_uncompiled
                      : x < 0.4 ? SIM_wrong
                      : x < 0.5 ? SIM_crashes_later
                                : SIM_right;
    }
}

START_TEST(faulty_candidates)
{
    score c = { 0 };
    for (uint64_t k = 0; k < 20; k++) {
        nature n = drawn(k);
        sim s;
        machine(&s, &n, 5, 1e-5);
        add_noise(&s, 0.01, k);
        spoil(&s, k);
        search_result r = must_find(&s, 20);
        ck_assert_int_gt(r.state.rejected, 10);
        ck_assert_int_eq(r.state.rejected, s.rejected);
        if (s.fault[0] != SIM_right) ck_assert_double_eq(r.estimate_seconds, 0);
        count(&c, &s, &r);
        sim_free(&s);
    }
    ck_assert_int_ge(c.near, 19);
    ck_assert_double_le(c.worst, 0.1);
}
END_TEST

/* All that have the best config's value on one axis are wrong. */
static void spoil_axis(sim *s, int axis)
{
    char value[32];
    int best = 0;
    for (int k = 0; k < s->space.count; k++)
        if (s->seconds[k] < s->seconds[best]) best = k;
    sscanf(strstr(s->space.config[best], axis_name[axis]), "%30s", value);
    strcat(value, " ");
    for (int k = 0; k < s->space.count; k++)
        if (strstr(s->space.config[k], value)) s->fault[k] = SIM_wrong;
}

START_TEST(faulty_values)
{
    score c = { 0 };
    for (uint64_t k = 0; k < 20; k++) {
        nature n = drawn(k);
        sim s;
        machine(&s, &n, 5, 1e-5);
        add_noise(&s, 0.01, k);
        spoil_axis(&s, (int)(k % 5));
        search_result r = must_find(&s, 20);
        count(&c, &s, &r);
        sim_free(&s);
    }
    ck_assert_int_ge(c.near, 18);
}
END_TEST

START_TEST(nothing_right)
{
    static const sim_fault faults[] = { SIM_uncompiled, SIM_wrong, SIM_crashes_later };
    for (int k = 0; k < 3; k++)
        for (int every = 0; every < 2; every++) {
            nature n = drawn(1);
            search_result r;
            sim s;
            machine(&s, &n, 4, 1e-5);
            add_noise(&s, 0, 1);
            memset(s.fault, (int)faults[k], (size_t)s.space.count);
            fg_status status = sim_search(&r, &s, every ? HUGE_VAL : 200, &error);
            ck_assert_int_eq(status, FG_UNSUPPORTED);
            ck_assert_int_eq(r.state.rejected, s.rejected);
            ck_assert_int_eq(s.wrong_calls, 0);
            ck_assert_int_eq(r.state.rejected, s.space.count);
            sim_free(&s);
        }
}
END_TEST

START_TEST(cancelled)
{
    nature n = drawn(1);
    sim s;
    search_result r;
    machine(&s, &n, 4, 1e-5);
    add_noise(&s, 0.01, 1);
    spoil(&s, 1);
    must_find(&s, 5);
    int tells = s.tells;
    ck_assert_int_gt(tells, 20);
    for (int k = 1; k <= tells; k++) {
        add_noise(&s, 0.01, 1);
        s.cancel_at = k;
        ck_assert_int_eq(sim_search(&r, &s, 5, &error), FG_CANCELLED);
        ck_assert_int_eq(s.tells, k);
    }
    sim_free(&s);
}
END_TEST

typedef struct failing {
    long count, at;
    size_t bytes;
} failing;

static void *allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    failing *f = user;
    if (new_size > 0 && ++f->count == f->at) return NULL;
    f->bytes += new_size - (block ? old_size : 0);
    if (new_size > 0) return realloc(block, new_size);
    free(block);
    return NULL;
}

START_TEST(out_of_memory)
{
    nature n = drawn(1);
    sim s;
    machine(&s, &n, 3, 1e-5);
    fg_status status = FG_MEMORY;
    long at = 1;
    for (; status == FG_MEMORY; at++) {
        failing f = { .at = at };
        const memory m = { allocate, &f };
        const search_options o = { &m, &s.space, 2, false, 1, &sim_machine, &s };
        search_result r;
        add_noise(&s, 0, 1);
        status = search_run(&r, &o, &error);
        ck_assert_uint_eq(f.bytes, 0);
    }
    ck_assert_int_eq(status, FG_OK);
    ck_assert_int_gt(at, 5);
    sim_free(&s);
}
END_TEST

/* ---- Parts ---- */

START_TEST(medians)
{
    double odd[] = { 5, 1, 9, 2, 3 }, even[] = { 4, 1, 2, 3 }, one[] = { 7 };
    estimate e = race_estimate(odd, 5);
    ck_assert_double_eq(e.median, 3);
    ck_assert_double_eq_tol(e.error, 1.858 * 2 / 2, 0.001);
    ck_assert_double_eq(race_estimate(even, 4).median, 2.5);
    ck_assert_double_eq(race_estimate(one, 1).median, 7);
    ck_assert(isinf(race_estimate(one, 1).error));
    ck_assert(isinf(race_estimate(NULL, 0).median));
    racer a = { .runs = 3, .sample = { 1, 2, 4 } }, b = { .runs = 4, .sample = { 1.5, 3, 6, 99 } };
    ck_assert_double_eq(race_ratio(&b, &a).median, 1.5);
    ck_assert_double_eq(race_ratio(&b, &a).error, 0);
}
END_TEST

START_TEST(values_in_order)
{
    char *const configs[] = { "a=10 b=x c=1", "a=9 b=x c=2", "a=10 b=w c=1", "a=word b=y c=-3" };
    static const unsigned char expected[4][3] = {
        { 1, 1, 1 }, { 0, 1, 2 }, { 1, 0, 1 }, { 2, 2, 0 }
    };
    axes a;
    ck_assert_int_eq(axes_new(&a, &memory_default, configs, 4, &error), FG_OK);
    ck_assert_int_eq(a.axes, 3);
    for (int p = 0; p < 4; p++) ck_assert_mem_eq(axes_point(&a, p), expected[p], 3);
    axes_free(&a);
    char *const constant[] = { "a=1 b=2", "a=1 b=3" };
    ck_assert_int_eq(axes_new(&a, &memory_default, constant, 2, &error), FG_OK);
    ck_assert_int_eq(a.axes, 1);
    axes_free(&a);
    char *const bad[][2] = {
        { "a=1", "b=1" }, { "a=1 b=1", "a=1" }, { "a=1", "a=1 b=1" }, { "a", "a" }, { "a=1", "=1" }
    };
    for (int k = 0; k < 5; k++) {
        ck_assert_int_eq(axes_new(&a, &memory_default, bad[k], 2, &error), FG_INTERNAL);
        axes_free(&a);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        faulty_candidates, faulty_values, nothing_right,   cancelled,
        out_of_memory,     medians,       values_in_order, NULL,
    };
    return support_run("search_faults", tests);
}
