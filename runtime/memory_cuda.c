/* A GPU's memory, as the public header offers it. */
#include "runtime/context.h"
#include "runtime/device_cuda.h"

static fg_status enter(device_cuda_visit *v, const fg_context *context, fg_error *error)
{
    if (!context) return fail(error, FG_REQUEST, "context is NULL");
    if (!context->gpu)
        return fail(error, FG_REQUEST, "the context is for processors, whose memory is the host's");
    fg_status status = device_cuda_ready(context->gpu, error);
    return status == FG_OK ? device_cuda_enter_slowly(v, context->gpu, error) : status;
}

static fg_status leave(device_cuda_visit *v, const fg_context *context, int code, const char *what,
                       fg_error *error)
{
    const device_cuda *d = context->gpu;
    fg_status status = code == CUDA_SUCCESS ? FG_OK : cuda_fail(&d->driver, code, what, error);
    device_cuda_leave_slowly(v, d);
    return status;
}

fg_status fg_memory_new(void **out, fg_context *context, size_t bytes, fg_error *error)
{
    device_cuda_visit v;
    cuda_address address = 0;
    if (!out) return fail(error, FG_REQUEST, "there is no place for the memory: out is NULL");
    *out = NULL;
    fg_status status = enter(&v, context, error);
    if (status != FG_OK) return status;
    int code = context->gpu->driver.memory_new(&address, bytes ? bytes : 1);
    status = leave(&v, context, code, "allocating on the GPU", error);
    if (status == FG_OK) *out = (void *)(uintptr_t)address;
    return status;
}

void fg_memory_free(fg_context *context, void *block)
{
    device_cuda_visit v;
    if (!block || enter(&v, context, NULL) != FG_OK) return;
    context->gpu->driver.memory_free((uintptr_t)block);
    device_cuda_leave_slowly(&v, context->gpu);
}

fg_status fg_memory_copy(fg_context *context, void *to, const void *from, size_t bytes,
                         fg_error *error)
{
    device_cuda_visit v;
    fg_status status = enter(&v, context, error);
    if (status != FG_OK) return status;
    const cuda_driver *d = &context->gpu->driver;
    int code = bytes ? d->memory_copy((uintptr_t)to, (uintptr_t)from, bytes) : CUDA_SUCCESS;
    /* From pageable memory, or within the GPU's, it may have returned with the copy still under way. */
    if (bytes && code == CUDA_SUCCESS) code = d->stream_wait(NULL);
    return leave(&v, context, code, "copying", error);
}

fg_status fg_context_wait(fg_context *context, fg_error *error)
{
    device_cuda_visit v;
    fg_status status = enter(&v, context, error);
    if (status != FG_OK) return status;
    return leave(&v, context, context->gpu->driver.context_wait(), "waiting for the GPU", error);
}
