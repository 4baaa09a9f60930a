#include "tests/fake_cuda.h"

#include "tests/fake_kernels.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* The driver's codes. */
enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    NO_BINARY = 209,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_IMPLICIT = 906,
};

typedef struct context {
    int device;
    bool primary;
} context;

typedef struct module {
    int device;
    char *image;
    fake_kernels kernels; /* of C text */
} module;

typedef struct function {
    module *module;
    char name[32];
    int most_shared;
    struct function *next;
} function;

typedef struct stream {
    context *context;
} stream;

typedef struct block {
    char *data;
    size_t bytes;
    int device;
} block;

enum { block_size = 2 << 20, shared_most = 227 << 10, shared_usual = 48 << 10 };

static context contexts[fake_devices_max], foreign = { 0, false };
static stream streams[2] = { { &contexts[0] }, { &foreign } };
static block blocks[fake_blocks_max];
static function *functions;
static pid_t started;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local context *stack[fake_depth_max];
static _Thread_local int depth;
static _Thread_local int mode;

static stream *const own_stream = (stream *)(uintptr_t)2; /* the thread's */

static void execute(const fake_launch *l);

static void replay(fake_cuda *f)
{
    for (int k = 0; k < f->captured; k++) execute(&f->graph[k]);
}

static void *current(void)
{
    return depth ? stack[depth - 1] : NULL;
}

static int current_depth(void)
{
    return depth;
}

EXPORT fake_cuda fake_cuda_state = {
    .devices = 2,
    .version = 13000,
    .device = { { "Fake H100", 9, 0, 132, 0, 0 }, { "Fake A100", 8, 0, 108, 0, 0 } },
    .stream = &streams[0],
    .foreign_stream = &streams[1],
    .foreign_context = &foreign,
    .replay = replay,
    .current = current,
    .depth = current_depth,
};

static fake_cuda *const f = &fake_cuda_state;

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

static int count(const char *symbol)
{
    pthread_mutex_lock(&lock);
    int code = count_locked(symbol);
    pthread_mutex_unlock(&lock);
    if (code == SUCCESS && strcmp(symbol, "cuInit") != 0 && symbol[0] == 'c' && started != getpid())
        return NOT_INITIALIZED;
    return code;
}

#define COUNT()                                                                                    \
    do {                                                                                           \
        int code_ = count(__func__);                                                               \
        if (code_ != SUCCESS) return code_;                                                        \
    } while (0)

/* A call that allocates, loads or waits: not once a kernel faulted, and not while a stream is captured, unless the thread says so. */
#define COUNT_SLOW()                                                                               \
    do {                                                                                           \
        COUNT();                                                                                   \
        f->waits++;                                                                                \
        if (f->fault) return f->fault;                                                             \
        if (f->capturing && mode != 2) return CAPTURE_UNSUPPORTED;                                 \
        if (!depth) return INVALID_CONTEXT;                                                        \
    } while (0)

/* Work in the legacy stream waits for that which is captured, which cannot be: a blocking one. */
#define COUNT_LEGACY(stream)                                                                       \
    do {                                                                                           \
        COUNT_SLOW();                                                                              \
        if (f->capturing && !(stream)) return CAPTURE_IMPLICIT;                                    \
    } while (0)

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
    *c = current();
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

/* ---- Modules ---- */

EXPORT int cuModuleLoadData(module **out, const void *image)
{
    COUNT_SLOW();
    const int device = stack[depth - 1]->device;
    char isa[16];
    snprintf(isa, sizeof isa, "sm_%d%d\n", f->device[device].major, f->device[device].minor);
    if (strncmp(image, isa, strlen(isa)) != 0) return NO_BINARY;
    module *m = malloc(sizeof *m);
    *m = (module){ device, strdup(image), { NULL, NULL } };
    if (!fake_kernels_load(&m->kernels, (const char *)image + strlen(isa))) return NO_BINARY;
    f->device[device].loaded++;
    *out = m;
    return SUCCESS;
}

EXPORT int cuModuleUnload(module *m)
{
    COUNT_SLOW();
    for (function **at = &functions; *at;) {
        function *one = *at;
        if (one->module != m) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        free(one);
    }
    f->device[m->device].loaded--;
    fake_kernels_unload(&m->kernels);
    free(m->image);
    free(m);
    return SUCCESS;
}

EXPORT int cuModuleGetFunction(function **out, module *m, const char *name)
{
    COUNT_SLOW();
    if (!strstr(m->image, name)) return NOT_FOUND;
    function *one = calloc(1, sizeof *one);
    snprintf(one->name, sizeof one->name, "%s", name);
    one->module = m;
    one->most_shared = shared_usual;
    one->next = functions;
    functions = one;
    *out = one;
    return SUCCESS;
}

EXPORT int cuFuncGetAttribute(int *value, int attribute, function *one)
{
    COUNT();
    *value = attribute == 1 ? 1024 : one->most_shared; /* so much it has of its own */
    return SUCCESS;
}

EXPORT int cuFuncSetAttribute(function *one, int attribute, int value)
{
    COUNT();
    if (attribute != 8 || value < 0 || value + 1024 > shared_most) return INVALID_VALUE;
    one->most_shared = value;
    return SUCCESS;
}

EXPORT int cuFuncLoad(function *one)
{
    COUNT_SLOW();
    return one ? SUCCESS : INVALID_HANDLE;
}

/* ---- Copies ---- */

/* One that its caller believes done: what it reads was put aside. */
static struct {
    void *to, *data;
    size_t bytes;
} copying;

static void finish_copy(void)
{
    pthread_mutex_lock(&lock);
    if (copying.data) memcpy(copying.to, copying.data, copying.bytes);
    free(copying.data);
    copying.data = NULL;
    pthread_mutex_unlock(&lock);
}

/* ---- Launches ---- */

typedef struct config {
    unsigned blocks[3], threads[3], shared;
    stream *stream;
    void *attributes;
    unsigned attribute_count;
} config;

static void execute(const fake_launch *l)
{
    double number = (double)l->parameter[fake_parameters - 1];
    if (!l->parameter[fake_parameters - 2]) return; /* a real kernel's text: nothing to play */
    memcpy((void *)(uintptr_t)l->parameter[0], &number, sizeof number);
}

static double busy_seconds; /* all launches so far */

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void play(const module *m, const void *args, unsigned block_count)
{
    double start = seconds_now();
    for (unsigned k = 0; k < block_count && m->kernels.block && !f->fault; k++)
        f->fault = m->kernels.block(args, k);
    busy_seconds += m->kernels.block ? seconds_now() - start : 1e-3;
}

EXPORT int cuLaunchKernelEx(const config *c, function *one, void **parameters, void **extra)
{
    COUNT();
    const context *here = current();
    const char *program = strstr(one->module->image, "program ");
    if (extra || c->attribute_count || !here || here->device != one->module->device)
        return INVALID_CONTEXT;
    if (f->fault) return f->fault;
    if (c->stream && c->stream != own_stream && c->stream->context != here) return INVALID_HANDLE;
    if (c->blocks[1] * c->blocks[2] * c->threads[1] * c->threads[2] != 1) return INVALID_VALUE;
    if (c->threads[0] > 1024 || (int)c->shared > one->most_shared) return INVALID_VALUE;
    fake_launch l = { c->blocks[0], c->threads[0], c->shared, here->device, c->stream, { 0 } };
    memcpy(l.parameter, parameters[0], sizeof(int64_t) * 8);
    l.parameter[fake_parameters - 2] = program != NULL;
    l.parameter[fake_parameters - 1] = program ? strtol(program + 8, NULL, 10) : 0;
    pthread_mutex_lock(&lock);
    f->last = l;
    f->launches++;
    if (f->capturing && c->stream == f->stream)
        f->graph[f->captured++] = l;
    else
        execute(&l);
    pthread_mutex_unlock(&lock);
    play(one->module, parameters[0], c->blocks[0]);
    return SUCCESS;
}

EXPORT int cuStreamGetCtx(stream *s, context **c)
{
    COUNT();
    *c = s && s != own_stream ? s->context : current();
    return SUCCESS;
}

EXPORT int cuCtxSynchronize(void)
{
    COUNT_SLOW();
    finish_copy();
    return SUCCESS;
}

/* ---- Events: a launch takes a millisecond, or as long as its C takes ---- */

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
    e->seconds = busy_seconds;
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
    if (!s) finish_copy();
    return SUCCESS;
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
    b->device = stack[depth - 1]->device;
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

EXPORT int cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes, stream *s)
{
    COUNT_LEGACY(s);
    memset((void *)(uintptr_t)address, value, bytes);
    return SUCCESS;
}

EXPORT int cuMemcpy(uint64_t to, uint64_t from, size_t bytes)
{
    COUNT_LEGACY(NULL);
    finish_copy();
    if (!block_of(to))
        return memcpy((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes), SUCCESS;
    pthread_mutex_lock(&lock);
    copying.to = (void *)(uintptr_t)to;
    copying.bytes = bytes;
    copying.data = malloc(bytes);
    memcpy(copying.data, (void *)(uintptr_t)from, bytes);
    pthread_mutex_unlock(&lock);
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
    return depth ? SUCCESS : INVALID_CONTEXT;
}

/* ---- The compiler ---- */

typedef struct program {
    char *source, *log, *output;
} program;

EXPORT int nvrtcVersion(int *major, int *minor)
{
    *major = 13;
    *minor = 0;
    return SUCCESS;
}

EXPORT const char *nvrtcGetErrorString(int result)
{
    return result == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR_INVALID_OPTION";
}

EXPORT int nvrtcCreateProgram(program **out, const char *source, const char *name, int headers,
                              const char *const *header, const char *const *names)
{
    COUNT();
    if (headers || header || names || !name) return 2;
    *out = calloc(1, sizeof **out);
    (*out)->source = strdup(source);
    return SUCCESS;
}

EXPORT int nvrtcDestroyProgram(program **p)
{
    free((*p)->source);
    free((*p)->log);
    free((*p)->output);
    free(*p);
    *p = NULL;
    return SUCCESS;
}

EXPORT int nvrtcCompileProgram(program *p, int options, const char *const *option)
{
    static const char gpu[] = "--gpu-architecture=";
    const char *isa = NULL;
    COUNT();
    pthread_mutex_lock(&lock);
    f->compiled++;
    *f->options = 0;
    for (int k = 0; k < options; k++) {
        if (strncmp(option[k], gpu, strlen(gpu)) == 0) isa = option[k] + strlen(gpu);
        strncat(f->options, option[k], sizeof f->options - strlen(f->options) - 2);
        strcat(f->options, " ");
    }
    pthread_mutex_unlock(&lock);
    if (!isa) return 5;
    if (strstr(p->source, "mistake")) {
        p->log = strdup("forward/x.cu.t(7): error: a mistake\n");
        return 6;
    }
    size_t size = strlen(isa) + strlen(p->source) + 2;
    p->output = malloc(size);
    snprintf(p->output, size, "%s\n%s", isa, p->source);
    return SUCCESS;
}

EXPORT int nvrtcGetProgramLogSize(program *p, size_t *size)
{
    *size = (p->log ? strlen(p->log) : 0) + 1;
    return SUCCESS;
}

EXPORT int nvrtcGetProgramLog(program *p, char *log)
{
    strcpy(log, p->log ? p->log : "");
    return SUCCESS;
}

EXPORT int nvrtcGetCUBINSize(program *p, size_t *size)
{
    *size = p->output ? strlen(p->output) + 1 : 0;
    return SUCCESS;
}

EXPORT int nvrtcGetCUBIN(program *p, char *cubin)
{
    strcpy(cubin, p->output);
    return SUCCESS;
}

EXPORT int nvrtcGetPTXSize(program *p, size_t *size)
{
    return nvrtcGetCUBINSize(p, size);
}

EXPORT int nvrtcGetPTX(program *p, char *ptx)
{
    COUNT();
    strcpy(ptx, p->output);
    return SUCCESS;
}
