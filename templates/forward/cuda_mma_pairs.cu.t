% -- Schedule cuda_mma where two warps have the same rows: deep heads, whose O one warp has no room for. Comes in: p, the facts
% -- of cuda_facts.lua, and of cuda_parts.cu.t staging, tile. Gives a function that writes the loop over tiles.
% local stage_k, stage_v, K_SHARES, V_SHARES = staging.k, staging.v, staging.count.k, staging.count.v
% local level_type, level_too = has_score and "" or ", const float (&peak)[OWN], float factor", has_score and "" or ", peak, factor"
/* Weights u of a warp's own, two scores' in a register, to P in shared memory; what they sum up to joins the row's. */
DEVICE void weigh(u32 p_lane, float (&sum)[OWN], const float (&score)[FRAGMENTS][KEY_TILES][4]${level_type}, int u${p.dropout and ", const u32 (&kept)[OWN]" or ""})
{
    const int m = u / 4 % FRAGMENTS, q = u % 4, n = u / (4 * FRAGMENTS) * 2 + q / 2, r = 2 * m + q % 2;
    ${p.dropout and "" or "const "}float x = exp2_fast(${tile.exponent("score[m][n][q % 2 * 2]")});
    ${p.dropout and "" or "const "}float y = exp2_fast(${tile.exponent("score[m][n][q % 2 * 2 + 1]")});
    sum[r] += x + y;
%   if p.dropout then
    x = kept[r] >> 2 * n & 1 ? x : 0;
    y = kept[r] >> (2 * n + 1) & 1 ? y : 0;
%   end
    store_shared(${further(shape.p, "p_lane", "n")} + (m * 16 + q % 2 * 8) * ${16 * shape.p.pitch}, pack_${kind}(x, y));
}

% local function loop()
    /* Of two warps with the same rows each has half of a tile's keys and half of O's columns. P goes through shared memory,
     * and is multiplied while the next tile's is made. */
    const int group = warp / 2, half = warp % 2;
    const u32 p_at = v_at + 2 * V_BYTES + group * (P_BYTES / GROUPS), row_at = v_at + 2 * V_BYTES + 2 * P_BYTES;
    const u32 p_store = p_at + ${at(shape.p, "lane / 4", "half * (SPAN / 8)")} + lane % 4 * 4, p_load = p_at + ${at(shape.p, "lane % 16", "lane / 16")};
    bool ready = false; /* this tile's P */
    int turn = 0; /* the next tile's place */
#pragma unroll 1
    for (int j0 = from - KEYS; j0 < to; j0 += KEYS, turn ^= 1) {
        wait_copies<0>();
        barrier();
        const int next = j0 + KEYS, after = next + KEYS;
        const u32 k_here = k_at + turn * K_BYTES + half * (SPAN * ${16 * shape.k.pitch}) + k_lane, v_here = v_at + (turn ^ 1) * V_BYTES + v_lane;
        const u32 k_next = k_at + (turn ^ 1) * K_BYTES, v_next = v_at + turn * V_BYTES;
        const bool visible = next < to${bounds.always and "" or " && next < warp_to && next + KEYS > warp_from"};
%   local spread = kv_way == "copy"
%   if not spread then
        ${stage_k("k_next", "after", "0", K_SHARES, "after < to")}
        ${stage_v("v_next", "next", "0", V_SHARES, "next < to")}
%   end
        float score[FRAGMENTS][KEY_TILES][4], part[OWN], shrink[OWN];
#pragma unroll
        for (int r = 0; r < OWN; r++) part[r] = 0;
%   if p.dropout then
        u32 kept[OWN] = {};
%   end
        bool grown = false;
        if (visible) {
%   tile.multiply_k(spread and {
%     stage_k("k_next", "after", ("x * %d / STEPS"):format(K_SHARES), ("(x + 1) * %d / STEPS"):format(K_SHARES), "after < to"),
%     stage_v("v_next", "next", ("x * %d / STEPS"):format(V_SHARES), ("(x + 1) * %d / STEPS"):format(V_SHARES), "next < to") })
        } else {
%   if spread then
#pragma unroll ${K_SHARES > 4 and 1 or K_SHARES}
            for (int x = 0; x < ${K_SHARES}; x++) ${stage_k("k_next", "after", "x", "x + 1", "after < to")}
#pragma unroll ${V_SHARES > 4 and 1 or V_SHARES}
            for (int x = 0; x < ${V_SHARES}; x++) ${stage_v("v_next", "next", "x", "x + 1", "next < to")}
%   end
#pragma unroll
            for (int x = 0; x < FRAGMENTS * KEY_TILES * 4; x++) score[x / 4 / KEY_TILES][x / 4 % KEY_TILES][x % 4] = -INF;
        }
        commit_copies();
        if (visible) {
            const int first_key = next + half * SPAN;
            {
                const int j0 = first_key;
                (void)j0;
%   tile.finish_scores()
            }
%   tile.grow()
            grown = pair_any(grows, group);
            if (grown) {
                float best_of[OWN];
#pragma unroll
                for (int r = 0; r < OWN; r++) {
%   tile.largest()
                    best_of[r] = best;
                    if (lane % 4 == 0) store_shared(row_at + (warp * WARP_ROWS + r / 2 * 16 + r % 2 * 8 + lane / 4) * 4, (u32)__float_as_int(best));
                }
                pair_barrier(group);
%   tile.room("                ")
#pragma unroll
                for (int r = 0; r < OWN; r++) {
                    const float other = __int_as_float((int)load_shared(row_at + ((warp ^ 1) * WARP_ROWS + r / 2 * 16 + r % 2 * 8 + lane / 4) * 4));
%   tile.climb("                    ", "shrink[r]", "fmaxf(best_of[r], other)")
                    sum[r] *= shrink[r];
                }
%   tile.settle_exponents("                ")
            }
        }
%   local kept_too = p.dropout and ", kept" or ""
        if (ready) { /* O += P V of this tile; beside it the next one's P, zeros where that is not visible */
#pragma unroll
            for (int x = 0; x < KEYS / 16; x++) {
                u32 left[FRAGMENTS][4];
#pragma unroll
                for (int m = 0; m < FRAGMENTS; m++) load_matrices(left[m], ${further(shape.p, "p_load", "2 * x")} + (turn ^ 1) * P_BYTES + m * 16 * ${16 * shape.p.pitch});
#pragma unroll
                for (int n = 0; n < COLUMN_TILES; n += 2) {
                    u32 right[4];
                    load_transposed(right, ${further(shape.v, "v_here", "n")} + x * 16 * ${16 * shape.v.pitch});
                    constexpr int STEPS_V = KEYS / 16 * (COLUMN_TILES / 2), UNITS = 2 * FRAGMENTS * KEY_TILES;
                    const int step = x * (COLUMN_TILES / 2) + n / 2;
#pragma unroll
                    for (int u = step * UNITS / STEPS_V; u < (step + 1) * UNITS / STEPS_V; u++) weigh(p_store + turn * P_BYTES, part, score${level_too}, u${kept_too});
#pragma unroll
                    for (int m = 0; m < FRAGMENTS; m++) {
                        mma_${kind}(o[m][n], left[m], right[0], right[1]);
                        mma_${kind}(o[m][n + 1], left[m], right[2], right[3]);
                    }
                }
            }
        } else if (visible) {
#pragma unroll
            for (int u = 0; u < 2 * FRAGMENTS * KEY_TILES; u++) weigh(p_store + turn * P_BYTES, part, score${level_too}, u${kept_too});
        }
        if (grown) {
#pragma unroll
            for (int r = 0; r < OWN; r++)
#pragma unroll
                for (int n = 0; n < COLUMN_TILES; n++) o[r / 2][n][r % 2 * 2] *= shrink[r], o[r / 2][n][r % 2 * 2 + 1] *= shrink[r];
        }
#pragma unroll
        for (int r = 0; r < OWN; r++) sum[r] += part[r];
        ready = visible;
    }
% end
% return loop
