/* Which config to run: what the prior chose or a search found. */
#ifndef RUNTIME_CHOICE_H
#define RUNTIME_CHOICE_H

#include "runtime/context.h"
#include "runtime/store.h"

/* X(name, type): the numbers of a search, as fg_tune_report has them; 0 in an estimate. budget: seconds,
 * infinite for an exhaustive one. */
#define CHOICE_REALS(X)                                                                            \
    X(seconds) X(spread) X(estimate_seconds) X(elapsed) X(compile_seconds) X(budget)
#define CHOICE_INTS(X) X(legal) X(compiled) X(measured) X(rejected) X(decided) X(exhaustive)

typedef struct choice {
    char schedule[32], config[FG_CONFIG_TEXT];
    digest kernel, compiler; /* of the kernel's entry; of the compiler that wrote it */
#define CHOICE_REAL(name) double name;
    CHOICE_REALS(CHOICE_REAL)
#undef CHOICE_REAL
#define CHOICE_INT(name) int64_t name;
    CHOICE_INTS(CHOICE_INT)
#undef CHOICE_INT
} choice;

/* Lines of "name value": what a winner, stored or estimate entry holds. */
void choice_write(text *out, const choice *c);
bool choice_read(choice *out, const void *data, size_t size);

/* The keys. `pins`: the pinned axes as given. Of the problem text only what a kernel or a search depends on
 * is in them: the values of scale, softcap and dropout are in none, that of window in all but the kernel's. */
fg_status choice_key(store_key *out, store_kind kind, const fg_context *context, const problem *p,
                     const char *pins, fg_error *error);
/* Of a problem with `*`: the same for a bucket of sizes, or for what else `value` says of them. Frees the key where it
 * fails. */
fg_status choice_key_add(store_key *k, const char *name, const char *value, fg_error *error);
fg_status choice_kernel_key(store_key *out, fg_context *context, const problem *p,
                            const char *schedule, const char *config, fg_error *error);

/* What wrote and compiled a kernel, as it is now: what was made before it changed must not be stored under
 * keys made after. False: unknown. */
bool choice_stamp(digest *out, fg_context *context);

/* By the compiler that is here now; where none is known, what was compiled before is all there is. */
bool choice_by_this_compiler(const choice *c, fg_context *context);

/* Reads the choice that a key finds. */
bool choice_get(choice *out, fg_context *context, store_kind kind, const digest *d);
void choice_put(fg_context *context, store_kind kind, const store_key *k, const choice *c);

/* The name of how winners are measured: a part of their key. */
#define CHOICE_PROTOCOL "interleaved medians 1"

#endif
