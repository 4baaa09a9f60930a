/* Problem lines: every key, the canonical line, every complaint, the names that functions see, the tensors. */
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

/* ---- Complaints ---- */

/* "BASE " stands for what a line needs. `at`: the text at the position, NULL where the position is -1. */
#define BASE "b=2 hq=8 sq=128 d=64 "

static const struct {
    const char *line, *at, *sentence;
} bad[] = {
    { "", NULL, "b is missing, as b=2" },
    { "hq=8 sq=128 d=64", NULL, "b is missing" },
    { "b=2 sq=128 d=64", NULL, "hq is missing" },
    { "b=2 hq=8 d=64", NULL, "sq is missing" },
    { "b=2 hq=8 sq=128", NULL, "d is missing" },
    { "b=2 hq=8 sq=* d=64", NULL, "sk is missing: it defaults to sq only where that is a number" },
    { BASE "head=3", "head=3", "unknown key 'head'; known are dir dtype" },
    { BASE "=3", "=3", "unknown key ''" },
    { BASE "CAUSAL", "CAUSAL", "unknown key 'CAUSAL'" },
    { BASE "\x01\xff=1", "\x01\xff=1", "unknown key '\?\?'" },
    { BASE "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaa",
      "unknown key 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'" },
    { BASE "hq=4", "hq=4", "hq is given twice" },
    { BASE "lse alibi lse", "lse", "lse is given twice" },
    { BASE "score={s + 1} score={s}", "score={s}", "score is given twice" },
    { BASE "lse=1", "lse=1", "lse takes no value" },
    { BASE "causal=", "", "causal='': one of none bottom-right top-left is needed" },
    { BASE "softcap", "softcap", "softcap needs a value, as softcap=50" },
    { BASE "scale = 3", "scale", "scale needs a value" },
    { BASE "tensor", "tensor", "tensor needs a value, as tensor=slope:f32[hq]" },
    { BASE "dir=up", "up", "dir='up': one of fwd bwd is needed, as dir=fwd" },
    { BASE "dtype=f33", "f33", "dtype='f33': one of the types f32 f16 bf16 f64 e4m3 is needed" },
    { BASE "odtype=i32", "i32", "odtype='i32': one of the types" },
    { BASE "layout=bsdh", "bsdh", "one of bshd bhsd is needed" },
    { BASE "lens=short", "short", "one of none padded packed is needed" },
    { BASE "causal=topleft", "topleft", "causal='topleft'" },
    { "b=0 hq=8 sq=128 d=64", "0 hq",
      "b='0': a whole number from 1 to 1048576 or * is needed, as b=2" },
    { "b=1048577 hq=8 sq=128 d=64", "1048577", "from 1 to 1048576" },
    { "b=2 hq=* sq=128 d=64", "* sq",
      "hq='*': a whole number from 1 to 1048576 is needed, as hq=32" },
    { "b=2 hq=8.0 sq=128 d=64", "8.0", "hq='8.0'" },
    { "b=2 hq=8 sq=-1 d=64", "-1", "sq='-1': a whole number from 0 to 268435456 or *" },
    { "b=2 hq=8 sq=268435457 d=64", "268435457", "sq='268435457'" },
    { "b=2 hq=8 sq=99999999999999999999 d=64", "9999", "sq='99999999999999999999'" },
    { "b=2 hq=8 sq=128 d=0", "0", "d='0': a whole number from 1 to 512" },
    { "b=2 hq=8 sq=128 d=513", "513", "d='513'" },
    { "b=2 hq=8 sq=128 d=", "", "d=''" },
    { BASE "dv=513", "513", "dv='513'" },
    { BASE "hkv=3", "3", "hkv=3: hq must be a multiple of hkv" },
    { BASE "hkv=16", "16", "hkv=16: hq must be a multiple" },
    { BASE "align=32", "32", "align='32': a whole number from 1 to 16" },
    { BASE "align=3", "3", "align=3: 16, 8, 4, 2 or 1 is needed" },
    { BASE "page=0", "0", "page='0': a whole number from 1" },
    { BASE "scale=fast", "fast", "scale='fast': a number is needed, as scale=0.125" },
    { BASE "scale=0,125", "0,125", "scale='0,125': a number" },
    { BASE "scale=inf", "inf", "a number is needed" },
    { BASE "scale=nan", "nan", "a number is needed" },
    { BASE "scale=1e999", "1e999", "a finite number is needed" },
    { BASE "scale=1e39", "1e39", "a finite number is needed" },
    { BASE "softcap=0", "0", "softcap=0: a number above 0 is needed" },
    { BASE "softcap=-3", "-3", "softcap=-3: a number above 0" },
    { BASE "softcap=1e-60", "1e-60", "softcap=1e-60: a number above 0" },
    { BASE "dropout=1.5", "1.5", "dropout=1.5: a probability from 0 to 1" },
    { BASE "dropout=-0.1", "-0.1", "dropout=-0.1: a probability" },
    { BASE "window=5", "", "window='': two whole numbers" },
    { BASE "window=5,", "", "two whole numbers" },
    { BASE "window=-2,0", "-2,0", "window='-2': two whole numbers, -1 (unbounded) to 2147483647" },
    { BASE "window=1,2,3", "2,3", "window='2,3'" },
    { BASE "window=1,2147483648", "2147483648", "window='2147483648'" },
    { BASE "bias=HQK", "HQK",
      "bias='HQK': BHQK is needed, with 1 for each dimension that broadcasts" },
    { BASE "bias=bhqk", "bhqk", "bias='bhqk'" },
    { BASE "bias=BHKQ", "BHKQ", "bias='BHKQ'" },
    { BASE "bias=BHQK1", "BHQK1", "bias='BHQK1'" },
    { BASE "bias=BHQK:", "", "bias='': one of the types" },
    { BASE "bias=BHQK:i32", "i32", "bias='i32': one of the types f32 f16 bf16 f64 e4m3" },
    { BASE "mask=BHQK:f32", "f32", "mask='f32': one of the types u8" },
    { BASE "dlse", "dlse", "dlse is for dir=bwd only" },
    { BASE "deterministic", "deterministic", "for dir=bwd only" },
    { BASE "grad=q", "grad=q", "grad is for dir=bwd only" },
    { BASE "dir=bwd grad=", "", "grad='': q, k, v, bias or a tensor" },
    { BASE "dir=bwd grad=q,,v", ",v", "grad=''" },
    { BASE "dir=bwd grad=q,k,q", "q", "grad='q': this stands in the list twice" },
    { BASE "dir=bwd grad=bias", "bias",
      "grad='bias': q, k, v, bias or a tensor of floats in the problem" },
    { BASE "dir=bwd grad=t score={s + t[h]} tensor=t:i32[hq]", "t score", "grad='t'" },
    { BASE "lens=packed layout=bhsd", "bhsd", "layout=bhsd: lens=packed has the one layout" },
    { BASE "tensor=t", "t", "tensor='t': NAME:type[dim,...] is needed" },
    { BASE "tensor=t:f32", "t:f32", "NAME:type[dim,...] is needed" },
    { BASE "tensor=t:f32[hq", "t:f32[hq", "NAME:type[dim,...] is needed" },
    { BASE "tensor=t:f32[hq]x", "t:f32[hq]x", "NAME:type[dim,...] is needed" },
    { BASE "tensor=t:f32[]", "]", "tensor='': one of b hq hkv sq sk d dv or a number" },
    { BASE "tensor=t:f32[hq,]", "]", "one of b hq hkv" },
    { BASE "tensor=t:f32[h]", "h]", "tensor='h': one of b hq hkv" },
    { BASE "tensor=t:f32[dtype]", "dtype]", "tensor='dtype': one of b hq hkv" },
    { BASE "tensor=t:f32[0]", "0]", "tensor='0'" },
    { BASE "tensor=t:f32[268435457]", "268435457", "from 1 to 268435456" },
    { BASE "tensor=t:f32[1,2,3,4,5]", "5]", "at most four dimensions" },
    { BASE "tensor=t:f64[hq]", "f64", "tensor='f64': one of the types f32 f16 bf16 i32 u8" },
    { BASE "tensor=:f32[hq]", ":f32", "tensor='': a name of letters" },
    { BASE "tensor=2t:f32[hq]", "2t", "a name of letters" },
    { BASE "tensor=a-b:f32[hq]", "a-b", "a name of letters" },
    { BASE "tensor=aaaaaaaaaabbbbbbbbbbccccccccccdd:f32[hq]", "aaaaaaaaaab", "at most 31 bytes" },
    { BASE "tensor=q:f32[hq]", "q:", "tensor='q': this name has a meaning already" },
    { BASE "tensor=slopes:f32[hq]", "slopes", "has a meaning already" },
    { BASE "tensor=window_left:f32[hq]", "window_left", "has a meaning already" },
    { BASE "tensor=h:f32[hq]", "h:", "tensor='h': this name is a word of functions" },
    { BASE "tensor=sk:f32[hq]", "sk:", "is a word of functions" },
    { BASE "tensor=exp:f32[hq]", "exp:", "is a word of functions" },
    { BASE "tensor=local:f32[hq]", "local:", "is a word of functions" },
    { BASE "tensor=t:f32[hq] tensor=t:i32[4]", "t:i32",
      "tensor='t': this tensor is declared twice" },
    { BASE "tensor=t:f32[hq]", "t:f32",
      "the tensor t is declared, but neither score nor maskfn reads it" },
    { BASE "tensor=u:f32[hq] tensor=t:f32[hq] score={s + t[h]}", "u:f32",
      "the tensor u is declared, but" },
    { BASE "score=s+1", "s+1", "score='s+1': a function within braces is needed, as score={" },
    { BASE "score=@alibi.lua", "@alibi.lua", "within braces is needed" },
    { BASE "score={s + 1", "{s", "score='{s': a function within braces" },
    { BASE "score={s + {1}", "{s + {1}", "a function within braces" },
    { BASE "score={s + 1}lse", "lse", "'lse' stands right behind score={...}: a space is needed" },
    { BASE "score={}", "}", "score: " },
    { BASE "score={s + }", "}", "score: " },
    { BASE "maskfn={j <= wat}", "wat}", "maskfn: " },
    { BASE "maskfn={s > 0}", "s > 0}", "maskfn: " },
    { BASE "maskfn={i + j}", NULL, "maskfn: " },
    { "b=1048576 hq=1048576 sq=268435456 d=512", NULL, "the tensor q has more than 2^56 elements" },
    { "b=1048576 hq=1048576 sq=0 d=512 sk=1 bias=BHQK", NULL, NULL },
    { "b=1024 hq=1024 sq=268435456 d=1 bias=BHQK", NULL,
      "the tensor bias has more than 2^56 elements" },
};

START_TEST(refused)
{
    problem *p = (problem *)"";
    fg_error error;
    const char *line = bad[_i].line, *sentence = bad[_i].sentence;
    fg_status s = problem_parse(&p, &memory_default, line, strlen(line), &error);
    if (!sentence) {
        ck_assert_int_eq(s, FG_OK);
        problem_free(p);
        return;
    }
    ck_assert_msg(s == FG_REQUEST && p == NULL, "%s: %d", line, s);
    ck_assert_int_eq(error.status, FG_REQUEST);
    ck_assert_msg(strstr(error.text, sentence) != NULL, "%s: %s", line, error.text);
    if (!bad[_i].at) return;
    ck_assert_msg(error.position >= 0 && error.position <= (int64_t)strlen(line), "%s: %s", line,
                  error.text);
    ck_assert_msg(strncmp(line + error.position, bad[_i].at, strlen(bad[_i].at)) == 0 &&
                      (*bad[_i].at || !line[error.position]),
                  "%s: position %d", line, (int)error.position);
}
END_TEST

START_TEST(odd_arguments)
{
    problem *p;
    fg_error error;
    static char line[problem_max_text + 2];
    memset(line, ' ', sizeof line);
    memcpy(line, BASE, strlen(BASE));
    ck_assert_int_eq(problem_parse(&p, &memory_default, line, problem_max_text + 1, &error),
                     FG_REQUEST);
    ck_assert_ptr_nonnull(strstr(error.text, "longer than 262144 bytes"));
    ck_assert_int_eq(problem_parse(&p, &memory_default, line, problem_max_text, &error), FG_OK);
    problem_free(p);
    ck_assert_int_eq(
        problem_parse(&p, &memory_default, BASE "lse\0causal", strlen(BASE) + 10, &error),
        FG_REQUEST);
    ck_assert_int_eq(error.position, (int64_t)strlen(BASE));
    ck_assert_int_eq(problem_parse(&p, &memory_default, BASE "lsecausal", strlen(BASE) + 3, NULL),
                     FG_OK);
    ck_assert(p->lse && p->causal == CAUSAL_none);
    problem_free(p);
    ck_assert_int_eq(problem_parse(&p, &memory_default, "x", 1, NULL), FG_REQUEST);
    problem_free(NULL);
}
END_TEST

START_TEST(at_most_so_many_tensors)
{
    problem *p;
    fg_error error;
    for (int count = 16; count <= 100; count += count < 18 ? 1 : 82) {
        char line[4096], *at = line + sprintf(line, BASE "score={s");
        for (int k = 0; k < count && k < 17; k++) at += sprintf(at, " + t%d[h]", k);
        at = stpcpy(at, "}");
        for (int k = 0; k < count; k++) at += sprintf(at, " tensor=t%d:f32[hq]", k);
        fg_status s = problem_parse(&p, &memory_default, line, strlen(line), &error);
        ck_assert_int_eq(s, count > 16 ? FG_REQUEST : FG_OK);
        if (s != FG_OK) ck_assert_str_eq(error.text, "too many tensors: at most 16");
        problem_free(p);
    }
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
    { BASE "lens=packed hkv=2 lse",
      "q f32 *,8,64; k f32 *,2,64; v f32 *,2,64; o f32 *,8,64>; lse f32 8,*>" },
    { BASE "page=16 hkv=2",
      "q f32 2,128,8,64; k f32 *,16,2,64; v f32 *,16,2,64; o f32 2,128,8,64>" },
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
    TCase *good = tcase_create("canonical"), *wrong = tcase_create("refused"),
          *uses = tcase_create("uses");
    tcase_add_loop_test(good, canonical, 0, COUNT(lines));
    tcase_add_loop_test(good, every_key_is_among_the_lines, 0, (int)problem_field_count);
    tcase_add_test(good, different_problems_hash_apart);
    tcase_add_test(good, fields_are_filled);
    tcase_add_test(good, defaults);
    tcase_add_loop_test(wrong, refused, 0, COUNT(bad));
    tcase_add_test(wrong, odd_arguments);
    tcase_add_test(wrong, at_most_so_many_tensors);
    tcase_add_test(uses, names_are_declared_in_order);
    tcase_add_test(uses, an_extent_of_b_has_a_name);
    tcase_add_loop_test(uses, tensors_of_a_run, 0, COUNT(runs));
    suite_add_tcase(suite, good);
    suite_add_tcase(suite, wrong);
    suite_add_tcase(suite, uses);
    SRunner *runner = srunner_create(suite);
    tcase_set_timeout(good, 60);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
