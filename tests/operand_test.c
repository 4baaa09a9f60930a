/* What a run is given: tensors checked against the problem, numbers, and what a kernel then gets. */
#include "tests/runtime_stub.h"

#include <math.h>

static fg_error error;
static fg_context *context;
static fg_problem *problem_of_test;
static fg_plan *plan;
static stub_run run;

/* A probe kernel of `arguments` arguments for the problem; its slots come first. */
static void begin(const char *line, int64_t dynamic)
{
    context = stub_context(NULL);
    problem_of_test = stub_problem(context, line);
    plan = stub_plan(context, problem_of_test);
    stub_run_new(&run, problem_of_test, dynamic);
}

static void end(void)
{
    stub_run_free(&run);
    fg_plan_free(plan);
    fg_problem_free(problem_of_test);
    fg_context_free(context);
}

static DLTensor *tensor(const char *name)
{
    fg_tensor_info info;
    for (int k = 0; fg_problem_tensor(problem_of_test, (size_t)k, &info) == FG_OK; k++)
        if (strcmp(info.name, name) == 0) return &run.tensor[k];
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

static void runs(void)
{
    error.text[0] = 0;
    fg_status status = fg_run(plan, &run.args, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
}

static void refuses(const char *sentence)
{
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_REQUEST);
    ck_assert_int_eq(error.status, FG_REQUEST);
    ck_assert_str_eq(error.text, sentence);
}

static int64_t seen_int(int argument)
{
    int64_t value;
    memcpy(&value, (char *)run.args.o->data + 8 * argument, 8);
    return value;
}

static double seen_real(int argument)
{
    double value;
    memcpy(&value, (char *)run.args.o->data + 8 * argument, 8);
    return value;
}

static void *seen_pointer(int argument)
{
    return (void *)(uintptr_t)seen_int(argument);
}

/* ---- Arguments ---- */

#define STATIC_LINE                                                                                \
    "dtype=f64 b=2 hq=4 hkv=2 sq=3 sk=5 d=8 bias=1HQK window=4,-1 softcap=2.5 scale=0.5 "          \
    "tensor=t:i32[hq,3] score={s + t[h][0]}"

START_TEST(pointers_and_strides)
{
    stub_is_probe(17);
    stub_add_slot(SLOT_pointer, "q", 0);
    stub_add_slot(SLOT_pointer, "t", 0);
    static const char *const names[] = { "q", "k", "bias" };
    for (int n = 0; n < 3; n++)
        for (int dim = 0; dim < 4; dim++) stub_add_slot(SLOT_stride, names[n], dim);
    stub_add_slot(SLOT_stride, "t", 0);
    stub_add_slot(SLOT_stride, "t", 1);
    begin(STATIC_LINE, 0);
    runs();
    ck_assert_ptr_eq(seen_pointer(0), run.args.o->data);
    ck_assert_ptr_eq(seen_pointer(1), run.args.q->data);
    ck_assert_ptr_eq(seen_pointer(2), run.args.tensors[0]->data);
    static const int64_t want[] = {
        96, 32, 8, 1, 80, 16, 8, 1, 0 /* broadcasts */, 15, 5, 1, 3, 1
    };
    for (int k = 0; k < 14; k++)
        ck_assert_msg(seen_int(3 + k) == want[k], "%d: %d", k, (int)seen_int(3 + k));
    tensor("q")->strides = NULL; /* compact */
    tensor("k")->byte_offset = 16;
    runs();
    for (int k = 0; k < 14; k++) ck_assert_int_eq(seen_int(3 + k), want[k]);
    end();
}
END_TEST

START_TEST(offsets_and_odd_strides)
{
    stub_is_probe(6);
    stub_add_slot(SLOT_pointer, "k", 0);
    for (int dim = 0; dim < 4; dim++) stub_add_slot(SLOT_stride, "k", dim);
    begin(STATIC_LINE, 0);
    int64_t strides[] = { -80, 0, INT64_C(1) << 40, 1 };
    tensor("k")->strides = strides;
    tensor("k")->byte_offset = 640;
    runs();
    ck_assert_ptr_eq(seen_pointer(1), (char *)run.args.k->data + 640);
    for (int dim = 0; dim < 4; dim++) ck_assert_int_eq(seen_int(2 + dim), strides[dim]);
    end();
}
END_TEST

START_TEST(numbers)
{
    stub_is_probe(6);
    stub_add_slot(SLOT_real, "scale", 0);
    stub_add_slot(SLOT_real, "softcap", 0);
    stub_add_slot(SLOT_int, "window_left", 0);
    stub_add_slot(SLOT_int, "window_right", 0);
    stub_add_slot(SLOT_recipe, "b * 1000 + sq * 100 + sk * 10 + hkv", 0);
    begin(STATIC_LINE, 0);
    runs();
    ck_assert_double_eq(seen_real(1), 0.5);
    ck_assert_double_eq(seen_real(2), 2.5);
    ck_assert_int_eq(seen_int(3), 4);
    ck_assert_int_eq(seen_int(4), 1 << 29);
    ck_assert_int_eq(seen_int(5), 2352);
    run.args.scale = -3;
    run.args.softcap = 50;
    run.args.window_left = -1;
    run.args.window_right = INT64_MAX;
    runs();
    ck_assert_double_eq(seen_real(1), -3);
    ck_assert_double_eq(seen_real(2), 50);
    ck_assert_int_eq(seen_int(3), 1 << 29);
    ck_assert_int_eq(seen_int(4), 1 << 29);
    run.args.window_left = -2;
    refuses("window_left is -2: it must be -1 or more");
    run.args.window_left = FG_DEFAULT_INT;
    run.args.softcap = 0;
    refuses("softcap must be above 0 and finite");
    end();
}
END_TEST

START_TEST(numbers_that_the_problem_has_not)
{
    stub_is_probe(1);
    begin("dtype=f64 b=1 hq=1 sq=4 d=4", 0);
    run.args.window_left = -1; /* no window is an unbounded one */
    runs();
    run.args.window_left = 3;
    refuses("window_left was given, but the problem has none");
    run.args.window_left = FG_DEFAULT_INT;
    run.args.softcap = 3;
    refuses("softcap was given, but the problem has none");
    end();
}
END_TEST

START_TEST(slots_nobody_fills)
{
    context = stub_context(NULL);
    problem_of_test = stub_problem(context, "dtype=f64 b=1 hq=1 sq=4 d=4");
    static const made_slot bad[] = {
        { .kind = SLOT_pointer, .name = "bias" },
        { .kind = SLOT_real, .name = "window_left" },
        { .kind = SLOT_int, .name = "scale" },
        { .kind = SLOT_stride, .name = "q", .dim = 4 },
        { .kind = SLOT_stride, .name = "q", .dim = -1 },
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        stub_is_probe(1);
        stub_slot[stub_slots++] = bad[k];
        ck_assert_int_eq(fg_plan_new(&plan, context, problem_of_test, NULL, &error), FG_INTERNAL);
        ck_assert_msg(strstr(error.text, bad[k].name) != NULL, "%s", error.text);
    }
    fg_problem_free(problem_of_test);
    fg_context_free(context);
}
END_TEST

/* ---- Dimensions that a run says ---- */

START_TEST(dynamic_dims)
{
    static const char *const lines[] = {
        "dtype=f64 b=* hq=2 hkv=1 sq=* sk=* d=16 lse bias=BHQK tensor=t:f32[sq,b] "
        "score={s + t[i][b]}",
        "layout=bhsd dtype=f64 b=* hq=2 hkv=1 sq=* sk=* d=16 lse bias=BHQK "
        "tensor=t:f32[sq,b] score={s + t[i][b]}"
    };
    for (int k = 0; k < 2; k++) {
        int sequence = 1 + k;
        stub_is_probe(5);
        stub_add_slot(SLOT_recipe, "b", 0);
        stub_add_slot(SLOT_recipe, "sq", 0);
        stub_add_slot(SLOT_recipe, "sk", 0);
        stub_add_slot(SLOT_recipe, "hq", 0);
        begin(lines[k], 3);
        runs();
        for (int n = 1; n < 4; n++) ck_assert_int_eq(seen_int(n), 3);
        ck_assert_int_eq(seen_int(4), 2);
        run.args.k->shape[sequence] = run.args.v->shape[sequence] = 2;
        run.args.bias->shape[3] = 2;
        runs();
        ck_assert_int_eq(seen_int(3), 2);
        run.args.lse->shape[2] = 2;
        refuses("lse has shape [3, 2, 2]: it must be [3, 2, 3]");
        run.args.lse->shape[2] = 3;
        ((DLTensor *)run.args.tensors[0])->shape[1] = 4;
        refuses("t has shape [3, 4]: it must be [3, 3]");
        ((DLTensor *)run.args.tensors[0])->shape[1] = 3;
        run.args.q->shape[sequence] = (INT64_C(1) << 28) + 1;
        snprintf(error.text, sizeof error.text, "-");
        ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_REQUEST);
        ck_assert_msg(strstr(error.text, "it must be 0 to 268435456") != NULL, "%s", error.text);
        end();
    }
}
END_TEST

START_TEST(nothing_to_do)
{
    stub_is_number();
    stub_tasks = "b * sq";
    stub_number = 7;
    begin("dtype=f64 b=* hq=2 sq=* sk=* d=16", 3);
    double *o = run.args.o->data;
    run.args.k->shape[1] = run.args.v->shape[1] = 0;
    tensor("k")->data = tensor("v")->data = NULL; /* no keys: the rows are still written */
    runs();
    ck_assert_double_eq(o[0], 7);
    o[0] = 0;
    run.args.q->shape[1] = run.args.o->shape[1] = 0;
    tensor("q")->data = NULL;
    runs();
    ck_assert_double_eq(o[0], 0);
    end();
}
END_TEST

/* ---- Refusals ---- */

START_TEST(wrong_tensors)
{
    stub_is_probe(1);
    begin(STATIC_LINE, 0);
    DLTensor *q = tensor("q"), *bias = tensor("bias"), good = *q;
    const DLTensor *k = run.args.k;
    runs();
    run.args.k = NULL;
    refuses("k is missing: the problem asks for it");
    run.args.k = k;
    run.args.lse = k;
    refuses("lse was given, but the problem has none");
    run.args.lse = NULL;
    run.args.tensor_count = 0;
    refuses("0 tensors were given: the problem declares 1 by tensor=");
    run.args.tensor_count = 1;
    const DLTensor *t = run.extra[0];
    run.extra[0] = NULL;
    refuses("t is missing: the problem asks for it");
    run.extra[0] = t;
    run.args.tensors = NULL;
    refuses("1 tensors were given: the problem declares 1 by tensor=");
    run.args.tensors = run.extra;
    q->device.device_type = 2;
    refuses("q is on device type 2: it must be in host memory (1)");
    *q = good;
    q->dtype.bits = 32;
    refuses("q has type code 2, 32 bits, 1 lanes: it must be f64 (2, 64, 1)");
    *q = good;
    q->dtype.lanes = 2;
    refuses("q has type code 2, 64 bits, 2 lanes: it must be f64 (2, 64, 1)");
    *q = good;
    q->ndim = 3;
    refuses("q has 3 dimensions: it must have 4");
    *q = good;
    q->shape[1] = 4;
    refuses("q has shape [2, 4, 4, 8]: it must be [2, 3, 4, 8]");
    q->shape[1] = 3;
    q->data = NULL;
    refuses("q has no data");
    *q = good;
    bias->shape[0] = 2;
    refuses("bias has shape [2, 4, 3, 5]: it must be [1, 4, 3, 5]");
    bias->shape[0] = 1;
    runs();
    end();
}
END_TEST

START_TEST(wrong_strides)
{
    stub_is_probe(1);
    begin(STATIC_LINE, 0);
    DLTensor *q = tensor("q"), *o = tensor("o");
    q->strides[3] = 2;
    refuses("q has stride 2 in its last dimension: it must be compact (1)");
    q->strides[3] = 1;
    q->strides[1] = 33;
    refuses("q has a stride of 33 elements in dimension 1, no multiple of 16 bytes: the problem "
            "must promise a "
            "smaller align");
    q->strides[1] = 32;
    q->byte_offset = 8;
    refuses("q is not aligned to 16 bytes: the problem must promise a smaller align");
    q->byte_offset = 0;
    q->strides[0] = INT64_MAX / 2 - 1;
    refuses("q has strides that reach beyond 64 bits");
    q->strides[0] = INT64_MIN;
    refuses("q has strides that reach beyond 64 bits");
    q->strides[0] = 96;
    o->strides[2] = 0;
    refuses("o has stride 0 in dimension 2: an output must not overlap itself");
    o->strides[2] = 8;
    runs();
    end();
}
END_TEST

START_TEST(alignment_that_was_promised)
{
    stub_is_probe(1);
    begin("dtype=f64 b=2 hq=4 sq=3 d=5 align=8", 0);
    tensor("q")->byte_offset = 8;
    runs();
    tensor("q")->byte_offset = 4;
    refuses("q is not aligned to 8 bytes: the problem must promise a smaller align");
    end();
    begin("dtype=f64 b=2 hq=4 sq=3 d=8 align=1 bias=1HQK", 0);
    tensor("q")->byte_offset = 3;
    runs();
    tensor("bias")->byte_offset = 4; /* the promise is about q, k, v and o */
    refuses("bias is not aligned to 8 bytes: the problem must promise a smaller align");
    end();
}
END_TEST

/* What a host writes where there is but one element means nothing. */
START_TEST(strides_of_single_elements)
{
    stub_is_probe(3);
    stub_add_slot(SLOT_stride, "q", 0);
    stub_add_slot(SLOT_stride, "q", 3);
    begin("dtype=f64 b=1 hq=4 sq=3 d=1 align=8", 0);
    tensor("q")->strides[0] = 12345;
    tensor("q")->strides[3] = -7;
    tensor("o")->strides[0] = 0;
    runs();
    ck_assert_int_eq(seen_int(1), 0);
    ck_assert_int_eq(seen_int(2), 0);
    end();
}
END_TEST

START_TEST(masks_may_be_bool)
{
    stub_is_probe(1);
    begin("dtype=f64 b=1 hq=4 sq=3 d=2 mask=B11K", 0);
    runs();
    tensor("mask")->dtype.code = 6;
    runs();
    tensor("mask")->dtype.code = 0;
    refuses("mask has type code 0, 8 bits, 1 lanes: it must be u8 (1, 8, 1)");
    end();
}
END_TEST

START_TEST(sizes_of_structs)
{
    stub_is_probe(1);
    begin(STATIC_LINE, 0);
    run.args.size = 0;
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_REQUEST);
    ck_assert_msg(strstr(error.text, "_INIT macro") != NULL, "%s", error.text);
    run.args.size = sizeof run.args + 8;
    ck_assert_int_eq(fg_run(plan, &run.args, &error), FG_REQUEST);
    ck_assert_int_eq(fg_run(plan, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_run(NULL, &run.args, NULL), FG_REQUEST);
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        pointers_and_strides,
        offsets_and_odd_strides,
        numbers,
        numbers_that_the_problem_has_not,
        slots_nobody_fills,
        dynamic_dims,
        nothing_to_do,
        wrong_tensors,
        wrong_strides,
        alignment_that_was_promised,
        strides_of_single_elements,
        masks_may_be_bool,
        sizes_of_structs,
        NULL,
    };
    return support_run("operand", tests);
}
