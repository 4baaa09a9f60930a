% -- Schedule c: rows of Q, K and V as its products take them. Comes in: p, and of templates/forward/c.c.t dot and paged.
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
        for (int c = 0; c < DEPTH; c += LANES)
            transpose(${dot and "(vr *)" or ""}&to->q[c][v], VECTORS, (const vr *)(row[0] + c), WIDTH / LANES${dot and "" or ", splat_r(scale)"});
        to->top[v] = splat_r(-INF);
        to->sum[v] = splat_r(0);
        for (int c = 0; c < COLUMNS; c++) to->o[c][v] = splat_r(0);
    }
    to->begun = 1;
}

/* Asks for a row, so that what stages it need not wait. */
INLINE void fetch(const void *row, int bytes)
{
    for (int c = 0; c < bytes; c += LINE) __builtin_prefetch((const char *)row + c);
}
