/* Memory of a GPU between zones of a pattern. The GPU's context is the thread's current one; copies and fills are in
 * the thread's own stream. */
#ifndef AUTOTUNE_ZONED_H
#define AUTOTUNE_ZONED_H

#include "runtime/cuda_driver.h"

enum { zoned_zone = 256 << 10 }; /* bytes of each zone */

typedef struct zoned {
    cuda_address block, data; /* block 0: there is none */
    size_t bytes;
    unsigned char pattern;
} zoned;

/* Its zones are whole, `data` is aligned to 256 and uninitialised. FG_MEMORY. */
fg_status zoned_new(zoned *out, const cuda_driver *d, size_t bytes, unsigned char pattern,
                    fg_error *error);
void zoned_free(zoned *z, const cuda_driver *d);

/* Makes the zones whole again. */
fg_status zoned_mend(const zoned *z, const cuda_driver *d, fg_error *error);
/* *where: "before" or "behind", where a zone is no more what it was; NULL: nowhere. `room`: zoned_zone bytes. */
fg_status zoned_spilled(const char **where, const zoned *z, const cuda_driver *d, char *room,
                        fg_error *error);

/* Either place may be the host's memory, which may be reused on return. */
fg_status zoned_copy(const cuda_driver *d, cuda_address to, cuda_address from, size_t bytes,
                     fg_error *error);
fg_status zoned_fill(const cuda_driver *d, cuda_address to, unsigned char value, size_t bytes,
                     fg_error *error);
fg_status zoned_wait(const cuda_driver *d, fg_error *error);

#endif
