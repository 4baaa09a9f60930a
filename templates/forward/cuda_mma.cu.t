% -- Attention forward on tensor cores. Comes in: p (a problem that forward/cuda_mma.lua takes), cfg (its config), dev,
% -- variant, slots, steps.
% assert(cfg.keys % 16 == 0 and cfg.rows % 16 == 0, "tiles are whole fragments")
%
% local body, facts = require "templates.forward.cuda_mma", require "templates.common.cuda_facts"
% local know = facts.of(p, cfg, variant, body)
% local shape, kind, split, paired, parts, splits = know.shape, know.kind, know.split, know.paired, know.parts, know.splits
% local places, rows_all, packs, classes, bounds = know.places, know.rows_all, know.packs, know.classes, know.bounds
% local SQ, has_score, kv_way, at, further = know.SQ, know.has_score, know.kv_way, know.at, know.further
%
% local between = cfg.stages == 4 and 2 or 1 -- tiles from one barrier to the next
% local needs_key = has_score or p.dropout or cfg.stages == 1 -- of each tile; where the mask alone does, a mixed tile's
% local all_work = not p.lens and p.sq and p.sq * (packs and know.group or 1) % shape.rows == 0 -- no tile has rows beyond the last
% local need = know.need
% need.load_transposed, need.mma_tf32, need["mma_" .. kind], need.pair_any = not split, split, not split, paired
% need.load_matrices = true
% if split or paired then need.load_shared = true end
% if paired then need.store_shared = true end
% for _, dtype in ipairs(split and { p.dtype, p.kvdtype } or {}) do need["load_" .. dtype] = true end
%
/* softmax(q k^T) v for ${p.text}
 * A block has ROWS query rows of ${packs and "a key head's query heads" or "one head"}, each warp ${cfg.rows} of them.${has_score and "" or " Scores are in base 2."}
 *
 *     for each KEYS keys j that some of the rows see, while the next ones come:
 *         S = Q K_j^T, S = score(S) where mask
 *         P = exp(S - peak), sum = sum + P 1, O = O + P V_j       where S has outgrown the peak, O and sum shrink first
 *     ${splits and "combine joins O, peak and sum of the blocks that share the keys" or "O = O / sum, LSE = peak + log(sum)"} */
% include("templates/forward/cuda_sizes.cu.t", know)

enum {
    WARPS = ${cfg.warps}, THREADS = 32 * WARPS,
    SHARE = ${cfg.share}, GROUPS = WARPS / SHARE, /* warps with the same rows */
    FRAGMENTS = ${cfg.rows // 16}, WARP_ROWS = 16 * FRAGMENTS, ROWS = GROUPS * WARP_ROWS,
    OWN = 2 * FRAGMENTS,                     /* rows of a lane */
    SPAN = KEYS / SHARE, KEY_TILES = SPAN / 8, COLUMN_TILES = COLUMNS / SHARE / 8, /* of a warp: keys; in eights, and columns of O */
    STEPS = ${shape.q.chunks // 2}, HELD = ${cfg.held}, /* of a product over the head dimension; for which Q stays in registers */
% if parts then
    PARTS = ${cfg.parts}, /* blocks that share the value columns */
% end
% if splits then
    SPLITS = ${cfg.splits}, /* blocks that share the keys */
% end
    BARRIER = ${between}, AHEAD = ${cfg.stages > 1 and "STAGES - BARRIER" or "1"}, /* tiles: between barriers, that loads go ahead */
    GROUP_BYTES = Q_BYTES / GROUPS,${paired and (" P_BYTES = %d,"):format(shape.p_bytes) or ""}
};

% local made = include("templates/forward/cuda_parts.cu.t", facts.with(know, { needs_key = needs_key }))
% local staging, block, tile, rows = made.staging, made.block, made.tile, made.rows
% local stage_k, stage_v, skip, K_SHARES, V_SHARES = staging.k, staging.v, staging.skip, staging.count.k, staging.count.v
% if split then
%   include("templates/common/tf32.cu.t")
% end
% local pairs_loop = paired and include("templates/forward/cuda_mma_pairs.cu.t", facts.with(know, { staging = staging, tile = tile }))
extern "C" __global__ void __launch_bounds__(THREADS, ${body.resident_of(cfg, p, dev)}) attention(const __grid_constant__ struct args a)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
% made.lanes.launch_values("score", "keep", "diagonal", "slope", "rest", "curve")
% block.scale()
% made.dropout.values()

% block.task()
    const int warp_row = first_row + ${paired and "warp / 2" or "warp"} * WARP_ROWS;
% block.tensors("    ")

% block.seen()
% if classes then
    int left = (int)same_in_all(list[-2]);
%   if splits then
    const int tiles_each = (left + SPLITS - 1) / SPLITS, tiles_before = min_i(left, share_of_keys * tiles_each);
    list += 2 * tiles_before, left = min_i(left - tiles_before, tiles_each);
%   end
    int staged = (int)list[0], coming = (int)list[2 * AHEAD]; /* the first keys of the last tile that is loaded, and of the next */
    u32 of_warps = list[1]; /* what each warp's rows see of this tile */
% else
%   if bounds.always and not paired then
    const bool works = ${all_work and "true" or "warp_row < " .. rows_all};
%   elseif not bounds.always then
    int warp_from = 0, warp_to = 0, full_first = 0, full_last = 0; /* of the warp: that some row sees, and all */
%     block.see("warp_row", "WARP_ROWS", { warp_from = know.first_seen, warp_to = know.last_seen,
%       full_first = know.first_full, full_last = know.last_full })
%   end
%   if splits then
    const int tiles_each = (max_i(to - from, 0) + SPLITS * KEYS - 1) / (SPLITS * KEYS);
    from += share_of_keys * tiles_each * KEYS;
    to = min_i(to, from + tiles_each * KEYS);
%   end
% end
% local first_key = classes and "staged" or "from"
    const u32 q_at = shared_base(), k_at = q_at + Q_BYTES, v_at = k_at + STAGES * K_BYTES;
% staging.q("    ", "THREADS", 1, ("q_at + r / WARP_ROWS * GROUP_BYTES + %s"):format(at(shape.q, "r % WARP_ROWS", "c")))
% if not has_score then
    if (scale < 0) {
        wait_copies<0>();
        barrier();
#pragma unroll 1
        for (u32 x = q_at + 4 * threadIdx.x; x < k_at; x += 4 * THREADS) store_shared(x, load_shared(x) ^ ${split and "0x80000000" or "0x80008000"});
    }
% end
% staging.own("    ", first_key)
% if paired then
    ${stage_k("k_at", "from", "0", K_SHARES, "from < to")}
    commit_copies();
% elseif cfg.stages > 1 then
#pragma unroll
    for (int x = 0; x < AHEAD; x++) {
        const int j0 = ${classes and "(int)list[2 * x]" or "from + x * KEYS"};
% skip("        ", "x > 0 ? j0 - staged - KEYS : 0")
% if classes then
        staged = j0;
% end
% local wanted = classes and "x < left" or "j0 < to"
        ${stage_k("k_at + x * K_BYTES", "j0", "0", K_SHARES, wanted)}
        ${stage_v("v_at + x * V_BYTES", "j0", "0", V_SHARES, wanted)}
        commit_copies();
    }
% else
    ${stage_k("k_at", first_key, "0", K_SHARES, classes and "0 < left" or "from < to")}
    commit_copies();
% end

    /* Which bytes a lane names to load fragments: of Q, as of V transposed, 16 rows by two chunks; of K the same turned. */
    const u32 q_lane = q_at + ${paired and "warp / 2" or "warp"} * GROUP_BYTES + ${at(shape.q, "lane % 16", "lane / 16")};
    const u32 k_lane = ${at(shape.k, "lane % 8 + lane / 16 * 8", "lane / 8 % 2")};
% if split then
    const u32 v_lane = lane % 4 * 2 * ${16 * shape.v.pitch} + lane / 4 * 4;
% else
    const u32 v_lane = ${at(shape.v, "lane % 16", paired and "lane / 16 + warp % 2 * COLUMN_TILES" or "lane / 16")};
% end
% rows.begin()
% if cfg.held > 0 then
    u32 query[FRAGMENTS][HELD][4]; /* the first steps' fragments of Q */
    wait_copies<${paired and "0" or cfg.stages > 1 and "AHEAD" or "1"}>();
    barrier();
#pragma unroll
    for (int m = 0; m < FRAGMENTS; m++)
#pragma unroll
        for (int x = 0; x < HELD; x++) load_matrices(query[m][x], ${further(shape.q, "q_lane", "2 * x")} + m * 16 * ${16 * shape.q.pitch});
% end

% if paired then
%   pairs_loop()
% else
% if cfg.stages > 1 then
    int turn_of_tile = 0;
% end
#pragma unroll 1
    for (${classes and "; left > 0; left--, list += 2" or "int j0 = from; j0 < to; j0 += KEYS"}) {
% local wanted = classes and "wanted" or "next < to"
% if classes then
        const u32 here = of_warps >> 2 * warp;
        const bool works = any_lane(here & MIXED), all = here & FULL - MIXED, wanted = left > AHEAD;
        const int next = coming, skipped = next - staged - KEYS;
%   if needs_key then
        const int j0 = (int)list[0];
%   end
        staged = next;
% elseif cfg.stages == 1 then
        const int next = j0 + KEYS;
% end
% if cfg.stages > 1 then
        /* ${between == 1 and "This tile is" or "This tile and the next are"} here, and nobody needs ${between == 1 and "the one whose place the next takes" or "those whose places the next two take"}. */
%   if between == 1 then
        wait_copies<AHEAD - BARRIER>();
        barrier();
%   else
        if (turn_of_tile % BARRIER == 0) {
            wait_copies<AHEAD - BARRIER>();
            barrier();
        }
%   end
        const int other = turn_of_tile < BARRIER ? turn_of_tile + AHEAD : turn_of_tile - BARRIER${classes and "" or ", next = j0 + AHEAD * KEYS"};
        const u32 k_here = k_at + turn_of_tile * K_BYTES + k_lane, v_here = v_at + turn_of_tile * V_BYTES + v_lane;
        const u32 k_next = k_at + other * K_BYTES, v_next = v_at + other * V_BYTES;
        turn_of_tile = turn_of_tile == STAGES - 1 ? 0 : turn_of_tile + 1;
% else
        wait_copies<0>();
        barrier();
        const u32 k_here = k_at + k_lane, v_here = v_at + v_lane;
        ${stage_v("v_at", "j0", "0", V_SHARES, "true")}
        commit_copies();
% end
% if not bounds.always and not classes then
        const bool works = j0 < warp_to && j0 + KEYS > warp_from;
% end
% local spread = cfg.stages > 1 and kv_way == "copy"
% skip("        ", "skipped")
% if classes then
        coming = (int)list[2 * AHEAD + 2], of_warps = list[3];
% end
% if cfg.stages > 1 and not spread then
        ${stage_k("k_next", "next", "0", K_SHARES, wanted)}
        ${stage_v("v_next", "next", "0", V_SHARES, wanted)}
        commit_copies();
% end
        float score[FRAGMENTS][KEY_TILES][4];
% if cfg.stages > 1 then
        if (!works) {
%   if spread then
#pragma unroll ${K_SHARES > 4 and 1 or K_SHARES}
            for (int x = 0; x < ${K_SHARES}; x++) ${stage_k("k_next", "next", "x", "x + 1", wanted)}
#pragma unroll ${V_SHARES > 4 and 1 or V_SHARES}
            for (int x = 0; x < ${V_SHARES}; x++) ${stage_v("v_next", "next", "x", "x + 1", wanted)}
            commit_copies();
%   end
            continue;
        }
        {
%   tile.multiply_k(spread and {
%     stage_k("k_next", "next", ("x * %d / STEPS"):format(K_SHARES), ("(x + 1) * %d / STEPS"):format(K_SHARES), wanted),
%     stage_v("v_next", "next", ("x * %d / STEPS"):format(V_SHARES), ("(x + 1) * %d / STEPS"):format(V_SHARES), wanted) })
        }
%   if spread then
        commit_copies();
%   end
% else
        if (works) {
%   tile.multiply_k()
        }
        barrier(); /* K is done with */
        ${stage_k("k_at", "next", "0", K_SHARES, wanted)}
        commit_copies();
        wait_copies<1>();
        barrier(); /* V is here */
        if (!works) continue;
% end
% tile.finish_scores()
% tile.grow()
% tile.rescale()
% if split then

        float part[OWN]; /* a tile's sum is on its own first: errors grow with the tiles, not with the keys */
#pragma unroll
        for (int r = 0; r < OWN; r++) part[r] = 0;
#pragma unroll
        for (int r = 0; r < OWN; r++)
#pragma unroll
            for (int x = 0; x < 2 * KEY_TILES; x++) {
                float &weight = score[r / 2][x / 2][r % 2 * 2 + x % 2];
                weight = exp2_fast(${tile.exponent("weight")});
                part[r] += weight;
%   if p.dropout then
                weight = kept[r] >> x & 1 ? weight : 0;
%   end
            }
        /* P's columns go by pairs as they lie in S: 2 n is column n, 2 n + 1 column n + 4; so do V's rows. */
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; n++) {
            float product[FRAGMENTS][4], small[FRAGMENTS][4];
#pragma unroll
            for (int m = 0; m < FRAGMENTS; m++)
#pragma unroll
                for (int x = 0; x < 4; x++) product[m][x] = small[m][x] = 0;
#pragma unroll
            for (int x = 0; x < KEY_TILES; x++) {
                const u32 at = v_here + x * 8 * ${16 * shape.v.pitch} + n * 32;
                const u32 v0 = load_shared(at), v1 = load_shared(at + ${16 * shape.v.pitch});
#pragma unroll
                for (int m = 0; m < FRAGMENTS; m++) {
                    const u32 weight[4] = { (u32)__float_as_int(score[m][x][0]), (u32)__float_as_int(score[m][x][2]),
                                            (u32)__float_as_int(score[m][x][1]), (u32)__float_as_int(score[m][x][3]) };
                    mma_split<true>(product[m], small[m], weight, v0, v1);
                }
            }
#pragma unroll
            for (int m = 0; m < FRAGMENTS; m++)
#pragma unroll
                for (int x = 0; x < 4; x++) o[m][n][x] += fabsf(product[m][x]) < INF ? product[m][x] + small[m][x] : product[m][x];
        }
% else
% tile.weigh()
% if p.dropout then
        /* Behind a branch: Philox's products would take turns with the tensor cores'. Where all is dropped O stays 0. */
        if (drop.least < 0x10000)
% end
#pragma unroll
        for (int x = 0; x < KEY_TILES / 2; x++)
#pragma unroll
            for (int n = 0; n < COLUMN_TILES; n += 2) {
                u32 right[4];
                load_transposed(right, ${further(shape.v, "v_here", "n")} + x * 16 * ${16 * shape.v.pitch});
#pragma unroll
                for (int m = 0; m < FRAGMENTS; m++) {
                    mma_${kind}(o[m][n], weight[m][x], right[0], right[1]);
                    mma_${kind}(o[m][n + 1], weight[m][x], right[2], right[3]);
                }
            }
% end
#pragma unroll
        for (int r = 0; r < OWN; r++) sum[r] += part[r];
    }
% end
    wait_copies<0>();
% if shape.through and not splits and not paired then
    ${cfg.held == 0 and "barrier(); /* without a tile nothing has waited for Q" or "warp_barrier(); /* other lanes have read Q"}, whose place O goes through */
% end

% rows.settle()
% if paired then
    barrier();
#pragma unroll
    for (int r = 0; r < OWN; r++)
        if (lane % 4 == 0) store_shared(row_at + (warp * WARP_ROWS + r / 2 * 16 + r % 2 * 8 + lane / 4) * 4, (u32)__float_as_int(sum[r]));
    pair_barrier(group);
#pragma unroll
    for (int r = 0; r < OWN; r++) sum[r] += __int_as_float((int)load_shared(row_at + ((warp ^ 1) * WARP_ROWS + r / 2 * 16 + r % 2 * 8 + lane / 4) * 4));
% end
% if splits then
    /* What this block's keys have of each row, for `combine`. */
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        const int row = ${places:of_lane("r")};
        if (row >= ${know.some_rows}) continue;
        const i64 at = ((i64)(b * HQ + ${packs and "hk * GROUP + row % GROUP" or "h"}) * ${SQ} + ${packs and "row / GROUP" or "row"}) * SPLITS + share_of_keys;
        if (lane % 4 == 0${parts and " && first_column == 0" or ""}) a.partial_sums[2 * at] = peak[r], a.partial_sums[2 * at + 1] = sum[r];
        if (sum[r] == 0) continue;
#pragma unroll
        for (int x = 0; x < 2 * COLUMN_TILES; x++) {
            const int column = x / 2 * 8 + lane % 4 * 2 + x % 2;
            if (column < ${parts and "columns" or "DV"}) a.partial[at * DV + ${parts and "first_column + " or ""}column] = o[r / 2][x / 2][r % 2 * 2 + x % 2];
        }
    }
}

% made.ends.combine()
% else

% rows.leave(("q_at + %s * GROUP_BYTES"):format(paired and "warp / 2" or "warp"), "")
}
% end
