% -- Vector arithmetic. Comes in: target, need (a set of helper names; what they need in turn is added here), raise (of
% -- templates/common/raise.lua).
% local double = target.real == "f64"
% local function horner(x, coefficients)
%   local text = target.literal(coefficients[#coefficients])
%   for k = #coefficients - 1, 1, -1 do text = ("(%s) * %s + %s"):format(text, x, target.literal(coefficients[k])) end
%   return text
% end
% -- A helper's text is emitted when something needs it. Rows: name, what it needs.
% local order = {
%   { "tanh_r", "tanh_vr" }, { "exp_r", "exp_vr" }, { "log_r", "log_vr" }, { "sqrt_r", "sqrt_vr" }, { "floor_r", "floor_vr" },
%   { "tanh_vr", "select_r", "abs_vr", "max_vr", "min_vr" }, { "exp_vr", "max_vr", "min_vr" }, { "log_vr", "select_r" }, { "floor_vr", "select_i" },
%   { "floordiv_vi", "select_i" }, { "mod_vi", "select_i" }, { "max_vi", "select_i" }, { "min_vi", "select_i" },
%   { "exp_fall_vr", "max_vr" }, { "exp2_fall_vr", "max_vr" }, { "max_vr", "select_r" }, { "min_vr", "select_r" }, { "abs_vr", "select_r" },
% }
% local function wrapped(text) return double and ("wrap_vi(%s)"):format(text) or text end
% if double then
%   table.insert(order, 1, { "tanh_vr", "exp_part_vr", "min_vr" })
%   for _, name in ipairs { "exp_vr", "exp_fall_vr" } do order[#order + 1] = { name, "exp_part_vr" } end
%   order[#order + 1], order[#order + 2] = { "exp_part_vr", "exp_rest_vr" }, { "exp2_fall_vr", "exp_rest_vr" }
%   for _, name in ipairs { "abs_vi", "add_vi", "sub_vi", "mul_vi" } do order[#order + 1] = { name, "wrap_vi" } end
% end
% local function complete()
%   local grown = false
%   for _, row in ipairs(order) do
%     for k = 2, need[row[1]] and #row or 1 do grown, need[row[k]] = grown or not need[row[k]], true end
%   end
%   return grown
% end
% while complete() do end
% if raise > 0 then
#define RAISE ${target.literal(2.0 ^ raise)} /* what a weight of 1 is, so that none which a result shows is a subnormal */
% end
INLINE vr splat_r(real x) { return x - (vr){ 0 }; } /* + would make -0 another */
INLINE vi splat_i(int x) { return (vi){ 0 } + x; }
INLINE int min_i(int a, int b) { return a < b ? a : b; }
INLINE int max_i(int a, int b) { return a > b ? a : b; }
% local lane = {}
% for l = 1, target.lanes do lane[l] = l - 1 end
static const vi LANE = { ${table.concat(lane, ", ")} };
% if need.select_r then
INLINE vr select_r(vi c, vr a, vr b) { return (vr)((c & (vi)a) | (~c & (vi)b)); }
% end
% for suffix, type in pairs { i = "int", r = "real" } do if need["broadcast_" .. suffix] then
INLINE v${suffix} broadcast_${suffix}(const ${type} *x)
{
    v${suffix} y = splat_${suffix}(*x);
%   if target.registers == 32 and target.max then
    __asm__("" : "+v"(y)); /* loaded once, not by each that takes it */
%   end
    return y;
}
% end end
% if need.any_lane then
INLINE int any_lane(vi x)
{
    typedef long words __attribute__((vector_size(${target.bytes}))); /* fewer than lanes may be */
    long some = 0;
    UNROLLED for (int k = 0; k < (int)(sizeof x / sizeof some); k++) some |= ((words)x)[k];
    return some != 0;
}
% end
% if need.transpose then
%   local half, low, high = target.lanes // 2, {}, {}
%   for l = 0, half - 1 do
%     low[#low + 1], high[#high + 1] = l, half + l
%     low[#low + 1], high[#high + 1] = target.lanes + l, target.lanes + half + l
%   end
%   local rounds, from, to = 0, "x", "y"
%   while 1 << rounds < target.lanes do rounds = rounds + 1 end
%   local times = need.transpose == "times"
/* LANES vectors, `from_step` apart,${times and " times `times`" or ""} become lanes of others. Each round shuffles row l and row l + LANES / 2 like
 * two halves of a pack of cards. */
APART void transpose(vr *restrict to, int to_step, const vr *restrict from, int from_step${times and ", vr times" or ""})
{
    vr x[LANES], y[LANES];
    UNROLLED for (int l = 0; l < LANES; l++) x[l] = from[l * from_step]${times and " * times" or ""};
%   for round = 1, rounds do
    UNROLLED for (int l = 0; l < LANES / 2; l++) {
        ${to}[2 * l] = __builtin_shufflevector(${from}[l], ${from}[l + LANES / 2], ${table.concat(low, ", ")});
        ${to}[2 * l + 1] = __builtin_shufflevector(${from}[l], ${from}[l + LANES / 2], ${table.concat(high, ", ")});
    }
%     from, to = to, from
%   end
    UNROLLED for (int l = 0; l < LANES; l++) to[l * to_step] = ${from}[l];
}
% end
% if need.select_i then
INLINE vi select_i(vi c, vi a, vi b) { return (c & a) | (~c & b); }
% end
% -- Of two numbers; a NaN in b wins, one in a loses, as x86 has it.
% for _, name in ipairs { "max", "min" } do if need[name .. "_vr"] then
%   if target[name] then
INLINE vr ${name}_vr(vr a, vr b)
{
    vr x;
    __asm__("${target[name]}" : "=v"(x) : "v"(a), "v"(b));
    return x;
}
%   else
INLINE vr ${name}_vr(vr a, vr b) { return select_r(a ${name == "max" and ">" or "<"} b, a, b); }
%   end
% end end
% if need.dot_vr then
/* sum + x y over the two bf16 of each lane. */
INLINE vr dot_vr(vr sum, vi x, vi y)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(y));
    return sum;
}
% end
% if need.dot_from_vr then
/* The same with y from memory, and with one pair for all lanes. */
INLINE vr dot_from_vr(vr sum, vi x, const vi *y)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "m"(*y));
    return sum;
}

INLINE vr dot_splat_vr(vr sum, vi x, const int *y)
{
    __asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(x), "m"(*y));
    return sum;
}
% end
% if need.max_vi then
INLINE vi max_vi(vi a, vi b) { return select_i(a > b, a, b); }
% end
% if need.min_vi then
INLINE vi min_vi(vi a, vi b) { return select_i(a < b, a, b); }
% end
% if need.abs_vr then
INLINE vr abs_vr(vr x) { return (vr)((vi)x & ${double and "0x7fffffffffffffff" or "0x7fffffff"}); }
% end
% if need.wrap_vi then
INLINE vi wrap_vi(vi x) { return ((x & 0xffffffff) ^ 0x80000000) - 0x80000000; } /* as int32 does */
% end
% if need.abs_vi then
INLINE vi abs_vi(vi x) { return ${wrapped("(x ^ (x < 0)) - (x < 0)")}; }
% end
% for name, sign in pairs { add = "+", sub = "-", mul = "*" } do
%   if need[name .. "_i"] then
INLINE int ${name}_i(int a, int b) { return (int)((unsigned)a ${sign} (unsigned)b); } /* wraps */
%   end
%   if need[name .. "_vi"] then
INLINE vi ${name}_vi(vi a, vi b) { return ${wrapped(("(vi)((vu)a %s (vu)b)"):format(sign))}; } /* wraps */
%   end
% end
% if need.abs_i then
INLINE int abs_i(int x) { return x < 0 ? -x : x; }
% end
% if need.abs_r then
INLINE real abs_r(real x) { return __builtin_fabs${double and "" or "f"}(x); }
% end
% if need.max_r then
INLINE real max_r(real a, real b) { return a > b ? a : b; }
% end
% if need.min_r then
INLINE real min_r(real a, real b) { return a < b ? a : b; }
% end

% include(("templates/common/functions_%s.c.t"):format(target.real), { horner = horner })
% if need.sqrt_vr then
INLINE vr sqrt_vr(vr x)
{
    UNROLLED for (int l = 0; l < LANES; l++) x[l] = __builtin_sqrt${double and "" or "f"}(x[l]);
    return x;
}
% end
% -- Division floors; by 0 it gives 0, and the remainder too.
% if need.floordiv_i or need.floordiv_vi then
INLINE int floordiv_i(int a, int b)
{
    if (b == 0) return 0;
    if (b == -1) return -a; /* the one quotient that overflows: wraps */
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}
% end
% if need.mod_i or need.mod_vi then
INLINE int mod_i(int a, int b)
{
    if (b == 0 || b == -1) return 0;
    return a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0);
}
% end
% for _, name in ipairs { "floordiv", "mod" } do if need[name .. "_vi"] then
INLINE vi ${name}_vi(vi a, vi b)
{
    for (int l = 0; l < LANES; l++) a[l] = ${name}_i(a[l], b[l]);
    return a;
}
% end end
% for _, name in ipairs { "tanh", "exp", "log", "sqrt" } do if need[name .. "_r"] then
INLINE real ${name}_r(real x) { return ${name}_vr(splat_r(x))[0]; }
% end end
% if need.floor_r then
INLINE int floor_r(real x) { return floor_vr(splat_r(x))[0]; }
% end
