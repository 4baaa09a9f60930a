/* Masks that read tensors, as people write them. */
#include "tests/support_case.h"

/* Positions see their own document: ids by position, of keys alone or of both. */
void case_add_documents(drawn_case *c)
{
    static const char *const wholes[] = { "i32", "i32", "u8" };
    static const struct {
        const char *keeps;
        struct {
            const char *name, *dims;
        } tensor[2];
    } forms[] = {
        { "docs[b][i + sk - sq] == docs[b][j]", { { "docs", "b,sk" } } },
        { "docs[i] == docs[j]", { { "docs", "sk" } } },
        { "docs_q[b][i] == docs_k[b][j]", { { "docs_q", "b,sq" }, { "docs_k", "b,sk" } } },
        { "docs_q[i] <= docs_k[j]", { { "docs_q", "sq" }, { "docs_k", "sk" } } },
    };
    static const char *const also[] = { "", "", " and j <= i + sk - sq", " or j < 4" };
    int64_t form = rng_below(&c->r, (int64_t)(sizeof forms / sizeof *forms));
    const char *type = rng_pick(&c->r, wholes);
    text_addf(&c->line, " maskfn={%s%s}", forms[form].keeps, rng_pick(&c->r, also));
    for (int k = 0; k < 2 && forms[form].tensor[k].name; k++)
        text_addf(&c->line, " tensor=%s:%s[%s]", forms[form].tensor[k].name, type,
                  forms[form].tensor[k].dims);
}

/* Tiles of a map are kept or not, in all heads or each in its own. */
void case_add_tiles(drawn_case *c)
{
    static const int sides[] = { 8, 16, 16, 32, 64, 100 };
    int rows = rng_pick(&c->r, sides), keys = rng_pick(&c->r, sides);
    long long down = c->sq / rows + 1, across = c->sk / keys + 1;
    bool heads = rng_chance(&c->r, 0.4);
    text_addf(&c->line, " maskfn={tiles%s[i // %d][j // %d] ~= 0} tensor=tiles:u8[%s%lld,%lld]",
              heads ? "[h]" : "", rows, keys, heads ? "hq," : "", down, across);
}
