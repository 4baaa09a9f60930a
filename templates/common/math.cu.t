% -- Scalar arithmetic of the variant's expressions. Comes in: need (a set of helper names; what they need in turn is
% -- added here), after types.cu.t and ptx.cu.t. Contraction is up to the text: fmaf where it is meant.
% local function horner(x, coefficients)
%   local text = f32(coefficients[#coefficients])
%   for k = #coefficients - 1, 1, -1 do text = ("fmaf(%s, %s, %s)"):format(text, x, f32(coefficients[k])) end
%   return text
% end
DEVICE int min_i(int a, int b) { return a < b ? a : b; }
DEVICE int max_i(int a, int b) { return a > b ? a : b; }
% for name, sign in pairs { add = "+", sub = "-", mul = "*" } do
%   if need[name .. "_i"] then
DEVICE int ${name}_i(int a, int b) { return (int)((u32)a ${sign} (u32)b); } /* wraps */
%   end
% end
% if need.abs_i then
DEVICE int abs_i(int x) { return x < 0 ? (int)(0u - (u32)x) : x; }
% end
% if need.abs_r then
DEVICE float abs_r(float x) { return fabsf(x); }
% end
% -- Of two numbers; a NaN in b wins, one in a loses.
% if need.max_r then
DEVICE float max_r(float a, float b) { return a > b ? a : b; }
% end
% if need.min_r then
DEVICE float min_r(float a, float b) { return a < b ? a : b; }
% end
% -- Division floors; by 0 it gives 0, and the remainder too.
% if need.floordiv_i then
DEVICE int floordiv_i(int a, int b)
{
    if (b == 0) return 0;
    if (b == -1) return (int)(0u - (u32)a); /* the one quotient that overflows: wraps */
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}
% end
% if need.mod_i then
DEVICE int mod_i(int a, int b)
{
    if (b == 0 || b == -1) return 0;
    return a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0);
}
% end
% -- Saturates; NaN gives 0.
% if need.floor_r then
DEVICE int floor_r(float x) { return __float2int_rd(x); }
% end
% if need.sqrt_r then
DEVICE float sqrt_r(float x) { return __fsqrt_rn(x); }
% end
% -- e^x everywhere. Two steps of 2^n: a subnormal or overflowing result rounds once.
% if need.exp_r then
DEVICE float exp_r(float x)
{
    x = x < -105.0f ? -105.0f : x > 90.0f ? 90.0f : x;
    const float whole = fmaf(x, LOG2E, ${f32(12582912.0)}); /* 1.5 * 2^23: rounds */
    const float n = whole - ${f32(12582912.0)};
    const float r = fmaf(n, ${f32(-0x1.7f7d1cf79abcap-20)}, fmaf(n, ${f32(-0x1.62e4p-1)}, x));
    const float y = fmaf(${horner("r", { 0x1.fffffcp-2, 0x1.555490p-3, 0x1.5558f6p-5, 0x1.123a8ep-7, 0x1.6a2318p-10 })}, r * r, r) + 1.0f;
    const int k = __float_as_int(whole) - 0x4b400000, half = k >> 1;
    return x != x ? x : y * __int_as_float((half + 127) << 23) * __int_as_float((k - half + 127) << 23);
}
% end
% -- log(m 2^e), m in [sqrt(1/2), sqrt(2)): f = m - 1, f - f^2/2 + f^3 P(f).
% if need.log_r then
DEVICE float log_r(float x)
{
    const bool tiny = x < 0x1p-126f;
    const float y = tiny ? x * 0x1p25f : x;
    const int e = (__float_as_int(y) - 0x3f3504f3) >> 23;
    const float f = __int_as_float(__float_as_int(y) - (int)((u32)e << 23)) - 1.0f;
    const float n = (float)(e - (tiny ? 25 : 0));
    const float p = ${horner("f", { 0x1.555554p-2, -0x1.000232p-2, 0x1.99a060p-3, -0x1.546f2ap-3, 0x1.22cf4cp-3, -0x1.0d9a3ep-3, 0x1.05b762p-3, -0x1.392f44p-4 })};
    const float z = fmaf(n, ${f32(0x1.62e4p-1)}, fmaf(n, ${f32(0x1.7f7d1cf79abcap-20)}, fmaf(f * f, fmaf(f, p, -0.5f), f)));
    return x == 0 ? -INF : x == INF ? x : x > 0 ? z : NOT_A_NUMBER;
}
% end
% -- x P(x^2) / Q(x^2), minimax in relative error; from 9 on it is 1 but for 2^-24.
% if need.tanh_r then
DEVICE float tanh_r(float x)
{
    x = fabsf(x) > 9.0f ? copysignf(9.0f, x) : x;
    const float y = x * x;
    const float p = ${horner("y", { 1.0, 0x1.1207aep-3, 0x1.ca1260p-9, 0x1.598c46p-16, 0x1.ca4008p-27 })};
    const float q = ${horner("y", { 1.0, 0x1.de5920p-2, 0x1.a7eb86p-6, 0x1.5863ecp-12, 0x1.a11c20p-21 })};
    return x * p * inverse_fast(q);
}
% end
% if need.load_f16 then
DEVICE float load_f16(unsigned short x) { return widen_f16(x); }
% end
% if need.load_bf16 then
DEVICE float load_bf16(unsigned short x) { return __int_as_float((int)((u32)x << 16)); }
% end
% if need.load_f64 then
DEVICE float load_f64(double x) { return (float)x; }
% end
