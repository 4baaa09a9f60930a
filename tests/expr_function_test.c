/* Functions drawn at random: following branches against running the statements. */
#include "tests/expr_support.h"

#include <stdint.h>

enum { DRAWN = 3000, POINTS = 12, SLOTS = 6 };

static uint64_t state = 7;

static int draw(int below)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)below);
}

/* Names i, j and the locals l0 ... l5; a name that is not in scope is not drawn. Locals are ints. */
typedef struct term {
    int name, add; /* name + add; name 0: i, 1: j, k + 2: lk */
} term;

typedef struct statement {
    char kind; /* l local, i if, r return */
    int slot;
    term a, b;                         /* lk = a; if a < b; return a */
    struct statement *yes, *no, *next; /* no: NULL or an else */
    bool chained;                      /* else if, written elseif */
} statement;

static statement pool_of_statements[2000];
static int statement_count;

static term draw_term(int scope)
{
    return (term){ .name = draw(scope + 2), .add = draw(7) - 3 };
}

static bool returns(const statement *s)
{
    for (; s; s = s->next)
        if (s->kind == 'r' || (s->kind == 'i' && returns(s->yes) && returns(s->no))) return true;
    return false;
}

/* A block; `must`: every path has to return. `scope`: locals known; new ones shadow or extend. */
static statement *draw_block(int scope, int depth, bool must)
{
    statement *s = &pool_of_statements[statement_count++];
    int kind = depth == 0 ? 2 : draw(5);
    ck_assert_int_lt(statement_count, 2000);
    *s = (statement){ .kind = 'r', .a = draw_term(scope), .b = draw_term(scope) };
    if (kind == 2 || kind == 3) {
        if (!must && draw(2)) return statement_count--, NULL;
        return s;
    }
    if (kind == 4) {
        s->kind = 'l';
        s->slot = scope < SLOTS && draw(3) ? scope : draw(scope < SLOTS ? scope + 1 : SLOTS);
        s->next = draw_block(s->slot == scope ? scope + 1 : scope, depth - 1, must);
        return s;
    }
    s->kind = 'i';
    bool all = must && draw(3) == 0;
    s->yes = draw_block(scope, depth - 1, all);
    s->chained = draw(2);
    if (all || draw(2)) s->no = draw_block(scope, depth - 1, all);
    s->chained &= s->no && s->no->kind == 'i' && !s->no->next;
    if (!returns(s)) s->next = draw_block(scope, depth - 1, must);
    return s;
}

static void write_term(term t, text *out)
{
    static const char *const names[] = { "i", "j", "l0", "l1", "l2", "l3", "l4", "l5" };
    text_addf(out, "%s + %d", names[t.name], t.add);
}

static void write_block(const statement *s, text *out);

static void write_if(const statement *s, text *out)
{
    text_addf(out, "if ");
    write_term(s->a, out);
    text_addf(out, " < ");
    write_term(s->b, out);
    text_addf(out, " then ");
    write_block(s->yes, out);
    if (s->no && s->chained) {
        text_addf(out, "else");
        write_if(s->no, out);
        return;
    }
    if (s->no) text_addf(out, "else ");
    write_block(s->no, out);
    text_addf(out, "end ");
}

static void write_block(const statement *s, text *out)
{
    for (; s; s = s->next) {
        if (s->kind == 'i') {
            write_if(s, out);
            continue;
        }
        if (s->kind == 'l') text_addf(out, "local l%d = ", s->slot);
        if (s->kind == 'r') text_addf(out, "return ");
        write_term(s->a, out);
        text_addf(out, draw(2) ? "; " : " ");
    }
}

/* Whether the block returned, and what. */
static bool run(const statement *s, const int *outer, int *result)
{
    int known[SLOTS + 2];
    memcpy(known, outer, sizeof known);
    for (; s; s = s->next) {
        int a = known[s->a.name] + s->a.add, b = known[s->b.name] + s->b.add;
        if (s->kind == 'r') return *result = a, true;
        if (s->kind == 'l') known[s->slot + 2] = a;
        if (s->kind == 'i' && run(a < b ? s->yes : s->no, known, result)) return true;
    }
    return false;
}

START_TEST(branches_choose_as_running_does)
{
    for (int k = 0; k < DRAWN; k++) {
        expr_pool *pool = new_pool(false);
        text source;
        text_init(&source, &memory_default);
        statement_count = 0;
        const statement *body = draw_block(0, 7, true);
        text_addf(&source, "function(s, b, h, i, j) ");
        write_block(body, &source);
        text_addf(&source, "end");
        expr e = parse(pool, EXPR_SCORE, source.data);
        for (int point = 0; point < POINTS; point++) {
            int known[SLOTS + 2] = { draw(12) - 6, draw(12) - 6 }, want = 0;
            expr_env env = { .by = -1 };
            env.variable[SYM_i] = known[0];
            env.variable[SYM_j] = known[1];
            ck_assert(run(body, known, &want));
            double got = evaluate(pool, e, &env).value;
            ck_assert_msg(got == want, "%s: %g, not %d, at i = %d, j = %d", source.data, got, want,
                          known[0], known[1]);
        }
        text_free(&source);
        expr_pool_free(pool);
    }
}
END_TEST

/* A missing return is found wherever the running would meet it. */
START_TEST(open_ends_are_found)
{
    int open = 0;
    for (int k = 0; k < DRAWN; k++) {
        expr_pool *pool = new_pool(false);
        text source;
        text_init(&source, &memory_default);
        statement_count = 0;
        const statement *body = draw_block(0, 5, false);
        text_addf(&source, "function(s, b, h, i, j) ");
        write_block(body, &source);
        text_addf(&source, "end");
        fg_error error;
        expr e;
        bool parsed = expr_parse(&e, pool, EXPR_SCORE, source.data, source.length, &error) == FG_OK;
        for (int point = 0; point < POINTS && parsed; point++) {
            int known[SLOTS + 2] = { draw(12) - 6, draw(12) - 6 }, result;
            ck_assert_msg(run(body, known, &result), "%s", source.data);
        }
        if (!parsed && strstr(error.text, "without a return")) {
            open++;
            ck_assert_int_eq(error.position, (int)source.length - 3);
        }
        text_free(&source);
        expr_pool_free(pool);
    }
    ck_assert_int_gt(open, DRAWN / 4);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { branches_choose_as_running_does, open_ends_are_found, NULL };
    return support_run("expr_function", tests);
}
