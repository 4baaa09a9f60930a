% -- Functions of doubles, within 1.5 units in the last place. Comes in: target, need, horner, raise.
% local whole, whole_bits = 0x1.8p52, "0x4338000000000000" -- added to less than 2^51 it rounds to an int in the last bits
% local bias = 1023 + raise
% local magic, raised = f64(whole + bias), raise > 0 and ("; %d more: RAISE"):format(raise) or "" -- of weights
% local log2_high, log2_low = f64(0x1.62e42fefa2p-1), f64(0x1.9ef35793c7673p-41) -- n times the first is exact
% if need.tofloat_vr then
INLINE vr tofloat_vr(vi x) { return (vr)(x + ${whole_bits}) - ${f64(whole)}; }
% end
% -- Saturates; NaN gives 0.
% if need.floor_vr then
INLINE vi floor_vr(vr x)
{
    const vr y = (vr)((vi)x & ((x >= -0x1p31) & (x < 0x1p31))); /* outside: 0, mended below */
    const vr near = y + ${f64(whole)}; /* rounds */
    const vi down = (vi)near - ${whole_bits} + (near - ${f64(whole)} > y);
    return select_i(x >= 0x1p31, splat_i(0x7fffffff), select_i(x < -0x1p31, splat_i(-0x7fffffff - 1), down));
}
% end
% -- e^r = 1 + r + r^2 P(r), minimax in relative error.
% if need.exp_rest_vr then
/* e^r for |r| up to log(2) / 2. */
INLINE vr exp_rest_vr(vr r)
{
    const vr p = ${horner("r", { 0x1.000000000000ap-1, 0x1.55555555554f9p-3, 0x1.555555555083fp-5, 0x1.1111111127d44p-7, 0x1.6c16c18438a60p-10, 0x1.a01a0129fd32ap-13, 0x1.a01999e263999p-16, 0x1.71df25da28198p-19, 0x1.28ad9b98370afp-22, 0x1.ad7f0359f38dep-26 })};
    return (p * (r * r) + r) + 1.0;
}
% end
% if need.exp_part_vr then
/* e^x / 2^n, n the integer next to x / log(2). */
INLINE vr exp_part_vr(vr x, vr n) { return exp_rest_vr((x - n * ${log2_high}) - n * ${log2_low}); }
% end
% -- RAISE 2^x for x <= 0, and a little above; 0 where it would be below 2^-1022.
% if need.exp2_fall_vr then
INLINE vr exp2_fall_vr(vr x)
{
    x = max_vr(splat_r(${-bias}), x);
    const vr whole = x + ${magic}; /* 1.5 * 2^52: rounds; 1023: the exponent's bias${raised} */
    return exp_rest_vr((x - (whole - ${magic})) * ${f64(0.6931471805599453)}) * (vr)((vi)whole << 52);
}
% end
% -- RAISE e^x for x <= 0; 0 where it would be below 2^-1022.
% if need.exp_fall_vr then
INLINE vr exp_fall_vr(vr x)
{
    x = max_vr(splat_r(${f64(-bias * 0.6931471805599453)}), x);
    const vr whole = x * LOG2E + ${magic}; /* 1.5 * 2^52: rounds; 1023: the exponent's bias${raised} */
    return exp_part_vr(x, whole - ${magic}) * (vr)((vi)whole << 52);
}
% end
% -- e^x everywhere. Two steps of 2^n: a subnormal or overflowing result rounds once.
% if need.exp_vr then
INLINE vr exp_vr(vr x)
{
    x = max_vr(splat_r(-746.0), min_vr(splat_r(710.0), x));
    const vr n = (x * LOG2E + ${f64(whole)}) - ${f64(whole)};
    const vr half = n * 0.5 + ${f64(whole + 1023)};
    const vr rest = n - (half - ${f64(whole + 1023)}) + ${f64(whole + 1023)};
    return exp_part_vr(x, n) * (vr)((vi)half << 52) * (vr)((vi)rest << 52);
}
% end
% -- log(m 2^n), m in [sqrt(1/2), sqrt(2)): with f = m - 1 and s = f / (2 + f), log(m) = 2 s + s R(s^2)
% -- = f - (f^2 / 2 - s (f^2 / 2 + R(s^2))), where what is not exact is small.
% if need.log_vr then
INLINE vr log_vr(vr x)
{
    const vi tiny = x < 0x1p-1022;
    const vu y = (vu)select_r(tiny, x * 0x1p54, x);
    const vu e = (y + 0x95f619980c433) >> 52; /* n + 1023: from sqrt(1/2) on the exponent is the next one */
    const vr n = (vr)(e | 0x4330000000000000) - select_r(tiny, splat_r(${f64(0x1p52 + 1023 + 54)}), splat_r(${f64(0x1p52 + 1023)}));
    const vr f = (vr)(y - (e << 52) + 0x3ff0000000000000) - 1.0;
    const vr s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
    const vr r = z * (${horner("z", { 0x1.5555555555593p-1, 0x1.999999997fb2dp-2, 0x1.2492494217d16p-2, 0x1.c71c51e7d6fcbp-3, 0x1.7466463275675p-3, 0x1.39a0f473b887bp-3, 0x1.2f0d9409b31d3p-3 })});
    const vr result = n * ${log2_high} - ((half - (s * (half + r) + n * ${log2_low})) - f);
    const vr finite = select_r((x < INF) & (x > 0), result, splat_r(__builtin_nan("")));
    return select_r(x == 0, splat_r(-INF), select_r(x == INF, x, finite));
}
% end
% -- For |x| = y below 0.55 y + y^3 P(y^2) / Q(y^2), minimax in relative error; else 1 - 2 / (e^(2 y) + 1).
% if need.tanh_vr then
INLINE vr tanh_vr(vr x)
{
    const vr y = abs_vr(x), square = x * x, twice = min_vr(splat_r(44.0), y + y);
    const vr whole = twice * LOG2E + ${f64(whole + 1023)};
    const vr power = exp_part_vr(twice, whole - ${f64(whole + 1023)}) * (vr)((vi)whole << 52);
    const vr p = ${horner("square", { -0x1.5555555555555p-2, -0x1.4fdf22e103221p-6, -0x1.a1d0ed116f763p-13 })};
    const vr q = ${horner("square", { 1.0, 0x1.d8937023ca2a6p-2, 0x1.7da1827d3e8c5p-6, 0x1.b13ffa42a350ap-13 })};
    const vi small = y < 0.55;
    const vr share = select_r(small, y * square * p, splat_r(-2.0)) / select_r(small, q, power + 1.0);
    return (vr)((vi)(select_r(small, y, splat_r(1.0)) + share) | ((vi)x & -0x7fffffffffffffff - 1));
}
% end
