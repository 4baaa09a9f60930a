% -- Schedule c: what a register block of query rows does with one key tile, and at its end. Comes in: p, and of
% -- templates/forward/c.c.t lse_type, dot, step, operand, element, has_score, raise, part, far, padded.
%
% local function madd(sum, x, y) return dot and ("%s = dot_vr(%s, %s, %s)"):format(sum, sum, x, y) or ("%s += %s * %s"):format(sum, x, y) end
%
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

% local raised, lower = raise > 0 and "RAISE " or "", raise > 0 and " / RAISE" or ""
% local function power(x) return has_score and ("exp2_fall_vr((%s) * LOG2E)"):format(x) or ("exp2_fall_vr(%s)"):format(x) end
% local function factor(x) return power(x) .. lower end
% local function weight(r) return power(("s[%s][v] - peak[v]"):format(r)) end
% if raise > 0 then
/* Where `shrink` is a subnormal, which is slow, sum and O so far take its root here, and are to take it once more. */
APART void shrink_twice(struct block *restrict x, const vr *peak, vr *restrict shrink)
{
    for (int v = 0; v < VECTORS; v++) {
        const vi tiny = shrink[v] < LEAST;
        const vr root = select_r(tiny, ${factor("(x->top[v] - peak[v]) * (real)0.5")}, splat_r(1));
        shrink[v] = select_r(tiny, root, shrink[v]);
        x->sum[v] *= root;
        for (int c = 0; c < COLUMNS; c++) x->o[c][v] *= root;
    }
}

% end
/* S becomes P = ${raised}${has_score and "exp(S - top)" or "2^(S - top)"}${p.dropout and ", 0 where dropped" or ""}${dot and ", pairs of keys rounded to bf16" or ""}; `shrink` is what sum and O so far are worth
 * by the new maximum. */
APART void softmax(vr (*restrict s)[VECTORS], struct block *restrict x, const vr *top,
                   vr *restrict shrink, int n${p.dropout and ", const vi (*restrict keep)[VECTORS]" or ""})
{
    vr peak[VECTORS], sum[VECTORS];
% if raise > 0 then
    vi tiny = splat_i(0);
% end
    UNROLLED for (int v = 0; v < VECTORS; v++) {
        peak[v] = select_r(top[v] == -INF, splat_r(0), top[v]); /* every key hidden so far */
        shrink[v] = ${factor("x->top[v] - peak[v]")};
% if raise > 0 then
        tiny |= (shrink[v] < LEAST) & (shrink[v] > 0);
% end
        sum[v] = splat_r(0);
    }
% if raise > 0 then
    if (any_lane(tiny)) shrink_twice(x, peak, shrink);
% end
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

% if raise > 0 then
/* P as it is. */
APART void lower(vr (*restrict s)[VECTORS], int n)
{
    for (int r = 0; r < n; r++)
        UNROLLED for (int v = 0; v < VECTORS; v++) s[r][v] /= RAISE;
}

/* Whether the sums of all that saw a key are. */
APART int are_finite(const struct block *x, int blocks)
{
    vi finite = splat_i(-1);
    for (; blocks > 0; blocks--, x++)
        for (int c = 0; c < COLUMNS && x->begun; c++)
            UNROLLED for (int v = 0; v < VECTORS; v++) finite &= x->o[c][v] - x->o[c][v] == 0;
    return !any_lane(~finite);
}

% end
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
        const vr shrink = first ? splat_r(0) : ${factor("x->far_top[v] - peak")};
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
    __builtin_memcpy(x->o, x->far_o, sizeof x->far_o);
}

% end
% if p.sinks then
/* The sink's logit joins the row, with no value. */
APART void drain(struct block *x, real sink)
{
    for (int v = 0; v < VECTORS; v++) {
        const vr top = max_vr(x->top[v], splat_r(sink)), peak = select_r(top == -INF, splat_r(0), top);
        const vr shrink = ${factor("x->top[v] - peak")};
        for (int c = 0; c < COLUMNS; c++) x->o[c][v] *= shrink;
        x->sum[v] = x->sum[v] * shrink + ${power("splat_r(sink) - peak")};
        x->top[v] = top;
    }
}

% end
% local lse_to = p.lse and ", " .. (lse_type) .. " *lse, i64 lse_stride" or ""
% local worth = raise > 0 and "worth" or p.dropout and "kept" or nil
/* O = ${worth and worth .. " " or ""}O / sum${p.lse and ", LSE = top + log(sum" .. lower .. ")" or ""}; both for a row without visible keys as if V were 0. */
APART void finish(${dot and "" or "const "}struct block *x, real (*restrict row)[WIDTH], ${p.odtype} *o, i64 stride${lse_to}, int n${worth and ", real " .. worth or ""})
{
    for (int v = 0; v < VECTORS; v++) {
        const int rows = min_i(LANES, n - v * LANES);
        const vr share = select_r(x->sum[v] == 0, splat_r(0), ${worth or "1"} / x->sum[v]);
% if dot then
        for (int c = 0; c < DV; c++) x->o[c][v] *= share;
% end
        for (int c = 0; c < DV; c += LANES) transpose((vr *)(row[0] + c), WIDTH / LANES, &x->o[c][v], VECTORS${dot and "" or ", share"});
        for (int l = 0; l < rows; l++) store_row_${p.odtype}(o + (v * LANES + l) * stride, row[l], DV);
% if p.lse then
        const vr logs = select_r(x->sum[v] == 0, splat_r(-INF), x->top[v]${has_score and "" or " * LN2"} + log_vr(x->sum[v]${lower}));
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
