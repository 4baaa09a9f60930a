/* NVRTC: CUDA C++ to a GPU's binary, in this process. */
#ifndef RUNTIME_NVRTC_H
#define RUNTIME_NVRTC_H

#include "runtime/context.h"

/* Where the library is, once: its path in context->compiler, or the reason that there is none in
 * context->compiler_missing. `wanted`: its path; NULL: one that the process has loaded already, else in
 * LD_LIBRARY_PATH, CUDA's folders, those of Python's `nvidia` packages, or where the dynamic linker looks. */
fg_status nvrtc_find(fg_context *context, const char *wanted, fg_error *error);

/* The builtins library that goes with it, or "" where that is unknown. */
enum { nvrtc_path_size = 4096 };
void nvrtc_builtins(char out[nvrtc_path_size], const char *library);

/* As "NVRTC 13.0". Loads the library. */
fg_status nvrtc_version(char out[32], const char *library, fg_error *error);

/* From any thread. `source` starts with "#line": an error names the template's file and line. `flags`, separated by single
 * spaces, have the architecture: sm_90 gives a binary, compute_90 PTX, 0-terminated. FG_COMPILER with the log; "*out" is
 * of m. */
fg_status nvrtc_compile(void **out, size_t *size, const memory *m, const char *library,
                        const char *flags, const char *source, fg_error *error);

#endif
