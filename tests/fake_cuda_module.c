/* The fake driver: modules, and their functions' launches. */
#include "tests/fake_cuda_parts.h"
#include "tests/fake_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

enum { shared_usual = 48 << 10 };

static function *functions;

/* ---- Modules ---- */

EXPORT int cuModuleLoadData(module **out, const void *image)
{
    COUNT_SLOW();
    const int device = fake_here()->device;
    const char *end = strchr(image, '\n');
    char isa[16], of_one[16]; /* sm_90, sm_90a */
    snprintf(isa, sizeof isa, "sm_%d%d\n", f->device[device].major, f->device[device].minor);
    snprintf(of_one, sizeof of_one, "%.*sa\n", (int)strlen(isa) - 1, isa);
    if (strncmp(image, isa, strlen(isa)) != 0 && strncmp(image, of_one, strlen(of_one)) != 0)
        return NO_BINARY;
    module *m = malloc(sizeof *m);
    *m = (module){ device, strdup(image), { NULL, NULL } };
    if (!fake_kernels_load(&m->kernels, end + 1)) return NO_BINARY;
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

/* ---- Launches ---- */

typedef struct config {
    unsigned blocks[3], threads[3], shared;
    stream *stream;
    void *attributes;
    unsigned attribute_count;
} config;

static void execute(const fake_node *n)
{
    const fake_launch *l = &n->launch;
    double number = (double)l->parameter[fake_parameters - 1];
    if (n->bytes) memset((void *)(uintptr_t)n->address, n->value, n->bytes);
    if (!l->parameter[fake_parameters - 2]) return; /* a real kernel's text: nothing to play */
    memcpy((void *)(uintptr_t)l->parameter[0], &number, sizeof number);
}

void fake_replay(fake_cuda *state)
{
    for (int k = 0; k < state->captured; k++) execute(&state->graph[k]);
}

/* Kept where its stream is captured. The lock is held. */
static void take(const fake_node *n, const stream *s)
{
    if (f->capturing && s == f->stream)
        f->graph[f->captured++] = *n;
    else
        execute(n);
}

static int check_stream(const stream *s)
{
    const context *here = fake_here();
    if (!here) return INVALID_CONTEXT;
    if (f->fault) return f->fault;
    return s && s != own_stream && s->context != here ? INVALID_HANDLE : SUCCESS;
}

static double busy_seconds;

double fake_busy_seconds(void)
{
    pthread_mutex_lock(&fake_lock);
    double seconds = busy_seconds;
    pthread_mutex_unlock(&fake_lock);
    return seconds;
}

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
    pthread_mutex_lock(&fake_lock);
    busy_seconds += m->kernels.block ? seconds_now() - start : 1e-3;
    pthread_mutex_unlock(&fake_lock);
}

EXPORT int cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes, stream *s)
{
    COUNT();
    TRY(check_stream(s));
    if (f->capturing && !s) return CAPTURE_IMPLICIT;
    pthread_mutex_lock(&fake_lock);
    take(&(fake_node){ .address = address, .bytes = bytes, .value = value }, s);
    busy_seconds += f->fill_seconds;
    pthread_mutex_unlock(&fake_lock);
    return SUCCESS;
}

EXPORT int cuLaunchKernelEx(const config *c, function *one, void **parameters, void **extra)
{
    COUNT();
    const context *here = fake_here();
    const char *program = strstr(one->module->image, "program ");
    if (extra || c->attribute_count || !here || here->device != one->module->device)
        return INVALID_CONTEXT;
    TRY(check_stream(c->stream));
    if (c->blocks[1] * c->blocks[2] * c->threads[1] * c->threads[2] != 1) return INVALID_VALUE;
    if (c->threads[0] > 1024 || (int)c->shared > one->most_shared) return INVALID_VALUE;
    fake_launch l = { c->blocks[0], c->threads[0], c->shared, here->device, c->stream, { 0 } };
    memcpy(l.parameter, parameters[0], sizeof(int64_t) * 8);
    l.parameter[fake_parameters - 2] = program != NULL;
    l.parameter[fake_parameters - 1] = program ? strtol(program + 8, NULL, 10) : 0;
    pthread_mutex_lock(&fake_lock);
    f->last = l;
    f->launches++;
    take(&(fake_node){ .launch = l }, c->stream);
    pthread_mutex_unlock(&fake_lock);
    play(one->module, parameters[0], c->blocks[0]);
    return SUCCESS;
}
