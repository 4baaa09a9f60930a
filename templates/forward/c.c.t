% -- Attention forward in C. Comes in: p (a problem that forward/c.lua takes), cfg (its config), target, variant, slots, steps.
% assert(cfg.keys >= cfg.mk, "a key tile holds at least one register block")
%
% local body = require("templates.forward.c")
% local target = require("templates.target.c").narrowed(target, cfg.lanes)
% local V, MK, MV = cfg.vectors, cfg.mk, cfg.mv
% local STAGED = ceildiv(cfg.keys, MK) * MK
% local COLUMNS = ceildiv(p.dv, MV) * MV
% local BLOCK = V * target.lanes
% local ROWS = BLOCK * cfg.blocks
% local group = p.hq // p.hkv
%
% -- With bf16 dot instructions a step of a product takes two columns (of Q and K) or two keys (of P and V).
% local dot = cfg.dot == 1
% local step = dot and 2 or 1
% local operand, element = dot and "vi" or "vr", dot and "int" or "real"
% local function madd(sum, x, y) return dot and ("%s = dot_vr(%s, %s, %s)"):format(sum, sum, x, y) or ("%s += %s * %s"):format(sum, x, y) end
%
% -- Sizes: a number where the problem says it, a variable else; with lens= each sequence has its own below those.
% local packed, padded, paged = p.lens == "packed", p.lens == "padded", p.page > 0
% local B, SQ, SK = p.b and "B" or "b_size", p.sq and "SQ" or p.lens and "most_sq" or "sq", p.sk and "SK" or p.lens and "most_sk" or "sk"
% local sq, sk = p.lens and "sq" or SQ, p.lens and "sk" or SK
% local TILES = p.sq and "TILES" or "tiles"
% local ROW_BLOCKS, KEY_TILES = p.sq and "ROW_BLOCKS" or "row_blocks", p.sk and "KEY_TILES" or "key_tiles"
%
% local has_score = variant.score.name ~= "s"
% local code = variant:code()
% local bounds = variant:tiles()
% -- Sums are of parts of a tile, unless all rows see enough keys, and where there may be many tiles, of so many at a time.
% local sums = require "templates.common.sums"
% local enough = bounds.always and p.sk and not p.lens
% local part, far = not enough and sums.part(p, cfg.keys) or nil, sums.far(p, cfg.keys)
% local classes = body.classes(p, variant)
% -- Whether one of these bounds names `word`.
% local function names(word, ...)
%   for _, bound in ipairs { ... } do
%     if (bounds[bound] or ""):find("%f[%w_]" .. word .. "%f[^%w_]") then return true end
%   end
% end
% local lengths = p.lens == "padded" and "sq = a->q_lens[b], sk = a->k_lens[b]" or "sq = a->cu_q[b + 1] - a->cu_q[b], sk = a->cu_k[b + 1] - a->cu_k[b]"
% -- A tile's last register block of S may reach keys that a block of rows does not see: their maximum is found anew.
% local whole = not has_score and not bounds.always and " && (n % MK == 0 || j0 + n == tile_last)" or ""
% local function declare(t) return "const " .. t.ctype .. (t.ctype:find("%*$") and "" or " ") .. t.name end
% local need = { select_r = true, max_vr = true, exp2_fall_vr = true, transpose = true, ["broadcast_" .. (dot and "i" or "r")] = true }
% local staging = dot and { "dot_vr", "pair_rows" } or { "load_row_" .. p.dtype, "load_row_" .. p.kvdtype }
% for _, name in ipairs(staging) do need[name] = true end
% need["store_row_" .. p.odtype] = true
% if code.value.keep or has_score then need.min_vi = true end
% if p.lse then need.log_vr = true end
% if classes then need.any_lane = true end
% for _, uses in ipairs { code.uses, bounds.uses } do
%   for name in pairs(uses) do need[name] = true end
% end
% -- A causal tile's work grows with its place: the longest ones go first, so that no thread is left with one.
% local heads = ("(%s * HQ)"):format(B)
% local place = cfg.order == "heads" and "number % " .. TILES or "number / " .. heads
% local head = cfg.order == "heads" and "number / " .. TILES or "number % " .. heads
% if p.causal then place = TILES .. " - 1 - " .. place end
%
/* softmax(q k^T) v for ${p.text}
 * A task is ROWS query rows of one head. The lanes of a vector are query rows: S^T = K Q^T and
 * O^T += V^T P^T take K and V element by element, broadcast to all lanes.${has_score and "" or " Scores are in base 2."} */
% include("templates/common/types.c.t", { target = target })

enum {
    ${p.b and "B = " .. p.b .. ", " or ""}HQ = ${p.hq}, ${p.sq and "SQ = " .. p.sq .. ", " or ""}${p.sk and "SK = " .. p.sk .. ", " or ""}D = ${p.d}, DV = ${p.dv},
% if paged then
    PAGE = ${p.page}, /* keys */
% end
    VECTORS = ${V}, /* of query rows in a register block */
    MK = ${MK}, MV = ${MV}, /* keys and value columns in a register block */
    BLOCK = ${BLOCK}, BLOCKS = ${cfg.blocks}, ROWS = ${ROWS}, /* query rows: of a register block; of a task */
    KEYS = ${cfg.keys}, STAGED = ${STAGED}, /* of a tile; padded to register blocks */
    DEPTH = ${ceildiv(p.d, step)}, COLUMNS = ${COLUMNS}, /* of a row of K${dot and " in pairs" or ""}, and of V padded to register blocks */
    K_PITCH = ${body.pitch(ceildiv(p.d, step))}, V_PITCH = ${body.pitch(COLUMNS)}, /* from a staged row to the next */
    WIDTH = ${body.width(cfg, p)}, /* of a row of Q or O, padded to vectors */
    LINE = 64, /* bytes of a cache line */
    SHARE = ${ceildiv(BLOCK * MK, cfg.keys)}, /* rows of Q asked for beside a register block of S */
    SKIP = ${dot and MK % 2 == 1 and 2 * MK or MK}, /* hidden keys at a tile's start are left out in such groups */
% if part then
    PART = ${part}, /* keys whose products are */
% end
% if far then
    FAR = ${far}, /* tiles whose sums are summed on their own */
% end
% if p.sq then
    TILES = ${math.max(ceildiv(p.sq, ROWS), 1)},
% end
% if classes and p.sq then
    ROW_BLOCKS = ${math.max(ceildiv(p.sq, BLOCK), 1)},
% end
% if classes and p.sk then
    KEY_TILES = ${ceildiv(p.sk, cfg.keys)},
% end
};

% include("templates/common/args.c.t", { slots = slots })

/* What a register block of query rows carries from one key tile to the next. */
struct block {
    ${operand} q[DEPTH][VECTORS];${dot and "" or " /* scaled */"}
    vr o[COLUMNS][VECTORS];
    vr top[VECTORS], sum[VECTORS];
    int begun;
% if far then
    vr far_o[COLUMNS][VECTORS], far_top[VECTORS], far_sum[VECTORS]; /* of tiles further back */
% end
};

struct scratch {
    struct block block[BLOCKS];
    vr s[STAGED][VECTORS];
% if p.dropout then
    vi keep[STAGED][VECTORS];
% end
    real row[LANES][WIDTH];
    ${element} k[STAGED][K_PITCH], v[${ceildiv(cfg.keys, step)}][V_PITCH];
};
_Static_assert(sizeof(struct scratch) <= ${steps[#steps].scratch}, "scratch as the launch recipe has it");

% if not has_score then
#define LN2 ${target.literal(0.6931471805599453)}
% end
% include("templates/common/math.c.t", { need = need, target = target })
% include("templates/common/convert.c.t", { need = need, target = target })
% if p.dropout then
%   include("templates/common/philox.c.t", { target = target, lanes = p.shard and "rows" or "row pairs" })
% end

% -- Where row r of a key tile stands.
% local function row(r) return paged and ("from + table[(j0 + %s) / PAGE] * page + (j0 + %s) %% PAGE * stride"):format(r, r) or ("from + %s * stride"):format(r) end
% local where = paged and "i64 stride, const i32 *table, i64 page, int j0" or "i64 stride"
% if dot then
/* Rows [0, n) of a tile, where a pair of columns is an int, and copies of the last one up to a whole register
 * block. */
APART void stage_k(int (*restrict to)[K_PITCH], const bf16 *from, ${where}, int n)
{
    for (int r = 0; r < (n + MK - 1) / MK * MK; r++) {
        const int at = min_i(r, n - 1);
        to[r][DEPTH - 1] = 0;
        __builtin_memcpy(to[r], ${row("at")}, D * sizeof(bf16));
    }
}

/* Rows 2 r and 2 r + 1 as pairs; behind an odd last one zeros. */
APART void stage_v(int (*restrict to)[V_PITCH], const bf16 *from, ${where}, int n)
{
    for (int r = 0; r < n; r += 2, to++) {
        const int next = min_i(r + 1, n - 1);
        pair_rows(*to, ${row("r")}, ${row("next")}, r < next, DV);
        for (int c = DV; c < COLUMNS; c++) (*to)[c] = 0;
    }
}
% else
/* Rows [0, n) of a tile, and copies of the last one up to a whole register block. */
APART void stage_k(real (*restrict to)[K_PITCH], const ${p.kvdtype} *from, ${where}, int n)
{
    for (int r = 0; r < (n + MK - 1) / MK * MK; r++) {
        const int at = min_i(r, n - 1);
        load_row_${p.kvdtype}(to[r], ${row("at")}, D);
    }
}

APART void stage_v(real (*restrict to)[V_PITCH], const ${p.kvdtype} *from, ${where}, int n)
{
    for (int r = 0; r < n; r++) {
        load_row_${p.kvdtype}(to[r], ${row("r")}, DV);
        for (int c = DV; c < COLUMNS; c++) to[r][c] = 0;
    }
}
% end

/* n rows, and copies of the last one, as lanes; their O is 0. */
APART void stage_q(struct block *restrict to, real (*restrict row)[WIDTH], const ${p.dtype} *from, i64 stride, int n${dot and "" or ", real scale"})
{
    for (int v = 0; v < VECTORS; v++) {
        for (int l = 0; l < LANES; l++) {
            const ${p.dtype} *at = from + min_i(v * LANES + l, n - 1) * stride;
% if dot then
            ((int *)row[l])[DEPTH - 1] = 0;
            __builtin_memcpy(row[l], at, D * sizeof(bf16));
% else
            load_row_${p.dtype}(row[l], at, D);
% end
        }
        for (int c = 0; c < DEPTH; c += LANES) {
            vr x[LANES];
            UNROLLED for (int l = 0; l < LANES; l++) x[l] = *(const vr *)(row[l] + c);
            transpose(x);
            UNROLLED for (int l = 0; l < min_i(LANES, DEPTH - c); l++) to->q[c + l][v] = ${dot and "(vi)x[l]" or "x[l] * scale"};
        }
        to->top[v] = splat_r(-INF);
        to->sum[v] = splat_r(0);
        for (int c = 0; c < COLUMNS; c++) to->o[c][v] = splat_r(0);
    }
    to->begun = 1;
}

/* Asks for rows [r, last), so that stage_q need not wait for them. */
INLINE void fetch(const ${p.dtype} *from, i64 stride, int r, int last)
{
    for (; r < last; r++)
        for (int c = 0; c < D; c += LINE / (int)sizeof *from) __builtin_prefetch(from + r * stride + c);
}

/* S^T = K Q^T for MK keys; their maximum joins top. */
APART void scores(vr (*restrict s)[VECTORS], const ${element} (*restrict k)[K_PITCH],
                                             const ${operand} (*restrict q)[VECTORS], vr *restrict top${dot and ", real scale" or ""})
{
    vr sum[MK][VECTORS];
    UNROLLED for (int r = 0; r < MK; r++)
        UNROLLED for (int v = 0; v < VECTORS; v++) sum[r][v] = splat_r(0);
    for (int c = 0; c < DEPTH; c++)
        UNROLLED for (int r = 0; r < MK; r++) {
            const ${operand} x = broadcast_${dot and "i" or "r"}(&k[r][c]);
            UNROLLED for (int v = 0; v < VECTORS; v++) ${madd("sum[r][v]", "x", "q[c][v]")};
        }
    UNROLLED for (int r = 0; r < MK; r++)
        UNROLLED for (int v = 0; v < VECTORS; v++) {
            s[r][v] = sum[r][v]${dot and " * scale" or ""};
            top[v] = max_vr(top[v], s[r][v]);
        }
}

/* S becomes P = ${has_score and "exp(S - top)" or "2^(S - top)"}${p.dropout and ", 0 where dropped" or ""}${dot and ", pairs of keys rounded to bf16" or ""}; `shrink` is what sum and O so far are worth
 * by the new maximum. */
% local function power(x) return has_score and ("exp2_fall_vr((%s) * LOG2E)"):format(x) or ("exp2_fall_vr(%s)"):format(x) end
% local function weight(r) return power(("s[%s][v] - peak[v]"):format(r)) end
APART void softmax(vr (*restrict s)[VECTORS], struct block *restrict x, const vr *top,
                                              vr *restrict shrink, int n${p.dropout and ", const vi (*restrict keep)[VECTORS]" or ""})
{
    vr peak[VECTORS], sum[VECTORS];
    UNROLLED for (int v = 0; v < VECTORS; v++) {
        peak[v] = select_r(top[v] == -INF, splat_r(0), top[v]); /* every key hidden so far */
        shrink[v] = ${power("x->top[v] - peak[v]")};
        sum[v] = splat_r(0);
    }
% if dot then
    vi(*p)[VECTORS] = (vi(*)[VECTORS])s;
    for (int r = 0; r < n; r += 2)
        UNROLLED for (int v = 0; v < VECTORS; v++) {
            const vr a = ${weight("r")};
            const vr b = r + 1 < n ? ${weight("r + 1")} : splat_r(0);
            const vi low = (vi)((vu)((vi)a + 0x8000) >> 16), high = ((vi)b + 0x8000) & (int)0xffff0000;
%   if p.dropout then
            p[r / 2][v] = (low & keep[r][v]) | (high & keep[r + (r + 1 < n)][v]);
%   else
            p[r / 2][v] = low | high;
%   end
            sum[v] += a + b;
        }
% else
%   local indent = part and "    " or ""
%   if part then
    for (int from = 0; from < n; from += PART) {
        const int to = min_i(n, from + PART);
        vr own[VECTORS];
        UNROLLED for (int v = 0; v < VECTORS; v++) own[v] = splat_r(0);
%   end
    ${indent}for (int r = ${part and "from" or 0}; r < ${part and "to" or "n"}; r++)
    ${indent}    UNROLLED for (int v = 0; v < VECTORS; v++) {
    ${indent}        const vr p = ${weight("r")};
    ${indent}        s[r][v] = ${p.dropout and "(vr)((vi)p & keep[r][v])" or "p"};
    ${indent}        ${part and "own" or "sum"}[v] += p;
    ${indent}    }
%   if part then
        UNROLLED for (int v = 0; v < VECTORS; v++) sum[v] += own[v];
    }
%   end
% end
    UNROLLED for (int v = 0; v < VECTORS; v++) {
        x->sum[v] = x->sum[v] * shrink[v] + sum[v];
        x->top[v] = top[v];
    }
}

/* O^T = O^T shrink + V^T P^T for MV value columns. A tile's sum is on its own first: errors of a long sum of
 * like terms grow with the tiles, not with the keys. */
APART void accumulate(vr (*restrict o)[VECTORS], const ${element} *restrict value,
                                                 const ${operand} (*restrict p)[VECTORS], const vr *restrict shrink, int n)
{
    vr sum[MV][VECTORS];
    UNROLLED for (int c = 0; c < MV; c++)
        UNROLLED for (int v = 0; v < VECTORS; v++) sum[c][v] = splat_r(0);
#pragma GCC unroll 4
    for (int r = 0; r < n; r += ${step}, value += V_PITCH, p++)
        UNROLLED for (int c = 0; c < MV; c++) {
            const ${operand} x = broadcast_${dot and "i" or "r"}(value + c);
            UNROLLED for (int v = 0; v < VECTORS; v++) ${madd("sum[c][v]", "x", "(*p)[v]")};
        }
    UNROLLED for (int c = 0; c < MV; c++)
        UNROLLED for (int v = 0; v < VECTORS; v++) o[c][v] = o[c][v] * shrink[v] + sum[c][v];
}

% if far then
/* The sums so far join those further back, and begin anew. */
APART void settle(struct block *x, int first)
{
    for (int v = 0; v < VECTORS; v++) {
        const vr peak = select_r(x->top[v] == -INF, splat_r(0), x->top[v]);
        const vr shrink = first ? splat_r(0) : ${power("x->far_top[v] - peak")};
        x->far_top[v] = x->top[v];
        x->far_sum[v] = first ? x->sum[v] : x->far_sum[v] * shrink + x->sum[v];
        x->sum[v] = splat_r(0);
        for (int c = 0; c < COLUMNS; c++) {
            x->far_o[c][v] = first ? x->o[c][v] : x->far_o[c][v] * shrink + x->o[c][v];
            x->o[c][v] = splat_r(0);
        }
    }
}

APART void gather(struct block *x)
{
    settle(x, 0);
    __builtin_memcpy(x->sum, x->far_sum, sizeof x->sum);
    __builtin_memcpy(x->o, x->far_o, sizeof x->o);
}

% end
% if p.sinks then
/* The sink's logit joins the row, with no value. */
APART void drain(struct block *x, real sink)
{
    for (int v = 0; v < VECTORS; v++) {
        const vr top = max_vr(x->top[v], splat_r(sink)), peak = select_r(top == -INF, splat_r(0), top);
        const vr root = ${power("(x->top[v] - peak) * (real)0.5")}; /* of what O is worth still, which may be a subnormal */
        for (int c = 0; c < COLUMNS; c++) x->o[c][v] = x->o[c][v] * root * root;
        x->sum[v] = x->sum[v] * root * root + ${power("splat_r(sink) - peak")};
        x->top[v] = top;
    }
}

% end
% local lse_to = p.lse and ", " .. (body.lse_type(p)) .. " *lse, i64 lse_stride" or ""
/* O = O / sum${p.lse and ", LSE = top + log(sum)" or ""}; both for a row without visible keys as if V were 0. */
APART void finish(const struct block *x, real (*restrict row)[WIDTH], ${p.odtype} *o, i64 stride${lse_to}, int n${p.dropout and ", real kept" or ""})
{
    for (int v = 0; v < VECTORS; v++) {
        const int rows = min_i(LANES, n - v * LANES);
        const vr share = select_r(x->sum[v] == 0, splat_r(0), ${p.dropout and "kept" or "1"} / x->sum[v]);
        for (int c = 0; c < DV; c += LANES) {
            vr y[LANES];
            UNROLLED for (int l = 0; l < LANES; l++) y[l] = x->o[min_i(c + l, COLUMNS - 1)][v] * share;
            transpose(y);
            UNROLLED for (int l = 0; l < LANES; l++) *(vr *)(row[l] + c) = y[l];
        }
        for (int l = 0; l < rows; l++) store_row_${p.odtype}(o + (v * LANES + l) * stride, row[l], DV);
% if p.lse then
        const vr logs = select_r(x->sum[v] == 0, splat_r(-INF), x->top[v]${has_score and "" or " * LN2"} + log_vr(x->sum[v]));
        for (int l = 0; l < rows; l++) lse[(v * LANES + l) * lse_stride] = logs[l];
% end
    }
}

% if padded then
/* n rows behind a sequence's last. */
APART void blank(${p.odtype} *o, i64 stride${lse_to}, int n)
{
    for (int r = 0; r < n; r++) {
        for (int c = 0; c < DV; c++) o[r * stride + c] = 0;
%   if p.lse then
        lse[r * lse_stride] = -INF;
%   end
    }
}

% end
% -- ---- What the variant's texts need ----
% local function temporaries(level, root)
%   local list = {}
%   for _, t in ipairs(code[level]) do if t.roots[root] then list[#list + 1] = t end end
%   return ipairs(list)
% end
% -- The words of these texts, and of all that a root needs.
% local function words(root, ...)
%   local set, texts = {}, { code.value[root], ... }
%   for _, level in ipairs { "launch", "head", "row", "column", "element" } do
%     for _, t in temporaries(level, root) do texts[#texts + 1] = t.text end
%   end
%   for _, text in pairs(texts) do
%     for word in text:gmatch("[%a_][%w_]*") do set[word] = true end
%   end
%   return set
% end
% -- Declares what a root and these texts name of the arguments, and what the root needs that a launch computes once.
% local function launch_values(root, ...)
%   local used = words(root, ...)
%   for _, slot in ipairs(slots) do if slot.read and used[slot.field] then
    ${slot.kind == "stride" and "const i64 " or slot.ctype}${slot.field} = a->${slot.field};
%   end end
%   for _, param in ipairs(variant.params) do if used[param.name] then
    const ${param.type == "int" and "int" or "real"} ${param.name} = (${param.type == "int" and "int" or "real"})a->${param.name};
%   end end
%   for _, slot in ipairs(slots) do if slot.kind == "recipe" and used[slot.field] then
    const int ${slot.field} = (int)a->${slot.field};
%   end end
%   for _, t in temporaries("launch", root) do
    ${declare(t)} = ${t.text};
%   end
% end
% -- The same of a task.
% local function task_values(root, ...)
%   launch_values(root, ...)
%   local used = words(root, ...)
%   for _, name in ipairs(p.lens and { "b", "h", "sq", "sk" } or { "b", "h" }) do if used[name] then
    const int ${name} = task->${name};
%   end end
%   for _, t in temporaries("head", root) do
    ${declare(t)} = ${t.text};
%   end
% end
% -- What rows give: arrays over the vectors of a block.
% local function row_values(indent, root)
${indent}vi i[VECTORS];
%   for _, t in temporaries("row", root) do
${indent}${t.ctype} ${t.name}[VECTORS];
%   end
${indent}UNROLLED for (int v = 0; v < VECTORS; v++) {
${indent}    i[v] = min_vi(splat_i(i0 + v * LANES) + LANE, splat_i(${sq} - 1));
%   for _, t in temporaries("row", root) do
${indent}    ${t.name}[v] = ${t.text};
%   end
${indent}}
% end
% if classes then
enum { EMPTY, MIXED, FULL };

/* Which tiles a block of query rows sees nothing of, or all. A task is one block of rows. */
void classify(const struct args *a, void *scratch, i64 first, i64 last)
{
% launch_values("keep", sq, sk, ROW_BLOCKS, KEY_TILES, SQ, SK)
%   if not p.sq then
    const int row_blocks = (${SQ} + BLOCK - 1) / BLOCK;
%   end
%   if not p.sk then
    const int key_tiles = (${SK} + KEYS - 1) / KEYS;
%   end
    (void)scratch;
    for (i64 number = first; number < last; number++) {
        const int head = (int)(number / ${ROW_BLOCKS}), i0 = (int)(number % ${ROW_BLOCKS}) * BLOCK;
        const int h = ${classes.h and (classes.b and "head % HQ" or "head") or "0"}, b = ${classes.b and (classes.h and "head / HQ" or "head") or "0"};
        u8 *class = a->classes + number * ${KEY_TILES};
        (void)h, (void)b;
%   if p.lens then
        const int ${lengths};
%   end
%   for _, t in temporaries("head", "keep") do
        ${declare(t)} = ${t.text};
%   end
        if (i0 >= ${sq}) { /* behind a sequence's end */
            for (int tile = 0; tile < ${KEY_TILES}; tile++) class[tile] = EMPTY;
            continue;
        }
%   row_values("        ", "keep")
        for (int tile = 0; tile < ${KEY_TILES}; tile++) {
            const int tile_last = min_i(tile * KEYS + KEYS, ${sk});
            vi some = splat_i(0), all = splat_i(-1);
            for (int j = tile * KEYS; j < tile_last; j++) {
%   for _, t in temporaries("column", "keep") do
                ${declare(t)} = ${t.text};
%   end
                UNROLLED for (int v = 0; v < VECTORS; v++) {
%   for _, t in temporaries("element", "keep") do
                    ${declare(t)} = ${t.text};
%   end
                    const vi keep = ${code.value.keep};
                    some |= keep;
                    all &= keep;
                }
            }
            class[tile] = !any_lane(some) ? EMPTY : any_lane(~all) ? MIXED : FULL;
        }
    }
}

% end
/* Where a task's rows and keys are. */
struct task {
    int b, h, row, rows, blocks; /* row: the first one of the queries; rows: those that there are; blocks: of them */
% if p.lens then
    int sq, sk;
% end
% if padded then
    int written; /* rows, and those behind a sequence's end */
% end
    const ${p.dtype} *q;
    const ${p.kvdtype} *k, *v;
% if paged then
    const i32 *table;
% end
    real scale;
% if p.dropout then
    struct dropout drop;
% end
    int from, to; /* the keys that some row sees */
% if not bounds.always then
    struct {
        int first, last, full_first, full_last;
    } range[BLOCKS]; /* of the keys that some row of a block sees, and that all do */
% end
% if classes then
    const u8 *class;
% end
};

% -- A tensor's rows of this head, from its first one on.
% local function base(name, h, row, at)
%   local text = ("a->%s + %s * a->%s_h"):format(name, h, name)
%   if packed and not (paged and (name == "k" or name == "v")) then
%     return text .. (" + (%s%s) * a->%s_s"):format(at, row and " + " .. row or "", name)
%   end
%   if not (paged and (name == "k" or name == "v")) then text = text:gsub("a%->" .. name .. " %+", "a->" .. name .. " + b * a->" .. name .. "_b +") end
%   return text .. (row and (" + %s * a->%s_s"):format(row, name) or "")
% end
% local drop_head = p.shard and "(unsigned)(b + origin_b) * (unsigned)whole_hq + (unsigned)(h + origin_h)" or "(unsigned)head"
% local key_head = group == 1 and "h" or "(h / " .. group .. ")"
APART void task_find(struct task *task, const struct args *a, i64 number)
{
% launch_values(nil, SQ, SK, heads, p.dropout and drop_head or "", classes and ROW_BLOCKS or "", classes and KEY_TILES or "")
% if not p.sq then
    const int tiles = (${SQ} + ROWS - 1) / ROWS;
% end
    const int tile = (int)(${place}), head = (int)(${head});
    const int h = head % HQ, b = head / HQ, row = tile * ROWS;
    task->b = b, task->h = h, task->row = row;
% if p.lens then
    const int ${lengths};
    task->sq = sq, task->sk = sk;
% end
    task->rows = ${p.lens and ("max_i(0, min_i(ROWS, sq - row))") or ("min_i(ROWS, %s - row)"):format(SQ)};
    task->blocks = (task->rows + BLOCK - 1) / BLOCK;
% if padded then
    task->written = min_i(ROWS, ${SQ} - row);
% end
    task->q = ${base("q", "h", "row", "a->cu_q[b]")};
    task->k = ${base("k", key_head, nil, "a->cu_k[b]")};
    task->v = ${base("v", key_head, nil, "a->cu_k[b]")};
% if paged then
    task->table = a->table + b * a->table_b;
% end
    task->scale = (real)${has_score and "a->scale" or ("(a->scale * %s)"):format(f64(1.4426950408889634))};${has_score and "" or " /* to base 2 */"}
% if p.dropout then
    const unsigned *rng = (const unsigned *)a->rng;
    const u64 seed = rng ? rng[0] | (u64)rng[1] << 32 : (u64)a->seed, offset = rng ? rng[2] | (u64)rng[3] << 32 : (u64)a->offset;
    task->drop = (struct dropout){ (unsigned)seed, (unsigned)(seed >> 32) ^ (unsigned)(offset >> 32), (unsigned)offset,
                                   ${drop_head}, (int)a->drop };
% end
% if classes then
%   if not p.sq then
    const int row_blocks = (${SQ} + BLOCK - 1) / BLOCK;
%   end
%   if not p.sk then
    const int key_tiles = (${SK} + KEYS - 1) / KEYS;
%   end
    task->class = a->classes + ((i64)${classes.b and (classes.h and "head" or "b") or (classes.h and "h" or "0")} * ${ROW_BLOCKS} + tile * BLOCKS) * ${KEY_TILES};
% end
}

% if bounds.always then
APART void task_ranges(struct task *task) { task->from = 0, task->to = ${p.lens and "task->blocks ? task->sk : 0" or sk}; }
% else
%   local ends = { first = bounds.first and ("max_i(0, %s)"):format(bounds.first) or "0", last = bounds.last and ("min_i(%s, %s)"):format(sk, bounds.last) or sk,
%     full_first = bounds.full_first or "0", full_last = bounds.full_last or sk }
APART void task_ranges(struct task *task, const struct args *a)
{
%   task_values(nil, sq, sk, ends.first, ends.last, ends.full_first, ends.full_last)
    task->from = ${sk}, task->to = 0;
    for (int x = 0; x < task->blocks; x++) {
        const int i0 = task->row + x * BLOCK${names("i1", "first", "last", "full_first", "full_last") and (", i1 = min_i(i0 + BLOCK, %s) - 1"):format(sq) or ""};
        task->range[x].first = ${ends.first};
        task->range[x].last = ${ends.last};
        task->range[x].full_first = ${ends.full_first};
        task->range[x].full_last = ${ends.full_last};
        task->from = min_i(task->from, task->range[x].first);
        task->to = max_i(task->to, task->range[x].last);
    }
%   if classes then
    task->from = task->from / KEYS * KEYS;
%   end
}
% end

% -- A pass over the scores of a tile, which become `value` of themselves, s; their maximum is found anew.
% local function pass(name, root, value)
APART void ${name}(const struct args *a, struct scratch *t, const struct task *task, const vr *before, vr *restrict top, int i0, int j0, int n)
{
%   task_values(root, sq)
    vr most[VECTORS];
%   row_values("    ", root)
    UNROLLED for (int v = 0; v < VECTORS; v++) most[v] = before[v];
    for (int r = 0; r < n; r++) {
        const int j = j0 + r;
%   for _, t in temporaries("column", root) do
        ${declare(t)} = ${t.text};
%   end
        UNROLLED for (int v = 0; v < VECTORS; v++) {
            const vr s = t->s[r][v];
%   for _, t in temporaries("element", root) do
            ${declare(t)} = ${t.text};
%   end
            t->s[r][v] = ${value};
            most[v] = max_vr(most[v], t->s[r][v]);
        }
    }
    UNROLLED for (int v = 0; v < VECTORS; v++) top[v] = most[v];
}

% end
% if has_score then
/* The variant's score. */
%   pass("apply_score", "score", code.value.score)
% end
% if not bounds.always then
/* -INF where the mask hides a key. */
%   pass("apply_mask", "keep", ("select_r(%s, s, splat_r(-INF))"):format(code.value.keep))
% end
/* Register block x begins with its rows of Q. */
static void begin(const struct args *a, struct scratch *t, const struct task *task, int x)
{
    if (!t->block[x].begun) stage_q(&t->block[x], t->row, task->q + x * BLOCK * a->q_s, a->q_s, task->rows - x * BLOCK${dot and "" or ", task->scale"});
}

/* Register block x meets the keys of a tile. */
APART void attend(const struct args *a, struct scratch *t, const struct task *task, int x, int tile_first, int tile_last)
{
    struct block *block = &t->block[x];
% if bounds.always then
    const int skip = 0, n = tile_last - tile_first;
% else
    const int skip = max_i(0, task->range[x].first - tile_first) / SKIP * SKIP;
    const int n = min_i(tile_last, task->range[x].last) - tile_first - skip;
    if (n <= 0) return;
% end
% local drop_i, drop_j = p.shard and "i0 + origin_i" or "i0", p.shard and "j0 + origin_j" or "j0"
% task_values(nil, not classes and bounds.empty or "", not classes and bounds.full or "", not classes and names("i1", "empty", "full") and sq or "", p.dropout and drop_i or "", p.dropout and drop_j or "", classes and KEY_TILES or "")
% if has_score or not bounds.always or p.dropout then
    const int i0 = task->row + x * BLOCK, j0 = tile_first + skip;
% end
% if classes then
%   if not p.sk then
    const int key_tiles = (${SK} + KEYS - 1) / KEYS;
%   end
    const int class = task->class[x * ${KEY_TILES} + tile_first / KEYS], full = class == FULL${whole};
    if (class == EMPTY) return;
% elseif not bounds.always then
    const int j1 = j0 + n - 1${names("i1", "empty", "full") and (", i1 = min_i(i0 + BLOCK, %s) - 1"):format(sq) or ""};
%   if bounds.empty then
    if (${bounds.empty}) return;
%   end
    const int full = j0 >= task->range[x].full_first && j1 < task->range[x].full_last${bounds.full and (" && (%s)"):format(bounds.full) or ""}${whole};
% end
    begin(a, t, task, x);
    const ${p.dtype} *next = task->q + (x + 1) * BLOCK * a->q_s;
    const int coming = x + 1 < task->blocks && !block[1].begun ? min_i(BLOCK, task->rows - (x + 1) * BLOCK) : 0; /* rows */
    vr top[VECTORS], shrink[VECTORS];
    UNROLLED for (int v = 0; v < VECTORS; v++) top[v] = block->top[v];
    for (int r = 0, asked = 0; r < n; r += MK, asked += SHARE) {
        fetch(next, a->q_s, asked, min_i(asked + SHARE, coming));
        scores(t->s + r, (const ${element} (*)[K_PITCH])t->k + skip + r, (const ${operand} (*)[VECTORS])block->q, top${dot and ", task->scale" or ""});
    }
% if has_score then
    apply_score(a, t, task, block->top, top, i0, j0, n);
% end
% if not bounds.always then
    if (!full) apply_mask(a, t, task, block->top, top, i0, j0, n);
% end
% if p.dropout then
    dropout_rows(t->keep, &task->drop, ${drop_i}, ${drop_j}, n);
% end
    softmax(t->s, block, top, shrink, n${p.dropout and ", (const vi (*)[VECTORS])t->keep" or ""});
% if part then
    vr one[VECTORS];
    UNROLLED for (int v = 0; v < VECTORS; v++) one[v] = splat_r(1);
    for (int c = 0; c < COLUMNS; c += MV)
        for (int r = 0; r < n; r += PART)
            accumulate(block->o + c, &t->v[skip + r][c], (const ${operand} (*)[VECTORS])t->s + r, r ? one : shrink, min_i(PART, n - r));
% else
    for (int c = 0; c < COLUMNS; c += MV)
        accumulate(block->o + c, &t->v[skip${dot and " / 2" or ""}][c], (const ${operand} (*)[VECTORS])t->s, shrink, n);
% end
}

/* The rows of a task are written. */
APART void conclude(const struct args *a, struct scratch *t, const struct task *task)
{
    for (int x = 0; x < task->blocks; x++) begin(a, t, task, x); /* those that saw no key */
% local sink = ("%s(real)a->sinks[%s * a->sinks_h]%s"):format(p.shard and ("origin_j > 0 || %s < min_i(whole_sk, 1) ? -INF : "):format(sk) or "", p.shard and "(h + origin_h)" or "h", has_score and "" or " * LOG2E")
% task_values(nil, "b", "h", p.sinks and sink or "")
    const int row = task->row;
    ${p.odtype} *o = ${base("o", "h", "row", "a->cu_q[b]")};
% if p.lse then
    ${body.lse_type(p)} *lse = ${base("lse", "h", "row", "a->cu_q[b]")};
% end
% if p.dropout then
    const real kept = a->drop < 65536 ? (real)65536 / (real)(65536 - a->drop) : 0;
% end
% if p.sinks then
    const real sink = ${sink};
    for (int x = 0; x < task->blocks; x++) drain(&t->block[x], sink);
% end
    for (int x = 0; x < task->blocks; x++)
        finish(&t->block[x], t->row, o + x * BLOCK * a->o_s, a->o_s${p.lse and ", lse + x * BLOCK * a->lse_s, a->lse_s" or ""}, min_i(BLOCK, task->rows - x * BLOCK)${p.dropout and ", kept" or ""});
% if padded then
    blank(o + task->rows * a->o_s, a->o_s${p.lse and ", lse + task->rows * a->lse_s, a->lse_s" or ""}, task->written - task->rows);
% end
}

void attention(const struct args *a, struct scratch *t, i64 first, i64 last)
{
% task_values(nil, classes and KEY_TILES or "", classes and not p.sk and SK or "")
% if classes and not p.sk then
    const int key_tiles = (${SK} + KEYS - 1) / KEYS;
% end
    for (i64 number = first; number < last; number++) {
        struct task task;
        task_find(&task, a, number);
% if packed then
        if (!task.blocks) continue;
% end
        task_ranges(&task${bounds.always and "" or ", a"});
        for (int x = 0; x < task.blocks; x++) t->block[x].begun = 0;
% if far then
        int near = 0, settled = 0; /* tiles since, and whether, sums were put with those further back */
% end
        for (int tile_first = task.from; tile_first < task.to; tile_first += KEYS) {
            const int tile_last = min_i(tile_first + KEYS, task.to), keys = tile_last - tile_first;
% if classes then
            int seen = EMPTY;
            for (int x = 0; x < task.blocks; x++) seen |= task.class[x * ${KEY_TILES} + tile_first / KEYS];
            if (seen == EMPTY) continue;
% end
% if paged then
            stage_k(t->k, task.k, a->k_s, task.table, a->k_p, tile_first, keys);
            stage_v(t->v, task.v, a->v_s, task.table, a->v_p, tile_first, keys);
% else
            stage_k(t->k, task.k + tile_first * a->k_s, a->k_s, keys);
            stage_v(t->v, task.v + tile_first * a->v_s, a->v_s, keys);
% end
            for (int x = 0; x < task.blocks; x++) attend(a, t, &task, x, tile_first, tile_last);
% if far then
            if (++near == FAR) {
                for (int x = 0; x < task.blocks; x++) {
                    begin(a, t, &task, x);
                    settle(&t->block[x], !settled);
                }
                near = 0, settled = 1;
            }
% end
        }
% if far then
        for (int x = 0; x < task.blocks && settled; x++) gather(&t->block[x]);
% end
        conclude(a, t, &task);
    }
}
