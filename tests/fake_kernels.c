#include "tests/fake_kernels.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    if (!out) return false;
    bool whole = fputs(text, out) >= 0;
    return fclose(out) == 0 && whole;
}

static bool compile(const char *source, const char *library)
{
    int how = 0;
    pid_t child = fork();
    if (child == 0) {
        execl(FLASHGEN_KERNEL_COMPILER, FLASHGEN_KERNEL_COMPILER, "-O1", "-w", "-fPIC", "-shared",
              "-o", library, source, (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

static bool load_from(fake_kernels *out, const char *folder, const char *text)
{
    char source[96], library[96];
    snprintf(source, sizeof source, "%s/kernel.c", folder);
    snprintf(library, sizeof library, "%s/kernel.so", folder);
    if (write_text(source, text) && compile(source, library))
        out->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    unlink(source);
    unlink(library);
    if (out->library)
        out->block = (int (*)(const void *, unsigned))dlsym(out->library, "fake_block");
    return out->block != NULL;
}

bool fake_kernels_load(fake_kernels *out, const char *text)
{
    char folder[] = "/tmp/fake-kernels-XXXXXX";
    *out = (fake_kernels){ NULL, NULL };
    if (!strstr(text, "fake_block")) return true;
    if (!mkdtemp(folder)) return false;
    bool loaded = load_from(out, folder, text);
    rmdir(folder);
    return loaded;
}

void fake_kernels_unload(fake_kernels *k)
{
    if (k->library) dlclose(k->library);
    *k = (fake_kernels){ NULL, NULL };
}
