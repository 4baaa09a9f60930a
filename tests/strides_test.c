/* Strides that carry offsets across 2^31 elements: tensors in address space that is mostly not there. */
#include "tests/support_trial.h"
#include "tests/support.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Elements from one index of a dimension to the next, so that a few of them pass 2^31. */
enum { far_head = 1 << 30, far_row = (1 << 28) + 8 };

static int64_t reach_of(const test_tensor *t)
{
    int64_t reach = 1;
    for (int k = 0; k < t->rank; k++) reach += (t->shape[k] - 1) * t->stride[k];
    return reach * (dtypes[t->type].bits / 8);
}

/* Moves the tensor to where dimension `dim` has the stride `far`; false where there is no such room. */
static bool spread(test_tensor *t, int dim, int64_t far)
{
    rng r = rng_new(9, (uint64_t)dim);
    t->stride[dim] = far;
    t->dl.strides = t->stride;
    size_t bytes = (size_t)reach_of(t);
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return false;
    t->dl.data = t->first = room;
    t->dl.byte_offset = 0;
    if (!t->output) {
        if (strcmp(t->name, "mask") == 0)
            test_fill(t, 1);
        else
            test_fill_normal(t, &r);
    }
    return true;
}

static void unspread(test_tensor *t)
{
    munmap(t->first, (size_t)reach_of(t));
}

static void try_tensor(trial *x, const char *name, int dim, int64_t far)
{
    test_tensor *t = trial_tensor(x, name), kept = *t;
    fg_error error;
    fg_check_report report;
    if (!spread(t, dim, far)) {
        printf("strides: SKIPPED %s: this machine gives no such address space\n", name);
    } else {
        fg_status s = test_run(&x->t, x->plan, &error);
        if (s == FG_OK) s = fg_check(x->context, x->handle, &x->t.args, NULL, &report, &error);
        ck_assert_msg(s == FG_OK, "%s with stride %lld in dimension %d: %s\n%s\nisa=%s config='%s'",
                      name, (long long)far, dim, error.text, fg_problem_format(x->handle), x->isa,
                      trial_config(x));
        unspread(t);
    }
    *t = kept;
}

static void try_all(fg_context *context, const char *type)
{
    static const struct {
        const char *name;
        int dim;
        int64_t far;
    } places[] = {
        { "q", 0, far_head * INT64_C(3) },
        { "q", 1, far_row },
        { "q", 2, far_head },
        { "k", 0, far_head * INT64_C(3) },
        { "k", 1, far_row },
        { "k", 2, far_head * INT64_C(3) },
        { "v", 1, far_row },
        { "v", 2, far_head * INT64_C(3) },
        { "o", 0, far_head * INT64_C(3) },
        { "o", 1, far_row },
        { "o", 2, far_head },
        { "lse", 1, far_head },
        { "lse", 2, far_row },
        { "bias", 1, far_head },
        { "bias", 2, far_row },
        { "bias", 3, far_row },
        { "mask", 0, far_head * INT64_C(3) },
        { "mask", 3, far_row },
        { "t", 1, far_row },
        { "t", 0, far_row },
    };
    trial x;
    trial_open(&x, context, "keys=24 vectors=1 blocks=1",
               "dtype=%s b=2 hq=4 hkv=2 sq=21 sk=60 d=8 bias=1HQK mask=B11K lse "
               "score={s + t[i + j][j - i]} tensor=t:f32[sk,sq]",
               type);
    for (size_t k = 0; k < sizeof places / sizeof *places; k++)
        try_tensor(&x, places[k].name, places[k].dim, places[k].far);
    trial_close(&x);
}

START_TEST(offsets_pass_2_to_the_31)
{
    static const char *const types[] = { "f32", "bf16", "f16", "bf16" };
    for (int isa = 0; isa < isa_count; isa++) {
        fg_context *context = test_context(isa, 2);
        if (context) try_all(context, types[isa]);
        fg_context_free(context);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = { offsets_pass_2_to_the_31, NULL };
    return support_run("strides", tests);
}
