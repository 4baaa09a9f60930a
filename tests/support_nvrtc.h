/* NVRTC as it is found: by its usual names, or in FLASHGEN_NVRTC. */
#ifndef TESTS_SUPPORT_NVRTC_H
#define TESTS_SUPPORT_NVRTC_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rtc_kernel {
    char entry[64];
    int registers, spill_bytes; /* of stores */
} rtc_kernel;

typedef struct rtc_result {
    char *log; /* warnings and errors */
    char *ptx; /* where it was asked for */
    int kernels;
    rtc_kernel kernel[8];
} rtc_result;

/* NULL, or why there is none. */
const char *rtc_missing(void);
/* Whether NVRTC knows the architecture, as "sm_90". */
bool rtc_knows(const char *arch);
/* Compiles to a cubin, as sm_90 for sm_90a, or to PTX; whether it went well. */
bool rtc_compile(rtc_result *out, const char *text, const char *arch, bool to_ptx);
void rtc_result_free(rtc_result *r);

#endif
