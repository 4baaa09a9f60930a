% -- S = Q K^T and O = S V of some rows, tile by tile, with a ring of two tiles in shared memory, as kernels for sm_90a go
% -- about it: one warpgroup copies, two multiply. Comes in: kind, keys, columns, d, tiles.
% assert(keys % 16 == 0 and columns % 8 == 0 and d % 16 == 0, "whole steps")
% local rows = 128
% local q_panel, panel = rows * 128, keys * 128
% local k_bytes, v_bytes = ceildiv(d, 64) * panel, ceildiv(columns, 64) * panel
% local q_bytes = ceildiv(d, 64) * q_panel
% local bytes = q_bytes + 2 * (k_bytes + v_bytes) + 40
% include("templates/common/types.cu.t", { loose = false })
% include("templates/common/ptx.cu.t", { need = {} })
% include("templates/common/wgmma.cu.t", { kind = kind, keys = keys, columns = columns, steps = d // 16, q_panel = q_panel, k_panel = panel })
enum { ROWS = ${rows}, KEYS = ${keys}, D = ${d}, COLUMNS = ${columns}, TILES = ${tiles} };

/* What may be wrong with a kernel. */
enum { NOTHING, READ_EARLY, RELEASED_EARLY, NOT_SHOWN, NOT_AWAITED, ARRIVES_TWICE, WARP_LEFT_OUT, CHANGED_SUM, CHANGED_WEIGHT, NOT_BEGUN, NOT_FINISHED, BAD_MATRIX };

struct args {
    const unsigned short *q, *k, *v;
    float *s, *o;
    int wrong;
};

static void copy(u32 to, const unsigned short *from, int rows, int columns)
{
    for (int x = (int)threadIdx.x; x < rows * columns / 8; x += 128) {
        const int r = x / (columns / 8), c = x % (columns / 8);
        copy_async<16>(to + c / 8 * rows * 128 + r * 128 + ((c ^ r) % 8 << 4), from + 8 * x, 16, true);
    }
}

static void store(float *to, int pitch, int row, const float (*x)[4], int count)
{
    const int lane = (int)threadIdx.x % 32;
    for (int n = 0; n < count; n++)
        for (int y = 0; y < 4; y++) to[(row + y / 2 * 8 + lane / 4) * pitch + 8 * n + lane % 4 * 2 + y % 2] = x[n][y];
}

static void kernel(const void *of)
{
    const args &a = *(const args *)of;
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, wrong = a.wrong;
    const u32 q_at = shared_base(), k_at = q_at + ${q_bytes}, v_at = k_at + 2 * ${k_bytes};
    const u32 q_full = v_at + 2 * ${v_bytes}, full = q_full + 8, empty = full + 16;
    if (threadIdx.x == 0) {
        phases_init(q_full, 128);
        for (int x = 0; x < 2; x++) phases_init(full + 8 * x, 128), phases_init(empty + 8 * x, 8);
    }
    barrier();
    if (warp < 4) {
        give_registers<24>();
        copy(q_at, a.q, ROWS, D);
        phase_arrive_copied(q_full);
        for (int t = 0; t < TILES; t++) {
            if (t >= 2) phase_wait(empty + t % 2 * 8, (u32)(t / 2 - 1) % 2);
            copy(k_at + t % 2 * ${k_bytes}, a.k + t * KEYS * D, KEYS, D);
            copy(v_at + t % 2 * ${v_bytes}, a.v + t * KEYS * COLUMNS, KEYS, COLUMNS);
            phase_arrive_copied(full + t % 2 * 8);
        }
        return;
    }
    take_registers<240>();
    const int group = warp / 4 - 1, row = group * 64 + warp % 4 * 16;
    const u64 q = matrix_at(q_at + group * 64 * 128 + (wrong == BAD_MATRIX ? 128 : 0), 0);
    float o[COLUMNS / 8][4] = {}, s[KEYS / 8][4];
    u32 weight[KEYS / 16][4];
    phase_wait(q_full, 0);
    for (int t = 0; t < TILES; t++) {
        const u64 k = matrix_at(k_at + t % 2 * ${k_bytes}, 0), v = matrix_at(v_at + t % 2 * ${v_bytes}, ${panel});
        if (wrong != NOT_AWAITED || t != 1) phase_wait(full + t % 2 * 8, (u32)(t / 2) % 2);
        if (wrong != NOT_SHOWN) show_products();
        if (wrong != NOT_BEGUN) begin_products();
        multiply_s(s, q, k);
        commit_products();
        if (wrong == CHANGED_SUM) o[0][0] *= 2;
        if (wrong == CHANGED_WEIGHT) weight[0][0] ^= 0x100;
        wait_products<1>(); /* the last tile's O */
        if (t > 0 && lane == 0 && wrong != RELEASED_EARLY) phase_arrive(empty + (t - 1) % 2 * 8);
        if (wrong == READ_EARLY) store(a.s + t * KEYS, TILES * KEYS, row, s, KEYS / 8);
        wait_products<0>();
        here(s);
        if (wrong != READ_EARLY) store(a.s + t * KEYS, TILES * KEYS, row, s, KEYS / 8);
        for (int x = 0; x < KEYS / 16; x++)
            for (int y = 0; y < 4; y++) weight[x][y] = pack_${kind}(s[2 * x + y / 2][y % 2 * 2], s[2 * x + y / 2][y % 2 * 2 + 1]);
        begin_products();
        if (wrong != WARP_LEFT_OUT || warp != 5 || t > 0) multiply_o(o, weight, v);
        commit_products();
        if (lane == 0 && wrong == RELEASED_EARLY) phase_arrive(empty + t % 2 * 8);
        if (lane == 0 && wrong == ARRIVES_TWICE) phase_arrive(empty + t % 2 * 8), phase_arrive(empty + t % 2 * 8);
        group == 0 ? group_barrier<128>(1) : group_barrier<128>(2);
    }
    if (wrong == NOT_FINISHED) return;
    wait_products<0>();
    here(o);
    store(a.o, COLUMNS, row, o, COLUMNS / 8);
}

extern "C" __attribute__((visibility("default"))) void multiply(const args *a, void *shared) { emulate_blocks(kernel, a, shared, ${bytes}, 384, 0, 1); }
