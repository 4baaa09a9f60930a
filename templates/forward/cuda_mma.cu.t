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
% local slack = ({ bf16 = 24, f16 = 15, f32 = 8 })[kind] -- to what power of 2 weights may grow; f16 goes to 2^16
% local needs_key = has_score or p.dropout or cfg.stages == 1 -- of each tile; where the mask alone does, a mixed tile's
% local levels = packs and { levels = { h = "row" } } or {}
% local sum = has_score and not packs and variant:summands() or false
% local code = variant:code(levels, sum and { diagonal = sum.diagonal, slope = sum.slope, rest = sum.rest, curve = sum.curve })
% local bounds = variant:tiles(packs and { levels = { h = "row" } } or {})
% local classes = body.classes(p, variant)
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
% local piece = math.min(p.align, 16)
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
/* x is a sum of two tf32, a first one to be multiplied as it is and a rest; tensor cores cut off the last 13 of 23 digits.
 * Rounded, the first is nearest, unless there is no larger number; else it is cut off, and the rest may be twice as large. */
template <bool ROUNDED> DEVICE u32 first_tf32(u32 x)
{
    if (!ROUNDED) return x;
    return x + (fabsf(__int_as_float((int)x)) < 0x1.ffep127f ? 0x1000 : 0) & 0xffffe000;
}

template <bool ROUNDED> DEVICE u32 rest_tf32(u32 x)
{
    const u32 first = ROUNDED ? first_tf32<true>(x) : x & 0xffffe000;
    return (u32)__float_as_int(__int_as_float((int)x) - __int_as_float((int)first)) + 0x1000;
}

% local exact = p.kvdtype ~= "f32" -- K and V have no rest
/* C += A B for f32, each a sum of two tf32${exact and ", B of one" or "; the product of the rests is left out"}. Small products are summed up on their own: tensor
 * cores round towards 0. */
template <bool ROUNDED> DEVICE void mma_split(float (&c)[4], float (&small)[4], const u32 (&a)[4], u32 b0, u32 b1)
{
    u32 first[4], rest[4];
#pragma unroll
    for (int x = 0; x < 4; x++) first[x] = first_tf32<ROUNDED>(a[x]), rest[x] = rest_tf32<ROUNDED>(a[x]);
% if exact then
    mma_tf32(small, rest, b0, b1);
    mma_tf32(c, first, b0, b1);
% else
    const u32 first0 = first_tf32<ROUNDED>(b0), first1 = first_tf32<ROUNDED>(b1);
    mma_tf32(small, rest, first0, first1);
    mma_tf32(small, first, rest_tf32<ROUNDED>(b0), rest_tf32<ROUNDED>(b1));
    mma_tf32(c, first, first0, first1);
% end
}

% end
% -- Brings one chunk from `from`: number `c` of its row, if `wanted`; `inside`: whether the row is there. A column beyond
% -- the last is zero.
% local function stager(name, dtype, way, row, columns, left)
%   local whole, grain = columns * shape.size == row.chunks * 16, grain_of(columns)
%   left = not whole and ("%s - c * 16"):format(left or columns * shape.size)
%   local function copies(indent, bytes)
%     local there = left and bytes < 16 and "inside && x < left" or left and "inside && 0 < left" or "inside"
%     if bytes == 16 then
${indent}copy_async<16>(to, from, ${there} ? 16 : 0, wanted);
%     else
#pragma unroll
${indent}for (int x = 0; x < 16; x += ${bytes}) copy_async<${bytes}>(to + x, from + x / ${shape.size}, ${there} ? ${bytes} : 0, wanted);
%     end
%   end
%   local function elements(indent)
${indent}if (!wanted) return;
${indent}u32 x[4] = { 0, 0, 0, 0 };
#pragma unroll
${indent}for (int e = 0; e < ${per_chunk}; e++) {
${indent}    if (inside${left and (" && e * %d < left"):format(shape.size) or ""})
%     if split then
${indent}        x[e] = (u32)__float_as_int(${(dtype == "f32" and "%s" or "load_" .. dtype .. "(%s)"):format(element(dtype, "from", "e", true))});
%     else
${indent}        x[e / 2] |= (u32)${element(dtype, "from", "e", true)} << 16 * (e % 2);
%     end
${indent}}
${indent}store_shared4(to, x);
%   end
/* Chunk c of a row of ${name:upper()}; beyond the last column and where there is no such row, zeros. */
DEVICE void stage_${name}_chunk(u32 to, const ${dtype} *from, int c, bool inside, bool wanted${name == "v" and parts and ", int columns" or ""})
{
%   if left then
    const int left = ${left}; /* bytes of the row from here on */
%   end
%   if way == "gather" then
%     elements("    ")
%   elseif not left or grain >= piece then
%     copies("    ", piece)
%   else
    if (left <= 0 || left >= 16) {
%     copies("        ", piece)
    } else {
%     if grain >= 4 then
%       copies("        ", grain)
%     else
%       elements("        ")
%     end
    }
%   end
}

% end
% stager("q", p.dtype, q_way, shape.q, p.d)
% stager("k", p.kvdtype, kv_way, shape.k, p.d)
% stager("v", p.kvdtype, kv_way, shape.v, p.dv, parts and "columns * " .. shape.size)
% -- Where key j's row is.
% local function key_row(name, j)
%   if paged then return ("%s + table[(%s) / PAGE] * a.%s_p + (%s) %% PAGE * a.%s_s"):format(name, j, name, j, name) end
%   return ("%s + (i64)(%s) * a.%s_s"):format(name, j, name)
% end
% -- How a tile's chunks are shared among threads: as many as divide a row's chunks, to 8, have a row, `turn` rows are
% -- had at a time. So a pointer to a thread's first chunk serves all: the next ones of a row are at constant distances.
% local function shares_of(row)
%   local lanes = row.chunks % 8 == 0 and 8 or row.chunks % 4 == 0 and 4 or 2
%   local turn = shape.threads // lanes
%   return { lanes = lanes, turn = turn, pieces = row.chunks // lanes, count = ceildiv(cfg.keys, turn) * (row.chunks // lanes) }
% end
% local rows_of = { k = shape.k, v = shape.v }
% local shares = { k = shares_of(shape.k), v = shares_of(shape.v) }
% for _, name in ipairs { "k", "v" } do
%   local row, share = rows_of[name], shares[name]
%   local columns, pass = name == "v" and parts and ", int columns" or "", name == "v" and parts and ", columns" or ""
%   local r = ("turn * %d"):format(share.turn) -- rows from the thread's first one on
%   local there = "wanted" .. (cfg.keys % share.turn == 0 and "" or (" && %s + (int)threadIdx.x / %d < KEYS"):format(r, share.lanes))
%   local inside = tails and r .. " < rows" or "true"
%   local place = (row.swizzled and share.turn % 8 ~= 0 and ("(to ^ %s %% 8 * 16)"):format(r) or "to") .. (" + turn * %d + piece * %d"):format(share.turn * 16 * row.pitch, 16 * share.lanes)
%   local last_turn = cfg.keys - (ceildiv(cfg.keys, share.turn) - 1) * share.turn -- rows from the last turn to the next tile
/* This thread's chunks of a tile of ${name:upper()}, those from `first` to `last`; rows from `rows` on, counted from the thread's
 * first one, are not there. ${paged and "A row's page is looked up once." or "`from`, where a row comes from, goes on to the next row, behind the last one to the next tile's first."} */
%   if paged then
DEVICE void stage_${name}(u32 to, const ${p.kvdtype} *${name}, const struct args &a, const i32 *table, int j0, int rows, int first, int last, bool wanted${columns})
%   else
DEVICE void stage_${name}(u32 to, const u8 *&from, i64 pitch, int rows, int first, int last, bool wanted${columns})
%   end
{
    const int c = (int)threadIdx.x % ${share.lanes};
#pragma unroll
    for (int x = first; x < last; x++) {
        const int turn = x / ${share.pieces}, piece = x % ${share.pieces};
%   if paged then
        const bool there = ${there}, inside = ${inside};
        const ${p.kvdtype} *row = there && inside ? ${key_row(name, r .. " + j0")} : ${name};
        stage_${name}_chunk(${place}, row + (c + piece * ${share.lanes}) * ${per_chunk}, c + piece * ${share.lanes}, inside, there${pass});
%   else
        stage_${name}_chunk(${place}, (const ${p.kvdtype} *)from + piece * ${share.lanes * per_chunk}, c + piece * ${share.lanes}, ${inside}, ${there}${pass});
        if (piece == ${share.pieces - 1}) advance(from, ${last_turn == share.turn and share.turn or ("(x == %d ? %d : %d)"):format(share.count - 1, last_turn, share.turn)} * pitch);
%   end
    }
}

% end
% local K_SHARES, V_SHARES = shares.k.count, shares.v.count
% -- A call: shares [first, last) of tile j0 to a place in the ring.
% local function stage(name, to, j0, first, last, wanted)
%   local columns = name == "v" and parts and ", columns" or ""
%   local row = ("%s_row"):format(name)
%   local rows = ("%s - (%s) - %s"):format(sk, j0, row)
%   if paged then
%     return ("stage_%s(%s + %s_own, %s, a, table, %s + %s, %s, %s, %s, %s%s);"):format(name, to, name, name, j0, row, rows, first, last, wanted, columns)
%   end
%   return ("stage_%s(%s + %s_own, %s_from, %s_pitch, %s, %s, %s, %s%s);"):format(name, to, name, name, name, rows, first, last, wanted, columns)
% end
% local function stage_k(...) return stage("k", ...) end
% local function stage_v(...) return stage("v", ...) end
% -- Over keys that nobody sees.
% local function skip(indent, keys)
%   for _, name in ipairs(classes and not paged and { "k", "v" } or {}) do
${indent}skip_rows(${name}_from, (u32)(${keys}), ${name}_pitch);
%   end
% end
% local function exponent(score) return has_score and score or ("fmaf(%s, factor, -peak[r])"):format(score) end
% local level_type, level_too = has_score and "" or ", const float (&peak)[OWN], float factor", has_score and "" or ", peak, factor"
% if paired then
/* Weights u of a warp's own, two scores' in a register, to P in shared memory; what they sum up to joins the row's. */
DEVICE void weigh(u32 p_lane, float (&sum)[OWN], const float (&score)[FRAGMENTS][KEY_TILES][4]${level_type}, int u${p.dropout and ", const u32 (&kept)[OWN]" or ""})
{
    const int m = u / 4 % FRAGMENTS, q = u % 4, n = u / (4 * FRAGMENTS) * 2 + q / 2, r = 2 * m + q % 2;
    ${p.dropout and "" or "const "}float x = exp2_fast(${exponent("score[m][n][q % 2 * 2]")});
    ${p.dropout and "" or "const "}float y = exp2_fast(${exponent("score[m][n][q % 2 * 2 + 1]")});
    sum[r] += x + y;
%   if p.dropout then
    x = kept[r] >> 2 * n & 1 ? x : 0;
    y = kept[r] >> (2 * n + 1) & 1 ? y : 0;
%   end
    store_shared(${further(shape.p, "p_lane", "n")} + (m * 16 + q % 2 * 8) * ${16 * shape.p.pitch}, pack_${kind}(x, y));
}

% end
% local lanes = include("templates/common/lanes.cu.t", { code = code, places = places, packs = packs, tails = tails, sum = sum })
% local row_values, pass, sum_pass, launch_values, head_values = lanes.row_values, lanes.pass, lanes.sum_pass, lanes.launch_values, lanes.head_values
% local dropout = include("templates/common/dropout.cu.t", { packs = packs, places = places })
% local dropout_values, decide = dropout.values, dropout.decide
% local ends = include("templates/common/finish.cu.t", { places = places, dropout = dropout, warps = body.side_warps })
% local finish = ends.finish
% local KEY_BLOCKS, ROW_BLOCKS = ("((%s + KEYS - 1) / KEYS)"):format(SK), ("((%s + ROWS - 1) / ROWS)"):format(SQ)
% if classes then
%   include("templates/common/classify.cu.t", { code = code, places = places, lanes = lanes, classes = classes, warps = body.side_warps,
%     run = body.side_tiles, key_blocks = KEY_BLOCKS, row_blocks = ROW_BLOCKS })
% end
% -- S = Q K^T for a warp's part of a tile; `loads` are made a share at a time, between the products.
% local rounded = p.d < 64 and "true" or "false" -- errors of a score may grow with sqrt(d)
% local function multiply_k(loads)
%   if split then
            float small[FRAGMENTS][KEY_TILES][4];
%   end
#pragma unroll
            for (int m = 0; m < FRAGMENTS; m++)
#pragma unroll
                for (int n = 0; n < KEY_TILES; n++)
#pragma unroll
                    for (int x = 0; x < 4; x++) score[m][n][x] = ${split and "small[m][n][x] = " or ""}0;
#pragma unroll
            for (int x = 0; x < STEPS; x++) {
                u32 left[FRAGMENTS][4];
#pragma unroll
                for (int m = 0; m < FRAGMENTS; m++) {
%   if cfg.held > 0 then
                    if (x < HELD) {
                        for (int y = 0; y < 4; y++) left[m][y] = query[m][x < HELD ? x : 0][y];
                        continue;
                    }
%   end
                    load_matrices(left[m], ${further(shape.q, "q_lane", "2 * x")} + m * 16 * ${16 * shape.q.pitch});
                }
#pragma unroll
                for (int n = 0; n < KEY_TILES; n += 2) {
                    u32 right[4];
                    load_matrices(right, ${further(shape.k, "k_here", "2 * x")} + n * 8 * ${16 * shape.k.pitch});
#pragma unroll
                    for (int m = 0; m < FRAGMENTS; m++) {
%   if split then
                        mma_split<${rounded}>(score[m][n], small[m][n], left[m], right[0], right[1]);
                        mma_split<${rounded}>(score[m][n + 1], small[m][n + 1], left[m], right[2], right[3]);
%   else
                        mma_${kind}(score[m][n], left[m], right[0], right[1]);
                        mma_${kind}(score[m][n + 1], left[m], right[2], right[3]);
%   end
                    }
                }
%   if loads then
                /* The next tile comes in small steps, between the products. */
                ${table.concat(loads, "\n")}
%   end
            }
%   if split then
#pragma unroll
            for (int m = 0; m < FRAGMENTS; m++)
#pragma unroll
                for (int n = 0; n < KEY_TILES; n++)
#pragma unroll
                    for (int x = 0; x < 4; x++) if (fabsf(score[m][n][x]) < INF) score[m][n][x] += small[m][n][x]; /* else a rest is no number */
%   end
% end
% local strides_test
% for _, field in ipairs(lanes.strides) do
%   strides_test = (strides_test and strides_test .. " && " or "") .. field .. " == 1"
% end
% -- S becomes the scores; which of them dropout keeps.
% local function finish_scores()
%   local function scores_pass()
%     pass("score", function(value) return ("fmaf(%s, unit, -base[r])"):format(value) end)
%   end
%   if has_score then
        /* Exponents where that is what scores are to become, else scores. */
        const float unit = exponents ? LOG2E : 1;
        float base[OWN];
#pragma unroll
        for (int r = 0; r < OWN; r++) base[r] = exponents ? level[r] : 0;
%   end
%   local sum_test = "exponents"
%   if sum and sum.sided then sum_test = sum_test .. " && (away <= 1 - WARP_ROWS / 2 - SPAN || away >= WARP_ROWS / 2 - 1)" end
%   if strides_test then sum_test = sum_test .. " && unit_strides" end
%   if sum and sum.slope then
        const int away = j0 - anchor; /* the tile's keys are before or behind all rows' places, or between them */
%   end
%   if has_score and not sum then
        {
%     scores_pass()
        }
%   end
%   if sum and not masks then
        if (${sum_test}) {
%     sum_pass()
        } else {
%     scores_pass()
        }
%   end
%   if masks then
        {
%     local tests = {}
%     if tails then tests[#tests + 1] = ("j0 + SPAN <= %s"):format(sk) end
%     if classes then
%       tests = { "all" }
%     elseif not bounds.always then
            const int j1 = min_i(j0 + SPAN, ${sk}) - 1, i0 = ${packs and "warp_row / GROUP" or "warp_row"}, i1 = ${packs and ("(min_i(warp_row + WARP_ROWS, %s) - 1) / GROUP"):format(rows_all) or ("min_i(warp_row + WARP_ROWS, %s) - 1"):format(rows_all)};
            (void)i0, (void)i1;
%       tests[#tests + 1] = "j0 >= full_first && j1 < full_last"
%       if bounds.full then tests[#tests + 1] = "(" .. bounds.full .. ")" end
%     end
            const bool full = ${table.concat(tests, " && ")};
%     if sum then
            if (full && ${sum_test}) {
%       sum_pass()
            } else {
%       scores_pass()
            }
%     end
            if (!full) {
%     if classes and not needs_key then
            const int j0 = (int)list[0];
%     end
%     pass("keep")
            }
        }
%   end
%   if p.dropout and (split or paired) then
%     if not paired then
        u32 kept[OWN];
%     end
#pragma unroll
        for (int r = 0; r < OWN; r++) kept[r] = 0;
#pragma unroll
        for (int x = 0; x < KEY_TILES / 2; x++) {
            u32 word[FRAGMENTS][4];
%     decide("x")
#pragma unroll
            for (int r = 0; r < OWN; r++) kept[r] |= kept_of(word[r / 2][r % 2], word[r / 2][2 + r % 2], drop.least) << 4 * x;
        }
%   end
% end
% -- Whether some score is more than O can take.
% local function grow()

        /* O is rescaled only where some score has grown by 2^${slack} or more over the peak: what is left out cancels. */
        bool grows = ${has_score and "!exponents" or "false"};
%   if has_score then
        /* Floats from 0 on are in the order of their bits as integers, and those below 0 are below. */
        int most_of[OWN], most = __float_as_int(-INF);
#pragma unroll
        for (int r = 0; r < OWN; r++) {
            most_of[r] = __float_as_int(score[r / 2][0][r % 2 * 2]);
#pragma unroll
            for (int n = 0; n < KEY_TILES; n++) most_of[r] = max_i(max_i(most_of[r], __float_as_int(score[r / 2][n][r % 2 * 2])), __float_as_int(score[r / 2][n][r % 2 * 2 + 1]));
        }
#pragma unroll
        for (int r = 0; r < OWN; r++) most = max_i(most, most_of[r]);
        grows = grows | (most > __float_as_int(${f32(slack)}));
%   elseif cfg.test == "int" then
        /* Floats from 0 on are in the order of their bits as integers, and those below 0 are below; where the limit is
         * less, O is rescaled every time. */
#pragma unroll
        for (int r = 0; r < OWN; r++) {
            int most = __float_as_int(score[r / 2][0][r % 2 * 2]);
#pragma unroll
            for (int n = 0; n < KEY_TILES; n++) most = max_i(max_i(most, __float_as_int(score[r / 2][n][r % 2 * 2])), __float_as_int(score[r / 2][n][r % 2 * 2 + 1]));
            grows = grows | (most > __float_as_int(limit[r])) | (limit[r] < 0);
        }
%   else
        float most[OWN];
#pragma unroll
        for (int r = 0; r < OWN; r++) {
            most[r] = -INF;
#pragma unroll
            for (int n = 0; n < KEY_TILES; n++) most[r] = fmaxf(most[r], fmaxf(score[r / 2][n][r % 2 * 2], score[r / 2][n][r % 2 * 2 + 1]));
            grows = grows | (most[r] > limit[r]);
        }
%   end
% end
% -- A row's largest score, of this lane and those beside it.
% local function largest()
%   if cfg.test == "int" then
                float best = -INF;
#pragma unroll
                for (int n = 0; n < KEY_TILES; n++) best = fmaxf(best, fmaxf(score[r / 2][n][r % 2 * 2], score[r / 2][n][r % 2 * 2 + 1]));
%   else
                float best = most[r];
%   end
                best = fmaxf(best, exchange(best, 1));
                best = fmaxf(best, exchange(best, 2));
% end
% -- Row r's largest score so far rises to `best`; `to`: by what all before shrinks.
% local function climb(indent, to, best)
%   if has_score then
${indent}float taken, unit, base;
${indent}${to} = climb(level[r], far, 1u << r, exponents, ${best}, taken, unit, base);
#pragma unroll
${indent}for (int n = 0; n < KEY_TILES; n++)
#pragma unroll
${indent}    for (int x = r % 2 * 2; x < r % 2 * 2 + 2; x++) score[r / 2][n][x] = fmaf(score[r / 2][n][x] - taken, unit, -base);
%   else
${indent}${to} = rise(top[r], peak[r], ${best}, factor);
${indent}limit[r] = limit_of(top[r], slack, factor);
%     lanes.take_top(indent)
%   end
% end
% local function settle_exponents(indent)
%   if has_score then
${indent}exponents = !any_lane(far != 0)${sum and sum.slope and " && fabsf(slope2) < 0x1p96f" or ""};
%   end
% end
extern "C" __global__ void __launch_bounds__(THREADS, ${body.resident_of(cfg, p, dev)}) attention(const __grid_constant__ struct args a)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
% launch_values("score", "keep", "diagonal", "slope", "rest", "curve")
% if has_score then
    const float scale = (float)a.scale;
%   if sum and sum.curve.name == "s" then
    const float scale2 = (float)(a.scale * ${f64(1.4426950408889634)});
%   end
% else
    /* To base 2. Its sign goes into Q, so that the largest product is the largest score. */
    const float scale = (float)(a.scale * ${f64(1.4426950408889634)}), factor = fmaxf(fabsf(scale), 0x1p-126f);
% end
% dropout_values()

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
% head_values("score", "keep", "diagonal", "slope", "rest", "curve")
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
%   local lanes = shares[name].lanes
    const int ${name}_row = (int)threadIdx.x / ${lanes};
    const u32 ${name}_own = ${at(rows_of[name], name .. "_row", ("threadIdx.x %% %d"):format(lanes))};
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
% if strides_test then
    const bool unit_strides = ${strides_test};
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
%   multiply_k(spread and {
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
%   finish_scores()
            }
%   grow()
            grown = pair_any(grows, group);
            if (grown) {
                float best_of[OWN];
#pragma unroll
                for (int r = 0; r < OWN; r++) {
%   largest()
                    best_of[r] = best;
                    if (lane % 4 == 0) store_shared(row_at + (warp * WARP_ROWS + r / 2 * 16 + r % 2 * 8 + lane / 4) * 4, (u32)__float_as_int(best));
                }
                pair_barrier(group);
% if not has_score then
                const float slack = __fdividef(${slack}, factor);
% end
#pragma unroll
                for (int r = 0; r < OWN; r++) {
                    const float other = __int_as_float((int)load_shared(row_at + ((warp ^ 1) * WARP_ROWS + r / 2 * 16 + r % 2 * 8 + lane / 4) * 4));
%   climb("                    ", "shrink[r]", "fmaxf(best_of[r], other)")
                    sum[r] *= shrink[r];
                }
%   settle_exponents("                ")
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
%   multiply_k(spread and {
%     stage_k("k_next", "next", ("x * %d / STEPS"):format(K_SHARES), ("(x + 1) * %d / STEPS"):format(K_SHARES), wanted),
%     stage_v("v_next", "next", ("x * %d / STEPS"):format(V_SHARES), ("(x + 1) * %d / STEPS"):format(V_SHARES), wanted) })
        }
%   if spread then
        commit_copies();
%   end
% else
        if (works) {
%   multiply_k()
        }
        barrier(); /* K is done with */
        ${stage_k("k_at", "next", "0", K_SHARES, wanted)}
        commit_copies();
        wait_copies<1>();
        barrier(); /* V is here */
        if (!works) continue;
% end
% finish_scores()
% grow()
        if (any_lane(grows)) {
% if not has_score then
            const float slack = __fdividef(${slack}, factor);
% end
#pragma unroll
            for (int r = 0; r < OWN; r++) {
% largest()
% climb("                ", "const float shrink", "best")
                sum[r] *= shrink;
#pragma unroll
                for (int n = 0; n < COLUMN_TILES; n++) o[r / 2][n][r % 2 * 2] *= shrink, o[r / 2][n][r % 2 * 2 + 1] *= shrink;
            }
% settle_exponents("            ")
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
                weight = exp2_fast(${exponent("weight")});
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
% decide("x")
% end
#pragma unroll
            for (int u = 0; u < 4 * FRAGMENTS; u++) {
                const int m = u / 4, q = u % 4, n = 2 * x + q / 2, r = 2 * m + q % 2;
                const float y = exp2_fast(${exponent("score[m][n][q % 2 * 2]")});
                const float z = exp2_fast(${exponent("score[m][n][q % 2 * 2 + 1]")});
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
% finish("        ", "sum[r]", "top[r]", "peak[r]", packs and "(hk * GROUP + row % GROUP)" or "h", "row >= " .. rows_all, ("row < %s && lane %% 4 == 0%s"):format(some_rows, paired and " && warp % 2 == 0" or parts and " && first_column == 0" or ""), p.lse and places:row("lse"))
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
