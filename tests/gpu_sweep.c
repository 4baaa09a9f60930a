/* Drawn problems, each with a drawn config, on a GPU: tests/gpu_sweep.sh runs it in many processes, and under
 * compute-sanitizer. FLASHGEN_TEST_WORK=N bounds the multiply-adds of a problem. */
#include "tests/support_gpu.h"
#include "tests/support_sweep.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>

static fg_context *gpu;

static fg_context *context_for(const drawn_case *c)
{
    (void)c;
    return gpu;
}

static void open_gpu(void)
{
    fg_error error;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.device = "cuda";
    o.threads = 1; /* its processes share the processors */
    ck_assert_msg(fg_context_new(&gpu, &o, &error) == FG_OK, "%s", error.text);
}

/* Each schedule's axes that the others lack: what a schedule is not chosen for is to be right, too. */
static const char *const pins[] = { "", "groups=1", "groups=2", "groups=3", "parts=1", NULL };

START_TEST(drawn_problems_are_right)
{
    const char *work = getenv("FLASHGEN_TEST_WORK");
    sweep_tally t;
    open_gpu();
    const sweep_kind kind = { .name = "gpu sweep",
                              .seed = 20261124,
                              .context_for = context_for,
                              .gpu = gpu,
                              .pins = pins,
                              .most_work = work && atof(work) > 0 ? atof(work) : HUGE_VAL };
    sweep_run(&t, &kind, support_sweep());
    sweep_print(&t);
    fg_context_free(gpu);
    sweep_assert(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { drawn_problems_are_right, NULL };
    return support_run_here("gpu_sweep", "cuda", tests);
}
