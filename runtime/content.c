#include "runtime/content.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium/crypto_generichash_blake2b.h>
#include <stdatomic.h>
#include <unistd.h>

enum { blocks_max = 64 };
static const int64_t block_least = 1 << 22;

typedef struct hashing {
    int fd, blocks;
    int64_t size, block;
    atomic_int next, code; /* the next block; an errno */
    digest of[blocks_max];
} hashing;

typedef struct reader {
    hashing *work;
    unsigned char *buffer;
    pthread_t thread;
} reader;

/* 0, or an errno. */
static int hash_block(hashing *h, int n, unsigned char *buffer)
{
    const int64_t start = n * h->block, rest = h->size - start;
    const int64_t end = start + (rest < h->block ? rest : h->block);
    crypto_generichash_blake2b_state state;
    crypto_generichash_blake2b_init(&state, NULL, 0, sizeof h->of[n].byte);
    for (int64_t at = start; at < end;) {
        const int64_t left = end - at;
        const size_t wanted = left < content_piece ? (size_t)left : content_piece;
        const ssize_t got = pread(h->fd, buffer, wanted, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got < 0 ? errno : EIO; /* somebody cut it short */
        crypto_generichash_blake2b_update(&state, buffer, (unsigned long long)got);
        at += got;
    }
    crypto_generichash_blake2b_final(&state, h->of[n].byte, sizeof h->of[n].byte);
    return 0;
}

static void *read_blocks(void *argument)
{
    const reader *r = argument;
    hashing *h = r->work;
    for (int n; atomic_load(&h->code) == 0 && (n = atomic_fetch_add(&h->next, 1)) < h->blocks;) {
        const int code = hash_block(h, n, r->buffer);
        if (code != 0) atomic_store(&h->code, code);
    }
    return NULL;
}

/* This thread and up to `threads` - 1 others, which start with every signal blocked: those are the host's. */
static void read_all(hashing *h, unsigned char *buffer, int threads)
{
    reader r[content_threads] = { { .work = h, .buffer = buffer } };
    sigset_t all, before;
    int started = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; started < threads && started < content_threads && started < h->blocks; started++) {
        r[started] = (reader){ .work = h, .buffer = buffer + started * content_piece };
        if (pthread_create(&r[started].thread, NULL, read_blocks, &r[started]) != 0) break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    read_blocks(&r[0]);
    while (--started > 0) pthread_join(r[started].thread, NULL);
}

bool content_hash(digest *out, int fd, int64_t size, unsigned char *buffer, int threads)
{
    const int64_t even = (size + blocks_max - 1) / blocks_max;
    hashing h = { .fd = fd, .size = size, .block = even < block_least ? block_least : even };
    h.blocks = (int)((size + h.block - 1) / h.block);
    read_all(&h, buffer, threads);
    errno = atomic_load(&h.code);
    if (errno != 0) return false;
    crypto_generichash_blake2b(out->byte, sizeof out->byte, h.of[0].byte,
                               (unsigned long long)h.blocks * sizeof h.of[0], NULL, 0);
    return true;
}
