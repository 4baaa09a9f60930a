#define _GNU_SOURCE
/* The maker's space: all legal configs by the prior's cost, and what the constraints removed. */
#include "gen/core/maker.h"
#include "tests/lua_support.h"

static const maker_device wide = { "a processor", "avx512", "gcc", "-O3", 2, 2,
                                   49152,         2 << 20,  false, 0,     0 };

static problem *parse(const char *line)
{
    problem *p;
    fg_error error = { 0 };
    ck_assert_msg(problem_parse(&p, &memory_default, line, strlen(line), &error) == FG_OK, "%s",
                  error.text);
    return p;
}

/* ---- A schedule of our own: 3 * 4 * 2 * 2 points ---- */

#define PROBLEM "dtype=f32 b=1 hq=2 sq=5 sk=7 d=8"

#define SCHEDULE(more)                                                                             \
    "return {\n"                                                                                   \
    "  template = 'templates/forward/a.c.t', target = 'test',\n"                                   \
    "  axes = { { name = 'rows', values = { 4, 1, 2 } }, { name = 'keys', values = { 1, 2, 3, 4 }" \
    " },\n"                                                                                        \
    "    { name = 'kind', values = { 'x', 'y' } },\n"                                              \
    "    { name = 'order', values = { 'near', 'far' }, ranked = false } },\n"                      \
    "  constraints = {\n"                                                                          \
    "    { name = 'all is well', holds = function() return true end },\n"                          \
    "    { name = 'four go near', holds = function(cfg) return cfg.keys < 4 or cfg.order == "      \
    "'near' end },\n"                                                                              \
    "    { name = 'x is small', holds = function(cfg)\n"                                           \
    "      return cfg.kind == 'y' or cfg.rows * cfg.keys <= 6 end },\n"                            \
    "    { name = 'rows differ', holds = function(cfg) return cfg.rows ~= cfg.keys end },\n"       \
    "  },\n"                                                                                       \
    "  prior = function(cfg) return (cfg.rows - 2) ^ 2 + cfg.keys % 2 / 2 end,\n"                  \
    "  slots = function() return { { kind = 'real', name = 'scale' } } end,\n"                     \
    "  steps = function() return { { entry = 'go', tasks = '1', scratch = '0' } } end,\n" more     \
    "}\n"

static void write_schedule(const char *more)
{
    lua_folder_clear();
    lua_file("templates/forward/a.lua", more);
    lua_file("templates/forward/a.c.t", "int a;\n");
    lua_file("templates/target/test.lua", "return { new = function(isa) return {} end }");
    lua_file("gen/variant.lua", "return { new = function() return {} end }");
}

/* What a request for `line` under `config` asks. */
typedef struct question {
    problem *p;
    maker_request request;
} question;

static question ask(const char *line, const char *config, const char *templates)
{
    problem *p = parse(line);
    return (question){ p,
                       { .memory = &memory_default,
                         .problem = p,
                         .device = &wide,
                         .config = config,
                         .templates = templates,
                         .lines = false } };
}

static maker_space *space_of(const question *q)
{
    maker_space *s = NULL;
    fg_error error = { 0 };
    ck_assert_msg(maker_installed->space(&s, &q->request, &error) == FG_OK, "%s", error.text);
    return s;
}

static maker_space *own_space(const char *config)
{
    question q = ask(PROBLEM, config, lua_folder);
    maker_space *s = space_of(&q);
    problem_free(q.p);
    return s;
}

static void space_fails(const char *config, fg_status status, const char *part)
{
    question q = ask(PROBLEM, config, lua_folder);
    maker_space *s = (maker_space *)1;
    fg_error error = { 0 };
    fg_status got = maker_installed->space(&s, &q.request, &error);
    ck_assert_msg(!s, "a space, not: %s", part);
    ck_assert_msg(got == status, "status %d, not %d: %s", (int)got, (int)status, error.text);
    ck_assert_msg(strstr(error.text, part) != NULL, "'%s' has no '%s'", error.text, part);
    problem_free(q.p);
}

/* All of it in one line: the costs in halves. */
static const char *describe(const maker_space *s)
{
    static char line[4096];
    int at = snprintf(line, sizeof line, "%s %d of %d:", s->schedule, s->count, (int)s->total);
    for (int k = 0; k < s->removals; k++)
        at += snprintf(line + at, sizeof line - (size_t)at, " %d '%s'", (int)s->removal[k].points,
                       s->removal[k].constraint);
    for (int k = 0; k < s->count; k++)
        at += snprintf(line + at, sizeof line - (size_t)at, "; %s (%d)", s->config[k],
                       (int)(2 * s->cost[k]));
    return line;
}

/* Check's own messages are too short for this. */
static void check_described(const maker_space *s, const char *expected)
{
    const char *got = describe(s);
    size_t k = 0;
    while (got[k] && got[k] == expected[k]) k++;
    ck_assert_msg(got[k] == expected[k], "differs at byte %zu: '%.90s', not '%.90s'", k, got + k,
                  expected + k);
}

START_TEST(test_space)
{
    write_schedule(SCHEDULE(""));
    maker_space *s = own_space(NULL);
    /* Of 48 points 6 have order=far with four keys, 6 others an x too large, 9 of the rest rows = keys. */
    check_described(s, "a 27 of 48: 6 'four go near' 6 'x is small' 9 'rows differ'"
                       "; keys=4 kind=y order=near rows=2 (0)"
                       "; keys=1 kind=x order=near rows=2 (1); keys=1 kind=x order=far rows=2 (1)"
                       "; keys=1 kind=y order=near rows=2 (1); keys=1 kind=y order=far rows=2 (1)"
                       "; keys=3 kind=x order=near rows=2 (1); keys=3 kind=x order=far rows=2 (1)"
                       "; keys=3 kind=y order=near rows=2 (1); keys=3 kind=y order=far rows=2 (1)"
                       "; keys=2 kind=x order=near rows=1 (2); keys=2 kind=x order=far rows=1 (2)"
                       "; keys=2 kind=y order=near rows=1 (2); keys=2 kind=y order=far rows=1 (2)"
                       "; keys=4 kind=x order=near rows=1 (2); keys=4 kind=y order=near rows=1 (2)"
                       "; keys=3 kind=x order=near rows=1 (3); keys=3 kind=x order=far rows=1 (3)"
                       "; keys=3 kind=y order=near rows=1 (3); keys=3 kind=y order=far rows=1 (3)"
                       "; keys=2 kind=y order=near rows=4 (8); keys=2 kind=y order=far rows=4 (8)"
                       "; keys=1 kind=x order=near rows=4 (9); keys=1 kind=x order=far rows=4 (9)"
                       "; keys=1 kind=y order=near rows=4 (9); keys=1 kind=y order=far rows=4 (9)"
                       "; keys=3 kind=y order=near rows=4 (9); keys=3 kind=y order=far rows=4 (9)");
    maker_space_free(s);
    maker_space_free(NULL);
}
END_TEST

START_TEST(test_pinned)
{
    write_schedule(SCHEDULE(""));
    maker_space *s = own_space(" order=far  rows=4");
    check_described(s, "a 4 of 8: 2 'four go near' 2 'x is small'"
                       "; keys=2 kind=y order=far rows=4 (8)"
                       "; keys=1 kind=x order=far rows=4 (9)"
                       "; keys=1 kind=y order=far rows=4 (9)"
                       "; keys=3 kind=y order=far rows=4 (9)");
    maker_space_free(s);
    s = own_space("keys=3 kind=x order=far rows=2");
    check_described(s, "a 1 of 1:; keys=3 kind=x order=far rows=2 (1)");
    maker_space_free(s);
}
END_TEST

START_TEST(test_refused)
{
    write_schedule(SCHEDULE(""));
    space_fails("cols=1", FG_REQUEST, "axis 'cols', which is none of keys, kind, order, rows");
    space_fails("rows=3", FG_REQUEST, "axis 'rows' the value '3', which is none of 4, 1, 2");
    space_fails(
        "rows=2 keys=2", FG_REQUEST,
        "no config of schedule a agrees with 'rows=2 keys=2': 'rows differ' excludes 4 of 4");
    write_schedule(SCHEDULE("refuses = function() return 'it takes none' end,"));
    lua_file("templates/forward/c.lua", SCHEDULE("refuses = function() return 'nor this' end,"));
    lua_file("templates/forward/c_decode.lua",
             SCHEDULE("refuses = function() return 'nor it' end,"));
    space_fails(NULL, FG_UNSUPPORTED, "no schedule takes this problem (a: it takes none; c: nor");
    write_schedule(SCHEDULE("constraints = { { name = 'never', holds = function() end } },"));
    lua_file("templates/forward/b.lua", SCHEDULE("constraints = {},"));
    maker_space *s = own_space(NULL); /* the next one takes what the first has no config for */
    ck_assert_str_eq(s->schedule, "b");
    ck_assert_int_eq(s->count, 48);
    ck_assert_ptr_null(s->removal);
    maker_space_free(s);
    write_schedule(SCHEDULE("prior = function() return 0 / 0 end,"));
    space_fails(NULL, FG_INTERNAL, "the prior of keys=1 kind=x order=near rows=4 is no number");
    write_schedule(SCHEDULE("axes = {},\nconstraints = {},\nprior = false,"));
    s = own_space(NULL);
    check_described(s, "a 1 of 1:;  (0)");
    maker_space_free(s);
}
END_TEST

/* ---- The shipped schedules ---- */

static const char *const shipped[] = {
    "dtype=f32 b=1 hq=8 sq=4096 d=64",
    "dtype=f16 b=2 hq=6 sq=64 d=33 dv=17 alibi mask=B11K layout=bhsd",
    "dtype=f32 b=2 hq=4 sq=1 sk=9 d=5 lse",
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_tally(const maker_space *s)
{
    int64_t points = s->count;
    for (int k = 0; k < s->removals; k++) {
        ck_assert_int_gt(s->removal[k].points, 0);
        points += s->removal[k].points;
    }
    ck_assert_int_eq(points, s->total);
}

static void check_first(const maker_space *s, const question *q)
{
    made *m;
    fg_error error;
    ck_assert_int_eq(maker_installed->make(&m, &q->request, &error), FG_OK);
    ck_assert_str_eq(s->schedule, m->schedule);
    ck_assert_str_eq(s->config[0], m->config);
    made_free(m);
}

/* No config comes twice, and those of config_at, some of them looked at, are the same ones. */
static void check_set(const maker_space *s, const question *q)
{
    char **sorted = malloc((size_t)s->count * sizeof *sorted), *config;
    int64_t count = 1;
    fg_error error;
    memcpy(sorted, s->config, (size_t)s->count * sizeof *sorted);
    qsort(sorted, (size_t)s->count, sizeof *sorted, by_text);
    for (int k = 1; k < s->count; k++) ck_assert_str_ne(sorted[k - 1], sorted[k]);
    for (int64_t k = 0; k < count; k += 1 + count / 7) {
        ck_assert_int_eq(maker_installed->config_at(&config, &count, &q->request, k, &error),
                         FG_OK);
        ck_assert_int_eq(count, s->count);
        ck_assert_msg(bsearch(&config, sorted, (size_t)s->count, sizeof *sorted, by_text) != NULL,
                      "%s is missing", config);
        memory_free(&memory_default, config, strlen(config) + 1);
    }
    free(sorted);
}

START_TEST(test_shipped)
{
    for (size_t k = 0; k < sizeof shipped / sizeof *shipped; k++) {
        question q = ask(shipped[k], NULL, NULL);
        maker_space *s = space_of(&q);
        check_tally(s);
        check_first(s, &q);
        check_set(s, &q);
        for (int c = 1; c < s->count; c++) ck_assert(s->cost[c - 1] <= s->cost[c]);
        maker_space_free(s);
        problem_free(q.p);
    }
}
END_TEST

/* Allocations of a state that nothing runs in: maker_test fails those. */
static size_t count_host(const memory *m, counter *c, const problem *p)
{
    lua_host *host;
    fg_error error;
    ck_assert_int_eq(lua_host_new(&host, m, lua_folder, p, &error), FG_OK);
    lua_host_free(host);
    size_t calls = c->calls;
    *c = (counter){ 0 };
    return calls;
}

/* Each in turn, or all from it on. */
START_TEST(test_memory)
{
    counter c = { 0 };
    memory m = { counter_allocate, &c };
    question q = ask(PROBLEM, "rows=4", lua_folder);
    maker_space *s;
    fg_error error;
    write_schedule(SCHEDULE(""));
    q.request.memory = &m;
    size_t host = count_host(&m, &c, q.p);
    ck_assert_int_eq(maker_installed->space(&s, &q.request, &error), FG_OK);
    char *expected = strdup(describe(s));
    maker_space_free(s);
    ck_assert_uint_eq(c.live, 0);
    size_t calls = c.calls, tried = 0, failed = 0;
    for (size_t k = 2 * host; k < 2 * calls; k++) {
        if (!support_fails(1 + k / 2 - host, calls - host)) continue;
        c = (counter){ .fail_at = 1 + k / 2, .persists = k % 2 };
        fg_status status = maker_installed->space(&s, &q.request, &error);
        if (status == FG_OK) /* Lua survives a failure where it finds garbage */
            check_described(s, expected);
        else
            ck_assert_int_eq(status, FG_MEMORY);
        tried++;
        failed += status != FG_OK;
        maker_space_free(s);
        ck_assert_uint_eq(c.live, 0);
    }
    ck_assert_uint_gt(failed, tried / 2);
    free(expected);
    problem_free(q.p);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_space, test_pinned, test_refused, test_shipped, test_memory, NULL,
    };
    if (!lua_folder_make()) return 1;
    int failed = support_run("maker_space", tests);
    lua_folder_remove();
    return failed;
}
