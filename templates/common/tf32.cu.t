% -- Products of f32 on tensor cores. Comes in: p; needs mma_tf32.
/* x is a sum of two tf32, a first one to be multiplied as it is and a rest; tensor cores cut off the last 13 of 23 digits.
 * Rounded, the first is nearest, unless there is no larger number; else it is cut off, and the rest may be twice as large. */
template <bool ROUNDED> DEVICE u32 first_tf32(u32 x)
{
    if (!ROUNDED) return x;
    return x + (fabsf(__int_as_float((int)x)) < 0x1.ffep127f ? 0x1000 : 0) & 0xffffe000;
}

template <bool ROUNDED> DEVICE u32 rest_tf32(u32 x)
{
    const u32 first = ROUNDED ? first_tf32<true>(x) : x & 0xffffe000;
    return (u32)__float_as_int(__int_as_float((int)x) - __int_as_float((int)first)) + 0x1000;
}

% local exact = p.kvdtype ~= "f32" -- K and V have no rest
/* C += A B for f32, each a sum of two tf32${exact and ", B of one" or "; the product of the rests is left out"}. Small products are summed up on their own: tensor
 * cores round towards 0. */
template <bool ROUNDED> DEVICE void mma_split(float (&c)[4], float (&small)[4], const u32 (&a)[4], u32 b0, u32 b1)
{
    u32 first[4], rest[4];
#pragma unroll
    for (int x = 0; x < 4; x++) first[x] = first_tf32<ROUNDED>(a[x]), rest[x] = rest_tf32<ROUNDED>(a[x]);
% if exact then
    mma_tf32(small, rest, b0, b1);
    mma_tf32(c, first, b0, b1);
% else
    const u32 first0 = first_tf32<ROUNDED>(b0), first1 = first_tf32<ROUNDED>(b1);
    mma_tf32(small, rest, first0, first1);
    mma_tf32(small, first, rest_tf32<ROUNDED>(b0), rest_tf32<ROUNDED>(b1));
    mma_tf32(c, first, first0, first1);
% end
}

