/* The clock of a core, by chains of dependent additions of registers: one cycle each on every processor
 * in reach (of constants, some take none). Multiply-adds may run beside the chain, because a processor
 * can slow down under wide vectors at full rate. */
#include "bench.h"

enum { blocks = 5000, tries = 40 };

typedef double (*timed_loop)(void);

#define CHAIN                                                                                      \
    sum += one;                                                                                    \
    __asm__ volatile("" : "+r"(sum), "+r"(one));

/* Seconds a block, the least of some tries: what else the machine does only adds. */
#define TIMED_LOOP(name, attributes, setup, block)                                                 \
    attributes static double name(void)                                                            \
    {                                                                                              \
        unsigned long sum = 0, one = 1;                                                            \
        double least = INFINITY;                                                                   \
        setup;                                                                                     \
        __asm__ volatile("" : "+r"(sum), "+r"(one));                                               \
        for (int k = 0; k < tries; k++) {                                                          \
            double start = bench_seconds();                                                        \
            for (int n = 0; n < blocks; n++) {                                                     \
                block                                                                              \
            }                                                                                      \
            least = fmin(least, (bench_seconds() - start) / blocks);                               \
        }                                                                                          \
        return least;                                                                              \
    }

#define CHAIN8 CHAIN CHAIN CHAIN CHAIN CHAIN CHAIN CHAIN CHAIN

TIMED_LOOP(chain_alone, , , CHAIN8 CHAIN8 CHAIN8 CHAIN8)

double bench_clock(void)
{
    return 32e-9 / chain_alone();
}

#if defined(__x86_64__)
typedef float vector32 __attribute__((vector_size(32)));
typedef float vector64 __attribute__((vector_size(64)));

/* 14 multiply-adds that hide their latency, with eight times `chain` among them. */
#define MADD(k)     __asm__ volatile("vfmadd213ps %1, %1, %0" : "+v"(a[k]) : "v"(x));
#define MADDS(k, m) MADD(k) MADD(m)
#define BLOCK(chain)                                                                               \
    MADDS(0, 1)                                                                                    \
    chain MADDS(2, 3) chain MADDS(4, 5) chain MADDS(6, 7) chain MADDS(8, 9) chain MADDS(10, 11)    \
        chain MADD(12) chain MADD(13) chain
#define BLOCKS(chain) BLOCK(chain) BLOCK(chain) BLOCK(chain) BLOCK(chain)

#define FAMILY(isa, bytes)                                                                         \
    TIMED_LOOP(isa##_0, __attribute__((target(#isa))), VECTORS(bytes), BLOCKS())                   \
    TIMED_LOOP(isa##_8, __attribute__((target(#isa))), VECTORS(bytes), BLOCKS(CHAIN))              \
    TIMED_LOOP(isa##_16, __attribute__((target(#isa))), VECTORS(bytes), BLOCKS(CHAIN CHAIN))
#define VECTORS(bytes) vector##bytes a[14] = { { 0 } }, x = (vector##bytes){ 0 } + 0.5f

FAMILY(fma, 32)
FAMILY(avx512f, 64)

/* Where eight additions cost nothing beside the multiply-adds, these take more cycles than eight. */
static double clock_beside(timed_loop none, timed_loop eight, timed_loop sixteen)
{
    double with_eight = eight();
    return with_eight > 1.05 * none() ? 4 * 8e-9 / with_eight : 4 * 16e-9 / sixteen();
}

double bench_loaded_clock(void)
{
    if (__builtin_cpu_supports("avx512f")) return clock_beside(avx512f_0, avx512f_8, avx512f_16);
    if (__builtin_cpu_supports("fma")) return clock_beside(fma_0, fma_8, fma_16);
    return bench_clock();
}
#else
double bench_loaded_clock(void)
{
    return bench_clock();
}
#endif
