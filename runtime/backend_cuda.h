/* NVRTC and the CUDA driver. */
#ifndef RUNTIME_BACKEND_CUDA_H
#define RUNTIME_BACKEND_CUDA_H

#include "runtime/backend.h"

/* Puts together context->compiler_flags: the architecture and ours, then the host's. */
fg_status backend_cuda_flags(fg_context *context, const char *further, fg_error *error);

/* The text as PTX, for fg_text_free. */
fg_status backend_cuda_ptx(char **out, const fg_context *context, const char *source,
                           fg_error *error);

extern const backend backend_cuda;

#endif
