/* Problem lines that are wrong: each complaint, where it points, and the limits. */
#include "gen/core/problem.h"
#include "tests/support.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

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

int main(void)
{
    Suite *suite = suite_create("problem_refused");
    TCase *refusals = tcase_create("refused");
    tcase_add_loop_test(refusals, refused, 0, COUNT(bad));
    tcase_add_test(refusals, odd_arguments);
    tcase_add_test(refusals, at_most_so_many_tensors);
    suite_add_tcase(suite, refusals);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
