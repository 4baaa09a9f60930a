% -- Sizes that kernels of attention forward on tensor cores have in common, with the facts of cuda_facts.lua. Comes in: p, cfg.
/* A lane has of a fragment's 16 rows two, lane / 4 and 8 further on, and of 8 columns two, 2 (lane % 4) and the next.
% if places.adjacent then
 * Query rows 2 n and 2 n + 1 stand 8 apart in a fragment: a lane has both, as a call of Philox decides on both.
% end
 */
% include("templates/common/types.cu.t", { loose = places:some_loose() and p.align })

enum {
    ${p.b and "B = " .. p.b .. ", " or ""}HQ = ${p.hq}, HKV = ${p.hkv}, GROUP = ${group}, ${p.sq and "SQ = " .. p.sq .. ", " or ""}${p.sk and "SK = " .. p.sk .. ", " or ""}D = ${p.d}, DV = ${p.dv},
% if paged then
    PAGE = ${p.page}, /* keys */
% end
    KEYS = ${cfg.keys}, STAGES = ${cfg.stages}, /* of a tile; tiles in shared memory */
% if classes then
    SPARE = 3, /* entries behind a list's last: they are read */
% end
    SECTION = ${cfg.section}, /* heads that go together, tile by tile */
    COLUMNS = ${shape.columns}, /* of O */
    Q_BYTES = ${shape.q_bytes}, K_BYTES = ${shape.k_bytes}, V_BYTES = ${shape.v_bytes},
};
