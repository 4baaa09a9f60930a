% -- Elements of tensors to float and back. Comes in: p, target, need (helper names, as load_bf16).
% -- gather_KIND takes one index that differs by lane, gather2_KIND two, ...
% local gathers = {}
% for _, kind in ipairs { "f32", "bf16", "f16", "i32", "u8" } do
%   for count = 1, 4 do
%     local name = ("gather%s_%s"):format(count > 1 and count or "", kind)
%     if need[name] then gathers[#gathers + 1] = { name = name, kind = kind, count = count } end
%     if (need[name] or need["load_row_" .. kind]) and kind:find("16") then need["widen_" .. kind] = true end
%   end
% end
% if need.load_bf16 then
static inline float load_bf16(bf16 x)
{
    union { unsigned u; float f; } bits = { (unsigned)x << 16 };
    return bits.f;
}
% end
% if need.widen_bf16 then
static inline vf widen_bf16(vi x) { return (vf)(x << 16); }
% end
% if need.load_f16 then
static inline float load_f16(f16 x)
{
    union { unsigned u; float f; } bits = { (unsigned)(x & 0x7fff) << 13 };
    bits.f *= 0x1p112f; /* moves the exponent's bias; subnormals become normal */
    if ((x & 0x7c00) == 0x7c00) bits.u |= 0x7f800000;
    bits.u |= (unsigned)(x & 0x8000) << 16;
    return bits.f;
}
% end
% if need.widen_f16 then
static inline vf widen_f16(vi x)
{
    const vf y = (vf)((x & 0x7fff) << 13) * 0x1p112f; /* moves the exponent's bias; subnormals become normal */
    return (vf)((vi)y | (((x & 0x7c00) == 0x7c00) & 0x7f800000) | (x & 0x8000) << 16);
}
% end
% if need.store_f32 then
static inline f32 store_f32(float x) { return x; }
% end
% if need.store_bf16 then
/* To nearest, ties to even; a NaN stays one. */
static inline bf16 store_bf16(float x)
{
    union { float f; unsigned u; } bits = { x };
    if (x != x) return (bf16)(bits.u >> 16 | 0x40);
    return (bf16)((bits.u + 0x7fff + (bits.u >> 16 & 1)) >> 16);
}
% end
% if need.store_f16 then
/* To nearest, ties to even; above 65519.99 to infinity; a NaN stays one. */
static inline f16 store_f16(float x)
{
    union { float f; unsigned u; } bits = { x }, sum;
    const unsigned sign = bits.u >> 16 & 0x8000;
    bits.u &= 0x7fffffff;
    if (bits.u > 0x7f800000) return (f16)(sign | 0x7e00);
    if (bits.u >= 0x477ff000) return (f16)(sign | 0x7c00);
    if (bits.u < 0x38800000) { /* subnormal: 0.5 has its last bit where f16 has */
        sum.f = bits.f + 0.5f;
        return (f16)(sign | (sum.u - 0x3f000000));
    }
    return (f16)(sign | (bits.u - 0x38000000 + 0xfff + (bits.u >> 13 & 1)) >> 13);
}
% end
% for _, kind in ipairs { "f32", "bf16", "f16" } do if need["load_row_" .. kind] then
%   local size = kind == "f32" and 4 or 2

/* n elements of a row. */
static inline void load_row_${kind}(float *restrict to, const ${kind} *from, int n)
{
    typedef vf row __attribute__((aligned(4)));
%   if kind == "f32" then
    typedef vf elements __attribute__((aligned(${math.min(p.align, 4)})));
%   else
    typedef unsigned short elements __attribute__((vector_size(${target.bytes // 2}), aligned(${math.min(p.align, 2)})));
%   end
    int c = 0;
    for (; c + LANES <= n; c += LANES)
%   if kind == "f32" then
        *(row *)(to + c) = *(const elements *)(from + c);
    for (; c < n; c++) to[c] = from[c];
%   else
        *(row *)(to + c) = widen_${kind}(__builtin_convertvector(*(const elements *)(from + c), vi));
    for (; c < n; c++) to[c] = widen_${kind}(splat_i(from[c]))[0];
%   end
}
% end end
% if need.pair_rows then

/* n ints: the low half from one row, the high half from the next one if `keep` is 1, else zeros. */
static inline void pair_rows(int *restrict to, const bf16 *row, const bf16 *next, int keep, int n)
{
    typedef unsigned short elements __attribute__((vector_size(${target.bytes // 2}), aligned(${math.min(p.align, 2)})));
    typedef vu pairs __attribute__((aligned(4)));
    int c = 0;
    for (; c + LANES <= n; c += LANES)
        *(pairs *)(to + c) = __builtin_convertvector(*(const elements *)(row + c), vu) |
                             (__builtin_convertvector(*(const elements *)(next + c), vu) * (unsigned)keep) << 16;
    for (; c < n; c++) to[c] = row[c] | next[c] * keep << 16;
}
% end
% for _, gather in ipairs(gathers) do
%   local kind, parameters, offset = gather.kind, {}, {}
%   for k = 1, gather.count do
%     parameters[k] = ("i64 stride%d, vi index%d"):format(k, k)
%     offset[k] = ("index%d[l] * stride%d"):format(k, k)
%   end
%   local lanes = kind == "f32" and "vf" or "vi"
%   local widened = kind:find("16")

/* An element a lane, by its indices. */
static inline ${widened and "vf" or lanes} ${gather.name}(const ${kind} *from, ${table.concat(parameters, ", ")})
{
    ${lanes} x;
    for (int l = 0; l < LANES; l++) x[l] = from[${table.concat(offset, " + ")}];
    return ${widened and ("widen_%s(x)"):format(kind) or "x"};
}
% end
