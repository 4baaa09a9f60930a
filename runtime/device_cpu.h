/* This machine's processor, as this process may use it. */
#ifndef RUNTIME_DEVICE_CPU_H
#define RUNTIME_DEVICE_CPU_H

#include "gen/core/memory.h"

#include <stdbool.h>

/* An instruction set: a row of one table, each containing those before it. */
typedef struct cpu_isa {
    const char *name, *flags; /* flags: what the compiler is given */
    bool (*applicable)(void);
    bool flushes_bf16; /* its bf16 products take and give subnormals as 0 */
} cpu_isa;

typedef struct device_cpu {
    char name[64]; /* the model */
    const cpu_isa *isa;
    int cores;
    int64_t l1_bytes, l2_bytes; /* of data, a core */
} device_cpu;

/* `isa_limit`: at most this one, or NULL. FG_REQUEST when there is none of that name. */
fg_status device_cpu_open(device_cpu *out, const char *isa_limit, fg_error *error);

#endif
