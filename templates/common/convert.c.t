% -- Elements of tensors to `real` and back. Comes in: p, target, need (helper names, as load_bf16).
% -- load_KIND and store_KIND take one element, load_row_KIND and store_row_KIND a row; gather_KIND takes one index
% -- that differs by lane, gather2_KIND two, ...
% local double = target.real == "f64"
% local bits = double and 64 or 32
% local sizes = { f32 = 4, f64 = 8, bf16 = 2, f16 = 2 }
% local gathers = {}
% for _, kind in ipairs { "f32", "f64", "bf16", "f16", "i32", "u8" } do
%   for count = 1, 4 do
%     local name = ("gather%s_%s"):format(count > 1 and count or "", kind)
%     if need[name] then gathers[#gathers + 1] = { name = name, kind = kind, count = count } end
%     if kind:find("16") and need[name] then need["widen_" .. kind] = true end
%   end
% end
% for _, kind in ipairs { "bf16", "f16" } do
%   if need["load_row_" .. kind] then need["load_" .. kind] = true end
%   if need["load_" .. kind] then need["widen_" .. kind] = true end
%   if need["store_row_" .. kind] then need["store_" .. kind] = true end
%   if need["store_" .. kind] then need["narrow_" .. kind] = true end
%   if need["narrow_" .. kind] then need.halves = true end
%   if need["widen_" .. kind] then need.halves, need.floats = true, double end
% end
% -- Floats a lane each, and ints beside them: vr and vi unless those are wider.
% local floats, ints = double and "vf" or "vr", double and "vw" or "vi"
% local function from_floats(x) return double and ("__builtin_convertvector(%s, vr)"):format(x) or x end
% -- Instructions move 4 halves to and from memory only.
% local f16c = target.halves and target.lanes >= 4 and target.halves
% local place = target.lanes == 4 and "m" or "v"
% if need.halves then
typedef unsigned short vh __attribute__((vector_size(${2 * target.lanes}))); /* of f16 or bf16 */
% end
% if need.floats then
typedef float vf __attribute__((vector_size(${4 * target.lanes})));
typedef int vw __attribute__((vector_size(${4 * target.lanes})));
% end
% if need.widen_bf16 then
INLINE vr widen_bf16(vh x) { return ${from_floats(("(%s)(__builtin_convertvector(x, %s) << 16)"):format(floats, ints))}; }
% end
% if need.widen_f16 then
%   if f16c then
INLINE vr widen_f16(vh x)
{
    ${floats} y;
    __asm__("${f16c.widen}" : "=v"(y) : "${place}"(x));
    return ${from_floats("y")};
}
%   else
INLINE vr widen_f16(vh x)
{
    const ${ints} bits = __builtin_convertvector(x, ${ints});
    const ${floats} y = (${floats})((bits & 0x7fff) << 13) * 0x1p112f; /* moves the exponent's bias; subnormals become normal */
    return ${from_floats(("(%s)((%s)y | (((bits & 0x7c00) == 0x7c00) & 0x7f800000) | (bits & 0x8000) << 16)"):format(floats, ints))};
}
%   end
% end
% if need.narrow_bf16 and not double then
/* To nearest, ties to even; a NaN stays one. */
INLINE vh narrow_bf16(vr x)
{
    const vu bits = (vu)x, nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const vu nan = (vu)(x != x);
    return __builtin_convertvector((nan & (bits >> 16 | 0x40)) | (~nan & nearest), vh);
}
% end
% -- digits of a fraction, exponent bias. Of the rows that are cut off half a unit is added to the last that stays, less a
% -- bit where it is even. A subnormal is added to what has its last bit where the subnormals have theirs.
% for _, narrow in ipairs { { kind = "bf16", digits = 7, bias = 127 }, { kind = "f16", digits = 10, bias = 15 } } do
%   local instruction = narrow.kind == "f16" and not double and f16c
%   if need["narrow_" .. narrow.kind] and (double or narrow.kind == "f16") then
%     local fraction = double and 52 or 23
%     local own_bias, cut = double and 1023 or 127, fraction - narrow.digits
%     local function hex(x) return ("0x%x"):format(x) end
%     local function exact(exponent) return hex(exponent + own_bias << fraction) end
/* To nearest, ties to even; from ${narrow.kind == "f16" and "65520" or "0x1.ffp127"} on to infinity; a NaN stays one. */
INLINE vh narrow_${narrow.kind}(vr x)
{
%     if instruction then
    vh y;
    __asm__("${instruction.narrow}" : "=${place}"(y) : "v"(x));
    return y;
%     else
    const vu size = (vu)x & ${hex((1 << bits - 1) - 1)}, sign = (vu)x >> ${bits - 16} & 0x8000;
    const vu normal = (size - ${hex(own_bias - narrow.bias << fraction)} + ${hex((1 << cut - 1) - 1)} + (size >> ${cut} & 1)) >> ${cut};
    const vu subnormal = (vu)((vr)size + ${target.literal(2.0 ^ (1 - narrow.bias + cut))}) - ${exact(1 - narrow.bias + cut)};
    const vu tiny = (vu)(size < ${exact(1 - narrow.bias)}), huge = (vu)(size >= ${hex((narrow.bias + 1 + own_bias << fraction) - (1 << cut - 1))});
    const vu finite = (tiny & subnormal) | (~tiny & normal);
    const vu infinite = ${hex(2 * narrow.bias + 1 << narrow.digits)} | ((vu)(x != x) & ${hex(1 << narrow.digits - 1)});
    return __builtin_convertvector(sign | (huge & infinite) | (~huge & finite), vh);
%     end
}
%   end
% end
% for _, kind in ipairs { "bf16", "f16" } do
%   if need["load_" .. kind] then
INLINE real load_${kind}(${kind} x) { return widen_${kind}((vh){ x })[0]; }
%   end
%   if need["store_" .. kind] then
INLINE ${kind} store_${kind}(real x) { return narrow_${kind}(splat_r(x))[0]; }
%   end
% end
% for _, kind in ipairs { "f32", "f64" } do if need["store_" .. kind] then
INLINE ${kind} store_${kind}(real x) { return ${kind == target.real and "x" or ("(%s)x"):format(kind)}; }
% end end
% -- Of a row's last elements some are taken twice, so that all come in whole vectors.
% for _, kind in ipairs { "f32", "f64", "bf16", "f16" } do
%   local size, ctype = sizes[kind], kind == "f32" and "float" or "double"
%   local half, same = kind:find("16"), kind == target.real
%   local align = math.min(p.align, size)
%   local function elements(name)
%     if half or same then
    typedef ${half and "vh" or "vr"} ${name} __attribute__((aligned(${align})));
%     else
    typedef ${ctype} ${name} __attribute__((vector_size(${size * target.lanes}), aligned(${align})));
%     end
%   end
%   if need["load_row_" .. kind] then

/* n elements of a row. */
INLINE void load_row_${kind}(real *restrict to, const ${kind} *from, int n)
{
    typedef vr row __attribute__((aligned(${bits // 8})));
%     elements("elements")
%     local load = half and "widen_" .. kind .. "(%s)" or same and "%s" or "__builtin_convertvector(%s, vr)"
    UNROLLED for (int c = 0; c < n && n >= LANES; c += LANES) {
        const int at = min_i(c, n - LANES);
        *(row *)(to + at) = ${load:format("*(const elements *)(from + at)")};
    }
    for (int c = 0; c < n && n < LANES; c++) to[c] = ${half and ("load_%s(from[c])"):format(kind) or "from[c]"};
}
%   end
%   if need["store_row_" .. kind] then

/* To n elements of a row. */
INLINE void store_row_${kind}(${kind} *restrict to, const real *from, int n)
{
    typedef vr row __attribute__((aligned(${bits // 8})));
%     elements("elements")
%     local store = half and "narrow_" .. kind .. "(%s)" or same and "%s" or "__builtin_convertvector(%s, elements)"
    UNROLLED for (int c = 0; c < n && n >= LANES; c += LANES) {
        const int at = min_i(c, n - LANES);
        *(elements *)(to + at) = ${store:format("*(const row *)(from + at)")};
    }
    for (int c = 0; c < n && n < LANES; c++) to[c] = ${half and ("store_%s(from[c])"):format(kind) or "from[c]"};
}
%   end
% end
% if need.pair_rows then

/* n ints: the low half from one row, the high half from the next one if `keep` is 1, else zeros. */
INLINE void pair_rows(int *restrict to, const bf16 *row, const bf16 *next, int keep, int n)
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
%   local result = sizes[kind] and "vr" or "vi"
%   local widened = kind:find("16")

/* An element a lane, by its indices. */
INLINE ${result} ${gather.name}(const ${kind} *from, ${table.concat(parameters, ", ")})
{
    ${widened and "vh" or result} x;
    UNROLLED for (int l = 0; l < LANES; l++) x[l] = from[${table.concat(offset, " + ")}];
    return ${widened and ("widen_%s(x)"):format(kind) or "x"};
}
% end
