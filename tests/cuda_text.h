/* Kernels' texts for GPUs that are not there, and NVRTC where it is. */
#ifndef TESTS_CUDA_TEXT_H
#define TESTS_CUDA_TEXT_H

#include "gen/core/maker.h"
#include "tests/support_nvrtc.h"
#include "tests/support.h"

#include <stdio.h>
#include <string.h>

enum { a100 = 0, h100 = 3 }; /* of the devices */

static const maker_device devices[] = {
    { "NVIDIA A100", "sm_80", "nvrtc", "", 108, 216, 167936, 40 << 20, true, 166912, 65536 },
    { "NVIDIA RTX A6000", "sm_86", "nvrtc", "", 84, 168, 102400, 6 << 20, true, 101376, 65536 },
    { "NVIDIA L40", "sm_89", "nvrtc", "", 142, 284, 102400, 96 << 20, true, 101376, 65536 },
    { "NVIDIA H100", "sm_90", "nvrtc", "", 132, 264, 233472, 50 << 20, true, 232448, 65536 },
    { "NVIDIA RTX 5090", "sm_120", "nvrtc", "", 170, 340, 102400, 96 << 20, true, 101376, 65536 },
};
enum { device_count = sizeof devices / sizeof *devices };

__attribute__((unused)) static bool nvrtc_serves(void)
{
    const char *why = rtc_missing();
    if (why) printf("skipped: %s\n", why);
    return why == NULL;
}

/* NULL where the line is no problem, or no schedule takes it. */
__attribute__((unused)) static made *make(const char *line, const maker_device *device,
                                          const char *config)
{
    fg_error error = { 0 };
    problem *p = NULL;
    made *m = NULL;
    if (problem_parse(&p, &memory_default, line, strlen(line), &error) != FG_OK) return NULL;
    maker_request request = {
        .memory = &memory_default, .problem = p, .device = device, .config = config
    };
    fg_status s = maker_installed->make(&m, &request, &error);
    ck_assert_msg(s == FG_OK || s == FG_UNSUPPORTED, "%s: %s", line, error.text);
    problem_free(p);
    return s == FG_OK ? m : NULL;
}

#endif
