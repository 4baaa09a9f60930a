/* GPUs, where there are some: of programs that run in one process, since CUDA does not outlive a fork. */
#ifndef TESTS_SUPPORT_GPU_H
#define TESTS_SUPPORT_GPU_H

#include "tests/support_tensor.h"

#include <check.h>

enum { support_skipped = 77 };

/* Whether contexts of `device` ("cuda", "sm_90") are not to be had here, or cannot compile: then it says so, and why. */
bool support_skips(const char *program, const char *device);

/* Runs the tests, the last of which is NULL, in this process; main's exit code: support_skipped where contexts of
 * `device` are missing. */
int support_run_here(const char *name, const char *device, const TTest *const *tests);

/* A test's tensors and run memory on a GPU, as they are on the host: blocks that hold exactly what strides reach. */
typedef struct test_mirror {
    fg_context *context; /* not held */
    test_tensors *host;
    DLTensor copy[test_tensors_max];
    const DLTensor *extra[problem_max_tensors];
    void *block[test_tensors_max], *workspace, *prepared;
    fg_args args; /* of the same run, there */
} test_mirror;

/* Copies all of it to the GPU. Where FLASHGEN_TEST_BARE is set, the workspace is left as the driver gives it, and ends
 * where it does, for compute-sanitizer to see. *out stays where it is. */
fg_status test_mirror_open(test_mirror *out, fg_context *context, test_tensors *host,
                           fg_error *error);
/* Waits, and copies what runs may have written back. */
fg_status test_mirror_fetch(test_mirror *m, fg_error *error);
void test_mirror_close(test_mirror *m);

#endif
