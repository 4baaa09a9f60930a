% -- Attention forward on tensor cores. Comes in: p (a problem that forward/cuda_mma.lua takes), cfg (its config), dev,
% -- variant, slots, steps.
% assert(cfg.keys % 16 == 0 and cfg.rows % 16 == 0, "tiles are whole fragments")
%
% local body = require "templates.forward.cuda_mma"
% local shape, group = body.shape_of(cfg, p), body.group_of(p)
% local paired = cfg.share == 2 -- of warps with the same rows
% local packs, parts, splits = cfg.pack == 1, cfg.parts > 1, cfg.splits > 1
% local between = cfg.stages == 4 and 2 or 1 -- tiles from one barrier to the next
% local kind, split = shape.kind, shape.kind == "f32"
% local sizes = { f32 = 4, f16 = 2, bf16 = 2 }
%
% local packed, padded, paged = p.lens == "packed", p.lens == "padded", p.page > 0
% local places = require("templates.common.places").new(p, packs)
% places.adjacent = p.dropout and not packs and not p.shard
% local B, SQ, SK, sq, sk, HEADS, rows_all = places.B, places.SQ, places.SK, places.sq, places.sk, places.HEADS, places.rows
% local function element(...) return places:element(...) end
%
% local has_score = variant.score.name ~= "s"
% local needs_key = has_score or p.dropout or cfg.stages == 1 -- of each tile; where the mask alone does, a mixed tile's
% local levels = packs and { levels = { h = "row" } } or {}
% local sum = has_score and not packs and variant:summands() or false
% -- To what power of 2 weights may grow before O is rescaled. Scores that lean grow with each tile; f16 goes to 2^16.
% local slack = sum and sum.slope and ({ bf16 = 24, f16 = 15, f32 = 8 })[kind] or 8
% local code = variant:code(levels, sum and { diagonal = sum.diagonal, slope = sum.slope, rest = sum.rest, curve = sum.curve })
% local bounds = variant:tiles(packs and { levels = { h = "row" } } or {})
% local classes = body.classes(p, variant) or false
% local all_work = not p.lens and p.sq and p.sq * (packs and group or 1) % shape.rows == 0 -- no tile has rows beyond the last
% local tails = p.lens ~= false or not p.sk or p.sk % cfg.keys ~= 0 -- tiles may reach beyond the last key
% local masks = not bounds.always or tails
% local need = {}
% if p.lse then need.log_r = true end
% for _, uses in ipairs { code.uses, bounds.uses } do
%   for name in pairs(uses) do need[name] = true end
% end
%
% -- How a row's elements come into shared memory: in the background if they are what is multiplied, else by hand.
% local function way(dtype)
%   if dtype ~= kind or p.align < 4 then return "gather" end
%   return p.align >= 16 and "copy" or "pieces"
% end
% local q_way, kv_way = way(p.dtype), way(p.kvdtype)
% local per_chunk = 16 // shape.size
% -- The largest copies that such a row is whole multiples of: no byte beyond its end is touched.
% local function grain_of(columns) return math.min(columns * shape.size & -(columns * shape.size), 16) end
% local elementwise = q_way == "gather" or kv_way == "gather" or math.min(grain_of(p.d), grain_of(p.dv)) < 4
%
% local chunks = require "templates.common.chunks"
% local at, further = chunks.at, chunks.further
%
/* softmax(q k^T) v for ${p.text}
 * A block has ROWS query rows of ${packs and "a key head's query heads" or "one head"}, each warp ${cfg.rows} of them.${has_score and "" or " Scores are in base 2."} A fragment has 16 rows; a
 * lane has of each fragment two rows, lane / 4 and 8 further on, and of 8 columns two, 2 (lane % 4) and the next.
% if places.adjacent then
 * Query rows 2 n and 2 n + 1 stand 8 apart in a fragment: a lane has both, as a call of Philox decides on both.
% end
 */
% include("templates/common/types.cu.t", { loose = places:some_loose() and p.align })

enum {
    ${p.b and "B = " .. p.b .. ", " or ""}HQ = ${p.hq}, HKV = ${p.hkv}, GROUP = ${group}, ${p.sq and "SQ = " .. p.sq .. ", " or ""}${p.sk and "SK = " .. p.sk .. ", " or ""}D = ${p.d}, DV = ${p.dv},
% if paged then
    PAGE = ${p.page}, /* keys */
% end
    WARPS = ${cfg.warps}, THREADS = 32 * WARPS,
    SHARE = ${cfg.share}, GROUPS = WARPS / SHARE, /* warps with the same rows */
    FRAGMENTS = ${cfg.rows // 16}, WARP_ROWS = 16 * FRAGMENTS, ROWS = GROUPS * WARP_ROWS,
    OWN = 2 * FRAGMENTS,                     /* rows of a lane */
    KEYS = ${cfg.keys}, SPAN = KEYS / SHARE, KEY_TILES = SPAN / 8, /* of a tile; of a warp, in eights */
    STEPS = ${shape.q.chunks // 2}, HELD = ${cfg.held}, /* of a product over the head dimension; for which Q stays in registers */
    COLUMNS = ${shape.columns}, COLUMN_TILES = COLUMNS / SHARE / 8, /* of O; of a warp, in eights */
% if parts then
    PARTS = ${cfg.parts}, /* blocks that share the value columns */
% end
% if splits then
    SPLITS = ${cfg.splits}, /* blocks that share the keys */
% end
    STAGES = ${cfg.stages}, BARRIER = ${between}, AHEAD = ${cfg.stages > 1 and "STAGES - BARRIER" or "1"}, /* tiles: in shared memory, between barriers, that loads go ahead */
% if classes then
    SPARE = 3, /* entries behind a list's last: they are read */
% end
    SECTION = ${cfg.section}, /* heads that go together, tile by tile */
    Q_BYTES = ${shape.q_bytes}, K_BYTES = ${shape.k_bytes}, V_BYTES = ${shape.v_bytes}, GROUP_BYTES = Q_BYTES / GROUPS,${paired and (" P_BYTES = %d,"):format(shape.p_bytes) or ""}
};

% include("templates/common/args.c.t", { slots = slots })

#define LN2 ${f32(0.6931471805599453)}
% for name, needed in pairs {
%   load_transposed = not split, load_shared = split or paired or not has_score or classes and true, load_shared4 = shape.through and not splits,
%   store_shared = shape.through and not splits or paired or not has_score or classes and true, store_global4 = shape.through and not splits,
%   store_shared4 = elementwise, copy_async = q_way ~= "gather" or kv_way ~= "gather",
%   pair_any = paired, any_lane = true, mma_tf32 = split, set_lanes = classes and true, skip_rows = classes and not paged,
%   ["mma_" .. kind] = not split, ["pack_" .. kind] = not split,
%   load_f16 = need.load_f16 or split and (p.dtype == "f16" or p.kvdtype == "f16"),
%   load_bf16 = need.load_bf16 or split and (p.dtype == "bf16" or p.kvdtype == "bf16"),
% } do
%   if needed then need[name] = true end
% end
% if p.odtype ~= "f32" then need["pack_" .. p.odtype] = true end
% include("templates/common/ptx.cu.t", { need = need })
% include("templates/common/math.cu.t", { need = need })
% include("templates/common/peak.cu.t", { exponents = has_score })
% if p.dropout then
%   include("templates/common/philox.cu.t", { words = not (split or paired) })
% end

% if split then
%   include("templates/common/tf32.cu.t")
% end
% local staging = include("templates/forward/cuda_mma_stage.cu.t", { shape = shape, split = split, q_way = q_way, kv_way = kv_way,
%   grain_of = grain_of, element = element, at = at, parts = parts, paged = paged, tails = tails, sk = sk, classes = classes })
% local stage_k, stage_v, skip, K_SHARES, V_SHARES = staging.k, staging.v, staging.skip, staging.count.k, staging.count.v
% local lanes = include("templates/common/lanes.cu.t", { code = code, places = places, packs = packs, tails = tails, sum = sum })
% local dropout = include("templates/common/dropout.cu.t", { packs = packs, places = places })
% local ends = include("templates/common/finish.cu.t", { places = places, dropout = dropout, warps = body.side_warps })
% local tile = include("templates/forward/cuda_mma_tile.cu.t", { shape = shape, kind = kind, split = split, paired = paired, packs = packs,
%   classes = classes, tails = tails, masks = masks, bounds = bounds, sum = sum, slack = slack, needs_key = needs_key, sk = sk,
%   rows_all = rows_all, further = further, lanes = lanes, decide = dropout.decide, has_score = has_score })
% local pairs_loop = paired and include("templates/forward/cuda_mma_pairs.cu.t", { shape = shape, kind = kind, kv_way = kv_way, at = at,
%   further = further, bounds = bounds, has_score = has_score, slack = slack, staging = staging, tile = tile })
% local KEY_BLOCKS, ROW_BLOCKS = ("((%s + KEYS - 1) / KEYS)"):format(SK), ("((%s + ROWS - 1) / ROWS)"):format(SQ)
% if classes then
%   include("templates/common/classify.cu.t", { code = code, places = places, lanes = lanes, classes = classes, warps = body.side_warps,
%     run = body.side_tiles, key_blocks = KEY_BLOCKS, row_blocks = ROW_BLOCKS })
% end
extern "C" __global__ void __launch_bounds__(THREADS, ${body.resident_of(cfg, p, dev)}) attention(const __grid_constant__ struct args a)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
% lanes.launch_values("score", "keep", "diagonal", "slope", "rest", "curve")
% if has_score then
    const float scale = (float)a.scale;
%   if sum and sum.curve.name == "s" then
    const float scale2 = (float)(a.scale * ${f64(1.4426950408889634)});
%   end
% else
    /* To base 2. Its sign goes into Q, so that the largest product is the largest score. */
    const float scale = (float)(a.scale * ${f64(1.4426950408889634)}), factor = fmaxf(fabsf(scale), 0x1p-126f);
% end
% dropout.values()

    /* Which tile of which head: ${p.causal and "those of the last rows, which see most keys, go first" or "tile by tile through the heads of a section"}. */
% local tiles = p.sq and tostring(ceildiv(math.max(p.sq, 1) * (packs and group or 1), shape.rows)) or "tiles"
% if not p.sq then
    const int tiles = (${places:times_group(SQ)} + ROWS - 1) / ROWS;
% end
    const int task = (int)blockIdx.x${parts and " / PARTS" or ""}${splits and " / SPLITS" or ""};
% if splits then
    const int share_of_keys = (int)blockIdx.x${parts and " / PARTS" or ""} % SPLITS;
% end
% if parts then
    const int first_column = (int)blockIdx.x % PARTS * COLUMNS, columns = min_i(COLUMNS, DV - first_column);
% end
% if cfg.section == 1 then
    const int head = task / ${tiles}, nth = task % ${tiles};
% else
%   -- With packed heads there are 2^27 tiles or less.
%   local wide = packs and (not p.sq or cfg.section * math.tointeger(tonumber(tiles)) >= 1 << 31)
    const ${wide and "u32" or "int"} of_section = ${wide and "(u32)" or ""}SECTION * ${tiles};
    const int section = task / of_section, place_in = task % of_section;
    const int together = min_i(SECTION, ${B} * ${HEADS} - section * SECTION);
    const int head = section * SECTION + place_in % together, nth = place_in / together;
% end
    const int tile = ${p.causal and tiles .. " - 1 - nth" or "nth"};
% if packs then
    const int hk = head % HKV, b = head / HKV;
% else
    const int h = head % HQ, b = head / HQ${group == 1 and ", hk = h" or ", hk = h / GROUP"};
    (void)h;
% end
    (void)b;
% lanes.head_values("score", "keep", "diagonal", "slope", "rest", "curve")
    const int first_row = tile * ROWS, warp_row = first_row + ${paired and "warp / 2" or "warp"} * WARP_ROWS;
% if packed then
    if (first_row >= ${rows_all}) return;
% end
% local q_head = packs and "(hk * GROUP)" or "h"
    const ${p.dtype} *q = ${places:base("q", q_head, "(i64)a.cu_q[b]")};
    const ${p.kvdtype} *k = ${places:base("k", "hk", "(i64)a.cu_k[b]")};
    const ${p.kvdtype} *v = ${places:base("v", "hk", "(i64)a.cu_k[b]")}${parts and " + first_column" or ""};
% if paged then
    const i32 *table = a.table + b * a.table_b;
% end

% if classes then
    /* The tiles that the block's rows see: how many, and an entry for each (see `collect`). */
    const u32 *list = a.seen + 2 * (((i64)${classes.b and (classes.h and "head" or "b") or (classes.h and "h" or "0")} * ${ROW_BLOCKS} + tile) * (${KEY_BLOCKS} + 1 + SPARE) + 1);
    int left = (int)same_in_all(list[-2]);
%   if splits then
    const int tiles_each = (left + SPLITS - 1) / SPLITS, tiles_before = min_i(left, share_of_keys * tiles_each);
    list += 2 * tiles_before, left = min_i(left - tiles_before, tiles_each);
%   end
    int staged = (int)list[0], coming = (int)list[2 * AHEAD]; /* the first keys of the last tile that is loaded, and of the next */
    u32 of_warps = list[1]; /* what each warp's rows see of this tile */
% else
    /* Keys [from, to) are all that the block's rows see. */
%   if bounds.always then
    ${splits and "" or "const "}int from = 0, to = ${padded and ("first_row < %s ? sk : 0"):format(rows_all) or sk};
%     if not paired then
    const bool works = ${all_work and "true" or "warp_row < " .. rows_all};
%     end
%   else
    int from = 0, to = 0, warp_from = 0, warp_to = 0, full_first = 0, full_last = 0; /* of the warp: that some row sees, and all */
    if (first_row < ${rows_all}) {
        const int i0 = ${packs and "first_row / GROUP" or "first_row"}, i1 = ${packs and ("(min_i(first_row + ROWS, %s) - 1) / GROUP"):format(rows_all) or ("min_i(first_row + ROWS, %s) - 1"):format(rows_all)};
        (void)i0, (void)i1;
        from = ${bounds.first and ("max_i(0, %s) / KEYS * KEYS"):format(bounds.first) or "0"};
        to = ${bounds.last and ("min_i(%s, %s)"):format(sk, bounds.last) or sk};
    }
    if (warp_row < ${rows_all}) {
        const int i0 = ${packs and "warp_row / GROUP" or "warp_row"}, i1 = ${packs and ("(min_i(warp_row + WARP_ROWS, %s) - 1) / GROUP"):format(rows_all) or ("min_i(warp_row + WARP_ROWS, %s) - 1"):format(rows_all)};
        (void)i0, (void)i1;
        warp_from = ${bounds.first and ("max_i(0, %s)"):format(bounds.first) or "0"};
        warp_to = ${bounds.last and ("min_i(%s, %s)"):format(sk, bounds.last) or sk};
        full_first = ${bounds.full_first or "0"};
        full_last = ${bounds.full_last or sk};
    }
%   end
%   if splits then
    const int tiles_each = (max_i(to - from, 0) + SPLITS * KEYS - 1) / (SPLITS * KEYS);
    from += share_of_keys * tiles_each * KEYS;
    to = min_i(to, from + tiles_each * KEYS);
%   end
% end
% local first_key = classes and "staged" or "from"
    const u32 q_at = shared_base(), k_at = q_at + Q_BYTES, v_at = k_at + STAGES * K_BYTES;
#pragma unroll 1
    for (u32 share = threadIdx.x; share < ROWS * ${shape.q.chunks}; share += THREADS) {
        const int r = (int)(share / ${shape.q.chunks}), c = (int)(share % ${shape.q.chunks}), row = ${places:of_fragments("first_row", "r")};
        const u32 to_row = q_at + r / WARP_ROWS * GROUP_BYTES;
        stage_q_chunk(to_row + ${at(shape.q, "r % WARP_ROWS", "c")}, ${places:row("q")} + c * ${per_chunk}, c, row < ${rows_all}, true);
    }
    commit_copies();
% if not has_score then
    if (scale < 0) {
        wait_copies<0>();
        barrier();
#pragma unroll 1
        for (u32 x = q_at + 4 * threadIdx.x; x < k_at; x += 4 * THREADS) store_shared(x, load_shared(x) ^ ${split and "0x80000000" or "0x80008000"});
    }
% end
    /* This thread's part of a tile: its first row, where its first chunk goes${paged and "" or " and comes from"}. */
% for _, name in ipairs { "k", "v" } do
%   local lanes = staging.lanes[name]
    const int ${name}_row = (int)threadIdx.x / ${lanes};
    const u32 ${name}_own = ${at(shape[name], name .. "_row", ("threadIdx.x %% %d"):format(lanes))};
%   if not paged then
    const i64 ${name}_pitch = a.${name}_s * ${sizes[p.kvdtype]};
    const u8 *${name}_from = (const u8 *)(${name} + ${classes and "(i64)" or ""}(${first_key} + ${name}_row) * a.${name}_s + (int)threadIdx.x % ${lanes} * ${per_chunk});
%   end
% end
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
    float o[FRAGMENTS][COLUMN_TILES][4];
% if has_score then
    float level[OWN], sum[OWN]; /* level: of the largest score (peak.cu.t) */
    u32 far = (1u << OWN) - 1;
    bool exponents = false;
% else
    float top[OWN], peak[OWN], limit[OWN], sum[OWN]; /* top: the largest score; limit: where a score makes O too large */
% end
#pragma unroll
    for (int m = 0; m < FRAGMENTS; m++)
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; n++)
#pragma unroll
            for (int x = 0; x < 4; x++) o[m][n][x] = 0;
#pragma unroll
    for (int r = 0; r < OWN; r++) ${has_score and "level[r] = -INF, sum[r] = 0" or "top[r] = limit[r] = -INF, peak[r] = sum[r] = 0"};
% if sum then
%   lanes.sum_values()
% end
% if tile.strides_test then
    const bool unit_strides = ${tile.strides_test};
% end
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
        if (any_lane(grows)) {
% if not has_score then
            const float slack = fminf(__fdividef(${slack}, factor), 0x1.fffffep127f); /* so that -INF stays what it is */
% end
#pragma unroll
            for (int r = 0; r < OWN; r++) {
% tile.largest()
% tile.climb("                ", "const float shrink", "best")
                sum[r] *= shrink;
#pragma unroll
                for (int n = 0; n < COLUMN_TILES; n++) o[r / 2][n][r % 2 * 2] *= shrink, o[r / 2][n][r % 2 * 2 + 1] *= shrink;
            }
% tile.settle_exponents("            ")
        }

        float part[OWN]; /* a tile's sum is on its own first: errors grow with the tiles, not with the keys */
#pragma unroll
        for (int r = 0; r < OWN; r++) part[r] = 0;
% if split then
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
        u32 weight[FRAGMENTS][KEY_TILES / 2][4];
#pragma unroll
        for (int x = 0; x < KEY_TILES / 2; x++) {
% if p.dropout then
            u32 word[FRAGMENTS][4];
% dropout.decide()
% end
#pragma unroll
            for (int u = 0; u < 4 * FRAGMENTS; u++) {
                const int m = u / 4, q = u % 4, n = 2 * x + q / 2, r = 2 * m + q % 2;
                const float y = exp2_fast(${tile.exponent("score[m][n][q % 2 * 2]")});
                const float z = exp2_fast(${tile.exponent("score[m][n][q % 2 * 2 + 1]")});
                part[r] = n == 0 ? y + z : part[r] + (y + z);
                weight[m][x][q] = pack_${kind}(y, z);
% if p.dropout then
                keep_pair(weight[m][x][q], word[m][q], drop.least);
% end
            }
        }
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

% local some_rows = padded and places:times_group(SQ) or rows_all
% if has_score then
    float top[OWN], peak[OWN];
% end
#pragma unroll
    for (int r = 0; r < OWN; r++) ${has_score and "settle_level(level[r], far >> r & 1, top[r], peak[r])" or "settle(top[r], peak[r], factor)"};
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        sum[r] += exchange(sum[r], 1);
        sum[r] += exchange(sum[r], 2);
    }
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
        if (row >= ${some_rows}) continue;
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

% ends.combine()
% else

    /* O = O / sum${p.lse and ", LSE = top + log(sum)" or ""}; a row without visible keys has ${p.lse and "0 and -inf" or "0"}. */
    ${p.odtype} *out = ${places:base("o", q_head, "(i64)a.cu_q[b]")}${parts and " + first_column" or ""};
% if p.lse then
    f32 *lse = ${places:base("lse", q_head, "(i64)a.cu_q[b]")};
% end
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        const int row = ${places:of_lane("r")};
        (void)row;
% ends.finish("        ", "sum[r]", "top[r]", "peak[r]", packs and "(hk * GROUP + row % GROUP)" or "h", "row >= " .. rows_all, ("row < %s && lane %% 4 == 0%s"):format(some_rows, paired and " && warp % 2 == 0" or parts and " && first_column == 0" or ""), p.lse and places:row("lse"))
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; n++) o[r / 2][n][r % 2 * 2] = share_of(o[r / 2][n][r % 2 * 2], share), o[r / 2][n][r % 2 * 2 + 1] = share_of(o[r / 2][n][r % 2 * 2 + 1], share);
    }
% local columns_here = parts and "columns" or "DV"
% if shape.through then
    /* Through Q's place in shared memory, so that a row leaves in whole lines. */
    const u32 out_at = q_at + ${paired and "warp / 2" or "warp"} * GROUP_BYTES;
#pragma unroll
    for (int r = 0; r < OWN; r++)
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; n++)
            store_shared(out_at + ${at(shape.o, "r / 2 * 16 + r % 2 * 8 + lane / 4", paired and "n + half * COLUMN_TILES" or "n")} + lane % 4 * 4, pack_${p.odtype}(o[r / 2][n][r % 2 * 2], o[r / 2][n][r % 2 * 2 + 1]));
    warp_barrier();
    for (int x = lane; x < WARP_ROWS * COLUMN_TILES; x += 32) {
        const int r = x / COLUMN_TILES, c = x % COLUMN_TILES${paired and " + half * COLUMN_TILES" or ""}, row = ${places:of_fragments("warp_row", "r")};
        u32 y[4];
        load_shared4(y, out_at + ${at(shape.o, "r", "c")});
        if (row < ${some_rows} && c * 8 < ${columns_here}) store_global4(${places:row("o", "out")} + c * 8, y);
    }
% else
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        const int row = ${places:of_lane("r")};
        if (row >= ${some_rows}) continue;
        ${p.odtype} *to_row = ${places:row("o", "out")};
#pragma unroll
        for (int x = 0; x < 2 * COLUMN_TILES; x++) {
            const int column = ${paired and "half * 8 * COLUMN_TILES + " or ""}x / 2 * 8 + lane % 4 * 2 + x % 2;
            const float y = o[r / 2][x / 2][r % 2 * 2 + x % 2];
            if (column < ${columns_here}) ${element(p.odtype, "to_row", "column")} = ${p.odtype == "f32" and "y" or ("(unsigned short)pack_%s(y, 0)"):format(p.odtype)};
        }
    }
% end
}
% end
