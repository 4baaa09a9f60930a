/* The host's C compiler and dlopen. */
#ifndef RUNTIME_BACKEND_C_H
#define RUNTIME_BACKEND_C_H

#include "runtime/backend.h"

/* Finds the compiler, once: its absolute path in context->compiler, or the reason that there is none in
 * context->compiler_missing. `wanted`: a path or a name on PATH; NULL: cc, gcc or clang. */
fg_status compiler_find(fg_context *context, const char *wanted, fg_error *error);

/* Puts together context->compiler_flags: ours, the instruction set's, then the host's. */
fg_status compiler_flags_make(fg_context *context, const char *further, fg_error *error);

/* First line of `--version`, or "" where it does not say. */
void compiler_ask_version(char *out, size_t size, const fg_context *context);
/* What the backend's compiler says of itself, asked once; NULL when there is none or it does not say. */
fg_status compiler_version(const char **out, fg_context *context, fg_error *error);

fg_status compiler_run(binary *out, const fg_context *context, const char *text, size_t length,
                       fg_error *error);

/* A shared object in memory, loaded, each under a name of its own. */
fg_status module_load(void **out, const fg_context *context, const binary *compiled,
                      fg_error *error);
void *module_find(void *module, const char *entry);
void module_unload(void *module);

/* Runs the tasks on the context's threads. */
fg_status tasks_run(const fg_context *context, const launch *what, fg_error *error);
/* The same by OpenMP, whatever the host brings: for work that is no run of a kernel. */
void tasks_run_here(const fg_context *context, const launch *what);

extern const backend backend_c;

#endif
