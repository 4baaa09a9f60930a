/* A user's tensor may be called what a kernel calls its own things, or what C means something by. */
/* ctest: shards=2 labels=slow */
#include "tests/support_trial.h"
#include "tests/support.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { names_max = 1024 };

typedef struct word {
    char text[32];
} word;

static const char *const further[] = {
    "auto",     "break",      "case",    "char",     "const",  "continue", "default", "double",
    "enum",     "extern",     "float",   "goto",     "inline", "int",      "long",    "register",
    "restrict", "short",      "signed",  "sizeof",   "static", "struct",   "switch",  "typedef",
    "union",    "unsigned",   "void",    "volatile", "asm",    "typeof",   "unix",    "linux",
    "i386",     "__x86_64__", "__asm__", "_Bool",    "NULL",   "memcpy",   "memset",  "main",
    "printf",   "malloc",     "self",    "pool",     "type",   "string",   "error",   "_ENV",
    "args",     "p",
};

static void add_word(word *words, int *count, const char *from, size_t length)
{
    if (length >= sizeof words->text || *count == names_max) return;
    for (int k = 0; k < *count; k++)
        if (strlen(words[k].text) == length && memcmp(words[k].text, from, length) == 0) return;
    memcpy(words[*count].text, from, length);
    words[(*count)++].text[length] = 0;
}

/* Kernels of both schedules that have a bit of everything. */
static const char *const texts[] = {
    "dtype=bf16 b=1 hq=4 hkv=2 sq=70 sk=90 d=16 causal window=30,3 softcap=9 alibi bias=1HQK "
    "mask=B11K lse score={s + floor(exp(-abs(zz[i % 7][j // 2]))) + log(1 + abs(s)) + "
    "sqrt(1 + s * s)} maskfn={zz[j][i] > 0 or i % 3 ~= 0} tensor=zz:f16[sk,sq]",
    "dtype=f32 b=* hq=4 hkv=2 sq=* sk=* d=16 lens=padded page=8 dropout=0.1 sinks lse softcap=9 "
    "maskfn={zz[i] == zz[j]} tensor=zz:i32[sk]",
    "dtype=f64 b=2 hq=4 sq=* sk=* d=16 lens=packed dropout=0.1 sinks lse causal score={tanh(s)}",
    "dtype=f16 b=2 hq=8 hkv=2 sq=2 sk=900 d=80 lens=padded page=8 dropout=0.1 sinks lse causal "
    "window=30,3 softcap=9 alibi bias=1HQK mask=B11K maskfn={zz[j] > 0} tensor=zz:u8[sk]",
    "dtype=f32 odtype=bf16 b=* hq=8 hkv=2 sq=1 sk=* d=64 lens=packed page=8 lse score={exp(s)}",
    "dtype=bf16 b=1 hq=8 hkv=1 sq=1 sk=4096 d=80 dropout=0.1 score={s + floor(s / 3)}",
};

/* Every identifier of a kernel's text. */
static void collect(word *words, int *count, fg_context *context, const char *line)
{
    fg_problem *handle;
    char *emitted;
    fg_error error;
    ck_assert_msg(fg_problem_parse(&handle, context, line, &error) == FG_OK, "%s", error.text);
    ck_assert_msg(fg_emit(&emitted, context, handle, NULL, &error) == FG_OK, "%s", error.text);
    for (const char *at = strstr(emitted, "*/"); at && *at;) {
        size_t length = 0;
        while (isalnum((unsigned char)at[length]) || at[length] == '_') length++;
        if (length && !isdigit((unsigned char)*at)) add_word(words, count, at, length);
        at += length ? length : 1;
    }
    fg_text_free(context, emitted);
    fg_problem_free(handle);
}

/* Whether a problem may have a tensor of this name. */
static bool allowed(fg_context *context, const char *name)
{
    char line[256];
    fg_problem *handle;
    snprintf(line, sizeof line, "dtype=f32 b=1 hq=2 sq=9 d=4 score={s + %s[h]} tensor=%s:f32[hq]",
             name, name);
    fg_status s = fg_problem_parse(&handle, context, line, NULL);
    fg_problem_free(handle);
    return s == FG_OK;
}

/* What the names are tried in: kernels of both schedules that declare much themselves. */
static const char *const users[] = {
    "dtype=f32 b=1 hq=2 sq=40 sk=30 d=4 causal softcap=9 lse",
    "dtype=f32 b=2 hq=2 sq=40 sk=70 d=4 lens=padded page=8 dropout=0.1 sinks lse window=30,3",
    "dtype=f32 b=2 hq=4 hkv=2 sq=3 sk=200 d=4 lens=padded page=8 dropout=0.1 sinks lse window=70,3",
};
enum { user_count = sizeof users / sizeof *users };

/* A kernel with these names, each tensor read by row, by column and by both. Sums of whole numbers are exact: so many
 * terms round more often than the bound allows for. */
static fg_status try_names(fg_context *context, const char *user, const word *words, int count,
                           fg_error *error)
{
    text line;
    fg_plan *plan = NULL;
    fg_problem *handle = NULL;
    test_tensors t = { 0 };
    fg_check_report report;
    text_init(&line, &memory_default);
    text_addf(&line, "%s maskfn={%s[5 %% sq][j] > -3} score={0", user, words->text);
    for (int k = 0; k < count; k++) {
        const char *name = words[k].text;
        text_addf(&line,
                  k % 3 ? k % 3 == 1 ? " + floor(%s[i][1])" : " + floor(%s[i][j])"
                        : " + floor(%s[h][j]) * floor(%s[0][0])",
                  name, name);
    }
    text_addf(&line, " + s}");
    for (int k = 0; k < count; k++) text_addf(&line, " tensor=%s:f32[sq,sk]", words[k].text);
    fg_status s = fg_problem_parse(&handle, context, line.data, error);
    if (s == FG_OK) s = fg_plan_new(&plan, context, handle, NULL, error);
    if (s == FG_OK) {
        rng r = rng_new(1, 0);
        test_tensors_make(&t, handle, NULL, NULL);
        test_fill_usual(&t, &r);
        s = test_run(&t, plan, error);
        if (s == FG_OK) s = fg_check(context, handle, &t.args, NULL, &report, error);
    }
    test_tensors_free(&t);
    fg_plan_free(plan);
    fg_problem_free(handle);
    text_free(&line);
    return s;
}

/* Many at once; where that fails, the name that is to blame. */
static void try_group(fg_context *context, const char *user, const word *words, int count)
{
    fg_error error;
    if (try_names(context, user, words, count, &error) == FG_OK) return;
    for (int k = 0; k < count; k++)
        ck_assert_msg(try_names(context, user, words + k, 1, &error) == FG_OK,
                      "a tensor called '%s': %s\n%s", words[k].text, error.text, user);
    ck_abort_msg("tensors called '%s' to '%s': %s", words[0].text, words[count - 1].text,
                 error.text);
}

/* What a name means is the same where nothing is optimized. */
static fg_context *quick_context(void)
{
    fg_error error;
    fg_context *context;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.compiler = FLASHGEN_KERNEL_COMPILER;
    o.compiler_flags = FLASHGEN_KERNEL_FLAGS " -O0";
    o.store = "";
    o.threads = 2;
    ck_assert_msg(fg_context_new(&context, &o, &error) == FG_OK, "%s", error.text);
    return context;
}

START_TEST(tensors_may_have_any_name)
{
    static word words[names_max];
    const int group = problem_max_tensors;
    int count = 0, kept = 0, shard, shards;
    fg_context *context = quick_context();
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        collect(words, &count, context, texts[k]);
    ck_assert_int_gt(count, 300);
    for (size_t k = 0; k < sizeof further / sizeof *further; k++)
        add_word(words, &count, further[k], strlen(further[k]));
    for (int k = 0; k < count; k++)
        if (allowed(context, words[k].text)) words[kept++] = words[k];
    ck_assert_int_lt(count, names_max);
    support_shard(&shard, &shards);
    for (int k = shard * group; k < kept; k += shards * group)
        for (int u = 0; u < user_count; u++)
            try_group(context, users[u], words + k, kept - k < group ? kept - k : group);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { tensors_may_have_any_name, NULL };
    return support_run("names", tests);
}
