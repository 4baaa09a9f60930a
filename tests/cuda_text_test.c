/* What can be known of CUDA text without a GPU: NVRTC compiles it for each architecture, tensor-core instructions are as
 * many as the tiles say, registers and shared memory as computed. */
/* ctest: labels=slow */
#include "gen/core/maker.h"
#include "tests/support_case.h"
#include "tests/support_nvrtc.h"
#include "tests/support.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { seed = 20261123 };

static const maker_device devices[] = {
    { "NVIDIA A100", "sm_80", "nvrtc", "", 108, 216, 167936, 40 << 20, true, 166912, 65536 },
    { "NVIDIA RTX A6000", "sm_86", "nvrtc", "", 84, 168, 102400, 6 << 20, true, 101376, 65536 },
    { "NVIDIA L40", "sm_89", "nvrtc", "", 142, 284, 102400, 96 << 20, true, 101376, 65536 },
    { "NVIDIA H100", "sm_90", "nvrtc", "", 132, 264, 233472, 50 << 20, true, 232448, 65536 },
    { "NVIDIA RTX 5090", "sm_120", "nvrtc", "", 170, 340, 102400, 96 << 20, true, 101376, 65536 },
};
enum { device_count = sizeof devices / sizeof *devices };

static bool nvrtc_serves(void)
{
    const char *why = rtc_missing();
    if (why) printf("skipped: %s\n", why);
    return why == NULL;
}

/* NULL where the line is no problem, or no schedule takes it. */
static made *make(const char *line, const maker_device *device, const char *config)
{
    fg_error error = { 0 };
    problem *p = NULL;
    made *m = NULL;
    if (problem_parse(&p, &memory_default, line, strlen(line), &error) != FG_OK) return NULL;
    maker_request request = {
        .memory = &memory_default, .problem = p, .device = device, .config = config
    };
    fg_status s = maker_installed->make(&m, &request, &error);
    ck_assert_msg(s == FG_OK || s == FG_UNSUPPORTED, "%s: %s", line, error.text);
    problem_free(p);
    return s == FG_OK ? m : NULL;
}

static int axis(const made *m, const char *name)
{
    char word[32];
    snprintf(word, sizeof word, "%s=", name);
    const char *at = strstr(m->config, word);
    ck_assert_msg(at != NULL, "%s has no %s", m->config, name);
    return atoi(at + strlen(word));
}

static int count(const char *in, const char *word)
{
    int n = 0;
    for (; (in = strstr(in, word)); in++) n++;
    return n;
}

/* Registers leave room for the threads that the launch has; what spills. */
static int check_compiles(const made *m, const maker_device *device, const char *line)
{
    rtc_result r;
    bool ok = rtc_compile(&r, m->text, device->isa, false);
    ck_assert_msg(ok, "%s\n%s %s\n%s", line, device->isa, m->config, r.log);
    ck_assert_msg(!strstr(r.log, "warning"), "%s\n%s %s\n%s", line, device->isa, m->config, r.log);
    int spilled = 0, launches = 0;
    for (int s = 0; s < m->steps; s++) launches += m->step[s].clear[0] == 0;
    ck_assert_int_eq(r.kernels, launches);
    for (int k = 0; k < r.kernels; k++) {
        int threads = 0;
        for (int s = 0; s < m->steps; s++)
            if (strcmp(m->step[s].entry, r.kernel[k].entry) == 0) threads = m->step[s].threads;
        ck_assert_msg(threads > 0, "%s is no step", r.kernel[k].entry);
        ck_assert_int_gt(r.kernel[k].registers, 0);
        ck_assert_int_le((r.kernel[k].registers + 7) / 8 * 8 * threads, device->registers);
        spilled += r.kernel[k].spill_bytes;
    }
    rtc_result_free(&r);
    return spilled;
}

/* ---- The shapes that count ---- */

START_TEST(usual_shapes_hardly_spill)
{
    static const char *const lines[] = {
        "dtype=bf16 b=4 hq=32 sq=4096 d=64",
        "dtype=bf16 b=4 hq=32 sq=4096 d=64 causal lse",
        "dtype=f16 b=4 hq=16 sq=4096 d=128",
        "dtype=bf16 b=4 hq=16 sq=4096 d=128 causal lse",
        "dtype=bf16 b=1 hq=32 hkv=8 sq=8192 d=128 causal",
        "dtype=bf16 b=4 hq=8 sq=4096 d=256 causal",
        "dtype=bf16 b=8 hq=32 hkv=8 sq=1 sk=8192 d=128",
        "dtype=f32 b=4 hq=16 sq=2048 d=64 causal",
        "dtype=f32 b=2 hq=16 sq=4096 d=128",
    };
    if (!nvrtc_serves()) return;
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        const maker_device *device = &devices[3];
        made *m = make(lines[k], device, NULL);
        ck_assert_ptr_nonnull(m);
        int spilled = check_compiles(m, device, lines[k]);
        printf("%-55s %-75s spills %d bytes\n", lines[k], m->config, spilled);
        ck_assert_int_le(spilled, 128);
        made_free(m);
    }
}
END_TEST

/* Loops are unrolled: each product of a tile is an instruction of its own. */
START_TEST(products_are_on_tensor_cores)
{
    static const struct {
        const char *type, *instruction;
        int depth, times; /* of a product; instructions of one */
    } kinds[] = { { "bf16", "mma.sync.aligned.m16n8k16.row.col.f32.bf16", 16, 1 },
                  { "f16", "mma.sync.aligned.m16n8k16.row.col.f32.f16", 16, 1 },
                  { "f32", "mma.sync.aligned.m16n8k8.row.col.f32.tf32", 8, 3 } };
    if (!nvrtc_serves()) return;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char line[128];
        rtc_result r;
        snprintf(line, sizeof line, "dtype=%s b=2 hq=4 sq=512 d=64 dv=32", kinds[k].type);
        made *m = make(line, &devices[0], NULL);
        ck_assert_ptr_nonnull(m);
        ck_assert_msg(rtc_compile(&r, m->text, "sm_80", true), "%s", r.log);
        int products = (64 + 32) / 8 * axis(m, "keys") / kinds[k].depth * (axis(m, "rows") / 16);
        ck_assert_int_eq(count(r.ptx, kinds[k].instruction), products * kinds[k].times);
        rtc_result_free(&r);
        made_free(m);
    }
}
END_TEST

/* Which schedule takes a problem where it leaves sizes open is decided by the likely ones; what few rows are not for goes
 * to the other. */
START_TEST(few_rows_have_their_schedule)
{
    static const struct {
        const char *line;
        maker_sizes sizes;
        const char *schedule;
    } all[] = {
        { "dtype=bf16 b=1 hq=32 hkv=8 sq=1 sk=4096 d=128", { 0 }, "cuda_decode" },
        { "dtype=bf16 b=* hq=64 hkv=8 sq=* sk=* d=128 causal", { 4, 1, 8192 }, "cuda_decode" },
        { "dtype=bf16 b=* hq=64 hkv=8 sq=* sk=* d=128 causal", { 4, 4, 8192 }, "cuda_decode" },
        { "dtype=bf16 b=* hq=64 hkv=8 sq=* sk=* d=128 causal", { 4, 5, 8192 }, "cuda_mma" },
        { "dtype=bf16 b=* hq=8 sq=* sk=* d=128", { 4, 16, 8192 }, "cuda_decode" },
        { "dtype=bf16 b=* hq=8 sq=* sk=* d=128", { 4, 17, 8192 }, "cuda_mma" },
        { "dtype=f32 b=1 hq=8 sq=1 sk=4096 d=128", { 0 }, "cuda_mma" },
        { "dtype=bf16 b=1 hq=8 sq=1 sk=4096 d=512", { 0 }, "cuda_mma" },
        { "dtype=bf16 b=1 hq=8 sq=1 sk=4096 d=128 align=2", { 0 }, "cuda_mma" },
        { "dtype=bf16 b=1 hq=8 sq=1 sk=4096 d=33", { 0 }, "cuda_mma" },
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        fg_error error = { 0 };
        problem *p = NULL;
        maker_space *s = NULL;
        ck_assert_int_eq(
            problem_parse(&p, &memory_default, all[k].line, strlen(all[k].line), &error), FG_OK);
        maker_request request = {
            .memory = &memory_default, .problem = p, .device = &devices[3], .sizes = all[k].sizes
        };
        ck_assert_msg(maker_installed->space(&s, &request, &error) == FG_OK, "%s: %s", all[k].line,
                      error.text);
        ck_assert_msg(strcmp(s->schedule, all[k].schedule) == 0, "%s took %s", s->schedule,
                      all[k].line);
        maker_space_free(s);
        problem_free(p);
    }
}
END_TEST

/* What is known at generation: 0 where a recipe says something else than a number. */
static int64_t number_of(const recipe *r)
{
    int64_t value = 0;
    const recipe_facts none = { 0 };
    return recipe_eval(r, &none, &value, NULL) == FG_OK ? value : 0;
}

/* Few query rows: nothing spills, each product is an instruction, each warp has a ring of its own. */
START_TEST(decoding_keeps_to_what_is_computed)
{
    static const struct {
        const char *line;
        int d;
    } all[] = { { "dtype=bf16 b=1 hq=32 hkv=8 sq=1 sk=131072 d=128", 128 },
                { "dtype=f16 b=16 hq=32 hkv=8 sq=4 sk=8192 d=128 causal lse lens=padded page=64",
                  128 },
                { "dtype=bf16 b=2 hq=16 hkv=2 sq=4 sk=8192 d=64 causal alibi softcap=30", 64 },
                { "dtype=bf16 b=2 hq=32 hkv=8 sq=4 sk=8192 d=256 causal dropout=0.1 lse", 256 } };
    if (!nvrtc_serves()) return;
    for (size_t k = 0; k < sizeof all / sizeof *all * device_count; k++) {
        const maker_device *device = &devices[k % device_count];
        const char *line = all[k / device_count].line;
        const int d = all[k / device_count].d;
        rtc_result r;
        if (!rtc_knows(device->isa)) continue;
        made *m = make(line, device, NULL);
        ck_assert_ptr_nonnull(m);
        ck_assert_str_eq(m->schedule, "cuda_decode");
        ck_assert_int_eq(check_compiles(m, device, line), 0);
        ck_assert_msg(rtc_compile(&r, m->text, device->isa, true), "%s", r.log);
        const int keys = axis(m, "keys"), fragments = axis(m, "rows") / 16;
        ck_assert_int_eq(count(r.ptx, "mma.sync.aligned.m16n8k16"),
                         fragments * (d / 16 * keys / 8 + keys / 16 * d / 8));
        int64_t bytes = axis(m, "warps") * axis(m, "stages") * keys * 2 * d * 2;
        if (axis(m, "held") == 0) bytes += axis(m, "rows") * d * 2;
        const bool splits = axis(m, "splits") > 1; /* which count from 0 on */
        ck_assert_int_eq(m->steps, splits ? 2 : 1);
        ck_assert_str_eq(m->step[0].clear, splits ? "arrived" : "");
        ck_assert_int_eq(number_of(&m->step[m->steps - 1].scratch), bytes);
        ck_assert_int_eq(m->regions, splits ? 2 : 0);
        rtc_result_free(&r);
        made_free(m);
    }
}
END_TEST

/* No instruction reads or writes more than the alignment that is promised. */
START_TEST(loose_elements_are_in_parts)
{
    static const struct {
        const char *line, *wide;
    } all[] = { { "dtype=f32 b=1 hq=2 sq=64 d=36 align=2", "global.f32" },
                { "dtype=f32 b=1 hq=2 sq=64 d=36 align=1", "global.u16" },
                { "dtype=f16 b=1 hq=2 sq=64 d=36 align=1", "global.u16" } };
    if (!nvrtc_serves()) return;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        rtc_result r;
        made *m = make(all[k].line, &devices[0], NULL);
        ck_assert_ptr_nonnull(m);
        ck_assert_msg(rtc_compile(&r, m->text, "sm_80", true), "%s", r.log);
        ck_assert_int_gt(count(r.ptx, "ld.global."), 0);
        ck_assert_int_eq(count(r.ptx, all[k].wide), 0);
        ck_assert_int_eq(count(r.ptx, "global.u32") + count(r.ptx, "global.v"), 0);
        rtc_result_free(&r);
        made_free(m);
    }
}
END_TEST

START_TEST(older_gpus_are_refused)
{
    maker_device older = devices[0];
    older.isa = "sm_75";
    ck_assert_ptr_null(make("dtype=f16 b=1 hq=2 sq=64 d=64", &older, NULL));
}
END_TEST

/* ---- Names ---- */

enum { names_max = 1024 };

typedef struct word {
    char text[40];
} word;

/* Problems of both schedules that have much of their own. */
static const char *const of_many_names[] = {
    "dtype=bf16 b=1 hq=4 hkv=2 sq=2 sk=900 d=16 causal window=30,3 softcap=9 lse dropout=0.1 sinks",
    "dtype=bf16 b=2 hq=2 sq=2 sk=900 d=16 page=16 lse dropout=0.1 shard",
    "dtype=f16 b=2 hq=2 sq=200 sk=300 d=16 lens=padded page=16 lse dropout=0.1 sinks window=30,3",
    "dtype=f32 b=1 hq=4 hkv=2 sq=70 sk=90 d=16 causal softcap=9 lse",
    "dtype=bf16 b=2 hq=2 sq=200 sk=300 d=16 lens=padded mask=B1QK",
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
static void check_names(const char *line, const word *words, int count)
{
    static const char *const reads[] = { "[0][1]", "[h][1]", "[i][1]", "[j][1]" };
    text whole;
    rtc_result r;
    text_init(&whole, &memory_default);
    text_addf(&whole, "%s maskfn={%s[1][j] > -3} score={s", line, words->text);
    for (int k = 0; k < count; k++) text_addf(&whole, " + %s%s", words[k].text, reads[k % 4]);
    text_addf(&whole, "}");
    for (int k = 0; k < count; k++) text_addf(&whole, " tensor=%s:f32[sk,sk]", words[k].text);
    made *m = make(whole.data, &devices[3], NULL);
    ck_assert_msg(m != NULL, "%s", whole.data);
    ck_assert_msg(rtc_compile(&r, m->text, "sm_90", true), "%s\n%s", whole.data, r.log);
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
        made *m = make(of_many_names[k], &devices[3], NULL);
        ck_assert_ptr_nonnull(m);
        collect(words, &found, m->text);
        made_free(m);
    }
    ck_assert_int_gt(found, 300);
    for (int k = 0, odd = 0; k < found; k += group, odd = !odd)
        for (int l = odd; l < of_many_names_count; l += 2)
            check_names(of_many_names[l], words + k, found - k < group ? found - k : group);
    printf("%d names\n", found);
}
END_TEST

/* ---- Drawn problems and configs ---- */

static char *config_of(const problem *p, const maker_device *device, uint64_t number)
{
    char *config = NULL;
    int64_t legal = 0;
    fg_error error;
    maker_request request = {
        .memory = &memory_default, .problem = p, .device = device, .config = ""
    };
    fg_status s = maker_installed->config_at(&config, &legal, &request, (int64_t)number, &error);
    return s == FG_OK ? config : NULL;
}

static void check_draw(const drawn_case *c, const maker_device *device, int *ran)
{
    fg_error error;
    problem *p = NULL;
    if (problem_parse(&p, &memory_default, c->line.data, strlen(c->line.data), &error) != FG_OK)
        return;
    char *config = config_of(p, device, c->config);
    made *m = config ? make(c->line.data, device, config) : NULL;
    if (m) {
        check_compiles(m, device, c->line.data);
        ++*ran;
    }
    made_free(m);
    memory_free(&memory_default, config, 0);
    problem_free(p);
}

START_TEST(drawn_kernels_compile_everywhere)
{
    static const int lanes[] = { 4, 8, 16, 16 };
    const int each = support_sweep() / 60;
    if (!nvrtc_serves()) return;
    for (int d = 0; d < device_count; d++) {
        int ran = 0;
        if (!rtc_knows(devices[d].isa)) {
            printf("skipped %s: this NVRTC does not know it\n", devices[d].isa);
            continue;
        }
        for (int64_t k = 0; ran < each; k++) {
            drawn_case c;
            case_draw(&c, seed + (uint64_t)d, k, lanes);
            check_draw(&c, &devices[d], &ran);
            case_free(&c);
        }
        printf("%s: %d drawn kernels compile\n", devices[d].isa, ran);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = { usual_shapes_hardly_spill,
                             products_are_on_tensor_cores,
                             few_rows_have_their_schedule,
                             decoding_keeps_to_what_is_computed,
                             loose_elements_are_in_parts,
                             tensors_may_have_any_name,
                             older_gpus_are_refused,
                             drawn_kernels_compile_everywhere,
                             NULL };
    return support_run("cuda_text", tests);
}
