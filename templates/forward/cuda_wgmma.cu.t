% -- Attention forward by products of warpgroups. Comes in: p (a problem that forward/cuda_wgmma.lua takes), cfg (its config),
% -- dev, variant, slots, steps.
% assert(cfg.keys % 16 == 0, "tiles are whole fragments")
%
% local body = require "templates.forward.cuda_wgmma"
% local shape, group = body.shape_of(cfg, p), body.group_of(p)
% local packs, kind = cfg.pack == 1, shape.kind
%
% local packed, padded, paged = p.lens == "packed", p.lens == "padded", p.page > 0
% local places = require("templates.common.places").new(p, packs)
% places.adjacent = p.dropout and not packs and not p.shard
% local B, SQ, SK, sq, sk, HEADS, rows_all = places.B, places.SQ, places.SK, places.sq, places.sk, places.HEADS, places.rows
% local function element(...) return places:element(...) end
%
% local has_score = variant.score.name ~= "s"
% local levels = packs and { levels = { h = "row" } } or {}
% local sum = has_score and not packs and variant:summands() or false
% -- To what power of 2 weights may grow before O is rescaled. Scores that lean grow with each tile; f16 goes to 2^16.
% local slack = sum and sum.slope and ({ bf16 = 24, f16 = 15 })[kind] or 8
% local code = variant:code(levels, sum and { diagonal = sum.diagonal, slope = sum.slope, rest = sum.rest, curve = sum.curve })
% local bounds = variant:tiles(packs and { levels = { h = "row" } } or {})
% local classes = body.classes(p, variant) or false
% local tails = p.lens ~= false or not p.sk or p.sk % cfg.keys ~= 0 -- tiles may reach beyond the last key
% local masks = not bounds.always or tails
% local need = {}
% if p.lse then need.log_r = true end
% for _, uses in ipairs { code.uses, bounds.uses } do
%   for name in pairs(uses) do need[name] = true end
% end
%
% -- How a row's elements come into shared memory: in the background, or by hand.
% local way = p.align < 4 and "gather" or p.align >= 16 and "copy" or "pieces"
% local function grain_of(columns) return math.min(columns * 2 & -(columns * 2), 16) end
% local by_hand = way == "gather" or math.min(grain_of(p.d), grain_of(p.dv)) < 4
%
% local chunks = require "templates.common.chunks"
% local at = chunks.at
%
/* softmax(q k^T) v for ${p.text}
 * A block has ROWS query rows of ${packs and "a key head's query heads" or "one head"}. Warpgroup 0 brings tiles of K and V; each of the others multiplies 64
 * rows with them, a warp 16.${has_score and "" or " Scores are in base 2."} A lane has of a fragment of 16 rows two, lane / 4 and 8 further on, and of 8 columns
 * two, 2 (lane % 4) and the next.
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
    GROUPS = ${cfg.groups}, WARPS = 4 * GROUPS, /* that multiply */
    LOADERS = 128, THREADS = LOADERS + 32 * WARPS,
    FRAGMENTS = 1, WARP_ROWS = 16, ROWS = WARPS * WARP_ROWS,
    OWN = 2,                                 /* rows of a lane */
    KEYS = ${cfg.keys}, SPAN = KEYS, KEY_TILES = KEYS / 8, /* of a tile, in eights */
    STEPS = ${ceildiv(p.d, 16)},             /* of a product over the head dimension */
    COLUMNS = ${shape.columns}, COLUMN_TILES = COLUMNS / 8, /* of O, in eights */
    STAGES = ${cfg.stages},                  /* tiles in shared memory */
% if classes then
    SPARE = 3, /* entries behind a list's last: they are read */
% end
    SECTION = ${cfg.section}, /* heads that go together, tile by tile */
    Q_BYTES = ${shape.q_bytes}, K_BYTES = ${shape.k_bytes}, V_BYTES = ${shape.v_bytes},
};

% include("templates/common/args.c.t", { slots = slots })

#define LN2 ${f32(0.6931471805599453)}
% for name, needed in pairs {
%   load_shared = true, store_shared = true, store_global4 = shape.through,
%   store_shared4 = by_hand, load_shared4 = shape.through, copy_async = way ~= "gather", any_lane = true, set_lanes = classes and true,
%   skip_rows = classes and not paged, ["pack_" .. kind] = true,
% } do
%   if needed then need[name] = true end
% end
% if p.odtype ~= "f32" then need["pack_" .. p.odtype] = true end
% include("templates/common/ptx.cu.t", { need = need })
% include("templates/common/wgmma.cu.t", { kind = kind, keys = cfg.keys, columns = shape.columns })
% include("templates/common/math.cu.t", { need = need })
% include("templates/common/peak.cu.t", { exponents = has_score })
% if p.dropout then
%   include("templates/common/philox.cu.t", { words = true })
% end

% local staging = include("templates/forward/cuda_mma_stage.cu.t", { shape = shape, split = false, q_way = way, kv_way = way,
%   grain_of = grain_of, element = element, at = at, parts = false, paged = paged, tails = tails, sk = sk, classes = classes })
% local stage_k, stage_v, skip, K_SHARES, V_SHARES = staging.k, staging.v, staging.skip, staging.count.k, staging.count.v
% local lanes = include("templates/common/lanes.cu.t", { code = code, places = places, packs = packs, tails = tails, sum = sum })
% local dropout = include("templates/common/dropout.cu.t", { packs = packs, places = places })
% local ends = include("templates/common/finish.cu.t", { places = places, dropout = dropout, warps = body.side_warps })
% local tile = include("templates/forward/cuda_mma_tile.cu.t", { shape = shape, kind = kind, split = false, paired = false, packs = packs,
%   classes = classes, tails = tails, masks = masks, bounds = bounds, sum = sum, slack = slack, needs_key = true, sk = sk,
%   rows_all = rows_all, further = chunks.further, lanes = lanes, decide = dropout.decide, has_score = has_score })
% local KEY_BLOCKS, ROW_BLOCKS = ("((%s + KEYS - 1) / KEYS)"):format(SK), ("((%s + ROWS - 1) / ROWS)"):format(SQ)
% if classes then
%   include("templates/common/classify.cu.t", { code = code, places = places, lanes = lanes, classes = classes, warps = body.side_warps,
%     run = body.side_tiles, key_blocks = KEY_BLOCKS, row_blocks = ROW_BLOCKS })
% end
/* Where a tile's place in shared memory says that it is there, and that nobody needs it any more. */
enum { K_HERE, K_FREE, V_HERE, V_FREE };

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention(const __grid_constant__ struct args a)
{
    const int lane = (int)threadIdx.x % 32;
% lanes.launch_values("score", "keep", "diagonal", "slope", "rest", "curve")

    /* Which tile of which head: ${p.causal and "those of the last rows, which see most keys, go first" or "tile by tile through the heads of a section"}. */
% local tiles = p.sq and tostring(ceildiv(math.max(p.sq, 1) * (packs and group or 1), shape.rows)) or "tiles"
% if not p.sq then
    const int tiles = (${places:times_group(SQ)} + ROWS - 1) / ROWS;
% end
    const int task = (int)blockIdx.x;
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
    const int first_row = tile * ROWS;
% if packed then
    if (first_row >= ${rows_all}) return;
% end
% local q_head = packs and "(hk * GROUP)" or "h"
% if paged then
    const i32 *table = a.table + b * a.table_b;
% end
% if classes then
    /* The tiles that the block's rows see: how many, and an entry for each (see `collect`). */
    const u32 *list = a.seen + 2 * (((i64)${classes.b and (classes.h and "head" or "b") or (classes.h and "h" or "0")} * ${ROW_BLOCKS} + tile) * (${KEY_BLOCKS} + 1 + SPARE) + 1);
    const int last_tile = (int)same_in_all(list[-2]);
% else
    /* Keys [from, to) are all that the block's rows see. */
%   if bounds.always then
    const int from = 0, to = ${padded and ("first_row < %s ? sk : 0"):format(rows_all) or sk};
%   else
    int from = 0, to = 0;
    if (first_row < ${rows_all}) {
        const int i0 = ${packs and "first_row / GROUP" or "first_row"}, i1 = ${packs and ("(min_i(first_row + ROWS, %s) - 1) / GROUP"):format(rows_all) or ("min_i(first_row + ROWS, %s) - 1"):format(rows_all)};
        (void)i0, (void)i1;
        from = ${bounds.first and ("max_i(0, %s) / KEYS * KEYS"):format(bounds.first) or "0"};
        to = ${bounds.last and ("min_i(%s, %s)"):format(sk, bounds.last) or sk};
    }
%   end
    const int last_tile = (max_i(to - from, 0) + KEYS - 1) / KEYS;
% end
    const u32 q_at = shared_base(), k_at = q_at + Q_BYTES, v_at = k_at + STAGES * K_BYTES, phases = v_at + STAGES * V_BYTES;
    const u32 q_here = phases + 32 * STAGES;
    if (threadIdx.x == 0) {
#pragma unroll
        for (int x = 0; x < STAGES; x++) {
            phases_init(phases + 32 * x + 8 * K_HERE, LOADERS), phases_init(phases + 32 * x + 8 * V_HERE, LOADERS);
            phases_init(phases + 32 * x + 8 * K_FREE, WARPS), phases_init(phases + 32 * x + 8 * V_FREE, WARPS);
        }
        phases_init(q_here, LOADERS);
    }
    barrier();

    if (threadIdx.x < LOADERS) {
% local spare = body.shares_of(cfg, p)
% if spare then
        give_registers<${spare[1]}>();
% end
        const ${p.dtype} *q = ${places:base("q", q_head, "(i64)a.cu_q[b]")};
        const ${p.kvdtype} *k = ${places:base("k", "hk", "(i64)a.cu_k[b]")};
        const ${p.kvdtype} *v = ${places:base("v", "hk", "(i64)a.cu_k[b]")};
#pragma unroll 4
        for (u32 share = threadIdx.x; share < ROWS * ${shape.q.chunks}; share += LOADERS) {
            const int r = (int)(share / ${shape.q.chunks}), c = (int)(share % ${shape.q.chunks}), row = ${places:of_fragments("first_row", "r")};
            stage_q_chunk(q_at + ${at(shape.q, "r", "c")}, ${places:row("q")} + c * 8, c, row < ${rows_all}, true);
        }
        commit_copies();
% local first_key = classes and "(int)list[0]" or "from"
        /* This thread's part of a tile: its first row, where its first chunk goes${paged and "" or " and comes from"}. */
% for _, name in ipairs { "k", "v" } do
%   local lanes = staging.lanes[name]
        const int ${name}_row = (int)threadIdx.x / ${lanes};
        const u32 ${name}_own = ${at(shape[name], name .. "_row", ("threadIdx.x %% %d"):format(lanes))};
%   if not paged then
        const i64 ${name}_pitch = a.${name}_s * 2;
        const u8 *${name}_from = (const u8 *)(${name} + ${classes and "(i64)" or ""}(${first_key} + ${name}_row) * a.${name}_s + (int)threadIdx.x % ${lanes} * 8);
%   end
% end
% if classes then
        int staged = (int)list[0] - KEYS;
% end
        int turn = 0;
        u32 before = 0;
        u32 odd = 1; /* nothing is in the first places */
#pragma unroll 1
        for (int n = 0; n < last_tile; n++) {
            const int j0 = ${classes and "(int)list[2 * n]" or "from + n * KEYS"};
            const u32 place = phases + 32 * turn;
% skip("            ", "j0 - staged - KEYS")
            phase_wait(place + 8 * K_FREE, odd);
            ${stage_k("k_at + turn * K_BYTES", "j0", "0", K_SHARES, "true")}
            commit_copies();
            wait_copies<1>();
            show_products();
            phase_arrive(n == 0 ? q_here : before); /* Q, or the last tile of V */
            phase_wait(place + 8 * V_FREE, odd);
            ${stage_v("v_at + turn * V_BYTES", "j0", "0", V_SHARES, "true")}
            commit_copies();
            wait_copies<1>();
            show_products();
            phase_arrive(place + 8 * K_HERE);
            before = place + 8 * V_HERE;
% if classes then
            staged = j0;
% end
            turn = turn == STAGES - 1 ? 0 : turn + 1, odd ^= turn == 0;
        }
        wait_copies<0>();
        show_products();
        phase_arrive(last_tile == 0 ? q_here : before);
        return;
    }

% if spare then
    take_registers<${spare[2]}>();
% end
    const int warp = (int)threadIdx.x / 32 - 4, group = warp / 4, warp_row = first_row + warp * WARP_ROWS;
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
% if not classes and not bounds.always then
    int group_first = 0, group_last = 0, full_first = 0, full_last = 0; /* tiles that some row of the warpgroup sees; keys that all of the warp's see */
    const int group_row = first_row + group * 64;
    if (group_row < ${rows_all}) {
        const int i0 = ${packs and "group_row / GROUP" or "group_row"}, i1 = ${packs and ("(min_i(group_row + 64, %s) - 1) / GROUP"):format(rows_all) or ("min_i(group_row + 64, %s) - 1"):format(rows_all)};
        (void)i0, (void)i1;
        group_first = ${bounds.first and ("min_i(last_tile, (max_i(0, %s) - from) / KEYS)"):format(bounds.first) or "0"};
        group_last = min_i(last_tile, (${bounds.last and ("min_i(%s, %s)"):format(sk, bounds.last) or sk} - from + KEYS - 1) / KEYS);
    }
    if (warp_row < ${rows_all}) {
        const int i0 = ${packs and "warp_row / GROUP" or "warp_row"}, i1 = ${packs and ("(min_i(warp_row + WARP_ROWS, %s) - 1) / GROUP"):format(rows_all) or ("min_i(warp_row + WARP_ROWS, %s) - 1"):format(rows_all)};
        (void)i0, (void)i1;
        full_first = ${bounds.full_first or "0"};
        full_last = ${bounds.full_last or sk};
    }
% end
    float o[FRAGMENTS][COLUMN_TILES][4], score[FRAGMENTS][KEY_TILES][4];
% if has_score then
    float level[OWN], sum[OWN]; /* level: of the largest score (peak.cu.t) */
    u32 far = (1u << OWN) - 1;
    bool exponents = false;
% else
    float top[OWN], peak[OWN], limit[OWN], sum[OWN]; /* top: the largest score; limit: where a score makes O too large */
% end
#pragma unroll
    for (int n = 0; n < COLUMN_TILES; n++)
#pragma unroll
        for (int x = 0; x < 4; x++) o[0][n][x] = 0;
#pragma unroll
    for (int r = 0; r < OWN; r++) ${has_score and "level[r] = -INF, sum[r] = 0" or "top[r] = limit[r] = -INF, peak[r] = sum[r] = 0"};
% if sum then
%   lanes.sum_values()
% end
% if tile.strides_test then
    const bool unit_strides = ${tile.strides_test};
% end
    phase_wait(q_here, 0);
% if not has_score then
    if (scale < 0) {
#pragma unroll 1
        for (u32 x = threadIdx.x % 128; x < 64 * ${4 * shape.q.chunks}; x += 128) {
            const u32 at = q_at + group * 8192 + x % 2048 * 4 + x / 2048 * ${shape.q.panel};
            store_shared(at, load_shared(at) ^ 0x80008000);
        }
        show_products();
        group_barrier<128>(group + 1);
    }
% end
    const u64 q_matrix = matrix_at(q_at + group * 8192, ${shape.q.panel});

    int turn = 0, before = 0; /* this tile's place, and that of the tile multiplied last */
    u32 odd = 0;
    bool begun = false;
% if cfg.turns == 1 then
    const int own = 1 + GROUPS + group, next = 1 + GROUPS + (group + 1) % GROUPS; /* of warpgroups, which multiply in turns */
    if (group == GROUPS - 1) pass_turn(1 + GROUPS);
    wait_turn(own);
% end
% -- Tiles that this warpgroup's rows do not see: it is done with them when they are there.
% local some = not classes and not bounds.always
% local function pass_by(last)
%   if some then
    for (; n < ${last}; n++) {
%     if cfg.turns == 1 then
        pass_turn(next);
        wait_turn(own);
%     end
        phase_wait(phases + 32 * turn + 8 * K_HERE, odd);
        phase_wait(phases + 32 * turn + 8 * V_HERE, odd);
        if (lane == 0) phase_arrive(phases + 32 * turn + 8 * K_FREE), phase_arrive(phases + 32 * turn + 8 * V_FREE);
        turn = turn == STAGES - 1 ? 0 : turn + 1, odd ^= turn == 0;
    }
%   end
% end
    int n = 0;
% pass_by("group_first")
#pragma unroll 1
    for (; n < ${some and "group_last" or "last_tile"}; n++) {
        const u32 place = phases + 32 * turn;
% if classes then
        const bool all = (list[2 * n + 1] >> 2 * warp & FULL) == FULL;
        const int j0 = (int)list[2 * n];
% else
        const int j0 = from + n * KEYS;
% end
        phase_wait(place + 8 * K_HERE, odd);
        const u64 k_matrix = matrix_at(k_at + turn * K_BYTES, ${shape.k.panel});
        begin_products();
#pragma unroll
        for (int x = 0; x < STEPS; x++)
            multiply_s(score[0], matrix_further(q_matrix, x / 4 * ${shape.q.panel} + x % 4 * 32), matrix_further(k_matrix, x / 4 * ${shape.k.panel} + x % 4 * 32), x > 0);
        commit_products();
% if cfg.turns == 1 then
        pass_turn(next);
% end
        wait_products<0>();
        here(score[0]);
        here(o[0]);
        if (lane == 0) {
            phase_arrive(place + 8 * K_FREE);
            if (begun) phase_arrive(phases + 32 * before + 8 * V_FREE);
        }
        begun = true, before = turn;
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
                for (int n = 0; n < COLUMN_TILES; n++) o[0][n][r % 2 * 2] *= shrink, o[0][n][r % 2 * 2 + 1] *= shrink;
            }
% tile.settle_exponents("            ")
        }

        float part[OWN]; /* a tile's sum is on its own first: errors grow with the tiles, not with the keys */
        u32 weight[KEY_TILES / 2][4];
#pragma unroll
        for (int x = 0; x < KEY_TILES / 2; x++) {
% if p.dropout then
            u32 word[FRAGMENTS][4];
% dropout.decide()
% end
#pragma unroll
            for (int q = 0; q < 4; q++) {
                const int n = 2 * x + q / 2, r = q % 2;
                const float y = exp2_fast(${tile.exponent("score[0][n][r * 2]")});
                const float z = exp2_fast(${tile.exponent("score[0][n][r * 2 + 1]")});
                part[r] = n == 0 ? y + z : part[r] + (y + z);
                weight[x][q] = pack_${kind}(y, z);
% if p.dropout then
                keep_pair(weight[x][q], word[0][q], drop.least);
% end
            }
        }
        phase_wait(place + 8 * V_HERE, odd);
% if cfg.turns == 1 then
        wait_turn(own);
% end
        const u64 v_matrix = matrix_at(v_at + turn * V_BYTES, ${shape.v.panel});
        begin_products();
#pragma unroll
        for (int x = 0; x < KEY_TILES / 2; x++) multiply_o(o[0], weight[x], matrix_further(v_matrix, x * 2048));
        commit_products();
#pragma unroll
        for (int r = 0; r < OWN; r++) sum[r] += part[r];
        turn = turn == STAGES - 1 ? 0 : turn + 1, odd ^= turn == 0;
    }
    wait_products<0>();
    here(o[0]);
% if some then
    if (begun && lane == 0) phase_arrive(phases + 32 * before + 8 * V_FREE);
%   pass_by("last_tile")
% end
% if cfg.turns == 1 then
    if (group < GROUPS - 1) pass_turn(next);
% end
% if shape.through then
    group_barrier<128>(group + 1); /* nobody reads Q any more, whose place O goes through */
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

    /* O = O / sum${p.lse and ", LSE = top + log(sum)" or ""}; a row without visible keys has ${p.lse and "0 and -inf" or "0"}. */
    ${p.odtype} *out = ${places:base("o", q_head, "(i64)a.cu_q[b]")};
% if p.lse then
    f32 *lse = ${places:base("lse", q_head, "(i64)a.cu_q[b]")};
% end
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        const int row = ${places:of_lane("r")};
        (void)row;
% ends.finish("        ", "sum[r]", "top[r]", "peak[r]", packs and "(hk * GROUP + row % GROUP)" or "h", "row >= " .. rows_all, ("row < %s && lane %% 4 == 0"):format(some_rows), p.lse and places:row("lse"))
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; n++) o[0][n][r * 2] = share_of(o[0][n][r * 2], share), o[0][n][r * 2 + 1] = share_of(o[0][n][r * 2 + 1], share);
    }
% if shape.through then
    /* Through Q's place in shared memory, so that a row leaves in whole lines. */
#pragma unroll
    for (int r = 0; r < OWN; r++)
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; n++)
            store_shared(q_at + ${at(shape.o, "(warp * 16 + r * 8 + lane / 4)", "n")} + lane % 4 * 4, pack_${p.odtype}(o[0][n][r * 2], o[0][n][r * 2 + 1]));
    warp_barrier();
    for (int x = lane; x < WARP_ROWS * COLUMN_TILES; x += 32) {
        const int r = x / COLUMN_TILES, c = x % COLUMN_TILES, row = ${places:of_fragments("warp_row", "r")};
        u32 y[4];
        load_shared4(y, q_at + ${at(shape.o, "(warp * 16 + r)", "c")});
        if (row < ${some_rows} && c * 8 < DV) store_global4(${places:row("o", "out")} + c * 8, y);
    }
% else
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        const int row = ${places:of_lane("r")};
        if (row >= ${some_rows}) continue;
        ${p.odtype} *to_row = ${places:row("o", "out")};
#pragma unroll
        for (int x = 0; x < 2 * COLUMN_TILES; x++) {
            const int column = x / 2 * 8 + lane % 4 * 2 + x % 2;
            const float y = o[0][x / 2][r * 2 + x % 2];
            if (column < DV) ${element(p.odtype, "to_row", "column")} = ${p.odtype == "f32" and "y" or ("(unsigned short)pack_%s(y, 0)"):format(p.odtype)};
        }
    }
% end
}
