/* ctest: labels=threads */
/* Plans out of the store, out of a search, and out of a thread. */
#include "runtime/choice.h"
#include "runtime/identity.h"
#include "tests/runtime_stub.h"

#include <pthread.h>
#include <unistd.h>
#include <time.h>

#define LINE "dtype=f64 b=1 hq=4 sq=64 d=4"

static fg_error error;
static char store_folder[96];

/* A context that keeps its kernels in this test's folder. */
static fg_context *keeping(void)
{
    fg_context_options o = stub_options();
    if (!*folder) in_folder();
    snprintf(store_folder, sizeof store_folder, "%s/store", folder);
    o.store = store_folder;
    return stub_context(&o);
}

/* What a kernel of these writes to o[0]; the plan's source in *source. */
static double result_of(fg_context *context, const char *line, const fg_plan_options *o,
                        fg_source *source)
{
    fg_plan *plan;
    fg_plan_info info;
    stub_run run;
    fg_problem *p = stub_problem(context, line);
    fg_status status = fg_plan_new(&plan, context, p, o, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    fg_plan_config(plan, &info);
    if (source) *source = info.source;
    stub_run_new(&run, p, 0);
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_OK);
    double result = *(double *)run.args.o->data;
    stub_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(p);
    return result;
}

/* The same in a context of its own. */
static double fresh_result(const char *line, fg_source *source)
{
    fg_context *context = keeping();
    double result = result_of(context, line, NULL, source);
    fg_context_free(context);
    return result;
}

START_TEST(the_next_context_finds_the_kernel)
{
    fg_source source;
    stub_is_number();
    stub_number = 7;
    ck_assert_double_eq(fresh_result(LINE, &source), 7);
    ck_assert_int_eq(source, FG_COMPILED);
    stub_number = 8; /* nobody asks the maker again */
    ck_assert_double_eq(fresh_result(LINE, &source), 7);
    ck_assert_int_eq(source, FG_FROM_STORE);
    ck_assert_int_eq(atomic_load(&stub_made), 1);
}
END_TEST

START_TEST(values_that_a_run_replaces_share_a_kernel)
{
    fg_source source;
    stub_is_number();
    fresh_result(LINE " softcap=20 scale=0.5", &source);
    ck_assert_int_eq(source, FG_COMPILED);
    fresh_result(LINE " softcap=30", &source);
    ck_assert_int_eq(source, FG_FROM_STORE);
    fresh_result(LINE " window=3,0", &source);
    ck_assert_int_eq(source, FG_COMPILED);
    fresh_result(LINE " window=5,0", &source); /* its estimate may be another, its kernel is not */
    ck_assert_int_eq(source, FG_FROM_STORE);
    fresh_result(LINE, &source);
    ck_assert_int_eq(source, FG_COMPILED);
}
END_TEST

START_TEST(another_generator_compiler_or_machine_is_a_miss)
{
    fg_source source;
    fg_context_options o = stub_options();
    stub_is_number();
    fresh_result(LINE, NULL);
    stub_generator = "two"; /* a template was edited */
    fresh_result(LINE, &source);
    ck_assert_int_eq(source, FG_COMPILED);
    stub_generator = "one";
    o.store = store_folder;
    o.isa = "portable"; /* as on a machine without the rest */
    fg_context *context = stub_context(&o);
    result_of(context, LINE, NULL, &source);
    fg_context_free(context);
    context = keeping();
    bool portable = strcmp(context->device.isa->name, "portable") == 0;
    fg_context_free(context);
    ck_assert_int_eq(source, portable ? FG_FROM_STORE : FG_COMPILED);
}
END_TEST

/* A script that compiles as the real one does. */
static void write_compiler(const char *path, const char *comment)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "#!/bin/sh\n# %s\nexec %s \"$@\"\n", comment, FLASHGEN_KERNEL_COMPILER);
    fclose(f);
    ck_assert_int_eq(chmod(path, 0755), 0);
}

static fg_source source_by(const char *compiler)
{
    fg_source source;
    fg_context_options o = stub_options();
    o.store = store_folder;
    o.compiler = compiler;
    fg_context *context = stub_context(&o);
    result_of(context, LINE, NULL, &source);
    fg_context_free(context);
    return source;
}

START_TEST(a_compiler_replaced_is_a_miss)
{
    char path[96];
    stub_is_number();
    fg_context_free(keeping());
    snprintf(path, sizeof path, "%s/cc", folder);
    write_compiler(path, "one");
    ck_assert_int_eq(source_by(path), FG_COMPILED);
    ck_assert_int_eq(source_by(path), FG_FROM_STORE);
    write_compiler(path, "two"); /* of the same size, under the same name */
    ck_assert_int_eq(source_by(path), FG_COMPILED);
    ck_assert_int_eq(source_by(path), FG_FROM_STORE);
    write_compiler(path, "one");
    ck_assert_int_eq(source_by(path), FG_FROM_STORE); /* it is the one that it was */
}
END_TEST

static void damage(const char *kind)
{
    char path[128], file[400];
    snprintf(path, sizeof path, "%s/%s", store_folder, kind);
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        ck_assert_int_eq(truncate(file, 100), 0);
    }
    closedir(d);
}

START_TEST(damage_is_healed)
{
    static const char *const kinds[] = { "kernel", "estimate", "compiler" };
    fg_source source;
    stub_is_number();
    fresh_result(LINE, NULL);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        damage(kinds[k]);
        ck_assert_double_eq(fresh_result(LINE, &source), 0);
        if (k == 0) ck_assert_int_eq(source, FG_COMPILED);
        ck_assert_double_eq(fresh_result(LINE, &source), 0);
        ck_assert_int_eq(source, FG_FROM_STORE);
    }
}
END_TEST

/* ---- Winners ---- */

/* Stores what a search would: config "best=1", whose kernel writes `number`. */
static void store_winner(fg_context *context, const char *line, int number, bool exhaustive)
{
    static const store_kind kinds[] = { STORE_winner, STORE_stored };
    fg_problem *p = stub_problem(context, line);
    choice c = { .schedule = "stub", .config = "best=1", .seconds = 1, .exhaustive = exhaustive };
    store_key k;
    image i;
    stub_number = number;
    ck_assert_int_eq(image_make(&i, context, p->problem, "best=1", NULL, &error), FG_OK);
    ck_assert_int_eq(choice_kernel_key(&k, context, p->problem, "stub", "best=1", &error), FG_OK);
    c.kernel = key_digest(&k);
    ck_assert_int_eq(identity_of_compiler(&c.compiler, context, &error), FG_OK);
    plan_store_kernel(context, &k, &i);
    key_free(&k);
    image_free(&i);
    for (int n = 0; n < 2; n++) {
        ck_assert_int_eq(choice_key(&k, kinds[n], context, p->problem, "", &error), FG_OK);
        choice_put(context, kinds[n], &k, &c);
        key_free(&k);
    }
    fg_problem_free(p);
}

START_TEST(a_winner_serves_every_rigor_that_it_may)
{
    static const fg_rigor rigors[] = { FG_ESTIMATE, FG_MEASURE, FG_STORED, FG_EXHAUSTIVE };
    fg_source source;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    stub_is_number();
    fg_context *context = keeping();
    store_winner(context, LINE, 5, true);
    fg_context_free(context);
    stub_number = 6;
    for (int k = 0; k < 4; k++) {
        context = keeping();
        o.rigor = rigors[k];
        ck_assert_double_eq(result_of(context, LINE, &o, &source), 5);
        ck_assert_int_eq(source, FG_FROM_STORE);
        ck_assert_double_eq(result_of(context, LINE, &o, &source), 5);
        ck_assert_int_eq(source, FG_FROM_MEMORY);
        fg_context_free(context);
    }
    ck_assert_int_eq(atomic_load(&stub_made), 1);
}
END_TEST

static int note_winner(void *user, const fg_store_entry *e)
{
    bool winner = strcmp(e->kind, "winner") == 0;
    if (winner) ck_assert_str_eq(e->schedule, "stub");
    if (winner) ck_assert_str_eq(e->config, "best=1");
    if (winner) ck_assert_str_eq(e->problem, "b=1 d=4 dtype=f64 hq=4 sq=64");
    *(int *)user += winner;
    return 0;
}

START_TEST(a_visit_tells_the_winner)
{
    int winners = 0;
    stub_is_number();
    fg_context *context = keeping();
    store_winner(context, LINE, 5, false);
    ck_assert_int_eq(fg_store_visit(context, note_winner, &winners, &error), FG_OK);
    ck_assert_int_eq(winners, 1);
    fg_context_free(context);
}
END_TEST

START_TEST(stored_never_compiles)
{
    fg_plan *plan;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    fg_context_options bare = stub_options();
    o.rigor = FG_STORED;
    stub_is_number();
    fg_context *context = keeping();
    fg_problem *p = stub_problem(context, LINE);
    ck_assert_int_eq(fg_plan_new(&plan, context, p, &o, &error), FG_NOT_STORED);
    ck_assert_ptr_nonnull(strstr(error.text, "sq=64"));
    ck_assert_int_eq(atomic_load(&stub_made), 0);
    store_winner(context, LINE, 5, false);
    fg_problem_free(p);
    fg_context_free(context);
    /* a machine without a compiler, and with another generator */
    stub_generator = "two";
    bare.store = store_folder;
    bare.compiler = "/no/such/compiler";
    context = stub_context(&bare);
    ck_assert_double_eq(result_of(context, LINE, &o, NULL), 5);
    fg_context_free(context);
    ck_assert_int_eq(atomic_load(&stub_made), 1);
}
END_TEST

/* ---- A search's winner ---- */

START_TEST(an_adopted_winner_takes_over)
{
    static const fg_rigor rigors[] = { FG_ESTIMATE, FG_MEASURE, FG_STORED };
    fg_source source;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    image i;
    stub_is_number();
    fg_context *context = stub_context(NULL); /* also where nothing is kept */
    ck_assert_double_eq(result_of(context, LINE, NULL, NULL), 0);
    fg_problem *p = stub_problem(context, LINE);
    stub_number = 9;
    ck_assert_int_eq(image_make(&i, context, p->problem, "best=1", NULL, &error), FG_OK);
    ck_assert_int_eq(plan_adopt(context, p->problem, &(maker_sizes){ 0 }, "", &i, false, &error),
                     FG_OK);
    image_free(&i);
    for (int k = 0; k < 3; k++) {
        o.rigor = rigors[k];
        ck_assert_double_eq(result_of(context, LINE, &o, &source), 9);
        ck_assert_int_eq(source, FG_FROM_MEMORY);
    }
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

static fg_context *searching; /* whose other thread looks for a winner; or NULL */

/* Another process stores a winner, and then this one looks for one. */
static void *find_winner(void *argument)
{
    static const maker_sizes none = { 0 };
    const kernels_winner winner = { &none, "", "stub", "best=1", false };
    fg_context *other = keeping();
    store_winner(other, LINE, 5, false);
    fg_context_free(other);
    fg_problem *p = stub_problem(argument, LINE);
    kernels_forget_others(argument, p->problem, &winner);
    fg_problem_free(p);
    return NULL;
}

static fg_status make_while_searching(made **out, const maker_request *r, fg_error *e)
{
    pthread_t thread;
    const fg_status status = stub_make(out, r, e);
    if (searching) {
        ck_assert_int_eq(pthread_create(&thread, NULL, find_winner, searching), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        searching = NULL;
    }
    return status;
}

/* A plan that was chosen before a winner came must not stand for what comes after. */
START_TEST(a_winner_comes_while_a_plan_is_made)
{
    static const maker slow = { .make = make_while_searching,
                                .choices = stub_choices,
                                .hash = stub_hash };
    fg_source source;
    stub_is_number();
    stub_number = 6;
    fg_context *context = keeping();
    context->maker = &slow;
    searching = context;
    ck_assert_double_eq(result_of(context, LINE, NULL, &source), 6);
    ck_assert_int_eq(source, FG_COMPILED);
    ck_assert_double_eq(result_of(context, LINE, NULL, &source), 5);
    ck_assert_int_eq(source, FG_FROM_STORE);
    ck_assert_double_eq(result_of(context, LINE, NULL, &source), 5);
    ck_assert_int_eq(source, FG_FROM_MEMORY);
    fg_context_free(context);
}
END_TEST

/* ---- In the background ---- */

static fg_status wait_for(fg_plan **plan, fg_context *context, const fg_problem *p,
                          const fg_plan_options *o)
{
    fg_status status;
    do {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        status = fg_plan_new(plan, context, p, o, &error);
    } while (status == FG_PENDING);
    return status;
}

START_TEST(a_plan_in_the_background)
{
    fg_plan *plan, *again;
    fg_plan_info info;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    stub_is_number();
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE), *other = stub_problem(context, LINE " lse");
    o.background = 1;
    ck_assert_int_eq(fg_plan_new(&plan, context, p, &o, &error), FG_PENDING);
    ck_assert_ptr_null(plan);
    ck_assert_int_eq(fg_plan_new(&again, context, other, &o, &error), FG_PENDING);
    ck_assert_int_eq(wait_for(&plan, context, p, &o), FG_OK);
    fg_plan_config(plan, &info);
    ck_assert_int_eq(info.source, FG_COMPILED);
    ck_assert_int_eq(fg_plan_new(&again, context, p, &o, &error), FG_OK);
    ck_assert_ptr_eq(plan->kernel, again->kernel);
    fg_plan_free(plan);
    fg_plan_free(again);
    fg_problem_free(p);
    fg_problem_free(other);
    fg_context_free(context); /* waits for the other */
    ck_assert_int_eq(atomic_load(&stub_made), 2);
}
END_TEST

START_TEST(a_failure_in_the_background)
{
    fg_plan *plan;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    stub_is_number();
    strcpy(stub_text, "this is no C %d");
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    o.background = 1;
    ck_assert_int_eq(fg_plan_new(&plan, context, p, &o, &error), FG_PENDING);
    ck_assert_int_eq(wait_for(&plan, context, p, &o), FG_COMPILER);
    ck_assert_ptr_nonnull(strstr(error.text, "this is no C"));
    stub_is_number(); /* what failed is tried again */
    ck_assert_int_eq(fg_plan_new(&plan, context, p, &o, &error), FG_PENDING);
    ck_assert_int_eq(wait_for(&plan, context, p, &o), FG_OK);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Failing on purpose ---- */

static fg_status plan_with(failing *f)
{
    fg_context_options o = stub_options();
    fg_context *context = NULL;
    fg_problem *p = NULL;
    fg_plan *plan = NULL;
    o.store = store_folder;
    o.compiler = stub_compiler;
    o.allocate = failing_allocate;
    o.allocate_user = f;
    fg_status status = fg_context_new(&context, &o, &error);
    if (status != FG_OK) return status;
    context->maker = &stub_maker;
    status = fg_problem_parse(&p, context, LINE, &error);
    if (status == FG_OK) status = fg_plan_new(&plan, context, p, NULL, &error);
    ck_assert((status == FG_OK) == (plan != NULL));
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
    return status;
}

static void clear_store(void)
{
    fg_context *context = keeping();
    ck_assert_int_eq(fg_store_clear(context, NULL, &error), FG_OK);
    fg_context_free(context);
}

/* What the store misses for want of memory is made anew, or the memory is missed there, too. */
static void fail_all(void (*before)(void))
{
    fg_context_free(keeping());
    stub_is_number();
    stub_compiler_make();
    failing_all(&(failing_way){ plan_with, before, NULL, &error, .mended = true }, 11);
}

START_TEST(every_allocation_fails_when_it_is_made)
{
    fail_all(clear_store);
}
END_TEST

START_TEST(every_allocation_fails_when_it_is_stored)
{
    fail_all(NULL);
}
END_TEST

/* ---- Many at once ---- */

static void *one_result(void *argument)
{
    ck_assert_double_eq(fresh_result(LINE, argument), 0);
    return NULL;
}

START_TEST(one_compiles_for_all)
{
    enum { count = 8 };
    pthread_t thread[count];
    fg_source source[count];
    int compiled = 0;
    stub_is_number();
    fg_context_free(keeping());
    for (int k = 0; k < count; k++)
        ck_assert_int_eq(pthread_create(&thread[k], NULL, one_result, &source[k]), 0);
    for (int k = 0; k < count; k++) {
        pthread_join(thread[k], NULL);
        compiled += source[k] == FG_COMPILED;
    }
    ck_assert_int_eq(compiled, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_next_context_finds_the_kernel,
        values_that_a_run_replaces_share_a_kernel,
        another_generator_compiler_or_machine_is_a_miss,
        a_compiler_replaced_is_a_miss,
        damage_is_healed,
        a_winner_serves_every_rigor_that_it_may,
        a_visit_tells_the_winner,
        stored_never_compiles,
        an_adopted_winner_takes_over,
        a_winner_comes_while_a_plan_is_made,
        a_plan_in_the_background,
        a_failure_in_the_background,
        every_allocation_fails_when_it_is_made,
        every_allocation_fails_when_it_is_stored,
        one_compiles_for_all,
        NULL,
    };
    return support_run("plan_store", tests);
}
