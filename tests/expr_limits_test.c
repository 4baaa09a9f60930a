/* Expressions that are too long, too deep, too many or too costly, and memory that runs out. */
#include "tests/expr_support.h"

#include <stdio.h>
#include <time.h>

/* ---- Texts made of repeated parts ---- */

static text repeat(const char *before, const char *part, int count, const char *after)
{
    text t;
    text_init(&t, &memory_default);
    text_addf(&t, "%s", before);
    for (int k = 0; k < count; k++) text_addf(&t, "%s", part);
    text_addf(&t, "%s", after);
    ck_assert(!t.failed);
    return t;
}

/* As many parts as fit. */
static text fill(const char *before, const char *part, const char *after)
{
    size_t rest = expr_max_text - strlen(before) - strlen(after);
    return repeat(before, part, (int)(rest / strlen(part)), after);
}

/* Parses in an own pool, frees the text, and returns the status; a success must come back from its text. */
static fg_status try_parse(text t, fg_error *error)
{
    expr_pool *pool = new_pool(true);
    expr e;
    clock_t start = clock();
    fg_status status = expr_parse(&e, pool, EXPR_SCORE, t.data, t.length, error);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    ck_assert_msg(seconds < 10, "%.60s takes %g s", t.data, seconds);
    if (status == FG_OK) {
        text canonical = format(pool, EXPR_SCORE, e);
        ck_assert_uint_eq(parse(pool, EXPR_SCORE, canonical.data), e);
        text_free(&canonical);
    }
    text_free(&t);
    expr_pool_free(pool);
    return status;
}

START_TEST(depth_is_bounded)
{
    static const struct {
        const char *before, *part, *middle, *closing, *after;
    } nests[] = {
        { "", "(", "s", ")", "" },
        { "", "exp(", "s", ")", "" },
        { "", "s-(", "s", ")", "" },
        { "", "- ", "s", "", "" },
        { "where(", "not (", "i<j", ")", ",1,0)" },
        { "t[", "doc[0][", "i", "]", "]" },
        { "function(s,b,h,i,j) ", "if i<j then ", "return s", " else return s*2 end", " end" },
        { "function(s,b,h,i,j) ", "if i==1 then return s else", "", "", "" },
        { "function(s,b,h,i,j) ", "if i==1 then return s end ", "", "", "" },
    };
    for (size_t k = 0; k < sizeof nests / sizeof *nests; k++) {
        for (int count = 5; count <= 5000; count *= 10) {
            text t = repeat(nests[k].before, nests[k].part, count, nests[k].middle);
            for (int n = 0; n < count; n++) text_addf(&t, "%s", nests[k].closing);
            text_addf(&t, "%s", nests[k].after);
            size_t length = t.length;
            fg_error error = { .text = "" };
            fg_status status = try_parse(t, &error);
            if (count < 100 && *nests[k].middle)
                ck_assert_msg(status == FG_OK, "nest %zu: %s", k, error.text);
            if (count < 500 || length > expr_max_text) continue;
            ck_assert_int_eq(status, FG_REQUEST);
            ck_assert_msg(strstr(error.text, "nested too deeply: at most 200 levels"),
                          "nest %zu: %s", k, error.text);
            ck_assert_int_gt(error.position, 100);
        }
    }
}
END_TEST

START_TEST(length_is_bounded)
{
    fg_error error;
    ck_assert_int_eq(try_parse(fill("", " ", "s"), &error), FG_OK);
    ck_assert_int_eq(try_parse(repeat("", " ", expr_max_text, "s"), &error), FG_REQUEST);
    ck_assert_str_eq(error.text, "the text has 65537 bytes of at most 65536");
    ck_assert_int_eq(error.position, 65536);
    ck_assert_int_eq(try_parse(fill("0.", "1", ""), &error), FG_REQUEST);
    ck_assert_ptr_nonnull(strstr(error.text, "too long for a number"));
    ck_assert_int_eq(try_parse(fill("", "9", ""), &error), FG_REQUEST);
    ck_assert_int_eq(try_parse(fill("", "x", ""), &error), FG_REQUEST);
    ck_assert_ptr_nonnull(strstr(error.text, "is not known here"));
    ck_assert_int_eq(try_parse(fill("s --[", "=", ""), &error), FG_OK); /* no long comment */
    ck_assert_int_eq(try_parse(fill("s --[[", "]=", ""), &error), FG_REQUEST);
}
END_TEST

/* Different operations without end. */
static text count_up(const char *before, const char *form, int count, const char *after)
{
    text t;
    text_init(&t, &memory_default);
    text_addf(&t, "%s", before);
    for (int k = 0; k < count; k++) {
        char part[64];
        snprintf(part, sizeof part, form, k, k, k);
        text_addf(&t, "%s", part);
    }
    text_addf(&t, "%s", after);
    return t;
}

START_TEST(nodes_are_bounded)
{
    fg_error error;
    ck_assert_int_eq(try_parse(count_up("s", "+%d.5*s", 1000, ""), &error), FG_OK);
    ck_assert_int_eq(try_parse(count_up("s", "+%d.5*s", 6000, ""), &error), FG_REQUEST);
    ck_assert_str_eq(error.text, "the expression is too large: at most 4096 different operations");
    ck_assert_int_gt(error.position, 1000);
    /* A pool has a bound of its own. */
    expr_pool *pool = new_pool(true);
    expr e = 1;
    for (int k = 0; k < 2 * expr_max_nodes && e; k++) e = expr_int(pool, k);
    ck_assert_uint_eq(e, 0);
    ck_assert_int_eq(expr_node_count(pool), expr_max_nodes);
    ck_assert_int_eq(expr_parse(&e, pool, EXPR_SCORE, "exp(s)", 6, &error), FG_REQUEST);
    ck_assert_uint_ne(expr_int(pool, 5), 0);
    expr_pool_free(pool);
}
END_TEST

/* What was read can be read again: the canonical text has the same bound. */
START_TEST(canonical_length_is_bounded)
{
    fg_error error;
    const char *before = "function(s) local a=s ", *part = "local a=a*a+a ",
               *after = "return a end";
    ck_assert_int_eq(try_parse(repeat(before, part, 1500, after), &error), FG_OK);
    ck_assert_int_eq(try_parse(repeat(before, part, 2030, after), &error), FG_REQUEST);
    ck_assert_ptr_nonnull(
        strstr(error.text, "the expression is too large: simplified, its text has"));
}
END_TEST

START_TEST(long_texts_cost_no_more_than_they_should)
{
    fg_error error;
    char sum[4096] = "function(s,b,h,i,j) local a = 0";
    /* Sums of many terms, which differ deep inside only. */
    for (int k = 0; k < 60; k++)
        snprintf(sum + strlen(sum), sizeof sum - strlen(sum), "+floor(exp(exp(exp(exp(s*%d.5)))))",
                 k);
    strcat(sum, " return a");
    ck_assert_int_eq(try_parse(fill(sum, "-a+a", "+s end"), &error), FG_OK);
    ck_assert_int_eq(try_parse(fill("s", "+s", ""), &error), FG_REQUEST);
    ck_assert_int_eq(try_parse(fill("i", "+i", ""), &error), FG_REQUEST);
    ck_assert_int_eq(try_parse(fill("where(i<j", " and i<j", ",1,0)"), &error), FG_OK);
    ck_assert_int_eq(try_parse(fill("function(s) ", "local x=1 ", "return x end"), &error), FG_OK);
    ck_assert_int_eq(try_parse(fill("function(s) ", ";", "return s end"), &error), FG_OK);
    ck_assert_int_eq(try_parse(fill("min(s", ",s", ")"), &error), FG_OK);
    text locals = count_up("function(s) ", "local x%d=1 ", 4000, "");
    text_addf(&locals, "return x0%s end", "+x0+x1+x2");
    ck_assert_int_eq(try_parse(locals, &error), FG_OK);
}
END_TEST

/* Deep graphs without deep text, and sums that are longer than what is kept in order. */
START_TEST(deep_graphs_come_back)
{
    fg_error error;
    text t = repeat("function(s,b,h,i,j) local x = s ", "local x = exp(x) ", 1000, "return x end");
    ck_assert_int_eq(try_parse(t, &error), FG_OK);
    t = repeat("function(s,b,h,i,j) local x = s ", "local x = x * x - 0.5 ", 600, "return x end");
    ck_assert_int_eq(try_parse(t, &error), FG_OK);
    t = repeat("function(s,b,h,i,j) local x = i ", "local x = x * x // 3 - (x + j) ", 60,
               "return x end");
    ck_assert_int_eq(try_parse(t, &error), FG_OK);
    ck_assert_int_eq(try_parse(count_up("s + 1.0 * (0", "+t[h]+floor(s*%d.5)", 0, ")"), &error),
                     FG_OK);
    ck_assert_int_eq(try_parse(count_up("s + 1.0 * (0", "+floor(s*%d.5)", 150, ")"), &error),
                     FG_OK);
    t = count_up("function(s) local x = 0", "+floor(s*%d.5)", 63, " local y = 0");
    for (int k = 100; k < 163; k++) text_addf(&t, "+floor(s*%d.5)", k);
    text_addf(&t, " return 2 * (x - y) - 3 * (y - x) + (x + y) end");
    ck_assert_int_eq(try_parse(t, &error), FG_OK);
}
END_TEST

/* ---- Memory ---- */

typedef struct rationed {
    long calls, fail_at; /* this call fails, or with `forever` all from it on */
    bool forever;
    long blocks;
} rationed;

static void *rationed_allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    rationed *r = user;
    (void)old_size;
    if (new_size == 0) {
        r->blocks -= block != NULL;
        free(block);
        return NULL;
    }
    long call = ++r->calls;
    if (call == r->fail_at || (r->forever && call > r->fail_at)) return NULL;
    void *result = realloc(block, new_size);
    r->blocks += block == NULL;
    return result;
}

static const char long_source[] =
    "function(s, b, h, i, j) local r = i - j; local q = tanh(s / 20) * 20; "
    "local l1 = 1 local l2 = 2 local l3 = 3 local l4 = 4 local l5 = 5 local l6 = 6 local l7 = 7 "
    "local l8 = 8 "
    "local l9 = 9 local m1 = 1 local m2 = 2 local m3 = 3 local m4 = 4 local m5 = 5 local m6 = 6 "
    "local m7 = 7 "
    "if r > 128 then return q - t[h] * r elseif doc[b][i] == doc[b][j] then return s * q + exp(r) "
    "end; "
    "return min(s, r * r, q, abs(j - i + 5 * l1)) - floor(q) * (r // 3) % 7 + where(i < j and j < "
    "n, 1.5, 2.5) end";

/* All of it; the first failure ends it. */
static fg_status use_everything(const memory *m)
{
    fg_error error;
    expr e = 0;
    text t;
    expr_program program = { .memory = m };
    fg_status status = FG_MEMORY;
    text_init(&t, m);
    expr_pool *pool = expr_pool_new(m, true);
    if (!pool || !declare_symbols(pool)) goto out;
    status = expr_parse(&e, pool, EXPR_SCORE, long_source, sizeof long_source - 1, &error);
    if (status != FG_OK) goto out;
    expr_format(pool, EXPR_SCORE, e, &t);
    status = t.failed ? FG_MEMORY : expr_program_new(&program, m, pool, e, &error);
    if (status != FG_OK) goto out;
    if (!expr_substitute(pool, e, SYM_i, expr_variable(pool, SYM_j))) status = FG_MEMORY;
out:
    expr_program_free(&program);
    text_free(&t);
    expr_pool_free(pool);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    rationed r = { .fail_at = -1 };
    memory m = { rationed_allocate, &r };
    ck_assert_int_eq(use_everything(&m), FG_OK);
    ck_assert_int_eq(r.blocks, 0);
    long calls = r.calls;
    ck_assert_int_gt(calls, 10);
    for (int forever = 0; forever < 2; forever++) {
        for (long k = 1; k <= calls; k++) {
            r = (rationed){ .fail_at = k, .forever = forever };
            ck_assert_msg(use_everything(&m) == FG_MEMORY, "allocation %ld", k);
            ck_assert_int_eq(r.blocks, 0);
        }
    }
}
END_TEST

/* A pool that was refused memory goes on when there is some. */
START_TEST(a_pool_recovers)
{
    rationed r = { .fail_at = -1 };
    memory m = { rationed_allocate, &r };
    expr_pool *pool = expr_pool_new(&m, true);
    ck_assert(pool && declare_symbols(pool));
    r.fail_at = r.calls + 1;
    r.forever = true;
    expr e;
    fg_error error;
    ck_assert_int_eq(expr_parse(&e, pool, EXPR_SCORE, long_source, sizeof long_source - 1, &error),
                     FG_MEMORY);
    r.forever = false;
    e = parse(pool, EXPR_SCORE, long_source);
    text t = format(pool, EXPR_SCORE, e);
    ck_assert_uint_eq(parse(pool, EXPR_SCORE, t.data), e);
    text_free(&t);
    expr_pool_free(pool);
    ck_assert_int_eq(r.blocks, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        depth_is_bounded,
        length_is_bounded,
        nodes_are_bounded,
        canonical_length_is_bounded,
        long_texts_cost_no_more_than_they_should,
        deep_graphs_come_back,
        every_allocation_may_fail,
        a_pool_recovers,
        NULL,
    };
    return support_run("expr_limits", tests);
}
