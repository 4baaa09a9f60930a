/* Simulated machines to search on: spaces like a schedule's, and what their configs cost. */
#ifndef TESTS_SEARCH_MACHINE_H
#define TESTS_SEARCH_MACHINE_H

#include "tests/search_sim.h"

static fg_error error;

/* ---- Machines ---- */

/* What a config costs here: the prior's reckoning has these numbers too, but not this machine's. */
typedef struct nature {
    double load, latency, softmax, staging, spill, cache, thread, unroll[3], order[2];
    double rough; /* standard deviation of what no rule explains */
    double twist; /* of what pairs of axes do together */
    uint64_t seed;
} nature;

static const nature believed = { .load = 1,
                                 .latency = 4,
                                 .softmax = 10,
                                 .staging = 0.85,
                                 .spill = 0.1,
                                 .cache = 0.6,
                                 .thread = 1,
                                 .unroll = { 1, 1, 1 },
                                 .order = { 1, 1 } };

/* Somewhere between what is believed and something else. */
static inline nature drawn(uint64_t seed)
{
    uint64_t r = seed * 977 + 13;
    nature n = believed;
    double *const changed[] = { &n.load,  &n.latency,   &n.softmax,   &n.staging, &n.spill,
                                &n.cache, &n.unroll[1], &n.unroll[2], &n.order[1] };
    for (size_t k = 0; k < sizeof changed / sizeof *changed; k++)
        *changed[k] *= exp((k < 6 ? 0.4 : 0.04) * sim_normal(&r));
    n.rough = 0.02;
    n.twist = 0.1;
    n.seed = seed;
    return n;
}

enum { AXES = 7 };
typedef struct point {
    int value[AXES], place[AXES];
} point;

enum { VECTORS, MK, MV, BLOCKS, KEYS, ORDER, UNROLL };
static const char *const axis_name[AXES] = { "vectors", "mk",    "mv",    "blocks",
                                             "keys",    "order", "unroll" };
static const int axis_value[AXES][6] = { { 1, 2, 3, 4, 6 },   { 4, 6, 8, 12, 16 },
                                         { 2, 4, 8, 12, 16 }, { 1, 2, 3, 4, 6 },
                                         { 24, 48, 96, 192 }, { 0, 1 },
                                         { 1, 2, 4 } };
static const int axis_values[AXES] = { 5, 5, 5, 5, 4, 2, 3 };

/* A smooth bend along each pair of axes, and a grain. */
static double unexplained(const nature *n, const point *p)
{
    double sum = 0;
    uint64_t grain = n->seed;
    for (int a = 0; a < AXES; a++) {
        grain = grain * 31 + (uint64_t)p->place[a] + 1;
        for (int b = 0; b < a; b++) {
            uint64_t r = n->seed * 64 + (uint64_t)(a * AXES + b);
            double x = (double)p->place[a] / axis_values[a],
                   y = (double)p->place[b] / axis_values[b];
            double size = sim_normal(&r), u = sim_uniform(&r), v = sim_uniform(&r);
            sum += n->twist * size * sin(3 * x + 6 * u) * sin(3 * y + 6 * v);
        }
    }
    return sum + n->rough * sim_normal(&grain);
}

static double product(const nature *n, double m, double vectors)
{
    double tile = m * vectors;
    return fmax(fmax(0.5, n->load * (m + vectors) / (2 * tile)), n->latency / tile) *
           (1 + 1.5 / tile);
}

static double cost(const nature *n, const point *p)
{
    double d = 64, v = p->value[VECTORS], keys = p->value[KEYS];
    double columns = ceil(d / p->value[MV]) * p->value[MV];
    double rows = 256, block = v * 16;
    double x = d * product(n, p->value[MK], v) + columns * product(n, p->value[MV], v);
    x += n->softmax + (columns + 16) * 1.5 / keys;
    x += n->staging * (d + columns) / (v * p->value[BLOCKS]);
    x += fmax(0, keys * v * 64 / 49152 - n->cache) * n->spill * columns;
    double tasks = 4 * ceil(rows / (block * p->value[BLOCKS]));
    x *= ceil(rows / block) * block / rows * ceil(tasks / 2) * 2 / tasks;
    return x * n->unroll[p->place[UNROLL]] * n->order[p->place[ORDER]] * exp(unexplained(n, p));
}

static bool legal(const point *p)
{
    int most = 31 / p->value[VECTORS] - 1, least = 8 / p->value[VECTORS];
    int block = p->value[VECTORS] * 16;
    return p->value[MK] <= most && p->value[MV] <= most && p->value[MK] >= least &&
           p->value[MV] >= least && block * (p->value[BLOCKS] - 1) < 256;
}

static bool advance(point *p, int varied)
{
    for (int a = varied - 1; a >= 0; a--) {
        if (++p->place[a] == axis_values[a]) p->place[a] = 0;
        p->value[a] = axis_value[a][p->place[a]];
        if (p->place[a] > 0) return true;
    }
    return false;
}

typedef struct ranked {
    point point;
    double cost;
    int order;
} ranked;

static int by_cost(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->cost != y->cost) return x->cost < y->cost ? -1 : 1;
    return x->order - y->order;
}

static void add(sim *s, const nature *n, const ranked *r, double scale)
{
    char config[200] = "";
    for (int a = 0; a < AXES; a++)
        sprintf(config + strlen(config), "%s%s=%d", a ? " " : "", axis_name[a], r->point.value[a]);
    sim_add(s, config, r->cost, scale * cost(n, &r->point));
}

/* With the first `varied` axes; `scale` seconds a unit of cost. */
static inline void machine(sim *s, const nature *n, int varied, double scale)
{
    static ranked list[5 * 5 * 5 * 5 * 4 * 2 * 3];
    int count = 0;
    point p;
    for (int a = 0; a < AXES; a++) p.place[a] = 0, p.value[a] = axis_value[a][0];
    do
        if (legal(&p)) list[count] = (ranked){ p, cost(&believed, &p), count }, count++;
    while (advance(&p, varied));
    qsort(list, (size_t)count, sizeof *list, by_cost);
    sim_new(s, count);
    for (int k = 0; k < count; k++) add(s, n, &list[k], scale);
}

typedef struct score {
    int machines, near, decided;
    double worst;
} score;

/* Noise as a busy machine has it. */
static inline void add_noise(sim *s, double noise, uint64_t seed)
{
    sim_reset(s, seed);
    s->noise = noise;
    s->spikes = 0.03;
    s->slow = 0.5;
    s->drift = 0.03;
}

static inline search_result must_find(sim *s, double seconds)
{
    search_result r;
    fg_status status = sim_search(&r, s, seconds, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    ck_assert_int_eq(s->wrong_calls, 0);
    ck_assert_int_ge(r.winner, 0);
    ck_assert_int_eq(s->fault[r.winner], SIM_right);
    ck_assert(s->loaded[r.winner]);
    return r;
}

static inline void count(score *c, const sim *s, const search_result *r)
{
    double behind = s->seconds[r->winner] / sim_least(s) - 1;
    c->machines++;
    c->near += behind <= 0.02;
    c->decided += r->decided;
    c->worst = fmax(c->worst, behind);
}

#endif
