% -- What kernels of attention forward on tensor cores are made of, with the facts of cuda_facts.lua, sizes (cuda_sizes.cu.t)
% -- before it. Comes in: p, cfg, variant, slots; needs_key (whether a tile's first key is known before its mask).
% -- Writes functions and kernels that go before `attention`, and gives functions that write inside of it: lanes, dropout, ends
% -- (templates/common/{lanes,dropout,finish}.cu.t), staging, block, tile, rows (cuda_{stage,block,tile,rows}.cu.t).
% include("templates/common/args.c.t")

#define LN2 ${f32(0.6931471805599453)}
% include("templates/common/ptx.cu.t")
% include("templates/common/math.cu.t")
% include("templates/common/peak.cu.t", { exponents = has_score })
% if p.dropout then
%   include("templates/common/philox.cu.t", { words = not (split or paired) })
% end

% local parts = { staging = include("templates/forward/cuda_stage.cu.t"), lanes = include("templates/common/lanes.cu.t"),
%   dropout = include("templates/common/dropout.cu.t") }
% parts.ends = include("templates/common/finish.cu.t", { dropout = parts.dropout, warps = body.side_warps })
% parts.block, parts.tile = include("templates/forward/cuda_block.cu.t", parts), include("templates/forward/cuda_tile.cu.t", parts)
% parts.rows = include("templates/forward/cuda_rows.cu.t", parts)
% if classes then
%   include("templates/common/classify.cu.t", { lanes = parts.lanes, warps = body.side_warps, run = body.side_tiles,
%     key_blocks = KEY_BLOCKS, row_blocks = ROW_BLOCKS })
% end
% return parts
