#include "runtime/nvrtc.h"

#include "runtime/device_cuda.h"

#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Finding it ---- */

static const struct {
    const char *name;
    int major;
} sonames[] = { { "libnvrtc.so.13", 13 }, { "libnvrtc.so.12", 12 } };

enum { soname_count = sizeof sonames / sizeof *sonames, nvrtc_path_size = 4096 };

/* What is looked for, and where its path goes. */
typedef struct hunt {
    char path[nvrtc_path_size];
    int most; /* the latest major version; 0: any */
} hunt;

static bool too_late(const hunt *h, int k)
{
    return h->most > 0 && sonames[k].major > h->most;
}

static const char *const cuda_folders[] = {
    "/usr/local/cuda/lib64",
    "/usr/local/cuda-1[2-9]*/lib64",
    "/opt/cuda/lib64",
};

static const char *const package_folders[] = { "nvidia/cu1[3-9]/lib", "nvidia/cuda_nvrtc/lib" };

static const char *const python_folders[] = {
    "/usr/local/lib/python3*/[ds]i[st][te]-packages",
    "/usr/lib/python3/dist-packages",
};

static bool take_path(char out[nvrtc_path_size], const char *path)
{
    char real[PATH_MAX];
    if (!realpath(path, real) || access(real, R_OK) != 0) return false;
    return snprintf(out, nvrtc_path_size, "%s", real) < nvrtc_path_size;
}

/* The newest in folders that match. */
static bool find_in(hunt *h, const char *folders)
{
    char pattern[nvrtc_path_size];
    bool found = false;
    for (int k = 0; k < soname_count && !found; k++) {
        glob_t all;
        if (too_late(h, k)) continue;
        int wrote = snprintf(pattern, sizeof pattern, "%s/%s", folders, sonames[k].name);
        if (wrote >= (int)sizeof pattern || glob(pattern, 0, NULL, &all) != 0) continue;
        for (size_t n = all.gl_pathc; n-- > 0 && !found;)
            found = take_path(h->path, all.gl_pathv[n]);
        globfree(&all);
    }
    return found;
}

static bool find_listed(hunt *h, const char *list)
{
    char folder[nvrtc_path_size];
    while (list && *list) {
        size_t length = strcspn(list, ":");
        int wrote = snprintf(folder, sizeof folder, "%.*s", (int)length, list);
        if (*list == '/' && wrote < (int)sizeof folder && find_in(h, folder)) return true;
        list += length;
        list += *list == ':';
    }
    return false;
}

static bool find_package(hunt *h, const char *site)
{
    char folder[nvrtc_path_size];
    for (size_t k = 0; k < sizeof package_folders / sizeof *package_folders; k++) {
        int wrote = snprintf(folder, sizeof folder, "%s/%s", site, package_folders[k]);
        if (wrote < (int)sizeof folder && find_in(h, folder)) return true;
    }
    return false;
}

/* A Python process has modules loaded from where its packages are. */
static int visit_loaded(struct dl_phdr_info *info, size_t size, void *user)
{
    static const char *const ends[] = { "/site-packages/", "/dist-packages/" };
    char site[nvrtc_path_size];
    (void)size;
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
        const char *end = info->dlpi_name ? strstr(info->dlpi_name, ends[k]) : NULL;
        size_t length = end ? (size_t)(end - info->dlpi_name) + strlen(ends[k]) - 1 : 0;
        if (!end || length >= sizeof site) continue;
        memcpy(site, info->dlpi_name, length);
        site[length] = 0;
        if (find_package(user, site)) return 1;
    }
    return 0;
}

static bool find_below(hunt *h, const char *base, const char *rest)
{
    char site[nvrtc_path_size];
    return base && snprintf(site, sizeof site, "%s%s", base, rest) < (int)sizeof site &&
           find_package(h, site);
}

static bool find_python(hunt *h)
{
    if (dl_iterate_phdr(visit_loaded, h)) return true;
    if (find_below(h, secure_getenv("VIRTUAL_ENV"), "/lib/python3*/site-packages")) return true;
    if (find_below(h, secure_getenv("HOME"), "/.local/lib/python3*/site-packages")) return true;
    for (size_t k = 0; k < sizeof python_folders / sizeof *python_folders; k++)
        if (find_package(h, python_folders[k])) return true;
    return false;
}

/* `flags`: of dlopen. */
static bool find_by_linker(hunt *h, int flags)
{
    bool found = false;
    for (int k = 0; k < soname_count && !found; k++) {
        struct link_map *map = NULL;
        if (too_late(h, k)) continue;
        void *library = dlopen(sonames[k].name, RTLD_LAZY | RTLD_LOCAL | flags);
        if (!library) continue;
        found = dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && take_path(h->path, map->l_name);
        dlclose(library);
    }
    return found;
}

static bool find_any(hunt *h)
{
    if (find_by_linker(h, RTLD_NOLOAD)) return true;
    if (find_listed(h, secure_getenv("LD_LIBRARY_PATH"))) return true;
    for (size_t k = 0; k < sizeof cuda_folders / sizeof *cuda_folders; k++)
        if (find_in(h, cuda_folders[k])) return true;
    return find_python(h) || find_by_linker(h, RTLD_NODELETE);
}

static void say_missing(fg_context *context, int most)
{
    char limit[64] = "";
    if (most > 0) snprintf(limit, sizeof limit, " that the driver, of CUDA %d, takes", most);
    snprintf(context->compiler_missing, sizeof context->compiler_missing,
             "there is no NVRTC%s: libnvrtc.so.13 or .12, of the CUDA toolkit or of the Python "
             "package nvidia-cuda-nvrtc, was not found",
             limit);
}

fg_status nvrtc_find(fg_context *context, const char *wanted, fg_error *error)
{
    hunt h = { .most = context->gpu->cuda_major };
    char *why = context->compiler_missing;
    size_t size = sizeof context->compiler_missing;
    if (context->secure) {
        snprintf(why, size, "a setuid process compiles nothing");
    } else if (wanted ? take_path(h.path, wanted) : find_any(&h)) {
        context->compiler = memory_text(&context->memory, h.path, strlen(h.path));
        if (!context->compiler) return fail_memory(error);
    } else if (wanted) {
        snprintf(why, size, "there is no NVRTC: %.150s cannot be read", wanted);
    } else {
        say_missing(context, h.most);
    }
    return FG_OK; /* whoever needs one gets the reason */
}

/* ---- What it is made of ---- */

static bool has_file(const toolchain *t, const char *path)
{
    for (const toolchain_file *file = t->files; file; file = file->next)
        if (strcmp(file->path, path) == 0) return true;
    return false;
}

static fg_status add_file(toolchain *t, const char *path, fg_error *error)
{
    if (has_file(t, path)) return FG_OK; /* a version's short name and its long one */
    toolchain_file *file = arena_new(&t->arena, sizeof *file);
    if (file) file->path = arena_new(&t->arena, strlen(path) + 1);
    if (!file || !file->path) return fail_memory(error);
    strcpy(file->path, path);
    file->next = t->files;
    t->files = file;
    return FG_OK;
}

/* All of them: which one NVRTC loads, by its own minor version, its file's name does not tell. */
static fg_status add_builtins(toolchain *t, const char *library, fg_error *error)
{
    char pattern[nvrtc_path_size], path[nvrtc_path_size];
    const char *slash = strrchr(library, '/');
    fg_status status = FG_OK;
    glob_t all;
    if (!slash || snprintf(pattern, sizeof pattern, "%.*s/libnvrtc-builtins.so.*",
                           (int)(slash - library), library) >= (int)sizeof pattern)
        return FG_OK;
    if (glob(pattern, 0, NULL, &all) != 0) return FG_OK;
    for (size_t n = all.gl_pathc; n-- > 0 && status == FG_OK;)
        if (take_path(path, all.gl_pathv[n])) status = add_file(t, path, error);
    globfree(&all);
    return status;
}

fg_status nvrtc_parts(toolchain *out, const memory *m, const char *library, fg_error *error)
{
    *out = (toolchain){ .files = NULL };
    arena_init(&out->arena, m);
    fg_status status = add_builtins(out, library, error);
    out->whole = out->files != NULL;
    return status == FG_OK ? add_file(out, library, error) : status;
}

/* ---- Its entry points ---- */

typedef struct nvrtc_program_handle *nvrtc_program;

/* X(name, symbol, arguments): all return an nvrtcResult but the text of one. */
#define NVRTC_ENTRIES(X)                                                                           \
    X(version, "nvrtcVersion", int, (int *major, int *minor))                                      \
    X(text, "nvrtcGetErrorString", const char *, (int result))                                     \
    X(create, "nvrtcCreateProgram", int,                                                           \
      (nvrtc_program * program, const char *source, const char *name, int count,                   \
       const char *const *headers, const char *const *names))                                      \
    X(destroy, "nvrtcDestroyProgram", int, (nvrtc_program * program))                              \
    X(compile, "nvrtcCompileProgram", int,                                                         \
      (nvrtc_program program, int count, const char *const *options))                              \
    X(log_size, "nvrtcGetProgramLogSize", int, (nvrtc_program program, size_t * size))             \
    X(log, "nvrtcGetProgramLog", int, (nvrtc_program program, char *log))                          \
    X(cubin_size, "nvrtcGetCUBINSize", int, (nvrtc_program program, size_t * size))                \
    X(cubin, "nvrtcGetCUBIN", int, (nvrtc_program program, char *cubin))                           \
    X(ptx_size, "nvrtcGetPTXSize", int, (nvrtc_program program, size_t * size))                    \
    X(ptx, "nvrtcGetPTX", int, (nvrtc_program program, char *ptx))

typedef struct nvrtc {
    void *library;
#define NVRTC_ENTRY(name, symbol, result, arguments) result(*name) arguments;
    NVRTC_ENTRIES(NVRTC_ENTRY)
#undef NVRTC_ENTRY
} nvrtc;

static const struct {
    const char *symbol;
    size_t offset;
} entries[] = {
#define ENTRY_ROW(name, symbol, result, arguments) { symbol, offsetof(nvrtc, name) },
    NVRTC_ENTRIES(ENTRY_ROW)
#undef ENTRY_ROW
};

/* It stays: what it keeps for the next program would be lost, and its threads would run into nothing. */
static fg_status nvrtc_open(nvrtc *out, const char *library, fg_error *error)
{
    *out = (nvrtc){ .library = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    if (!out->library)
        return fail(error, FG_COMPILER, "NVRTC cannot be loaded: %.1000s", dlerror());
    for (size_t k = 0; k < sizeof entries / sizeof *entries; k++) {
        void *found = dlsym(out->library, entries[k].symbol);
        memcpy((char *)out + entries[k].offset, &found, sizeof found);
        if (found) continue;
        dlclose(out->library);
        return fail(error, FG_COMPILER, "%.500s is no NVRTC of today: it has no %s", library,
                    entries[k].symbol);
    }
    return FG_OK;
}

fg_status nvrtc_version(char out[32], const char *library, fg_error *error)
{
    nvrtc n;
    int major = 0, minor = 0;
    fg_status status = nvrtc_open(&n, library, error);
    if (status != FG_OK) return status;
    n.version(&major, &minor);
    snprintf(out, 32, "NVRTC %d.%d", major, minor);
    dlclose(n.library);
    return FG_OK;
}

/* ---- Compiling ---- */

enum { log_room = 1500 }; /* leaves room for a sentence in an fg_error */

static fg_status fail_compile(const nvrtc *n, nvrtc_program program, int result,
                              const char *library, const memory *m, fg_error *error)
{
    size_t size = 0;
    char *log = n->log_size(program, &size) == 0 && size ? memory_new(m, size + 1, 1) : NULL;
    if (log && n->log(program, log) != 0) *log = 0;
    fail(error, FG_COMPILER, "%.300s failed: %s%s%.*s", library, n->text(result), log ? "\n" : "",
         log_room, log ? log : "");
    memory_free(m, log, size + 1);
    return FG_COMPILER;
}

/* Leaves out what no kernel of ours uses, and takes half the time; older ones do not know it. */
static bool knows_minimal(const nvrtc *n)
{
    int major = 0, minor = 0;
    n->version(&major, &minor);
    return major > 12 || (major == 12 && minor >= 4);
}

enum { options_max = 64 };

/* The words of `flags`, which is cut up; -1: too many. */
static int take_options(const char *options[options_max], const nvrtc *n, char *flags)
{
    int count = 0;
    if (knows_minimal(n)) options[count++] = "--minimal";
    for (char *word; (word = strsep(&flags, " "));) {
        if (count == options_max) return -1;
        if (*word) options[count++] = word;
    }
    return count;
}

static fg_status run_compiler(const nvrtc *n, nvrtc_program program, const memory *m,
                              const char *library, const char *flags, fg_error *error)
{
    const char *options[options_max];
    char *words = memory_text(m, flags, strlen(flags));
    if (!words) return fail_memory(error);
    fg_status status = FG_OK;
    const int count = take_options(options, n, words);
    const int result = count < 0 ? 0 : n->compile(program, count, options);
    if (count < 0)
        status = fail(error, FG_REQUEST, "compiler_flags has more than %d words", options_max);
    else if (result != 0)
        status = fail_compile(n, program, result, library, m, error);
    memory_free(m, words, strlen(flags) + 1);
    return status;
}

static fg_status take_output(void **out, size_t *size, const nvrtc *n, nvrtc_program program,
                             bool ptx, const memory *m, fg_error *error)
{
    size_t bytes = 0;
    int result = (ptx ? n->ptx_size : n->cubin_size)(program, &bytes);
    if (result != 0 || bytes == 0)
        return fail(error, FG_COMPILER, "NVRTC wrote no %s: %s", ptx ? "PTX" : "binary",
                    n->text(result));
    void *data = memory_new(m, bytes, 1);
    if (!data) return fail_memory(error);
    result = (ptx ? n->ptx : n->cubin)(program, data);
    if (result != 0) {
        memory_free(m, data, bytes);
        return fail(error, FG_COMPILER, "NVRTC gives no binary: %s", n->text(result));
    }
    *out = data;
    *size = bytes;
    return FG_OK;
}

static fg_status compile(void **out, size_t *size, const nvrtc *n, const memory *m,
                         const char *library, const char *flags, bool ptx, const char *source,
                         fg_error *error)
{
    nvrtc_program program = NULL;
    int result = n->create(&program, source, "kernel.cu", 0, NULL, NULL);
    if (result != 0) return fail(error, FG_COMPILER, "%.300s failed: %s", library, n->text(result));
    fg_status status = run_compiler(n, program, m, library, flags, error);
    if (status == FG_OK) status = take_output(out, size, n, program, ptx, m, error);
    n->destroy(&program);
    return status;
}

fg_status nvrtc_compile(void **out, size_t *size, const memory *m, const char *library,
                        const char *flags, bool ptx, const char *source, fg_error *error)
{
    nvrtc n;
    *out = NULL;
    *size = 0;
    fg_status status = nvrtc_open(&n, library, error);
    if (status != FG_OK) return status;
    status = compile(out, size, &n, m, library, flags, ptx, source, error);
    dlclose(n.library);
    return status;
}
