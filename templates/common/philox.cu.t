% -- Which scores dropout keeps, by Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as
% -- 1, 2, 3; 2011). Comes in: words: whether words go with pairs of weights, else bits are wanted.
/* key0 is the seed's low half, key1 the exclusive or of its high half and the offset's, offset the offset's low half. */
struct dropout {
    u32 key0, key1, offset;
    u32 least; /* a score is kept if its 16 bits are as many or more */
};

/* Words 0 and 1 are of an even row, 2 and 3 of the odd one behind it: of keys 2 n and 2 n + 1, low half first, and of
 * those 8 further on. `pair` is the row's number halved, `keys` is 4 (j / 16) + n, head is b * HQ + h. */
DEVICE void philox(u32 (&word)[4], const struct dropout &x, u32 head, u32 pair, u32 keys)
{
    u32 c0 = keys, c1 = pair, c2 = head, c3 = x.offset, k0 = x.key0, k1 = x.key1;
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const u64 a = (u64)c0 * 0xd2511f53u, b = (u64)c2 * 0xcd9e8d57u;
        c0 = (u32)(b >> 32) ^ c1 ^ k0;
        c2 = (u32)(a >> 32) ^ c3 ^ k1;
        c1 = (u32)b;
        c3 = (u32)a;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    word[0] = c0, word[1] = c1, word[2] = c2, word[3] = c3;
}

% if words then
/* Of two weights in a register, those that this word keeps. */
DEVICE void keep_pair(u32 &pair, u32 word, u32 least)
{
    if (word << 16 < least << 16) pair &= 0xffff0000;
    if (word < least << 16) pair &= 0xffff;
}
% else
/* Four bits: this row's keys 2 n, 2 n + 1, 2 n + 8, 2 n + 9 of the 16. */
DEVICE u32 kept_of(u32 first, u32 second, u32 least)
{
    return (u32)((first & 0xffff) >= least) | (u32)(first >> 16 >= least) << 1 | (u32)((second & 0xffff) >= least) << 2 |
           (u32)(second >> 16 >= least) << 3;
}
% end
