#include "autotune/zoned.h"

static fg_status said(const cuda_driver *d, int code, const char *what, fg_error *error)
{
    return code == CUDA_SUCCESS ? FG_OK : cuda_fail(d, code, what, error);
}

fg_status zoned_wait(const cuda_driver *d, fg_error *error)
{
    return said(d, d->stream_wait(CU_STREAM_PER_THREAD), "waiting for the GPU", error);
}

fg_status zoned_copy(const cuda_driver *d, cuda_address to, cuda_address from, size_t bytes,
                     fg_error *error)
{
    if (bytes == 0) return FG_OK;
    int code = d->memory_move(to, from, bytes, CU_STREAM_PER_THREAD);
    return code == CUDA_SUCCESS ? zoned_wait(d, error) : said(d, code, "copying", error);
}

fg_status zoned_fill(const cuda_driver *d, cuda_address to, unsigned char value, size_t bytes,
                     fg_error *error)
{
    if (bytes == 0) return FG_OK;
    return said(d, d->memory_fill(to, value, bytes, CU_STREAM_PER_THREAD), "filling", error);
}

fg_status zoned_new(zoned *out, const cuda_driver *d, size_t bytes, unsigned char pattern,
                    fg_error *error)
{
    cuda_address block;
    *out = (zoned){ .block = 0 };
    if (bytes > SIZE_MAX / 2) return fail_memory(error);
    int code = d->memory_new(&block, bytes + 2 * (size_t)zoned_zone);
    if (code != CUDA_SUCCESS) return said(d, code, "allocating on the GPU", error);
    *out = (zoned){ block, block + zoned_zone, bytes, pattern };
    fg_status status = zoned_mend(out, d, error);
    if (status != FG_OK) zoned_free(out, d);
    return status;
}

void zoned_free(zoned *z, const cuda_driver *d)
{
    if (z->block) d->memory_free(z->block);
    *z = (zoned){ .block = 0 };
}

fg_status zoned_mend(const zoned *z, const cuda_driver *d, fg_error *error)
{
    fg_status status = zoned_fill(d, z->block, z->pattern, zoned_zone, error);
    if (status != FG_OK) return status;
    return zoned_fill(d, z->data + z->bytes, z->pattern, zoned_zone, error);
}

static bool untouched(const char *zone, unsigned char pattern)
{
    unsigned found = 0;
    for (size_t k = 0; k < zoned_zone; k++) found |= (unsigned char)zone[k] ^ pattern;
    return found == 0;
}

fg_status zoned_spilled(const char **where, const zoned *z, const cuda_driver *d, char *room,
                        fg_error *error)
{
    const cuda_address zones[] = { z->block, z->data + z->bytes };
    static const char *const names[] = { "before", "behind" };
    *where = NULL;
    for (int k = 0; k < 2 && !*where; k++) {
        fg_status status = zoned_copy(d, (uintptr_t)room, zones[k], zoned_zone, error);
        if (status != FG_OK) return status;
        if (!untouched(room, z->pattern)) *where = names[k];
    }
    return FG_OK;
}
