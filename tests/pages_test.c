/* What a run says of its pages, and tensors of other devices: taken, or refused in one sentence. */
#include "tests/probe_run.h"

/* ---- Tables ---- */

#define PAGED "dtype=f64 b=2 hq=2 sq=3 d=2 page=4"

static void table(int64_t blocks, const int32_t *values)
{
    resize("block_table", 1, blocks);
    memcpy(tensor("block_table")->data, values, (size_t)(2 * blocks) * sizeof *values);
}
#define TABLE(blocks, ...) table(blocks, (const int32_t[]){ __VA_ARGS__ })

START_TEST(tables_of_pages)
{
    begin(PAGED " sk=10 lens=padded", 6);
    SET("q_lens", 3, 3);
    SET("k_lens", 10, 4);
    TABLE(3, 5, 0, 3, 2, -9, 77); /* what is behind the last key is not read */
    runs();
    TABLE(3, 5, 6, 3, 2, 0, 0);
    refuses("block_table[0][1] is 6: there are 6 pages");
    TABLE(3, 5, 0, 3, -1, 0, 0);
    refuses("block_table[1][0] is -1: there are 6 pages");
    TABLE(2, 5, 0, 2, 0);
    refuses("block_table has 2 blocks: sequence 0 of 10 keys needs 3");
    resize("block_table", 1, -1);
    refuses("block_table has extent -1 in dimension 1: it must be 0 to 1099511627776");
    resize("block_table", 1, 3);
    resize("block_table", 0, 1);
    refuses("block_table has shape [1, 3]: it must be [2, 3]");
    end();
}
END_TEST

START_TEST(pages_of_the_wrong_form)
{
    begin(PAGED " sk=10", 6);
    TABLE(3, 5, 0, 3, 2, 1, 4);
    runs();
    resize("v", 0, 5);
    refuses("k has 6 pages and v 5: they must have as many");
    resize("k", 0, 5);
    refuses("block_table[0][0] is 5: there are 5 pages");
    resize("k", 0, -6);
    refuses("k has extent -6 in dimension 0: it must be 0 to 1099511627776");
    resize("k", 0, 6);
    resize("k", 1, 5);
    refuses("k has shape [6, 5, 2, 2]: it must be [6, 4, 2, 2]");
    end();
}
END_TEST

/* A row of the table is where its stride says. */
START_TEST(tables_with_gaps)
{
    begin(PAGED " sk=8", 6);
    TABLE(3, 5, 0, 99, 3, 2, 99);
    resize("block_table", 1, 2);
    tensor("block_table")->strides = (int64_t[]){ 3, 1 };
    runs();
    tensor("block_table")->strides = (int64_t[]){ 2, 1 };
    refuses("block_table[1][0] is 99: there are 6 pages");
    tensor("block_table")->strides = (int64_t[]){ 1, 2 };
    refuses("block_table has stride 2 in its last dimension: it must be compact (1)");
    end();
}
END_TEST

START_TEST(tables_say_how_many_keys)
{
    begin(PAGED " sk=*", 6);
    TABLE(3, 5, 0, 3, 2, 1, 4);
    recipe_facts facts = binds();
    ck_assert(facts.sk == 12 && facts.total_k == 24);
    resize("block_table", 1, 0);
    tensor("block_table")->data = NULL;
    resize("k", 0, 0);
    resize("v", 0, 0);
    ck_assert_int_eq(binds().sk, 0);
    tensor("block_table")->data = tensor("q")->data;
    resize("block_table", 1, (1 << 26) + 1);
    refuses("block_table has 67108865 blocks: at most 268435456 keys are taken, and a block has 4");
    end();
    begin("dtype=f64 b=* hq=2 sq=3 sk=* d=2 page=268435456", 0);
    resize("block_table", 1, INT64_C(1) << 40); /* times the page it would be no number */
    refuses("block_table has 1099511627776 blocks: at most 268435456 keys are taken, and a block "
            "has 268435456");
    end();
}
END_TEST

START_TEST(pages_of_packed_sequences)
{
    begin(PAGED " sk=10 lens=packed", 6);
    SET("cu_q", 0, 3, 6);
    SET("cu_k", 0, 9, 13);
    TABLE(3, 5, 0, 3, 2, -9, 77);
    runs();
    recipe_facts facts = binds();
    ck_assert_int_eq(facts.total_k, 13);
    run_sequence last = sequence(&facts, 1);
    ck_assert(last.sk == 4 && last.k_first == 0 && last.q_first == 3);
    SET("cu_k", 0, 4, 13);
    refuses("block_table[1][1] is -9: there are 6 pages");
    SET("cu_k", 0, 4, 15);
    refuses("cu_k gives sequence 1 a length of 11: it must be at most 10");
    end();
}
END_TEST

/* ---- Where tensors lie ---- */

#define SIZES "dtype=f64 b=3 hq=2 sq=4 sk=6 d=2"

START_TEST(tensors_of_other_devices)
{
    static const char *const lines[] = { SIZES " lens=padded page=2 sinks", SIZES " lens=packed",
                                         SIZES " dropout=0.5" };
    static const char *const names[][6] = { { "q_lens", "k_lens", "block_table", "sinks" },
                                            { "cu_q", "cu_k" },
                                            { "rng" } };
    for (int k = 0; k < 3; k++) {
        begin(lines[k], 6);
        if (k == 2) run.args.rng = tensor("rng");
        for (int n = 0; n < 6 && names[k][n]; n++) {
            char sentence[100];
            tensor(names[k][n])->device.device_type = 2;
            snprintf(sentence, sizeof sentence,
                     "%s is on device type 2: it must be in host memory (1)", names[k][n]);
            refuses(sentence);
            tensor(names[k][n])->device.device_type = 1;
        }
        end();
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        tables_of_pages,
        pages_of_the_wrong_form,
        tables_with_gaps,
        tables_say_how_many_keys,
        pages_of_packed_sequences,
        tensors_of_other_devices,
        NULL,
    };
    return support_run("pages", tests);
}
