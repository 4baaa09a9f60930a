% -- Attention forward in C for few query rows. Comes in: p (a problem that forward/c_decode.lua takes), cfg (its
% -- config), dev, target, variant, slots.
% local shape = require("templates.forward.c_decode").shape_of(cfg, p, dev)
% local MR, MK, ROWS, HEADS, SPLITS, PADDED = cfg.mr, cfg.mk, cfg.rows, cfg.heads, cfg.splits, shape.padded
% local far = require("templates.common.sums").far(p, cfg.part * SPLITS)
% local dot = cfg.dot == 1 -- bf16 dot instructions: two columns of K or two keys of V at a time
% local operand = dot and "vi" or "vr"
% local raise = dot and 0 or require "templates.common.raise"(p)
% local lower = raise > 0 and " / RAISE" or ""
% local W, CHUNK = shape.width, shape.chunk
% local group = p.hq // p.hkv
% assert(cfg.keys % target.lanes == 0 and target.lanes % MK == 0, "register blocks fill vectors of keys")
% assert(PADDED % MR == 0 and p.hkv % HEADS == 0, "register blocks fill a task")
%
% local paged, packed, padded = p.page > 0, p.lens == "packed", p.lens == "padded"
% local has_score = variant.score.name ~= "s"
% local code = variant:code()
% local bounds = variant:tiles()
% local texts = require("templates.common.texts")
% local declare = texts.declare
% local function names(word, ...) return texts.names(bounds, word, ...) end
% local need = { select_r = true, max_vr = true, exp_fall_vr = true, min_vi = true, ["store_row_" .. p.odtype] = true,
%   ["load_row_" .. p.dtype] = not dot, ["load_" .. p.kvdtype] = p.kvdtype == "f16", dot_vr = dot, dot_from_vr = dot }
% if p.lse then need.log_vr = true end
% if raise > 0 then need.any_lane = true end
% for _, uses in ipairs { code.uses, bounds.uses } do
%   for name in pairs(uses) do need[name] = true end
% end
% local function size(name) return p[name] or "a->" .. name .. "_size" end
%
/* softmax(q k^T) v for ${p.text}
 * A task is a split of the keys of HEADS key heads, for up to ROWS query rows of each, which lie next to each other:
 * row r of a key head is query head r % GROUP, position r / GROUP. Each row of K and V is read once. Lanes of a
 * vector are columns of K and V; products are summed across them by LANES keys at a time, and then lanes are keys.
 *
 *     for each KEYS keys j of the split:
 *         S = Q K_j^T                    lanes: columns, then keys
 *         S = score(S) where mask        lanes: keys
 *         P = ${raise > 0 and "RAISE " or ""}exp(S - max)
 *         O = O exp(max before - max) + P V_j    by PART keys */
% include("templates/common/types.c.t", { target = target })

enum {
    HQ = ${p.hq}, HKV = ${p.hkv}, GROUP = ${group}, D = ${p.d}, DV = ${p.dv},
    HEADS = ${HEADS}, ROWS = ${ROWS}, SPLITS = ${SPLITS}, /* of a task: key heads, query rows of each; tasks that share keys */
    MR = ${MR}, MK = ${MK}, MO = ${cfg.mo}, PADDED = ${PADDED}, /* query rows and keys of a register block; rows in whole blocks */
% if far then
    FAR = ${math.max(far * cfg.part // cfg.keys, 1)}, /* blocks whose sums are summed on their own */
% end
    KEYS = ${cfg.keys}, VECTORS = KEYS / LANES, /* of a block */
    PART = ${cfg.part}, /* of its keys that register blocks of O take turns with */
    WIDTH = ${W}, K_WIDTH = ${shape.k_width}, CHUNK = ${CHUNK}, /* of one load of V or K: vectors that it becomes; elements */
    DEPTH = ${shape.depth}, COLUMNS = ${shape.columns}, /* chunks in a row of K and V; the last one ends with the row */
};

% include("templates/common/args.c.t", { slots = slots })

/* Rows of one key head. */
struct head {
    ${operand} q[PADDED][DEPTH * K_WIDTH];${dot and "" or " /* scaled */"}
    vr o[PADDED][COLUMNS * WIDTH];
    vr top[PADDED], sum[PADDED]; /* the maximum in all lanes; a sum a lane */
% if far then
    vr far_o[PADDED][COLUMNS * WIDTH], far_top[PADDED], far_sum[PADDED]; /* of blocks further back */
% end
};

struct scratch {
    struct head head[HEADS];
    vr s[PADDED][VECTORS];
};
_Static_assert(sizeof(struct scratch) <= ${shape.scratch}, "scratch as the launch recipe has it");
% if SPLITS > 1 then

/* What a split leaves of a row. */
struct partial {
    vr o[COLUMNS * WIDTH];
    real top, sum;
% if raise > 0 then
    int plain; /* o is, as weights were not raised */
% end
};
_Static_assert(sizeof(struct partial) == ${shape.partial}, "partial results as the region's recipe has them");
% end

% include("templates/common/math.c.t", { need = need, target = target, raise = raise })
% include("templates/common/convert.c.t", { need = need, target = target })
% if p.dropout then
% include("templates/common/philox.c.t", { target = target, lanes = "keys" })
% end

% local passes = include("templates/forward/c_decode_block.c.t", { MK = MK, shape = shape, dot = dot, operand = operand, far = far or false, size = size, raise = raise, lower = lower })
% local function adjust(masked)
%   local function temporaries(level)
%     local list = {}
%     for _, t in ipairs(code[level]) do
%       if masked or t.roots.score then list[#list + 1] = t end
%     end
%     return ipairs(list)
%   end
                    for (int v = 0; v * LANES < n; v++) {
                        const vi j = min_vi(splat_i(j0 + v * LANES) + LANE, splat_i(sk - 1));
%   for _, temporary in temporaries("column") do
                        ${declare(temporary)} = ${temporary.text};
%   end
                        for (int y = 0, r = g * ROWS; y < rows; y++, r++) {
                            const vr s = t->s[y][v];
%   for _, temporary in temporaries("element") do
                            ${declare(temporary)} = ${temporary.text};
%   end
%   if masked then
                            t->s[y][v] = select_r(${code.value.keep}, ${code.value.score}, splat_r(-INF));
%   else
                            t->s[y][v] = ${code.value.score};
%   end
                        }
                    }
% end
/* Where a task's rows and keys are: its sequence, the first of its key heads, which query rows of those. */
struct task {
    int b, head, first, rows, written; /* rows: that see keys; written: those and what is behind the sequence's end */
    int sq, sk;
    i64 place, keys; /* of the sequence's first query and key in packed tensors */
};

APART struct task task_at(const struct args *a, i64 number, int heads)
{
    const int blocks = (int)((GROUP * ${size("sq")} + ROWS - 1) / ROWS), block = (int)(number % blocks);
    struct task x = { .b = (int)(number / blocks / (HKV / heads)), .head = (int)(number / blocks % (HKV / heads)) * heads, .first = block * ROWS };
% if padded then
    x.sq = a->q_lens[x.b], x.sk = a->k_lens[x.b];
% elseif packed then
    x.sq = a->cu_q[x.b + 1] - a->cu_q[x.b], x.sk = a->cu_k[x.b + 1] - a->cu_k[x.b];
    x.place = a->cu_q[x.b], x.keys = ${paged and "0" or "a->cu_k[x.b]"};
% else
    x.sq = (int)${size("sq")}, x.sk = (int)${size("sk")};
% end
    x.rows = max_i(0, min_i(ROWS, GROUP * x.sq - x.first));
    x.written = ${padded and "min_i(ROWS, GROUP * (int)" .. size("sq") .. " - x.first)" or "x.rows"};
    return x;
}

/* The rows of the keys from `from` on, up to to - 1. */
INLINE void find_keys(struct keys *keys, const struct args *a, const struct task *x, int from, int to)
{
    const i64 head_k = x->head * a->k_h, head_v = x->head * a->v_h;
% if paged then
    for (int n = 0; n < KEYS; n++) {
        const i64 j = min_i(from + n, to - 1);
        const i64 page = a->table[x->b * a->table_b + j / ${p.page}], row = j % ${p.page};
        keys->k[n] = a->k + page * a->k_p + row * a->k_s + head_k;
        keys->v[n] = a->v + page * a->v_p + row * a->v_s + head_v;
    }
% else
%   local first = packed and "(x->keys + from) * a->%s_s" or "x->b * a->%s_b + from * a->%s_s"
    keys->k = a->k + ${first:gsub("%%s", "k")} + head_k;
    keys->v = a->v + ${first:gsub("%%s", "v")} + head_v;
    keys->k_s = a->k_s, keys->v_s = a->v_s;
    keys->last = to - 1 - from;
% end
% if cfg.ahead == 1 then
    touch(keys);
% end
}

% if p.dropout then
/* Row y of P, of the task's key head g, loses what dropout does not keep. */
INLINE void drop(vr *restrict p, struct dropout *dropout, const struct task *x, int g,
                        int y, int j0, int n${p.shard and ", const struct args *a" or ""})
{
    vi keep[VECTORS + 1];
%   if p.shard then
    dropout->head = (unsigned)((x->b + a->origin_b) * a->whole_hq + a->origin_h + (x->head + g) * GROUP + (x->first + y) % GROUP);
    dropout_keys(keep, dropout, (int)a->origin_i + (x->first + y) / GROUP, (int)a->origin_j + j0, n);
%   else
    dropout->head = (unsigned)(x->b * HQ + (x->head + g) * GROUP + (x->first + y) % GROUP);
    dropout_keys(keep, dropout, (x->first + y) / GROUP, j0, n);
%   end
    for (int v = 0; v * LANES < n; v++) p[v] = (vr)((vi)p[v] & keep[v]);
}

% end
void attention(const struct args *a, struct scratch *t, i64 first, i64 last)
{
% if p.dropout then
    const unsigned *rng = (const unsigned *)a->rng; /* the seed's halves, the offset's; or none */
    const u64 seed = rng ? rng[0] | (u64)rng[1] << 32 : (u64)a->seed, offset = rng ? rng[2] | (u64)rng[3] << 32 : (u64)a->offset;
    struct dropout dropout = {
        .key0 = (unsigned)seed, .key1 = (unsigned)(seed >> 32) ^ (unsigned)(offset >> 32), .offset = (unsigned)offset, .t = (int)a->drop,
    };
% end
% for _, slot in ipairs(slots) do if slot.read then
    ${slot.kind == "stride" and "const i64 " or slot.ctype}${slot.field} = a->${slot.field};
% end end
% for _, param in ipairs(variant.params) do
    const ${param.type == "int" and "int" or "float"} ${param.name} = (${param.type == "int" and "int" or "float"})a->${param.name};
% end
    for (i64 task = first; task < last; task++) {
        const struct task x = task_at(a, task / SPLITS, HEADS);
        const int split = (int)(task % SPLITS), rows = x.rows;
% if has_score or not bounds.always then
%   if not p.b then
        const int b_size = (int)a->b_size;
%   end
%   for _, key in ipairs { "sq", "sk" } do if p.lens and not p[key] then
        const int most_${key} = (int)a->${key}_size;
%   end end
        const int b = x.b, sq = x.sq, sk = x.sk;
%   for _, level in ipairs { "launch", "head" } do for _, temporary in ipairs(code[level]) do
        ${declare(temporary)} = ${temporary.text};
%   end end
        int h[HEADS * ROWS], i[HEADS * ROWS];
%   for _, temporary in ipairs(code.row) do
        ${temporary.type == "pointer" and "const " or ""}${temporary.ctype}${temporary.ctype:find("%*$") and "" or " "}${temporary.name}[HEADS * ROWS];
%   end
% end
        int from = ${bounds.always and "0" or "x.sk"}, to = ${bounds.always and "x.sk" or "0"}; /* keys that some row sees */
% if not bounds.always then
        int full_first = 0, full_last = sk; /* that all rows see */
% end
% if has_score or not bounds.always then
        for (int g = 0; g < HEADS; g++)
            for (int y = 0, r = g * ROWS; y < rows; y++, r++) {
                h[r] = (x.head + g) * GROUP + (x.first + y) % GROUP;
                i[r] = (x.first + y) / GROUP;
%   for _, temporary in ipairs(code.row) do
                ${temporary.name}[r] = ${temporary.text};
%   end
%   if not bounds.always then
%     if names("i0", "first", "last", "full_first", "full_last") or names("i1", "first", "last", "full_first", "full_last") then
                const int i0 = i[r], i1 = i0;
%     end
                from = min_i(from, ${bounds.first and ("max_i(0, %s)"):format(bounds.first) or "0"});
                to = max_i(to, ${bounds.last and ("min_i(sk, %s)"):format(bounds.last) or "sk"});
%     if bounds.full_first then
                full_first = max_i(full_first, ${bounds.full_first});
%     end
%     if bounds.full_last then
                full_last = min_i(full_last, ${bounds.full_last});
%     end
%   end
            }
% end
% if SPLITS > 1 then
        const int share = (max_i(0, to - from) + SPLITS * LANES - 1) / (SPLITS * LANES) * LANES;
        from += split * share;
        to = min_i(to, from + share);
% end
% if raise > 0 then
        int plain = 0; /* weights are not raised */
    again:
% end
        for (int g = 0; g < HEADS; g++) {
            struct head *own = &t->head[g];
            for (int y = 0; y < PADDED; y++) {
                const int place = (x.first + y) / GROUP, query = (x.head + g) * GROUP + (x.first + y) % GROUP;
                if (y < rows)
                    stage_q(own->q[y], a->q + ${packed and "" or "x.b * a->q_b + "}query * a->q_h + (x.place + place) * a->q_s${dot and "" or ", (float)a->scale"});
                else
                    UNROLLED for (int c = 0; c < DEPTH * K_WIDTH; c++) own->q[y][c] = (${operand}){ 0 };
                UNROLLED for (int c = 0; c < COLUMNS * WIDTH; c++) own->o[y][c] = splat_r(0);
                own->top[y] = splat_r(-INF);
                own->sum[y] = splat_r(0);
            }
        }
        vr ones[MO];
        for (int r = 0; r < MO; r++) ones[r] = splat_r(1);
        struct keys both[2]; /* of this block and of the next one */
        if (rows > 0 && from < to) {
            find_keys(&both[0], a, &x, from, to);
% if cfg.ahead == 1 then
            for (unsigned n = 0; n < HEADS * KEYS; n++) fetch_k(&both[0], a->k_h, n, 0, 1);
            for (unsigned n = 0; n < HEADS * KEYS; n++) fetch_v(&both[0], a->v_h, n, 0, 1);
% end
        }
% if far then
        int near = 0, settled = 0; /* blocks since, and whether, sums were put with those further back */
% end
        for (int j0 = from, turn = 0; rows > 0 && j0 < to; j0 += KEYS, turn ^= 1) {
            const int n = min_i(KEYS, to - j0), more = j0 + KEYS < to;
            const struct keys *keys = &both[turn];
            if (more) find_keys(&both[turn ^ 1], a, &x, j0 + KEYS, to);
% if not bounds.always then
            const int j1 = j0 + n - 1;
%   if bounds.empty or bounds.full then
            int empty = 1, all = 1;
            for (int g = 0; g < HEADS; g++)
                for (int y = 0, r = g * ROWS; y < rows; y++, r++) {
%     if names("i0", "empty", "full") or names("i1", "empty", "full") then
                    const int i0 = i[r], i1 = i0;
%     end
%     if bounds.empty then
                    empty &= (${bounds.empty}) != 0;
%     end
%     if bounds.full then
                    all &= (${bounds.full}) != 0;
%     end
                }
%     if bounds.empty then
            if (empty) continue;
%     end
%   end
            const int full = j0 >= full_first && j1 < full_last${bounds.full and " && all" or ""};
% end
            for (int g = 0; g < HEADS; g++) {
                struct head *own = &t->head[g];
                vr shrink[PADDED];
                for (int r = 0; r < PADDED; r += MR)
                    scores(t->s + r, (const ${operand} (*)[DEPTH * K_WIDTH])own->q + r, keys, g * a->k_h, n${dot and ", (real)a->scale" or ""}${cfg.ahead == 1 and ", &both[turn ^ 1], a->k_h, more && r == 0 ? g * KEYS : -1" or ""});
% if has_score and bounds.always then
                {
%   adjust(false)
                }
% elseif has_score then
                if (full) {
%   adjust(false)
                } else {
%   adjust(true)
                }
% elseif not bounds.always then
                if (!full) {
%   adjust(true)
                }
% end
                for (int y = 0; y < PADDED; y++) shrink[y] = softmax(t->s[y], &own->top[y], &own->sum[y], n);
% if raise > 0 then
                if (plain) lower(t->s, n);
% end
% if p.dropout then
                for (int y = 0; y < rows; y++) drop(t->s[y], &dropout, &x, g, y, j0, n${p.shard and ", a" or ""});
% end
% if dot then
                for (int y = 0; y < PADDED; y++) round_p(t->s[y], n);
% end
% local function call(mv)
%   return ("accumulate_%d(own->o + r, (const vr (*)[VECTORS])t->s + r, part == 0 ? shrink + r : ones, keys, g * a->v_h, part, min_i(part + PART, n), c%s);"):format(mv,
%     cfg.ahead == 1 and (", &both[turn ^ 1], a->v_h, more && r == 0 ? (g * KEYS + part) * %d + c / %d * PART - part : -1"):format(passes, cfg.mv) or "")
% end
                for (int part = 0; part < n; part += PART)
                    for (int c = 0; c < COLUMNS; c += ${cfg.mv})
                        for (int r = 0; r < PADDED; r += MO)
% local rest = shape.columns % cfg.mv
% for _, mv in ipairs { cfg.mv, rest } do if mv > 0 and mv <= shape.columns then
                            ${mv == cfg.mv and rest > 0 and "if (c + " .. mv .. " <= COLUMNS) " or mv == rest and "else " or ""}${call(mv)}
% end end
            }
% if far then
            if (++near == FAR) {
                for (int g = 0; g < HEADS; g++) settle(&t->head[g], !settled);
                near = 0, settled = 1;
            }
% end
        }
% if far then
        if (settled)
            for (int g = 0; g < HEADS; g++) gather(&t->head[g]);
% end
% if raise > 0 then
        if (!plain && !are_finite(t->head, rows)) { /* V may be so huge that O overflows when weights are raised */
            plain = 1;
            goto again;
        }
% end
        for (int g = 0; g < HEADS; g++)
% if SPLITS > 1 then
            for (int y = 0; y < rows; y++) {
                struct partial *left = a->partial + ((((i64)x.b * HKV + x.head + g) * ((GROUP * ${size("sq")} + ROWS - 1) / ROWS) + x.first / ROWS) * ROWS + y) * SPLITS + split;
                UNROLLED for (int c = 0; c < COLUMNS * WIDTH; c++) left->o[c] = t->head[g].o[y][c];
                left->top = t->head[g].top[y][0];
                left->sum = total(t->head[g].sum[y]);
% if raise > 0 then
                left->plain = plain;
% end
            }
% else
            for (int y = 0; y < x.written; y++) {
                const int place = (x.first + y) / GROUP, query = (x.head + g) * GROUP + (x.first + y) % GROUP;
%   if padded then
                if (y >= rows)
                    finish_empty(a, x.b, query, place);
                else
%   end
                finish(a, x.b, query, x.place + place, t->head[g].o[y], t->head[g].top[y][0], total(t->head[g].sum[y])${raise > 0 and ", plain ? RAISE : 1" or ""});
            }
% end
    }
}
% if SPLITS > 1 then

/* The splits of each row become one. A task is the rows of a key head. */
void combine(const struct args *a, void *scratch, i64 first, i64 last)
{
    (void)scratch;
    for (i64 task = first; task < last; task++) {
        const struct task x = task_at(a, task, 1);
        for (int y = 0; y < x.written; y++) {
            const int place = (x.first + y) / GROUP, query = x.head * GROUP + (x.first + y) % GROUP;
            const struct partial *left = a->partial + (task * ROWS + y) * SPLITS;
%   if padded then
            if (y >= x.rows) {
                finish_empty(a, x.b, query, place);
                continue;
            }
%   end
            real top = -INF, sum = 0;
            UNROLLED for (int n = 0; n < SPLITS; n++) top = left[n].top > top ? left[n].top : top;
% if raise > 0 then
            int plain = 0;
            UNROLLED for (int n = 0; n < SPLITS; n++) plain |= left[n].plain;
% end
            vr o[COLUMNS * WIDTH] = { 0 };
            const real peak = top == -INF ? 0 : top;
            UNROLLED for (int n = 0; n < SPLITS; n++) {
                const real weight = exp_fall_vr(splat_r(left[n].top - peak))[0]${lower};
% if raise > 0 then
                const real own = left[n].plain == plain ? weight : weight / RAISE; /* of o */
% end
                UNROLLED for (int c = 0; c < COLUMNS * WIDTH; c++) o[c] += left[n].o[c] * ${raise > 0 and "own" or "weight"};
                sum += left[n].sum * weight;
            }
            finish(a, x.b, query, x.place + place, o, top, sum${raise > 0 and ", plain ? RAISE : 1" or ""});
        }
    }
}
% end
