% -- Schedule c_decode: rows of K and V, what the rows of a key head do with a block of keys, and at their end. Comes in: p, cfg,
% -- target, and of templates/forward/c_decode.c.t MK, shape, dot, operand, far, size, raise, lower. Gives how many passes over V a block takes.
% local W, KW, CHUNK = shape.width, shape.k_width, shape.chunk
% local paged, packed, padded = p.page > 0, p.lens == "packed", p.lens == "padded"
%
% local held = target.registers == 32 and target.max -- registers suffice to hold what each use would load again
% -- ---- Rows of K and V ----
% if p.kvdtype == "f32" then
typedef vr elements __attribute__((aligned(${math.min(p.align, 4)})));
% elseif p.kvdtype == "bf16" then
typedef vi elements __attribute__((aligned(${math.min(p.align, 2)}))); /* pairs */
% else
typedef vh elements __attribute__((aligned(${math.min(p.align, 2)})));
% end

% if dot then
INLINE void widen(vi *restrict to, elements x) { to[0] = x; }
% else
/* To float${p.kvdtype == "bf16" and ": even columns, odd ones" or ""}. */
INLINE void widen(vr *restrict to, elements x)
{
%   if p.kvdtype == "f32" then
    to[0] = x;
%   elseif p.kvdtype == "bf16" then
%     if held then
    __asm__("" : "+v"(x)); /* loaded once */
%     end
    to[0] = (vr)(x << 16);
    to[1] = (vr)(x & (int)0xffff0000);
%   else
    to[0] = widen_f16(x);
%   end
}
% end
% for name, length in pairs { k = p.d, v = p.dv } do
%   local rest = length % CHUNK

/* Chunk c of a row${rest > 0 and length > CHUNK and (name == "k" and "; of the last one, zeros where the one before has been" or "; the last one repeats some of the one before") or ""}. */
INLINE void load_${name}(${operand} *restrict to, const ${p.kvdtype} *row, int c)
{
%   if length < CHUNK then
    elements x = { 0 };
    __builtin_memcpy(&x, row + c, ${length} * sizeof *row);
    widen(to, x);
%   elseif rest == 0 then
    widen(to, *(const elements *)(row + c * CHUNK));
%   else
    widen(to, *(const elements *)(row + (c * CHUNK < ${length - CHUNK} ? c * CHUNK : ${length - CHUNK})));
%     if name == "k" then
    if (c == DEPTH - 1) {
%       for w = 0, KW - 1 do
%         local lanes = {}
%         for l = 0, target.lanes - 1 do
%           local first = l * W + (dot and 0 or w) >= CHUNK - rest
%           local last = dot and l * W + 1 >= CHUNK - rest or first
%           lanes[l + 1] = first and "-1" or last and "(int)0xffff0000" or "0"
%         end
        to[${w}] = (${operand})((vi)to[${w}] & (vi){ ${table.concat(lanes, ", ")} });
%       end
    }
%     end
%   end
}
% end

% if dot then
/* Chunk c of two rows: pairs of even columns, of odd ones. */
INLINE void pair_v(vi *restrict to, const bf16 *row, const bf16 *below, int c)
{
    vi x, y;
    load_v(&x, row, c);
    load_v(&y, below, c);
    to[0] = (x & 0xffff) | y << 16;
    to[1] = (vi)((vu)x >> 16) | (y & (int)0xffff0000);
}

static const bf16 zeros[DV];

% end
/* The first column of a chunk of a row of n elements. */
INLINE int chunk_at(int c, int n) { return c * CHUNK + CHUNK <= n ? c * CHUNK : max_i(n - CHUNK, 0); }

% local L = target.lanes
% local function list(pick)
%   local items = {}
%   for l = 0, L - 1 do items[l + 1] = pick(l) end
%   return table.concat(items, ", ")
% end
% local rest, held_type = p.d % CHUNK, dot and "bf16" or "float"
/* Columns lie as widen leaves those of K. */
APART void stage_q(${operand} *restrict to, const ${p.dtype} *from${dot and "" or ", float scale"})
{
    ${operand} row[DEPTH * K_WIDTH] = { 0 };
% if dot then
    __builtin_memcpy(row, from, D * sizeof *from);
% else
    load_row_${p.dtype}((float *)row, from, D);
% end
% if rest > 0 and p.d > CHUNK then
    ${held_type} *last = (${held_type} *)row + (DEPTH - 1) * CHUNK; /* a chunk that ends with the row */
    __builtin_memmove(last + ${CHUNK - rest}, last, ${rest} * sizeof *last);
    __builtin_memset(last, 0, ${CHUNK - rest} * sizeof *last);
% end
% if KW == 1 then
    for (int c = 0; c < DEPTH; c++) to[c] = row[c]${dot and "" or " * scale"};
% else
    for (int c = 0; c < 2 * DEPTH; c += 2) {
        to[c] = __builtin_shufflevector(row[c], row[c + 1], ${list(function(l) return 2 * l end)}) * scale;
        to[c + 1] = __builtin_shufflevector(row[c], row[c + 1], ${list(function(l) return 2 * l + 1 end)}) * scale;
    }
% end
}

% -- ---- Sums across lanes ----
% local bit = 1
% while bit < L do
/* Sums of pairs of lanes, ${bit} apart: of a where the lane's number lacks that bit, else of b. */
INLINE vr fold_${bit}(vr a, vr b)
{
    const vr own = __builtin_shufflevector(a, b, ${list(function(l) return l & bit == 0 and l or L + l end)});
    const vr other = __builtin_shufflevector(a, b, ${list(function(l) return l & bit == 0 and l ~ bit or L + (l ~ bit) end)});
    return own + other;
}

INLINE vr swap_${bit}(vr a) { return __builtin_shufflevector(a, a, ${list(function(l) return l ~ bit end)}); }

%   bit = 2 * bit
% end
% -- Of count vectors from x[k] on, each of which is of `each` keys already.
% local function tree(k, count, each)
%   if count == 1 then return ("x[%d]"):format(k) end
%   local half = count // 2
%   return ("fold_%d(%s, %s)"):format(half * each, tree(k, half, each), tree(k + half, half, each))
% end
% if MK > 1 then
/* Lanes l where l % MK is y: parts of the sum of x[y]. */
INLINE vr sums_of_block(const vr *x)
{
    return ${tree(0, MK, 1)};
}

% end
/* Lane l: the sum of ${MK == 1 and "x[l]" or "its key's lanes of x[l / MK]"}. */
INLINE vr sums(const vr *x)
{
    return ${tree(0, L // MK, MK)};
}

/* The maximum of all lanes, in all lanes. */
INLINE vr peak_of(vr x)
{
% bit = L // 2
% while bit > 0 do
    x = max_vr(x, swap_${bit}(x));
%   bit = bit // 2
% end
    return x;
}

INLINE real total(vr x)
{
% bit = L // 2
% while bit > 0 do
    x += swap_${bit}(x);
%   bit = bit // 2
% end
    return x[0];
}

/* ---- One block of keys, one key head ---- */

% if paged then
/* The keys of a block: their rows, of the first key head. */
struct keys {
    const ${p.kvdtype} *k[KEYS], *v[KEYS];
};
% else
/* The keys of a block: the first one's rows, of the first key head; how far the split's last key is from it. */
struct keys {
    const ${p.kvdtype} *k, *v;
    i64 k_s, v_s;
    int last;
};
% end
% for _, name in ipairs { "k", "v" } do
%   local bytes = (name == "k" and p.d or p.dv) * shape.element

/* The row of key j; behind the split's last key, of that one again. */
INLINE const ${p.kvdtype} *row_${name}(const struct keys *keys, int j)
{
    return ${paged and ("keys->%s[j]"):format(name) or ("keys->%s + min_i(j, keys->last) * keys->%s_s"):format(name, name)};
}
%   if cfg.ahead == 1 then

/* Row x of the next block's, counted head by head, is fetched part by part while row x of this one's is used: so what
 * lies next to each other comes in together, a line at a time. All of it: what processors fetch by themselves ends
 * with each page. */
INLINE void fetch_${name}(const struct keys *next, i64 head_stride, unsigned x, int part, int parts)
{
    enum { LINES = ${ceildiv(bytes, 64)} };
    const char *row = (const char *)(row_${name}(next, (int)(x / HEADS)) + x % HEADS * head_stride);
    const int share = (LINES + parts - 1) / parts;
    UNROLLED for (int n = part * share; n < min_i((part + 1) * share, LINES); n++) __builtin_prefetch(row + 64 * n, 0, 2);
}
%   end
% end

% if cfg.ahead == 1 then
/* A line of each row of a block, before the rest: so the places of many pages are looked up at once. */
INLINE void touch(const struct keys *keys)
{
    for (int j = 0; j < KEYS; j++) {
        __builtin_prefetch(row_k(keys, j), 0, 2);
        __builtin_prefetch(row_v(keys, j), 0, 2);
    }
}

% end
/* S = Q K^T for the rows of a register block. */
APART void scores(vr (*restrict s)[VECTORS], const ${operand} (*restrict q)[DEPTH * K_WIDTH],
                  const struct keys *keys, i64 at, int n${dot and ", real scale" or ""}${cfg.ahead == 1 and ", const struct keys *next, i64 stride, int x" or ""})
{
    for (int j = 0; j < n; j += LANES) {
        vr sum[MR][LANES / MK];
        for (int m = 0; m < LANES; m += MK) {
            vr part[MR][MK];
            UNROLLED for (int r = 0; r < MR; r++)
                UNROLLED for (int y = 0; y < MK; y++) part[r][y] = splat_r(0);
            const ${p.kvdtype} *row[MK];
            UNROLLED for (int y = 0; y < MK; y++) row[y] = row_k(keys, j + m + y) + at;
            UNROLLED for (int c = 0; c < DEPTH; c++) {
                ${operand} k[MK][K_WIDTH];
                UNROLLED for (int y = 0; y < MK; y++) load_k(k[y], row[y], c);
% if cfg.ahead == 1 then
                if (x >= 0)
                    UNROLLED for (int y = c * MK; y < c * MK + MK; y++) fetch_k(next, stride, (unsigned)(x + j + m + y / DEPTH), y % DEPTH, DEPTH);
% end
                UNROLLED for (int r = 0; r < MR; r++)
                    UNROLLED for (int w = 0; w < K_WIDTH; w++) {
                        ${operand} x = q[r][c * K_WIDTH + w];
% if held and MK > 1 then
                        __asm__("" : "+v"(x)); /* loaded once */
% end
                        UNROLLED for (int y = 0; y < MK; y++) ${dot and (MK == 1 and "part[r][y] = dot_from_vr(part[r][y], k[y][w], &q[r][c])" or "part[r][y] = dot_vr(part[r][y], x, k[y][w])") or "part[r][y] += x * k[y][w]"};
                    }
            }
            UNROLLED for (int r = 0; r < MR; r++) sum[r][m / MK] = ${MK == 1 and "part[r][0]" or "sums_of_block(part[r])"};
        }
        for (int r = 0; r < MR; r++) s[r][j / LANES] = sums(sum[r])${dot and " * scale" or ""};
    }
}

/* A row of S becomes P = ${lower == "" and "" or "RAISE "}exp(S - top); what sum and O so far are worth by the new maximum. */
APART vr softmax(vr *restrict s, vr *restrict top, vr *restrict sum, int n)
{
    vr most = *top, all = splat_r(0);
    if (n % LANES) s[n / LANES] = select_r(LANE < n % LANES, s[n / LANES], splat_r(-INF));
    for (int v = 0; v * LANES < n; v++) most = max_vr(most, s[v]);
    most = peak_of(most);
    const vr peak = select_r(most == -INF, splat_r(0), most); /* every key hidden so far */
    const vr shrink = exp_fall_vr(*top - peak)${lower};
    for (int v = 0; v * LANES < n; v++) {
        s[v] = exp_fall_vr(s[v] - peak);
        all += s[v];
    }
    *sum = *sum * shrink + all;
    *top = most;
    return shrink;
}
% if dot then

/* A row of P, to bf16; an even number of keys. */
APART void round_p(vr *s, int n)
{
    typedef bf16 halves __attribute__((vector_size(${target.bytes // 2})));
    for (int v = 0; v * LANES < n; v++) ((halves *)s)[v] = __builtin_convertvector(((vu)s[v] + 0x8000) >> 16, halves);
}
% end

% if far then
/* The sums so far join those further back, and begin anew. */
APART void settle(struct head *x, int first)
{
    for (int r = 0; r < PADDED; r++) {
        const vr peak = select_r(x->top[r] == -INF, splat_r(0), x->top[r]);
        const vr shrink = first ? splat_r(0) : exp_fall_vr(x->far_top[r] - peak)${lower};
        x->far_top[r] = x->top[r];
        x->far_sum[r] = first ? x->sum[r] : x->far_sum[r] * shrink + x->sum[r];
        x->sum[r] = splat_r(0);
        for (int c = 0; c < COLUMNS * WIDTH; c++) {
            x->far_o[r][c] = first ? x->o[r][c] : x->far_o[r][c] * shrink + x->o[r][c];
            x->o[r][c] = splat_r(0);
        }
    }
}

APART void gather(struct head *x)
{
    settle(x, 0);
    __builtin_memcpy(x->sum, x->far_sum, sizeof x->sum);
    __builtin_memcpy(x->o, x->far_o, sizeof x->o);
}

% end
% local passes = ceildiv(shape.columns, cfg.mv)
% for _, mv in ipairs { cfg.mv, shape.columns % cfg.mv } do if mv > 0 then
/* O = O shrink + P V for a block's keys from `from` to `to`, ${mv} chunks of V, from the c-th, and the rows of a register
 * block. Their sum is on its own first: errors of a long sum of like terms grow with its parts, not with the keys. */
APART void accumulate_${mv}(vr (*restrict o)[COLUMNS * WIDTH], const vr (*restrict p)[VECTORS], const vr *shrink,
                  const struct keys *keys, i64 at, int from, int to, int c${cfg.ahead == 1 and ", const struct keys *next, i64 stride, int x" or ""})
{
    vr sum[MO][${mv} * WIDTH];
    UNROLLED for (int r = 0; r < MO; r++)
        UNROLLED for (int w = 0; w < ${mv} * WIDTH; w++) sum[r][w] = splat_r(0);
%   if not paged then
    const ${p.kvdtype} *row = keys->v + from * keys->v_s + at;
%   end
    for (int j = from; j < to; j${dot and " += 2" or "++"}${paged and "" or dot and ", row += 2 * keys->v_s" or ", row += keys->v_s"}) {
%   if paged then
        const ${p.kvdtype} *row = keys->v[j] + at;
%   end
%   if cfg.ahead == 1 then
%     for _, key in ipairs(dot and { "j", "j + 1" } or { "j" }) do
        if (x >= 0) fetch_v(next, stride, (unsigned)(x + ${key})${passes > 1 and " / " .. passes or ""}, ${passes > 1 and "(x + " .. key .. ") % " .. passes or "0"}, ${passes});
%     end
%   end
%   if dot then
        const bf16 *below = j + 1 < to ? ${paged and "keys->v[j + 1] + at" or "row + keys->v_s"} : zeros;
        UNROLLED for (int y = 0; y < ${mv}; y++) {
            vi v[WIDTH];
            pair_v(v, row, below, c + y);
            UNROLLED for (int r = 0; r < MO; r++)
                UNROLLED for (int w = 0; w < WIDTH; w++) sum[r][y * WIDTH + w] = dot_splat_vr(sum[r][y * WIDTH + w], v[w], (const int *)p[r] + j / 2);
        }
%   else
        vr v[${mv} * WIDTH];
        UNROLLED for (int y = 0; y < ${mv}; y++) load_v(v + y * WIDTH, row, c + y);
        UNROLLED for (int r = 0; r < MO; r++)
            UNROLLED for (int w = 0; w < ${mv} * WIDTH; w++) sum[r][w] += ((const real *)p[r])[j] * v[w];
%   end
    }
    UNROLLED for (int r = 0; r < MO; r++)
        UNROLLED for (int w = 0; w < ${mv} * WIDTH; w++)
            o[r][c * WIDTH + w] = o[r][c * WIDTH + w] * shrink[r] + sum[r][w];
}

% end end
% if raise > 0 then
/* P as it is. */
APART void lower(vr (*restrict s)[VECTORS], int n)
{
    for (int r = 0; r < PADDED; r++)
        for (int v = 0; v * LANES < n; v++) s[r][v] /= RAISE;
}

/* Whether the sums of these rows are${cfg.splits > 1 and ", and those of all splits will be" or ""}. */
APART int are_finite(const struct head *x, int rows)
{
    vi finite = splat_i(-1);
    for (int g = 0; g < HEADS; g++, x++)
        for (int r = 0; r < rows; r++)
            UNROLLED for (int c = 0; c < COLUMNS * WIDTH; c++) {
                const vr most = x->o[r][c]${cfg.splits > 1 and " * SPLITS" or ""};
                finite &= most - most == 0;
            }
    return !any_lane(~finite);
}

% end
/* O = ${raise > 0 and "worth " or ""}O / sum${p.lse and ", LSE = top + log(sum" .. lower .. ")" or ""} of a row; both for one without visible keys as if V were 0. */
APART void finish(const struct args *a, int b, int h, i64 place, const vr *from, real top, real sum${raise > 0 and ", real worth" or ""})
{
    ${p.odtype} *o = a->o + ${packed and "" or "b * a->o_b + "}h * a->o_h + place * a->o_s;
% if p.sinks then
    const real sink = ${p.shard and ("a->origin_j > 0 || %s < min_i((int)a->whole_sk, 1) ? -INF : "):format(size("sk")) or ""}a->sinks[${p.shard and "(h + a->origin_h)" or "h"} * a->sinks_h], peak = top > sink ? top : sink;
    const real shrink = peak == -INF ? 1 : exp_fall_vr(splat_r(top - peak))[0]${lower};
    sum = peak == -INF ? sum : sum * shrink + exp_fall_vr(splat_r(sink - peak))[0];
    top = peak;
% end
% if p.dropout then
    const real kept = a->drop < 65536 ? 65536 / (real)(65536 - a->drop) : 0;
% end
    const real share = sum == 0 ? 0 : ${raise > 0 and "worth" .. (p.dropout and " * kept" or "") or p.dropout and "kept" or "1"} / sum;
    real row[${math.max(p.dv, CHUNK)}];
    for (int c = 0; c < COLUMNS; c++) {
        typedef vr part __attribute__((aligned(4)));
        part *to = (part *)(row + chunk_at(c, DV));
% local times = (p.sinks and " * shrink" or "") .. " * share"
% if W == 1 then
        to[0] = from[c]${times};
% else
%   for w = 0, 1 do
        to[${w}] = __builtin_shufflevector(from[2 * c], from[2 * c + 1], ${list(function(l) return l % 2 * L + l // 2 + w * L // 2 end)})${times};
%   end
% end
    }
    store_row_${p.odtype}(o, row, DV);
% if p.lse then
    a->lse[${packed and "" or "b * a->lse_b + "}h * a->lse_h + place * a->lse_s] = sum == 0 ? -INF : top + log_vr(splat_r(sum${lower}))[0];
% end
}
% if padded then

/* A row behind its sequence's end. */
APART void finish_empty(const struct args *a, int b, int h, i64 place)
{
    for (int c = 0; c < DV; c++) a->o[b * a->o_b + h * a->o_h + place * a->o_s + c] = 0;
%   if p.lse then
    a->lse[b * a->lse_b + h * a->lse_h + place * a->lse_s] = -INF;
%   end
}
% end

% return passes
