/* What a search draws: sequences, pages and tensors that a run accepts, and NaN where none may read. */
#include "autotune/testbed.h"
#include "tests/runtime_stub.h"

#include <math.h>

static fg_context *context;
static fg_problem *handle;
static testbed bed;

static void begin_with(const char *line, const fg_dims *dims)
{
    fg_error error = { 0 };
    context = stub_context(NULL);
    handle = stub_problem(context, line);
    fg_status status = testbed_new(&bed, handle->problem, dims, 5, &error);
    ck_assert_msg(status == FG_OK, "%s: %s", line, error.text);
}

static void begin(const char *line)
{
    begin_with(line, NULL);
}

static void end(void)
{
    testbed_free(&bed);
    fg_problem_free(handle);
    fg_context_free(context);
}

static int64_t int_at(const char *name, int64_t index)
{
    testbed_tensor *t = testbed_find(&bed, name);
    ck_assert_ptr_nonnull(t);
    return ((const int32_t *)(const void *)t->memory.data)[index];
}

static double real_at(const char *name, int64_t a, int64_t b, int64_t c, int64_t d)
{
    testbed_tensor *t = testbed_find(&bed, name);
    int64_t at = a * t->stride[0] + b * t->stride[1] + c * t->stride[2] + d * t->stride[3];
    return dtype_load(t->operand->type, t->memory.data + at * (dtypes[t->operand->type].bits / 8));
}

/* ---- What a run accepts ---- */

static const char *const lines[] = {
    "dtype=f32 b=2 hq=4 hkv=2 sq=17 sk=33 d=8 lse",
    "dtype=f64 b=1 hq=2 sq=5 d=3 bias=1HQK dropout=0.5 sinks",
    "dtype=bf16 b=* hq=2 sq=* sk=* d=16 bias=B1QK mask=11QK tensor=t:f32[b,sk] score={s + t[b][j]}",
    "dtype=f32 b=* hq=4 hkv=2 sq=9 sk=* d=8 shard alibi sinks tensor=t:f32[b,hkv,sk] score={s + "
    "t[b][h][j]}",
    "dtype=f32 b=7 hq=2 sq=9 sk=30 d=8 lens=padded layout=bhsd lse",
    "dtype=f32 b=7 hq=2 sq=9 sk=30 d=8 lens=packed lse",
    "dtype=f32 b=* hq=2 sq=* sk=* d=8 lens=packed page=16 lse",
    "dtype=f16 b=3 hq=2 sq=1 sk=100 d=8 page=16",
    "dtype=f16 b=3 hq=2 sq=1 sk=* d=8 page=1 lens=padded align=2 layout=bhsd",
    "dtype=f32 b=2 hq=1 sq=3 sk=* d=8 page=48",
    "dtype=f32 b=1 hq=1 sq=0 sk=0 d=8 lens=packed",
    "dtype=f32 b=5 hq=1 sq=1 sk=0 d=8 page=64 lens=padded",
};

START_TEST(runs_accept_what_is_drawn)
{
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        fg_error error = { 0 };
        bound bounds[operand_max];
        begin(lines[k]);
        const problem *p = handle->problem;
        recipe_facts facts = { p->b, p->hq, p->hkv,          p->sq,           p->sk,
                               p->d, p->dv, problem_dynamic, problem_dynamic, 1 };
        fg_status status = operands_bind(bounds, &facts, &bed.operands, &bed.args, &error);
        ck_assert_msg(status == FG_OK, "%s: %s", lines[k], error.text);
        ck_assert_int_eq(facts.b, bed.dims.b);
        ck_assert_int_le(facts.sq, bed.dims.sq);
        ck_assert_int_le(facts.sk, bed.dims.sk);
        if (p->lens == LENS_none) ck_assert_int_eq(facts.sk, bed.dims.sk);
        ck_assert_int_eq(bed.args.seeded, p->dropout.present);
        ck_assert_ptr_null(bed.args.rng);
        end();
    }
}
END_TEST

START_TEST(sizes_are_those_asked_for)
{
    fg_dims dims = FG_DIMS_INIT;
    begin("dtype=f32 b=* hq=2 sq=* sk=* d=8");
    ck_assert_int_eq(bed.dims.b, 1);
    ck_assert_int_eq(bed.dims.sq, 1024);
    ck_assert_int_eq(bed.dims.sk, 1024);
    end();
    dims.b = 3;
    dims.sk = 50;
    begin_with("dtype=f32 b=* hq=2 sq=7 sk=* d=8", &dims);
    ck_assert_int_eq(testbed_find(&bed, "k")->dl.shape[0], 3);
    ck_assert_int_eq(testbed_find(&bed, "k")->dl.shape[1], 50);
    ck_assert_int_eq(testbed_find(&bed, "q")->dl.shape[1], 7);
    end();
}
END_TEST

/* ---- Lengths ---- */

static void check_lengths(const char *name, int64_t count, int64_t most)
{
    bool half = false, whole = false, sorted = true;
    for (int64_t n = 0; n < count; n++) {
        int64_t length = int_at(name, n);
        ck_assert_int_ge(length, most - most / 2);
        ck_assert_int_le(length, most);
        half = half || length == most - most / 2;
        whole = whole || length == most;
        sorted = sorted && (n == 0 || length <= int_at(name, n - 1));
    }
    ck_assert(half && whole && !sorted);
}

START_TEST(lengths_go_from_half_to_whole)
{
    begin("dtype=f32 b=9 hq=1 sq=100 sk=300 d=8 lens=padded");
    check_lengths("q_lens", 9, 100);
    check_lengths("k_lens", 9, 300);
    for (int64_t n = 0; n < 9; n++) /* a sequence's share of both is the same */
        ck_assert(llabs(int_at("k_lens", n) - 3 * int_at("q_lens", n)) <= 3);
    end();
    begin("dtype=f32 b=4 hq=1 sq=1 sk=301 d=8 lens=padded");
    for (int64_t n = 0; n < 4; n++) ck_assert_int_eq(int_at("q_lens", n), 1);
    end();
}
END_TEST

START_TEST(sequences_fill_a_total)
{
    static const int64_t totals[] = { 0, 1, 4, 35, 349, 650, 699, 700 };
    for (size_t k = 0; k < sizeof totals / sizeof *totals; k++) {
        fg_dims dims = FG_DIMS_INIT;
        dims.total_q = totals[k];
        begin_with("dtype=f32 b=7 hq=1 sq=100 sk=30 d=8 lens=packed", &dims);
        ck_assert_int_eq(int_at("cu_q", 0), 0);
        ck_assert_int_eq(int_at("cu_q", 7), totals[k]);
        ck_assert_int_eq(testbed_find(&bed, "q")->dl.shape[0], totals[k]);
        ck_assert_int_eq(bed.dims.total_q, totals[k]);
        for (int64_t n = 0; n < 7; n++) {
            int64_t length = int_at("cu_q", n + 1) - int_at("cu_q", n);
            ck_assert(length >= 0 && length <= 100);
        }
        end();
    }
    fg_error error;
    fg_dims dims = FG_DIMS_INIT;
    dims.total_q = 701;
    context = stub_context(NULL);
    handle = stub_problem(context, "dtype=f32 b=7 hq=1 sq=100 sk=30 d=8 lens=packed");
    ck_assert_int_eq(testbed_new(&bed, handle->problem, &dims, 0, &error), FG_REQUEST);
    ck_assert_str_eq(error.text, "total_q is 701: 7 sequences of at most 100 have no such total");
    fg_problem_free(handle);
    fg_context_free(context);
}
END_TEST

/* ---- NaN ---- */

static void check_behind(const char *name, const char *lens, bool heads_first)
{
    testbed_tensor *t = testbed_find(&bed, name);
    int64_t heads = t->shape[heads_first ? 1 : 2], positions = t->shape[heads_first ? 2 : 1];
    for (int64_t b = 0; b < t->shape[0]; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t s = 0; s < positions; s++)
                for (int64_t c = 0; c < t->shape[3]; c++) {
                    double x = real_at(name, b, heads_first ? h : s, heads_first ? s : h, c);
                    ck_assert_int_eq(!isnan(x), s < int_at(lens, b));
                }
}

START_TEST(behind_lengths_is_nan)
{
    static const char *const types[] = { "f32", "bf16", "f64" };
    for (int k = 0; k < 6; k++) {
        char line[100];
        snprintf(line, sizeof line, "dtype=%s b=4 hq=4 hkv=2 sq=13 sk=31 d=5 lens=padded%s",
                 types[k / 2], k % 2 ? " layout=bhsd" : "");
        begin(line);
        check_behind("q", "q_lens", k % 2);
        check_behind("k", "k_lens", k % 2);
        check_behind("v", "k_lens", k % 2);
        end();
    }
}
END_TEST

/* Pages that have keys have them in front; each page is one sequence's at most. */
static void check_pages(int64_t page, int64_t b, const char *lens)
{
    testbed_tensor *k = testbed_find(&bed, "k"), *table = testbed_find(&bed, "block_table");
    int64_t pages = k->shape[0], blocks = table->shape[1], spare = pages;
    int64_t keys[200] = { 0 };
    bool in_order = true;
    ck_assert_int_le(pages, 200);
    for (int64_t n = 0; n < b; n++)
        for (int64_t block = 0; block < blocks; block++) {
            int64_t at = int_at("block_table", n * blocks + block);
            int64_t left = int_at(lens, n) - block * page;
            ck_assert_int_eq(at >= 0, left > 0);
            if (at < 0) continue;
            ck_assert_int_lt(at, pages);
            ck_assert_int_eq(keys[at], 0);
            keys[at] = left < page ? left : page;
            in_order = in_order && at == pages - spare;
            spare--;
        }
    ck_assert(!in_order && spare > 0);
    for (int64_t at = 0; at < pages; at++)
        for (int64_t s = 0; s < page; s++) {
            ck_assert_int_eq(!isnan(real_at("k", at, s, 1, 2)), s < keys[at]);
            ck_assert_int_eq(!isnan(real_at("v", at, s, 0, 4)), s < keys[at]);
        }
}

START_TEST(pages_lie_anywhere)
{
    begin("dtype=f32 b=4 hq=4 hkv=2 sq=13 sk=50 d=5 lens=padded page=16 layout=bhsd");
    check_pages(16, 4, "k_lens");
    end();
    begin("dtype=f32 b=3 hq=4 hkv=2 sq=13 sk=50 d=5 lens=padded page=1");
    check_pages(1, 3, "k_lens");
    end();
}
END_TEST

/* ---- Documents ---- */

START_TEST(documents_ascend)
{
    begin("dtype=f32 b=3 hq=2 sq=200 sk=400 d=8 tensor=a:i32[b,sq] tensor=c:i32[b,sk] "
          "tensor=t:i32[hq] tensor=u:u8[9,9] "
          "maskfn={a[b][i] == c[b][j] and t[h] < 5 or u[i // 30][j // 60] ~= 0}");
    bool differ = false;
    for (int64_t b = 0; b < 3; b++) {
        for (int64_t i = 0; i < 200; i++) {
            int64_t id = int_at("a", b * 200 + i);
            ck_assert(id >= 0 && id < 8);
            if (i > 0) ck_assert_int_ge(id, int_at("a", b * 200 + i - 1));
            ck_assert_int_eq(id, int_at("c", b * 400 + 2 * i)); /* ends at the same share */
            differ = differ || id != int_at("a", i);
        }
        ck_assert_int_gt(int_at("a", b * 200 + 199), 2);
    }
    ck_assert(differ);
    const testbed_tensor *u = testbed_find(&bed, "u");
    int64_t kept = 0;
    for (int64_t k = 0; k < 81; k++) kept += u->memory.data[k] != 0;
    ck_assert(kept > 20 && kept < 60);
    end();
}
END_TEST

/* ---- |V| ---- */

/* Padding is nobody's there, too. */
static void check_absolute(const testbed_tensor *v, const testbed_tensor *a)
{
    const dtype type = v->operand->type;
    const size_t size = dtypes[type].bits / 8u;
    int64_t negative = 0, nans = 0;
    for (int64_t k = 0; k < v->rows * v->pitch; k++) {
        const char *x = v->memory.data + (size_t)k * size, *y = a->memory.data + (size_t)k * size;
        const double from = dtype_load(type, x), to = dtype_load(type, y);
        if (k % v->pitch >= v->row) {
            ck_assert_mem_eq(x, y, size);
            continue;
        }
        ck_assert_int_eq(isnan(from), isnan(to));
        if (!isnan(from)) ck_assert_double_eq(to, fabs(from));
        negative += from < 0;
        nans += isnan(from);
    }
    ck_assert(negative > 0 && nans > 0);
}

START_TEST(absolute_values)
{
    static const char *const types[] = { "f32", "f16", "bf16", "f64", "e4m3" };
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        char line[100];
        fg_error error;
        testbed_tensor a;
        snprintf(line, sizeof line, "dtype=%s b=3 hq=4 hkv=2 sq=13 sk=31 d=5 lens=padded align=16",
                 types[k]);
        begin(line);
        const testbed_tensor *v = testbed_find(&bed, "v");
        ck_assert_int_gt(v->pitch, v->row);
        ck_assert_int_eq(testbed_absolute(&a, v, &error), FG_OK);
        ck_assert_ptr_eq(a.dl.data, a.memory.data);
        check_absolute(v, &a);
        guarded_free(&a.memory);
        end();
    }
}
END_TEST

/* ---- Memory ---- */

static bool fails_at(long at)
{
    failing f = { .for_good = false };
    fg_context_options o = stub_options();
    o.allocate = failing_allocate;
    o.allocate_user = &f;
    context = stub_context(&o);
    handle = stub_problem(context, "dtype=f32 b=3 hq=2 sq=9 sk=30 d=8 lens=packed page=4");
    f.at = f.count + at;
    fg_error error;
    fg_status status = testbed_new(&bed, handle->problem, NULL, 0, &error);
    ck_assert(status == FG_OK || status == FG_MEMORY);
    if (status == FG_OK) testbed_free(&bed);
    fg_problem_free(handle);
    fg_context_free(context);
    ck_assert_int_eq(f.blocks, 0);
    return status != FG_OK;
}

START_TEST(out_of_memory)
{
    long at = 1;
    while (fails_at(at)) at++;
    ck_assert_int_gt(at, 3);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        runs_accept_what_is_drawn,
        sizes_are_those_asked_for,
        lengths_go_from_half_to_whole,
        sequences_fill_a_total,
        behind_lengths_is_nan,
        pages_lie_anywhere,
        documents_ascend,
        absolute_values,
        out_of_memory,
        NULL,
    };
    return support_run("testbed", tests);
}
