#include "autotune/frame.h"

#include "runtime/library.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { header_size = 2 * wire_int_bytes, look_ms = 50 };

/* Until `fd` is ready for `events`. */
static frame_result await(const frame_end *e, int fd, short events)
{
    struct pollfd wait = { .fd = fd, .events = events };
    for (;;) {
        double left = fmax(e->deadline - library_seconds(), 0);
        int pause = left * 1000 < look_ms ? (int)ceil(left * 1000) : e->gone ? look_ms : 1000;
        int ready = poll(&wait, 1, pause);
        if (ready > 0) return FRAME_RESULT_ok; /* also where we were stopped past the deadline */
        if (left <= 0) return FRAME_RESULT_late;
        if (ready < 0 && errno != EINTR) return FRAME_RESULT_closed;
        if (ready == 0 && e->gone && e->gone(e->user)) return FRAME_RESULT_closed;
    }
}

static bool again(void)
{
    return errno == EINTR || errno == EAGAIN;
}

/* A signal for a lost reader would be the host's. */
static ssize_t write_some(int fd, const char *data, size_t size)
{
    ssize_t wrote = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return wrote < 0 && errno == ENOTSOCK ? write(fd, data, size) : wrote;
}

static frame_result send_all(const frame_end *e, const char *data, size_t size)
{
    while (size > 0) {
        frame_result result = await(e, e->output, POLLOUT);
        if (result != FRAME_RESULT_ok) return result;
        ssize_t wrote = write_some(e->output, data, size);
        if (wrote < 0 && !again()) return FRAME_RESULT_closed;
        if (wrote < 0) continue;
        data += wrote;
        size -= (size_t)wrote;
    }
    return FRAME_RESULT_ok;
}

static frame_result receive_all(const frame_end *e, char *data, size_t size)
{
    while (size > 0) {
        frame_result result = await(e, e->input, POLLIN);
        if (result != FRAME_RESULT_ok) return result;
        ssize_t got = read(e->input, data, size);
        if (got == 0 || (got < 0 && !again())) return FRAME_RESULT_closed;
        if (got < 0) continue;
        data += got;
        size -= (size_t)got;
    }
    return FRAME_RESULT_ok;
}

frame_result frame_send(const frame_end *e, frame_kind kind, const store_section *parts, int count)
{
    char header[header_size];
    size_t size = 0;
    for (int k = 0; k < count; k++) size += parts[k].size;
    wire_put_int(header, kind);
    wire_put_int(header + wire_int_bytes, (int64_t)size);
    frame_result result = send_all(e, header, sizeof header);
    for (int k = 0; k < count && result == FRAME_RESULT_ok; k++)
        result = send_all(e, parts[k].data, parts[k].size);
    return result;
}

frame_result frame_receive(frame *out, const frame_end *e, size_t limit, const memory *m)
{
    char header[header_size];
    *out = (frame){ .data = NULL };
    frame_result result = receive_all(e, header, sizeof header);
    if (result != FRAME_RESULT_ok) return result;
    wire w = wire_of(header, sizeof header);
    out->kind = wire_int(&w);
    size_t size = (size_t)wire_int_in(&w, 0, (int64_t)limit);
    if (w.failed) return FRAME_RESULT_garbage;
    if (size == 0) return FRAME_RESULT_ok;
    out->data = memory_new(m, size, 1);
    if (!out->data) return FRAME_RESULT_memory;
    out->size = size;
    result = receive_all(e, out->data, size);
    if (result != FRAME_RESULT_ok) frame_free(out, m);
    return result;
}

void frame_free(frame *f, const memory *m)
{
    memory_free(m, f->data, f->size);
    *f = (frame){ .data = NULL };
}

void frame_add_seconds(text *out, double seconds)
{
    int64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    wire_add_int(out, bits);
}

double frame_seconds(wire *w)
{
    double seconds;
    int64_t bits = wire_int(w);
    memcpy(&seconds, &bits, sizeof seconds);
    return seconds >= 0 && isfinite(seconds) ? seconds : (w->failed = true, 0);
}
