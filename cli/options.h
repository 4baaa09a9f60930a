/* A subcommand's options: one table, from which the arguments are read and --help is made. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "fault.h"

#include <stdbool.h>

enum { words_max = 16 };

/* Values of a repeatable option. */
typedef struct words {
    const char *item[words_max];
    int count;
} words;

typedef struct optional {
    bool given;
    const char *value; /* of --name=value, or NULL */
} optional;

typedef struct natural {
    bool given;
    uint64_t value;
} natural;

/* X(kind, type of its field) */
#define OPTION_KINDS(X)                                                                            \
    X(flag, bool)                                                                                  \
    X(text, const char *)                                                                          \
    X(count, int64_t)                                                                              \
    X(natural, natural) /* of 64 bits */                                                           \
    X(seconds, double)  /* above 0 */                                                              \
    X(words, words)                                                                                \
    X(optional, optional)

typedef enum option_kind {
#define OPTION_KIND(kind, type) OPTION_##kind,
    OPTION_KINDS(OPTION_KIND)
#undef OPTION_KIND
} option_kind;

typedef struct option {
    const char *name; /* without dashes; NULL ends a table */
    option_kind kind;
    const char *argument; /* as --help names it */
    size_t offset;        /* of the field in the subcommand's choices */
    const char *help;
} option;

/* Reads argv[0..argc) into `choices`; what is not an option moves to the front of argv, *argc of them. */
fg_status options_read(const option *table, void *choices, int *argc, char **argv, fg_error *error);
void options_help(const option *table);

/* What a context is made from: fields and options that every subcommand has. */
typedef struct context_choices {
    const char *isa, *compiler, *compiler_flags, *templates, *store, *shared_stores;
    const char *target, *cuda_driver, *nvrtc;
    int64_t threads;
} context_choices;

/* clang-format off */
/* `usual`: as context_open takes it. */
#define CONTEXT_OPTIONS(type, field, usual)                                                        \
    { "target", OPTION_text, "TARGET", offsetof(type, field.target),                               \
      "c: this machine's processors; cuda or cuda:N: a GPU; auto: a GPU of sm_80 or later where "  \
      "there is one; sm_80, sm_90 ...: compile for such a GPU without one (" usual ")" },          \
    { "cuda-driver", OPTION_text, "FILE", offsetof(type, field.cuda_driver),                       \
      "libcuda (libcuda.so.1)" },                                                                  \
    { "nvrtc", OPTION_text, "FILE", offsetof(type, field.nvrtc),                                   \
      "libnvrtc, which compiles for GPUs (looked for where it usually is)" },                      \
    { "isa", OPTION_text, "ISA", offsetof(type, field.isa),                                        \
      "use at most this instruction set: portable, avx2, avx512 or avx512bf16" },                  \
    { "threads", OPTION_count, "N", offsetof(type, field.threads),                                 \
      "run on N threads (all there are)" },                                                        \
    { "compiler", OPTION_text, "CC", offsetof(type, field.compiler),                               \
      "the C compiler, a path or a name on PATH (cc, gcc or clang)" },                             \
    { "compiler-flags", OPTION_text, "FLAGS", offsetof(type, field.compiler_flags),                \
      "further flags for it, separated by spaces" },                                               \
    { "templates", OPTION_text, "DIR", offsetof(type, field.templates),                            \
      "read DIR/templates/... before the built-in templates" },                                    \
    { "store", OPTION_text, "DIR", offsetof(type, field.store),                                    \
      "keep kernels and winners here, or nowhere: none (flashgen store path tells)" },             \
    { "shared-store", OPTION_text, "DIR[:DIR...]", offsetof(type, field.shared_stores),            \
      "look for them here too, without writing" }
/* clang-format on */

/* `usual`: the target where none is asked for; "auto" is "c" where an option of the processors is given. */
fg_status context_open(fg_context **out, const context_choices *choices, const char *usual,
                       fg_error *error);
/* The number of the GPU that it is on. */
int context_index(fg_context *context);

#endif
