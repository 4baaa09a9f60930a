/* Candidates measured on a GPU that only seems to be there: C, run by a driver of the tests' in a worker process or here. */
/* ctest: timeout=300 */
#include "autotune/measurer.h"
#include "tests/cuda_candidate.h"
#include "tests/cuda_stub.h"

/* ---- Candidates ---- */

typedef struct trial {
    fg_context *context;
    fg_problem *problem;
    measurer *measurer;
    image good;
} trial;

static fg_status start_with(trial *t, const fg_context_options *options, const char *line,
                            bool here, double seconds)
{
    fg_context_options o = *options;
    o.worker = FLASHGEN_COMMAND;
    o.threads = 2;
    t->context = stub_context(&o);
    t->problem = stub_problem(t->context, line);
    cuda_candidate_make(&t->good, t->context, t->problem, CUDA_FAULT_none);
    const measurer_options m = { t->context, t->problem->problem, here, seconds, NULL };
    return measurer_new(&t->measurer, &m, &error);
}

static fg_status start(trial *t, const fg_context_options *options, bool here, double seconds)
{
    return start_with(t, options, CANDIDATE_PROBLEM, here, seconds);
}

static void trial_new(trial *t, bool here, double seconds)
{
    const fg_context_options o = cuda_options("cuda");
    fg_status status = start(t, &o, here, seconds);
    ck_assert_msg(status == FG_OK, "%s", error.text);
}

static void trial_free(trial *t)
{
    measurer_free(t->measurer);
    image_free(&t->good);
    fg_problem_free(t->problem);
    fg_context_free(t->context);
    ck_assert_int_eq(fake()->allocated, 0);
    ck_assert_int_eq(fake()->events, 0);
    ck_assert_int_eq(fake()->pinned, 0);
    ck_assert_int_eq(fake()->device[0].loaded, 0);
    ck_assert_int_eq(fake()->depth(), 0);
}

/* Frees the image. */
static fg_status try_image(trial *t, int id, image *i)
{
    double seconds = -1;
    fg_status status = measurer_try(t->measurer, &seconds, id, i, &error);
    if (status == FG_OK) ck_assert(seconds > 0 && seconds < 10);
    image_free(i);
    return status;
}

static fg_status try_fault(trial *t, int id, cuda_fault fault)
{
    image i;
    cuda_candidate_make(&i, t->context, t->problem, fault);
    return try_image(t, id, &i);
}

static void pass(trial *t, int id)
{
    fg_status status = try_fault(t, id, CUDA_FAULT_none);
    ck_assert_msg(status == FG_OK, "%d: %s", id, error.text);
}

static void rejects(trial *t, int id, cuda_fault fault, const char *says)
{
    fg_status status = try_fault(t, id, fault);
    ck_assert_msg(status == FG_WRONG, "%s: %s %s", cuda_faults[fault], fg_status_name(status),
                  error.text);
    ck_assert_msg(strstr(error.text, says) != NULL, "%s: %s", cuda_faults[fault], error.text);
}

static void time_all(trial *t, const int *ids, int count)
{
    double samples[64];
    int culprit;
    fg_status status = measurer_time(t->measurer, samples, ids, count, 3, &culprit, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    for (int k = 0; k < 3 * count; k++) ck_assert(samples[k] > 0 && samples[k] < 10);
}

/* A run's time is that of all its steps. */
START_TEST(times_have_the_clear)
{
    trial t;
    double samples[6] = { 0 };
    int culprit;
    const int ids[] = { 0, 1 };
    trial_new(&t, true, 20);
    pass(&t, 0);
    stub_clears = "work";
    pass(&t, 1);
    fake()->fill_seconds = 1;
    ck_assert_int_eq(measurer_time(t.measurer, samples, ids, 2, 3, &culprit, &error), FG_OK);
    for (int k = 0; k < 6; k++) ck_assert(k < 3 ? samples[k] < 1 : samples[k] > 1);
    fake()->fill_seconds = 0;
    trial_free(&t);
}
END_TEST

/* ---- Faults ---- */

static const struct {
    cuda_fault fault;
    const char *says;
} wrongs[] = {
    { CUDA_FAULT_wrong_sampled, "o at b=0 h=0 i=300 column 1 is " },
    { CUDA_FAULT_wrong_unsampled, "o at b=0 h=1 i=" },
    { CUDA_FAULT_wrong_lse, "lse at b=0 h=1 i=" },
    { CUDA_FAULT_unwritten, "it did not write o[0][" },
    { CUDA_FAULT_before, "it wrote before o" },
    { CUDA_FAULT_behind, "it wrote behind o" },
    { CUDA_FAULT_far_behind, "it wrote behind o" },
    { CUDA_FAULT_lse_behind, "it wrote behind lse" },
    { CUDA_FAULT_workspace_before, "it wrote before its workspace" },
    { CUDA_FAULT_workspace_behind, "it wrote behind its workspace" },
    { CUDA_FAULT_input, "it wrote to k, which is no output" },
    { CUDA_FAULT_input_before, "it wrote before v" },
    { CUDA_FAULT_reads_behind, "o[0][0][0][1]" }, /* of ones alone, as what it read */
};

static void reject_all(bool here)
{
    trial t;
    const int ids[] = { 0, 102, 100, 101 };
    trial_new(&t, here, 20);
    pass(&t, 0);
    for (int k = 0; k < (int)(sizeof wrongs / sizeof *wrongs); k++) {
        rejects(&t, k + 1, wrongs[k].fault, wrongs[k].says);
        pass(&t, 100 + k % 3);
    }
    time_all(&t, ids, 4);
    trial_free(&t);
}

START_TEST(wrong_ones_are_rejected)
{
    reject_all(false);
    reject_all(true);
}
END_TEST

/* Rows of o that are farther from each other than they are long. */
START_TEST(padding_is_nobodys)
{
    const fg_context_options o = cuda_options("cuda");
    for (int here = 0; here < 2; here++) {
        trial t;
        const int ids[] = { 1, 3 };
        ck_assert_int_eq(
            start_with(&t, &o, "dtype=f32 b=1 hq=2 hkv=1 sq=301 sk=20 d=8 dv=3 lse", here, 20),
            FG_OK);
        rejects(&t, 2, CUDA_FAULT_between, "it wrote between the rows of o");
        pass(&t, 1);
        rejects(&t, 2, CUDA_FAULT_between, "it wrote between the rows of o");
        pass(&t, 3);
        time_all(&t, ids, 2);
        trial_free(&t);
    }
}
END_TEST

/* The worker's context is lost with it; another goes on, with what passed before. */
START_TEST(a_fault_costs_one_candidate)
{
    trial t;
    const int ids[] = { 1, 3 };
    int files = stub_open_files();
    trial_new(&t, false, 20);
    pass(&t, 1);
    for (int k = 0; k < 2; k++) {
        rejects(&t, 2, CUDA_FAULT_crash, "CUDA_ERROR_ILLEGAL_ADDRESS");
        pass(&t, 3);
    }
    time_all(&t, ids, 2);
    rejects(&t, 2, CUDA_FAULT_crash, "CUDA_ERROR_ILLEGAL_ADDRESS");
    time_all(&t, ids, 2);
    trial_free(&t);
    ck_assert_int_eq(stub_open_files(), files);
}
END_TEST

/* One that passed, and faults when the next worker is shown it, costs that worker, and itself alone. */
static void fault_in_the_next_worker(int id)
{
    trial t;
    double samples[9];
    int culprit = -1;
    const int all[] = { 1, 2, 3 }, others[] = { 1, id == 3 ? 2 : 3, 5 };
    trial_new(&t, false, 20);
    for (int k = 1; k <= 3; k++)
        ck_assert_int_eq(try_fault(&t, k, k == id ? CUDA_FAULT_next_worker : CUDA_FAULT_none),
                         FG_OK);
    setenv("CUDA_MPS_PIPE_DIRECTORY", "/", 1);
    rejects(&t, 4, CUDA_FAULT_crash, "CUDA_ERROR_ILLEGAL_ADDRESS");
    pass(&t, 5);
    refuses(measurer_time(t.measurer, samples, all, 3, 3, &culprit, &error), FG_WRONG,
            "CUDA_ERROR_ILLEGAL_ADDRESS");
    unsetenv("CUDA_MPS_PIPE_DIRECTORY");
    ck_assert_int_eq(culprit, id - 1);
    time_all(&t, others, 3);
    trial_free(&t);
}

START_TEST(a_fault_in_the_next_worker)
{
    fault_in_the_next_worker(2);
    fault_in_the_next_worker(3);
}
END_TEST

START_TEST(hangs_are_ended)
{
    trial t;
    trial_new(&t, false, 3);
    rejects(&t, 1, CUDA_FAULT_hang, "hung: ended after 3000 ms");
    pass(&t, 2);
    trial_free(&t);
}
END_TEST

START_TEST(faults_while_timed)
{
    static const cuda_fault faults[] = { CUDA_FAULT_late_crash, CUDA_FAULT_late_hang };
    for (int k = 0; k < 2; k++) {
        trial t;
        double samples[3 * 20];
        int culprit = -1;
        const int ids[] = { 4, 9, 5 }, others[] = { 5, 4 };
        trial_new(&t, false, 3);
        pass(&t, 4);
        pass(&t, 5);
        ck_assert_int_eq(try_fault(&t, 9, faults[k]), FG_OK);
        refuses(measurer_time(t.measurer, samples, ids, 3, 20, &culprit, &error), FG_WRONG,
                k ? "hung" : "CUDA_ERROR_ILLEGAL_ADDRESS");
        ck_assert_int_eq(culprit, 1);
        time_all(&t, others, 2);
        trial_free(&t);
    }
}
END_TEST

/* Nothing else can be measured in this process then. */
START_TEST(a_fault_in_this_process)
{
    trial t;
    double samples[20];
    int culprit;
    const int late = 3;
    trial_new(&t, true, 20);
    pass(&t, 1);
    ck_assert_int_eq(try_fault(&t, late, CUDA_FAULT_late_crash), FG_OK);
    refuses(measurer_time(t.measurer, samples, &late, 1, 20, &culprit, &error), FG_MACHINE,
            "CUDA_ERROR_ILLEGAL_ADDRESS");
    refuses(try_fault(&t, 2, CUDA_FAULT_none), FG_MACHINE, "CUDA_ERROR_ILLEGAL_ADDRESS");
    measurer_free(t.measurer);
    image_free(&t.good);
    fg_problem_free(t.problem);
    fg_context_free(t.context);
}
END_TEST

/* The A100's binary would load nowhere else; the worker is shown no other. */
START_TEST(the_worker_has_the_same_device)
{
    trial t;
    const fg_context_options o = cuda_options("cuda:1");
    fg_status status = start(&t, &o, false, 20);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    pass(&t, 1);
    trial_free(&t);
}
END_TEST

/* ---- Calls that fail ---- */

/* What a session does, in this process; every candidate may be the one that suffers. */
static fg_status measure_some(trial *t)
{
    double samples[6];
    int culprit;
    const int ids[] = { 1, 2 };
    const fg_context_options o = cuda_options("cuda");
    fg_status status = start(t, &o, true, 20);
    for (int k = 0; k < 2 && status == FG_OK; k++) status = try_fault(t, ids[k], CUDA_FAULT_none);
    if (status != FG_OK) return status;
    return measurer_time(t->measurer, samples, ids, 2, 3, &culprit, &error);
}

/* Call `number` of what comes behind the context's making. True: there was none. */
static bool fails_at(const char *symbol, int number, int code, fg_status *status)
{
    trial t = { .measurer = NULL };
    fake_cuda *f = fake();
    const int before = fake_count(symbol);
    f->fail_symbol = NULL;
    fg_context *first = gpu_context("cuda"); /* it holds the device */
    f->fail_from = fake_count(symbol) + (fake_count(symbol) - before) + number;
    f->fail_count = 1;
    f->fail_code = code;
    f->fail_symbol = symbol;
    *status = measure_some(&t);
    const bool beyond = fake_count(symbol) < f->fail_from;
    f->fail_symbol = NULL;
    fg_context_free(first);
    trial_free(&t);
    return beyond;
}

START_TEST(every_call_fails)
{
    static const char *const calls[] = {
        "cuMemAlloc_v2",    "cuMemsetD8Async",  "cuMemcpyAsync",       "cuStreamSynchronize",
        "cuLaunchKernelEx", "cuModuleLoadData", "cuModuleGetFunction", "cuFuncLoad",
        "cuEventCreate",    "cuEventRecord",    "cuEventElapsedTime",  "cuLaunchHostFunc",
    };
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        int number = 1;
        for (fg_status status; !fails_at(calls[k], number, 719, &status); number *= 3) {
            ck_assert_msg(status == FG_MACHINE || status == FG_WRONG, "%s %d: %s", calls[k], number,
                          fg_status_name(status));
            ck_assert_msg(strstr(error.text, "CUDA_ERROR_LAUNCH_FAILED") != NULL, "%s %d: %s",
                          calls[k], number, error.text);
        }
        ck_assert_int_gt(number, 1);
    }
}
END_TEST

START_TEST(copies_are_slow_without_pins)
{
    fg_status status;
    ck_assert(!fails_at("cuMemHostRegister_v2", 1, 1, &status));
    ck_assert_msg(status == FG_OK, "%s", error.text);
}
END_TEST

START_TEST(the_gpu_is_full)
{
    fg_status status = FG_OK;
    int number = 1;
    for (; !fails_at("cuMemAlloc_v2", number, 2, &status); number++) {
        ck_assert_msg(status == FG_MEMORY || status == FG_WRONG, "%d: %s", number, error.text);
        ck_assert_msg(strstr(error.text, "OUT_OF_MEMORY") || strstr(error.text, "no memory for"),
                      "%d: %s", number, error.text);
    }
    ck_assert_int_gt(number, 20);
    ck_assert_int_eq(status, FG_OK);
}
END_TEST

/* One that asks for 4096 bytes of workspace, and gets none. */
static void reject_a_larger(trial *t, int id)
{
    image i;
    fake_cuda *f = fake();
    cuda_candidate_launch();
    stub_regions = 0;
    stub_add_region("work", "4096", false);
    ck_assert_int_eq(image_make(&i, t->context, t->problem->problem, NULL, NULL, &error), FG_OK);
    f->fail_from = fake_count("cuMemAlloc_v2") + 1;
    f->fail_count = 1;
    f->fail_code = 2;
    f->fail_symbol = "cuMemAlloc_v2";
    refuses(try_image(t, id, &i), FG_WRONG, "no memory for its workspace of 4096 bytes");
    f->fail_symbol = NULL;
}

/* There is one for all candidates: those that need less have what there was. */
START_TEST(no_room_for_a_workspace)
{
    trial t;
    const int ids[] = { 1, 3 };
    trial_new(&t, true, 20);
    reject_a_larger(&t, 2);
    pass(&t, 1);
    reject_a_larger(&t, 2);
    time_all(&t, ids, 1);
    pass(&t, 3);
    time_all(&t, ids, 2);
    trial_free(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        times_have_the_clear,
        wrong_ones_are_rejected,
        padding_is_nobodys,
        a_fault_costs_one_candidate,
        a_fault_in_the_next_worker,
        hangs_are_ended,
        faults_while_timed,
        a_fault_in_this_process,
        the_worker_has_the_same_device,
        every_call_fails,
        copies_are_slow_without_pins,
        the_gpu_is_full,
        no_room_for_a_workspace,
        NULL,
    };
    return support_run("cuda_measure", tests);
}
