/* Runs on GPUs that only seem to be there. */
/* ctest: labels=threads */
#include "tests/cuda_stub.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Running ---- */

START_TEST(a_run)
{
    fg_plan_info info;
    scene s;
    stub_tasks = "b * hq * 5 + threads";
    stub_scratch = "70001";
    scene_new(&s, "cuda", 7);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    ck_assert_double_eq(cuda_result(&s.run), 7);
    const fake_launch *l = &fake()->last;
    ck_assert_uint_eq(l->blocks, 20 + 132);
    ck_assert_uint_eq(l->threads, 128);
    ck_assert_uint_eq(l->shared_bytes, 70001);
    ck_assert_int_eq(l->device, 0);
    ck_assert_ptr_null(l->stream);
    fg_plan_config(s.plan, &info);
    ck_assert_str_eq(info.target, "cuda");
    size_t bytes = 1;
    ck_assert_int_eq(fg_plan_workspace(s.plan, NULL, &bytes, &error), FG_OK);
    ck_assert_uint_eq(bytes, 0); /* shared memory is no part of it */
    scene_free(&s);
    ck_assert_int_eq(fake()->allocated, 0);
    ck_assert_int_eq(fake()->device[0].loaded, 0);
    ck_assert_int_eq(fake()->device[0].retained, 0);
}
END_TEST

START_TEST(no_blocks_no_launch)
{
    scene s;
    stub_tasks = "0";
    scene_new(&s, "cuda", 7);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    ck_assert_int_eq(fake()->launches, 0);
    scene_free(&s);
}
END_TEST

/* Each device has its own binary, whichever comes first. */
START_TEST(two_devices)
{
    scene first, second;
    scene_new(&first, "cuda:0", 1);
    scene_new(&second, "cuda:1", 2);
    ck_assert_int_eq(scene_run(&second), FG_OK);
    ck_assert_int_eq(fake()->last.device, 1);
    ck_assert_int_eq(scene_run(&first), FG_OK);
    ck_assert_int_eq(fake()->last.device, 0);
    ck_assert_double_eq(cuda_result(&first.run), 1);
    ck_assert_double_eq(cuda_result(&second.run), 2);
    ck_assert_int_eq(fake()->device[0].loaded, 1);
    ck_assert_int_eq(fake()->device[1].loaded, 1);
    scene_free(&first);
    scene_free(&second);
}
END_TEST

/* What is current in the thread stays so, in whatever the library does. */
START_TEST(the_callers_context_stays)
{
    scene s;
    fake_cuda *f = fake();
    const device_cuda *d;
    scene_new(&s, "cuda", 1);
    d = s.context->gpu;
    d->driver.context_push(f->foreign_context);
    for (int own = 0; own < 2; own++) {
        void *mine = own ? (void *)d->context : f->foreign_context;
        if (own) d->driver.context_push(d->context);
        const int depth = f->depth();
        scene other;
        scene_new(&other, "cuda:1", 2);
        ck_assert_ptr_eq(f->current(), mine);
        ck_assert_int_eq(scene_run(&other), FG_OK);
        ck_assert_int_eq(scene_run(&s), FG_OK);
        ck_assert_ptr_eq(f->current(), mine);
        fake_fail("cuLaunchKernelEx", 1, 719);
        ck_assert_int_eq(scene_run(&s), FG_MACHINE);
        f->fail_symbol = NULL;
        scene_free(&other);
        ck_assert_ptr_eq(f->current(), mine);
        ck_assert_int_eq(f->depth(), depth);
    }
    scene_free(&s);
}
END_TEST

/* After the first run no call but these, and none of them waits. */
START_TEST(a_run_only_launches)
{
    static const char *const allowed[] = { "cuCtxGetCurrent", "cuCtxPushCurrent_v2",
                                           "cuCtxPopCurrent_v2", "cuLaunchKernelEx" };
    scene s;
    scene_new(&s, "cuda", 1);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    const fake_cuda before = *fake();
    ck_assert_int_eq(scene_run(&s), FG_OK);
    for (const struct fake_call *c = fake()->call; c->symbol; c++) {
        int more = c->count - before.call[c - fake()->call].count, known = 0;
        for (int k = 0; k < 4; k++) known |= strcmp(c->symbol, allowed[k]) == 0;
        ck_assert_msg(more == 0 || (known && more == 1), "%d calls of %s", more, c->symbol);
    }
    ck_assert_int_eq(fake()->waits, before.waits);
    scene_free(&s);
}
END_TEST

/* The first run of a plan in a capture, and another plan made meanwhile. */
START_TEST(capture)
{
    scene s, other;
    fake_cuda *f = fake();
    scene_new(&s, "cuda", 9);
    s.run.run.args.stream = f->stream;
    double *o = s.run.run.args.o->data;
    f->capturing = 1;
    *o = 0;
    ck_assert_int_eq(scene_run(&s), FG_OK);
    scene_new(&other, "cuda", 10);
    ck_assert_double_eq(*o, 0);
    ck_assert_int_eq(f->captured, 1);
    for (int k = 0; k < 2; k++) {
        *o = 0;
        f->replay(f);
        ck_assert_double_eq(*o, 9);
    }
    f->capturing = 0;
    scene_free(&s);
    scene_free(&other);
}
END_TEST

static void *run_often(void *user)
{
    scene *s = user;
    for (int k = 0; k < 200; k++)
        if (fg_run(s->plan, &s->run.run.args, NULL) != FG_OK) return s;
    return fake()->depth() ? s : NULL;
}

START_TEST(many_threads)
{
    scene s[2];
    pthread_t thread[8];
    for (int k = 0; k < 2; k++) scene_new(&s[k], k ? "cuda:1" : "cuda:0", k + 1);
    for (int k = 0; k < 8; k++)
        ck_assert_int_eq(pthread_create(&thread[k], NULL, run_often, &s[k % 2]), 0);
    for (int k = 0; k < 8; k++) {
        void *failed;
        pthread_join(thread[k], &failed);
        ck_assert_ptr_null(failed);
    }
    for (int k = 0; k < 2; k++) {
        ck_assert_double_eq(cuda_result(&s[k].run), k + 1);
        scene_free(&s[k]);
    }
}
END_TEST

/* ---- What hosts without CUDA have ---- */

START_TEST(memory_of_a_gpu)
{
    char here[] = "abcdefgh", back[9] = "";
    void *there = NULL;
    fake_cuda *f = fake();
    fg_context *context = gpu_context("cuda:1"), *host = stub_context(NULL);
    ck_assert_int_eq(fg_memory_new(&there, context, 100, &error), FG_OK);
    ck_assert_uint_eq((uintptr_t)there % 256, 0);
    ck_assert_int_eq(fg_memory_copy(context, there, here, sizeof here, &error), FG_OK);
    ck_assert_mem_eq(there, here, sizeof here); /* not only on its way */
    ck_assert_int_eq(fg_memory_copy(context, back, there, sizeof back, &error), FG_OK);
    ck_assert_str_eq(back, here);
    ck_assert_int_eq(fg_context_wait(context, &error), FG_OK);
    fake_fail("cuMemcpy", 1, 719);
    refuses(fg_memory_copy(context, back, there, 1, &error), FG_MACHINE, "copying: CUDA_ERROR");
    fake_fail("cuStreamSynchronize", 1, 719);
    refuses(fg_memory_copy(context, back, there, 1, &error), FG_MACHINE, "copying: CUDA_ERROR");
    fake_fail("cuCtxSynchronize", 1, 719);
    refuses(fg_context_wait(context, &error), FG_MACHINE, "waiting for the GPU: CUDA_ERROR");
    void *none = here;
    fake_fail("cuMemAlloc_v2", 1, 2);
    refuses(fg_memory_new(&none, context, 100, &error), FG_MEMORY, "allocating on the GPU");
    ck_assert_ptr_null(none);
    refuses(fg_memory_new(&none, host, 100, &error), FG_REQUEST, "the context is for processors");
    fg_memory_free(context, there);
    fg_memory_free(context, NULL);
    ck_assert_int_eq(f->depth(), 0);
    fg_context_free(context);
    fg_context_free(host);
    ck_assert_int_eq(f->allocated, 0);
}
END_TEST

START_TEST(timing)
{
    enum { runs = 150 };
    static const char *const calls[] = { "cuEventCreate",    "cuEventRecord",
                                         "cuLaunchHostFunc", "cuEventElapsedTime",
                                         "cuLaunchKernelEx", "cuStreamSynchronize" };
    scene s;
    double seconds[runs] = { 0 };
    stub_prepares = true; /* a run has two launches then */
    scene_new(&s, "cuda", 1);
    const fg_args *args[] = { &s.run.run.args, &s.run.run.args };
    ck_assert_int_eq(fg_plan_time(s.plan, args, 2, seconds, runs, &error), FG_OK);
    for (int k = 0; k < runs; k++) ck_assert_double_eq_tol(seconds[k], 2e-3, 1e-9);
    ck_assert_int_eq(fake()->launches, 2 * (runs + 2));
    ck_assert_int_eq(fake()->events, 0);
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        fake_fail(calls[k], 1, 719);
        refuses(fg_plan_time(s.plan, args, 2, seconds, 3, &error), FG_MACHINE, "CUDA_ERROR_LAUNCH");
        fake()->fail_symbol = NULL;
        ck_assert_int_eq(fake()->events, 0);
    }
    refuses(fg_plan_time(s.plan, args, 0, seconds, 3, &error), FG_REQUEST, "there are 0 args");
    refuses(fg_plan_time(s.plan, args, 1, seconds, 0, &error), FG_REQUEST, "0 runs");
    args[1] = NULL;
    refuses(fg_plan_time(s.plan, args, 2, seconds, 1, &error), FG_REQUEST, "args[1] is NULL");
    ck_assert_int_eq(fake()->depth(), 0);
    scene_free(&s);
}
END_TEST

/* ---- Forks ---- */

/* How many calls there are that do not tell what is wrong; processors are there as ever. */
static int use_in_child(scene *s)
{
    char byte;
    void *block = NULL;
    double seconds;
    fg_context *host = NULL;
    const fg_args *args[] = { &s->run.run.args };
    const fg_status statuses[] = {
        fg_memory_new(&block, s->context, 1, &error),
        fg_memory_copy(s->context, &byte, s->run.run.tensor[0].data, 1, &error),
        fg_context_wait(s->context, &error),
        fg_plan_time(s->plan, args, 1, &seconds, 1, &error),
        fg_check(s->context, s->problem, args[0], NULL, NULL, &error),
    };
    int wrong = fg_context_new(&host, NULL, &error) != FG_OK;
    for (size_t k = 0; k < sizeof statuses / sizeof *statuses; k++)
        wrong += statuses[k] != FG_MACHINE;
    fg_context_free(host);
    return wrong;
}

static int in_child(scene *s)
{
    fg_context *context;
    fg_source source;
    fg_context_options o = cuda_options("cuda");
    if (scene_run(s) != FG_MACHINE || !strstr(error.text, "forked")) return 1;
    if (plan_again(s, LINE " causal", &source) != FG_MACHINE) return 2;
    if (fg_context_new(&context, &o, &error) != FG_MACHINE) return 3;
    if (!strstr(error.text, "before this process was forked")) return 4;
    if (use_in_child(s) != 0) return 5;
    const int calls = fake_count("cuModuleUnload");
    fg_plan_free(s->plan);
    fg_problem_free(s->problem);
    fg_context_free(s->context);
    return fake_count("cuModuleUnload") == calls ? 0 : 6;
}

START_TEST(forked)
{
    int how;
    scene s;
    scene_new(&s, "cuda", 4);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    pid_t child = fork();
    if (child == 0) _exit(in_child(&s));
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "it ended with %d", how);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    ck_assert_double_eq(cuda_result(&s.run), 4);
    scene_free(&s);
}
END_TEST

/* The handlers of a fork do not run then. */
START_TEST(cloned)
{
    int how;
    scene s;
    scene_new(&s, "cuda", 4);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    const long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) _exit(scene_run(&s) == FG_MACHINE && strstr(error.text, "forked") ? 0 : 1);
    ck_assert_int_eq(waitpid((pid_t)child, &how, 0), child);
    ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "it ended with %d", how);
    ck_assert_int_eq(scene_run(&s), FG_OK);
    scene_free(&s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_run,
        no_blocks_no_launch,
        two_devices,
        the_callers_context_stays,
        a_run_only_launches,
        capture,
        many_threads,
        memory_of_a_gpu,
        timing,
        forked,
        cloned,
        NULL,
    };
    return support_run("cuda_run", tests);
}
