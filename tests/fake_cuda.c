/* The fake driver: its state, devices and contexts. */
#include "tests/fake_cuda_parts.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static context contexts[fake_devices_max], foreign = { 0, false };
static stream streams[2] = { { &contexts[0] }, { &foreign } };
static pid_t started;
pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local context *stack[fake_depth_max];
static _Thread_local int depth;
static _Thread_local int mode;

context *fake_here(void)
{
    return depth ? stack[depth - 1] : NULL;
}

static void *current(void)
{
    return fake_here();
}

static int current_depth(void)
{
    return depth;
}

fake_cuda fake_cuda_state = {
    .devices = 2,
    .version = 13000,
    .fill_seconds = 0.5e-3,
    .device = { { "Fake H100", 9, 0, 132, 0, 0 }, { "Fake A100", 8, 0, 108, 0, 0 } },
    .stream = &streams[0],
    .foreign_stream = &streams[1],
    .foreign_context = &foreign,
    .replay = fake_replay,
    .current = current,
    .depth = current_depth,
};

/* ---- Counting, and failing on purpose ---- */

static int count_locked(const char *symbol)
{
    struct fake_call *c = f->call;
    while (c->symbol && strcmp(c->symbol, symbol) != 0) c++;
    c->symbol = symbol;
    int number = ++c->count;
    if (!f->fail_symbol || strcmp(f->fail_symbol, symbol) != 0) return SUCCESS;
    return number >= f->fail_from && number < f->fail_from + f->fail_count ? f->fail_code : SUCCESS;
}

int fake_called(const char *symbol)
{
    pthread_mutex_lock(&fake_lock);
    int code = count_locked(symbol);
    pthread_mutex_unlock(&fake_lock);
    if (code == SUCCESS && strcmp(symbol, "cuInit") != 0 && symbol[0] == 'c' && started != getpid())
        return NOT_INITIALIZED;
    return code;
}

int fake_slow(void)
{
    f->waits++;
    if (f->fault) return f->fault;
    if (f->capturing && mode != 2) return CAPTURE_UNSUPPORTED;
    return depth ? SUCCESS : INVALID_CONTEXT;
}

/* ---- Devices ---- */

static void write_uuid(unsigned char uuid[16], int device)
{
    for (int k = 0; k < 16; k++) uuid[k] = (unsigned char)(0xa0 + k);
    uuid[15] = (unsigned char)f->device[device].multiprocessors;
}

/* Leaves the device that the environment names, or none. */
static void choose_visible(void)
{
    const char *wanted = getenv("CUDA_VISIBLE_DEVICES");
    int found = 0;
    for (int k = 0; k < f->devices && wanted; k++) {
        char text[48] = "GPU";
        unsigned char uuid[16];
        write_uuid(uuid, k);
        for (int n = 0; n < 16; n++)
            sprintf(text + strlen(text), "%s%02x",
                    n == 0 || (n < 11 && n > 3 && n % 2 == 0) ? "-" : "", uuid[n]);
        if (strcmp(text, wanted) == 0) f->device[found++] = f->device[k];
    }
    if (wanted) f->devices = found;
}

/* As the library's name says. */
static void take_failure(void)
{
    static char symbol[64];
    Dl_info info;
    const char *at =
        dladdr((void *)&fake_cuda_state, &info) ? strstr(info.dli_fname, "fail-") : NULL;
    if (!at || sscanf(at, "fail-%63[^-]-%d-%d-%d", symbol, &f->fail_from, &f->fail_count,
                      &f->fail_code) != 4)
        return;
    f->fail_symbol = symbol;
}

EXPORT int cuInit(unsigned flags)
{
    if (!started) take_failure();
    COUNT();
    if (flags != 0) return INVALID_VALUE;
    if (started && started != getpid()) return NOT_INITIALIZED;
    if (f->devices == 0) return 100;
    for (int k = 0; k < fake_devices_max; k++) contexts[k] = (context){ k, true };
    const char *majors = getenv("FAKE_CUDA_MAJORS");
    for (int k = 0; k < f->devices && majors && majors[k]; k++)
        f->device[k].major = majors[k] - '0';
    if (!started) choose_visible();
    if (f->devices == 0) return 100;
    started = getpid();
    return SUCCESS;
}

EXPORT int cuGetErrorName(int code, const char **name)
{
    static const struct {
        int code;
        const char *name;
    } names[] = {
        { INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE" },
        { OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY" },
        { 100, "CUDA_ERROR_NO_DEVICE" },
        { NO_BINARY, "CUDA_ERROR_NO_BINARY_FOR_GPU" },
        { INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE" },
        { NOT_FOUND, "CUDA_ERROR_NOT_FOUND" },
        { 700, "CUDA_ERROR_ILLEGAL_ADDRESS" },
        { 719, "CUDA_ERROR_LAUNCH_FAILED" },
    };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (names[k].code == code) return *name = names[k].name, SUCCESS;
    return INVALID_VALUE;
}

EXPORT int cuGetErrorString(int code, const char **sentence)
{
    *sentence = "as it was asked to";
    return code ? SUCCESS : INVALID_VALUE;
}

EXPORT int cuDriverGetVersion(int *version)
{
    COUNT();
    *version = f->version;
    return SUCCESS;
}

EXPORT int cuDeviceGetCount(int *devices)
{
    COUNT();
    *devices = f->devices;
    return SUCCESS;
}

EXPORT int cuDeviceGet(int *device, int ordinal)
{
    COUNT();
    *device = ordinal;
    return ordinal < f->devices ? SUCCESS : INVALID_DEVICE;
}

EXPORT int cuDeviceGetName(char *name, int size, int device)
{
    COUNT();
    snprintf(name, (size_t)size, "%s", f->device[device].name);
    return SUCCESS;
}

EXPORT int cuDeviceGetUuid_v2(unsigned char uuid[16], int device)
{
    COUNT();
    write_uuid(uuid, device);
    return SUCCESS;
}

EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    COUNT();
    const fake_device *d = &f->device[device];
    const int known[][2] = { { 16, d->multiprocessors }, { 38, 50 << 20 },  { 75, d->major },
                             { 76, d->minor },           { 81, 228 << 10 }, { 82, 65536 },
                             { 97, shared_most } };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (known[k][0] == attribute) return *value = known[k][1], SUCCESS;
    return INVALID_VALUE;
}

/* ---- Contexts ---- */

EXPORT int cuDevicePrimaryCtxRetain(context **out, int device)
{
    COUNT();
    f->device[device].retained++;
    *out = &contexts[device];
    return SUCCESS;
}

EXPORT int cuDevicePrimaryCtxRelease_v2(int device)
{
    COUNT();
    return f->device[device].retained-- > 0 ? SUCCESS : INVALID_CONTEXT;
}

EXPORT int cuCtxPushCurrent_v2(context *c)
{
    COUNT();
    if (depth == fake_depth_max) return INVALID_VALUE;
    stack[depth++] = c;
    return SUCCESS;
}

EXPORT int cuCtxPopCurrent_v2(context **c)
{
    COUNT();
    if (!depth) return INVALID_CONTEXT;
    *c = stack[--depth];
    return SUCCESS;
}

EXPORT int cuCtxGetCurrent(context **c)
{
    COUNT();
    *c = fake_here();
    return SUCCESS;
}

EXPORT int cuThreadExchangeStreamCaptureMode(int *wanted)
{
    COUNT();
    int before = mode;
    mode = *wanted;
    *wanted = before;
    return SUCCESS;
}
