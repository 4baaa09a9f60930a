% -- Attention forward in C. Comes in: p (a problem that forward/c.lua takes), cfg (its config), target, variant, slots.
% assert(cfg.keys >= cfg.mk, "a key tile holds at least one register block")
% assert(p.b and p.sq and p.sk, "this schedule needs static dimensions")
%
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
% local operand, element = dot and "vi" or "vf", dot and "int" or "float"
% local function madd(sum, x, y)
%   if dot then return ("%s = dot_vf(%s, splat_i(%s), %s)"):format(sum, sum, x, y) end
%   return ("%s += %s * %s"):format(sum, x, y)
% end
% local has_score = variant.score.name ~= "s"
% local code = variant:code()
% local bounds = variant:tiles()
% -- Whether one of these bounds names `word`.
% local function names(word, ...)
%   for _, bound in ipairs { ... } do
%     if (bounds[bound] or ""):find("%f[%w_]" .. word .. "%f[^%w_]") then return true end
%   end
% end
% local function declare(t) return "const " .. t.ctype .. (t.ctype:find("%*$") and "" or " ") .. t.name end
% local need = { select_f = true, max_vf = true, exp_fall_vf = true, ["store_" .. p.odtype] = true }
% local staging = dot and { "dot_vf", "pair_rows" } or { "load_row_" .. p.dtype, "load_row_" .. p.kvdtype }
% for _, name in ipairs(staging) do need[name] = true end
% if code.value.keep or has_score then need.min_vi = true end
% if p.lse then need.log_vf = true end
% for _, uses in ipairs { code.uses, bounds.uses } do
%   for name in pairs(uses) do need[name] = true end
% end
% -- A causal tile's work grows with its place: the longest ones go first, so that no thread is left with one.
% local place = cfg.order == "heads" and "task % TILES" or "task / (B * HQ)"
% local head = cfg.order == "heads" and "task / TILES" or "task % (B * HQ)"
% if p.causal then place = "TILES - 1 - " .. place end
%
/* softmax(q k^T) v for ${p.text}
 * A task is ROWS query rows of one head. The lanes of a vector are query rows: S^T = K Q^T and
 * O^T += V^T P^T take K and V element by element, broadcast to all lanes. */
% include("templates/common/types.c.t", { target = target })

enum {
    B = ${p.b}, HQ = ${p.hq}, SQ = ${p.sq}, SK = ${p.sk}, D = ${p.d}, DV = ${p.dv},
    VECTORS = ${V}, /* of query rows in a register block */
    MK = ${MK}, MV = ${MV}, /* keys and value columns in a register block */
    BLOCK = ${BLOCK}, BLOCKS = ${cfg.blocks}, ROWS = ${ROWS}, /* query rows: of a register block; of a task */
    KEYS = ${cfg.keys}, STAGED = ${STAGED}, /* of a tile; padded to register blocks */
    DEPTH = ${ceildiv(p.d, step)}, COLUMNS = ${COLUMNS}, /* of a row of K${dot and " in pairs" or ""}, and of V padded to register blocks */
    SKIP = ${dot and MK % 2 == 1 and 2 * MK or MK}, /* hidden keys at a tile's start are left out in such groups */
    TILES = ${ceildiv(p.sq, ROWS)},
};

% -- The argument struct: a tensor's pointer, and on the next line its strides.
struct args {
% for k, slot in ipairs(slots) do
%   if slot.kind ~= "stride" then
    ${slot.ctype}${slot.field};
%   elseif slots[k - 1].kind ~= "stride" then
%     local strides = {}
%     while slots[k + #strides] and slots[k + #strides].kind == "stride" do
%       strides[#strides + 1] = slots[k + #strides].field
%     end
    i64 ${table.concat(strides, ", ")};
%   end
% end
};

/* What a register block of query rows carries from one key tile to the next. */
struct block {
    ${operand} q[DEPTH][VECTORS];${dot and "" or " /* scaled */"}
    vf o[COLUMNS][VECTORS];
    vf top[VECTORS], sum[VECTORS];
};

struct scratch {
    struct block block[BLOCKS];
    vf s[STAGED][VECTORS];
    ${element} k[STAGED][DEPTH], v[${ceildiv(cfg.keys, step)}][COLUMNS];
};
_Static_assert(sizeof(struct scratch) <= ${steps[1].scratch}, "scratch as the launch recipe has it");

% include("templates/common/math.c.t", { need = need, target = target })
% include("templates/common/convert.c.t", { need = need, target = target })

% if dot then
/* Rows [0, n) of a tile, where a pair of columns is an int, and copies of the last one up to a whole register
 * block. */
static void stage_k(int (*restrict to)[DEPTH], const bf16 *from, i64 stride, int n)
{
    for (int r = 0; r < (n + MK - 1) / MK * MK; r++) {
        to[r][DEPTH - 1] = 0;
        __builtin_memcpy(to[r], from + (r < n ? r : n - 1) * stride, D * sizeof(bf16));
    }
}

/* Rows 2 r and 2 r + 1 as pairs; behind an odd last one zeros. */
static void stage_v(int (*restrict to)[COLUMNS], const bf16 *from, i64 stride, int n)
{
    for (int r = 0; r < n; r += 2, to++) {
        const bf16 *row = from + r * stride;
        pair_rows(*to, row, r + 1 < n ? row + stride : row, r + 1 < n, DV);
        for (int c = DV; c < COLUMNS; c++) (*to)[c] = 0;
    }
}

static void stage_q(struct block *restrict to, const bf16 *from, i64 stride, int n)
{
    unsigned short *q = (unsigned short *)to->q;
    for (int r = 0; r < BLOCK; r++) {
        const bf16 *row = from + (r < n ? r : n - 1) * stride;
        for (int c = 0; c < 2 * DEPTH; c++) q[c / 2 * 2 * BLOCK + 2 * r + c % 2] = c < D ? row[c] : 0;
    }
% else
/* Rows [0, n) of a tile, and copies of the last one up to a whole register block. */
static void stage_k(float (*restrict to)[DEPTH], const ${p.kvdtype} *from, i64 stride, int n)
{
    for (int r = 0; r < (n + MK - 1) / MK * MK; r++)
        load_row_${p.kvdtype}(to[r], from + (r < n ? r : n - 1) * stride, D);
}

static void stage_v(float (*restrict to)[COLUMNS], const ${p.kvdtype} *from, i64 stride, int n)
{
    for (int r = 0; r < n; r++) {
        load_row_${p.kvdtype}(to[r], from + r * stride, DV);
        for (int c = DV; c < COLUMNS; c++) to[r][c] = 0;
    }
}

static void stage_q(struct block *restrict to, const ${p.dtype} *from, i64 stride, int n, float scale)
{
    float *q = (float *)to->q, row[D];
    for (int r = 0; r < BLOCK; r++) {
        load_row_${p.dtype}(row, from + (r < n ? r : n - 1) * stride, D);
        for (int c = 0; c < D; c++) q[c * BLOCK + r] = row[c] * scale;
    }
% end
    for (int v = 0; v < VECTORS; v++) {
        to->top[v] = splat_f(-INF);
        to->sum[v] = splat_f(0);
        for (int c = 0; c < COLUMNS; c++) to->o[c][v] = splat_f(0);
    }
}

/* S^T = K Q^T for MK keys; their maximum joins top. */
static void scores(vf (*restrict s)[VECTORS], const ${element} (*restrict k)[DEPTH],
                   const ${operand} (*restrict q)[VECTORS], vf *restrict top${dot and ", float scale" or ""})
{
    vf sum[MK][VECTORS];
    for (int r = 0; r < MK; r++)
        for (int v = 0; v < VECTORS; v++) sum[r][v] = splat_f(0);
    for (int c = 0; c < DEPTH; c++)
        for (int r = 0; r < MK; r++)
            for (int v = 0; v < VECTORS; v++) ${madd("sum[r][v]", "k[r][c]", "q[c][v]")};
    for (int r = 0; r < MK; r++)
        for (int v = 0; v < VECTORS; v++) {
            s[r][v] = sum[r][v]${dot and " * scale" or ""};
            top[v] = max_vf(top[v], s[r][v]);
        }
}

/* S becomes P = exp(S - top)${dot and ", pairs of keys rounded to bf16" or ""}; `shrink` is what sum and O so far are worth
 * by the new maximum. */
static void softmax(vf (*restrict s)[VECTORS], struct block *restrict x, const vf *top, vf *restrict shrink, int n)
{
% if dot then
    vi(*p)[VECTORS] = (vi(*)[VECTORS])s;
% end
    for (int v = 0; v < VECTORS; v++) {
        const vf peak = select_f(top[v] == -INF, splat_f(0), top[v]); /* every key hidden so far */
        shrink[v] = exp_fall_vf(x->top[v] - peak);
        vf sum = splat_f(0);
% if dot then
        for (int r = 0; r < n; r += 2) {
            const vf a = exp_fall_vf(s[r][v] - peak);
            const vf b = r + 1 < n ? exp_fall_vf(s[r + 1][v] - peak) : splat_f(0);
            p[r / 2][v] = (vi)((vu)((vi)a + 0x8000) >> 16) | (((vi)b + 0x8000) & (int)0xffff0000);
            sum += a + b;
        }
% else
        for (int r = 0; r < n; r++) {
            s[r][v] = exp_fall_vf(s[r][v] - peak);
            sum += s[r][v];
        }
% end
        x->sum[v] = x->sum[v] * shrink[v] + sum;
        x->top[v] = top[v];
    }
}

/* O^T = O^T shrink + V^T P^T for MV value columns. A tile's sum is on its own first: errors of a long sum of
 * like terms grow with the tiles, not with the keys. */
static void accumulate(vf (*restrict o)[VECTORS], const ${element} *restrict value, const ${operand} (*restrict p)[VECTORS],
                       const vf *restrict shrink, int n)
{
    vf sum[MV][VECTORS];
    for (int c = 0; c < MV; c++)
        for (int v = 0; v < VECTORS; v++) sum[c][v] = splat_f(0);
    for (int r = 0; r < n; r += ${step}, value += COLUMNS, p++)
        for (int c = 0; c < MV; c++)
            for (int v = 0; v < VECTORS; v++) ${madd("sum[c][v]", "value[c]", "(*p)[v]")};
    for (int c = 0; c < MV; c++)
        for (int v = 0; v < VECTORS; v++) o[c][v] = o[c][v] * shrink[v] + sum[c][v];
}

/* O = O / sum${p.lse and ", LSE = top + log(sum)" or ""}; both for a row without visible keys as if V were 0. */
static void finish(const struct block *x, ${p.odtype} *o, i64 stride${p.lse and ", f32 *lse, i64 lse_stride" or ""}, int n)
{
    vf share[VECTORS];
    for (int v = 0; v < VECTORS; v++) share[v] = select_f(x->sum[v] == 0, splat_f(0), 1 / x->sum[v]);
    const float *from = (const float *)x->o, *factor = (const float *)share;
    for (int r = 0; r < n; r++)
        for (int c = 0; c < DV; c++) o[r * stride + c] = store_${p.odtype}(from[c * BLOCK + r] * factor[r]);
% if p.lse then
    vf logs[VECTORS];
    for (int v = 0; v < VECTORS; v++) logs[v] = select_f(x->sum[v] == 0, splat_f(-INF), x->top[v] + log_vf(x->sum[v]));
    for (int r = 0; r < n; r++) lse[r * lse_stride] = ((const float *)logs)[r];
% end
}

% -- One pass over the raw scores of a tile: the variant's score, and with `masked` its mask.
% local function adjust(masked)
%   local function temporaries(level)
%     local list = {}
%     for _, t in ipairs(code[level]) do
%       if masked or t.roots.score then list[#list + 1] = t end
%     end
%     return ipairs(list)
%   end
                    vi i[VECTORS];
%   for _, t in temporaries("row") do
                    ${t.ctype} ${t.name}[VECTORS];
%   end
                    for (int v = 0; v < VECTORS; v++) {
                        i[v] = min_vi(splat_i(i0 + v * LANES) + LANE, splat_i(SQ - 1));
%   for _, t in temporaries("row") do
                        ${t.name}[v] = ${t.text};
%   end
                        top[v] = block->top[v];
                    }
                    for (int r = 0; r < n; r++) {
                        const int j = j0 + r;
%   for _, t in temporaries("column") do
                        ${declare(t)} = ${t.text};
%   end
                        for (int v = 0; v < VECTORS; v++) {
                            const vf s = t->s[r][v];
%   for _, t in temporaries("element") do
                            ${declare(t)} = ${t.text};
%   end
%   if masked then
                            t->s[r][v] = select_f(${code.value.keep}, ${code.value.score}, splat_f(-INF));
%   else
                            t->s[r][v] = ${code.value.score};
%   end
                            top[v] = max_vf(top[v], t->s[r][v]);
                        }
                    }
% end

% if not bounds.always then
struct range {
    int first, last, full_first, full_last;
};
% end
void attention(const struct args *a, struct scratch *t, i64 first, i64 last)
{
% for _, slot in ipairs(slots) do if slot.read then
    ${slot.kind == "stride" and "const i64 " or slot.ctype}${slot.field} = a->${slot.field};
% end end
% for _, param in ipairs(variant.params) do
    const ${param.type == "int" and "int" or "float"} ${param.name} = (${param.type == "int" and "int" or "float"})a->${param.name};
% end
% for _, temporary in ipairs(code.launch) do
    ${declare(temporary)} = ${temporary.text};
% end
    for (i64 task = first; task < last; task++) {
        const int tile = (int)(${place}), head = (int)(${head});
        const int h = head % HQ, b = head / HQ;
        const int row = tile * ROWS, rows = min_i(ROWS, SQ - row);
        const int blocks = (rows + BLOCK - 1) / BLOCK;
        const ${p.dtype} *q = a->q + b * a->q_b + h * a->q_h + row * a->q_s;
        const ${p.kvdtype} *k = a->k + b * a->k_b + ${group == 1 and "h" or "h / " .. group} * a->k_h;
        const ${p.kvdtype} *value = a->v + b * a->v_b + ${group == 1 and "h" or "h / " .. group} * a->v_h;
% for _, temporary in ipairs(code.head) do
        ${declare(temporary)} = ${temporary.text};
% end
        for (int x = 0; x < blocks; x++)
            stage_q(&t->block[x], q + x * BLOCK * a->q_s, a->q_s, rows - x * BLOCK${dot and "" or ", (float)a->scale"});

% if bounds.always then
        const int from = 0, to = SK;
% else
        struct range range[BLOCKS]; /* of the keys that some row of a block sees, and that all do */
        int from = SK, to = 0;
        for (int x = 0; x < blocks; x++) {
            const int i0 = row + x * BLOCK${names("i1", "first", "last", "full_first", "full_last") and ", i1 = min_i(i0 + BLOCK, SQ) - 1" or ""};
            range[x] = (struct range){
                .first = ${bounds.first and ("max_i(0, %s)"):format(bounds.first) or "0"},
                .last = ${bounds.last and ("min_i(SK, %s)"):format(bounds.last) or "SK"},
                .full_first = ${bounds.full_first or "0"},
                .full_last = ${bounds.full_last or "SK"},
            };
            from = min_i(from, range[x].first);
            to = max_i(to, range[x].last);
        }
% end
        for (int tile_first = from; tile_first < to; tile_first += KEYS) {
            const int tile_last = min_i(tile_first + KEYS, to), keys = tile_last - tile_first;
            stage_k(t->k, k + tile_first * a->k_s, a->k_s, keys);
            stage_v(t->v, value + tile_first * a->v_s, a->v_s, keys);
            for (int x = 0; x < blocks; x++) {
                struct block *block = &t->block[x];
                vf top[VECTORS], shrink[VECTORS];
                for (int v = 0; v < VECTORS; v++) top[v] = block->top[v];
% if bounds.always then
                const int skip = 0, n = keys;
% else
                const int skip = max_i(0, range[x].first - tile_first) / SKIP * SKIP;
                const int n = min_i(tile_last, range[x].last) - tile_first - skip;
                if (n <= 0) continue;
% end
% if has_score or not bounds.always then
                const int i0 = row + x * BLOCK, j0 = tile_first + skip;
% end
% if not bounds.always then
                const int j1 = j0 + n - 1${names("i1", "empty", "full") and ", i1 = min_i(i0 + BLOCK, SQ) - 1" or ""};
%   if bounds.empty then
                if (${bounds.empty}) continue;
%   end
                const int full = j0 >= range[x].full_first && j1 < range[x].full_last${bounds.full and (" && (%s)"):format(bounds.full) or ""};
% end
                for (int r = 0; r < n; r += MK)
                    scores(t->s + r, (const ${element} (*)[DEPTH])t->k + skip + r, (const ${operand} (*)[VECTORS])block->q, top${dot and ", (float)a->scale" or ""});
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
                softmax(t->s, block, top, shrink, n);
                for (int c = 0; c < COLUMNS; c += MV)
                    accumulate(block->o + c, &t->v[skip${dot and " / 2" or ""}][c], (const ${operand} (*)[VECTORS])t->s, shrink, n);
            }
        }
        ${p.odtype} *o = a->o + b * a->o_b + h * a->o_h + row * a->o_s;
% if p.lse then
        f32 *lse = a->lse + b * a->lse_b + h * a->lse_h + row * a->lse_s;
% end
        for (int x = 0; x < blocks; x++)
            finish(&t->block[x], o + x * BLOCK * a->o_s, a->o_s${p.lse and ", lse + x * BLOCK * a->lse_s, a->lse_s" or ""}, min_i(BLOCK, rows - x * BLOCK));
    }
}
