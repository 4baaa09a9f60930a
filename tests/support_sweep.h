/* Drawn problems, each with a drawn config, against the reference, on whatever target.
 * FLASHGEN_TEST_SWEEP_ONLY=INDEX in the environment runs one of them again. */
#ifndef TESTS_SUPPORT_SWEEP_H
#define TESTS_SUPPORT_SWEEP_H

#include "runtime/context.h"
#include "tests/support_case.h"

typedef struct sweep_kind {
    const char *name; /* in what is printed */
    uint64_t seed;
    fg_context *(*context_for)(const drawn_case *c);
    fg_context *gpu; /* tensors are in its memory; NULL: in the host's */
    bool f64;        /* the target takes it */
    bool isas;       /* the case's instruction set and pins of its config mean something there */
    const char *const *pins; /* axes of the config, one of them for each case, to a NULL; or NULL */
    double most_work;        /* multiply-adds of a problem that is run, all keys counted */
} sweep_kind;

typedef struct sweep_tally {
    const sweep_kind *kind;
    int part, parts;
    int64_t ran, wrong, wide; /* wide: three tiles or more on both axes */
    double worst;             /* error over bound, of those that are right */
    int64_t worst_index;
    int64_t distinct; /* configs */
    struct {
        int64_t cases;
        double worst;
    } feature[case_features];
} sweep_tally;

/* The problem with this number that the kind takes, parsed in its context. */
fg_problem *sweep_draw(drawn_case *c, const sweep_kind *kind, int64_t index);

/* This process's share of the first `count` problems. What is not right is told on stderr; the rest goes on. */
void sweep_run(sweep_tally *out, const sweep_kind *kind, int64_t count);
/* A line, and unless one problem alone ran, a table by feature. */
void sweep_print(const sweep_tally *t);
/* Fails unless all were right. */
void sweep_assert(const sweep_tally *t);

#endif
