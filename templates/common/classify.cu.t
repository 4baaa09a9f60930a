% -- For masks that read tensors: the kernel `classify`, and find_tile, which looks for the next tile in what that leaves.
% -- Comes in: code, places, lanes (functions of lanes.cu.t), classes (b, h: whether they differ by it), warps (of a block),
% -- key_blocks, row_blocks (how many there are, as text).
% local B, SQ, SK, sq, sk, declare = places.B, places.SQ, places.SK, places.sq, places.sk, lanes.declare
/* What a warp's rows see of a tile of keys: nothing, something, all of it. */
enum { EMPTY, MIXED, FULL };

/* Finds it, a warp for each; the mask reads tensors. */
extern "C" __global__ void __launch_bounds__(${32 * warps}) classify(const __grid_constant__ struct args a)
{
    const int lane = (int)threadIdx.x % 32;
%   lanes.launch_values("keep")
    const i64 task = (i64)blockIdx.x * ${warps} + threadIdx.x / 32, block = task / ${key_blocks};
    const int warp_row = (int)(block % ${row_blocks}) * WARP_ROWS, j0 = (int)(task % ${key_blocks}) * KEYS;
    const int head = (int)(block / ${row_blocks});
    if (head >= ${classes.b and B or "1"}${classes.h and " * HQ" or ""}) return;
    const int h = ${classes.h and (classes.b and "head % HQ" or "head") or "0"}, b = ${classes.b and (classes.h and "head / HQ" or "head") or "0"};
    (void)h, (void)b;
%   lanes.head_values("keep")
    bool some = false, all = true;
    if (warp_row < ${sq} && j0 < ${sk}) {
%   lanes.row_values("        ", { "keep" })
#pragma unroll
        for (int x = 0; x < 2 * KEY_TILES; x++) {
            const int place = j0 + x / 2 * 8 + lane % 4 * 2 + x % 2, j = min_i(place, ${sk} - 1);
%   for _, t in lanes.temporaries("column", "keep") do
            ${declare(t)} = ${t.text};
%   end
#pragma unroll
            for (int r = 0; r < OWN; r++) {
%   for _, t in lanes.temporaries("element", "keep") do
                ${declare(t)} = ${t.text};
%   end
                const bool keep = ${code.value.keep};
                some = some | keep;
                all = all & keep;
            }
        }
    }
    some = any_lane(some);
    all = !any_lane(!all);
    if (lane == 0) a.classes[task] = some ? all ? FULL : MIXED : EMPTY;
}

/* The next tile, from j0 on, that some of a block's rows see. Of 128 tiles from `first` on each lane has what all rows
 * together see of four. */
DEVICE int find_tile(int j0, int to, int &first, u32 &four, const u8 *of_block, int blocks, int key_blocks, int lane)
{
    for (; j0 < to; j0 = first + 128 * KEYS) {
        if (j0 >= first + 128 * KEYS) {
            first = j0 / (4 * KEYS) * (4 * KEYS);
            four = 0;
            const int tile = first / KEYS + 4 * lane;
#pragma unroll
            for (int x = 0; x < WARPS; x++)
                if (x < blocks && tile < key_blocks) four |= *(const u32 *)(of_block + (i64)x * key_blocks + tile);
        }
        const int nth = (int)((u32)(j0 - first) / KEYS);
        const u32 later = lane < nth / 4 ? 0 : lane > nth / 4 ? four : four >> nth % 4 * 8 << nth % 4 * 8;
        const u32 lanes = set_lanes(later != 0);
        if (lanes) {
            const int there = lowest_bit(lanes);
            return first + (4 * there + lowest_bit(lane_bits(later, there)) / 8) * KEYS;
        }
    }
    return to;
}

