/* What a run says of dropout: a chance, a seed and an offset, taken or refused in one sentence. */
#include "tests/probe_run.h"

#include <math.h>

static int64_t seen(int argument)
{
    int64_t value;
    memcpy(&value, (char *)run.args.o->data + 8 * argument, 8);
    return value;
}

#define DROPPED "dtype=f64 b=1 hq=1 sq=4 d=4 dropout=0.1"

START_TEST(chances_to_drop)
{
    static const struct {
        double chance;
        int64_t below; /* of 65536 */
    } cases[] = {
        { NAN, 6554 },
        { 0, 0 },
        { -0.0, 0 },
        { 1, 65536 },
        { 0.5, 32768 },
        { 1.5 / 65536, 2 },            /* halves round up */
        { 0x1.7fffffffp0 / 65536, 2 }, /* as an f32 it is a half */
        { 0.4999 / 65536, 0 },
    };
    begin(DROPPED, 0);
    run.args.seeded = 1;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        run.args.dropout = cases[k].chance;
        runs();
        ck_assert_msg(seen(1) == cases[k].below, "%g: %d", cases[k].chance, (int)seen(1));
    }
    static const double wrong[] = { -0x1p-1074, 1 + 0x1p-52, INFINITY, -INFINITY, 2 };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        run.args.dropout = wrong[k];
        refuses("dropout must be a probability from 0 to 1");
    }
    end();
}
END_TEST

START_TEST(seeds_by_value)
{
    begin(DROPPED, 0);
    refuses("the seed is missing: dropout needs seeded = 1, or rng");
    run.args.dropout = 0; /* whatever the chance */
    refuses("the seed is missing: dropout needs seeded = 1, or rng");
    run.args.seeded = 1;
    run.args.seed = UINT64_MAX;
    run.args.offset = UINT64_C(1) << 63;
    runs();
    ck_assert_uint_eq((uint64_t)seen(2), UINT64_MAX);
    ck_assert_uint_eq((uint64_t)seen(3), UINT64_C(1) << 63);
    run.args.rng = tensor("rng");
    refuses("the seed was given twice: by value, and by rng");
    end();
    begin("dtype=f64 b=1 hq=1 sq=4 d=4", 0);
    run.args.seeded = 1;
    refuses("a seed was given, but the problem has no dropout");
    run.args.seeded = 0;
    run.args.dropout = 0;
    refuses("dropout was given, but the problem has none");
    run.args.dropout = NAN;
    run.args.rng = run.args.q;
    refuses("rng was given, but the problem has none");
    end();
}
END_TEST

START_TEST(seeds_by_tensor)
{
    begin(DROPPED, 0);
    DLTensor *rng = tensor("rng"), good = *rng;
    run.args.rng = rng;
    runs();
    rng->dtype.code = 1; /* words have no sign */
    runs();
    rng->dtype.code = 2;
    refuses("rng has type code 2, 32 bits, 1 lanes: it must be i32 (0, 32, 1)");
    *rng = good;
    rng->dtype.bits = 64;
    refuses("rng has type code 0, 64 bits, 1 lanes: it must be i32 (0, 32, 1)");
    *rng = good;
    resize("rng", 0, 3);
    refuses("rng has shape [3]: it must be [4]");
    resize("rng", 0, 4);
    rng->strides = (int64_t[]){ -1 };
    refuses("rng has stride -1 in its last dimension: it must be compact (1)");
    *rng = good;
    rng->data = NULL;
    refuses("rng has no data");
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        chances_to_drop,
        seeds_by_value,
        seeds_by_tensor,
        NULL,
    };
    return support_run("seed", tests);
}
