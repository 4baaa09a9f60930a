/* What the run of a drawn case gives beside its tensors. */
#include "tests/support_case.h"

#include <math.h>

/* The two words of a number of 64 bits go different ways. */
static uint64_t draw_word(rng *r)
{
    const uint64_t bits = rng_next(r);
    const uint64_t kinds[] = { 0, 1, bits, bits, bits >> 32, bits << 32, UINT64_MAX };
    return rng_pick(r, kinds);
}

void case_draw_values(drawn_case *c)
{
    static const double scales[] = { 0, 0.07, -0.2, 1 }, caps[] = { 0.7, 7.5, 40 };
    drawn_values *v = &c->values;
    *v = (drawn_values){ NAN, NAN, NAN, FG_DEFAULT_INT, FG_DEFAULT_INT, 0, 0 };
    v->seed = draw_word(&c->r);
    v->offset = draw_word(&c->r);
    if (!case_has(c, CASE_given)) return;
    v->scale = rng_pick(&c->r, scales);
    if (case_has(c, CASE_softcap)) v->softcap = rng_pick(&c->r, caps);
    if (case_has(c, CASE_dropout)) v->dropout = rng_unit(&c->r);
    if (!case_has(c, CASE_window)) return;
    v->window_left = case_draw_side(c);
    v->window_right = case_draw_side(c);
}
