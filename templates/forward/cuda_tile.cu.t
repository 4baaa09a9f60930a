% -- What a warp does with its part of a tile, with the facts of cuda_facts.lua. Comes in: p, cfg, lanes, dropout, needs_key.
% -- Gives functions that write: multiply_k, S = Q K^T; finish_scores, from S to scores or exponents; grow, whether O is to be
% -- rescaled, and rescale; room, largest, climb and settle_exponents, of which that is made: how a row's largest score rises;
% -- weigh, P; exponent, of a score's weight. strides_test: whether tensors along keys have stride 1, or nil.
% local pass, sum_pass = lanes.pass, lanes.sum_pass
% local function exponent(score) return has_score and score or ("fmaf(%s, factor, -peak[r])"):format(score) end
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
            const int j1 = min_i(j0 + SPAN, ${sk}) - 1, ${places:positions("warp_row", "WARP_ROWS")};
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
%     dropout.decide()
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
% local function room(indent)
%   if not has_score then
${indent}const float slack = fminf(__fdividef(${slack}, factor), 0x1.fffffep127f); /* so that -INF stays what it is */
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
% local function rescale()
        if (any_lane(grows)) {
%   room("            ")
#pragma unroll
            for (int r = 0; r < OWN; r++) {
%   largest()
%   climb("                ", "const float shrink", "best")
                sum[r] *= shrink;
#pragma unroll
                for (int n = 0; n < COLUMN_TILES; n++) o[r / 2][n][r % 2 * 2] *= shrink, o[r / 2][n][r % 2 * 2 + 1] *= shrink;
            }
%   settle_exponents("            ")
        }
% end
% -- P as 16-bit fragments, and what a tile's weights add up to.
% local function weigh()

        float part[OWN]; /* a tile's sum is on its own first: errors grow with the tiles, not with the keys */
        u32 weight[FRAGMENTS][KEY_TILES / 2][4];
#pragma unroll
        for (int x = 0; x < KEY_TILES / 2; x++) {
%   if p.dropout then
            u32 word[FRAGMENTS][4];
%     dropout.decide()
%   end
#pragma unroll
            for (int u = 0; u < 4 * FRAGMENTS; u++) {
                const int m = u / 4, q = u % 4, n = 2 * x + q / 2, r = 2 * m + q % 2;
                const float y = exp2_fast(${exponent("score[m][n][q % 2 * 2]")});
                const float z = exp2_fast(${exponent("score[m][n][q % 2 * 2 + 1]")});
                part[r] = n == 0 ? y + z : part[r] + (y + z);
                weight[m][x][q] = pack_${kind}(y, z);
%   if p.dropout then
                keep_pair(weight[m][x][q], word[m][q], drop.least);
%   end
            }
        }
% end
% return { multiply_k = multiply_k, finish_scores = finish_scores, grow = grow, rescale = rescale, room = room, largest = largest,
%   climb = climb, settle_exponents = settle_exponents, weigh = weigh, exponent = exponent, strides_test = strides_test }
