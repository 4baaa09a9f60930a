% -- Which scores dropout keeps, by Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as
% -- 1, 2, 3; 2011). Comes in: words: whether words go with pairs of weights (keep_pair, ptx.cu.t), else bits are wanted.
/* key0 is the seed's low half, key1 the exclusive or of its high half and the offset's, offset the offset's low half. */
struct dropout {
    u32 key0, key1, offset;
    u32 least; /* a score is kept if its 16 bits are as many or more */
};

/* A round of Philox makes (high(B z) ^ y ^ k0, low(B z), high(A x) ^ w ^ k1, low(A x)) of (x, y, z, w). */
DEVICE u64 philox_a(u32 x) { return (u64)x * 0xd2511f53u; }
DEVICE u64 philox_b(u32 z) { return (u64)z * 0xcd9e8d57u; }
DEVICE u32 key0_of(const struct dropout &x, u32 round) { return x.key0 + round * 0x9e3779b9u; }
DEVICE u32 key1_of(const struct dropout &x, u32 round) { return x.key1 + round * 0xbb67ae85u; }

/* The counter begins as (keys, pair, head, offset): 4 (j / 16) + n, a row's number halved, b * HQ + h. Two of its words
 * meet late: this much of the first three rounds is of the rows alone, and this of the keys. */
DEVICE void philox_of_rows(u32 (&rows)[2], const struct dropout &x, u32 head, u32 pair)
{
    const u64 a = philox_a((u32)(philox_b(head) >> 32) ^ pair ^ key0_of(x, 0));
    rows[0] = (u32)(a >> 32), rows[1] = (u32)a;
}

DEVICE void philox_of_keys(u32 (&keys)[4], const struct dropout &x, u32 head, u32 number)
{
    const u64 a = philox_a(number), b = philox_b((u32)(a >> 32) ^ x.offset ^ key1_of(x, 0));
    const u64 a3 = philox_a((u32)(b >> 32) ^ (u32)philox_b(head) ^ key0_of(x, 1));
    keys[0] = (u32)a ^ key1_of(x, 1), keys[1] = (u32)b ^ key0_of(x, 2), keys[2] = (u32)(a3 >> 32) ^ key1_of(x, 2), keys[3] = (u32)a3;
}

/* Words 0 and 1 are of an even row, 2 and 3 of the odd one behind it: of keys 2 n and 2 n + 1, low half first, and of
 * those 8 further on. */
DEVICE void philox_join(u32 (&word)[4], const struct dropout &x, const u32 (&rows)[2], const u32 (&keys)[4])
{
    const u64 b3 = philox_b(rows[0] ^ keys[0]);
    u32 c0 = (u32)(b3 >> 32) ^ keys[1], c1 = (u32)b3, c2 = rows[1] ^ keys[2], c3 = keys[3];
#pragma unroll
    for (u32 round = 3; round < 10; round++) {
        const u64 a = philox_a(c0), b = philox_b(c2);
        c0 = (u32)(b >> 32) ^ c1 ^ key0_of(x, round);
        c2 = (u32)(a >> 32) ^ c3 ^ key1_of(x, round);
        c1 = (u32)b;
        c3 = (u32)a;
    }
    word[0] = c0, word[1] = c1, word[2] = c2, word[3] = c3;
}

DEVICE void philox(u32 (&word)[4], const struct dropout &x, u32 head, u32 pair, u32 number)
{
    u32 rows[2], keys[4];
    philox_of_rows(rows, x, head, pair);
    philox_of_keys(keys, x, head, number);
    philox_join(word, x, rows, keys);
}

% if not words then
/* Four bits: this row's keys 2 n, 2 n + 1, 2 n + 8, 2 n + 9 of the 16. */
DEVICE u32 kept_of(u32 first, u32 second, u32 least)
{
    return (u32)((first & 0xffff) >= least) | (u32)(first >> 16 >= least) << 1 | (u32)((second & 0xffff) >= least) << 2 |
           (u32)(second >> 16 >= least) << 3;
}
% end
