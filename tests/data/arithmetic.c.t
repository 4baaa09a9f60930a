% -- The arithmetic that kernels share, with entries over arrays. Comes in: target, raise.
% local pairs_of = { max = true, min = true }
% local reals = { "exp_fall", "exp2_fall", "exp", "log", "tanh", "sqrt", "abs", "max", "min" }
% local scalars = { "exp", "log", "tanh", "sqrt", "abs", "max", "min" }
% local ints = { "add", "sub", "mul", "abs", "max", "min", "floordiv", "mod" }
% local kinds = { "f32", "f64", "bf16", "f16" }
% local need = { select_r = true, tofloat_vr = true, floor_vr = true, floor_r = true, gather_i32 = true, gather_u8 = true }
% for _, name in ipairs(reals) do need[name .. "_vr"] = true end
% for _, name in ipairs(scalars) do need[name .. "_r"] = true end
% for _, name in ipairs(ints) do need[name .. "_vi"], need[name .. "_i"] = true, true end
% for _, kind in ipairs(kinds) do
%   for _, name in ipairs { "load_", "store_", "load_row_", "store_row_", "gather2_" } do need[name .. kind] = true end
% end
% local p = { align = 1 }
% include("templates/common/types.c.t", { p = p })
% include("templates/common/math.c.t", { need = need })
% include("templates/common/convert.c.t", { need = need, p = p })

static vi load_lanes(const int *from)
{
    vi x;
    for (int l = 0; l < LANES; l++) x[l] = from[l];
    return x;
}

/* What is no int32 becomes another number. */
static void store_lanes(int *to, vi x)
{
    for (int l = 0; l < LANES; l++) to[l] = (int)(x[l] + (x[l] != (int)x[l]));
}

% for _, name in ipairs(reals) do
void apply_${name}_vr(const vr *a, const vr *b, vr *to, i64 n)
{
    for (; n > 0; n -= LANES, a++, b++) *to++ = ${name}_vr(*a${pairs_of[name] and ", *b" or ""});
}

% end
% for _, name in ipairs(scalars) do
void apply_${name}_r(const real *a, const real *b, real *to, i64 n)
{
    for (; n > 0; n--, a++, b++) *to++ = ${name}_r(*a${pairs_of[name] and ", *b" or ""});
}

% end
% for _, name in ipairs(ints) do
void apply_${name}_vi(const int *a, const int *b, int *to, i64 n)
{
    for (; n > 0; n -= LANES, a += LANES, b += LANES, to += LANES)
        store_lanes(to, ${name}_vi(load_lanes(a)${name == "abs" and "" or ", load_lanes(b)"}));
}

void apply_${name}_i(const int *a, const int *b, int *to, i64 n)
{
    for (; n > 0; n--, a++, b++) *to++ = ${name}_i(*a${name == "abs" and "" or ", *b"});
}

% end
void apply_tofloat_vr(const int *a, const int *b, vr *to, i64 n)
{
    for (; n > 0; n -= LANES, a += LANES, b += LANES) *to++ = tofloat_vr(load_lanes(a));
}

void apply_floor_vr(const vr *a, const vr *b, int *to, i64 n)
{
    for (; n > 0; n -= LANES, a++, b++, to += LANES) store_lanes(to, floor_vr(*a));
}

void apply_floor_r(const real *a, const real *b, int *to, i64 n)
{
    for (; n > 0; n--, a++, b++) *to++ = floor_r(*a);
}

/* Masks of reals and of ints together. */
void apply_select_r(const vr *a, const int *b, vr *to, i64 n)
{
    for (; n > 0; n -= LANES, a++, b += LANES) {
        const vi y = load_lanes(b);
        *to++ = select_r((*a > 0) & (y < 3), *a, select_r(~(*a == 0) & (1 <= y), splat_r(-1), splat_r(7)));
    }
}

% for _, kind in ipairs(kinds) do
void move_load_row_${kind}(const ${kind} *from, real *to, i64 n) { load_row_${kind}(to, from, (int)n); }
void move_store_row_${kind}(const real *from, ${kind} *to, i64 n) { store_row_${kind}(to, from, (int)n); }

void move_store_${kind}(const real *from, ${kind} *to, i64 n)
{
    for (; n > 0; n--) *to++ = store_${kind}(*from++);
}

%   if kind:find("16") then
void move_load_${kind}(const ${kind} *from, real *to, i64 n)
{
    for (; n > 0; n--) *to++ = load_${kind}(*from++);
}

%   end
/* Every third element, from the last one on. */
void move_gather_${kind}(const ${kind} *from, vr *to, i64 n)
{
    for (int k = 0; k < n; k += LANES) *to++ = gather2_${kind}(from, -3, splat_i(k), -1, LANE + LANE + LANE);
}

% end
% for _, kind in ipairs { "i32", "u8" } do
void move_gather_${kind}(const ${kind} *from, int *to, i64 n)
{
    for (int k = 0; k < n; k += LANES) store_lanes(to + k, gather_${kind}(from, -3, k + LANE));
}

% end
