/* The strategy of a search, on simulated machines: how near it comes, how long it takes, what it decides. */
#include "tests/search_machine.h"

/* ---- How near it comes ---- */

static score search_machines(int machines, int varied, double noise, double scale)
{
    score c = { 0 };
    for (int k = 0; k < machines; k++) {
        nature n = drawn((uint64_t)k);
        sim s;
        machine(&s, &n, varied, scale);
        add_noise(&s, noise, (uint64_t)k);
        search_result r = must_find(&s, 20);
        count(&c, &s, &r);
        ck_assert_double_le(s.clock, 20 + 1);
        ck_assert_double_le(fabs(r.seconds / s.seconds[r.winner] - 1), 0.05);
        ck_assert_double_le(fabs(r.estimate_seconds / s.seconds[0] - 1), 0.1);
        sim_free(&s);
    }
    return c;
}

START_TEST(near_the_best)
{
    static const double noises[] = { 0, 0.01, 0.03 };
    for (int k = 0; k < 3; k++) {
        score c = search_machines(40, 5, noises[k], 1e-5);
        ck_assert_msg(c.near >= 38, "%d of 40 within 2 %%, the worst %d per mille off", c.near,
                      (int)(1000 * c.worst));
        ck_assert_double_le(c.worst, 0.1);
    }
}
END_TEST

START_TEST(near_the_best_of_thousands)
{
    score c = search_machines(10, 7, 0.01, 1e-5);
    ck_assert_int_ge(c.near, 9);
}
END_TEST

/* As on a GPU: batches are compiled while earlier ones are tried. */
START_TEST(compiling_ahead)
{
    score score_of[2] = { { 0 } };
    int tries[2] = { 0 };
    for (int k = 0; k < 4; k++)
        for (int ahead = 0; ahead < 2; ahead++) {
            nature n = drawn((uint64_t)k);
            sim s;
            machine(&s, &n, 7, 1e-6);
            add_noise(&s, 0.003, (uint64_t)k);
            s.ahead = ahead;
            s.cores = 16;
            s.compile_seconds = 0.5;
            s.uneven = 0.5;
            s.overhead = 0.03;
            s.run_overhead = 1e-4;
            search_result r = must_find(&s, 18);
            count(&score_of[ahead], &s, &r);
            ck_assert_double_le(s.clock, 18 + 1.5);
            tries[ahead] += s.tries;
            sim_free(&s);
        }
    ck_assert_int_ge(tries[1] * 2, tries[0] * 3);
    ck_assert_int_eq(score_of[1].near, 4);
}
END_TEST

/* No core waits for the longest job of a batch. */
START_TEST(busy_cores)
{
    for (int k = 0; k < 5; k++) {
        nature n = drawn((uint64_t)k);
        sim s;
        machine(&s, &n, 7, 1e-6);
        add_noise(&s, 0.003, (uint64_t)k);
        s.ahead = true;
        s.cores = 16;
        s.compile_seconds = 1;
        s.uneven = 0.5;
        s.overhead = 0.02;
        must_find(&s, 10);
        ck_assert_double_ge(s.compiles * s.compile_seconds, 0.8 * s.cores * 10);
        ck_assert_double_le(s.clock, 10 + 0.5);
        sim_free(&s);
    }
}
END_TEST

/* Few candidates are tried at all where a run takes a tenth of a second. */
START_TEST(slow_kernels)
{
    score c = search_machines(20, 5, 0.01, 1e-3);
    ck_assert_msg(c.near >= 14, "%d of 20 within 2 %%", c.near);
}
END_TEST

/* ---- Real machines ---- */

static void load(sim *s, const char *name)
{
    char *path = support_path(name), *bytes = support_read(path, NULL), *rest = bytes, *line;
    ck_assert_ptr_nonnull(bytes);
    sim_new(s, 1000);
    while ((line = strsep(&rest, "\n"))) {
        char *at = line;
        if (*line == '#' || *line == 0) continue;
        double prior = strtod(at, &at), microseconds = strtod(at, &at);
        sim_add(s, at + 1, prior, 1e-6 * microseconds);
    }
    free(bytes);
    free(path);
}

static score search_table(const char *name, double seconds)
{
    score c = { 0 };
    sim s;
    load(&s, name);
    for (uint64_t k = 0; k < 10; k++) {
        add_noise(&s, 0.01, k);
        search_result r = must_find(&s, seconds);
        count(&c, &s, &r);
    }
    sim_free(&s);
    return c;
}

START_TEST(measured_configs)
{
    score c = search_table("tests/data/configs_minilm.txt", 20);
    ck_assert_int_eq(c.near, 10);
    c = search_table("tests/data/configs_minilm.txt", 5);
    ck_assert_int_ge(c.near, 9);
    /* Here the best is where the prior expects least, and 2 of 567 are within 2 %. */
    c = search_table("tests/data/configs_decode.txt", 20);
    ck_assert_int_ge(c.near, 5);
    ck_assert_double_le(c.worst, 0.05);
}
END_TEST

/* ---- The budget ---- */

static double slowest(const sim *s)
{
    double most = 0;
    for (int k = 0; k < s->space.count; k++) most = fmax(most, s->seconds[k]);
    return most;
}

/* Over by a batch at most: compiled, and one of them run. */
START_TEST(budget)
{
    static const double scales[] = { 1e-7, 1e-4, 1e-3, 3e-3, 1e-2, 1e-1 };
    static const double budgets[] = { 0.001, 0.5, 2, 20 };
    for (int k = 0; k < 6; k++)
        for (int b = 0; b < 4; b++) {
            nature n = drawn((uint64_t)k);
            sim s;
            machine(&s, &n, 5, scales[k]);
            add_noise(&s, 0.01, 1);
            search_result r = must_find(&s, budgets[b]);
            double most = budgets[b] + 3 * s.compile_seconds + 3 * slowest(&s);
            ck_assert_msg(s.clock <= most, "%d ms of %d", (int)(s.clock * 1000),
                          (int)(budgets[b] * 1000));
            ck_assert_double_gt(r.estimate_seconds, 0);
            ck_assert_double_gt(r.seconds, 0);
            ck_assert_double_le(s.longest_silence, 3 * s.compile_seconds + 3 * slowest(&s));
            sim_free(&s);
        }
}
END_TEST

START_TEST(many_cores)
{
    nature n = drawn(3);
    sim s;
    machine(&s, &n, 5, 1e-5);
    add_noise(&s, 0.01, 1);
    s.cores = 64;
    search_result r = must_find(&s, 4);
    ck_assert_double_le(s.seconds[r.winner], 1.02 * sim_least(&s));
    ck_assert_double_le(s.clock, 5);
    sim_free(&s);
}
END_TEST

/* ---- Everything ---- */

START_TEST(exhaustive)
{
    nature n = drawn(5);
    sim s;
    machine(&s, &n, 4, 1e-5);
    add_noise(&s, 0.01, 1);
    for (int k = 0; k < s.space.count; k += 7) s.fault[k] = SIM_wrong;
    search_result r = must_find(&s, HUGE_VAL);
    ck_assert_double_le(s.seconds[r.winner], 1.005 * sim_least(&s));
    ck_assert_int_eq(s.compiles, s.space.count);
    ck_assert_int_eq(r.state.compiled, s.space.count);
    ck_assert_int_eq(r.state.measured + r.state.rejected, s.space.count);
    ck_assert_int_eq(r.state.rejected, (s.space.count + 6) / 7);
    ck_assert_int_eq(s.measured, r.state.measured);
    ck_assert_int_le(s.most_loaded, 20);
    ck_assert_double_eq(r.state.done, 1);
    sim_free(&s);
}
END_TEST

/* ---- What is decided ---- */

static void small(sim *s, int configs, double step)
{
    char config[32];
    sim_new(s, configs);
    for (int k = 0; k < configs; k++) {
        sprintf(config, "x=%d", k);
        sim_add(s, config, 1, 1e-4 * (1 + step * ((k * 5 + 3) % 7)));
    }
}

START_TEST(small_spaces)
{
    for (int configs = 1; configs <= 6; configs += 1) {
        sim s;
        small(&s, configs, 0.05);
        add_noise(&s, 0.01, 1);
        search_result r = must_find(&s, 20);
        ck_assert_double_eq(s.seconds[r.winner], sim_least(&s));
        ck_assert(r.decided);
        ck_assert_int_eq(s.notes, 0);
        ck_assert_int_eq(r.state.measured, configs);
        ck_assert_double_le(s.clock, 4);
        sim_free(&s);
    }
}
END_TEST

START_TEST(equals)
{
    sim s;
    small(&s, 6, 0);
    int decided = 0;
    for (uint64_t k = 0; k < 20; k++) {
        add_noise(&s, 0.02, k);
        search_result r = must_find(&s, 20);
        decided += r.decided;
        ck_assert_int_eq(s.notes, !r.decided);
        ck_assert_double_gt(r.spread, 0);
        ck_assert_double_lt(r.spread, 0.01 * r.seconds);
    }
    ck_assert_int_le(decided, 3);
    sim_free(&s);
}
END_TEST

/* Whatever is decided is so. */
START_TEST(decided_rightly)
{
    int wrong = 0, decided = 0;
    sim s;
    small(&s, 6, 0.005);
    for (uint64_t k = 0; k < 100; k++) {
        add_noise(&s, 0.02, k);
        search_result r = must_find(&s, 20);
        decided += r.decided;
        wrong += r.decided && s.seconds[r.winner] > sim_least(&s);
    }
    ck_assert_int_ge(decided, 50);
    ck_assert_int_le(wrong, 2);
    sim_free(&s);
}
END_TEST

START_TEST(same_again)
{
    nature n = drawn(9);
    sim s;
    machine(&s, &n, 5, 1e-5);
    add_noise(&s, 0.02, 4);
    search_result first = must_find(&s, 10);
    int tells = s.tells;
    add_noise(&s, 0.02, 4);
    search_result second = must_find(&s, 10);
    ck_assert_int_eq(first.winner, second.winner);
    ck_assert_double_eq(first.seconds, second.seconds);
    ck_assert_int_eq(tells, s.tells);
    sim_free(&s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        near_the_best,   near_the_best_of_thousands,
        compiling_ahead, busy_cores,
        slow_kernels,    measured_configs,
        budget,          many_cores,
        exhaustive,      small_spaces,
        equals,          decided_rightly,
        same_again,      NULL,
    };
    return support_run("search", tests);
}
