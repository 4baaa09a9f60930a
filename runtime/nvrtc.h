/* NVRTC: CUDA C++ to a GPU's binary, in this process. */
#ifndef RUNTIME_NVRTC_H
#define RUNTIME_NVRTC_H

#include "runtime/toolchain.h"

/* Where the library is, once: its path in context->compiler, or the reason that there is none in
 * context->compiler_missing. `wanted`: its path; NULL: one that the process has loaded already, else in
 * LD_LIBRARY_PATH, CUDA's folders, those of Python's `nvidia` packages, or where the dynamic linker looks;
 * of no later CUDA than the context's GPU takes, where it has one. */
fg_status nvrtc_find(fg_context *context, const char *wanted, fg_error *error);

/* The library, and the builtins of any version beside it: there is nothing else that it reads. Without builtins it is
 * not whole. */
fg_status nvrtc_parts(toolchain *out, const memory *m, const char *library, fg_error *error);

/* As "NVRTC 13.0". Loads the library. */
fg_status nvrtc_version(char out[32], const char *library, fg_error *error);

/* From any thread. `source` starts with "#line": an error names the template's file and line. `flags`, separated by single
 * spaces, have the architecture: sm_90a for a binary; compute_90 where `ptx`, which gives PTX, 0-terminated. FG_COMPILER
 * with the log; "*out" is of m. */
fg_status nvrtc_compile(void **out, size_t *size, const memory *m, const char *library,
                        const char *flags, bool ptx, const char *source, fg_error *error);

#endif
