/* ctest: timeout=600 */
/* The built command as its users see it, and the parts of it that have rules of their own. */
#include "cli/draw.h"
#include "cli/line.h"

#include "tests/support.h"

#include <cjson/cJSON.h>

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- Running the command ---- */

enum { most_words = 32 };

typedef struct outcome {
    int code; /* exit code, or 128 + signal */
    char *out, *err;
} outcome;

static char folder[] = "/tmp/flashgen cli 'test'; $(true) XXXXXX";

static void enter_folder(void)
{
    strcpy(strrchr(folder, ' ') + 1, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static int files_here(void)
{
    int count = 0;
    DIR *dir = opendir(".");
    for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void leave_folder(void)
{
    DIR *dir = opendir(".");
    for (struct dirent *entry; (entry = readdir(dir));) unlink(entry->d_name);
    closedir(dir);
    rmdir(folder);
}

/* Runs with stdout to `out_path`, NULL: closed. */
static int spawn_to(char *const argv[], const char *out_path, const char *err_path)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status;
    posix_spawn_file_actions_init(&actions);
    if (out_path)
        posix_spawn_file_actions_addopen(&actions, 1, out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    else
        posix_spawn_file_actions_addclose(&actions, 1);
    posix_spawn_file_actions_addopen(&actions, 2, err_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_eq(posix_spawn(&child, argv[0], &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The words up to NULL, and what a kernel is compiled with under a sanitizer. */
static void build_argv(const char **argv, const char *const *words)
{
    int n = 0;
    argv[n++] = FLASHGEN_COMMAND;
    argv[n++] = *words;
    if (strcmp(*words, "run") == 0 || strcmp(*words, "bench") == 0) {
        argv[n++] = "--compiler-flags";
        argv[n++] = FLASHGEN_KERNEL_FLAGS;
    }
    while (*words && *++words) argv[n++] = *words;
    argv[n] = NULL;
}

static outcome run_words(const char *const *words)
{
    const char *argv[most_words + 4];
    outcome o;
    build_argv(argv, words);
    o.code = spawn_to((char *const *)(uintptr_t)argv, ".out", ".err");
    o.out = support_read(".out", NULL);
    o.err = support_read(".err", NULL);
    return o;
}

#define RUN(...) run_words((const char *const[]){ __VA_ARGS__, NULL })

static void outcome_free(outcome *o)
{
    free(o->out);
    free(o->err);
}

static void assert_fails(outcome o, int code, const char *says)
{
    ck_assert_msg(o.code == code, "exit code %d, not %d: %s", o.code, code, o.err);
    ck_assert_msg(strncmp(o.err, "flashgen: ", 10) == 0, "%s", o.err);
    ck_assert_msg(strstr(o.err, says), "'%s' is not in: %s", says, o.err);
    ck_assert_str_eq(o.out, "");
    outcome_free(&o);
}

static outcome assert_works(outcome o)
{
    ck_assert_msg(o.code == 0, "exit code %d: %s", o.code, o.err);
    ck_assert_str_eq(o.err, "");
    return o;
}

static cJSON *json_of(outcome o)
{
    cJSON *object = cJSON_Parse(o.out);
    ck_assert_msg(object != NULL, "no JSON: %s", o.out);
    outcome_free(&o);
    return object;
}

static double number_in(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    ck_assert_msg(cJSON_IsNumber(item), "%s is no number", key);
    return item->valuedouble;
}

static const char *text_in(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    ck_assert_msg(text != NULL, "%s is no text", key);
    return text;
}

/* ---- Files ---- */

/* A .npy of any descr, from doubles. */
static void write_npy(const char *path, const char *descr, const char *order, const char *shape,
                      const double *values, int count)
{
    char dict[200];
    FILE *out = fopen(path, "wb");
    int length =
        snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr,
                 order, shape);
    const DLDataType type = { (uint8_t)(descr[1] == 'f'   ? 2
                                        : descr[1] == 'i' ? 0
                                                          : 1),
                              (uint8_t)(8 * (descr[2] - '0')), 1 };
    fwrite("\x93NUMPY\x01", 1, 8, out);
    fputc(length & 255, out);
    fputc(length >> 8, out);
    fwrite(dict, 1, (size_t)length, out);
    for (int n = 0; n < count; n++) {
        char element[8];
        element_find(type)->store(element, values[n]);
        fwrite(element, 1, type.bits / 8u, out);
    }
    fclose(out);
}

typedef struct loaded {
    char *bytes;
    npy_header header;
} loaded;

static loaded load(const char *path)
{
    fg_error error;
    loaded l;
    size_t size = 0;
    l.bytes = support_read(path, &size);
    ck_assert_msg(l.bytes != NULL, "there is no %s", path);
    fg_status s = npy_parse(&l.header, l.bytes, size, path, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
    return l;
}

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "wb");
    fputs(text, out);
    fclose(out);
}

/* ---- JSON Schema: the part that ours uses ---- */

static bool has_type(const cJSON *value, const char *type)
{
    if (strcmp(type, "object") == 0) return cJSON_IsObject(value);
    if (strcmp(type, "string") == 0) return cJSON_IsString(value);
    if (strcmp(type, "number") == 0) return cJSON_IsNumber(value);
    if (strcmp(type, "null") == 0) return cJSON_IsNull(value);
    ck_abort_msg("the schema has a type that this test does not know: %s", type);
    return false;
}

static bool is_type(const cJSON *value, const cJSON *type)
{
    if (cJSON_IsString(type)) return has_type(value, type->valuestring);
    const cJSON *one;
    cJSON_ArrayForEach(one, type) if (has_type(value, one->valuestring)) return true;
    return false;
}

static bool is_listed(const char *text, const cJSON *choices)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, choices) if (strcmp(one->valuestring, text) == 0) return true;
    return false;
}

/* The first place that breaks the schema, or NULL. */
static const char *broken_at(const cJSON *value, const cJSON *schema)
{
    const cJSON *one, *minimum = cJSON_GetObjectItem(schema, "minimum"),
                      *listed = cJSON_GetObjectItem(schema, "enum");
    const cJSON *properties = cJSON_GetObjectItem(schema, "properties");
    const char *name = value->string ? value->string : "the whole";
    if (!is_type(value, cJSON_GetObjectItem(schema, "type"))) return name;
    if (minimum && cJSON_IsNumber(value) && value->valuedouble < minimum->valuedouble) return name;
    if (listed && !is_listed(value->valuestring, listed)) return name;
    cJSON_ArrayForEach(
        one,
        cJSON_GetObjectItem(
            schema, "required")) if (!cJSON_GetObjectItemCaseSensitive(value,
                                                                       one->valuestring)) return one
        ->valuestring;
    if (!properties) return NULL;
    cJSON_ArrayForEach(one, value)
    {
        const cJSON *own = cJSON_GetObjectItemCaseSensitive(properties, one->string);
        const char *broken = own ? broken_at(one, own) : one->string;
        if (broken) return broken;
    }
    return NULL;
}

static void assert_run_schema(const cJSON *object)
{
    char *path = support_path("tests/data/run.schema.json"), *text = support_read(path, NULL);
    cJSON *schema = cJSON_Parse(text);
    ck_assert_ptr_nonnull(schema);
    const char *broken = broken_at(object, schema);
    ck_assert_msg(broken == NULL, "%s breaks the schema", broken);
    cJSON_Delete(schema);
    free(text);
    free(path);
}

START_TEST(the_schema_is_held)
{
    static const char good[] =
        "{\"problem\":\"x\",\"target\":\"c\",\"schedule\":\"c\",\"config\":\"\",\"source\":"
        "\"store\","
        "\"seconds\":{\"generate\":0,\"compile\":0,\"load\":0,\"run\":0},\"median_ms\":1,"
        "\"gflops\":1,\"error_over_bound\":null,\"rms\":0.5}";
    static const char *const wrong[][2] = {
        { "\"store\"", "\"shop\"" },
        { "\"load\":0", "\"load\":-1" },
        { "\"rms\":0.5", "\"rms\":\"0\"" },
        { "\"rms\":0.5", "\"rmse\":0.5" },
        { ",\"run\":0", "" },
        { "\"gflops\":1", "\"gflops\":null" },
    };
    cJSON *object = cJSON_Parse(good);
    assert_run_schema(object);
    cJSON_Delete(object);
    char *path = support_path("tests/data/run.schema.json"), *text = support_read(path, NULL);
    cJSON *schema = cJSON_Parse(text);
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        char changed[sizeof good + 20];
        const char *at = strstr(good, wrong[k][0]);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - good), good, wrong[k][1],
                 at + strlen(wrong[k][0]));
        object = cJSON_Parse(changed);
        ck_assert_msg(broken_at(object, schema) != NULL, "%s", changed);
        cJSON_Delete(object);
    }
    cJSON_Delete(schema);
    free(text);
    free(path);
}
END_TEST

/* ---- Words and help ---- */

START_TEST(help_and_version_are_printed)
{
    static const char *const words[][2] = { { "run", "--check[=full]" },
                                            { "emit", "--lines" },
                                            { "bench", "--list FILE" },
                                            { "info", "--json" } };
    enter_folder();
    outcome all = assert_works(RUN("--help"));
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        outcome o = assert_works(RUN(words[k][0], "--help"));
        ck_assert_msg(strstr(o.out, words[k][1]) && strstr(o.out, "--compiler CC"), "%s", o.out);
        ck_assert_ptr_nonnull(strstr(all.out, words[k][0]));
        outcome_free(&o);
    }
    outcome_free(&all);
    outcome version = assert_works(RUN("--version"));
    ck_assert_msg(strncmp(version.out, "flashgen ", 9) == 0, "%s", version.out);
    outcome_free(&version);
    leave_folder();
}
END_TEST

#define SMALL "dtype=f32 b=1 hq=2 sq=40 d=16"

START_TEST(wrong_requests_name_the_culprit)
{
    static const struct {
        const char *words[6];
        const char *says;
    } cases[] = {
        { { "runn" }, "'runn' is no command" },
        { { "run" }, "a problem is missing" },
        { { "run", "dtype=f32", "b=1" }, "'b=1' is one word too many" },
        { { "run", SMALL, "--nope" }, "--nope" },
        { { "run", SMALL, "-x" }, "-x" },
        { { "run", SMALL, "--q" }, "--q needs a value" },
        { { "run", SMALL, "--json=1" }, "--json takes no value" },
        { { "run", SMALL, "--draw", "-1" }, "--draw takes a whole number" },
        { { "run", SMALL, "--check=most" }, "--check=most" },
        { { "run", SMALL, "--target", "cuda" }, "--target 'cuda'" },
        { { "run", SMALL, "--rigor", "measure" }, "--rigor 'measure'" },
        { { "run", SMALL, "--isa", "sse9" }, "sse9" },
        { { "run", SMALL " colour=red" }, "colour" },
        { { "run", "dtype=f32 b=1 hq=2 sq=40" }, "d" },
        { { "run", SMALL, "--tensor", "t" }, "NAME=FILE" },
        { { "run", SMALL, "--q", "missing.npy" }, "cannot open missing.npy" },
        { { "run", SMALL, "--q", "." }, "cannot read ." },
        { { "run", SMALL, "--q", "text.npy" }, "text.npy is not a whole .npy file" },
        { { "run", SMALL, "--bias", "q.npy" }, "no input bias" },
        { { "run", SMALL, "--tensor", "t=q.npy" }, "no input t" },
        { { "run", SMALL, "--lse", "l.npy" }, "does not ask for lse" },
        { { "run", SMALL, "--q", "flat.npy" }, "flat.npy has shape [6]" },
        { { "run", "dtype=f32 b=1 hq=2 sq=41 d=16", "--q", "q.npy" },
          "q.npy gives sq=1 (dimension 1 of its shape" },
        { { "run", "dtype=f32", "--q", "q.npy", "--k", "k.npy" }, "k.npy gives d=3" },
        { { "run", "dtype=f32 b=1 hq=2 sq=* sk=8 d=16" }, "sq is given at launch" },
        { { "run", SMALL " score=@missing.lua" }, "cannot open missing.lua" },
        { { "run", SMALL " score=@brace.lua" }, "brace.lua holds a brace" },
        { { "run", SMALL " score={s +}" }, "score" },
        { { "run", SMALL, "--config", "nonsense=1" }, "nonsense" },
        { { "emit" }, "a problem is missing" },
        { { "emit", SMALL, "--q", "q.npy" }, "--q" },
        { { "bench" }, "there is no problem" },
        { { "bench", "--list", "missing.txt" }, "cannot open missing.txt" },
        { { "info", "all" }, "one word too many" },
    };
    static const double zeros[8] = { 0 };
    enter_folder();
    write_text("text.npy", "no array");
    write_text("brace.lua", "s } causal {");
    write_npy("q.npy", "<f4", "False", "(1, 1, 1, 2)", zeros, 2);
    write_npy("k.npy", "<f4", "False", "(1, 1, 1, 3)", zeros, 3);
    write_npy("flat.npy", "<f4", "False", "(6,)", zeros, 6);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        assert_fails(run_words(cases[k].words), 2, cases[k].says);
    ck_assert_int_eq(files_here(), 5);
    leave_folder();
}
END_TEST

START_TEST(a_function_error_shows_its_place)
{
    enter_folder();
    outcome o = RUN("emit", SMALL " score={s + nope}");
    ck_assert_int_eq(o.code, 2);
    const char *line = strstr(o.err, "{s + nope}"), *mark = strchr(o.err, '^');
    ck_assert_msg(line && mark, "%s", o.err);
    const char *start = line;
    while (start[-1] != '\n') start--;
    const char *mark_start = mark;
    while (mark_start[-1] != '\n') mark_start--;
    ck_assert_int_eq(mark - mark_start, line + 5 - start); /* under `nope` */
    outcome_free(&o);
    leave_folder();
}
END_TEST

/* ---- Runs ---- */

START_TEST(a_checked_run_prints_its_object)
{
    enter_folder();
    cJSON *object = json_of(assert_works(RUN("run", SMALL " causal lse", "--check", "--json")));
    assert_run_schema(object);
    ck_assert_str_eq(text_in(object, "problem"), "b=1 causal d=16 hq=2 lse sq=40");
    ck_assert_str_eq(text_in(object, "source"), "compiled");
    ck_assert(number_in(object, "error_over_bound") <= 1 && number_in(object, "rms") > 0);
    ck_assert(number_in(object, "gflops") > 0 && number_in(object, "median_ms") > 0);
    cJSON_Delete(object);
    object = json_of(assert_works(RUN("run", SMALL, "--json")));
    assert_run_schema(object);
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(object, "error_over_bound")));
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(object, "rms")));
    ck_assert_ptr_null(cJSON_GetObjectItem(object, "expect_rms"));
    cJSON_Delete(object);
    leave_folder();
}
END_TEST

/* All keys alike: O is the mean of the values, which come as Fortran-ordered u8; q as f64, k as i32. */
START_TEST(files_of_every_kind_are_read)
{
    static const double zeros[8] = { 0 }, v[] = { 1, 5, 9, 13, 2, 6, 10, 14 };
    enter_folder();
    write_npy("q.npy", "<f8", "False", "(1, 1, 1, 2)", zeros, 2);
    write_npy("k.npy", "<i4", "False", "(1, 4, 1, 2)", zeros, 8);
    write_npy("v.npy", "|u1", "True", "(1, 4, 1, 2)", v, 8);
    cJSON *object = json_of(
        assert_works(RUN("run", "dtype=f32 lse", "--q", "q.npy", "--k", "k.npy", "--v", "v.npy",
                         "--out", "o '1'.npy", "--lse", "l.npy", "--json", "--check")));
    ck_assert_str_eq(text_in(object, "problem"), "b=1 d=2 hq=1 lse sk=4 sq=1");
    cJSON_Delete(object);
    loaded o = load("o '1'.npy"), lse = load("l.npy");
    const int64_t o_shape[] = { 1, 1, 1, 2 }, lse_shape[] = { 1, 1, 1 };
    ck_assert_str_eq(o.header.type->name, "f32");
    ck_assert_mem_eq(o.header.shape, o_shape, sizeof o_shape);
    ck_assert_mem_eq(lse.header.shape, lse_shape, sizeof lse_shape);
    ck_assert(npy_at(&o.header, o.bytes, 0) == 7 && npy_at(&o.header, o.bytes, 1) == 8);
    ck_assert(fabs(npy_at(&lse.header, lse.bytes, 0) - log(4)) < 1e-6);
    free(o.bytes);
    free(lse.bytes);
    ck_assert_int_eq(files_here(), 5);
    leave_folder();
}
END_TEST

/* bias, mask, slopes, a tensor of the user's and dynamic lengths, all from files. */
START_TEST(every_input_may_come_from_a_file)
{
    static const double q[] = { 0, 0 }, v[] = { 1, 0, 2, 0, 4, 0, 8, 0 };
    static const double bias[] = { 0, 0, 0, -100 }, mask[] = { 0.25, 1, 0, 1 }, one[] = { 0 };
    enter_folder();
    write_npy("q.npy", "<f4", "False", "(1, 1, 1, 2)", q, 2);
    write_npy("k.npy", "<f4", "False", "(1, 4, 1, 2)", v, 8);
    write_npy("v.npy", "<f2", "False", "(1, 4, 1, 2)", v, 8);
    write_npy("bias.npy", "<f8", "False", "(1, 1, 1, 4)", bias, 4);
    write_npy("mask.npy", "<f4", "False", "(1, 1, 1, 4)", mask, 4);
    write_npy("slopes.npy", "<f4", "False", "(1,)", one, 1);
    write_npy("t.npy", "<i4", "False", "(1,)", one, 1);
    outcome run = assert_works(RUN(
        "run",
        "dtype=f32 hq=1 d=2 alibi bias=1HQK mask=111K tensor=t:i32[hq] "
        "score={s + t[h]}",
        "--q", "q.npy", "--k", "k.npy", "--v", "v.npy", "--bias", "bias.npy", "--mask", "mask.npy",
        "--slopes", "slopes.npy", "--tensor", "t=t.npy", "--out", "o.npy", "--check"));
    outcome_free(&run);
    loaded o = load("o.npy");
    ck_assert_msg(npy_at(&o.header, o.bytes, 0) == 1.5, "%g", npy_at(&o.header, o.bytes, 0));
    free(o.bytes);
    leave_folder();
}
END_TEST

START_TEST(a_models_own_output_is_met)
{
    char *q = support_path("tests/data/minilm/layer5_q.npy"),
         *k = support_path("tests/data/minilm/layer5_k.npy");
    char *v = support_path("tests/data/minilm/layer5_v.npy"),
         *o = support_path("tests/data/minilm/layer5_o.npy");
    enter_folder();
    cJSON *object = json_of(assert_works(
        RUN("run", "dtype=f32", "--q", q, "--k", k, "--v", v, "--expect", o, "--json", "--check")));
    assert_run_schema(object);
    ck_assert_str_eq(text_in(object, "problem"), "b=1 d=32 hq=12 sq=110");
    ck_assert(number_in(object, "expect_rms") <= 80 * 0x1p-24);
    cJSON_Delete(object);

    outcome wrong = RUN("run", "dtype=f32", "--q", q, "--k", k, "--v", v, "--expect", v, "--json");
    ck_assert_int_eq(wrong.code, 1);
    ck_assert_msg(strstr(wrong.err, "layer5_v.npy"), "%s", wrong.err);
    object = json_of(wrong); /* printed all the same */
    ck_assert(number_in(object, "expect_rms") > 0.1);
    cJSON_Delete(object);
    assert_fails(RUN("run", "dtype=f32 layout=bhsd", "--q", q, "--k", k, "--v", v, "--expect",
                     "missing.npy"),
                 2, "missing.npy");
    leave_folder();
    free(q);
    free(k);
    free(v);
    free(o);
}
END_TEST

START_TEST(functions_come_from_files_too)
{
    enter_folder();
    write_text("soft.lua", "function(s, b, h, i, j)\n  return 3 * tanh(s / 3)\nend\n");
    write_text("band.lua", "j <= i and\n j >= i - 7");
    cJSON *file = json_of(
        assert_works(RUN("run", SMALL " score=@soft.lua maskfn=@band.lua", "--check", "--json")));
    cJSON *text = json_of(
        assert_works(RUN("run", SMALL " maskfn={j >= i - 7 and j <= i} score={3 * tanh(s / 3)}",
                         "--check", "--json")));
    ck_assert_ptr_nonnull(strstr(text_in(file, "problem"), "score={3"));
    ck_assert_ptr_nonnull(strstr(text_in(text, "problem"), "score={3"));
    cJSON_Delete(file);
    cJSON_Delete(text);
    leave_folder();
}
END_TEST

static char *drawn_output(const char *seed, size_t *size)
{
    outcome o = assert_works(RUN("run", SMALL, "--draw", seed, "--out", "o.npy"));
    outcome_free(&o);
    char *bytes = support_read("o.npy", size);
    ck_assert_ptr_nonnull(bytes);
    return bytes;
}

START_TEST(the_seed_decides)
{
    size_t size[3];
    enter_folder();
    char *zero = drawn_output("0", &size[0]), *again = drawn_output("0", &size[1]),
         *one = drawn_output("1", &size[2]);
    ck_assert_uint_eq(size[0], size[1]);
    ck_assert_mem_eq(zero, again, size[0]);
    ck_assert_mem_ne(zero, one, size[0]);
    free(zero);
    free(again);
    free(one);
    leave_folder();
}
END_TEST

/* ---- What the machine refuses ---- */

START_TEST(nothing_is_written_half)
{
    enter_folder();
    write_text("o.npy", "old");
    assert_fails(RUN("run", SMALL " lse", "--out", "o.npy", "--lse", "missing/l.npy"), 2,
                 "missing/l.npy");
    char *old = support_read("o.npy", NULL);
    ck_assert_str_eq(old, "old");
    free(old);
    ck_assert_int_eq(files_here(), 1);
    outcome device = assert_works(RUN("run", SMALL, "--out", "/dev/null"));
    outcome_free(&device);
    struct stat info;
    ck_assert(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
    assert_fails(RUN("run", SMALL, "--out", "/dev/full"), 3, "/dev/full");
    leave_folder();
}
END_TEST

START_TEST(a_link_is_written_through)
{
    enter_folder();
    write_text("real.npy", "old");
    ck_assert_int_eq(symlink("real.npy", "link.npy"), 0);
    outcome o = assert_works(RUN("run", SMALL, "--out", "link.npy"));
    outcome_free(&o);
    struct stat info;
    ck_assert(lstat("link.npy", &info) == 0 && S_ISLNK(info.st_mode));
    loaded real = load("real.npy");
    ck_assert_int_eq(real.header.rank, 4);
    free(real.bytes);
    leave_folder();
}
END_TEST

START_TEST(an_output_that_cannot_be_printed_is_told)
{
    static const char *const paths[] = { NULL, "/dev/full" };
    enter_folder();
    for (int k = 0; k < 2; k++) {
        char *argv[] = { (char *)(uintptr_t)FLASHGEN_COMMAND, (char *)(uintptr_t) "info", NULL };
        ck_assert_int_eq(spawn_to(argv, paths[k], ".err"), 3);
        char *err = support_read(".err", NULL);
        ck_assert_msg(strstr(err, "cannot write to the standard output"), "%s", err);
        free(err);
    }
    leave_folder();
}
END_TEST

START_TEST(a_compiler_that_fails_is_told)
{
    enter_folder();
    assert_fails(RUN("run", SMALL, "--compiler", "no-such-compiler"), 3, "no-such-compiler");
    assert_fails(RUN("run", SMALL, "--compiler", "/bin/false"), 3, "/bin/false");
    leave_folder();
}
END_TEST

/* ---- emit, bench, info ---- */

START_TEST(the_first_line_compiles_the_rest)
{
    enter_folder();
    outcome o = assert_works(RUN("emit", SMALL " causal"));
    char *end = strchr(o.out, '\n');
    ck_assert_ptr_nonnull(end);
    ck_assert_msg(strncmp(o.out, "/*", 2) == 0 || strncmp(o.out, "//", 2) == 0, "%.*s",
                  (int)(end - o.out), o.out);
    ck_assert_ptr_nonnull(memmem(o.out, (size_t)(end - o.out), "-shared", 7));
    ck_assert_ptr_null(strstr(o.out, "#line"));
    outcome with = assert_works(RUN("emit", SMALL " causal", "--lines"));
    ck_assert_ptr_nonnull(strstr(with.out, "#line"));
    outcome_free(&o);
    outcome_free(&with);
    leave_folder();
}
END_TEST

START_TEST(bench_goes_through_a_list)
{
    enter_folder();
    write_text("list.txt", "# a comment\n\n# name: First\n" SMALL "\n" SMALL
                           " causal   \r\n# name: Third\n" SMALL " d=16\n");
    outcome o = RUN("bench", "--list", "list.txt", "--json", "--threads", "1");
    ck_assert_int_eq(o.code, 2); /* the third gives d twice */
    ck_assert_msg(strstr(o.err, "list.txt:7: "), "%s", o.err);
    cJSON *object = json_of(o);
    const cJSON *results = cJSON_GetObjectItem(object, "results");
    ck_assert_int_eq(cJSON_GetArraySize(results), 2);
    ck_assert_str_eq(text_in(cJSON_GetArrayItem(results, 0), "name"), "First");
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(results, 1), "name")));
    ck_assert_str_eq(text_in(cJSON_GetArrayItem(results, 1), "problem"),
                     "b=1 causal d=16 hq=2 sq=40");
    ck_assert(number_in(cJSON_GetArrayItem(results, 0), "gflops") > 0);
    ck_assert(number_in(cJSON_GetArrayItem(results, 0), "of_peak") > 0);
    ck_assert(number_in(object, "peak_gflops") > 0);
    cJSON_Delete(object);
    outcome table = assert_works(RUN("bench", SMALL, "--threads", "1"));
    ck_assert_msg(strstr(table.out, "of peak") && strstr(table.out, "b=1 d=16 hq=2 sq=40"), "%s",
                  table.out);
    outcome_free(&table);
    leave_folder();
}
END_TEST

START_TEST(info_says_what_there_is)
{
    enter_folder();
    cJSON *object =
        json_of(assert_works(RUN("info", "--json", "--isa", "portable", "--threads", "3")));
    ck_assert_str_eq(text_in(object, "isa"), "portable");
    ck_assert(number_in(object, "threads") == 3);
    ck_assert(number_in(object, "cores") >= 1);
    ck_assert_ptr_nonnull(strstr(text_in(object, "version"), "."));
    cJSON_Delete(object);
    leave_folder();
}
END_TEST

/* ---- Parts ---- */

START_TEST(slopes_are_the_papers)
{
    for (int h = 0; h < 8; h++) ck_assert(draw_slope(h, 8) == exp2(-(h + 1)));
    for (int h = 0; h < 8; h++) ck_assert(draw_slope(h, 12) == exp2(-(h + 1))); /* of 8 heads */
    for (int h = 8; h < 12; h++)
        ck_assert(draw_slope(h, 12) == exp2(-(h - 8) - 0.5)); /* every second of 16 */
    ck_assert(draw_slope(0, 1) == exp2(-8));
    ck_assert(draw_slope(2, 3) == exp2(-2));
}
END_TEST

START_TEST(draws_are_distributed_as_said)
{
    enum { count = 40001 };
    static double values[count];
    tensor t = { .name = "q",
                 .type = element_find((DLDataType){ 2, 64, 1 }),
                 .count = count,
                 .row = 1,
                 .pitch = 1 };
    double sum = 0, squares = 0, fourth = 0;
    t.dl.data = values;
    draw(&t, 3);
    for (int n = 0; n < count; n++) {
        sum += values[n];
        squares += values[n] * values[n];
        fourth += pow(values[n], 4);
    }
    ck_assert(fabs(sum / count) < 5 / sqrt(count));
    ck_assert(fabs(squares / count - 1) < 5 * sqrt(2.0 / count));
    ck_assert(fabs(fourth / count - 3) < 5 * sqrt(96.0 / count));

    static uint8_t bytes[count];
    int histogram[8] = { 0 };
    tensor u = { .name = "mask",
                 .type = element_find((DLDataType){ 1, 8, 1 }),
                 .count = count,
                 .row = 1,
                 .pitch = 1 };
    u.dl.data = bytes;
    draw(&u, 3);
    for (int n = 0; n < count; n++) histogram[bytes[n]]++;
    ck_assert_int_eq(histogram[0] + histogram[1], count);
    ck_assert(abs(histogram[0] - histogram[1]) < 5 * (int)sqrt(count));
    strcpy(u.name, "ids");
    memset(histogram, 0, sizeof histogram);
    draw(&u, 3);
    for (int n = 0; n < count; n++) histogram[bytes[n]]++;
    for (int k = 0; k < 8; k++)
        ck_assert(abs(histogram[k] - count / 8) < 5 * (int)sqrt(count / 8.0));
}
END_TEST

START_TEST(lines_are_cut_at_their_words)
{
    static const char line[] =
        " b=2\tscore={s + { b=9 } }  lse  d=64 tensor=t:f32[hq,7,sk] layout=bhsd bias=1H1K:f16";
    line_axes axes;
    ck_assert(slice_is(line_find(line, "b"), "2"));
    ck_assert(slice_is(line_find(line, "score"), "{s + { b=9 } }"));
    ck_assert(slice_is(line_find(line, "lse"), ""));
    ck_assert(slice_is(line_find(line, "d"), "64"));
    ck_assert_ptr_null(line_find(line, "s").at);
    ck_assert(line_axes_of(line, "k", &axes));
    ck_assert_int_eq(axes.dim[1], LINE_hkv);
    ck_assert_int_eq(axes.dim[2], LINE_sk);
    ck_assert(line_axes_of(line, "bias", &axes));
    ck_assert_int_eq(axes.dim[0], -1);
    ck_assert_int_eq(axes.dim[1], LINE_hq);
    ck_assert(line_axes_of(line, "t", &axes));
    ck_assert_int_eq(axes.rank, 3);
    ck_assert_int_eq(axes.dim[0], LINE_hq);
    ck_assert_int_eq(axes.dim[1], -1);
    ck_assert_int_eq(axes.dim[2], LINE_sk);
    ck_assert(!line_axes_of(line, "u", &axes));
}
END_TEST

START_TEST(odd_lines_end)
{
    static const char *const lines[] = { "",      " ",   "=",   "a=",       "=a",   "a={",
                                         "a={{}", "a=}", "{ }", "a={}b={}", "\n=\n" };
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        const char *rest = lines[k];
        slice key, value;
        int words = 0;
        while (line_next(&rest, &key, &value)) ck_assert_int_lt(words++, 10);
        ck_assert_msg(rest == lines[k] + strlen(lines[k]) || strspn(rest, " \n") == strlen(rest),
                      "'%s'", lines[k]);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        the_schema_is_held,
        help_and_version_are_printed,
        wrong_requests_name_the_culprit,
        a_function_error_shows_its_place,
        a_checked_run_prints_its_object,
        files_of_every_kind_are_read,
        every_input_may_come_from_a_file,
        a_models_own_output_is_met,
        functions_come_from_files_too,
        the_seed_decides,
        nothing_is_written_half,
        a_link_is_written_through,
        an_output_that_cannot_be_printed_is_told,
        a_compiler_that_fails_is_told,
        the_first_line_compiles_the_rest,
        bench_goes_through_a_list,
        info_says_what_there_is,
        slopes_are_the_papers,
        draws_are_distributed_as_said,
        lines_are_cut_at_their_words,
        odd_lines_end,
        NULL,
    };
    return support_run("cli", tests);
}
