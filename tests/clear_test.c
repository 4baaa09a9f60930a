/* Regions of the workspace that are zeroed before a launch, whatever was there. */
#include "tests/cuda_stub.h"

#define PATTERN 0xff

/* ---- On processors ---- */

/* o[0] is what the count was, and the kernel counts on. */
static void count_on_processors(const char *region, const char *bytes, bool prepared)
{
    snprintf(
        stub_text, sizeof stub_text, "%s",
        "struct args { double *o; long long *part; };\n"
        "void fg_prepare(const struct args *a, void *scratch, long long first, long long last)\n"
        "{\n    a->part[0] += 10;\n}\n"
        "void fg_kernel(const struct args *a, void *scratch, long long first, long long last)\n"
        "{\n    a->o[0] = a->part[0]++;\n}\n");
    stub_clears = "part";
    stub_slots = 0;
    stub_add_slot(SLOT_pointer, "o", 0);
    stub_add_region("before", "64", false);
    stub_add_region(region, bytes, prepared);
    stub_add_region("behind", "64", false);
    stub_add_slot(SLOT_region, "part", 0);
}

typedef struct host {
    fg_context *context;
    fg_problem *problem;
    fg_plan *plan;
    stub_run run;
} host;

static _Alignas(64) unsigned char workspace[1024], kept[1024];

static void host_new(host *h)
{
    h->context = stub_context(NULL);
    h->problem = stub_problem(h->context, LINE);
    h->plan = stub_plan(h->context, h->problem);
    stub_run_new(&h->run, h->problem, 0);
    h->run.args.workspace = workspace;
    h->run.args.workspace_bytes = sizeof workspace;
    memset(workspace, PATTERN, sizeof workspace);
    memset(kept, PATTERN, sizeof kept);
}

static void host_free(host *h)
{
    stub_run_free(&h->run);
    fg_plan_free(h->plan);
    fg_problem_free(h->problem);
    fg_context_free(h->context);
}

static double host_run(host *h)
{
    fg_status status = fg_run(h->plan, &h->run.args, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    return *(const double *)h->run.args.o->data;
}

static void is_all(const unsigned char *data, size_t bytes, unsigned char value)
{
    for (size_t k = 0; k < bytes; k++) ck_assert_msg(data[k] == value, "%zu: %d", k, data[k]);
}

START_TEST(each_run_starts_from_zeros)
{
    host h;
    size_t bytes = 0;
    count_on_processors("part", "sq + 12", false); /* 76, of which the kernel writes 8 */
    host_new(&h);
    ck_assert_int_eq(fg_plan_workspace(h.plan, NULL, &bytes, &error), FG_OK);
    ck_assert_uint_eq(bytes, 64 + 128 + 64);
    for (int k = 0; k < 3; k++) ck_assert_double_eq(host_run(&h), 0);
    is_all(workspace, 64, PATTERN);
    is_all(workspace + 64 + 8, 76 - 8, 0);
    is_all(workspace + 64 + 76, sizeof workspace - 64 - 76, PATTERN);
    host_free(&h);
}
END_TEST

/* What is prepared is cleared where it is written, and kept from then on. */
START_TEST(what_is_prepared_is_cleared_once)
{
    host h;
    stub_prepares = true;
    count_on_processors("part", "8", true);
    host_new(&h);
    for (int k = 0; k < 2; k++) ck_assert_double_eq(host_run(&h), 10);
    h.run.args.prepared = kept;
    h.run.args.prepared_bytes = sizeof kept;
    for (int turn = 0; turn < 2; turn++) {
        ck_assert_int_eq(fg_plan_prepare(h.plan, &h.run.args, &error), FG_OK);
        for (int k = 0; k < 3; k++) ck_assert_double_eq(host_run(&h), 10 + k);
    }
    host_free(&h);
}
END_TEST

START_TEST(a_region_that_there_is_not)
{
    fg_plan *plan;
    stub_is_number();
    stub_clears = "absent";
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    refuses(fg_plan_new(&plan, context, p, NULL, &error), FG_INTERNAL,
            "a step clears \"absent\", which no run has");
    ck_assert_ptr_null(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- On GPUs ---- */

/* The kernel stores `number` to the start of region "part". */
static void scene_clears(scene *s, int number, const char *bytes)
{
    cuda_is_number(number);
    stub_clears = "part";
    stub_slots = stub_regions = 0;
    stub_add_region("before", "64", false);
    stub_add_region("part", bytes, false);
    stub_add_slot(SLOT_region, "part", 0);
    s->context = gpu_context("cuda");
    s->problem = stub_problem(s->context, LINE);
    s->plan = stub_plan(s->context, s->problem);
    cuda_run_new(&s->run, s->context, s->problem);
    s->run.run.args.workspace = (char *)s->run.run.tensor[0].data + 16384; /* room behind q */
    s->run.run.args.workspace_bytes = 1024;
    memset(s->run.run.args.workspace, PATTERN, 1024);
}

/* That the region was cleared, and then written. */
static void is_cleared(const scene *s, double number, size_t bytes)
{
    const unsigned char *all = s->run.run.args.workspace;
    ck_assert_mem_eq(all + 64, &number, sizeof number);
    is_all(all, 64, PATTERN);
    is_all(all + 64 + 8, bytes - 8, 0);
    is_all(all + 64 + bytes, 1024 - 64 - bytes, PATTERN);
}

START_TEST(a_clear_comes_before_the_launch)
{
    scene s;
    scene_clears(&s, 7, "hq * 25");
    for (int k = 0; k < 2; k++) {
        memset(s.run.run.args.workspace, PATTERN, 1024);
        ck_assert_int_eq(scene_run(&s), FG_OK);
        is_cleared(&s, 7, 100);
    }
    ck_assert_int_eq(fake()->launches, 2);
    scene_free(&s);
}
END_TEST

START_TEST(a_graph_clears_when_it_runs)
{
    scene s;
    fake_cuda *f = fake();
    scene_clears(&s, 9, "100");
    s.run.run.args.stream = f->stream;
    f->capturing = 1;
    const int waits = f->waits;
    ck_assert_int_eq(scene_run(&s), FG_OK);
    ck_assert_int_eq(f->captured, 2);
    ck_assert_int_eq(f->waits, waits);
    is_all(s.run.run.args.workspace, 1024, PATTERN); /* nothing has run */
    for (int k = 0; k < 2; k++) {
        memset(s.run.run.args.workspace, PATTERN, 1024);
        f->replay(f);
        is_cleared(&s, 9, 100);
    }
    f->capturing = 0;
    scene_free(&s);
}
END_TEST

START_TEST(no_bytes_no_clear)
{
    scene s;
    scene_clears(&s, 7, "hq - 4");
    ck_assert_int_eq(scene_run(&s), FG_OK);
    ck_assert_int_eq(fake_count("cuMemsetD8Async"), 1); /* the device's own zeros */
    ck_assert_int_eq(fake()->launches, 1);
    scene_free(&s);
}
END_TEST

/* Nothing is launched then. */
START_TEST(clears_that_fail)
{
    scene s;
    scene_clears(&s, 7, "100");
    fake_fail("cuMemsetD8Async", 1, 719);
    refuses(scene_run(&s), FG_MACHINE,
            "clearing a part of the workspace: CUDA_ERROR_LAUNCH_FAILED");
    fake_fail("cuMemsetD8Async", 1, 2);
    refuses(scene_run(&s), FG_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY");
    fake()->fail_symbol = NULL;
    s.run.run.args.stream = fake()->foreign_stream;
    refuses(scene_run(&s), FG_REQUEST, "the stream is of another context than cuda:0's primary");
    ck_assert_int_eq(fake()->launches, 0);
    is_all(s.run.run.args.workspace, 1024, PATTERN);
    ck_assert_int_eq(fake()->depth(), 0);
    s.run.run.args.stream = NULL;
    ck_assert_int_eq(scene_run(&s), FG_OK);
    is_cleared(&s, 7, 100);
    scene_free(&s);
}
END_TEST

START_TEST(times_have_the_clear)
{
    double seconds[5] = { 0 };
    scene s;
    scene_clears(&s, 7, "100");
    const fg_args *args[] = { &s.run.run.args };
    ck_assert_int_eq(fg_plan_time(s.plan, args, 1, seconds, 5, &error), FG_OK);
    for (int k = 0; k < 5; k++) ck_assert_double_eq_tol(seconds[k], 1.5e-3, 1e-9);
    scene_free(&s);
}
END_TEST

/* ---- Kept ---- */

START_TEST(an_image_keeps_it)
{
    image i, back;
    text bytes;
    kernel *k;
    store_section sections[image_sections];
    count_on_processors("part", "8", false);
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, LINE);
    ck_assert_int_eq(image_make(&i, context, p->problem, NULL, NULL, &error), FG_OK);
    ck_assert_int_eq(image_write(&bytes, sections, &i, &error), FG_OK);
    ck_assert_int_eq(image_read(&back, context, sections, image_sections, &error), FG_OK);
    ck_assert_int_eq(back.made->steps, 2);
    ck_assert_str_eq(back.made->step[0].clear, "part");
    ck_assert_str_eq(back.made->step[1].clear, "");
    strcpy(back.made->step[0].clear, "nothing");
    ck_assert_int_eq(kernel_load(&k, context, p->problem, &back, &error), FG_INTERNAL);
    ck_assert_ptr_null(k);
    image_free(&back);
    image_free(&i);
    text_free(&bytes);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_run_starts_from_zeros,
        what_is_prepared_is_cleared_once,
        a_region_that_there_is_not,
        a_clear_comes_before_the_launch,
        a_graph_clears_when_it_runs,
        no_bytes_no_clear,
        clears_that_fail,
        times_have_the_clear,
        an_image_keeps_it,
        NULL,
    };
    return support_run("clear", tests);
}
