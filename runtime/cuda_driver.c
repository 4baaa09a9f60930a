#include "runtime/cuda_driver.h"

#include <dlfcn.h>
#include <string.h>

typedef struct entry {
    const char *symbol;
    size_t offset; /* of the pointer */
    bool optional;
} entry;

static const entry entries[] = {
#define ENTRY_ROW(name, symbol, arguments) { symbol, offsetof(cuda_driver, name), false },
    CUDA_ENTRIES(ENTRY_ROW)
#undef ENTRY_ROW
#define ENTRY_ROW(name, symbol, arguments) { symbol, offsetof(cuda_driver, name), true },
        CUDA_OPTIONAL_ENTRIES(ENTRY_ROW)
#undef ENTRY_ROW
};

/* NULL, or the symbol that is missing. */
static const char *take_entries(cuda_driver *d)
{
    for (size_t k = 0; k < sizeof entries / sizeof *entries; k++) {
        void *found = dlsym(d->library, entries[k].symbol);
        if (!found && !entries[k].optional) return entries[k].symbol;
        memcpy((char *)d + entries[k].offset, &found, sizeof found);
    }
    return NULL;
}

fg_status cuda_fail(const cuda_driver *d, int code, const char *what, fg_error *error)
{
    const char *name = NULL, *sentence = NULL;
    if (d->error_name(code, &name) != CUDA_SUCCESS || !name) name = "an unknown error";
    if (d->error_string(code, &sentence) != CUDA_SUCCESS || !sentence) sentence = "no description";
    fail(error, code == CUDA_ERROR_OUT_OF_MEMORY ? FG_MEMORY : FG_MACHINE, "%s: %s (%d: %s)", what,
         name, code, sentence);
    return code == CUDA_ERROR_OUT_OF_MEMORY ? FG_MEMORY : FG_MACHINE;
}

static fg_status start(const cuda_driver *d, fg_error *error)
{
    int code = d->init(0);
    if (code == CUDA_SUCCESS) return FG_OK;
    if (code == CUDA_ERROR_NOT_INITIALIZED)
        return fail(error, FG_MACHINE,
                    "no CUDA device here: CUDA was started before this process was forked, and "
                    "does not go on in a child");
    return cuda_fail(d, code, "no CUDA device here: cuInit", error);
}

fg_status cuda_driver_open(cuda_driver *out, const char *path, fg_error *error)
{
    const char *name = path ? path : "libcuda.so.1";
    *out = (cuda_driver){ .library = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    if (!out->library) return fail(error, FG_MACHINE, "no CUDA device here: %.1000s", dlerror());
    const char *missing = take_entries(out);
    fg_status status = missing ? fail(error, FG_MACHINE,
                                      "no CUDA device here: the driver %.500s is too old: it has "
                                      "no %s",
                                      name, missing)
                               : start(out, error);
    if (status != FG_OK) cuda_driver_close(out);
    return status;
}

/* RTLD_NODELETE: its threads outlive the handle. */
void cuda_driver_close(cuda_driver *d)
{
    if (d->library) dlclose(d->library);
    *d = (cuda_driver){ .library = NULL };
}
