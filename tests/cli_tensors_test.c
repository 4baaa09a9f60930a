/* The tensors of the command's runs: sizes from the line, options, files and draws, held against what the library
 * takes. */
#include "cli/sequences.h"

#include "runtime/context.h"
#include "runtime/operand.h"
#include "tests/support.h"
#include "tests/support_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fg_error error;
static fg_context *context;
static tensor_files files;
static input_choices inputs;
static tensors t;
static uint64_t seed;

static void forget(void)
{
    tensors_free(&t);
    tensor_files_free(&files);
    inputs = (input_choices){ 0 };
}

/* What the library makes of them. */
static recipe_facts bind(const problem *p)
{
    bound bounds[operand_max];
    operand_list list;
    recipe_facts facts = { .b = p->b,
                           .hq = p->hq,
                           .hkv = p->hkv,
                           .sq = p->sq,
                           .sk = p->sk,
                           .d = p->d,
                           .dv = p->dv,
                           .total_q = problem_dynamic,
                           .total_k = problem_dynamic };
    operands_make(&list, p);
    fg_status s = operands_bind(bounds, &facts, &list, &t.args, &error);
    ck_assert_msg(s == FG_OK, "%s: %s", p->text, error.text);
    return facts;
}

/* Reads the problem and makes its tensors; those that are made are bound, to *facts unless it is NULL. */
static fg_status make(const char *line, recipe_facts *facts)
{
    fg_problem *handle = NULL;
    lengths known;
    char *own = strdup(line);
    if (!context) ck_assert_int_eq(fg_context_new(&context, NULL, &error), FG_OK);
    fg_status s = lengths_complete(&known, &own, &files, &inputs, &error);
    if (s == FG_OK) s = fg_problem_parse(&handle, context, own, &error);
    const tensors_from from = { handle, own, &known, &files, &inputs, seed, seed };
    if (s == FG_OK) s = tensors_make(&t, &from, &error);
    if (s == FG_OK && facts) *facts = bind(handle->problem);
    fg_problem_free(handle);
    free(own);
    return s;
}

static recipe_facts makes(const char *line)
{
    recipe_facts facts;
    fg_status s = make(line, &facts);
    ck_assert_msg(s == FG_OK, "%s: %s", line, error.text);
    return facts;
}

static void refuses(const char *line, const char *sentence)
{
    ck_assert_int_eq(make(line, NULL), FG_REQUEST);
    ck_assert_str_eq(error.text, sentence);
    forget();
}

static void add(const char *name, const char *path)
{
    fg_status s = tensor_files_add(&files, "--x", name, path, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
}

static void add_zeros_at(const char *name, const char *path, const char *shape, int count)
{
    double *zeros = calloc((size_t)count + 1, sizeof *zeros);
    write_npy(path, "<f4", "False", shape, zeros, count);
    add(name, path);
    free(zeros);
}

/* A file NAME.npy for a tensor: of zeros, or of these values. */
#define ADD_ZEROS(name, shape, count) add_zeros_at(name, name ".npy", shape, count)
#define ADD(name, descr, shape, ...)                                                               \
    do {                                                                                           \
        static const double values_of_file[] = { __VA_ARGS__ };                                    \
        write_npy(name ".npy", descr, "False", shape, values_of_file,                              \
                  sizeof values_of_file / sizeof(double));                                         \
        add(name, name ".npy");                                                                    \
    } while (0)

static int64_t extent(const char *name, int dim)
{
    return tensors_find(&t, name)->shape[dim];
}

/* ---- Without lengths ---- */

START_TEST(lengths_given_at_launch_come_from_files)
{
    enter_folder();
    ADD("q", "<f4", "(1, 2, 2, 3)", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    makes("dtype=f16 b=* hq=2 sq=* sk=5 d=3 lse layout=bhsd");
    const int64_t o[] = { 1, 2, 2, 3 }, lse[] = { 1, 2, 2 };
    ck_assert_mem_eq(tensors_find(&t, "o")->shape, o, sizeof o);
    ck_assert_mem_eq(tensors_find(&t, "lse")->shape, lse, sizeof lse);
    const tensor *q = tensors_find(&t, "q");
    ck_assert_int_eq(q->strides[2], 8); /* rows of 3 f16 at multiples of 16 bytes */
    ck_assert_int_eq(q->strides[0], 2 * 2 * 8);
    for (int n = 0; n < 12; n++) ck_assert(tensor_at(q, n) == n + 1);
    ck_assert(!q->drawn && tensors_find(&t, "k")->drawn);
    forget();
    refuses("dtype=f16 b=1 hq=2 sq=* sk=5 d=3",
            "sq is given at launch (*) and no file says it: give a number, or --sq");
    leave_folder();
}
END_TEST

START_TEST(lengths_given_at_launch_come_from_options)
{
    const char *const line = "dtype=f16 b=* hq=2 sq=* sk=* d=3 bias=BHQK";
    enter_folder();
    inputs.b = (natural){ true, 3 };
    inputs.sq = (natural){ true, 0 };
    inputs.sk = (natural){ true, 5 };
    recipe_facts facts = makes(line);
    ck_assert(facts.b == 3 && facts.sq == 0 && facts.sk == 5);
    ck_assert(extent("bias", 0) == 3 && extent("bias", 2) == 0 && extent("bias", 3) == 5);
    forget();
    inputs.b = (natural){ true, 3 };
    refuses("dtype=f16 b=3 hq=2 sq=4 d=3", "--b 3 goes with b=*, which the problem has not");
    inputs.sk = (natural){ true, 3 };
    refuses("dtype=f16 b=3 hq=2 sq=4 d=3", "--sk 3 goes with sk=*, which the problem has not");
    inputs.sk = (natural){ true, (1 << 28) + 1 };
    refuses(line, "--sk 268435457 is too large: at most 2^28 is taken");
    inputs.sq = (natural){ true, 3 };
    ADD_ZEROS("q", "(1, 2, 2, 3)", 12);
    refuses(line, "q.npy gives sq=2 (dimension 1 of its shape [1, 2, 2, 3]), but an option gives "
                  "sq=3");
    leave_folder();
}
END_TEST

START_TEST(seeds_are_given_to_dropout)
{
    inputs.seed = (natural){ true, UINT64_MAX };
    makes("b=1 hq=2 sq=4 d=3 dropout=0.5");
    ck_assert(t.args.seeded && t.args.seed == UINT64_MAX && t.args.offset == 0 && !t.args.rng);
    forget();
    makes("b=1 hq=2 sq=4 d=3 dropout=0");
    ck_assert(t.args.seeded && t.args.seed == 0);
    forget();
    makes("b=1 hq=2 sq=4 d=3");
    ck_assert(!t.args.seeded);
    forget();
    inputs.offset = (natural){ true, 0 };
    refuses("b=1 hq=2 sq=4 d=3", "--offset 0, but the problem has no dropout");
}
END_TEST

#define SHARD "b=2 hq=4 hkv=2 sq=* d=3 sk=5 shard alibi tensor=t:f32[b,sk] score={s + t[b][j]}"

START_TEST(shards_have_tensors_of_the_whole)
{
    enter_folder();
    inputs = (input_choices){ .sq = { true, 7 }, .origin = "1,4,0,6", .whole = "3,8,4,7,21" };
    ADD_ZEROS("slopes", "(8,)", 8);
    recipe_facts facts = makes(SHARD);
    ck_assert_int_eq(facts.sk, 5);
    ck_assert_int_eq(extent("t", 0), 3);
    ck_assert_int_eq(extent("t", 1), 21);
    ck_assert_int_eq(extent("k", 1), 5);
    ck_assert_int_eq(t.args.origin_b, 1);
    ck_assert_int_eq(t.args.origin_h, 4);
    ck_assert_int_eq(t.args.origin_i, 0);
    ck_assert_int_eq(t.args.origin_j, 6);
    forget();
    inputs = (input_choices){ .sq = { true, 7 } };
    makes(SHARD);
    ck_assert_int_eq(extent("slopes", 0), 4);
    ck_assert_int_eq(t.args.origin_j, FG_DEFAULT_INT);
    ck_assert_int_eq(t.args.whole_sk, FG_DEFAULT_INT);
    forget();
    leave_folder();
}
END_TEST

START_TEST(places_are_numbers)
{
    static const char *const origins[] = {
        "", "1,2,3", "1,2,3,4,5", "1,2,3,-4", "1,2,3,4 ", "1,,3,4", "1,2,3,99999999999999999999"
    };
    char sentence[200];
    for (size_t k = 0; k < sizeof origins / sizeof *origins; k++) {
        inputs.origin = origins[k];
        snprintf(sentence, sizeof sentence,
                 "--origin takes whole numbers from 0 on, B,H,I,J, not '%s'", origins[k]);
        refuses("b=1 hq=1 sq=1 d=1 shard", sentence);
    }
    inputs.whole = "1,1,1,1";
    refuses("b=1 hq=1 sq=1 d=1 shard",
            "--whole takes whole numbers from 0 on, B,HQ,HKV,SQ,SK, not '1,1,1,1'");
    inputs.whole = "1,1,1,1,1";
    refuses("b=1 hq=1 sq=1 d=1", "--whole 1,1,1,1,1, but the problem has no shard");
}
END_TEST

START_TEST(doubles_stay_doubles)
{
    enter_folder();
    ADD("q", "<f8", "(1, 1, 1, 2)", 1 + 0x1p-52, -0x1p-1074);
    makes("dtype=f64 hq=1 sk=2 b=1 lse sinks");
    const tensor *q = tensors_find(&t, "q"), *lse = tensors_find(&t, "lse");
    ck_assert(tensor_at(q, 0) == 1 + 0x1p-52 && tensor_at(q, 1) == -0x1p-1074);
    ck_assert_str_eq(tensors_find(&t, "k")->type->name, "f64");
    ck_assert_str_eq(lse->type->name, "f64");
    ck_assert_str_eq(tensors_find(&t, "sinks")->type->name, "f32");
    double drawn = tensor_at(tensors_find(&t, "k"), 0);
    ck_assert(drawn != (double)(float)drawn); /* N(0,1) in all its digits */
    forget();
    leave_folder();
}
END_TEST

/* ---- Drawn lengths ---- */

/* The library takes them, whatever is open, and sequences are as long as they may be. */
START_TEST(what_is_drawn_fits)
{
    static const char *const rest[] = {
        "lens=padded",
        "lens=packed",
        "page=4",
        "lens=padded page=3",
        "lens=packed page=5",
        "lens=packed lse mask=B11K",
        "lens=padded layout=bhsd bias=BHQK page=1",
    };
    static const char *const sizes[] = { "b=3 sq=7 sk=11", "b=* sq=* sk=*", "b=* sq=7 sk=11" };
    for (size_t k = 0; k < sizeof rest / sizeof *rest; k++)
        for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++)
            for (seed = 0; seed < 5; seed++) {
                char line[200];
                if (n > 0) inputs.b = (natural){ true, 3 };
                if (n == 1) inputs.sq = (natural){ true, 7 };
                if (n == 1) inputs.sk = (natural){ true, 11 };
                snprintf(line, sizeof line, "%s hq=4 hkv=2 d=3 sinks align=4 %s", sizes[n],
                         rest[k]);
                recipe_facts facts = makes(line);
                ck_assert(facts.b == 3 && facts.sq == 7 && facts.sk >= 11 && facts.sk < 16);
                ck_assert_int_eq(facts.sk, t.sizes.of[LINE_sk]);
                ck_assert_int_eq(facts.sq, t.sizes.of[LINE_sq]);
                if (strstr(line, "packed")) {
                    ck_assert_int_eq(facts.total_q, t.sizes.of[LINE_total_q]);
                    ck_assert_int_eq(facts.total_k, t.sizes.of[LINE_total_k]);
                }
                if (strstr(line, "page"))
                    ck_assert_int_eq(extent("k", 0), 3 * extent("block_table", 1) + 3);
                forget();
            }
}
END_TEST

START_TEST(nothing_is_drawn_for_no_sequence)
{
    static const char *const lines[] = { "b=* hq=1 sq=3 d=4 lens=packed page=2",
                                         "b=* hq=1 sq=3 d=4 lens=padded",
                                         "b=* hq=1 sq=3 d=4 page=2" };
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        inputs.b = (natural){ true, 0 };
        ck_assert_int_eq(makes(lines[k]).b, 0);
        forget();
    }
    ck_assert_int_eq(makes("b=2 hq=1 sq=0 d=4 lens=packed").total_q, 0);
    forget();
    makes("b=2 hq=1 sq=3 sk=0 d=4 page=2");
    ck_assert_int_eq(extent("block_table", 1), 0);
    forget();
}
END_TEST

/* ---- Lengths from files ---- */

START_TEST(starts_say_how_many_rows)
{
    const char *const line = "b=* hq=1 sq=* sk=* d=4 lens=packed lse";
    enter_folder();
    ADD("cu_q", "<i8", "(3,)", 0, 5, 9);
    ADD("cu_k", "<i4", "(3,)", 0, 0, 7);
    recipe_facts facts = makes(line);
    ck_assert(facts.b == 2 && facts.sq == 5 && facts.sk == 7);
    ck_assert(extent("q", 0) == 9 && extent("k", 0) == 7 && extent("lse", 1) == 9);
    ck_assert(t.sizes.of[LINE_sq] == 5 && t.sizes.of[LINE_sk] == 7);
    tensors_free(&t);
    ADD_ZEROS("q", "(8, 1, 4)", 32);
    refuses(line, "cu_q ends at 9, but a file gives 8 rows");
    ADD("cu_q", "<i4", "(3,)", 0, 5, 9);
    inputs.b = (natural){ true, 3 };
    refuses(line, "cu_q.npy gives b=2 (dimension 0 of its shape [3]), but an option gives b=3");
    ADD("cu_q", "<i4", "(3,)", 0, 5, 9);
    inputs.sq = (natural){ true, 4 };
    inputs.sk = (natural){ true, 4 };
    refuses(line, "cu_q has a sequence of 5, but sq=4");
    ADD("cu_q", "<i4", "(2,)", 0, -1);
    inputs.sk = (natural){ true, 4 };
    refuses(line, "cu_q ends at -1, and counts rows");
    ADD_ZEROS("cu_q", "(0,)", 0);
    refuses(line, "cu_q.npy is empty: cu_q has b + 1 elements");
    ADD_ZEROS("q", "(8, 1, 4)", 32);
    inputs.b = (natural){ true, 2 };
    inputs.sq = inputs.sk = (natural){ true, 5 };
    refuses(line, "a file gives total_q=8: --cu-q FILE must say where each sequence starts");
    inputs.b = (natural){ true, 1 << 20 };
    inputs.sq = inputs.sk = (natural){ true, 1 << 20 };
    refuses(line, "cu_q counts in 32 bits: b=1048576 sequences of up to 1048576 are too many");
    leave_folder();
}
END_TEST

START_TEST(padded_lengths_from_files)
{
    const char *const line = "b=* hq=1 sq=5 sk=* d=4 lens=padded";
    enter_folder();
    ADD("q_lens", "<i8", "(2,)", 5, 0);
    ADD_ZEROS("k", "(2, 3, 1, 4)", 24);
    recipe_facts facts = makes(line);
    ck_assert(facts.b == 2 && facts.sk == 3);
    ck_assert(tensor_at(tensors_find(&t, "q_lens"), 0) == 5);
    ck_assert(tensors_find(&t, "k_lens")->drawn);
    forget();
    ADD("q_lens", "<i4", "(2, 1)", 5, 0);
    refuses(line, "q_lens.npy has shape [2, 1]: q_lens has 1 dimensions");
    ADD("q_lens", "<i4", "(2,)", 5, 0);
    ADD("k_lens", "<i4", "(3,)", 5, 0, 1);
    refuses(line, "k_lens.npy gives b=3 (dimension 0 of its shape [3]), but q_lens.npy gives b=2");
    ADD("cu_q", "<i4", "(3,)", 0, 5, 9);
    inputs.b = (natural){ true, 2 };
    refuses(line, "--x gives cu_q.npy, but the problem has no input cu_q");
    leave_folder();
}
END_TEST

START_TEST(tables_and_pages_from_files)
{
    enter_folder();
    ADD("block_table", "<i8", "(2, 3)", 4, 0, 1, 3, 6, 2);
    recipe_facts facts = makes("b=* hq=1 sq=2 sk=* d=4 page=2");
    ck_assert(facts.b == 2 && facts.sk == 6);
    ck_assert(extent("k", 0) == 7 && t.sizes.of[LINE_sk] == 6);
    tensors_free(&t);
    inputs.sk = (natural){ true, 5 }; /* in 3 pages */
    ck_assert_int_eq(makes("b=* hq=1 sq=2 sk=* d=4 page=2").sk, 6);
    tensors_free(&t);
    inputs.sk = (natural){ true, 4 };
    refuses("b=* hq=1 sq=2 sk=* d=4 page=2",
            "block_table.npy has 3 blocks of 2 keys, but --sk is 4");
    ADD_ZEROS("k", "(9, 2, 1, 4)", 72);
    makes("b=2 hq=1 sq=2 sk=5 d=4 page=2");
    ck_assert(extent("v", 0) == 9 && extent("block_table", 1) == 3);
    tensors_free(&t);
    refuses("b=3 hq=1 sq=2 sk=7 d=4 page=2", "a file gives 9 pages: 4 blocks each for b=3 need 12");
    ADD_ZEROS("k", "(9, 3, 1, 4)", 108);
    refuses("b=2 hq=1 sq=2 sk=5 d=4 page=2",
            "k.npy has shape [9, 3, 1, 4]: k has shape [9, 2, 1, 4] here");
    ADD_ZEROS("k", "(9, 2, 1, 4)", 72);
    ADD_ZEROS("v", "(8, 2, 1, 4)", 64);
    refuses("b=2 hq=1 sq=2 sk=5 d=4 page=2",
            "v.npy gives pages=8 (dimension 0 of its shape [8, 2, 1, 4]), but k.npy gives pages=9");
    refuses("b=1048576 hq=1 sq=2 sk=1000000 d=1 page=2",
            "block_table counts in 32 bits: 524288000000 pages are too many");
    leave_folder();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        lengths_given_at_launch_come_from_files,
        lengths_given_at_launch_come_from_options,
        seeds_are_given_to_dropout,
        shards_have_tensors_of_the_whole,
        places_are_numbers,
        doubles_stay_doubles,
        what_is_drawn_fits,
        nothing_is_drawn_for_no_sequence,
        starts_say_how_many_rows,
        padded_lengths_from_files,
        tables_and_pages_from_files,
        NULL,
    };
    return support_run("cli_tensors", tests);
}
