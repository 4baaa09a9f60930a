% -- Functions of floats. Comes in: target, need, horner, raise.
% local bias = 127 + raise
% local magic, raised = f32(12582912.0 + bias), raise > 0 and ("; %d more: RAISE"):format(raise) or ""
% if need.tofloat_vr then
INLINE vr tofloat_vr(vi x) { return __builtin_convertvector(x, vr); }
% end
% -- Saturates; NaN gives 0.
% if need.floor_vr then
INLINE vi floor_vr(vr x)
{
    const vr y = (vr)((vi)x & ((x >= -0x1p31f) & (x < 0x1p31f))); /* outside: 0, mended below */
    const vi whole = __builtin_convertvector(y, vi);
    const vi down = whole + (__builtin_convertvector(whole, vr) > y);
    return select_i(x >= 0x1p31f, splat_i(0x7fffffff), select_i(x < -0x1p31f, splat_i(-0x7fffffff - 1), down));
}
% end
% -- RAISE e^x for x <= 0; 0 where it would be below 2^-126. x = (n + f) log(2), f in [-1/2, 1/2]: 2^f is minimax with
% -- 2^0 = 1, so that e^0 is 1.
% if need.exp_fall_vr then
INLINE vr exp_fall_vr(vr x)
{
    x = max_vr(splat_r(${f32(-bias * 0.6931471805599453)}), x);
    const vr whole = x * LOG2E + ${magic}; /* 1.5 * 2^23: rounds; 127: the exponent's bias${raised} */
    const vr f = x * LOG2E - (whole - ${magic});
    const vr y = ${horner("f", { 1.0, 0x1.62e4292037289p-1, 0x1.ebf9bb8a68816p-3, 0x1.c6b752df2f830p-5, 0x1.3cea875967023p-7, 0x1.5bba13e2fd91ep-10 })};
    return y * (vr)((vi)whole << 23);
}
% end
% -- RAISE 2^x for x <= 0, and a little above; 0 where it would be below 2^-126.
% if need.exp2_fall_vr and target.reduce then
% -- 2^f is minimax on [0, 1) with 2^0 = 1.
%   local coefficients = { 1.0, 0x1.62e4ba8ec2bf8p-1, 0x1.ebdb56d89e118p-3, 0x1.c91ce63cdd1b7p-5, 0x1.2778552b8aeadp-7, 0x1.e974fa5a37e58p-10 }
%   for k, c in ipairs(coefficients) do coefficients[k] = c * 2.0 ^ raise end
INLINE vr exp2_fall_vr(vr x)
{
    vr f;
    __asm__("${target.reduce}" : "=v"(f) : "v"(x));
    vr y = ${horner("f", coefficients)};
    __asm__("${target.scale}" : "+v"(y) : "v"(x), "v"(splat_r(${-126 - raise})) : "k1");
    return y;
}
% elseif need.exp2_fall_vr then
INLINE vr exp2_fall_vr(vr x)
{
    x = max_vr(splat_r(${-bias}), x);
    const vr whole = x + ${magic}; /* 1.5 * 2^23: rounds; 127: the exponent's bias${raised} */
    const vr f = x - (whole - ${magic});
    const vr y = ${horner("f", { 1.0, 0x1.62e4292037289p-1, 0x1.ebf9bb8a68816p-3, 0x1.c6b752df2f830p-5, 0x1.3cea875967023p-7, 0x1.5bba13e2fd91ep-10 })};
    return y * (vr)((vi)whole << 23);
}
% end
% -- e^x everywhere. Two steps of 2^n: a subnormal or overflowing result rounds once.
% if need.exp_vr then
INLINE vr exp_vr(vr x)
{
    x = max_vr(splat_r(-105.0f), min_vr(splat_r(90.0f), x));
    const vr whole = x * LOG2E + ${f32(12582912.0)};
    const vr n = whole - ${f32(12582912.0)};
    const vr r = (x - n * ${f32(0x1.62e4p-1)}) - n * ${f32(0x1.7f7d1cf79abcap-20)};
    const vr y = (${horner("r", { 0x1.fffffcp-2, 0x1.555490p-3, 0x1.5558f6p-5, 0x1.123a8ep-7, 0x1.6a2318p-10 })}) * (r * r) + r + 1.0f;
    const vi k = (vi)whole - 0x4b400000, half = k >> 1;
    return y * (vr)((half + 127) << 23) * (vr)((k - half + 127) << 23);
}
% end
% -- log(m 2^e), m in [sqrt(1/2), sqrt(2)): f = m - 1, f - f^2/2 + f^3 P(f).
% if need.log_vr then
INLINE vr log_vr(vr x)
{
    const vi tiny = x < 0x1p-126f;
    const vr y = select_r(tiny, x * 0x1p25f, x);
    const vi e = ((vi)y - 0x3f3504f3) >> 23;
    const vr f = (vr)((vi)y - (e << 23)) - 1.0f;
    const vr n = __builtin_convertvector(e - (tiny & 25), vr);
    const vr p = ${horner("f", { 0x1.555554p-2, -0x1.000232p-2, 0x1.99a060p-3, -0x1.546f2ap-3, 0x1.22cf4cp-3, -0x1.0d9a3ep-3, 0x1.05b762p-3, -0x1.392f44p-4 })};
    const vr z = n * ${f32(0x1.7f7d1cf79abcap-20)} + (f * f * (f * p - 0.5f) + f) + n * ${f32(0x1.62e4p-1)};
    const vr finite = select_r((x < INF) & (x > 0), z, splat_r(__builtin_nanf("")));
    return select_r(x == 0, splat_r(-INF), select_r(x == INF, x, finite));
}
% end
% -- tanh(x / 2) = u / Q, u = x P(x^2), and tanh(x) = 2 u Q / (Q^2 + u^2), which changes little with u / Q near 1:
% -- minimax in the relative error of that, up to 9, where 1 is less than a unit away. Q(0) is below a power of two, so
% -- that roundings near it are small.
% if need.tanh_vr then
INLINE vr tanh_vr(vr x)
{
    x = max_vr(splat_r(-9), min_vr(splat_r(9), x));
    const vr y = x * x;
    const vr u = x * (${horner("y", { 0x1.d9999a0000000p-1, 0x1.c3417d4174eafp-6, 0x1.bb6dd00210b3ep-14 })});
    const vr q = ${horner("y", { 0x1.d9999a0000000p+0, 0x1.ac8c1271c19c5p-3, 0x1.249d588f86c34p-9, 0x1.315fa1bc309dep-19 })};
    return (u + u) * q / (q * q + u * u);
}
% end
