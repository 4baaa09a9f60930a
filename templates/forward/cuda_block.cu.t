% -- What a block of a tensor-core kernel works on, with the facts of cuda_facts.lua. Comes in: p, cfg, lanes. Gives functions
% -- that write: scale, what scores are multiplied by; task, which tile of which head; tensors, where its sequence's rows of Q,
% -- K and V are; seen, which keys its rows see; see, which of these some of them do.
% local function scale()
%   if has_score then
    const float scale = (float)a.scale;
%     if sum and sum.curve.name == "s" then
    const float scale2 = (float)(a.scale * ${f64(1.4426950408889634)});
%     end
%   else
    /* To base 2. Its sign goes into Q, so that the largest product is the largest score. */
    const float scale = (float)(a.scale * ${f64(1.4426950408889634)}), factor = fmaxf(fabsf(scale), 0x1p-126f);
%   end
% end
% -- The block's head and the first of its rows; it ends where that is none.
% local function task()
    /* Which tile of which head: ${p.causal and "those of the last rows, which see most keys, go first" or "tile by tile through the heads of a section"}. */
%   local tiles = p.sq and tostring(ceildiv(math.max(p.sq, 1) * (packs and group or 1), shape.rows)) or "tiles"
%   if not p.sq then
    const int tiles = (${places:times_group(SQ)} + ROWS - 1) / ROWS;
%   end
    const int task = (int)blockIdx.x${parts and " / PARTS" or ""}${splits and " / SPLITS" or ""};
%   if splits then
    const int share_of_keys = (int)blockIdx.x${parts and " / PARTS" or ""} % SPLITS;
%   end
%   if parts then
    const int first_column = (int)blockIdx.x % PARTS * COLUMNS, columns = min_i(COLUMNS, DV - first_column);
%   end
%   if cfg.section == 1 then
    const int head = task / ${tiles}, nth = task % ${tiles};
%   else
%     -- With packed heads there are 2^27 tiles or less.
%     local wide = packs and (not p.sq or cfg.section * math.tointeger(tonumber(tiles)) >= 1 << 31)
    const ${wide and "u32" or "int"} of_section = ${wide and "(u32)" or ""}SECTION * ${tiles};
    const int section = task / of_section, place_in = task % of_section;
    const int together = min_i(SECTION, ${B} * ${HEADS} - section * SECTION);
    const int head = section * SECTION + place_in % together, nth = place_in / together;
%   end
    const int tile = ${p.causal and tiles .. " - 1 - nth" or "nth"};
%   if packs then
    const int hk = head % HKV, b = head / HKV;
%   else
    const int h = head % HQ, b = head / HQ${group == 1 and ", hk = h" or ", hk = h / GROUP"};
    (void)h;
%   end
    (void)b;
%   lanes.head_values("score", "keep", "diagonal", "slope", "rest", "curve")
    const int first_row = tile * ROWS;
%   if packed then
    if (first_row >= ${rows_all}) return;
%   end
% end
% local function tensors(indent)
${indent}const ${p.dtype} *q = ${places:base("q", q_head, "(i64)a.cu_q[b]")};
${indent}const ${p.kvdtype} *k = ${places:base("k", "hk", "(i64)a.cu_k[b]")};
${indent}const ${p.kvdtype} *v = ${places:base("v", "hk", "(i64)a.cu_k[b]")}${parts and " + first_column" or ""};
%   if paged then
${indent}const i32 *table = a.table + b * a.table_b;
%   end
% end
% -- Where there are rows from `row` on, what their positions i0 to i1 say; `said`: variables and their texts.
% local function see(row, count, said)
    if (${row} < ${rows_all}) {
        const int ${places:positions(row, count)};
        (void)i0, (void)i1;
%   for name, text in pairs(said) do
        ${name} = ${text};
%   end
    }
% end
% local function seen()
%   if classes then
    /* The tiles that the block's rows see: how many, and an entry for each (see `collect`). */
    const u32 *list = a.seen + 2 * (((i64)${classes.b and (classes.h and "head" or "b") or (classes.h and "h" or "0")} * ${ROW_BLOCKS} + tile) * (${KEY_BLOCKS} + 1 + SPARE) + 1);
%   else
    /* Keys [from, to) are all that the block's rows see. */
%     if bounds.always then
    ${splits and "" or "const "}int from = 0, to = ${padded and ("first_row < %s ? sk : 0"):format(rows_all) or sk};
%     else
    int from = 0, to = 0;
%       see("first_row", "ROWS", { from = first_seen == "0" and "0" or first_seen .. " / KEYS * KEYS", to = last_seen })
%     end
%   end
% end
% return { scale = scale, task = task, tensors = tensors, seen = seen, see = see }
