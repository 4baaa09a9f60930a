/* The CUDA driver, libcuda, as a table of its entry points: found at run time, or not. */
#ifndef RUNTIME_CUDA_DRIVER_H
#define RUNTIME_CUDA_DRIVER_H

#include "gen/core/text.h"

#include <stdint.h>

/* Handles, and addresses in a device's memory, as the driver's ABI has them. */
typedef struct cuda_context_handle *cuda_context;
typedef struct cuda_module_handle *cuda_module;
typedef struct cuda_function_handle *cuda_function;
typedef struct cuda_stream_handle *cuda_stream;
typedef struct cuda_event_handle *cuda_event;
typedef uint64_t cuda_address;

/* CUlaunchConfig. */
typedef struct cuda_launch {
    unsigned blocks_x, blocks_y, blocks_z, threads_x, threads_y, threads_z, shared_bytes;
    cuda_stream stream;
    void *attributes;
    unsigned attribute_count;
} cuda_launch;

/* The driver's numbers, by the names that its header gives them. */
enum {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NOT_INITIALIZED = 3,
    CUDA_ERROR_NO_DEVICE = 100,
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE = 38,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81,
    CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR = 82,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
    CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
    CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
    CU_POINTER_ATTRIBUTE_IS_MANAGED = 8,
    CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,
    CU_MEMORYTYPE_DEVICE = 2,
    CU_STREAM_CAPTURE_MODE_RELAXED = 2,
};

/* The calling thread's own stream: unlike the legacy one, NULL, it waits for no stream that is being captured. */
#define CU_STREAM_PER_THREAD ((cuda_stream)(uintptr_t)2)

/* X(name, symbol, arguments): the names with which today's driver exports today's ABI. All return a CUresult. */
#define CUDA_ENTRIES(X)                                                                            \
    X(init, "cuInit", (unsigned flags))                                                            \
    X(error_name, "cuGetErrorName", (int code, const char **name))                                 \
    X(error_string, "cuGetErrorString", (int code, const char **sentence))                         \
    X(version, "cuDriverGetVersion", (int *version))                                               \
    X(device_count, "cuDeviceGetCount", (int *count))                                              \
    X(device_get, "cuDeviceGet", (int *device, int ordinal))                                       \
    X(device_name, "cuDeviceGetName", (char *name, int size, int device))                          \
    X(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, int device))           \
    X(device_uuid, "cuDeviceGetUuid_v2", (unsigned char uuid[16], int device))                     \
    X(primary_retain, "cuDevicePrimaryCtxRetain", (cuda_context * context, int device))            \
    X(primary_release, "cuDevicePrimaryCtxRelease_v2", (int device))                               \
    X(context_push, "cuCtxPushCurrent_v2", (cuda_context context))                                 \
    X(context_pop, "cuCtxPopCurrent_v2", (cuda_context * context))                                 \
    X(context_current, "cuCtxGetCurrent", (cuda_context * context))                                \
    X(capture_mode, "cuThreadExchangeStreamCaptureMode", (int *mode))                              \
    X(module_load, "cuModuleLoadData", (cuda_module * module, const void *image))                  \
    X(module_unload, "cuModuleUnload", (cuda_module module))                                       \
    X(module_function, "cuModuleGetFunction",                                                      \
      (cuda_function * function, cuda_module module, const char *name))                            \
    X(function_get, "cuFuncGetAttribute", (int *value, int attribute, cuda_function function))     \
    X(function_set, "cuFuncSetAttribute", (cuda_function function, int attribute, int value))      \
    X(launch, "cuLaunchKernelEx",                                                                  \
      (const cuda_launch *config, cuda_function function, void **parameters, void **extra))        \
    X(pointer_attributes, "cuPointerGetAttributes",                                                \
      (unsigned count, const int *attributes, void **data, cuda_address pointer))                  \
    X(memory_new, "cuMemAlloc_v2", (cuda_address * address, size_t bytes))                         \
    X(memory_free, "cuMemFree_v2", (cuda_address address))                                         \
    X(memory_fill, "cuMemsetD8Async",                                                              \
      (cuda_address address, unsigned char value, size_t bytes, cuda_stream stream))               \
    X(memory_copy, "cuMemcpy", (cuda_address to, cuda_address from, size_t bytes))                 \
    X(memory_move, "cuMemcpyAsync",                                                                \
      (cuda_address to, cuda_address from, size_t bytes, cuda_stream stream))                      \
    X(stream_context, "cuStreamGetCtx", (cuda_stream stream, cuda_context * context))              \
    X(stream_wait, "cuStreamSynchronize", (cuda_stream stream))                                    \
    X(context_wait, "cuCtxSynchronize", (void))                                                    \
    X(host_function, "cuLaunchHostFunc",                                                           \
      (cuda_stream stream, void (*function)(void *), void *user))                                  \
    X(event_new, "cuEventCreate", (cuda_event * event, unsigned flags))                            \
    X(event_record, "cuEventRecord", (cuda_event event, cuda_stream stream))                       \
    X(event_milliseconds, "cuEventElapsedTime",                                                    \
      (float *milliseconds, cuda_event from, cuda_event to))                                       \
    X(event_free, "cuEventDestroy_v2", (cuda_event event))

/* The same where older drivers lack it: NULL there. */
#define CUDA_OPTIONAL_ENTRIES(X)                                                                   \
    X(function_load, "cuFuncLoad", (cuda_function function))                                       \
    X(host_pin, "cuMemHostRegister_v2", (void *data, size_t bytes, unsigned flags))                \
    X(host_unpin, "cuMemHostUnregister", (void *data))

typedef struct cuda_driver {
    void *library; /* NULL: not opened */
#define CUDA_ENTRY(name, symbol, arguments) int(*name) arguments;
    CUDA_ENTRIES(CUDA_ENTRY)
    CUDA_OPTIONAL_ENTRIES(CUDA_ENTRY)
#undef CUDA_ENTRY
} cuda_driver;

/* Loads it and starts CUDA. `path` NULL: libcuda.so.1. FG_MACHINE: there is none, or no GPU, and why. */
fg_status cuda_driver_open(cuda_driver *out, const char *path, fg_error *error);
void cuda_driver_close(cuda_driver *d);

/* The sentence for a code that a call returned: "WHAT: CUDA_ERROR_... (...)". FG_MEMORY where that is it, else
 * FG_MACHINE. */
fg_status cuda_fail(const cuda_driver *d, int code, const char *what, fg_error *error);

#endif
