/* Loading a shared object from memory. glibc takes a library for one that it has if the path is the same, so
 * each load spells its path in its own way. */
#include "runtime/backend_c.h"
#include "runtime/folder.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Enough for the bits of a number, two bytes each, before a name. */
enum { spelling_size = 2 * 64 + 32 };

/* "fd/5" as, say, "//.//fd/5": a count in binary, each bit "./" or "/". It counts from an address of ours, as
 * another copy of this library may live in the process. */
static void spell(char out[spelling_size], const char *name)
{
    static atomic_uint_least64_t loads;
    uint64_t count = ((uint64_t)(uintptr_t)&loads << 16) + atomic_fetch_add(&loads, 1);
    size_t length = 0;
    for (; count > 0; count >>= 1) {
        if (count & 1) out[length++] = '.';
        out[length++] = '/';
    }
    snprintf(out + length, spelling_size - length, "%s", name);
}

static void *load_by_number(int fd)
{
    char name[16], spelling[spelling_size], path[spelling_size + 16];
    snprintf(name, sizeof name, "fd/%d", fd);
    spell(spelling, name);
    snprintf(path, sizeof path, "/proc/self/%s", spelling);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/* Sealed: nobody can change it under the loader. */
static void *load_from_memory(const binary *b)
{
    void *module = NULL;
    int fd = memfd_create("flashgen", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return NULL;
    int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (fd_write(fd, b->data, b->size) && fcntl(fd, F_ADD_SEALS, seals) == 0)
        module = load_by_number(fd);
    close(fd);
    return module;
}

/* In a folder of our own, gone before anyone else sees it; by its name where /proc is not mounted. */
static void *load_from_folder(const memory *m, const char *folder, const binary *b, fg_error *error)
{
    char spelling[spelling_size];
    void *module = NULL;
    spell(spelling, "kernel.so");
    char *path = folder_path(m, folder, spelling);
    if (!path) {
        fail_memory(error);
        return NULL;
    }
    if (file_write(path, b->data, b->size, error) == FG_OK) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        module = fd >= 0 ? load_by_number(fd) : NULL;
        if (!module) module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!module) fail(error, FG_COMPILER, "%s", dlerror());
        if (fd >= 0) close(fd);
    }
    memory_free(m, path, strlen(path) + 1);
    return module;
}

fg_status module_load(void **out, const fg_context *context, const binary *compiled,
                      fg_error *error)
{
    fg_error why = { .status = FG_OK };
    char *folder = NULL;
    *out = load_from_memory(compiled);
    if (*out) return FG_OK;
    fg_status status = folder_new(&folder, &context->memory, error);
    if (status != FG_OK) return status;
    *out = load_from_folder(&context->memory, folder, compiled, &why);
    folder_remove(&context->memory, folder);
    if (*out) return FG_OK;
    if (why.status != FG_COMPILER) return fail(error, why.status, "%s", why.text);
    return fail(error, FG_COMPILER, "what the host compiler %.200s wrote cannot be loaded: %.1000s",
                context->compiler ? context->compiler : "", why.text);
}

void *module_find(void *module, const char *entry)
{
    return dlsym(module, entry);
}

void module_unload(void *module)
{
    if (module) dlclose(module);
}
