/* What is in a file, as a number. */
#ifndef RUNTIME_CONTENT_H
#define RUNTIME_CONTENT_H

#include "runtime/key.h"

enum {
    content_piece = 1 << 18,
    content_threads = 8
}; /* bytes of a read; the most that read at a time */

/* Of the file's first `size` bytes: BLAKE2b over those of its blocks, which up to `threads` threads read, so that a
 * compiler of 100 MB keeps nobody waiting. Which ones read changes nothing. `buffer`: content_piece bytes a thread.
 * False, with errno: it cannot be read, or is shorter. */
bool content_hash(digest *out, int fd, int64_t size, unsigned char *buffer, int threads);

#endif
