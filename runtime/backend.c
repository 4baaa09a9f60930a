#include "runtime/backend.h"

#include "runtime/backend_c.h"
#include "runtime/backend_cuda.h"

#include <string.h>

static fg_status find(void **entry, void *module, const char *name, fg_error *error)
{
    *entry = module_find(module, name);
    return *entry ? FG_OK : fail(error, FG_INTERNAL, "the kernel has no function %.31s", name);
}

static fg_status clear(const fg_context *context, void *data, size_t bytes, void *stream,
                       fg_error *error)
{
    (void)context, (void)stream, (void)error;
    memset(data, 0, bytes);
    return FG_OK;
}

const backend backend_c = { "c",  compiler_run, toolchain_find, compiler_ask_version, module_load,
                            find, tasks_run,    clear,          module_unload };

const backend *const backends[] = { &backend_c, &backend_cuda, NULL };

void binary_free(const fg_context *context, binary *b)
{
    memory_free(&context->memory, b->data, b->size);
    *b = (binary){ NULL, 0 };
}
