% -- Dropout of a lane's part of S (lanes.cu.t says which). Comes in: p, packs, places, philox_at. Gives functions that
% -- write text inside of a kernel.
% -- The words that decide on a lane's scores of the x-th 16 keys of a tile: word[m][q] on those of row 2 m + q % 2, the first 8 keys and the rest.
% local function decide()
#pragma unroll
            for (int m = 0; m < FRAGMENTS; m++) {
                u32 call[4];
%   if p.shard then
                /* A shard may begin anywhere in the rows and keys that a call decides: each score has a call of its own. */
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    const ${places.row_type} row = ${places:of_lane("(2 * m + r)")};
                    const u32 i = (u32)(${packs and "row / GROUP" or "row"} + origin_i), head_here = (u32)(b + origin_b) * (u32)whole_hq + (u32)(${packs and "hk * GROUP + row % GROUP" or "h"} + origin_h);
                    word[m][r] = word[m][2 + r] = 0;
#pragma unroll 1
                    for (int y = 0; y < 4; y++) {
                        const u32 j = (u32)(j0 + x * 16 + y / 2 * 8 + lane % 4 * 2 + y % 2 + origin_j);
                        philox(call, drop, head_here, i >> 1, (j >> 4) * 4 + (j >> 1 & 3));
                        const u32 even = j & 8 ? call[1] : call[0], odd = j & 8 ? call[3] : call[2];
                        const u32 bits = ((i & 1 ? odd : even) >> 16 * (j & 1) & 0xffff) << 16 * (y & 1);
                        word[m][r] |= y < 2 ? bits : 0, word[m][2 + r] |= y < 2 ? 0 : bits;
                    }
                }
%   elseif philox_at then
                philox_join(call, drop, of_rows, of_keys[x]);
                word[m][0] = call[0], word[m][2] = call[1], word[m][1] = call[2], word[m][3] = call[3];
%   else
                const u32 keys = (u32)(j0 / 16 + x) * 4 + lane % 4;
%   if packs then
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    const ${places.row_type} row = ${places:of_lane("(2 * m + r)")}, i = row / GROUP;
                    philox(call, drop, (u32)(b * HQ + hk * GROUP + row % GROUP), (u32)i >> 1, keys);
                    word[m][r] = i & 1 ? call[2] : call[0];
                    word[m][2 + r] = i & 1 ? call[3] : call[1];
                }
%   elseif places.adjacent then
                philox(call, drop, (u32)(b * HQ + h), (u32)(warp_row + m * 16) / 2 + lane / 4, keys);
                word[m][0] = call[0], word[m][2] = call[1], word[m][1] = call[2], word[m][3] = call[3];
%   else
                /* A call decides two rows, which this lane and the one 4 further on have: each makes those of one of its rows. */
                const bool odd = lane & 4;
                philox(call, drop, (u32)(b * HQ + h), (u32)(warp_row + m * 16 + (odd ? 8 : 0) + lane / 4) >> 1, keys);
                const u32 first = exchange_bits(odd ? call[0] : call[2], 4), second = exchange_bits(odd ? call[1] : call[3], 4);
                word[m][0] = odd ? first : call[0], word[m][2] = odd ? second : call[1];
                word[m][1] = odd ? call[2] : first, word[m][3] = odd ? call[3] : second;
%   end
%   end
            }
% end
% -- With philox_at. What Philox makes of this lane's rows alone; and of the next tile's keys, each lane some for all of its
% -- warp: ahead of decide(), for shared memory answers late beside products.
% local function decide_rows()
%   if philox_at then
    u32 of_rows[2];
    philox_of_rows(of_rows, drop, (u32)(b * HQ + h), (u32)warp_row / 2 + lane / 4);
%   end
% end
% local function decide_keys()
%   if philox_at then
        u32 of_keys[KEYS / 16][4];
        warp_barrier();
#pragma unroll 1
        for (int x = lane; x < KEYS / 4; x += 32) {
            philox_of_keys(of_keys[0], drop, (u32)(b * HQ + h), (u32)(j0 / 4 + x));
            store_shared4(${philox_at} + x * 16, of_keys[0]);
        }
        warp_barrier();
#pragma unroll
        for (int x = 0; x < KEYS / 16; x++) load_shared4(of_keys[x], ${philox_at} + x * 64 + lane % 4 * 16);
%   end
% end
% local function dropout_values()
%   if p.dropout then
    const u32 *rng = (const u32 *)a.rng; /* the seed's halves, the offset's; or none */
    const u64 seed = rng ? rng[0] | (u64)rng[1] << 32 : (u64)a.seed, offset = rng ? rng[2] | (u64)rng[3] << 32 : (u64)a.offset;
    const struct dropout drop = { same_in_all((u32)seed), same_in_all((u32)(seed >> 32) ^ (u32)(offset >> 32)), same_in_all((u32)offset), (u32)a.drop };
%   end
% end
% return { values = dropout_values, decide = decide, decide_rows = decide_rows, decide_keys = decide_keys }
