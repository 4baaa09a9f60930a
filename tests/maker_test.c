#define _GNU_SOURCE
/* The maker: from a problem to a kernel's text, with schedules of our own. */
#include "gen/core/maker.h"
#include "tests/lua_support.h"

#include <sys/wait.h>

static const maker_device device = {
    "a processor", "avx2", "gcc", "-O3 -mavx2", 2, 2, 32768, 1 << 20, false, 0, 0
};

static problem *parse(const char *line)
{
    problem *p;
    fg_error error = { 0 };
    ck_assert_msg(problem_parse(&p, &memory_default, line, strlen(line), &error) == FG_OK, "%s",
                  error.text);
    return p;
}

/* ---- A schedule of our own, before the shipped ones in the alphabet ---- */

#define PROBLEM "dtype=f32 b=1 hq=2 sq=5 sk=7 d=8 lse"

#define SCHEDULE(refuses, more)                                                                    \
    "return {\n"                                                                                   \
    "  template = 'templates/forward/a.c.t', target = 'test',\n"                                   \
    "  refuses = function(p, dev) " refuses " end,\n"                                              \
    "  axes = { { name = 'rows', values = { 1, 2, 4 } }, { name = 'kind', values = { 'x', 'y' } "  \
    "} },\n"                                                                                       \
    "  constraints = { { name = 'rows fit', holds = function(cfg, p) return cfg.rows < p.sq - 1 "  \
    "end } },\n"                                                                                   \
    "  prior = function(cfg) return -cfg.rows end,\n"                                              \
    "  slots = function(p, cfg, variant) return { { kind = 'pointer', name = 'q' },\n"             \
    "    { kind = 'stride', name = 'lse', dim = 2 }, { kind = 'real', name = 'scale' },\n"         \
    "    { kind = 'int', name = 'window_left' }, { kind = 'recipe', recipe = 'sq * 3' } } end,\n"  \
    "  steps = function(p, cfg, dev) return { { entry = 'go', tasks = 'b * hq', scratch = '64' } " \
    "} end,\n" more "}\n"

#define TEMPLATE                                                                                   \
    "%assert(p.d == 8, 'd is eight')\nint rows = ${cfg.rows}, slots = ${#slots}; // "              \
    "${target.word}\n"

static void write_schedule(const char *schedule, const char *template)
{
    lua_folder_clear();
    lua_file("templates/forward/a.lua", schedule);
    lua_file("templates/forward/a.c.t", template);
    lua_file("templates/target/test.lua",
             "return { new = function(isa) return { word = 'for ' .. isa } end }");
    lua_file("gen/variant.lua", "return { new = function() return {} end }");
}

static fg_status try_make(made **out, const memory *m, const char *config, fg_error *error)
{
    problem *p = parse(PROBLEM);
    maker_request request = { .memory = m,
                              .problem = p,
                              .device = &device,
                              .config = config,
                              .templates = lua_folder,
                              .lines = false };
    fg_status status = maker_installed->make(out, &request, error);
    problem_free(p);
    return status;
}

static made *make(const char *config)
{
    made *m;
    fg_error error = { 0 };
    ck_assert_msg(try_make(&m, &memory_default, config, &error) == FG_OK, "%s", error.text);
    return m;
}

static void make_fails(const char *config, fg_status status, const char *part)
{
    made *m = (made *)1;
    fg_error error = { 0 };
    fg_status got = try_make(&m, &memory_default, config, &error);
    ck_assert_ptr_null(m);
    ck_assert_msg(got == status, "status %d, not %d: %s", (int)got, (int)status, error.text);
    ck_assert_msg(strstr(error.text, part) != NULL, "'%s' has no '%s'", error.text, part);
}

static int64_t evaluate(const recipe *r)
{
    recipe_facts facts = { .b = 3, .hq = 5, .sq = 7, .threads = 2 };
    int64_t value;
    ck_assert_int_eq(recipe_eval(r, &facts, &value, NULL), FG_OK);
    return value;
}

START_TEST(test_made)
{
    write_schedule(SCHEDULE("", ""), TEMPLATE);
    made *m = make(NULL);
    ck_assert_str_eq(m->schedule, "a");
    ck_assert_str_eq(m->config, "kind=x rows=2");
    ck_assert_str_eq(m->text, "/* gcc -O3 -mavx2 -fPIC -shared -o kernel.so kernel.c */\n"
                              "int rows = 2, slots = 5; // for avx2\n");
    ck_assert_uint_eq(m->text_length, strlen(m->text));
    ck_assert_int_eq(m->slots, 5);
    ck_assert_int_eq(m->slot[0].kind, SLOT_pointer);
    ck_assert_str_eq(m->slot[0].name, "q");
    ck_assert_int_eq(m->slot[1].kind, SLOT_stride);
    ck_assert_str_eq(m->slot[1].name, "lse");
    ck_assert_int_eq(m->slot[1].dim, 2);
    ck_assert_int_eq(m->slot[2].kind, SLOT_real);
    ck_assert_int_eq(m->slot[3].kind, SLOT_int);
    ck_assert_int_eq(m->slot[4].kind, SLOT_recipe);
    ck_assert_int_eq(evaluate(&m->slot[4].recipe), 21);
    ck_assert_int_eq(m->steps, 1);
    ck_assert_str_eq(m->step[0].entry, "go");
    ck_assert_int_eq(evaluate(&m->step[0].tasks), 15);
    ck_assert_int_eq(evaluate(&m->step[0].scratch), 64);
    made_free(m);
    made_free(NULL);
}
END_TEST

START_TEST(test_lines)
{
    fg_error error;
    made *m;
    write_schedule(SCHEDULE("", ""), TEMPLATE);
    problem *p = parse(PROBLEM);
    maker_request request = { .memory = &memory_default,
                              .problem = p,
                              .device = &device,
                              .config = NULL,
                              .templates = lua_folder,
                              .lines = true };
    ck_assert_int_eq(maker_installed->make(&m, &request, &error), FG_OK);
    ck_assert_ptr_nonnull(strstr(m->text, "*/\n#line 2 \"templates/forward/a.c.t\"\nint rows"));
    made_free(m);
    problem_free(p);
}
END_TEST

START_TEST(test_pinned)
{
    write_schedule(SCHEDULE("", ""), TEMPLATE);
    made *m = make("rows=1 kind=y");
    ck_assert_str_eq(m->config, "kind=y rows=1");
    made_free(m);
    make_fails("cols=1", FG_REQUEST, "axis 'cols', which is none of kind, rows");
    make_fails("rows=3", FG_REQUEST, "axis 'rows' the value '3', which is none of 1, 2, 4");
    make_fails("rows=4", FG_REQUEST,
               "no config of schedule a agrees with 'rows=4': 'rows fit' excludes 2 of 2");

    char *config = malloc(5001);
    memset(config, ' ', 5000);
    config[5000] = 0;
    make_fails(config, FG_REQUEST, "the config has more than 4096 bytes");
    free(config);
}
END_TEST

START_TEST(test_unsupported)
{
    write_schedule(SCHEDULE("return 'it takes no d=' .. p.d", ""), TEMPLATE);
    lua_file("templates/forward/b.lua",
             SCHEDULE("", "constraints = { { name = 'never', holds = function() end } },"));
    lua_file("templates/forward/c.lua", SCHEDULE("return 'it never does'", ""));
    lua_file("templates/forward/c_decode.lua", SCHEDULE("return 'nor this'", "order = -1,"));
    make_fails(NULL, FG_UNSUPPORTED,
               "no schedule takes this problem (c_decode: nor this; a: it takes no d=8; b: 'never' "
               "excludes 6 of 6; c: it never does");
    lua_file("templates/forward/b.lua", SCHEDULE("", "")); /* c is not asked any more */
    made *m = make(NULL);
    ck_assert_str_eq(m->schedule, "b");
    made_free(m);
    lua_file("templates/forward/c.lua", "return 1 +"); /* but its order is */
    make_fails(NULL, FG_INTERNAL, "templates/forward/c.lua:1: unexpected symbol near <eof>");
}
END_TEST

START_TEST(test_broken)
{
    static const struct {
        const char *schedule, *template, *part;
    } cases[] = {
        { SCHEDULE("", ""), "a\n${nothing}\n",
          "templates/forward/a.c.t:2: undefined name 'nothing'" },
        { SCHEDULE("", ""), "a\n\n${p.dd}\n",
          "templates/forward/a.c.t:3: the problem has no 'dd'" },
        { SCHEDULE("", ""), "${cfg.cols}\n",
          "templates/forward/a.c.t:1: the config has no axis 'cols'" },
        { SCHEDULE("", ""), "${dev.tpu}\n", "templates/forward/a.c.t:1: the device has no 'tpu'" },
        { SCHEDULE("", ""), "${p.scale}\n", "templates/forward/a.c.t:1: ${p.scale} is a float" },
        { SCHEDULE("", ""), "%assert(p.d == 9, 'd is nine')\n",
          "templates/forward/a.c.t:1: d is nine" },
        { SCHEDULE("", ""), "a\n%include 'templates/none.t'\n",
          "a.c.t:2: there is no template 'templates/none.t'" },
        { SCHEDULE("", ""), "${'\\0'}\n", "the schedule's text has a zero byte" },
        { SCHEDULE("error('thrown')", ""), "", "templates/forward/a.lua:3: thrown" },
        { SCHEDULE("return p.x", ""), "", "templates/forward/a.lua:3: the problem has no 'x'" },
        { SCHEDULE("return ({}).x.y", ""), "",
          "templates/forward/a.lua:3: attempt to index a nil value" },
        { "return {", "", "templates/forward/a.lua:1: " },
        { "return { template = 1 }", "", "gen/make.lua:" },
        { SCHEDULE("", "template = 'templates/none.t',"), "",
          "there is no template 'templates/none.t'" },
        { SCHEDULE("", "target = 'none',"), "", "no module 'templates.target.none'" },
        { SCHEDULE("", "slots = function() return {} end,"), "", "slots are no list of 1 to 96" },
        { SCHEDULE("", "slots = function() return { 1 } end,"), "",
          "slots, steps and regions are tables" },
        { SCHEDULE("", "slots = function() return { { kind = 'z' } } end,"), "",
          "slots have a kind that is none of" },
        { SCHEDULE("", "slots = function() return { { kind = 'pointer', name = 'bias' } } end,"),
          "", "slots read a tensor or dimension that there is not: bias" },
        { SCHEDULE("",
                   "slots = function() return { { kind = 'stride', name = 'lse', dim = 3 } } end,"),
          "", "slots read a tensor or dimension that there is not: lse" },
        { SCHEDULE("",
                   "slots = function() return { { kind = 'real', name = ('x'):rep(32) } } end,"),
          "", "names have at most 31 bytes" },
        { SCHEDULE("", "slots = function() return { { kind = 'real' } } end,"), "",
          "field 'name' is no string" },
        { SCHEDULE("", "slots = function() return { { kind = 'recipe', recipe = '1 +' } } end,"),
          "", "recipe '1 +' is wrong" },
        { SCHEDULE(
              "",
              "steps = function() return { { entry = 'x', tasks = 'zz', scratch = '0' } } end,"),
          "", "recipe 'zz' is wrong" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        write_schedule(cases[k].schedule, cases[k].template);
        make_fails(NULL, FG_INTERNAL, cases[k].part);
    }
}
END_TEST

START_TEST(test_peak)
{
    made *m = NULL;
    int64_t flops = 0;
    fg_error error = { 0 };
    maker_request request = { .memory = &memory_default,
                              .problem = NULL,
                              .device = &device,
                              .config = NULL,
                              .templates = lua_folder,
                              .lines = false };
    lua_file("templates/common/peak.lua", "return { template = 'templates/common/p.t',\n"
                                          "  flops = function(t) return 2 * t.width end,\n"
                                          "  scratch = function() return 128 end }");
    lua_file("templates/common/p.t", "fg_peak ${target.width}\n");
    lua_file("templates/target/c.lua", "return { new = function() return { width = 8 } end }");
    ck_assert_msg(maker_installed->peak(&m, &flops, &request, &error) == FG_OK, "%s", error.text);
    ck_assert_int_eq(flops, 16);
    ck_assert_ptr_nonnull(strstr(m->text, "*/\nfg_peak 8\n"));
    ck_assert_int_eq(m->slots, 1);
    ck_assert_str_eq(m->slot[0].name, "rounds");
    ck_assert_str_eq(m->step[0].entry, "fg_peak");
    ck_assert_int_eq(evaluate(&m->step[0].tasks), 2);
    ck_assert_int_eq(evaluate(&m->step[0].scratch), 128);
    made_free(m);
    lua_file("templates/common/peak.lua",
             "return { template = 'templates/common/p.t',\n"
             "  flops = function() return 0.5 end, scratch = function() return 0 end }");
    ck_assert_int_eq(maker_installed->peak(&m, &flops, &request, &error), FG_INTERNAL);
    ck_assert_ptr_nonnull(strstr(error.text, "flops of a round are no positive integer"));
}
END_TEST

START_TEST(test_config_at)
{
    static const char *const expected[] = { "kind=x rows=1", "kind=y rows=1", "kind=x rows=2",
                                            "kind=y rows=2" };
    fg_error error = { 0 };
    char *config;
    int64_t count;
    problem *p = parse(PROBLEM);
    maker_request request = { .memory = &memory_default,
                              .problem = p,
                              .device = &device,
                              .config = NULL,
                              .templates = lua_folder,
                              .lines = false };
    write_schedule(SCHEDULE("", ""), TEMPLATE);
    for (int k = -4; k < 8; k++) {
        ck_assert_int_eq(maker_installed->config_at(&config, &count, &request, k, &error), FG_OK);
        ck_assert_str_eq(config, expected[k & 3]);
        ck_assert_int_eq(count, 4);
        memory_free(&memory_default, config, strlen(config) + 1);
    }
    request.config = "kind=y";
    ck_assert_int_eq(maker_installed->config_at(&config, &count, &request, 3, &error), FG_OK);
    ck_assert_str_eq(config, "kind=y rows=2");
    ck_assert_int_eq(count, 2);
    memory_free(&memory_default, config, strlen(config) + 1);
    request.config = "rows=4";
    ck_assert_int_eq(maker_installed->config_at(&config, &count, &request, 0, &error), FG_REQUEST);
    ck_assert_ptr_null(config);
    ck_assert_ptr_nonnull(strstr(error.text, "agrees with 'rows=4': 'rows fit' excludes 2 of 2"));
    problem_free(p);
}
END_TEST

/* Fails each allocation in turn. */
static void fail_each(bool persists, const char *expected, size_t calls)
{
    counter c;
    memory m = { counter_allocate, &c };
    for (size_t k = 1; k <= calls; k++) {
        made *out;
        if (!support_fails(k, calls)) continue;
        fg_error error = { 0 };
        c = (counter){ .fail_at = k, .persists = persists };
        fg_status status = try_make(&out, &m, NULL, &error);
        if (status ==
            FG_OK) /* Lua survives a failure where it finds garbage, or only wanted to shrink */
            ck_assert_str_eq(out->text, expected);
        else
            ck_assert_msg(status == FG_MEMORY, "allocation %zu: status %d: %s", k, (int)status,
                          error.text);
        ck_assert(status != FG_OK || !persists || k > calls / 2);
        made_free(out);
        ck_assert_uint_eq(c.live, 0);
    }
}

START_TEST(test_memory)
{
    counter c = { 0 };
    memory m = { counter_allocate, &c };
    made *out;
    fg_error error = { 0 };
    write_schedule(SCHEDULE("", ""), TEMPLATE);
    ck_assert_msg(try_make(&out, &m, NULL, &error) == FG_OK, "%s", error.text);
    char *expected = strdup(out->text);
    made_free(out);
    ck_assert_uint_eq(c.live, 0);
    fail_each(false, expected, c.calls);
    fail_each(true, expected, c.calls);
    free(expected);
}
END_TEST

/* ---- The first line is a command that a shell reads as it was meant ---- */

/* What bash takes the words of `command` to be, each followed by '|'. */
static void split_by_shell(const char *command, int length, char *words, size_t size)
{
    char script[1024];
    snprintf(script, sizeof script, "set -- %.*s; printf '%%s|' \"$@\"", length, command);
    const char *argv[] = { "bash", "-c", script, NULL };
    int ends[2];
    size_t got = 0;
    ssize_t more;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(ends[1]);
    while ((more = read(ends[0], words + got, size - 1 - got)) > 0) got += (size_t)more;
    words[got] = 0;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(test_command)
{
    static const char *const compilers[] = { "gcc",      "/opt/my tools/cc", "it's $HOME `x`;\"\\",
                                             "*/ /* */", "a\nb*/",           "-",
                                             "" };
    char code[512], words[256], expected[256];
    for (size_t k = 0; k < sizeof compilers / sizeof *compilers; k++) {
        char quoted[256] = "";
        for (const char *c = compilers[k]; *c; c++)
            sprintf(quoted + strlen(quoted), "\\x%02x", (unsigned)*c);
        snprintf(code, sizeof code,
                 "return require('gen.make').command { compiler = '%s', flags = ' -O2   -fPIC ' }",
                 quoted);
        const char *line = lua_do(code);
        const char *end = line + strlen(line) - 3;
        ck_assert_int_eq(strncmp(line, "/* ", 3), 0);
        ck_assert_ptr_eq(strstr(line, "*/"), end);
        ck_assert_ptr_null(strstr(line + 1, "/*"));
        ck_assert_ptr_eq(strchr(line, '\n'), end + 2);
        split_by_shell(line + 3, (int)(end - line) - 3, words, sizeof words);
        snprintf(expected, sizeof expected, "%s|-O2|-fPIC|-shared|-o|kernel.so|kernel.c|",
                 compilers[k]);
        ck_assert_str_eq(words, expected);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_made, test_lines,     test_pinned, test_unsupported, test_broken,
        test_peak, test_config_at, test_memory, test_command,     NULL,
    };
    if (!lua_folder_make()) return 1;
    int failed = support_run("maker", tests);
    lua_folder_remove();
    return failed;
}
