/* A context: what plans and problems share. Immutable once made, except for its counts and its table of
 * kernels, which the library lock guards. */
#ifndef RUNTIME_CONTEXT_H
#define RUNTIME_CONTEXT_H

#include "gen/core/maker.h"
#include "runtime/device_cpu.h"
#include "runtime/store.h"

#include <stdatomic.h>

struct kernel;
struct backend;
struct device_cuda;

enum { context_buckets = 512 };

struct fg_context {
    memory memory;
    atomic_int references;
    fg_log_fn log;
    void *log_user;
    fg_parallel_for_fn parallel_for; /* NULL: OpenMP */
    void *parallel_user;
    int threads;
    device_cpu device;
    const struct backend *backend; /* what kernels are compiled and run by */
    struct device_cuda *gpu;       /* what they are for, or NULL: the processors */
    char *
        compiler; /* theirs: absolute path, or NULL: there is none, and compiler_missing says why */
    char *compiler_flags; /* all of them, in the order given, separated by single spaces */
    char *templates;
    char compiler_missing[256];
    double compiler_seconds;
    _Atomic(char *) compiler_version; /* asked for by the first fg_context_device */
    const maker *maker;               /* maker_installed; tests put their own here */
    bool secure;                      /* a setuid process: it runs no compiler and keeps nothing */
    store *store;                     /* NULL: nothing is kept */
    _Atomic(struct identity *)
        identity;           /* of the compiler, as last looked at; runtime/identity.c's own */
    char *worker;           /* as in the options, or NULL */
    char *cuda_driver;      /* likewise */
    struct kernel *kernels; /* all that are loaded */
    struct kernel_table *tables;
    unsigned adoptions; /* winners found so far: each may replace what was chosen */
    struct kernel_binding *bindings[context_buckets];
    struct plan_job *jobs; /* what is being made in the background */
};

struct fg_problem {
    fg_context *context;
    problem *problem;
};

void context_hold(fg_context *context);
void context_log(const fg_context *context, fg_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What the maker may know. */
maker_device context_maker_device(const fg_context *context);

/* Has the maker write a kernel; `sizes` NULL: of `*` dimensions as is usual. FG_UNSUPPORTED where the library has
 * no maker. */
fg_status context_make(made **out, const fg_context *context, const problem *p, const char *config,
                       const maker_sizes *sizes, bool lines, fg_error *error);

/* Copies a caller's struct that starts with its size over one with the defaults. FG_REQUEST when the size
 * is not one that this library knows; `what` names the struct. */
fg_status options_copy(void *to, size_t known, size_t oldest, const void *from, const char *what,
                       fg_error *error);

#endif
