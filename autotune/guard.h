/* Memory between pages that nothing may touch, with a pattern in what is left over of the others. */
#ifndef AUTOTUNE_GUARD_H
#define AUTOTUNE_GUARD_H

#include "gen/core/text.h"

enum { guard_align = 64, guard_pattern = 0xa5 };

/* From lower to higher addresses: pages that fault; at least a page of pattern; `data`, aligned to
 * guard_align; less than guard_align bytes of pattern; pages that fault. */
typedef struct guarded {
    char *data;
    size_t bytes;
    char *map;
    size_t map_bytes;
} guarded;

/* `data` is full of the pattern too. FG_MEMORY. */
fg_status guarded_new(guarded *out, size_t bytes, fg_error *error);
void guarded_free(guarded *g);

/* From now on writing faults as well. */
fg_status guarded_freeze(guarded *g, fg_error *error);

/* Makes the pattern whole again. */
void guarded_mend(guarded *g);
/* "before" or "behind": where the pattern is no more; NULL: nowhere. */
const char *guarded_spilled(const guarded *g);

#endif
