-- How expressions are spelled in CUDA: an element is a scalar of one thread. As c_ops.lua but for types and names.

local c = require "templates.target.c_ops"

local float = { type = { "float", "float" }, suffix = { "r", "r" }, literal = "f", nan = "NOT_A_NUMBER" }
local int = { type = { "int", "int" }, suffix = { "i", "i" } }

local words = c.words .. [[
  u16 bool true false class new delete this template operator private public protected namespace using try catch throw
  and or not xor bitand bitor compl threadIdx blockIdx blockDim gridDim warpSize shared lane warp score kept weight
  power peak limit best copies stage more part block pack unit column_of section here group visible whole
  present position heads_here rows_here
  AHEAD B BARRIER BYTES COLUMNS COLUMN_TILES D DEVICE DV EMPTY FAR FRAGMENTS FULL GROUP GROUPS GROUP_BYTES HELD HKV HQ
  INF KEYS KEY_TILES K_BYTES K_FREE K_HERE LIVE LN2 LOADERS LOG2E MIXED N NOT_A_NUMBER OWN PAGE PARTS PITCH P_BYTES
  QUADS Q_BYTES REGISTERS_O REGISTERS_S ROWS SECTION SHARE SK SPAN SPARE SPLITS SQ STAGE STAGES STEPS STEPS_V T THREADS
  UNITS V_BYTES V_FREE V_HERE WARPS WARP_ROWS
  abs_i abs_r address advance after ahead aligned all anchor anew any any_lane arrived arrives_last at attention away
  b0 b1 barrier base before begin_products begun behind best_of bits bring_k bring_v c c0 c1 c2 c3 call classify
  clear_count climb collect column combine coming commit_copies commit_products copy_async copysignf count count_bits
  drop dropout e each end entry even exchange exchange_bits exp2_fast exp_r exponents f fabsf factor far first first0
  first1 first_column first_key first_row first_tf32 floor_r fmaf fmaxf fminf foot found four free from from_row
  full_first full_last gap give_registers group_barrier group_first group_from group_last group_row group_to grown
  grows h0 h1 half head_here hidden hide high high_tf32 hk inside inverse inverse_fast is_far k0 k1 k_at k_b k_first
  k_from k_h k_here k_lane k_matrix k_next k_own k_p k_pitch k_row k_s k_step keep_pair kept_of key0 key0_of key1
  key1_of key_blocks keys_each l0 l1 lanes last_tile later lean least left level limit_of line list load_bf16 load_f16
  load_global4 load_matrices load_shared load_shared4 load_transposed log_r loose low lse_b lse_h lse_s make make_now
  matrix_at max max_i max_r min_i min_r mma_bf16 mma_f16 mma_split mma_tf32 most most_of multiply_o multiply_s near
  next next_page now nth number o_b o_h o_s odd of_block of_keys of_part of_rows of_section of_warp of_warps origin_b
  origin_h origin_i origin_j other out out_at own own_row p p_at p_lane p_load p_store pack_bf16 pack_f16 packed page
  pair pair_any pair_barrier part_from part_to partial partial_sums parts parts_at pass_turn phase_arrive phase_wait
  phases phases_init philox philox_a philox_at philox_b philox_join philox_of_keys philox_of_rows pitch place_in
  product q_at q_b q_h q_here q_lane q_matrix q_s query ready rest rest0 rest1 rest_tf32 result right ring rise round
  round_tf32 row_at rows same_in_all scale2 second seen seen_first seen_of set_lanes settle settle_level share share_of
  share_of_keys shared_base shared_memory show_products shrink signs sinks_h skip_rows skipped slack slope2 small some
  some_far split sqrt_r stage_k stage_k_chunk stage_q_chunk stage_v stage_v_chunk staged step store_global4
  store_shared store_shared2 store_shared4 sum sums table_b take_registers taken tanh_r there tiles_before tiles_each
  tiny to_part to_row together top turn turn_of_tile u unit_strides v0 v1 v_at v_b v_first v_from v_h v_here v_lane
  v_matrix v_next v_own v_p v_pitch v_row v_s v_step wait_copies wait_products wait_turn wanted warp_barrier warp_from
  warp_row warp_to was_far weigh which whole_hq whole_sk whole_sq widen_f16 window word works write_entry x y z
]]

return setmetatable({
  floats = { f32 = float },
  int = int,
  bool = int,
  words = words,
  load = { f16 = "load_f16", bf16 = "load_bf16", f64 = "load_f64" },
  -- A thread has several rows: what they give lives in arrays.
  spell = function(level, name) return level == "row" and name .. "[r]" or name end,
}, { __index = c })
