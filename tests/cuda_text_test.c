/* What can be known of CUDA text without a GPU: NVRTC compiles it for each architecture, tensor-core instructions are as
 * many as the tiles say, registers and shared memory as computed. */
/* ctest: labels=slow */
#include "tests/cuda_text.h"
#include "tests/support_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { seed = 20261123 };

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

/* Bytes that spill; whether ptxas, where it does not follow products in the background, waits for each. */
typedef struct compiled {
    int spilled;
    bool serialized;
} compiled;

/* Registers leave room for the threads that the launch has. */
static compiled check_compiles(const made *m, const maker_device *device, const char *line)
{
    rtc_result r;
    bool ok = rtc_compile(&r, m->text, device->isa, false);
    ck_assert_msg(ok, "%s\n%s %s\n%s", line, device->isa, m->config, r.log);
    ck_assert_msg(!strstr(r.log, "warning"), "%s\n%s %s\n%s", line, device->isa, m->config, r.log);
    compiled c = { 0, strstr(r.log, "wgmma") != NULL };
    int launches = 0;
    for (int s = 0; s < m->steps; s++) launches += m->step[s].clear[0] == 0;
    ck_assert_int_eq(r.kernels, launches);
    for (int k = 0; k < r.kernels; k++) {
        int threads = 0;
        for (int s = 0; s < m->steps; s++)
            if (strcmp(m->step[s].entry, r.kernel[k].entry) == 0) threads = m->step[s].threads;
        ck_assert_msg(threads > 0, "%s is no step", r.kernel[k].entry);
        ck_assert_int_gt(r.kernel[k].registers, 0);
        ck_assert_int_le((r.kernel[k].registers + 7) / 8 * 8 * threads, device->registers);
        c.spilled += r.kernel[k].spill_bytes;
    }
    rtc_result_free(&r);
    return c;
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
    for (size_t k = 0; k < 2 * sizeof lines / sizeof *lines; k++) {
        const maker_device *device = &devices[k % 2 ? h100 : a100];
        const char *line = lines[k / 2];
        made *m = make(line, device, NULL);
        ck_assert_ptr_nonnull(m);
        const compiled c = check_compiles(m, device, line);
        printf("%-55s %s %-75s spills %d bytes\n", line, device->isa, m->config, c.spilled);
        ck_assert_int_le(c.spilled, 128);
        ck_assert_msg(!c.serialized, "%s: products wait for each other", line);
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
        made *m = make(line, &devices[a100], NULL);
        ck_assert_ptr_nonnull(m);
        ck_assert_msg(rtc_compile(&r, m->text, "sm_80", true), "%s", r.log);
        int products = (64 + 32) / 8 * axis(m, "keys") / kinds[k].depth * (axis(m, "rows") / 16);
        ck_assert_int_eq(count(r.ptx, kinds[k].instruction), products * kinds[k].times);
        rtc_result_free(&r);
        made_free(m);
    }
}
END_TEST

/* Which schedule takes a problem is decided by the likely sizes where it leaves them open: few rows have one of their own,
 * warpgroups have blocks with much to do. */
START_TEST(few_rows_have_their_schedule)
{
    static const struct {
        const char *line;
        maker_sizes sizes;
        const char *schedule, *of_h100;
    } all[] = {
        { "dtype=bf16 b=1 hq=32 hkv=8 sq=1 sk=4096 d=128", { 0 }, "cuda_decode", "cuda_decode" },
        { "dtype=bf16 b=* hq=64 hkv=8 sq=* sk=* d=128 causal",
          { 4, 1, 8192 },
          "cuda_decode",
          "cuda_decode" },
        { "dtype=bf16 b=* hq=64 hkv=8 sq=* sk=* d=128 causal",
          { 4, 4, 8192 },
          "cuda_decode",
          "cuda_decode" },
        { "dtype=bf16 b=* hq=64 hkv=8 sq=* sk=* d=128 causal",
          { 4, 5, 8192 },
          "cuda_mma",
          "cuda_mma" },
        { "dtype=bf16 b=* hq=64 hkv=8 sq=* sk=* d=128 causal",
          { 4, 4096, 4096 },
          "cuda_mma",
          "cuda_wgmma" },
        { "dtype=bf16 b=* hq=8 sq=* sk=* d=128", { 4, 16, 8192 }, "cuda_decode", "cuda_decode" },
        { "dtype=bf16 b=* hq=8 sq=* sk=* d=128", { 4, 17, 8192 }, "cuda_mma", "cuda_mma" },
        { "dtype=bf16 b=4 hq=16 sq=1024 d=128", { 0 }, "cuda_mma", "cuda_wgmma" },
        { "dtype=bf16 b=32 hq=32 sq=512 d=64 causal", { 0 }, "cuda_mma", "cuda_mma" },
        { "dtype=f32 b=4 hq=16 sq=1024 d=128", { 0 }, "cuda_mma", "cuda_mma" },
        { "dtype=f32 b=1 hq=8 sq=1 sk=4096 d=128", { 0 }, "cuda_mma", "cuda_mma" },
        { "dtype=bf16 b=1 hq=8 sq=1 sk=4096 d=512", { 0 }, "cuda_mma", "cuda_mma" },
        { "dtype=bf16 b=1 hq=8 sq=1 sk=4096 d=128 align=2", { 0 }, "cuda_mma", "cuda_mma" },
        { "dtype=bf16 b=1 hq=8 sq=1 sk=4096 d=33", { 0 }, "cuda_mma", "cuda_mma" },
    };
    for (size_t k = 0; k < 2 * sizeof all / sizeof *all; k++) {
        const maker_device *device = &devices[k % 2 ? h100 : a100];
        const char *line = all[k / 2].line;
        const char *schedule = k % 2 ? all[k / 2].of_h100 : all[k / 2].schedule;
        fg_error error = { 0 };
        problem *p = NULL;
        maker_space *s = NULL;
        ck_assert_int_eq(problem_parse(&p, &memory_default, line, strlen(line), &error), FG_OK);
        maker_request request = {
            .memory = &memory_default, .problem = p, .device = device, .sizes = all[k / 2].sizes
        };
        ck_assert_msg(maker_installed->space(&s, &request, &error) == FG_OK, "%s: %s", line,
                      error.text);
        ck_assert_msg(strcmp(s->schedule, schedule) == 0, "%s took %s", s->schedule, line);
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
        ck_assert_int_eq(check_compiles(m, device, line).spilled, 0);
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

/* Each product of a tile is an instruction, of 16 columns of Q or keys of P; hardly anything spills, and shared memory has Q, the
 * stages of K and V in whole lines of 64 columns, and barriers. */
START_TEST(warpgroups_multiply)
{
    static const struct {
        const char *line;
        int d, dv;
    } all[] = { { "dtype=bf16 b=4 hq=16 sq=4096 d=64 lse", 64, 64 },
                { "dtype=f16 b=4 hq=16 sq=4096 d=128 causal", 128, 128 },
                { "dtype=bf16 b=1 hq=32 hkv=8 sq=8192 d=128 causal window=1000,0 lse", 128, 128 },
                { "dtype=f16 b=4 hq=16 sq=2048 d=128 alibi softcap=30", 128, 128 },
                { "dtype=bf16 b=2 hq=16 sq=2048 d=80 dv=72 mask=B1QK", 80, 72 },
                { "dtype=f16 b=2 hq=16 sq=2048 d=40 dv=256 lens=packed page=64 lse", 40, 256 },
                { "dtype=bf16 b=4 hq=8 sq=4096 d=256", 256, 256 } };
    const maker_device *device = &devices[h100];
    if (!nvrtc_serves()) return;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        rtc_result r;
        made *m = make(all[k].line, device, NULL);
        ck_assert_ptr_nonnull(m);
        ck_assert_str_eq(m->schedule, "cuda_wgmma");
        const compiled c = check_compiles(m, device, all[k].line);
        ck_assert_int_le(c.spilled, 64);
        ck_assert_msg(!c.serialized, "%s: products wait for each other", all[k].line);
        ck_assert_msg(rtc_compile(&r, m->text, device->isa, true), "%s", r.log);
        const int keys = axis(m, "keys"), groups = axis(m, "groups");
        const int lines = (all[k].d + 63) / 64, v_lines = (all[k].dv + 63) / 64;
        ck_assert_int_eq(count(r.ptx, "wgmma.mma_async.sync.aligned.m64n"),
                         (all[k].d + 15) / 16 + keys / 16);
        ck_assert_int_eq(count(r.ptx, "mma.sync."), 0);
        ck_assert_int_eq(count(r.ptx, "setmaxnreg."), groups > 1 ? 2 : 0);
        const int q_lines = lines > v_lines ? lines : v_lines; /* O takes the place of Q */
        const int64_t tiles =
            64 * groups * q_lines * 128 + axis(m, "stages") * keys * (lines + v_lines) * 128;
        const int64_t bytes = number_of(&m->step[m->steps - 1].scratch);
        ck_assert_int_gt(bytes, tiles);
        ck_assert_int_lt(bytes, tiles + 512);
        ck_assert_int_le(bytes, 232448);
        ck_assert_int_eq(m->step[m->steps - 1].threads, 128 * (groups + 1));
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
        made *m = make(all[k].line, &devices[a100], NULL);
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
    maker_device older = devices[a100];
    older.isa = "sm_75";
    ck_assert_ptr_null(make("dtype=f16 b=1 hq=2 sq=64 d=64", &older, NULL));
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
                             warpgroups_multiply,
                             loose_elements_are_in_parts,
                             older_gpus_are_refused,
                             drawn_kernels_compile_everywhere,
                             NULL };
    return support_run("cuda_text", tests);
}
