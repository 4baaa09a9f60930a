/* What a run says of its sequences: taken, or refused in one sentence. */
#include "tests/probe_run.h"

/* ---- Padded ---- */

#define PADDED "dtype=f64 b=3 hq=2 sq=4 sk=6 d=2 lens=padded"

START_TEST(padded_lengths)
{
    begin(PADDED, 0);
    SET("q_lens", 0, 4, 1);
    SET("k_lens", 6, 0, 5);
    runs();
    recipe_facts facts = binds();
    ck_assert_int_eq(facts.total_q, 12);
    ck_assert_int_eq(facts.total_k, 18);
    run_sequence first = sequence(&facts, 0), last = sequence(&facts, 2);
    ck_assert(first.sq == 0 && first.sk == 6 && first.q_first == 0 && first.k_first == 0);
    ck_assert(last.sq == 1 && last.sk == 5 && last.q_first == 0 && last.k_first == 0);
    SET("q_lens", 0, 4, 5);
    refuses("q_lens[2] is 5: it must be 0 to 4");
    SET("q_lens", -1, 4, 4);
    refuses("q_lens[0] is -1: it must be 0 to 4");
    SET("q_lens", 0, 4, 1);
    SET("k_lens", 6, 7, 5);
    refuses("k_lens[1] is 7: it must be 0 to 6");
    SET("k_lens", 6, INT32_MIN, 5);
    refuses("k_lens[1] is -2147483648: it must be 0 to 6");
    end();
}
END_TEST

START_TEST(lengths_of_the_wrong_form)
{
    begin(PADDED, 0);
    DLTensor *q = tensor("q_lens"), *k = tensor("k_lens"), good = *q;
    resize("q_lens", 0, 2);
    refuses("q_lens has shape [2]: it must be [3]");
    resize("q_lens", 0, 4);
    refuses("q_lens has shape [4]: it must be [3]");
    resize("q_lens", 0, 3);
    q->dtype.bits = 64;
    refuses("q_lens has type code 0, 64 bits, 1 lanes: it must be i32 (0, 32, 1)");
    *q = good;
    q->dtype.code = 1;
    refuses("q_lens has type code 1, 32 bits, 1 lanes: it must be i32 (0, 32, 1)");
    *q = good;
    q->ndim = 0;
    refuses("q_lens has 0 dimensions: it must have 1");
    *q = good;
    q->strides = (int64_t[]){ 2 };
    refuses("q_lens has stride 2 in its last dimension: it must be compact (1)");
    q->strides = (int64_t[]){ 0 };
    refuses("q_lens has stride 0 in its last dimension: it must be compact (1)");
    *q = good;
    q->byte_offset = 2;
    refuses("q_lens is not aligned to 4 bytes: the problem must promise a smaller align");
    *q = good;
    q->data = NULL;
    refuses("q_lens has no data");
    *q = good;
    run.args.k_lens = NULL;
    refuses("k_lens is missing: the problem asks for it");
    run.args.k_lens = k;
    run.args.cu_q = k;
    refuses("cu_q was given, but the problem has none");
    end();
}
END_TEST

/* The bounds are the tensors' own sizes. */
START_TEST(padded_lengths_of_dynamic_sizes)
{
    begin("dtype=f64 b=* hq=2 sq=* sk=* d=2 lens=padded", 3);
    SET("q_lens", 3, 0, 3);
    SET("k_lens", 1, 2, 3);
    ck_assert_int_eq(binds().b, 3);
    SET("k_lens", 1, 2, 4);
    refuses("k_lens[2] is 4: it must be 0 to 3");
    SET("k_lens", 1, 2);
    refuses("k_lens has shape [2]: it must be [3]");
    static const char *const all[] = { "q", "k", "v", "o", "q_lens", "k_lens" };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        resize(all[k], 0, 0);
        tensor(all[k])->data = NULL;
    }
    recipe_facts facts = binds();
    ck_assert(facts.b == 0 && facts.sq == 3 && facts.total_q == 0 && facts.total_k == 0);
    end();
}
END_TEST

/* ---- Packed ---- */

#define PACKED "dtype=f64 b=3 hq=2 sq=5 sk=6 d=2 lse lens=packed"

static void totals(int64_t q, int64_t k)
{
    resize("q", 0, q);
    resize("o", 0, q);
    resize("lse", 1, q);
    resize("k", 0, k);
    resize("v", 0, k);
}

START_TEST(packed_lengths)
{
    begin(PACKED, 16);
    totals(9, 7);
    SET("cu_q", 0, 5, 5, 9);
    SET("cu_k", 0, 1, 7, 7);
    runs();
    recipe_facts facts = binds();
    ck_assert(facts.total_q == 9 && facts.total_k == 7 && facts.sq == 5 && facts.sk == 6);
    run_sequence second = sequence(&facts, 1), last = sequence(&facts, 2);
    ck_assert(second.sq == 0 && second.sk == 6 && second.q_first == 5 && second.k_first == 1);
    ck_assert(last.sq == 4 && last.sk == 0 && last.q_first == 5 && last.k_first == 7);
    SET("cu_q", 1, 5, 5, 9);
    refuses("cu_q[0] is 1: it must be 0");
    SET("cu_q", 0, 5, 4, 9);
    refuses("cu_q[2] is less than the one before: it must ascend");
    SET("cu_q", 0, INT32_MAX, INT32_MIN, 9);
    refuses("cu_q gives sequence 0 a length of 2147483647: it must be at most 5");
    SET("cu_q", 0, INT32_MIN, INT32_MAX, 9);
    refuses("cu_q[1] is less than the one before: it must ascend");
    SET("cu_q", 0, 5, 5, 10);
    refuses("cu_q ends at 10: its tensor has 9 rows");
    SET("cu_q", 0, 3, 9, 9);
    refuses("cu_q gives sequence 1 a length of 6: it must be at most 5");
    SET("cu_q", 0, 5, 9);
    refuses("cu_q has shape [3]: it must be [4]");
    SET("cu_q", 0, 5, 5, 9, 9);
    refuses("cu_q has shape [5]: it must be [4]");
    SET("cu_q", 0, 5, 5, 9);
    SET("cu_k", 0, 1, 7, 6);
    refuses("cu_k[3] is less than the one before: it must ascend");
    SET("cu_k", 0, 0, 0, 0);
    refuses("cu_k ends at 0: its tensor has 7 rows");
    SET("cu_k", 0, 1, 7, 7);
    resize("o", 0, 8);
    refuses("o has shape [8, 2, 2]: it must be [9, 2, 2]");
    end();
}
END_TEST

START_TEST(packed_lengths_of_dynamic_sizes)
{
    begin("dtype=f64 b=* hq=2 sq=* sk=* d=2 lse lens=packed", 16);
    totals(9, 7);
    SET("cu_q", 0, 5, 9);
    SET("cu_k", 0, 1, 7);
    recipe_facts facts = binds();
    ck_assert(facts.b == 2 && facts.sq == 5 && facts.sk == 6);
    SET("cu_k", 0, 1, 7, 7);
    refuses("cu_k has 4 elements: it must have b + 1 = 3");
    SET("cu_k", 0, 1, 7);
    resize("cu_q", 0, 0);
    refuses("cu_q has 0 elements: it must have b + 1 = 1 to 1048577");
    resize("cu_q", 0, (1 << 20) + 2);
    refuses("cu_q has 1048578 elements: it must have b + 1 = 1 to 1048577");
    resize("cu_q", 0, -3);
    refuses("cu_q has extent -3 in dimension 0: it must be 0 to 1099511627776");
    totals((1 << 28) + 1, 7); /* nothing of them is read */
    SET("cu_q", 0, (1 << 28) + 1);
    SET("cu_k", 0, 7);
    refuses("cu_q gives sequence 0 a length of 268435457: it must be at most 268435456");
    totals(1 << 28, 7);
    SET("cu_q", 0, 1 << 28);
    ck_assert_int_eq(binds().sq, 1 << 28);
    totals(-1, 7);
    refuses("q has extent -1 in dimension 0: it must be 0 to 1099511627776");
    totals(0, 0);
    SET("cu_q", 0);
    SET("cu_k", 0);
    facts = binds();
    ck_assert(facts.b == 0 && facts.sq == 0 && facts.sk == 0 && facts.total_k == 0);
    end();
}
END_TEST

/* A tensor that has sk says the bound of each sequence, too. */
START_TEST(packed_lengths_below_a_mask)
{
    begin("dtype=f64 b=* hq=2 sq=* sk=* d=2 lens=packed mask=B11K", 8);
    resize("mask", 0, 2);
    resize("mask", 3, 5);
    resize("q", 0, 3);
    resize("o", 0, 3);
    resize("k", 0, 6);
    resize("v", 0, 6);
    SET("cu_q", 0, 1, 3);
    SET("cu_k", 0, 1, 6);
    recipe_facts facts = binds();
    ck_assert(facts.b == 2 && facts.sq == 2 && facts.sk == 5);
    SET("cu_k", 0, 0, 6);
    refuses("cu_k gives sequence 1 a length of 6: it must be at most 5");
    SET("cu_q", 0, 3);
    refuses("cu_q has 2 elements: it must have b + 1 = 3");
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        padded_lengths, lengths_of_the_wrong_form,       padded_lengths_of_dynamic_sizes,
        packed_lengths, packed_lengths_of_dynamic_sizes, packed_lengths_below_a_mask,
        NULL,
    };
    return support_run("lengths", tests);
}
