/* The fake compiler. */
#include "tests/fake_cuda_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    pthread_mutex_lock(&fake_lock);
    f->compiled++;
    *f->options = 0;
    for (int k = 0; k < options; k++) {
        if (strncmp(option[k], gpu, strlen(gpu)) == 0) isa = option[k] + strlen(gpu);
        strncat(f->options, option[k], sizeof f->options - strlen(f->options) - 2);
        strcat(f->options, " ");
    }
    pthread_mutex_unlock(&fake_lock);
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
