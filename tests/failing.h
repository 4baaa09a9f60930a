/* An allocator that fails, and all that a host does by it. */
#ifndef TESTS_FAILING_H
#define TESTS_FAILING_H

#include "tests/support.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct failing {
    long count, at;     /* allocations so far; the one that fails */
    bool for_good;      /* and all behind it */
    long blocks;        /* that are not given back, and their bytes */
    size_t bytes, most; /* now, and at once since `most` was last 0 */
} failing;

static pthread_mutex_t failing_lock =
    PTHREAD_MUTEX_INITIALIZER; /* compilers' threads allocate at once */

/* False where it is the one to fail. */
static inline bool failing_count(failing *f, const void *block, size_t old_size, size_t new_size)
{
    if (new_size > 0) {
        f->count++;
        if (f->count == f->at || (f->for_good && f->count > f->at)) return false;
    }
    f->blocks += (new_size > 0) - (block != NULL);
    f->bytes += new_size - (block ? old_size : 0);
    if (f->bytes > f->most) f->most = f->bytes;
    return true;
}

static inline void *failing_allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    pthread_mutex_lock(&failing_lock);
    const bool given = failing_count(user, block, old_size, new_size);
    pthread_mutex_unlock(&failing_lock);
    if (!given) return NULL;
    if (new_size > 0) return realloc(block, new_size);
    free(block);
    return NULL;
}

/* Open files of this process. */
static inline int stub_open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 4096; fd++) count += fcntl(fd, F_GETFD) != -1;
    return count;
}

/* What is done by such an allocator. */
typedef struct failing_way {
    fg_status (*go)(failing *f);
    void (*before)(void); /* each time but the first; or NULL */
    void (*after)(void);  /* what else it must have given back; or NULL */
    const fg_error *error;
    bool mended; /* what is missed for want of memory may be had otherwise */
} failing_way;

static inline failing failing_once(const failing_way *way, long at, bool for_good)
{
    failing f = { .at = at, .for_good = for_good };
    if (way->before) way->before();
    const fg_status status = way->go(&f);
    const bool right =
        at < 0 ? status == FG_OK : status == FG_MEMORY || (way->mended && status == FG_OK);
    ck_assert_msg(right, "allocation %ld: %s: %s", at, fg_status_name(status), way->error->text);
    /* Sizes given back are those that were asked for. */
    ck_assert_msg(f.blocks == 0 && f.bytes == 0, "allocation %ld leaks %ld blocks", at, f.blocks);
    if (way->after) way->after();
    f.at = status == FG_MEMORY;
    return f;
}

/* Each allocation fails, alone and with all behind it; there must be `least`. */
static inline void failing_all(const failing_way *way, long least)
{
    long failed = 0;
    const int files = stub_open_files();
    failing first = { .at = -1 }; /* finds nothing that another has left */
    ck_assert_msg(way->go(&first) == FG_OK, "%s", way->error->text);
    const long all = failing_once(way, -1, false).count;
    ck_assert_int_ge(all, least);
    for (int for_good = 0; for_good < 2; for_good++)
        for (long at = 1; at <= all; at++) failed += failing_once(way, at, for_good).at;
    ck_assert_int_ge(failed, least);
    ck_assert_int_eq(stub_open_files(), files);
}

#endif
