#include "inputs.h"

/* What no run may have the library refuses. */
static int64_t size_of(const natural *given)
{
    if (!given->given) return -1;
    return given->value > INT64_MAX ? INT64_MAX : (int64_t)given->value;
}

fg_dims inputs_dims(const input_choices *c)
{
    fg_dims dims = FG_DIMS_INIT;
    dims.b = size_of(&c->b);
    dims.sq = size_of(&c->sq);
    dims.sk = size_of(&c->sk);
    return dims;
}
