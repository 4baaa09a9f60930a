/* flashgen: attention kernels written for exactly one problem.
 *
 * Conventions of every call
 *   - Handles are opaque. What comes back through a `**out` is the caller's, freed with the `_free`
 *     of its type; every `_free` takes NULL. `const char *` results belong to the handle they came from.
 *   - A call returns an fg_status. When it is not FG_OK and `error` is not NULL, `*error` holds one
 *     sentence that names the culprit; nothing else has changed and `*out` is NULL.
 *   - Options structs start with their size, set by their `_INIT` macro, and only ever grow at the end.
 *   - The library never prints, aborts or exits. Handles are safe to share between threads.
 */
#ifndef FLASHGEN_H
#define FLASHGEN_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define FG_API
#else
#define FG_API __attribute__((visibility("default")))
#endif

/* ---- Version ---------------------------------------------------------------------------------- */

#define FG_VERSION_MAJOR 0
#define FG_VERSION_MINOR 1
#define FG_VERSION_PATCH 0

/* The version of the library at hand, as "0.1.0". */
FG_API const char *fg_version(void);

/* ---- Status and errors ------------------------------------------------------------------------ */

/* X(name, exit code of the command, meaning) */
#define FG_STATUSES(X)                                                                             \
    X(FG_OK, 0, "success")                                                                         \
    X(FG_WRONG, 1, "a check found a wrong result")                                                 \
    X(FG_REQUEST, 2, "the request is wrong")                                                       \
    X(FG_WORKSPACE, 2, "the workspace is too small")                                               \
    X(FG_UNSUPPORTED, 3, "no schedule takes this problem here")                                    \
    X(FG_COMPILER, 3, "the compiler is missing or failed")                                         \
    X(FG_MACHINE, 3, "this machine cannot do it")                                                  \
    X(FG_MEMORY, 3, "out of memory")                                                               \
    X(FG_INTERNAL, 4, "an internal error: please report it")                                       \
    X(FG_PENDING, 3, "the plan is being made in the background")                                   \
    X(FG_CANCELLED, 3, "the progress callback ended it")                                           \
    X(FG_NOT_STORED, 3, "nothing is stored for this problem")

typedef enum fg_status {
#define FG_STATUS_ENUM(name, exit_code, text) name,
    FG_STATUSES(FG_STATUS_ENUM)
#undef FG_STATUS_ENUM
} fg_status;

/* The name of a status, as "FG_REQUEST". */
FG_API const char *fg_status_name(fg_status status);

#define FG_ERROR_TEXT 2048

typedef struct fg_error {
    fg_status status;
    int64_t position;         /* byte offset of the culprit in the text given, or -1 */
    char text[FG_ERROR_TEXT]; /* one sentence; a compiler's output may follow on further lines */
} fg_error;

/* ---- Tensors ---------------------------------------------------------------------------------- */

/* DLPack's tensor, so that NumPy, PyTorch, JAX and CuPy memory comes in as it is. Include
 * <dlpack/dlpack.h> first if you use both. */
#ifndef DLPACK_DLPACK_H_
typedef struct DLDevice {
    int32_t device_type; /* 1: host memory */
    int32_t device_id;
} DLDevice;

typedef struct DLDataType {
    uint8_t code; /* 0 int, 1 unsigned, 2 float, 4 bfloat, 6 bool, 10 float8_e4m3fn */
    uint8_t bits;
    uint16_t lanes; /* 1 */
} DLDataType;

typedef struct DLTensor {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape;
    int64_t *strides; /* in elements; NULL: row-major and compact */
    uint64_t byte_offset;
} DLTensor;
#endif

/* ---- Context ---------------------------------------------------------------------------------- */

typedef struct fg_context fg_context;

/* As Lua's allocator: new_size 0 frees `block` and returns NULL; a NULL `block` allocates. May be
 * called from any thread. */
typedef void *(*fg_allocate_fn)(void *user, void *block, size_t old_size, size_t new_size);

typedef enum fg_log_level { FG_LOG_DEBUG, FG_LOG_INFO, FG_LOG_WARNING } fg_log_level;
typedef void (*fg_log_fn)(void *user, fg_log_level level, const char *sentence);

/* Runs task(data, worker, first, last) over a partition of [0, count); `worker` is in [0, threads)
 * and no two calls with one worker overlap. Returns when all are done. */
typedef void (*fg_task_fn)(void *data, int64_t worker, int64_t first, int64_t last);
typedef void (*fg_parallel_for_fn)(void *user, int64_t count, fg_task_fn task, void *data);

typedef struct fg_context_options {
    size_t size;
    fg_allocate_fn allocate; /* NULL: the C library's */
    void *allocate_user;
    fg_log_fn log; /* NULL: silent */
    void *log_user;
    int threads;                     /* of a run; 0: as many as this process may use */
    fg_parallel_for_fn parallel_for; /* NULL: OpenMP */
    void *parallel_user;
    const char *compiler; /* host C compiler, a path or a name on PATH; NULL: cc, gcc, clang */
    const char
        *compiler_flags;     /* further flags, separated by spaces, or NULL; for a GPU: of NVRTC */
    double compiler_seconds; /* after these a compile of the host compiler's is ended */
    const char *isa; /* at most this instruction set (fg_device_info.isa); NULL: all there is */
    const char *templates; /* a directory whose templates/ overrides the built-in ones, or NULL */
    /* Where kernels and winners are kept; "": nowhere; NULL: $FLASHGEN_STORE (empty: nowhere), else
     * $XDG_CACHE_HOME/flashgen, else ~/.cache/flashgen. Made when first written to, open to this user alone;
     * one that others could write to is not used. A setuid process keeps nothing. */
    const char *store;
    /* Further such directories, separated by ':', which are only read; or NULL. They must belong to this
     * user or to root. */
    const char *shared_stores;
    /* Path of the flashgen command, which measures for fg_tune in a process of its own; NULL: beside the
     * library (in ../bin or its own directory), else on PATH. */
    const char *worker;
    /* What the context runs on. NULL or "cpu": this machine's processors. "cuda" or "cuda:N": that NVIDIA GPU (0),
     * counted as CUDA counts them. "sm_80", "sm_90" and so on: no GPU, kernels are but written and compiled for such
     * ones. For compute capability 9.0 the compiler is told sm_90a, with what later ones do not have; "sm_90a" is the
     * same as "sm_90". Nothing of CUDA is loaded before a GPU is asked for here. */
    const char *device;
    const char *cuda_driver; /* path of libcuda; NULL: libcuda.so.1 where the linker finds it */
    /* Path of libnvrtc (12 or 13), which compiles for GPUs; NULL: one that is loaded already, else in LD_LIBRARY_PATH,
     * in CUDA's usual folders, in those of Python's package nvidia-cuda-nvrtc, or where the linker finds it. */
    const char *nvrtc;
} fg_context_options;

#define FG_CONTEXT_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(fg_context_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 60.0, 0, 0, 0, 0, 0, 0, 0, 0        \
    }

/* `options` may be NULL. Plans and problems hold their context: it lives until the last is freed.
 *
 * For a GPU it holds the device's primary context, as PyTorch, JAX and the CUDA runtime do; which context is current in
 * a thread is after each call what it was before. FG_MACHINE: there is no such GPU, and why. In a process forked after
 * CUDA was started there, such contexts refuse to run. */
FG_API fg_status fg_context_new(fg_context **out, const fg_context_options *options,
                                fg_error *error);
FG_API void fg_context_free(fg_context *context);

/* Frees a text that a call returned through a `char **`. */
FG_API void fg_text_free(fg_context *context, char *text);

typedef struct fg_device_info {
    const char *name;     /* the processor's model name, or the GPU's */
    const char *isa;      /* portable, avx2, avx512 or avx512bf16; of a GPU sm_90 or the like */
    const char *flags;    /* what the compiler is given for it */
    const char *compiler; /* path of the host compiler, or of NVRTC; NULL where there is none */
    const char *compiler_version; /* first line of its --version, or as "NVRTC 13.0"; or NULL */
    int cores;                    /* that this process may use; of a GPU: multiprocessors */
    int threads;                  /* of a run; of a GPU: multiprocessors */
    int64_t l1_bytes,
        l2_bytes; /* of data, a core; of a GPU: shared memory of a multiprocessor, and L2 of all */
    const char *target; /* "c" or "cuda" */
    const char *device; /* "cpu", "cuda:0", or an architecture alone: "sm_90" */
} fg_device_info;

/* What the context runs on. Asks the compiler its version: some milliseconds, the first time. */
FG_API fg_status fg_context_device(fg_context *context, fg_device_info *info, fg_error *error);

/* Measures this machine's f32 multiply-add rate with the context's threads, in GFLOP/s. FG_UNSUPPORTED for a GPU. */
FG_API fg_status fg_context_peak(fg_context *context, double *gflops, fg_error *error);

/* ---- Problems --------------------------------------------------------------------------------- */

typedef struct fg_problem fg_problem;

/* Reads a problem line, as "dtype=f32 b=1 hq=8 sq=1024 d=64 causal". */
FG_API fg_status fg_problem_parse(fg_problem **out, fg_context *context, const char *text,
                                  fg_error *error);
FG_API void fg_problem_free(fg_problem *problem);

/* The canonical line: keys sorted, defaults dropped, expressions simplified. Equal problems have
 * equal lines. */
FG_API const char *fg_problem_format(const fg_problem *problem);

typedef struct fg_tensor_info {
    const char *name; /* a field of fg_args, or the NAME of a tensor= */
    DLDataType dtype;
    int32_t ndim;
    int64_t shape[4]; /* in the problem's layout; -1 where a run says it; of a shard, not cut */
    int output;       /* written by a run */
    int optional;     /* may stay NULL */
} fg_tensor_info;

/* The tensors a run takes: first q k v o, then those of fg_args that the problem asks for, then each
 * tensor=NAME in the order of fg_args.tensors. FG_REQUEST at the end of the list. */
FG_API fg_status fg_problem_tensor(const fg_problem *problem, size_t index, fg_tensor_info *info);

/* Sizes of runs: b, sq and sk where the problem has `*`, and with lens=packed the totals, total_q of at most b * sq
 * rows of q and total_k of at most b * sk of k. What the problem says itself is not looked at here. -1: not said, which
 * each call that takes sizes tells what it means. At most 2^20 is b, and 2^28 sq and sk. */
typedef struct fg_dims {
    size_t size;
    int64_t b, sq, sk, total_q, total_k;
} fg_dims;

#define FG_DIMS_INIT                                                                               \
    {                                                                                              \
        sizeof(fg_dims), -1, -1, -1, -1, -1                                                        \
    }

/* A problem with `*` has one kernel for many sizes, any of which is right for all: which is fastest is decided by
 * buckets of sizes. Those of b end at the powers of two; those of sq and sk at 1, 16, 32, 64 and so on. */

/* ---- Text ------------------------------------------------------------------------------------- */

typedef struct fg_emit_options {
    size_t size;
    const char *config; /* "k=v ..." pins these axes; NULL: the estimate */
    int lines;          /* with #line directives */
    /* Where the problem has `*`: the config is chosen for the bucket that these fall in, 1 or more each, as a plan
     * chooses for it where no other bucket's config is as good. NULL, or -1: b 1, sq and sk 1024. */
    const fg_dims *sizes;
    /* For a GPU: what NVRTC makes of it, as PTX for the architecture, which later GPUs take, too. Not so PTX of kernels
     * with products of warpgroups: it is for sm_90a, compute capability 9.0 alone. */
    int ptx;
} fg_emit_options;

#define FG_EMIT_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(fg_emit_options), 0, 0, 0, 0                                                        \
    }

/* The kernel's text; its first line is the command that compiles it alone. Free with fg_text_free. */
FG_API fg_status fg_emit(char **out, fg_context *context, const fg_problem *problem,
                         const fg_emit_options *options, fg_error *error);

/* ---- Tuning ----------------------------------------------------------------------------------- */

typedef enum fg_rigor {
    FG_ESTIMATE,   /* a stored winner, else the prior's best config; nothing is timed */
    FG_MEASURE,    /* a stored winner, else a search of at most so many seconds */
    FG_EXHAUSTIVE, /* a stored winner of an exhaustive search, else every legal config */
    FG_STORED      /* a stored winner, else FG_NOT_STORED; nothing is compiled */
} fg_rigor;

/* X(name): what a search tells of */
#define FG_EVENTS(X)                                                                                   \
    X(SPACE)      /* the space is known: `legal` of `count` points */                                  \
    X(CONSTRAINT) /* the constraint called `text` removed `count` points (the first that holds not) */ \
    X(MEASURED) /* `config` is right, and was run `count` times so far: `seconds`, `spread` */         \
    X(REJECTED) /* `config` did not compile, crashed, hung, was wrong or wrote elsewhere: `text` */    \
    X(NOTE)     /* `text` is worth knowing, as that the leader's lead is within the noise */           \
    X(TICK)     /* time went by */

typedef enum fg_event_kind {
#define FG_EVENT_ENUM(name) FG_EVENT_##name,
    FG_EVENTS(FG_EVENT_ENUM)
#undef FG_EVENT_ENUM
} fg_event_kind;

typedef struct fg_event {
    fg_event_kind kind;
    const char *text, *config; /* or NULL */
    int64_t count;
    double seconds, spread;                      /* median of a run; how far another would be off */
    double elapsed, budget;                      /* seconds of the search, and those it may take */
    double done;                                 /* of the search, 0 to 1 */
    int64_t legal, compiled, measured, rejected; /* configs: in all, and so far */
    const char *best_config;                     /* the leader so far, or NULL */
    double best_seconds;                         /* its median */
} fg_event;

/* Called from the thread that tunes, some times a second; not 0 cancels (FG_CANCELLED). What `event`
 * points to lives until the call returns. */
typedef int (*fg_event_fn)(void *user, const fg_event *event);

typedef struct fg_tune_options {
    size_t size;
    fg_rigor rigor;     /* FG_MEASURE or FG_EXHAUSTIVE */
    double seconds;     /* of FG_MEASURE: the search ends soon after */
    const char *config; /* "k=v ..." pins these axes, or NULL */
    fg_event_fn event;
    void *event_user;
    int again; /* search also when a winner is stored */
    /* Measure in this process: a candidate that crashes takes it along, or on a GPU the primary context, in which
     * nothing runs then (FG_MACHINE). */
    int in_process;
    /* Where the problem has `*`: what is measured, 1 or more each. The winner is that of the bucket they fall in. */
    const fg_dims *sizes;
} fg_tune_options;

#define FG_TUNE_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(fg_tune_options), FG_MEASURE, 20.0, 0, 0, 0, 0, 0, 0                                \
    }

#define FG_CONFIG_TEXT 512

typedef struct fg_tune_report {
    char schedule[32], config[FG_CONFIG_TEXT]; /* the winner */
    double seconds, spread;                    /* its median, and how far another would be off */
    double estimate_seconds;                   /* the prior's best config, timed in turn with it */
    double elapsed,
        compile_seconds; /* seconds of the search; and of those, of compiling (several at once) */
    int64_t legal, compiled, measured, rejected;
    int decided; /* the lead exceeds the noise */
    int found;   /* the winner was stored: nothing was measured now */
} fg_tune_report;

/* Finds the fastest config of the problem (of a bucket of its sizes) on this machine, and stores it. Every candidate
 * is compared with a float64 reference before it is timed, on drawn inputs, between guard zones: sequences of half to
 * whole length, pages in any order, i32 tensors by position as the ids of eight documents, u8 tensors of as many 0 as
 * 1. Runs prepare for themselves.
 *
 * On a GPU the worker has a CUDA context of its own on the same device, whatever CUDA_VISIBLE_DEVICES says here, and
 * draws the inputs there: as often as it takes for a run not to find them in the L2 cache, up to 8 times. A
 * candidate whose workspace finds no room is rejected. FG_MEMORY: the inputs, or what the first check needs, find
 * none, as where others use the GPU. FG_MACHINE: the worker has no such GPU, which may be in a mode that allows but
 * one process; or the context is for an architecture alone. */
FG_API fg_status fg_tune(fg_tune_report *out, fg_context *context, const fg_problem *problem,
                         const fg_tune_options *options, fg_error *error);

/* Serves one search over a pair of file descriptors, until `input` ends: what `flashgen worker` does. */
FG_API fg_status fg_worker(int input, int output, fg_error *error);

/* ---- Plans ------------------------------------------------------------------------------------ */

typedef struct fg_plan fg_plan;

typedef struct fg_plan_options {
    size_t size;
    fg_rigor rigor;
    const char *config; /* "k=v ..." pins these axes, or NULL */
    double seconds;     /* as in fg_tune_options, as are event, event_user and in_process */
    fg_event_fn event;
    void *event_user;
    int in_process;
    /* Return FG_PENDING at once, while a thread of the library's makes the plan: ask again, with the same
     * options, until it is there. Freeing the context ends a search, and waits for a compiler. */
    int background;
    /* Where the problem has `*`: a plan has a table of kernels, for every bucket of sizes up to these; larger runs
     * take the kernel of the largest. NULL, or -1: b up to 8, sq up to 4096, sk up to 16384.
     *
     * A bucket takes the winner that is stored for it. Where there is none, FG_ESTIMATE, and FG_MEASURE and
     * FG_EXHAUSTIVE, which search for one bucket alone (`sizes`), take what the prior chooses: at most 6 different
     * kernels in all, each close to the best where it serves. That takes some tenths of a second, and compiling them
     * as much again, unless it is stored. FG_STORED takes the winner of the nearest bucket; FG_NOT_STORED: none has
     * one. */
    const fg_dims *most;
    const fg_dims *sizes; /* as in fg_tune_options: FG_MEASURE and FG_EXHAUSTIVE need them then */
} fg_plan_options;

#define FG_PLAN_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(fg_plan_options), FG_ESTIMATE, 0, 20.0, 0, 0, 0, 0, 0, 0                            \
    }

/* Finds what the problem needs in the context, which keeps what was loaded until it is freed, or in the
 * store; else writes, compiles, loads and stores it. Plans are immutable and run from any thread. `options` may be NULL. */
FG_API fg_status fg_plan_new(fg_plan **out, fg_context *context, const fg_problem *problem,
                             const fg_plan_options *options, fg_error *error);
FG_API void fg_plan_free(fg_plan *plan);

typedef enum fg_source { FG_FROM_MEMORY, FG_FROM_STORE, FG_FROM_BUNDLE, FG_COMPILED } fg_source;

typedef struct fg_plan_info {
    const char *target;                                     /* "c" or "cuda" */
    const char *schedule;                                   /* as "c" or "cuda_wgmma" */
    const char *config;                                     /* as "k=v ...", all axes, sorted */
    fg_source source;                                       /* of this fg_plan_new's result */
    double generate_seconds, compile_seconds, load_seconds; /* 0 when found in memory */
} fg_plan_info;

/* Of a problem with `*`: of the kernel for the largest sizes. */
FG_API void fg_plan_config(const fg_plan *plan, fg_plan_info *info);

/* Bytes of workspace that a run of at most these sizes needs (0: none), whatever it prepares. Where a size is -1, or
 * `dims` NULL: of a run of any size that is legal, b up to 2^20, sq and sk up to 2^28, totals up to b * sq and b * sk;
 * where the workspace grows with it, that may be more than any memory holds, or (FG_REQUEST) than 2^63 bytes. Of runs on
 * a GPU with sequences that count as up to the total (fg_run) it is for those, too. */
FG_API fg_status fg_plan_workspace(const fg_plan *plan, const fg_dims *dims, size_t *bytes,
                                   fg_error *error);

/* Bytes of fg_args.prepared for runs of at most these sizes (0: there is nothing to prepare); -1 as in
 * fg_plan_workspace. */
FG_API fg_status fg_plan_prepared(const fg_plan *plan, const fg_dims *dims, size_t *bytes,
                                  fg_error *error);

/* ---- The store -------------------------------------------------------------------------------- */

/* X(name): how often, since the context was made */
#define FG_STORE_COUNTS(X)                                                                         \
    X(hits)      /* entries found and used */                                                      \
    X(misses)    /* looked for, and not there */                                                   \
    X(damaged)   /* found, and not as they were written: taken as missing */                       \
    X(written)   /* published */                                                                   \
    X(unwritten) /* that could not be */

typedef struct fg_store_counts {
#define FG_STORE_COUNT(name) int64_t name;
    FG_STORE_COUNTS(FG_STORE_COUNT)
#undef FG_STORE_COUNT
} fg_store_counts;

/* `path`: of the directory, or NULL where nothing is kept, in this context. Either may be NULL. */
FG_API fg_status fg_store_info(fg_context *context, const char **path, fg_store_counts *counts,
                               fg_error *error);

typedef struct fg_store_entry {
    const char *kind; /* kernel, winner, stored, estimate or compiler */
    const char *path;
    const char *problem, *schedule, *config; /* or NULL */
    int64_t bytes;
    int64_t used;     /* when it was last used, to a day: seconds since 1970 */
    fg_status status; /* FG_WRONG: damaged, or no entry at all; FG_MACHINE: it cannot be read now */
    const char *fault; /* then: what is wrong with it, as "is truncated", or why */
    const char *sizes; /* of a bucket that a winner is of: the greatest, as "b=4 sq=512"; or NULL */
} fg_store_entry;

/* Not 0 ends the visit. What `entry` points to lives until the call returns. */
typedef int (*fg_store_fn)(void *user, const fg_store_entry *entry);

/* Every file of the store, each read and checked, sorted by kind and name. */
FG_API fg_status fg_store_visit(fg_context *context, fg_store_fn visit, void *user,
                                fg_error *error);

typedef struct fg_store_report {
    int64_t removed, removed_bytes, left, left_bytes;
} fg_store_report;

/* Removes what is damaged or was abandoned half written, then the least recently used entries until at
 * most `most_bytes` are left; -1: no limit. Loaded kernels go on. `report` may be NULL. */
FG_API fg_status fg_store_prune(fg_context *context, int64_t most_bytes, fg_store_report *report,
                                fg_error *error);
/* Removes every entry. */
FG_API fg_status fg_store_clear(fg_context *context, fg_store_report *report, fg_error *error);

/* ---- Running ---------------------------------------------------------------------------------- */

/* X(name): the tensors of fg_args with names of their own */
/* clang-format off */
#define FG_TENSORS(X) \
    X(q) X(k) X(v) X(o) X(lse) X(bias) X(mask) X(slopes) \
    X(sinks) X(q_lens) X(k_lens) X(cu_q) X(cu_k) X(block_table) X(rng)
/* clang-format on */

#define FG_DEFAULT_INT INT64_MIN /* the problem's own value */

/* Shapes, with layout=bshd (bhsd: the middle two swapped): q [b, sq, hq, d], k [b, sk, hkv, d],
 * v [b, sk, hkv, dv], o [b, sq, hq, dv]; lse [b, hq, sq] f32; bias and mask as declared over
 * [b, hq, sq, sk], u8 or bool for a mask (nonzero keeps); slopes and sinks f32 [hq]. Any strides, with the head
 * dimension (of q, k, v, o) compact, and pointers and strides aligned as the problem promises. Tensors
 * that the problem does not ask for stay NULL. Outputs overlap nothing.
 *
 * lens=padded: q_lens and k_lens int32 [b], from 0 to sq and to sk; what is behind a length is not read, and o
 * is 0, lse -inf there. lens=packed: q [total_q, hq, d], k [total_k, hkv, d], v and o likewise, lse
 * [hq, total_q]; cu_q and cu_k int32 [b + 1], from 0 to the total, ascending, sequences of at most sq and sk.
 * page=N: k [pages, N, hkv, d], v likewise, block_table int32 [b, blocks], whose entry n names the page of keys
 * n N and on; entries behind a sequence's last key are not read (with lens=packed, cu_k gives the lengths alone).
 * These, and rng, are compact in their last dimension.
 *
 * shard: the tensors are a part of a whole run's, which is cut along b, heads, queries, keys or several of those, and
 * what is computed is the whole run's part. The problem says the shard's sizes. Masks, slopes, the problem's own
 * functions and dropout go by the whole run's b, h, i, j, hq, hkv, sq, sk. q, k, v, o, lse, bias, mask and block_table
 * are the shard's own; query head h reads key head h // (hq / hkv) of the shard. slopes, sinks and those of tensor= are
 * the whole run's: f32 [whole_hq], and where their declaration names b, hq, hkv, sq or sk, that is the whole size (at
 * most 2^20, of sq and sk 2^28). A sink counts in shards whose keys start at 0, unless they are empty and the whole is not. Where keys are cut, o and lse are of
 * the shard's keys alone: with m = log sum exp(lse_n), the whole o is sum exp(lse_n - m) o_n, and its lse is m. */
typedef struct fg_args {
    size_t size;
#define FG_TENSOR_FIELD(name) const DLTensor *name;
    FG_TENSORS(FG_TENSOR_FIELD)
#undef FG_TENSOR_FIELD
    const DLTensor *const *tensors; /* those of tensor=, sorted by name */
    size_t tensor_count;
    double scale, softcap, dropout;    /* NAN: the problem's */
    int64_t window_left, window_right; /* FG_DEFAULT_INT: the problem's; -1: unbounded */
    /* Dropout needs a seed: seeded = 1 and these; or rng, an int32 or uint32 tensor [4] of the seed's low and high
     * word and the offset's, which is read when the kernel runs. */
    int seeded;
    uint64_t seed, offset;
    void *workspace; /* fg_plan_workspace bytes, aligned to 64, uninitialised */
    size_t workspace_bytes;
    void *
        prepared; /* by fg_plan_prepare of this plan for these sizes, aligned to 64; NULL: each run does it */
    size_t prepared_bytes;
    void *parallel_user; /* what this run's parallel_for is given; NULL: the context's */
    /* Of a problem with `shard`: where the run's first sequence, query head, query and key are in a whole run, and the
     * whole run's sizes; FG_DEFAULT_INT: 0, and this run's own. A shard ends where the whole does, or before. */
    int64_t origin_b, origin_h, origin_i, origin_j;
    int64_t whole_b, whole_hq, whole_hkv, whole_sq, whole_sk;
    void *stream; /* CUstream of a GPU context's primary context; NULL: the legacy default stream */
} fg_args;

#define FG_NO_TENSOR(name) 0,
#define FG_ARGS_INIT                                                                               \
    {                                                                                              \
        sizeof(fg_args), FG_TENSORS(FG_NO_TENSOR) 0, 0, NAN, NAN, NAN, FG_DEFAULT_INT,             \
            FG_DEFAULT_INT, 0, 0, 0, 0, 0, 0, 0, 0, FG_DEFAULT_INT, FG_DEFAULT_INT,                \
            FG_DEFAULT_INT, FG_DEFAULT_INT, FG_DEFAULT_INT, FG_DEFAULT_INT, FG_DEFAULT_INT,        \
            FG_DEFAULT_INT, FG_DEFAULT_INT, 0                                                      \
    }

/* Finds, for masks that read tensors, which tiles are empty and which are full, and writes it to
 * args->prepared: for every run of the plan with the same masks, window, lengths and place (of a shard), as a model's
 * layers are. Reads the tensors that the mask reads, and the lengths; all are given, and others may be of any
 * content. */
FG_API fg_status fg_plan_prepare(const fg_plan *plan, const fg_args *args, fg_error *error);

/* Computes o (and lse). Allocates nothing and takes no lock. In a forked child it runs on one thread.
 *
 * On a GPU all tensors, the workspace and what is prepared are memory of that GPU (or managed), lengths and block tables
 * too, which are then not checked: sequences that are longer than the problem says, or pages that are not there, read
 * and write elsewhere. Where neither the problem nor a tensor's shape says how long sequences of lens=packed are, they
 * count as up to the total. The call returns once the kernels are in the stream; it waits for nothing, and may be
 * captured in a graph. What is prepared is not held against the plan there: that is the caller's. */
FG_API fg_status fg_run(const fg_plan *plan, const fg_args *args, fg_error *error);

/* Runs `runs` times, taking turns through `count` args, and tells how long each run took: seconds[runs]. On a GPU by
 * events in the stream of args[0], which all have, after a run of each that does not count; the launches of many runs
 * queue before the first one starts, so that the host's time is in none of them. Waits for the last. */
FG_API fg_status fg_plan_time(const fg_plan *plan, const fg_args *const *args, int count,
                              double *seconds, int runs, fg_error *error);

/* ---- A GPU's memory, for hosts without CUDA of their own: FG_REQUEST where the context is not for a GPU ---- */

/* `bytes` on the context's GPU, aligned to 256. Free with fg_memory_free, which takes NULL. */
FG_API fg_status fg_memory_new(void **out, fg_context *context, size_t bytes, fg_error *error);
FG_API void fg_memory_free(fg_context *context, void *block);

/* Between the GPU's memory and the host's, or within either; behind what is in the legacy default stream, and done on
 * return. Not while a stream of this GPU is captured, unless that was created as non-blocking: the capture would be
 * invalid. */
FG_API fg_status fg_memory_copy(fg_context *context, void *to, const void *from, size_t bytes,
                                fg_error *error);

/* Waits for all that runs on the GPU, and tells whether any of it failed. */
FG_API fg_status fg_context_wait(fg_context *context, fg_error *error);

/* ---- Checking --------------------------------------------------------------------------------- */

typedef struct fg_check_options {
    size_t size;
    int full;  /* every row, whatever it costs */
    int drawn; /* q, k, v are N(0,1): hold the relative RMS to its bound too */
} fg_check_options;

#define FG_CHECK_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(fg_check_options), 0, 0                                                             \
    }

typedef struct fg_check_report {
    double error_over_bound; /* largest |error| / bound over o and lse: right when at most 1 */
    double rms;              /* relative RMS error of o */
    double rms_bound;        /* what it is held to, or infinity */
    int64_t rows;            /* rows compared */
    int64_t worst[4];        /* b, h, i and column of the largest; column -1 for lse */
} fg_check_report;

/* Compares outputs with a naive reference on the same inputs, in float64 (dtype=f64: long double). FG_WRONG, with a
 * sentence, when outside the bound; the report is filled then too. Rows behind a length are held to what they must be;
 * dropout needs the run's seed. `options` may be NULL.
 *
 * All tensors are in the host's memory, or, of a GPU's context, all in that GPU's as fg_run has them: then the call waits
 * for args->stream and compares copies, which take at most 4 times what the tensors' elements do of the host's memory
 * (FG_MEMORY). Lengths and block tables are checked by value. Not while a stream is captured. */
FG_API fg_status fg_check(fg_context *context, const fg_problem *problem, const fg_args *args,
                          const fg_check_options *options, fg_check_report *report,
                          fg_error *error);

/* Query-key pairs that the masks leave visible, over all b and query heads. Tensors are where fg_check takes them. */
FG_API fg_status fg_visible_pairs(fg_context *context, const fg_problem *problem,
                                  const fg_args *args, int64_t *pairs, fg_error *error);

#ifdef __cplusplus
}
#endif

#endif
