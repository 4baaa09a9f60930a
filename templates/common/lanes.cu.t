% -- What a lane does with its part of S: the splice points of the variant. Comes in: p, variant, slots, code
% -- (variant:code), places, packs (as places.new has it), tails (tiles may reach beyond the last key), sum
% -- (variant:summands, its nodes being roots of code) or false.
% --
% -- Gives functions that write text inside of a kernel, where these are: FRAGMENTS of 16 rows from warp_row on, OWN =
% -- 2 FRAGMENTS rows of a lane; KEY_TILES times 8 keys from j0 on; score[FRAGMENTS][KEY_TILES][4]; lane; b, h or hk.
% local rows_all, sk = places.rows, places.sk
% local function declare(t) return "const " .. t.ctype .. (t.ctype:find("%*$") and "" or " ") .. t.name end
% -- The temporaries of a level that these roots need.
% local function temporaries(level, ...)
%   local list = {}
%   for _, t in ipairs(code[level]) do
%     for _, root in ipairs { ... } do
%       if t.roots[root] and list[#list] ~= t then list[#list + 1] = t end
%     end
%   end
%   return ipairs(list)
% end
% -- What a lane's rows give, for these roots.
% local function row_values(indent, roots)
${indent}int i[OWN]${packs and ", h[OWN]" or ""};
%   for _, t in temporaries("row", table.unpack(roots)) do
${indent}${t.type == "pointer" and "const " or ""}${t.ctype}${t.ctype:find("%*$") and "" or " "}${t.name}[OWN];
%   end
#pragma unroll
${indent}for (int r = 0; r < OWN; r++) {
${indent}    const ${places.row_type} row = min_i(${places:of_lane("r")}, ${rows_all} - 1);
${indent}    i[r] = ${packs and "row / GROUP" or "row"};
%   if packs then
${indent}    h[r] = hk * GROUP + row % GROUP;
${indent}    (void)h[r];
%   end
${indent}    (void)i[r];
%   for _, t in temporaries("row", table.unpack(roots)) do
${indent}    ${t.name}[r] = ${t.text};
%   end
${indent}}
% end
% -- One pass over this lane's part of S: the variant's score, or its mask. `finish`: from a score's text to what becomes of it.
% local function pass(root, finish)
%   local scores = root == "score"
%   local rows = scores or code.value.keep
%   if rows then row_values("            ", { root }) end
#pragma unroll
            for (int x = 0; x < 2 * KEY_TILES; x++) {
                const int place = j0 + x / 2 * 8 + lane % 4 * 2 + x % 2;
%   if rows then
                const int j = ${tails and ("min_i(place, %s - 1)"):format(sk) or "place"};
                (void)j;
%     for _, t in temporaries("column", root) do
                ${declare(t)} = ${t.text};
%     end
%   end
#pragma unroll
                for (int r = 0; r < OWN; r++) {
                    float &result = score[r / 2][x / 2][r % 2 * 2 + x % 2];
%   if scores then
                    const float s = result * scale;
%   end
%   if rows then
%     for _, t in temporaries("element", root) do
                    ${declare(t)} = ${t.text};
%     end
%   end
%   local keep = {}
%   if not scores and code.value.keep then keep[1] = "(" .. code.value.keep .. ")" end
%   if not scores and tails then keep[#keep + 1] = "place < " .. sk end
%   if scores then
                    result = ${finish and finish(code.value.score) or code.value.score};
%   else
                    hide(result, !(${table.concat(keep, " && ")}));
%   end
                }
            }
% end
% -- Strides of tensors along keys: a row's elements mostly are next to each other.
% local strides = {}
% for k, name in ipairs(sum and sum.along or {}) do strides[k] = require("templates.common.slots").stride(name, #variant.pool:tensor(name).extent - 1) end
% -- What sum_pass needs. Of scores that lean: where the distance is 0, in the middle of the warp's rows, and how far a lane's
% -- rows are from there; exact, and small where the distance is: products with absolute positions would not be.
% local function sum_values()
%   if sum.slope then
    float ahead[OWN];
    int anchor;
    {
        const int i0 = min_i(warp_row, ${rows_all} - 1);
        anchor = ${sum.first} + WARP_ROWS / 2;
%     row_values("        ", { "diagonal" })
#pragma unroll
        for (int r = 0; r < OWN; r++) ahead[r] = (float)((${code.value.diagonal}) - anchor);
    }
    const float slope2 = (${code.value.slope}) * LOG2E;
%   end
% end
% -- One pass over scores that are sums, of a tile where all keys are there, before or behind all of the warp's rows where scores
% -- lean, and where tensors have a row's elements next to each other. They become exponents (peak.cu.t).
% local function sum_pass()
%   local roots, plain = { "rest" }, sum.curve.name == "s"
%   if not plain then roots[2] = "curve" end
%   local reads = sum.rest or not plain
%   for _, field in ipairs(strides) do
                const i64 ${field} = 1;
%   end
%   if reads then
                const int first_key = anew(j0 + lane % 4 * 2);
%     row_values("                ", roots)
%   end
%   if sum.slope then
                const float lean = ${sum.sided and "away < 0 ? slope2 : -slope2" or "slope2"}, behind = (float)(away + lane % 4 * 2);
                float foot[OWN];
#pragma unroll
                for (int r = 0; r < OWN; r++) foot[r] = fmaf(lean, ahead[r], -level[r]);
%   end
#pragma unroll
                for (int x = 0; x < 2 * KEY_TILES; x++) {
%   if reads then
                    const int j = first_key + (x / 2 * 8 + x % 2);
                    (void)j;
%     for _, t in temporaries("column", table.unpack(roots)) do
                    ${declare(t)} = ${t.text};
%     end
%   end
%   if sum.slope then
                    const float column = behind + (float)(x / 2 * 8 + x % 2);
%   end
#pragma unroll
                    for (int r = 0; r < OWN; r++) {
                        float &result = score[r / 2][x / 2][r % 2 * 2 + x % 2];
%   if not plain then
                        const float s = result * scale;
%   end
%   for _, t in temporaries("element", table.unpack(roots)) do
                        ${declare(t)} = ${t.text};
%   end
%   local offset = sum.slope and "fmaf(-lean, column, foot[r])" or "-level[r]"
%   if sum.rest then offset = ("fmaf(%s, LOG2E, %s)"):format(code.value.rest, offset) end
                        result = fmaf(${plain and "result, scale2" or code.value.curve .. ", LOG2E"}, ${offset});
                    }
                }
% end
% -- What a row r that is far (peak.cu.t) has taken from its scores.
% local function take_top(indent)
${indent}const float taken = is_far(top[r], factor) ? top[r] : 0;
#pragma unroll
${indent}for (int n = 0; n < KEY_TILES; n++) score[r / 2][n][r % 2 * 2] -= taken, score[r / 2][n][r % 2 * 2 + 1] -= taken;
% end
% -- What a kernel reads once, and what it computes from it: of these roots.
% local function launch_values(...)
%   for _, slot in ipairs(slots) do if slot.read then
    ${slot.kind == "stride" and "const i64 " or slot.ctype}${slot.field} = a.${slot.field};
%   end end
%   for _, param in ipairs(variant.params) do
    const ${param.type == "int" and "int" or "float"} ${param.name} = (${param.type == "int" and "int" or "float"})a.${param.name};
    (void)${param.name};
%   end
%   for _, slot in ipairs(slots) do if slot.kind == "recipe" then
    const int ${slot.field} = (int)a.${slot.field};
%   end end
%   for _, t in temporaries("launch", ...) do
    ${declare(t)} = ${t.text};
%   end
% end
% -- What a sequence and a head bring, of these roots.
% local function head_values(...)
%   if p.lens == "padded" then
    const int sq = a.q_lens[b], sk = a.k_lens[b];
%   elseif p.lens == "packed" then
    const int sq = a.cu_q[b + 1] - a.cu_q[b], sk = a.cu_k[b + 1] - a.cu_k[b];
%   end
%   for _, t in temporaries("head", ...) do
    ${declare(t)} = ${t.text};
%   end
% end
% return { declare = declare, temporaries = temporaries, row_values = row_values, pass = pass, sum_values = sum_values, sum_pass = sum_pass,
%   strides = strides, take_top = take_top,
%   launch_values = launch_values, head_values = head_values }
