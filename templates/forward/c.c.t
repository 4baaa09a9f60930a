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
% local function whole_vectors(n) return ceildiv(n, target.lanes) * target.lanes end -- as transpose takes them
% local group = p.hq // p.hkv
%
% -- With bf16 dot instructions a step of a product takes two columns (of Q and K) or two keys (of P and V).
% local dot = cfg.dot == 1
% local step = dot and 2 or 1
% local operand, element = dot and "vi" or "vr", dot and "int" or "real"
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
% local texts, lse_type = require("templates.common.texts"), require("templates.common.slots").lse_type(p)
% local declare = texts.declare
% local function temporaries(level, roots) return texts.temporaries(code, level, roots) end
% local function words(roots, ...) return texts.words(code, roots, ...) end
% local function names(word, ...) return texts.names(bounds, word, ...) end
% -- Sums are of parts of a tile, unless all rows see enough keys, and where there may be many tiles, of so many at a time.
% local sums = require "templates.common.sums"
% local enough = bounds.always and p.sk and not p.lens
% local part, far = not enough and sums.part(p, cfg.keys) or nil, sums.far(p, cfg.keys)
% local raise = dot and 0 or require "templates.common.raise"(p) -- dot instructions flush subnormals
% local classes = body.classes(p, variant)
% local lengths = p.lens == "padded" and "sq = a->q_lens[b], sk = a->k_lens[b]" or "sq = a->cu_q[b + 1] - a->cu_q[b], sk = a->cu_k[b + 1] - a->cu_k[b]"
% -- A tile's last register block of S may reach keys that a block of rows does not see: their maximum is found anew.
% local whole = not has_score and not bounds.always and " && (n % MK == 0 || j0 + n == tile_last)" or ""
% local need = { select_r = true, max_vr = true, exp2_fall_vr = true, transpose = dot and "bits" or "times", ["broadcast_" .. (dot and "i" or "r")] = true }
% local staging = dot and { "dot_vr", "pair_rows" } or { "load_row_" .. p.dtype, "load_row_" .. p.kvdtype }
% for _, name in ipairs(staging) do need[name] = true end
% need["store_row_" .. p.odtype] = true
% if code.value.keep or has_score then need.min_vi = true end
% if p.lse then need.log_vr = true end
% if classes or raise > 0 then need.any_lane = true end
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
    Q_SHARE = ${ceildiv(BLOCK * MK, cfg.keys)}, KEY_SHARE = ${ceildiv(MK, cfg.blocks)}, /* rows of Q and of K and V asked for beside a register block of S */
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
    ${operand} q[${whole_vectors(ceildiv(p.d, step))}][VECTORS];${dot and "" or " /* scaled */"}
    vr o[${math.max(COLUMNS, whole_vectors(p.dv))}][VECTORS]; /* the last ones are padding */
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
% if raise > 0 then
#define LEAST ${target.literal(target.real == "f64" and 0x1p-1022 or 0x1p-126)} /* below it are subnormals */
% end
% include("templates/common/math.c.t", { need = need, target = target, raise = raise })
% include("templates/common/convert.c.t", { need = need, target = target })
% if p.dropout then
%   include("templates/common/philox.c.t", { target = target, lanes = p.shard and "rows" or "row pairs" })
% end

% include("templates/forward/c_stage.c.t", { dot = dot, paged = paged })

% include("templates/forward/c_block.c.t", { lse_type = lse_type, dot = dot, step = step, operand = operand, element = element, has_score = has_score, raise = raise, part = part or false, far = far or false, padded = padded })

% -- ---- What the variant's texts need ----
% local counts = { { "tiles", ("(%s + ROWS - 1) / ROWS"):format(SQ) }, { "row_blocks", ("(%s + BLOCK - 1) / BLOCK"):format(SQ) },
%   { "key_tiles", ("(%s + KEYS - 1) / KEYS"):format(SK) } }
% -- Declares what roots and these texts name of the arguments, and what the roots need that a launch computes once.
% local function launch_values(roots, ...)
%   local used = words(roots, ...)
%   for _, count in ipairs(counts) do
%     for word in pairs(used[count[1]] and words({}, count[2]) or {}) do used[word] = true end
%   end
%   for _, slot in ipairs(slots) do if slot.read and used[slot.field] then
    ${slot.kind == "stride" and "const i64 " or slot.ctype}${slot.field} = a->${slot.field};
%   end end
%   for _, param in ipairs(variant.params) do if used[param.name] then
    const ${param.type == "int" and "int" or "real"} ${param.name} = (${param.type == "int" and "int" or "real"})a->${param.name};
%   end end
%   for _, slot in ipairs(slots) do if slot.kind == "recipe" and used[slot.field] then
    const int ${slot.field} = (int)a->${slot.field};
%   end end
%   for _, count in ipairs(counts) do if used[count[1]] then
    const int ${count[1]} = ${count[2]};
%   end end
%   for _, t in temporaries("launch", roots) do
    ${declare(t)} = ${t.text};
%   end
% end
% -- The same of a task.
% local function task_values(roots, ...)
%   launch_values(roots, ...)
%   local used = words(roots, ...)
%   for _, name in ipairs(p.lens and { "b", "h", "sq", "sk" } or { "b", "h" }) do if used[name] then
    const int ${name} = task->${name};
%   end end
%   for _, t in temporaries("head", roots) do
    ${declare(t)} = ${t.text};
%   end
% end
% -- What rows give: arrays over the vectors of a block.
% local function row_values(indent, roots)
${indent}vi i[VECTORS];
%   for _, t in temporaries("row", roots) do
${indent}${t.ctype} ${t.name}[VECTORS];
%   end
${indent}UNROLLED for (int v = 0; v < VECTORS; v++) {
${indent}    i[v] = min_vi(splat_i(i0 + v * LANES) + LANE, splat_i(${sq} - 1));
%   for _, t in temporaries("row", roots) do
${indent}    ${t.name}[v] = ${t.text};
%   end
${indent}}
% end
% if classes then
enum { EMPTY, MIXED, FULL };

/* Which tiles a block of query rows sees nothing of, or all. A task is one block of rows. */
void classify(const struct args *a, void *scratch, i64 first, i64 last)
{
% launch_values({ "keep" }, sq, sk, ROW_BLOCKS, KEY_TILES)
    (void)scratch;
    for (i64 number = first; number < last; number++) {
        const int head = (int)(number / ${ROW_BLOCKS}), i0 = (int)(number % ${ROW_BLOCKS}) * BLOCK;
        const int h = ${classes.h and (classes.b and "head % HQ" or "head") or "0"}, b = ${classes.b and (classes.h and "head / HQ" or "head") or "0"};
        u8 *class = a->classes + number * ${KEY_TILES};
        (void)h, (void)b;
%   if p.lens then
        const int ${lengths};
%   end
%   for _, t in temporaries("head", { "keep" }) do
        ${declare(t)} = ${t.text};
%   end
        if (i0 >= ${sq}) { /* behind a sequence's end */
            for (int tile = 0; tile < ${KEY_TILES}; tile++) class[tile] = EMPTY;
            continue;
        }
%   row_values("        ", { "keep" })
        for (int tile = 0; tile < ${KEY_TILES}; tile++) {
            const int tile_last = min_i(tile * KEYS + KEYS, ${sk});
            vi some = splat_i(0), all = splat_i(-1);
            for (int j = tile * KEYS; j < tile_last; j++) {
%   for _, t in temporaries("column", { "keep" }) do
                ${declare(t)} = ${t.text};
%   end
                UNROLLED for (int v = 0; v < VECTORS; v++) {
%   for _, t in temporaries("element", { "keep" }) do
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
% if raise > 0 then
    int plain; /* weights are not raised */
% end
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
% launch_values({}, SQ, place, head, p.dropout and drop_head or "", classes and ROW_BLOCKS or "", classes and KEY_TILES or "")
    const int tile = (int)(${place}), head = (int)(${head});
    const int h = head % HQ, b = head / HQ, row = tile * ROWS;
    task->b = b, task->h = h, task->row = row;
% if raise > 0 then
    task->plain = 0;
% end
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
    task->class = a->classes + ((i64)${classes.b and (classes.h and "head" or "b") or (classes.h and "h" or "0")} * ${ROW_BLOCKS} + tile * BLOCKS) * ${KEY_TILES};
% end
}

% if bounds.always then
static void task_ranges(struct task *task${p.sk and "" or ", const struct args *a"})
{
%   task_values({}, p.lens and "" or sk)
    task->from = 0, task->to = ${p.lens and "task->blocks ? task->sk : 0" or sk};
}
% else
%   local ends = { first = bounds.first and ("max_i(0, %s)"):format(bounds.first) or "0", last = bounds.last and ("min_i(%s, %s)"):format(sk, bounds.last) or sk,
%     full_first = bounds.full_first or "0", full_last = bounds.full_last or sk }
APART void task_ranges(struct task *task, const struct args *a)
{
%   task_values({}, sq, sk, ends.first, ends.last, ends.full_first, ends.full_last)
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
% local function pass(name, roots, value)
APART void ${name}(const struct args *a, struct scratch *t, const struct task *task, const vr *before, vr *restrict top, int i0, int j0, int n)
{
%   task_values(roots, sq)
    vr most[VECTORS];
%   row_values("    ", roots)
    UNROLLED for (int v = 0; v < VECTORS; v++) most[v] = before[v];
    for (int r = 0; r < n; r++) {
        const int j = j0 + r;
%   for _, t in temporaries("column", roots) do
        ${declare(t)} = ${t.text};
%   end
        UNROLLED for (int v = 0; v < VECTORS; v++) {
            const vr s = t->s[r][v];
%   for _, t in temporaries("element", roots) do
            ${declare(t)} = ${t.text};
%   end
            t->s[r][v] = ${value};
            most[v] = max_vr(most[v], t->s[r][v]);
        }
    }
    UNROLLED for (int v = 0; v < VECTORS; v++) top[v] = most[v];
}

% end
% -- A score of a few operations is cheaper anew in a masked tile's pass than by a pass of its own; others take long to
% -- compile, too.
% local at_once = has_score and not bounds.always
% for word in pairs(words({ "score" })) do
%   if word:find("^gather") or word:find("^tanh_") or word:find("^exp_") or word:find("^log_") or word:find("^sqrt_") or word:find("^floordiv_") or word:find("^mod_") then at_once = false end
% end
% if has_score then
/* The variant's score. */
%   pass("apply_score", { "score" }, code.value.score)
% end
% if not bounds.always then
/* ${at_once and "The score, and " or ""}-INF where the mask hides a key. */
%   pass("apply_mask", at_once and { "score", "keep" } or { "keep" }, ("select_r(%s, %s, splat_r(-INF))"):format(code.value.keep, at_once and code.value.score or "s"))
% end
/* Register block x begins with its rows of Q. */
static void begin(const struct args *a, struct scratch *t, const struct task *task, int x)
{
    if (!t->block[x].begun) stage_q(&t->block[x], t->row, task->q + x * BLOCK * a->q_s, a->q_s, task->rows - x * BLOCK${dot and "" or ", task->scale"});
}

% -- Where the row of K or V stands whose number is `key`.
% local function key_row(name)
%   if paged then return ("task->%s + task->table[key / PAGE] * a->%s_p + key %% PAGE * a->%s_s"):format(name, name, name) end
%   return ("task->%s + key * a->%s_s"):format(name, name)
% end
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
% task_values({}, not classes and bounds.empty or "", not classes and bounds.full or "", not classes and names("i1", "empty", "full") and sq or "", p.dropout and drop_i or "", p.dropout and drop_j or "", classes and KEY_TILES or "")
% if has_score or not bounds.always or p.dropout then
    const int i0 = task->row + x * BLOCK, j0 = tile_first + skip;
% end
% if classes then
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
    int asked = 0, key = tile_last + x * (STAGED / MK) * KEY_SHARE; /* of the next block's Q; of the next tile */
    for (int r = 0; r < n; r += MK) {
        for (const int last = min_i(asked + Q_SHARE, coming); asked < last; asked++) fetch(next + asked * a->q_s, D * (int)sizeof *a->q);
        for (const int last = min_i(min_i(key + KEY_SHARE, tile_last + KEYS), task->to); key < last; key++) {
            fetch(${key_row("k")}, D * (int)sizeof *a->k);
            fetch(${key_row("v")}, DV * (int)sizeof *a->v);
        }
        scores(t->s + r, (const ${element} (*)[K_PITCH])t->k + skip + r, (const ${operand} (*)[VECTORS])block->q, top${dot and ", task->scale" or ""});
    }
% if at_once then
    if (full) apply_score(a, t, task, block->top, top, i0, j0, n);
% elseif has_score then
    apply_score(a, t, task, block->top, top, i0, j0, n);
% end
% if not bounds.always then
    if (!full) apply_mask(a, t, task, block->top, top, i0, j0, n);
% end
% if p.dropout then
    dropout_rows(t->keep, &task->drop, ${drop_i}, ${drop_j}, n);
% end
    softmax(t->s, block, top, shrink, n${p.dropout and ", (const vi (*)[VECTORS])t->keep" or ""});
% if raise > 0 then
    if (task->plain) lower(t->s, n);
% end
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
% task_values({}, "b", "h", p.sinks and sink or "")
    const int row = task->row;
    ${p.odtype} *o = ${base("o", "h", "row", "a->cu_q[b]")};
% if p.lse then
    ${lse_type} *lse = ${base("lse", "h", "row", "a->cu_q[b]")};
% end
% if p.dropout then
    const real kept = a->drop < 65536 ? (real)65536 / (real)(65536 - a->drop) : 0;
% end
% if raise > 0 then
    const real worth = task->plain ? ${p.dropout and "kept * RAISE : kept" or "RAISE : 1"}; /* of O, beside sums */
% end
% if p.sinks then
    const real sink = ${sink};
    for (int x = 0; x < task->blocks; x++) drain(&t->block[x], sink);
% end
    for (int x = 0; x < task->blocks; x++)
        finish(&t->block[x], t->row, o + x * BLOCK * a->o_s, a->o_s${p.lse and ", lse + x * BLOCK * a->lse_s, a->lse_s" or ""}, min_i(BLOCK, task->rows - x * BLOCK)${raise > 0 and ", worth" or p.dropout and ", kept" or ""});
% if padded then
    blank(o + task->rows * a->o_s, a->o_s${p.lse and ", lse + task->rows * a->lse_s, a->lse_s" or ""}, task->written - task->rows);
% end
}

/* The rows of a task meet all keys. */
APART void visit(const struct args *a, struct scratch *t, const struct task *task)
{
% task_values({}, classes and KEY_TILES or "")
    for (int x = 0; x < task->blocks; x++) t->block[x].begun = 0;
% if far then
    int near = 0, settled = 0; /* tiles since, and whether, sums were put with those further back */
% end
    for (int tile_first = task->from; tile_first < task->to; tile_first += KEYS) {
        const int tile_last = min_i(tile_first + KEYS, task->to), keys = tile_last - tile_first;
% if classes then
        int seen = EMPTY;
        for (int x = 0; x < task->blocks; x++) seen |= task->class[x * ${KEY_TILES} + tile_first / KEYS];
        if (seen == EMPTY) continue;
% end
% if paged then
        stage_k(t->k, task->k, a->k_s, task->table, a->k_p, tile_first, keys);
        stage_v(t->v, task->v, a->v_s, task->table, a->v_p, tile_first, keys);
% else
        stage_k(t->k, task->k + tile_first * a->k_s, a->k_s, keys);
        stage_v(t->v, task->v + tile_first * a->v_s, a->v_s, keys);
% end
        for (int x = 0; x < task->blocks; x++) attend(a, t, task, x, tile_first, tile_last);
% if far then
        if (++near == FAR) {
            for (int x = 0; x < task->blocks; x++) {
                begin(a, t, task, x);
                settle(&t->block[x], !settled);
            }
            near = 0, settled = 1;
        }
% end
    }
% if far then
    for (int x = 0; x < task->blocks && settled; x++) gather(&t->block[x]);
% end
}

void attention(const struct args *a, struct scratch *t, i64 first, i64 last)
{
    for (i64 number = first; number < last; number++) {
        struct task task;
        task_find(&task, a, number);
% if packed then
        if (!task.blocks) continue;
% end
        task_ranges(&task${bounds.always and p.sk and "" or ", a"});
        visit(a, t, &task);
% if raise > 0 then
        if (!are_finite(t->block, task.blocks)) { /* V may be so huge that O overflows when weights are raised */
            task.plain = 1;
            visit(a, t, &task);
        }
% end
        conclude(a, t, &task);
    }
}
