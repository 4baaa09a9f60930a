% -- What a lane does with its part of S: the splice points of the variant. Comes in: p, variant, slots, code
% -- (variant:code), places, packs (as places.new has it), tails (tiles may reach beyond the last key).
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
% -- One pass over this lane's part of S: the variant's score, or its mask.
% local function pass(root)
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
                    result = ${code.value.score};
%   else
                    hide(result, !(${table.concat(keep, " && ")}));
%   end
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
% return { declare = declare, temporaries = temporaries, row_values = row_values, pass = pass, take_top = take_top,
%   launch_values = launch_values, head_values = head_values }
