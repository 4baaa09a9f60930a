% -- For masks that read tensors: the kernels `classify`, which finds what each warp's rows see of each tile of keys, and
% -- `collect`, which lists for each block of rows the tiles that it sees. Comes in: code, places, lanes (functions of
% -- lanes.cu.t), classes (b, h: whether tiles differ by it), warps (of a block here), run (tiles that a warp has here);
% -- row_blocks, key_blocks (how many there are, as text).
% local B, sq, sk, declare = places.B, places.sq, places.sk, lanes.declare
% local runs, down = ("((%s + %d) / %d)"):format(key_blocks, run - 1, run), row_blocks
% if p.sk == 0 then runs = "1" end -- no division by a 0 that the problem says
% if p.sq == 0 then down = "1" end
/* What a warp's rows see of a tile of keys: nothing, something, all of it. */
enum { EMPTY, MIXED, FULL = 3 };

/* Finds it for some tiles that are neighbours, a warp for each part of a block's rows; the mask reads tensors. */
extern "C" __global__ void __launch_bounds__(${32 * warps}) classify(const __grid_constant__ struct args a)
{
    const int lane = (int)threadIdx.x % 32;
%   lanes.launch_values("keep")
    const i64 task = (i64)blockIdx.x * ${warps} + threadIdx.x / 32, part = task / ${runs}, block = part / WARPS;
    const int warp_row = (int)(block % ${down}) * ROWS + (int)(part % WARPS) * WARP_ROWS;
    const int first = (int)(task % ${runs}) * ${run}, last = min_i(${key_blocks}, first + ${run}), head = (int)(block / ${down});
    if (head >= ${classes.b and B or "1"}${classes.h and " * HQ" or ""}) return;
    const int h = ${classes.h and (classes.b and "head % HQ" or "head") or "0"}, b = ${classes.b and (classes.h and "head / HQ" or "head") or "0"};
    (void)h, (void)b;
%   lanes.head_values("keep")
    u8 *of_part = a.classes + part * ${key_blocks};
    if (warp_row >= ${sq}) {
        if (first + lane < last) of_part[first + lane] = EMPTY;
        return;
    }
%   lanes.row_values("    ", { "keep" })
#pragma unroll 1
    for (int tile = first; tile < last; tile++) {
        const int j0 = tile * KEYS;
        bool some = false, all = j0 + KEYS <= ${sk};
        if (j0 < ${sk}) {
#pragma unroll
            for (int x = 0; x < 2 * KEY_TILES; x++) {
                const int j = min_i(j0 + x / 2 * 8 + lane % 4 * 2 + x % 2, ${sk} - 1);
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
        if (lane == 0) of_part[tile] = some ? all ? FULL : MIXED : EMPTY;
    }
}

/* What a block's warps see of a tile, two bits a warp. */
DEVICE u32 seen_of(const u8 *classes, i64 key_blocks, int tile)
{
    u32 of_warps = 0;
#pragma unroll
    for (int x = 0; x < WARPS; x++) of_warps |= (u32)classes[x * key_blocks + tile] << 2 * x;
    return of_warps;
}

DEVICE void write_entry(u32 *entry, int key, u32 of_warps) { entry[0] = (u32)key, entry[1] = of_warps; }

/* Lists the tiles that some of a block's rows see: an entry with their number, then one for each, its first key and what
 * each warp sees of it, then SPARE of zeros. */
extern "C" __global__ void __launch_bounds__(${32 * warps}) collect(const __grid_constant__ struct args a)
{
% for _, slot in ipairs(slots) do if slot.kind == "recipe" then
    const int ${slot.field} = (int)a.${slot.field};
% end end
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, tiles = ${key_blocks};
    const u8 *classes = a.classes + (i64)blockIdx.x * WARPS * tiles;
    u32 *list = a.seen + (i64)blockIdx.x * (tiles + 1 + SPARE) * 2;
    /* A warp has tiles that are neighbours. It counts those that are seen, so that the others know where theirs go. */
    const int each = (tiles + ${32 * warps} - 1) / ${32 * warps} * 32, first = warp * each, last = min_i(tiles, first + each);
    int count = 0, place = 1, all = 0;
#pragma unroll 4
    for (int tile = first; tile < last; tile += 32) {
        const bool there = tile + lane < last;
        count += count_bits(set_lanes(there && seen_of(classes, tiles, tile + lane)));
    }
    if (lane == 0) store_shared(shared_base() + 4 * warp, (u32)count);
    barrier();
    for (int x = 0; x < ${warps}; x++) {
        const int own = (int)load_shared(shared_base() + 4 * x);
        place += x < warp ? own : 0, all += own;
    }
#pragma unroll 4
    for (int tile = first; tile < last; tile += 32) {
        const u32 of_warps = tile + lane < last ? seen_of(classes, tiles, tile + lane) : 0, seen = set_lanes(of_warps);
        if (of_warps) write_entry(list + 2 * (place + count_bits(seen & ((1u << lane) - 1))), (tile + lane) * KEYS, of_warps);
        place += count_bits(seen);
    }
    if (threadIdx.x == 0) write_entry(list, all, 0);
    if (threadIdx.x < SPARE) write_entry(list + 2 * (1 + all + (int)threadIdx.x), 0, 0);
}

