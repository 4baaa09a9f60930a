/* ctest: timeout=600 */
/* flashgen run on files and drawn inputs, and the object that it prints. */
#include "tests/support.h"
#include "tests/support_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SMALL "dtype=f32 b=1 hq=2 sq=40 d=16"

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
    loaded o = load_npy("o '1'.npy"), lse = load_npy("l.npy");
    const int64_t o_shape[] = { 1, 1, 1, 2 }, lse_shape[] = { 1, 1, 1 };
    ck_assert_str_eq(o.header.type->name, "f32");
    ck_assert_mem_eq(o.header.shape, o_shape, sizeof o_shape);
    ck_assert_mem_eq(lse.header.shape, lse_shape, sizeof lse_shape);
    ck_assert(npy_at(&o.header, o.bytes, 0) == 7 && npy_at(&o.header, o.bytes, 1) == 8);
    ck_assert(fabs(npy_at(&lse.header, lse.bytes, 0) - log(4)) < 1e-6);
    free(o.bytes);
    free(lse.bytes);
    ck_assert_int_eq(count_files(), 5);
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
    outcome run = assert_works(RUN("run",
                                   "dtype=f32 hq=1 d=2 alibi bias=1HQK mask=111K tensor=t:i32[hq] "
                                   "score={s + t[h]}",
                                   "--q", "q.npy", "--k", "k.npy", "--v", "v.npy", "--bias",
                                   "bias.npy", "--mask", "mask.npy", "--slopes", "slopes.npy",
                                   "--tensor", "t=t.npy", "--out", "o.npy", "--check"));
    outcome_free(&run);
    loaded o = load_npy("o.npy");
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

START_TEST(a_check_has_a_verdict)
{
    enter_folder();
    outcome right = assert_works(RUN("run", SMALL " softcap=2", "--check"));
    ck_assert_msg(strstr(right.out, "check     right: error "), "%s", right.out);
    outcome_free(&right);
    ck_assert(mkdir("templates", 0700) == 0 && mkdir("templates/variant", 0700) == 0);
    write_text("templates/variant/softcap.lua",
               "return { order = 10, applies = function(p) return p.softcap end, "
               "params = { { name = 'softcap', type = 'float' } }, "
               "score = 'softcap * exp(s / softcap)' }");
    outcome wrong = RUN("run", SMALL " softcap=2", "--check", "--templates", ".");
    ck_assert_int_eq(wrong.code, 1);
    ck_assert_msg(strstr(wrong.out, "check     WRONG: error "), "%s", wrong.out);
    outcome_free(&wrong);
    leave_folder();
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

/* ---- Every forward feature ---- */

START_TEST(drawn_runs_of_every_feature_are_right)
{
    static const struct {
        const char *line, *options[7];
    } cases[] = {
        { "b=3 hq=4 hkv=2 sq=20 sk=50 d=16 lens=padded lse", { NULL } },
        { "b=3 hq=4 hkv=2 sq=20 sk=50 d=16 lens=packed lse causal", { "--draw", "5" } },
        { "b=2 hq=4 hkv=2 sq=20 sk=50 d=16 page=16 sinks dtype=f16", { NULL } },
        { "b=3 hq=4 hkv=2 sq=20 sk=50 d=16 page=8 lens=packed lse", { NULL } },
        { "b=2 hq=4 sq=20 d=16 dropout=0.3 lse",
          { "--seed", "12345678901234567890", "--offset", "77" } },
        { "b=2 hq=4 sq=20 d=16 dtype=f64 lse", { NULL } },
        { "b=2 hq=4 hkv=2 sq=20 sk=30 d=16 shard causal alibi sinks dropout=0.3",
          { "--origin", "1,2,40,16", "--whole", "4,6,3,60,64" } },
        { "b=* hq=4 sq=* sk=* d=16 lse", { "--b", "2", "--sq", "20", "--sk", "33" } },
        { "b=* hq=4 sq=* sk=* d=16 page=8 lens=packed",
          { "--b", "2", "--sq", "20", "--sk", "33" } },
    };
    enter_folder();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *words[12] = { "run", cases[k].line, "--check", "--json" };
        for (int n = 0; cases[k].options[n]; n++) words[4 + n] = cases[k].options[n];
        cJSON *object = json_of(assert_works(command_run_words(words)));
        assert_run_schema(object);
        ck_assert_msg(number_in(object, "error_over_bound") <= 1, "%s", cases[k].line);
        ck_assert_msg(number_in(object, "gflops") > 0, "%s", cases[k].line);
        cJSON_Delete(object);
    }
    leave_folder();
}
END_TEST

/* Logits are all 0, the sink's too: O is the sum of a sequence's values over one more than there are. */
START_TEST(sequences_and_pages_come_from_files)
{
    static const double zeros[16] = { 0 }, starts_q[] = { 0, 1, 3 }, starts_k[] = { 0, 1, 4 };
    static const double
        v[] = { 6, 60, NAN, NAN, 2, 20, 6, 60, NAN, NAN, NAN, NAN, 8, 80, NAN, NAN },
        table[] = { 3, 99, 1, 0 }; /* one key of page 3; two of page 1 and one of page 0 */
    static const double o[] = { 4, 40, 3.5, 35, 3.5, 35 };
    enter_folder();
    write_npy("q.npy", "<f4", "False", "(3, 1, 2)", zeros, 6);
    write_npy("k.npy", "<f4", "False", "(4, 2, 1, 2)", zeros, 16);
    write_npy("v.npy", "<f4", "False", "(4, 2, 1, 2)", v, 16);
    write_npy("cu_q.npy", "<i8", "False", "(3,)", starts_q, 3);
    write_npy("cu_k.npy", "<i4", "False", "(3,)", starts_k, 3);
    write_npy("table.npy", "<i8", "False", "(2, 2)", table, 4);
    write_npy("sinks.npy", "<f8", "False", "(1,)", zeros, 1);
    outcome run = assert_works(RUN("run", "b=* sq=* sk=* page=2 lens=packed sinks lse", "--q",
                                   "q.npy", "--k", "k.npy", "--v", "v.npy", "--cu-q", "cu_q.npy",
                                   "--cu-k", "cu_k.npy", "--block-table", "table.npy", "--sinks",
                                   "sinks.npy", "--out", "o.npy", "--lse", "lse.npy", "--check"));
    outcome_free(&run);
    loaded out = load_npy("o.npy"), lse = load_npy("lse.npy");
    ck_assert(out.header.rank == 3 && out.header.shape[0] == 3);
    ck_assert(lse.header.rank == 2 && lse.header.shape[1] == 3);
    for (int n = 0; n < 6; n++)
        ck_assert_msg(fabs(npy_at(&out.header, out.bytes, n) - o[n]) < 1e-5, "%d: %g", n,
                      npy_at(&out.header, out.bytes, n));
    for (int n = 0; n < 3; n++)
        ck_assert(fabs(npy_at(&lse.header, lse.bytes, n) - log(n == 0 ? 2 : 4)) < 1e-6);
    free(out.bytes);
    free(lse.bytes);
    leave_folder();
}
END_TEST

START_TEST(seeds_decide_what_is_dropped)
{
    static const char *const seeds[][2] = {
        { "0", "0" }, { "0", "0" }, { "1", "0" }, { "0", "1" }
    };
    char *bytes[4];
    size_t size[4];
    enter_folder();
    for (int k = 0; k < 4; k++) {
        outcome o = assert_works(RUN("run", SMALL " dropout=0.5", "--seed", seeds[k][0], "--offset",
                                     seeds[k][1], "--out", "o.npy"));
        outcome_free(&o);
        bytes[k] = support_read("o.npy", &size[k]);
    }
    ck_assert_mem_eq(bytes[0], bytes[1], size[0]);
    ck_assert_mem_ne(bytes[0], bytes[2], size[0]);
    ck_assert_mem_ne(bytes[0], bytes[3], size[0]);
    ck_assert_mem_ne(bytes[2], bytes[3], size[0]);
    for (int k = 0; k < 4; k++) free(bytes[k]);
    leave_folder();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        the_schema_is_held,
        a_checked_run_prints_its_object,
        files_of_every_kind_are_read,
        every_input_may_come_from_a_file,
        a_models_own_output_is_met,
        a_check_has_a_verdict,
        functions_come_from_files_too,
        the_seed_decides,
        drawn_runs_of_every_feature_are_right,
        sequences_and_pages_come_from_files,
        seeds_decide_what_is_dropped,
        NULL,
    };
    return support_run("cli_run", tests);
}
