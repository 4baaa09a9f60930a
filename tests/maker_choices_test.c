#define _GNU_SOURCE
/* The maker's choices: few configs for a grid of sizes, with schedules of our own. */
#include "gen/core/maker.h"
#include "tests/lua_support.h"

static const maker_device device = { "a processor", "avx2",  "gcc", "-O3", 2, 2,
                                     49152,         2 << 20, false, 0,     0 };

#define LINE "dtype=f32 b=* hq=2 sq=* sk=* d=8"

static const int64_t sizes_of_b[] = { 1, 2, 4, 8 };
static const int64_t lengths[] = { 1, 16, 32, 64, 128, 256, 512, 1024, 2048 };
static const maker_grid grid = { 4, 9, 9, sizes_of_b, lengths, lengths };

/* A schedule whose config of `rows` costs as much more as it is off the query rows: 2^|log2(rows / sq)| times;
 * `big` is for many keys only. */
#define SCHEDULE(refuses, more)                                                                    \
    "local function off(a, b) return math.max(a / b, b / a) end\n"                                 \
    "return {\n"                                                                                   \
    "  template = 'templates/forward/a.c.t', target = 'test',\n"                                   \
    "  refuses = function(p) " refuses " end,\n"                                                   \
    "  axes = { { name = 'rows', values = { 1, 4, 16, 64, 256, 1024 } },\n"                        \
    "    { name = 'big', values = { 0, 1 } } },\n"                                                 \
    "  constraints = { { name = 'big where there are keys', holds = function(cfg, p)\n"            \
    "    return (cfg.big == 1) == (p.likely.sk > 100) end } },\n"                                  \
    "  prior = function(cfg, p) return 3 * off(cfg.rows, p.likely.sq) end,\n"                      \
    "  slots = function(p, cfg) return { { kind = 'real', name = 'scale' } } end,\n"               \
    "  steps = function() return { { entry = 'go', tasks = '1', scratch = '0' } } end,\n" more     \
    "}\n"

static void write_schedule(const char *name, const char *schedule)
{
    lua_file(name, schedule);
    lua_file("templates/forward/a.c.t", "int rows = ${cfg.rows};\n");
    lua_file("templates/target/test.lua", "return { new = function() return {} end }");
    lua_file("gen/variant.lua", "return { new = function() return {} end }");
}

static problem *parse(const char *line)
{
    problem *p;
    fg_error error = { 0 };
    ck_assert_msg(problem_parse(&p, &memory_default, line, strlen(line), &error) == FG_OK, "%s",
                  error.text);
    return p;
}

static fg_status try_choose(maker_choices **out, const memory *m, const char *line,
                            const char *config, const maker_grid *g, int most, fg_error *error)
{
    problem *p = parse(line);
    const maker_request request = {
        .memory = m, .problem = p, .device = &device, .config = config, .templates = lua_folder
    };
    fg_status status = maker_installed->choices(out, &request, g, most, error);
    problem_free(p);
    return status;
}

static maker_choices *choose(const char *config, int most)
{
    maker_choices *c;
    fg_error error = { 0 };
    fg_status status = try_choose(&c, &memory_default, LINE, config, &grid, most, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    ck_assert_int_eq(c->sizes, 4 * 9 * 9);
    return c;
}

typedef struct chosen {
    int rows, big;
    int64_t b, sq, sk;
} chosen;

static chosen chosen_at(const maker_choices *c, int k)
{
    chosen r = { 0, 0, sizes_of_b[k / 81], lengths[k / 9 % 9], lengths[k % 9] };
    ck_assert_int_eq(sscanf(c->choice[c->of[k]].config, "big=%d rows=%d", &r.big, &r.rows), 2);
    return r;
}

static double off(int64_t a, int64_t b)
{
    return a > b ? (double)a / (double)b : (double)b / (double)a;
}

/* With room for all, every size that is looked at has its best: every second length of a large grid. */
START_TEST(all_that_differ)
{
    static const int64_t rows[] = { 1, 4, 16, 64, 256, 1024 };
    lua_folder_clear();
    write_schedule("templates/forward/a.lua", SCHEDULE("", ""));
    maker_choices *c = choose(NULL, 100);
    for (int k = 0; k < c->sizes; k++) {
        chosen r = chosen_at(c, k);
        double best = 1e9;
        for (int n = 0; n < 6; n++) best = fmin(best, off(rows[n], r.sq));
        ck_assert_int_eq(r.big, r.sk > 100);
        double most = k / 9 % 9 % 2 ? 4 * best : best;
        ck_assert_msg(off(r.rows, r.sq) <= most, "rows=%d for sq=%d", r.rows, (int)r.sq);
    }
    maker_choices_free(c);
}
END_TEST

/* However few there may be, each is legal, and each size takes the cheapest of those that it may. */
START_TEST(at_most_so_many)
{
    lua_folder_clear();
    write_schedule("templates/forward/a.lua", SCHEDULE("", ""));
    for (int most = 1; most <= 8; most++) {
        maker_choices *c = choose(NULL, most);
        ck_assert_int_le(c->count, most > 2 ? most : 9);
        ck_assert_int_ge(c->count, 2); /* no size with many keys takes what one with few does */
        for (int k = 0; k < c->sizes; k++) {
            chosen r = chosen_at(c, k);
            ck_assert_int_eq(r.big, r.sk > 100);
            for (int n = 0; n < c->sizes && most > 1; n++) {
                chosen other = chosen_at(c, n);
                if (other.big != r.big) continue;
                ck_assert_msg(off(r.rows, r.sq) <= off(other.rows, r.sq),
                              "at most %d: rows=%d for sq=%d, where there is rows=%d", most, r.rows,
                              (int)r.sq, other.rows);
            }
        }
        maker_choices_free(c);
    }
}
END_TEST

/* Sizes beside those that are looked at first need a config of their own: it is one of the `most`. */
START_TEST(overlooked_sizes)
{
    lua_folder_clear();
    write_schedule("templates/forward/a.lua",
                   SCHEDULE("", "constraints = { { name = 'alone', holds = function(cfg, p)\n"
                                "  return (cfg.big == 1) == (p.likely.sq == 64) end } },\n"));
    for (int most = 2; most <= 4; most++) {
        maker_choices *c = choose(NULL, most);
        ck_assert_int_le(c->count, most);
        for (int k = 0; k < c->sizes; k++) {
            chosen r = chosen_at(c, k);
            ck_assert_int_eq(r.big, r.sq == 64);
            if (r.big) ck_assert_int_eq(r.rows, 64);
        }
        maker_choices_free(c);
    }
}
END_TEST

START_TEST(pins_hold)
{
    lua_folder_clear();
    write_schedule("templates/forward/a.lua", SCHEDULE("", ""));
    maker_choices *c = choose("rows=16", 6);
    ck_assert_int_eq(c->count, 2);
    for (int k = 0; k < c->sizes; k++) ck_assert_int_eq(chosen_at(c, k).rows, 16);
    maker_choices_free(c);
}
END_TEST

/* Sizes that agree with no pinned axes take what others take. */
START_TEST(pins_of_some_sizes)
{
    lua_folder_clear();
    write_schedule("templates/forward/a.lua", SCHEDULE("", ""));
    maker_choices *c = choose("big=1", 6);
    for (int k = 0; k < c->sizes; k++) ck_assert_int_eq(chosen_at(c, k).big, 1);
    maker_choices_free(c);
}
END_TEST

/* Two schedules that share the names of their configs, one of them for few rows. */
START_TEST(a_schedule_for_some)
{
    lua_folder_clear();
    write_schedule("templates/forward/a.lua",
                   SCHEDULE("return p.likely.sq > 16 and 'too many rows' or nil", ""));
    write_schedule("templates/forward/b.lua", SCHEDULE("", ""));
    maker_choices *c = choose(NULL, 6);
    for (int k = 0; k < c->sizes; k++)
        ck_assert_str_eq(c->choice[c->of[k]].schedule, chosen_at(c, k).sq > 16 ? "b" : "a");
    maker_choices_free(c);
}
END_TEST

/* Without a prior all are equal: then one is enough where it is legal. */
START_TEST(no_prior)
{
    lua_folder_clear();
    write_schedule("templates/forward/a.lua", SCHEDULE("", "prior = false,\n"));
    maker_choices *c = choose(NULL, 6);
    ck_assert_int_eq(c->count, 2);
    maker_choices_free(c);
}
END_TEST

/* A dimension that the problem says is of no bucket; sizes of one more or less are all looked at. */
START_TEST(one_open_size)
{
    static const int64_t none[] = { 0 };
    const maker_grid one = { 1, 1, 9, none, none, lengths };
    maker_choices *c;
    fg_error error = { 0 };
    lua_folder_clear();
    write_schedule("templates/forward/a.lua", SCHEDULE("", ""));
    fg_status status =
        try_choose(&c, &memory_default, "dtype=f32 b=3 hq=2 sq=60 sk=* d=8", NULL, &one, 6, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    ck_assert_int_eq(c->sizes, 9);
    ck_assert_int_eq(c->count, 2);
    for (int k = 0; k < 9; k++)
        ck_assert_str_eq(c->choice[c->of[k]].config,
                         lengths[k] > 100 ? "big=1 rows=64" : "big=0 rows=64");
    maker_choices_free(c);
}
END_TEST

static void choosing_fails(const char *config, fg_status status, const char *part)
{
    maker_choices *c = (maker_choices *)1;
    fg_error error = { 0 };
    fg_status got = try_choose(&c, &memory_default, LINE, config, &grid, 6, &error);
    ck_assert_msg(!c, "choices, not: %s", part);
    ck_assert_msg(got == status, "status %d, not %d: %s", (int)got, (int)status, error.text);
    ck_assert_msg(strstr(error.text, part) != NULL, "'%s' has no '%s'", error.text, part);
}

START_TEST(failures)
{
    lua_folder_clear();
    write_schedule("templates/forward/a.lua",
                   SCHEDULE("return p.likely.sq > 16 and 'too many rows' or nil", ""));
    write_schedule("templates/forward/c.lua", SCHEDULE("return 'it never does'", ""));
    choosing_fails(NULL, FG_UNSUPPORTED,
                   "no schedule takes this problem (a: too many rows; c: it never does; ");
    write_schedule("templates/forward/a.lua",
                   SCHEDULE("", "constraints = { { name = 'never', holds = function(cfg)\n"
                                "  return cfg.big == 0 end } },\n"));
    choosing_fails("big=1", FG_REQUEST, "no config of schedule a agrees with 'big=1': 'never'");
    choosing_fails("rows=3", FG_REQUEST, "the value '3', which is none of");
    write_schedule("templates/forward/a.lua",
                   SCHEDULE("", "prior = function() return 0 / 0 end,\n"));
    choosing_fails(NULL, FG_INTERNAL, "is no number");
}
END_TEST

/* What is written for all sizes depends on the likely ones through the config alone: it is kept under that. */
START_TEST(a_text_for_all_sizes)
{
    made *m;
    fg_error error = { 0 };
    problem *p = parse(LINE);
    const maker_request request = { .memory = &memory_default,
                                    .problem = p,
                                    .device = &device,
                                    .templates = lua_folder,
                                    .sizes = { 2, 64, 512 } };
    lua_folder_clear();
    write_schedule("templates/forward/a.lua", SCHEDULE("", ""));
    ck_assert_int_eq(maker_installed->make(&m, &request, &error), FG_OK);
    ck_assert_str_eq(m->config, "big=1 rows=64");
    made_free(m);
    lua_file("templates/forward/a.c.t", "int rows = ${p.likely.sq};\n");
    ck_assert_int_eq(maker_installed->make(&m, &request, &error), FG_INTERNAL);
    ck_assert_ptr_nonnull(strstr(error.text, "a.c.t:1: what is written for all sizes depends on"));
    problem_free(p);
}
END_TEST

START_TEST(allocations_fail)
{
    fg_error error = { 0 };
    counter c = { 0 };
    memory m = { counter_allocate, &c };
    static const int64_t none[] = { 0 };
    const maker_grid few = { 1, 1, 2, none, none, lengths };
    maker_choices *choices;
    lua_folder_clear();
    write_schedule("templates/forward/a.lua", SCHEDULE("", ""));
    const char *line = "dtype=f32 b=3 hq=2 sq=60 sk=* d=8";
    ck_assert_int_eq(try_choose(&choices, &m, line, NULL, &few, 6, &error), FG_OK);
    maker_choices_free(choices);
    ck_assert_uint_eq(c.live, 0);
    const size_t calls = c.calls;
    for (int persists = 0; persists < 2; persists++)
        for (size_t at = 1; at <= calls; at++) {
            if (!support_fails(at, calls)) continue;
            c = (counter){ .fail_at = at, .persists = persists };
            fg_status status = try_choose(&choices, &m, line, NULL, &few, 6, &error);
            /* Lua collects garbage and tries again, so one failure may do no harm; nor are its calls always as many */
            ck_assert_msg(status == FG_MEMORY || (status == FG_OK && (!persists || c.calls < at)),
                          "allocation %zu: %s", at, fg_status_name(status));
            maker_choices_free(choices);
            ck_assert_msg(c.live == 0, "allocation %zu leaks", at);
        }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        all_that_differ,    at_most_so_many,      overlooked_sizes, pins_hold,
        pins_of_some_sizes, a_schedule_for_some,  no_prior,         one_open_size,
        failures,           a_text_for_all_sizes, allocations_fail, NULL,
    };
    if (!lua_folder_make()) return 1;
    int failed = support_run("maker_choices", tests);
    lua_folder_remove();
    return failed;
}
