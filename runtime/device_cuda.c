#include "runtime/device_cuda.h"

#include "runtime/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Architectures, as a usual GPU of each has them ---- */

typedef struct architecture {
    const char *isa, *suffix,
        *name; /* suffix: with it, the compiler takes what this capability alone has */
    int multiprocessors;
    int shared_kib, block_kib, l2_mib; /* of a multiprocessor, that a block may have; of the GPU */
} architecture;

/* CUDA C++ Programming Guide, "Compute Capabilities"; NVIDIA's data sheets of the GPUs named. */
static const architecture architectures[] = {
    { "sm_80", "", "NVIDIA A100", 108, 164, 163, 40 },
    { "sm_86", "", "NVIDIA GeForce RTX 3090", 82, 100, 99, 6 },
    { "sm_87", "", "NVIDIA Jetson AGX Orin", 16, 164, 163, 4 },
    { "sm_89", "", "NVIDIA GeForce RTX 4090", 128, 100, 99, 72 },
    { "sm_90", "a", "NVIDIA H100", 132, 228, 227, 50 },
    { "sm_100", "", "NVIDIA B200", 148, 228, 227, 126 },
    { "sm_103", "", "NVIDIA B300", 148, 228, 227, 126 },
    { "sm_120", "", "NVIDIA GeForce RTX 5090", 170, 100, 99, 96 },
    { "sm_121", "", "NVIDIA GB10", 48, 100, 99, 24 },
};

/* By its name, with or without suffix; NULL: there is none. */
static const architecture *find_architecture(const char *name)
{
    enum { count = sizeof architectures / sizeof *architectures };
    for (const architecture *a = architectures; a < architectures + count; a++) {
        const size_t length = strlen(a->isa);
        if (strncmp(name, a->isa, length) != 0) continue;
        if (!name[length] || strcmp(name + length, a->suffix) == 0) return a;
    }
    return NULL;
}

static void name_binaries(device_cuda *d)
{
    const architecture *a = find_architecture(d->isa);
    snprintf(d->binaries, sizeof d->binaries, "%s%s", d->isa, a ? a->suffix : "");
}

static fg_status open_architecture(device_cuda *d, const char *which, fg_error *error)
{
    enum { registers = 65536 };
    const architecture *a = find_architecture(which);
    if (!a)
        return fail(error, FG_REQUEST,
                    "there is no device \"%.40s\": it is cpu, cuda, cuda:N, or an architecture: "
                    "sm_80, 86, 87, 89, 90, 100, 103, 120 or 121",
                    which);
    snprintf(d->place, sizeof d->place, "%s", a->isa);
    snprintf(d->isa, sizeof d->isa, "%s", a->isa);
    name_binaries(d);
    snprintf(d->name, sizeof d->name, "%s", a->name);
    d->multiprocessors = a->multiprocessors;
    d->registers = registers;
    d->shared_bytes = (int64_t)a->shared_kib << 10;
    d->block_bytes = (int64_t)a->block_kib << 10;
    d->l2_bytes = (int64_t)a->l2_mib << 20;
    return FG_OK;
}

/* ---- A GPU ---- */

static fg_status read_facts(device_cuda *d, fg_error *error)
{
    int major = 0, minor = 0, l2 = 0, shared = 0, block = 0;
    const struct {
        int attribute, *place;
    } wanted[] = {
        { CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major },
        { CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor },
        { CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &d->multiprocessors },
        { CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, &d->registers },
        { CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, &l2 },
        { CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, &shared },
        { CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &block },
    };
    int code = d->driver.device_name(d->name, sizeof d->name, d->handle);
    for (size_t k = 0; k < sizeof wanted / sizeof *wanted && code == CUDA_SUCCESS; k++)
        code = d->driver.device_attribute(wanted[k].place, wanted[k].attribute, d->handle);
    if (code != CUDA_SUCCESS) return cuda_fail(&d->driver, code, "asking a GPU what it is", error);
    snprintf(d->isa, sizeof d->isa, "sm_%d%d", major % 1000, minor % 10);
    name_binaries(d);
    d->l2_bytes = l2;
    d->shared_bytes = shared;
    d->block_bytes = block;
    return FG_OK;
}

static fg_status find_handle(device_cuda *d, fg_error *error)
{
    int count = 0;
    int code = d->driver.device_count(&count);
    if (code == CUDA_SUCCESS && count == 0) code = CUDA_ERROR_NO_DEVICE;
    if (code != CUDA_SUCCESS) return cuda_fail(&d->driver, code, "no CUDA device here", error);
    if (d->index >= count)
        return fail(error, FG_MACHINE, "there is no cuda:%d: CUDA shows %d device%s here", d->index,
                    count, count == 1 ? "" : "s");
    code = d->driver.device_get(&d->handle, d->index);
    return code == CUDA_SUCCESS ? FG_OK : cuda_fail(&d->driver, code, d->place, error);
}

/* A part of a GPU has a name of its own, and a GPU's has other parts. */
static fg_status read_uuid(device_cuda *d, fg_error *error)
{
    unsigned char uuid[16] = { 0 };
    int code = d->driver.device_uuid(uuid, d->handle);
    if (code != CUDA_SUCCESS) return cuda_fail(&d->driver, code, d->place, error);
    size_t length =
        (size_t)snprintf(d->uuid, sizeof d->uuid, "%s", strstr(d->name, " MIG ") ? "MIG" : "GPU");
    for (int k = 0; k < 16; k++) {
        bool dash = k == 0 || k == 4 || k == 6 || k == 8 || k == 10;
        length += (size_t)snprintf(d->uuid + length, sizeof d->uuid - length, "%s%02x",
                                   dash ? "-" : "", uuid[k]);
    }
    return FG_OK;
}

/* Compilers of later ones than the driver's CUDA write what it does not load. */
static fg_status read_version(device_cuda *d, fg_error *error)
{
    int version = 0;
    int code = d->driver.version(&version);
    if (code != CUDA_SUCCESS)
        return cuda_fail(&d->driver, code, "asking the driver's version", error);
    d->cuda_major = version / 1000;
    return FG_OK;
}

/* What empty tensors are read from. */
static fg_status make_zeros(device_cuda *d, fg_error *error)
{
    enum { bytes = 256 };
    device_cuda_visit v;
    fg_status status = device_cuda_enter_slowly(&v, d, error);
    if (status != FG_OK) return status;
    int code = d->driver.memory_new(&d->zeros, bytes);
    if (code == CUDA_SUCCESS)
        code = d->driver.memory_fill(d->zeros, 0, bytes, CU_STREAM_PER_THREAD);
    if (code == CUDA_SUCCESS) code = d->driver.stream_wait(CU_STREAM_PER_THREAD);
    if (code != CUDA_SUCCESS) status = cuda_fail(&d->driver, code, "allocating on the GPU", error);
    device_cuda_leave_slowly(&v, d);
    return status;
}

static fg_status open_gpu(device_cuda *d, const char *driver, fg_error *error)
{
    snprintf(d->place, sizeof d->place, "cuda:%d", d->index);
    d->home = getpid();
    fg_status status = cuda_driver_open(&d->driver, driver, error);
    if (status == FG_OK) status = read_version(d, error);
    if (status == FG_OK) status = find_handle(d, error);
    if (status == FG_OK) status = read_facts(d, error);
    if (status == FG_OK) status = read_uuid(d, error);
    if (status != FG_OK) return status;
    int code = d->driver.primary_retain(&d->context, d->handle);
    if (code != CUDA_SUCCESS) {
        d->context = NULL;
        return cuda_fail(&d->driver, code, "starting CUDA on the GPU", error);
    }
    d->runs = true;
    status = make_zeros(d, error);
    d->operands = (operand_device){ .index = d->index,
                                    .place = d->place,
                                    .zeros = (char *)(uintptr_t)d->zeros,
                                    .check = device_cuda_check };
    return status;
}

/* "cuda" or "cuda:N". */
static bool read_index(int *out, const char *which)
{
    int64_t number = 0;
    if (strncmp(which, "cuda", 4) != 0) return false;
    if (which[4] == ':' && which[5] >= '0' && which[5] <= '9' &&
        number_int(which + 5, strlen(which + 5), &number) && number < 10000) {
        *out = (int)number;
        return true;
    }
    *out = 0;
    return which[4] == 0;
}

fg_status device_cuda_open(device_cuda *d, const char *which, const char *driver, fg_error *error)
{
    *d = (device_cuda){ .runs = false };
    fg_status status = read_index(&d->index, which) ? open_gpu(d, driver, error)
                                                    : open_architecture(d, which, error);
    if (status != FG_OK) device_cuda_close(d);
    return status;
}

void device_cuda_close(device_cuda *d)
{
    device_cuda_visit v;
    const bool ours = d->home == getpid();
    if (ours && d->zeros && device_cuda_enter_slowly(&v, d, NULL) == FG_OK) {
        d->driver.memory_free(d->zeros);
        device_cuda_leave_slowly(&v, d);
    }
    if (ours && d->context) d->driver.primary_release(d->handle);
    cuda_driver_close(&d->driver);
    d->runs = false;
    d->context = NULL;
    d->zeros = 0;
}

fg_status device_cuda_ready(const device_cuda *d, fg_error *error)
{
    if (!d->runs)
        return fail(error, FG_MACHINE, "this context only compiles for %s: it has no GPU to run on",
                    d->place);
    if (d->home == library_process()) return FG_OK;
    return fail(error, FG_MACHINE,
                "CUDA does not go on in a forked process: nothing runs on %s here", d->place);
}

/* ---- Visits ---- */

fg_status device_cuda_enter(device_cuda_visit *v, const device_cuda *d, fg_error *error)
{
    cuda_context current = NULL;
    *v = (device_cuda_visit){ .pushed = false };
    int code = d->driver.context_current(&current);
    if (code == CUDA_SUCCESS && current == d->context) return FG_OK;
    if (code == CUDA_SUCCESS) code = d->driver.context_push(d->context);
    if (code != CUDA_SUCCESS) return cuda_fail(&d->driver, code, d->place, error);
    v->pushed = true;
    return FG_OK;
}

void device_cuda_leave(const device_cuda_visit *v, const device_cuda *d)
{
    cuda_context popped;
    if (v->pushed) d->driver.context_pop(&popped);
}

fg_status device_cuda_enter_slowly(device_cuda_visit *v, const device_cuda *d, fg_error *error)
{
    fg_status status = device_cuda_enter(v, d, error);
    if (status != FG_OK) return status;
    v->mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    int code = d->driver.capture_mode(&v->mode);
    if (code == CUDA_SUCCESS) return FG_OK;
    device_cuda_leave(v, d);
    return cuda_fail(&d->driver, code, d->place, error);
}

void device_cuda_leave_slowly(device_cuda_visit *v, const device_cuda *d)
{
    d->driver.capture_mode(&v->mode);
    device_cuda_leave(v, d);
}

/* ---- Pointers ---- */

/* What the driver knows of a pointer; all 0 for memory that it did not give out. */
typedef struct pointer_facts {
    unsigned type, managed;
    int device;
} pointer_facts;

static fg_status read_pointer(pointer_facts *out, const device_cuda *d, const void *data,
                              fg_error *error)
{
    const int attributes[] = { CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_IS_MANAGED,
                               CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL };
    void *places[] = { &out->type, &out->managed, &out->device };
    device_cuda_visit v;
    *out = (pointer_facts){ 0 };
    fg_status status = device_cuda_enter(&v, d, error);
    if (status != FG_OK) return status;
    int code = d->driver.pointer_attributes(3, attributes, places, (uintptr_t)data);
    device_cuda_leave(&v, d);
    return code == CUDA_SUCCESS ? FG_OK
                                : cuda_fail(&d->driver, code, "asking whose memory it is", error);
}

static const device_cuda *device_of(const operand_device *o)
{
    return (const device_cuda *)(const void *)((const char *)o - offsetof(device_cuda, operands));
}

fg_status device_cuda_check(const operand_device *o, const void *data, const char *name,
                            fg_error *error)
{
    /* What was seen is no part of what the device is. */
    device_cuda *d = (device_cuda *)(uintptr_t)device_of(o);
    const uint64_t block = (uint64_t)(uintptr_t)data >> 21;
    _Atomic uint64_t *seen = &d->seen[block % device_cuda_seen];
    pointer_facts f;
    if (atomic_load_explicit(seen, memory_order_relaxed) == block + 1) return FG_OK;
    fg_status status = read_pointer(&f, d, data, error);
    if (status != FG_OK) return status;
    if (f.type != CU_MEMORYTYPE_DEVICE && !f.managed)
        return fail(error, FG_REQUEST, "%s is in the host's memory: this plan runs on %s", name,
                    d->place);
    if (f.device != d->index && !f.managed)
        return fail(error, FG_REQUEST, "%s is in the memory of cuda:%d: this plan runs on %s", name,
                    f.device, d->place);
    atomic_store_explicit(seen, block + 1, memory_order_relaxed);
    return FG_OK;
}
