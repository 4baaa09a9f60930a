/* ctest: timeout=900 */
/* Many processes on one empty store, some of them killed: every survivor is right, and so is the store.
 * FLASHGEN_TEST_STORM=ROUNDS,PROBLEMS asks for more than the tests' own. */
#include "tests/runtime_stub.h"
#include "tests/support_random.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { processes = 16, killed = processes / 3 };

static fg_error error;
static char store_folder[96];

/* ---- One process ---- */

typedef struct storm {
    int problems, rounds;
    double longest;                               /* seconds until the last kill */
    bool (*use)(fg_context *context, int number); /* whether the result is right */
    fg_context *(*open)(void);
} storm;

/* Uses every problem, each process in an order of its own. Ends with 0 when all were right. */
static void take_part(const storm *s, rng *r)
{
    int *order = malloc((size_t)s->problems * sizeof *order);
    bool right = true;
    for (int k = 0; k < s->problems; k++) {
        int other = (int)rng_below(r, k + 1);
        order[k] = order[other];
        order[other] = k;
    }
    fg_context *context = s->open();
    for (int k = 0; k < s->problems && right; k++) right = s->use(context, order[k]);
    fg_context_free(context);
    free(order);
    _exit(right ? 0 : 1);
}

/* ---- All of them ---- */

typedef struct tally {
    int survived, right, killed;
    fg_store_report after;
    int damaged, kernels;
} tally;

static void sleep_for(double seconds)
{
    nanosleep(
        &(struct timespec){ (time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds)) },
        NULL);
}

static void start_all(const storm *s, pid_t child[processes], rng *r)
{
    for (int k = 0; k < processes; k++) {
        rng own = rng_new(rng_next(r), 0);
        child[k] = fork();
        ck_assert_int_ge(child[k], 0);
        if (child[k] == 0) take_part(s, &own);
    }
}

/* At moments spread over the time that the storm takes. */
static void kill_some(const storm *s, const pid_t child[processes], rng *r)
{
    for (int k = 0; k < killed; k++) {
        sleep_for(s->longest / killed * (double)rng_below(r, 1000) / 500);
        kill(child[k * 3 + (int)rng_below(r, 3)], SIGKILL);
    }
}

static void wait_all(const pid_t child[processes], tally *t)
{
    for (int k = 0; k < processes; k++) {
        int status;
        ck_assert_int_eq(waitpid(child[k], &status, 0), child[k]);
        t->killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        t->survived += WIFEXITED(status);
        t->right += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
}

static int count_entry(void *user, const fg_store_entry *e)
{
    tally *t = user;
    t->kernels += strcmp(e->kind, "kernel") == 0 && e->status == FG_OK;
    t->damaged += e->status != FG_OK && strcmp(e->kind, "new") != 0;
    return 0;
}

static void look_at_store(const storm *s, tally *t)
{
    fg_context *context = s->open();
    ck_assert_int_eq(fg_store_visit(context, count_entry, t, &error), FG_OK);
    ck_assert_int_eq(fg_store_prune(context, -1, &t->after, &error), FG_OK);
    ck_assert_int_eq(fg_store_clear(context, NULL, &error), FG_OK);
    fg_context_free(context);
}

static void weather(const storm *s)
{
    tally t = { 0 };
    rng r = rng_new(3, 0);
    snprintf(store_folder, sizeof store_folder, "%s/store", folder);
    for (int round = 0; round < s->rounds; round++) {
        pid_t child[processes];
        tally before = t;
        start_all(s, child, &r);
        kill_some(s, child, &r);
        wait_all(child, &t);
        look_at_store(s, &t);
        ck_assert_int_eq(t.kernels - before.kernels, s->problems);
    }
    printf("%d rounds of %d processes on the same %d problems: %d killed, %d survived, %d of them "
           "right; %d kernels stored, %d entries damaged\n",
           s->rounds, (int)processes, s->problems, t.killed, t.survived, t.right, t.kernels,
           t.damaged);
    ck_assert_int_eq(t.right, t.survived);
    ck_assert_int_eq(t.damaged, 0);
    ck_assert_int_gt(t.killed, 0);
    ck_assert_int_eq(t.killed + t.survived, s->rounds * processes);
}

/* ---- With a stub compiler: many first uses ---- */

/* The kernel that the stub compiler gives writes the launch's own number. */
static void prepare_stub(void)
{
    strcpy(stub_text, "struct args { double *o; long long number; };\n"
                      "void fg_kernel(const struct args *a, void *s, long long f, long long l)\n"
                      "{\n    a->o[0] = (double)a->number + 0 * %d;\n}\n");
    stub_slots = 0;
    stub_add_slot(SLOT_pointer, "o", 0);
    stub_add_slot(SLOT_recipe, "sq", 0);
    stub_compiler_make();
}

static fg_context *open_stub(void)
{
    fg_context_options o = stub_options();
    o.compiler = stub_compiler;
    o.store = store_folder;
    o.threads = 1;
    return stub_context(&o);
}

static bool use_stub(fg_context *context, int number)
{
    char line[80];
    fg_plan *plan;
    stub_run run;
    snprintf(line, sizeof line, "dtype=f64 b=1 hq=1 sq=%d d=4", number + 1);
    fg_problem *p = stub_problem(context, line);
    if (fg_plan_new(&plan, context, p, NULL, &error) != FG_OK) return false;
    stub_run_new(&run, p, 0);
    bool right =
        fg_run(plan, &run.args, &error) == FG_OK && *(double *)run.args.o->data == number + 1;
    stub_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(p);
    return right;
}

START_TEST(two_hundred_first_uses)
{
    const storm s = { 200, 3, 0.6, use_stub, open_stub };
    in_folder();
    prepare_stub();
    weather(&s);
}
END_TEST

/* ---- End to end ---- */

static fg_context *open_real(void)
{
    fg_context *context;
    fg_context_options o = stub_options();
    o.store = store_folder;
    o.threads = 1;
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_OK);
    return context;
}

static void fill(stub_run *run, uint64_t seed)
{
    rng r = rng_new(seed, 1);
    for (int k = 0; k < 3; k++) {
        float *data = run->block[k];
        int64_t count = run->shape[k][0] * run->shape[k][1] * run->shape[k][2] * run->shape[k][3];
        for (int64_t n = 0; n < count; n++) data[n] = (float)rng_normal(&r);
    }
}

static bool use_real(fg_context *context, int number)
{
    char line[80];
    fg_plan *plan;
    stub_run run;
    size_t bytes;
    fg_check_report report;
    snprintf(line, sizeof line, "dtype=f32 b=1 hq=2 sq=%d d=%d%s", 5 + number, 8 + 4 * (number % 5),
             number % 2 ? " causal" : "");
    fg_problem *p = stub_problem(context, line);
    if (fg_plan_new(&plan, context, p, NULL, &error) != FG_OK) return false;
    stub_run_new(&run, p, 0);
    fill(&run, (uint64_t)number);
    bool right = fg_plan_workspace(plan, NULL, &bytes, &error) == FG_OK;
    run.args.workspace = aligned_alloc(64, (bytes + 64) / 64 * 64);
    run.args.workspace_bytes = bytes;
    right = right && fg_run(plan, &run.args, &error) == FG_OK &&
            fg_check(context, p, &run.args, NULL, &report, &error) == FG_OK;
    free(run.args.workspace);
    stub_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(p);
    return right;
}

START_TEST(end_to_end)
{
    storm s = { 20, 1, 2, use_real, open_real };
    const char *asked = getenv("FLASHGEN_TEST_STORM");
    if (asked) ck_assert_int_eq(sscanf(asked, "%d,%d", &s.rounds, &s.problems), 2);
    s.longest *= s.problems / 20.0;
    in_folder();
    weather(&s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { two_hundred_first_uses, end_to_end, NULL };
    return support_run("storm", tests);
}
