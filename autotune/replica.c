#include "autotune/replica.h"

#include "runtime/backend_c.h"

#include <string.h>

/* Compared at once, and by one thread; of the host's memory. */
enum { room_bytes = 16 << 20, piece_bytes = 256 << 10 };

static const cuda_driver *driver_of(const replica *r)
{
    return &r->device->driver;
}

static bool has(const replica *r, int k)
{
    return r->bed->tensor[k].memory.map != NULL;
}

static bool is_output(const replica *r, int k)
{
    return r->bed->operands.operand[k].output;
}

static cuda_address host(const void *data)
{
    return (uintptr_t)data;
}

/* ---- Pinned memory: copies are several times as fast ---- */

enum { page = 4096 };

static char *page_of(const char *data)
{
    return (char *)((uintptr_t)data & ~(uintptr_t)(page - 1));
}

/* Where it cannot be, copies take their time. */
static void pin(const replica *r, const char *data, size_t bytes)
{
    const cuda_driver *d = driver_of(r);
    char *first = page_of(data), *end = page_of(data + bytes + page - 1);
    if (bytes > 0 && d->host_pin && d->host_unpin) d->host_pin(first, (size_t)(end - first), 0);
}

static void unpin(const replica *r, const char *data, size_t bytes)
{
    const cuda_driver *d = driver_of(r);
    if (bytes > 0 && d->host_pin && d->host_unpin) d->host_unpin(page_of(data));
}

static void pin_all(const replica *r, void (*how)(const replica *, const char *, size_t))
{
    for (int k = 0; k < r->bed->operands.count; k++)
        if (has(r, k) && is_output(r, k))
            how(r, r->bed->tensor[k].memory.data, r->bed->tensor[k].memory.bytes);
    if (r->room) how(r, r->room, room_bytes);
}

/* ---- Making ---- */

/* What is read beside an input shows: as a number it is NaN. */
enum { input_pattern = 0xff };

static fg_status make_tensor(replica *r, int n, int k, fg_error *error)
{
    const testbed_tensor *from = &r->bed->tensor[k];
    replica_set *set = &r->set[n];
    zoned *z = &set->memory[k];
    fg_status status = zoned_new(z, driver_of(r), from->memory.bytes,
                                 is_output(r, k) ? guard_pattern : input_pattern, error);
    if (status != FG_OK) return status;
    set->tensor[k] = from->dl;
    set->tensor[k].data = (void *)(uintptr_t)z->data;
    set->tensor[k].device = (DLDevice){ 2, r->device->index };
    testbed_give(&set->args, set->extra, &r->bed->operands, k, &set->tensor[k]);
    return zoned_copy(driver_of(r), z->data, n ? r->set[0].memory[k].data : host(from->memory.data),
                      z->bytes, error);
}

static fg_status make_set(replica *r, int n, fg_error *error)
{
    replica_set *set = &r->set[n];
    fg_status status = FG_OK;
    set->args = r->bed->args;
    if (set->args.tensors) set->args.tensors = set->extra;
    for (int k = 0; k < r->bed->operands.count && status == FG_OK; k++)
        if (has(r, k)) status = make_tensor(r, n, k, error);
    return status;
}

static fg_status make_blanks(replica *r, fg_error *error)
{
    fg_status status = FG_OK;
    testbed_clear(r->bed);
    for (int k = 0; k < r->bed->operands.count && status == FG_OK; k++) {
        const guarded *from = &r->bed->tensor[k].memory;
        if (!has(r, k) || !is_output(r, k)) continue;
        status = zoned_new(&r->blank[k], driver_of(r), from->bytes, guard_pattern, error);
        if (status == FG_OK)
            status =
                zoned_copy(driver_of(r), r->blank[k].data, host(from->data), from->bytes, error);
    }
    return status;
}

/* So many that all of them are twice what the cache holds. */
static int sets_of(const replica *r)
{
    const int64_t bytes = r->bed->bytes > 0 ? r->bed->bytes : 1;
    const int64_t wanted = (2 * r->device->l2_bytes + bytes - 1) / bytes;
    return wanted < 1 ? 1 : wanted < replica_sets_max ? (int)wanted : replica_sets_max;
}

fg_status replica_new(replica *out, const fg_context *context, testbed *bed, fg_error *error)
{
    *out = (replica){ .context = context, .device = context->gpu, .bed = bed };
    out->room = memory_new(&context->memory, room_bytes, 1);
    if (!out->room) return fail_memory(error);
    pin_all(out, pin);
    fg_status status = make_blanks(out, error);
    const int sets = sets_of(out);
    while (out->sets < sets && status == FG_OK) status = make_set(out, out->sets++, error);
    if (status != FG_OK) replica_free(out);
    return status;
}

void replica_free(replica *r)
{
    if (!r->room) return;
    for (int k = 0; k < operand_max; k++) zoned_free(&r->blank[k], driver_of(r));
    for (int n = 0; n < r->sets; n++)
        for (int k = 0; k < operand_max; k++) zoned_free(&r->set[n].memory[k], driver_of(r));
    pin_all(r, unpin);
    memory_free(&r->context->memory, r->room, room_bytes);
    r->room = NULL;
    r->sets = 0;
}

/* ---- Before a run ---- */

fg_status replica_clear(const replica *r, fg_error *error)
{
    fg_status status = FG_OK;
    for (int k = 0; k < r->bed->operands.count && status == FG_OK; k++) {
        const zoned *z = &r->set[0].memory[k];
        if (!has(r, k) || !is_output(r, k)) continue;
        status = zoned_mend(z, driver_of(r), error);
        if (status == FG_OK)
            status = zoned_copy(driver_of(r), z->data, r->blank[k].data, z->bytes, error);
    }
    return status;
}

/* ---- Behind it ---- */

/* Bytes as they should be, and as they are. */
typedef struct pair {
    const char *there, *here;
    size_t bytes;
    atomic_bool differ;
} pair;

static void compare_pieces(const void *args, void *scratch, int64_t first, int64_t last)
{
    pair *p = (pair *)(uintptr_t)args;
    size_t from = (size_t)first * piece_bytes, to = (size_t)last * piece_bytes;
    (void)scratch;
    if (to > p->bytes) to = p->bytes;
    if (memcmp(p->there + from, p->here + from, to - from) != 0) atomic_store(&p->differ, true);
}

static bool differs(const replica *r, const char *there, size_t bytes)
{
    pair p = { .there = there, .here = r->room, .bytes = bytes };
    const launch what = { .entry = (void *)(uintptr_t)compare_pieces,
                          .args = &p,
                          .tasks = (int64_t)((bytes + piece_bytes - 1) / piece_bytes) };
    tasks_run_here(r->context, &what);
    return atomic_load(&p.differ);
}

static fg_status check_input(const replica *r, int k, fg_error *error)
{
    const zoned *z = &r->set[0].memory[k];
    const char *drawn = r->bed->tensor[k].memory.data;
    for (size_t at = 0; at < z->bytes; at += room_bytes) {
        size_t some = z->bytes - at < room_bytes ? z->bytes - at : room_bytes;
        fg_status status = zoned_copy(driver_of(r), host(r->room), z->data + at, some, error);
        if (status != FG_OK) return status;
        if (differs(r, drawn + at, some))
            return fail(error, FG_WRONG, "it wrote to %s, which is no output",
                        r->bed->operands.operand[k].name);
    }
    return FG_OK;
}

fg_status replica_beside(const replica *r, const zoned *z, const char *name, fg_error *error)
{
    const char *where;
    fg_status status = zoned_spilled(&where, z, driver_of(r), r->room, error);
    if (status != FG_OK || !where) return status;
    return fail(error, FG_WRONG, "it wrote %s %s", where, name);
}

/* Inputs of every set, as they were drawn. */
static fg_status restore(const replica *r, fg_error *error)
{
    fg_status status = FG_OK;
    for (int n = 0; n < r->sets; n++)
        for (int k = 0; k < r->bed->operands.count && status == FG_OK; k++) {
            const zoned *z = &r->set[n].memory[k];
            if (!has(r, k)) continue;
            status = zoned_mend(z, driver_of(r), error);
            if (status != FG_OK || is_output(r, k)) continue;
            status = zoned_copy(driver_of(r), z->data, host(r->bed->tensor[k].memory.data),
                                z->bytes, error);
        }
    return status;
}

static fg_status check_beside(const replica *r, fg_error *error)
{
    fg_status status = FG_OK;
    for (int k = 0; k < r->bed->operands.count && status == FG_OK; k++) {
        if (!has(r, k)) continue;
        status = replica_beside(r, &r->set[0].memory[k], r->bed->operands.operand[k].name, error);
        if (status == FG_OK && !is_output(r, k)) status = check_input(r, k, error);
    }
    return status;
}

static fg_status fetch_outputs(const replica *r, fg_error *error)
{
    fg_status status = FG_OK;
    for (int k = 0; k < r->bed->operands.count && status == FG_OK; k++) {
        const guarded *to = &r->bed->tensor[k].memory;
        if (has(r, k) && is_output(r, k))
            status = zoned_copy(driver_of(r), host(to->data), r->set[0].memory[k].data, to->bytes,
                                error);
    }
    return status == FG_OK ? testbed_intact(r->bed, error) : status;
}

fg_status replica_fetch(const replica *r, fg_error *error)
{
    fg_error own;
    fg_status status = check_beside(r, error);
    if (status == FG_OK) return fetch_outputs(r, error);
    if (status != FG_WRONG || restore(r, &own) == FG_OK) return status;
    if (error) *error = own;
    return own.status;
}
