% -- Attention forward by products of warpgroups. Comes in: p (a problem that forward/cuda_wgmma.lua takes), cfg (its config),
% -- dev, variant, slots, steps.
% assert(cfg.keys % 16 == 0, "tiles are whole fragments")
%
% local body, facts = require "templates.forward.cuda_wgmma", require "templates.common.cuda_facts"
% local know = facts.of(p, body.like(cfg), variant, body)
% local shape, places, rows_all, bounds = know.shape, know.places, know.rows_all, know.bounds
% local has_score, classes, at = know.has_score, know.classes, know.at
%
/* softmax(q k^T) v for ${p.text}
 * A block has ROWS query rows of ${know.packs and "a key head's query heads" or "one head"}. Warpgroup 0 brings tiles of K and V; each of the others multiplies 64
 * rows with them, a warp 16.${has_score and "" or " Scores are in base 2."}
 *
 *     warpgroup 0, for each KEYS keys j that some of the rows see:
 *         bring K_j and V_j to the next of STAGES places, each when all are done with what it had
 *     the others, for each:
 *         S = Q K_j^T, when K_j is there, S = score(S) where mask
 *         P = exp(S - peak), sum = sum + P 1       where S has outgrown the peak, O and sum shrink first
 *         O = O + P V_j, when V_j is there, in the background
 *     O = O / sum, LSE = peak + log(sum) */
% include("templates/forward/cuda_sizes.cu.t", know)

enum {
    GROUPS = ${cfg.groups}, WARPS = 4 * GROUPS, /* that multiply */
    LOADERS = 128, THREADS = LOADERS + 32 * WARPS,
    FRAGMENTS = 1, WARP_ROWS = 16, ROWS = WARPS * WARP_ROWS,
    OWN = 2,                                 /* rows of a lane */
    SPAN = KEYS, KEY_TILES = KEYS / 8, COLUMN_TILES = COLUMNS / 8, /* in eights */
};

% know.need.same_in_all = true
% if shape.philox_bytes then know.need.warp_barrier, know.need.load_shared4, know.need.store_shared4 = true, true, true end
% local made = include("templates/forward/cuda_parts.cu.t", facts.with(know, { needs_key = true, philox_at = shape.philox_bytes and "philox_at" }))
% local staging, block, tile, rows = made.staging, made.block, made.tile, made.rows
% local stage_k, stage_v, skip, K_SHARES, V_SHARES = staging.k, staging.v, staging.skip, staging.count.k, staging.count.v
% include("templates/common/wgmma.cu.t", { kind = shape.kind, keys = cfg.keys, columns = shape.columns, steps = ceildiv(p.d, 16),
%   q_panel = shape.q.panel, k_panel = shape.k.panel, turns = cfg.turns == 1 })
/* Where a tile's place in shared memory says that it is there, and that nobody needs it any more. */
enum { K_HERE, K_FREE, V_HERE, V_FREE };

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention(const __grid_constant__ struct args a)
{
    const int lane = (int)threadIdx.x % 32;
% made.lanes.launch_values("score", "keep", "diagonal", "slope", "rest", "curve")

% block.task()
% block.seen()
% if classes then
    const int last_tile = (int)same_in_all(list[-2]);
% else
    const int last_tile = (max_i(to - from, 0) + KEYS - 1) / KEYS;
% end
    const u32 q_at = shared_base(), k_at = q_at + Q_BYTES, v_at = k_at + STAGES * K_BYTES, phases = v_at + STAGES * V_BYTES;
    const u32 q_here = phases + 32 * STAGES;
    if (threadIdx.x == 0) {
#pragma unroll
        for (int x = 0; x < STAGES; x++) {
            phases_init(phases + 32 * x + 8 * K_HERE, LOADERS), phases_init(phases + 32 * x + 8 * V_HERE, LOADERS);
            phases_init(phases + 32 * x + 8 * K_FREE, WARPS), phases_init(phases + 32 * x + 8 * V_FREE, WARPS);
        }
        phases_init(q_here, LOADERS);
    }
    barrier();

    if (threadIdx.x < LOADERS) {
% local spare = body.shares_of(cfg, p)
% if spare then
        give_registers<${spare[1]}>();
% end
% block.tensors("        ")
% staging.q("        ", "LOADERS", 4, "q_at + " .. at(shape.q, "r", "c"))
% staging.own("        ", classes and "(int)list[0]" or "from")
% local skips = classes and not know.paged
% if skips then
        int staged = (int)list[0] - KEYS;
% end
        int turn = 0;
        u32 before = 0;
        u32 odd = 1; /* nothing is in the first places */
#pragma unroll 1
        for (int n = 0; n < last_tile; n++) {
            const int j0 = ${classes and "(int)list[2 * n]" or "from + n * KEYS"};
            const u32 place = phases + 32 * turn;
% skip("            ", "j0 - staged - KEYS")
            phase_wait(place + 8 * K_FREE, odd);
            ${stage_k("k_at + turn * K_BYTES", "j0", "0", K_SHARES, "true")}
            commit_copies();
            wait_copies<1>();
            show_products();
            phase_arrive(n == 0 ? q_here : before); /* Q, or the last tile of V */
            phase_wait(place + 8 * V_FREE, odd);
            ${stage_v("v_at + turn * V_BYTES", "j0", "0", V_SHARES, "true")}
            commit_copies();
            wait_copies<1>();
            show_products();
            phase_arrive(place + 8 * K_HERE);
            before = place + 8 * V_HERE;
% if skips then
            staged = j0;
% end
            turn = turn == STAGES - 1 ? 0 : turn + 1, odd ^= turn == 0;
        }
        wait_copies<0>();
        show_products();
        phase_arrive(last_tile == 0 ? q_here : before);
        return;
    }

% if spare then
    take_registers<${spare[2]}>();
% end
    /* As one number for the warp: matrices, places in the ring and ranges of tiles stay in uniform registers. */
    const int warp = (int)same_in_all(threadIdx.x / 32) - 4, group = warp / 4, warp_row = first_row + warp * WARP_ROWS;
% block.scale()
% made.dropout.values()
% if shape.philox_bytes then
    const u32 philox_at = (q_here + 23 & ~15u) + warp * 4 * KEYS; /* the warp's: what Philox makes of a tile's keys */
% end
% if not classes and not bounds.always then
    int group_first = 0, group_last = 0, full_first = 0, full_last = 0; /* tiles that some row of the warpgroup sees; keys that all of the warp's see */
    const int group_row = first_row + group * 64;
%   block.see("group_row", "64", { group_first = know.first_seen == "0" and "0" or ("min_i(last_tile, (%s - from) / KEYS)"):format(know.first_seen),
%     group_last = ("min_i(last_tile, (%s - from + KEYS - 1) / KEYS)"):format(know.last_seen) })
%   block.see("warp_row", "WARP_ROWS", { full_first = know.first_full, full_last = know.last_full })
% end
% rows.begin()
% made.dropout.decide_rows()
    float score[FRAGMENTS][KEY_TILES][4];
    phase_wait(q_here, 0);
% if not has_score then
    if (scale < 0) {
#pragma unroll 1
        for (u32 x = threadIdx.x % 128; x < 64 * ${4 * shape.q.chunks}; x += 128) {
            const u32 at = q_at + group * 8192 + x % 2048 * 4 + x / 2048 * ${shape.q.panel};
            store_shared(at, load_shared(at) ^ 0x80008000);
        }
        show_products();
        group_barrier<128>(group + 1);
    }
% end
    const u64 q_matrix = matrix_at(q_at + group * 8192, ${shape.q.panel});

    int turn = 0, before = 0; /* this tile's place, and that of the tile multiplied last */
    u32 odd = 0;
    bool begun = false;
% if cfg.turns == 1 then
    const int own = 1 + GROUPS + group, next = 1 + GROUPS + (group + 1) % GROUPS; /* of warpgroups, which multiply in turns */
    if (group == GROUPS - 1) pass_turn(1 + GROUPS);
    wait_turn(own);
% end
% -- Tiles that this warpgroup's rows do not see: it is done with them when they are there.
% local some = not classes and not bounds.always
% local function pass_by(last)
%   if some then
    for (; n < ${last}; n++) {
%     if cfg.turns == 1 then
        pass_turn(next);
        wait_turn(own);
%     end
        phase_wait(phases + 32 * turn + 8 * K_HERE, odd);
        phase_wait(phases + 32 * turn + 8 * V_HERE, odd);
        if (lane == 0) phase_arrive(phases + 32 * turn + 8 * K_FREE), phase_arrive(phases + 32 * turn + 8 * V_FREE);
        turn = turn == STAGES - 1 ? 0 : turn + 1, odd ^= turn == 0;
    }
%   end
% end
    int n = 0;
% pass_by("group_first")
#pragma unroll 1
    for (; n < ${some and "group_last" or "last_tile"}; n++) {
        const u32 place = phases + 32 * turn;
% if classes then
        const bool all = (list[2 * n + 1] >> 2 * warp & FULL) == FULL;
        const int j0 = (int)list[2 * n];
% else
        const int j0 = from + n * KEYS;
% end
        phase_wait(place + 8 * K_HERE, odd);
        const u64 k_matrix = matrix_at(k_at + turn * K_BYTES, ${shape.k.panel});
        begin_products();
        multiply_s(score[0], q_matrix, k_matrix);
        commit_products();
% if cfg.turns == 1 then
        pass_turn(next);
% end
% made.dropout.decide_keys()
        wait_products<0>();
        here(score[0]);
        here(o[0]);
        if (lane == 0) {
            phase_arrive(place + 8 * K_FREE);
            if (begun) phase_arrive(phases + 32 * before + 8 * V_FREE);
        }
        begun = true, before = turn;
% tile.finish_scores()
% tile.grow()
% tile.rescale()
% tile.weigh()
        phase_wait(place + 8 * V_HERE, odd);
% if cfg.turns == 1 then
        wait_turn(own);
% end
        const u64 v_matrix = matrix_at(v_at + turn * V_BYTES, ${shape.v.panel});
        begin_products();
        multiply_o(o[0], weight[0], v_matrix);
        commit_products();
#pragma unroll
        for (int r = 0; r < OWN; r++) sum[r] += part[r];
        turn = turn == STAGES - 1 ? 0 : turn + 1, odd ^= turn == 0;
    }
    wait_products<0>();
    here(o[0]);
% if some then
    if (begun && lane == 0) phase_arrive(phases + 32 * before + 8 * V_FREE);
%   pass_by("last_tile")
% end
% if cfg.turns == 1 then
    if (group < GROUPS - 1) pass_turn(next);
% end
% if shape.through then
    group_barrier<128>(group + 1); /* nobody reads Q any more, whose place O goes through */
% end

% rows.settle()

% rows.leave("q_at", "warp * WARP_ROWS + ")
}
