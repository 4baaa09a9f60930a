% -- In place of the shipped ptx.cu.t: what a GPU's instructions do, one lane after the other. Each thread of a block is a
% -- fiber; what a warp does together waits until all its lanes have come. Copies in the background arrive as late as they
% -- may, and until then there is nothing but NaN where they go.
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define DEVICE static inline
#define __global__
#define __launch_bounds__(...)
#define __grid_constant__

enum { EMULATED_MOST = 1024, EMULATED_STACK = 128 << 10, EMULATED_COPIES = 4096, EMULATED_ARRIVALS = 32 };

struct emulated_index { unsigned x; };

struct emulated_copy {
    u32 to;
    const void *from;
    int present, bytes, group, number;
};

/* At a barrier in shared memory, when the copies of lower numbers are there. */
struct emulated_arrival {
    u32 at;
    int number;
};

struct emulated_thread {
    emulated_index index;
    ucontext_t context;
    jmp_buf at;
    char *stack;
    emulated_copy copy[EMULATED_COPIES];
    emulated_arrival arrival[EMULATED_ARRIVALS];
    int copies, group, number, arrivals;
    u32 shown; /* when it last showed products what there is */
    bool begun, done;
};

struct emulated_warp {
    void *operand[32];
    void (*what)(void);
    int come;
    unsigned turn;
};

struct emulated_pair {
    int come;
    bool any, result;
    unsigned turn;
};

/* When 16 bytes of shared memory were last written, and by which thread. */
struct emulated_written {
    u32 time;
    int thread;
};

struct emulated_block {
    void (*body)(const void *);
    const void *args;
    unsigned char *shared;
    emulated_written *written;
    u32 bytes, time;
    int threads, come;
    unsigned turn;
    emulated_index block;
    emulated_thread *thread, *now;
    emulated_warp warp[EMULATED_MOST / 32];
    emulated_pair pair[EMULATED_MOST / 64];
    jmp_buf scheduler;
    ucontext_t back;
};

/* Contexts here have one thread. (thread_local in so many kernels is too much for leak checkers.) */
static emulated_block *emulated;
static void (*emulated_at_end)(void); /* of a block, or NULL */

#define threadIdx (emulated->now->index)
#define blockIdx (emulated->block)

static void emulated_fail(const char *what)
{
    fprintf(stderr, "emulated GPU: %s (block %u, thread %u)\n", what, blockIdx.x, threadIdx.x);
    abort();
}

static unsigned char *emulated_at(u32 at, u32 bytes, u32 align)
{
    if (at < 1024 || at + bytes > 1024 + emulated->bytes) emulated_fail("an address outside of shared memory");
    if (at % align != 0) emulated_fail("a misaligned address in shared memory");
    return emulated->shared + at - 1024;
}

static unsigned char *emulated_write(const emulated_thread *t, u32 at, u32 bytes, u32 align)
{
    unsigned char *to = emulated_at(at, bytes, align);
    emulated->time++;
    for (u32 x = (at - 1024) / 16; x <= (at - 1024 + bytes - 1) / 16; x++) emulated->written[x] = (emulated_written){ emulated->time, (int)t->index.x };
    return to;
}

__attribute__((noinline)) static void emulated_yield(void)
{
    if (!_setjmp(emulated->now->at)) _longjmp(emulated->scheduler, 1);
}

/* The last lane to come does what the warp does, on the operands of all. */
template <class T> static void emulated_together(T *operand, void (*what)(T **))
{
    emulated_warp *w = &emulated->warp[threadIdx.x / 32];
    const unsigned turn = w->turn;
    if (w->come > 0 && w->what != (void (*)(void))what) emulated_fail("a warp's lanes do not do the same");
    w->what = (void (*)(void))what;
    w->operand[threadIdx.x % 32] = operand;
    if (++w->come == 32) {
        what((T **)w->operand);
        w->come = 0;
        w->turn++;
    }
    while (w->turn == turn) emulated_yield();
}

static u32 emulated_random(void)
{
    static u32 state = 12345;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void emulated_begin(void)
{
    emulated->body(emulated->args);
    const emulated_thread *t = emulated->now;
    const int last = t->arrivals > 0 ? t->arrival[t->arrivals - 1].number : 0;
    if (t->copies > 0 && t->copy[t->copies - 1].number >= last) emulated_fail("copies are under way at the end");
    emulated->now->done = true;
    _longjmp(emulated->scheduler, 1);
}

static void emulated_switch(emulated_thread *t)
{
    emulated->now = t;
    if (_setjmp(emulated->scheduler)) return;
    if (t->begun) _longjmp(t->at, 1);
    t->begun = true;
    setcontext(&t->context);
}

static void emulated_run(void)
{
    const int warps = emulated->threads / 32;
    for (int left = emulated->threads, idle = 0; left > 0; idle++) {
        const int warp = (int)(emulated_random() % (unsigned)warps);
        for (int lane = 0; lane < 32; lane++) {
            emulated_thread *t = &emulated->thread[32 * warp + lane];
            if (t->done) continue;
            emulated_switch(t);
            if (t->done) left--, idle = 0;
        }
        if (idle > 10000000) emulated_fail("threads wait for each other");
    }
    for (int t = 0; t < emulated->threads; t++)
        if (emulated->thread[t].copies > 0) emulated_fail("nobody waited for copies");
    if (emulated_at_end) emulated_at_end();
}

static void emulate_blocks(void (*body)(const void *), const void *args, void *scratch, long long bytes, int threads,
                           long long first, long long last)
{
    emulated = (emulated_block *)calloc(1, sizeof *emulated);
    emulated->thread = (emulated_thread *)calloc((size_t)threads, sizeof *emulated->thread);
    emulated->body = body, emulated->args = args, emulated->threads = threads;
    emulated->shared = (unsigned char *)scratch, emulated->bytes = (u32)bytes;
    emulated->written = (emulated_written *)calloc((size_t)bytes / 16 + 1, sizeof *emulated->written);
    for (int t = 0; t < threads; t++) emulated->thread[t].stack = (char *)malloc(EMULATED_STACK);
    for (long long block = first; block < last; block++) {
        memset(scratch, 0xff, (size_t)bytes);
        emulated->block.x = (unsigned)block;
        for (int t = 0; t < threads; t++) {
            emulated_thread *x = &emulated->thread[t];
            x->index.x = (unsigned)t, x->copies = x->group = x->number = x->arrivals = 0, x->begun = x->done = false;
            getcontext(&x->context);
            x->context.uc_stack.ss_sp = x->stack, x->context.uc_stack.ss_size = EMULATED_STACK, x->context.uc_link = NULL;
            makecontext(&x->context, emulated_begin, 0);
        }
        emulated_run();
    }
    for (int t = 0; t < threads; t++) free(emulated->thread[t].stack);
    free(emulated->thread);
    free(emulated->written);
    free(emulated);
}

/* ---- What the kernel calls ---- */

static inline float __int_as_float(int x)
{
    float y;
    memcpy(&y, &x, 4);
    return y;
}

static inline int __float_as_int(float x)
{
    int y;
    memcpy(&y, &x, 4);
    return y;
}

static inline int __float2int_rd(float x)
{
    return x != x ? 0 : x >= 0x1p31f ? 0x7fffffff : x < -0x1p31f ? -0x7fffffff - 1 : (int)floorf(x);
}

static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __fdividef(float x, float y) { return x / y; }

DEVICE u32 shared_base(void) { return 1024; }

DEVICE void barrier(void)
{
    const unsigned turn = emulated->turn;
    if (++emulated->come == emulated->threads) {
        emulated->come = 0;
        emulated->turn++;
    }
    while (emulated->turn == turn) emulated_yield();
}

DEVICE bool pair_any(bool x, int pair)
{
    emulated_pair *p = &emulated->pair[pair];
    const unsigned turn = p->turn;
    p->any |= x;
    if (++p->come == 64) {
        p->come = 0;
        p->result = p->any;
        p->any = false;
        p->turn++;
    }
    while (p->turn == turn) emulated_yield();
    return p->result;
}

DEVICE void pair_barrier(int pair) { pair_any(false, pair); }

struct emulated_load {
    u32 (*x)[4];
    u32 at;
};

static void emulated_matrices(emulated_load **l)
{
    for (int lane = 0; lane < 32; lane++)
        for (int m = 0; m < 4; m++) memcpy(&(*l[lane]->x)[m], emulated_at(l[8 * m + lane / 4]->at, 16, 16) + lane % 4 * 4, 4);
}

static void emulated_transposed(emulated_load **l)
{
    for (int lane = 0; lane < 32; lane++)
        for (int m = 0; m < 4; m++)
            for (int half = 0; half < 2; half++)
                memcpy((char *)&(*l[lane]->x)[m] + 2 * half, emulated_at(l[8 * m + lane % 4 * 2 + half]->at, 16, 16) + lane / 4 * 2, 2);
}

DEVICE void load_matrices(u32 (&x)[4], u32 at)
{
    emulated_load load = { &x, at };
    emulated_together(&load, emulated_matrices);
}

DEVICE void load_transposed(u32 (&x)[4], u32 at)
{
    emulated_load load = { &x, at };
    emulated_together(&load, emulated_transposed);
}

DEVICE void keep_pair(u32 &pair, u32 word, u32 least)
{
    if ((word & 0xffff) < (least & 0xffff)) pair &= 0xffff0000;
    if (word >> 16 < (least & 0xffff)) pair &= 0xffff;
}

DEVICE u32 load_shared(u32 at)
{
    u32 x;
    memcpy(&x, emulated_at(at, 4, 4), 4);
    return x;
}

DEVICE void load_shared4(u32 (&x)[4], u32 at) { memcpy(x, emulated_at(at, 16, 16), 16); }
DEVICE void store_shared(u32 at, u32 x) { memcpy(emulated_write(emulated->now, at, 4, 4), &x, 4); }

DEVICE void store_shared2(u32 at, u32 x, u32 y)
{
    const u32 both[2] = { x, y };
    memcpy(emulated_write(emulated->now, at, 8, 8), both, 8);
}

DEVICE void store_shared4(u32 at, const u32 (&x)[4]) { memcpy(emulated_write(emulated->now, at, 16, 16), x, 16); }

DEVICE void store_global4(void *to, const u32 (&x)[4])
{
    if ((size_t)to % 16 != 0) emulated_fail("a misaligned store");
    memcpy(to, x, 16);
}

DEVICE u32 same_in_all(u32 x) { return x; }
DEVICE int anew(int x) { return x; }
DEVICE void advance(const u8 *&pointer, i64 bytes) { pointer += bytes; }
DEVICE void hide(float &x, bool hidden) { x = hidden ? -INFINITY : x; }
DEVICE void skip_rows(const u8 *&pointer, u32 rows, i64 pitch) { pointer += (i64)rows * pitch; }

DEVICE void load_global4(u32 (&x)[4], const void *from)
{
    if ((size_t)from % 16 != 0) emulated_fail("a misaligned load");
    memcpy(x, from, 16);
}

/* Blocks come one after the other here. */
DEVICE bool arrives_last(u32 *count, u32 all)
{
    if (*count >= all) emulated_fail("a count that nobody cleared");
    return ++*count == all;
}

template <int BYTES> DEVICE void copy_async(u32 to, const void *from, int present, bool wanted)
{
    emulated_thread *t = emulated->now;
    if (!wanted) return;
    if ((size_t)from % BYTES != 0) emulated_fail("a misaligned copy");
    if (present < 0 || present > BYTES) emulated_fail("a copy of no such size");
    if (t->copies == EMULATED_COPIES) emulated_fail("too many copies");
    memset(emulated_at(to, BYTES, BYTES), 0xff, BYTES);
    t->copy[t->copies++] = (emulated_copy){ to, from, present, BYTES, t->group, t->number++ };
}

DEVICE void commit_copies(void) { emulated->now->group++; }

/* A thread's copies of lower groups, or of lower numbers. */
static void emulated_copy_now(emulated_thread *t, int group, int number)
{
    int kept = 0;
    for (int k = 0; k < t->copies; k++) {
        const emulated_copy c = t->copy[k];
        if (c.group >= group && c.number >= number) {
            t->copy[kept++] = c;
            continue;
        }
        unsigned char *to = emulated_write(t, c.to, (u32)c.bytes, (u32)c.bytes);
        memset(to, 0, (size_t)c.bytes);
        memcpy(to, c.from, (size_t)c.present);
    }
    t->copies = kept;
}

template <int N> DEVICE void wait_copies(void) { emulated_copy_now(emulated->now, emulated->now->group - N, 0); }

static inline float emulated_f16(unsigned short x)
{
    const float y = __int_as_float((int)((u32)(x & 0x7fff) << 13)) * 0x1p112f;
    const u32 bits = (u32)__float_as_int(y) | ((x & 0x7c00) == 0x7c00 ? 0x7f800000u : 0) | (u32)(x & 0x8000) << 16;
    return __int_as_float((int)bits);
}

static inline float emulated_bf16(unsigned short x) { return __int_as_float((int)((u32)x << 16)); }
static inline float emulated_tf32(u32 x) { return __int_as_float((int)(x & 0xffffe000)); }

struct emulated_mma {
    float *c;
    const u32 *a;
    u32 b[2];
};

template <float (*WIDEN)(unsigned short)> static void emulated_mma16(emulated_mma **l)
{
    float sum[16][8];
    for (int r = 0; r < 16; r++)
        for (int n = 0; n < 8; n++) {
            double all = 0;
            for (int k = 0; k < 16; k++) {
                const int half = k % 2;
                const u32 a = l[r % 8 * 4 + k / 2 % 4]->a[r / 8 + k / 8 * 2], b = l[n * 4 + k / 2 % 4]->b[k / 8];
                all += (double)WIDEN((unsigned short)(a >> 16 * half)) * WIDEN((unsigned short)(b >> 16 * half));
            }
            sum[r][n] = (float)(all + l[r % 8 * 4 + n / 2]->c[r / 8 * 2 + n % 2]);
        }
    for (int r = 0; r < 16; r++)
        for (int n = 0; n < 8; n++) l[r % 8 * 4 + n / 2]->c[r / 8 * 2 + n % 2] = sum[r][n];
}

static void emulated_mma8(emulated_mma **l)
{
    float sum[16][8];
    for (int r = 0; r < 16; r++)
        for (int n = 0; n < 8; n++) {
            double all = 0;
            for (int k = 0; k < 8; k++)
                all += (double)emulated_tf32(l[r % 8 * 4 + k % 4]->a[r / 8 + k / 4 * 2]) * emulated_tf32(l[n * 4 + k % 4]->b[k / 4]);
            sum[r][n] = (float)(all + l[r % 8 * 4 + n / 2]->c[r / 8 * 2 + n % 2]);
        }
    for (int r = 0; r < 16; r++)
        for (int n = 0; n < 8; n++) l[r % 8 * 4 + n / 2]->c[r / 8 * 2 + n % 2] = sum[r][n];
}

% for _, kind in ipairs { "bf16", "f16" } do
DEVICE void mma_${kind}(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1)
{
    emulated_mma x = { c, a, { b0, b1 } };
    emulated_together(&x, emulated_mma16<emulated_${kind}>);
}

% end
DEVICE void mma_tf32(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1)
{
    emulated_mma x = { c, a, { b0, b1 } };
    emulated_together(&x, emulated_mma8);
}

DEVICE float inverse_fast(float x) { return 1 / x; }
DEVICE float exp2_fast(float x) { return exp2f(x); } /* subnormals are kept: the reference, here, knows no other way */

static inline u32 emulated_narrow_bf16(float x)
{
    const u32 bits = (u32)__float_as_int(x);
    return x != x ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static inline u32 emulated_narrow_f16(float x)
{
    const u32 sign = (u32)__float_as_int(x) >> 16 & 0x8000;
    const float size = fabsf(x);
    if (x != x) return 0x7fff;
    if (size >= 65520) return sign | 0x7c00;
    if (size < 0x1p-14f) return sign | (u32)(int)nearbyintf(size * 0x1p24f);
    const u32 bits = (u32)__float_as_int(size) - (112u << 23);
    return sign | (bits + 0xfff + (bits >> 13 & 1)) >> 13;
}

% for _, kind in ipairs { "bf16", "f16" } do
DEVICE u32 pack_${kind}(float low, float high) { return emulated_narrow_${kind}(low) | emulated_narrow_${kind}(high) << 16; }
% end
DEVICE float widen_f16(unsigned short x) { return emulated_f16(x); }

struct emulated_value {
    u32 x;
    int lanes;
};

static void emulated_exchange(emulated_value **l)
{
    u32 x[32];
    for (int lane = 0; lane < 32; lane++) x[lane] = l[lane]->x;
    for (int lane = 0; lane < 32; lane++) l[lane]->x = x[lane ^ l[lane]->lanes];
}

static void emulated_any(emulated_value **l)
{
    u32 any = 0;
    for (int lane = 0; lane < 32; lane++) any |= l[lane]->x;
    for (int lane = 0; lane < 32; lane++) l[lane]->x = any;
}

DEVICE u32 exchange_bits(u32 x, int lanes)
{
    emulated_value v = { x, lanes };
    emulated_together(&v, emulated_exchange);
    return v.x;
}

DEVICE float exchange(float x, int lanes) { return __int_as_float((int)exchange_bits((u32)__float_as_int(x), lanes)); }

DEVICE bool any_lane(bool x)
{
    emulated_value v = { x, 0 };
    emulated_together(&v, emulated_any);
    return v.x != 0;
}

static void emulated_ballot(emulated_value **l)
{
    u32 set = 0;
    for (int lane = 0; lane < 32; lane++) set |= l[lane]->x << lane;
    for (int lane = 0; lane < 32; lane++) l[lane]->x = set;
}

DEVICE u32 set_lanes(bool x)
{
    emulated_value v = { x, 0 };
    emulated_together(&v, emulated_ballot);
    return v.x;
}

DEVICE int count_bits(u32 x)
{
    int count = 0;
    for (; x; x &= x - 1) count++;
    return count;
}

DEVICE void warp_barrier(void) { any_lane(false); }
