/* Contexts, devices, plans and how tasks are run. */
/* ctest: labels=threads */
#include "runtime/library.h"
#include "tests/runtime_stub.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE "dtype=f64 b=1 hq=4 sq=64 d=4"

static fg_error error;

/* ---- Contexts ---- */

START_TEST(options_are_checked)
{
    fg_context *context = (fg_context *)&error;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.size = 0;
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_REQUEST);
    ck_assert_ptr_null(context);
    o.size = sizeof o + 8;
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_REQUEST);
    o.size = sizeof o;
    o.threads = -1;
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_REQUEST);
    ck_assert_str_eq(error.text, "threads is -1: it must be 0 (all) to 4096");
    o.threads = 0;
    static const double bad[] = { 0, -1, 1e7, NAN };
    for (int k = 0; k < 4; k++) {
        o.compiler_seconds = bad[k];
        ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_REQUEST);
    }
    o.compiler_seconds = 1;
    o.isa = "sse9";
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_REQUEST);
    ck_assert_str_eq(
        error.text,
        "there is no instruction set \"sse9\": it is portable, avx2, avx512 or avx512bf16");
    ck_assert_int_eq(fg_context_new(NULL, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_context_new(&context, NULL, NULL), FG_OK);
    fg_context_free(context);
    fg_context_free(NULL);
}
END_TEST

START_TEST(device_facts)
{
    static const char *const isas[] = { "portable", "avx2", "avx512", "avx512bf16" };
    fg_device_info info, least;
    fg_context_options o = stub_options();
    fg_context *context = stub_context(NULL);
    ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
    ck_assert(info.name[0] != 0 && info.name[0] != ' ');
    ck_assert_int_ge(info.cores, 1);
    ck_assert_int_eq(info.threads, info.cores);
    ck_assert_int_ge((int)info.l1_bytes, 4096);
    ck_assert_int_ge((int)info.l2_bytes, 4096);
    ck_assert(strpbrk(info.compiler_version, "0123456789") != NULL);
    ck_assert_ptr_null(strchr(info.compiler_version, '\n'));
    int best = 0;
    while (strcmp(isas[best], info.isa) != 0) ck_assert_int_lt(++best, 4);
    for (int k = 0; k < 4; k++) { /* a limit is kept, or there is less */
        o.isa = isas[k];
        fg_context *limited = stub_context(&o);
        ck_assert_int_eq(fg_context_device(limited, &least, &error), FG_OK);
        ck_assert_str_eq(least.isa, isas[k < best ? k : best]);
        fg_context_free(limited);
    }
    fg_context_free(context);
}
END_TEST

START_TEST(one_processor)
{
    cpu_set_t one, all;
    fg_device_info info;
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    fg_context *context = stub_context(NULL);
    ck_assert_int_eq(fg_context_device(context, &info, &error), FG_OK);
    ck_assert_int_eq(info.cores, 1);
    fg_context_free(context);
}
END_TEST

/* The problem and the plan outlive their context's handle. */
START_TEST(lifetimes)
{
    stub_is_number();
    stub_number = 3;
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = stub_plan(context, p);
    stub_run run;
    stub_run_new(&run, p, 0);
    fg_context_free(context);
    fg_problem_free(p);
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_OK);
    ck_assert_double_eq(*(double *)run.args.o->data, 3);
    stub_run_free(&run);
    fg_plan_free(plan);
    fg_plan_free(NULL);
    fg_problem_free(NULL);
}
END_TEST

START_TEST(names_of_statuses)
{
    ck_assert_str_eq(fg_version(), "0.1.0");
    ck_assert_str_eq(fg_status_name(FG_OK), "FG_OK");
    ck_assert_str_eq(fg_status_name(FG_INTERNAL), "FG_INTERNAL");
    ck_assert_str_eq(fg_status_name((fg_status)99), "no status");
}
END_TEST

START_TEST(problems)
{
    fg_context *context = stub_context(NULL);
    fg_problem *p = (fg_problem *)&error;
    fg_tensor_info info;
    ck_assert_int_eq(fg_problem_parse(&p, context, "dtype=f32 b=1 nonsense=2", &error), FG_REQUEST);
    ck_assert_ptr_null(p);
    ck_assert_int_eq((int)error.position, 14);
    ck_assert_int_eq(fg_problem_parse(&p, context, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_problem_parse(&p, NULL, LINE, &error), FG_REQUEST);
    p = stub_problem(context, "layout=bhsd dtype=bf16 b=2 hq=4 hkv=2 sq=* sk=5 d=8 lse");
    ck_assert_int_eq(fg_problem_tensor(p, 1, &info), FG_OK);
    ck_assert_str_eq(info.name, "k");
    ck_assert_int_eq(info.dtype.code, 4);
    ck_assert_int_eq(info.dtype.bits, 16);
    ck_assert_int_eq((int)info.shape[1], 2);
    ck_assert_int_eq((int)info.shape[2], 5);
    ck_assert_int_eq(info.output, 0);
    ck_assert_int_eq(fg_problem_tensor(p, 4, &info), FG_OK);
    ck_assert_str_eq(info.name, "lse");
    ck_assert_int_eq(info.ndim, 3);
    ck_assert_int_eq((int)info.shape[2], -1);
    ck_assert_int_ne(info.output, 0);
    ck_assert_int_eq(fg_problem_tensor(p, 5, &info), FG_REQUEST);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Plans ---- */

START_TEST(plans_are_found_in_memory)
{
    fg_plan_info info;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    fg_plan *plan, *again, *pinned;
    stub_is_number();
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE),
               *same = stub_problem(context, "sq=64 d=4 hq=4 b=1 dtype=f64 hkv=4");
    plan = stub_plan(context, p);
    fg_plan_config(plan, &info);
    ck_assert_int_eq(info.source, FG_COMPILED);
    ck_assert_str_eq(info.target, "c");
    ck_assert_str_eq(info.schedule, "stub");
    ck_assert_double_gt(info.compile_seconds, 0);
    ck_assert_double_gt(info.load_seconds, 0);
    again = stub_plan(context, same);
    fg_plan_config(again, &info);
    ck_assert_int_eq(info.source, FG_FROM_MEMORY);
    ck_assert_double_eq(info.generate_seconds + info.compile_seconds + info.load_seconds, 0);
    ck_assert_ptr_eq(plan->kernel, again->kernel);
    o.config = "bm=3";
    ck_assert_int_eq(fg_plan_new(&pinned, context, p, &o, &error), FG_OK);
    fg_plan_config(pinned, &info);
    ck_assert_int_eq(info.source, FG_COMPILED);
    ck_assert_str_eq(info.config, "bm=3");
    fg_plan_free(plan);
    fg_plan_free(pinned);
    plan = stub_plan(context, p);
    ck_assert_ptr_eq(plan->kernel, again->kernel);
    fg_plan_free(plan);
    fg_plan_free(again);
    fg_problem_free(p);
    fg_problem_free(same);
    ck_assert_int_eq(atomic_load(&stub_made), 2);
    fg_context_free(context);
}
END_TEST

START_TEST(plan_requests_are_checked)
{
    fg_plan *plan = (fg_plan *)&error;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    o.rigor = (fg_rigor)9;
    ck_assert_int_eq(fg_plan_new(&plan, context, p, &o, &error), FG_REQUEST);
    ck_assert_ptr_null(plan);
    ck_assert_int_eq(fg_plan_new(&plan, context, NULL, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_plan_new(NULL, context, p, NULL, &error), FG_REQUEST);
    stub_is_number();
    strcpy(stub_text, "void another_name(void) { int unused = %d; }");
    ck_assert_int_eq(fg_plan_new(&plan, context, p, NULL, &error), FG_INTERNAL);
    ck_assert_str_eq(error.text, "the kernel has no function fg_kernel");
    context->maker = NULL;
    ck_assert_int_eq(fg_plan_new(&plan, context, p, NULL, &error), FG_UNSUPPORTED);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(emit)
{
    char *source = NULL;
    stub_is_number();
    stub_number = 5;
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    ck_assert_int_eq(fg_emit(&source, context, p, NULL, &error), FG_OK);
    ck_assert_ptr_nonnull(strstr(source, "a->o[0] = 5;"));
    fg_text_free(context, source);
    fg_text_free(context, NULL);
    ck_assert_int_eq(fg_emit(&source, context, NULL, NULL, &error), FG_REQUEST);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(workspace)
{
    fg_context_options o = stub_options();
    size_t bytes = 0;
    stub_run run;
    stub_is_number();
    stub_scratch = "sq + 1";
    o.threads = 3;
    fg_context *context = stub_context(&o);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = stub_plan(context, p);
    ck_assert_int_eq(fg_plan_workspace(plan, &bytes, &error), FG_OK);
    ck_assert_int_eq((int)bytes, 3 * 128); /* 65 bytes a worker, each on cache lines of its own */
    stub_run_new(&run, p, 0);
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_WORKSPACE);
    ck_assert_str_eq(error.text, "the workspace has 0 bytes: this run needs 384");
    char *block = aligned_alloc(64, 448);
    run.args.workspace = block;
    run.args.workspace_bytes = 383;
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_WORKSPACE);
    run.args.workspace_bytes = 384;
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_OK);
    run.args.workspace = block + 32;
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_WORKSPACE);
    free(block);
    stub_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* Enough for whatever a `*` turns out to be. */
START_TEST(workspace_of_dynamic_dims)
{
    fg_context_options o = stub_options();
    size_t bytes = 0;
    o.threads = 1;
    stub_is_number();
    stub_scratch = "min(sk, 1000) * 64";
    fg_context *context = stub_context(&o);
    fg_problem *p = stub_problem(context, "dtype=f64 b=* hq=4 sq=* sk=* d=4");
    fg_plan *plan = stub_plan(context, p);
    ck_assert_int_eq(fg_plan_workspace(plan, &bytes, &error), FG_OK);
    ck_assert_int_eq((int)bytes, 64000);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Tasks ---- */

/* Each task adds 1 to its own element of o, and marks its worker's scratch while it runs. */
static void stub_counts_tasks(const char *tasks)
{
    strcpy(stub_text, "struct args { double *o; };\n"
                      "void fg_kernel(const struct args *a, volatile int *scratch, long long "
                      "first, long long last)\n"
                      "{\n    if (__atomic_exchange_n(scratch, 1, 5) == 1) a->o[255] += 1;\n"
                      "    for (long long t = first; t < last; t++) a->o[t] += 1;\n"
                      "    __atomic_store_n(scratch, 0 * %d, 5);\n}\n");
    stub_slots = 0;
    stub_add_slot(SLOT_pointer, "o", 0);
    stub_tasks = tasks;
    stub_scratch = "64";
}

typedef struct counted {
    fg_context *context;
    fg_problem *problem;
    fg_plan *plan;
    stub_run run;
} counted;

static void counted_new(counted *c, const fg_context_options *o)
{
    size_t bytes;
    c->context = stub_context(o);
    c->problem = stub_problem(c->context, "dtype=f64 b=1 hq=1 sq=64 d=4");
    c->plan = stub_plan(c->context, c->problem);
    stub_run_new(&c->run, c->problem, 0);
    ck_assert_int_eq(fg_plan_workspace(c->plan, &bytes, &error), FG_OK);
    c->run.args.workspace = aligned_alloc(64, bytes);
    memset(c->run.args.workspace, 0, bytes);
    c->run.args.workspace_bytes = bytes;
}

static void counted_free(counted *c)
{
    free(c->run.args.workspace);
    stub_run_free(&c->run);
    fg_plan_free(c->plan);
    fg_problem_free(c->problem);
    fg_context_free(c->context);
}

/* Every task ran `times` times so far, no two of one worker at once. */
static bool counts(const counted *c, int tasks, int times)
{
    const double *o = c->run.args.o->data;
    for (int t = 0; t < 256; t++)
        if (o[t] != (t < tasks ? times : 0)) return false;
    return true;
}

START_TEST(every_task_once)
{
    static const struct {
        const char *text;
        int tasks;
    } sizes[] = { { "0", 0 },    { "1", 1 }, { "3", 3 }, { "sq", 64 }, { "sq * 3 + 1", 193 },
                  { "0 - 5", 0 } };
    for (int threads = 1; threads <= 5; threads += 2)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            fg_context_options o = stub_options();
            counted c;
            o.threads = threads;
            stub_counts_tasks(sizes[k].text);
            counted_new(&c, &o);
            for (int times = 1; times <= 20; times++) {
                ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_OK);
                ck_assert_msg(counts(&c, sizes[k].tasks, times), "%s on %d", sizes[k].text,
                              threads);
            }
            counted_free(&c);
        }
}
END_TEST

typedef struct host_pool {
    int calls;
    int64_t worker, first, last; /* added to what is right */
} host_pool;

static void host_parallel_for(void *user, int64_t count, fg_task_fn task, void *data)
{
    host_pool *h = user;
    h->calls++;
    for (int64_t k = 0; k < count; k += 10) {
        int64_t end = k + 10 < count ? k + 10 : count;
        task(data, k / 10 % 2 + h->worker, k + h->first, end + h->last);
    }
}

START_TEST(the_hosts_pool)
{
    fg_context_options o = stub_options();
    host_pool h = { 0, 0, 0, 0 };
    counted c;
    o.threads = 2;
    o.parallel_for = host_parallel_for;
    o.parallel_user = &h;
    stub_counts_tasks("sq + 3");
    counted_new(&c, &o);
    ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_OK);
    ck_assert_int_eq(h.calls, 1);
    ck_assert(counts(&c, 67, 1));
    static const host_pool bad[] = {
        { 0, 1, 0, 0 }, { 0, -1, 0, 0 }, { 0, 0, -1, 0 }, { 0, 0, 0, 1 }, { 0, 0, 0, -1 }
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        h = bad[k];
        ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_REQUEST);
        ck_assert_str_eq(
            error.text,
            "the host's parallel_for must cover tasks 0 to 67 once each, with workers below 2");
    }
    counted_free(&c);
}
END_TEST

/* ---- Forks ---- */

static bool child_succeeds(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

START_TEST(fork_after_openmp)
{
    fg_context_options o = stub_options();
    counted c;
    o.threads = 4;
    stub_counts_tasks("sq");
    counted_new(&c, &o);
    ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_OK);
    pid_t child = fork();
    if (child == 0) {
        alarm(20); /* a hang is a failure */
        bool right = fg_run(c.plan, &c.run.args, &error) == FG_OK && counts(&c, 64, 2);
        counted other;
        stub_counts_tasks("sq + 1"); /* planning works there, too */
        counted_new(&other, &o);
        right =
            right && fg_run(other.plan, &other.run.args, &error) == FG_OK && counts(&other, 65, 1);
        counted_free(&other);
        counted_free(&c);
        _exit(right ? 0 : 1);
    }
    ck_assert(child_succeeds(child));
    ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_OK); /* the parent is as before */
    ck_assert(counts(&c, 64, 2));
    counted_free(&c);
}
END_TEST

/* The child calls no pool of the host: its threads are not there. */
START_TEST(fork_with_a_pool)
{
    fg_context_options o = stub_options();
    host_pool h = { 0, 0, 0, 0 };
    counted c;
    o.threads = 2;
    o.parallel_for = host_parallel_for;
    o.parallel_user = &h;
    stub_counts_tasks("sq");
    counted_new(&c, &o);
    pid_t child = fork();
    if (child == 0)
        _exit(fg_run(c.plan, &c.run.args, NULL) == FG_OK && counts(&c, 64, 1) && h.calls == 0 ? 0
                                                                                              : 1);
    ck_assert(child_succeeds(child));
    counted_free(&c);
}
END_TEST

/* ---- Threads ---- */

typedef struct planner {
    fg_context *context;
    fg_problem *problem[4];
    int failures;
    atomic_bool *stop;
} planner;

static void plan_and_run(planner *w, int k)
{
    fg_plan *plan = NULL;
    fg_error why;
    stub_run run;
    stub_number = 10 + k % 4; /* of this problem, whoever compiles it */
    if (fg_plan_new(&plan, w->context, w->problem[k % 4], NULL, &why) != FG_OK) {
        w->failures++;
        return;
    }
    stub_run_new(&run, w->problem[k % 4], 0);
    if (fg_run(plan, &run.args, &why) != FG_OK || *(double *)run.args.o->data != stub_number)
        w->failures++;
    stub_run_free(&run);
    fg_plan_free(plan);
}

static void *planner_main(void *data)
{
    planner *w = data;
    for (int k = 0; k < 24; k++) plan_and_run(w, k);
    return NULL;
}

enum { planners = 6 };

START_TEST(threads_plan_together)
{
    pthread_t thread[planners];
    planner w[planners];
    fg_context_options o = stub_options();
    o.threads = 1;
    stub_is_number();
    fg_context *context = stub_context(&o);
    fg_problem *p[4];
    for (int k = 0; k < 4; k++) {
        char line[80];
        snprintf(line, sizeof line, "dtype=f64 b=1 hq=1 sq=%d d=4", 4 + k);
        p[k] = stub_problem(context, line);
    }
    for (int k = 0; k < planners; k++) {
        w[k] = (planner){ .context = context };
        memcpy(w[k].problem, p, sizeof p);
        ck_assert_int_eq(pthread_create(&thread[k], NULL, planner_main, &w[k]), 0);
    }
    for (int k = 0; k < planners; k++) {
        pthread_join(thread[k], NULL);
        ck_assert_int_eq(w[k].failures, 0);
    }
    for (size_t k = 0; k < context_buckets; k++)
        ck_assert_ptr_null(context->kernels[k]); /* all unloaded */
    for (int k = 0; k < 4; k++) fg_problem_free(p[k]);
    fg_context_free(context);
}
END_TEST

static void *lock_often(void *data)
{
    while (!atomic_load((atomic_bool *)data)) {
        library_lock();
        library_unlock();
    }
    return NULL;
}

/* Whatever another thread holds when we fork, the child can plan. */
START_TEST(fork_while_others_plan)
{
    pthread_t thread;
    atomic_bool stop = false;
    stub_is_number();
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = stub_plan(context, p);
    ck_assert_int_eq(pthread_create(&thread, NULL, lock_often, &stop), 0);
    for (int k = 0; k < 100; k++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            fg_plan_free(stub_plan(context, p));
            _exit(0);
        }
        ck_assert(child_succeeds(child));
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Memory ---- */

typedef struct failing {
    long count, at; /* allocations so far; the one that fails */
    bool for_good, counts;
    long blocks;
    size_t bytes;
} failing;

static void *failing_allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    failing *f = user;
    if (new_size > 0) {
        f->count++;
        if (f->count == f->at || (f->for_good && f->count > f->at)) return NULL;
    }
    f->blocks += (new_size > 0) - (block != NULL);
    f->bytes += new_size - (block ? old_size : 0);
    if (new_size > 0) return realloc(block, new_size);
    free(block);
    return NULL;
}

/* All that a host does until it runs. */
static fg_status whole_way(failing *f)
{
    fg_context_options o = stub_options();
    fg_context *context = NULL;
    fg_problem *p = NULL;
    fg_plan *plan = NULL;
    fg_device_info info;
    char *source = NULL;
    o.allocate = failing_allocate;
    o.allocate_user = f;
    o.templates = "/no/such/folder";
    fg_status status = fg_context_new(&context, &o, &error);
    if (status != FG_OK) goto out;
    context->maker = &stub_maker;
    if ((status = fg_context_device(context, &info, &error)) != FG_OK) goto out;
    if ((status = fg_problem_parse(&p, context, LINE, &error)) != FG_OK) goto out;
    if ((status = fg_emit(&source, context, p, NULL, &error)) != FG_OK) goto out;
    status = fg_plan_new(&plan, context, p, NULL, &error);
out:
    ck_assert((status == FG_OK) == (plan != NULL));
    fg_text_free(context, source);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
    return status;
}

START_TEST(every_allocation_fails)
{
    failing f = { .at = -1 };
    int files = stub_open_files();
    stub_is_number();
    stub_add_slot(SLOT_recipe, "b + 1", 0);
    ck_assert_int_eq(whole_way(&f), FG_OK);
    ck_assert_int_eq((int)f.blocks, 0);
    ck_assert_int_eq((int)f.bytes, 0); /* sizes given back are those that were asked for */
    long all = f.count;
    ck_assert_int_gt((int)all, 10);
    for (int for_good = 0; for_good < 2; for_good++)
        for (long at = 1; at <= all; at++) {
            f = (failing){ .at = at, .for_good = for_good };
            fg_status status = whole_way(&f);
            ck_assert_msg(status == FG_MEMORY, "allocation %ld: %s: %s", at, fg_status_name(status),
                          error.text);
            ck_assert_msg(f.blocks == 0 && f.bytes == 0, "allocation %ld leaks %ld blocks", at,
                          f.blocks);
        }
    ck_assert_int_eq(stub_open_files(), files);
}
END_TEST

START_TEST(a_run_allocates_nothing)
{
    failing f = { .at = -1 };
    fg_context_options o = stub_options();
    counted c;
    o.allocate = failing_allocate;
    o.allocate_user = &f;
    stub_counts_tasks("sq");
    counted_new(&c, &o);
    long before = f.count;
    ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_OK);
    c.run.args.q = NULL;
    ck_assert_int_eq(fg_run(c.plan, &c.run.args, &error), FG_REQUEST);
    ck_assert_int_eq((int)(f.count - before), 0);
    counted_free(&c);
}
END_TEST

/* ---- The machine's peak ---- */

static fg_status stub_peak(made **out, int64_t *flops, const maker_request *r, fg_error *why)
{
    stub_slots = 0;
    stub_add_slot(SLOT_int, "rounds", 0);
    stub_tasks = "threads";
    stub_scratch = "192";
    strcpy(stub_text,
           "void fg_peak(const long long *a, float *scratch, long long first, long long last)\n"
           "{\n    for (long long t = first; t < last; t++)\n"
           "        for (long long r = 0; r < 1000 * *a; r++)\n"
           "            for (int k = 0; k < 48; k++) scratch[k] = scratch[k] * 0.5f + %d;\n}\n");
    *flops = 48 * 2 * 1000;
    fg_status status = stub_make(out, r, why);
    if (status == FG_OK) strcpy((*out)->step[0].entry, "fg_peak");
    return status;
}

static const maker peak_maker = { .make = stub_make, .peak = stub_peak };

START_TEST(peak)
{
    double gflops = 0;
    fg_context_options o = stub_options();
    failing f = { .at = -1 };
    o.threads = 2;
    o.allocate = failing_allocate;
    o.allocate_user = &f;
    fg_context *context = stub_context(&o);
    context->maker = &peak_maker;
    ck_assert_int_eq(fg_context_peak(context, &gflops, &error), FG_OK);
    ck_assert_double_gt(gflops, 0.01);
    ck_assert_double_lt(gflops, 1e6);
    ck_assert_int_eq(fg_context_peak(context, NULL, &error), FG_REQUEST);
    fg_context_free(context);
    ck_assert_int_eq((int)f.blocks, 0);
}
END_TEST

/* ---- Log ---- */

static void keep_log(void *user, fg_log_level level, const char *sentence)
{
    snprintf(user, 200, "%d %s", (int)level, sentence);
}

START_TEST(log_says_what_was_compiled)
{
    char said[200] = "";
    fg_context_options o = stub_options();
    o.log = keep_log;
    o.log_user = said;
    stub_is_number();
    fg_context *context = stub_context(&o);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan_free(stub_plan(context, p));
    ck_assert_msg(strncmp(said, "1 compiled b=1 d=4 dtype=f64", 28) == 0, "%s", said);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        options_are_checked,
        device_facts,
        one_processor,
        lifetimes,
        names_of_statuses,
        problems,
        plans_are_found_in_memory,
        plan_requests_are_checked,
        emit,
        workspace,
        workspace_of_dynamic_dims,
        every_task_once,
        the_hosts_pool,
        fork_after_openmp,
        fork_with_a_pool,
        threads_plan_together,
        fork_while_others_plan,
        every_allocation_fails,
        a_run_allocates_nothing,
        peak,
        log_says_what_was_compiled,
        NULL,
    };
    return support_run("runtime", tests);
}
