% -- Rows of a warp from their first values to what is written of them, with the facts of cuda_facts.lua. Comes in: p, dropout,
% -- lanes, ends, tile. Gives functions that write: begin; settle, what lanes have of a row joined; leave, O and LSE.
% local function begin()
    float o[FRAGMENTS][COLUMN_TILES][4];
%   if has_score then
    float level[OWN], sum[OWN]; /* level: of the largest score (peak.cu.t) */
    u32 far = (1u << OWN) - 1;
    bool exponents = false;
%   else
    float top[OWN], peak[OWN], limit[OWN], sum[OWN]; /* top: the largest score; limit: where a score makes O too large */
%   end
#pragma unroll
    for (int m = 0; m < FRAGMENTS; m++)
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; n++)
#pragma unroll
            for (int x = 0; x < 4; x++) o[m][n][x] = 0;
#pragma unroll
    for (int r = 0; r < OWN; r++) ${has_score and "level[r] = -INF, sum[r] = 0" or "top[r] = limit[r] = -INF, peak[r] = sum[r] = 0"};
%   if sum then
%     lanes.sum_values()
%   end
%   if tile.strides_test then
    const bool unit_strides = ${tile.strides_test};
%   end
% end
% local function settle()
%   if has_score then
    float top[OWN], peak[OWN];
%   end
#pragma unroll
    for (int r = 0; r < OWN; r++) ${has_score and "settle_level(level[r], far >> r & 1, top[r], peak[r])" or "settle(top[r], peak[r], factor)"};
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        sum[r] += exchange(sum[r], 1);
        sum[r] += exchange(sum[r], 2);
    }
% end
% -- O goes through shared memory from `place` on, where the warp's rows are `first` and on: "row + ", or "".
% local function leave(place, first)
%   local columns = parts and "columns" or "DV"
%   local of_block = paired and " && warp % 2 == 0" or parts and " && first_column == 0" or ""
    /* O = O / sum${p.lse and ", LSE = top + log(sum)" or ""}; a row without visible keys has ${p.lse and "0 and -inf" or "0"}. */
    ${p.odtype} *out = ${places:base("o", q_head, "(i64)a.cu_q[b]")}${parts and " + first_column" or ""};
%   if p.lse then
    f32 *lse = ${places:base("lse", q_head, "(i64)a.cu_q[b]")};
%   end
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        const int row = ${places:of_lane("r")};
        (void)row;
%   ends.finish("        ", "sum[r]", "top[r]", "peak[r]", packs and "(hk * GROUP + row % GROUP)" or "h", "row >= " .. rows_all,
%     ("row < %s && lane %% 4 == 0%s"):format(some_rows, of_block), p.lse and places:row("lse"))
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; n++) o[r / 2][n][r % 2 * 2] = share_of(o[r / 2][n][r % 2 * 2], share), o[r / 2][n][r % 2 * 2 + 1] = share_of(o[r / 2][n][r % 2 * 2 + 1], share);
    }
%   if shape.through then
    /* Through Q's place in shared memory, so that a row leaves in whole lines. */
    const u32 out_at = ${place};
#pragma unroll
    for (int r = 0; r < OWN; r++)
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; n++)
            store_shared(out_at + ${at(shape.o, first .. "r / 2 * 16 + r % 2 * 8 + lane / 4", paired and "n + half * COLUMN_TILES" or "n")} + lane % 4 * 4, pack_${p.odtype}(o[r / 2][n][r % 2 * 2], o[r / 2][n][r % 2 * 2 + 1]));
    warp_barrier();
    for (int x = lane; x < WARP_ROWS * COLUMN_TILES; x += 32) {
        const int r = x / COLUMN_TILES, c = x % COLUMN_TILES${paired and " + half * COLUMN_TILES" or ""}, row = ${places:of_fragments("warp_row", "r")};
        u32 y[4];
        load_shared4(y, out_at + ${at(shape.o, first .. "r", "c")});
        if (row < ${some_rows} && c * 8 < ${columns}) store_global4(${places:row("o", "out")} + c * 8, y);
    }
%   else
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        const int row = ${places:of_lane("r")};
        if (row >= ${some_rows}) continue;
        ${p.odtype} *to_row = ${places:row("o", "out")};
#pragma unroll
        for (int x = 0; x < 2 * COLUMN_TILES; x++) {
            const int column = ${paired and "half * 8 * COLUMN_TILES + " or ""}x / 2 * 8 + lane % 4 * 2 + x % 2;
            const float y = o[r / 2][x / 2][r % 2 * 2 + x % 2];
            if (column < ${columns}) ${element(p.odtype, "to_row", "column")} = ${p.odtype == "f32" and "y" or ("(unsigned short)pack_%s(y, 0)"):format(p.odtype)};
        }
    }
%   end
% end
% return { begin = begin, settle = settle, leave = leave }
