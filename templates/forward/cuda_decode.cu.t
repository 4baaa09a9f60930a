% -- Attention forward for few query rows on tensor cores. Comes in: p (a problem that forward/cuda_decode.lua takes), cfg
% -- (its config), dev, variant, slots.
% assert(cfg.keys % 16 == 0 and cfg.rows % 16 == 0, "a warp's rows and keys are whole fragments")
% assert(cfg.stages > 1, "keys come while those before them are worked on")
% assert(p.align >= 4 and p.d % 2 == 0 and p.dv % 2 == 0 and p.kvdtype == p.dtype, "K and V come in the background, as they are multiplied")
%
% local body, chunks = require "templates.forward.cuda_decode", require "templates.common.chunks"
% local shape, group, kind = body.shape_of(cfg, p), body.group_of(p), p.dtype
% local at, further = chunks.at, chunks.further
% local packs, splits, paged = group > 1, cfg.splits > 1, p.page > 0
% local whole_pages = paged and p.page % cfg.keys == 0 -- a warp's keys are of one page
% local by_row = paged and not whole_pages
%
% local places = require("templates.common.places").new(p, packs)
% local sk, rows_all = places.sk, places.rows
% local function position(row) return packs and ("(int)(%s / GROUP)"):format(row) or row end
% local has_score = variant.score.name ~= "s"
% local code = variant:code(packs and { levels = { h = "row" } } or {})
% local bounds = variant:tiles(packs and { levels = { h = "row" } } or {})
% -- A bound that differs by head says nothing of packed heads.
% local function by_head(name) return packs and bounds[name] and bounds[name]:find("%f[%w_]h%f[^%w_]") end
% local first_key, last_key = not by_head("first") and bounds.first or "0", not by_head("last") and bounds.last or sk
% local some_full = not (by_head("full_first") or by_head("full_last") or by_head("full"))
% local tails = p.lens ~= false or not p.sk or p.sk % cfg.keys ~= 0 -- a warp's keys may reach beyond the last one
%
% local need = { load_matrices = true, load_transposed = true, load_shared4 = true, hide = tails or not bounds.always, same_in_all = p.dropout, store_shared2 = true, copy_async = true, any_lane = true,
%   warp_barrier = true, store_shared4 = cfg.held == 0, exchange_bits = p.dropout and not packs and not p.shard, keep_pair = p.dropout,
%   load_shared = splits, store_shared = splits, load_global4 = splits, store_global4 = splits, count_blocks = splits,
%   ["mma_" .. kind] = true, ["pack_" .. kind] = true }
% if p.odtype ~= "f32" then need["pack_" .. p.odtype] = true end
% if p.lse then need.log_r = true end
% for _, uses in ipairs { code.uses, bounds.uses } do
%   for name in pairs(uses) do need[name] = true end
% end
%
% local function size(name, n) return n and name .. " = " .. n .. ", " or "" end
% local sizes = size("B", p.b) .. size("SQ", p.sq) .. size("SK", p.sk)
%
/* softmax(q k^T) v for ${p.text}
 * A block has ROWS query rows of ${packs and "a key head: row r is query head r % GROUP, position r / GROUP" or "a head"}${splits and ", and one of SPLITS parts of its keys" or ""}. A warp takes KEYS keys
 * at a time, which it brings itself to a ring of its own; what warps have of a row is joined in the end.${has_score and "" or " Scores are in base 2."}
 *
 *     for each KEYS keys j of the warp, while its next ones come:
 *         S = Q K_j^T, S = score(S) where mask
 *         P = exp(S - peak), sum = sum + P 1, O = O + P V_j       where S has outgrown the peak, O and sum shrink first
 *     O, peak, sum of a row = those of all warps joined${splits and "; the last block joins those of all blocks" or ""}
 *
 * A fragment has 16 rows; a lane has row lane / 4 of each 8, and of 8 columns two, 2 (lane % 4) and the next. */
% include("templates/common/types.cu.t", { loose = places:some_loose() and p.align })

enum {
    ${sizes}HQ = ${p.hq}, HKV = ${p.hkv}, GROUP = ${group}, D = ${p.d}, DV = ${p.dv},
% if paged then
    PAGE = ${p.page}, /* keys */
% end
    WARPS = ${cfg.warps}, THREADS = 32 * WARPS, SPLITS = ${cfg.splits}, /* of a block; blocks that share the keys */
    FRAGMENTS = ${cfg.rows // 16}, ROWS = 16 * FRAGMENTS, LIVE = ${shape.live}, OWN = (LIVE + 7) / 8, /* rows; that may be there; a lane's */
    KEYS = ${cfg.keys}, KEY_TILES = KEYS / 8, FAR = WARPS * KEYS, /* of a warp at a time; from those to its next */
    STEPS = ${shape.k.chunks // 2}, COLUMNS = ${shape.columns}, COLUMN_TILES = COLUMNS / 8, /* of a product with K; of O */
    STAGES = ${cfg.stages}, AHEAD = STAGES - 1, /* of a warp's ring; that come */
    Q_BYTES = ${shape.q_bytes}, K_BYTES = ${shape.k_bytes}, STAGE = ${shape.stage}, /* of Q; of a stage: of K, and in all */
    PITCH = ${shape.pitch}, QUADS = (COLUMNS + 127) / 128, /* numbers of a part of a row: O, top, sum; fours of a lane */
};

% include("templates/common/args.c.t", { slots = slots })

#define LN2 ${f32(0.6931471805599453)}
% include("templates/common/ptx.cu.t", { need = need })
% include("templates/common/math.cu.t", { need = need })
% include("templates/common/peak.cu.t", { exponents = false })
% if places.row_type == "i64" then
DEVICE i64 min_i(i64 a, i64 b) { return a < b ? a : b; }
% end
% if p.dropout then
%   include("templates/common/philox.cu.t", { words = true })
% end

% -- ---- Bringing keys ----
% -- A lane has a chunk in each `lanes` chunks of a row, and of each `rows` rows one.
% local brings = { k = { row = shape.k, share = shape.k_share, columns = "D" }, v = { row = shape.v, share = shape.v_share, columns = "DV" } }
% for _, name in ipairs { "k", "v" } do
%   local row, share, columns = brings[name].row, brings[name].share, p[name == "k" and "d" or "dv"]
%   local whole, turns = columns * 2 == row.chunks * 16, ceildiv(cfg.keys, share.rows)
%   -- Bytes of a copy: as many as pointers are aligned to and rows are whole multiples of.
%   local piece = math.min(p.align, 16, columns * 2 & -(columns * 2))
%   local function column(n)
%     return whole and "" or (" && (lane %% %d + c * %d) * 8 + %s < %s"):format(share.lanes, share.lanes, n, brings[name].columns)
%   end
%   local inside = tails and ("turn * %d < rows"):format(share.rows) or "true"
%   -- Rows of the next turn are permuted otherwise, where a turn has fewer than 8.
%   local place = (row.swizzled and share.rows % 8 ~= 0 and ("(to ^ turn * %d %% 8 * 16)"):format(share.rows) or "to")
%     .. (" + turn * %d + c * %d"):format(share.rows * 16 * row.pitch, 16 * share.lanes)
/* This lane's chunks of KEYS rows of ${name:upper()}, ${by_row and "whose pages the table tells" or "from the first on, those of another row `step` further on"}.
 * Rows from `rows` on, counted from the lane's first one, are zeros, and columns beyond the last. */
%   if by_row then
DEVICE void bring_${name}(u32 to, const ${kind} *${name}, const struct args &a, const i32 *table, int j0, int rows, int lane)
%   else
DEVICE void bring_${name}(u32 to, const ${kind} *from, i64 step, int rows, int lane)
%   end
{
#pragma unroll
    for (int turn = 0; turn < ${turns}; turn++) {
        const bool inside = ${inside};
%   if by_row then
        const int j = inside ? j0 + turn * ${share.rows} : j0 + min_i(rows - 1, 0);
        const ${kind} *row = ${name} + table[j / PAGE] * a.${name}_p + j % PAGE * a.${name}_s;
%   else
        const ${kind} *row = from + turn * step;
%   end
#pragma unroll
        for (int c = 0; c < ${share.pieces}; c++)
%   if piece == 16 then
            copy_async<16>(${place}, row + c * ${8 * share.lanes}, inside${column("0")} ? 16 : 0, true);
%   else
#pragma unroll
            for (int x = 0; x < 16; x += ${piece})
                copy_async<${piece}>(${place} + x, row + c * ${8 * share.lanes} + x / 2, inside${column("x / 2")} ? ${piece} : 0, true);
%   end
    }
}

% end
% local lanes = include("templates/common/lanes.cu.t", { code = code, places = places, packs = packs, tails = tails, sum = false })
% local dropout = include("templates/common/dropout.cu.t", { packs = packs, places = places, philox_at = false })
% local ends = include("templates/common/finish.cu.t", { places = places, dropout = dropout })
% -- The warp's next keys into a place of the ring; the first of the keys after them.
% local function bring(indent, to, page)
${indent}if (coming < part_to) {
%   for _, name in ipairs { "k", "v" } do
%     local to_own = to .. (name == "v" and " + K_BYTES" or "") .. (" + %s_own"):format(name)
%     local rows = ("%s - coming - %s_row"):format(sk, name)
%     if whole_pages then
${indent}    bring_${name}(${to_own}, ${name}_from + ${page} * a.${name}_p + coming % PAGE * a.${name}_s, ${name}_step, ${rows}, lane);
%     elseif paged then
${indent}    bring_${name}(${to_own}, ${name}_from, a, table, coming + ${name}_row, ${rows}, lane);
%     else
${indent}    bring_${name}(${to_own}, ${name}_from, ${name}_step, ${rows}, lane);
%     end
%   end
${indent}}
${indent}commit_copies();
${indent}coming += FAR;
%   if not paged then
${indent}k_from += FAR * a.k_s, v_from += FAR * a.v_s;
%   end
% end
% -- Of Q's columns from 16 x on what a lane has as a fragment, words[m][..]: of either half two, of its rows.
% local function fragment(indent, words, x)
#pragma unroll
${indent}for (int r = 0; r < 2 * FRAGMENTS; r++)
#pragma unroll
${indent}    for (int half = 0; half < 2; half++) {
${indent}        u32 &pair = ${words}[half * 2 + r % 2];
${indent}        pair = 0;
${indent}        if (r >= OWN) continue;
%   local there, place = ("first_row + 8 * r + lane / 4 < %s"):format(rows_all), ("%s * 16 + half * 8"):format(x)
${indent}        if (${there}${p.d % 16 == 0 and "" or (" && %s + lane %% 4 * 2 < D"):format(place)}) pair = *(const u32 *)(from_row[r] + ${place})${has_score and "" or " ^ signs"};
${indent}    }
% end
% -- S = Q K^T for the warp's keys.
% local function multiply_k()
% local left = cfg.held == 1 and "query[m][x]" or "left[m]"
        float score[FRAGMENTS][KEY_TILES][4];
#pragma unroll
        for (int m = 0; m < FRAGMENTS; m++)
#pragma unroll
            for (int n = 0; n < KEY_TILES; n++)
#pragma unroll
                for (int x = 0; x < 4; x++) score[m][n][x] = 0;
#pragma unroll
        for (int x = 0; x < STEPS; x++) {
% if cfg.held == 0 then
            u32 left[FRAGMENTS][4];
#pragma unroll
            for (int m = 0; m < FRAGMENTS; m++) load_shared4(left[m], q_lane + (x * FRAGMENTS + m) * 512);
% end
#pragma unroll
            for (int n = 0; n < KEY_TILES; n += 2) {
                u32 right[4];
                load_matrices(right, ${further(shape.k, "(here + k_lane)", "2 * x")} + n * 8 * ${16 * shape.k.pitch});
#pragma unroll
                for (int m = 0; m < FRAGMENTS; m++) {
                    mma_${kind}(score[m][n], ${left}, right[0], right[1]);
                    mma_${kind}(score[m][n + 1], ${left}, right[2], right[3]);
                }
            }
        }
% end
% -- S becomes the scores; -inf where the mask hides.
% local function finish_scores()
% if has_score then
        {
%   lanes.pass("score")
        }
% end
% if tails or not bounds.always then
%   local tests = {}
%   if tails then tests[#tests + 1] = ("j0 + KEYS <= %s"):format(sk) end
        {
%   if not bounds.always then
            const int j1 = min_i(j0 + KEYS, ${sk}) - 1;
%     tests[#tests + 1] = "j0 >= full_first && j1 < full_last"
%     if some_full and bounds.full then tests[#tests + 1] = "(" .. bounds.full .. ")" end
%   end
            if (!(${table.concat(tests, " && ")})) {
%   lanes.pass("keep")
            }
        }
% end
% end
% local function grow()

        /* O is rescaled only where some score has grown by 2^8 or more over the peak: what is left out cancels. */
        bool grows = false;
        float most[OWN];
#pragma unroll
        for (int r = 0; r < OWN; r++) {
            most[r] = -INF;
#pragma unroll
            for (int n = 0; n < KEY_TILES; n++) most[r] = fmaxf(most[r], fmaxf(score[r / 2][n][r % 2 * 2], score[r / 2][n][r % 2 * 2 + 1]));
            grows = grows | (most[r] > limit_of(top[r], slack, factor));
        }
        if (any_lane(grows)) {
#pragma unroll
            for (int r = 0; r < OWN; r++) {
                float best = fmaxf(most[r], exchange(most[r], 1));
                best = fmaxf(best, exchange(best, 2));
                const float shrink = rise(top[r], peak[r], best, factor);
                sum[r] *= shrink;
% lanes.take_top("                ")
#pragma unroll
                for (int n = 0; n < COLUMN_TILES; n++) o[r / 2][n][r % 2 * 2] *= shrink, o[r / 2][n][r % 2 * 2 + 1] *= shrink;
            }
        }
% end
% -- S becomes the weights, 16 keys at a time, which are summed up and multiplied with V.
% local function multiply_v()

        float part[OWN]; /* a turn's sum is on its own first: errors grow with the turns, not with the keys */
#pragma unroll
        for (int r = 0; r < OWN; r++) part[r] = 0;
#pragma unroll
        for (int x = 0; x < KEY_TILES / 2; x++) {
            u32 weight[FRAGMENTS][4];
% if p.dropout then
            u32 word[FRAGMENTS][4];
%   dropout.decide()
% end
#pragma unroll
            for (int u = 0; u < 4 * FRAGMENTS; u++) {
                const int m = u / 4, q = u % 4, n = 2 * x + q / 2, r = 2 * m + q % 2;
                weight[m][q] = 0;
                if (r >= OWN) continue;
                const float y = exp2_fast(fmaf(score[m][n][q % 2 * 2], factor, -peak[r]));
                const float z = exp2_fast(fmaf(score[m][n][q % 2 * 2 + 1], factor, -peak[r]));
                part[r] += y + z;
                weight[m][q] = pack_${kind}(y, z);
%   if p.dropout then
                keep_pair(weight[m][q], word[m][q], drop.least);
%   end
            }
#pragma unroll
            for (int n = 0; n < COLUMN_TILES; n += 2) {
                u32 right[4];
                load_transposed(right, ${further(shape.v, "(here + v_lane)", "n")} + x * 16 * ${16 * shape.v.pitch});
#pragma unroll
                for (int m = 0; m < FRAGMENTS; m++) {
                    mma_${kind}(o[m][n], weight[m], right[0], right[1]);
                    mma_${kind}(o[m][n + 1], weight[m], right[2], right[3]);
                }
            }
        }
#pragma unroll
        for (int r = 0; r < OWN; r++) sum[r] += part[r];
% end
% -- What parts of a row have: O's columns of this lane, the row's top, peak and sum. load(indent, to, x, column): four
% -- numbers of part x.
% local function join(count, load)
%   local rounds = ceildiv(count, 16 // ceildiv(shape.columns, 128))
%   local at_once = count // rounds
%   assert(at_once * rounds == count, "parts come in equal rounds")
        float top = -INF, peak = 0, sum = 0, all[4 * QUADS] = {};
%   if rounds > 1 then
#pragma unroll 1
        for (int first = 0; first < ${count}; first += ${at_once}) {
%   else
        {
            const int first = 0;
%   end
            u32 end[${at_once}][4], value[${at_once}][QUADS][4];
#pragma unroll
            for (int x = 0; x < ${at_once}; x++) {
%   load("                ", "end[x]", "(first + x)", "COLUMNS")
#pragma unroll
                for (int n = 0; n < QUADS; n++) {
                    const int column = min_i((n * 32 + lane) * 4, COLUMNS);
%   load("                    ", "value[x][n]", "(first + x)", "column")
                }
            }
            float most = top;
#pragma unroll
            for (int x = 0; x < ${at_once}; x++) most = fmaxf(most, __int_as_float((int)end[x][0]));
            peak = most == -INF ? 0 : most;
            const float shrink = exp2_fast(top - peak);
            top = most, sum *= shrink;
#pragma unroll
            for (int n = 0; n < 4 * QUADS; n++) all[n] *= shrink;
#pragma unroll
            for (int x = 0; x < ${at_once}; x++) {
                const float weight = exp2_fast(__int_as_float((int)end[x][0]) - peak);
                sum = fmaf(weight, __int_as_float((int)end[x][1]), sum);
#pragma unroll
                for (int n = 0; n < 4 * QUADS; n++) all[n] = fmaf(weight, __int_as_float((int)value[x][n / 4][n % 4]), all[n]);
            }
        }
% end
% local function of_warps(indent, to, x, column)
${indent}load_shared4(${to}, parts_at + (nth * PITCH + ${column}) * 4 + ${x} * (4 * LIVE * PITCH));
% end
% local function of_blocks(indent, to, x, column)
${indent}load_global4(${to}, parts + (nth * PITCH + ${column}) + ${x} * (LIVE * PITCH));
% end
% -- What this block has of the row, for the last one.
% local function leave_part()
        f32 *to_part = parts + (split * LIVE + nth) * PITCH;
#pragma unroll
        for (int n = 0; n < QUADS; n++) {
            u32 x[4];
#pragma unroll
            for (int y = 0; y < 4; y++) x[y] = (u32)__float_as_int(all[4 * n + y]);
            if ((n * 32 + lane) * 4 < COLUMNS) store_global4(to_part + (n * 32 + lane) * 4, x);
        }
        const u32 x[4] = { (u32)__float_as_int(top), (u32)__float_as_int(sum), 0, 0 };
        if (lane == 0) store_global4(to_part + COLUMNS, x);
        (void)peak;
% end
% -- The row's O = O / sum${p.lse and ", LSE = peak + log(sum)" or ""}; a row without visible keys has ${p.lse and "0 and -inf" or "0"}.
% local some_rows = p.lens == "padded" and places:times_group(places.SQ) or rows_all
% local function leave()
% ends.finish("        ", "sum", "top", "peak", packs and "(hk * GROUP + row % GROUP)" or "h", "row >= " .. rows_all, "lane == 0", p.lse and places:row("lse"))
        ${p.odtype} *to_row = ${places:row("o", "out")};
#pragma unroll
        for (int n = 0; n < 4 * QUADS; n++) {
            const int column = (n / 4 * 32 + lane) * 4 + n % 4;
            if (column < DV) ${places:element(p.odtype, "to_row", "column")} = ${p.odtype == "f32" and "share_of(all[n], share)" or ("(unsigned short)pack_%s(share_of(all[n], share), 0)"):format(p.odtype)};
        }
% end
extern "C" __global__ void __launch_bounds__(THREADS, ${body.resident_of(cfg, p, dev)}) attention(const __grid_constant__ struct args a)
{
    const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
% lanes.launch_values("score", "keep")
% if has_score then
    const float scale = (float)a.scale, factor = LOG2E;
% else
    /* To base 2. Its sign goes into Q, so that the largest product is the largest score. */
    const float scale = (float)(a.scale * ${f64(1.4426950408889634)}), factor = fmaxf(fabsf(scale), 0x1p-126f);
% end
    const float slack = fminf(8 / factor, 0x1.fffffep127f); /* finite: by how much a score may exceed the row's largest before O is rescaled */
% dropout.values()

    /* Which rows of which head, and which part of their keys. */
% local tiles = p.sq and tostring(ceildiv(math.max(p.sq, 1) * group, cfg.rows)) or "tiles"
% if not p.sq then
    const int tiles = (int)((${places:times_group(places.SQ)} + ROWS - 1) / ROWS);
% end
    const int task = (int)(blockIdx.x / SPLITS)${splits and ", split = (int)(blockIdx.x % SPLITS)" or ""};
    const int hk = task / ${tiles} % HKV, b = task / ${tiles} / HKV;
    const ${places.row_type} first_row = ${places.row_type == "i64" and "(i64)" or ""}(task % ${tiles}) * ROWS, warp_row = first_row;
% if not packs then
    const int h = hk;
    (void)h;
% end
    (void)b, (void)warp_row${p.b and "" or ", (void)b_size"};
% lanes.head_values("score", "keep")
% if p.lens == "packed" then
    if (first_row >= ${rows_all}) return;
% end
    int from = 0, to = ${p.lens == "padded" and ("first_row < %s ? sk : 0"):format(rows_all) or sk};
% if not bounds.always then
    int full_first = 0, full_last = 0; /* keys that all rows see */
    const int i0 = ${position("first_row")}, i1 = ${position(("(min_i(first_row + ROWS, %s) - 1)"):format(rows_all))};
    (void)i0, (void)i1;
    if (first_row < ${rows_all}) {
        from = ${first_key ~= "0" and ("max_i(0, %s) / KEYS * KEYS"):format(first_key) or "0"};
        to = ${last_key ~= sk and ("min_i(%s, %s)"):format(sk, last_key) or sk};
        full_first = ${some_full and bounds.full_first or "0"};
        full_last = ${some_full and (bounds.full_last or sk) or "0"};
    }
% end
% if splits then
    const int keys_each = (max_i(to - from, 0) + SPLITS * KEYS - 1) / (SPLITS * KEYS) * KEYS;
    const int part_from = from + split * keys_each, part_to = min_i(to, part_from + keys_each);
% else
    const int part_from = from, part_to = to;
% end

    /* The warp's keys: those that come next, this lane's first chunk of each of K and V, and of a stage. */
    const u32 ring = shared_base() + Q_BYTES + warp * (STAGES * STAGE);
    int coming = part_from + warp * KEYS;
% if paged then
    const i32 *table = a.table + b * a.table_b;
% end
% for _, name in ipairs { "k", "v" } do
%   local share = brings[name].share
    const int ${name}_row = lane / ${share.lanes};
    const u32 ${name}_own = ${at(brings[name].row, name .. "_row", ("lane %% %d"):format(share.lanes))};
%   local first = not by_row and (" + (i64)(%s%s_row) * a.%s_s"):format(paged and "" or "coming + ", name, name) or ""
    const ${kind} *${name}_from = ${places:base(name, "hk", "(i64)a.cu_k[b]")} + lane % ${share.lanes} * 8${first};
%   if not by_row then
    const i64 ${name}_step = ${share.rows} * a.${name}_s;
%   end
% end
% if whole_pages then
    int page[STAGES]; /* of the keys that come, looked up before they are asked for */
#pragma unroll
    for (int x = 0; x < STAGES; x++) page[x] = coming + x * FAR < part_to ? table[(coming + x * FAR) / PAGE] : 0;
% end
#pragma unroll
    for (int x = 0; x < AHEAD; x++) {
% bring("        ", "ring + x * STAGE", "page[x]")
    }
% if whole_pages then
    int next_page = page[AHEAD];
% end

    const ${kind} *q = ${places:base("q", packs and "(hk * GROUP)" or "h", "(i64)a.cu_q[b]")};
    const ${kind} *from_row[OWN];
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        const ${places.row_type} row = first_row + 8 * r + lane / 4;
        from_row[r] = ${places:row("q")} + lane % 4 * 2;
    }
% if not has_score then
    const u32 signs = scale < 0 ? 0x80008000 : 0;
% end
% if cfg.held == 1 then
    u32 query[FRAGMENTS][STEPS][4];
#pragma unroll
    for (int x = 0; x < STEPS; x++) {
% fragment("        ", "query[r / 2][x]", "x")
    }
% else
    const u32 q_lane = shared_base() + lane * 16; /* a fragment's words of a lane are next to each other */
    for (int x = warp; x < STEPS; x += WARPS) {
        u32 left[FRAGMENTS][4];
% fragment("        ", "left[r / 2]", "x")
#pragma unroll
        for (int m = 0; m < FRAGMENTS; m++) store_shared4(q_lane + (x * FRAGMENTS + m) * 512, left[m]);
    }
    barrier();
% end

    /* Which bytes a lane names to load fragments: of V, transposed, 16 rows by two chunks; of K the same turned. */
    const u32 k_lane = ${at(shape.k, "lane % 8 + lane / 16 * 8", "lane / 8 % 2")};
    const u32 v_lane = K_BYTES + ${at(shape.v, "lane % 16", "lane / 16")};
    float o[FRAGMENTS][COLUMN_TILES][4] = {};
    float top[OWN], peak[OWN], sum[OWN]; /* top: the largest score */
#pragma unroll
    for (int r = 0; r < OWN; r++) top[r] = -INF, peak[r] = sum[r] = 0;

    u32 here = ring, free = ring + AHEAD * STAGE; /* places in the ring: of these keys, of those before them */
#pragma unroll 1
    for (int j0 = part_from + warp * KEYS; j0 < part_to; j0 += FAR) {
        wait_copies<AHEAD - 1>();
        warp_barrier(); /* these keys are here for all lanes, and no lane needs those before them */
% bring("        ", "free", "next_page")
% if whole_pages then
        next_page = coming < part_to ? table[coming / PAGE] : 0;
% end

% multiply_k()
% finish_scores()
% grow()
% multiply_v()
        free = here;
        here = here == ring + AHEAD * STAGE ? ring : here + STAGE;
    }

    /* Each warp's part of the rows goes where the rings have been. */
    wait_copies<0>();
    barrier();
    const u32 parts_at = shared_base() + Q_BYTES;
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        settle(top[r], peak[r], factor);
        sum[r] += exchange(sum[r], 1);
        sum[r] += exchange(sum[r], 2);
        const int nth = 8 * r + lane / 4;
        const u32 to_part = parts_at + (warp * LIVE + nth) * (4 * PITCH);
        if (nth >= LIVE) continue;
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; n++)
            store_shared2(to_part + (n * 8 + lane % 4 * 2) * 4, (u32)__float_as_int(o[r / 2][n][r % 2 * 2]),
                          (u32)__float_as_int(o[r / 2][n][r % 2 * 2 + 1]));
        if (lane % 4 == 0) store_shared2(to_part + COLUMNS * 4, (u32)__float_as_int(top[r]), (u32)__float_as_int(sum[r]));
    }
    barrier();
    ${p.odtype} *out = ${places:base("o", packs and "(hk * GROUP)" or "h", "(i64)a.cu_q[b]")};
% if p.lse then
    f32 *lse = ${places:base("lse", packs and "(hk * GROUP)" or "h", "(i64)a.cu_q[b]")};
% end
    /* A warp joins a row. */
% if splits then
    f32 *parts = a.partial + (i64)task * (SPLITS * LIVE * PITCH);
    for (int nth = warp; nth < LIVE; nth += WARPS) {
        if (first_row + nth >= ${some_rows}) break;
% join(cfg.warps, of_warps)
% leave_part()
    }

    /* The last of the blocks to come here has all parts before it. */
    barrier();
    if (threadIdx.x == 0) store_shared(parts_at, arrives_last(a.arrived + task, SPLITS));
    barrier();
    if (!load_shared(parts_at)) return;
% end
    for (int nth = warp; nth < LIVE; nth += WARPS) {
        const ${places.row_type} row = first_row + nth;
        if (row >= ${some_rows}) break;
% join(splits and cfg.splits or cfg.warps, splits and of_blocks or of_warps)
% leave()
    }
}
