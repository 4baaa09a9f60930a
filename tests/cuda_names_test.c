/* What a problem calls its tensors gets in the way of nothing that CUDA kernels call by some name. */
/* ctest: labels=slow */
#include "tests/cuda_text.h"
#include "gen/core/text.h"

#include <ctype.h>

enum { names_max = 1024 };

typedef struct word {
    char text[40];
} word;

/* Problems of all schedules that have much of their own, and which of the devices they are for. */
static const struct {
    int device;
    const char *line;
} of_many_names[] = {
    { a100,
      "dtype=bf16 b=1 hq=4 hkv=2 sq=2 sk=900 d=16 causal window=30,3 softcap=9 lse dropout=0.1 "
      "sinks" },
    { h100, "dtype=bf16 b=2 hq=2 sq=2 sk=900 d=16 page=16 lse dropout=0.1 shard" },
    { a100, "dtype=f16 b=2 hq=2 sq=200 sk=300 d=16 lens=padded page=16 lse dropout=0.1 sinks "
            "window=30,3" },
    { h100, "dtype=f16 b=2 hq=2 sq=200 sk=300 d=16 lens=padded page=16 lse dropout=0.1 sinks "
            "window=30,3" },
    { h100, "dtype=f32 b=1 hq=4 hkv=2 sq=70 sk=90 d=16 causal softcap=9 lse" },
    { a100, "dtype=bf16 b=2 hq=2 sq=200 sk=300 d=16 lens=padded mask=B1QK" },
    { h100, "dtype=bf16 b=2 hq=2 sq=200 sk=300 d=16 lens=packed alibi mask=B1QK" },
};
enum { of_many_names_count = sizeof of_many_names / sizeof *of_many_names };

/* Whether a problem may have a tensor of this name. */
static bool is_allowed(const char *name)
{
    char line[256];
    fg_error error;
    problem *p = NULL;
    snprintf(line, sizeof line, "b=1 hq=2 sq=9 d=4 score={s + %s[h]} tensor=%s:f32[hq]", name,
             name);
    fg_status s = problem_parse(&p, &memory_default, line, strlen(line), &error);
    problem_free(p);
    return s == FG_OK;
}

/* What a text calls something, with an s behind it: its tensors' values are called as one of them. */
static void collect(word *words, int *found, const char *emitted)
{
    for (const char *at = strstr(emitted, "*/"); *at;) {
        size_t length = 0;
        word w;
        while (isalnum((unsigned char)at[length]) || at[length] == '_') length++;
        snprintf(w.text, sizeof w.text, "%.*ss", (int)length, at);
        bool known = length == 0 || isdigit((unsigned char)*at) || length > 30;
        for (int k = 0; k < *found && !known; k++) known = strcmp(words[k].text, w.text) == 0;
        if (!known && is_allowed(w.text)) {
            ck_assert_int_lt(*found, names_max);
            words[(*found)++] = w;
        }
        at += length ? length : 1;
    }
}

/* A kernel whose tensors have these names, read for launches, heads, rows and columns in turn. */
static void check_names(int nth, const word *words, int count)
{
    const char *line = of_many_names[nth].line;
    const maker_device *device = &devices[of_many_names[nth].device];
    static const char *const reads[] = { "[0][1]", "[h][1]", "[i][1]", "[j][1]" };
    text whole;
    rtc_result r;
    text_init(&whole, &memory_default);
    text_addf(&whole, "%s maskfn={%s[1][j] > -3} score={s", line, words->text);
    for (int k = 0; k < count; k++) text_addf(&whole, " + %s%s", words[k].text, reads[k % 4]);
    text_addf(&whole, "}");
    for (int k = 0; k < count; k++) text_addf(&whole, " tensor=%s:f32[sk,sk]", words[k].text);
    made *m = make(whole.data, device, NULL);
    ck_assert_msg(m != NULL, "%s", whole.data);
    ck_assert_msg(rtc_compile(&r, m->text, device->isa, true), "%s\n%s", whole.data, r.log);
    rtc_result_free(&r);
    made_free(m);
    text_free(&whole);
}

START_TEST(tensors_may_have_any_name)
{
    static word words[names_max];
    const int group = problem_max_tensors - 1; /* slots are few */
    int found = 0;
    if (!nvrtc_serves()) return;
    for (int k = 0; k < of_many_names_count; k++) {
        made *m = make(of_many_names[k].line, &devices[of_many_names[k].device], NULL);
        ck_assert_ptr_nonnull(m);
        collect(words, &found, m->text);
        made_free(m);
    }
    ck_assert_int_gt(found, 300);
    for (int k = 0, odd = 0; k < found; k += group, odd = !odd)
        for (int l = odd; l < of_many_names_count; l += 2)
            check_names(l, words + k, found - k < group ? found - k : group);
    printf("%d names\n", found);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { tensors_may_have_any_name, NULL };
    return support_run("cuda_names", tests);
}
