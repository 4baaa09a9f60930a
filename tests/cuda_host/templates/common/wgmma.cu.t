% -- In place of the shipped wgmma.cu.t: products of warpgroups, and barriers in shared memory. A product is done when its
% -- warp waits for it, no sooner: until then there is nothing but NaN where it goes. What it reads must be there when it
% -- begins and stay as it is, or the emulation ends. Comes in: kind, keys, columns, steps, q_panel, k_panel.
enum {
    EMULATED_SUMS = 8, EMULATED_PHASES = 64,
    EMULATED_POISON = 0x7f80dead, /* a signalling NaN: whatever is done with it changes it */
};

/* S or O of a warp, while products go there. */
struct emulated_sums {
    float *at[32], value[32][128];
    int count, under_way; /* floats of a lane; products */
};

/* What a warp reads of the two sides of a product, as bits. */
struct emulated_sides {
    unsigned short left[16][16], right[256][16];
};

struct emulated_product {
    emulated_product *next;
    emulated_sums *sums;
    emulated_sides sides;
    const u32 *left[32]; /* registers, or NULL */
    u64 a, b;
    int columns, group;
    bool add;
};

struct emulated_background {
    emulated_sums sums[EMULATED_SUMS];
    emulated_product *first, **last;
    int group, begun; /* groups; products, of all groups */
    bool may_begin;
};

/* The products that a warpgroup's warps begin, which are the same. */
struct emulated_common {
    struct {
        u64 a, b;
        bool add;
    } *product;
    int count, room;
};

struct emulated_phases {
    u32 at, count, arrived, coming, phase; /* coming: with copies that are not there */
    u32 by[EMULATED_MOST / 32];            /* who has come in this phase, a bit a thread */
    unsigned thread, turn;                 /* who made it, and how many barriers of the block came before */
};

struct emulated_group {
    int threads, come;
    unsigned turn;
    u32 by[EMULATED_MOST / 32];
};

static struct emulated_hopper {
    emulated_background *warp[EMULATED_MOST / 32];
    emulated_common common[EMULATED_MOST / 128];
    emulated_phases phases[EMULATED_PHASES];
    int barriers;
    emulated_group group[16];
} *emulated_more; /* of this block, from the first use on */

static void emulated_more_ends(void)
{
    for (int warp = 0; warp < emulated->threads / 32; warp++) {
        const emulated_background *w = emulated_more->warp[warp];
        if ((w ? w->begun : 0) != emulated_more->common[warp / 4].count) emulated_fail("a product that not all warps of a warpgroup began");
        if (w && w->first) emulated_fail("products are under way at the end");
        free(emulated_more->warp[warp]);
    }
    for (int k = 0; k < EMULATED_MOST / 128; k++) free(emulated_more->common[k].product);
    for (int k = 0; k < 16; k++)
        if (emulated_more->group[k].come > 0) emulated_fail("threads are at a barrier at the end");
    free(emulated_more);
    emulated_more = NULL;
    emulated_at_end = NULL;
}

static emulated_hopper *emulated_further(void)
{
    if (!emulated_more) emulated_more = (emulated_hopper *)calloc(1, sizeof *emulated_more);
    emulated_at_end = emulated_more_ends;
    return emulated_more;
}

/* ---- Products ---- */

static emulated_background *emulated_products(void)
{
    emulated_background **w = &emulated_further()->warp[threadIdx.x / 32];
    if (!*w) {
        *w = (emulated_background *)calloc(1, sizeof **w);
        (*w)->last = &(*w)->first;
    }
    return *w;
}

DEVICE u64 matrix_at(u32 at, u32 panel)
{
    if (at % 1024 != 0 || panel % 1024 != 0) emulated_fail("a matrix that does not begin on a multiple of 1024");
    return (u64)(at >> 4) | (u64)(panel >> 4) << 16 | (u64)(1024 >> 4) << 32 | (u64)1 << 62;
}

/* A field of 14 bits, in units of 16 bytes. */
static u32 emulated_field(u64 matrix, int bit) { return (u32)(matrix >> bit & 0x3fff) << 4; }

static u32 emulated_start(u64 matrix, u32 line)
{
    const u32 at = emulated_field(matrix, 0);
    if ((matrix & ~0x3fff3fff3fffull) != 1ull << 62) emulated_fail("no such matrix");
    if (at & 0x380) emulated_fail("a matrix that does not begin on a multiple of 1024");
    if (at % 128 + line > 128) emulated_fail("a matrix that goes beyond a line");
    return at;
}

/* Two bytes, where lines of 128 are permuted; written before `shown`, or shown by who wrote them. */
static unsigned short emulated_element(u32 at, u32 shown)
{
    unsigned short x;
    at ^= (at >> 7 & 7) << 4;
    memcpy(&x, emulated_at(at, 2, 2), 2);
    const emulated_written *w = &emulated->written[(at - 1024) / 16];
    if (w->time > shown && w->time > emulated->thread[w->thread].shown) emulated_fail("a product reads what was not shown to it");
    return x;
}

/* When all lanes had shown what there was. */
static u32 emulated_shown(void)
{
    u32 shown = emulated->now->shown;
    for (int lane = 0; lane < 32; lane++) {
        const u32 other = emulated->thread[threadIdx.x / 32 * 32 + lane].shown;
        if (other < shown) shown = other;
    }
    return shown;
}

static void emulated_read_left(emulated_sides *s, const emulated_product *p, u32 shown)
{
    const u32 at = p->left[0] ? 0 : emulated_start(p->a, 32), row = threadIdx.x / 32 % 4 * 16;
    for (u32 r = 0; r < 16; r++)
        for (u32 k = 0; k < 16; k++) {
            if (p->left[0])
                s->left[r][k] = (unsigned short)(p->left[r % 8 * 4 + k / 2 % 4][r / 8 + k / 8 * 2] >> 16 * (k % 2));
            else
                s->left[r][k] = emulated_element(at + (row + r) / 8 * emulated_field(p->a, 32) + r % 8 * 128 + 2 * k, shown);
        }
}

/* Lines are columns of K^T, or, with P on the left, V's rows. */
static void emulated_read_right(emulated_sides *s, const emulated_product *p, u32 shown)
{
    const u32 stride = emulated_field(p->b, 32), panel = emulated_field(p->b, 16);
    const u32 at = emulated_start(p->b, p->left[0] ? 2 * (p->columns < 64 ? (u32)p->columns : 64) : 32);
    for (u32 n = 0; n < (u32)p->columns; n++)
        for (u32 k = 0; k < 16; k++)
            s->right[n][k] = emulated_element(p->left[0] ? at + n / 64 * panel + k / 8 * stride + k % 8 * 128 + n % 64 * 2 : at + n / 8 * stride + n % 8 * 128 + 2 * k, shown);
}

struct emulated_request {
    float *sum;
    const u32 *left;
    u64 a, b;
    int columns;
    bool add;
};

/* What is there now goes on in the background. */
static void emulated_hide(emulated_sums *s, emulated_request **l)
{
    const u32 poison = EMULATED_POISON;
    s->count = l[0]->columns / 2;
    for (int lane = 0; lane < 32; lane++) {
        s->at[lane] = l[lane]->sum;
        memcpy(s->value[lane], s->at[lane], (size_t)s->count * 4);
        for (int x = 0; x < s->count; x++) memcpy(&s->at[lane][x], &poison, 4);
    }
}

static emulated_sums *emulated_sums_of(emulated_background *w, emulated_request **l)
{
    emulated_sums *unused = NULL;
    for (int k = 0; k < EMULATED_SUMS; k++) {
        emulated_sums *s = &w->sums[k];
        if (s->under_way == 0) unused = s;
        else if (s->at[0] == l[0]->sum && s->count == l[0]->columns / 2) return s;
    }
    if (!unused) emulated_fail("too many sums");
    emulated_hide(unused, l);
    return unused;
}

static void emulated_count(emulated_background *w, const emulated_product *p)
{
    emulated_common *c = &emulated_more->common[threadIdx.x / 128];
    const int nth = w->begun++;
    if (nth == c->count) {
        if (c->count == c->room) c->product = (decltype(c->product))realloc(c->product, (size_t)(c->room = 2 * c->room + 64) * sizeof *c->product);
        c->product[c->count++] = { p->a, p->b, p->add };
    }
    if (c->product[nth].a != p->a || c->product[nth].b != p->b || c->product[nth].add != p->add) emulated_fail("a warpgroup's warps do not multiply the same");
}

static void emulated_multiply(emulated_request **l)
{
    emulated_background *w = emulated_products();
    emulated_product *p = (emulated_product *)calloc(1, sizeof *p);
    if (!w->may_begin) emulated_fail("a product before begin_products");
    p->a = l[0]->a, p->b = l[0]->b, p->add = l[0]->add, p->columns = l[0]->columns, p->group = w->group;
    for (int lane = 0; lane < 32; lane++) {
        const emulated_request *x = l[lane];
        if (x->a != p->a || x->b != p->b || x->add != p->add) emulated_fail("a warp's lanes do not multiply the same");
        p->left[lane] = x->left;
    }
    const u32 shown = emulated_shown();
    emulated_read_left(&p->sides, p, shown);
    emulated_read_right(&p->sides, p, shown);
    emulated_count(w, p);
    p->sums = emulated_sums_of(w, l);
    p->sums->under_way++;
    *w->last = p;
    w->last = &p->next;
}

DEVICE void multiply_s(float (&s)[${keys // 8}][4], u64 q, u64 k)
{
    for (int n = 0; n < ${steps}; n++) {
        emulated_request x = { s[0], NULL, q + (n / 4 * ${q_panel} + n % 4 * 32) / 16, k + (n / 4 * ${k_panel} + n % 4 * 32) / 16, ${keys}, n > 0 };
        emulated_together(&x, emulated_multiply);
    }
}

DEVICE void multiply_o(float (&o)[${columns // 8}][4], const u32 (&p)[${keys // 16}][4], u64 v)
{
    for (int n = 0; n < ${keys // 16}; n++) {
        emulated_request x = { o[0], p[n], 0, v + n * 2048 / 16, ${columns}, true };
        emulated_together(&x, emulated_multiply);
    }
}

/* As it was read when it began: a step of 16 along the sum. */
static void emulated_add(const emulated_product *p)
{
    static double left[16][16], right[256][16];
    for (int r = 0; r < 16; r++)
        for (int k = 0; k < 16; k++) left[r][k] = emulated_${kind}(p->sides.left[r][k]);
    for (int n = 0; n < p->columns; n++)
        for (int k = 0; k < 16; k++) right[n][k] = emulated_${kind}(p->sides.right[n][k]);
    for (int r = 0; r < 16; r++)
        for (int n = 0; n < p->columns; n++) {
            float *sum = &p->sums->value[r % 8 * 4 + n % 8 / 2][n / 8 * 4 + r / 8 * 2 + n % 2];
            double all = 0;
            for (int k = 0; k < 16; k++) all += left[r][k] * right[n][k];
            *sum = (float)(all + (p->add ? *sum : 0));
        }
}

static void emulated_appear(const emulated_sums *s)
{
    for (int lane = 0; lane < 32; lane++)
        for (int x = 0; x < s->count; x++) {
            u32 bits;
            memcpy(&bits, &s->at[lane][x], 4);
            if (bits != EMULATED_POISON) emulated_fail("somebody wrote where a product went");
            s->at[lane][x] = s->value[lane][x];
        }
}

static void emulated_finish(emulated_product *p)
{
    static emulated_sides now;
    memset(&now, 0, sizeof now);
    emulated_read_left(&now, p, (u32)-1);
    emulated_read_right(&now, p, (u32)-1);
    if (memcmp(now.left, p->sides.left, sizeof now.left)) emulated_fail(p->left[0] ? "registers of P changed while a product read them" : "Q changed while a product read it");
    if (memcmp(now.right, p->sides.right, sizeof now.right)) emulated_fail("shared memory changed while a product read it");
    emulated_add(p);
    if (--p->sums->under_way == 0) emulated_appear(p->sums);
}

static void emulated_wait(int **allowed)
{
    emulated_background *w = emulated_products();
    while (w->first && w->first->group < w->group - **allowed) {
        emulated_product *p = w->first;
        emulated_finish(p);
        w->first = p->next;
        if (!w->first) w->last = &w->first;
        free(p);
    }
}

static void emulated_may_begin(int **) { emulated_products()->may_begin = true; }

static void emulated_commit(int **)
{
    emulated_background *w = emulated_products();
    w->group++;
    w->may_begin = false;
}

DEVICE void begin_products(void) { emulated_together((int *)NULL, emulated_may_begin); }
DEVICE void commit_products(void) { emulated_together((int *)NULL, emulated_commit); }

template <int N> DEVICE void wait_products(void)
{
    int allowed = N;
    emulated_together(&allowed, emulated_wait);
}

template <int N> DEVICE void here(float (&)[N][4]) {}
DEVICE void show_products(void) { emulated->now->shown = emulated->time; }

/* ---- Barriers ---- */

enum { EMULATED_MARK = 0x7fabcdef };

DEVICE void phases_init(u32 at, u32 count)
{
    const u32 mark[2] = { at, EMULATED_MARK };
    emulated_hopper *m = emulated_further();
    if (count == 0 || count > EMULATED_MOST) emulated_fail("a barrier of no such count");
    for (int k = 0; k < m->barriers; k++)
        if (m->phases[k].at == at) emulated_fail("two barriers in one place");
    if (m->barriers == EMULATED_PHASES) emulated_fail("too many barriers");
    memcpy(emulated_write(emulated->now, at, 8, 8), mark, 8);
    emulated_phases *x = &m->phases[m->barriers++];
    x->at = at, x->count = count, x->thread = threadIdx.x, x->turn = emulated->turn;
}

static emulated_phases *emulated_phases_at(u32 at)
{
    const u32 mark[2] = { at, EMULATED_MARK };
    emulated_hopper *m = emulated_further();
    int k = 0;
    while (k < m->barriers && m->phases[k].at != at) k++;
    if (k == m->barriers) emulated_fail("there is no such barrier");
    emulated_phases *x = &m->phases[k];
    if (memcmp(emulated_at(at, 8, 8), mark, 8)) emulated_fail("a barrier was overwritten");
    if (x->turn == emulated->turn && x->thread != threadIdx.x) emulated_fail("a barrier of which this thread cannot know");
    return x;
}

static void emulated_next_phase(emulated_phases *x)
{
    x->arrived = x->coming = 0, x->phase++;
    memset(x->by, 0, sizeof x->by);
}

static emulated_phases *emulated_arrive(u32 at)
{
    emulated_phases *x = emulated_phases_at(at);
    u32 *by = &x->by[threadIdx.x / 32], bit = 1u << threadIdx.x % 32;
    if (*by & bit) emulated_fail("a thread arrives twice in a phase");
    if (x->arrived + x->coming == x->count) emulated_fail("more threads arrive than a phase has");
    *by |= bit;
    return x;
}

DEVICE void phase_arrive(u32 at)
{
    emulated_phases *x = emulated_arrive(at);
    if (++x->arrived == x->count) emulated_next_phase(x);
    emulated_yield(); /* who waits goes on before who has come: what that does later is too late */
}

DEVICE void phase_arrive_copied(u32 at)
{
    emulated_thread *t = emulated->now;
    emulated_arrive(at)->coming++;
    if (t->arrivals == EMULATED_ARRIVALS) emulated_fail("too many arrivals");
    t->arrival[t->arrivals++] = (emulated_arrival){ at, t->number };
}

/* What a thread has begun to copy before it said that it would arrive. */
static void emulated_arrives(emulated_thread *t, u32 at)
{
    int kept = 0;
    for (int k = 0; k < t->arrivals; k++) {
        if (t->arrival[k].at == at)
            emulated_copy_now(t, -1, t->arrival[k].number);
        else
            t->arrival[kept++] = t->arrival[k];
    }
    t->arrivals = kept;
}

/* Copies arrive when somebody waits for them, and nobody else is missing. */
DEVICE void phase_wait(u32 at, u32 odd)
{
    if (odd > 1) emulated_fail("a phase neither odd nor even");
    for (;;) {
        emulated_phases *x = emulated_phases_at(at);
        if (x->phase % 2 != odd) return;
        if (x->arrived + x->coming == x->count) {
            for (int t = 0; t < emulated->threads; t++) emulated_arrives(&emulated->thread[t], at);
            emulated_next_phase(x);
            return;
        }
        emulated_yield();
    }
}

static emulated_group *emulated_come(int number, int threads)
{
    if (number < 1 || number > 15) emulated_fail("no such barrier");
    emulated_group *g = &emulated_further()->group[number];
    u32 *by = &g->by[threadIdx.x / 32], bit = 1u << threadIdx.x % 32;
    if (g->come > 0 && g->threads != threads) emulated_fail("a barrier for as many threads, and for others");
    if (*by & bit) emulated_fail("a thread comes twice to a barrier");
    *by |= bit, g->threads = threads;
    if (++g->come == threads) {
        memset(g->by, 0, sizeof g->by);
        g->come = 0;
        g->turn++;
    }
    return g;
}

static void emulated_come_and_wait(int number, int threads)
{
    const unsigned turn = emulated_further()->group[number].turn;
    const emulated_group *g = emulated_come(number, threads);
    while (g->turn == turn) emulated_yield();
}

template <int THREADS> DEVICE void group_barrier(int number)
{
    static_assert(THREADS > 0 && THREADS % 32 == 0, "whole warps");
    emulated_come_and_wait(number, THREADS);
}

DEVICE void wait_turn(int number) { emulated_come_and_wait(number, 256); }
DEVICE void pass_turn(int number) { emulated_come(number, 256); }

template <int N> DEVICE void give_registers(void) { static_assert(N % 8 == 0 && N >= 24 && N <= 256, "a number of registers"); }
template <int N> DEVICE void take_registers(void) { static_assert(N % 8 == 0 && N >= 24 && N <= 256, "a number of registers"); }
