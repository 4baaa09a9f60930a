% -- Which scores dropout keeps, by Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as
% -- 1, 2, 3; 2011). Comes in: target, lanes: what a vector's lanes are, "rows" (of queries; then VECTORS is how many
% -- vectors a register block has), "row pairs" (the same from even rows on) or "keys". LANES and vi are the kernel's.
% assert(lanes == "rows" or lanes == "row pairs" or lanes == "keys", "a vector's lanes are query rows or keys")
% assert(target.lanes % 2 == 0, "two query rows share a 64-bit lane")
%
% local calls = target.lanes // 2
% local ways = lanes == "keys" and calls == 8 and 2 or 4 -- of keys, no longer steps than tiles are
% -- Which words of two vectors make one of every first (0) or second (1) word of a 64-bit lane.
% local function beside(word)
%   local index = {}
%   for l = 0, calls - 1 do
%     index[2 * l + 1], index[2 * l + 2] = 2 * l + word, 2 * l + word + 2 * calls
%   end
%   return table.concat(index, ", ")
% end
% local function range(first, last)
%   return first == last and tostring(first) or first .. ", " .. range(first + 1, last)
% end
enum {
    PHILOX_ROUNDS = 10,
    PHILOX_CALLS = ${calls}, /* in a vector: one a 64-bit lane; each decides 2 rows by 4 keys */
    PHILOX_WAYS = ${ways}, /* vectors of calls at once: one alone is a chain that waits for itself */
};
static const unsigned PHILOX_M0 = 0xd2511f53, PHILOX_M1 = 0xcd9e8d57; /* multipliers */
static const unsigned PHILOX_W0 = 0x9e3779b9, PHILOX_W1 = 0xbb67ae85; /* what a round adds to the key */

/* One word of each call, in the low half of a 64-bit lane, whatever is in the high one; two words. */
typedef unsigned long long u64;
typedef u64 vq __attribute__((vector_size(8 * PHILOX_CALLS)));
typedef unsigned vq2 __attribute__((vector_size(8 * PHILOX_CALLS)));

/* key0 is the seed's low half, key1 the exclusive or of its high half and the offset's, offset the offset's low half;
 * head = b * HQ + h. A score is kept if its 16 bits are t or more, t in [0, 65536]. */
struct dropout {
    unsigned key0, key1, offset, head;
    int t;
};

/* Each round's key; the last round's as its words stay, 0 and 2 side by side. */
struct philox_keys {
    vq of[PHILOX_ROUNDS][2];
};

INLINE vq splat_w(u64 x) { return (vq){ 0 } + x; }

INLINE vq count_w(u64 first) { return (vq){ ${range(0, calls - 1)} } + first; }

INLINE vq philox_multiply(vq x, unsigned y)
{
% if target.multiply then
    vq product;
    __asm__("${target.multiply} %2, %1, %0" : "=v"(product) : "v"(x), "v"(splat_w(y)));
    return product;
% else
    return (x & 0xffffffff) * y;
% end
}

APART void philox_schedule(struct philox_keys *to, const struct dropout *x)
{
    u64 a = x->key0, b = x->key1;
    for (int r = 0; r < PHILOX_ROUNDS; r++) {
        const int last = r == PHILOX_ROUNDS - 1;
        to->of[r][0] = splat_w(last ? a | b << 32 : a);
        to->of[r][1] = splat_w(b);
        a = (unsigned)a + PHILOX_W0;
        b = (unsigned)b + PHILOX_W1;
    }
}

/* Rounds [from, PHILOX_ROUNDS) of the counters c. out[.][0]: words 0 and 2 of each call, side by side, out[.][1]: words
 * 1 and 3: those of an even row and of the odd one behind it. */
INLINE void philox(vq2 (*restrict out)[2], const struct philox_keys *k, int from, vq (*restrict c)[4])
{
    vq a[PHILOX_WAYS], b[PHILOX_WAYS];
    for (int r = from; r < PHILOX_ROUNDS; r++) {
        UNROLLED for (int w = 0; w < PHILOX_WAYS; w++) a[w] = philox_multiply(c[w][0], PHILOX_M0);
        UNROLLED for (int w = 0; w < PHILOX_WAYS; w++) b[w] = philox_multiply(c[w][2], PHILOX_M1);
        if (r == PHILOX_ROUNDS - 1) break;
        UNROLLED for (int w = 0; w < PHILOX_WAYS; w++) {
            c[w][0] = b[w] >> 32 ^ c[w][1] ^ k->of[r][0];
            c[w][2] = a[w] >> 32 ^ c[w][3] ^ k->of[r][1];
            c[w][1] = b[w];
            c[w][3] = a[w];
        }
    }
    UNROLLED for (int w = 0; w < PHILOX_WAYS; w++) {
        const vq2 high = __builtin_shufflevector((vq2)b[w], (vq2)a[w], ${beside(1)});
        const vq2 before = __builtin_shufflevector((vq2)c[w][1], (vq2)c[w][3], ${beside(0)});
        out[w][0] = high ^ before ^ (vq2)k->of[PHILOX_ROUNDS - 1][0];
        out[w][1] = __builtin_shufflevector((vq2)b[w], (vq2)a[w], ${beside(0)});
    }
}

% if lanes ~= "keys" then
%   local odd = lanes == "rows"
/* What the calls for some rows of a head have in common, whatever the key: the counter's word for the rows meets that
 * for the key in the third round. */
struct dropout_head {
    struct philox_keys keys;
    vq row[VECTORS${odd and " + 1" or ""}][2]; /* the second round's product, and its high word */
};

APART void dropout_begin(struct dropout_head *to, const struct dropout *x, unsigned pair)
{
    philox_schedule(&to->keys, x);
    const unsigned first = (unsigned)((u64)x->head * PHILOX_M1 >> 32) ^ x->key0;
    for (int v = 0; v < VECTORS${odd and " + 1" or ""}; v++) {
        to->row[v][0] = philox_multiply(count_w(pair + (unsigned)v * PHILOX_CALLS) ^ first, PHILOX_M0);
        to->row[v][1] = to->row[v][0] >> 32;
    }
}

/* What the calls for a key have in common, whatever the row: what the second round and the third one add. */
struct dropout_key {
    vq second, third[3];
};

APART void dropout_key(struct dropout_key *to, const struct dropout *x, unsigned counter)
{
    const u64 a = (u64)counter * PHILOX_M0;
    const u64 b = (u64)((unsigned)(a >> 32) ^ x->offset ^ x->key1) * PHILOX_M1;
    const u64 c = (u64)((unsigned)(b >> 32) ^ x->head * PHILOX_M1 ^ (x->key0 + PHILOX_W0)) * PHILOX_M0;
    to->second = splat_w((unsigned)a ^ (x->key1 + PHILOX_W1));
    to->third[0] = splat_w((unsigned)b ^ (x->key0 + 2 * PHILOX_W0));
    to->third[1] = splat_w((unsigned)(c >> 32) ^ (x->key1 + 2 * PHILOX_W1));
    to->third[2] = splat_w((unsigned)c);
}

/* keep[r * stride + v] for the 16 keys from 16 * group on, of which calls w decide keys 2 w + { 0, 1, 8, 9 }. */
INLINE void dropout_group(vi *restrict keep, int stride, const struct dropout_head *head,
                                 const struct dropout *x, unsigned group)
{
    const vq2 least = (vq2){ 0 } + ((unsigned)x->t << 16);
    struct dropout_key key[PHILOX_WAYS];
    UNROLLED for (int w = 0; w < PHILOX_WAYS; w++) dropout_key(&key[w], x, 4 * group + (unsigned)w);
    for (int v = 0; v < stride; v++) {
        vq c[PHILOX_WAYS][4];
        vq2 words[PHILOX_WAYS][2];
        UNROLLED for (int w = 0; w < PHILOX_WAYS; w++)
            c[w][1] = philox_multiply(head->row[v][1] ^ key[w].second, PHILOX_M1);
        UNROLLED for (int w = 0; w < PHILOX_WAYS; w++) {
            c[w][0] = c[w][1] >> 32 ^ key[w].third[0];
            c[w][2] = head->row[v][0] ^ key[w].third[1];
            c[w][3] = key[w].third[2];
        }
        philox(words, &head->keys, 3, c);
        UNROLLED for (int w = 0; w < PHILOX_WAYS; w++)
            UNROLLED for (int half = 0; half < 2; half++) {
                vi *to = keep + (2 * w + 8 * half) * stride + v;
                to[0] = __builtin_convertvector(words[w][half] << 16 >= least, vi);
                to[stride] = __builtin_convertvector(words[w][half] >= least, vi);
            }
    }
}

/* keep[r][v], r < n: all ones in the lanes whose rows, i0 + v * LANES + lane, keep key j0 + r, else 0. Whole groups of
 * 16 keys${odd and ", and an even i0," or ""} are fastest.${odd and "" or " i0 is even."} */
APART void dropout_rows(vi (*restrict keep)[VECTORS], const struct dropout *x, int i0, int j0, int n)
{
    struct dropout_head head;
    const int stride = VECTORS${odd and " + (i0 & 1)" or ""};
    if (x->t > 0xffff) { /* no 16 bits are that much */
        for (int r = 0; r < n; r++)
            for (int v = 0; v < VECTORS; v++) keep[r][v] = (vi){ 0 };
        return;
    }
    dropout_begin(&head, x, (unsigned)i0 >> 1);
    for (int r = -(j0 & 15); r < n; r += 16) {
        const unsigned group = (unsigned)(j0 + r) >> 4;
        const int whole = ${odd and "!(i0 & 1) && " or ""}r >= 0 && r + 16 <= n;
        vi part[16 * (VECTORS${odd and " + 1" or ""})];${odd and " /* from an even row on, which is one before an odd i0 */" or ""}
        dropout_group(whole ? keep[r] : part, stride, &head, x, group);
        if (whole) continue;
        for (int k = r < 0 ? -r : 0; k < 16 && r + k < n; k++)
            __builtin_memcpy(keep[r + k], ${odd and "(const char *)(part + k * stride) + (i0 & 1) * (int)sizeof(vi) / LANES" or "part + k * stride"}, sizeof *keep);
    }
}
% else
enum { DROPOUT_STEP = 4 * PHILOX_CALLS * PHILOX_WAYS }; /* keys: whole groups of 16 */

/* Row i's vectors for the keys of a step from 16 * group on. */
APART void dropout_step(char *to, const struct philox_keys *keys, const struct dropout *x, int i, unsigned group)
{
    vq c[PHILOX_WAYS][4];
    vq2 words[PHILOX_WAYS][2];
    /* The row's words and the key's meet in the second round. */
    const u64 b = (u64)x->head * PHILOX_M1;
    const u64 a = (u64)((unsigned)(b >> 32) ^ (unsigned)i >> 1 ^ x->key0) * PHILOX_M0;
    UNROLLED for (int w = 0; w < PHILOX_WAYS; w++) {
        const vq first = philox_multiply(count_w(4 * group + (unsigned)w * PHILOX_CALLS), PHILOX_M0);
        c[w][1] = philox_multiply(first >> 32 ^ (x->offset ^ x->key1), PHILOX_M1);
        c[w][0] = c[w][1] >> 32 ^ ((unsigned)b ^ (x->key0 + PHILOX_W0));
        c[w][2] = first ^ ((unsigned)(a >> 32) ^ (x->key1 + PHILOX_W1));
        c[w][3] = splat_w((unsigned)a);
    }
    philox(words, keys, 2, c);
    UNROLLED for (int w = 0; w < PHILOX_WAYS; w++) {
        vq2 kept[2]; /* of calls w: keys 2 w and 2 w + 1; those 8 behind */
        UNROLLED for (int half = 0; half < 2; half++) {
            const vq2 row = (vq2)((vq)words[w][half] >> (i & 1) * 32);
            kept[half] = __builtin_shufflevector(row << 16, row, ${beside(0)});
        }
%   if calls == 8 then -- of two groups: their first words and their second ones are brought together
        const vq2 one = __builtin_shufflevector(kept[0], kept[1], ${range(0, 7)}, ${range(16, 23)});
        kept[1] = __builtin_shufflevector(kept[0], kept[1], ${range(8, 15)}, ${range(24, 31)});
        kept[0] = one;
%   end
        UNROLLED for (int half = 0; half < 2; half++) {
            const vi keep = __builtin_convertvector(kept[half] >= (unsigned)x->t << 16, vi);
%   if calls == 8 then
            const int at = 2 * w + half;
%   else
            const int at = w / ${4 // calls} * ${8 // calls} + half * ${4 // calls} + w % ${4 // calls};
%   end
            __builtin_memcpy(to + at * (int)sizeof keep, &keep, sizeof keep);
        }
    }
}

/* Row i: lane r % LANES of keep[r / LANES] is all ones if key j0 + r is kept, else 0, for r < n and on to a whole
 * vector. Whole steps from a multiple of 16 on are fastest. */
APART void dropout_keys(vi *restrict keep, const struct dropout *x, int i, int j0, int n)
{
    enum { LANE = sizeof(vi) / LANES };
    struct philox_keys keys;
    n = (n + LANES - 1) / LANES * LANES;
    if (x->t > 0xffff) { /* no 16 bits are that much */
        for (int r = 0; r < n; r += LANES) keep[r / LANES] = (vi){ 0 };
        return;
    }
    philox_schedule(&keys, x);
    for (int r = -(j0 & 15); r < n; r += DROPOUT_STEP) {
        const unsigned group = (unsigned)(j0 + r) >> 4;
        if (r >= 0 && r + DROPOUT_STEP <= n) {
            dropout_step((char *)keep + r * LANE, &keys, x, i, group);
            continue;
        }
        vi part[DROPOUT_STEP / LANES];
        dropout_step((char *)part, &keys, x, i, group);
        for (int k = r < 0 ? -r : 0; k < DROPOUT_STEP && r + k < n; k++)
            __builtin_memcpy((char *)keep + (r + k) * LANE, (const char *)part + k * LANE, LANE);
    }
}
% end
