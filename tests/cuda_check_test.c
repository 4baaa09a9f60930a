/* fg_check of what is in the memory of GPUs that only seem to be there: as of the same in the host's. */
#include "tests/cuda_stub.h"
#include "tests/support_contents.h"
#include "tests/support_gpu.h"
#include "tests/support_trial.h"
#include "tests/support.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The same as on the host ---- */

/* Both find the same, to the last digit. */
static void check_alike(fg_context *gpu, fg_context *host, test_tensors *t)
{
    fg_check_options how = FG_CHECK_OPTIONS_INIT;
    fg_check_report here = { 0 }, there = { 0 };
    fg_error why_here = { 0 }, why_there = { 0 };
    int64_t pairs_here = 0, pairs_there = 1;
    test_mirror m;
    how.full = 1;
    fg_status s = fg_check(host, t->problem, &t->args, &how, &here, &why_here);
    ck_assert_msg(test_mirror_open(&m, gpu, t, &error) == FG_OK, "%s", error.text);
    ck_assert_int_eq(fg_check(gpu, t->problem, &m.args, &how, &there, &why_there), s);
    ck_assert_str_eq(why_there.text, why_here.text);
    ck_assert(there.error_over_bound == here.error_over_bound || isnan(here.error_over_bound));
    ck_assert(there.rms == here.rms || isnan(here.rms));
    ck_assert_int_eq(there.rows, here.rows);
    ck_assert_mem_eq(there.worst, here.worst, sizeof here.worst);
    ck_assert_int_eq(fg_visible_pairs(host, t->problem, &t->args, &pairs_here, &error), FG_OK);
    ck_assert_int_eq(fg_visible_pairs(gpu, t->problem, &m.args, &pairs_there, &error), FG_OK);
    ck_assert_int_eq(pairs_there, pairs_here);
    test_mirror_close(&m);
}

START_TEST(drawn_tensors)
{
    enum { cases = 120, seed = 20261125 };
    static const char *const outputs[] = { "o", "lse" };
    int alike = 0;
    fg_context *gpu = gpu_context("cuda:1"), *host = stub_context(NULL);
    for (int n = 0; n < cases; n++) {
        drawn_case c;
        fg_problem *p;
        test_tensors t;
        rng r = rng_new(seed, (uint64_t)n);
        case_draw(&c, seed, n, isa_lanes);
        const bool small = c.b * c.hq * c.sq * c.sk * (c.d + c.dv) < 4000000;
        if (small && fg_problem_parse(&p, host, c.line.data, &error) == FG_OK) {
            case_tensors(&t, p, &c);
            /* Not one-hot: a column of zeros is held to the smallest number, which a GPU's is not. */
            test_fill_normal(test_tensors_find(&t, "v"), &r);
            for (int k = 0; k < 2; k++)
                if (test_tensors_find(&t, outputs[k]))
                    test_fill_normal(test_tensors_find(&t, outputs[k]), &r);
            check_alike(gpu, host, &t);
            test_tensors_free(&t);
            fg_problem_free(p);
            alike++;
        }
        case_free(&c);
    }
    printf("%d drawn runs are checked alike on both sides\n", alike);
    ck_assert_int_ge(alike, cases / 2);
    fg_context_free(gpu);
    fg_context_free(host);
    ck_assert_int_eq(fake()->allocated, 0);
}
END_TEST

/* A kernel's own results, and those with a wrong element. */
START_TEST(right_and_wrong)
{
    trial x;
    test_mirror m;
    fg_check_report report;
    fg_context *host = test_context(0, 1), *gpu = gpu_context("cuda");
    trial_open(&x, host, NULL, "dtype=f32 b=2 hq=2 sq=9 sk=21 d=8 causal lse");
    trial_run(&x);
    ck_assert_int_eq(test_mirror_open(&m, gpu, &x.t, &error), FG_OK);
    ck_assert_int_eq(fg_check(gpu, x.handle, &m.args, NULL, &report, &error), FG_OK);
    ck_assert_double_gt(report.error_over_bound, 0);
    ck_assert_double_le(report.error_over_bound, 1);
    ck_assert_int_eq(report.rows, 2 * 2 * 9);
    float *o = m.args.o->data;
    o[((1 * 9 + 4) * 2 + 1) * 8 + 3] += 1;
    refuses(fg_check(gpu, x.handle, &m.args, NULL, &report, &error), FG_WRONG,
            "the output is wrong: o at b=1 h=1 i=4 column 3 is ");
    test_mirror_close(&m);
    trial_close(&x);
    fg_context_free(host);
    fg_context_free(gpu);
}
END_TEST

/* ---- Memory ---- */

enum { far = 1 << 20, keys = 40 }; /* elements from key to key */

/* Keys far apart, in reverse: each is a copy of its own, and what lies between is not copied. */
START_TEST(far_rows)
{
    test_tensors t;
    test_mirror m;
    void *block;
    fg_context *gpu, *host = stub_context(NULL);
    failing f = { .at = -1 };
    fg_context_options o = cuda_options("cuda");
    o.allocate = failing_allocate;
    o.allocate_user = &f;
    gpu = stub_context(&o);
    fg_problem *p = stub_problem(host, "dtype=f32 b=1 hq=1 sq=4 sk=40 d=8 dv=4");
    rng r = rng_new(1, 1);
    test_tensors_make(&t, p, NULL, NULL);
    test_fill_usual(&t, &r);
    ck_assert_int_eq(test_mirror_open(&m, gpu, &t, &error), FG_OK);
    ck_assert_int_eq(fg_memory_new(&block, gpu, (size_t)keys * far * 4, &error), FG_OK);
    float *first = (float *)block + (keys - 1) * (int64_t)far;
    for (int j = 0; j < keys; j++)
        for (int c = 0; c < 8; c++)
            first[c - j * (int64_t)far] = (float)test_get(&t.tensor[1], j * 8 + c);
    int64_t strides[] = { 0, -far, 99, 1 };
    m.copy[1].data = first;
    m.copy[1].strides = strides;
    m.copy[1].byte_offset = 0;
    fg_check_report here, there;
    const int copies = fake_count("cuMemcpy");
    const size_t before = f.bytes;
    f.most = 0;
    ck_assert_int_eq(fg_check(host, p, &t.args, NULL, &here, &error), FG_WRONG);
    ck_assert_int_eq(fg_check(gpu, p, &m.args, NULL, &there, &error), FG_WRONG);
    ck_assert_double_eq(here.error_over_bound, there.error_over_bound);
    ck_assert_int_eq(fake_count("cuMemcpy") - copies, 3 + keys);
    ck_assert_uint_lt(f.most, before + (1 << 20));
    ck_assert_uint_eq(f.bytes, before);
    fg_memory_free(gpu, block);
    test_mirror_close(&m);
    test_tensors_free(&t);
    fg_problem_free(p);
    fg_context_free(gpu);
    fg_context_free(host);
}
END_TEST

/* A GPU's context that counts allocations, and a run's tensors there. */
typedef struct checked {
    failing f;
    fg_context *gpu;
    fg_problem *problem;
    test_tensors t;
    test_mirror m;
    fg_check_report report;
} checked;

static void checked_new(checked *x)
{
    rng r = rng_new(1, 1);
    fg_context_options o = cuda_options("cuda");
    *x = (checked){ .f = { .at = -1 } };
    o.allocate = failing_allocate;
    o.allocate_user = &x->f;
    o.threads = 1;
    x->gpu = stub_context(&o);
    x->problem = stub_problem(
        x->gpu, "dtype=bf16 b=2 hq=4 hkv=2 sq=5 sk=9 d=8 lens=padded alibi bias=1HQK lse "
                "score={s + t[j]} tensor=t:f32[sk]");
    test_tensors_make(&x->t, x->problem, NULL, NULL);
    test_fill_usual(&x->t, &r);
    ck_assert_int_eq(test_mirror_open(&x->m, x->gpu, &x->t, &error), FG_OK);
}

static void checked_free(checked *x)
{
    test_mirror_close(&x->m);
    test_tensors_free(&x->t);
    fg_problem_free(x->problem);
    fg_context_free(x->gpu);
    ck_assert_int_eq((int)x->f.blocks, 0);
    ck_assert_int_eq(fake()->allocated, 0);
}

static fg_status check_again(checked *x)
{
    return fg_check(x->gpu, x->problem, &x->m.args, NULL, &x->report, &error);
}

START_TEST(every_allocation_fails)
{
    checked x;
    checked_new(&x);
    long before = x.f.count;
    const long blocks = x.f.blocks;
    ck_assert_int_eq(check_again(&x), FG_WRONG);
    const long all = x.f.count - before;
    ck_assert_int_gt((int)all, 10);
    for (int for_good = 0; for_good < 2; for_good++)
        for (long n = 1; n <= all; n++) {
            x.f.at = x.f.count + n;
            x.f.for_good = for_good;
            fg_status s = check_again(&x);
            ck_assert_msg(s == FG_MEMORY, "allocation %ld: %s: %s", n, fg_status_name(s),
                          error.text);
            ck_assert_msg(strstr(error.text, "out of memory") != NULL, "%s", error.text);
            x.f.at = -1;
            x.f.for_good = false;
            ck_assert_msg(x.f.blocks == blocks, "allocation %ld leaks", n);
            ck_assert_int_eq(fake()->depth(), 0);
        }
    checked_free(&x);
}
END_TEST

/* ---- The driver ---- */

/* Calls of `symbol` in a first check, whose pointers are all looked at. */
static int calls_of(const char *symbol)
{
    checked x;
    checked_new(&x);
    const int before = fake_count(symbol);
    ck_assert_int_eq(check_again(&x), FG_WRONG);
    const int count = fake_count(symbol) - before;
    checked_free(&x);
    return count;
}

/* The n-th call of `symbol` fails: whether the check does; nothing is held. */
static bool fails_with(const char *symbol, int n)
{
    checked x;
    checked_new(&x);
    const long blocks = x.f.blocks;
    fake_fail(symbol, 1, 719);
    fake()->fail_from += n - 1;
    fg_status s = check_again(&x);
    fake()->fail_symbol = NULL;
    if (s != FG_WRONG) refuses(s, FG_MACHINE, "CUDA_ERROR_LAUNCH_FAILED");
    ck_assert_int_eq((int)x.f.blocks, (int)blocks);
    ck_assert_int_eq(fake()->depth(), 0);
    checked_free(&x);
    return s != FG_WRONG;
}

START_TEST(every_call_fails)
{
    static const struct {
        const char *symbol;
        int ignored; /* calls, the last ones, on whose success nothing depends */
    } calls[] = { { "cuCtxGetCurrent", 0 },
                  { "cuCtxPushCurrent_v2", 0 },
                  { "cuStreamSynchronize", 0 },
                  { "cuThreadExchangeStreamCaptureMode", 1 },
                  { "cuMemcpy", 0 },
                  { "cuPointerGetAttributes", 0 } };
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        const int all = calls_of(calls[k].symbol) - calls[k].ignored;
        ck_assert_msg(all > 0, "%s is not called", calls[k].symbol);
        for (int n = 1; n <= all; n++)
            ck_assert_msg(fails_with(calls[k].symbol, n), "call %d of %s", n, calls[k].symbol);
    }
}
END_TEST

START_TEST(what_failed_is_told)
{
    checked x;
    checked_new(&x);
    fake_fail("cuMemcpy", 1, 719);
    refuses(check_again(&x), FG_MACHINE, "copying q to the host: CUDA_ERROR_LAUNCH_FAILED");
    fake_fail("cuStreamSynchronize", 1, 719);
    refuses(check_again(&x), FG_MACHINE, "waiting for the stream: CUDA_ERROR_LAUNCH_FAILED");
    checked_free(&x);
}
END_TEST

/* It waits for the run's stream, and not where that cannot be. */
START_TEST(streams)
{
    checked x;
    checked_new(&x);
    x.m.args.stream = fake()->stream;
    const int waits = fake_count("cuStreamSynchronize");
    ck_assert_int_eq(check_again(&x), FG_WRONG);
    ck_assert_int_eq(fake_count("cuStreamSynchronize"), waits + 1);
    ck_assert_ptr_eq(fake()->waited, fake()->stream);
    x.m.args.stream = NULL;
    fake()->capturing = 1;
    refuses(check_again(&x), FG_MACHINE, "waiting for the stream: ");
    fake()->capturing = 0;
    ck_assert_int_eq(fake()->depth(), 0);
    checked_free(&x);
}
END_TEST

/* ---- Bad input ---- */

START_TEST(tensors_elsewhere)
{
    checked x;
    float here[64];
    checked_new(&x);
    fg_context *host = stub_context(NULL), *none = gpu_context("sm_90");
    DLTensor *k = &x.m.copy[1];
    const DLTensor right = *k;
    refuses(fg_check(host, x.problem, &x.m.args, NULL, &x.report, &error), FG_REQUEST,
            "q is on device type 2: it must be in host memory (1)");
    refuses(fg_check(none, x.problem, &x.m.args, NULL, &x.report, &error), FG_MACHINE,
            "it has no GPU to run on");
    k->device = (DLDevice){ 1, 0 };
    refuses(check_again(&x), FG_REQUEST, "k is on device type 1: it must be on cuda:0 (2)");
    k->device = (DLDevice){ 2, 1 };
    refuses(check_again(&x), FG_REQUEST, "k is on cuda:1: ");
    *k = right;
    k->data = here;
    refuses(check_again(&x), FG_REQUEST, "k is in the host's memory");
    k->data = (char *)right.data + 8;
    refuses(check_again(&x), FG_REQUEST, "k is not aligned to 16 bytes");
    *k = right;
    k->device = (DLDevice){ 13, 0 }; /* managed: either side reads it */
    ck_assert_int_eq(check_again(&x), FG_WRONG);
    *k = right;
    int *lengths = x.m.args.k_lens->data;
    lengths[1] = 10;
    refuses(check_again(&x), FG_REQUEST, "k_lens");
    lengths[1] = 9;
    ck_assert_int_eq(check_again(&x), FG_WRONG);
    fg_context_free(host);
    fg_context_free(none);
    checked_free(&x);
}
END_TEST

START_TEST(forked)
{
    int how;
    checked x;
    checked_new(&x);
    pid_t child = fork();
    if (child == 0)
        _exit(check_again(&x) == FG_MACHINE && strstr(error.text, "forked process") ? 0 : 1);
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "it ended with %d", how);
    ck_assert_int_eq(check_again(&x), FG_WRONG);
    checked_free(&x);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        drawn_tensors,    right_and_wrong,
        far_rows,         every_allocation_fails,
        every_call_fails, what_failed_is_told,
        streams,          tensors_elsewhere,
        forked,           NULL,
    };
    return support_run("cuda_check", tests);
}
