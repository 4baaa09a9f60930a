#include "autotune/guard.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What faults on either side: an index may be far off. A multiple of any page. */
static const size_t zone = 1 << 20;

static size_t round_up(size_t bytes, size_t step)
{
    return (bytes + step - 1) / step * step;
}

fg_status guarded_new(guarded *out, size_t bytes, fg_error *error)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = round_up(bytes, guard_align);
    size_t body = round_up(page + whole, page);
    *out = (guarded){ .bytes = bytes, .map_bytes = body + 2 * zone };
    if (bytes > SIZE_MAX / 4) return fail_memory(error);
    char *map =
        mmap(NULL, out->map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) return fail_memory(error);
    out->map = map;
    if (mprotect(map + zone, body, PROT_READ | PROT_WRITE) != 0) {
        guarded_free(out);
        return fail_memory(error);
    }
    out->data = map + zone + body - whole;
    memset(map + zone, guard_pattern, body);
    return FG_OK;
}

void guarded_free(guarded *g)
{
    if (g->map) munmap(g->map, g->map_bytes);
    *g = (guarded){ .data = NULL };
}

fg_status guarded_freeze(guarded *g, fg_error *error)
{
    return mprotect(g->map + zone, g->map_bytes - 2 * zone, PROT_READ) == 0 ? FG_OK
                                                                            : fail_memory(error);
}

void guarded_mend(guarded *g)
{
    char *first = g->map + zone, *end = g->map + g->map_bytes - zone;
    memset(first, guard_pattern, (size_t)(g->data - first));
    memset(g->data + g->bytes, guard_pattern, (size_t)(end - g->data) - g->bytes);
}

static bool untouched(const char *from, const char *to)
{
    for (; from < to; from++)
        if ((unsigned char)*from != guard_pattern) return false;
    return true;
}

const char *guarded_spilled(const guarded *g)
{
    if (!untouched(g->map + zone, g->data)) return "before";
    return untouched(g->data + g->bytes, g->map + g->map_bytes - zone) ? NULL : "behind";
}
