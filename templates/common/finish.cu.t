% -- The end of rows. Comes in: p, slots, places, dropout (functions of dropout.cu.t), and for combine(): warps (of a block).
% local padded, packed, B, SQ, sq = p.lens == "padded", p.lens == "packed", places.B, places.SQ, places.sq
% -- What a row's sum and peak become in the end, and LSE. Comes in: row's variables, the place of LSE.
% local function finish(indent, sum, top, peak, head, behind, guard, lse)
${indent}float share = 1;
%   if p.sinks then
${indent}/* The sink's logit joins the row, with no value. */
${indent}const float sink = ${behind}${p.shard and " || a.origin_j > 0" or ""} ? -INF : a.sinks[${p.shard and "(" .. head .. " + a.origin_h)" or head} * a.sinks_h] * LOG2E;
${indent}const float now = fmaxf(${top}, sink), base = now == -INF ? 0 : now;
${indent}share = exp2_fast(${top} - base);
${indent}${sum} = ${sum} * share + exp2_fast(sink - base);
${indent}${peak} = base;
%   end
%   if padded then
${indent}if (${behind}) ${sum} = 0; /* behind a sequence's end */
%   end
%   if p.lse then
${indent}if (${guard}) *(${lse}) = ${sum} == 0 ? -INF : fmaf(${peak}, LN2, log_r(${sum}));
%   end
%   local over = p.odtype == "f32" and ("share / %s"):format(sum) or ("__fdividef(share, %s)"):format(sum)
${indent}share = ${sum} == 0 ? 0 : ${p.dropout and "(drop.least < 65536 ? 65536.0f / (float)(65536 - drop.least) : 0) * " or ""}${over};
% end
% -- The kernel `combine`; before it, partial and partial_sums are what SPLITS blocks left of each row.
% local function combine()
/* Joins what the blocks that shared a row's keys have of it; a warp has a row. */
extern "C" __global__ void __launch_bounds__(${32 * warps}) combine(const __grid_constant__ struct args a)
{
% for _, slot in ipairs(slots) do if slot.kind == "recipe" then
    const int ${slot.field} = (int)a.${slot.field};
% end end
% dropout.values()
    const i64 at = (i64)blockIdx.x * ${warps} + threadIdx.x / 32;
    if (at >= (i64)${B} * HQ * ${SQ}) return;
    const int lane = (int)threadIdx.x % 32, row = (int)(at % ${p.sq == 0 and "1" or SQ}), head = (int)(at / ${p.sq == 0 and "1" or SQ}), h = head % HQ, b = head / HQ;
% if padded then
    const int sq = a.q_lens[b];
% elseif packed then
    const int sq = a.cu_q[b + 1] - a.cu_q[b];
    if (row >= sq) return;
% end
    const f32 *sums = a.partial_sums + at * SPLITS * 2, *partial = a.partial + at * SPLITS * DV;
    float top = -INF;
    for (int x = 0; x < SPLITS; x++)
        if (sums[2 * x + 1] != 0) top = fmaxf(top, sums[2 * x]);
    float peak = top == -INF ? 0 : top, sum = 0, o[(DV + 31) / 32] = {};
    for (int x = 0; x < SPLITS; x++) {
        if (sums[2 * x + 1] == 0) continue;
        const float weight = exp2_fast(sums[2 * x] - peak);
        sum += weight * sums[2 * x + 1];
#pragma unroll
        for (int n = 0; n < (DV + 31) / 32; n++)
            if (n * 32 + lane < DV) o[n] = fmaf(weight, partial[x * DV + n * 32 + lane], o[n]);
    }
% local function own(name) -- the row of a tensor
%   local text = ("a.%s + h * a.%s_h + (i64)row * a.%s_s"):format(name, name, name)
%   return text .. (packed and (" + (i64)a.cu_q[b] * a.%s_s"):format(name) or (" + b * a.%s_b"):format(name))
% end
% finish("    ", "sum", "top", "peak", "h", "row >= " .. sq, "lane == 0", p.lse and own("lse"))
    ${p.odtype} *out = ${own("o")};
#pragma unroll
    for (int n = 0; n < (DV + 31) / 32; n++)
        if (n * 32 + lane < DV) ${places:element(p.odtype, "out", "n * 32 + lane")} = ${p.odtype == "f32" and "share_of(o[n], share)" or ("(unsigned short)pack_%s(share_of(o[n], share), 0)"):format(p.odtype)};
}
% end
% return { finish = finish, combine = combine }
