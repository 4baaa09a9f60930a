/* The fake driver: memory, copies, streams and events. */
#include "tests/fake_cuda_parts.h"

#include <stdlib.h>
#include <string.h>

typedef struct block {
    char *data;
    size_t bytes;
    int device;
} block;

enum { block_size = 2 << 20 };

static block blocks[fake_blocks_max];

/* ---- Copies ---- */

/* One that its caller believes done: what it reads was put aside. */
static struct {
    void *to, *data;
    size_t bytes;
} copying;

void fake_finish_copy(void)
{
    pthread_mutex_lock(&fake_lock);
    if (copying.data) memcpy(copying.to, copying.data, copying.bytes);
    free(copying.data);
    copying.data = NULL;
    pthread_mutex_unlock(&fake_lock);
}

/* ---- Memory ---- */

static block *block_of(uint64_t address)
{
    for (int k = 0; k < fake_blocks_max; k++) {
        uint64_t first = (uint64_t)(uintptr_t)blocks[k].data;
        if (first && address >= first && address < first + blocks[k].bytes) return &blocks[k];
    }
    return NULL;
}

EXPORT int cuMemAlloc_v2(uint64_t *address, size_t bytes)
{
    COUNT_SLOW();
    block *b = blocks;
    while (b->data) b++;
    b->bytes = (bytes + block_size - 1) / block_size * block_size;
    b->data = aligned_alloc(block_size, b->bytes);
    b->device = fake_here()->device;
    memset(b->data, 0x5a, b->bytes);
    f->allocated++;
    *address = (uint64_t)(uintptr_t)b->data;
    return SUCCESS;
}

EXPORT int cuMemFree_v2(uint64_t address)
{
    COUNT_SLOW();
    block *b = block_of(address);
    if (!b) return INVALID_VALUE;
    free(b->data);
    *b = (block){ NULL, 0, 0 };
    f->allocated--;
    return SUCCESS;
}

EXPORT int cuMemcpy(uint64_t to, uint64_t from, size_t bytes)
{
    COUNT_LEGACY(NULL);
    fake_finish_copy();
    if (!block_of(to))
        return memcpy((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes), SUCCESS;
    pthread_mutex_lock(&fake_lock);
    copying.to = (void *)(uintptr_t)to;
    copying.bytes = bytes;
    copying.data = malloc(bytes);
    memcpy(copying.data, (void *)(uintptr_t)from, bytes);
    pthread_mutex_unlock(&fake_lock);
    return SUCCESS;
}

EXPORT int cuMemcpyAsync(uint64_t to, uint64_t from, size_t bytes, stream *s)
{
    COUNT_LEGACY(s);
    memcpy((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes);
    return SUCCESS;
}

static void *pinned[16];

static void **pin_of(const void *data)
{
    int k = 0;
    while (k < 15 && pinned[k] != data) k++;
    return &pinned[k];
}

EXPORT int cuMemHostRegister_v2(void *data, size_t bytes, unsigned flags)
{
    COUNT_SLOW();
    if (!data || bytes == 0 || flags) return INVALID_VALUE;
    *pin_of(NULL) = data;
    f->pinned++;
    return SUCCESS;
}

EXPORT int cuMemHostUnregister(void *data)
{
    COUNT_SLOW();
    void **pin = pin_of(data);
    if (*pin != data) return INVALID_VALUE;
    *pin = NULL;
    f->pinned--;
    return SUCCESS;
}

EXPORT int cuPointerGetAttributes(unsigned wanted, const int *attribute, void **data,
                                  uint64_t address)
{
    COUNT();
    const block *b = block_of(address);
    for (unsigned k = 0; k < wanted; k++) {
        int value = attribute[k] == 2 ? (b ? 2 : 0) : attribute[k] == 9 ? (b ? b->device : -2) : 0;
        memcpy(data[k], &value, attribute[k] == 8 ? 1 : sizeof value);
    }
    return fake_here() ? SUCCESS : INVALID_CONTEXT;
}

/* ---- Streams ---- */

EXPORT int cuStreamGetCtx(stream *s, context **c)
{
    COUNT();
    *c = s && s != own_stream ? s->context : fake_here();
    return SUCCESS;
}

EXPORT int cuCtxSynchronize(void)
{
    COUNT_SLOW();
    fake_finish_copy();
    return SUCCESS;
}

/* ---- Events: a launch takes a millisecond, or as long as its C takes, a fill half of one ---- */

typedef struct event {
    double seconds;
} event;

static pthread_t holder;
static bool held;

typedef struct host_call {
    void (*function)(void *);
    void *user;
} host_call;

static void *call_host(void *argument)
{
    host_call *c = argument;
    c->function(c->user);
    free(c);
    return NULL;
}

EXPORT int cuLaunchHostFunc(stream *s, void (*call)(void *), void *user)
{
    COUNT();
    (void)s;
    host_call *c = malloc(sizeof *c);
    *c = (host_call){ call, user };
    held = pthread_create(&holder, NULL, call_host, c) == 0;
    return held ? SUCCESS : INVALID_VALUE;
}

EXPORT int cuEventCreate(event **out, unsigned flags)
{
    COUNT();
    *out = calloc(1, sizeof **out);
    f->events++;
    return flags ? INVALID_VALUE : SUCCESS;
}

EXPORT int cuEventRecord(event *e, stream *s)
{
    COUNT();
    (void)s;
    e->seconds = fake_busy_seconds();
    return SUCCESS;
}

EXPORT int cuEventElapsedTime(float *milliseconds, event *from, event *to)
{
    COUNT();
    *milliseconds = (float)(1e3 * (to->seconds - from->seconds));
    return SUCCESS;
}

EXPORT int cuEventDestroy_v2(event *e)
{
    COUNT();
    free(e);
    f->events--;
    return SUCCESS;
}

EXPORT int cuStreamSynchronize(stream *s)
{
    if (held) pthread_join(holder, NULL);
    held = false;
    COUNT_LEGACY(s);
    f->waited = s;
    if (!s) fake_finish_copy();
    return SUCCESS;
}
