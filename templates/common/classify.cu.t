% -- For masks that read tensors: the kernel `classify`, and find_tile, which looks for the next tile in what that leaves.
% -- Comes in: code, places, lanes (functions of lanes.cu.t), classes (b, h: whether they differ by it), warps (of a block),
% -- key_blocks, row_blocks (how many there are, as text).
% local B, SQ, SK, sq, sk, declare = places.B, places.SQ, places.SK, places.sq, places.sk, lanes.declare
/* What a warp's rows see of a tile of keys: nothing, something, all of it. */
enum { EMPTY, MIXED, FULL };

/* Where that is written, of 128 tiles: tiles n, n + 32, n + 64 and n + 96 are a word, which lane n reads. */
DEVICE i64 class_place(i64 tile) { return (tile & ~(i64)127) + tile % 32 * 4 + tile / 32 % 4; }

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
    if (lane == 0) a.classes[block * ${key_blocks} + class_place(task % ${key_blocks})] = some ? all ? FULL : MIXED : EMPTY;
}

/* Which tiles some of a block's rows see, and where it is written what a warp's see of them: of 32 from key `first` on, the
 * lowest bit's, and the 96 behind those. */
struct window {
    int first;
    u32 seen, later[3];
    const u8 *of_warp;
};

/* The next window: every fourth is read, with those behind it. */
DEVICE void next_window(struct window &w, const u8 *of_block, int blocks, int key_blocks, int warp, int lane)
{
    w.first += 32 * KEYS;
    const int tile = w.first / KEYS;
    w.of_warp = of_block + (i64)warp * key_blocks + class_place(tile);
    if (tile % 128) {
        w.seen = w.later[0], w.later[0] = w.later[1], w.later[1] = w.later[2];
        return;
    }
    u32 four = 0;
#pragma unroll
    for (int x = 0; x < WARPS; x++)
        if (x < blocks) four |= *(const u32 *)(of_block + (i64)x * key_blocks + tile + 4 * lane);
    w.seen = set_lanes(four & 0xff);
#pragma unroll
    for (int x = 0; x < 3; x++) w.later[x] = set_lanes(four >> 8 * (x + 1) & 0xff);
}

/* The next tile, from j0 on, that some of a block's rows see. */
DEVICE int find_tile(int j0, int to, struct window &w, const u8 *of_block, int blocks, int key_blocks, int warp, int lane)
{
    while (j0 < to) {
        const u32 nth = (u32)(j0 - w.first) / KEYS, rest = nth < 32 ? w.seen >> nth : 0;
        if (rest) return j0 + lowest_bit(rest) * KEYS;
        j0 = max_i(j0, w.first + 32 * KEYS);
        if (j0 < to) next_window(w, of_block, blocks, key_blocks, warp, lane);
    }
    return to;
}

