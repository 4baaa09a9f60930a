/* Any bytes as a problem line: refused with a sentence, or read; then its canonical line means the same.
 * Memory stays in proportion to the line. */
#include "gen/core/problem.h"

#include <stdlib.h>
#include <string.h>

typedef struct tally {
    size_t live, peak;
} tally;

static void *allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    tally *t = user;
    t->live += new_size - old_size;
    if (t->live > t->peak) t->peak = t->live;
    if (new_size) return realloc(block, new_size);
    free(block);
    return NULL;
}

static void require(int holds)
{
    if (!holds) abort();
}

static void check_refusal(fg_status s, const fg_error *error, size_t size)
{
    require(s == FG_REQUEST && error->status == s && error->text[0] && !strchr(error->text, '\n'));
    require(error->position >= -1 && error->position <= (int64_t)size);
}

static void check_canonical(const problem *p, const memory *m)
{
    fg_error error;
    problem *again = NULL;
    require(problem_parse(&again, m, p->text, p->text_length, &error) == FG_OK);
    require(strcmp(again->text, p->text) == 0 && again->hash == p->hash &&
            strlen(p->text) == p->text_length);
    problem_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tally t = { 0, 0 };
    const memory m = { allocate, &t };
    fg_error error = { .position = -1 };
    problem *p = NULL;
    fg_status s = problem_parse(&p, &m, (const char *)data, size, &error);
    if (s == FG_OK)
        check_canonical(p, &m);
    else
        check_refusal(s, &error, size);
    problem_free(p);
    require(t.live == 0 && t.peak < ((size_t)8 << 20) + 16 * size);
    return 0;
}
