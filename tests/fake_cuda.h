/* A driver and a compiler for GPUs that are not there: tests/fake_cuda*.c are one library, loaded in place of libcuda
 * and of libnvrtc.
 *
 * FAKE_CUDA_MAJORS in the environment has a digit a device, its architecture's major number; CUDA_VISIBLE_DEVICES names
 * one by its UUID, the only one then; a library called "...fail-SYMBOL-FROM-COUNT-CODE.so" fails as fail_symbol has it:
 * for other processes.
 * Its devices' memory is the host's, in blocks of 2 MiB. What its compiler writes is the source behind the
 * architecture's name; "program N" in the source is a kernel that stores N as a double to its first argument, a
 * pointer, and text that says "fake_block" is C that is run (tests/fake_kernels.h). A copy to a device is done when its stream was waited for. Kernels run when they are launched, or when what was captured is replayed. */
#ifndef TESTS_FAKE_CUDA_H
#define TESTS_FAKE_CUDA_H

#include <stddef.h>
#include <stdint.h>

enum {
    fake_devices_max = 4,
    fake_calls_max = 64,
    fake_depth_max = 16,
    fake_blocks_max = 256,
    fake_captured_max = 16,
    fake_parameters = 96
};

typedef struct fake_device {
    const char *name;
    int major, minor, multiprocessors;
    int retained; /* how often the primary context is held */
    int loaded;   /* modules */
} fake_device;

typedef struct fake_launch {
    unsigned blocks, threads, shared_bytes;
    int device;
    void *stream;
    int64_t parameter[fake_parameters];
} fake_launch;

/* What a graph has: a launch, or bytes that are filled. */
typedef struct fake_node {
    fake_launch launch;
    uint64_t address;
    size_t bytes; /* 0: a launch */
    unsigned char value;
} fake_node;

typedef struct fake_cuda {
    int devices;
    int version; /* of CUDA, as 13000 */
    fake_device device[fake_devices_max];
    struct fake_call {
        const char *symbol;
        int count;
    } call[fake_calls_max];
    const char *
        fail_symbol; /* its call number `fail_from` (from 1), and so many from there, give this code: */
    int fail_from, fail_count, fail_code;
    int allocated; /* blocks of memory */
    int events, pinned;
    double fill_seconds; /* that a fill takes */
    int fault;           /* a kernel ended with this code: each call gives it from then on */
    int waits;           /* calls that wait for a device, or that a capture forbids */
    void *waited;        /* the last stream that was waited for */
    int compiled;        /* programs */
    char options[1024];  /* of the last one, each with a space behind it */
    fake_launch last;
    int launches;
    /* A stream of device 0's primary context, and one of a context that is not primary. */
    void *stream, *foreign_stream;
    void *foreign_context;
    int capturing; /* launches and fills in `stream` are kept */
    int captured;
    fake_node graph[fake_captured_max];
    void (*replay)(struct fake_cuda *f);
    void *(*current)(void); /* the calling thread's context, and how deep its stack is */
    int (*depth)(void);
} fake_cuda;

/* The symbol that gives the library's state. */
#define FAKE_CUDA_STATE "fake_cuda_state"

#endif
