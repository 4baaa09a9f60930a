/* A search on a GPU: candidates written by hand, which are wrong, fault and hang, in a worker process. */
/* ctest: labels=gpu serial timeout=300 */
#include "tests/support_gpu.h"
#include "tests/tune_stub.h"

#include "autotune/measurer.h"

#include <unistd.h>

typedef struct trial {
    fg_context *context;
    fg_problem *problem;
    measurer *measurer;
} trial;

/* On PATH, where the test was not built. */
static const char *worker_path(void)
{
    return access(FLASHGEN_COMMAND, X_OK) == 0 ? FLASHGEN_COMMAND : "flashgen";
}

static fg_context_options gpu_options(void)
{
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.device = "cuda";
    o.store = "";
    o.worker = worker_path();
    return o;
}

static void trial_new(trial *t, double seconds)
{
    const fg_context_options o = gpu_options();
    t->context = stub_context(&o);
    t->problem = stub_problem(t->context, CANDIDATE_PROBLEM);
    const measurer_options m = { t->context, t->problem->problem, false, seconds, NULL };
    fg_status status = measurer_new(&t->measurer, &m, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
}

static void trial_free(trial *t)
{
    measurer_free(t->measurer);
    fg_problem_free(t->problem);
    fg_context_free(t->context);
}

static fg_status try_fault(trial *t, int id, cuda_fault fault)
{
    image i;
    double seconds = -1;
    cuda_candidate_make(&i, t->context, t->problem, fault);
    fg_status status = measurer_try(t->measurer, &seconds, id, &i, &error);
    if (status == FG_OK) ck_assert(seconds > 0 && seconds < 1);
    image_free(&i);
    return status;
}

static void pass(trial *t, int id)
{
    fg_status status = try_fault(t, id, CUDA_FAULT_none);
    ck_assert_msg(status == FG_OK, "%d: %s", id, error.text);
}

static void time_all(trial *t, const int *ids, int count)
{
    double samples[64];
    int culprit;
    fg_status status = measurer_time(t->measurer, samples, ids, count, 3, &culprit, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    for (int k = 0; k < 3 * count; k++) ck_assert(samples[k] > 0 && samples[k] < 1);
}

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
    { CUDA_FAULT_reads_behind, "" },
    { CUDA_FAULT_crash, "CUDA_ERROR_ILLEGAL_ADDRESS" },
    { CUDA_FAULT_hang, "hung: ended after 5000 ms" },
};

START_TEST(a_bad_one_costs_itself)
{
    trial t;
    const int ids[] = { 0, 102, 100, 101 };
    trial_new(&t, 5);
    pass(&t, 0);
    for (int k = 0; k < (int)(sizeof wrongs / sizeof *wrongs); k++) {
        fg_status status = try_fault(&t, k + 1, wrongs[k].fault);
        ck_assert_msg(status == FG_WRONG, "%s: %s %s", cuda_faults[wrongs[k].fault],
                      fg_status_name(status), error.text);
        ck_assert_msg(strstr(error.text, wrongs[k].says) != NULL, "%s: %s",
                      cuda_faults[wrongs[k].fault], error.text);
        pass(&t, 100 + k % 3);
    }
    time_all(&t, ids, 4);
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
        trial_new(&t, 5);
        pass(&t, 4);
        pass(&t, 5);
        ck_assert_int_eq(try_fault(&t, 9, faults[k]), FG_OK);
        fg_status status = measurer_time(t.measurer, samples, ids, 3, 20, &culprit, &error);
        ck_assert_int_eq(status, FG_WRONG);
        ck_assert_int_eq(culprit, 1);
        time_all(&t, others, 2);
        trial_free(&t);
    }
}
END_TEST

/* The prior's best is wrong, and one that is right is slow. */
START_TEST(a_search)
{
    static const int faults[] = { CUDA_FAULT_wrong_sampled, CUDA_FAULT_crash, CUDA_FAULT_slow,
                                  CUDA_FAULT_none, CUDA_FAULT_input };
    tried t;
    fg_plan *plan;
    fg_plan_info info;
    fg_plan_options how = FG_PLAN_OPTIONS_INIT;
    const fg_context_options o = gpu_options();
    fg_context_options kept = tried_options();
    kept.device = o.device;
    kept.worker = o.worker;
    tried_new(&t, &kept);
    tune_space(faults, 5);
    tried_must(&t, false);
    ck_assert_str_eq(t.report.config, "fault=0 n=3");
    ck_assert_int_eq(t.report.rejected, 3);
    tried_must(&t, true);
    how.rigor = FG_STORED;
    ck_assert_msg(fg_plan_new(&plan, t.context, t.problem, &how, &error) == FG_OK, "%s",
                  error.text);
    fg_plan_config(plan, &info);
    ck_assert_str_eq(info.config, "fault=0 n=3");
    fg_plan_free(plan);
    tried_free(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { a_bad_one_costs_itself, faults_while_timed, a_search, NULL };
    return support_run_here("gpu_tune", "cuda", tests);
}
