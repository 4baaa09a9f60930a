/* Problem lines: every key, the canonical line, the names that functions see, the tensors. */
#include "gen/core/problem.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static problem *parse(const char *line)
{
    problem *p;
    fg_error error;
    ck_assert_msg(problem_parse(&p, &memory_default, line, strlen(line), &error) == FG_OK, "%s: %s",
                  line, error.text);
    return p;
}

/* ---- The canonical line ---- */

static const struct {
    const char *line, *canonical;
} lines[] = {
    { "b=2 hq=8 sq=128 d=64", "b=2 d=64 hq=8 sq=128" },
    { "  b=2\thq=8\nsq=128\r\n  d=64 ", "b=2 d=64 hq=8 sq=128" },
    { "d=64 sq=+128 hq=08 b=2", "b=2 d=64 hq=8 sq=128" },
    { "b=2 hq=8 sq=128 d=64 dir=fwd dtype=f32 kvdtype=f32 odtype=f32 hkv=8 sk=128 dv=64 "
      "layout=bshd align=16 "
      "scale=0.125 causal=none lens=none",
      "b=2 d=64 hq=8 sq=128" },
    { "dir=bwd b=2 hq=8 sq=128 d=64", "b=2 d=64 dir=bwd hq=8 sq=128" },
    { "dtype=bf16 b=2 hq=8 sq=128 d=64 odtype=f32", "b=2 d=64 dtype=bf16 hq=8 odtype=f32 sq=128" },
    { "dtype=bf16 kvdtype=e4m3 odtype=bf16 b=2 hq=8 sq=128 d=64",
      "b=2 d=64 dtype=bf16 hq=8 kvdtype=e4m3 sq=128" },
    { "b=2 hq=8 hkv=2 sq=128 sk=0 d=64 dv=512", "b=2 d=64 dv=512 hkv=2 hq=8 sk=0 sq=128" },
    { "b=* hq=8 sq=* sk=* d=64", "b=* d=64 hq=8 sk=* sq=*" },
    { "b=1 hq=8 sq=* sk=77 d=64", "b=1 d=64 hq=8 sk=77 sq=*" },
    { "b=1 hq=8 sq=77 sk=* d=64", "b=1 d=64 hq=8 sk=* sq=77" },
    { "b=2 hq=8 sq=128 d=64 layout=bhsd align=2", "align=2 b=2 d=64 hq=8 layout=bhsd sq=128" },
    { "b=2 hq=8 sq=128 d=64 scale=0.10", "b=2 d=64 hq=8 scale=0.1 sq=128" },
    { "b=2 hq=8 sq=128 d=64 scale=-0", "b=2 d=64 hq=8 scale=-0 sq=128" },
    { "b=2 hq=8 sq=128 d=64 scale=0x1p-4", "b=2 d=64 hq=8 scale=0.0625 sq=128" },
    { "b=2 hq=8 sq=128 d=64 causal", "b=2 causal d=64 hq=8 sq=128" },
    { "b=2 hq=8 sq=128 d=64 causal=bottom-right", "b=2 causal d=64 hq=8 sq=128" },
    { "b=2 hq=8 sq=128 d=64 causal=top-left", "b=2 causal=top-left d=64 hq=8 sq=128" },
    { "b=2 hq=8 sq=128 d=64 window=-1,00", "b=2 d=64 hq=8 sq=128 window=-1,0" },
    { "b=2 hq=8 sq=128 d=64 window=2147483647,-1", "b=2 d=64 hq=8 sq=128 window=2147483647,-1" },
    { "b=2 hq=8 sq=128 d=64 softcap=5e1", "b=2 d=64 hq=8 softcap=50 sq=128" },
    { "b=2 hq=8 sq=128 d=64 softcap=0123456.0 dropout=1E-7",
      "b=2 d=64 dropout=1e-07 hq=8 softcap=123456 sq=128" },
    { "b=2 hq=8 sq=128 d=64 softcap=1000000", "b=2 d=64 hq=8 softcap=1e+06 sq=128" },
    { "b=2 hq=8 sq=128 d=64 alibi sinks lse", "alibi b=2 d=64 hq=8 lse sinks sq=128" },
    { "b=2 hq=8 sq=128 d=64 shard score={s * hq / hkv - i // (sq + d)}",
      "b=2 d=64 hq=8 score={s * hq / hkv - i // (sq + 64)} shard sq=128" },
    { "b=2 hq=8 sq=128 d=64 bias=BHQK:f32 mask=1111:u8",
      "b=2 bias=BHQK d=64 hq=8 mask=1111 sq=128" },
    { "dtype=f16 b=2 hq=8 sq=128 d=64 bias=1HQK:f32 mask=B11K",
      "b=2 bias=1HQK:f32 d=64 dtype=f16 hq=8 mask=B11K sq=128" },
    { "dtype=f16 b=2 hq=8 sq=128 d=64 bias=1H1K:f16", "b=2 bias=1H1K d=64 dtype=f16 hq=8 sq=128" },
    { "b=2 hq=8 sq=128 d=64 dropout=0", "b=2 d=64 dropout=0 hq=8 sq=128" },
    { "b=2 hq=8 sq=128 d=64 dropout=1.0 lens=padded",
      "b=2 d=64 dropout=1 hq=8 lens=padded sq=128" },
    { "b=2 hq=8 sq=128 d=64 lens=packed page=16", "b=2 d=64 hq=8 lens=packed page=16 sq=128" },
    { "b=2 hq=8 sq=128 d=64 dir=bwd grad=v,q dlse deterministic",
      "b=2 d=64 deterministic dir=bwd dlse grad=q,v hq=8 sq=128" },
    { "b=2 hq=8 sq=128 d=64 dir=bwd grad=k,v,q", "b=2 d=64 dir=bwd hq=8 sq=128" },
    { "b=2 hq=8 sq=128 d=64 dir=bwd grad=bias,u,q bias=1HQK score={s + u[h]} tensor=u:bf16[8]",
      "b=2 bias=1HQK d=64 dir=bwd grad=q,bias,u hq=8 score={s + u[h]} sq=128 tensor=u:bf16[8]" },
    { "b=2 hq=8 sq=128 d=64 tensor=z:i32[sk] tensor=a_1:u8[b,hq,7,dv] "
      "maskfn={z[j] == a_1[b][h][3][0]}",
      "b=2 d=64 hq=8 maskfn={a_1[b][h][3][0] == z[j]} sq=128 tensor=a_1:u8[b,hq,7,dv] "
      "tensor=z:i32[sk]" },
    { "score={ s + 0.50 } b=2 hq=8 sq=128 d=64", "b=2 d=64 hq=8 score={s + 0.5} sq=128" },
    { "b=2 hq=8 sq=128 d=64 score={s + 0.10000000001}", "b=2 d=64 hq=8 score={s + 0.1} sq=128" },
    { "b=2 hq=8 sq=128 d=64 dtype=f64 score={s + 0.10000000001}",
      "b=2 d=64 dtype=f64 hq=8 score={s + 0.10000000001} sq=128" },
    { "b=2 hq=8 sq=128 d=64 score={s} maskfn={1 < 2}", "b=2 d=64 hq=8 sq=128" },
    { "b=2 hq=8 sq=128 d=64 maskfn={function(b, h, i, j) return j <= i end}",
      "b=2 d=64 hq=8 maskfn={j <= i} sq=128" },
    { "b=2 hq=8 sq=128 d=64 maskfn={j <= i -- a {comment}\n}",
      "b=2 d=64 hq=8 maskfn={j <= i} sq=128" },
};

START_TEST(canonical)
{
    problem *p = parse(lines[_i].line);
    ck_assert_str_eq(p->text, lines[_i].canonical);
    ck_assert_uint_eq(p->text_length, strlen(p->text));
    problem *again = parse(p->text);
    ck_assert_str_eq(again->text, p->text);
    ck_assert_uint_eq(again->hash, p->hash);
    problem_free(again);
    problem_free(p);
}
END_TEST

START_TEST(every_key_is_among_the_lines)
{
    const problem_field *f = &problem_fields[_i];
    bool found = false;
    for (int k = 0; k < COUNT(lines); k++) {
        char line[512], *rest = line;
        strcpy(line, lines[k].canonical);
        for (char *word; (word = strsep(&rest, " ")) != NULL;)
            found = found || strcmp(strsep(&word, "="), f->key) == 0;
    }
    ck_assert_msg(found, "%s", f->key);
    ck_assert_ptr_eq(problem_field_find(f->key, strlen(f->key)), f);
}
END_TEST

START_TEST(different_problems_hash_apart)
{
    for (int i = 0; i < COUNT(lines); i++) {
        for (int j = 0; j < i; j++) {
            problem *p = parse(lines[i].line), *q = parse(lines[j].line);
            ck_assert_int_eq(p->hash == q->hash, strcmp(p->text, q->text) == 0);
            problem_free(p);
            problem_free(q);
        }
    }
    problem *p = parse("b=2 hq=8 sq=128 d=64");
    ck_assert_uint_eq(p->hash,
                      UINT64_C(0x2c50ea1678a0621d)); /* FNV-1a of the line, worked out elsewhere */
    problem_free(p);
}
END_TEST

/* ---- Parts of it ---- */

static void assert_part(const char *line, problem_part part, const char *right)
{
    problem *p = parse(line);
    text out;
    text_init(&out, &memory_default);
    text_add(&out, "|", 1);
    problem_line(&out, p, part);
    ck_assert_str_eq(out.data + 1, right);
    ck_assert_uint_eq(out.length, strlen(right) + 1);
    text_free(&out);
    problem_free(p);
}

#define SMALL "b=2 hq=8 sq=128 d=64 "

static const struct {
    const char *line, *tuned, *kernel;
} parts[] = {
    { SMALL, "b=2 d=64 hq=8 sq=128", "b=2 d=64 hq=8 sq=128" },
    { SMALL "scale=0.125", "b=2 d=64 hq=8 sq=128", "b=2 d=64 hq=8 sq=128" },
    { SMALL "scale=7", "b=2 d=64 hq=8 sq=128", "b=2 d=64 hq=8 sq=128" },
    { SMALL "softcap=30", "b=2 d=64 hq=8 softcap sq=128", "b=2 d=64 hq=8 softcap sq=128" },
    { SMALL "softcap=1e-3", "b=2 d=64 hq=8 softcap sq=128", "b=2 d=64 hq=8 softcap sq=128" },
    { SMALL "dropout=0.25", "b=2 d=64 dropout hq=8 sq=128", "b=2 d=64 dropout hq=8 sq=128" },
    { SMALL "dropout=0", "b=2 d=64 dropout hq=8 sq=128", "b=2 d=64 dropout hq=8 sq=128" },
    { SMALL "window=5,-1", "b=2 d=64 hq=8 sq=128 window=5,-1", "b=2 d=64 hq=8 sq=128 window" },
    { SMALL "window=-1,-1", "b=2 d=64 hq=8 sq=128 window=-1,-1", "b=2 d=64 hq=8 sq=128 window" },
    { "dropout=1 softcap=2 window=3,4 scale=5 align=8 b=* hq=8 page=16 sq=* sk=9 d=64 causal alibi",
      "alibi align=8 b=* causal d=64 dropout hq=8 page=16 sk=9 softcap sq=* window=3,4",
      "alibi align=8 b=* causal d=64 dropout hq=8 page=16 sk=9 softcap sq=* window" },
};

START_TEST(parts_of_a_line)
{
    assert_part(parts[_i].line, PROBLEM_tuned, parts[_i].tuned);
    assert_part(parts[_i].line, PROBLEM_kernel, parts[_i].kernel);
}
END_TEST

START_TEST(the_whole_line)
{
    assert_part(lines[_i].line, PROBLEM_whole, lines[_i].canonical);
}
END_TEST

/* ---- What the fields hold ---- */

START_TEST(fields_are_filled)
{
    problem *p =
        parse("dir=bwd dtype=bf16 kvdtype=f16 odtype=f32 b=3 hq=12 hkv=4 sq=10 sk=20 d=30 dv=40 "
              "layout=bhsd "
              "align=4 scale=2.5 causal=top-left window=5,-1 softcap=30 alibi bias=B1Q1 mask=1H1K "
              "dropout=0.25 "
              "lens=padded page=64 sinks lse grad=q,u dlse deterministic tensor=u:f16[sq,hq] "
              "tensor=t:i32[9] score={s * u[i][h]} maskfn={t[j] > 0}");
    ck_assert_int_eq(p->dir, DIR_bwd);
    ck_assert(p->dtype == DTYPE_bf16 && p->kvdtype == DTYPE_f16 && p->odtype == DTYPE_f32);
    ck_assert(p->b == 3 && p->hq == 12 && p->hkv == 4 && p->sq == 10 && p->sk == 20 && p->d == 30 &&
              p->dv == 40);
    ck_assert(p->layout == LAYOUT_bhsd && p->align == 4 && p->causal == CAUSAL_top_left);
    ck_assert_double_eq(p->scale, 2.5);
    ck_assert(p->window.present && p->window.left == 5 && p->window.right == -1);
    ck_assert(p->softcap.present && p->softcap.value == 30 && p->dropout.present &&
              p->dropout.value == 0.25);
    ck_assert(p->alibi && p->sinks && p->lse && p->dlse && p->deterministic);
    ck_assert(p->bias.present && p->bias.type == DTYPE_bf16 && p->mask.present &&
              p->mask.type == DTYPE_u8);
    ck_assert(p->bias.full[0] && !p->bias.full[1] && p->bias.full[2] && !p->bias.full[3]);
    ck_assert(!p->mask.full[0] && p->mask.full[1] && !p->mask.full[2] && p->mask.full[3]);
    ck_assert(p->lens == LENS_padded && p->page == 64);
    ck_assert(p->grad.q && !p->grad.k && !p->grad.v && !p->grad.bias && !p->grad.tensor[0] &&
              p->grad.tensor[1]);
    ck_assert_int_eq(p->tensors, 2);
    const problem_tensor *t = &p->tensor[0], *u = &p->tensor[1];
    ck_assert(strcmp(t->name, "t") == 0 && t->type == DTYPE_i32 && t->rank == 1 &&
              t->extent[0] == 9 && !*t->dim[0]);
    ck_assert(strcmp(u->name, "u") == 0 && u->type == DTYPE_f16 && u->rank == 2 &&
              u->extent[0] == 10);
    ck_assert_str_eq(u->dim[1], "hq");
    ck_assert_int_eq(u->symbol, expr_find(p->pool, "u"));
    ck_assert_int_eq(expr_get(p->pool, p->score.root)->type, EXPR_FLOAT);
    ck_assert_int_eq(expr_get(p->pool, p->maskfn.root)->type, EXPR_BOOL);
    ck_assert_str_eq(p->score.text, "s * u[i][h]");
    problem_free(p);
}
END_TEST

START_TEST(defaults)
{
    problem *p = parse("dtype=f16 b=1 hq=4 sq=9 d=100");
    ck_assert(p->dir == DIR_fwd && p->kvdtype == DTYPE_f16 && p->odtype == DTYPE_f16);
    ck_assert(p->hkv == 4 && p->sk == 9 && p->dv == 100 && p->align == 16 && p->page == 0);
    ck_assert_double_eq(p->scale, 1 / sqrt(100));
    ck_assert(!p->softcap.present && !p->window.present && !p->bias.present && !p->alibi &&
              p->tensors == 0);
    ck_assert(p->score.root == 0 && p->score.text == NULL && !p->grad.q && p->pool != NULL);
    problem_free(p);
    p = parse("dir=bwd b=* hq=4 sq=9 sk=* d=100");
    ck_assert(p->grad.q && p->grad.k && p->grad.v && !p->grad.bias);
    ck_assert(p->b == problem_dynamic && p->sk == problem_dynamic);
    problem_free(p);
}
END_TEST

/* ---- The names that functions see ---- */

START_TEST(names_are_declared_in_order)
{
    problem *p = parse("b=2 hq=8 hkv=4 sq=* sk=20 d=64 dv=32 tensor=z:f16[b,sq,5] tensor=a:u8[hkv] "
                       "score={s + z[b][i][0] + a[h]}");
    expr_pool *pool = expr_pool_new(&memory_default, true);
    ck_assert_int_eq(problem_declare(p, pool, NULL), FG_OK);
    static const char *const names[] = { "s",  "b",  "h", "i",  "j", "hq", "hkv",
                                         "sq", "sk", "d", "dv", "a", "z" };
    ck_assert_int_eq(expr_symbol_count(pool), COUNT(names));
    for (int k = 0; k < COUNT(names); k++) {
        ck_assert_str_eq(expr_get_symbol(pool, k)->name, names[k]);
        ck_assert_int_eq(expr_find(p->pool, names[k]), k);
    }
    ck_assert_int_eq(expr_get_symbol(pool, 0)->type, EXPR_FLOAT);
    ck_assert_int_eq(expr_get_symbol(pool, 4)->type, EXPR_INT);
    ck_assert_int_eq(expr_get(pool, expr_get_symbol(pool, 6)->defined)->value.i, 4);
    ck_assert_uint_eq(expr_get_symbol(pool, 7)->defined, 0); /* sq=* */
    const expr_symbol *a = expr_get_symbol(pool, 11), *z = expr_get_symbol(pool, 12);
    ck_assert(a->tensor && a->type == EXPR_INT && a->rank == 1 &&
              expr_get(pool, a->extent[0])->value.i == 4);
    ck_assert(z->tensor && z->type == EXPR_FLOAT && z->rank == 3);
    ck_assert_int_eq(expr_get(pool, z->extent[0])->value.i, 2);
    ck_assert(expr_get(pool, z->extent[1])->op == EXPR_variable &&
              expr_get(pool, z->extent[1])->symbol == 7);
    ck_assert_int_eq(expr_get(pool, z->extent[2])->value.i, 5);
    expr_pool_free(pool);
    problem_free(p);
}
END_TEST

START_TEST(an_extent_of_b_has_a_name)
{
    problem *p = parse("b=* hq=8 sq=9 d=64 tensor=z:f32[b] score={s + z[b]}");
    const expr_symbol *z = expr_get_symbol(p->pool, p->tensor[0].symbol);
    const expr_node *extent = expr_get(p->pool, z->extent[0]);
    ck_assert(extent->op == EXPR_variable && extent->symbol == expr_find(p->pool, "b_size"));
    ck_assert_int_eq(p->tensor[0].extent[0], problem_dynamic);
    problem_free(p);
}
END_TEST

/* ---- Tensors of a run ---- */

#define BASE "b=2 hq=8 sq=128 d=64 "

static const struct {
    const char *line, *tensors;
} runs[] = {
    { BASE, "q f32 2,128,8,64; k f32 2,128,8,64; v f32 2,128,8,64; o f32 2,128,8,64>" },
    { BASE "hkv=2 sk=77 dv=32 layout=bhsd dtype=bf16 kvdtype=f16 odtype=f32",
      "q bf16 2,8,128,64; k f16 2,2,77,64; v f16 2,2,77,32; o f32 2,8,128,32>" },
    { BASE "lse alibi bias=1HQK mask=B11K:u8 sk=5 dtype=f16",
      "q f16 2,128,8,64; k f16 2,5,8,64; v f16 2,5,8,64; o f16 2,128,8,64>; lse f32 2,8,128>; "
      "bias f16 1,8,128,5; mask u8 2,1,1,5; slopes f32 8" },
    { "dtype=f64 b=* hq=1 sq=* sk=* d=3 lse bias=BHQK:f32",
      "q f64 *,*,1,3; k f64 *,*,1,3; v f64 *,*,1,3; o f64 *,*,1,3>; lse f64 *,1,*>; bias f32 "
      "*,1,*,*" },
    { BASE "lse tensor=u:i32[d,4] tensor=t:u8[sq] score={s + u[0][1] + t[i]}",
      "q f32 2,128,8,64; k f32 2,128,8,64; v f32 2,128,8,64; o f32 2,128,8,64>; lse f32 2,8,128>; "
      "t u8 128; u i32 64,4" },
    { BASE "lens=packed hkv=2 lse", "q f32 *,8,64; k f32 *,2,64; v f32 *,2,64; o f32 *,8,64>; lse "
                                    "f32 8,*>; cu_q i32 3; cu_k i32 3" },
    { BASE "page=16 hkv=2", "q f32 2,128,8,64; k f32 *,16,2,64; v f32 *,16,2,64; o f32 "
                            "2,128,8,64>; block_table i32 2,*" },
    { BASE "dir=bwd lse",
      "q f32 2,128,8,64; k f32 2,128,8,64; v f32 2,128,8,64; o f32 2,128,8,64; lse f32 2,8,128" },
};

START_TEST(tensors_of_a_run)
{
    problem *p = parse(runs[_i].line);
    text out;
    text_init(&out, &memory_default);
    problem_tensor_info info;
    for (size_t k = 0; problem_tensor_at(p, k, &info); k++) {
        text_addf(&out, "%s%s %s ", k ? "; " : "", info.name, dtypes[info.type].name);
        for (int n = 0; n < info.rank; n++) {
            if (info.shape[n] == problem_dynamic)
                text_addf(&out, "%s*", n ? "," : "");
            else
                text_addf(&out, "%s%lld", n ? "," : "", (long long)info.shape[n]);
        }
        if (info.output) text_add(&out, ">", 1);
    }
    ck_assert_str_eq(out.data, runs[_i].tensors);
    ck_assert(!problem_tensor_at(p, 1000, &info) && !problem_tensor_at(p, SIZE_MAX, &info));
    text_free(&out);
    problem_free(p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("problem");
    TCase *good = tcase_create("canonical"), *uses = tcase_create("uses");
    tcase_add_loop_test(good, canonical, 0, COUNT(lines));
    tcase_add_loop_test(good, every_key_is_among_the_lines, 0, (int)problem_field_count);
    tcase_add_test(good, different_problems_hash_apart);
    tcase_add_loop_test(good, parts_of_a_line, 0, COUNT(parts));
    tcase_add_loop_test(good, the_whole_line, 0, COUNT(lines));
    tcase_add_test(good, fields_are_filled);
    tcase_add_test(good, defaults);
    tcase_add_test(uses, names_are_declared_in_order);
    tcase_add_test(uses, an_extent_of_b_has_a_name);
    tcase_add_loop_test(uses, tensors_of_a_run, 0, COUNT(runs));
    suite_add_tcase(suite, good);
    suite_add_tcase(suite, uses);
    SRunner *runner = srunner_create(suite);
    tcase_set_timeout(good, 60);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
