% -- Instructions of GPUs from sm_80 on that C++ has no word for. Comes in: need (names of functions). Addresses of shared
% -- memory are u32.
#define DEVICE static __device__ __forceinline__

extern __shared__ __align__(1024) unsigned char shared_memory[];

DEVICE u32 shared_base(void)
{
    u32 address;
    asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(address) : "l"(shared_memory));
    return address;
}

DEVICE void barrier(void) { asm volatile("barrier.cta.sync.aligned 0;" ::: "memory"); }

% if need.same_in_all then
/* x, which all lanes have: a uniform register holds it. */
DEVICE u32 same_in_all(u32 x)
{
    u32 y;
    asm("redux.sync.or.b32 %0, %1, 0xffffffff;" : "=r"(y) : "r"(x));
    return y;
}

% end
% if need.anew then
/* x, of which the compiler knows nothing: what is added to it stays a sum, for addresses to take as they are. */
DEVICE int anew(int x)
{
    asm("" : "+r"(x));
    return x;
}

% end
% if need.advance then
/* `pointer` goes on by so many bytes. A compiler that sees the sum multiplies out each of an unrolled loop's. */
DEVICE void advance(const u8 *&pointer, i64 bytes) { asm("add.s64 %0, %0, %1;" : "+l"(pointer) : "l"(bytes)); }

% end
% if need.skip_rows then
/* `pointer` goes on by so many rows. */
DEVICE void skip_rows(const u8 *&pointer, u32 rows, i64 pitch)
{
    asm("{ .reg .u64 n; cvt.u64.u32 n, %1; mad.lo.u64 %0, n, %2, %0; }" : "+l"(pointer) : "r"(rows), "l"(pitch));
}

% end
% if need.hide then
/* x = -INF if it is hidden. Where a compiler chooses between two values, it copies all scores on the way that hides none. */
DEVICE void hide(float &x, bool hidden)
{
    asm("{ .reg .pred p; setp.ne.s32 p, %1, 0; @p mov.b32 %0, 0xff800000; }" : "+f"(x) : "r"((int)hidden));
}

% end
% if need.load_matrices then
/* Four 8x8 matrices of 16-bit elements, or 8x4 of 32-bit ones; each lane names the address of a row. */
DEVICE void load_matrices(u32 (&x)[4], u32 at)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(at));
}

% end
% if need.load_transposed then
DEVICE void load_transposed(u32 (&x)[4], u32 at)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(at));
}

% end
% if need.load_shared then
DEVICE u32 load_shared(u32 at)
{
    u32 x;
    asm volatile("ld.shared.b32 %0, [%1];" : "=r"(x) : "r"(at));
    return x;
}

% end
% if need.load_shared4 then
DEVICE void load_shared4(u32 (&x)[4], u32 at)
{
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(at) : "memory");
}

% end
% if need.store_shared then
DEVICE void store_shared(u32 at, u32 x) { asm volatile("st.shared.b32 [%0], %1;" ::"r"(at), "r"(x) : "memory"); }

% end
% if need.store_shared2 then
DEVICE void store_shared2(u32 at, u32 x, u32 y) { asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(at), "r"(x), "r"(y) : "memory"); }

% end
% if need.store_shared4 then
DEVICE void store_shared4(u32 at, const u32 (&x)[4])
{
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]) : "memory");
}

% end
% if need.store_global4 then
DEVICE void store_global4(void *to, const u32 (&x)[4])
{
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]) : "memory");
}

% end
% if need.load_global4 then
/* What other blocks may have written: not from this multiprocessor's cache. */
DEVICE void load_global4(u32 (&x)[4], const void *from)
{
    asm volatile("ld.global.cg.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "l"(from) : "memory");
}

% end
% if need.count_blocks then
/* Counts blocks from 0 on. For one thread, behind a barrier; whether it is the last of `all`. Behind another barrier its
 * block then reads what the others wrote before they arrived. */
DEVICE bool arrives_last(u32 *count, u32 all)
{
    u32 before;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;" : "=r"(before) : "l"(count) : "memory");
    return before == all - 1;
}

% end
% if need.copy_async then
/* BYTES to shared memory in the background if `wanted`: the first `present` from memory, the others zeros. */
template <int BYTES> DEVICE void copy_async(u32 to, const void *from, int present, bool wanted)
{
    if (BYTES == 16)
        asm volatile("{ .reg .pred p; setp.ne.s32 p, %3, 0; @p cp.async.cg.shared.global [%0], [%1], 16, %2; }"
                     ::"r"(to), "l"(from), "r"(present), "r"((int)wanted) : "memory");
    else
        asm volatile("{ .reg .pred p; setp.ne.s32 p, %3, 0; @p cp.async.ca.shared.global [%0], [%1], %4, %2; }"
                     ::"r"(to), "l"(from), "r"(present), "r"((int)wanted), "n"(BYTES) : "memory");
}

% end
DEVICE void commit_copies(void) { asm volatile("cp.async.commit_group;" ::: "memory"); }

/* Until at most N of this thread's groups are under way. */
template <int N> DEVICE void wait_copies(void) { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

% if need.pair_any then
/* Two warps that stand side by side; whether x is true somewhere in them. */
DEVICE void pair_barrier(int pair) { asm volatile("barrier.cta.sync.aligned %0, 64;" ::"r"(pair + 1) : "memory"); }

DEVICE bool pair_any(bool x, int pair)
{
    u32 any;
    asm volatile("{ .reg .pred p, q; setp.ne.s32 p, %1, 0; barrier.cta.red.aligned.or.pred q, %2, 64, p; selp.u32 %0, 1, 0, q; }"
                 : "=r"(any) : "r"((int)x), "r"(pair + 1) : "memory");
    return any;
}

% end
/* C += A B for 16 rows, 8 columns; A: 16 x 16 (tf32: 16 x 8), row by row; B: column by column. */
% for _, kind in ipairs { "bf16", "f16" } do if need["mma_" .. kind] then
DEVICE void mma_${kind}(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.${kind}.${kind}.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

% end end
% if need.mma_tf32 then
DEVICE void mma_tf32(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1)
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

% end
% if need.tanh_r then
/* 1 / x of a normal number, to 1 ulp. */
DEVICE float inverse_fast(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

% end
/* 2^x with an error of 2 round-offs; results below 2^-126 are 0. */
DEVICE float exp2_fast(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

% for _, kind in ipairs { "bf16", "f16" } do if need["pack_" .. kind] then
/* Two to nearest, the first in the low half. */
DEVICE u32 pack_${kind}(float low, float high)
{
    u32 x;
    asm("cvt.rn.${kind}x2.f32 %0, %1, %2;" : "=r"(x) : "f"(high), "f"(low));
    return x;
}

% end end
% if need.keep_pair then
/* Of two weights in a register, those whose half of `word` is `least` or more. */
DEVICE void keep_pair(u32 &pair, u32 word, u32 least)
{
%   if require("templates.target.cuda").new(dev.isa).capability >= 90 then
    /* With `rest` = word - least in each half: its top bit, or where theirs differ the word's, tells. */
    u32 rest, mask;
    asm("add.u16x2 %0, %1, %2;" : "=r"(rest) : "r"(word), "r"((0x10000 - least & 0xffff) * 0x10001));
    asm("{ .reg .b32 kept; lop3.b32 kept, %1, %2, %3, 0x71; prmt.b32 %0, kept, kept, 0xbb99; }" : "=r"(mask) : "r"(word), "r"(least * 0x10001), "r"(rest));
    pair &= mask;
%   else
    if (word << 16 < least << 16) pair &= 0xffff0000;
    if (word < least << 16) pair &= 0xffff;
%   end
}

% end
% if need.load_f16 then
DEVICE float widen_f16(unsigned short x)
{
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
    return y;
}

% end
/* Across a warp. */
% if need.set_lanes then
DEVICE u32 set_lanes(bool x) { return __ballot_sync(0xffffffff, x); } /* a bit a lane */
DEVICE int count_bits(u32 x) { return __popc(x); }
% end
DEVICE float exchange(float x, int lanes) { return __shfl_xor_sync(0xffffffff, x, lanes); }
% if need.exchange_bits then
DEVICE u32 exchange_bits(u32 x, int lanes) { return __shfl_xor_sync(0xffffffff, x, lanes); }
% end
% if need.any_lane then
DEVICE bool any_lane(bool x) { return __any_sync(0xffffffff, x); }
% end
% if need.store_global4 or need.warp_barrier then
DEVICE void warp_barrier(void) { __syncwarp(); }
% end
