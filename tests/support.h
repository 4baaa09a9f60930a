/* What the Check programs share. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

/* Runs the tests, the last of which is NULL, each in a process of its own; main's exit code. ctest
 * limits the time, Check does not. */
int support_run(const char *name, const TTest *const *tests);

/* How many problems a drawn sweep takes: FLASHGEN_TEST_SWEEP, or 300. */
int support_sweep(void);

/* Whether number `at` (from 1) of so many allocations is to fail: of a long list some FLASHGEN_TEST_ALLOCATIONS (600),
 * the first ones, the last ones and others between. */
bool support_fails(size_t at, size_t calls);

/* Which share of its work this process does, of how many: 0 of 1, unless the test's ctest line says
 * otherwise. */
void support_shard(int *index, int *count);

/* The path of a file of the source tree, as "tests/data/x.npy", for the caller to free. */
char *support_path(const char *name);

/* The file's bytes with a zero behind them, for the caller to free, or NULL. `size` may be NULL. */
char *support_read(const char *path, size_t *size);

#endif
