/* A GPU that a context runs on, or an architecture that it only compiles for. */
#ifndef RUNTIME_DEVICE_CUDA_H
#define RUNTIME_DEVICE_CUDA_H

#include "runtime/cuda_driver.h"
#include "runtime/operand.h"

#include <stdatomic.h>
#include <sys/types.h>

enum { device_cuda_seen = 64 };

typedef struct device_cuda {
    char place[16];    /* "cuda:0", or "sm_90" */
    char name[256];    /* the model */
    char isa[16];      /* as "sm_90" */
    char binaries[20]; /* what they are compiled for: as "sm_90a" */
    int multiprocessors, registers;
    int64_t l2_bytes, shared_bytes; /* shared_bytes: of a multiprocessor */
    int64_t block_bytes;            /* of shared memory, that a block may ask for */
    bool runs;                      /* false: there is no GPU, and nothing below */
    cuda_driver driver;
    int cuda_major;       /* the newest CUDA that the driver takes binaries of */
    cuda_context context; /* the device's primary one, held */
    int index, handle;
    char uuid[48];      /* as CUDA_VISIBLE_DEVICES names it */
    pid_t home;         /* the process that CUDA was started in */
    cuda_address zeros; /* some bytes of 0, in its memory */
    operand_device operands;
    _Atomic uint64_t seen[device_cuda_seen]; /* blocks of memory known to be this GPU's */
} device_cuda;

/* `which`: as fg_context_options.device, but not the host. *out stays where it is. FG_REQUEST where there is no
 * such name, FG_MACHINE where there is no such GPU. */
fg_status device_cuda_open(device_cuda *out, const char *which, const char *driver,
                           fg_error *error);
/* In a forked child it leaves the parent's CUDA alone. */
void device_cuda_close(device_cuda *d);

/* FG_MACHINE: there is no GPU to run on, or CUDA was left behind in the parent process. */
fg_status device_cuda_ready(const device_cuda *d, fg_error *error);

/* Makes the device's context the thread's current one, unless it is that; leave() puts back what was. */
typedef struct device_cuda_visit {
    bool pushed;
    int mode; /* of stream captures, as it was */
} device_cuda_visit;

/* For a run: nothing that a stream's capture would notice. */
fg_status device_cuda_enter(device_cuda_visit *v, const device_cuda *d, fg_error *error);
void device_cuda_leave(const device_cuda_visit *v, const device_cuda *d);
/* For calls that allocate or load, also while a stream of this process is captured. */
fg_status device_cuda_enter_slowly(device_cuda_visit *v, const device_cuda *d, fg_error *error);
void device_cuda_leave_slowly(device_cuda_visit *v, const device_cuda *d);

/* FG_REQUEST unless `data` is memory of this GPU, or managed. Looks once at each block of 2 MiB, which is the least
 * that devices share memory out in: memory that goes to another device afterwards is not noticed. */
fg_status device_cuda_check(const operand_device *o, const void *data, const char *name,
                            fg_error *error);

#endif
