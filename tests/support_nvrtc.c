#include "tests/support_nvrtc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct program program;

static struct {
    int (*create)(program **, const char *text, const char *name, int headers, const char *const *,
                  const char *const *);
    int (*compile)(program *, int options, const char *const *);
    int (*destroy)(program **);
    int (*log_size)(program *, size_t *);
    int (*log)(program *, char *);
    int (*ptx_size)(program *, size_t *);
    int (*ptx)(program *, char *);
    int (*arch_count)(int *);
    int (*archs)(int *);
} api;

static const struct {
    void *slot;
    const char *name;
} functions[] = {
    { &api.create, "nvrtcCreateProgram" },
    { &api.compile, "nvrtcCompileProgram" },
    { &api.destroy, "nvrtcDestroyProgram" },
    { &api.log_size, "nvrtcGetProgramLogSize" },
    { &api.log, "nvrtcGetProgramLog" },
    { &api.ptx_size, "nvrtcGetPTXSize" },
    { &api.ptx, "nvrtcGetPTX" },
    { &api.arch_count, "nvrtcGetNumSupportedArchs" },
    { &api.archs, "nvrtcGetSupportedArchs" },
};

static void *open_library(void)
{
    static const char *const names[] = { "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so",
                                         "/usr/local/cuda/lib64/libnvrtc.so" };
    const char *given = getenv("FLASHGEN_NVRTC");
    void *library = given ? dlopen(given, RTLD_NOW) : NULL;
    for (size_t k = 0; k < sizeof names / sizeof *names && !library; k++)
        library = dlopen(names[k], RTLD_NOW);
    return library;
}

const char *rtc_missing(void)
{
    static bool asked;
    static const char *why;
    if (asked) return why;
    asked = true;
    void *library = open_library();
    if (!library) return why = "there is no libnvrtc here (FLASHGEN_NVRTC may name one)";
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        void *found = dlsym(library, functions[k].name);
        if (!found) return why = "this libnvrtc is too old";
        memcpy(functions[k].slot, &found, sizeof found);
    }
    return NULL;
}

bool rtc_knows(const char *arch)
{
    int count = 0, list[64], wanted = atoi(arch + strlen("sm_"));
    if (api.arch_count(&count) || count > 64 || api.archs(list)) return false;
    for (int k = 0; k < count; k++)
        if (list[k] == wanted) return true;
    return false;
}

/* What ptxas says of each kernel. */
static void read_log(rtc_result *r)
{
    for (const char *at = r->log; (at = strstr(at, "Compiling entry function '")) && r->kernels < 8;
         at++) {
        rtc_kernel *k = &r->kernel[r->kernels++];
        const char *spills = strstr(at, " bytes spill stores"), *used = strstr(at, "Used ");
        sscanf(at, "Compiling entry function '%63[^']'", k->entry);
        while (spills && spills > at && spills[-1] != ' ') spills--;
        k->spill_bytes = spills ? atoi(spills) : -1;
        k->registers = used ? atoi(used + strlen("Used ")) : -1;
    }
}

bool rtc_compile(rtc_result *out, const char *text, const char *arch, bool to_ptx)
{
    char architecture[64];
    const char *options[] = { architecture, "-std=c++17", "--fmad=true", "-diag-suppress=177",
                              to_ptx ? "-default-device" : "--ptxas-options=-v" };
    program *p = NULL;
    size_t size = 0;
    *out = (rtc_result){ 0 };
    const bool of_one = strcmp(arch, "sm_90") == 0 && (!to_ptx || strstr(text, "wgmma."));
    snprintf(architecture, sizeof architecture, "--gpu-architecture=%s%s%s",
             to_ptx ? "compute" : "sm", arch + strlen("sm"), of_one ? "a" : "");
    if (api.create(&p, text, "kernel.cu", 0, NULL, NULL)) return false;
    bool compiled = api.compile(p, 5, options) == 0;
    api.log_size(p, &size);
    out->log = calloc(size + 1, 1);
    api.log(p, out->log);
    if (compiled && to_ptx && api.ptx_size(p, &size) == 0) {
        out->ptx = calloc(size + 1, 1);
        api.ptx(p, out->ptx);
    }
    read_log(out);
    api.destroy(&p);
    return compiled;
}

void rtc_result_free(rtc_result *r)
{
    free(r->log);
    free(r->ptx);
    *r = (rtc_result){ 0 };
}
