#include "runtime/backend.h"

#include "runtime/backend_c.h"

const backend backend_c = { "c", compiler_run, module_load, module_find, tasks_run, module_unload };

const backend *const backends[] = { &backend_c, NULL };

void binary_free(const fg_context *context, binary *b)
{
    memory_free(&context->memory, b->data, b->size);
    *b = (binary){ NULL, 0 };
}
