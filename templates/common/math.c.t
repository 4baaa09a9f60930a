% -- Vector arithmetic. Comes in: target, need (a set of helper names; what they need in turn is added here).
% local function horner(x, coefficients)
%   local text = f32(coefficients[#coefficients])
%   for k = #coefficients - 1, 1, -1 do text = ("(%s) * %s + %s"):format(text, x, f32(coefficients[k])) end
%   return text
% end
% -- A helper's text is emitted when something needs it. Rows: name, what it needs.
% local order = {
%   { "tanh_f", "tanh_vf" }, { "exp_f", "exp_vf" }, { "log_f", "log_vf" }, { "sqrt_f", "sqrt_vf" }, { "floor_f", "floor_vf" },
%   { "tanh_vf", "select_f", "abs_vf" }, { "exp_vf", "min_vf" }, { "log_vf", "select_f" }, { "floor_vf", "select_i" },
%   { "floordiv_vi", "select_i" }, { "mod_vi", "select_i" }, { "max_vi", "select_i" }, { "min_vi", "select_i" },
%   { "exp_fall_vf", "max_vf" }, { "max_vf", "select_f" }, { "min_vf", "select_f" }, { "abs_vf", "select_f" },
% }
% for _, row in ipairs(order) do
%   if need[row[1]] then for k = 2, #row do need[row[k]] = true end end
% end
static inline vf splat_f(float x) { return (vf){ 0 } + x; }
static inline vi splat_i(int x) { return (vi){ 0 } + x; }
static inline int min_i(int a, int b) { return a < b ? a : b; }
static inline int max_i(int a, int b) { return a > b ? a : b; }
% local lane = {}
% for l = 1, target.lanes do lane[l] = l - 1 end
static const vi LANE = { ${table.concat(lane, ", ")} };
% if need.select_f then
static inline vf select_f(vi c, vf a, vf b) { return (vf)((c & (vi)a) | (~c & (vi)b)); }
% end
% if need.select_i then
static inline vi select_i(vi c, vi a, vi b) { return (c & a) | (~c & b); }
% end
% -- Of two numbers; a NaN in b wins, one in a loses, as x86 has it.
% for _, name in ipairs { "max", "min" } do if need[name .. "_vf"] then
%   if target[name] then
static inline vf ${name}_vf(vf a, vf b)
{
    vf x;
    __asm__("${target[name]} %2, %1, %0" : "=v"(x) : "v"(a), "v"(b));
    return x;
}
%   else
static inline vf ${name}_vf(vf a, vf b) { return select_f(a ${name == "max" and ">" or "<"} b, a, b); }
%   end
% end end
% if need.dot_vf then
/* sum + x y over the two bf16 of each lane. */
static inline vf dot_vf(vf sum, vi x, vi y)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(y));
    return sum;
}
% end
% if need.max_vi then
static inline vi max_vi(vi a, vi b) { return select_i(a > b, a, b); }
% end
% if need.min_vi then
static inline vi min_vi(vi a, vi b) { return select_i(a < b, a, b); }
% end
% if need.abs_vf then
static inline vf abs_vf(vf x) { return (vf)((vi)x & 0x7fffffff); }
% end
% if need.abs_vi then
static inline vi abs_vi(vi x) { return (x ^ (x >> 31)) - (x >> 31); }
% end
% for name, sign in pairs { add = "+", sub = "-", mul = "*" } do
%   if need[name .. "_i"] then
static inline int ${name}_i(int a, int b) { return (int)((unsigned)a ${sign} (unsigned)b); } /* wraps */
%   end
%   if need[name .. "_vi"] then
static inline vi ${name}_vi(vi a, vi b) { return (vi)((vu)a ${sign} (vu)b); } /* wraps */
%   end
% end
% if need.abs_i then
static inline int abs_i(int x) { return x < 0 ? -x : x; }
% end
% if need.abs_f then
static inline float abs_f(float x) { return __builtin_fabsf(x); }
% end
% if need.max_f then
static inline float max_f(float a, float b) { return a > b ? a : b; }
% end
% if need.min_f then
static inline float min_f(float a, float b) { return a < b ? a : b; }
% end
% if need.tofloat_vf then
static inline vf tofloat_vf(vi x) { return __builtin_convertvector(x, vf); }
% end

% -- e^x for x <= 0; 0 where it would be below 2^-126. x = (n + f) log(2), f in [-1/2, 1/2]: 2^f is minimax with
% -- 2^0 = 1, so that e^0 is 1.
% if need.exp_fall_vf then
static inline vf exp_fall_vf(vf x)
{
    x = max_vf(splat_f(${f32(-127 * 0.6931471805599453)}), x);
    const vf whole = x * LOG2E + ${f32(12582912.0 + 127)}; /* 1.5 * 2^23: rounds; 127: the exponent's bias */
    const vf f = x * LOG2E - (whole - ${f32(12582912.0 + 127)});
    const vf y = ${horner("f", { 1.0, 0x1.62e4292037289p-1, 0x1.ebf9bb8a68816p-3, 0x1.c6b752df2f830p-5, 0x1.3cea875967023p-7, 0x1.5bba13e2fd91ep-10 })};
    return y * (vf)((vi)whole << 23);
}
% end
% -- e^x everywhere. Two steps of 2^n: a subnormal or overflowing result rounds once.
% if need.exp_vf then
static inline vf exp_vf(vf x)
{
    x = max_vf(splat_f(-105.0f), min_vf(splat_f(90.0f), x));
    const vf whole = x * LOG2E + ${f32(12582912.0)};
    const vf n = whole - ${f32(12582912.0)};
    const vf r = (x - n * ${f32(0x1.62e4p-1)}) - n * ${f32(0x1.7f7d1cf79abcap-20)};
    const vf y = (${horner("r", { 0x1.fffffcp-2, 0x1.555490p-3, 0x1.5558f6p-5, 0x1.123a8ep-7, 0x1.6a2318p-10 })}) * (r * r) + r + 1.0f;
    const vi k = (vi)whole - 0x4b400000, half = k >> 1;
    return y * (vf)((half + 127) << 23) * (vf)((k - half + 127) << 23);
}
% end
% -- log(m 2^e), m in [sqrt(1/2), sqrt(2)): f = m - 1, f - f^2/2 + f^3 P(f).
% if need.log_vf then
static inline vf log_vf(vf x)
{
    const vi tiny = x < 0x1p-126f;
    const vf y = select_f(tiny, x * 0x1p25f, x);
    const vi e = ((vi)y - 0x3f3504f3) >> 23;
    const vf f = (vf)((vi)y - (e << 23)) - 1.0f;
    const vf n = __builtin_convertvector(e - (tiny & 25), vf);
    const vf p = ${horner("f", { 0x1.555554p-2, -0x1.000232p-2, 0x1.99a060p-3, -0x1.546f2ap-3, 0x1.22cf4cp-3, -0x1.0d9a3ep-3, 0x1.05b762p-3, -0x1.392f44p-4 })};
    const vf z = n * ${f32(0x1.7f7d1cf79abcap-20)} + (f * f * (f * p - 0.5f) + f) + n * ${f32(0x1.62e4p-1)};
    const vf finite = select_f((x < INF) & (x > 0), z, splat_f(__builtin_nanf("")));
    return select_f(x == 0, splat_f(-INF), select_f(x == INF, x, finite));
}
% end
% -- x P(x^2) / Q(x^2), minimax in relative error; 1 - 2^-25 and above rounds to 1.
% if need.tanh_vf then
static inline vf tanh_vf(vf x)
{
    const vf y = x * x;
    const vf p = ${horner("y", { 1.0, 0x1.1207aep-3, 0x1.ca1260p-9, 0x1.598c46p-16, 0x1.ca4008p-27 })};
    const vf q = ${horner("y", { 1.0, 0x1.de5920p-2, 0x1.a7eb86p-6, 0x1.5863ecp-12, 0x1.a11c20p-21 })};
    const vf one = (vf)(((vi)x & (int)0x80000000) | (vi)splat_f(1.0f));
    return select_f(abs_vf(x) > 9.0f, one, x * p / q);
}
% end
% if need.sqrt_vf then
static inline vf sqrt_vf(vf x)
{
    for (int l = 0; l < LANES; l++) x[l] = __builtin_sqrtf(x[l]);
    return x;
}
% end
% -- Saturates; NaN gives 0.
% if need.floor_vf then
static inline vi floor_vf(vf x)
{
    const vf y = (vf)((vi)x & ((x >= -0x1p31f) & (x < 0x1p31f))); /* outside: 0, mended below */
    const vi whole = __builtin_convertvector(y, vi);
    const vi down = whole + (__builtin_convertvector(whole, vf) > y);
    return select_i(x >= 0x1p31f, splat_i(0x7fffffff), select_i(x < -0x1p31f, splat_i(-0x7fffffff - 1), down));
}
% end
% -- Division floors; by 0 it gives 0, and the remainder too.
% if need.floordiv_i or need.floordiv_vi then
static inline int floordiv_i(int a, int b)
{
    if (b == 0) return 0;
    if (b == -1) return -a; /* the one quotient that overflows: wraps */
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}
% end
% if need.mod_i or need.mod_vi then
static inline int mod_i(int a, int b)
{
    if (b == 0 || b == -1) return 0;
    return a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0);
}
% end
% for _, name in ipairs { "floordiv", "mod" } do if need[name .. "_vi"] then
static inline vi ${name}_vi(vi a, vi b)
{
    for (int l = 0; l < LANES; l++) a[l] = ${name}_i(a[l], b[l]);
    return a;
}
% end end
% for _, name in ipairs { "tanh", "exp", "log", "sqrt" } do if need[name .. "_f"] then
static inline float ${name}_f(float x) { return ${name}_vf(splat_f(x))[0]; }
% end end
% if need.floor_f then
static inline int floor_f(float x) { return floor_vf(splat_f(x))[0]; }
% end
