/* A kernel's text depends on no value that a run may replace. */
#include "gen/core/maker.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const maker_device device = {
    "a processor", "avx2", "gcc", "-O3 -mavx2", 2, 2, 32768, 1 << 20, false, 0, 0
};

static problem *parse(const char *line)
{
    problem *p;
    fg_error error = { 0 };
    ck_assert_msg(problem_parse(&p, &memory_default, line, strlen(line), &error) == FG_OK, "%s: %s",
                  line, error.text);
    return p;
}

/* The kernel with this config (NULL: the prior's), with PROBLEM where a comment tells the problem. */
static char *text_of(const problem *p, char **config)
{
    made *m;
    fg_error error = { 0 };
    maker_request request = { .memory = &memory_default,
                              .problem = p,
                              .device = &device,
                              .config = *config,
                              .templates = NULL,
                              .lines = true };
    ck_assert_msg(maker_installed->make(&m, &request, &error) == FG_OK, "%s", error.text);
    char *told = strstr(m->text, p->text), *result = NULL;
    ck_assert_ptr_nonnull(told);
    ck_assert_int_gt(
        asprintf(&result, "%.*sPROBLEM%s", (int)(told - m->text), m->text, told + p->text_length),
        0);
    if (!*config) *config = strdup(m->config);
    made_free(m);
    return result;
}

static void assert_same_text(const char *base, const char *one, const char *other)
{
    char line[2][400], *texts[2], *config = NULL;
    for (int k = 0; k < 2; k++) {
        snprintf(line[k], sizeof line[k], "%s %s", base, k ? other : one);
        problem *p = parse(line[k]);
        texts[k] = text_of(p, &config);
        problem_free(p);
    }
    ck_assert_msg(strcmp(texts[0], texts[1]) == 0, "%s | %s", line[0], line[1]);
    for (int k = 0; k < 2; k++) free(texts[k]);
    free(config);
}

START_TEST(values_are_no_part_of_the_text)
{
    static const char *const bases[] = {
        "dtype=f32 b=1 hq=4 sq=100 sk=300 d=64",
        "dtype=bf16 b=2 hq=8 hkv=2 sq=90 sk=91 d=80 causal bias=1HQK lse",
        "dtype=f16 b=3 hq=6 sq=64 d=33 dv=17 alibi mask=B11K layout=bhsd",
        "dtype=f32 b=2 hq=4 sq=7 sk=9 d=5 tensor=t:f32[hq] score={s - t[h] * abs(i - j)} "
        "maskfn={j % 3 ~= i % 2}",
    };
    static const char *const pairs[][2] = {
        { "scale=0.5", "scale=-1e-6" },
        { "scale=0", "" },
        { "softcap=20", "softcap=1e-30" },
        { "window=128,0", "window=-1,-1" },
        { "window=0,0", "window=2147483647,3" },
        { "softcap=1 window=5,-1 scale=2", "softcap=2 window=-1,7 scale=1" },
    };
    for (size_t b = 0; b < sizeof bases / sizeof *bases; b++)
        for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++)
            assert_same_text(bases[b], pairs[k][0], pairs[k][1]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { values_are_no_part_of_the_text, NULL };
    return support_run("kernel_part", tests);
}
