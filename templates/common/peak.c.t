% -- The multiply-add rate of this machine. Comes in: target.
% local N = require("templates.common.peak").accumulators(target)
typedef long long i64;
typedef float vf __attribute__((vector_size(${target.bytes})));

#define UNROLLED _Pragma("GCC unroll 64") /* so that sums may live in registers */

struct args {
    i64 rounds;
};

/* scratch keeps the results alive. */
void fg_peak(const struct args *a, vf *scratch, i64 first, i64 last)
{
    for (i64 task = first; task < last; task++) {
        vf sum[${N}];
        const vf x = (vf){ 0 } + (1 - 0x1p-20f), y = (vf){ 0 } + 0x1p-20f;
        UNROLLED for (int k = 0; k < ${N}; k++) sum[k] = y * (float)k;
        for (i64 round = 0; round < 1000 * a->rounds; round++)
            UNROLLED for (int k = 0; k < ${N}; k++) sum[k] = sum[k] * x + y;
        UNROLLED for (int k = 0; k < ${N}; k++) scratch[k] = sum[k];
    }
}
