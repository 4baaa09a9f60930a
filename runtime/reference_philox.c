#include "runtime/reference_philox.h"

void reference_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p = UINT64_C(0xd2511f53) * x0, q = UINT64_C(0xcd9e8d57) * x2;
        x0 = (uint32_t)(q >> 32) ^ x1 ^ k0;
        x2 = (uint32_t)(p >> 32) ^ x3 ^ k1;
        x1 = (uint32_t)q;
        x3 = (uint32_t)p;
        k0 += UINT32_C(0x9e3779b9); /* the golden ratio, and sqrt(3) - 1 */
        k1 += UINT32_C(0xbb67ae85);
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

bool reference_keeps(const reference_dropout *d, int64_t head, int64_t i, int64_t j)
{
    const uint32_t key[2] = { (uint32_t)d->seed,
                              (uint32_t)(d->seed >> 32) ^ (uint32_t)(d->offset >> 32) };
    const uint32_t counter[4] = { (uint32_t)(4 * (j >> 4) + ((j >> 1) & 3)), (uint32_t)(i >> 1),
                                  (uint32_t)head, (uint32_t)d->offset };
    uint32_t word[4];
    reference_philox(word, counter, key);
    uint32_t pair = word[2 * (i & 1) + ((j >> 3) & 1)];
    return (j & 1 ? pair >> 16 : pair & 0xffff) >= d->threshold;
}

long double reference_dropout_scale(const reference_dropout *d)
{
    return d->threshold < 65536 ? 65536 / (65536 - (long double)d->threshold) : 0;
}
