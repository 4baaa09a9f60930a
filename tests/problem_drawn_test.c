/* Drawn problem lines: the order of keys, the canonical line, a foreign locale, and memory that runs out. */
#include "gen/core/problem.h"
#include "tests/comma_locale.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- Drawing a line ---- */

enum { max_words = 64 };

typedef struct draft {
    char word[max_words][160];
    int words;
} draft;

static bool chance(int of)
{
    return rand() % of == 0;
}

static void add(draft *d, const char *word)
{
    ck_assert(d->words < max_words && strlen(word) < sizeof d->word[0]);
    strcpy(d->word[d->words++], word);
}

/* One of a key's values, in half of the lines. */
static void draw_one(draft *d, const char *const *values, int count)
{
    if (chance(2)) add(d, values[rand() % count]);
}

#define DRAW(d, ...)                                                                               \
    draw_one(d, (const char *const[]){ __VA_ARGS__ }, COUNT(((const char *const[]){ __VA_ARGS__ })))

static void draw_dims(draft *d)
{
    static const char *const lengths[] = { "0", "1", "77", "4096", "1048576", "*" };
    char word[64];
    int group = 1 + rand() % 4, heads = 1 + rand() % 8, length = rand() % COUNT(lengths);
    sprintf(word, "hq=%d", group * heads);
    add(d, word);
    if (group > 1 || chance(2)) {
        sprintf(word, "hkv=%d", heads);
        add(d, word);
    }
    sprintf(word, "sq=%s", lengths[length]);
    add(d, word);
    if (strcmp(lengths[length], "*") == 0 || chance(2)) {
        sprintf(word, "sk=%s", lengths[rand() % COUNT(lengths)]);
        add(d, word);
    }
    sprintf(word, "d=%d", 1 + rand() % 512);
    add(d, word);
    add(d, chance(3) ? "b=*" : chance(2) ? "b=1" : "b=3");
    DRAW(d, "dv=1", "dv=64", "dv=512");
}

static void draw_number(draft *d, const char *key, double most)
{
    char word[64];
    double x = rand() / (RAND_MAX + 1.0) * most + 1e-9;
    if (!chance(2)) return;
    sprintf(word, chance(2) ? "%s=%.17g" : chance(2) ? "%s=%.3f1" : "%s=%a", key, x);
    add(d, word);
}

static void draw_backward(draft *d)
{
    add(d, "dir=bwd");
    DRAW(d, "grad=q", "grad=v,k", "grad=q,k,v", "grad=k");
    DRAW(d, "dlse");
    DRAW(d, "deterministic");
}

static void draw_functions(draft *d)
{
    if (chance(2)) {
        add(d, "tensor=t:f32[hq]");
        add(d, "tensor=alpha:bf16[b,sq]");
        add(d, chance(2)
                   ? "score={s - t[h] * alpha[b][i] * abs(i + sk - sq - j)}"
                   : "score={function(s, b, h, i, j) local r = exp(s * t[h]); local u = r * r + r\n"
                     "if u > alpha[b][i] then return u / 3 end; return -u end}");
    } else {
        DRAW(d, "score={s * 0.1}", "score={30 * tanh(s / 30)}", "score={s + floor(s) // 2 - 1e-3}",
             "score={s}");
    }
    if (chance(2)) {
        add(d, "tensor=doc:i32[b,sk]");
        add(d, chance(2) ? "maskfn={doc[b][j] == doc[b][i] and (j <= i or j < 4)}"
                         : "maskfn={not (doc[b][j] ~= 0)}");
    } else {
        DRAW(d, "maskfn={j <= i -- as far as here\n}", "maskfn={(i - j) % 3 == 0 or i // 2 < j}",
             "maskfn={h > 1}");
    }
}

static void draw(draft *d)
{
    d->words = 0;
    draw_dims(d);
    DRAW(d, "dtype=f32", "dtype=f16", "dtype=bf16", "dtype=f64", "dtype=e4m3");
    DRAW(d, "kvdtype=f32", "kvdtype=e4m3");
    DRAW(d, "odtype=f16", "odtype=f32");
    if (chance(2))
        draw_backward(d);
    else
        DRAW(d, "dir=fwd");
    DRAW(d, "layout=bshd", "layout=bhsd", "lens=packed", "lens=padded", "shard");
    DRAW(d, "align=16", "align=8", "align=4", "align=2", "align=1");
    DRAW(d, "causal", "causal=top-left", "causal=bottom-right", "causal=none");
    DRAW(d, "window=-1,-1", "window=128,0", "window=7,2147483647");
    DRAW(d, "alibi");
    DRAW(d, "sinks");
    DRAW(d, "lse");
    DRAW(d, "page=1", "page=64");
    DRAW(d, "bias=BHQK", "bias=1HQK:f32", "bias=B1Q1:bf16", "bias=1111:f64");
    DRAW(d, "mask=B11K", "mask=BHQK:u8");
    draw_number(d, "scale", 2);
    draw_number(d, "softcap", 100);
    draw_number(d, "dropout", 1 - 1e-8);
    draw_functions(d);
}

static void shuffle(draft *d)
{
    char swap[sizeof d->word[0]];
    for (int k = d->words - 1; k > 0; k--) {
        int other = rand() % (k + 1);
        memcpy(swap, d->word[k], sizeof swap);
        memcpy(d->word[k], d->word[other], sizeof swap);
        memcpy(d->word[other], swap, sizeof swap);
    }
}

/* Words with some space around them. */
static void join(const draft *d, char *line)
{
    static const char *const spaces[] = { " ", "  ", "\t", "\n", " \r\n" };
    *line = 0;
    for (int k = 0; k < d->words; k++) {
        if (k || chance(4)) line = stpcpy(line, spaces[rand() % COUNT(spaces)]);
        line = stpcpy(line, d->word[k]);
    }
    if (chance(4)) strcpy(line, "\n");
}

static problem *parse(const memory *m, const char *line)
{
    problem *p;
    fg_error error;
    fg_status s = problem_parse(&p, m, line, strlen(line), &error);
    ck_assert_msg(s == FG_OK, "%s: %s", line, error.text);
    return p;
}

/* ---- Order and canonical line ---- */

START_TEST(any_order_one_canonical_line)
{
    draft d;
    char line[8192];
    size_t longest = 0;
    srand(1);
    for (int k = 0; k < 4000; k++) {
        draw(&d);
        join(&d, line);
        problem *p = parse(&memory_default, line);
        problem *again = parse(&memory_default, p->text);
        ck_assert_str_eq(again->text, p->text);
        ck_assert_uint_eq(again->hash, p->hash);
        ck_assert_ptr_null(strchr(p->text, '\n'));
        shuffle(&d);
        join(&d, line);
        problem *shuffled = parse(&memory_default, line);
        ck_assert_str_eq(shuffled->text, p->text);
        longest = p->text_length > longest ? p->text_length : longest;
        problem_free(shuffled);
        problem_free(again);
        problem_free(p);
    }
    ck_assert_uint_gt(longest, 200);
}
END_TEST

/* A key taken out or changed is seen: what the canonical line drops is the default and nothing else. */
START_TEST(each_word_counts)
{
    static const char *const words[] = {
        "dtype=f16",      "kvdtype=f16", "odtype=f16",
        "hkv=2",          "sk=9",        "dv=9",
        "layout=bhsd",    "align=8",     "scale=0.5",
        "causal",         "window=1,1",  "softcap=9",
        "alibi",          "bias=BHQK",   "mask=BHQK",
        "dropout=0.5",    "lens=padded", "page=16",
        "sinks",          "lse",         "score={s + 1.5}",
        "maskfn={j < 7}", "dir=bwd",     "shard",
    };
    const char *base = "b=1 hq=4 sq=128 d=64";
    problem *plain = parse(&memory_default, base);
    for (int k = 0; k < COUNT(words); k++) {
        char line[256];
        sprintf(line, "%s %s", words[k], base);
        problem *p = parse(&memory_default, line);
        ck_assert_msg(strstr(p->text, words[k]) != NULL, "%s", p->text);
        ck_assert_uint_eq(p->text_length, plain->text_length + strlen(words[k]) + 1);
        ck_assert_uint_ne(p->hash, plain->hash);
        problem_free(p);
    }
    problem_free(plain);
}
END_TEST

/* ---- Parts of the line ---- */

static char *part_of(const problem *p, problem_part part)
{
    text out;
    text_init(&out, &memory_default);
    problem_line(&out, p, part);
    char *copy = strdup(out.data);
    text_free(&out);
    return copy;
}

/* Puts each of `words`, up to NULL, where one of its key stands. */
static void replace_values(draft *d, const char *const *words)
{
    for (; *words; words++)
        for (int k = 0; k < d->words; k++)
            if (strncmp(d->word[k], *words, strcspn(*words, "=") + 1) == 0)
                strcpy(d->word[k], *words);
}

static problem *parse_draft(const draft *d)
{
    char line[8192];
    join(d, line);
    return parse(&memory_default, line);
}

static void assert_share(const problem *p, const problem *q, problem_part part, bool right)
{
    char *one = part_of(p, part), *other = part_of(q, part);
    ck_assert_msg((strcmp(one, other) == 0) == right, "%s\n%s", one, other);
    free(one);
    free(other);
}

/* Values that a run replaces are in no part but the whole; whether they are there is in all. */
START_TEST(parts_share_values)
{
    static const char *const numbers[] = { "softcap=31", "dropout=0.375", "scale=7", NULL };
    static const char *const window[] = { "window=31,7", NULL };
    draft d;
    int changed = 0;
    srand(4);
    for (int k = 0; k < 1000; k++) {
        draw(&d);
        problem *p = parse_draft(&d);
        replace_values(&d, numbers);
        problem *q = parse_draft(&d);
        replace_values(&d, window);
        problem *r = parse_draft(&d);
        char *whole = part_of(p, PROBLEM_whole);
        ck_assert_str_eq(whole, p->text);
        assert_share(p, q, PROBLEM_tuned, true);
        assert_share(p, r, PROBLEM_tuned, !p->window.present);
        assert_share(p, r, PROBLEM_kernel, true);
        changed += strcmp(p->text, q->text) != 0 && strcmp(q->text, r->text) != 0;
        free(whole);
        problem_free(p);
        problem_free(q);
        problem_free(r);
    }
    ck_assert_int_gt(changed, 100);
}
END_TEST

START_TEST(parts_tell_presence)
{
    static const char *const words[] = { "softcap=9", "dropout=0", "window=-1,-1" };
    const char *base = "b=1 hq=4 sq=128 d=64";
    problem *plain = parse(&memory_default, base);
    for (int k = 0; k < COUNT(words); k++) {
        char line[256];
        sprintf(line, "%s %s", base, words[k]);
        problem *p = parse(&memory_default, line);
        assert_share(plain, p, PROBLEM_tuned, false);
        assert_share(plain, p, PROBLEM_kernel, false);
        problem_free(p);
    }
    problem_free(plain);
}
END_TEST

/* ---- A foreign locale ---- */

START_TEST(foreign_locale)
{
    enum { count = 300 };
    static problem *before[count];
    static char *lines[count];
    draft d;
    char line[8192];
    srand(3);
    for (int k = 0; k < count; k++) {
        draw(&d);
        join(&d, line);
        lines[k] = strdup(line);
        before[k] = parse(&memory_default, line);
    }
    comma_locale_enter();
    for (int k = 0; k < count; k++) {
        problem *p = parse(&memory_default, lines[k]);
        ck_assert_str_eq(p->text, before[k]->text);
        ck_assert_double_eq(p->softcap.value, before[k]->softcap.value);
        problem_free(before[k]);
        problem_free(p);
        free(lines[k]);
    }
    problem *p;
    fg_error error;
    static const char comma[] = "b=1 hq=1 sq=1 d=1 softcap=1,5";
    ck_assert_int_eq(problem_parse(&p, &memory_default, comma, strlen(comma), &error), FG_REQUEST);
}
END_TEST

/* ---- Memory that runs out ---- */

typedef struct failing {
    int64_t left;    /* allocations until the one that fails */
    bool persistent; /* and so do all later ones */
    size_t blocks, bytes;
} failing;

enum { header = 16 }; /* before each block: its size */

static bool fails(failing *f)
{
    if (f->left-- == 0) return true;
    return f->persistent && f->left < 0;
}

static void *allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    failing *f = user;
    char *start = block ? (char *)block - header : NULL;
    if (start)
        ck_assert_uint_eq(*(size_t *)(void *)start, old_size);
    else
        ck_assert_uint_eq(old_size, 0);
    if (new_size == 0) {
        if (start) f->blocks--, f->bytes -= old_size;
        free(start);
        return NULL;
    }
    if (fails(f)) return NULL;
    char *moved = realloc(start, header + new_size);
    if (!moved) return NULL;
    *(size_t *)(void *)moved = new_size;
    f->blocks += !block;
    f->bytes += new_size - old_size;
    return moved + header;
}

static const char full_line[] =
    "dir=bwd dtype=bf16 b=* hq=12 hkv=4 sq=10 sk=* d=30 causal window=5,-1 softcap=30 alibi "
    "bias=B1Q1 "
    "mask=1H1K dropout=0.25 grad=q,u tensor=u:f32[b,hq] tensor=t:i32[sk] maskfn={t[j] > 0} "
    "score={function(s, b, h, i, j) local r = exp(s * u[b][h]) if r > 1 then return r * r end "
    "return s end}";

/* Parses with the n-th allocation failing; whether it was reached. */
static bool parse_failing(int64_t n, bool persistent, const char *line, fg_status otherwise)
{
    failing f = { .left = n, .persistent = persistent };
    memory m = { allocate, &f };
    problem *p = NULL;
    fg_error error;
    fg_status s = problem_parse(&p, &m, line, strlen(line), &error);
    bool reached = f.left < 0;
    ck_assert_msg(s == (reached ? FG_MEMORY : otherwise), "allocation %d: %d %s", (int)n, s,
                  error.text);
    if (reached)
        ck_assert(p == NULL && error.status == FG_MEMORY &&
                  strcmp(error.text, "out of memory") == 0);
    problem_free(p);
    ck_assert_uint_eq(f.blocks, 0);
    ck_assert_uint_eq(f.bytes, 0);
    return reached;
}

START_TEST(each_allocation_fails)
{
    bool persistent = _i;
    int64_t n = 0;
    while (parse_failing(n, persistent, full_line, FG_OK)) n++;
    ck_assert_int_gt(n, 5);
}
END_TEST

/* A refused line leaves nothing behind. */
START_TEST(each_allocation_fails_in_a_bad_line)
{
    char line[1024];
    sprintf(line, "%s tensor=unread:f32[7]", full_line);
    int64_t n = 0;
    while (parse_failing(n, _i, line, FG_REQUEST)) n++;
    ck_assert_int_gt(n, 5);
}
END_TEST

START_TEST(declaring_fails)
{
    problem *p = parse(&memory_default, full_line);
    bool reached = true;
    int n = 0;
    for (; reached; n++) {
        failing f = { .left = n };
        memory m = { allocate, &f };
        fg_error error;
        expr_pool *pool = expr_pool_new(&m, true);
        if (!pool) continue;
        fg_status s = problem_declare(p, pool, &error);
        reached = f.left < 0;
        ck_assert_int_eq(s, reached ? FG_MEMORY : FG_OK);
        expr_pool_free(pool);
        ck_assert_uint_eq(f.blocks, 0);
    }
    ck_assert_int_gt(n, 2);
    problem_free(p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("problem_drawn");
    TCase *drawn = tcase_create("drawn"), *out_of_memory = tcase_create("memory");
    tcase_add_test(drawn, any_order_one_canonical_line);
    tcase_add_test(drawn, each_word_counts);
    tcase_add_test(drawn, parts_share_values);
    tcase_add_test(drawn, parts_tell_presence);
    tcase_add_test(drawn, foreign_locale);
    tcase_add_loop_test(out_of_memory, each_allocation_fails, 0, 2);
    tcase_add_loop_test(out_of_memory, each_allocation_fails_in_a_bad_line, 0, 2);
    tcase_add_test(out_of_memory, declaring_fails);
    tcase_set_timeout(drawn, 120);
    tcase_set_timeout(out_of_memory, 60);
    suite_add_tcase(suite, drawn);
    suite_add_tcase(suite, out_of_memory);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
