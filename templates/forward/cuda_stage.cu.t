% -- How Q and tiles of K and V come into shared memory, with the facts of cuda_facts.lua. Comes in: p, cfg.
% -- Gives functions that write: q, which brings a block's rows of Q; own, what of a tile is this thread's; k and v, a call that
% -- brings shares of a tile of K or V; skip, how the next tile's rows are gone to over keys that nobody sees. count: how many
% -- shares K and V have.
% local piece = math.min(p.align, 16)
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
%   local place = (row.swizzled and share.turn % 8 ~= 0 and ("(to ^ %s %% 8 * 16)"):format(r) or "to") .. (" + turn * %d + piece * %d"):format(share.turn * 16 * row.pitch, row.panel or 16 * share.lanes)
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
% -- By so many threads, `unroll` chunks at a time; to `place`, of row r.
% local function bring_q(indent, threads, unroll, place)
#pragma unroll ${unroll}
${indent}for (u32 share = threadIdx.x; share < ROWS * ${shape.q.chunks}; share += ${threads}) {
${indent}    const int r = (int)(share / ${shape.q.chunks}), c = (int)(share % ${shape.q.chunks}), row = ${places:of_fragments("first_row", "r")};
${indent}    stage_q_chunk(${place}, ${places:row("q")} + c * ${per_chunk}, c, row < ${rows_all}, true);
${indent}}
${indent}commit_copies();
% end
% local function own(indent, first_key)
${indent}/* This thread's part of a tile: its first row, where its first chunk goes${paged and "" or " and comes from"}. */
%   for name, share in pairs(shares) do
${indent}const int ${name}_row = (int)threadIdx.x / ${share.lanes};
${indent}const u32 ${name}_own = ${at(shape[name], name .. "_row", ("threadIdx.x %% %d"):format(share.lanes))};
%     if not paged then
${indent}const i64 ${name}_pitch = a.${name}_s * (i64)sizeof *${name};
${indent}const u8 *${name}_from = (const u8 *)(${name} + ${classes and "(i64)" or ""}(${first_key} + ${name}_row) * a.${name}_s + (int)threadIdx.x % ${share.lanes} * ${per_chunk});
%     end
%   end
% end
% return { q = bring_q, own = own, k = stage_k, v = stage_v, skip = skip, count = { k = K_SHARES, v = V_SHARES } }
