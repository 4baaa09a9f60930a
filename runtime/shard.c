/* Where a shard stands in the whole run. */
#include "runtime/operand.h"

#include <stddef.h>

/* A size, and the index that runs over it. */
typedef struct axis {
    const char *origin, *whole, *size; /* origin: NULL where another's is the same */
    size_t given_origin, given_whole;  /* in fg_args */
    size_t place_origin, place_whole;  /* in run_shard */
    size_t place_size;                 /* in recipe_facts */
    int64_t most;
} axis;

/* clang-format off */
#define ORIGIN(index) \
    .origin = "origin_" #index, .given_origin = offsetof(fg_args, origin_##index), \
    .place_origin = offsetof(run_shard, origin_##index)
#define WHOLE(name) \
    .whole = "whole_" #name, .size = #name, .given_whole = offsetof(fg_args, whole_##name), \
    .place_whole = offsetof(run_shard, whole_##name), .place_size = offsetof(recipe_facts, name)
/* clang-format on */

enum { many = 1 << 20 };

static const axis axes[] = {
    { ORIGIN(b), WHOLE(b), .most = many },
    { ORIGIN(h), WHOLE(hq), .most = many },
    { WHOLE(hkv), .most = many },
    { ORIGIN(i), WHOLE(sq), .most = PROBLEM_MAX_LENGTH },
    { ORIGIN(j), WHOLE(sk), .most = PROBLEM_MAX_LENGTH },
};

#undef ORIGIN
#undef WHOLE

static int64_t int_in(const void *from, size_t offset)
{
    return *(const int64_t *)(const void *)((const char *)from + offset);
}

static int64_t *place_in(run_shard *out, size_t offset)
{
    return (int64_t *)(void *)((char *)out + offset);
}

static fg_status refuse_given(const axis *a, const fg_args *args, fg_error *error)
{
    const char *name = NULL;
    if (a->origin && int_in(args, a->given_origin) != FG_DEFAULT_INT) name = a->origin;
    if (!name && int_in(args, a->given_whole) != FG_DEFAULT_INT) name = a->whole;
    if (!name) return FG_OK;
    return fail(error, FG_REQUEST, "%s was given, but the problem has no shard", name);
}

static fg_status take_axis(run_shard *out, const axis *a, const recipe_facts *facts,
                           const fg_args *args, fg_error *error)
{
    int64_t size = int_in(facts, a->place_size), whole = int_in(args, a->given_whole), origin = 0;
    if (a->origin && int_in(args, a->given_origin) != FG_DEFAULT_INT)
        origin = int_in(args, a->given_origin);
    if (origin < 0 || origin > a->most)
        return fail(error, FG_REQUEST, "%s is %lld: it must be 0 to %lld", a->origin,
                    (long long)origin, (long long)a->most);
    if (whole == FG_DEFAULT_INT) whole = size;
    if (whole < origin + size || whole > a->most)
        return fail(error, FG_REQUEST,
                    "%s is %lld: it must be %lld, where this run's %s ends, to %lld", a->whole,
                    (long long)whole, (long long)(origin + size), a->size, (long long)a->most);
    if (a->origin) *place_in(out, a->place_origin) = origin;
    *place_in(out, a->place_whole) = whole;
    return FG_OK;
}

fg_status shard_take(run_shard *out, const operand_list *list, const recipe_facts *facts,
                     const fg_args *args, fg_error *error)
{
    fg_status status = FG_OK;
    *out = (run_shard){ 0 };
    for (size_t k = 0; k < sizeof axes / sizeof *axes && status == FG_OK; k++)
        status = list->shard ? take_axis(out, &axes[k], facts, args, error)
                             : refuse_given(&axes[k], args, error);
    if (status != FG_OK || !list->shard || out->whole_hq % out->whole_hkv == 0) return status;
    return fail(error, FG_REQUEST, "whole_hq is %lld: it must be a multiple of whole_hkv = %lld",
                (long long)out->whole_hq, (long long)out->whole_hkv);
}
