/* Which weights dropout keeps: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011), and which of its bits an element of P takes. */
#ifndef RUNTIME_REFERENCE_PHILOX_H
#define RUNTIME_REFERENCE_PHILOX_H

#include <stdbool.h>
#include <stdint.h>

void reference_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

typedef struct reference_dropout {
    uint64_t seed, offset;
    int64_t threshold; /* 16-bit words below it drop: 0 none, 65536 all */
} reference_dropout;

/* `head`: b * hq + h. */
bool reference_keeps(const reference_dropout *d, int64_t head, int64_t i, int64_t j);
/* What a weight that is kept is multiplied by; 0 where none is. */
long double reference_dropout_scale(const reference_dropout *d);

#endif
