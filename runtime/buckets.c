#include "runtime/buckets.h"

#include "runtime/context.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t size_of_b(int bucket)
{
    return INT64_C(1) << bucket;
}

static int64_t size_of_length(int bucket)
{
    return bucket == 0 ? 1 : INT64_C(8) << bucket;
}

buckets buckets_up_to(const problem *p, const maker_sizes *most)
{
    const bool b = p->b == problem_dynamic, sq = p->sq == problem_dynamic,
               sk = p->sk == problem_dynamic;
    return (buckets){
        .b = b ? buckets_of_b(most->b) + 1 : 1,
        .sq = sq ? buckets_of_length(most->sq) + 1 : 1,
        .sk = sk ? buckets_of_length(most->sk) + 1 : 1,
        .open_b = b,
        .open_sq = sq,
        .open_sk = sk,
    };
}

int buckets_count(const buckets *all)
{
    return all->b * all->sq * all->sk;
}

maker_sizes buckets_sizes(const buckets *all, int index)
{
    return (maker_sizes){
        .b = all->open_b ? size_of_b(index / (all->sk * all->sq)) : 0,
        .sq = all->open_sq ? size_of_length(index / all->sk % all->sq) : 0,
        .sk = all->open_sk ? size_of_length(index % all->sk) : 0,
    };
}

maker_sizes buckets_round(const problem *p, const maker_sizes *sizes)
{
    const buckets all = buckets_up_to(p, sizes);
    return buckets_sizes(&all, buckets_count(&all) - 1);
}

int buckets_distance(const buckets *all, int from, int to)
{
    int b = from / (all->sk * all->sq) - to / (all->sk * all->sq);
    int sq = from / all->sk % all->sq - to / all->sk % all->sq;
    int sk = from % all->sk - to % all->sk;
    return abs(b) + abs(sq) + abs(sk);
}

void buckets_grid_fill(buckets_grid *out, const buckets *all)
{
    for (int k = 0; k < all->b; k++) out->b[k] = all->open_b ? size_of_b(k) : 0;
    for (int k = 0; k < all->sq; k++) out->sq[k] = all->open_sq ? size_of_length(k) : 0;
    for (int k = 0; k < all->sk; k++) out->sk[k] = all->open_sk ? size_of_length(k) : 0;
    out->grid = (maker_grid){ all->b, all->sq, all->sk, out->b, out->sq, out->sk };
}

void buckets_text(char out[buckets_text_size], const maker_sizes *sizes)
{
    const struct {
        const char *name;
        int64_t size;
    } all[] = { { "b", sizes->b }, { "sq", sizes->sq }, { "sk", sizes->sk } };
    size_t length = 0;
    out[0] = 0;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (all[k].size)
            length += (size_t)snprintf(out + length, buckets_text_size - length, "%s%s=%lld",
                                       length ? " " : "", all[k].name, (long long)all[k].size);
}

/* ---- What a caller gives ---- */

static fg_status take(int64_t *out, const char *name, int64_t given, int64_t least, int64_t most,
                      int64_t otherwise, fg_error *error)
{
    *out = given == -1 ? otherwise : given;
    if (*out == -1)
        return fail(error, FG_REQUEST,
                    "%s is given at launch (*): a search needs a size to measure (fg_dims.%s)",
                    name, name);
    if (given == -1 || (*out >= least && *out <= most)) return FG_OK;
    return fail(error, FG_REQUEST, "fg_dims.%s is %lld: it must be %lld to %lld", name,
                (long long)*out, (long long)least, (long long)most);
}

fg_status buckets_take(maker_sizes *out, const problem *p, const fg_dims *dims, int64_t least,
                       const maker_sizes *otherwise, fg_error *error)
{
    fg_dims d = FG_DIMS_INIT;
    *out = (maker_sizes){ 0 };
    fg_status status = options_copy(&d, sizeof d, sizeof d, dims, "fg_dims", error);
    if (status == FG_OK && p->b == problem_dynamic)
        status = take(&out->b, "b", d.b, least, 1 << 20, otherwise->b, error);
    if (status == FG_OK && p->sq == problem_dynamic)
        status = take(&out->sq, "sq", d.sq, least, PROBLEM_MAX_LENGTH, otherwise->sq, error);
    if (status == FG_OK && p->sk == problem_dynamic)
        status = take(&out->sk, "sk", d.sk, least, PROBLEM_MAX_LENGTH, otherwise->sk, error);
    return status;
}
